//! The files of a subject's runs as the Human Connectome Project lays them out.
//!
//! Owns which run and which version of it a file name tells ([`name`]), where series, masks and movement regressors lie
//! ([`find_hcp_runs`]), and what the columns of `Movement_Regressors.txt` are ([`movement`]). Reads no images.
//!
//! A subject's folder (`100610` or `sub-100610`) is looked through as the project ships it
//! (`MNINonLinear/Results/tfMRI_MOVIE1_7T_AP/…`), with the folders of the runs right inside, or with all files side by side.

pub mod movement;
pub mod name;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::bids::natural_order;
use super::runs::{FindError, RunFiles, RunLabels, RunProblem, SeriesKind, file_names, is_named};
pub use movement::{MovementError, is_movement, read_movement};
pub use name::{Registration, SeriesName};

/// Which runs to look for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HcpQuery {
    /// Subject, such as `100610`.
    pub subject: String,
    /// Volumes or grayordinates; may be absent where there is only one.
    pub kind: Option<SeriesKind>,
    /// Distance between grayordinates, `1.6mm` or `2mm`, which volumes do not have; may be absent where there is only one.
    pub resolution: Option<String>,
    /// How surfaces were aligned; may be absent where there is only one way.
    pub registration: Option<Registration>,
    /// What was cleaned, as file names end: `hp2000_clean`, `hp2000_clean_rclean`, or `raw`; may be absent where there is
    /// only one.
    pub processing: Option<String>,
    /// Runs that matter, as [`RunFiles::matches`] understands them; all if empty. What is wrong with others is not told.
    pub runs: Vec<String>,
}

impl HcpQuery {
    fn in_words(&self) -> String {
        let parts = [
            Some(("subject", self.subject.clone())),
            self.kind.map(|kind| ("series", kind.to_string())),
            self.resolution.clone().map(|value| ("resolution", value)),
            self.registration.map(|value| ("registration", value.to_string())),
            self.processing.clone().map(|value| ("processing", value)),
        ];
        parts.iter().flatten().map(|(key, value)| format!("{key} `{value}`")).collect::<Vec<_>>().join(", ")
    }

    fn accepts(&self, name: &SeriesName) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        // Resolution and registration are properties of surfaces: whoever asks for one does not mean a volume.
        let surface = match name.kind {
            SeriesKind::Volume => self.resolution.is_none() && self.registration.is_none(),
            _ => {
                same(&self.resolution, &name.resolution)
                    && self.registration.is_none_or(|wanted| wanted == name.registration)
            }
        };
        surface && self.kind.is_none_or(|kind| kind == name.kind) && same(&self.processing, &name.processing)
    }
}

struct Found {
    name: SeriesName,
    folder: PathBuf,
    file: String,
}

/// Finds the runs of a subject, in natural order of their names.
///
/// # Errors
/// If the subject or any run is not there; and, all told at once, if a run exists in several versions, a volume has no
/// brain mask, or files are not fetched.
pub fn find_hcp_runs(root: &Path, query: &HcpQuery) -> Result<Vec<RunFiles>, FindError> {
    let subject_folder = subject_folder(root, query)?;
    let (mut found, mut available) = (Vec::new(), BTreeSet::new());
    for folder in series_folders(&subject_folder)? {
        for file in file_names(&folder)? {
            let Some(name) = SeriesName::parse(&file).filter(|_| !folder.join(&file).is_dir()) else { continue };
            available.insert(file.clone());
            if query.accepts(&name) {
                found.push(Found { name, folder: folder.clone(), file });
            }
        }
    }
    if found.is_empty() {
        let mut available: Vec<String> = available.into_iter().collect();
        available.sort_by(|a, b| natural_order(a, b));
        return Err(FindError::NoRuns { root: root.to_owned(), query: query.in_words(), available });
    }
    found.sort_by(|a, b| natural_order(&a.name.run, &b.name.run).then_with(|| a.file.cmp(&b.file)));
    let (mut runs, mut problems, mut unfetched) = (Vec::new(), Vec::new(), Vec::new());
    for versions in found.chunk_by(|a, b| a.name.run == b.name.run) {
        let mut run = RunFiles::of_series(&versions[0].name.run, versions[0].name.kind, Path::new(""));
        run.labels = labels(&subject_folder, &versions[0].name);
        let wanted = query.runs.is_empty() || query.runs.iter().any(|told| run.matches(told));
        match refuse_versions(versions).and_then(|()| complete(&subject_folder, &mut run, &versions[0])) {
            Err(problem) if wanted => problems.push(problem),
            Err(_) => {}
            Ok(()) => match run.unfetched() {
                files if files.is_empty() => runs.push(run),
                files if wanted => unfetched.extend(files),
                _ => {}
            },
        }
    }
    problems.extend(RunProblem::of_unfetched(unfetched));
    if problems.is_empty() { Ok(runs) } else { Err(FindError::Runs { root: root.to_owned(), problems }) }
}

fn labels(subject_folder: &Path, name: &SeriesName) -> RunLabels {
    let subject = subject_folder.file_name().unwrap_or_default().to_string_lossy();
    let subject = subject.strip_prefix("sub-").unwrap_or(&subject).to_owned();
    let entities = [("sub", subject), ("task", name.task.clone()), ("dir", name.direction.clone())];
    let short = name.run.split_once('_').map_or(name.run.as_str(), |(_, short)| short).to_owned();
    RunLabels {
        entities: entities.map(|(key, value)| (key.to_owned(), value)).to_vec(),
        names: vec![name.task.clone(), short, name.run.clone()],
    }
}

fn subject_folder(root: &Path, query: &HcpQuery) -> Result<PathBuf, FindError> {
    let label = query.subject.strip_prefix("sub-").unwrap_or(&query.subject);
    let names = file_names(root)?;
    let subject =
        names.iter().find(|name| name.strip_prefix("sub-").unwrap_or(name) == label && root.join(name).is_dir());
    if let Some(subject) = subject {
        return Ok(root.join(subject));
    }
    let mut available: Vec<String> = names.into_iter().filter(|name| root.join(name).is_dir()).collect();
    available.sort_by(|a, b| natural_order(a, b));
    Err(FindError::NoSubject { root: root.to_owned(), subject: query.subject.clone(), available })
}

/// The folders in which series of the subject may lie; the first layout that is there counts.
fn series_folders(subject: &Path) -> Result<Vec<PathBuf>, FindError> {
    let results = subject.join("MNINonLinear").join("Results");
    let inside = |folder: &Path| -> Result<Vec<PathBuf>, FindError> {
        let runs = file_names(folder)?.into_iter().filter(|name| name::is_run(name)).map(|name| folder.join(name));
        Ok(runs.filter(|folder| folder.is_dir()).collect())
    };
    if file_names(subject)?.is_empty() {
        return Err(FindError::EmptyFolder { path: subject.to_owned() });
    }
    if results.is_dir() {
        return inside(&results);
    }
    let structure = subject.join("MNINonLinear");
    if structure.is_dir() && file_names(&structure)?.is_empty() {
        return Err(FindError::EmptyFolder { path: structure });
    }
    let runs = inside(subject)?;
    Ok(if runs.is_empty() { vec![subject.to_owned()] } else { runs })
}

fn refuse_versions(versions: &[Found]) -> Result<(), RunProblem> {
    if versions.len() == 1 {
        return Ok(());
    }
    let run = versions[0].name.run.clone();
    type Part = fn(&SeriesName) -> String;
    let fields: [(&'static str, Part); 4] = [
        ("kind", |name| name.kind.to_string()),
        ("resolution", |name| name.resolution.clone()),
        ("registration", |name| name.registration.to_string()),
        ("processing", |name| name.processing.clone()),
    ];
    for (field, value) in fields {
        let found: BTreeSet<String> = versions.iter().map(|version| value(&version.name)).collect();
        if found.len() > 1 {
            return Err(RunProblem::Ambiguous { run, field, found: found.into_iter().collect() });
        }
    }
    Err(RunProblem::Copies {
        run,
        what: "series",
        found: versions.iter().map(|version| version.file.clone()).collect(),
    })
}

/// Adds the series, and what lies beside it.
fn complete(subject: &Path, run: &mut RunFiles, found: &Found) -> Result<(), RunProblem> {
    run.bold = found.folder.join(&found.file);
    if !is_named(&run.bold) {
        return Err(RunProblem::BrokenLink { run: found.name.run.clone(), path: run.bold.clone() });
    }
    let movement = ["Movement_Regressors.txt".to_owned(), format!("{}_Movement_Regressors.txt", found.name.run)];
    // In a folder of all runs, a file that names no run is nobody's.
    let nameless = if found.folder == *subject { &movement[1..] } else { &movement[..] };
    run.confounds = nameless.iter().map(|name| found.folder.join(name)).find(|path| is_named(path));
    if found.name.kind == SeriesKind::Grayordinates {
        run.space = Some("fsLR".to_owned());
        return Ok(());
    }
    run.space = Some("MNI152NLin6Asym".to_owned());
    let sizes: &[&str] = if found.name.is_7t { &["1.60", "1.6"] } else { &["2", "2.0"] };
    let masks = sizes.iter().map(|size| format!("brainmask_fs.{size}.nii.gz"));
    let mask = masks.flat_map(|mask| {
        let own = [found.folder.join(&mask), found.folder.join(format!("{}_{mask}", found.name.run))];
        own.into_iter().chain([subject.join("MNINonLinear").join(&mask), subject.join(mask)])
    });
    run.mask = mask.into_iter().find(|path| is_named(path));
    if run.mask.is_some() {
        return Ok(());
    }
    let expected = found.folder.join(format!("brainmask_fs.{}.nii.gz", sizes[0]));
    Err(RunProblem::MissingFile { run: found.name.run.clone(), what: "brain mask", expected })
}
