//! How the tokens of a layer become one number per unit, inside the graph.
//!
//! Owns the reductions over tokens with padding left out. Knows nothing of where queries, keys or
//! hidden activations come from: `clip.rs` hands them over as (batch, tokens, width).

use super::graph::{GraphBuilder, Value};
use super::units::{Kind, Reduce};
use crate::format::onnx::{AttributeProto, ElementType};

/// Which tokens of a batch of texts count, and where each text ends.
pub struct TextTokens {
    /// (batch, tokens, 1), true where there is no padding.
    present: Value,
    /// (batch, tokens, 1), one where there is no padding and zero elsewhere.
    weight: Value,
    /// (batch, 1), how many tokens count.
    n_tokens: Value,
    /// (batch, 1), the place of the end-of-text token.
    end: Value,
}

impl TextTokens {
    /// From the attention mask (batch, tokens) of ones and zeros and the place (batch, 1) of the
    /// end-of-text token.
    pub fn new(graph: &mut GraphBuilder, attention_mask: &Value, end: Value) -> Self {
        let column = graph.unsqueeze(attention_mask, &[2]);
        let weight = graph.cast(&column, ElementType::F32);
        let n_tokens = graph.sum(&weight, 1);
        Self { present: graph.cast(&column, ElementType::Bool), weight, n_tokens, end }
    }
}

/// The tappable activations of one layer, each (batch, tokens, width).
pub struct LayerValues {
    /// Queries of all heads side by side, after bias and before scaling.
    pub query: Value,
    /// Keys likewise.
    pub key: Value,
    /// Feed-forward activations after the non-linearity.
    pub hidden: Value,
    /// The block's output.
    pub output: Value,
}

/// The units of a layer, (batch, n_units). `texts` is absent where all tokens count.
///
/// Source of `query-key`: the unscaled attention logit of a head is the sum over its dimensions of
/// q_i\[d\] k_j\[d\]; a unit is one of the summands. Its mean over all pairs of tokens is the product
/// of the means, and its maximum lies at a corner of \[min q, max q\] x \[min k, max k\].
pub fn units(
    graph: &mut GraphBuilder,
    layer: &LayerValues,
    kind: Kind,
    reduce: Reduce,
    texts: Option<&TextTokens>,
) -> Value {
    match (kind, reduce) {
        (Kind::QueryKey, Reduce::TokenMean) => {
            let product = graph.mul(&layer.query, &layer.key);
            mean(graph, &product, texts)
        }
        (Kind::QueryKey, Reduce::Max) => largest_pair(graph, layer, texts),
        (Kind::QueryKey, _) => {
            let query = mean(graph, &layer.query, texts);
            let key = mean(graph, &layer.key, texts);
            graph.mul(&query, &key)
        }
        (Kind::Mlp, reduce) => one_value(graph, &layer.hidden, reduce, texts),
        (Kind::Residual, reduce) => one_value(graph, &layer.output, reduce, texts),
    }
}

fn one_value(graph: &mut GraphBuilder, x: &Value, reduce: Reduce, texts: Option<&TextTokens>) -> Value {
    match (reduce, texts) {
        (Reduce::Max, _) => extreme(graph, x, "ReduceMax", texts),
        (Reduce::Last, Some(texts)) => {
            let batch_dims = vec![AttributeProto::int("batch_dims", 1)];
            graph.op("GatherND", &[x, &texts.end], batch_dims)
        }
        (Reduce::First | Reduce::Last, _) => {
            let first = graph.int(0);
            graph.gather(x, &first, 1)
        }
        (Reduce::Mean | Reduce::TokenMean, _) => mean(graph, x, texts),
    }
}

fn mean(graph: &mut GraphBuilder, x: &Value, texts: Option<&TextTokens>) -> Value {
    let Some(texts) = texts else {
        return graph.reduce("ReduceMean", x, 1);
    };
    let counted = graph.mul(x, &texts.weight);
    let sum = graph.sum(&counted, 1);
    graph.op("Div", &[&sum, &texts.n_tokens], vec![])
}

/// `ReduceMax` or `ReduceMin` over the tokens that count.
fn extreme(graph: &mut GraphBuilder, x: &Value, op: &str, texts: Option<&TextTokens>) -> Value {
    let Some(texts) = texts else {
        return graph.reduce(op, x, 1);
    };
    let never_chosen = graph.float(if op == "ReduceMax" { f32::MIN } else { f32::MAX });
    let counted = graph.op("Where", &[&texts.present, x, &never_chosen], vec![]);
    graph.reduce(op, &counted, 1)
}

fn largest_pair(graph: &mut GraphBuilder, layer: &LayerValues, texts: Option<&TextTokens>) -> Value {
    let mut corners = Vec::with_capacity(4);
    for query_op in ["ReduceMin", "ReduceMax"] {
        let query = extreme(graph, &layer.query, query_op, texts);
        for key_op in ["ReduceMin", "ReduceMax"] {
            let key = extreme(graph, &layer.key, key_op, texts);
            corners.push(graph.mul(&query, &key));
        }
    }
    let corners: Vec<&Value> = corners.iter().collect();
    graph.op("Max", &corners, vec![])
}
