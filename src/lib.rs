//! Hebb runs experiment files for neuron-level brain encoding of vision-language models.
//!
//! A study is one TOML file. Hebb compiles it into a graph of tasks, each named by what shapes its result, and runs those
//! whose result is not there yet.
//!
//! ```text
//!  study.toml, and what it includes
//!      |  spec       text -> Study: positions, cells of a sweep, schema, every mistake at once, files looked at
//!      v
//!    Study           one design for each cell
//!      |  plan       Study -> Plan: tasks, what flows between them, their keys; what cells share is one task
//!      v
//!    Plan  --------  store     digest -> artifact: published whole, once, read-only
//!      |  executor   Plan x store -> events: what has to run, as cores and memory allow, here or as jobs on a cluster
//!      |  share      Plan x store -> a lock: what led to which results, for others to hold their runs to; results computed again
//!      v
//!    task            one file per kind: input folders -> output folder
//!      |
//!      +-- stimulus  what was shown: tables, films, transcripts, made-up scenes
//!      +-- model     files as downloaded -> architecture -> ONNX graph with unit taps -> unit activations
//!      +-- brain     series, atlases, voxels and networks, preparation, simulation
//!      +-- math      regressions, dictionary, scores, nulls, groups: arrays in, arrays out
//!      +-- report    contents -> one offline page
//!      |
//!    format          foreign bytes <-> our types: npy, TSV, NIfTI, CIFTI, ONNX, PyTorch; where datasets keep their files
//! ```
//!
//! # What flows
//!
//! | kind of task | reads | makes |
//! |---|---|---|
//! | `stimuli` | a seed | pictures |
//! | `frames` | a film | pictures at its moments |
//! | `weights` | a size or another model, and a seed | a model folder |
//! | `export` | weights | an ONNX graph whose outputs are units |
//! | `extract` | graph and its weights, one shard of stimuli | stimuli x units |
//! | `measure` | one shard of stimuli | stimuli x low-level features, in the place of units |
//! | `series` | all shards, one run's events | volumes x units |
//! | `simulate` | unit series | a subject's BIDS derivatives |
//! | `mask`, `groups` | brain masks, atlas | voxels by network, with names and without |
//! | `bold` | one run, voxels | volumes x voxels |
//! | `pattern` | unit series | time courses, codes |
//! | `encode` | patterns, a layer's or several bands' series, voxels' series | weights, held-out scores |
//! | `null` | a fit's predictions | significance of voxels |
//! | `ceiling` | a fit's predictions, runs shown again | noise ceilings, normalised scores |
//! | `prediction`, `architecture`, `hierarchy` | what fits leave by network and block of test time | findings |
//! | `redundancy`, `polarity` | a fit's weights, codes, unit series | findings |
//! | `recovery` | what was planted and what was found | how much of it |
//! | `group` | findings of all subjects | tests over them |
//! | `maps` | a fit's scores and weights, statistics of voxels | maps, and what the page's viewer shows |
//! | `report` | all of it | tables, the page's contents |
//!
//! # Words
//!
//! A *unit* is one artificial neuron; a *pattern* a time course that units share; a *voxel* belongs to one *network* or to
//! none. A *task* has a *recipe key* (what was asked for) and a *content key* (what went in, byte for byte); an *artifact*
//! is the folder it makes, named by its own digest. [`plan`] has the table of what is in a key. A *cell* is one combination of
//! the values that a study sweeps over; without a sweep a study is one cell.
//!
//! # Rules
//!
//! A module imports only what the table in this file's test allows: `format`, `math` and `store` import nothing of ours,
//! `math` knows arrays, `store` knows digests, `task` knows no keys, and only [`cli`] knows the terminal and the environment.
//!
//! Bytes do not depend on the number of threads: work is cut into blocks of fixed size, and BLAS runs on one thread within
//! a block. A number that cannot be computed is absent with a reason, never NaN.
//!
//! # From Rust
//!
//! ```
//! use hebb::{plan::plan_study, spec::read_study, store::FileDigests};
//!
//! let study = read_study("experiments/quickstart.toml".as_ref())?;
//! let digests = FileDigests::open("cache".as_ref(), false);
//! let plan = plan_study(&study, &digests, "1.31.1")?;
//! let encode = plan.find("encode/sub-01/clip/patterns").expect("the study asks for patterns");
//! assert_eq!(plan.manifest(encode).fields()["encoding.ridge.alphas[3]"], "1000");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things stand
//!
//! | folder | what it knows | what it does not |
//! |---|---|---|
//! | [`spec`] | what a study says and means; everything that is wrong with it | tasks, the cache |
//! | [`plan`] | which tasks a study is, what flows between them, their keys, why one is stale | how one is computed |
//! | [`executor`] | when and where tasks run, here or on a cluster | what they compute |
//! | [`task`] | one file a kind: parameters, inputs by role, files written | keys, places in the cache |
//! | [`math`] | objectives and estimators on arrays | files, networks, studies |
//! | [`model`], [`brain`], [`stimulus`] | networks and their units; voxels and atlases; what was shown | each other |
//! | [`mod@format`] | bytes that others wrote | what they are for |
//! | [`store`] | artifacts by digest, published whole, kept whole | kinds of task |
//! | [`share`] | locks, archives, verification, exports | terminals |
//! | [`report`] | the page, from contents as data | where contents come from |
//! | [`cli`] | terminals, arguments, the environment | everything that another folder can know |
//!
//! A run begins in `cli/run.rs`, which opens a study (`cli/open.rs`: read, checked, planned, compared with the cache), hands the plan to
//! the executor and lays the results out (`cli/results.rs`). To follow one task from study to artifact, read `spec/written/statistics.rs`,
//! `plan/build/answers.rs` and `task/polarity.rs` side by side.
//!
//! # To add something
//!
//! `docs/contributing.md` has it step by step, with every file that has to know: a kind of task, a statistic, a model architecture, an
//! atlas format, a field of the study, a reader of foreign bytes, a command. In short:
//!
//! - A *task* is a struct in `task/` whose serialised fields are its parameters, with [`task::Compute`]; a [`task::Kind`]; a line where
//!   tasks are read that travelled ([`task::read_task`]); and its wiring in `plan/build/`.
//! - A *statistic* is a task whose artifact has rows of one form ([`task::finding::Statistic`]). Group, report and sweeps take them from
//!   there. What it needs of held-out predictions, network by network and block by block of test time, fits have left
//!   ([`task::evidence`]).
//! - A *model architecture* is one file in `model/architecture/`: what its checkpoints look like, what its modules and layers are, and how
//!   a layer is computed, with every activation handed to the taps. See [`model::architecture`].
//! - A *field* of the study is one in `spec/written.rs`; schema and reference follow from it.

pub mod brain;
pub mod cli;
pub mod executor;
pub mod format;
pub mod math;
pub mod model;
pub mod plan;
pub mod report;
pub mod share;
pub mod spec;
pub mod stimulus;
pub mod store;
pub mod task;

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        path::{Path, PathBuf},
    };

    /// What each module may import.
    const ALLOWED: [(&str, &[&str]); 13] = [
        (
            "cli",
            &[
                "brain", "executor", "format", "math", "model", "plan", "report", "share", "spec", "stimulus", "store",
                "task",
            ],
        ),
        ("executor", &["format", "plan", "spec", "store", "task"]),
        ("plan", &["brain", "format", "math", "model", "spec", "stimulus", "store", "task"]),
        ("task", &["brain", "format", "math", "model", "report", "spec", "stimulus"]),
        ("spec", &["brain", "format", "math", "model", "stimulus"]),
        ("stimulus", &["format"]),
        ("model", &["format"]),
        ("brain", &["format", "math"]),
        ("report", &["format"]),
        ("share", &["brain", "executor", "format", "model", "plan", "report", "spec", "store", "task"]),
        ("format", &[]),
        ("math", &[]),
        ("store", &["format"]),
    ];

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a source folder").map(|entry| entry.expect("readable").path());
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
    }

    /// The code of a source: no comments, which may point anywhere, and no unit tests, which may lean on anything.
    fn code(text: &str) -> String {
        let tested = text.split("#[cfg(test)]").next().unwrap_or_default();
        tested.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
    }

    /// Modules that code names after `crate::`, alone or in a group.
    fn imports(text: &str) -> BTreeSet<String> {
        let name = |text: &str| {
            text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>()
        };
        let mut found = BTreeSet::new();
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at + "crate::".len()..];
            match rest.strip_prefix('{') {
                None => drop(found.insert(name(rest))),
                Some(group) => {
                    let mut depth = 0;
                    let mut start = true;
                    for (at, letter) in group.char_indices() {
                        if start && depth == 0 && letter.is_alphabetic() {
                            found.insert(name(&group[at..]));
                        }
                        start = matches!(letter, ',' | ' ' | '\n') && (start || letter == ',');
                        match letter {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            _ => {}
                        }
                    }
                }
            }
        }
        found
    }

    #[test]
    fn imports_are_found_alone_and_in_groups() {
        let text = "use crate::{\n    brain::{atlas::Atlas, mask},\n    math,\n};\nuse crate::format::npy;";
        assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["brain", "format", "math"]);
    }

    #[test]
    fn modules_import_only_what_stands_below_them() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut seen = BTreeSet::new();
        for source in sources(&root) {
            let inside = source.strip_prefix(&root).expect("walked from this folder");
            let first = inside.components().next().expect("a file name").as_os_str().to_string_lossy();
            let module = first.trim_end_matches(".rs").to_owned();
            if module == "lib" || module == "main" {
                continue;
            }
            let (_, allowed) = ALLOWED
                .iter()
                .find(|(name, _)| *name == module)
                .unwrap_or_else(|| panic!("module `{module}` is not in the table of allowed imports"));
            let text = fs::read_to_string(&source).expect("sources are text");
            for import in imports(&code(&text)) {
                let known = ALLOWED.iter().any(|(name, _)| *name == import);
                let fine = import == module || allowed.contains(&import.as_str());
                assert!(!known || fine, "{}: `{module}` may not import `{import}`", inside.display());
            }
            seen.insert(module);
        }
        assert_eq!(seen.len(), ALLOWED.len(), "every module of the table has a source");
    }
}
