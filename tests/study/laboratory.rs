//! Files as laboratories have them: fMRIPrep's confounds, surfaces, the Connectome Project's folders, matrices of their own.

use super::{
    bench::{Bench, on_files, printed, program},
    edits::{FITS, edits},
};
use hebb::format::{
    cifti::{BrainModelKind, BrainModels, Label, LabelMap, Maps, Matrix, Series, Structure, write_keys, write_maps},
    nifti::{ImageHeader, VolumeReader, VolumeWriter, read_info, read_labels, read_volume},
    npy::write_matrix,
    tsv::Table,
};
use ndarray::Array2;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

const SUBJECTS: [&str; 2] = ["sub-01", "sub-02"];

/// Where the series of a run, or what lies beside it, is.
fn beside(folder: &Path, subject: &str, run: usize, rest: &str) -> PathBuf {
    folder.join(format!("inputs/derivatives/{subject}/func/{subject}_task-simulated_run-{run}{rest}"))
}

fn bold(folder: &Path, subject: &str, run: usize) -> PathBuf {
    beside(folder, subject, run, "_space-schematic_desc-preproc_bold.nii.gz")
}

/// Numbers that look like a signal and are the same every time.
fn wave(a: usize, b: usize) -> f32 {
    ((a * 7 + b * 13 + a * b % 11) as f32 * 0.61).sin()
}

/// The study on files with everything beside them that a laboratory may have.
fn laboratory() -> Option<Bench> {
    static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| {
        let bench = crate::model::runtime().then(|| Bench::new(&on_files()))?;
        bench.write_inputs();
        for subject in SUBJECTS {
            for run in 1..=4 {
                add_confounds(bench.folder(), subject, run);
                write_own_matrix(bench.folder(), subject, run);
            }
        }
        write_probabilities(bench.folder());
        let ran = bench.run();
        assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
        Some(bench)
    });
    RAN.as_ref().map(Bench::copy)
}

/// Adds the columns that fMRIPrep writes and a simulation does not, and the description of the components.
fn add_confounds(folder: &Path, subject: &str, run: usize) {
    let path = beside(folder, subject, run, "_desc-confounds_timeseries.tsv");
    let table = Table::read(&path).expect("a table");
    let mut added = vec!["csf", "white_matter", "std_dvars", "cosine00", "a_comp_cor_00", "a_comp_cor_01"];
    added.retain(|name| table.position(name).is_none());
    let mut whole = Table::new(table.columns().iter().map(String::as_str).chain(added.iter().copied()));
    for (row, fields) in table.rows().iter().enumerate() {
        let values = (0..added.len()).map(|column| format!("{}", 1.0 + wave(row, column + run)));
        whole.push(fields.iter().cloned().chain(values));
    }
    whole.write(&path).expect("writable");
    let component = r#"{"Mask": "combined", "Method": "aCompCor", "Retained": true}"#;
    let described = format!("{{\"a_comp_cor_00\": {component}, \"a_comp_cor_01\": {component}}}");
    fs::write(path.with_extension("json"), described).expect("writable");
}

/// What stands in a volume inside its mask, as a matrix.
fn write_own_matrix(folder: &Path, subject: &str, run: usize) {
    let mask = beside(folder, subject, run, "_space-schematic_desc-brain_mask.nii.gz");
    let (info, inside) = read_volume(&mask).expect("a mask");
    let [nx, ny, nz] = info.shape;
    let places = (0..nx).flat_map(|i| (0..ny).flat_map(move |j| (0..nz).map(move |k| i + nx * (j + ny * k))));
    let places: Vec<usize> = places.filter(|&place| inside[place] != 0.0).collect();
    let mut rows = Vec::new();
    let mut reader = VolumeReader::open(&bold(folder, subject, run)).expect("a series");
    let n_tr = reader.info().n_volumes;
    reader
        .each_volume(|_, volume| {
            rows.extend(places.iter().map(|&place| volume[place]));
            Ok::<(), hebb::format::nifti::NiftiError>(())
        })
        .expect("readable");
    let out = folder.join("own").join(subject);
    fs::create_dir_all(&out).expect("writable");
    let matrix = Array2::from_shape_vec((n_tr, places.len()), rows).expect("whole rows");
    write_matrix(&out.join(format!("run-{run}.npy")), matrix.view()).expect("writable");
    fs::copy(mask, out.join("mask.nii.gz")).expect("writable");
    fs::copy(beside(folder, subject, run, "_desc-confounds_timeseries.tsv"), out.join(format!("run-{run}.tsv")))
        .expect("writable");
}

/// Two overlapping regions on the grid of the labels.
fn write_probabilities(folder: &Path) {
    let (info, labels) = read_labels(&folder.join("inputs/derivatives/atlas/schematic_dseg.nii.gz")).expect("an atlas");
    let header = ImageHeader {
        n_volumes: Some(2),
        repetition_time_s: 1.0,
        ..ImageHeader::map(info.shape, info.affine.expect("a place"))
    };
    let mut writer = VolumeWriter::create(&folder.join("probabilities.nii.gz"), &header).expect("writable");
    for region in 0..2 {
        let probability = |label: &i32| if *label > region && *label < region + 4 { 0.5 } else { 0.0 };
        writer.write_volume(&labels.iter().map(probability).collect::<Vec<f32>>()).expect("writable");
    }
    writer.finish().expect("writable");
}

edits! {
    laboratory();

    motion_reruns_preparation: "preparation.nuisance.motion",
        ["confounds = [\"trans_*\", \"rot_*\"]" -> "nuisance = { motion = \"basic\" }"] computes "bold", FITS;
    white_matter_reruns_preparation: "preparation.nuisance.wm_csf",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nnuisance = { wm_csf = \"basic\" }"] computes "bold", FITS;
    the_global_signal_reruns_preparation: "preparation.nuisance.global_signal",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nnuisance = { global_signal = \"basic\" }"] computes "bold", FITS;
    components_rerun_preparation: "preparation.nuisance.compcor.method",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nnuisance = { compcor = { method = \"anat-combined\" } }"]
        computes "bold", FITS;
    fewer_components_rerun_preparation: "preparation.nuisance.compcor.n",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nnuisance = { compcor = { method = \"anat-combined\", n = 1 } }"]
        computes "bold", FITS;
    cosines_of_the_table_rerun_preparation: "preparation.nuisance.fmriprep_cosines",
        ["high_pass_s = 128.0" -> "nuisance = { fmriprep_cosines = true }"] computes "bold", FITS;
    volumes_that_changed_much_rerun_preparation: "preparation.max_std_dvars",
        ["high_pass_s = 128.0" -> "high_pass_s = 128.0\nmax_std_dvars = 1.9"] computes "bold", FITS;
    probabilities_rerun_masks: "atlas.threshold",
        ["labels = \"inputs/derivatives/atlas/schematic_dseg.nii.gz\"" -> "labels = \"probabilities.nii.gz\"\nthreshold = 0.3"]
        ["table = \"inputs/derivatives/atlas/schematic_dseg.tsv\"\n" -> ""] computes "mask groups bold", FITS;
    a_space_that_nobody_says_is_told_in_the_results: "atlas.space",
        ["space = \"schematic\"\n" -> ""] computes "mask groups bold prediction maps redundancy report";
    volumes_by_name_rerun_nothing: "bold.bids.series", ["[bold.bids]" -> "[bold.bids]\nseries = \"volume\""] computes;
    the_usual_description_by_name_reruns_nothing: "bold.bids.desc", ["[bold.bids]" -> "[bold.bids]\ndesc = \"preproc\""] computes;
    a_raw_folder_reruns_nothing: "bold.bids.raw_folder", ["[bold.bids]" -> "[bold.bids]\nraw_folder = \"inputs\""] computes;
    the_same_numbers_in_matrices_stop_there: "bold.matrices.path",
        ["[bold.bids]\nfolder = \"inputs/derivatives\"" -> "[bold.matrices]\npath = \"own/{subject}/run-{run}.npy\"\nmask = \"own/{subject}/mask.nii.gz\"\nconfounds = \"own/{subject}/run-{run}.tsv\"\nrepetition_time_s = 1.5"]
        computes "mask/sub-01 groups bold prediction maps redundancy report";
    matrices_in_a_folder_stop_there: "bold.matrices.folder",
        ["[bold.bids]\nfolder = \"inputs/derivatives\"" -> "[bold.matrices]\nfolder = \"own\"\npath = \"{subject}/run-{run}.npy\"\nmask = \"{subject}/mask.nii.gz\"\nconfounds = \"{subject}/run-{run}.tsv\"\nrepetition_time_s = 1.5"]
        computes "mask/sub-01 groups bold prediction maps redundancy report";
    one_mask_for_all_matrices_stops_there: "bold.matrices.mask",
        ["[bold.bids]\nfolder = \"inputs/derivatives\"" -> "[bold.matrices]\npath = \"own/{subject}/run-{run}.npy\"\nmask = \"own/sub-01/mask.nii.gz\"\nconfounds = \"own/{subject}/run-{run}.tsv\"\nrepetition_time_s = 1.5"]
        computes "mask/sub-01 groups bold prediction maps redundancy report";
    matrices_without_confounds_rerun_fits: "bold.matrices.confounds",
        ["[bold.bids]\nfolder = \"inputs/derivatives\"" -> "[bold.matrices]\npath = \"own/{subject}/run-{run}.npy\"\nmask = \"own/{subject}/mask.nii.gz\"\nrepetition_time_s = 1.5"]
        ["confounds = [\"trans_*\", \"rot_*\"]\n" -> ""] computes "mask/sub-01 groups bold", FITS;
    matrices_of_one_subject_stop_there: "bold.matrices.subjects",
        ["[bold.bids]\nfolder = \"inputs/derivatives\"\nsubjects = [\"sub-01\", \"sub-02\"]" -> "[bold.matrices]\nsubjects = [\"sub-02\"]\npath = \"own/{subject}/run-{run}.npy\"\nmask = \"own/{subject}/mask.nii.gz\"\nconfounds = \"own/{subject}/run-{run}.tsv\"\nrepetition_time_s = 1.5"]
        computes "mask/sub-02 groups bold prediction maps redundancy report";
    matrices_of_another_pace_rerun_all: "bold.matrices.repetition_time_s",
        ["[bold.bids]\nfolder = \"inputs/derivatives\"" -> "[bold.matrices]\npath = \"own/{subject}/run-{run}.npy\"\nmask = \"own/{subject}/mask.nii.gz\"\nconfounds = \"own/{subject}/run-{run}.tsv\"\nrepetition_time_s = 1.6"]
        computes "series pattern mask/sub-01 groups bold", FITS;
}

/// Fields of surfaces, tried in [`surfaces_are_one_study_wherever_they_lie`].
pub(super) const SURFACE_FIELDS: [&str; 13] = [
    "bold.bids.acquisition",
    "bold.bids.direction",
    "bold.bids.echo",
    "bold.bids.resolution",
    "bold.bids.density",
    "bold.hcp.folder",
    "bold.hcp.subjects",
    "bold.hcp.series",
    "bold.hcp.resolution",
    "bold.hcp.registration",
    "bold.hcp.processing",
    "atlas.map",
    "bold.bids.subjects",
];

/// A small cortex and what lies beneath it.
fn places() -> BrainModels {
    let surface = |name: &str, vertices: Vec<u32>| {
        (Structure::new(name).expect("a name"), BrainModelKind::Surface { n_vertices: 60, vertices })
    };
    let cortex = [surface("CORTEX_LEFT", (0..40).collect()), surface("CORTEX_RIGHT", (5..45).collect())];
    BrainModels::new(cortex, None).expect("distinct places")
}

/// Series of grayordinates in both layouts, one of several by every entity, and an atlas of two maps.
fn write_surfaces(folder: &Path) {
    let models = places();
    for (number, subject) in SUBJECTS.into_iter().enumerate() {
        for run in 1..=4 {
            let info = read_info(&bold(folder, subject, run)).expect("a series");
            let (n_tr, step_s) = (info.n_volumes, info.repetition_time_s.expect("a pace"));
            let series = |salt: usize| -> Vec<f32> {
                (0..n_tr).flat_map(|t| (0..models.len()).map(move |v| wave(t + 31 * run, v + salt))).collect()
            };
            let write = |path: PathBuf, salt: usize| {
                fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
                let matrix = Matrix::dense(Maps::Series(Series::seconds(n_tr, step_s)), models.clone());
                write_maps(&path, &matrix, &series(number + salt)).expect("writable");
            };
            let func = folder.join("surfaces").join(subject).join("func");
            let of = |acquisition: &str, rest: &str| {
                func.join(format!("{subject}_task-movie_acq-{acquisition}_dir-AP_run-{run}{rest}_bold.dtseries.nii"))
            };
            write(of("a", "_space-fsLR_res-2_den-91k"), 0);
            write(of("b", "_space-fsLR_res-2_den-91k"), 50);
            write(of("a", "_space-fsLR_res-2_den-170k"), 50);
            write(of("a", "_echo-2_space-fsLR_res-2_den-91k"), 50);
            let number = subject.trim_start_matches("sub-");
            let results = format!("hcp/{number}/MNINonLinear/Results/tfMRI_MOVIE{run}_7T_AP");
            let of =
                |rest: &str| folder.join(&results).join(format!("tfMRI_MOVIE{run}_7T_AP_Atlas{rest}.dtseries.nii"));
            write(of("_1.6mm_MSMAll_hp2000_clean"), 0);
            write(of("_MSMAll_hp2000_clean"), 50);
            write(of("_1.6mm_hp2000_clean"), 50);
            write(of("_1.6mm_MSMAll"), 50);
        }
    }
    fs::write(folder.join("surfaces/dataset_description.json"), r#"{"Name": "surfaces", "BIDSVersion": "1.8.0"}"#)
        .expect("writable");
    let names = ["???", "seeing", "hearing", "speaking"];
    let label = |(key, name): (i32, &&str)| Label { key, name: (*name).to_owned(), rgba: [0.2, 0.4, 0.6, 1.0] };
    let labels: Vec<Label> = (0..).zip(&names).map(label).collect();
    let map = |name: &str| LabelMap { name: name.to_owned(), labels: labels.clone(), metadata: Vec::new() };
    let matrix = Matrix::dense(Maps::Labels(vec![map("fine"), map("coarse")]), models.clone());
    let keys: Vec<i32> = (0..2 * models.len() as i32).map(|place| (place / 7) % 4).collect();
    write_keys(&folder.join("networks.dlabel.nii"), &matrix, &keys).expect("writable");
}

fn on_surfaces(bold: &str) -> String {
    let text = on_files();
    let start = text.find("[bold.bids]").expect("brains");
    let end = text.find("[patterns.dictionary]").expect("patterns");
    let atlas = "[atlas]\nspace = \"fsLR\"\nlabels = \"networks.dlabel.nii\"\nmap = \"fine\"";
    format!("{}{bold}\n\n{atlas}\n\n[preparation]\nhigh_pass_s = 128.0\n\n{}", &text[..start], &text[end..])
}

/// Where series on surfaces lie in a BIDS folder.
const ON_SURFACES: &str = r#"[bold.bids]
folder = "surfaces"
series = "grayordinates"
subjects = ["sub-01", "sub-02"]
acquisition = "a"
direction = "AP"
resolution = "2"
density = "91k""#;

/// The tiny study on surfaces, which has not run; absent where there is nothing to run it with.
fn surfaces() -> Option<Bench> {
    let bench = crate::model::runtime().then(|| Bench::new(&on_files()))?;
    bench.write_inputs();
    write_surfaces(bench.folder());
    bench.write(&on_surfaces(ON_SURFACES));
    Some(bench)
}

#[test]
fn surfaces_are_one_study_wherever_they_lie() {
    let Some(bench) = surfaces() else { return };
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);

    // Maps are on the surfaces, and every place is told in the table.
    let planned = bench.plan();
    let map = planned.artifact("maps/sub-01/clip").join("maps/sub-01_desc-clip_stat-r_statmap.dscalar.nii");
    let info = hebb::format::cifti::read_cifti_info(&map).expect("a map on surfaces");
    assert_eq!((info.n_maps(), info.n_places()), (1, 80));
    let table = Table::read(&planned.artifact("mask/sub-01").join("voxels.tsv")).expect("a table");
    assert_eq!(table.n_rows(), (0..80).filter(|place| (place / 7) % 4 != 0).count());

    // The same series in the Connectome Project's folders are the same study.
    let hcp = "[bold.hcp]\nfolder = \"hcp\"\nseries = \"grayordinates\"\nsubjects = [\"sub-01\", \"sub-02\"]\nresolution = \"1.6mm\"\nregistration = \"msm-all\"\n\
               processing = \"hp2000_clean\"";
    let of_hcp =
        on_surfaces(hcp).replace("train = [\"1\", \"2\", \"3\"]", "train = [\"MOVIE1\", \"MOVIE2\", \"MOVIE3\"]");
    let of_hcp = of_hcp
        .replace("test = [\"4\"]", "test = [\"MOVIE4_7T_AP\"]")
        .replace("inputs/stimuli/run-{run}.tsv", "shown/{run}.tsv");
    fs::create_dir_all(bench.folder().join("shown")).expect("writable");
    for (run, name) in (1..).zip(["MOVIE1", "MOVIE2", "MOVIE3", "MOVIE4_7T_AP"]) {
        let table = fs::read_to_string(bench.folder().join(format!("inputs/stimuli/run-{run}.tsv"))).expect("a table");
        fs::write(
            bench.folder().join(format!("shown/{name}.tsv")),
            table.replace("images/", "../inputs/stimuli/images/"),
        )
        .expect("writable");
    }
    bench.write(&of_hcp);
    let planned = bench.plan();
    let bold: Vec<_> =
        planned.to_run().into_keys().filter(|id| !id.starts_with("report") && !id.starts_with("maps")).collect();
    assert!(bold.is_empty(), "{bold:?}");

    // Another choice of each kind is other files.
    for (from, to) in [
        ("acquisition = \"a\"", "acquisition = \"b\""),
        ("density = \"91k\"", "density = \"170k\""),
        ("density = \"91k\"", "density = \"91k\"\necho = \"2\""),
    ] {
        bench.write(&on_surfaces(&ON_SURFACES.replace(from, to)));
        assert!(bench.plan().to_run().contains_key("bold/sub-01/run-1"), "{to}");
    }
    let text = on_surfaces(ON_SURFACES).replace("map = \"fine\"", "map = \"coarse\"");
    bench.write(&text);
    assert!(bench.plan().to_run().contains_key("mask/sub-01"));
}

#[test]
fn maps_on_surfaces_are_exported_as_they_are() {
    let Some(bench) = surfaces() else { return };
    let study = bench.folder().join("study.toml").display().to_string();
    printed(program(bench.folder(), &["run", &study]));
    printed(program(bench.folder(), &["export-bids", &study, "dataset"]));
    let place = "sub-01_task-movie_space-fsLR_res-2_den-91k";
    let func = bench.folder().join("dataset/sub-01/func");
    let maps =
        fs::read_dir(bench.folder().join("results")).expect("results").next().expect("of a study").expect("readable");
    for (name, of) in [
        (format!("{place}_stat-r_desc-clip_statmap"), "sub-01_desc-clip_stat-r_statmap"),
        (format!("{place}_desc-studied_mask"), "sub-01_desc-studied_mask"),
    ] {
        let copy = fs::read(func.join(format!("{name}.dscalar.nii"))).expect("a map on surfaces");
        assert_eq!(copy, fs::read(maps.path().join(format!("maps/{of}.dscalar.nii"))).expect("the same"));
        let told = fs::read_to_string(func.join(format!("{name}.json"))).expect("its sidecar");
        let source =
            "bids:bold:sub-01/func/sub-01_task-movie_acq-a_dir-AP_run-1_space-fsLR_res-2_den-91k_bold.dtseries.nii";
        assert!(told.contains(source) && !told.contains("acq-b"), "{told}");
    }
    let ignored = fs::read_to_string(bench.folder().join("dataset/.bidsignore")).expect("what has no name yet");
    assert!(ignored.lines().any(|line| line == "*_mask.*"), "{ignored}");
}

#[test]
fn who_made_the_series_is_told_in_the_methods() {
    let Some(bench) = laboratory() else { return };
    let page = |bench: &Bench| {
        let planned = bench.plan();
        let text = fs::read_to_string(planned.artifact("report").join("page.json")).expect("a page");
        serde_json::from_str::<serde_json::Value>(&text).expect("JSON")
    };
    let described = bench.folder().join("inputs/derivatives/dataset_description.json");
    let made = r#"{"Name": "x", "BIDSVersion": "1.8.0", "GeneratedBy": [{"Name": "fMRIPrep", "Version": "24.1.1"}]}"#;
    fs::write(&described, made).expect("writable");
    bench.run().assert_computed("report");
    assert!(
        page(&bench)["methods"].to_string().contains("2 subjects with preprocessed volumes (made by fMRIPrep 24.1.1)")
    );
    fs::remove_file(&described).expect("writable");
    bench.run();
    assert!(page(&bench)["warnings"].to_string().contains("which program made it is not recorded"));
}

#[test]
fn an_atlas_in_another_space_and_missing_runs_are_told_before_anything_runs() {
    let Some(bench) = laboratory() else { return };
    let told = |edits: &[(&str, &str)]| {
        let bench = laboratory().expect("as before");
        bench.edit(edits);
        super::bench::read(&bench.file()).expect_err("a mistake").to_string()
    };
    let elsewhere = told(&[("space = \"schematic\"", "space = \"MNI152NLin6Asym\"")]);
    assert!(elsewhere.contains("the atlas is in space `MNI152NLin6Asym` and the series in `schematic`"), "{elsewhere}");
    // Whatever is missing is told at once.
    for run in [2, 3] {
        fs::remove_file(beside(bench.folder(), "sub-01", run, "_space-schematic_desc-brain_mask.nii.gz"))
            .expect("there");
    }
    let missing = super::bench::read(&bench.file()).expect_err("missing masks").to_string();
    assert!(missing.contains("run-2") && missing.contains("run-3"), "{missing}");
    let smoothed = told(&[
        (
            "[bold.bids]\nfolder = \"inputs/derivatives\"",
            "[bold.matrices]\npath = \"own/{subject}/run-{run}.npy\"\nmask = \"own/{subject}/mask.nii.gz\"\nconfounds = \"own/{subject}/run-{run}.tsv\"\nrepetition_time_s = 1.5",
        ),
        ("high_pass_s = 128.0", "high_pass_s = 128.0\nsmoothing_fwhm_mm = 6.0"),
    ]);
    assert!(smoothed.contains("`preparation.smoothing_fwhm_mm` is given, but"), "{smoothed}");
}

#[test]
fn runs_of_other_lengths_are_told_before_anything_runs() {
    let Some(bench) = laboratory() else { return };
    let path = bold(bench.folder(), "sub-02", 1);
    let info = read_info(&path).expect("a series");
    let mut volumes = Vec::new();
    VolumeReader::open(&path)
        .expect("a series")
        .each_volume(|_, volume| {
            volumes.push(volume.to_vec());
            Ok::<(), hebb::format::nifti::NiftiError>(())
        })
        .expect("readable");
    let n_volumes = volumes.len() - 2;
    let header = ImageHeader {
        n_volumes: Some(n_volumes),
        repetition_time_s: info.repetition_time_s.expect("a pace"),
        ..ImageHeader::map(info.shape, info.affine.expect("a place"))
    };
    let mut writer = VolumeWriter::create(&path, &header).expect("writable");
    volumes[..n_volumes].iter().for_each(|volume| writer.write_volume(volume).expect("writable"));
    writer.finish().expect("writable");
    // Confounds are as long as their run.
    let confounds = beside(bench.folder(), "sub-02", 1, "_desc-confounds_timeseries.tsv");
    let text = fs::read_to_string(&confounds).expect("a table");
    let rows: Vec<&str> = text.lines().take(n_volumes + 1).collect();
    fs::write(&confounds, rows.join("\n") + "\n").expect("writable");
    let told = super::bench::read(&bench.file()).expect_err("runs of two lengths").to_string();
    let expected = format!("has {n_volumes} volumes, `sub-01_task-simulated_run-1` has {}", volumes.len());
    assert!(told.contains(&expected), "{told}");
}
