//! Which numbers inside a network are taken as its units, and how they are named.
//!
//! Owns the selection that a study writes (kind, reduction over tokens, layers) and what may be combined. `kind.rs` says which
//! kinds and reductions there are, `table.rs` names every unit in the order of the extracted columns. Knows neither graphs nor
//! weights: `taps.rs` puts out what is selected here.

mod kind;
mod table;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::error::ModelError;
use super::module::{LayerShape, Module, ModuleShape, Stimulus};
pub use kind::{Kind, Kinds, Reduce};
pub use table::{Attention, LayerUnits, UnitTable};

/// Which layers are tapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Layers {
    /// Every layer.
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "WrittenUnits")]
pub struct UnitSelection {
    /// Which activations of a layer.
    #[serde(rename = "kind")]
    pub kinds: Kinds,
    /// How tokens are reduced; an `embedding` among several kinds has its own way.
    pub reduce: Reduce,
    /// Which layers: `"all"` or a list of numbers from 0.
    pub layers: Layers,
    /// Whether class tokens, start and end of texts count as tokens. Padding never does.
    pub special_tokens: bool,
}

/// The units that a study takes from every module.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "UnitSelection")]
struct WrittenUnits {
    /// Which activations of a layer: one kind, or a list of several at once.
    kind: Kinds,
    /// How tokens are reduced: for `embedding` always `"pooled"`, for all others `"mean"` if absent.
    #[schemars(example = &"mean")]
    reduce: Option<Reduce>,
    /// Which layers: `"all"` or a list of numbers from 0.
    layers: Layers,
    /// Whether class tokens, start and end of texts count as tokens; they do if absent. Padding never does.
    #[schemars(example = true)]
    special_tokens: Option<bool>,
}

impl From<WrittenUnits> for UnitSelection {
    fn from(WrittenUnits { kind, reduce, layers, special_tokens }: WrittenUnits) -> Self {
        Self::new(kind, reduce, layers, special_tokens.unwrap_or(true))
    }
}

/// The schema of what is written, which says less than what is meant.
impl JsonSchema for UnitSelection {
    fn schema_name() -> Cow<'static, str> {
        WrittenUnits::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        WrittenUnits::json_schema(generator)
    }
}

impl Default for UnitSelection {
    fn default() -> Self {
        WrittenUnits::default().into()
    }
}

impl UnitSelection {
    /// A selection whose kinds stand in order; without a reduction it has the first that the kinds allow.
    #[must_use]
    pub fn new(kinds: Kinds, reduce: Option<Reduce>, layers: Layers, special_tokens: bool) -> Self {
        let kinds = kinds.sorted();
        // The embedding comes last in order, so that it decides only where it is alone.
        let reduce = reduce.unwrap_or(kinds.listed().first().copied().unwrap_or_default().reductions()[0]);
        Self { kinds, reduce, layers, special_tokens }
    }

    /// All layers, all tokens.
    #[must_use]
    pub fn of(kind: Kind, reduce: Reduce) -> Self {
        Self { kinds: Kinds::One(kind), reduce, layers: Layers::default(), special_tokens: true }
    }

    /// How the tokens of one of the kinds are reduced.
    #[must_use]
    pub fn reduction(&self, kind: Kind) -> Reduce {
        if kind == Kind::Embedding && self.kinds.listed().len() > 1 { Reduce::Pooled } else { self.reduce }
    }

    /// The units of each selected layer in ascending order, kind by kind, once the selection is known to make sense.
    ///
    /// # Errors
    /// A kind is named twice or has no such reduction, the module has no token that `first` or `last` names, or the list of
    /// layers is empty, repeats itself or goes past the module's layers.
    pub fn of_module(&self, module: Module, shape: &ModuleShape) -> Result<Vec<LayerUnits>, ModelError> {
        let kinds = self.kinds.listed();
        let twice = kinds.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        if kinds.is_empty() || twice.is_some() {
            return Err(ModelError::Kinds { twice });
        }
        let mut units = Vec::new();
        for &kind in kinds {
            self.check_reduction(kind, module, shape)?;
            if kind == Kind::Embedding {
                units.push(self.embedding(module, shape)?);
            } else {
                let layers = self.checked_layers(module, shape.layers.len())?;
                units.extend(layers.into_iter().map(|layer| self.of_layer(kind, module, layer, &shape.layers[layer])));
            }
        }
        // Stable: the kinds of a layer stay in their order.
        units.sort_by_key(|units| units.layer);
        Ok(units)
    }

    fn check_reduction(&self, kind: Kind, module: Module, shape: &ModuleShape) -> Result<(), ModelError> {
        let (reduce, allowed) = (self.reduction(kind), kind.reductions());
        if !allowed.contains(&reduce) {
            return Err(ModelError::Combination { kind, reduce, allowed: allowed.to_vec() });
        }
        let is_of_text = module == Module::FusionText || module.stimulus() == Stimulus::Text;
        let has_token = match reduce {
            Reduce::Last => is_of_text,
            Reduce::First => shape.has_first_token && (is_of_text || self.special_tokens),
            _ => true,
        };
        if has_token { Ok(()) } else { Err(ModelError::NoSuchToken { module, reduce }) }
    }

    fn embedding(&self, module: Module, shape: &ModuleShape) -> Result<LayerUnits, ModelError> {
        match (&self.layers, self.kinds.listed()) {
            // Beside other kinds the list says which of their layers.
            (Layers::Named(AllLayers::All), _) | (_, [_, _, ..]) => Ok(LayerUnits {
                output: format!("{module}/embedding"),
                layer: shape.layers.len(),
                kind: Kind::Embedding,
                attentions: Vec::new(),
                n_heads: None,
                n_units: shape.embedding_width,
            }),
            (Layers::Listed(_), _) => Err(ModelError::EmbeddingLayers),
        }
    }

    fn of_layer(&self, kind: Kind, module: Module, layer: usize, shape: &LayerShape) -> LayerUnits {
        // A token has a key of its own only where it attends to its own stream, and the other stream may have no token that
        // begins or ends it.
        let is_of_own_stream = match self.reduce {
            Reduce::TokenMean => true,
            Reduce::First | Reduce::Last => matches!(kind, Kind::Key | Kind::Value),
            _ => false,
        };
        let attentions = match (kind.is_of_attention(), shape.has_cross_attention && !is_of_own_stream) {
            (false, _) => Vec::new(),
            (true, true) => vec![Attention::SelfAttention, Attention::Cross],
            (true, false) => vec![Attention::SelfAttention],
        };
        let n_units = match kind {
            Kind::HeadNorm => shape.n_heads,
            Kind::Mlp => shape.mlp_width,
            _ => shape.width,
        };
        LayerUnits {
            output: format!("{module}/layer-{layer:02}/{kind}"),
            layer,
            kind,
            n_heads: kind.is_of_attention().then_some(shape.n_heads),
            n_units: n_units * attentions.len().max(1),
            attentions,
        }
    }

    fn checked_layers(&self, module: Module, n_layers: usize) -> Result<Vec<usize>, ModelError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::module::ModuleInput;

    fn shape(n_layers: usize, has_cross_attention: bool) -> ModuleShape {
        let layer = LayerShape { width: 6, n_heads: 2, mlp_width: 5, has_cross_attention };
        let input = ModuleInput { image: None, text: None };
        ModuleShape { input, layers: vec![layer; n_layers], embedding_width: 7, has_first_token: true }
    }

    fn selection(kind: Kind, reduce: Reduce, layers: Layers) -> UnitSelection {
        UnitSelection { layers, ..UnitSelection::of(kind, reduce) }
    }

    #[test]
    fn layers_come_sorted_and_are_checked() {
        let listed = |layers: &[usize]| {
            let selection = selection(Kind::Mlp, Reduce::Mean, Layers::Listed(layers.to_vec()));
            selection.of_module(Module::Text, &shape(3, false))
        };
        assert_eq!(listed(&[2, 0]).unwrap().iter().map(|units| units.layer).collect::<Vec<_>>(), [0, 2]);
        let message = |layers: &[usize]| listed(layers).unwrap_err().to_string();
        assert_eq!(message(&[1, 1]), "`layers` of module `text` has 1 twice: expected distinct numbers from 0 to 2");
        assert!(message(&[3]).contains("has 3:"));
        assert!(message(&[]).contains("is empty"));
    }

    #[test]
    fn combinations_without_meaning_are_refused() {
        let refused = |kind, reduce, module| {
            UnitSelection::of(kind, reduce).of_module(module, &shape(3, false)).unwrap_err().to_string()
        };
        assert_eq!(
            refused(Kind::QueryKey, Reduce::Last, Module::Text),
            "units of kind `query-key` cannot be reduced by `last`: expected `mean`, `token-mean`, `max`"
        );
        assert!(refused(Kind::Mlp, Reduce::Last, Module::Vision).contains("end-of-text"));
        assert!(refused(Kind::Embedding, Reduce::Mean, Module::Vision).contains("expected `pooled`"));
        let without_class = UnitSelection { special_tokens: false, ..UnitSelection::of(Kind::Mlp, Reduce::First) };
        assert!(without_class.of_module(Module::Vision, &shape(1, false)).is_err());
        assert!(without_class.of_module(Module::Text, &shape(1, false)).is_ok());
        let one_layer = selection(Kind::Embedding, Reduce::Pooled, Layers::Listed(vec![0]));
        assert!(matches!(one_layer.of_module(Module::Text, &shape(1, false)), Err(ModelError::EmbeddingLayers)));
    }

    #[test]
    fn selections_read_as_a_study_writes_them() {
        let read: UnitSelection =
            serde_json::from_str(r#"{"kind": "query-key", "reduce": "token-mean", "layers": [1, 0]}"#).unwrap();
        assert_eq!(read, selection(Kind::QueryKey, Reduce::TokenMean, Layers::Listed(vec![1, 0])));
        let read: UnitSelection = serde_json::from_str(r#"{"layers": "all"}"#).unwrap();
        assert_eq!(read, UnitSelection::default());
        let read: UnitSelection = serde_json::from_str(r#"{"kind": "embedding"}"#).unwrap();
        assert_eq!(read.reduce, Reduce::Pooled);
        assert!(serde_json::from_str::<UnitSelection>(r#"{"layer": 1}"#).is_err());
    }

    #[test]
    fn several_kinds_stand_side_by_side_in_each_layer() {
        let read = |text: &str| serde_json::from_str::<UnitSelection>(text).unwrap();
        let selection = read(r#"{"kind": ["embedding", "mlp", "query-key"], "reduce": "max", "layers": [0, 2]}"#);
        let units = selection.of_module(Module::Vision, &shape(3, false)).unwrap();
        let outputs: Vec<&str> = units.iter().map(|units| units.output.as_str()).collect();
        assert_eq!(
            outputs,
            [
                "vision/layer-00/query-key",
                "vision/layer-00/mlp",
                "vision/layer-02/query-key",
                "vision/layer-02/mlp",
                "vision/embedding"
            ]
        );
        assert_eq!(selection.kinds.to_string(), "`query-key`, `mlp` and `embedding`");
        let names = UnitTable::new("clip", Module::Vision, units).unwrap().to_tsv();
        let distinct: std::collections::BTreeSet<&str> =
            names.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
        assert_eq!(distinct.len(), 2 * (6 + 5) + 7);
        assert_eq!(read(r#"{"kind": ["mlp"]}"#), read(r#"{"kind": "mlp"}"#));
        let refused = |text: &str| read(text).of_module(Module::Vision, &shape(3, false)).unwrap_err().to_string();
        assert_eq!(
            refused(r#"{"kind": ["mlp", "query-key", "mlp"]}"#),
            "units of kind `mlp` are asked for twice: name each kind once"
        );
        assert_eq!(refused(r#"{"kind": []}"#), "no kind of unit is asked for: name at least one, as `query-key`");
        assert!(
            refused(r#"{"kind": ["mlp", "query-key"], "reduce": "token-mean"}"#).contains("`mlp` cannot be reduced")
        );
    }

    #[test]
    fn a_layer_with_two_attentions_has_their_units_twice() {
        let n_units = |kind: Kind, reduce| {
            let units = UnitSelection::of(kind, reduce).of_module(Module::FusionText, &shape(1, true)).unwrap();
            units[0].n_units
        };
        assert_eq!(n_units(Kind::QueryKey, Reduce::Mean), 12);
        assert_eq!(n_units(Kind::QueryKey, Reduce::TokenMean), 6);
        assert_eq!((n_units(Kind::Key, Reduce::Last), n_units(Kind::Query, Reduce::Last)), (6, 12));
        assert_eq!(n_units(Kind::HeadNorm, Reduce::Max), 4);
        assert_eq!(n_units(Kind::Mlp, Reduce::Max), 5);
        assert_eq!(n_units(Kind::Embedding, Reduce::Pooled), 7);
    }
}
