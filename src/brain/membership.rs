//! Which networks each voxel belongs to: none, one or several.
//!
//! Owns the sparse table of voxels by networks and its text, `a;b`. Probability maps and unions overlap, so a voxel has
//! a list of networks; labels give lists of at most one. Names and colours of networks stay with
//! [`super::atlas`], the choice of voxels with [`super::mask`], changes of shape with [`super::regions`].

use thiserror::Error;

use crate::format::tsv::MISSING;

/// Stands between the names of the networks of one voxel.
pub const SEPARATOR: char = ';';

/// What can go wrong between networks and their names.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MembershipError {
    /// A name cannot stand in a list of names.
    #[error("network name `{name}` {reason}: rename it in the atlas table")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A text names a network that is not known.
    #[error("network `{name}` of `{text}` is unknown")]
    Unknown {
        /// The name.
        name: String,
        /// The whole text.
        text: String,
    },
    /// A text names one network twice.
    #[error("`{text}` names network `{name}` twice")]
    Repeated {
        /// The name.
        name: String,
        /// The whole text.
        text: String,
    },
}

/// The networks of every voxel, as ascending positions in a list of networks.
///
/// Stored as compressed rows: `n_voxels + 1` starts and one entry for each pair of a voxel and its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    n_networks: usize,
    starts: Vec<usize>,
    networks: Vec<usize>,
}

impl Membership {
    /// A table from the networks of each voxel in turn.
    ///
    /// # Panics
    /// If a network is not below `n_networks` or stands twice in a row: a mistake of the caller, not of a file.
    pub fn from_rows<R: IntoIterator<Item = usize>>(n_networks: usize, rows: impl IntoIterator<Item = R>) -> Self {
        let mut membership = Membership { n_networks, starts: vec![0], networks: Vec::new() };
        for row in rows {
            let start = membership.networks.len();
            membership.networks.extend(row);
            let row = &mut membership.networks[start..];
            row.sort_unstable();
            assert!(row.last().is_none_or(|&last| last < n_networks), "networks are positions in the list of networks");
            assert!(row.is_sorted_by(|a, b| a < b), "a voxel belongs to a network once");
            membership.starts.push(membership.networks.len());
        }
        membership
    }

    /// A table in which every voxel has one network or none.
    ///
    /// # Panics
    /// As [`Membership::from_rows`].
    pub fn from_single(n_networks: usize, network: impl IntoIterator<Item = Option<usize>>) -> Self {
        Membership::from_rows(n_networks, network)
    }

    /// A table from the voxels of each network.
    ///
    /// # Panics
    /// If a voxel is not below `n_voxels` or stands twice in one network.
    pub fn from_members(n_voxels: usize, members: &[Vec<usize>]) -> Self {
        let mut starts = vec![0; n_voxels + 1];
        for &voxel in members.iter().flatten() {
            starts[voxel + 1] += 1;
        }
        for voxel in 0..n_voxels {
            starts[voxel + 1] += starts[voxel];
        }
        let mut next = starts.clone();
        let mut networks = vec![0; starts[n_voxels]];
        for (network, voxels) in members.iter().enumerate() {
            for &voxel in voxels {
                let place = next[voxel];
                // Networks come in ascending order, so a repetition would stand right before.
                assert!(place == starts[voxel] || networks[place - 1] != network, "a voxel belongs to a network once");
                networks[place] = network;
                next[voxel] += 1;
            }
        }
        Membership { n_networks: members.len(), starts, networks }
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of networks, those without voxels too.
    pub fn n_networks(&self) -> usize {
        self.n_networks
    }

    /// The networks of a voxel, ascending.
    ///
    /// # Panics
    /// If there is no such voxel.
    pub fn of(&self, voxel: usize) -> &[usize] {
        &self.networks[self.starts[voxel]..self.starts[voxel + 1]]
    }

    /// The networks of every voxel in turn.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[usize]> {
        self.starts.windows(2).map(|ends| &self.networks[ends[0]..ends[1]])
    }

    /// Number of voxels of each network.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_networks];
        self.networks.iter().for_each(|&network| counts[network] += 1);
        counts
    }

    /// Number of voxels that belong to several networks.
    pub fn n_shared(&self) -> usize {
        self.rows().filter(|row| row.len() > 1).count()
    }

    /// The one network of every voxel, if none has several.
    pub fn single(&self) -> Option<Vec<Option<usize>>> {
        (self.n_shared() == 0).then(|| self.rows().map(|row| row.first().copied()).collect())
    }

    /// The voxels of every network, ascending.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> = self.counts().into_iter().map(Vec::with_capacity).collect();
        for (voxel, row) in self.rows().enumerate() {
            row.iter().for_each(|&network| members[network].push(voxel));
        }
        members
    }

    /// The rows of some voxels, in the order in which these are given.
    ///
    /// # Panics
    /// If there is no such voxel.
    pub fn of_voxels(&self, voxels: impl IntoIterator<Item = usize>) -> Self {
        let rows = voxels.into_iter().map(|voxel| self.of(voxel).iter().copied());
        Membership::from_rows(self.n_networks, rows)
    }

    /// The table of some networks, in the order in which these are given; the others are dropped.
    ///
    /// # Panics
    /// If there is no such network or one is given twice.
    pub fn of_networks(&self, kept: &[usize]) -> Self {
        let mut position = vec![None; self.n_networks];
        for (new, &old) in kept.iter().enumerate() {
            assert!(position[old].replace(new).is_none(), "a network is kept once");
        }
        let rows = self.rows().map(|row| row.iter().filter_map(|&network| position[network]));
        Membership::from_rows(kept.len(), rows)
    }

    /// The names of a voxel's networks as `a;b`, `n/a` where it has none; [`parse_networks`] reads it back.
    ///
    /// # Panics
    /// If there is no such voxel or a network has no name.
    pub fn text(&self, voxel: usize, names: &[&str]) -> String {
        match self.of(voxel) {
            [] => MISSING.to_owned(),
            row => row.iter().map(|&network| names[network]).collect::<Vec<_>>().join(&SEPARATOR.to_string()),
        }
    }
}

/// Checks that names can be told apart in a list such as `a;b`.
///
/// # Errors
/// If a name is empty, `n/a`, or holds a semicolon, a tab or a line break.
pub fn check_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), MembershipError> {
    for name in names {
        let reason = if name.trim().is_empty() || name == MISSING {
            "means that there is none"
        } else if name.contains(SEPARATOR) {
            "holds `;`, which stands between the networks of a voxel"
        } else if name.contains(['\t', '\n', '\r']) {
            "holds a tab or a line break"
        } else {
            continue;
        };
        return Err(MembershipError::Name { name: name.to_owned(), reason });
    }
    Ok(())
}

/// Reads the networks of one voxel from `a;b`, or none from `n/a`, as ascending positions in `names`.
///
/// # Errors
/// If a name is unknown or stands twice.
pub fn parse_networks(text: &str, names: &[&str]) -> Result<Vec<usize>, MembershipError> {
    if text.trim() == MISSING || text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut networks = Vec::new();
    for name in text.split(SEPARATOR) {
        let unknown = || MembershipError::Unknown { name: name.to_owned(), text: text.to_owned() };
        let network = names.iter().position(|known| *known == name).ok_or_else(unknown)?;
        if networks.contains(&network) {
            return Err(MembershipError::Repeated { name: name.to_owned(), text: text.to_owned() });
        }
        networks.push(network);
    }
    networks.sort_unstable();
    Ok(networks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<Vec<usize>>> {
        proptest::collection::vec(proptest::sample::subsequence((0..5).collect::<Vec<usize>>(), 0..=5), 0..30)
    }

    proptest! {
        #[test]
        fn rows_and_members_are_two_views_of_one_table(rows in rows()) {
            let membership = Membership::from_rows(5, rows.clone());
            prop_assert_eq!(membership.rows().map(<[usize]>::to_vec).collect::<Vec<_>>(), rows.clone());
            let members = membership.members();
            prop_assert_eq!(members.iter().map(Vec::len).collect::<Vec<_>>(), membership.counts());
            prop_assert_eq!(&Membership::from_members(rows.len(), &members), &membership);
            prop_assert_eq!(membership.single().is_some(), rows.iter().all(|row| row.len() < 2));
        }

        #[test]
        fn texts_are_read_back(rows in rows()) {
            let names = ["visual", "language", "a b", "default-mode", "17Networks_9"];
            let membership = Membership::from_rows(5, rows.clone());
            for (voxel, row) in rows.iter().enumerate() {
                prop_assert_eq!(&parse_networks(&membership.text(voxel, &names), &names).unwrap(), row);
            }
        }

        #[test]
        fn texts_from_strangers_never_panic(text in "\\PC{0,24}") {
            let _ = parse_networks(&text, &["a", "b"]);
        }
    }

    #[test]
    fn voxels_and_networks_are_taken_in_the_order_asked_for() {
        let membership = Membership::from_rows(3, [vec![0, 2], vec![], vec![1]]);
        assert_eq!(membership.of_voxels([2, 0]), Membership::from_rows(3, [vec![1], vec![0, 2]]));
        assert_eq!(membership.of_networks(&[2, 1]), Membership::from_rows(2, [vec![0], vec![], vec![1]]));
        assert_eq!(membership.n_shared(), 1);
        assert_eq!(membership.single(), None);
        assert_eq!(membership.of_networks(&[1]).single(), Some(vec![None, None, Some(0)]));
    }

    #[test]
    fn names_that_cannot_be_told_apart_are_refused() {
        for (name, expected) in [
            (
                "a;b",
                "network name `a;b` holds `;`, which stands between the networks of a voxel: rename it in the atlas table",
            ),
            ("n/a", "network name `n/a` means that there is none: rename it in the atlas table"),
            ("a\tb", "network name `a\tb` holds a tab or a line break: rename it in the atlas table"),
        ] {
            assert_eq!(check_names(["fine", name]).unwrap_err().to_string(), expected);
        }
        assert_eq!(parse_networks("a;c", &["a", "b"]).unwrap_err().to_string(), "network `c` of `a;c` is unknown");
        assert_eq!(parse_networks("a;a", &["a", "b"]).unwrap_err().to_string(), "`a;a` names network `a` twice");
    }

    #[test]
    #[should_panic(expected = "a voxel belongs to a network once")]
    fn repeated_members_are_a_mistake_of_the_caller() {
        let _ = Membership::from_members(2, &[vec![1, 1]]);
    }
}
