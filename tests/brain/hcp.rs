//! Folders of the Human Connectome Project, as it ships them and as people copy them.

use std::path::PathBuf;

use hebb::format::hcp::{HcpQuery, Registration, find_hcp_runs, read_movement};
use hebb::format::runs::{Choice, RunProblem, SeriesKind, choose};

use super::layouts::{names, some, told, tree, write};

const RESULTS: &str = "MNINonLinear/Results";

/// A subject of the HCP 7T release, and one 3T task.
fn hcp(folder: &str) -> tempfile::TempDir {
    let mut files = Vec::new();
    for run in ["tfMRI_MOVIE1_7T_AP", "tfMRI_MOVIE2_7T_PA", "tfMRI_MOTOR_LR", "tfMRI_MOTOR_RL"] {
        let ends: &[&str] = match run.contains("7T") {
            true => &[
                "_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii",
                "_Atlas_1.6mm_hp2000_clean.dtseries.nii",
                "_Atlas_MSMAll_hp2000_clean.dtseries.nii",
                "_Atlas_MSMAll_hp2000_clean_rclean.dtseries.nii",
                "_Atlas_hp2000_clean_vn.dscalar.nii",
                "_SBRef.nii.gz",
                ".nii.gz",
                "_hp2000_clean.nii.gz",
            ],
            false => &["_Atlas_MSMAll.dtseries.nii", ".nii.gz", "_SBRef.nii.gz"],
        };
        files.extend(ends.iter().map(|end| format!("{folder}/{RESULTS}/{run}/{run}{end}")));
        files.push(format!("{folder}/{RESULTS}/{run}/Movement_Regressors.txt"));
    }
    files.push(format!("{folder}/{RESULTS}/tfMRI_MOVIE1_7T_AP/brainmask_fs.1.60.nii.gz"));
    files.push(format!("{folder}/MNINonLinear/brainmask_fs.1.60.nii.gz"));
    files.push(format!("{folder}/MNINonLinear/brainmask_fs.2.nii.gz"));
    tree(&files.iter().map(String::as_str).collect::<Vec<_>>())
}

fn hcp_query() -> HcpQuery {
    HcpQuery { subject: "100610".to_owned(), ..HcpQuery::default() }
}

#[test]
fn grayordinates_of_hcp_are_chosen_by_their_version() {
    let root = hcp("100610");
    let grayordinates = HcpQuery { kind: Some(SeriesKind::Grayordinates), ..hcp_query() };
    let movie = HcpQuery { processing: some("hp2000_clean"), ..grayordinates.clone() };
    let text = told(find_hcp_runs(root.path(), &movie));
    assert!(
        text.contains("- run `tfMRI_MOVIE2_7T_PA` exists with resolution `1.6mm`, `2mm`: set `resolution`"),
        "{text}"
    );
    let movie = HcpQuery { resolution: some("1.6mm"), ..movie };
    let text = told(find_hcp_runs(root.path(), &movie));
    assert!(text.contains("registration `msm-all`, `msm-sulc`: set `registration`"), "{text}");
    let runs = find_hcp_runs(root.path(), &HcpQuery { registration: Some(Registration::MsmAll), ..movie }).unwrap();
    assert_eq!(names(&runs), ["tfMRI_MOVIE1_7T_AP", "tfMRI_MOVIE2_7T_PA"]);
    assert!(runs[0].bold.ends_with("tfMRI_MOVIE1_7T_AP_Atlas_1.6mm_MSMAll_hp2000_clean.dtseries.nii"));
    assert!(runs[0].confounds.as_ref().unwrap().ends_with("tfMRI_MOVIE1_7T_AP/Movement_Regressors.txt"));
    assert_eq!((&runs[0].mask, runs[0].space.as_deref()), (&None, Some("fsLR")));
    for told in ["MOVIE1", "MOVIE1_7T_AP", "tfMRI_MOVIE1_7T_AP", "task-MOVIE1"] {
        assert_eq!(choose(told, &runs), Choice::One(&runs[0]), "{told}");
    }
    let recleaned = HcpQuery { processing: some("hp2000_clean_rclean"), ..grayordinates };
    assert!(
        find_hcp_runs(root.path(), &recleaned).unwrap()[0]
            .bold
            .ends_with("tfMRI_MOVIE1_7T_AP/tfMRI_MOVIE1_7T_AP_Atlas_MSMAll_hp2000_clean_rclean.dtseries.nii")
    );
    let absent = HcpQuery { processing: some("hp0_clean"), ..hcp_query() };
    assert!(
        told(find_hcp_runs(root.path(), &absent)).contains("processing `hp0_clean`: it has `tfMRI_MOTOR_LR.nii.gz`, ")
    );
}

#[test]
fn volumes_of_hcp_come_with_their_masks() {
    let root = hcp("sub-100610");
    let volumes = HcpQuery { kind: Some(SeriesKind::Volume), ..hcp_query() };
    let clean = find_hcp_runs(root.path(), &HcpQuery { processing: some("hp2000_clean"), ..volumes.clone() }).unwrap();
    let own = format!("sub-100610/{RESULTS}/tfMRI_MOVIE1_7T_AP/brainmask_fs.1.60.nii.gz");
    assert_eq!(clean[0].mask, Some(root.path().join(own)));
    assert_eq!(clean[1].mask, Some(root.path().join("sub-100610/MNINonLinear/brainmask_fs.1.60.nii.gz")));
    let raw = find_hcp_runs(root.path(), &HcpQuery { processing: some("raw"), ..volumes.clone() }).unwrap();
    assert_eq!(names(&raw)[..2], ["tfMRI_MOTOR_LR", "tfMRI_MOTOR_RL"]);
    assert_eq!(raw[0].mask, Some(root.path().join("sub-100610/MNINonLinear/brainmask_fs.2.nii.gz")));
    let Choice::Several { told_apart_by, .. } = choose("MOTOR", &raw) else { panic!("two runs are called MOTOR") };
    assert_eq!(told_apart_by, ["dir"]);
    std::fs::remove_file(root.path().join("sub-100610/MNINonLinear/brainmask_fs.1.60.nii.gz")).unwrap();
    let query = HcpQuery { processing: some("hp2000_clean"), ..volumes };
    let text = told(find_hcp_runs(root.path(), &query));
    assert!(text.starts_with("run `tfMRI_MOVIE2_7T_PA` has no brain mask: expected `"), "{text}");
    let first = find_hcp_runs(root.path(), &HcpQuery { runs: vec!["MOVIE1".to_owned()], ..query }).unwrap();
    assert_eq!(names(&first), ["tfMRI_MOVIE1_7T_AP"]);
}

#[test]
fn a_mask_of_several_runs_that_is_not_fetched_is_told_once() {
    let root = hcp("100610");
    let mask = root.path().join("100610/MNINonLinear/brainmask_fs.2.nii.gz");
    std::fs::write(&mask, "/annex/objects/KEY\n").unwrap();
    let raw = HcpQuery { kind: Some(SeriesKind::Volume), processing: some("raw"), ..hcp_query() };
    let error = find_hcp_runs(root.path(), &raw).unwrap_err();
    let [RunProblem::Unfetched { files }] = error.problems() else { panic!("{error}") };
    assert_eq!(files.iter().map(|file| &file.path).collect::<Vec<_>>(), [&mask]);
}

#[test]
fn flatter_layouts_of_hcp_are_found() {
    let series = "tfMRI_MOVIE1_7T_AP_Atlas_MSMAll_hp2000_clean.dtseries.nii";
    for (file, movement) in [
        (format!("100610/tfMRI_MOVIE1_7T_AP/{series}"), "100610/tfMRI_MOVIE1_7T_AP/Movement_Regressors.txt"),
        (format!("100610/{series}"), "100610/tfMRI_MOVIE1_7T_AP_Movement_Regressors.txt"),
    ] {
        let root = tree(&[&file, movement, "100610/Movement_Regressors.txt"]);
        let runs = find_hcp_runs(root.path(), &hcp_query()).unwrap();
        let expected: Vec<PathBuf> = vec![root.path().join(&file), root.path().join(movement)];
        assert_eq!(vec![runs[0].bold.clone(), runs[0].confounds.clone().unwrap()], expected);
    }
    let root = tree(&["100610/x.txt"]);
    let text = told(find_hcp_runs(root.path(), &HcpQuery { subject: "100611".to_owned(), ..hcp_query() }));
    assert!(text.ends_with("has no folder for subject `100611`: it has `100610`"), "{text}");
    assert!(told(find_hcp_runs(root.path(), &hcp_query())).ends_with("subject `100610`: it has none"));
    // In the project's DataLad dataset every such folder is a dataset of its own.
    std::fs::create_dir(root.path().join("100610/MNINonLinear")).unwrap();
    let text = told(find_hcp_runs(root.path(), &hcp_query()));
    assert!(text.contains("MNINonLinear` is empty: if it is a DataLad subdataset, run `datalad get "), "{text}");
}

#[test]
fn movement_regressors_become_confounds() {
    let root = tempfile::tempdir().unwrap();
    let line = "0.1 0 0 1.5 0 0 0.1 0 0 0.5 0 0\r\n";
    write(root.path(), "Movement_Regressors.txt", &line.repeat(3));
    let table = read_movement(&root.path().join("Movement_Regressors.txt")).unwrap();
    assert_eq!(table.n_rows(), 3);
    assert_eq!(table.numbers("rot_x").unwrap()[2], Some(1.5_f64.to_radians()));
    assert_eq!(table.numbers("framewise_displacement").unwrap(), [None, Some(0.0), Some(0.0)]);
}
