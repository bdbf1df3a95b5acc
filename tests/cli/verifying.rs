//! `hebb verify`: results held to a fresh computation.

use super::{Answer, World, runtime};
use hebb::{
    share::Lock,
    store::{Digest, FileDigests, Record, RunFacts, Store},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The small study, run.
fn ran() -> Option<World> {
    runtime()?;
    let world = World::simulated();
    world.hebb("run study.toml").exits(0);
    Some(world)
}

/// Every file of the cache with its bytes; what only remembers digests of other files is none of its results.
fn bytes(world: &World) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(world.path("cache")).into_iter().map(|entry| entry.expect("readable"));
    let entries = entries.filter(|entry| entry.file_name() != "files.json");
    let read = |path: &Path| if path.is_file() { fs::read(path).expect("readable") } else { Vec::new() };
    entries.map(|entry| (entry.path().to_owned(), read(entry.path()))).collect()
}

#[track_caller]
fn verify(world: &World, arguments: &str) -> Answer {
    let before = bytes(world);
    let answer = world.hebb(&format!("verify study.toml {arguments}"));
    let after = bytes(world);
    let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&before), names(&after), "{answer:#?}");
    assert!(before == after, "the cache holds other bytes: {answer:#?}");
    answer
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().expect("a list").iter().map(|text| text.as_str().expect("text").to_owned()).collect()
}

/// Tasks of an answer by what came of them.
fn verdicts(answer: &Value) -> BTreeMap<String, String> {
    let tasks = answer["tasks"].as_array().expect("tasks").iter();
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    tasks.map(|task| (text(&task["task"]), text(&task["verdict"]))).collect()
}

/// Puts another result in the place of a task's, as somebody who writes files and records as this program does could.
fn forge(world: &World, task: &str, file: &str, change: impl FnOnce(String) -> String) {
    let store = Store::open(&world.path("cache")).expect("a cache");
    let (found, record) = record(world, &store, task);
    // A claim on another key writes the files and seals them; its record is then given the keys of the task.
    let claim = store.claim(&Digest::of(b"forged"), || false).expect("lockable").expect("nobody gives up");
    let folder = claim.folder().expect("writable").to_owned();
    for known in &record.files {
        let (from, to) = (found.join(&known.path), folder.join(&known.path));
        fs::create_dir_all(to.parent().expect("in a folder")).expect("writable");
        fs::write(&to, fs::read(from).expect("readable")).expect("writable");
    }
    let text = fs::read_to_string(folder.join(file)).expect("text");
    let changed = change(text.clone());
    assert_ne!(text, changed);
    fs::write(folder.join(file), changed).expect("writable");
    let facts = RunFacts { seconds: 0.1, program: "forged".into(), finished_unix_s: 0 };
    let published = claim.publish(Digest::of(b"forged too"), serde_json::json!({}), facts).expect("publishable");
    let forged =
        Record { recipe: record.recipe, content: record.content, manifest: record.manifest, ..published.record };
    store.remember(&forged).expect("writable");
    // What the study remembers of its last run does not travel.
    fs::remove_dir_all(world.path("cache/studies")).expect("removable");
    fs::create_dir_all(world.path("cache/studies")).expect("writable");
    for key in [b"forged".as_slice(), b"forged too"] {
        let name = Digest::of(key).to_string();
        fs::remove_file(world.path("cache/records").join(&name[..2]).join(name).with_extension("json")).expect("there");
    }
}

/// Where a task's result lies, and its record.
fn record(world: &World, store: &Store, task: &str) -> (PathBuf, Record) {
    let answer = world.hebb(&format!("explain study.toml {task} --json")).exits(0).json();
    let key = answer["recipe"].as_str().unwrap_or_else(|| panic!("{answer:#}"));
    let record = store.lookup(&key.parse().expect("a digest")).expect("it ran");
    (store.artifact(&record.output), record)
}

#[test]
fn a_study_gives_the_same_bytes_again_on_any_number_of_threads_and_leaves_no_trace() {
    let Some(world) = ran() else { return };
    for jobs in [1, 2] {
        let answer = verify(&world, &format!("--jobs {jobs}")).exits(0);
        let answer =
            answer.prints(&["tiny: held to what the cache holds for the study as it stands\n", " bit-identical\n"]);
        let last = answer.stdout.lines().last().expect("an answer");
        let words: Vec<&str> = last.split_whitespace().collect();
        assert_eq!((words[0], words[1] == words[3]), ("tiny:", true), "{last}");
        assert!(last.ends_with(&format!(", {} bit-identical", words[1])), "{last}");
    }
    let runs = world.hebb("status study.toml --runs --json").exits(0);
    assert_eq!(runs.json().as_array().expect("runs").len(), 1, "only the run itself is remembered");

    // A lock says the same, also where the cache holds nothing; then whatever a task needs is made first.
    world.hebb("lock study.toml").exits(0);
    verify(&world, "").exits(0).prints(&["held to the lock `study.lock.toml`", " bit-identical"]);
    fs::remove_dir_all(world.path("cache")).expect("removable");
    fs::create_dir_all(world.path("cache")).expect("writable");
    world.hebb("plan study.toml").exits(0);
    let answer = verify(&world, "--sample 1 --seed 3 --json").exits(0).json();
    assert_eq!(answer["n_drawn"], 1);
    assert!(verdicts(&answer).values().all(|verdict| verdict == "identical"), "{answer:#}");
}

#[test]
fn a_sample_is_drawn_by_the_seed_and_nothing_else_is_computed() {
    let Some(world) = ran() else { return };
    let drawn = |arguments: &str| {
        let answer = verify(&world, &format!("{arguments} --json")).exits(0).json();
        assert_eq!(answer["agrees"], true);
        verdicts(&answer).into_keys().collect::<Vec<_>>()
    };
    let five = drawn("--sample 5");
    assert_eq!(five.len(), 5);
    assert_eq!(five, drawn("--sample 5 --jobs 1"));
    assert_ne!(five, drawn("--sample 5 --seed 1"));
    let six = drawn("--sample 6");
    assert!(six.len() == 6 && five.iter().all(|task| six.contains(task)), "{five:?} {six:?}");
    world.hebb("verify study.toml --sample 0").exits(2);
}

#[test]
fn a_forged_result_is_named_and_what_follows_is_told_apart() {
    let Some(world) = ran() else { return };
    // One whose numbers hardly differ is told, and no reason to doubt the study.
    let near = "encode/sub-02/clip/patterns";
    forge(&world, near, "scores.tsv", |text| {
        let cell = text.lines().nth(1).expect("a row").split('\t').find(|field| field.contains('.')).expect("a number");
        let value: f64 = cell.parse().expect("a number");
        text.replacen(cell, &(value * (1.0 + 1e-6)).to_string(), 1)
    });
    let answer = verify(&world, "").exits(0).prints(&[&format!("within     {near}: `scores.tsv`, row 1, column `")]);
    assert!(answer.stdout.lines().last().expect("an answer").ends_with(" 1 within tolerance"), "{answer:#?}");
    assert!(!answer.stdout.contains("it begins with"), "{answer:#?}");

    let task = "encode/sub-01/clip/patterns";
    let mut was = String::new();
    forge(&world, task, "scores.tsv", |text| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut fields: Vec<String> = lines[1].split('\t').map(str::to_owned).collect();
        let at = fields.iter().position(|field| field.contains('.')).expect("a number");
        was = std::mem::replace(&mut fields[at], "0.987654".to_owned());
        lines[1] = fields.join("\t");
        lines.join("\n") + "\n"
    });

    let answer = verify(&world, "--keep fresh").exits(1);
    let line = answer.stdout.lines().find(|line| line.starts_with("different")).expect("it differs").to_owned();
    assert!(line.starts_with(&format!("different  {task}: `scores.tsv`, row 1, column `")), "{line}");
    assert!(line.contains(&format!(": {was}, expected 0.987654, ")), "{line}");
    let answer =
        answer.prints(&[&format!("it begins with `{task}`: "), "fresh results that are not the same: fresh\n"]);
    assert!(answer.stdout.lines().last().expect("an answer").ends_with(" 1 different"), "{answer:#?}");
    assert!(world.text(&format!("fresh/{task}/scores.tsv")).contains(&was));
    verify(&world, "--keep fresh").exits(2).says(&["`fresh` is not empty"]);

    // The forger also computes on: now everything after it differs too.
    fs::remove_dir_all(world.path("fresh")).expect("removable");
    forget_users(&world, task);
    world.hebb("run study.toml").exits(0);
    let answer = verify(&world, "--json").exits(1).json();
    assert_eq!(texts(&answer["begins_with"]), [task]);
    let verdicts = verdicts(&answer);
    assert_eq!(verdicts[task], "different");
    assert_eq!(verdicts["report"], "follows");
    let report =
        answer["tasks"].as_array().expect("tasks").iter().find(|told| told["task"] == "report").expect("there");
    assert!(!texts(&report["inputs"]).is_empty() && report["deviation"]["file"].is_string(), "{report:#}");
    assert!(verdicts.iter().all(|(id, verdict)| !id.starts_with("bold/") || verdict == "identical"), "{verdicts:#?}");

    // A sample that has nothing to do with it agrees; one that only follows reads what is expected, and agrees as well.
    let agreeing = (0..).find_map(|seed| {
        let answer = verify(&world, &format!("--sample 1 --seed {seed} --json")).json();
        (self::verdicts(&answer).contains_key("report")).then_some(answer)
    });
    let report = agreeing.expect("seeds do not end");
    assert_eq!((&report["agrees"], &self::verdicts(&report)["report"]), (&true.into(), &"identical".to_owned()));
}

/// Removes the records of everything that reads a task's result, so that it is computed with what lies there now.
fn forget_users(world: &World, task: &str) {
    let store = Store::open(&world.path("cache")).expect("a cache");
    let mut gone = vec![record(world, &store, task).1.recipe.to_string()];
    let entries = walkdir::WalkDir::new(world.path("cache/records")).into_iter().map(|entry| entry.expect("readable"));
    let paths: Vec<PathBuf> =
        entries.filter(|entry| entry.file_type().is_file()).map(|entry| entry.path().to_owned()).collect();
    for _ in 0..paths.len() {
        for path in paths.iter().filter(|path| path.exists()) {
            let record: Value = serde_json::from_slice(&fs::read(path).expect("readable")).expect("JSON");
            let inputs = record["manifest"]["inputs"].as_array().cloned().unwrap_or_default();
            if inputs.iter().any(|input| gone.contains(&input["key"].as_str().expect("text").to_owned())) {
                fs::remove_file(path).expect("removable");
                gone.push(record["recipe"].as_str().expect("text").to_owned());
            }
        }
    }
}

#[test]
fn a_lock_whose_input_changed_is_named_and_one_without_results_here_has_no_numbers() {
    let Some(world) = World::recorded() else { return };
    world.hebb("verify study.toml").exits(2).says(&["tasks have no result", "hebb run study.toml"]);
    world.hebb("run study.toml").exits(0);
    world.hebb("lock study.toml").exits(0);
    let weights = world.read("inputs/clip/model.safetensors");
    let mut other = weights.clone();
    *other.last_mut().expect("not empty") ^= 1;
    world.write("inputs/clip/model.safetensors", &other);
    let answer =
        verify(&world, "--sample 1").exits(2).says(&["input `inputs/clip/model.safetensors` is ", ", locked "]);
    for digest in [Digest::of(&weights), Digest::of(&other)] {
        assert!(answer.stderr.contains(&digest.short()), "{answer:#?}");
    }
    world.write("inputs/clip/model.safetensors", &weights);

    let lock = world.text("study.lock.toml");
    let line = lock.lines().find(|line| line.starts_with("\"pattern/clip\"")).expect("patterns").to_owned();
    let output = line.rsplit('"').nth(1).expect("a digest").to_owned();
    let wrong: String = output.chars().rev().collect();
    world.write("study.lock.toml", lock.replace(&output, &wrong));
    let answer = verify(&world, "").exits(1);
    let answer = answer.prints(&["different  pattern/clip: its digest is ", "no numbers to compare with"]);
    answer.prints(&["it begins with `pattern/clip`", " 1 different"]);
}

#[test]
fn a_damaged_input_is_noticed_made_anew_and_left_where_it_is() {
    let Some(world) = ran() else { return };
    let task = "pattern/clip";
    let store = Store::open(&world.path("cache")).expect("a cache");
    let (folder, _) = record(&world, &store, task);
    drop(store);
    let path = folder.join("patterns.npy");
    let mut damaged = fs::read(&path).expect("readable");
    *damaged.last_mut().expect("not empty") ^= 1;
    let mut permissions = fs::metadata(&path).expect("there").permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a test damages what it made")]
    permissions.set_readonly(false);
    fs::set_permissions(&path, permissions).expect("settable");
    fs::write(&path, &damaged).expect("writable");

    // Some seed draws what reads the patterns and not the patterns themselves.
    let answer = (0..).find_map(|seed| {
        let answer = verify(&world, &format!("--sample 1 --seed {seed} --json")).exits(0).json();
        verdicts(&answer).contains_key("encode/sub-01/clip/patterns").then_some(answer)
    });
    let answer = answer.expect("seeds do not end");
    let verdicts = verdicts(&answer);
    assert_eq!(verdicts.get(task).map(String::as_str), Some("identical"), "{answer:#}");
    assert_eq!(verdicts.len(), 2, "only what was damaged is made anew: {verdicts:#?}");
    assert_eq!(answer["damaged"][0]["task"], task);
    assert_eq!(fs::read(&path).expect("still there"), damaged);
    assert!(!world.path("cache/damaged").exists());
}

#[test]
fn a_task_that_fails_ends_with_an_error_that_names_it() {
    let Some(world) = World::recorded() else { return };
    world.hebb("run study.toml").exits(0);
    world.hebb("lock study.toml").exits(0);
    let held = Lock::read(&world.path("study.lock.toml")).expect("a lock");
    // A lock by somebody whose results do not come from the picture that lies here.
    let picture = world.read("inputs/stimuli/images/scene-00005.png");
    world.write("inputs/stimuli/images/scene-00005.png", &picture[..picture.len() / 2]);
    let study = hebb::spec::read_study(&world.path("study.toml")).expect("a study");
    let digests = FileDigests::open(&world.path("cache"), true);
    let version = held.programs["onnxruntime"].strip_suffix(" cpu f32").expect("an engine").to_owned();
    let plan = hebb::plan::plan_study(&study, &digests, &version).expect("a plan");
    let output = |place| Some(held.tasks[plan.node(place).id.as_str()].output);
    let lock = Lock::of(&study, &plan, &digests, held.programs.clone(), output).expect("a lock");
    world.write("study.lock.toml", lock.to_text());

    let answer = verify(&world, "").exits(1);
    let answer = answer.says(&["error: `extract/clip/vision", "could not be computed again: ", "scene-00005.png"]);
    let last = answer.stdout.lines().last().expect("an answer");
    assert!(last.contains(" failed, ") && last.ends_with(" blocked"), "{last}");
    let answer = verify(&world, "--json").exits(1).json();
    assert_eq!(answer["agrees"], false);
    assert!(answer["failed"][0]["task"].as_str().expect("text").starts_with("extract/clip/vision"), "{answer:#}");
}
