//! Networks made out of networks: unions, intersections and differences by name.
//!
//! Owns what a study may say about it ([`NetworkRule`]) and its application to a [`Membership`]. Where the voxels of the
//! parts come from is told by [`crate::brain::atlas`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::brain::atlas::Network;
use crate::brain::membership::{Membership, MembershipError, check_names};
use crate::format::names::listed;

/// What can go wrong when networks are made out of networks.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RuleError {
    /// A part is not in the atlas.
    #[error(
        "network `{name}` is to be made of `{part}`, which is not in the atlas: its networks are {}",
        listed(available, 20)
    )]
    UnknownPart {
        /// The network to be made.
        name: String,
        /// The part.
        part: String,
        /// The networks there are.
        available: Vec<String>,
    },
    /// The name is taken.
    #[error("network `{name}` is in the atlas already: give the new network another name")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// There are too few parts.
    #[error("network `{name}` is the {operation} of {found} networks, expected at least {expected}")]
    TooFewParts {
        /// The network to be made.
        name: String,
        /// The operation in words.
        operation: &'static str,
        /// Parts given.
        found: usize,
        /// Parts needed.
        expected: usize,
    },
    /// A part is given twice.
    #[error("network `{name}` is to be made of `{part}` twice")]
    RepeatedPart {
        /// The network to be made.
        name: String,
        /// The part.
        part: String,
    },
    /// Something is to be eroded or taken apart where places have no neighbours.
    #[error(
        "networks on surfaces cannot be eroded or freed of small pieces: only voxels of a grid have neighbours here"
    )]
    NoNeighbours,
    /// The name cannot be written.
    #[error(transparent)]
    Name(#[from] MembershipError),
}

/// How the voxels of several networks become those of one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SetOperation {
    /// Voxels of any of the parts.
    #[default]
    Union,
    /// Voxels that all parts share; probability maps overlap, labels never do.
    Intersection,
    /// Voxels of the first part that are in none of the others.
    Difference,
}

impl SetOperation {
    /// The operation in a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            SetOperation::Union => "union",
            SetOperation::Intersection => "intersection",
            SetOperation::Difference => "difference",
        }
    }

    fn fewest_parts(self) -> usize {
        match self {
            SetOperation::Union => 1,
            SetOperation::Intersection | SetOperation::Difference => 2,
        }
    }

    /// The voxels that result from ascending lists of voxels, ascending.
    ///
    /// Without parts there are no voxels, whatever the operation.
    pub fn apply(self, parts: &[&[usize]]) -> Vec<usize> {
        let Some((first, others)) = parts.split_first() else { return Vec::new() };
        match self {
            SetOperation::Union => {
                let mut voxels = parts.concat();
                voxels.sort_unstable();
                voxels.dedup();
                voxels
            }
            SetOperation::Intersection => {
                let in_all = |voxel: &&usize| others.iter().all(|part| part.binary_search(voxel).is_ok());
                first.iter().filter(in_all).copied().collect()
            }
            SetOperation::Difference => {
                let in_none = |voxel: &&usize| others.iter().all(|part| part.binary_search(voxel).is_err());
                first.iter().filter(in_none).copied().collect()
            }
        }
    }
}

/// A network made out of networks of the atlas, or of those made before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkRule {
    /// Name of the new network.
    #[schemars(example = &"language")]
    pub name: String,
    /// How the voxels of the parts become those of the new network.
    #[serde(default)]
    pub operation: SetOperation,
    /// Names of the parts.
    #[schemars(length(min = 1))]
    #[schemars(example = ["Inferior Frontal Gyrus, pars triangularis", "Planum Temporale"])]
    pub of: Vec<String>,
    /// Whether the parts stay networks of their own beside the new one.
    #[serde(default = "keep_parts_by_default")]
    pub keep_parts: bool,
}

fn keep_parts_by_default() -> bool {
    true
}

/// Adds the networks that rules make, in the order of the rules, behind those of the atlas.
///
/// A rule may name the networks of the rules before it. Parts that a rule does not keep are dropped at the end, so that
/// other rules still find them. The new network takes the colour of its first part that has one.
///
/// # Errors
/// If a part is unknown or given twice, a name is taken or not writable, or there are fewer parts than the operation needs.
pub fn combined(
    membership: &Membership,
    networks: &[Network],
    rules: &[NetworkRule],
) -> Result<(Membership, Vec<Network>), RuleError> {
    let mut members = membership.members();
    let mut networks = networks.to_vec();
    let mut kept = vec![true; networks.len()];
    for rule in rules {
        let parts = parts(rule, &networks)?;
        let color = parts.iter().find_map(|&part| networks[part].color.clone());
        let voxels: Vec<&[usize]> = parts.iter().map(|&part| members[part].as_slice()).collect();
        members.push(rule.operation.apply(&voxels));
        networks.push(Network { name: rule.name.clone(), color });
        kept.push(true);
        if !rule.keep_parts {
            parts.iter().for_each(|&part| kept[part] = false);
        }
    }
    let kept: Vec<usize> = (0..networks.len()).filter(|&network| kept[network]).collect();
    let networks = kept.iter().map(|&network| networks[network].clone()).collect();
    let members: Vec<Vec<usize>> = kept.iter().map(|&network| std::mem::take(&mut members[network])).collect();
    Ok((Membership::from_members(membership.n_voxels(), &members), networks))
}

/// Checks rules against the names of an atlas without its voxels, and returns the names that there are afterwards.
///
/// # Errors
/// As [`combined`].
pub fn check_rules(names: &[&str], rules: &[NetworkRule]) -> Result<Vec<String>, RuleError> {
    let networks: Vec<Network> = names.iter().map(|name| Network { name: (*name).to_owned(), color: None }).collect();
    let (_, networks) = combined(&Membership::from_members(0, &vec![Vec::new(); names.len()]), &networks, rules)?;
    Ok(networks.into_iter().map(|network| network.name).collect())
}

fn parts(rule: &NetworkRule, networks: &[Network]) -> Result<Vec<usize>, RuleError> {
    check_names([rule.name.as_str()])?;
    if networks.iter().any(|network| network.name == rule.name) {
        return Err(RuleError::NameTaken { name: rule.name.clone() });
    }
    let (found, expected) = (rule.of.len(), rule.operation.fewest_parts());
    if found < expected {
        let operation = rule.operation.word();
        return Err(RuleError::TooFewParts { name: rule.name.clone(), operation, found, expected });
    }
    let mut parts = Vec::with_capacity(found);
    for part in &rule.of {
        let Some(position) = networks.iter().position(|network| network.name == *part) else {
            let available = networks.iter().map(|network| network.name.clone()).collect();
            return Err(RuleError::UnknownPart { name: rule.name.clone(), part: part.clone(), available });
        };
        if parts.contains(&position) {
            return Err(RuleError::RepeatedPart { name: rule.name.clone(), part: part.clone() });
        }
        parts.push(position);
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn networks() -> Vec<Network> {
        [("A", None), ("B", Some("#781286")), ("C", None)]
            .map(|(name, color): (_, Option<&str>)| Network { name: name.to_owned(), color: color.map(str::to_owned) })
            .to_vec()
    }

    fn rule(text: &str) -> NetworkRule {
        toml::from_str(text).unwrap()
    }

    fn membership() -> Membership {
        Membership::from_members(6, &[vec![0, 1, 2], vec![2, 3], vec![4]])
    }

    #[test]
    fn rules_build_on_each_other() {
        let rules = [
            rule("name = \"both\"\nof = [\"A\", \"B\"]"),
            rule("name = \"shared\"\noperation = \"intersection\"\nof = [\"A\", \"B\"]"),
            rule("name = \"rest\"\noperation = \"difference\"\nof = [\"both\", \"shared\", \"C\"]\nkeep_parts = false"),
        ];
        let (membership, networks) = combined(&membership(), &networks(), &rules).unwrap();
        let names: Vec<&str> = networks.iter().map(|network| network.name.as_str()).collect();
        assert_eq!(names, ["A", "B", "rest"]);
        assert_eq!(membership.members(), [vec![0, 1, 2], vec![2, 3], vec![0, 1, 3]]);
        assert_eq!(networks[2].color.as_deref(), Some("#781286"));
        assert_eq!(check_rules(&["A", "B", "C"], &rules).unwrap(), ["A", "B", "rest"]);
    }

    #[test]
    fn operations_are_those_of_sets() {
        let (a, b, c) = ([0, 1, 2, 7], [1, 2, 5], [2, 5, 7]);
        let set = |voxels: &[usize]| voxels.iter().copied().collect::<BTreeSet<usize>>();
        let list = |voxels: BTreeSet<usize>| voxels.into_iter().collect::<Vec<usize>>();
        let parts: [&[usize]; 3] = [&a, &b, &c];
        assert_eq!(SetOperation::Union.apply(&parts), list(&(&set(&a) | &set(&b)) | &set(&c)));
        assert_eq!(SetOperation::Intersection.apply(&parts), list(&(&set(&a) & &set(&b)) & &set(&c)));
        assert_eq!(SetOperation::Difference.apply(&parts), list(&(&set(&a) - &set(&b)) - &set(&c)));
        assert!(SetOperation::Union.apply(&[]).is_empty());
    }

    #[test]
    fn defective_rules_say_what_to_do() {
        for (text, expected) in [
            (
                "name = \"n\"\nof = [\"A\", \"D\"]",
                "network `n` is to be made of `D`, which is not in the atlas: its networks are `A`, `B`, `C`",
            ),
            ("name = \"B\"\nof = [\"A\"]", "network `B` is in the atlas already: give the new network another name"),
            ("name = \"n\"\nof = []", "network `n` is the union of 0 networks, expected at least 1"),
            (
                "name = \"n\"\noperation = \"difference\"\nof = [\"A\"]",
                "network `n` is the difference of 1 networks, expected at least 2",
            ),
            ("name = \"n\"\nof = [\"A\", \"A\"]", "network `n` is to be made of `A` twice"),
            ("name = \"a;b\"\nof = [\"A\"]", "network name `a;b` holds `;`"),
        ] {
            let error = combined(&membership(), &networks(), &[rule(text)]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        assert!(toml::from_str::<NetworkRule>("name = \"n\"\nof = [\"A\"]\nkeep = true").is_err());
    }
}
