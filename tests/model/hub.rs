//! Models by name, against a hub on this machine.

mod server;

use hebb::model::hub::{HubError, HubFolder, HubModel, HubProgress, HubSettings, fetch_model};
use server::{Answer, Asked, Repository, Server, git_name, sha256};
use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

const COMMIT: &str = "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268";
const NAME: &str = "owner/tiny-clip";

/// Bytes that do not repeat soon.
fn noise(n_bytes: usize) -> Vec<u8> {
    let mut state = 1u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..n_bytes).map(|_| next()).collect()
}

fn repository() -> Repository {
    let files = BTreeMap::from([
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", br#"{"model": {}}"#.to_vec()),
        ("README.md", b"not wanted".to_vec()),
        ("pytorch_model.bin", b"not wanted".to_vec()),
        ("model.safetensors", noise(3_000_000)),
    ]);
    Repository { name: NAME, commit: COMMIT, files }
}

fn model() -> HubModel {
    format!("hf:{NAME}@{COMMIT}").parse().unwrap()
}

fn settings(endpoint: &str, cache: &TempDir) -> HubSettings {
    HubSettings {
        endpoint: endpoint.to_owned(),
        cache: cache.path().to_owned(),
        offline: false,
        token: None,
        retry_pause: Duration::from_millis(1),
    }
}

fn fetch(settings: &HubSettings) -> Result<HubFolder, HubError> {
    fetch_model(&model(), settings, &mut |_| {})
}

fn blobs(cache: &TempDir) -> PathBuf {
    cache.path().join("models--owner--tiny-clip/blobs")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// A hub whose large files another server keeps, which answers as it is told.
fn hub(repository: Repository, keep: impl Fn(&Asked, &[u8]) -> Answer + Send + Sync + 'static) -> (Server, Server) {
    let kept = repository.clone();
    let keeper = Server::start(move |asked| {
        let name = asked.path.trim_start_matches('/').split('?').next().unwrap();
        keep(asked, &kept.files[name])
    });
    let address = keeper.url.clone();
    (Server::start(move |asked| repository.answer(asked, &address)), keeper)
}

#[test]
fn a_model_is_fetched_once_into_the_folder_that_python_keeps() {
    let (hub, keeper) = hub(repository(), Answer::file);
    let cache = tempfile::tempdir().unwrap();
    let settings = HubSettings { token: Some("secret".to_owned()), ..settings(&hub.url, &cache) };
    let mut heard = BTreeMap::new();
    let mut listen = |progress: HubProgress<'_>| {
        let last = heard.insert(progress.file.to_owned(), (progress.done_bytes, progress.total_bytes));
        assert!(
            last.is_none_or(|(done, _)| done <= progress.done_bytes && progress.done_bytes <= progress.total_bytes)
        );
    };
    let folder = fetch_model(&model(), &settings, &mut listen).unwrap();

    let expected = repository().files;
    assert_eq!(folder.names, ["config.json", "model.safetensors", "tokenizer.json"]);
    assert_eq!(folder.unasked, [""; 0]);
    assert_eq!(folder.folder, cache.path().join("models--owner--tiny-clip/snapshots").join(COMMIT));
    for file in folder.digest().unwrap() {
        let contents = &expected[file.name.as_str()];
        assert_eq!((file.size_bytes, file.digest), (contents.len() as u64, blake3::hash(contents)));
        assert_eq!(heard[&file.name], (file.size_bytes, file.size_bytes));
    }
    assert_eq!(heard.len(), 3);

    let weights = sha256(&expected["model.safetensors"]);
    let mut etags = vec![git_name(&expected["config.json"]), git_name(&expected["tokenizer.json"]), weights.clone()];
    etags.sort();
    assert_eq!(names_in(&blobs(&cache)), etags);
    assert_eq!(names_in(&folder.folder), folder.names);
    #[cfg(unix)]
    assert_eq!(
        fs::read_link(folder.folder.join("model.safetensors")).unwrap(),
        Path::new("../../blobs").join(&weights)
    );

    // Only the hub is told who asks.
    assert!(hub.asked().iter().all(|asked| asked.headers.get("authorization").is_some_and(|it| it == "Bearer secret")));
    assert!(keeper.asked().iter().all(|asked| !asked.headers.contains_key("authorization")));

    let n_asked = hub.asked().len();
    assert_eq!(fetch(&settings).unwrap(), folder);
    assert_eq!((hub.asked().len(), keeper.asked().len()), (n_asked, 1));
}

#[test]
fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let n_cut = AtomicUsize::new(0);
    let (hub, keeper) = hub(repository(), move |asked, contents| {
        let answer = Answer::file(asked, contents);
        if n_cut.fetch_add(1, Ordering::SeqCst) < 2 { answer.cut_at(1_200_000) } else { answer }
    });
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&settings(&hub.url, &cache)).unwrap();
    assert_eq!(fs::read(folder.folder.join("model.safetensors")).unwrap(), noise(3_000_000));
    let starts: Vec<_> = keeper.asked().iter().map(Asked::first_byte).collect();
    assert_eq!(starts, [None, Some(1_200_000), Some(2_400_000)]);
}

#[test]
fn what_an_earlier_run_has_left_is_used_if_it_is_right() {
    let whole = noise(3_000_000);
    for (left, starts) in [
        (whole[..1_000_000].to_vec(), vec![Some(1_000_000)]),
        (vec![7; 1_000_000], vec![Some(1_000_000), None]),
        (whole.clone(), vec![]),
        (vec![7; 3_000_001], vec![None]),
    ] {
        let (hub, keeper) = hub(repository(), Answer::file);
        let cache = tempfile::tempdir().unwrap();
        fs::create_dir_all(blobs(&cache)).unwrap();
        fs::write(blobs(&cache).join(format!("{}.incomplete", sha256(&whole))), left).unwrap();
        let folder = fetch(&settings(&hub.url, &cache)).unwrap();
        assert_eq!(fs::read(folder.folder.join("model.safetensors")).unwrap(), whole);
        assert_eq!(keeper.asked().iter().map(Asked::first_byte).collect::<Vec<_>>(), starts);
    }
}

#[test]
fn a_keeper_that_knows_no_ranges_is_asked_for_the_whole() {
    let n_cut = AtomicUsize::new(0);
    let (hub, keeper) = hub(repository(), move |_, contents| {
        let answer = Answer::new(200, contents);
        if n_cut.fetch_add(1, Ordering::SeqCst) == 0 { answer.cut_at(5000) } else { answer }
    });
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&settings(&hub.url, &cache)).unwrap();
    assert_eq!(fs::read(folder.folder.join("model.safetensors")).unwrap(), noise(3_000_000));
    assert_eq!(keeper.asked().len(), 2);
}

#[test]
fn other_contents_than_announced_are_refused_and_removed() {
    let (hub, _keeper) = hub(repository(), |_, contents| {
        let mut wrong = contents.to_vec();
        wrong[12345] ^= 1;
        Answer::new(200, wrong)
    });
    let cache = tempfile::tempdir().unwrap();
    let refused = fetch(&settings(&hub.url, &cache)).unwrap_err();
    let message = refused.to_string();
    assert!(matches!(&refused, HubError::Digest { file, .. } if file == "model.safetensors"), "{message}");
    assert!(message.contains(&sha256(&noise(3_000_000))), "{message}");
    assert_eq!(names_in(&blobs(&cache)).len(), 2, "the two small files and nothing else");
}

#[test]
fn more_than_announced_is_not_kept() {
    let (hub, _keeper) = hub(repository(), |_, contents| Answer::new(200, [contents, b"more"].concat()));
    let cache = tempfile::tempdir().unwrap();
    let message = fetch(&settings(&hub.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("answered with more than the 3000000 bytes that it announced"), "{message}");

    let cache = tempfile::tempdir().unwrap();
    let large = Server::start(|asked| match asked.path.contains("/api/") {
        true => Answer::new(200, r#"{"siblings": [{"rfilename": "config.json"}]}"#),
        false => Answer::new(200, "").with("ETag", "\"a\"").with("Content-Length", 1u64 << 40),
    });
    let message = fetch(&settings(&large.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("answered with a file of 1099511627776 bytes: expected at most 268435456"), "{message}");
}

#[test]
fn failures_that_may_pass_are_tried_again_and_then_named() {
    let seen = Mutex::new(BTreeMap::new());
    let kept = repository();
    let flaky = Server::start(move |asked| {
        let mut seen = seen.lock().unwrap();
        let n_asked = seen.entry((asked.method.clone(), asked.path.clone())).or_insert(0);
        *n_asked += 1;
        match (*n_asked, asked.path.strip_prefix("/kept/")) {
            (1, _) => Answer::new(503, ""),
            (2, _) => Answer::new(429, "").with("Retry-After", 0),
            (_, Some(name)) => Answer::file(asked, &kept.files[name.split('?').next().unwrap()]),
            (_, None) => kept.answer(asked, "/kept"),
        }
    });
    let cache = tempfile::tempdir().unwrap();
    let found = fetch(&settings(&flaky.url, &cache)).unwrap();
    assert_eq!(found.names.len(), 3);
    // Of each address that answered in the end.
    assert_eq!(flaky.count("GET", "/api/models/"), 3);
    assert_eq!(flaky.count("GET", "/kept/model.safetensors"), 3);

    let broken = Server::start(|_| Answer::new(502, ""));
    let cache = tempfile::tempdir().unwrap();
    let message = fetch(&settings(&broken.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("could not be asked: after 5 attempts it answered with status 502"), "{message}");
    assert_eq!(broken.asked().len(), 5);
}

#[test]
fn without_network_it_is_said_what_to_place_where() {
    let cache = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let here = settings(&format!("http://{nobody}"), &cache);
    let folder = cache.path().join("models--owner--tiny-clip/snapshots").join(COMMIT);
    for settings in [here.clone(), HubSettings { offline: true, ..here.clone() }] {
        let message = fetch(&settings).unwrap_err().to_string();
        let place = format!("place `config.json`, `model.safetensors` in `{}` by hand, or run once", folder.display());
        assert!(message.contains(&place), "{message}");
        assert!(message.contains(&format!("hf download {NAME} --revision {COMMIT}")), "{message}");
    }

    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.json"), "{}").unwrap();
    fs::write(folder.join("pytorch_model.bin"), "weights").unwrap();
    for settings in [here.clone(), HubSettings { offline: true, ..here }] {
        let found = fetch(&settings).unwrap();
        assert_eq!(found.names, ["config.json", "pytorch_model.bin"]);
        assert_eq!(found.unasked.len(), 7);
    }
}

#[cfg(unix)]
#[test]
fn files_that_python_has_fetched_are_not_fetched_again() {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("models--owner--tiny-clip");
    let snapshot = repository.join("snapshots").join(COMMIT);
    let absent = repository.join(".no_exist").join(COMMIT);
    [&snapshot, &absent, &blobs(&cache)].iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    for (name, contents) in repository_files() {
        fs::write(blobs(&cache).join(git_name(&contents)), &contents).unwrap();
        std::os::unix::fs::symlink(Path::new("../../blobs").join(git_name(&contents)), snapshot.join(name)).unwrap();
    }
    for name in ["preprocessor_config.json", "vocab.json", "merges.txt", "vocab.txt", "tokenizer_config.json"] {
        fs::write(absent.join(name), "").unwrap();
    }
    let (hub, _keeper) = hub(self::repository(), Answer::file);
    let found = fetch(&settings(&hub.url, &cache)).unwrap();
    assert_eq!(found.names, ["config.json", "model.safetensors", "tokenizer.json"]);
    // One name was left to ask for, and is now known to be absent.
    assert_eq!(hub.asked().len(), 1);
    assert!(absent.join("special_tokens_map.json").is_file());

    // A blob that is gone leaves a link to nothing.
    fs::remove_file(blobs(&cache).join(git_name(b"{}"))).unwrap();
    let found = fetch(&settings(&hub.url, &cache)).unwrap();
    assert_eq!(fs::read(found.folder.join("config.json")).unwrap(), b"{}");
}

#[cfg(unix)]
fn repository_files() -> Vec<(&'static str, Vec<u8>)> {
    let wanted = ["config.json", "tokenizer.json", "model.safetensors"];
    repository().files.into_iter().filter(|(name, _)| wanted.contains(name)).collect()
}

#[test]
fn refusals_say_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let closed = Server::start(|_| Answer::new(401, "").with("X-Error-Code", "GatedRepo"));
    let message = fetch(&settings(&closed.url, &cache)).unwrap_err().to_string();
    assert!(message.contains(&format!("`hf:{NAME}@{COMMIT}` may not be read (401 of")), "{message}");
    assert!(message.contains("set `HF_TOKEN` to a token of that account"), "{message}");

    let empty = Server::start(|_| Answer::new(404, ""));
    let message = fetch(&settings(&empty.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("is unknown to the hub (404 of"), "{message}");

    let mut listed = repository();
    let (hub, _keeper) = hub(listed.clone(), Answer::file);
    let other = hub.url.clone();
    listed.files.remove("config.json");
    let liar = Server::start(move |asked| match asked.path.contains("/api/models") {
        true => Answer::new(302, "").with("Location", format!("{other}{}", asked.path)),
        false => listed.answer(asked, ""),
    });
    let message = fetch(&settings(&liar.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("file `config.json` of `hf:owner/tiny-clip@"), "{message}");
    assert!(message.contains("is listed, but not found (404 of"), "{message}");

    let circle = Server::start(|asked| Answer::new(302, "").with("Location", &asked.path));
    let message = fetch(&settings(&circle.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("answered with more than 8 addresses to ask instead"), "{message}");

    let other = Server::start(|_| Answer::new(200, format!(r#"{{"sha": "{}", "siblings": []}}"#, "0".repeat(40))));
    let message = fetch(&settings(&other.url, &cache)).unwrap_err().to_string();
    assert!(message.contains(&format!("expected `{COMMIT}`")), "{message}");
}

#[test]
fn weights_in_several_files_are_all_fetched_and_none_from_elsewhere() {
    let index = |second: &str| {
        let map = serde_json::json!({ "a": "model-00001-of-00002.safetensors", "b": second });
        serde_json::json!({ "weight_map": map }).to_string().into_bytes()
    };
    let mut repository = repository();
    repository.files.remove("model.safetensors");
    repository.files.insert("model-00001-of-00002.safetensors", noise(1000));
    repository.files.insert("model-00002-of-00002.safetensors", noise(2000));
    repository.files.insert("model.safetensors.index.json", index("model-00002-of-00002.safetensors"));
    let (whole, _keeper) = hub(repository.clone(), Answer::file);
    let cache = tempfile::tempdir().unwrap();
    let found = fetch(&settings(&whole.url, &cache)).unwrap();
    assert_eq!(
        found.names[1..4],
        ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"]
    );
    fs::remove_file(found.folder.join("model-00002-of-00002.safetensors")).unwrap();
    let offline = HubSettings { offline: true, ..settings(&whole.url, &cache) };
    let message = fetch(&offline).unwrap_err().to_string();
    assert!(message.contains("place `model-00002-of-00002.safetensors` in"), "{message}");

    repository.files.insert("model.safetensors.index.json", index("../../../evil.safetensors"));
    let (evil, _keeper) = hub(repository, Answer::file);
    let cache = tempfile::tempdir().unwrap();
    let message = fetch(&settings(&evil.url, &cache)).unwrap_err().to_string();
    assert!(message.contains("shard `../../../evil.safetensors` is no plain file name"), "{message}");
}

#[test]
fn two_at_a_time_fetch_once() {
    let (hub, keeper) = hub(repository(), Answer::file);
    let cache = Arc::new(tempfile::tempdir().unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch(&settings(&hub.url, &cache)).unwrap());
        }
    });
    assert_eq!(keeper.count("GET", "model.safetensors"), 1);
    assert_eq!(hub.count("GET", "resolve-cache"), 2);
}
