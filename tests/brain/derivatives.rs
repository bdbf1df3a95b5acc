//! A folder as fMRIPrep leaves it, found, masked and cleaned as nilearn does it.

use hebb::brain::mask::{Mask, VoxelSelection, VoxelTable, intersection};
use hebb::brain::prepare::{BoldRun, Preparation, PrepareError, Scale, clean, prepare_run};
use hebb::format::bids::{DatasetDescription, RunFiles, RunQuery, find_runs};
use hebb::format::npy::read_matrix;
use ndarray::Array2;

use super::fixture;

fn runs() -> Vec<RunFiles> {
    let query = RunQuery { subject: "sub-01".to_owned(), ..RunQuery::default() };
    find_runs(&fixture("derivatives"), &query).unwrap()
}

fn own_mask(run: &RunFiles) -> VoxelTable {
    VoxelTable::new(&Mask::read(run.mask.as_ref().unwrap()).unwrap(), None, &VoxelSelection::All).unwrap()
}

fn prepare(run: &RunFiles, preparation: &Preparation) -> Result<BoldRun, PrepareError> {
    prepare_run(run, &own_mask(run), preparation)
}

/// The largest difference over the largest expected value.
fn relative_error(found: &Array2<f32>, expected: &Array2<f32>) -> f64 {
    assert_eq!(found.dim(), expected.dim());
    assert!(found.iter().all(|value| value.is_finite()), "a difference from NaN is no largest one");
    let largest = expected.iter().fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
    let worst =
        found.iter().zip(expected).fold(0.0_f64, |most, (a, b)| most.max((f64::from(*a) - f64::from(*b)).abs()));
    worst / largest
}

const MOTION: [&str; 6] = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"];

fn names(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

#[test]
fn both_runs_are_found_with_everything_beside_them() {
    let runs = runs();
    assert_eq!(
        runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(),
        ["sub-01_task-movie_run-1", "sub-01_task-movie_run-2"]
    );
    for run in &runs {
        assert_eq!((run.repetition_time_s, run.space.as_deref()), (Some(1.5), Some("MNI152NLin2009cAsym")));
        assert!(run.confounds.is_some() && run.events.is_some());
    }
    assert_eq!(DatasetDescription::read(&fixture("derivatives")).unwrap().name, "tiny");
}

#[test]
fn masks_meet_in_their_common_voxels() {
    let masks: Vec<Mask> = runs().iter().map(|run| Mask::read(run.mask.as_ref().unwrap()).unwrap()).collect();
    let common = VoxelTable::new(&intersection(&masks).unwrap(), None, &VoxelSelection::All).unwrap();
    assert_eq!((own_mask(&runs()[1]).n_voxels(), common.n_voxels()), (25, 24));
    let voxels = common.locations.voxels().unwrap();
    assert!(voxels.is_sorted() && !voxels.contains(&[2, 2, 2]));
}

#[test]
fn cleaned_series_are_those_of_nilearn() {
    let plain = Preparation { scale: Scale::None, ..Preparation::default() };
    let motion = Preparation { confounds: names(&MOTION), ..Preparation::default() };
    let cases = [
        ("raw", plain.clone()),
        ("z_score", Preparation::default()),
        ("motion", motion.clone()),
        ("motion_no_z_score", Preparation { scale: Scale::None, ..motion.clone() }),
        (
            "all",
            Preparation {
                confounds: names(&["trans_*", "rot_*"]),
                high_pass_s: Some(40.0),
                detrend: true,
                ..motion.clone()
            },
        ),
        (
            "scrubbed",
            Preparation {
                high_pass_s: Some(40.0),
                drop_non_steady_state: true,
                max_framewise_displacement_mm: Some(0.5),
                ..motion
            },
        ),
        ("detrend", Preparation { detrend: true, ..plain }),
    ];
    for (name, preparation) in cases {
        for (number, run) in runs().iter().enumerate() {
            let expected = read_matrix(&fixture(&format!("derivatives/run-{}_{name}.npy", number + 1))).unwrap();
            let prepared = prepare(run, &preparation).unwrap();
            let error = relative_error(&prepared.series, &expected);
            println!("{name} run {}: relative error {error:.1e}", number + 1);
            assert!(error < 2e-6, "{name}: {error}");
            assert!(prepared.constant.is_empty() && prepared.non_finite.is_empty());
            assert_eq!(prepared.kept.len() + prepared.dropped().len(), prepared.n_tr);
        }
    }
}

#[test]
fn projection_is_that_of_nilearn() {
    let expected = read_matrix(&fixture("derivatives/direct_out.npy")).unwrap();
    let mut series = read_matrix(&fixture("derivatives/direct_in.npy")).unwrap();
    let basis = clean::orthonormal_basis(&clean::cosine_drift(60, 1.5, 40.0).unwrap(), 60).unwrap();
    assert!(clean::clean(&mut series, &basis, true, Scale::ZScore).constant.is_empty());
    let error = relative_error(&series, &expected);
    // The input is narrowed to single precision on reading, which alone moves it by 3e-5 of the noise.
    assert!(error < 1e-5, "{error}");
}

#[test]
fn constant_confounds_change_nothing() {
    let run = &runs()[0];
    let with = Preparation { confounds: names(&["constant", "trans_x"]), ..Preparation::default() };
    let without = Preparation { confounds: names(&["trans_x"]), ..Preparation::default() };
    let (with, without) = (prepare(run, &with).unwrap(), prepare(run, &without).unwrap());
    assert_eq!((with.series, with.n_regressors), (without.series, 1));
    assert_eq!(with.confounds, ["trans_x", "constant"]);
}

#[test]
fn contradictions_are_named() {
    let run = runs().remove(0);
    let message = |run: &RunFiles, preparation: &Preparation| prepare(run, preparation).unwrap_err().to_string();
    let two = RunFiles { repetition_time_s: Some(2.0), ..run.clone() };
    let expected = "run `sub-01_task-movie_run-1` has repetition time 1.5 s in the header and 2 s in the sidecar: correct one of them";
    assert_eq!(message(&two, &Preparation::default()), expected);
    let motion = Preparation { confounds: names(&["motion_*"]), ..Preparation::default() };
    assert!(message(&run, &motion).starts_with("`motion_*` names no column of `"));
    let bare = RunFiles { confounds: None, ..run.clone() };
    assert!(message(&bare, &motion).starts_with("run `sub-01_task-movie_run-1` has no confounds table"));
    let everything = Preparation { high_pass_s: Some(3.1), confounds: names(&["csf"]), ..Preparation::default() };
    assert!(message(&run, &everything).contains("has 60 volumes left and 59 independent regressors"));
    let nothing_passes = Preparation { high_pass_s: Some(3.0), ..Preparation::default() };
    assert_eq!(message(&run, &nothing_passes), "`high_pass_s` is 3, expected more seconds than two volumes take (3)");
    let gone = Preparation { drop_initial: 59, ..Preparation::default() };
    assert!(message(&run, &gone).contains("has 1 volumes left and 0 independent regressors"));
}

#[test]
fn thread_count_changes_no_bit() {
    let run = &runs()[0];
    let preparation = Preparation { confounds: names(&MOTION), high_pass_s: Some(40.0), ..Preparation::default() };
    let with_threads = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| prepare(run, &preparation).unwrap())
    };
    assert_eq!(with_threads(1), with_threads(5));
}
