//! What can be wrong with a folder of runs, all of it told at once.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::format::annex::{ContentStore, Unfetched};
use crate::format::names::listed;
use crate::format::nifti::NiftiError;
use crate::format::npy::NpyError;

/// Longest repetition time believed to be in seconds: no scanner takes longer for a volume, and a longer one was meant in
/// milliseconds.
pub const LONGEST_REPETITION_TIME_S: f64 = 30.0;

/// Names that a message lists.
const SHOWN: usize = 8;

/// What keeps runs from being found.
#[derive(Debug, Error)]
pub enum FindError {
    /// A folder cannot be read.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The subject has no folder.
    #[error("`{}` has no folder for subject `{subject}`: it has {}", root.display(), listed(available, SHOWN))]
    NoSubject {
        /// The dataset.
        root: PathBuf,
        /// The subject looked for.
        subject: String,
        /// The subjects there are.
        available: Vec<String>,
    },
    /// No file answers the query.
    #[error("`{}` has no preprocessed BOLD file for {query}: it has {}", root.display(), listed(available, SHOWN))]
    NoRuns {
        /// The dataset.
        root: PathBuf,
        /// The query in words.
        query: String,
        /// The series of the subject.
        available: Vec<String>,
    },
    /// The subject's folder has nothing in it.
    #[error("`{}` is empty: if it is a DataLad subdataset, run `datalad get {}`", path.display(), path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A path with placeholders does not say which file is meant.
    #[error("`{template}` {reason}")]
    Template {
        /// The path.
        template: String,
        /// What is wrong with it, and what to write.
        reason: String,
    },
    /// Runs were found, but not all is well with them.
    #[error("{}", told(root, problems))]
    Runs {
        /// The dataset.
        root: PathBuf,
        /// All that is wrong, in the order of the runs.
        problems: Vec<RunProblem>,
    },
}

impl FindError {
    /// Everything that is wrong with the runs found; empty where none were found.
    pub fn problems(&self) -> &[RunProblem] {
        match self {
            FindError::Runs { problems, .. } => problems,
            _ => &[],
        }
    }
}

/// What is wrong with one run.
#[derive(Debug, Error)]
pub enum RunProblem {
    /// Several files answer where one was meant.
    #[error("run `{run}` exists with {field} {}: set `{field}` to one of them", listed(found, SHOWN))]
    Ambiguous {
        /// The run.
        run: String,
        /// The field of the query that tells the files apart.
        field: &'static str,
        /// Its values.
        found: Vec<String>,
    },
    /// The echoes of a run are there, but not their combination.
    #[error(
        "run `{run}` is there only as echoes {}: set `echo` to one of them, or `desc` to their combination, such as `optcom`",
        listed(found, SHOWN)
    )]
    OnlyEchoes {
        /// The run.
        run: String,
        /// The echoes.
        found: Vec<String>,
    },
    /// Several files answer and no field tells them apart.
    #[error("run `{run}` has several {what}, {}: keep one of them", listed(found, SHOWN))]
    Copies {
        /// The run.
        run: String,
        /// What the files are.
        what: &'static str,
        /// The files.
        found: Vec<String>,
    },
    /// A file that a run needs is not there.
    #[error("run `{run}` has no {what}: expected `{}`", expected.display())]
    MissingFile {
        /// The run.
        run: String,
        /// What the file is.
        what: &'static str,
        /// Where it should be.
        expected: PathBuf,
    },
    /// The series is a link, and nothing is where it leads.
    #[error("run `{run}` has a series that is a link to nothing, `{}`: copy the file it should lead to", path.display())]
    BrokenLink {
        /// The run.
        run: String,
        /// The link.
        path: PathBuf,
    },
    /// Files are named by version control but their content is not here.
    #[error("{}", unfetched_told(files))]
    Unfetched {
        /// The files.
        files: Vec<Unfetched>,
    },
    /// A sidecar is not a JSON object with the values it should have.
    #[error("`{}` is not a usable sidecar: {reason}", path.display())]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A repetition time is not a number of seconds that a scanner could take.
    #[error("`{}` has `RepetitionTime` {found}, expected {}", path.display(), seconds_expected(*found))]
    RepetitionTime {
        /// The sidecar.
        path: PathBuf,
        /// The value.
        found: f64,
    },
    /// Two sidecars that count equally for a run say different things.
    #[error(
        "`{}` has `RepetitionTime` {first_s} and `{}` has {second_s}, and both hold for run `{run}`: correct one of them",
        first.display(),
        second.display()
    )]
    TwoSidecars {
        /// The run.
        run: String,
        /// One sidecar.
        first: PathBuf,
        /// What it says.
        first_s: f64,
        /// The other.
        second: PathBuf,
        /// What that one says.
        second_s: f64,
    },
    /// A matrix is not usable.
    #[error(transparent)]
    Matrix(#[from] NpyError),
    /// A mask is not usable.
    #[error(transparent)]
    Mask(#[from] NiftiError),
    /// A matrix has no rows or no columns.
    #[error("`{}` has shape [{n_tr}, {n_voxels}], expected at least one volume (row) and one voxel (column)", path.display())]
    EmptyMatrix {
        /// The matrix.
        path: PathBuf,
        /// Its rows.
        n_tr: usize,
        /// Its columns.
        n_voxels: usize,
    },
    /// A matrix has another number of columns than what names them.
    #[error(
        "`{}` has {found} columns, expected {expected} as `{}`{}",
        path.display(),
        of.display(),
        if *rows == *expected { ": its rows are as many, save its transpose" } else { "" }
    )]
    Columns {
        /// The matrix.
        path: PathBuf,
        /// Its columns.
        found: usize,
        /// Its rows.
        rows: usize,
        /// The columns it should have.
        expected: usize,
        /// The mask, or the matrix of an earlier run.
        of: PathBuf,
    },
}

fn told(root: &Path, problems: &[RunProblem]) -> String {
    match problems {
        [one] => one.to_string(),
        many => {
            let lines: Vec<String> = many.iter().map(|problem| format!("\n- {problem}")).collect();
            format!("`{}` has {} problems:{}", root.display(), many.len(), lines.concat())
        }
    }
}

fn seconds_expected(found: f64) -> String {
    if found > LONGEST_REPETITION_TIME_S && found.is_finite() {
        let seconds = found / 1000.0;
        return format!("at most {LONGEST_REPETITION_TIME_S} seconds: if it is meant in milliseconds, write {seconds}");
    }
    "a positive number of seconds".to_owned()
}

impl RunProblem {
    /// What is wrong with runs whose files are not all fetched, each file told once however many runs need it; `None` without
    /// any.
    pub(in crate::format) fn of_unfetched(mut files: Vec<Unfetched>) -> Option<Self> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup();
        (!files.is_empty()).then_some(RunProblem::Unfetched { files })
    }
}

fn unfetched_told(files: &[Unfetched]) -> String {
    if let [one] = files {
        return one.to_string();
    }
    let names: Vec<String> = files.iter().map(|file| file.path.display().to_string()).collect();
    let mut commands = Vec::new();
    if files.iter().any(|file| file.store == ContentStore::Annex) {
        commands.push(format!("`datalad get {}`", common_folder(files, ContentStore::Annex).display()));
    }
    if files.iter().any(|file| file.store == ContentStore::Lfs) {
        commands.push(format!("`git lfs pull` in `{}`", common_folder(files, ContentStore::Lfs).display()));
    }
    format!(
        "the content of {} files is not here, {}: run {}",
        files.len(),
        listed(&names, SHOWN),
        commands.join(" and ")
    )
}

/// The deepest folder that all files of a keeper lie in.
fn common_folder(files: &[Unfetched], store: ContentStore) -> PathBuf {
    let mut folders = files.iter().filter(|file| file.store == store).filter_map(|file| file.path.parent());
    let mut common = folders.next().unwrap_or(Path::new("")).to_owned();
    for folder in folders {
        while !folder.starts_with(&common) && common.pop() {}
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_problems_are_told_at_once() {
        let missing = |run: &str| RunProblem::MissingFile {
            run: run.to_owned(),
            what: "brain mask",
            expected: format!("{run}_mask.nii.gz").into(),
        };
        let one = FindError::Runs { root: "data".into(), problems: vec![missing("a")] };
        assert_eq!(one.to_string(), "run `a` has no brain mask: expected `a_mask.nii.gz`");
        let two = FindError::Runs { root: "data".into(), problems: vec![missing("a"), missing("b")] };
        let expected = "`data` has 2 problems:\n- run `a` has no brain mask: expected `a_mask.nii.gz`\n- run `b` has no \
                        brain mask: expected `b_mask.nii.gz`";
        assert_eq!((two.to_string().as_str(), two.problems().len()), (expected, 2));
    }

    #[test]
    fn unfetched_files_are_fetched_by_one_command() {
        let file = |path: &str, store| Unfetched { path: path.into(), store };
        let files = vec![
            file("d/sub-01/func/a.nii.gz", ContentStore::Annex),
            file("d/sub-01/anat/b.nii.gz", ContentStore::Annex),
            file("d/sub-01/func/c.tsv", ContentStore::Lfs),
        ];
        let text = RunProblem::Unfetched { files }.to_string();
        assert!(text.starts_with("the content of 3 files is not here, `d/sub-01/func/a.nii.gz`, "), "{text}");
        assert!(text.ends_with(": run `datalad get d/sub-01` and `git lfs pull` in `d/sub-01/func`"), "{text}");
    }

    #[test]
    fn milliseconds_are_recognised() {
        let said = |found| RunProblem::RepetitionTime { path: "x.json".into(), found }.to_string();
        assert_eq!(
            said(1500.0),
            "`x.json` has `RepetitionTime` 1500, expected at most 30 seconds: if it is meant in milliseconds, write 1.5"
        );
        assert_eq!(said(-1.0), "`x.json` has `RepetitionTime` -1, expected a positive number of seconds");
    }
}
