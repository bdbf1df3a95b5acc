//! Preparation against nilearn under every combination of options, and files that do not fit each other (fixtures made
//! by `tests/scripts/make_preparation_fixtures.py`).

use std::path::Path;

use hebb::brain::mask::{Mask, VoxelSelection, VoxelTable};
use hebb::brain::prepare::{
    ClipTable, MatrixSource, Preparation, PrepareError, RunInputs, Scale, prepare_run, prepare_source, regression,
    repetition_time,
};
use hebb::format::bids::{RunFiles, RunQuery, find_runs};
use hebb::format::nifti::{ImageHeader, VolumeWriter, write_labels};
use hebb::format::npy::{read_matrix, write_matrix};
use hebb::format::runs::SeriesKind;
use ndarray::{Array2, s};
use proptest::prelude::*;
use serde::Deserialize;

use super::fixture;

/// A preparation, and what nilearn made of it.
#[derive(Deserialize)]
struct Case {
    name: String,
    run: String,
    preparation: Preparation,
    columns: Vec<String>,
    dropped: Vec<usize>,
    rows: Option<[usize; 2]>,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(&std::fs::read_to_string(fixture("preparation/cases.json")).unwrap()).unwrap()
}

fn run(label: &str) -> RunFiles {
    let query = RunQuery { subject: "01".to_owned(), ..RunQuery::default() };
    let runs = find_runs(&fixture("preparation"), &query).unwrap();
    runs.into_iter().find(|run| run.name.ends_with(label)).unwrap()
}

fn voxels(run: &RunFiles) -> VoxelTable {
    VoxelTable::new(&Mask::read(run.mask.as_ref().unwrap()).unwrap(), None, &VoxelSelection::All).unwrap()
}

fn from_json(text: &str) -> Preparation {
    serde_json::from_str(text).unwrap()
}

#[test]
fn columns_and_volumes_are_those_of_load_confounds() {
    let cases = cases();
    assert!(cases.iter().filter(|case| case.name.contains("anat") || case.name.contains("temporal")).count() == 20);
    for case in cases {
        let chosen = regression(&run(&case.run), 64, 1.5, &case.preparation).unwrap();
        let mut columns = chosen.confounds;
        columns.sort();
        assert_eq!(columns, case.columns, "{}", case.name);
        let dropped: Vec<usize> = (0..64).filter(|volume| !chosen.kept.contains(volume)).collect();
        assert_eq!(dropped, case.dropped, "{}", case.name);
    }
}

#[test]
fn series_are_those_of_nifti_masker() {
    let expected = read_matrix(&fixture("preparation/series.npy")).unwrap();
    let (mut worst, mut compared) = (0.0_f64, 0);
    for case in cases() {
        let Some([first, end]) = case.rows else { continue };
        let run = run(&case.run);
        let found = prepare_run(&run, &voxels(&run), &case.preparation).unwrap().series;
        let expected = expected.slice(s![first..end, ..]);
        assert_eq!(found.dim(), expected.dim(), "{}", case.name);
        assert!(found.iter().all(|value| value.is_finite()), "{}", case.name);
        // Each voxel has its own scale, so that one with large values does not hide the error of another.
        for (found, expected) in found.columns().into_iter().zip(expected.columns()) {
            let largest = expected.iter().fold(0.0_f64, |most, &value| most.max(f64::from(value).abs()));
            let error = found.iter().zip(expected).fold(0.0_f64, |most, (a, b)| most.max(f64::from((a - b).abs())));
            worst = worst.max(error / largest);
            assert!(error < 1e-5 * largest, "{}: {error:e} of {largest}", case.name);
        }
        compared += 1;
    }
    println!("{compared} preparations, largest relative error {worst:.1e}");
    assert!(compared >= 50 && worst > 0.0);
}

#[test]
fn matrices_are_cleaned_as_volumes_are() {
    let run = run("new");
    let table = voxels(&run);
    let plain = from_json(r#"{"scale": "none"}"#);
    let raw = prepare_run(&run, &table, &plain).unwrap().series;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bold.npy");
    write_matrix(&path, raw.view()).unwrap();
    let cleaning =
        from_json(r#"{"high_pass_s": 40, "detrend": true, "nuisance": {"motion": "full"}, "drop_volumes": ["3-7"]}"#);
    let mut source = MatrixSource::open(&path, table.n_voxels(), (0..table.n_voxels()).collect()).unwrap();
    let inputs = RunInputs { repetition_time_s: Some(1.5), series: &path, ..(&run).into() };
    let found = prepare_source(&mut source, inputs, &cleaning).unwrap();
    assert_eq!(found, prepare_run(&run, &table, &cleaning).unwrap());
    let mut source = MatrixSource::open(&path, table.n_voxels(), (0..table.n_voxels()).collect()).unwrap();
    let nowhere = RunInputs { repetition_time_s: None, ..inputs };
    let error = prepare_source(&mut source, nowhere, &cleaning).unwrap_err();
    assert!(matches!(error, PrepareError::NoRepetitionTime { .. }));
    let smoothing = from_json(r#"{"smoothing_fwhm_mm": 6}"#);
    let error = prepare_source(&mut source, inputs, &smoothing).unwrap_err();
    assert!(matches!(error, PrepareError::NotSmoothable { .. }));
}

#[test]
fn clips_leave_their_volumes_alone() {
    let run = run("old");
    let clips = ClipTable::parse(Path::new("clips.tsv"), b"onset\tduration\n6\t30\n48\t40\n").unwrap();
    let inputs = RunInputs { clips: Some(&clips), ..(&run).into() };
    let chosen = regression(inputs, 64, 1.5, &from_json(r#"{"clip_trim_s": 3}"#)).unwrap();
    assert_eq!(chosen.kept, (6..24).chain(34..59).collect::<Vec<_>>());
    let error = regression(inputs, 50, 1.5, &Preparation::default()).unwrap_err().to_string();
    assert!(error.starts_with("`clips.tsv` line 3 ends at 88 s, the run of 50 volumes ends at 75 s"), "{error}");
}

#[test]
fn clips_of_hcp_movies_fit_their_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/hcp-movie");
    for (movie, n_tr, n_clips) in [(1, 921, 5), (2, 918, 4), (3, 915, 5), (4, 901, 4)] {
        let table = ClipTable::read(&folder.join(format!("clips-MOVIE{movie}.tsv"))).unwrap();
        let clips = table.clips();
        assert_eq!(clips.len(), n_clips);
        // The same clip closes every run, and rest of 20 s surrounds every clip.
        let last = clips.last().unwrap();
        assert!(last.name.as_deref() == Some("repeat") && (last.duration_s - 83.38).abs() < 1e-9);
        assert!(clips.windows(2).all(|pair| (19.5..20.5).contains(&(pair[1].onset_s - pair[0].end_s()))));
        assert!(clips[0].onset_s == 20.0 && (n_tr as f64 - last.end_s()) >= 20.0);
        let volumes = table.volumes(n_tr, 1.0, 0.0).unwrap();
        assert!(volumes[0] == 20 && *volumes.last().unwrap() == last.end_s() as usize);
        assert_eq!(table.volumes(n_tr, 1.0, 10.0).unwrap().len(), volumes.len() - 10 * n_clips);
    }
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let message = |text: &str| regression(&run("new"), 64, 1.5, &from_json(text)).unwrap_err().to_string();
    assert_eq!(
        message(r#"{"high_pass_s": 128, "nuisance": {"fmriprep_cosines": true}}"#),
        "`high_pass_s` and `nuisance.fmriprep_cosines` are both set, expected one high-pass filter"
    );
    let unfiltered = message(r#"{"nuisance": {"compcor": {"method": "temporal"}}}"#);
    assert!(unfiltered.starts_with("`nuisance.compcor` is set without a high-pass filter"), "{unfiltered}");
    let too_many = r#"{"high_pass_s": 4, "nuisance": {"motion": "full"}}"#;
    assert!(message(too_many).contains("has 64 volumes left and 63 independent regressors"), "{}", message(too_many));
    assert!(message(r#"{"drop_volumes": ["60-64"]}"#).starts_with("`drop_volumes` names volume 64, run `sub-01"));
    assert!(message(r#"{"drop_initial": 63}"#).contains("has 1 volumes left"));
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let original = run("new").confounds.unwrap();
    let copy = folder.path().join("confounds.tsv");
    let text = std::fs::read_to_string(&original).unwrap();
    let files = RunFiles { confounds: Some(copy.clone()), ..run("new") };
    let message = |text: &str, preparation: &str| {
        std::fs::write(&copy, text).unwrap();
        regression(&files, 64, 1.5, &from_json(preparation)).unwrap_err().to_string()
    };
    let compcor = r#"{"high_pass_s": 40, "nuisance": {"compcor": {"method": "anat-combined", "n": 2}}}"#;
    let no_sidecar = message(&text, compcor);
    assert!(no_sidecar.contains("confounds.json`: ") && no_sidecar.contains("`nuisance.compcor` needs it"));
    let shorter: String = text.lines().take(64).map(|line| format!("{line}\n")).collect();
    let motion = r#"{"nuisance": {"motion": "basic"}}"#;
    assert!(message(&shorter, motion).ends_with("has 63 rows, expected 64, one per volume"));
    let mut lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let column = lines[0].iter().position(|name| *name == "trans_y").unwrap();
    lines[7][column] = "n/a";
    let holes: String = lines.iter().map(|line| line.join("\t") + "\n").collect();
    assert!(message(&holes, motion).contains("line 8 column `trans_y` is `n/a`, expected a number"));
    let dropped = r#"{"nuisance": {"motion": "basic"}, "drop_volumes": [6]}"#;
    assert!(regression(&files, 64, 1.5, &from_json(dropped)).is_ok());
    let renamed = text.replace("white_matter_power2", "wm_power2");
    let tissues = message(&renamed, r#"{"nuisance": {"wm_csf": "full"}}"#);
    assert!(tissues.contains("lacks columns of `nuisance.wm_csf`: `white_matter_power2`"), "{tissues}");
}

#[test]
fn times_in_milliseconds_are_named() {
    let files = RunFiles { repetition_time_s: None, ..run("new") };
    let error = repetition_time(&files, Some(1500.0)).unwrap_err().to_string();
    let expected = "run `sub-01_task-movie_run-new` has a repetition time of 1500 s, expected at most 30 s: a time in milliseconds must be written in seconds";
    assert_eq!(error, expected);
    let sidecar = RunFiles { repetition_time_s: Some(2000.0), ..run("new") };
    assert!(matches!(repetition_time(&sidecar, None), Err(PrepareError::RepetitionTime { .. })));
    assert!(matches!(repetition_time(&sidecar, Some(2.0)), Err(PrepareError::TwoRepetitionTimes { .. })));
}

/// A run of 2x2x2 voxels of which `value` tells each from volume and offset.
fn tiny(folder: &Path, n_tr: usize, value: impl Fn(usize, usize) -> f32) -> (RunFiles, VoxelTable) {
    let affine = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
    let (mask, bold) = (folder.join("mask.nii.gz"), folder.join("bold.nii.gz"));
    write_labels(&mask, [2, 2, 2], affine, &[1; 8]).unwrap();
    let header = ImageHeader { n_volumes: Some(n_tr), repetition_time_s: 1.0, ..ImageHeader::map([2, 2, 2], affine) };
    let mut writer = VolumeWriter::create(&bold, &header).unwrap();
    for t in 0..n_tr {
        writer.write_volume(&(0..8).map(|v| value(t, v)).collect::<Vec<_>>()).unwrap();
    }
    writer.finish().unwrap();
    let table = VoxelTable::new(&Mask::read(&mask).unwrap(), None, &VoxelSelection::All).unwrap();
    let files = RunFiles { mask: Some(mask), ..RunFiles::of_series("run-1", SeriesKind::Volume, &bold) };
    (files, table)
}

#[test]
fn voxels_without_use_are_listed_and_zero_under_every_scale() {
    let folder = tempfile::tempdir().unwrap();
    let (files, table) = tiny(folder.path(), 12, |t, v| match (v, t) {
        (1, _) => 42.0,
        (2, 5) => f32::NAN,
        (4, 0) => f32::NEG_INFINITY,
        _ => ((t * (v + 3)) as f32).sin() + 100.0,
    });
    for scale in [Scale::ZScore, Scale::PercentChange, Scale::None] {
        let run = prepare_run(&files, &table, &Preparation { scale, ..Preparation::default() }).unwrap();
        // Offset 1 is voxel (1, 0, 0), which is column 4 in C order; 2 is (0, 1, 0), column 2; 4 is (0, 0, 1), column 1.
        assert_eq!((run.constant, run.non_finite), (vec![4], vec![1, 2]));
        assert!(run.series.iter().all(|value| value.is_finite()));
        let is_zero = |column: usize| run.series.column(column).iter().all(|&value| value == 0.0);
        assert_eq!((0..8).filter(|&column| is_zero(column)).collect::<Vec<_>>(), [1, 2, 4]);
    }
    // Smoothing does not bring them back: a voxel without a value is not studied by its neighbours' values.
    let smoothed = from_json(r#"{"smoothing_fwhm_mm": 3}"#);
    let run = prepare_run(&files, &table, &smoothed).unwrap();
    assert_eq!((run.constant, run.non_finite), (vec![], vec![1, 2]));
    let wide = prepare_run(&files, &table, &from_json(r#"{"smoothing_fwhm_mm": 5}"#)).unwrap_err().to_string();
    assert!(wide.starts_with("`smoothing_fwhm_mm` is 5, expected a positive width of at most 4 mm"), "{wide}");
}

#[test]
fn a_run_cut_off_is_an_error_and_no_series() {
    let folder = tempfile::tempdir().unwrap();
    let (files, table) = tiny(folder.path(), 200, |t, v| ((t * 31 + v * 17) % 97) as f32);
    let whole = std::fs::read(&files.bold).unwrap();
    std::fs::write(&files.bold, &whole[..whole.len() / 2]).unwrap();
    let error = prepare_run(&files, &table, &Preparation::default()).unwrap_err().to_string();
    assert!(error.contains("cut off or damaged"), "{error}");
}

#[test]
fn thread_count_changes_no_bit_of_a_wide_matrix() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bold.npy");
    let wide = Array2::from_shape_fn((40, 1300), |(t, v)| 500.0 + ((t * (v % 11 + 1)) as f32 * 0.37).sin() * 9.0);
    write_matrix(&path, wide.view()).unwrap();
    let preparation = from_json(r#"{"high_pass_s": 20, "detrend": true, "scale": "percent-change"}"#);
    let with = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let run = RunInputs { name: "run", series: &path, repetition_time_s: Some(1.0), confounds: None, clips: None };
        pool.install(|| {
            prepare_source(&mut MatrixSource::open(&path, 1300, (0..1300).collect()).unwrap(), run, &preparation)
                .unwrap()
        })
    };
    assert_eq!(with(1), with(4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_in_the_table_make_preparation_panic(changes in prop::collection::vec((0_usize..36_000, any::<u8>()), 1..20)) {
        let folder = tempfile::tempdir().unwrap();
        let original = run("new").confounds.unwrap();
        let copy = folder.path().join("confounds.tsv");
        std::fs::copy(original.with_extension("json"), copy.with_extension("json")).unwrap();
        let mut bytes = std::fs::read(&original).unwrap();
        for (position, byte) in changes {
            let position = position % bytes.len();
            bytes[position] = byte;
        }
        std::fs::write(&copy, bytes).unwrap();
        let files = RunFiles { confounds: Some(copy), ..run("new") };
        let everything = from_json(
            r#"{"confounds": ["*_power2"], "max_std_dvars": 1.5, "max_framewise_displacement_mm": 0.5, "scrub_after": 1,
                "nuisance": {"fmriprep_cosines": true, "compcor": {"method": "anat-separated", "n": 2}}}"#,
        );
        if let Ok(chosen) = regression(&files, 64, 1.5, &everything) {
            prop_assert!(chosen.basis.iter().all(|value| value.is_finite()));
        }
    }
}
