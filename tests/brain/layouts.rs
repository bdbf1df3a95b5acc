//! Folders as laboratories have them: derivatives of fMRIPrep 23 and 24, several sessions and echoes, git-annex.

use std::path::Path;

use hebb::format::bids::{RunQuery, describe, find_runs};
use hebb::format::runs::{Choice, FindError, RunFiles, RunNote, RunProblem, SeriesKind, choose};
use proptest::prelude::*;

/// A folder with these files; JSON sidecars state a repetition time of 1.5 s, other files are empty.
pub(super) fn tree(files: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let text = if file.ends_with(".json") { "{\"RepetitionTime\": 1.5, \"TaskName\": \"movie\"}" } else { "" };
        write(root.path(), file, text);
    }
    root
}

pub(super) fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn query() -> RunQuery {
    RunQuery { subject: "sub-01".to_owned(), ..RunQuery::default() }
}

pub(super) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) fn names(runs: &[RunFiles]) -> Vec<&str> {
    runs.iter().map(|run| run.name.as_str()).collect()
}

pub(super) fn told(result: Result<Vec<RunFiles>, FindError>) -> String {
    result.unwrap_err().to_string()
}

/// What fMRIPrep 23.2 and 24.1 leave of one subject with `--output-spaces MNI152NLin2009cAsym:res-2 T1w --cifti-output`.
const FMRIPREP: [&str; 38] = [
    "dataset_description.json",
    "desc-aseg_dseg.tsv",
    "sub-01.html",
    "sub-01/figures/sub-01_task-movie_run-1_desc-summary_bold.html",
    "sub-01/anat/sub-01_desc-brain_mask.json",
    "sub-01/anat/sub-01_desc-brain_mask.nii.gz",
    "sub-01/anat/sub-01_desc-preproc_T1w.nii.gz",
    "sub-01/anat/sub-01_space-MNI152NLin2009cAsym_res-2_desc-brain_mask.nii.gz",
    "sub-01/anat/sub-01_space-MNI152NLin2009cAsym_res-2_desc-preproc_T1w.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_desc-brain_mask.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_desc-confounds_timeseries.json",
    "sub-01/func/sub-01_task-movie_run-1_desc-confounds_timeseries.tsv",
    "sub-01/func/sub-01_task-movie_run-1_desc-coreg_boldref.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_desc-hmc_boldref.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_from-boldref_to-T1w_mode-image_desc-coreg_xfm.txt",
    "sub-01/func/sub-01_task-movie_run-1_hemi-L_space-fsnative_bold.func.gii",
    "sub-01/func/sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_res-2_boldref.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_res-2_desc-brain_mask.json",
    "sub-01/func/sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_res-2_desc-brain_mask.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.json",
    "sub-01/func/sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-T1w_boldref.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-T1w_desc-aparcaseg_dseg.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-T1w_desc-brain_mask.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-T1w_desc-preproc_bold.json",
    "sub-01/func/sub-01_task-movie_run-1_space-T1w_desc-preproc_bold.nii.gz",
    "sub-01/func/sub-01_task-movie_run-1_space-fsLR_den-91k_bold.dtseries.nii",
    "sub-01/func/sub-01_task-movie_run-1_space-fsLR_den-91k_bold.json",
    "sub-01/func/sub-01_task-movie_run-2_desc-confounds_timeseries.json",
    "sub-01/func/sub-01_task-movie_run-2_desc-confounds_timeseries.tsv",
    "sub-01/func/sub-01_task-movie_run-2_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.json",
    "sub-01/func/sub-01_task-movie_run-2_space-MNI152NLin2009cAsym_res-2_desc-preproc_bold.nii.gz",
    "sub-01/func/sub-01_task-movie_run-2_space-T1w_desc-brain_mask.nii.gz",
    "sub-01/func/sub-01_task-movie_run-2_space-T1w_desc-preproc_bold.nii.gz",
    "sub-01/func/sub-01_task-movie_run-2_space-fsLR_den-91k_bold.dtseries.nii",
    "sub-01/func/sub-01_task-movie_run-2_space-fsLR_den-91k_bold.json",
    "sub-01/func/sub-01_task-rest_desc-confounds_timeseries.tsv",
    "sub-01/func/sub-01_task-rest_space-fsLR_den-91k_bold.dtseries.nii",
];

#[test]
fn volumes_and_grayordinates_of_fmriprep_are_told_apart_by_space() {
    let root = tree(&FMRIPREP);
    let volumes = find_runs(root.path(), &RunQuery { space: some("MNI152NLin2009cAsym"), ..query() }).unwrap();
    assert_eq!(names(&volumes), ["sub-01_task-movie_run-1", "sub-01_task-movie_run-2"]);
    assert_eq!((volumes[0].kind, volumes[0].repetition_time_s), (SeriesKind::Volume, Some(1.5)));
    assert!(volumes[0].mask.as_ref().unwrap().ends_with(FMRIPREP[18]) && volumes[0].notes.is_empty());
    assert!(volumes[0].confounds_json.as_ref().unwrap().ends_with(FMRIPREP[10]));
    // Run 2 lost its mask: that of the anatomy lies in the same space at the same resolution.
    let anatomical = root.path().join(FMRIPREP[7]);
    assert_eq!(volumes[1].notes, [RunNote::AnatomicalMask { mask: anatomical.clone() }]);
    assert_eq!(volumes[1].mask, Some(anatomical));

    let surfaces = find_runs(root.path(), &RunQuery { kind: Some(SeriesKind::Grayordinates), ..query() }).unwrap();
    assert_eq!(names(&surfaces), ["sub-01_task-movie_run-1", "sub-01_task-movie_run-2", "sub-01_task-rest"]);
    assert_eq!((&surfaces[0].mask, surfaces[0].space.as_deref()), (&None, Some("fsLR")));
    assert_eq!((surfaces[1].repetition_time_s, surfaces[2].repetition_time_s), (Some(1.5), None));
    assert!(surfaces[0].confounds.is_some());
    assert_eq!(choose("rest", &surfaces), Choice::One(&surfaces[2]));
}

#[test]
fn every_ambiguous_run_is_told() {
    let root = tree(&FMRIPREP);
    let error = find_runs(root.path(), &query()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.problems().len(), 2, "{text}");
    for run in ["1", "2"] {
        let line = format!(
            "- run `sub-01_task-movie_run-{run}` exists with space `MNI152NLin2009cAsym`, `T1w`, `fsLR`: set `space` to one of them"
        );
        assert!(text.contains(&line), "{text}");
    }
    // Trouble with runs that a study does not speak of is not its trouble.
    let rest = find_runs(root.path(), &RunQuery { runs: vec!["rest".to_owned()], ..query() }).unwrap();
    assert_eq!(names(&rest), ["sub-01_task-rest"]);
}

#[test]
fn each_entity_that_tells_versions_apart_is_named_with_its_field() {
    let bold = |middle: &str, extension: &str| format!("sub-01/func/sub-01_task-movie_{middle}bold{extension}");
    for (first, second, expected) in [
        ("space-M_res-1_desc-preproc_", "space-M_res-2_desc-preproc_", "resolution `1`, `2`: set `resolution`"),
        ("den-91k_desc-preproc_", "den-170k_desc-preproc_", "density `91k`, `170k`: set `density`"),
        ("echo-1_desc-preproc_", "echo-2_desc-preproc_", "echoes `1`, `2`: set `echo` to one of them, or `desc`"),
    ] {
        let root = tree(&[bold(first, ".nii.gz").as_str(), bold(second, ".nii.gz").as_str()]);
        let text = told(find_runs(root.path(), &query()));
        assert!(text.starts_with("run `sub-01_task-movie` ") && text.contains(expected), "{text}");
    }
    let root = tree(&[bold("desc-preproc_", ".nii").as_str(), bold("desc-preproc_", ".dtseries.nii").as_str()]);
    assert!(told(find_runs(root.path(), &query())).contains("kind `volume`, `grayordinates`: set `kind`"));
    let root = tree(&[bold("desc-preproc_", ".nii").as_str(), bold("desc-preproc_", ".nii.gz").as_str()]);
    assert!(told(find_runs(root.path(), &query())).contains("has several series, `"));
    let root = tree(&[bold("", ".dtseries.nii").as_str(), bold("desc-preproc_", ".dtseries.nii").as_str()]);
    assert!(told(find_runs(root.path(), &query())).contains("desc `none`, `preproc`: set `desc`"));
}

#[test]
fn several_sessions_repeat_their_run_labels() {
    let mut files = Vec::new();
    for session in ["a", "b", "10", "9"] {
        for run in ["01", "02"] {
            let stem = format!("sub-01/ses-{session}/func/sub-01_ses-{session}_task-movie_run-{run}");
            files.push(format!("{stem}_desc-preproc_bold.nii.gz"));
            files.push(format!("{stem}_desc-confounds_timeseries.tsv"));
        }
        // One mask for both runs of the session.
        files.push(format!("sub-01/ses-{session}/func/sub-01_ses-{session}_task-movie_desc-brain_mask.nii.gz"));
    }
    let root = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let runs = find_runs(root.path(), &query()).unwrap();
    let sessions: Vec<&str> = names(&runs).iter().step_by(2).map(|name| name.split('_').nth(1).unwrap()).collect();
    assert_eq!(sessions, ["ses-9", "ses-10", "ses-a", "ses-b"]);
    assert!(matches!(&runs[0].notes[..], [RunNote::SharedMask { mask }] if mask.ends_with(&files[19])), "{runs:?}");
    let Choice::Several { found, told_apart_by } = choose("1", &runs) else { panic!("four runs are called 1") };
    assert_eq!((found.len(), told_apart_by), (4, vec!["ses".to_owned()]));
    assert_eq!(choose("ses-b/run-1", &runs), Choice::One(&runs[6]));
    assert_eq!(choose("ses-9_run-02", &runs), Choice::One(&runs[1]));
    let one = find_runs(root.path(), &RunQuery { session: some("ses-b"), ..query() }).unwrap();
    assert_eq!(choose("2", &one), Choice::One(&one[1]));
}

#[test]
fn acquisitions_and_directions_are_runs_of_their_own() {
    let stems = ["acq-mb4_dir-AP_run-1", "acq-mb4_dir-PA_run-1", "acq-mb8_dir-AP_run-1"];
    let files: Vec<String> = stems
        .iter()
        .flat_map(|stem| {
            ["desc-preproc_bold", "desc-brain_mask"]
                .map(|end| format!("sub-01/func/sub-01_task-movie_{stem}_{end}.nii.gz"))
        })
        .collect();
    let root = tree(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let runs = find_runs(root.path(), &query()).unwrap();
    assert_eq!(runs.len(), 3);
    assert_eq!(choose("dir-PA", &runs), Choice::One(&runs[1]));
    let Choice::Several { told_apart_by, .. } = choose("run-1", &runs) else { panic!("three runs are called 1") };
    assert_eq!(told_apart_by, ["acq", "dir"]);
    let narrowed = RunQuery { acquisition: some("mb4"), direction: some("dir-AP"), ..query() };
    assert_eq!(names(&find_runs(root.path(), &narrowed).unwrap()), ["sub-01_task-movie_acq-mb4_dir-AP_run-1"]);
}

#[test]
fn combined_echoes_are_the_run_and_single_ones_its_parts() {
    let root = tree(&[
        "sub-01/func/sub-01_task-movie_echo-1_desc-preproc_bold.nii.gz",
        "sub-01/func/sub-01_task-movie_echo-2_desc-preproc_bold.nii.gz",
        "sub-01/func/sub-01_task-movie_echo-2_desc-preproc_bold.json",
        "sub-01/func/sub-01_task-movie_desc-preproc_bold.nii.gz",
        "sub-01/func/sub-01_task-movie_desc-optcom_bold.nii.gz",
        "sub-01/func/sub-01_task-movie_desc-brain_mask.nii.gz",
        "sub-01/func/sub-01_task-movie_desc-confounds_timeseries.tsv",
    ]);
    let bold = |query: &RunQuery| {
        let runs = find_runs(root.path(), query).unwrap();
        assert_eq!(runs.len(), 1);
        assert!(runs[0].mask.is_some() && runs[0].confounds.is_some());
        (runs[0].bold.file_name().unwrap().to_string_lossy().into_owned(), runs[0].repetition_time_s)
    };
    assert_eq!(bold(&query()), ("sub-01_task-movie_desc-preproc_bold.nii.gz".to_owned(), None));
    assert_eq!(bold(&RunQuery { desc: some("optcom"), ..query() }).0, "sub-01_task-movie_desc-optcom_bold.nii.gz");
    let second = ("sub-01_task-movie_echo-2_desc-preproc_bold.nii.gz".to_owned(), Some(1.5));
    assert_eq!(bold(&RunQuery { echo: some("2"), ..query() }), second);
}

#[test]
fn other_descriptions_are_listed_when_preproc_is_not_there() {
    let root = tree(&["sub-01/func/sub-01_task-movie_space-fsLR_den-91k_desc-denoised_bold.dtseries.nii"]);
    let text = told(find_runs(root.path(), &query()));
    assert!(text.ends_with("it has `sub-01_task-movie_space-fsLR_den-91k_desc-denoised_bold.dtseries.nii`"), "{text}");
    assert_eq!(find_runs(root.path(), &RunQuery { desc: some("denoised"), ..query() }).unwrap().len(), 1);
}

#[test]
fn events_and_times_are_inherited_from_the_raw_dataset() {
    let root = tree(&[
        "sub-01/ses-a/func/sub-01_ses-a_task-movie_run-1_space-M_desc-preproc_bold.nii.gz",
        "sub-01/ses-a/func/sub-01_ses-a_task-movie_run-1_space-M_desc-brain_mask.nii.gz",
    ]);
    let raw = tree(&["task-movie_bold.json", "task-movie_events.tsv", "sub-01/sub-01_task-movie_events.tsv"]);
    let with_raw = RunQuery { raw_root: Some(raw.path().to_owned()), ..query() };
    let events = || find_runs(root.path(), &with_raw).unwrap().remove(0).events;
    assert_eq!(events(), Some(raw.path().join("sub-01/sub-01_task-movie_events.tsv")));
    write(raw.path(), "sub-01/ses-a/func/sub-01_ses-a_task-movie_run-1_events.tsv", "");
    assert_eq!(events(), Some(raw.path().join("sub-01/ses-a/func/sub-01_ses-a_task-movie_run-1_events.tsv")));
    assert_eq!(find_runs(root.path(), &with_raw).unwrap()[0].repetition_time_s, Some(1.5));
    write(raw.path(), "sub-01/sub-01_task-movie_bold.json", "{\"RepetitionTime\": 2000}");
    let text = told(find_runs(root.path(), &with_raw));
    assert!(text.ends_with("expected at most 30 seconds: if it is meant in milliseconds, write 2"), "{text}");
    // What the derivatives say themselves counts more.
    write(root.path(), "task-movie_bold.json", "{\"RepetitionTime\": 2}");
    assert_eq!(find_runs(root.path(), &with_raw).unwrap()[0].repetition_time_s, Some(2.0));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let stem = |run: &str| format!("sub-01/func/sub-01_task-movie_run-{run}_desc-");
    let root = tempfile::tempdir().unwrap();
    for run in ["1", "2", "3"] {
        write(root.path(), &(stem(run) + "preproc_bold.nii.gz"), "");
    }
    write(root.path(), &(stem("2") + "brain_mask.nii.gz"), "/annex/objects/K\n");
    write(root.path(), &(stem("2") + "preproc_bold.json"), "{\"RepetitionTime\": -1}");
    write(root.path(), &(stem("3") + "preproc_bold.json"), "not json");
    let error = find_runs(root.path(), &query()).unwrap_err();
    let kinds: Vec<bool> = error
        .problems()
        .iter()
        .zip(0..)
        .map(|(problem, place)| match place {
            0 | 2 => matches!(problem, RunProblem::MissingFile { what: "brain mask", .. }),
            1 => matches!(problem, RunProblem::RepetitionTime { .. }),
            3 => matches!(problem, RunProblem::Sidecar { .. }),
            _ => matches!(problem, RunProblem::Unfetched { files } if files.len() == 1),
        })
        .collect();
    assert_eq!(kinds, [true; 5], "{error}");
}

#[test]
fn native_series_take_no_anatomical_mask() {
    let root =
        tree(&["sub-01/func/sub-01_task-movie_desc-preproc_bold.nii.gz", "sub-01/anat/sub-01_desc-brain_mask.nii.gz"]);
    assert!(told(find_runs(root.path(), &query())).contains("has no brain mask"));
}

#[cfg(unix)]
#[test]
fn links_into_the_annex_are_told_with_one_command() {
    let root = tree(&["sub-01/anat/x.txt", "sub-01/func/sub-01_task-movie_run-1_desc-brain_mask.nii.gz"]);
    let func = root.path().join("sub-01/func");
    let link = |file: &str| {
        let target = "../../.git/annex/objects/Xx/yY/MD5E-s9--0.nii.gz/MD5E-s9--0.nii.gz";
        std::os::unix::fs::symlink(target, func.join(file)).unwrap();
    };
    for run in ["1", "2"] {
        link(&format!("sub-01_task-movie_run-{run}_desc-preproc_bold.nii.gz"));
        link(&format!("sub-01_task-movie_run-{run}_desc-confounds_timeseries.tsv"));
    }
    link("sub-01_task-movie_run-2_desc-brain_mask.nii.gz");
    let error = find_runs(root.path(), &query()).unwrap_err();
    let [RunProblem::Unfetched { files }] = error.problems() else { panic!("{error}") };
    assert_eq!(files.len(), 5);
    assert!(error.to_string().ends_with(&format!("run `datalad get {}`", func.display())), "{error}");
    // A subject that is a dataset of its own, not installed, is an empty folder.
    std::fs::create_dir(root.path().join("sub-02")).unwrap();
    let text = told(find_runs(root.path(), &RunQuery { subject: "02".to_owned(), ..query() }));
    assert!(text.contains("is empty: if it is a DataLad subdataset, run `datalad get "), "{text}");
}

#[test]
fn provenance_of_derivatives_is_read() {
    let root = tree(&[]);
    let text = r#"{"Name": "fMRIPrep - fMRI PREProcessing workflow", "BIDSVersion": "1.4.0", "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "fMRIPrep", "Version": "24.1.1"}], "DatasetLinks": {"raw": "/data"}}"#;
    write(root.path(), "dataset_description.json", text);
    assert_eq!(describe(root.path()).unwrap().programs().next().unwrap().to_string(), "fMRIPrep 24.1.1");
}

#[cfg(unix)]
#[test]
fn links_to_nothing_and_folders_are_no_series() {
    let root = tree(&["sub-01/func/sub-01_task-movie_run-1_desc-brain_mask.nii.gz"]);
    let func = root.path().join("sub-01/func");
    std::fs::create_dir(func.join("sub-01_task-movie_run-2_desc-preproc_bold.nii.gz")).unwrap();
    assert!(told(find_runs(root.path(), &query())).ends_with("it has none"));
    std::os::unix::fs::symlink("nowhere", func.join("sub-01_task-movie_run-1_desc-preproc_bold.nii.gz")).unwrap();
    let text = told(find_runs(root.path(), &query()));
    assert!(text.starts_with("run `sub-01_task-movie_run-1` has a series that is a link to nothing, `"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever lies in a folder, it is either found whole or told.
    #[test]
    fn any_folder_is_runs_or_problems(
        names in proptest::collection::vec(
            "(sub-01_)?(ses-a_)?(task-(movie|rest)_)?(run-0?[12]_)?(echo-[12]_)?(space-(M|T1w)_)?(desc-(preproc|brain|confounds)_)?\
             (bold|mask|events|timeseries)\\.(nii|nii\\.gz|dtseries\\.nii|json|tsv)",
            0..14,
        ),
        texts in proptest::collection::vec("(\\{\"RepetitionTime\": [0-9]{1,4}\\}|/annex/objects/K|\\PC{0,6})", 14),
        places in proptest::collection::vec(0_usize..4, 14),
    ) {
        let root = tempfile::tempdir().unwrap();
        for ((name, text), place) in names.iter().zip(&texts).zip(places) {
            let folder = ["sub-01/func/", "sub-01/ses-a/func/", "sub-01/anat/", ""][place];
            write(root.path(), &format!("{folder}{name}"), text);
        }
        std::fs::create_dir_all(root.path().join("sub-01")).unwrap();
        match find_runs(root.path(), &query()) {
            Ok(runs) => {
                prop_assert!(!runs.is_empty());
                for run in &runs {
                    prop_assert!(run.bold.is_file() && run.unfetched().is_empty());
                    prop_assert_eq!(run.mask.is_some(), run.kind == SeriesKind::Volume);
                    prop_assert_eq!(runs.iter().filter(|other| other.name == run.name).count(), 1);
                    prop_assert!(run.repetition_time_s.is_none_or(|seconds| seconds > 0.0 && seconds <= 30.0));
                }
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
