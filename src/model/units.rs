//! Which numbers inside a network are taken as its units, and how they are named.
//!
//! Owns the selection that a study writes (kind, reduction over tokens, layers), what may be combined, and the table that
//! names every unit in the order of the extracted columns. Knows neither graphs nor weights: `taps.rs` puts out what is
//! selected here.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::ModelError;
use super::module::{LayerShape, Module, ModuleShape, Stimulus};

/// The family of units: which activations of a layer are tapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Product of query and key along one dimension of one head (after bias, before scaling).
    #[default]
    QueryKey,
    /// What a head puts out, before the output projection.
    HeadOutput,
    /// Length of what a head puts out: one unit for each head.
    HeadNorm,
    /// Queries (after bias, before scaling).
    Query,
    /// Keys.
    Key,
    /// Values.
    Value,
    /// Hidden activations of the feed-forward part, after the non-linearity.
    Mlp,
    /// Output of the block: the residual stream.
    Residual,
    /// What the model itself makes of a stimulus in the end, after all layers.
    Embedding,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::QueryKey,
        Self::HeadOutput,
        Self::HeadNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Mlp,
        Self::Residual,
        Self::Embedding,
    ];

    /// The reductions over tokens that this kind has; the first is the default.
    #[must_use]
    pub fn reductions(self) -> &'static [Reduce] {
        match self {
            Self::QueryKey => &[Reduce::Mean, Reduce::TokenMean, Reduce::Max],
            Self::Embedding => &[Reduce::Pooled],
            _ => &[Reduce::Mean, Reduce::Max, Reduce::First, Reduce::Last, Reduce::Norm],
        }
    }

    /// Whether its units belong to attention, so that a layer with cross-attention has them twice.
    #[must_use]
    pub fn is_of_attention(self) -> bool {
        !matches!(self, Self::Mlp | Self::Residual | Self::Embedding)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueryKey => "query-key",
            Self::HeadOutput => "head-output",
            Self::HeadNorm => "head-norm",
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::Mlp => "mlp",
            Self::Residual => "residual",
            Self::Embedding => "embedding",
        })
    }
}

/// One kind of unit or several, each once, in the order of [`Kind::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Kinds {
    /// One kind.
    One(Kind),
    /// Several kinds at once, as `["query-key", "mlp"]`: a layer's units are those of the first, then those of the next.
    #[schemars(example = json!(["query-key", "mlp"]))]
    Several(#[schemars(length(min = 1))] Vec<Kind>),
}

impl Default for Kinds {
    fn default() -> Self {
        Self::One(Kind::default())
    }
}

impl Kinds {
    /// The kinds, as they were written.
    #[must_use]
    pub fn listed(&self) -> &[Kind] {
        match self {
            Self::One(kind) => std::slice::from_ref(kind),
            Self::Several(kinds) => kinds,
        }
    }

    /// The same in the order of [`Kind::ALL`], as one kind where there is one.
    fn sorted(self) -> Self {
        match self {
            Self::Several(kinds) if kinds.len() == 1 => Self::One(kinds[0]),
            Self::Several(mut kinds) => {
                kinds.sort_unstable();
                Self::Several(kinds)
            }
            one @ Self::One(_) => one,
        }
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.listed().iter().map(|kind| format!("`{kind}`")).collect();
        match kinds.split_last() {
            Some((last, before)) if !before.is_empty() => write!(f, "{} and {last}", before.join(", ")),
            _ => f.write_str(&kinds.concat()),
        }
    }
}

/// How the tokens of a stimulus become one number per unit; padding is always left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reduce {
    /// Mean over tokens; for `query-key` the mean over all pairs of tokens.
    Mean,
    /// Only `query-key` of self-attention: mean over tokens of a token's query times its own key.
    TokenMean,
    /// Largest over tokens; for `query-key` the largest over all pairs of tokens.
    Max,
    /// The first token: the class token of images, start-of-text of texts.
    First,
    /// The end-of-text token; texts only.
    Last,
    /// Length over tokens: root of the sum of squares.
    Norm,
    /// Only `embedding`: as the model itself does.
    Pooled,
}

impl fmt::Display for Reduce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mean => "mean",
            Self::TokenMean => "token-mean",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::Norm => "norm",
            Self::Pooled => "pooled",
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

/// What the queries of an attention look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// Their own stream.
    #[serde(rename = "self")]
    SelfAttention,
    /// The other stream.
    Cross,
}

impl fmt::Display for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SelfAttention => "self",
            Self::Cross => "cross",
        })
    }
}

/// The units of one kind in one layer, as the graph puts them out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerUnits {
    /// The graph's output, such as `vision/layer-00/query-key`.
    pub output: String,
    /// The layer's number from 0; the embedding comes after the last.
    pub layer: usize,
    /// Which activations of it.
    pub kind: Kind,
    /// The attentions that the units belong to, one after the other; empty where they belong to none.
    pub attentions: Vec<Attention>,
    /// Heads of an attention, where the units belong to heads.
    pub n_heads: Option<usize>,
    /// How many; head by head for each attention.
    pub n_units: usize,
}

impl LayerUnits {
    /// Attention, head and dimension of each unit in order, each absent where it has none.
    fn parts(&self) -> impl Iterator<Item = (Option<Attention>, Option<usize>, Option<usize>)> + '_ {
        let per_attention = self.n_units / self.attentions.len().max(1);
        let head_dim = self.n_heads.map(|n_heads| (per_attention / n_heads.max(1)).max(1));
        let has_dims = self.n_heads != Some(per_attention);
        (0..self.n_units).map(move |unit| {
            let within = unit % per_attention.max(1);
            let attention = self.attentions.get(unit / per_attention.max(1)).copied();
            match head_dim {
                Some(head_dim) => (attention, Some(within / head_dim), has_dims.then_some(within % head_dim)),
                None => (attention, None, Some(within)),
            }
        })
    }
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
    #[must_use]
    pub fn n_units(&self) -> usize {
        self.layers.iter().map(|layer| layer.n_units).sum()
    }

    /// The table as TSV with the columns `unit module layer kind attention head dim`, `n/a` where a unit has none.
    ///
    /// A unit is called `model/module/layer/head/dim`. The head of a query-key unit is its number, that of any other says the
    /// kind, as `mlp` and `query-3`, so that a name means one unit whatever else a study takes; where a layer has two attentions,
    /// the head says which: `cross-3`. A unit without a dimension has `-` there.
    #[must_use]
    pub fn to_tsv(&self) -> String {
        let mut tsv = String::from("unit\tmodule\tlayer\tkind\tattention\thead\tdim\n");
        let (model, module) = (&self.model, self.module);
        for units in &self.layers {
            let (layer, kind) = (units.layer, units.kind);
            for (attention, head, dim) in units.parts() {
                let of_kind = (kind != Kind::QueryKey).then(|| kind.to_string());
                let of_attention = attention.filter(|_| units.attentions.len() > 1).map(|which| which.to_string());
                let head_name: Vec<String> =
                    [of_kind, of_attention, head.map(|head| head.to_string())].into_iter().flatten().collect();
                let head_name = head_name.join("-");
                let dim_name = shown(dim, "-");
                let (attention, head, dim) = (shown(attention, "n/a"), shown(head, "n/a"), shown(dim, "n/a"));
                let name = format!("{model}/{module}/{layer}/{head_name}/{dim_name}");
                let line = writeln!(tsv, "{name}\t{module}\t{layer}\t{kind}\t{attention}\t{head}\t{dim}");
                line.expect("writing to a string cannot fail");
            }
        }
        tsv
    }
}

fn shown(part: Option<impl fmt::Display>, absent: &str) -> String {
    part.map_or_else(|| absent.to_owned(), |part| part.to_string())
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

    #[test]
    fn the_table_names_units_head_by_head() {
        let table = |kind, has_cross| {
            let module = if has_cross { Module::FusionText } else { Module::Vision };
            let units = UnitSelection::of(kind, kind.reductions()[0]).of_module(module, &shape(1, has_cross)).unwrap();
            let table = UnitTable::new("clip", module, units).unwrap();
            let tsv = table.to_tsv();
            assert_eq!(tsv.lines().count(), table.n_units() + 1);
            tsv
        };
        let tsv = table(Kind::QueryKey, false);
        assert!(tsv.starts_with(
            "unit\tmodule\tlayer\tkind\tattention\thead\tdim\nclip/vision/0/0/0\tvision\t0\tquery-key\tself\t0\t0\n"
        ));
        assert!(tsv.ends_with("clip/vision/0/1/2\tvision\t0\tquery-key\tself\t1\t2\n"));
        let tsv = table(Kind::Query, true);
        assert!(tsv.contains("\nclip/fusion-text/0/query-self-1/2\tfusion-text\t0\tquery\tself\t1\t2\n"));
        assert!(tsv.ends_with("\nclip/fusion-text/0/query-cross-1/2\tfusion-text\t0\tquery\tcross\t1\t2\n"));
        assert!(
            table(Kind::HeadNorm, false)
                .ends_with("\nclip/vision/0/head-norm-1/-\tvision\t0\thead-norm\tself\t1\tn/a\n")
        );
        assert!(table(Kind::Mlp, false).ends_with("\nclip/vision/0/mlp/4\tvision\t0\tmlp\tn/a\tn/a\t4\n"));
        assert!(
            table(Kind::Embedding, false).ends_with("\nclip/vision/1/embedding/6\tvision\t1\tembedding\tn/a\tn/a\t6\n")
        );
        assert!(UnitTable::new("a/b", Module::Vision, vec![]).is_err());
    }
}
