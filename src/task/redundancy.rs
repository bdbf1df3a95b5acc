//! How far the patterns of a model say the same about a brain: overlap of the voxels they drive and of the units they join, what each
//! explains that the others do not, and what is lost when units are silenced.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{Brain, Rows, WEIGHTS, cell, read_column, reliable_patterns},
    evidence::{network_names, networks_of},
    finding::{self, ALL_NETWORKS, Absent, CONFIDENCE, Finding, N_DRAWS, Statistic},
    pattern::{self, CODES, PATTERNS, PatternFacts, read_patterns, used_series},
    polarity::read_layers,
    workbench::read_json,
};
use crate::{
    brain::mask::VoxelTable,
    format::{
        npy::{MatrixReader, read_matrix},
        tsv::Table,
    },
    math::{
        ablation::{AblationWarning, FrozenScale, ablate, random_order, targeted_order},
        blas::matmul,
        overlap::{Comparison, OverlapComparison, OverlapNull, OverlapOptions, OverlapWarning, Sets, compare_overlap},
        pair_interval::pair_mean_interval,
        participation::participation_ratio,
        polarity::row_correlations,
        scores::r2_columns,
        unique_r2::{FeatureShares, SharesWarning},
    },
    spec::written::{OverlapNull as WrittenNull, Redundancy},
};
use ndarray::{Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

/// Every pair of patterns.
pub const PAIRS: &str = "pairs.tsv";
/// Voxels by network and by the number of patterns that drive them.
pub const NETWORKS: &str = "networks.tsv";
/// What each pattern explains in each network, alone and beside the others.
pub const SHARES: &str = "shares.tsv";
/// What is lost when units are silenced.
pub const REMOVALS: &str = "removals.tsv";
/// How many dimensions the units of each layer fill.
pub const LAYERS: &str = "layers.tsv";
/// The statistic and its null.
pub const FACTS: &str = "redundancy.json";

/// Voxels that are read at once.
const PIECE: usize = 8192;

/// The statistic of one fit on patterns. Inputs: `encode`, `patterns`, `voxels`, all runs `bold`, and `series` run by run, module by
/// module.
#[derive(Debug, Serialize)]
pub struct MeasureRedundancy {
    /// Threshold and null.
    #[serde(rename = "statistics.redundancy")]
    pub options: Redundancy,
    /// The model.
    pub model: String,
    /// Runs, the first of which are for training.
    pub n_train_runs: usize,
    /// Modules of the model.
    pub n_modules: usize,
    /// Whether weights come from a penalty that is known for each voxel, or from none, so that what a pattern explains alone follows.
    pub has_unique: bool,
    /// Volumes of all runs.
    #[serde(skip)] // follows from the inputs
    pub n_samples: usize,
    /// Patterns.
    #[serde(skip)] // follows from the inputs
    pub n_patterns: usize,
    /// Units of all modules.
    #[serde(skip)] // follows from the inputs
    pub n_units: usize,
    /// Voxels of the brain.
    #[serde(skip)] // follows from the inputs
    pub n_voxels: usize,
}

/// The statistic and its null, as the artifact keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RedundancyFacts {
    /// What was drawn.
    pub(super) null: WrittenNull,
    pub(super) n_permutations: usize,
    pub(super) seed: u64,
    pub(super) driven_share: f64,
    pub(super) threshold_sd: Option<f64>,
    /// Mean Dice over pairs of patterns; absent without a pair that drives a voxel.
    pub(super) mean_dice: Option<f64>,
    pub(super) null_mean_dice: Option<f64>,
    pub(super) p: Option<f64>,
    /// Voxels that each pattern drives.
    pub(super) n_voxels_of_pattern: Vec<usize>,
    /// Units that each pattern joins.
    pub(super) n_units_of_pattern: Vec<usize>,
}

impl Compute for MeasureRedundancy {
    const KIND: Kind = Kind::Redundancy;

    fn memory_bytes(&self) -> u64 {
        let of_maps = 4 * self.n_patterns * self.n_voxels * 4 + 16 * 32 * self.n_voxels * 4;
        let of_series = 3 * self.n_samples * self.n_units * 4;
        let of_shares = 6 * self.n_patterns * PIECE.min(self.n_voxels) * 16 + 2 * self.n_samples * PIECE * 4;
        (of_maps.max(of_series + of_shares)) as u64 + (128 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let weights = read_matrix(&bench.input("encode").join(WEIGHTS))?;
        let codes = read_matrix(&bench.input("patterns").join(CODES))?;
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let rows: Vec<usize> = read_column(bench.input("encode"), "r")?.into_iter().map(|(voxel, _)| voxel).collect();
        let networks = networks_of(&voxels, &rows);
        bench.step(0, 4)?;
        let mut findings = self.overlaps(weights.view(), codes.view(), &voxels, &networks, bench)?;
        drop(weights);
        bench.step(1, 4)?;
        let brain = Brain::open(bench.inputs("bold"))?.aligned_with(read_patterns(bench.input("patterns"))?);
        findings.extend(self.shares(&brain, &voxels, &networks, bench)?);
        bench.step(2, 4)?;
        findings.extend(self.removals(&brain, codes.view(), &voxels, &networks, bench)?);
        bench.step(3, 4)?;
        self.layers(bench)?.write(&bench.out.join(LAYERS))?;
        finding::write(bench, findings)?;
        Ok(())
    }
}

impl MeasureRedundancy {
    fn driven_voxels(&self, weights: ArrayView2<'_, f32>) -> Array2<bool> {
        match self.options.threshold_sd {
            Some(threshold_sd) => beyond(weights, threshold_sd),
            None => largest_share(weights, self.options.driven_share),
        }
    }

    /// Overlap of voxel sets, against chance; that of unit groups beside it.
    fn overlaps(
        &self,
        weights: ArrayView2<'_, f32>,
        codes: ArrayView2<'_, f32>,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Vec<Finding>, TaskError> {
        let series = read_matrix(&bench.input("patterns").join(PATTERNS))?;
        let reliable = reliable_patterns(bench.input("encode"), self.options.min_reliability)?;
        let n_patterns = weights.nrows();
        if reliable.len() < n_patterns {
            let n = n_patterns - reliable.len();
            let message =
                format!("the maps of {n} of {n_patterns} patterns do not come out again: pairs with them are left out");
            bench.warn("unreliable-maps", message);
        }
        let driven = Sets::new(self.driven_voxels(weights).view());
        let joined = Sets::new(codes.mapv(|code| code != 0.0).view());
        let test = self.test(weights, &driven, voxels, networks, bench)?;
        let (dice, iou, jaccard) = (driven.dice(), driven.iou(), joined.iou());
        let series_r = row_correlations(series.t())?;
        let mut pairs = Table::new([
            "k",
            "j",
            "voxel_dice",
            "voxel_iou",
            "null_mean",
            "voxel_dice_p",
            "voxel_dice_q",
            "voxel_dice_fwe_p",
            "unit_jaccard",
            "series_r",
        ]);
        let is_reliable = |pair: &[usize; 2]| pair.iter().all(|pattern| reliable.contains(pattern));
        // The comparison has every pair, first pattern slowest.
        let places: Vec<(usize, [usize; 2])> = (0..n_patterns)
            .flat_map(|k| (k + 1..n_patterns).map(move |j| [k, j]))
            .enumerate()
            .filter(|(_, pair)| is_reliable(pair))
            .collect();
        let tested = |row: usize| test.as_ref().map(|test| &test.pairs[places[row].0]);
        let p: Vec<Option<f64>> = (0..places.len()).map(|row| Some(tested(row)?.dice?.p)).collect();
        let q = crate::math::fdr::benjamini_hochberg(&p)?;
        for (row, &(_, [k, j])) in places.iter().enumerate() {
            pairs.push([
                k.to_string(),
                j.to_string(),
                cell(dice[[k, j]]),
                cell(iou[[k, j]]),
                cell(tested(row).and_then(|pair| Some(pair.dice?.null_mean))),
                cell(p[row]),
                cell(q[row]),
                cell(tested(row).and_then(|pair| pair.family_wise_p)),
                cell(jaccard[[k, j]]),
                cell(series_r[[k, j]]),
            ]);
        }
        pairs.write(&bench.out.join(PAIRS))?;
        let (table, findings) = self.by_network(&driven, test.as_ref(), voxels, networks)?;
        table.write(&bench.out.join(NETWORKS))?;
        let whole = test.as_ref().and_then(|test| test.whole.mean_dice);
        bench.write_json(
            FACTS,
            &RedundancyFacts {
                null: self.options.null,
                n_permutations: self.options.n_permutations,
                seed: self.options.seed,
                driven_share: self.options.driven_share,
                threshold_sd: self.options.threshold_sd,
                mean_dice: whole.map(|whole| whole.observed),
                null_mean_dice: whole.map(|whole| whole.null_mean),
                p: whole.map(|whole| whole.p),
                n_voxels_of_pattern: driven.sizes().to_vec(),
                n_units_of_pattern: joined.sizes().to_vec(),
            },
        )?;
        Ok(findings)
    }

    /// Overlap against chance; absent, with a warning, where there are too few patterns.
    fn test(
        &self,
        weights: ArrayView2<'_, f32>,
        driven: &Sets,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Option<OverlapComparison>, TaskError> {
        let (null, least) = match self.options.null {
            WrittenNull::Rotations => (OverlapNull::Rotations, 3),
            WrittenNull::Memberships => (OverlapNull::MembershipsWithinGroups, 2),
        };
        let n_maps = driven.sizes().iter().filter(|size| **size > 0).count();
        if n_maps < least {
            bench.warn(
                "few-patterns",
                format!("{n_maps} patterns drive voxels, fewer than the {least} that overlap is told by"),
            );
            return Ok(None);
        }
        let mut groups = vec![Vec::new(); voxels.networks.len()];
        for (column, of_voxel) in networks.iter().enumerate() {
            // The last one is the group of all voxels.
            for network in of_voxel.iter().filter(|network| **network < voxels.networks.len()) {
                groups[*network].push(column);
            }
        }
        let options = OverlapOptions { null, n_draws: self.options.n_permutations, seed: self.options.seed };
        let found = compare_overlap(weights, driven, &groups, options)?;
        for warning in &found.warnings {
            match warning {
                OverlapWarning::MapsWithoutPower { n_maps } => {
                    bench.warn("maps-of-zeros", format!("the maps of {n_maps} patterns are 0 everywhere"));
                }
                OverlapWarning::CoarsePValues { smallest_p } => {
                    bench.warn(
                        "coarse-p-values",
                        format!("no probability below {smallest_p} can come out: raise `n_permutations`"),
                    );
                }
            }
        }
        Ok(Some(found))
    }

    fn by_network(
        &self,
        driven: &Sets,
        test: Option<&OverlapComparison>,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
    ) -> Result<(Table, Vec<Finding>), TaskError> {
        let n_of_voxel = driven.n_sets_of_element();
        let mut table = Table::new(["network", "n_voxels", "n_driven", "n_shared", "mean_dice"]);
        let mut findings = Vec::new();
        let dice = driven.dice();
        let interval = pair_mean_interval(&dice, |_, _| true, N_DRAWS, self.options.seed, CONFIDENCE)?;
        for (place, network) in network_names(voxels).into_iter().enumerate() {
            let counts: Vec<u32> = networks
                .iter()
                .zip(&n_of_voxel)
                .filter(|(of_voxel, _)| of_voxel.contains(&place))
                .map(|(_, count)| *count)
                .collect();
            let at_least = |n: u32| counts.iter().filter(|count| **count >= n).count();
            let is_whole = network == ALL_NETWORKS;
            let region = test.map(|test| if is_whole { &test.whole } else { &test.groups[place] });
            let mean_dice = region.and_then(|region| region.mean_dice);
            table.push([
                network.to_owned(),
                counts.len().to_string(),
                at_least(1).to_string(),
                at_least(2).to_string(),
                cell(mean_dice.map(|dice| dice.observed)),
            ]);
            let reason = match (counts.len(), at_least(1), test) {
                (0, _, _) => Absent::NoVoxel,
                (_, 0, _) => Absent::NothingDriven,
                _ => Absent::FewPatterns,
            };
            let of = |statistic, comparison: Option<Comparison>| {
                let about = Finding::about(statistic, &self.model, "patterns", network, counts.len());
                compared(about, comparison, reason)
            };
            let mut overlap = of(Statistic::Overlap, mean_dice);
            if let Some(found) = interval.as_ref().filter(|_| is_whole && overlap.value.is_some()) {
                overlap.interval = Some((found.interval[0], found.interval[1]));
            }
            findings.push(overlap);
            findings.push(of(Statistic::SharedVoxels, region.and_then(|region| region.shared_share)));
        }
        Ok((table, findings))
    }

    /// What each pattern explains alone and beside the others.
    fn shares(
        &self,
        rows: &Rows,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Vec<Finding>, TaskError> {
        let mut table = Table::new(["pattern", "network", "n_voxels", "unique_r2", "alone_r2"]);
        if !self.has_unique {
            table.write(&bench.out.join(SHARES))?;
            return Ok(Vec::new());
        }
        let of_voxels = read_column(bench.input("encode"), "alpha")?;
        // Without a penalty there is none to choose.
        let is_penalised = of_voxels.iter().any(|(_, alpha)| alpha.is_some());
        let alpha = |alpha: Option<f64>| if is_penalised { alpha } else { Some(0.0) };
        let mut alphas: Vec<f64> = of_voxels.iter().filter_map(|(_, chosen)| alpha(*chosen)).collect();
        alphas.sort_by(f64::total_cmp);
        alphas.dedup();
        let n_train = rows.n_train(self.n_train_runs);
        let features = FeatureShares::new(rows.x.slice(s![..n_train, ..]), rows.x.slice(s![n_train.., ..]), &alphas)?;
        let mut weights = MatrixReader::open(&bench.input("encode").join(WEIGHTS))?;
        let names = network_names(voxels);
        let shape = (rows.x.ncols(), names.len());
        let (mut unique, mut alone) = (Array2::<f64>::zeros(shape), Array2::<f64>::zeros(shape));
        let (mut full, mut n_scored) = (vec![0.0; names.len()], vec![0_usize; names.len()]);
        let mut unstable = 0;
        for piece in rows.pieces(PIECE) {
            let y = rows.voxels(piece.clone())?;
            let chosen: Vec<Option<usize>> = of_voxels[piece.clone()]
                .iter()
                .map(|(_, chosen)| {
                    let alpha = alpha(*chosen)?;
                    alphas.iter().position(|known| known.to_bits() == alpha.to_bits())
                })
                .collect();
            let part = weights.columns(piece.clone())?;
            let shares =
                features.shares(y.slice(s![..n_train, ..]), y.slice(s![n_train.., ..]), part.view(), &chosen)?;
            for SharesWarning::IllConditioned { n_targets, .. } in &shares.warnings {
                unstable += n_targets;
            }
            for (column, of_voxel) in networks[piece].iter().enumerate() {
                let all: Option<Vec<(f64, f64)>> = (0..shape.0)
                    .map(|pattern| Some((shares.unique[[pattern, column]]?, shares.alone[[pattern, column]]?)))
                    .collect();
                let (Some(r2), Some(all)) = (shares.full[column], all) else { continue };
                for &network in of_voxel {
                    full[network] += r2;
                    n_scored[network] += 1;
                    for (pattern, (of_unique, of_alone)) in all.iter().enumerate() {
                        unique[[pattern, network]] += of_unique;
                        alone[[pattern, network]] += of_alone;
                    }
                }
            }
        }
        if unstable > 0 {
            bench.warn(
                "dependent-patterns",
                format!("patterns are so nearly sums of others that {unstable} voxels have no unique R2"),
            );
        }
        let mut findings = Vec::new();
        for (network, name) in names.iter().enumerate() {
            let n = n_scored[network];
            let mean = |sum: f64| (n > 0).then(|| sum / n as f64);
            for pattern in 0..shape.0 {
                let (unique, alone) = (unique[[pattern, network]], alone[[pattern, network]]);
                table.push([
                    pattern.to_string(),
                    (*name).to_owned(),
                    n.to_string(),
                    cell(mean(unique)),
                    cell(mean(alone)),
                ]);
            }
            let about = Finding::about(Statistic::UniqueShare, &self.model, "patterns", name, n);
            findings.push(if n == 0 {
                about.absent(Absent::NoVoxel)
            } else if full[network] <= 0.0 {
                about.absent(Absent::NothingExplained)
            } else {
                Finding { value: Some(unique.column(network).sum() / full[network]), ..about }
            });
        }
        table.write(&bench.out.join(SHARES))?;
        Ok(findings)
    }

    /// What is lost when units are silenced, at random and the weightiest first.
    fn removals(
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
        let series = super::joined(Axis(0), &parts)?;
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

    /// How many dimensions the units of each layer fill, over the training runs.
    fn layers(&self, bench: &Workbench<'_>) -> Result<Table, TaskError> {
        let layers = read_layers(bench.input("patterns"))?;
        let mut parts = Vec::new();
        for modules in bench.inputs("series").chunks(self.n_modules).take(self.n_train_runs) {
            parts.push(used_series(modules, None)?.series);
        }
        let series = super::joined(Axis(0), &parts)?;
        drop(parts);
        let mut table = Table::new(["module", "layer", "n_units", "dimension"]);
        let mut first = 0;
        for (place, (module, layer)) in layers.names.iter().enumerate() {
            let n = layers.of_unit.iter().filter(|of_unit| **of_unit == place).count();
            let units = series.slice(s![.., first..first + n]);
            first += n;
            table.push([module.clone(), layer.clone(), n.to_string(), cell(participation_ratio(units)?)]);
        }
        Ok(table)
    }
}

/// A statistic against its draws, or why it is not there.
fn compared(about: Finding, comparison: Option<Comparison>, reason: Absent) -> Finding {
    match comparison {
        Some(found) => Finding {
            value: Some(found.observed),
            null: Some((found.null_mean, found.null_deviation)),
            p: Some(found.p),
            ..about
        },
        None => about.absent(reason),
    }
}

/// Which voxels each pattern drives: the `share` of them with its largest weights, of either sign; none where all weights are 0.
fn largest_share(weights: ArrayView2<'_, f32>, share: f64) -> Array2<bool> {
    let mut driven = Array2::from_elem(weights.dim(), false);
    let n_driven = ((weights.ncols() as f64 * share).round() as usize).clamp(1, weights.ncols());
    for (map, mut members) in weights.axis_iter(Axis(0)).zip(driven.axis_iter_mut(Axis(0))) {
        let mut order: Vec<usize> = (0..map.len()).collect();
        // Of equal weights the first ones.
        order.select_nth_unstable_by(n_driven - 1, |one, other| {
            map[*other].abs().total_cmp(&map[*one].abs()).then(one.cmp(other))
        });
        order[..n_driven].iter().filter(|voxel| map[**voxel] != 0.0).for_each(|voxel| members[*voxel] = true);
    }
    driven
}

/// Which voxels each pattern drives: weights beyond `threshold_sd` root mean squares of the pattern's map, of either sign.
fn beyond(weights: ArrayView2<'_, f32>, threshold_sd: f64) -> Array2<bool> {
    let mut driven = Array2::from_elem(weights.dim(), false);
    for (map, mut members) in weights.axis_iter(Axis(0)).zip(driven.axis_iter_mut(Axis(0))) {
        let power: f64 = map.iter().map(|weight| f64::from(*weight).powi(2)).sum();
        let threshold = threshold_sd * (power / map.len() as f64).sqrt();
        members
            .iter_mut()
            .zip(&map)
            .for_each(|(member, weight)| *member = threshold > 0.0 && f64::from(*weight).abs() > threshold);
    }
    driven
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_pattern_drives_the_voxels_far_from_zero_on_either_side() {
        let weights = array![[0.1_f32, -3.0, 0.1, 2.0], [0.0, 0.0, 0.0, 0.0]];
        assert_eq!(beyond(weights.view(), 1.0), array![[false, true, false, true], [false, false, false, false]]);
    }

    #[test]
    fn a_pattern_drives_a_share_of_the_voxels_and_none_without_weights() {
        let weights = array![[0.1_f32, -3.0, 0.1, 2.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.5, 1.0]];
        assert_eq!(
            largest_share(weights.view(), 0.5),
            array![[false, true, false, true], [false; 4], [true, true, false, false]]
        );
    }
}
