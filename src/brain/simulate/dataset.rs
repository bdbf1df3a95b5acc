//! A simulated subject written as BIDS derivatives, laid out as fMRIPrep does it.
//!
//! Beside what fMRIPrep writes there are `atlas/` (the schematic atlas), `planted.tsv` and `planted_voxels.tsv`. Series are
//! written volume by volume as scaled 16-bit integers.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::noise::{SharedNoise, VoxelNoise};
use super::truth::{Truth, normal};
use super::{
    SHORTEST_RUN, SimulateError, SimulatedRun, SimulatedSubject, Simulation, generator, make_folder, subject_label,
};
use crate::brain::atlas::Atlas;
use crate::brain::atlas::schematic::schematic;
use crate::brain::grid::Grid;
use crate::brain::mask::{Mask, VoxelSelection, VoxelTable};
use crate::format::bids::{BidsError, DatasetDescription, RunFiles};
use crate::format::nifti::{self, ImageHeader, SampleType, VolumeWriter};

/// Mean of the series in scanner units, and how much it differs between voxels.
const MEAN: f64 = 1000.0;
const MEAN_SPREAD: f64 = 60.0;
/// Standard deviation of the noise in scanner units: one per cent of the mean.
const NOISE_SD: f64 = 10.0;
/// One step of the stored integers: exact in binary, a 160th of the noise, with room up to 2047 scanner units.
const INTEGER_STEP: f32 = 0.0625;
/// Where the atlas lies in a simulated dataset.
const ATLAS_FOLDER: &str = "atlas";
/// The label image of the atlas in a simulated dataset.
pub const ATLAS_LABELS: &str = "atlas/schematic_dseg.nii.gz";
/// The table of the atlas in a simulated dataset.
pub const ATLAS_TABLE: &str = "atlas/schematic_dseg.tsv";

/// Simulates a subject and writes it under `out`.
///
/// `unit_columns` says module and layer of every column of the unit matrices. Truth depends on the seed alone, noise on
/// seed, subject and run; equal arguments give equal bytes. Memory is a few numbers per voxel plus the source series.
///
/// # Errors
/// If a parameter is outside its range, a planted network or layer does not exist, matrices and units do not fit, or a
/// file cannot be written.
pub fn simulate_subject(
    simulation: &Simulation,
    subject: &str,
    task: &str,
    repetition_time_s: f64,
    runs: &[SimulatedRun<'_>],
    unit_columns: &[(String, usize)],
    out: &Path,
) -> Result<SimulatedSubject, SimulateError> {
    check(simulation, subject, task, repetition_time_s, runs, unit_columns)?;
    let subject = subject_label(subject);
    let grid = grid(simulation)?;
    let (brain, atlas) = schematic(&grid);
    let mask = Mask { path: PathBuf::new(), grid, inside: brain };
    let table = VoxelTable::new(&mask, Some(&atlas), &VoxelSelection::All)
        .expect("the schematic brain has voxels on every grid that passed the check");
    let truth = Truth::draw(simulation, &table, unit_columns, runs)?;

    let func = out.join(format!("sub-{subject}")).join("func");
    make_folder(&func)?;
    DatasetDescription::derivative("Simulated subjects with planted truth").write(out)?;
    let (atlas_image, atlas_table) = write_atlas(&atlas, out)?;
    truth.write(simulation, &table, out)?;
    let mut files = Vec::with_capacity(runs.len());
    for run in runs {
        let stem = format!("sub-{subject}_task-{task}_run-{}", run.name);
        let paths = run_paths(&func, &stem, &simulation.space, repetition_time_s);
        write_run(simulation, subject, &table, &truth, run, &paths, repetition_time_s)?;
        files.push(paths);
    }
    Ok(SimulatedSubject { runs: files, atlas_image, atlas_table, truth })
}

fn check(
    simulation: &Simulation,
    subject: &str,
    task: &str,
    repetition_time_s: f64,
    runs: &[SimulatedRun<'_>],
    unit_columns: &[(String, usize)],
) -> Result<(), SimulateError> {
    simulation.check()?;
    let parameter = |field: &str, found: String, expected| {
        Err(SimulateError::Parameter { field: field.to_owned(), found, expected })
    };
    if !(repetition_time_s.is_finite() && repetition_time_s > 0.0) {
        return parameter("repetition_time_s", repetition_time_s.to_string(), "a positive number of seconds");
    }
    let names = [("subject", subject_label(subject)), ("task", task)].into_iter();
    for (field, label) in names.chain(runs.iter().map(|run| ("run", run.name.as_str()))) {
        // Labels become parts of paths: nothing else than BIDS allows gets that far.
        if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return parameter(field, format!("`{label}`"), "letters and digits");
        }
    }
    for run in runs {
        let (name, [n_tr, found]) = (run.name.clone(), [run.units.nrows(), run.units.ncols()]);
        if found != unit_columns.len() {
            return Err(SimulateError::UnitColumns { run: name, found, expected: unit_columns.len() });
        }
        if n_tr < SHORTEST_RUN {
            return Err(SimulateError::TooShort { run: name, found: n_tr });
        }
        if run.units.iter().any(|value| !value.is_finite()) {
            return Err(SimulateError::NotFinite { run: name });
        }
    }
    Ok(())
}

/// The grid of a simulation: axes to the right, front and top, the origin in the middle.
fn grid(simulation: &Simulation) -> Result<Grid, SimulateError> {
    let step = simulation.voxel_size_mm;
    let [x, y, z] = simulation.shape.map(|length| -step * (length as f64 - 1.0) / 2.0);
    let affine = [[step, 0.0, 0.0, x], [0.0, step, 0.0, y], [0.0, 0.0, step, z], [0.0, 0.0, 0.0, 1.0]];
    Ok(Grid::new(simulation.shape, affine)?)
}

fn write_atlas(atlas: &Atlas, out: &Path) -> Result<(PathBuf, PathBuf), SimulateError> {
    make_folder(&out.join(ATLAS_FOLDER))?;
    let (image, table) = (out.join(ATLAS_LABELS), out.join(ATLAS_TABLE));
    atlas.write(&image, &table)?;
    Ok((image, table))
}

fn run_paths(func: &Path, stem: &str, space: &str, repetition_time_s: f64) -> RunFiles {
    let file = |rest: &str| func.join(format!("{stem}_{rest}"));
    RunFiles {
        name: stem.to_owned(),
        space: Some(space.to_owned()),
        bold: file(&format!("space-{space}_desc-preproc_bold.nii.gz")),
        mask: file(&format!("space-{space}_desc-brain_mask.nii.gz")),
        confounds: Some(file("desc-confounds_timeseries.tsv")),
        events: Some(file("events.tsv")),
        repetition_time_s: Some(repetition_time_s),
    }
}

fn write_run(
    simulation: &Simulation,
    subject: &str,
    table: &VoxelTable,
    truth: &Truth,
    run: &SimulatedRun<'_>,
    paths: &RunFiles,
    repetition_time_s: f64,
) -> Result<(), SimulateError> {
    let n_tr = run.units.nrows();
    let labels = [subject, run.name.as_str()];
    let sources = truth.source_series(run.units);
    let shared = SharedNoise::draw(simulation, labels, n_tr, repetition_time_s);
    let mut noise = VoxelNoise::draw(simulation, labels, table.n_voxels(), &shared);
    let mut rng = generator(simulation.seed, &["means", subject]);
    let means: Vec<f64> = (0..table.n_voxels()).map(|_| MEAN + MEAN_SPREAD * normal(&mut rng)).collect();
    let signal_sd = NOISE_SD * simulation.snr.sqrt();

    let header = ImageHeader {
        shape: table.grid.shape,
        n_volumes: Some(n_tr),
        affine: table.grid.affine,
        repetition_time_s,
        sample_type: SampleType::ScaledI16 { slope: INTEGER_STEP },
    };
    let offsets = table.offsets();
    let mut writer = VolumeWriter::create(&paths.bold, &header)?;
    let mut volume = vec![0.0_f32; table.grid.n_voxels()];
    let mut global_signal = Vec::with_capacity(n_tr);
    for t in 0..n_tr {
        let mut sum = 0.0;
        noise.volume(t, |voxel, noise| {
            let loadings = &truth.voxels[voxel].loadings;
            let signal: f64 = loadings.iter().map(|&(source, loading)| loading * sources[[t, source]]).sum();
            let value = means[voxel] + signal_sd * signal + NOISE_SD * noise;
            sum += value;
            volume[offsets[voxel]] = value as f32;
        });
        global_signal.push(sum / table.n_voxels() as f64);
        writer.write_volume(&volume)?;
    }
    writer.finish()?;

    let mut inside = vec![0; table.grid.n_voxels()];
    offsets.iter().for_each(|&offset| inside[offset] = 1);
    nifti::write_labels(&paths.mask, table.grid.shape, table.grid.affine, &inside)?;
    let places = [(&paths.confounds, shared.confounds(&global_signal)), (&paths.events, run.events.clone())];
    for (path, rows) in places {
        rows.write(path.as_deref().expect("a simulated run has confounds and events"))?;
    }
    write_sidecar(paths, repetition_time_s)
}

fn write_sidecar(paths: &RunFiles, repetition_time_s: f64) -> Result<(), SimulateError> {
    let bold = paths.bold.to_string_lossy();
    let path = PathBuf::from(format!("{}.json", bold.trim_end_matches(".nii.gz")));
    let task = paths.name.split("_task-").nth(1).and_then(|rest| rest.split('_').next()).unwrap_or_default();
    let sidecar = json!({ "RepetitionTime": repetition_time_s, "SkullStripped": true, "TaskName": task });
    let text =
        serde_json::to_string_pretty(&sidecar).map_err(|source| BidsError::Json { path: path.clone(), source })?;
    std::fs::write(&path, text + "\n").map_err(|source| BidsError::Io { path, source }.into())
}
