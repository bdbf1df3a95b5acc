//! What is lost when units are silenced: patterns of the test runs from those that are left, with the weights as they are.

use super::{MeasureRedundancy, PIECE, REMOVALS};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::MatrixReader, tsv::Table},
    math::{
        ablation::{AblationWarning, FrozenScale, ablate, random_order, targeted_order},
        blas::matmul,
        scores::r2_columns,
    },
    task::{
        TaskError, Workbench,
        encode::{Rows, WEIGHTS, cell},
        evidence::network_names,
        finding::{Absent, Finding, Statistic},
        joined,
        pattern::{self, PatternFacts, used_series},
        workbench::read_json,
    },
};
use ndarray::{Array2, ArrayView2, Axis};

impl MeasureRedundancy {
    /// What is lost when units are silenced, at random and the weightiest first.
    pub(super) fn removals(
        &self,
        rows: &Rows,
        codes: ArrayView2<'_, f32>,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Vec<Finding>, TaskError> {
        let names = network_names(voxels);
        let mut table = Table::new(["choice", "removed_share", "network", "n_voxels", "lost_share", "lost_sd"]);
        let mut findings = Vec::new();
        if self.options.removed_shares.is_empty() {
            table.write(&bench.out.join(REMOVALS))?;
            return Ok(findings);
        }
        let facts: PatternFacts = read_json(&bench.input("patterns").join(pattern::FACTS))?;
        let series = self.test_series(rows, bench)?;
        let (mean, deviation): (Vec<f64>, Vec<f64>) = facts.scale.into_iter().unzip();
        let scale = FrozenScale { mean: &mean, deviation: &deviation };
        let n_units = codes.ncols();
        let mut orders: Vec<Vec<usize>> = (0..self.options.n_removals)
            .map(|draw| random_order(n_units, self.options.seed.wrapping_add(draw as u64)))
            .collect();
        orders.push(targeted_order(codes)?);
        let shares: Vec<f64> = [0.0].into_iter().chain(self.options.removed_shares.iter().copied()).collect();
        // Time courses of the test runs for every choice of units: order by order, none silenced first.
        let mut choices = Vec::new();
        let mut n_dependent = 0;
        for order in &orders {
            for found in ablate(series.view(), codes, scale, order, &shares)? {
                n_dependent += usize::from(
                    found.warnings.iter().any(|warning| matches!(warning, AblationWarning::RankDeficient { .. })),
                );
                choices.push(found.patterns);
            }
        }
        if n_dependent > 0 {
            let n = choices.len();
            bench.warn(
                "dependent-patterns",
                format!(
                    "in {n_dependent} of {n} choices of units some patterns are sums of others, or have no unit left"
                ),
            );
        }
        let mean_r2 = self.mean_r2(rows, &choices, names.len(), networks, bench)?;
        let n_scored: Vec<usize> = (0..names.len())
            .map(|place| networks.iter().filter(|of_voxel| of_voxel.contains(&place)).count())
            .collect();
        let n_random = self.options.n_removals;
        for (number, share) in self.options.removed_shares.iter().enumerate() {
            for (place, name) in names.iter().enumerate() {
                let whole = mean_r2[[0, place]].filter(|r2| *r2 > 0.0);
                let lost = |order: usize| {
                    let whole = whole?;
                    Some(1.0 - mean_r2[[order * shares.len() + number + 1, place]]? / whole)
                };
                let at_random: Vec<f64> = (0..n_random).filter_map(lost).collect();
                let mean = (!at_random.is_empty()).then(|| at_random.iter().sum::<f64>() / at_random.len() as f64);
                let spread = mean.filter(|_| at_random.len() > 1).map(|mean| {
                    let power: f64 = at_random.iter().map(|lost| (lost - mean).powi(2)).sum();
                    (power / (at_random.len() - 1) as f64).sqrt()
                });
                let targeted = lost(n_random);
                let n = n_scored[place];
                for (choice, lost, spread) in [("random", mean, spread), ("targeted", targeted, None)] {
                    table.push([
                        choice.to_owned(),
                        share.to_string(),
                        (*name).to_owned(),
                        n.to_string(),
                        cell(lost),
                        cell(spread),
                    ]);
                }
                let of = |statistic, value: Option<f64>| {
                    let about = Finding::about(statistic, &self.model, format!("{share} removed"), name, n);
                    match value {
                        Some(value) => Finding { value: Some(value), ..about },
                        None => about.absent(if n == 0 { Absent::NoVoxel } else { Absent::NothingExplained }),
                    }
                };
                findings.push(of(Statistic::LostAtRandom, mean));
                // Removals at random are what a targeted one is compared with.
                let null = mean.zip(spread);
                findings.push(Finding { null, ..of(Statistic::LostTargeted, targeted) });
            }
        }
        table.write(&bench.out.join(REMOVALS))?;
        Ok(findings)
    }

    /// The units' series in the test rows.
    fn test_series(&self, rows: &Rows, bench: &Workbench<'_>) -> Result<Array2<f32>, TaskError> {
        let n_train = rows.n_train(self.n_train_runs);
        let first_test = self.n_train_runs;
        let mut parts = Vec::new();
        for (number, modules) in bench.inputs("series").chunks(self.n_modules).enumerate().skip(first_test) {
            let used = used_series(modules, None)?;
            let places = rows.volumes_of_run(number);
            let chosen: Vec<usize> =
                places.iter().filter_map(|volume| used.volumes.binary_search(volume).ok()).collect();
            parts.push(used.series.select(Axis(0), &chosen));
        }
        let series = joined(Axis(0), &parts)?;
        debug_assert_eq!(series.nrows(), rows.run_of_row.len() - n_train);
        Ok(series)
    }

    /// Mean held-out R2 of every choice of units in every network (choices x networks), with the weights as they are.
    fn mean_r2(
        &self,
        rows: &Rows,
        choices: &[Array2<f32>],
        n_networks: usize,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Array2<Option<f64>>, TaskError> {
        let mut weights = MatrixReader::open(&bench.input("encode").join(WEIGHTS))?;
        let n_runs = bench.inputs("bold").len();
        let (mut sums, mut counts) =
            (Array2::<f64>::zeros((choices.len(), n_networks)), Array2::<usize>::zeros((choices.len(), n_networks)));
        for piece in rows.pieces(PIECE) {
            let data = rows.read(piece.clone(), self.n_train_runs..n_runs)?;
            let part = weights.columns(piece.clone())?;
            for (choice, patterns) in choices.iter().enumerate() {
                let r2 = r2_columns(data.view(), matmul(patterns.view(), part.view()).view())?;
                for (r2, of_voxel) in r2.into_iter().zip(&networks[piece.clone()]) {
                    let Some(r2) = r2 else { continue };
                    for &network in of_voxel {
                        sums[[choice, network]] += r2;
                        counts[[choice, network]] += 1;
                    }
                }
            }
        }
        Ok(Array2::from_shape_fn(sums.dim(), |at| (counts[at] > 0).then(|| sums[at] / counts[at] as f64)))
    }
}
