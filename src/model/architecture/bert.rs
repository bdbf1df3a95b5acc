//! BERT and RoBERTa, which differ in how they number places.
//!
//! Owns the architecture, post-norm blocks over words, places and types, and the names that Hugging Face's `BertModel` and
//! `RobertaModel` give to its tensors, with or without the prefix that models with a head on top have.
//!
//! Source: Devlin et al. 2019 (arXiv 1810.04805), Liu et al. 2019 (arXiv 1907.11692), as in transformers.

use super::clip::AttentionNames;
use super::{Architecture, Known};
use crate::format::onnx::{AttributeProto, ElementType};
use crate::model::blocks::{Stream, TextInputs, activate, attend, end_of_text, text_bias, text_inputs};
use crate::model::config::{Activation, ConfigTable, DIMENSION_LIMIT, TowerConfig};
use crate::model::error::ModelError;
use crate::model::graph::{GraphBuilder, Linear, Part, Value};
use crate::model::image::Preprocessor;
use crate::model::module::{Module, ModuleInput, ModuleShape, TextInput};
use crate::model::source::Source;
use crate::model::taps::{AttentionValues, LayerValues, Taps, Tokens};
use crate::model::text::{EndOfText, TokenizerStyle};
use crate::model::units::Attention;

/// BERT among the known architectures.
pub const KNOWN_BERT: Known = Known {
    name: "bert",
    title: "BERT",
    work: "Devlin et al. 2019",
    about: "BERT (Devlin et al. 2019): transformers' BertModel, with or without a head on top",
    recognise: |source| recognise(source, Style::Bert, &["bert"]),
    configured: |config| Ok(Box::new(Bert::of_config(config, Style::Bert, String::new())?)),
    published: || published(Style::Bert),
};

/// RoBERTa among the known architectures.
pub const KNOWN_ROBERTA: Known = Known {
    name: "roberta",
    title: "RoBERTa",
    work: "Liu et al. 2019",
    about: "RoBERTa (Liu et al. 2019): transformers' RobertaModel, with or without a head on top",
    recognise: |source| recognise(source, Style::Roberta, &["roberta"]),
    configured: |config| Ok(Box::new(Bert::of_config(config, Style::Roberta, String::new())?)),
    published: || published(Style::Roberta),
};

fn recognise(source: &Source, style: Style, types: &[&str]) -> Result<Option<Box<dyn Architecture>>, ModelError> {
    match (source.config()?, source.model_type()?) {
        (Some(config), Some(found)) if types.contains(&found.as_str()) => {
            let prefix = format!("{}.", style.name());
            let prefix = if source.weights.has_prefix(&prefix) { prefix } else { String::new() };
            Ok(Some(Box::new(Bert::of_config(&config, style, prefix)?)))
        }
        _ => Ok(None),
    }
}

fn published(style: Style) -> Vec<(&'static str, Box<dyn Architecture>)> {
    let large = TowerConfig { n_layers: 24, width: 1024, n_heads: 16, mlp_width: 4096, ..BASE };
    let sized = |tower| -> Box<dyn Architecture> { Box::new(Bert { tower, ..Bert::base(style) }) };
    vec![("base", sized(BASE)), ("large", sized(large))]
}

/// transformers' defaults, which are those of BERT-base.
const BASE: TowerConfig = TowerConfig {
    n_layers: 12,
    width: 768,
    n_heads: 12,
    mlp_width: 3072,
    activation: Activation::Gelu,
    layer_norm_eps: 1e-12,
};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Bert,
    Roberta,
}

impl Style {
    fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Roberta => "roberta",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bert {
    pub(super) tower: TowerConfig,
    pub(super) style: Style,
    pub(super) vocab_size: usize,
    /// Rows of the table of places; RoBERTa's first ones are for padding.
    pub(super) n_places: usize,
    pub(super) n_types: usize,
    pub(super) pad_id: u32,
    /// The most tokens that a text may have.
    pub(super) context_length: usize,
    /// What stands before the names of all tensors.
    pub(super) prefix: String,
}

impl Bert {
    /// The published model of the base size.
    pub(super) fn base(style: Style) -> Self {
        let (vocab_size, n_places, n_types, pad_id) = match style {
            Style::Bert => (30_522, 512, 2, 0),
            Style::Roberta => (50_265, 514, 1, 1),
        };
        let tower = match style {
            Style::Bert => BASE,
            Style::Roberta => TowerConfig { layer_norm_eps: 1e-5, ..BASE },
        };
        let (prefix, context_length) = (String::new(), 512);
        Self { tower, style, vocab_size, n_places, n_types, pad_id, context_length, prefix }
    }

    /// From `config.json`.
    pub(super) fn of_config(config: &ConfigTable<'_>, style: Style, prefix: String) -> Result<Self, ModelError> {
        let kind = config.word("position_embedding_type", "absolute")?;
        if kind != "absolute" {
            return Err(config.wrong("position_embedding_type", format!("`{kind}`"), "`absolute`"));
        }
        // transformers' defaults do not depend on the style here, but for the padding.
        let vocab_size = config.count("vocab_size", 30_522, 1 << 24)?;
        let tower = config.tower(&BASE)?;
        let default_pad = if style == Style::Bert { 0 } else { 1 };
        let pad_id = config.token_id("pad_token_id", default_pad, vocab_size)?;
        let n_places = config.count("max_position_embeddings", 512, DIMENSION_LIMIT)?;
        let skipped = if style == Style::Roberta { pad_id as usize + 1 } else { 0 };
        let context_length = n_places
            .checked_sub(skipped)
            .filter(|length| *length > 2)
            .ok_or_else(|| config.wrong("max_position_embeddings", n_places, format!("at least {}", skipped + 3)))?;
        Ok(Self {
            tower,
            style,
            vocab_size,
            n_places,
            n_types: config.count("type_vocab_size", 2, DIMENSION_LIMIT)?,
            pad_id,
            context_length,
            prefix,
        })
    }

    /// What goes in.
    pub(super) fn input(&self) -> TextInput {
        let Self { context_length, vocab_size, pad_id, .. } = *self;
        TextInput { context_length, vocab_size, pad_id, end_of_text: EndOfText::LastToken }
    }

    /// Words, places and types, summed and normalised.
    pub(super) fn embed(&self, graph: &mut GraphBuilder, special_tokens: bool, closed: f32) -> Stream {
        let width = self.tower.width;
        let name = |table: &str| format!("{}embeddings.{table}", self.prefix);
        let inputs = text_inputs(graph);
        let words = graph.weight(&Part::whole(name("word_embeddings.weight"), &[self.vocab_size, width]));
        let words = graph.gather(&words, &inputs.ids, 0);
        let table = graph.weight(&Part::whole(name("position_embeddings.weight"), &[self.n_places, width]));
        let places = self.places(graph, &inputs);
        let places = graph.gather(&table, &places, 0);
        let types = graph.weight(&Part::whole(name("token_type_embeddings.weight"), &[self.n_types, width]));
        let first = graph.int(0);
        let first_type = graph.gather(&types, &first, 0);
        // In transformers' order, since sums of floats depend on it.
        let typed = graph.add(&words, &first_type);
        let embedding = graph.add(&typed, &places);
        let rows = graph.reshape(&embedding, &[-1, width as i64]);
        let rows = graph.layer_norm(&rows, &name("LayerNorm"), width, self.tower.layer_norm_eps);
        let end = end_of_text(graph, EndOfText::LastToken, &inputs);
        let tokens = Tokens::of_texts(graph, &inputs.mask, &end, special_tokens);
        let bias = Some(text_bias(graph, &inputs, false, closed));
        Stream { rows, tokens, bias }
    }

    /// The number of each token's place: counted from 0, or, in RoBERTa, from behind the number of padding, which tokens that
    /// spell padding have too and which they do not count.
    fn places(&self, graph: &mut GraphBuilder, inputs: &TextInputs) -> Value {
        match self.style {
            Style::Bert => {
                let (zero, one) = (graph.int(0), graph.int(1));
                let length = graph.op("Squeeze", &[&inputs.length], vec![]);
                graph.op("Range", &[&zero, &length, &one], vec![])
            }
            Style::Roberta => {
                let (pad, second_axis) = (graph.int(i64::from(self.pad_id)), graph.int(1));
                let is_pad = graph.op("Equal", &[&inputs.ids, &pad], vec![]);
                let counts = graph.op("Not", &[&is_pad], vec![]);
                let counts = graph.cast(&counts, ElementType::I64);
                let number = graph.op("CumSum", &[&counts, &second_axis], vec![]);
                let number = graph.mul(&number, &counts);
                graph.add(&number, &pad)
            }
        }
    }

    /// The blocks, handed over layer by layer.
    pub(super) fn encode(&self, graph: &mut GraphBuilder, mut stream: Stream, taps: &Taps<'_>) -> Stream {
        for layer in 0..self.tower.n_layers {
            let name = format!("{}encoder.layer.{layer}", self.prefix);
            let (attention, attended) =
                post_norm_attention(graph, &self.tower, &format!("{name}.attention"), &stream, &stream);
            let values = post_norm_mlp(graph, &self.tower, &name, &stream.with(attended), vec![attention]);
            stream = stream.with(values.output.clone());
            taps.layer(graph, layer, &values);
        }
        stream
    }
}

/// norm(x + attention(x, y)) by the names that BERT's blocks have under `name`.
pub(super) fn post_norm_attention(
    graph: &mut GraphBuilder,
    tower: &TowerConfig,
    name: &str,
    stream: &Stream,
    other: &Stream,
) -> (AttentionValues, Value) {
    let part = |part: &str| format!("{name}.self.{part}");
    let names = [part("query"), part("key"), part("value"), format!("{name}.output.dense")];
    let names = AttentionNames::Apart { names, has_bias: true };
    let (weights, out) = names.weights(tower.width, tower.n_heads);
    let attention = if name.ends_with("crossattention") { Attention::Cross } else { Attention::SelfAttention };
    let values = attend(graph, attention, &weights, stream, other);
    let attended = graph.linear(&values.mixed, &out);
    let attended = graph.add(&attended, &stream.rows);
    let norm = format!("{name}.output.LayerNorm");
    (values, graph.layer_norm(&attended, &norm, tower.width, tower.layer_norm_eps))
}

/// norm(x + mlp(x)), which completes a block.
pub(super) fn post_norm_mlp(
    graph: &mut GraphBuilder,
    tower: &TowerConfig,
    name: &str,
    stream: &Stream,
    attentions: Vec<AttentionValues>,
) -> LayerValues {
    let TowerConfig { width, mlp_width, .. } = *tower;
    let hidden = graph.linear(&stream.rows, &Linear::named(&format!("{name}.intermediate.dense"), width, mlp_width));
    let hidden = activate(graph, tower.activation, &hidden);
    let contracted = graph.linear(&hidden, &Linear::named(&format!("{name}.output.dense"), mlp_width, width));
    let output = graph.add(&contracted, &stream.rows);
    let output = graph.layer_norm(&output, &format!("{name}.output.LayerNorm"), width, tower.layer_norm_eps);
    let tokens = stream.tokens.clone();
    LayerValues { attentions, hidden, output, tokens, mlp_width, width }
}

/// The first token of each stimulus, (batch, width).
pub(super) fn first_token(graph: &mut GraphBuilder, stream: &Stream, width: usize) -> Value {
    let tokens = stream.tokens.apart(graph, &stream.rows, width);
    let first = graph.int(0);
    graph.gather(&tokens, &first, 1)
}

/// tanh(first token W' + b), as the poolers of BERT and METER have it.
pub(super) fn pooler(graph: &mut GraphBuilder, pooled: &Value, name: &str, width: usize) -> Value {
    let dense = graph.linear(pooled, &Linear::named(&format!("{name}.dense"), width, width));
    graph.op("Tanh", &[&dense], Vec::<AttributeProto>::new())
}

impl Architecture for Bert {
    fn name(&self) -> &'static str {
        self.style.name()
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module::Text]
    }

    fn shape(&self, _module: Module) -> ModuleShape {
        ModuleShape {
            input: ModuleInput { image: None, text: Some(self.input()) },
            layers: self.tower.layers(false),
            embedding_width: self.tower.width,
            has_first_token: true,
        }
    }

    fn build(&self, graph: &mut GraphBuilder, _module: Module, taps: &Taps<'_>) -> Result<(), ModelError> {
        let stream = self.embed(graph, taps.special_tokens(), f32::MIN);
        let stream = self.encode(graph, stream, taps);
        let first = first_token(graph, &stream, self.tower.width);
        taps.embedding(graph, &first);
        Ok(())
    }

    fn preprocessor(&self) -> Option<Preprocessor> {
        None
    }

    fn tokenizer_style(&self) -> Option<TokenizerStyle> {
        Some(match self.style {
            Style::Bert => TokenizerStyle::Bert,
            Style::Roberta => TokenizerStyle::Roberta,
        })
    }
}
