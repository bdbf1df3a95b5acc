//! A simulated subject written as BIDS derivatives, laid out as fMRIPrep does it.
//!
//! Beside what fMRIPrep writes there are `atlas/` (the schematic atlas) and the tables of what was planted, listed in
//! `tables.rs`. Series are written volume by volume as scaled 16-bit integers. README, participants and sidecars are written
//! in `sidecars.rs`.

use std::path::{Path, PathBuf};

use super::noise::{SharedNoise, VoxelNoise, normal};
use super::sidecars::{write_sidecars, write_top};
use super::truth::Truth;
use super::{
    SHORTEST_RUN, SimulateError, SimulatedRun, SimulatedSubject, Simulation, generator, make_folder, refuse,
    subject_label,
};
use crate::brain::atlas::Atlas;
use crate::brain::atlas::schematic::schematic;
use crate::brain::grid::Grid;
use crate::brain::mask::{Mask, VoxelSelection, VoxelTable};
use crate::format::bids::{DatasetDescription, RunFiles};
use crate::format::nifti::{self, ImageHeader, SampleType, VolumeWriter};
use crate::format::runs::{RunLabels, SeriesKind};

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
/// If a parameter is outside its range, a planted network or layer does not exist, matrices and units do not fit,
/// patterns are planted that the runs do not have, or a file cannot be written.
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
    write_top(simulation, subject, task, out)?;
    let showings = runs.iter().flat_map(|run| {
        let again = simulation.repeats.get(&run.name).into_iter().flatten();
        std::iter::once(&run.name).chain(again).map(move |name| (name.as_str(), run))
    });
    let mut files = Vec::new();
    for (name, run) in showings {
        let paths = run_paths(&func, [subject, task, name], &simulation.space, repetition_time_s);
        write_run(simulation, [subject, task, name], &table, &truth, run, &paths, repetition_time_s)?;
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
    if !(repetition_time_s.is_finite() && repetition_time_s > 0.0) {
        return refuse("repetition_time_s", repetition_time_s.to_string(), "a positive number of seconds");
    }
    let names = [("subject", subject_label(subject)), ("task", task)].into_iter();
    for (field, label) in names.chain(runs.iter().map(|run| ("run", run.name.as_str()))) {
        // Labels become parts of paths: nothing else than BIDS allows gets that far.
        if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return refuse(field, format!("`{label}`"), "letters and digits");
        }
    }
    simulation.check_repeats(&runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>())?;
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

/// Standard deviation of the signal of every voxel, in scanner units.
fn signal_sd(simulation: &Simulation, table: &VoxelTable) -> Vec<f64> {
    let of_network = |name: &String| {
        let own = simulation.networks.get(name).and_then(|planted| planted.snr);
        let of_patterns = || simulation.patterns.iter().find(|planted| planted.networks.contains(name))?.snr;
        NOISE_SD * own.or_else(of_patterns).unwrap_or(simulation.snr).sqrt()
    };
    let of_networks: Vec<f64> = table.networks.iter().map(|network| of_network(&network.name)).collect();
    table.membership.rows().map(|networks| networks.first().map_or(0.0, |&network| of_networks[network])).collect()
}

fn write_atlas(atlas: &Atlas, out: &Path) -> Result<(PathBuf, PathBuf), SimulateError> {
    make_folder(&out.join(ATLAS_FOLDER))?;
    let (image, table) = (out.join(ATLAS_LABELS), out.join(ATLAS_TABLE));
    atlas.write(&image, &table)?;
    Ok((image, table))
}

fn run_paths(func: &Path, [subject, task, run]: [&str; 3], space: &str, repetition_time_s: f64) -> RunFiles {
    let stem = format!("sub-{subject}_task-{task}_run-{run}");
    let file = |rest: &str| func.join(format!("{stem}_{rest}"));
    let entities =
        [("sub", subject), ("task", task), ("run", run)].map(|(key, value)| (key.to_owned(), value.to_owned()));
    RunFiles {
        labels: RunLabels::of_entities(&entities),
        space: Some(space.to_owned()),
        mask: Some(file(&format!("space-{space}_desc-brain_mask.nii.gz"))),
        confounds: Some(file("desc-confounds_timeseries.tsv")),
        confounds_json: Some(file("desc-confounds_timeseries.json")),
        events: Some(file("events.tsv")),
        repetition_time_s: Some(repetition_time_s),
        ..RunFiles::of_series(&stem, SeriesKind::Volume, &file(&format!("space-{space}_desc-preproc_bold.nii.gz")))
    }
}

fn write_run(
    simulation: &Simulation,
    [subject, task, name]: [&str; 3],
    table: &VoxelTable,
    truth: &Truth,
    run: &SimulatedRun<'_>,
    paths: &RunFiles,
    repetition_time_s: f64,
) -> Result<(), SimulateError> {
    let n_tr = run.units.nrows();
    let labels = [subject, name];
    let drivers = truth.drivers(run);
    let shared = SharedNoise::draw(simulation, labels, n_tr, repetition_time_s);
    let mut noise = VoxelNoise::draw(simulation, labels, table.n_voxels(), &shared);
    let mut rng = generator(simulation.seed, &["means", subject]);
    let means: Vec<f64> = (0..table.n_voxels()).map(|_| MEAN + MEAN_SPREAD * normal(&mut rng)).collect();
    let signal_sd = signal_sd(simulation, table);

    let grid = table.locations.grid().expect("a simulated brain is a volume");
    let header = ImageHeader {
        shape: grid.shape,
        n_volumes: Some(n_tr),
        affine: grid.affine,
        repetition_time_s,
        sample_type: SampleType::ScaledI16 { slope: INTEGER_STEP },
    };
    let offsets = table.offsets();
    let mut writer = VolumeWriter::create(&paths.bold, &header)?;
    let mut global_signal = Vec::with_capacity(n_tr);
    let mut fill = |t: usize, volume: &mut [f32]| {
        let mut sum = 0.0;
        noise.volume(t, |voxel, noise| {
            let signal = drivers.signal(&truth.voxels[voxel], t);
            let value = means[voxel] + signal_sd[voxel] * signal + NOISE_SD * noise;
            sum += value;
            volume[offsets[voxel]] = value as f32;
        });
        global_signal.push(sum / table.n_voxels() as f64);
    };
    // Compressing a volume takes about as long as making one: the next is made meanwhile.
    let mut made = vec![0.0_f32; grid.n_voxels()];
    let mut next = made.clone();
    fill(0, &mut made);
    for t in 1..=n_tr {
        let (written, ()) = rayon::join(
            || writer.write_volume(&made),
            || {
                if t < n_tr {
                    fill(t, &mut next);
                }
            },
        );
        written?;
        std::mem::swap(&mut made, &mut next);
    }
    writer.finish()?;

    let mut inside = vec![0; grid.n_voxels()];
    offsets.iter().for_each(|&offset| inside[offset] = 1);
    nifti::write_labels(paths.mask.as_deref().expect("a simulated run has a mask"), grid.shape, grid.affine, &inside)?;
    let confounds = shared.confounds(&global_signal);
    for (path, rows) in [(&paths.confounds, &confounds), (&paths.events, &run.events)] {
        rows.write(path.as_deref().expect("a simulated run has confounds and events"))?;
    }
    write_sidecars(paths, task, repetition_time_s, &confounds)
}
