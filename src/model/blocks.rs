//! What transformers are made of, as pieces of a graph.
//!
//! Owns attention, feed-forward part, embeddings of patches and of tokens, and the masks of texts. A stream of tokens stands in
//! rows (batch x tokens, width): a matrix product then is one, whatever the batch. Knows no tensor's name: `architecture/`
//! names them.

use super::config::Activation;
use super::graph::{GraphBuilder, Linear, Part, Value};
use super::taps::{AttentionValues, Tokens};
use super::text::EndOfText;
use super::units::Attention;
use crate::format::onnx::{AttributeProto, Dim, ElementType};

/// The name of the images' input, (batch, channels, height, width).
pub const PIXELS: &str = "pixel_values";

/// The name of the texts' token ids, (batch, tokens).
pub const TOKEN_IDS: &str = "input_ids";

/// The name of the texts' mask, (batch, tokens): one for a token, zero for padding.
pub const TOKEN_MASK: &str = "attention_mask";

/// A stream of tokens.
#[derive(Clone)]
pub struct Stream {
    /// Rows (batch x tokens, width).
    pub rows: Value,
    /// Its tokens.
    pub tokens: Tokens,
    /// Zero for tokens that may be looked at, or much below it: to be added to logits (batch, heads, queries, keys). Absent
    /// where every token looks at every token.
    pub bias: Option<Value>,
}

impl Stream {
    /// The same tokens with other rows.
    #[must_use]
    pub fn with(&self, rows: Value) -> Self {
        Self { rows, ..self.clone() }
    }
}

/// The projections of an attention.
pub struct AttentionWeights {
    /// Of queries, keys and values.
    pub projections: [Linear; 3],
    /// Heads.
    pub n_heads: usize,
    /// Width of all heads together.
    pub width: usize,
}

/// softmax(Q K' / sqrt(d) + bias) V of every head, side by side again: queries from one stream, keys and values from another
/// or the same.
pub fn attend(
    graph: &mut GraphBuilder,
    attention: Attention,
    weights: &AttentionWeights,
    queries: &Stream,
    keys: &Stream,
) -> AttentionValues {
    let [query, key, value] = &weights.projections;
    let query = graph.linear(&queries.rows, query);
    let key = graph.linear(&keys.rows, key);
    let value = graph.linear(&keys.rows, value);
    let (n_heads, width) = (weights.n_heads, weights.width);
    let mixed = {
        let bias = keys.bias.as_ref();
        let mut split = |x: &Value, tokens: &Tokens, order: &[i64]| {
            let heads = graph.ints(&[n_heads as i64, (width / n_heads) as i64]);
            let dims = graph.concat(&[tokens.lengths(), &heads], 0);
            let heads = graph.reshape_to(x, &dims);
            graph.transpose(&heads, order)
        };
        let query = split(&query, &queries.tokens, &[0, 2, 1, 3]);
        let key = split(&key, &keys.tokens, &[0, 2, 3, 1]);
        let value = split(&value, &keys.tokens, &[0, 2, 1, 3]);
        mix(graph, [&query, &key, &value], n_heads, width, bias)
    };
    let (queries, keys) = (queries.tokens.clone(), keys.tokens.clone());
    AttentionValues { attention, query, key, value, mixed, queries, keys, n_heads, width }
}

/// From queries (batch, heads, queries, dims), keys (batch, heads, dims, keys) and values (batch, heads, keys, dims) to rows.
pub fn mix(
    graph: &mut GraphBuilder,
    [query, key, value]: [&Value; 3],
    n_heads: usize,
    width: usize,
    bias: Option<&Value>,
) -> Value {
    let scale = graph.float(((width / n_heads) as f32).sqrt().recip());
    let logits = graph.matmul(query, key);
    let mut logits = graph.mul(&logits, &scale);
    if let Some(bias) = bias {
        logits = graph.add(&logits, bias);
    }
    let shares = graph.softmax(&logits);
    let mixed = graph.matmul(&shares, value);
    let tokens_first = graph.transpose(&mixed, &[0, 2, 1, 3]);
    graph.reshape(&tokens_first, &[-1, width as i64])
}

/// The non-linearity, element by element.
pub fn activate(graph: &mut GraphBuilder, activation: Activation, x: &Value) -> Value {
    match activation {
        Activation::QuickGelu => {
            let steepness = graph.float(1.702);
            let steep = graph.mul(x, &steepness);
            let gate = graph.op("Sigmoid", &[&steep], vec![]);
            graph.mul(x, &gate)
        }
        Activation::Gelu => {
            let root_half = graph.float(std::f32::consts::FRAC_1_SQRT_2);
            let scaled = graph.mul(x, &root_half);
            let erf = graph.op("Erf", &[&scaled], vec![]);
            let (one, half) = (graph.float(1.0), graph.float(0.5));
            let gate = graph.add(&erf, &one);
            let gated = graph.mul(x, &gate);
            graph.mul(&gated, &half)
        }
    }
}

/// How an image is cut into patches.
pub struct Patches {
    /// Kernel (width, 3, patch, patch).
    pub kernel: Part,
    /// Its bias, if it has one.
    pub bias: Option<Part>,
    /// Height and width of the image, in pixels.
    pub image_size: usize,
    /// Height and width of a patch, in pixels; divides `image_size`.
    pub patch_size: usize,
}

impl Patches {
    /// Patches of an image.
    pub fn count(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// The input of images and its patches row by row, (batch, patches, width).
    pub fn embed(&self, graph: &mut GraphBuilder) -> (Value, Value) {
        let side = Dim::Fixed(self.image_size as i64);
        let dims = [named("batch"), Dim::Fixed(3), side.clone(), side];
        let pixels = graph.input(PIXELS, ElementType::F32, &dims);
        let kernel = graph.weight(&self.kernel);
        let bias = self.bias.as_ref().map(|bias| graph.weight(bias));
        let sides = [self.patch_size as i64; 2];
        let attributes = vec![AttributeProto::ints("kernel_shape", &sides), AttributeProto::ints("strides", &sides)];
        let inputs: Vec<&Value> = [&pixels, &kernel].into_iter().chain(&bias).collect();
        let patches = graph.op("Conv", &inputs, attributes);
        let patches = graph.reshape(&patches, &[0, 0, -1]);
        (pixels, graph.transpose(&patches, &[0, 2, 1]))
    }

    /// A class token before the patches and each token's place added: rows, and the tokens.
    pub fn embed_with_class(
        &self,
        graph: &mut GraphBuilder,
        class: &Part,
        places: &Value,
        special_tokens: bool,
    ) -> Stream {
        let width = *class.spec.shape.last().unwrap_or(&1) as i64;
        let (pixels, patches) = self.embed(graph);
        let class = graph.weight(class);
        let batch = graph.length(&pixels, 0);
        let one_token = graph.ints(&[1, width]);
        let class_dims = graph.concat(&[&batch, &one_token], 0);
        let class = graph.op("Expand", &[&class, &class_dims], vec![]);
        let tokens = graph.concat(&[&class, &patches], 1);
        let embedding = graph.add(&tokens, places);
        let n_tokens = graph.ints(&[1 + self.count() as i64]);
        let lengths = graph.concat(&[&batch, &n_tokens], 0);
        let rows = graph.reshape(&embedding, &[-1, width]);
        Stream { rows, tokens: Tokens::of_images(lengths, true, special_tokens), bias: None }
    }
}

/// The inputs of a text.
pub struct TextInputs {
    /// Token ids (batch, tokens).
    pub ids: Value,
    /// One for a token, zero for padding (batch, tokens).
    pub mask: Value,
    /// How many tokens there are, padding included: a list of one integer.
    pub length: Value,
}

/// Declares the inputs of a text.
pub fn text_inputs(graph: &mut GraphBuilder) -> TextInputs {
    let dims = [named("batch"), named("tokens")];
    let ids = graph.input(TOKEN_IDS, ElementType::I64, &dims);
    let mask = graph.input(TOKEN_MASK, ElementType::I64, &dims);
    let length = graph.length(&ids, 1);
    TextInputs { ids, mask, length }
}

/// The place of each text's end, (batch, 1).
pub fn end_of_text(graph: &mut GraphBuilder, rule: EndOfText, inputs: &TextInputs) -> Value {
    // Ids stay below 2^24, so they are exact as floats, which every runtime can compare.
    let scores = match rule {
        EndOfText::LargestId => graph.cast(&inputs.ids, ElementType::F32),
        EndOfText::FirstOf(id) => {
            let id = graph.int(i64::from(id));
            let is_end = graph.op("Equal", &[&inputs.ids, &id], vec![]);
            graph.cast(&is_end, ElementType::F32)
        }
        EndOfText::LastToken => {
            let axes = graph.ints(&[1]);
            let n_tokens = graph.op("ReduceSum", &[&inputs.mask, &axes], vec![AttributeProto::int("keepdims", 1)]);
            let one = graph.int(1);
            return graph.op("Sub", &[&n_tokens, &one], vec![]);
        }
    };
    let attributes = vec![AttributeProto::int("axis", 1), AttributeProto::int("keepdims", 1)];
    graph.op("ArgMax", &[&scores], attributes)
}

/// Zero where a token may look at a token that is no padding, and `closed` elsewhere: (batch, 1, 1, tokens), or
/// (batch, 1, tokens, tokens) where no token looks ahead.
pub fn text_bias(graph: &mut GraphBuilder, inputs: &TextInputs, is_causal: bool, closed: f32) -> Value {
    let mask = graph.unsqueeze(&inputs.mask, &[1, 2]);
    let present = graph.cast(&mask, ElementType::Bool);
    let visible = if is_causal {
        let (zero, one) = (graph.int(0), graph.int(1));
        let length = graph.op("Squeeze", &[&inputs.length], vec![]);
        let places = graph.op("Range", &[&zero, &length, &one], vec![]);
        let (seen, seeing) = (graph.unsqueeze(&places, &[0]), graph.unsqueeze(&places, &[1]));
        let earlier = graph.op("LessOrEqual", &[&seen, &seeing], vec![]);
        graph.op("And", &[&earlier, &present], vec![])
    } else {
        present
    };
    let (open, closed) = (graph.float(0.0), graph.float(closed));
    graph.op("Where", &[&visible, &open, &closed], vec![])
}

/// An axis whose length is known when the network runs.
pub fn named(name: &str) -> Dim {
    Dim::Named(name.to_owned())
}
