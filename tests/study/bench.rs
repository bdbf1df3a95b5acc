//! A study on a cache of its own, and what each run of it did.

use hebb::{
    executor::{self, Event, Limits, Outcome, Summary},
    math::blas::single_thread_blas,
    plan::{Assessment, Plan, Reason, Standing, StudyNote, Targets, assess, plan_study},
    spec::{SpecError, Study, Surroundings, read_study_with},
    stimulus::video::find_ffmpeg,
    store::{Digest, FileDigests, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{LazyLock, atomic::AtomicBool},
};
use tempfile::TempDir;

/// The name under which benches note what their study looked like.
const NOTE: &str = "study of a bench";

/// What the keys of these tests have instead of the installed version of ONNX Runtime.
const RUNTIME: &str = "test";

/// A few tasks at once, with all the memory they ask for.
pub(super) const LIMITS: Limits = Limits { tasks: 4, memory_bytes: 1 << 40 };

/// The text of the tiny study: 50 tasks, half a second.
pub(super) fn tiny() -> String {
    fixture("tiny.toml")
}

/// The text of the tiny study on files, which lie in `inputs` beside it.
pub(super) fn on_files() -> String {
    fixture("files.toml")
}

/// The text of a study.
pub(super) fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/study").join(name);
    fs::read_to_string(path).expect("committed")
}

/// An empty folder, in memory where there is one: everything published is synced, which disks take their time for.
pub(super) fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

/// The program, working in `folder`, silent, with its cache there.
pub(super) fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
    command.current_dir(folder).args(arguments).env_remove("HEBB_CACHE").stdin(Stdio::null()).stderr(Stdio::piped());
    // Whoever runs the tests may have settings, which are not the tests' business.
    command
        .env_remove("HEBB_SETTINGS")
        .env("XDG_CONFIG_HOME", folder)
        .env("HEBB_SITE_SETTINGS", folder.join("site.toml"));
    command
}

/// What the program printed; fails if it did not succeed.
pub(super) fn printed(mut command: Command) -> String {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Ids of tasks.
pub(super) type Ids = BTreeSet<String>;

/// A study file and its cache.
pub(super) struct Bench {
    folder: TempDir,
}

/// A study that was planned and compared with its cache.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) store: Store,
    pub(super) assessment: Assessment,
    last: StudyNote,
}

/// What one run did.
#[derive(Debug, Default)]
pub(super) struct Ran {
    /// Tasks of the plan.
    pub(super) all: Ids,
    /// Tasks that the plan said would run.
    pub(super) planned: Ids,
    pub(super) computed: Ids,
    pub(super) unchanged: Ids,
    /// Tasks that failed, with the message.
    pub(super) failed: BTreeMap<String, String>,
    pub(super) blocked: Ids,
    /// Results that were found damaged, with what was told.
    pub(super) damaged: BTreeMap<String, String>,
    /// Tasks that gave other bytes than before.
    pub(super) differed: Ids,
    pub(super) summary: Summary,
}

impl Bench {
    /// A study that never ran.
    pub(super) fn new(text: &str) -> Self {
        let bench = Self { folder: scratch() };
        bench.write(text);
        bench
    }

    /// The tiny study, which has just run; absent where there is nothing to run it with.
    pub(super) fn tiny() -> Option<Self> {
        static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| {
            let bench = crate::model::runtime().then(|| Bench::new(&tiny()))?;
            let ran = bench.run();
            assert_eq!(ran.computed, ran.all);
            Some(bench)
        });
        RAN.as_ref().map(Self::copy)
    }

    /// The study with a METER, which has just run; absent where there is nothing to run it with.
    pub(super) fn meter() -> Option<Self> {
        static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| {
            let bench = crate::model::runtime().then(|| Bench::new(&fixture("meter.toml")))?;
            let ran = bench.run();
            assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
            Some(bench)
        });
        RAN.as_ref().map(Self::copy)
    }

    /// The tiny study on files, which has just run. Its files lie in `inputs`, and again in `copy` and, with session
    /// folders, in `sessions`.
    pub(super) fn files() -> Option<Self> {
        static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| {
            let bench = crate::model::runtime().then(|| Bench::new(&on_files()))?;
            bench.write_inputs();
            let ran = bench.run();
            assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
            Some(bench)
        });
        RAN.as_ref().map(Self::copy)
    }

    /// Writes the files that the tiny study makes.
    pub(super) fn write_inputs(&self) {
        let other = scratch();
        fs::write(other.path().join("tiny.toml"), tiny()).expect("writable");
        printed(program(other.path(), &["inputs", "tiny.toml", "--out", "inputs"]));
        for name in ["inputs", "copy", "sessions"] {
            copy_folder(&other.path().join("inputs"), &self.folder().join(name));
        }
        for subject in ["sub-01", "sub-02"] {
            let folder = self.folder().join("sessions/derivatives").join(subject);
            fs::create_dir(folder.join("ses-1")).expect("writable");
            fs::rename(folder.join("func"), folder.join("ses-1/func")).expect("movable");
            for entry in fs::read_dir(folder.join("ses-1/func")).expect("readable") {
                let path = entry.expect("readable").path();
                let name = path.file_name().expect("a file").to_string_lossy().replace("_task", "_ses-1_task");
                fs::rename(&path, path.with_file_name(name)).expect("movable");
            }
        }
    }

    /// The same study with a cache of its own.
    pub(super) fn copy(&self) -> Self {
        let folder = scratch();
        copy_folder(self.folder(), folder.path());
        Self { folder }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder().join("study.toml")
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.folder().join("cache")
    }

    /// Replaces the study's text.
    pub(super) fn write(&self, text: &str) {
        fs::write(self.file(), text).expect("writable");
    }

    /// Replaces parts of the study's text, each of which is there once.
    pub(super) fn edit(&self, edits: &[(&str, &str)]) {
        let text = fs::read_to_string(self.file()).expect("written before");
        self.write(&edited(&text, edits));
    }

    /// Plans the study as it is written now.
    pub(super) fn plan(&self) -> Planned {
        self.plan_file(&self.file())
    }

    /// Plans a study file against this cache.
    pub(super) fn plan_file(&self, file: &Path) -> Planned {
        let study = read(file).unwrap_or_else(|error| panic!("{error}"));
        let store = Store::open(&self.cache()).expect("writable");
        let files = FileDigests::open(store.root(), false);
        let plan = plan_study(&study, &files, RUNTIME).expect("readable files");
        // One note for all files of a bench: a study that was edited elsewhere is the same study.
        let last = StudyNote::read(&store, Path::new(NOTE));
        let assessment = assess(&plan, &store, &last, &Targets::Ends);
        Planned { plan, store, assessment, last }
    }

    /// Runs the study as it is written now.
    pub(super) fn run(&self) -> Ran {
        self.plan().run(LIMITS, &AtomicBool::new(false), |_| {})
    }
}

/// Reads a study with the ffmpeg of this machine.
pub(super) fn read(file: &Path) -> Result<Study, SpecError> {
    let find_model = |model: &hebb::model::hub::HubModel| panic!("no test fetches {model}");
    let find_ffmpeg = || find_ffmpeg(|name| std::env::var_os(name));
    read_study_with(file, &Surroundings { find_model: &find_model, find_ffmpeg: &find_ffmpeg, may: &|_| true })
}

impl Planned {
    /// Ids of all tasks.
    pub(super) fn ids(&self) -> Ids {
        self.plan.places().map(|place| self.plan.node(place).id.to_string()).collect()
    }

    /// Tasks that would run, with the reason.
    pub(super) fn to_run(&self) -> BTreeMap<String, Reason> {
        let runs = self.plan.places().filter_map(|place| match self.assessment.standing(place) {
            Standing::Runs(reason) => Some((self.plan.node(place).id.to_string(), reason.clone())),
            _ => None,
        });
        runs.collect()
    }

    /// The digest of every task's result, by id.
    pub(super) fn outputs(&self) -> BTreeMap<String, Digest> {
        let nodes = self.plan.places().map(|place| self.plan.node(place));
        nodes.filter_map(|node| Some((node.id.to_string(), self.store.lookup(&node.recipe)?.output))).collect()
    }

    /// The folder of a task's result.
    pub(super) fn artifact(&self, id: &str) -> PathBuf {
        self.store.artifact(&self.outputs()[id])
    }

    /// Runs what has to run, and notes what the study looks like now, as the command line does.
    pub(super) fn run(&self, limits: Limits, cancelled: &AtomicBool, mut listen: impl FnMut(&Event<'_>)) -> Ran {
        single_thread_blas();
        let mut ran = Ran { all: self.ids(), planned: self.to_run().into_keys().collect(), ..Ran::default() };
        let summary = executor::run(&self.plan, &self.assessment, &self.store, limits, cancelled, &mut |event| {
            listen(&event);
            match event {
                Event::Finished { id, outcome: Outcome::Computed, .. } => drop(ran.computed.insert(id.to_string())),
                Event::Finished { id, outcome: Outcome::Unchanged, .. } => drop(ran.unchanged.insert(id.to_string())),
                Event::Failed { id, error, .. } => drop(ran.failed.insert(id.to_string(), error.to_string())),
                Event::Damaged { id, damage, .. } => drop(ran.damaged.insert(id.to_string(), damage.to_string())),
                Event::Differed { id, .. } => drop(ran.differed.insert(id.to_string())),
                Event::Blocked { id, .. } => drop(ran.blocked.insert(id.to_string())),
                _ => {}
            }
        });
        ran.summary = summary.expect("a writable cache");
        let note = self.last.after(Path::new(NOTE), &self.plan, &self.assessment, &self.store);
        note.write(&self.store).expect("a writable cache");
        ran
    }
}

impl Ran {
    /// Fails unless these tasks, and no others, were computed; `words` as [`chosen`] takes them.
    pub(super) fn assert_computed(&self, words: &str) {
        assert_eq!(self.failed, BTreeMap::new());
        let expected = chosen(&self.all, words);
        let list = |ids: &mut dyn Iterator<Item = &String>| ids.cloned().collect::<Vec<_>>();
        let (missed, extra) =
            (list(&mut expected.difference(&self.computed)), list(&mut self.computed.difference(&expected)));
        assert!(
            missed.is_empty() && extra.is_empty(),
            "should have run too: {missed:?}\nshould not have run: {extra:?}\nunchanged: {:?}",
            self.unchanged
        );
    }
}

/// The ids that any of `words` means: a kind (`encode`), or an id in which `*` stands for any text (`encode/*/patterns`).
pub(super) fn chosen(all: &Ids, words: &str) -> Ids {
    let means =
        |word: &str, id: &str| if word.contains('/') { fits(word, id) } else { id.split('/').next() == Some(word) };
    for word in words.split_whitespace() {
        assert!(all.iter().any(|id| means(word, id)), "`{word}` means no task of {all:?}");
    }
    all.iter().filter(|id| words.split_whitespace().any(|word| means(word, id))).cloned().collect()
}

fn fits(glob: &str, text: &str) -> bool {
    match glob.split_once('*') {
        None => glob == text,
        Some((start, rest)) => {
            text.strip_prefix(start).is_some_and(|tail| (0..=tail.len()).any(|skipped| fits(rest, &tail[skipped..])))
        }
    }
}

/// A text with parts replaced, each of which is there once.
pub(super) fn edited(text: &str, edits: &[(&str, &str)]) -> String {
    edits.iter().fold(text.to_owned(), |text, (from, to)| {
        assert_eq!(text.matches(from).count(), 1, "`{from}` should be there once");
        text.replace(from, to)
    })
}

/// Copies a folder; what cannot be written stays so.
pub(super) fn copy_folder(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.expect("readable");
        let target = to.join(entry.path().strip_prefix(from).expect("walked from this folder"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).expect("writable");
        } else {
            fs::copy(entry.path(), &target).expect("writable");
        }
    }
}
