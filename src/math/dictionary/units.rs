//! The series that a dictionary is learned from, unit by unit and of known size.
//!
//! Owns the one copy of the data that learning works on. It does not know patterns.

use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::math::MathError;
use crate::math::error::require_finite;

/// Units that one task copies; a tile of this width and [`TILE_TR`] time points stays in the innermost cache.
const UNIT_BLOCK: usize = 64;
const TILE_TR: usize = 16;

/// Series of mean power 1.
pub(super) struct Units {
    /// Series (n_units x n_tr), so that a minibatch gathers contiguous rows.
    pub values: Array2<f32>,
    /// Sum of squares of each unit.
    pub power: Vec<f64>,
    /// Root mean square norm of the columns that were handed in, by which they were divided.
    pub norm: f64,
}

impl Units {
    /// Copies `series` (n_tr x n_units), divided by the root mean square norm of its columns.
    pub fn new(series: ArrayView2<'_, f32>) -> Result<Self, MathError> {
        let mut power = vec![0.0f64; series.ncols()];
        power.par_chunks_mut(UNIT_BLOCK).enumerate().for_each(|(block, power)| {
            let start = block * UNIT_BLOCK;
            for row in series.slice(s![.., start..start + power.len()]).outer_iter() {
                power.iter_mut().zip(row).for_each(|(p, &v)| *p += f64::from(v) * f64::from(v));
            }
        });
        // The square of a finite f32 is finite in f64, so only an offender makes a sum that is not.
        if !power.iter().all(|p| p.is_finite()) {
            require_finite("series", series)?;
        }
        let norm = (power.iter().sum::<f64>() / power.len().max(1) as f64).sqrt();
        let mut values = Array2::zeros((series.ncols(), series.nrows()));
        if norm == 0.0 {
            return Ok(Self { values, power, norm });
        }
        let scale = norm.recip();
        values.axis_chunks_iter_mut(Axis(0), UNIT_BLOCK).into_par_iter().enumerate().for_each(|(block, mut units)| {
            let start = block * UNIT_BLOCK;
            let columns = series.slice(s![.., start..start + units.nrows()]);
            for from in (0..series.nrows()).step_by(TILE_TR) {
                let to = (from + TILE_TR).min(series.nrows());
                let tile = columns.slice(s![from..to, ..]);
                units
                    .slice_mut(s![.., from..to])
                    .zip_mut_with(&tile.t(), |unit, &v| *unit = (f64::from(v) * scale) as f32);
            }
        });
        power.iter_mut().for_each(|p| *p *= scale * scale);
        Ok(Self { values, power, norm })
    }

    pub fn n_units(&self) -> usize {
        self.values.nrows()
    }

    pub fn n_tr(&self) -> usize {
        self.values.ncols()
    }

    /// Sum of squares of all units.
    pub fn total_power(&self) -> f64 {
        self.power.iter().sum()
    }

    /// Units that are not 0 throughout, in ascending order.
    pub fn varying(&self) -> Vec<usize> {
        (0..self.n_units()).filter(|&unit| self.power[unit] > 0.0).collect()
    }

    /// A unit scaled to norm 1.
    pub fn direction(&self, unit: usize) -> ndarray::Array1<f32> {
        let norm = self.power[unit].sqrt();
        self.values.row(unit).mapv(|v| (f64::from(v) / norm) as f32)
    }
}
