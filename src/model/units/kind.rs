//! The kinds of units, and how the tokens of a stimulus become one number for each.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

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

/// One kind of unit or several; a checked selection holds them in the order in which `hebb models` lists them.
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
    /// The kinds, in the order in which they stand.
    #[must_use]
    pub fn listed(&self) -> &[Kind] {
        match self {
            Self::One(kind) => std::slice::from_ref(kind),
            Self::Several(kinds) => kinds,
        }
    }

    /// The same in the order of [`Kind::ALL`], as one kind where there is one.
    pub(super) fn sorted(self) -> Self {
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
