//! Which numbers inside a network are taken as its units, and how they are named.
//!
//! Owns the selection that a study writes (kind, reduction over tokens, layers), what may be
//! combined, and the table that names every unit in the order of the extracted columns. Knows
//! neither graphs nor weights: `clip.rs` taps what is selected here.

use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::ModelError;

/// One of the two towers of CLIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Module {
    /// The image tower.
    Vision,
    /// The text tower.
    Text,
}

impl Module {
    /// What this module takes, in words.
    pub fn stimulus(self) -> &'static str {
        match self {
            Self::Vision => "images",
            Self::Text => "texts",
        }
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vision => "vision",
            Self::Text => "text",
        })
    }
}

/// The family of units: which activations of a layer are tapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Product of query and key along one dimension of one head (after bias, before scaling).
    #[default]
    QueryKey,
    /// Hidden activations of the feed-forward part, after the non-linearity.
    Mlp,
    /// Output of the block: the residual stream.
    Residual,
}

impl Kind {
    /// The reductions over tokens that this kind has.
    pub fn reductions(self) -> &'static [Reduce] {
        match self {
            Self::QueryKey => &[Reduce::Mean, Reduce::TokenMean, Reduce::Max],
            Self::Mlp | Self::Residual => &[Reduce::Mean, Reduce::Max, Reduce::First, Reduce::Last],
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueryKey => "query-key",
            Self::Mlp => "mlp",
            Self::Residual => "residual",
        })
    }
}

/// How the tokens of a stimulus become one number per unit; padding is always left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduce {
    /// Mean over tokens; for `query-key` the mean over all pairs of tokens.
    #[default]
    Mean,
    /// Only `query-key`: mean over tokens of a token's query times its own key.
    TokenMean,
    /// Largest over tokens; for `query-key` the largest over all pairs of tokens.
    Max,
    /// The first token: the class token of images, start-of-text of texts.
    First,
    /// The end-of-text token; texts only.
    Last,
}

impl fmt::Display for Reduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::TokenMean => "token-mean",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
        })
    }
}

/// Which layers are tapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Layers {
    /// `"all"`.
    Named(AllLayers),
    /// Layer numbers from 0, in any order, each once.
    Listed(Vec<usize>),
}

impl Default for Layers {
    fn default() -> Self {
        Self::Named(AllLayers::All)
    }
}

/// The word for every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AllLayers {
    /// Every layer of the module.
    All,
}

/// The units that a study takes from a module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnitSelection {
    /// Which activations of a layer.
    pub kind: Kind,
    /// How tokens are reduced.
    pub reduce: Reduce,
    /// Which layers: `"all"` or a list of numbers from 0.
    pub layers: Layers,
}

impl UnitSelection {
    /// The selected layers in ascending order, once the selection is known to make sense.
    ///
    /// # Errors
    /// The kind has no such reduction, the module has no end-of-text token for `last`, or the
    /// list of layers is empty, repeats itself or goes past the module's layers.
    pub fn checked_layers(&self, module: Module, n_layers: usize) -> Result<Vec<usize>, ModelError> {
        let allowed = self.kind.reductions();
        if !allowed.contains(&self.reduce) {
            let (kind, reduce) = (self.kind, self.reduce);
            return Err(ModelError::Combination { kind, reduce, allowed: allowed.to_vec() });
        }
        if self.reduce == Reduce::Last && module == Module::Vision {
            return Err(ModelError::LastWithoutText { module });
        }
        let mut layers = match &self.layers {
            Layers::Named(AllLayers::All) => return Ok((0..n_layers).collect()),
            Layers::Listed(layers) => layers.clone(),
        };
        layers.sort_unstable();
        let problem = if layers.is_empty() {
            "is empty".to_owned()
        } else if let Some(layer) = layers.iter().find(|&&layer| layer >= n_layers) {
            format!("has {layer}")
        } else if let Some(pair) = layers.windows(2).find(|pair| pair[0] == pair[1]) {
            format!("has {} twice", pair[0])
        } else {
            return Ok(layers);
        };
        Err(ModelError::Layers { module, problem, n_layers })
    }
}

/// The units of one layer, as the graph puts them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerUnits {
    /// The graph's output, such as `vision/layer-00/query-key`.
    pub output: String,
    /// The layer's number from 0.
    pub layer: usize,
    /// Heads, where the units belong to heads.
    pub n_heads: Option<usize>,
    /// Units in this layer; with heads, a multiple of their number, head by head.
    pub n_units: usize,
}

/// The name of every unit, in the order of the columns that extraction returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitTable {
    model: String,
    module: Module,
    layers: Vec<LayerUnits>,
}

impl UnitTable {
    /// A table for these layers of one module.
    ///
    /// # Errors
    /// `model` has a character that would break a unit's name or the table.
    pub fn new(model: &str, module: Module, layers: Vec<LayerUnits>) -> Result<Self, ModelError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if model.is_empty() || !model.chars().all(plain) {
            return Err(ModelError::ModelName { name: model.to_owned() });
        }
        Ok(Self { model: model.to_owned(), module, layers })
    }

    /// How many units there are.
    pub fn n_units(&self) -> usize {
        self.layers.iter().map(|layer| layer.n_units).sum()
    }

    /// The table as TSV with the columns `unit module layer head dim`.
    ///
    /// A unit is called `model/module/layer/head/dim`. Where units do not belong to heads, `head`
    /// is `n/a` in its column and `-` in the name, whose parts are split at slashes.
    pub fn to_tsv(&self) -> String {
        let mut tsv = String::from("unit\tmodule\tlayer\thead\tdim\n");
        let (model, module) = (&self.model, self.module);
        for layer in &self.layers {
            let head_dim = layer.n_heads.map(|n_heads| (layer.n_units / n_heads.max(1)).max(1));
            let number = layer.layer;
            for unit in 0..layer.n_units {
                let line = match head_dim {
                    Some(head_dim) => {
                        let (head, dim) = (unit / head_dim, unit % head_dim);
                        writeln!(tsv, "{model}/{module}/{number}/{head}/{dim}\t{module}\t{number}\t{head}\t{dim}")
                    }
                    None => writeln!(tsv, "{model}/{module}/{number}/-/{unit}\t{module}\t{number}\tn/a\t{unit}"),
                };
                line.expect("writing to a string cannot fail");
            }
        }
        tsv
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(kind: Kind, reduce: Reduce, layers: Layers) -> UnitSelection {
        UnitSelection { kind, reduce, layers }
    }

    #[test]
    fn layers_come_sorted_and_are_checked() {
        let listed = |layers: &[usize]| {
            selection(Kind::Mlp, Reduce::Mean, Layers::Listed(layers.to_vec())).checked_layers(Module::Text, 3)
        };
        assert_eq!(listed(&[2, 0]).unwrap(), [0, 2]);
        let message = |layers: &[usize]| listed(layers).unwrap_err().to_string();
        assert_eq!(message(&[1, 1]), "`layers` of module `text` has 1 twice: expected distinct numbers from 0 to 2");
        assert!(message(&[3]).contains("has 3:"));
        assert!(message(&[]).contains("is empty"));
    }

    #[test]
    fn combinations_without_meaning_are_refused() {
        let refused =
            selection(Kind::QueryKey, Reduce::Last, Layers::default()).checked_layers(Module::Text, 3).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "units of kind `query-key` cannot be reduced by `last`: expected `mean`, `token-mean`, `max`"
        );
        let refused =
            selection(Kind::Mlp, Reduce::Last, Layers::default()).checked_layers(Module::Vision, 3).unwrap_err();
        assert!(matches!(refused, ModelError::LastWithoutText { module: Module::Vision }));
    }

    #[test]
    fn selections_read_as_a_study_writes_them() {
        let read: UnitSelection =
            serde_json::from_str(r#"{"kind": "query-key", "reduce": "token-mean", "layers": [1, 0]}"#).unwrap();
        assert_eq!(read, selection(Kind::QueryKey, Reduce::TokenMean, Layers::Listed(vec![1, 0])));
        let read: UnitSelection = serde_json::from_str(r#"{"layers": "all"}"#).unwrap();
        assert_eq!(read, UnitSelection::default());
        assert!(serde_json::from_str::<UnitSelection>(r#"{"layer": 1}"#).is_err());
    }

    #[test]
    fn the_table_names_units_head_by_head() {
        let units = |layer, n_heads, n_units| LayerUnits { output: String::new(), layer, n_heads, n_units };
        let layers = vec![units(0, Some(2), 4), units(11, None, 1)];
        let table = UnitTable::new("clip", Module::Vision, layers).unwrap();
        assert_eq!(table.n_units(), 5);
        assert_eq!(
            table.to_tsv(),
            "unit\tmodule\tlayer\thead\tdim\n\
             clip/vision/0/0/0\tvision\t0\t0\t0\n\
             clip/vision/0/0/1\tvision\t0\t0\t1\n\
             clip/vision/0/1/0\tvision\t0\t1\t0\n\
             clip/vision/0/1/1\tvision\t0\t1\t1\n\
             clip/vision/11/-/0\tvision\t11\tn/a\t0\n"
        );
        assert!(UnitTable::new("a/b", Module::Vision, vec![]).is_err());
    }
}
