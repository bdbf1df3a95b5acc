//! Runs the program for a soak and looks at what it leaves: the same text has led to the same results whenever it comes back, a
//! plan after a run has nothing to do, and the cache holds no more than it should.

use super::{
    super::{
        bench::{program, scratch},
        processes::artifacts,
    },
    draft::{BASE, Dice, Draft, Meaning},
    harm::{files, weight},
    outcome::{Outcome, everything, shown},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// No run of these studies takes as long, on whatever machine.
const LONGEST: Duration = Duration::from_secs(300);

/// What the cache may weigh at any time: forty times what the largest of these studies needs, and a collection comes every ten
/// edits at the latest.
const MOST_BYTES: u64 = 256 << 20;

/// Where the program keeps its results.
const CACHE: &str = "cache";
const STUDY: &str = "study.toml";

/// How a process of the program ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// What its events say, in order.
    pub(super) events: Vec<serde_json::Value>,
}

impl Answer {
    /// The tasks that it computed.
    pub(super) fn computed(&self) -> BTreeSet<&str> {
        let computed = self.events.iter().filter(|event| event["outcome"] == "computed");
        computed.filter_map(|event| event["task"].as_str()).collect()
    }

    pub(super) fn met_damage(&self) -> bool {
        self.events.iter().any(|event| event["event"] == "damaged" || event["event"] == "revived")
    }
}

/// A process of the program that goes on.
pub(super) struct Going {
    pub(super) child: Child,
    /// What its output files are called.
    name: String,
    began: Instant,
}

/// A study that is edited, its cache, and all that is known of it.
pub(super) struct Soak {
    folder: PathBuf,
    seed: u64,
    pub(super) dice: Dice,
    /// Number of the edit that is being looked at.
    pub(super) edit: usize,
    /// What was done since the edit.
    did: Vec<String>,
    pub(super) draft: Draft,
    pub(super) past: Vec<Draft>,
    /// What each meaning led to when it first came up.
    known: BTreeMap<Meaning, Outcome>,
    /// Whether something was damaged that no run may have come upon.
    pub(super) is_harmed: bool,
    /// Bytes that may lie aside.
    pub(super) harmed_bytes: u64,
    pub(super) counts: BTreeMap<&'static str, usize>,
    n_processes: usize,
    most_bytes: u64,
}

impl Soak {
    pub(super) fn new(seed: u64) -> Self {
        let folder = scratch().keep();
        println!("soak with HEBB_SOAK_SEED={seed} in {}", folder.display());
        fs::write(folder.join("base.toml"), BASE).expect("writable");
        Self {
            folder,
            seed,
            dice: Dice::new(seed),
            edit: 0,
            did: Vec::new(),
            draft: Draft::usual(),
            past: Vec::new(),
            known: BTreeMap::new(),
            is_harmed: false,
            harmed_bytes: 0,
            counts: BTreeMap::new(),
            n_processes: 0,
            most_bytes: 0,
        }
    }

    /// Edits so many times, whatever happens in between, and compares the end with a clean run.
    pub(super) fn run(mut self, n_edits: usize) {
        let began = Instant::now();
        for edit in 0..n_edits {
            self.edit = edit;
            self.did.clear();
            if edit > 0 {
                let (next, told) = self.draft.edited(&self.past, &mut self.dice);
                self.note(format!("edit: {told}"));
                self.past.push(std::mem::replace(&mut self.draft, next));
            }
            if self.dice.chance(15) {
                self.mistake();
            }
            self.write(self.draft.text().as_bytes());
            self.act();
            self.settle();
            self.between();
        }
        self.did.clear();
        self.end();
        let counts: Vec<String> = self.counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
        println!(
            "{n_edits} edits of {} studies in {:.0} s, {} processes; the cache held at most {:.1} MB\n{}",
            self.known.len(),
            began.elapsed().as_secs_f64(),
            self.n_processes,
            self.most_bytes as f64 / 1e6,
            counts.join(", ")
        );
        fs::remove_dir_all(&self.folder).expect("removable");
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.path(CACHE)
    }

    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.did.push(what.into());
    }

    pub(super) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        fs::write(self.path(STUDY), bytes).expect("writable");
    }

    /// Ends the soak with all that is needed to see it again.
    #[track_caller]
    pub(super) fn fail(&self, why: &str) -> ! {
        panic!(
            "{why}\nHEBB_SOAK_SEED={} HEBB_SOAK_EDITS={}, edit {}\n{}\nstudy:\n{}\neverything lies in {}",
            self.seed,
            self.edit + 1,
            self.edit,
            self.did.join("\n"),
            self.draft.text(),
            self.folder.display()
        );
    }

    #[track_caller]
    pub(super) fn assert(&self, holds: bool, why: &str, answer: &Answer) {
        if !holds {
            let Answer { status, stdout, stderr, .. } = answer;
            self.fail(&format!("{why}\n{status}\nstdout:\n{stdout}\nstderr:\n{stderr}"));
        }
    }

    /// Starts the program.
    pub(super) fn start(&mut self, arguments: &[&str]) -> Going {
        let command = program(&self.folder, arguments);
        self.start_command(command, &arguments.join(" "))
    }

    /// Starts the program as a run, with events, on some number of threads.
    pub(super) fn start_run(&mut self, more: &[&str]) -> Going {
        let jobs = *self.dice.pick(&["1", "2", "8"]);
        let events = format!("process-{}.events", self.n_processes);
        self.start(&[&["run", STUDY, "--jobs", jobs, "--events", &events], more].concat())
    }

    pub(super) fn start_command(&mut self, mut command: Command, told: &str) -> Going {
        let name = format!("process-{}", self.n_processes);
        self.n_processes += 1;
        self.note(format!("{name}: {told}"));
        let open = |ending: &str| fs::File::create(self.folder.join(format!("{name}.{ending}"))).expect("writable");
        command.stdout(Stdio::from(open("out"))).stderr(Stdio::from(open("err")));
        Going { child: command.spawn().expect("it starts"), name, began: Instant::now() }
    }

    /// Tasks that a run has told the end of; as many as there are once it has told its own.
    fn n_finished(&self, run: &Going) -> usize {
        let text = fs::read_to_string(self.path(&format!("{}.events", run.name))).unwrap_or_default();
        let has_ended = text.contains("\"event\":\"ended\"");
        if has_ended { usize::MAX } else { text.matches("\"event\":\"finished\"").count() }
    }

    /// Waits until so many tasks have ended, or the run has.
    pub(super) fn wait_for(&self, run: &mut Going, n_finished: usize) {
        while self.n_finished(run) < n_finished && run.child.try_wait().expect("a child").is_none() {
            self.assert_in_time(run);
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    fn assert_in_time(&self, going: &mut Going) {
        if going.began.elapsed() > LONGEST {
            let _ = going.child.kill();
            self.fail(&format!("{} did not end within {LONGEST:?}", going.name));
        }
    }

    /// Waits for the end.
    pub(super) fn end_of(&mut self, mut going: Going) -> Answer {
        let status = loop {
            match going.child.try_wait().expect("a child") {
                Some(status) => break status,
                None => self.assert_in_time(&mut going),
            }
            std::thread::sleep(Duration::from_millis(4));
        };
        let read = |ending: &str| {
            let path = self.path(&format!("{}.{ending}", going.name));
            let bytes = fs::read(&path).unwrap_or_default();
            let _ = fs::remove_file(path);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (stdout, stderr) = (read("out"), read("err"));
        // What was killed may have left half a line.
        let events = read("events").lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let answer = Answer { status, stdout, stderr, events };
        self.assert(!answer.stderr.contains("panicked"), "the program panicked", &answer);
        self.weigh();
        answer
    }

    pub(super) fn hebb(&mut self, arguments: &[&str]) -> Answer {
        let going = self.start(arguments);
        self.end_of(going)
    }

    /// A run that has to end well.
    pub(super) fn good_run(&mut self, more: &[&str]) -> Answer {
        let going = self.start_run(more);
        let answer = self.end_of(going);
        self.assert(answer.status.success(), "the run failed", &answer);
        answer
    }

    /// The cache stays below its bound.
    fn weigh(&mut self) {
        let bytes = weight(&self.cache());
        self.most_bytes = self.most_bytes.max(bytes);
        if bytes > MOST_BYTES {
            self.fail(&format!("the cache holds {bytes} bytes"));
        }
    }

    /// After a run that ended well: nothing is left to do, and what is shown is what the study has always led to.
    pub(super) fn settle(&mut self) {
        let planned = self.hebb(&["plan", STUDY]);
        self.assert(
            planned.status.success() && planned.stdout.contains(": nothing to run, all "),
            "right after a run there is something to do",
            &planned,
        );
        let outcome = self.outcome("results", CACHE);
        self.compare(outcome, "now and when this study came up first");
    }

    /// Compares an outcome with that of the same meaning, or keeps it.
    pub(super) fn compare(&mut self, outcome: Outcome, when: &str) {
        let known = self.known.entry(self.draft.meaning()).or_insert_with(|| outcome.clone());
        if *known != outcome {
            let told = known.differences(&outcome);
            self.fail(&format!("results differ between {when}:\n{told}"));
        }
    }

    /// What lies in a results folder and in the lock of a cache.
    pub(super) fn outcome(&mut self, results: &str, cache: &str) -> Outcome {
        let lock = format!("{cache}.lock.toml");
        let locked = self.hebb(&["lock", STUDY, "--cache", cache, "--output", &lock]);
        self.assert(locked.status.success(), "the study cannot be locked after a run", &locked);
        self.outcome_of(results, &lock)
    }

    /// What lies in a results folder and in a lock.
    pub(super) fn outcome_of(&self, results: &str, lock: &str) -> Outcome {
        let text = fs::read_to_string(self.path(lock)).unwrap_or_default();
        let tasks = text.split_once("\n[tasks]\n").map(|(_, tasks)| tasks.to_owned());
        let tasks = tasks.unwrap_or_else(|| self.fail(&format!("a lock without tasks: {text}")));
        Outcome { shown: shown(&self.path(results).join("tiny"), self.draft.is_swept()), tasks }
    }

    /// The same study in a cache and a results folder of its own, on one thread.
    pub(super) fn clean_run(&mut self) -> Outcome {
        for folder in ["clean", "clean-results"] {
            let _ = fs::remove_dir_all(self.path(folder));
        }
        let run = ["run", STUDY, "--jobs", "1", "--cache", "clean", "--results", "clean-results"];
        let answer = self.hebb(&run);
        self.assert(answer.status.success(), "a clean run failed", &answer);
        self.count("clean runs to compare with");
        self.outcome("clean-results", "clean")
    }

    /// After a collection, the cache holds what a clean one holds, and whatever else is told here and nothing more.
    pub(super) fn assert_bounded(&mut self) {
        let clean = self.clean_run();
        self.compare(clean, "a clean run and this cache");
        let (cache, clean) = (self.cache(), self.path("clean"));
        let names = |cache: &Path| -> BTreeSet<String> {
            artifacts(cache)
                .iter()
                .map(|path| path.file_name().expect("named").to_string_lossy().into_owned())
                .collect()
        };
        let (held, needed) = (names(&cache), names(&clean));
        if !held.is_subset(&needed) || (!self.is_harmed && held != needed) {
            self.fail(&format!("after a collection the cache holds {held:?}, a clean one {needed:?}"));
        }
        let weigh = |part: &str| (weight(&cache.join(part)), weight(&clean.join(part)));
        let (bytes, clean_bytes) = weigh("artifacts");
        if !self.is_harmed && bytes != clean_bytes {
            self.fail(&format!("artifacts have {bytes} bytes, in a clean cache {clean_bytes}"));
        }
        // Records of other recipes that led to what stays do stay: who puts an edit back finds it.
        for path in files(&cache.join("records")) {
            let read = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
            let Some(record) = read else {
                if !self.is_harmed {
                    self.fail(&format!("{} does not read", path.display()));
                }
                continue;
            };
            if !needed.contains(record["output"].as_str().unwrap_or_default()) {
                self.fail(&format!("{} leads to what is not there", path.display()));
            }
        }
        let (n_records, n_clean) = (files(&cache.join("records")).len(), files(&clean.join("records")).len());
        if n_records > n_clean * 8 {
            self.fail(&format!("{n_records} records for what {n_clean} would do"));
        }
        for part in ["partial", "locks", "owed"] {
            let left: Vec<_> = walkdir::WalkDir::new(cache.join(part)).min_depth(1).into_iter().flatten().collect();
            if !left.is_empty() {
                self.fail(&format!("left behind: {left:?}"));
            }
        }
        // What is damaged is nobody's to delete but a person's, who does so here.
        let aside = weight(&cache.join("damaged"));
        if aside > self.harmed_bytes {
            self.fail(&format!("{aside} bytes lie aside, and no more than {} were harmed", self.harmed_bytes));
        }
        let _ = fs::remove_dir_all(cache.join("damaged"));
        if !self.is_harmed {
            self.harmed_bytes = 0;
        }
        // Everything else: notes of the study, its runs, times of tasks, families.
        let rest: u64 = ["studies", "runs", "families", "times.json", "files.json"]
            .map(|part| weight(&cache.join(part)))
            .iter()
            .sum();
        let whole = weight(&cache);
        if rest > 8 << 20 || whole > rest + bytes + weight(&cache.join("records")) + (64 << 10) {
            self.fail(&format!("{whole} bytes in the cache, {rest} of them beside results and records"));
        }
        self.count("collections compared with a clean cache");
    }

    /// The clean run, byte for byte.
    fn end(&mut self) {
        self.note("the end".to_owned());
        if self.is_harmed {
            self.hebb(&["cache", "verify", "--set-aside"]);
        }
        self.good_run(&[]);
        self.is_harmed = false;
        self.settle();
        let verified = self.hebb(&["cache", "verify"]);
        self.assert(verified.status.success(), "the cache is not whole in the end", &verified);
        self.collect();
        self.assert_bounded();
        // Laid out anew from the soaked cache, beside the clean one.
        let _ = fs::remove_dir_all(self.path("results"));
        let answer = self.good_run(&[]);
        self.assert(answer.computed().is_empty(), "something was computed again", &answer);
        let (soaked, clean) = (everything(&self.path("results")), everything(&self.path("clean-results")));
        if soaked != clean {
            self.fail(&format!("the results folders differ:\n{soaked:#?}\n{clean:#?}"));
        }
        if !soaked.keys().any(|path| path.ends_with("scores.tsv")) || soaked.len() < 10 {
            self.fail(&format!("there is little to compare: {soaked:?}"));
        }
    }
}
