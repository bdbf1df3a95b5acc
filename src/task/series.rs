//! Brings unit values from stimuli to the scanner's time: mean over each repetition time, haemodynamic response, z-score.
//!
//! Every volume keeps its row. Which volumes are used is said beside the matrix, in `samples.tsv`, so that a later step can
//! join it with volumes that were dropped for other reasons.

use super::{
    Compute, Kind, TaskError, Workbench,
    extract::{UNITS, rows_shown},
    joined,
};
use crate::{
    format::{
        npy::{MatrixReader, write_matrix},
        tsv::Table,
    },
    math::series::{Event, Hrf, sample_to_tr},
    spec::written::Rest,
};
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// The matrix of unit series in the artifact (n_tr x n_units).
pub const SERIES: &str = "series.npy";
/// Which volumes are used: a row for each row of [`SERIES`], with columns `volume`, `presented`, `used`.
pub const SAMPLES: &str = "samples.tsv";

/// The series of one module in one run. Inputs `units` are the shards of all stimuli, in order.
#[derive(Debug, Serialize, Deserialize)]
pub struct UnitSeries {
    /// Onset, duration (seconds) and stimulus number of every event of the run.
    pub events: Vec<(f64, f64, usize)>,
    /// Volumes of the run.
    pub n_tr: usize,
    /// Seconds from one volume to the next.
    pub repetition_time_s: f64,
    /// Haemodynamic response.
    #[serde(rename = "time.hrf")]
    pub hrf: Hrf,
    /// Seconds at the start of the run that are not used.
    #[serde(rename = "time.trim_start_s")]
    pub trim_start_s: f64,
    /// Whether volumes without a stimulus are used.
    #[serde(rename = "time.rest")]
    pub rest: Rest,
    /// Units of the module.
    #[serde(rename = "~n_units")] // follows from the inputs
    pub n_units: usize,
}

impl Compute for UnitSeries {
    const KIND: Kind = Kind::Series;

    fn memory_bytes(&self) -> u64 {
        // The run's stimuli twice, as they are read and joined; the series before and after the convolution, the latter also in
        // f64 blocks.
        ((2 * self.events.len() + 4 * self.n_tr) * self.n_units * 4) as u64 + (16 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let shown = self.shown(bench)?;
        let stimuli = shown.units;
        let event = |(onset_s, duration_s, stimulus): &(f64, f64, usize)| {
            let stimulus = *shown.rows.get(stimulus)?;
            Some(Event { onset_s: *onset_s, duration_s: *duration_s, stimulus })
        };
        let events: Vec<Event> = self.events.iter().filter_map(event).collect();
        if events.len() < self.events.len() {
            let n = self.events.len() - events.len();
            bench.warn("events-masked", format!("{n} events count as rest, since their images could not be read"));
        }
        let sampled = sample_to_tr(&events, stimuli.view(), self.n_tr, self.repetition_time_s)?;
        if sampled.n_events_outside > 0 {
            bench.warn(
                "events-outside-run",
                format!("{} events lie outside the run and were left out", sampled.n_events_outside),
            );
        }
        let mut series = self.hrf.convolve(sampled.values.view(), self.repetition_time_s)?;
        let used: Vec<bool> = (0..self.n_tr)
            .map(|volume| {
                volume as f64 * self.repetition_time_s >= self.trim_start_s
                    && (self.rest == Rest::Keep || sampled.presented[volume])
            })
            .collect();
        let n_constant = standardise(&mut series, &used);
        if n_constant > 0 {
            bench.warn(
                "constant-units",
                format!("{n_constant} of {} units do not vary over the run; their series are 0", series.ncols()),
            );
        }
        write_matrix(&bench.out.join(SERIES), series.view())?;
        let mut samples = Table::new(["volume", "presented", "used"]);
        for (volume, (presented, used)) in sampled.presented.iter().zip(&used).enumerate() {
            samples.push([volume.to_string(), u8::from(*presented).to_string(), u8::from(*used).to_string()]);
        }
        samples.write(&bench.out.join(SAMPLES))?;
        Ok(())
    }
}

/// The stimuli of one run.
struct Shown {
    /// Their units, a row for each distinct stimulus of the run.
    units: Array2<f32>,
    /// The row of each stimulus, by its number in the study; those that could not be read have none.
    rows: BTreeMap<usize, usize>,
}

impl UnitSeries {
    /// Reads the units of this run's stimuli, and of no others: memory does not grow with the study.
    fn shown(&self, bench: &Workbench<'_>) -> Result<Shown, TaskError> {
        let numbers: BTreeSet<usize> = self.events.iter().map(|(_, _, stimulus)| *stimulus).collect();
        let mut numbers = numbers.into_iter().peekable();
        let mut rows = BTreeMap::new();
        let mut units = Vec::new();
        let mut first = 0;
        for shard in bench.inputs("units") {
            let mut matrix = MatrixReader::open(&shard.join(UNITS))?;
            let past = first + matrix.n_rows();
            let mut shown = None;
            while let Some(number) = numbers.next_if(|number| *number < past) {
                let is_shown = match &mut shown {
                    Some(shown) => shown,
                    none => none.insert(rows_shown(shard)?),
                };
                let row = number - first;
                if is_shown.get(row) == Some(&true) {
                    rows.insert(number, rows.len());
                    units.push(matrix.rows(row..row + 1)?);
                }
            }
            first = past;
        }
        let units = if units.is_empty() { Array2::zeros((0, self.n_units)) } else { joined(Axis(0), &units)? };
        Ok(Shown { units, rows })
    }
}

/// Scales every column to mean 0 and standard deviation 1 over the rows in use; gives the number of columns that cannot be.
fn standardise(series: &mut Array2<f32>, used: &[bool]) -> usize {
    let n = used.iter().filter(|used| **used).count().max(1) as f64;
    let mut n_constant = 0;
    for mut column in series.columns_mut() {
        let rows = || used.iter().enumerate().filter(|(_, used)| **used).map(|(row, _)| row);
        let mean = rows().map(|row| f64::from(column[row])).sum::<f64>() / n;
        let variance = rows().map(|row| (f64::from(column[row]) - mean).powi(2)).sum::<f64>() / n;
        let largest = rows().map(|row| f64::from(column[row]).abs()).fold(0.0, f64::max);
        // Below a few units of f32 rounding a deviation is noise of the arithmetic, not of the unit.
        let constant = variance.sqrt() <= 4.0 * f64::from(f32::EPSILON) * largest;
        n_constant += usize::from(constant);
        let scale = if constant { 0.0 } else { variance.sqrt().recip() };
        column.mapv_inplace(|value| ((f64::from(value) - mean) * scale) as f32);
    }
    n_constant
}

/// The volumes of a run that are in use, ascending.
pub(super) fn used_volumes(artifact: &Path) -> Result<Vec<usize>, TaskError> {
    let table = Table::read(&artifact.join(SAMPLES))?;
    let used = table.integers("used")?;
    Ok(used.iter().enumerate().filter(|(_, used)| **used == Some(1)).map(|(volume, _)| volume).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn columns_are_standardised_over_the_rows_in_use_alone() {
        let mut series = array![[100.0_f32, 5.0], [1.0, 5.0], [3.0, 5.0]];
        assert_eq!(standardise(&mut series, &[false, true, true]), 1);
        assert_eq!(series.column(0).to_vec()[1..], [-1.0, 1.0]);
        assert_eq!(series.column(1).to_vec(), [0.0, 0.0, 0.0]);
    }
}
