//! From parcels to networks: by a column of the table, by the parcels' names, or each parcel on its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::network_of_name;
use super::table::{LabelEntry, LabelTable};
use super::{AtlasError, AtlasWarning};
use crate::format::tsv::TsvError;

/// Which parcels of the atlas make one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grouping {
    /// By the table's column of networks (`network`, `network_label`) if it has one; else by the parcels' names if every
    /// name tells a network, as in the atlases of Yeo 2011 and Schaefer 2018; else every parcel is its own network.
    #[default]
    Automatic,
    /// By the parcels' names: `7Networks_LH_Vis_1` belongs to `Vis`. A parcel whose name tells no network is its own.
    Names,
    /// Every parcel is its own network.
    Parcels,
    /// By this column of the table; parcels with `n/a` there belong to no network.
    #[schemars(example = serde_json::json!({ "column": "network_label_17network" }))]
    Column(String),
}

impl Grouping {
    /// The network of each parcel, in the order in which these are given, and what is odd about it.
    ///
    /// # Errors
    /// If the column is not there, several columns could be meant, or no name tells a network.
    pub fn networks(
        &self,
        table: &LabelTable,
        parcels: &[LabelEntry],
    ) -> Result<(Vec<Option<String>>, Vec<AtlasWarning>), AtlasError> {
        let own = |parcel: &LabelEntry| Some(parcel.name.clone());
        let told = |parcel: &LabelEntry| network_of_name(&parcel.name).map(str::to_owned);
        let n_telling = parcels.iter().filter(|parcel| told(parcel).is_some()).count();
        let by_column = |column: usize| parcels.iter().map(|parcel| parcel.fields[column].clone()).collect();
        match self {
            Grouping::Column(name) => {
                let column = table.columns.iter().position(|column| column == name);
                let column = column.ok_or_else(|| TsvError::NoColumn {
                    path: table.path.clone(),
                    column: name.clone(),
                    available: table.columns.clone(),
                })?;
                Ok((by_column(column), Vec::new()))
            }
            Grouping::Names if n_telling == 0 => Err(AtlasError::NamesWithoutNetworks { path: table.path.clone() }),
            Grouping::Names => {
                Ok((parcels.iter().map(|parcel| told(parcel).or_else(|| own(parcel))).collect(), Vec::new()))
            }
            Grouping::Automatic if table.network_column()?.is_some() => {
                Ok((table.network_column()?.map_or_else(Vec::new, by_column), Vec::new()))
            }
            Grouping::Automatic if n_telling > 0 && n_telling == parcels.len() => {
                Ok((parcels.iter().map(told).collect(), Vec::new()))
            }
            Grouping::Automatic | Grouping::Parcels => {
                let mut warnings = shared_names(parcels);
                if *self == Grouping::Automatic && n_telling > 0 {
                    warnings.push(AtlasWarning::NamesInPart { n_telling, n_parcels: parcels.len() });
                }
                Ok((parcels.iter().map(own).collect(), warnings))
            }
        }
    }
}

fn shared_names(parcels: &[LabelEntry]) -> Vec<AtlasWarning> {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let mut names: Vec<&str> = parcels.iter().map(|parcel| parcel.name.as_str()).collect();
    names.sort_unstable();
    for name in names {
        match counts.last_mut() {
            Some((last, count)) if *last == name => *count += 1,
            _ => counts.push((name, 1)),
        }
    }
    counts
        .into_iter()
        .filter(|(_, n_parcels)| *n_parcels > 1)
        .map(|(name, n_parcels)| AtlasWarning::SharedName { name: name.to_owned(), n_parcels })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn networks(grouping: &Grouping, table: &str) -> Result<(Vec<Option<String>>, Vec<AtlasWarning>), AtlasError> {
        let table = LabelTable::parse(Path::new("a.tsv"), table.as_bytes())?;
        grouping.networks(&table, &table.entries)
    }

    fn names(found: &[Option<String>]) -> Vec<&str> {
        found.iter().map(|network| network.as_deref().unwrap_or("-")).collect()
    }

    #[test]
    fn automatic_takes_the_column_then_the_names_then_the_parcels() {
        for (table, expected) in [
            ("index\tname\tnetwork_label\n1\t7Networks_LH_Vis_1\tSee\n2\tLH-Pu\tn/a\n", vec!["See", "-"]),
            ("index\tname\n1\t7Networks_LH_Vis_1\n2\t7Networks_RH_Default_PFC_3\n", vec!["Vis", "Default"]),
            ("index\tname\n1\tV1\n2\tV2\n", vec!["V1", "V2"]),
        ] {
            let (found, warnings) = networks(&Grouping::Automatic, table).unwrap();
            assert_eq!(names(&found), expected);
            assert!(warnings.is_empty());
        }
    }

    #[test]
    fn names_in_part_are_used_only_when_asked_for() {
        let table = "index\tname\n1\t7Networks_LH_Vis_1\n2\tThalamus\n3\tThalamus\n";
        let (found, warnings) = networks(&Grouping::Automatic, table).unwrap();
        assert_eq!(names(&found), ["7Networks_LH_Vis_1", "Thalamus", "Thalamus"]);
        assert_eq!(
            warnings,
            [
                AtlasWarning::SharedName { name: "Thalamus".to_owned(), n_parcels: 2 },
                AtlasWarning::NamesInPart { n_telling: 1, n_parcels: 3 },
            ]
        );
        let (found, warnings) = networks(&Grouping::Names, table).unwrap();
        assert_eq!(names(&found), ["Vis", "Thalamus", "Thalamus"]);
        assert!(warnings.is_empty());
        let error = networks(&Grouping::Names, "index\tname\n1\tV1\n").unwrap_err().to_string();
        assert!(error.starts_with("no name in `a.tsv` tells a network"), "{error}");
    }

    #[test]
    fn columns_are_taken_by_name() {
        let table = "index\tlabel\tnetwork_label\tnetwork_label_17network\n1\ta\tVis\tVisCent\n2\tb\tn/a\t\n";
        let column = |name: &str| Grouping::Column(name.to_owned());
        assert_eq!(names(&networks(&column("network_label_17network"), table).unwrap().0), ["VisCent", "-"]);
        assert_eq!(names(&networks(&Grouping::Automatic, table).unwrap().0), ["Vis", "-"]);
        assert_eq!(names(&networks(&Grouping::Parcels, table).unwrap().0), ["a", "b"]);
        let error = networks(&column("system"), table).unwrap_err().to_string();
        assert!(error.contains("has no column `system`: its columns are `index`, `label`"), "{error}");
    }

    #[test]
    fn several_columns_of_networks_are_told() {
        let table = "index\tlabel\tcommunity_mesulam\tcommunity_yeo\n1\ta\tx\ty\n";
        assert_eq!(
            networks(&Grouping::Automatic, table).unwrap_err().to_string(),
            "`a.tsv` has several columns that could hold the network: `community_mesulam`, `community_yeo`; \
             say which with `networks = { column = \"...\" }`"
        );
        assert!(networks(&Grouping::Parcels, table).is_ok());
    }

    #[test]
    fn spec_texts_are_read() {
        #[derive(Deserialize)]
        struct Fields {
            networks: Grouping,
        }
        let read = |text: &str| toml::from_str::<Fields>(text).unwrap().networks;
        assert_eq!(read("networks = \"automatic\""), Grouping::Automatic);
        assert_eq!(read("networks = { column = \"network\" }"), Grouping::Column("network".to_owned()));
    }
}
