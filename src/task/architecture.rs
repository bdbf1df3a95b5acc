//! What each branch of a model explains that the others do not, and how models differ, in one subject.
//!
//! Branches are fitted alone and together, so that the R2 of all together is shared out: what only one of them explains, and what
//! several could. Models are compared in what their patterns predict, over the same blocks of test time.

use super::{
    Compute, Kind, TaskError, Workbench,
    encode::{WEIGHTS, cell, read_column},
    evidence::{FitBlocks, network_names, read_blocks, read_significance},
    finding::{self, Absent, Finding, Statistic},
    hierarchy::percentiles,
    prediction::{by_network, draws_of, intervals, median},
};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::read_matrix, tsv::Table},
    math::{
        evidence::{BlockDraws, PairedTest, paired_test},
        specialisation::{DistanceOptions, branch_overlap, map_distance, specialisation_index},
    },
    spec::written::Architecture,
};
use ndarray::{Array2, Axis};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Specialisation of every voxel, for each pair of branches.
pub const VOXELS: &str = "specialisation.tsv";
/// How the R2 of all branches is shared out in every network.
pub const VARIANCE: &str = "branch_variance.tsv";

/// All models of one subject. Inputs: `voxels`; model by model `encode`, the fits on patterns, and `branches`, one fit for each set
/// of the model's branches, single ones first.
#[derive(Debug, Serialize, Deserialize)]
pub struct MeasureArchitecture {
    /// What is compared.
    #[serde(rename = "statistics.architecture")]
    pub options: Architecture,
    /// Models with their branches, none where there is only one.
    pub models: Vec<(String, Vec<String>)>,
    /// Whether voxels were predicted from patterns.
    pub has_patterns: bool,
    /// False discovery rate, if voxels were tested.
    #[serde(rename = "statistics.significance.fdr")]
    pub fdr: Option<f64>,
    /// Patterns of all models.
    #[serde(rename = "~n_patterns")] // follows from the inputs
    pub n_patterns: usize,
    /// Voxels of the brain.
    #[serde(rename = "~n_voxels")] // follows from the inputs
    pub n_voxels: usize,
}

/// The fits on the branches of one model.
struct Branches<'a> {
    model: &'a str,
    names: &'a [String],
    /// One for each set of branches, single ones first, all of them last.
    fits: &'a [PathBuf],
    blocks: Vec<FitBlocks>,
}

impl Compute for MeasureArchitecture {
    const KIND: Kind = Kind::Architecture;

    fn memory_bytes(&self) -> u64 {
        (self.n_voxels * (2 * self.n_patterns * 4 + 600)) as u64 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let voxels = VoxelTable::read(bench.input("voxels"))?;
        let mut findings = Vec::new();
        let mut of_voxels = Table::new(["voxel", "model", "branches", "specialisation"]);
        let mut variance =
            Table::new(["model", "branch", "network", "n_voxels", "mean_r2", "median_r2", "unique_r2", "joint_r2"]);
        let mut first = 0;
        for (model, names) in self.models.iter().filter(|(_, names)| !names.is_empty()) {
            let n_fits = (1 << names.len()) - 1;
            let fits = &bench.inputs("branches")[first..first + n_fits];
            first += n_fits;
            let blocks = fits.iter().map(|fit| read_blocks(fit)).collect::<Result<_, _>>()?;
            let branches = Branches { model, names, fits, blocks };
            findings.extend(branches.shares(&voxels, &self.options, &mut variance)?);
            findings.extend(branches.specialisations(&voxels, &self.options, &mut of_voxels)?);
            findings.extend(branches.overlaps(&voxels, self.fdr)?);
            bench.step(first, bench.inputs("branches").len() + 1)?;
        }
        if self.has_patterns {
            for (one, other) in self.pairs() {
                findings.extend(self.compare(one, other, &voxels, bench)?);
            }
        }
        of_voxels.write(&bench.out.join(VOXELS))?;
        variance.write(&bench.out.join(VARIANCE))?;
        finding::write(bench, findings)?;
        Ok(())
    }
}

impl MeasureArchitecture {
    /// Pairs of models that are compared, by their places.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let place = |name: &String| self.models.iter().position(|(model, _)| model == name);
        match &self.options.compare {
            Some(pairs) => {
                let places = pairs.iter().filter_map(|pair| Some((place(pair.first()?)?, place(pair.get(1)?)?)));
                places.collect()
            }
            None => (0..self.models.len())
                .flat_map(|one| (one + 1..self.models.len()).map(move |other| (one, other)))
                .collect(),
        }
    }

    /// Two models: what their patterns predict, and how far apart their maps are.
    fn compare(
        &self,
        one: usize,
        other: usize,
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
    ) -> Result<Vec<Finding>, TaskError> {
        let fits = bench.inputs("encode");
        let (first, second) = (read_blocks(&fits[one])?, read_blocks(&fits[other])?);
        let model = format!("{}|{}", self.models[one].0, self.models[other].0);
        let differences = &first.correlation - &second.correlation;
        let compared = Compared::of(&differences, &first, &self.options, true)?;
        let mut findings = Vec::new();
        let networks = network_names(voxels);
        for (place, network) in networks.iter().enumerate() {
            let n = first.n_voxels[place].min(second.n_voxels[place]);
            let about = Finding::about(Statistic::ModelDifference, &model, "patterns", network, n);
            findings.push(compared.finding(about, place));
        }
        let maps = [one, other].map(|place| read_matrix(&fits[place].join(WEIGHTS)));
        let [of_one, of_other] = maps;
        let (of_one, of_other) = (of_one?, of_other?);
        // Both fits are on the same runs, so they have the same voxels.
        let kept: Vec<(usize, Option<f64>)> = read_column(&fits[one], "r")?;
        let columns: Vec<_> =
            kept.iter().enumerate().map(|(column, (voxel, _))| (*voxel, Some(column as f64))).collect();
        for (columns, network) in by_network(voxels, &columns).iter().zip(&networks) {
            let columns: Vec<usize> = columns.iter().flatten().map(|column| *column as usize).collect();
            let about = Finding::about(Statistic::MapDistance, &model, "patterns", network, columns.len());
            if columns.is_empty() {
                findings.push(about.absent(Absent::NoVoxel));
                continue;
            }
            let [a, b] = [&of_one, &of_other].map(|maps| maps.select(Axis(1), &columns));
            let n_blocks = DistanceOptions::default().n_blocks;
            // An interval takes blocks of voxels, which a small network has not.
            let n_resamples = if columns.len() < 2 * n_blocks { 0 } else { DistanceOptions::default().n_resamples };
            let options = DistanceOptions { n_resamples, seed: self.options.seed, ..DistanceOptions::default() };
            let found = map_distance(a.view(), b.view(), options)?;
            findings.push(match found.similarity {
                Ok(similarity) => Finding {
                    value: Some(similarity.cka_distance()),
                    interval: found.cka_interval.map(|[low, high]| (1.0 - high, 1.0 - low)),
                    ..about
                },
                Err(_) => about.absent(Absent::NoVariance),
            });
        }
        Ok(findings)
    }
}

impl Branches<'_> {
    /// The place of the fit on all branches but one.
    fn without(&self, branch: usize) -> usize {
        match self.names.len() {
            2 => 1 - branch,
            // Pairs stand as 0+1, 0+2, 1+2 behind the three single branches.
            _ => 5 - branch,
        }
    }

    fn all(&self) -> &FitBlocks {
        self.blocks.last().expect("there is a fit on all branches")
    }

    /// The R2 that only one branch explains, and that which several could.
    fn shares(
        &self,
        voxels: &VoxelTable,
        options: &Architecture,
        variance: &mut Table,
    ) -> Result<Vec<Finding>, TaskError> {
        let mut findings = Vec::new();
        let networks = network_names(voxels);
        // Error that is added when a branch is taken away, block by block.
        let unique: Vec<Array2<f64>> =
            (0..self.names.len()).map(|branch| &self.blocks[self.without(branch)].error - &self.all().error).collect();
        for (branch, name) in self.names.iter().enumerate() {
            let compared = Compared::of(&unique[branch], self.all(), options, true)?;
            let r2 = by_network(voxels, &read_column(&self.fits[branch], "r2")?);
            for (place, network) in networks.iter().enumerate() {
                let n = self.all().n_voxels[place];
                let about = Finding::about(Statistic::UniqueVariance, self.model, name.clone(), network, n);
                let found = one_sided(compared.finding(about, place));
                variance.push([
                    self.model.to_owned(),
                    name.clone(),
                    (*network).to_owned(),
                    n.to_string(),
                    cell(self.blocks[branch].mean_r2(place)),
                    cell(median(&r2[place])),
                    cell(found.value),
                    cell(self.all().mean_r2(place)),
                ]);
                findings.push(found);
            }
        }
        // R2 of all, less what is unique: contributions of blocks add up, but for the constant.
        let n_blocks = self.all().error.nrows() as f64;
        let mut shared = self.all().error.mapv(|error| n_blocks.recip() - error);
        unique.iter().for_each(|of_branch| shared -= of_branch);
        let compared = Compared::of(&shared, self.all(), options, false)?;
        for (place, network) in networks.iter().enumerate() {
            let n = self.all().n_voxels[place];
            let about = Finding::about(Statistic::SharedVariance, self.model, self.names.join("|"), network, n);
            findings.push(compared.finding(about, place));
        }
        Ok(findings)
    }

    /// Which of two branches a network follows.
    fn specialisations(
        &self,
        voxels: &VoxelTable,
        options: &Architecture,
        of_voxels: &mut Table,
    ) -> Result<Vec<Finding>, TaskError> {
        let mut findings = Vec::new();
        for a in 0..self.names.len() {
            for b in a + 1..self.names.len() {
                let part = format!("{}|{}", self.names[a], self.names[b]);
                let (r2_a, r2_b) = (read_column(&self.fits[a], "r2")?, read_column(&self.fits[b], "r2")?);
                let scores = [&r2_a, &r2_b].map(|r2| r2.iter().map(|(_, r2)| *r2).collect::<Vec<_>>());
                for ((voxel, _), index) in r2_a.iter().zip(specialisation_index(&scores[0], &scores[1])?) {
                    of_voxels.push([voxel.to_string(), self.model.to_owned(), part.clone(), cell(index)]);
                }
                let (blocks_a, blocks_b) = (&self.blocks[a], &self.blocks[b]);
                let differences = &blocks_b.error - &blocks_a.error;
                let compared = Compared::of(&differences, blocks_a, options, true)?;
                let names = network_names(voxels);
                let means = [blocks_a, blocks_b]
                    .map(|blocks| (0..names.len()).map(|place| blocks.mean_r2(place)).collect::<Vec<_>>());
                let indices = specialisation_index(&means[0], &means[1])?;
                let intervals = index_intervals(blocks_a, blocks_b, compared.draws.as_ref())?;
                for (place, network) in names.iter().enumerate() {
                    let n = blocks_a.n_voxels[place];
                    let about = Finding::about(Statistic::Specialisation, self.model, part.clone(), network, n);
                    findings.push(match indices[place] {
                        None => about.absent(if n == 0 { Absent::NoVoxel } else { Absent::NothingExplained }),
                        // The test is on the difference of R2; the value is the index.
                        Some(index) => Finding {
                            value: Some(index),
                            interval: intervals[place],
                            null: None,
                            ..compared.finding(about, place)
                        },
                    });
                }
            }
        }
        Ok(findings)
    }

    /// How far the voxels coincide that two branches predict.
    fn overlaps(&self, voxels: &VoxelTable, fdr: Option<f64>) -> Result<Vec<Finding>, TaskError> {
        let mut predicted = Vec::new();
        for fit in &self.fits[..self.names.len()] {
            let q = read_significance(fit)?;
            predicted.push(q.map(|q| by_network(voxels, &q)));
        }
        let mut findings = Vec::new();
        for a in 0..self.names.len() {
            for b in a + 1..self.names.len() {
                let part = format!("{}|{}", self.names[a], self.names[b]);
                for (place, network) in network_names(voxels).iter().enumerate() {
                    let n = self.all().n_voxels[place];
                    let about = Finding::about(Statistic::BranchOverlap, self.model, part.clone(), network, n);
                    let (Some(of_a), Some(of_b), Some(fdr)) = (&predicted[a], &predicted[b], fdr) else {
                        findings.push(about.absent(Absent::NotTested));
                        continue;
                    };
                    let members =
                        |q: &[Option<f64>]| q.iter().map(|q| q.is_some_and(|q| q <= fdr)).collect::<Vec<bool>>();
                    let overlap = branch_overlap(&members(&of_a[place]), &members(&of_b[place]), None, 1)?.total;
                    let sizes = (overlap.sets.n_a + overlap.sets.n_b) as f64;
                    findings.push(match overlap.sets.dice {
                        // Draws of independent sets have this mean; their spread is told by p.
                        Some(dice) => Finding {
                            value: Some(dice),
                            null: Some((2.0 * overlap.expected_n_both / sizes, 0.0)),
                            p: overlap.p(),
                            ..about
                        },
                        None => about.absent(if n == 0 { Absent::NoVoxel } else { Absent::NothingExplained }),
                    });
                }
            }
        }
        Ok(findings)
    }
}

/// Contributions of blocks of test time that add up to a value in each network, with what is known of these.
struct Compared {
    values: Vec<Option<f64>>,
    intervals: Vec<Option<(f64, f64)>>,
    test: Option<PairedTest>,
    draws: Option<BlockDraws>,
}

impl Compared {
    /// `contributions` (blocks x networks); `fit` says which networks have voxels.
    fn of(
        contributions: &Array2<f64>,
        fit: &FitBlocks,
        options: &Architecture,
        is_tested: bool,
    ) -> Result<Self, TaskError> {
        let draws = draws_of(fit)?;
        let test = (is_tested && draws.is_some())
            .then(|| paired_test(contributions.view(), options.n_permutations, options.seed))
            .transpose()?;
        let sums = contributions.columns().into_iter().zip(&fit.n_voxels);
        Ok(Self {
            values: sums.map(|(column, n)| (*n > 0).then(|| column.sum())).collect(),
            intervals: intervals(contributions, draws.as_ref())?,
            test,
            draws,
        })
    }

    fn finding(&self, about: Finding, place: usize) -> Finding {
        let Some(value) = self.values[place] else { return about.absent(Absent::NoVoxel) };
        let p = self.test.as_ref().and_then(|test| test.groups[place].as_ref().ok().map(|test| test.p));
        Finding {
            value: Some(value),
            interval: self.intervals[place],
            p,
            absent: self.draws.is_none().then_some(Absent::FewBlocks),
            ..about
        }
    }
}

/// The probability of a value as high as this, from that of one as far from 0: a branch that adds nothing costs held-out R2, so that
/// a value below 0 is no finding.
fn one_sided(found: Finding) -> Finding {
    let p = found.p.zip(found.value).map(|(p, value)| if value > 0.0 { p / 2.0 } else { 1.0 - p / 2.0 });
    Finding { p, ..found }
}

/// The middle of the index of every network over draws of blocks of test time.
fn index_intervals(
    a: &FitBlocks,
    b: &FitBlocks,
    draws: Option<&BlockDraws>,
) -> Result<Vec<Option<(f64, f64)>>, TaskError> {
    let Some(draws) = draws else { return Ok(vec![None; a.n_voxels.len()]) };
    let r2 = |blocks: &FitBlocks| Ok::<_, TaskError>(draws.totals(blocks.error.view())?.mapv(|error| 1.0 - error));
    let (of_a, of_b) = (r2(a)?, r2(b)?);
    let mut all = Vec::new();
    for (of_a, of_b) in of_a.axis_iter(Axis(1)).zip(of_b.axis_iter(Axis(1))) {
        let [of_a, of_b] = [of_a, of_b].map(|r2| r2.iter().map(|r2| Some(*r2)).collect::<Vec<_>>());
        let indices = specialisation_index(&of_a, &of_b)?;
        all.push(percentiles(indices.into_iter().flatten().collect(), of_a.len()));
    }
    Ok(all)
}
