//! What a simulation plants, and what it adds up to: who follows which source or pattern, by how much.
//!
//! Owns the truth as a value and its scaling to unit variance. Everything in it depends on the seed, the names of the
//! networks and what drives them alone, so all subjects of a study share it. Sources are drawn in `sources.rs`, patterns
//! shared out in `patterns.rs`; `tables.rs` writes all of it beside the data, where tests and reports find the right
//! answer.

use ndarray::{Array2, ArrayView2, Axis};

use super::{SimulateError, SimulatedRun, Simulation, patterns, sources};
use crate::brain::mask::VoxelTable;

/// A signal that varies less does not vary: its units are dead, or its two halves cancel.
pub(super) const LEAST_VARIANCE: f64 = 1e-12;

/// Which of the modules that drive a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// The module and layers of the network itself.
    First,
    /// The module and layers that it follows also.
    Second,
}

/// A weighted sum of units.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedSource {
    /// The network whose voxels may follow it, as position in the voxel table's networks.
    pub network: usize,
    /// The branch whose units are summed.
    pub branch: Branch,
    /// Columns of the unit matrix, ascending.
    pub units: Vec<usize>,
    /// Their weights; absolute values from 0.5 to 1.5.
    pub weights: Vec<f64>,
}

/// How two branches share a voxel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    /// Share w of the first branch, whose part of variance 1 enters by sqrt(w), that of the second by sqrt(1 - w).
    pub share: f64,
    /// Correlation of the two parts over all runs; the further from 0, the less w and 1 - w are shares of variance.
    pub correlation: f64,
}

impl Mixture {
    /// The planted specialisation: 1 for a voxel of the first branch alone, -1 for one of the second.
    pub fn specialisation(&self) -> f64 {
        2.0 * self.share - 1.0
    }
}

/// What one voxel follows; nothing if it is noise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlantedVoxel {
    /// Sources with their loadings, after scaling to unit variance.
    pub loadings: Vec<(usize, f64)>,
    /// How the voxel is shared, in a network of two branches.
    pub mixture: Option<Mixture>,
    /// Patterns with their loadings, after scaling to unit variance. Loadings are stated for patterns of variance 1.
    pub patterns: Vec<(usize, f64)>,
}

/// How the patterns of a set drive its voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetKind {
    /// Two patterns with the same sign.
    Duplicate,
    /// Two patterns with opposite signs.
    Mirrored,
    /// One pattern.
    Alone,
}

impl SetKind {
    /// As the tables have it.
    pub fn name(self) -> &'static str {
        match self {
            SetKind::Duplicate => "duplicate",
            SetKind::Mirrored => "mirrored",
            SetKind::Alone => "alone",
        }
    }
}

/// A set of voxels that follow the same one or two patterns.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedSet {
    /// How they are driven.
    pub kind: SetKind,
    /// The patterns, with the signs of their loadings.
    pub patterns: Vec<(usize, f64)>,
    /// The voxels, ascending.
    pub voxels: Vec<usize>,
}

/// Two patterns that drive one set of voxels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlantedPair {
    /// The pattern chosen first.
    pub k: usize,
    /// The other one.
    pub j: usize,
    /// Correlation of their time courses over all runs.
    pub correlation: f64,
}

/// Which patterns drive which voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct PlantedSets {
    /// What the time course of each pattern is multiplied by to have variance 1 over all runs; 0 for one that is constant.
    pub scales: Vec<f64>,
    /// The sets: those of duplicates, then of mirrored pairs, then of patterns alone.
    pub sets: Vec<PlantedSet>,
    /// The pairs, in the order of their sets.
    pub pairs: Vec<PlantedPair>,
}

/// Everything that was planted.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// The sources of all networks.
    pub sources: Vec<PlantedSource>,
    /// What each voxel of the table follows.
    pub voxels: Vec<PlantedVoxel>,
    /// The sets of voxels that follow patterns; absent without planted patterns.
    pub sets: Option<PlantedSets>,
}

/// The series that voxels follow in one run.
pub struct Drivers {
    sources: Array2<f64>,
    patterns: Array2<f64>,
}

impl Drivers {
    /// The signal of a voxel at volume `t`, of variance 1 over all runs; 0 for a voxel of noise.
    pub fn signal(&self, voxel: &PlantedVoxel, t: usize) -> f64 {
        let sum = |series: &Array2<f64>, loadings: &[(usize, f64)]| -> f64 {
            loadings.iter().map(|&(column, loading)| loading * series[[t, column]]).sum()
        };
        sum(&self.sources, &voxel.loadings) + sum(&self.patterns, &voxel.patterns)
    }
}

impl Truth {
    /// Draws sources, shares out patterns and draws loadings for the voxels of `table`, and scales them over all runs.
    ///
    /// # Errors
    /// If a network is not in the table, follows units that are not there, or patterns are planted that the runs do not
    /// have, that do not vary or correlate too much, or for which there are too few voxels.
    pub fn draw(
        simulation: &Simulation,
        table: &VoxelTable,
        unit_columns: &[(String, usize)],
        runs: &[SimulatedRun<'_>],
    ) -> Result<Self, SimulateError> {
        let mut truth = Truth { sources: Vec::new(), voxels: Vec::new(), sets: None };
        truth.voxels.resize_with(table.n_voxels(), PlantedVoxel::default);
        for (name, planted) in &simulation.networks {
            sources::plant(simulation.seed, (name, planted), table, unit_columns, &mut truth)?;
        }
        truth.scale(runs);
        if let Some(planted) = &simulation.patterns {
            truth.sets = Some(patterns::plant(simulation.seed, planted, table, runs, &mut truth.voxels)?);
        }
        Ok(truth)
    }

    /// The series of every source in one run (n_tr x n_sources).
    pub fn source_series(&self, units: ArrayView2<'_, f32>) -> Array2<f64> {
        let mut series = Array2::zeros((units.nrows(), self.sources.len()));
        for (mut column, source) in series.columns_mut().into_iter().zip(&self.sources) {
            for (&unit, &weight) in source.units.iter().zip(&source.weights) {
                column.zip_mut_with(&units.column(unit), |sum, &value| *sum += weight * f64::from(value));
            }
        }
        series
    }

    /// The series of every source and pattern in one of the runs that the truth was drawn for.
    pub fn drivers(&self, run: &SimulatedRun<'_>) -> Drivers {
        let patterns = match (&self.sets, run.patterns) {
            (Some(sets), Some(patterns)) => {
                Array2::from_shape_fn(patterns.dim(), |(t, k)| sets.scales[k] * f64::from(patterns[[t, k]]))
            }
            _ => Array2::zeros((run.units.nrows(), 0)),
        };
        Drivers { sources: self.source_series(run.units), patterns }
    }

    /// Scales the loadings of every voxel on its sources so that its signal has variance 1 over all runs together.
    ///
    /// A voxel whose signal does not vary at all (dead units), be it in one of two branches, is left without loadings: it is
    /// noise.
    fn scale(&mut self, runs: &[SimulatedRun<'_>]) {
        let mut products = Array2::<f64>::zeros((self.sources.len(), self.sources.len()));
        let mut n_samples = 0.0;
        let series: Vec<Array2<f64>> = runs.iter().map(|run| self.source_series(run.units)).collect();
        let n_total: usize = series.iter().map(Array2::nrows).sum();
        let mean = series
            .iter()
            .fold(ndarray::Array1::<f64>::zeros(self.sources.len()), |sum, run| sum + run.sum_axis(Axis(0)))
            / n_total.max(1) as f64;
        for run in &series {
            for row in run.rows() {
                let centred = &row - &mean;
                for (a, mut products) in products.rows_mut().into_iter().enumerate() {
                    products.scaled_add(centred[a], &centred);
                }
                n_samples += 1.0;
            }
        }
        let covariance = |one: &[(usize, f64)], other: &[(usize, f64)]| -> f64 {
            let pairs = one.iter().flat_map(|a| other.iter().map(move |b| (a, b)));
            pairs.map(|((a, x), (b, y))| x * y * products[[*a, *b]] / n_samples).sum()
        };
        for voxel in &mut self.voxels {
            if let Some(mixture) = &mut voxel.mixture {
                let of_branch = |branch| {
                    let is_of = |(source, _): &&(usize, f64)| self.sources[*source].branch == branch;
                    voxel.loadings.iter().filter(is_of).copied().collect::<Vec<_>>()
                };
                let (mut first, mut second) = (of_branch(Branch::First), of_branch(Branch::Second));
                let variances = [covariance(&first, &first), covariance(&second, &second)];
                if variances.iter().any(|&variance| variance <= LEAST_VARIANCE) {
                    (voxel.loadings, voxel.mixture) = (Vec::new(), None);
                    continue;
                }
                mixture.correlation = covariance(&first, &second) / (variances[0] * variances[1]).sqrt();
                first.iter_mut().for_each(|(_, loading)| *loading *= (mixture.share / variances[0]).sqrt());
                second.iter_mut().for_each(|(_, loading)| *loading *= ((1.0 - mixture.share) / variances[1]).sqrt());
                voxel.loadings = [first, second].concat();
            }
            let variance = covariance(&voxel.loadings, &voxel.loadings);
            if variance > LEAST_VARIANCE {
                voxel.loadings.iter_mut().for_each(|(_, loading)| *loading /= variance.sqrt());
            } else {
                (voxel.loadings, voxel.mixture) = (Vec::new(), None);
            }
        }
    }
}
