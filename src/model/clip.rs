//! The two towers of CLIP as graphs with unit taps.
//!
//! Owns the architecture: embeddings, pre-norm transformer blocks, and the names that Hugging
//! Face's `CLIPModel` gives to their tensors. Knows nothing of files (`graph.rs`, `export.rs`) nor
//! of what a tap does with its tokens (`taps.rs`).
//!
//! Source: Radford et al. 2021 (arXiv 2103.00020), as in transformers' `CLIPVisionModel` and
//! `CLIPTextModel`. The final layer norms and projections come after the last tap and are left out.

use super::config::{Activation, ClipConfig, EndOfText, TextConfig, TowerConfig, VisionConfig};
use super::error::ModelError;
use super::graph::{Graph, GraphBuilder, Value};
use super::taps::{self, LayerValues, TextTokens};
use super::units::{Kind, LayerUnits, Module, UnitSelection};
use crate::format::onnx::{AttributeProto, Dim, ElementType};

/// The name of the image tower's input, (batch, channels, height, width).
pub const PIXELS: &str = "pixel_values";

/// The name of the text tower's token ids, (batch, tokens).
pub const TOKEN_IDS: &str = "input_ids";

/// The name of the text tower's mask, (batch, tokens): one for a token, zero for padding.
pub const TOKEN_MASK: &str = "attention_mask";

/// One module's graph and the units that it puts out.
pub struct TappedGraph {
    /// The graph, without what no tap needs.
    pub graph: Graph,
    /// The units by layer, in the order of the graph's outputs.
    pub layers: Vec<LayerUnits>,
}

/// Builds one tower with the selected units as its outputs.
///
/// # Errors
/// The selection does not fit the module.
pub fn tower(config: &ClipConfig, module: Module, selection: &UnitSelection) -> Result<TappedGraph, ModelError> {
    let tower = config.tower(module);
    let tapped = selection.checked_layers(module, tower.n_layers)?;
    let mut graph = GraphBuilder::default();
    let (mut stream, texts, attention_bias) = match module {
        Module::Vision => (image_embedding(&mut graph, &config.vision), None, None),
        Module::Text => {
            let text = text_embedding(&mut graph, &config.text);
            (text.embedding, Some(text.tokens), Some(text.attention_bias))
        }
    };
    let mut layers = Vec::with_capacity(tapped.len());
    for layer in 0..tower.n_layers {
        let name = format!("{module}_model.encoder.layers.{layer}");
        let values = block(&mut graph, tower, &name, &stream, attention_bias.as_ref());
        if tapped.contains(&layer) {
            let units = taps::units(&mut graph, &values, selection.kind, selection.reduce, texts.as_ref());
            let described = layer_units(tower, module, selection.kind, layer);
            let dims = [named("batch"), Dim::Fixed(described.n_units as i64)];
            graph.output(&units, &described.output, &dims);
            layers.push(described);
        }
        stream = values.output;
    }
    Ok(TappedGraph { graph: graph.finish(&format!("clip-{module}")), layers })
}

/// What one layer puts out for this kind of unit.
pub fn layer_units(tower: &TowerConfig, module: Module, kind: Kind, layer: usize) -> LayerUnits {
    let (n_heads, n_units) = match kind {
        Kind::QueryKey => (Some(tower.n_heads), tower.width),
        Kind::Mlp => (None, tower.mlp_width),
        Kind::Residual => (None, tower.width),
    };
    LayerUnits { output: format!("{module}/layer-{layer:02}/{kind}"), layer, n_heads, n_units }
}

fn named(name: &str) -> Dim {
    Dim::Named(name.to_owned())
}

/// Patches and the class token, with their places, normalised: (batch, tokens, width).
fn image_embedding(graph: &mut GraphBuilder, config: &VisionConfig) -> Value {
    let width = config.tower.width;
    let side = Dim::Fixed(config.image_size as i64);
    let dims = [named("batch"), Dim::Fixed(config.n_channels as i64), side.clone(), side];
    let pixels = graph.input(PIXELS, ElementType::F32, &dims);

    let name = |tensor: &str| format!("vision_model.embeddings.{tensor}");
    let patch = config.patch_size;
    let kernel = graph.weight(&name("patch_embedding.weight"), &[width, config.n_channels, patch, patch]);
    let sides = [patch as i64; 2];
    let attributes = vec![AttributeProto::ints("kernel_shape", &sides), AttributeProto::ints("strides", &sides)];
    let patches = graph.op("Conv", &[&pixels, &kernel], attributes);
    let patches = graph.reshape(&patches, &[0, 0, -1]);
    let patches = graph.transpose(&patches, &[0, 2, 1]);

    let class = graph.weight(&name("class_embedding"), &[width]);
    let batch = graph.length(&pixels, 0);
    let one_token = graph.ints(&[1, width as i64]);
    let class_dims = graph.concat(&[&batch, &one_token], 0);
    let class = graph.op("Expand", &[&class, &class_dims], vec![]);

    let tokens = graph.concat(&[&class, &patches], 1);
    let places = graph.weight(&name("position_embedding.weight"), &[config.n_tokens(), width]);
    let embedding = graph.add(&tokens, &places);
    // The misspelling is the tensor's real name.
    graph.layer_norm(&embedding, "vision_model.pre_layrnorm", width, config.tower.layer_norm_eps)
}

struct TextEmbedding {
    /// (batch, tokens, width).
    embedding: Value,
    tokens: TextTokens,
    /// (batch, 1, tokens, tokens), to be added to attention logits.
    attention_bias: Value,
}

/// Tokens with their places, and what each may attend to.
fn text_embedding(graph: &mut GraphBuilder, config: &TextConfig) -> TextEmbedding {
    let width = config.tower.width;
    let dims = [named("batch"), named("tokens")];
    let ids = graph.input(TOKEN_IDS, ElementType::I64, &dims);
    let mask = graph.input(TOKEN_MASK, ElementType::I64, &dims);

    let name = |tensor: &str| format!("text_model.embeddings.{tensor}.weight");
    let vocabulary = graph.weight(&name("token_embedding"), &[config.vocab_size, width]);
    let words = graph.gather(&vocabulary, &ids, 0);
    let places = graph.weight(&name("position_embedding"), &[config.context_length, width]);
    let (begin, length) = (graph.ints(&[0]), graph.length(&ids, 1));
    let places = graph.op("Slice", &[&places, &begin, &length], vec![]);

    let end = end_of_text(graph, config.end_of_text, &ids);
    TextEmbedding {
        embedding: graph.add(&words, &places),
        tokens: TextTokens::new(graph, &mask, end),
        attention_bias: causal_bias(graph, &length, &mask),
    }
}

/// The place of each text's end, (batch, 1).
fn end_of_text(graph: &mut GraphBuilder, rule: EndOfText, ids: &Value) -> Value {
    // Ids stay below 2^24, so they are exact as floats, which every runtime can compare.
    let scores = match rule {
        EndOfText::LargestId => graph.cast(ids, ElementType::F32),
        EndOfText::FirstOf(id) => {
            let id = graph.int(i64::from(id));
            let is_end = graph.op("Equal", &[ids, &id], vec![]);
            graph.cast(&is_end, ElementType::F32)
        }
    };
    let attributes = vec![AttributeProto::int("axis", 1), AttributeProto::int("keepdims", 1)];
    graph.op("ArgMax", &[&scores], attributes)
}

/// Zero where a token may look: at itself and earlier ones that are no padding.
fn causal_bias(graph: &mut GraphBuilder, length: &Value, mask: &Value) -> Value {
    let (zero, one) = (graph.int(0), graph.int(1));
    let length = graph.op("Squeeze", &[length], vec![]);
    let places = graph.op("Range", &[&zero, &length, &one], vec![]);
    let (seen, seeing) = (graph.unsqueeze(&places, &[0]), graph.unsqueeze(&places, &[1]));
    let earlier = graph.op("LessOrEqual", &[&seen, &seeing], vec![]);
    let mask = graph.unsqueeze(mask, &[1, 2]);
    let present = graph.cast(&mask, ElementType::Bool);
    let visible = graph.op("And", &[&earlier, &present], vec![]);
    let (open, closed) = (graph.float(0.0), graph.float(f32::MIN));
    graph.op("Where", &[&visible, &open, &closed], vec![])
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
fn block(
    graph: &mut GraphBuilder,
    tower: &TowerConfig,
    name: &str,
    stream: &Value,
    attention_bias: Option<&Value>,
) -> LayerValues {
    let (width, epsilon) = (tower.width, tower.layer_norm_eps);
    let normed = graph.layer_norm(stream, &format!("{name}.layer_norm1"), width, epsilon);
    let name_attention = format!("{name}.self_attn");
    let project = |graph: &mut GraphBuilder, x: &Value, part: &str| {
        graph.linear(x, &format!("{name_attention}.{part}_proj"), width, width)
    };
    let query = project(graph, &normed, "q");
    let key = project(graph, &normed, "k");
    let value = project(graph, &normed, "v");
    let attended = attention(graph, tower, [&query, &key, &value], attention_bias);
    let attended = project(graph, &attended, "out");
    let stream = graph.add(stream, &attended);

    let normed = graph.layer_norm(&stream, &format!("{name}.layer_norm2"), width, epsilon);
    let hidden = graph.linear(&normed, &format!("{name}.mlp.fc1"), width, tower.mlp_width);
    let hidden = activation(graph, tower.activation, &hidden);
    let contracted = graph.linear(&hidden, &format!("{name}.mlp.fc2"), tower.mlp_width, width);
    let output = graph.add(&stream, &contracted);
    LayerValues { query, key, hidden, output }
}

/// softmax(Q K' / sqrt(d) + bias) V of every head, side by side again.
fn attention(
    graph: &mut GraphBuilder,
    tower: &TowerConfig,
    [query, key, value]: [&Value; 3],
    bias: Option<&Value>,
) -> Value {
    let (n_heads, head_dim) = (tower.n_heads as i64, tower.head_dim() as i64);
    let mut split = |x: &Value, order: &[i64]| {
        let heads = graph.reshape(x, &[0, 0, n_heads, head_dim]);
        graph.transpose(&heads, order)
    };
    let query = split(query, &[0, 2, 1, 3]);
    let key = split(key, &[0, 2, 3, 1]);
    let value = split(value, &[0, 2, 1, 3]);
    let scale = graph.float((tower.head_dim() as f32).sqrt().recip());
    let logits = graph.matmul(&query, &key);
    let mut logits = graph.mul(&logits, &scale);
    if let Some(bias) = bias {
        logits = graph.add(&logits, bias);
    }
    let shares = graph.op("Softmax", &[&logits], vec![AttributeProto::int("axis", -1)]);
    let mixed = graph.matmul(&shares, &value);
    let tokens_first = graph.transpose(&mixed, &[0, 2, 1, 3]);
    graph.reshape(&tokens_first, &[0, 0, n_heads * head_dim])
}

fn activation(graph: &mut GraphBuilder, kind: Activation, x: &Value) -> Value {
    match kind {
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
