//! A folder in which the program runs, and the small studies that it runs there.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, Weak},
};

use hebb::store::{Record, hash_file};
use tempfile::TempDir;

/// A study that needs no file and takes about a second.
pub(crate) const SIMULATED: &str = r#"[study]
name = "tiny"

[runs]
train = ["1", "2"]
test = ["3"]

[stimuli.generate]
seed = 1
images_per_run = 12
image_size_px = 32

[models.clip.random]
seed = 2
projection_dim = 32
vision = { layers = 2, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 }
text = { layers = 2, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 }

[bold.simulate]
subjects = ["sub-01", "sub-02"]
repetition_time_s = 1.5

[bold.simulate.brain]
shape = [10, 12, 9]
voxel_size_mm = 12.0
networks.visual = { module = "vision", layers = [0] }

[preparation]
confounds = ["rot_*"]

[patterns.dictionary]
n_patterns = 4
penalty = 0.15

[encoding.ridge]
alphas = [1, 10, 100]
"#;

/// The same study on the files that `hebb inputs` writes.
const RECORDED: &str = r#"[study]
name = "recorded"

[runs]
train = ["1", "2"]
test = ["3"]

[stimuli.tables]
path = "inputs/stimuli/run-{run}.tsv"

[models.clip]
weights = "inputs/clip"

[bold.bids]
folder = "inputs/derivatives"
subjects = ["sub-01", "sub-02"]

[atlas]
labels = "inputs/derivatives/atlas/schematic_dseg.nii.gz"
table = "inputs/derivatives/atlas/schematic_dseg.tsv"

[preparation]
confounds = ["rot_*"]

[patterns.dictionary]
n_patterns = 4
penalty = 0.15

[encoding.ridge]
alphas = [1, 10, 100]
"#;

/// An ONNX Runtime library: `HEBB_ONNXRUNTIME`, or what `make setup` installed.
///
/// # Panics
/// If there is none and `CI` is set: what is skipped there would never be tested.
pub(crate) fn runtime() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".engines/onnxruntime");
    let installed = || {
        let entries = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        entries.filter(|path| path.to_string_lossy().contains("libonnxruntime.")).max()
    };
    let found = std::env::var_os("HEBB_ONNXRUNTIME").map(PathBuf::from).or_else(installed);
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "ONNX Runtime is missing: `make setup` installs it");
        eprintln!("skipped: no ONNX Runtime; `make setup` installs it");
    }
    found
}

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    /// What a command answers.
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints text");
        Self {
            status: output.status.code().expect("the program was not killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// What was printed, which is JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The same, if it ended with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
        self
    }

    /// The same, if every one of these is said on standard error.
    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not said: {self:#?}");
        }
        self
    }

    /// The same, if every one of these is printed on standard output.
    #[track_caller]
    pub(crate) fn prints(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stdout.contains(word), "`{word}` is not printed: {self:#?}");
        }
        self
    }
}

/// A folder of its own to run the program in.
pub(crate) struct World {
    folder: TempDir,
    /// Keeps the files that this world's were copied from until the last test has ended.
    _base: Option<Arc<TempDir>>,
}

impl World {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder"), _base: None }
    }

    /// A folder with [`SIMULATED`] as `study.toml`.
    pub(crate) fn simulated() -> Self {
        let world = Self::empty();
        world.write("study.toml", SIMULATED);
        world
    }

    /// A folder with a study as `study.toml` on files in `inputs/`, to damage; absent without ONNX Runtime.
    pub(crate) fn recorded() -> Option<Self> {
        let base = base()?;
        let world = Self { folder: tempfile::tempdir().expect("a temporary folder"), _base: Some(Arc::clone(&base)) };
        for entry in walkdir::WalkDir::new(base.path().join("inputs")) {
            let entry = entry.expect("readable");
            let target = world.path("").join(entry.path().strip_prefix(base.path()).expect("walked from there"));
            if entry.file_type().is_dir() {
                fs::create_dir_all(target).expect("writable");
            } else {
                fs::copy(entry.path(), target).expect("writable");
            }
        }
        world.write("study.toml", RECORDED);
        Some(world)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("writable");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("readable")
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).expect("text")
    }

    /// Replaces `old` in a text file, which must have it once.
    pub(crate) fn replace(&self, name: &str, old: &str, new: &str) {
        let text = self.text(name);
        assert_eq!(text.matches(old).count(), 1, "`{old}` in {text}");
        self.write(name, text.replace(old, new));
    }

    /// The program with arguments split at blanks, in this folder, on two threads.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hebb"));
        command.args(arguments.split_whitespace()).current_dir(self.folder.path()).stdin(Stdio::null());
        for name in ["HEBB_CACHE", "HEBB_ONNXRUNTIME", "HEBB_SETTINGS", "NO_COLOR", "CLICOLOR_FORCE", "COLUMNS"] {
            command.env_remove(name);
        }
        // What a test trusts is forgotten with its folder.
        command.env("XDG_STATE_HOME", self.folder.path().join("state"));
        // Whoever runs the tests may have settings, which are not the tests' business.
        command.env("XDG_CONFIG_HOME", self.folder.path().join("config"));
        command.env("HEBB_SITE_SETTINGS", self.folder.path().join("site.toml"));
        if let Some(library) = std::env::var_os("HEBB_ONNXRUNTIME") {
            command.env("HEBB_ONNXRUNTIME", library);
        }
        command
    }

    pub(crate) fn hebb(&self, arguments: &str) -> Answer {
        Answer::of(&mut self.command(arguments))
    }

    /// Whether neither results nor a cache were begun.
    #[track_caller]
    pub(crate) fn is_untouched(&self) {
        for folder in ["results", "cache"] {
            assert!(!self.path(folder).exists(), "`{folder}` was made");
        }
    }

    /// Whether everything in the cache is whole: no partial result, every recorded byte in its place.
    #[track_caller]
    pub(crate) fn has_whole_cache(&self) {
        let partial = fs::read_dir(self.path("cache/partial")).expect("a cache");
        let left: Vec<_> = partial.map(|entry| entry.expect("readable").path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        for entry in walkdir::WalkDir::new(self.path("cache/records")) {
            let entry = entry.expect("readable");
            if !entry.file_type().is_file() {
                continue;
            }
            let record: Record = serde_json::from_slice(&fs::read(entry.path()).expect("readable")).expect("a record");
            let output = record.output.to_string();
            let artifact = self.path("cache/artifacts").join(&output[..2]).join(&output);
            for file in &record.files {
                let found = hash_file(&artifact.join(&file.path)).expect("readable");
                assert_eq!(found, file.digest, "{}", file.path);
            }
        }
    }
}

/// Files as users have them, written once while tests need them; absent without ONNX Runtime.
pub(crate) fn base() -> Option<Arc<TempDir>> {
    static BASE: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    runtime()?;
    // A test that failed while it held the lock left nothing half-made: the folder is stored when it is whole.
    let mut base = BASE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(base) = base.upgrade() {
        return Some(base);
    }
    let world = World::simulated();
    world.hebb("inputs study.toml --out inputs").exits(0);
    let made = Arc::new(world.folder);
    *base = Arc::downgrade(&made);
    Some(made)
}
