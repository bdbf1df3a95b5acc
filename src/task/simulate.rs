//! Writes one simulated subject as a BIDS-derivatives folder, which the tasks after it read as they read a user's.

use super::{
    Compute, Kind, TaskError, Workbench, joined,
    pattern::{Features, read_patterns},
    series::SERIES,
};
use crate::{
    brain::simulate::{SimulatedRun, Simulation, simulate_subject},
    format::{npy::read_matrix, tsv::Table},
};
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// One subject. Inputs `series` are the unit series of each run, module by module, in the order of `units`; `patterns` the model's
/// patterns, where voxels follow them.
#[derive(Debug, Serialize, Deserialize)]
pub struct SimulateSubject {
    /// The subject, as `sub-01`.
    pub subject: String,
    /// The simulated brain.
    #[serde(rename = "bold.simulate.brain")]
    pub brain: Simulation,
    /// Seconds from one volume to the next.
    #[serde(rename = "bold.simulate.repetition_time_s")]
    pub repetition_time_s: f64,
    /// The runs.
    pub runs: Vec<RunToSimulate>,
    /// Each module's layers by number, with how many units each has, in the order of the columns.
    pub units: Vec<(String, Vec<(usize, usize)>)>,
    /// Volumes of the longest run.
    #[serde(rename = "~longest_tr")] // follows from the inputs
    pub longest_tr: usize,
}

/// A run and what is written in its events table.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunToSimulate {
    /// Its name, as BIDS files give it after `run-`.
    pub name: String,
    /// Onset and duration (seconds), image and text of every event.
    pub events: Vec<(f64, f64, Option<String>, Option<String>)>,
}

/// The `task-` entity of the files.
const TASK: &str = "simulated";

impl Compute for SimulateSubject {
    const KIND: Kind = Kind::Simulate;

    fn memory_bytes(&self) -> u64 {
        let n_units: usize = self.units.iter().flat_map(|(_, layers)| layers).map(|(_, n_units)| n_units).sum();
        let n_voxels: usize = self.brain.shape.iter().product();
        // Series of all runs, and one run's volumes while they are made.
        (2 * self.runs.len() * self.longest_tr * n_units * 4 + self.longest_tr * n_voxels * 4) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let columns: Vec<(String, usize)> = self
            .units
            .iter()
            .flat_map(|(module, layers)| {
                let of_layer = move |(layer, n): &(usize, usize)| std::iter::repeat_n((module.clone(), *layer), *n);
                layers.iter().flat_map(of_layer)
            })
            .collect();
        let by_run = bench.inputs("series").chunks(self.units.len()).map(|modules| {
            let parts =
                modules.iter().map(|artifact| read_matrix(&artifact.join(SERIES))).collect::<Result<Vec<_>, _>>()?;
            joined(Axis(1), &parts)
        });
        let series = by_run.collect::<Result<Vec<_>, _>>()?;
        let patterns =
            bench.inputs("patterns").first().map(|artifact| patterns_of_runs(artifact, self.runs.len())).transpose()?;
        let runs: Vec<SimulatedRun<'_>> = self
            .runs
            .iter()
            .zip(&series)
            .enumerate()
            .map(|(number, (run, units))| SimulatedRun {
                name: run.name.clone(),
                units: units.view(),
                patterns: patterns.as_ref().map(|of_runs| of_runs[number].view()),
                events: run.table(),
            })
            .collect();
        simulate_subject(&self.brain, &self.subject, TASK, self.repetition_time_s, &runs, &columns, bench.out)?;
        Ok(())
    }
}

/// The time courses of every run.
fn patterns_of_runs(artifact: &Path, n_runs: usize) -> Result<Vec<Array2<f32>>, TaskError> {
    let Features { matrix, samples } = read_patterns(artifact)?;
    let rows = |run: usize| -> Vec<usize> {
        samples.iter().enumerate().filter(|(_, (of, _))| *of == run).map(|(row, _)| row).collect()
    };
    Ok((0..n_runs).map(|run| matrix.select(Axis(0), &rows(run))).collect())
}

impl RunToSimulate {
    fn table(&self) -> Table {
        let or_missing = |cell: &Option<String>| cell.clone().unwrap_or_else(|| crate::format::tsv::MISSING.to_owned());
        let mut table = Table::new(["onset", "duration", "image", "text"]);
        for (onset_s, duration_s, image, text) in &self.events {
            table.push([onset_s.to_string(), duration_s.to_string(), or_missing(image), or_missing(text)]);
        }
        table
    }
}
