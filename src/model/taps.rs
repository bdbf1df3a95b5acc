//! How the tokens of a layer become one number per unit, inside the graph.
//!
//! Owns the reductions over tokens with padding left out, and the outputs of a graph. Knows nothing of where queries, keys or
//! hidden activations come from: an architecture hands them over layer by layer.

use super::graph::{GraphBuilder, Value};
use super::units::{Attention, Kind, LayerUnits, Reduce, UnitSelection};
use crate::format::onnx::{Dim, ElementType};

/// The tokens of one stream, and which of them count.
#[derive(Clone)]
pub struct Tokens {
    /// (2): the lengths of batch and tokens.
    lengths: Value,
    counted: Counted,
    /// Where one image's tokens stand in windows that do not look at each other: how many.
    n_windows: Option<usize>,
}

#[derive(Clone)]
enum Counted {
    /// All from this one on.
    From(i64),
    Some(Box<CountedTokens>),
}

#[derive(Clone)]
struct CountedTokens {
    /// (batch, tokens, 1), true where a token counts.
    present: Value,
    /// (batch, tokens, 1), one where a token counts and zero elsewhere.
    weight: Value,
    /// (batch, 1), how many tokens count.
    n_tokens: Value,
    /// (batch, 1), the place of the first that counts.
    first: Value,
    /// (batch, 1), the place of the last that counts.
    last: Value,
}

impl Tokens {
    /// The tokens of images, which all count but the class token where that is not wanted. `lengths` holds batch and tokens.
    pub fn of_images(lengths: Value, has_class_token: bool, special_tokens: bool) -> Self {
        let first = i64::from(has_class_token && !special_tokens);
        Self { lengths, counted: Counted::From(first), n_windows: None }
    }

    /// The same tokens in windows that attention does not leave.
    #[must_use]
    pub fn in_windows(&self, n_windows: usize) -> Self {
        Self { n_windows: Some(n_windows), ..self.clone() }
    }

    /// The tokens of texts, from the attention mask (batch, tokens) of ones and zeros and the place (batch, 1) of the
    /// end of each text, before which all else but the first token is content.
    pub fn of_texts(graph: &mut GraphBuilder, attention_mask: &Value, end: &Value, special_tokens: bool) -> Self {
        let lengths = graph.two_lengths(attention_mask);
        let (zero, one) = (graph.int(0), graph.int(1));
        let column = graph.unsqueeze(attention_mask, &[2]);
        let present = graph.cast(&column, ElementType::Bool);
        let (present, first, last) = if special_tokens {
            let first = graph.mul(end, &zero);
            (present, first, end.clone())
        } else {
            let length = graph.length(attention_mask, 1);
            let length = graph.op("Squeeze", &[&length], vec![]);
            let places = graph.op("Range", &[&zero, &length, &one], vec![]);
            let places = graph.unsqueeze(&places, &[0, 2]);
            let end = graph.unsqueeze(end, &[2]);
            let (after_start, before_end) =
                (graph.op("Greater", &[&places, &zero], vec![]), graph.op("Less", &[&places, &end], vec![]));
            let content = graph.op("And", &[&after_start, &before_end], vec![]);
            let third = graph.ints(&[2]);
            let end = graph.op("Squeeze", &[&end, &third], vec![]);
            let none = graph.mul(&end, &zero);
            let (first, last) = (graph.add(&none, &one), graph.op("Sub", &[&end, &one], vec![]));
            (graph.op("And", &[&present, &content], vec![]), first, last)
        };
        let weight = graph.cast(&present, ElementType::F32);
        let n_tokens = graph.sum(&weight, 1);
        let counted = Counted::Some(Box::new(CountedTokens { present, weight, n_tokens, first, last }));
        Self { lengths, counted, n_windows: None }
    }

    /// Rows (batch x tokens, width) -> (batch, tokens, width).
    pub fn apart(&self, graph: &mut GraphBuilder, rows: &Value, width: usize) -> Value {
        let width = graph.ints(&[width as i64]);
        let dims = graph.concat(&[&self.lengths, &width], 0);
        graph.reshape_to(rows, &dims)
    }

    /// The lengths of batch and tokens.
    pub fn lengths(&self) -> &Value {
        &self.lengths
    }
}

/// What one attention of a layer makes, each in rows (batch x tokens, width).
pub struct AttentionValues {
    /// Whom the queries look at.
    pub attention: Attention,
    /// Queries of all heads side by side, after bias and before scaling.
    pub query: Value,
    /// Keys likewise.
    pub key: Value,
    /// Values likewise.
    pub value: Value,
    /// What the heads put out, side by side, before the output projection.
    pub mixed: Value,
    /// The tokens of queries and of what the heads put out.
    pub queries: Tokens,
    /// The tokens of keys and values.
    pub keys: Tokens,
    /// Heads.
    pub n_heads: usize,
    /// Width of all heads together.
    pub width: usize,
}

/// The tappable activations of one layer, in rows (batch x tokens, width).
pub struct LayerValues {
    /// Its attentions.
    pub attentions: Vec<AttentionValues>,
    /// Feed-forward activations after the non-linearity.
    pub hidden: Value,
    /// The block's output.
    pub output: Value,
    /// The tokens of both.
    pub tokens: Tokens,
    /// Width of `hidden`.
    pub mlp_width: usize,
    /// Width of `output`.
    pub width: usize,
}

/// Puts out the selected units of a module, layer by layer.
pub struct Taps<'a> {
    selection: &'a UnitSelection,
    layers: &'a [LayerUnits],
}

impl<'a> Taps<'a> {
    /// Taps for these layers.
    pub fn new(selection: &'a UnitSelection, layers: &'a [LayerUnits]) -> Self {
        Self { selection, layers }
    }

    /// Taps of the same selection that put nothing out, for what lies below a module.
    #[must_use]
    pub fn silent(&self) -> Self {
        Self { selection: self.selection, layers: &[] }
    }

    /// Whether class tokens, start and end of texts count as tokens.
    pub fn special_tokens(&self) -> bool {
        self.selection.special_tokens
    }

    /// The selected units of a layer become an output, if it is selected.
    ///
    /// Source of `query-key`: the unscaled attention logit of a head is the sum over its dimensions of
    /// q_i\[d\] k_j\[d\]; a unit is one of the summands. Its mean over all pairs of tokens is the product
    /// of the means, and its maximum lies at a corner of \[min q, max q\] x \[min k, max k\].
    pub fn layer(&self, graph: &mut GraphBuilder, layer: usize, values: &LayerValues) {
        let of_layer = |units: &&LayerUnits| units.layer == layer && units.kind != Kind::Embedding;
        for units in self.layers.iter().filter(of_layer) {
            let found = match units.kind {
                Kind::Mlp => {
                    let hidden = values.tokens.apart(graph, &values.hidden, values.mlp_width);
                    self.reduced(graph, &hidden, &values.tokens)
                }
                Kind::Residual => {
                    let output = values.tokens.apart(graph, &values.output, values.width);
                    self.reduced(graph, &output, &values.tokens)
                }
                kind => {
                    let wanted = |values: &&AttentionValues| units.attentions.contains(&values.attention);
                    let attentions = values.attentions.iter().filter(wanted);
                    let parts: Vec<Value> = attentions.map(|values| self.attention(graph, kind, values)).collect();
                    match &parts[..] {
                        [only] => only.clone(),
                        several => graph.concat(&several.iter().collect::<Vec<_>>(), 1),
                    }
                }
            };
            output(graph, &found, units);
        }
    }

    /// What the module makes of a stimulus, (batch, width), becomes an output, if it is selected.
    pub fn embedding(&self, graph: &mut GraphBuilder, embedding: &Value) {
        if let Some(units) = self.layers.iter().find(|units| units.kind == Kind::Embedding) {
            output(graph, embedding, units);
        }
    }

    fn attention(&self, graph: &mut GraphBuilder, kind: Kind, values: &AttentionValues) -> Value {
        let width = values.width;
        let query = |graph: &mut GraphBuilder| values.queries.apart(graph, &values.query, width);
        let key = |graph: &mut GraphBuilder| values.keys.apart(graph, &values.key, width);
        match kind {
            Kind::Query => {
                let query = query(graph);
                self.reduced(graph, &query, &values.queries)
            }
            Kind::Key => {
                let key = key(graph);
                self.reduced(graph, &key, &values.keys)
            }
            Kind::Value => {
                let value = values.keys.apart(graph, &values.value, width);
                self.reduced(graph, &value, &values.keys)
            }
            Kind::HeadNorm => {
                let n_heads = values.n_heads as i64;
                let heads = graph.reshape(&values.mixed, &[-1, n_heads, width as i64 / n_heads]);
                let norms = graph.reduce("ReduceL2", &heads, 2);
                let norms = values.queries.apart(graph, &norms, values.n_heads);
                self.reduced(graph, &norms, &values.queries)
            }
            Kind::QueryKey => {
                let (query, key) = (query(graph), key(graph));
                match self.selection.reduce {
                    Reduce::TokenMean => {
                        let product = graph.mul(&query, &key);
                        mean(graph, &product, &values.queries)
                    }
                    reduce => pairs(graph, [&query, &key], reduce, values),
                }
            }
            _ => {
                let mixed = values.queries.apart(graph, &values.mixed, width);
                self.reduced(graph, &mixed, &values.queries)
            }
        }
    }

    /// (batch, tokens, width) -> (batch, width).
    fn reduced(&self, graph: &mut GraphBuilder, x: &Value, tokens: &Tokens) -> Value {
        match (self.selection.reduce, &tokens.counted) {
            (Reduce::Max, _) => extreme(graph, x, "ReduceMax", tokens),
            (Reduce::Norm, _) => {
                let counted = counted(graph, x, tokens);
                graph.reduce("ReduceL2", &counted, 1)
            }
            (Reduce::First, Counted::Some(texts)) => graph.token_at(x, &texts.first),
            (Reduce::Last, Counted::Some(texts)) => graph.token_at(x, &texts.last),
            (Reduce::First | Reduce::Last, Counted::From(first)) => {
                let first = graph.int(*first);
                graph.gather(x, &first, 1)
            }
            _ => mean(graph, x, tokens),
        }
    }
}

fn output(graph: &mut GraphBuilder, value: &Value, units: &LayerUnits) {
    let dims = [Dim::Named("batch".to_owned()), Dim::Fixed(units.n_units as i64)];
    graph.output(value, &units.output, &dims);
}

/// Zero in place of tokens that do not count, or without them where all from one on do.
fn counted(graph: &mut GraphBuilder, x: &Value, tokens: &Tokens) -> Value {
    match &tokens.counted {
        Counted::From(0) => x.clone(),
        Counted::From(first) => graph.slice(x, 1, *first, i64::MAX),
        Counted::Some(texts) => graph.mul(x, &texts.weight),
    }
}

fn mean(graph: &mut GraphBuilder, x: &Value, tokens: &Tokens) -> Value {
    let of_counted = counted(graph, x, tokens);
    match &tokens.counted {
        Counted::From(_) => graph.reduce("ReduceMean", &of_counted, 1),
        Counted::Some(texts) => {
            let sum = graph.sum(&of_counted, 1);
            graph.op("Div", &[&sum, &texts.n_tokens], vec![])
        }
    }
}

/// `ReduceMax` or `ReduceMin` over the tokens that count.
fn extreme(graph: &mut GraphBuilder, x: &Value, op: &str, tokens: &Tokens) -> Value {
    let of_counted = match &tokens.counted {
        Counted::From(_) => counted(graph, x, tokens),
        Counted::Some(texts) => {
            let never_chosen = graph.float(if op == "ReduceMax" { f32::MIN } else { f32::MAX });
            graph.op("Where", &[&texts.present, x, &never_chosen], vec![])
        }
    };
    graph.reduce(op, &of_counted, 1)
}

/// Mean or maximum over all pairs of a query's and a key's token; where tokens stand in windows, over those of one window.
fn pairs(graph: &mut GraphBuilder, [query, key]: [&Value; 2], reduce: Reduce, values: &AttentionValues) -> Value {
    let Some(n_windows) = values.queries.n_windows else {
        return all_pairs(graph, [query, key], reduce, [&values.queries, &values.keys]);
    };
    let mut window_by_window = |x: &Value| {
        // (batch x windows, tokens of a window, width)
        let lengths = graph.slice(&values.queries.lengths, 0, 1, 2);
        let n = graph.ints(&[n_windows as i64]);
        let of_window = graph.op("Div", &[&lengths, &n], vec![]);
        let (any, width) = (graph.ints(&[-1]), graph.ints(&[values.width as i64]));
        let dims = graph.concat(&[&any, &of_window, &width], 0);
        graph.reshape_to(x, &dims)
    };
    let (query, key) = (window_by_window(query), window_by_window(key));
    let all = Tokens { counted: Counted::From(0), ..values.queries.clone() };
    let of_windows = all_pairs(graph, [&query, &key], reduce, [&all, &all]);
    let of_windows = graph.reshape(&of_windows, &[-1, n_windows as i64, values.width as i64]);
    graph.reduce(if reduce == Reduce::Max { "ReduceMax" } else { "ReduceMean" }, &of_windows, 1)
}

fn all_pairs(graph: &mut GraphBuilder, [query, key]: [&Value; 2], reduce: Reduce, tokens: [&Tokens; 2]) -> Value {
    if reduce != Reduce::Max {
        let (query, key) = (mean(graph, query, tokens[0]), mean(graph, key, tokens[1]));
        return graph.mul(&query, &key);
    }
    let mut corners = Vec::with_capacity(4);
    for query_op in ["ReduceMin", "ReduceMax"] {
        let query = extreme(graph, query, query_op, tokens[0]);
        for key_op in ["ReduceMin", "ReduceMax"] {
            let key = extreme(graph, key, key_op, tokens[1]);
            corners.push(graph.mul(&query, &key));
        }
    }
    let corners: Vec<&Value> = corners.iter().collect();
    graph.op("Max", &corners, vec![])
}
