//! The form in which every statistic tells what it found: one row for each question, whatever the statistic.
//!
//! A row has the value with its interval, what chance alone would give, how far the value is from that, a probability and a false
//! discovery rate, or the reason why there is no value. `prediction`, `redundancy`, `polarity`, `architecture` and `hierarchy` write
//! such rows beside their own tables; `group` reads them over subjects, a sweep over its cells.

use super::{TaskError, Workbench, encode::cell};
use crate::{format::tsv::Table, math::fdr::benjamini_hochberg};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::Path};

/// The rows of an artifact.
pub const FINDINGS: &str = "findings.tsv";

/// The network of a row that is about all voxels.
pub const ALL_NETWORKS: &str = "all";

/// Coverage of every interval.
pub const CONFIDENCE: f64 = 0.95;

/// Draws behind every interval.
pub(super) const N_DRAWS: usize = 2000;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statistic {
    /// Mean over voxels of the correlation between held-out series and prediction.
    Prediction,
    /// Mean Dice coefficient over pairs of patterns of the voxels that they drive.
    Overlap,
    /// Share of driven voxels that two patterns or more drive.
    SharedVoxels,
    /// Sum over patterns of the R2 that each explains alone of all, as a share of the R2 that they explain together.
    UniqueShare,
    /// R2 that is lost when half of the units are silenced at random, as a share of the R2 with all of them.
    LostAtRandom,
    /// The same when the units with the largest codes are silenced.
    LostTargeted,
    /// Mean mirror index of pairs of patterns with opposite maps, minus that of all other pairs.
    Mirroring,
    /// Share of pairs of patterns with opposite maps.
    Opposition,
    /// Partial correlation over pairs between opposite maps and mirrored layer profiles, time courses taken out.
    PartialMirroring,
    /// Specialisation index of two branches: the difference of their R2 over its sum.
    Specialisation,
    /// R2 that a branch adds to all others.
    UniqueVariance,
    /// R2 that every branch could explain alone.
    SharedVariance,
    /// Dice coefficient of the voxels that two branches predict.
    BranchOverlap,
    /// Difference of mean correlation between two models.
    ModelDifference,
    /// Distance between the maps of two models' patterns.
    MapDistance,
    /// Rank correlation between networks' place in the cortical order and the depth of the layers that predict them.
    Hierarchy,
}

impl Statistic {
    /// Every statistic.
    pub const ALL: [Self; 16] = [
        Self::Prediction,
        Self::Overlap,
        Self::SharedVoxels,
        Self::UniqueShare,
        Self::LostAtRandom,
        Self::LostTargeted,
        Self::Mirroring,
        Self::Opposition,
        Self::PartialMirroring,
        Self::Specialisation,
        Self::UniqueVariance,
        Self::SharedVariance,
        Self::BranchOverlap,
        Self::ModelDifference,
        Self::MapDistance,
        Self::Hierarchy,
    ];

    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prediction => "prediction",
            Self::Overlap => "overlap",
            Self::SharedVoxels => "shared-voxels",
            Self::UniqueShare => "unique-share",
            Self::LostAtRandom => "lost-at-random",
            Self::LostTargeted => "lost-targeted",
            Self::Mirroring => "mirroring",
            Self::Opposition => "opposition",
            Self::PartialMirroring => "partial-mirroring",
            Self::Specialisation => "specialisation",
            Self::UniqueVariance => "unique-variance",
            Self::SharedVariance => "shared-variance",
            Self::BranchOverlap => "branch-overlap",
            Self::ModelDifference => "model-difference",
            Self::MapDistance => "map-distance",
            Self::Hierarchy => "hierarchy",
        }
    }

    /// What the value is, in a sentence without its stop.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Prediction => "mean over voxels of Pearson's r between held-out series and prediction",
            Self::Overlap => "mean over pairs of patterns of the Dice coefficient of the voxels that they drive",
            Self::SharedVoxels => "share of driven voxels that at least two patterns drive",
            Self::UniqueShare => {
                "R2 that each pattern alone explains, summed over patterns, as a share of the R2 of all patterns together"
            }
            Self::LostAtRandom => "share of held-out R2 that is lost when half of the units are silenced at random",
            Self::LostTargeted => {
                "share of held-out R2 that is lost when the half of the units with the largest codes is silenced"
            }
            Self::Mirroring => {
                "mean mirror index of pairs of patterns with opposite maps minus that of all other pairs"
            }
            Self::Opposition => "share of pairs of patterns with opposite maps",
            Self::PartialMirroring => {
                "correlation over pairs of opposite maps with mirrored layer profiles, the correlation of time courses taken out"
            }
            Self::Specialisation => {
                "(R2 of the first branch - R2 of the second) / (their sum), R2 below 0 counted as 0"
            }
            Self::UniqueVariance => "held-out R2 of all branches together minus that of all but this one",
            Self::SharedVariance => "held-out R2 that each of the branches could explain alone",
            Self::BranchOverlap => "Dice coefficient of the voxels that two branches predict significantly",
            Self::ModelDifference => "mean correlation of the first model minus that of the second",
            Self::MapDistance => "1 - linear CKA of the two models' maps over the network's voxels",
            Self::Hierarchy => {
                "Spearman correlation of the networks' place in the study's order with the depth of the layers that predict them"
            }
        }
    }

    /// What the value would be by chance alone.
    #[must_use]
    pub fn null(self) -> &'static str {
        match self {
            Self::Prediction => "test series rearranged in time, the same way in all voxels",
            Self::Overlap | Self::SharedVoxels => {
                "as the study chose: maps rotated in pattern space, or memberships permuted"
            }
            Self::Mirroring | Self::PartialMirroring => "names of patterns permuted on one side (QAP)",
            Self::Opposition => "signs of the patterns drawn at random",
            Self::UniqueVariance => "signs of the difference in blocks of test time flipped, one-sided",
            Self::Specialisation | Self::ModelDifference => "signs of the difference in blocks of test time flipped",
            Self::BranchOverlap => "independent sets of these sizes in every network (hypergeometric)",
            Self::Hierarchy => "networks permuted",
            Self::UniqueShare | Self::LostAtRandom | Self::LostTargeted | Self::SharedVariance | Self::MapDistance => {
                "none within a subject"
            }
        }
    }

    /// Whether it can be tested over subjects against what chance gives, 0 where that is not measured. A distance never is 0.
    #[must_use]
    pub fn has_chance(self) -> bool {
        self != Self::MapDistance
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|statistic| statistic.name() == name)
    }
}

impl fmt::Display for Statistic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why something is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absent {
    /// The network has no voxel that could be scored.
    NoVoxel,
    /// The test runs have too few blocks of time for an interval or a test.
    FewBlocks,
    /// No voxel's variance is explained, so that there is nothing to share.
    NothingExplained,
    /// No pattern drives a voxel.
    NothingDriven,
    /// Fewer than two patterns drive voxels, or vary.
    FewPatterns,
    /// No pair of patterns has opposite maps.
    NoOpposedPair,
    /// Fewer than three layers have units.
    FewLayers,
    /// Fewer than four networks have a preferred layer, or all prefer the same.
    FewNetworks,
    /// Voxels were not tested, so that none counts as predicted.
    NotTested,
    /// The models' maps do not vary over the network's voxels.
    NoVariance,
    /// Fewer than two subjects have a value.
    FewSubjects,
    /// All subjects have the same value.
    Constant,
}

impl Absent {
    /// Every reason.
    pub const ALL: [Self; 12] = [
        Self::NoVoxel,
        Self::FewBlocks,
        Self::NothingExplained,
        Self::NothingDriven,
        Self::FewPatterns,
        Self::NoOpposedPair,
        Self::FewLayers,
        Self::FewNetworks,
        Self::NotTested,
        Self::NoVariance,
        Self::FewSubjects,
        Self::Constant,
    ];

    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoVoxel => "no-voxel",
            Self::FewBlocks => "few-blocks",
            Self::NothingExplained => "nothing-explained",
            Self::NothingDriven => "nothing-driven",
            Self::FewPatterns => "few-patterns",
            Self::NoOpposedPair => "no-opposed-pair",
            Self::FewLayers => "few-layers",
            Self::FewNetworks => "few-networks",
            Self::NotTested => "not-tested",
            Self::NoVariance => "no-variance",
            Self::FewSubjects => "few-subjects",
            Self::Constant => "constant",
        }
    }

    /// The reason in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NoVoxel => "the network has no voxel that could be scored",
            Self::FewBlocks => "the test runs have too few blocks of time",
            Self::NothingExplained => "nothing of the voxels' variance is explained",
            Self::NothingDriven => "no pattern drives a voxel",
            Self::FewPatterns => "fewer than two patterns drive voxels",
            Self::NoOpposedPair => "no pair of patterns has opposite maps",
            Self::FewLayers => "fewer than three layers have units",
            Self::FewNetworks => "fewer than four networks have a preferred layer, or all prefer the same",
            Self::NotTested => "voxels were not tested, so that none counts as predicted",
            Self::NoVariance => "the maps do not vary over the network's voxels",
            Self::FewSubjects => "fewer than two subjects have a value",
            Self::Constant => "all subjects have the same value",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What was asked.
    pub statistic: Statistic,
    /// The model, or two as `clip-vit`.
    pub model: String,
    /// What of the model: `patterns`, a layer as `vision/5`, a branch, two as `vision|text`.
    pub part: String,
    /// The network, or [`ALL_NETWORKS`].
    pub network: String,
    /// Voxels behind the value; for statistics of pairs the number of pairs, for `hierarchy` of networks.
    pub n: usize,
    /// The value.
    pub value: Option<f64>,
    /// Ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// Mean and standard deviation of the value by chance alone.
    pub null: Option<(f64, f64)>,
    /// Probability by chance alone of a value like this.
    pub p: Option<f64>,
    /// Smallest false discovery rate at which this row is found, over rows of the same statistic and model.
    pub q: Option<f64>,
    /// Why there is no value, or no interval or probability beside it.
    pub absent: Option<Absent>,
}

impl Finding {
    /// An answer without a value yet.
    #[must_use]
    pub fn about(statistic: Statistic, model: &str, part: impl Into<String>, network: &str, n: usize) -> Self {
        Self {
            statistic,
            model: model.to_owned(),
            part: part.into(),
            network: network.to_owned(),
            n,
            value: None,
            interval: None,
            null: None,
            p: None,
            q: None,
            absent: None,
        }
    }

    /// The same without a value, for a reason.
    #[must_use]
    pub fn absent(self, reason: Absent) -> Self {
        Self { absent: Some(reason), ..self }
    }

    /// Distance from chance in standard deviations of chance.
    #[must_use]
    pub fn effect(&self) -> Option<f64> {
        let (mean, deviation) = self.null?;
        (deviation > 0.0).then(|| Some((self.value? - mean) / deviation)).flatten()
    }
}

/// Fills in false discovery rates: rows of one statistic and model are one family (Benjamini and Hochberg 1995).
pub(super) fn with_rates(mut findings: Vec<Finding>) -> Result<Vec<Finding>, TaskError> {
    let mut families: BTreeMap<(Statistic, String), Vec<usize>> = BTreeMap::new();
    for (row, finding) in findings.iter().enumerate() {
        families.entry((finding.statistic, finding.model.clone())).or_default().push(row);
    }
    for rows in families.into_values() {
        let p: Vec<Option<f64>> = rows.iter().map(|row| findings[*row].p).collect();
        for (row, q) in rows.into_iter().zip(benjamini_hochberg(&p)?) {
            findings[row].q = q;
        }
    }
    Ok(findings)
}

/// Columns of a table of findings, before which others may stand.
pub(super) const COLUMNS: [&str; 14] = [
    "statistic",
    "model",
    "part",
    "network",
    "n",
    "value",
    "low",
    "high",
    "null_mean",
    "null_sd",
    "effect",
    "p",
    "q",
    "absent",
];

/// The cells of a row.
pub(super) fn cells(finding: &Finding) -> [String; 14] {
    let (low, high) = finding.interval.unzip();
    let (null_mean, null_sd) = finding.null.unzip();
    [
        finding.statistic.name().to_owned(),
        finding.model.clone(),
        finding.part.clone(),
        finding.network.clone(),
        finding.n.to_string(),
        cell(finding.value),
        cell(low),
        cell(high),
        cell(null_mean),
        cell(null_sd),
        cell(finding.effect()),
        cell(finding.p),
        cell(finding.q),
        finding.absent.map_or_else(|| crate::format::tsv::MISSING.to_owned(), |reason| reason.name().to_owned()),
    ]
}

/// Writes the rows of an artifact, with their false discovery rates.
pub(super) fn write(bench: &Workbench<'_>, findings: Vec<Finding>) -> Result<Vec<Finding>, TaskError> {
    let findings = with_rates(findings)?;
    let mut table = Table::new(COLUMNS);
    findings.iter().for_each(|finding| table.push(cells(finding)));
    table.write(&bench.out.join(FINDINGS))?;
    Ok(findings)
}

/// Reads the rows of an artifact.
///
/// # Errors
/// If the table is not there or is not what this version writes.
pub fn read_findings(artifact: &Path) -> Result<Vec<Finding>, TaskError> {
    let path = artifact.join(FINDINGS);
    let table = Table::read(&path)?;
    let number = |name: &str| table.numbers(name);
    let (value, low, high) = (number("value")?, number("low")?, number("high")?);
    let (null_mean, null_sd, p, q) = (number("null_mean")?, number("null_sd")?, number("p")?, number("q")?);
    let n = table.counts("n")?;
    let column = |name| table.require(name);
    let (statistic, model, part) = (column("statistic")?, column("model")?, column("part")?);
    let (network, absent) = (column("network")?, column("absent")?);
    let row = |(at, cells): (usize, &Vec<String>)| {
        let statistic = Statistic::from_name(&cells[statistic]).ok_or_else(|| {
            TaskError::Unanswerable(format!(
                "`{}` names a statistic that is not known: `{}`",
                path.display(),
                cells[statistic]
            ))
        })?;
        Ok(Finding {
            statistic,
            model: cells[model].clone(),
            part: cells[part].clone(),
            network: cells[network].clone(),
            n: n[at],
            value: value[at],
            interval: low[at].zip(high[at]),
            null: null_mean[at].zip(null_sd[at]),
            p: p[at],
            q: q[at],
            absent: Absent::from_name(&cells[absent]),
        })
    };
    table.rows().iter().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_statistic_and_a_model_share_a_false_discovery_rate() {
        let finding = |statistic, model: &str, p| Finding {
            value: Some(0.3),
            null: Some((0.1, 0.1)),
            p: Some(p),
            ..Finding::about(statistic, model, "patterns", "visual", 3)
        };
        let found = with_rates(vec![
            finding(Statistic::Prediction, "clip", 0.01),
            finding(Statistic::Prediction, "clip", 0.04),
            finding(Statistic::Prediction, "vit", 0.04),
            finding(Statistic::Overlap, "clip", 0.04),
        ])
        .unwrap();
        assert_eq!(
            found.iter().map(|found| found.q).collect::<Vec<_>>(),
            [Some(0.02), Some(0.04), Some(0.04), Some(0.04)]
        );
        assert!((found[0].effect().unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn every_name_is_read_back() {
        for statistic in Statistic::ALL {
            assert_eq!(Statistic::from_name(statistic.name()), Some(statistic));
            assert_eq!(serde_json::to_value(statistic).unwrap(), statistic.name());
        }
        assert_eq!(Absent::from_name("few-blocks"), Some(Absent::FewBlocks));
        assert_eq!(serde_json::to_value(Absent::NoOpposedPair).unwrap(), Absent::NoOpposedPair.name());
    }
}
