//! A cache that several machines share: what is fetched, given, refused, and done without.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use hebb::store::{Digest, OutputFile, Record};

use super::{Answer, SIMULATED, World, runtime};

/// A folder with the tiny study, which shares the cache at `remote`.
fn sharing(remote: &str, mode: &str) -> World {
    let world = World::empty();
    world.write("study.toml", format!("{SIMULATED}\n[cache]\nremote = \"{remote}\"\nmode = \"{mode}\"\n"));
    fs::create_dir_all(world.path("home")).expect("writable");
    world
}

/// The program as on another machine: another home, none of this one's credentials.
fn hebb(world: &World, arguments: &str) -> Answer {
    let mut command = world.command(&format!("{arguments} --trust"));
    for (name, _) in std::env::vars_os() {
        if ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|start| name.to_string_lossy().starts_with(start)) {
            command.env_remove(name);
        }
    }
    Answer::of(command.env("HOME", world.path("home")))
}

/// What is in a shared cache after one machine ran the tiny study; absent without ONNX Runtime.
fn filled() -> Option<(World, World)> {
    runtime()?;
    let place = World::empty();
    let remote = place.path("shared").display().to_string();
    let first = sharing(&remote, "read-write");
    hebb(&first, "run study.toml").exits(0).says(&["gave ", &format!("to {remote}")]);
    assert_eq!(
        fs::read_dir(first.path("cache/owed")).map_or(0, |found| found
            .flatten()
            .flat_map(|e| fs::read_dir(e.path()))
            .flatten()
            .count()),
        0
    );
    Some((place, first))
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).expect("walked from there").to_owned();
            (name, fs::read(entry.path()).expect("readable"))
        })
        .collect()
}

/// How many tasks ended in each way, as the last line of the events says.
fn ended(world: &World) -> serde_json::Value {
    let text = world.text("events.jsonl");
    let last = text.lines().last().expect("a line");
    serde_json::from_str(last).expect("JSON")
}

/// The records in a shared cache, with the path of each.
fn records(shared: &Path) -> Vec<(PathBuf, Record)> {
    let read = |(path, bytes): (PathBuf, Vec<u8>)| {
        (shared.join("records").join(path), serde_json::from_slice(&bytes).expect("a record"))
    };
    files(&shared.join("records")).into_iter().map(read).collect()
}

fn artifact(shared: &Path, output: &Digest) -> PathBuf {
    let output = output.to_string();
    shared.join("artifacts").join(&output[..2]).join(output)
}

/// The recipe keys of the tasks of a kind, as the machine that computed them has them.
fn recipes(world: &World, kind: &str) -> Vec<Digest> {
    let mut all = Vec::new();
    for line in world.text("results/tiny/tasks.tsv").lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        if fields[1] == kind {
            all.push(fields[2].parse().expect("a key"));
        }
    }
    assert!(!all.is_empty(), "no {kind}");
    all
}

#[test]
fn another_machine_fetches_the_ends_and_computes_nothing() {
    let Some((place, first)) = filled() else { return };
    let remote = place.path("shared");
    assert!(remote.join("artifacts").is_dir() && remote.join("records").is_dir());
    let second = sharing(&remote.display().to_string(), "read");
    hebb(&second, "plan study.toml").exits(0);
    assert_eq!(fs::read_dir(second.path("cache/records")).expect("a cache").count(), 0, "a plan fetches nothing");
    let ran = hebb(&second, "run study.toml --events events.jsonl")
        .exits(0)
        .prints(&["tiny: 0 computed, ", " fetched, 0 cached"]);
    assert!(!ran.stderr.contains("warning"), "{ran:#?}");
    let (sums, n_tasks) = (ended(&second), first.text("results/tiny/tasks.tsv").lines().count() - 1);
    let fetched = sums["fetched"].as_u64().expect("a count") as usize;
    assert!(fetched >= 1 && fetched < n_tasks / 2, "{fetched} of {n_tasks}: ends and what is shown, nothing upstream");
    assert!(second.text("events.jsonl").contains("\"outcome\":\"fetched\""));
    second.has_whole_cache();
    // The same tables and maps, byte for byte.
    for part in ["tables", "maps"] {
        let folder = |world: &World| files(&world.path("results/tiny").join(part));
        assert_eq!(folder(&first), folder(&second), "{part}");
    }
    // From here on it is as if it had been computed here.
    hebb(&second, "run study.toml --events events.jsonl").exits(0).prints(&["tiny: 0 computed, "]);
    assert_eq!(ended(&second)["fetched"], 0);
    hebb(&second, "cache verify").exits(0).prints(&["all are whole"]);
    assert_eq!(files(&remote), files(&place.path("shared")), "reading changes nothing");
}

#[test]
fn what_a_changed_study_has_in_common_is_fetched_while_it_runs() {
    let Some((place, _first)) = filled() else { return };
    let remote = place.path("shared").display().to_string();
    let before = files(&place.path("shared")).len();
    let second = sharing(&remote, "read");
    second.replace("study.toml", "alphas = [1, 10, 100]", "alphas = [1, 10, 100, 1000]");
    hebb(&second, "run study.toml --events events.jsonl").exits(0);
    let sums = ended(&second);
    assert!(sums["computed"].as_u64() > Some(0) && sums["fetched"].as_u64() > Some(3), "{sums}");
    let text = second.text("events.jsonl");
    let outcome = |task: &str, outcome: &str| {
        text.lines().any(|line| {
            line.contains(&format!("\"task\":\"{task}")) && line.contains(&format!("\"outcome\":\"{outcome}\""))
        })
    };
    assert!(outcome("encode/", "computed") && outcome("pattern/", "fetched"), "{text}");
    assert!(
        !outcome("extract/", "computed") && !outcome("extract/", "fetched"),
        "upstream of a fetched result nothing runs: {text}"
    );
    assert_eq!(files(&place.path("shared")).len(), before, "`read` gives nothing");
    second.has_whole_cache();
}

#[test]
fn without_the_remote_everything_is_computed() {
    let Some((place, _first)) = filled() else { return };
    let second = sharing(&place.path("shared").display().to_string(), "read-write");
    let ran = hebb(&second, "run study.toml --no-remote").exits(0);
    assert!(!ran.stdout.contains("fetched") && !ran.stderr.contains("gave "), "{ran:#?}");
}

/// Runs the study on another machine after `lie` changed the shared cache; says what has to be said, and computes.
#[track_caller]
fn refuses(lie: impl FnOnce(&Path, &World), words: &[&str]) {
    let Some((place, first)) = filled() else { return };
    lie(&place.path("shared"), &first);
    let second = sharing(&place.path("shared").display().to_string(), "read");
    let ran = hebb(&second, "run study.toml --events events.jsonl").exits(0).says(words);
    assert!(ended(&second)["computed"].as_u64() > Some(0), "{ran:#?}");
    second.has_whole_cache();
    hebb(&second, "cache verify").exits(0).prints(&["all are whole"]);
    assert!(!second.path("../escaped").exists() && !second.path("cache/escaped").exists());
    for part in ["tables", "maps"] {
        let folder = |world: &World| files(&world.path("results/tiny").join(part));
        assert_eq!(folder(&first), folder(&second), "{part}");
    }
}

/// The largest file of the report's artifact.
fn largest(shared: &Path, first: &World) -> PathBuf {
    let recipe = recipes(first, "report")[0];
    let (_, record) = records(shared).into_iter().find(|(_, record)| record.recipe == recipe).expect("a record");
    let file = record.files.iter().max_by_key(|file| file.size_bytes).expect("a file");
    artifact(shared, &record.output).join(&file.path)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).expect("removable");
    fs::write(path, bytes).expect("writable");
}

#[test]
fn a_flipped_byte_is_refused() {
    let flip = |shared: &Path, first: &World| {
        let path = largest(shared, first);
        let mut bytes = fs::read(&path).expect("readable");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        write(&path, &bytes);
    };
    refuses(
        flip,
        &["warning: `artifacts/", "is not to be believed: its bytes do not give the digest", "computed here"],
    );
}

#[test]
fn a_longer_file_is_refused() {
    let grow = |shared: &Path, first: &World| {
        let path = largest(shared, first);
        let bytes = fs::read(&path).expect("readable");
        write(&path, &[bytes.as_slice(), b"more"].concat());
    };
    refuses(grow, &["warning: `artifacts/", " bytes, expected "]);
}

#[test]
fn a_missing_file_is_refused() {
    let remove = |shared: &Path, first: &World| fs::remove_file(largest(shared, first)).expect("removable");
    refuses(remove, &["it is not there, although a record names it"]);
}

/// Rewrites every record of the report.
fn rewrite(shared: &Path, first: &World, change: impl Fn(Record) -> Vec<u8>) {
    let recipe = recipes(first, "report")[0];
    let mut n = 0;
    for (path, record) in records(shared) {
        if record.recipe == recipe {
            write(&path, &change(record));
            n += 1;
        }
    }
    assert_eq!(n, 2, "under both keys");
}

#[test]
fn a_record_with_a_wrong_seal_or_none_is_refused() {
    let break_seal = |record: Record| {
        let text = String::from_utf8(record.to_bytes()).expect("text");
        text.replacen("\"seconds\":", "\"seconds\": 1", 1).into_bytes()
    };
    refuses(|shared, first| rewrite(shared, first, break_seal), &["warning: `records/", "not those that were written"]);
    let bare = |record: Record| serde_json::to_vec(&record).expect("plain data");
    refuses(|shared, first| rewrite(shared, first, bare), &["warning: `records/", "it has no seal"]);
}

#[test]
fn a_record_of_another_key_is_refused() {
    let other = |shared: &Path, first: &World| {
        let other = recipes(first, "encode")[0];
        let (_, other) = records(shared).into_iter().find(|(_, record)| record.recipe == other).expect("a record");
        rewrite(shared, first, |_| other.to_bytes());
    };
    refuses(other, &["warning: `records/", "it belongs to another key"]);
}

#[test]
fn a_record_whose_paths_leave_the_artifact_is_refused() {
    for path in ["../../../escaped", "/tmp/escaped", "a\\\\..\\\\escaped"] {
        let leave = |record: Record| {
            let files = vec![OutputFile { path: path.into(), size_bytes: 4, digest: Digest::of(b"evil") }];
            let mut hasher = Vec::new();
            for OutputFile { path, size_bytes, digest } in &files {
                hasher.extend((path.len() as u64).to_le_bytes());
                hasher.extend(path.as_bytes());
                hasher.extend(size_bytes.to_le_bytes());
                hasher.extend(digest.as_bytes());
            }
            Record { output: Digest::of(&hasher), files, ..record }.to_bytes()
        };
        refuses(
            |shared, first| rewrite(shared, first, leave),
            &["warning: `records/", "has no plain path inside an artifact"],
        );
    }
}

#[test]
fn a_cache_that_does_not_answer_is_done_without() {
    if runtime().is_none() {
        return;
    }
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
    let world = sharing(&format!("http://127.0.0.1:{free}/shared"), "read");
    let started = std::time::Instant::now();
    let ran = hebb(&world, "run study.toml").exits(0).prints(&["tiny: "]);
    assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran:#?}");
    assert!(
        ran.stderr.contains(&format!("http://127.0.0.1:{free}/shared` cannot be used"))
            && ran.stderr.contains("without it"),
        "{ran:#?}"
    );
    assert!(started.elapsed().as_secs() < 90, "{:?}", started.elapsed());

    let gone = sharing("../no-such-folder-here", "read");
    let ran = hebb(&gone, "run study.toml").exits(0).says(&["there is no such folder", "without it"]);
    assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran:#?}");
}

#[test]
fn a_server_that_fails_or_refuses_is_done_without() {
    if runtime().is_none() {
        return;
    }
    for (status, told) in [("500 Internal Server Error", "500"), ("403 Forbidden", "refuses the credentials")] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let body = "\u{1b}[2Jno";
                // A client that goes away is none of the server's business.
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
            }
        });
        let world = sharing(&format!("http://127.0.0.1:{port}"), "read");
        let started = std::time::Instant::now();
        let ran = hebb(&world, "run study.toml").exits(0).says(&[told, "without it"]);
        assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran:#?}");
        assert!(!ran.stderr.contains('\u{1b}'), "what a server says moves no cursor: {ran:#?}");
        assert!(started.elapsed().as_secs() < 90, "{:?}", started.elapsed());
    }
}

/// A web server for one folder, in a thread, that knows ranges and counts what it sends.
struct Server {
    port: u16,
    sent: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<String>>>,
    /// Bytes of artifacts after which every connection is cut.
    most: Arc<AtomicUsize>,
}

impl Server {
    fn of(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let server = Self {
            port: listener.local_addr().expect("bound").port(),
            sent: Arc::default(),
            asked: Arc::default(),
            most: Arc::new(AtomicUsize::new(usize::MAX)),
        };
        let (sent, asked, most) = (Arc::clone(&server.sent), Arc::clone(&server.asked), Arc::clone(&server.most));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, sent, asked, most) =
                    (folder.clone(), Arc::clone(&sent), Arc::clone(&asked), Arc::clone(&most));
                // A client that goes away ends its connection, nothing else.
                thread::spawn(move || drop(answer(stream, &folder, &sent, &asked, &most)));
            }
        });
        server
    }
}

fn answer(
    mut stream: TcpStream,
    folder: &Path,
    sent: &AtomicUsize,
    asked: &Mutex<Vec<String>>,
    most: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut first, mut range) = (String::new(), None);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(asked) = line.trim().to_lowercase().strip_prefix("range: bytes=") {
            let (from, to) = asked.split_once('-').expect("a range");
            range = Some((from.parse::<usize>().expect("a number"), to.parse::<usize>().expect("a number") + 1));
        }
    }
    let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    asked.lock().expect("no holder panics").push(format!("{name} {range:?}"));
    let Ok(bytes) = fs::read(folder.join(name)) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let (from, to) = range.unwrap_or((0, bytes.len()));
    let part = &bytes[from..to.min(bytes.len())];
    let status = match range {
        Some(_) => {
            format!("206 Partial Content\r\nContent-Range: bytes {from}-{}/{}", from + part.len() - 1, bytes.len())
        }
        None => "200 OK".to_owned(),
    };
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", part.len())?;
    if !name.starts_with("artifacts") {
        return stream.write_all(part);
    }
    for block in part.chunks(1024) {
        if sent.load(Ordering::SeqCst) + block.len() > most.load(Ordering::SeqCst) {
            // Cut in the middle of a body.
            return stream.shutdown(std::net::Shutdown::Both);
        }
        stream.write_all(block)?;
        sent.fetch_add(block.len(), Ordering::SeqCst);
    }
    // Until the client has all of it.
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read(&mut [0]).map(drop)
}

#[test]
fn a_torn_download_goes_on_where_it_was_torn() {
    let Some((place, first)) = filled() else { return };
    let shared = place.path("shared");
    let server = Server::of(shared.clone());
    let remote = format!("http://127.0.0.1:{}", server.port);
    // The same study by HTTP: the whole of it is so long.
    let whole = sharing(&remote, "read");
    hebb(&whole, "run study.toml").exits(0).prints(&["tiny: 0 computed, "]);
    let all = server.sent.swap(0, Ordering::SeqCst);
    let longest = fs::metadata(largest(&shared, &first)).expect("there").len() as usize;
    assert!(all > 2 * longest / 3 && longest > 20_000, "{all} bytes, the longest file {longest}");

    // Torn in the middle of it, and nobody answers after that: the study runs without.
    let torn = sharing(&remote, "read");
    server.most.store(all / 2, Ordering::SeqCst);
    let ran = hebb(&torn, "run study.toml").exits(0).says(&["cannot be used", "without it"]);
    assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran:#?}");
    let before = server.sent.swap(0, Ordering::SeqCst);
    server.most.store(usize::MAX, Ordering::SeqCst);
    let kept: u64 = files(&torn.path("cache/partial")).values().map(|bytes| bytes.len() as u64).sum();
    assert!(kept > 0 && before > 0, "{kept} bytes stayed of {before}");

    // The results that were computed meanwhile are lost, what had arrived is not.
    for folder in ["artifacts", "records", "studies", "results"] {
        let _ = fs::remove_dir_all(torn.path("cache").join(folder));
    }
    server.asked.lock().expect("no holder panics").clear();
    hebb(&torn, "run study.toml").exits(0).prints(&["tiny: 0 computed, "]);
    let rest = server.sent.load(Ordering::SeqCst);
    assert!(rest + kept as usize <= all + 4096, "{rest} more bytes after {kept} of {all}");
    assert!(rest < all, "{rest} of {all}");
    torn.has_whole_cache();
}
