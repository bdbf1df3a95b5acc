//! What a scanner and a head add to the signal: AR(1) noise, slow drift, motion.
//!
//! Voxel noise is made one volume at a time from the state of the volume before, so memory is a few numbers per voxel
//! whatever the length of the run.

use std::f64::consts::{PI, SQRT_2};

use ndarray::Array2;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Simulation, generator};
use crate::format::motion::{HEAD_RADIUS_MM, MOTION_COLUMNS};
use crate::format::tsv::{MISSING, Table};

/// Standard deviation of one step of the head: millimetres, then radians.
const MOTION_STEPS: [f64; 6] = [0.02, 0.02, 0.03, 0.0004, 0.0003, 0.0003];
/// Drift is slower than this, so that the customary cut-off of 128 s takes it out.
const FASTEST_DRIFT_S: f64 = 150.0;
/// At most this many cosines make up the drift.
const MAX_DRIFT_TERMS: usize = 3;

/// The series that all voxels of a run share: six motion parameters and a few slow cosines.
pub(super) struct SharedNoise {
    /// Motion parameters as the scanner would state them (n_tr x 6).
    motion: Array2<f64>,
    /// The same, each with mean 0 and variance 1 (or 0 throughout).
    standard_motion: Array2<f64>,
    /// Slow cosines of variance 1 (n_tr x terms).
    drift: Array2<f64>,
}

impl SharedNoise {
    pub(super) fn draw(simulation: &Simulation, labels: [&str; 2], n_tr: usize, repetition_time_s: f64) -> Self {
        let mut rng = generator(simulation.seed, &["motion", labels[0], labels[1]]);
        let mut motion = Array2::zeros((n_tr, MOTION_COLUMNS.len()));
        for t in 1..n_tr {
            for (column, step) in MOTION_STEPS.iter().enumerate() {
                // A head is drawn back to where it lay.
                motion[[t, column]] = 0.97 * motion[[t - 1, column]] + step * normal(&mut rng);
            }
        }
        let mut standard_motion = motion.clone();
        for mut column in standard_motion.columns_mut() {
            let mean: f64 = column.sum() / n_tr as f64;
            column -= mean;
            let scale: f64 = (column.iter().map(|value| value * value).sum::<f64>() / n_tr as f64).sqrt();
            column.mapv_inplace(|value| if scale > 0.0 { value / scale } else { 0.0 });
        }
        let duration_s = n_tr as f64 * repetition_time_s;
        let terms = ((2.0 * duration_s / FASTEST_DRIFT_S).floor() as usize).clamp(1, MAX_DRIFT_TERMS);
        let drift = Array2::from_shape_fn((n_tr, terms), |(t, k)| {
            SQRT_2 * (PI * (k + 1) as f64 * (t as f64 + 0.5) / n_tr as f64).cos()
        });
        SharedNoise { motion, standard_motion, drift }
    }

    /// The confounds table as fMRIPrep writes it, with `n/a` where there is no volume before.
    pub(super) fn confounds(&self, global_signal: &[f64]) -> Table {
        let derivatives = MOTION_COLUMNS.map(|name| format!("{name}_derivative1"));
        let columns = ["global_signal", "framewise_displacement"].map(str::to_owned).into_iter();
        let mut table = Table::new(columns.chain(MOTION_COLUMNS.map(str::to_owned)).chain(derivatives));
        for (t, global) in global_signal.iter().enumerate() {
            let steps: Option<Vec<f64>> =
                (t > 0).then(|| (0..6).map(|column| self.motion[[t, column]] - self.motion[[t - 1, column]]).collect());
            let displacement_mm = steps.as_ref().map(|steps| {
                let mm = |(column, step): (usize, &f64)| step.abs() * if column < 3 { 1.0 } else { HEAD_RADIUS_MM };
                steps.iter().enumerate().map(mm).sum::<f64>()
            });
            let field = |value: Option<f64>| value.map_or(MISSING.to_owned(), |value| format!("{value:.8}"));
            let mut row = vec![field(Some(*global)), field(displacement_mm)];
            row.extend(self.motion.row(t).iter().map(|&value| field(Some(value))));
            row.extend((0..6).map(|column| field(steps.as_ref().map(|steps| steps[column]))));
            table.push(row);
        }
        table
    }
}

/// The noise of every voxel, volume by volume.
pub(super) struct VoxelNoise<'a> {
    shared: &'a SharedNoise,
    rng: ChaCha8Rng,
    ar1: f64,
    state: Vec<f64>,
    /// Weights of motion parameters and drift terms (n_voxels x (6 + terms)), with their sizes worked in.
    weights: Array2<f64>,
}

impl<'a> VoxelNoise<'a> {
    pub(super) fn draw(simulation: &Simulation, labels: [&str; 2], n_voxels: usize, shared: &'a SharedNoise) -> Self {
        let mut rng = generator(simulation.seed, &["noise", labels[0], labels[1]]);
        let terms = shared.drift.ncols();
        let weights = Array2::from_shape_fn((n_voxels, MOTION_COLUMNS.len() + terms), |(_, column)| {
            let (size, n_terms) = match column < MOTION_COLUMNS.len() {
                true => (simulation.motion, MOTION_COLUMNS.len()),
                false => (simulation.drift, terms),
            };
            size * normal(&mut rng) / (n_terms as f64).sqrt()
        });
        let state = (0..n_voxels).map(|_| normal(&mut rng)).collect();
        VoxelNoise { shared, rng, ar1: simulation.ar1, state, weights }
    }

    /// Hands the noise of volume `t` to `put`, voxel by voxel; volumes must be taken in order.
    pub(super) fn volume(&mut self, t: usize, mut put: impl FnMut(usize, f64)) {
        let innovation = (1.0 - self.ar1 * self.ar1).sqrt();
        let (motion, drift) = (self.shared.standard_motion.row(t), self.shared.drift.row(t));
        for (voxel, weights) in self.weights.rows().into_iter().enumerate() {
            if t > 0 {
                self.state[voxel] = self.ar1 * self.state[voxel] + innovation * normal(&mut self.rng);
            }
            let slow: f64 = weights.iter().zip(motion.iter().chain(drift)).map(|(weight, value)| weight * value).sum();
            put(voxel, self.state[voxel] + slow);
        }
    }
}

/// A standard normal draw.
pub(super) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_stated_variance_and_autocorrelation() {
        let simulation = Simulation { ar1: 0.4, drift: 0.0, motion: 0.0, ..Simulation::default() };
        let shared = SharedNoise::draw(&simulation, ["01", "1"], 2000, 1.0);
        let mut noise = VoxelNoise::draw(&simulation, ["01", "1"], 20, &shared);
        let mut series = vec![Vec::new(); 20];
        (0..2000).for_each(|t| noise.volume(t, |voxel, value| series[voxel].push(value)));
        let all = series.iter().flat_map(|column| column.iter().map(|x| x * x)).sum::<f64>() / 40_000.0;
        let lagged = series.iter().flat_map(|column| column.windows(2).map(|w| w[0] * w[1])).sum::<f64>() / 39_980.0;
        assert!((all - 1.0).abs() < 0.03, "{all}");
        assert!((lagged / all - 0.4).abs() < 0.02, "{lagged}");
    }

    #[test]
    fn first_volume_has_no_displacement() {
        let shared = SharedNoise::draw(&Simulation::default(), ["01", "1"], 30, 2.0);
        let table = shared.confounds(&[1000.0; 30]);
        let displacement = table.numbers("framewise_displacement").unwrap();
        assert!(
            displacement[0].is_none() && displacement[1..].iter().all(|mm| mm.is_some_and(|mm| mm > 0.0 && mm < 1.0))
        );
        assert!(table.numbers("rot_z_derivative1").unwrap()[0].is_none());
        assert!(table.numbers("trans_x").unwrap().iter().all(Option::is_some));
    }
}
