//! Series kept as `.npy` matrices, a file for each subject and run, found by a path with placeholders.
//!
//! A row is a volume, a column a voxel. Where a mask is named, column v is the v-th voxel inside it in C order of the
//! indices, as nilearn's `NiftiMasker` writes them; without one, columns have no place in the brain. Headers are checked
//! here, so that a study learns of every unusable file before it starts.

use std::path::{Path, PathBuf};

use super::annex::unfetched;
use super::nifti::read_volume;
use super::npy::MatrixReader;
use super::runs::naming::bare;
use super::runs::{FindError, RunFiles, RunLabels, RunProblem, SeriesKind, is_named};

const SUBJECT: &str = "{subject}";
const RUN: &str = "{run}";

/// Where matrices are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MatrixQuery {
    /// The matrix of a run, with `{subject}` and `{run}` in place of their names, such as `betas/{subject}_{run}.npy`.
    pub series: String,
    /// The mask whose voxels are the columns, a NIfTI volume, with or without `{subject}`; columns have no place without.
    pub mask: Option<String>,
    /// The confounds of a run, a TSV table, with `{subject}` and `{run}`.
    pub confounds: Option<String>,
    /// Seconds from one row to the next, if rows are volumes and not trials.
    pub repetition_time_s: Option<f64>,
}

/// Finds the matrices of every subject, each subject's in the order of `runs`.
///
/// # Errors
/// If a path does not tell subjects or runs apart; and, all told at once, if a file is missing, not fetched or not a
/// matrix, or has other columns than its mask has voxels or than the subject's other runs have.
pub fn find_matrix_runs(
    root: &Path,
    query: &MatrixQuery,
    subjects: &[String],
    runs: &[String],
) -> Result<Vec<Vec<RunFiles>>, FindError> {
    let several = [(SUBJECT, subjects.len() > 1), (RUN, runs.len() > 1)];
    check_template(&query.series, &several)?;
    check_template(query.mask.as_deref().unwrap_or_default(), &[(SUBJECT, false)])?;
    if let Some(confounds) = &query.confounds {
        check_template(confounds, &several)?;
    }
    let (mut all, mut problems, mut content) = (Vec::new(), Vec::new(), Vec::new());
    for subject in subjects {
        let mask = query.mask.as_ref().map(|template| root.join(template.replace(SUBJECT, subject)));
        let mut columns = match &mask {
            Some(path) => columns_of_mask(path, subject).map_err(|problem| problems.push(problem)).ok().flatten(),
            None => None,
        };
        let mut of_subject = Vec::with_capacity(runs.len());
        for name in runs {
            let file = |template: &str| root.join(template.replace(SUBJECT, subject).replace(RUN, name));
            let run = RunFiles {
                labels: labels(subject, name),
                mask: mask.clone(),
                confounds: query.confounds.as_deref().map(file),
                repetition_time_s: query.repetition_time_s,
                ..RunFiles::of_series(&format!("{subject}_{name}"), SeriesKind::Matrix, &file(&query.series))
            };
            let confounds = run.confounds.iter().map(|path| ("confounds table", path));
            for (what, path) in [("matrix", &run.bold)].into_iter().chain(confounds) {
                if !is_named(path) {
                    let (run, expected) = (run.name.clone(), path.clone());
                    problems.push(RunProblem::MissingFile { run, what, expected });
                }
            }
            content.extend(run.unfetched());
            if run.bold.is_file() && unfetched(&run.bold).is_none() {
                problems.extend(check_matrix(&run.bold, &mut columns).err());
            }
            of_subject.push(run);
        }
        all.push(of_subject);
    }
    problems.extend(RunProblem::of_unfetched(content));
    if problems.is_empty() { Ok(all) } else { Err(FindError::Runs { root: root.to_owned(), problems }) }
}

fn labels(subject: &str, run: &str) -> RunLabels {
    let entities =
        [("sub", subject), ("run", run)].map(|(key, value)| (key.to_owned(), bare(key, value).to_owned())).to_vec();
    let short = bare("run", run).to_owned();
    RunLabels { entities, names: if short == run { vec![short] } else { vec![short, run.to_owned()] } }
}

/// Checks the placeholders of a path: only those that are known, and those that several files need.
fn check_template(template: &str, known: &[(&str, bool)]) -> Result<(), FindError> {
    let wrong = |reason: String| Err(FindError::Template { template: template.to_owned(), reason });
    let mut rest = template.to_owned();
    for (placeholder, is_needed) in known {
        if *is_needed && !template.contains(placeholder) {
            return wrong(format!("names one file for all: put `{placeholder}` where their names differ"));
        }
        rest = rest.replace(placeholder, "");
    }
    if rest.contains(['{', '}']) {
        let names: Vec<String> = known.iter().map(|(placeholder, _)| format!("`{placeholder}`")).collect();
        return wrong(format!("has a placeholder that is not known: expected {}", names.join(" or ")));
    }
    Ok(())
}

/// Number of columns that something prescribes, and what does.
type Columns = (usize, PathBuf);

fn columns_of_mask(path: &Path, subject: &str) -> Result<Option<Columns>, RunProblem> {
    if unfetched(path).is_some() {
        // Told with the other files of the subject's runs.
        return Ok(None);
    }
    if !path.is_file() {
        return Err(RunProblem::MissingFile { run: subject.to_owned(), what: "mask", expected: path.to_owned() });
    }
    let (_, values) = read_volume(path)?;
    let n_inside = values.iter().filter(|value| !value.is_nan() && **value != 0.0).count();
    Ok(Some((n_inside, path.to_owned())))
}

fn check_matrix(path: &Path, columns: &mut Option<Columns>) -> Result<(), RunProblem> {
    let matrix = MatrixReader::open(path)?;
    let (rows, found) = (matrix.n_rows(), matrix.n_columns());
    if rows == 0 || found == 0 {
        return Err(RunProblem::EmptyMatrix { path: path.to_owned(), n_tr: rows, n_voxels: found });
    }
    let (expected, of) = columns.get_or_insert_with(|| (found, path.to_owned()));
    if found == *expected {
        return Ok(());
    }
    Err(RunProblem::Columns { path: path.to_owned(), found, rows, expected: *expected, of: of.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::nifti::write_labels;
    use crate::format::npy::{read_matrix, write_matrix};
    use ndarray::Array2;
    use proptest::prelude::*;

    const AFFINE: [[f64; 4]; 4] =
        [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn query() -> MatrixQuery {
        MatrixQuery {
            series: "betas/{subject}_{run}.npy".to_owned(),
            mask: Some("masks/{subject}_mask.nii.gz".to_owned()),
            repetition_time_s: Some(1.5),
            ..MatrixQuery::default()
        }
    }

    /// Two subjects with two runs of 4 x 5, and masks of 5 voxels.
    fn matrices() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["betas", "masks"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        for subject in ["s1", "s2"] {
            let path = root.path().join(format!("masks/{subject}_mask.nii.gz"));
            write_labels(&path, [2, 2, 2], AFFINE, &[1, 0, 1, 1, 0, 1, 0, 1]).unwrap();
            for run in ["run-1", "run-2"] {
                let path = root.path().join(format!("betas/{subject}_{run}.npy"));
                write_matrix(&path, Array2::from_elem((4, 5), 1.0).view()).unwrap();
            }
        }
        root
    }

    fn find(root: &Path, query: &MatrixQuery) -> Result<Vec<Vec<RunFiles>>, FindError> {
        find_matrix_runs(root, query, &texts(&["s1", "s2"]), &texts(&["run-1", "run-2"]))
    }

    #[test]
    fn matrices_are_found_in_the_order_asked_for() {
        let root = matrices();
        let found = find(root.path(), &query()).unwrap();
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        let run = &found[1][0];
        assert!(run.bold.ends_with("betas/s2_run-1.npy") && run.mask.as_ref().unwrap().ends_with("s2_mask.nii.gz"));
        assert_eq!((run.kind, run.repetition_time_s), (SeriesKind::Matrix, Some(1.5)));
        assert!(["1", "run-1", "sub-s2/run-1"].iter().all(|told| run.matches(told)) && !run.matches("2"));
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let root = matrices();
        let write = |file: &str, shape| {
            write_matrix(&root.path().join(file), Array2::from_elem(shape, 1.0).view()).unwrap();
        };
        write("betas/s1_run-1.npy", (5, 4));
        write("betas/s1_run-2.npy", (0, 5));
        std::fs::remove_file(root.path().join("betas/s2_run-1.npy")).unwrap();
        std::fs::write(root.path().join("betas/s2_run-2.npy"), "no matrix").unwrap();
        let error = find(root.path(), &query()).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.problems().len(), 4, "{text}");
        for part in [
            "s1_run-1.npy` has 4 columns, expected 5 as `",
            "s1_mask.nii.gz`: its rows are as many, save its transpose",
            "s1_run-2.npy` has shape [0, 5], expected at least one volume (row)",
            "run `s2_run-1` has no matrix: expected `",
            "s2_run-2.npy` is not a `.npy` file",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn runs_without_mask_must_agree_with_each_other() {
        let root = matrices();
        let bare = MatrixQuery { mask: None, ..query() };
        assert!(find(root.path(), &bare).unwrap()[0][0].mask.is_none());
        let path = root.path().join("betas/s1_run-2.npy");
        write_matrix(&path, Array2::from_elem((4, 6), 1.0).view()).unwrap();
        let text = find(root.path(), &bare).unwrap_err().to_string();
        assert!(text.contains("s1_run-2.npy` has 6 columns, expected 5 as") && text.contains("s1_run-1.npy"), "{text}");
    }

    #[test]
    fn paths_must_tell_files_apart() {
        let root = matrices();
        let said = |series: &str, mask: &str| {
            let query = MatrixQuery { series: series.to_owned(), mask: Some(mask.to_owned()), ..query() };
            find(root.path(), &query).unwrap_err().to_string()
        };
        assert_eq!(
            said("betas/{subject}.npy", "m.nii"),
            "`betas/{subject}.npy` names one file for all: put `{run}` where their names differ"
        );
        assert!(said("{subject}{run}{task}", "m.nii").contains("expected `{subject}` or `{run}`"));
        assert!(said("{subject}{run}", "{run}.nii").contains("placeholder that is not known: expected `{subject}`"));
    }

    #[test]
    fn unfetched_masks_and_matrices_are_told_once() {
        let root = matrices();
        for file in ["masks/s1_mask.nii.gz", "betas/s1_run-2.npy"] {
            std::fs::write(root.path().join(file), "/annex/objects/KEY\n").unwrap();
        }
        let error = find(root.path(), &query()).unwrap_err();
        let [RunProblem::Unfetched { files }] = error.problems() else { panic!("{error}") };
        assert_eq!(files.len(), 2, "{error}");
    }

    /// A `.npy` file of version 1 as NumPy writes it.
    fn npy(descriptor: &str, fortran_order: bool, data: &[u8]) -> Vec<u8> {
        let order = if fortran_order { "True" } else { "False" };
        let dictionary = format!("{{'descr': '{descriptor}', 'fortran_order': {order}, 'shape': (2, 3), }}");
        let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
        bytes.extend(format!("{dictionary:<117}\n").bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn integers_and_both_orders_are_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.npy");
        let integers: Vec<u8> = [1_i16, -2, 300, 4, 5, -32768].iter().flat_map(|value| value.to_le_bytes()).collect();
        std::fs::write(&path, npy("<i2", false, &integers)).unwrap();
        assert_eq!(read_matrix(&path).unwrap(), ndarray::array![[1.0, -2.0, 300.0], [4.0, 5.0, -32768.0]]);
        std::fs::write(&path, npy("<i2", true, &integers)).unwrap();
        assert_eq!(read_matrix(&path).unwrap(), ndarray::array![[1.0, 300.0, 5.0], [-2.0, 4.0, -32768.0]]);
        std::fs::write(&path, npy("<i4", false, &[0; 24])).unwrap();
        assert!(read_matrix(&path).unwrap_err().to_string().contains("type `<i4`, expected `<f4`, `<f8` or `<i2`"));
    }

    proptest! {
        #[test]
        fn damaged_matrices_are_problems(at in 0_usize..140, byte in any::<u8>(), kept in 0_usize..140) {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("x.npy");
            let mut bytes = npy("<i2", false, &[0; 12]);
            bytes[at] = byte;
            bytes.truncate(kept);
            std::fs::write(&path, &bytes).unwrap();
            if check_matrix(&path, &mut None).is_ok() {
                prop_assert!(read_matrix(&path).is_ok());
            }
        }
    }
}
