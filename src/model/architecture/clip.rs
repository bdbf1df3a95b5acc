//! The two towers of CLIP.
//!
//! Owns the architecture, embeddings, pre-norm blocks and projections, and the two ways in which its tensors are named:
//! Hugging Face's and OpenAI's own.
//!
//! Source: Radford et al. 2021 (arXiv 2103.00020), as in transformers' `CLIPModel` and OpenAI's released code.

use super::{Architecture, Known};
use crate::model::blocks::{AttentionWeights, Patches, Stream, activate, attend, end_of_text, text_bias, text_inputs};
use crate::model::config::{Activation, ConfigTable, DIMENSION_LIMIT, TowerConfig};
use crate::model::error::ModelError;
use crate::model::graph::{GraphBuilder, Linear, Part, Value};
use crate::model::image::Preprocessor;
use crate::model::module::{ImageInput, Module, ModuleInput, ModuleShape, TextInput};
use crate::model::source::Source;
use crate::model::taps::{LayerValues, Taps, Tokens};
use crate::model::text::{EndOfText, TokenizerStyle};
use crate::model::units::Attention;
use crate::model::weights::Weights;

/// CLIP among the known architectures.
pub const KNOWN: Known = Known {
    name: "clip",
    title: "CLIP",
    work: "Radford et al. 2021",
    about: "CLIP (Radford et al. 2021): transformers' CLIPModel, or OpenAI's own checkpoints",
    recognise: |source| {
        Ok(match (source.config()?, source.model_type()?.as_deref()) {
            (Some(config), Some("clip")) => Some(Box::new(Clip::of_config(&config)?)),
            (_, None) if source.weights.shape("visual.conv1.weight").is_some() => {
                Some(Box::new(Clip::of_openai(source)?))
            }
            // Configurations of 2021 name no type.
            (Some(config), None) if config.has("vision_config") || config.has("vision_config_dict") => {
                Some(Box::new(Clip::of_config(&config)?))
            }
            _ => None,
        })
    },
    configured: |config| Ok(Box::new(Clip::of_config(config)?)),
    published: || {
        let large = TowerConfig { n_layers: 24, width: 1024, n_heads: 16, mlp_width: 4096, ..VISION };
        let large_text = TowerConfig { width: 768, n_heads: 12, mlp_width: 3072, ..TEXT };
        let sized = |vision, image_size, patch_size, text, projection_dim| -> Box<dyn Architecture> {
            Box::new(Clip {
                vision: VisionConfig { tower: vision, image_size, patch_size },
                text: TextConfig { tower: text, ..Clip::default().text },
                projection_dim,
                names: Names::Transformers,
            })
        };
        vec![
            ("ViT-B/32", sized(VISION, 224, 32, TEXT, 512)),
            ("ViT-B/16", sized(VISION, 224, 16, TEXT, 512)),
            ("ViT-L/14", sized(large, 224, 14, large_text, 768)),
            ("ViT-L/14@336", sized(large, 336, 14, large_text, 768)),
        ]
    },
};

/// transformers' defaults, which are those of ViT-B/32.
const VISION: TowerConfig = TowerConfig {
    n_layers: 12,
    width: 768,
    n_heads: 12,
    mlp_width: 3072,
    activation: Activation::QuickGelu,
    layer_norm_eps: 1e-5,
};

/// transformers' defaults.
const TEXT: TowerConfig = TowerConfig { width: 512, n_heads: 8, mlp_width: 2048, ..VISION };

/// Dimensions of a head in every model that OpenAI released; its checkpoints do not say.
const HEAD_DIM: usize = 64;

/// Both towers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clip {
    pub(super) vision: VisionConfig,
    pub(super) text: TextConfig,
    /// Width of the space that both towers project to.
    pub(super) projection_dim: usize,
    pub(super) names: Names,
}

/// The image tower.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct VisionConfig {
    pub(super) tower: TowerConfig,
    pub(super) image_size: usize,
    pub(super) patch_size: usize,
}

/// The text tower.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TextConfig {
    pub(super) tower: TowerConfig,
    pub(super) context_length: usize,
    pub(super) vocab_size: usize,
    pub(super) end_of_text: EndOfText,
}

/// Whose names the tensors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    Transformers,
    OpenAi,
}

impl Default for Clip {
    fn default() -> Self {
        let end_of_text = EndOfText::FirstOf(49_407);
        Self {
            vision: VisionConfig { tower: VISION, image_size: 224, patch_size: 32 },
            text: TextConfig { tower: TEXT, context_length: 77, vocab_size: 49_408, end_of_text },
            projection_dim: 512,
            names: Names::Transformers,
        }
    }
}

impl Clip {
    /// From `config.json`.
    pub(super) fn of_config(config: &ConfigTable<'_>) -> Result<Self, ModelError> {
        let default = Self::default();
        // transformers lets the legacy tables replace the newer ones, defaults included.
        let newest = |name: &str| {
            let legacy = format!("{name}_dict");
            if config.has(&legacy) { config.table(&legacy) } else { config.table(name) }
        };
        let projection_dim = config.count("projection_dim", default.projection_dim, DIMENSION_LIMIT)?;
        let table = newest("text_config")?;
        let vocab_size = table.count("vocab_size", default.text.vocab_size, 1 << 24)?;
        let end_of_text = match table.token_id("eos_token_id", 49_407.min(vocab_size as u32 - 1), vocab_size)? {
            2 => EndOfText::LargestId,
            id => EndOfText::FirstOf(id),
        };
        let text = TextConfig {
            tower: table.tower(&TEXT)?,
            context_length: table.count("max_position_embeddings", default.text.context_length, DIMENSION_LIMIT)?,
            vocab_size,
            end_of_text,
        };
        let table = newest("vision_config")?;
        let tower = table.tower(&VISION)?;
        let (image_size, patch_size) = table.patches((224, 32))?;
        let vision = VisionConfig { tower, image_size, patch_size };
        Ok(Self { vision, text, projection_dim, names: Names::Transformers })
    }

    /// From the shapes of OpenAI's tensors, which say everything but the heads.
    fn of_openai(source: &Source) -> Result<Self, ModelError> {
        let weights = &source.weights;
        let [vision, text] = ["visual.", ""].map(|tower| openai_tower(source, tower));
        let (vision, text) = (vision?, text?);
        let patch_size = dim(source, "visual.conv1.weight", 3)?;
        let n_places = dim(source, "visual.positional_embedding", 0)?;
        let side = n_places.saturating_sub(1).isqrt();
        if side * side + 1 != n_places {
            let message =
                format!("`visual.positional_embedding` has {n_places} places: expected a square and one more");
            return Err(misfit(weights, message));
        }
        let text = TextConfig {
            tower: text,
            context_length: dim(source, "positional_embedding", 0)?,
            vocab_size: dim(source, "token_embedding.weight", 0)?,
            end_of_text: EndOfText::LargestId,
        };
        Ok(Self {
            vision: VisionConfig { tower: vision, image_size: side * patch_size, patch_size },
            text,
            projection_dim: dim(source, "text_projection", 1)?,
            names: Names::OpenAi,
        })
    }

    fn tower(&self, module: Module) -> &TowerConfig {
        if module == Module::Vision { &self.vision.tower } else { &self.text.tower }
    }
}

/// A tower of OpenAI's, by its tensors' shapes.
pub(super) fn openai_tower(source: &Source, tower: &str) -> Result<TowerConfig, ModelError> {
    let block = format!("{tower}transformer.resblocks.");
    let width = dim(source, &format!("{block}0.ln_1.weight"), 0)?;
    if !width.is_multiple_of(HEAD_DIM) {
        let message =
            format!("the width {width} of `{block}0` is no multiple of {HEAD_DIM}, so its heads are not known");
        return Err(misfit(&source.weights, message));
    }
    Ok(TowerConfig {
        n_layers: source.weights.count_blocks(&block),
        width,
        n_heads: width / HEAD_DIM,
        mlp_width: dim(source, &format!("{block}0.mlp.c_fc.weight"), 0)?,
        activation: Activation::QuickGelu,
        layer_norm_eps: 1e-5,
    })
}

/// One length of a tensor's shape.
pub(super) fn dim(source: &Source, name: &str, axis: usize) -> Result<usize, ModelError> {
    let shape = source.weights.shape(name);
    let length = shape.and_then(|shape| shape.get(axis)).copied();
    let length = length.filter(|length| (1..=DIMENSION_LIMIT).contains(length));
    length.ok_or_else(|| {
        let found = shape.map_or("is missing".to_owned(), |shape| format!("has shape {shape:?}"));
        misfit(&source.weights, format!("`{name}` {found}, and there is no `config.json` to say the model's size"))
    })
}

/// An error about a checkpoint as a whole.
pub(super) fn misfit(weights: &Weights, message: impl std::fmt::Display) -> ModelError {
    let name = weights.file_names().first().map_or("", String::as_str);
    ModelError::malformed(&weights.folder().join(name), message)
}

impl Architecture for Clip {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module::Vision, Module::Text]
    }

    fn shape(&self, module: Module) -> ModuleShape {
        let VisionConfig { image_size, patch_size, .. } = self.vision;
        let input = if module == Module::Vision {
            let n_tokens = 1 + (image_size / patch_size).pow(2);
            ModuleInput { image: Some(ImageInput { image_size, n_tokens }), text: None }
        } else {
            let TextConfig { context_length, vocab_size, end_of_text, .. } = self.text;
            let text = TextInput { context_length, vocab_size, pad_id: 0, end_of_text };
            ModuleInput { image: None, text: Some(text) }
        };
        let layers = self.tower(module).layers(false);
        ModuleShape { input, layers, embedding_width: self.projection_dim, has_first_token: true }
    }

    fn build(&self, graph: &mut GraphBuilder, module: Module, taps: &Taps<'_>) -> Result<(), ModelError> {
        let tower = self.tower(module);
        let (mut stream, end) = match module {
            Module::Vision => (self.embed_image(graph, taps.special_tokens()), None),
            _ => {
                let (stream, end) = self.embed_text(graph, taps.special_tokens());
                (stream, Some(end))
            }
        };
        for layer in 0..tower.n_layers {
            let names = self.names.block(module, layer);
            let values = block(graph, tower, &names, &stream);
            stream = stream.with(values.output.clone());
            taps.layer(graph, layer, &values);
        }
        self.embedding(graph, module, &stream, end.as_ref(), taps);
        Ok(())
    }

    fn preprocessor(&self) -> Option<Preprocessor> {
        Some(Preprocessor::clip(self.vision.image_size as u32))
    }

    fn tokenizer_style(&self) -> Option<TokenizerStyle> {
        Some(TokenizerStyle::Clip)
    }
}

impl Clip {
    /// Patches and the class token, with their places, normalised.
    fn embed_image(&self, graph: &mut GraphBuilder, special_tokens: bool) -> Stream {
        let VisionConfig { tower, image_size, patch_size } = self.vision;
        let (kernel, class, places, norm) = match self.names {
            Names::Transformers => (
                "vision_model.embeddings.patch_embedding.weight",
                "vision_model.embeddings.class_embedding",
                "vision_model.embeddings.position_embedding.weight",
                // The misspelling is the tensor's real name.
                "vision_model.pre_layrnorm",
            ),
            Names::OpenAi => {
                ("visual.conv1.weight", "visual.class_embedding", "visual.positional_embedding", "visual.ln_pre")
            }
        };
        let kernel = Part::whole(kernel, &[tower.width, 3, patch_size, patch_size]);
        let patches = Patches { kernel, bias: None, image_size, patch_size };
        let places = graph.weight(&Part::whole(places, &[1 + patches.count(), tower.width]));
        let class = Part::whole(class, &[tower.width]);
        let stream = patches.embed_with_class(graph, &class, &places, special_tokens);
        let normed = graph.layer_norm(&stream.rows, norm, tower.width, tower.layer_norm_eps);
        stream.with(normed)
    }

    /// Tokens with their places, and where each text ends.
    fn embed_text(&self, graph: &mut GraphBuilder, special_tokens: bool) -> (Stream, Value) {
        let width = self.text.tower.width;
        let (words, places) = match self.names {
            Names::Transformers => {
                ("text_model.embeddings.token_embedding.weight", "text_model.embeddings.position_embedding.weight")
            }
            Names::OpenAi => ("token_embedding.weight", "positional_embedding"),
        };
        let inputs = text_inputs(graph);
        let vocabulary = graph.weight(&Part::whole(words, &[self.text.vocab_size, width]));
        let words = graph.gather(&vocabulary, &inputs.ids, 0);
        let places = graph.weight(&Part::whole(places, &[self.text.context_length, width]));
        let begin = graph.ints(&[0]);
        let places = graph.op("Slice", &[&places, &begin, &inputs.length], vec![]);
        let embedding = graph.add(&words, &places);
        let rows = graph.reshape(&embedding, &[-1, width as i64]);
        let end = end_of_text(graph, self.text.end_of_text, &inputs);
        let tokens = Tokens::of_texts(graph, &inputs.mask, &end, special_tokens);
        let bias = Some(text_bias(graph, &inputs, true, f32::MIN));
        (Stream { rows, tokens, bias }, end)
    }

    /// The class token or the end of text, normalised and projected to the space that both towers share.
    fn embedding(
        &self,
        graph: &mut GraphBuilder,
        module: Module,
        stream: &Stream,
        end: Option<&Value>,
        taps: &Taps<'_>,
    ) {
        let tower = self.tower(module);
        let tokens = stream.tokens.apart(graph, &stream.rows, tower.width);
        let pooled = match end {
            Some(end) => graph.token_at(&tokens, end),
            None => {
                let first = graph.int(0);
                graph.gather(&tokens, &first, 1)
            }
        };
        let norm = match (self.names, module) {
            (Names::Transformers, Module::Vision) => "vision_model.post_layernorm",
            (Names::Transformers, _) => "text_model.final_layer_norm",
            (Names::OpenAi, Module::Vision) => "visual.ln_post",
            (Names::OpenAi, _) => "ln_final",
        };
        let normed = graph.layer_norm(&pooled, norm, tower.width, tower.layer_norm_eps);
        let is_vision = module == Module::Vision;
        let projected = match self.names {
            Names::Transformers => {
                let name = if is_vision { "visual_projection" } else { "text_projection" };
                graph.linear(&normed, &Linear::named(name, tower.width, self.projection_dim).without_bias())
            }
            Names::OpenAi => {
                let name = if is_vision { "visual.proj" } else { "text_projection" };
                let projection = graph.weight(&Part::whole(name, &[tower.width, self.projection_dim]));
                graph.matmul(&normed, &projection)
            }
        };
        taps.embedding(graph, &projected);
    }
}

/// What the tensors of a block are called.
pub(super) struct BlockNames {
    pub(super) norms: [String; 2],
    pub(super) attention: AttentionNames,
    pub(super) mlp: [String; 2],
}

/// What the projections of an attention are called.
pub(super) enum AttentionNames {
    /// Query, key, value and output, each a matrix of its own.
    Apart {
        names: [String; 4],
        /// Whether all but the output have a bias; the output always has.
        has_bias: bool,
    },
    /// One matrix of queries, keys and values, as PyTorch's own attention has it, under this name.
    Stacked(String),
}

impl AttentionNames {
    /// The projections of queries, keys and values, and of the output.
    pub(super) fn weights(&self, width: usize, n_heads: usize) -> (AttentionWeights, Linear) {
        let (projections, out) = match self {
            Self::Apart { names: [query, key, value, out], has_bias } => {
                let named = |name: &String| {
                    let linear = Linear::named(name, width, width);
                    if *has_bias { linear } else { linear.without_bias() }
                };
                ([named(query), named(key), named(value)], Linear::named(out, width, width))
            }
            Self::Stacked(name) => {
                let block = |index| Linear {
                    weight: Part::block(format!("{name}.in_proj_weight"), &[3 * width, width], index, 3),
                    bias: Some(Part::block(format!("{name}.in_proj_bias"), &[3 * width], index, 3)),
                };
                ([block(0), block(1), block(2)], Linear::named(&format!("{name}.out_proj"), width, width))
            }
        };
        (AttentionWeights { projections, n_heads, width }, out)
    }
}

impl Names {
    fn block(self, module: Module, layer: usize) -> BlockNames {
        match self {
            Self::Transformers => {
                let name = format!("{module}_model.encoder.layers.{layer}");
                let attention = |part| format!("{name}.self_attn.{part}_proj");
                BlockNames {
                    norms: [1, 2].map(|number| format!("{name}.layer_norm{number}")),
                    attention: AttentionNames::Apart { names: ["q", "k", "v", "out"].map(attention), has_bias: true },
                    mlp: [1, 2].map(|number| format!("{name}.mlp.fc{number}")),
                }
            }
            Self::OpenAi => {
                let tower = if module == Module::Vision { "visual." } else { "" };
                openai_block(tower, layer)
            }
        }
    }
}

/// OpenAI's names for a block of a tower.
pub(super) fn openai_block(tower: &str, layer: usize) -> BlockNames {
    let name = format!("{tower}transformer.resblocks.{layer}");
    BlockNames {
        norms: [1, 2].map(|number| format!("{name}.ln_{number}")),
        attention: AttentionNames::Stacked(format!("{name}.attn")),
        mlp: ["c_fc", "c_proj"].map(|part| format!("{name}.mlp.{part}")),
    }
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
pub(super) fn block(graph: &mut GraphBuilder, tower: &TowerConfig, names: &BlockNames, stream: &Stream) -> LayerValues {
    let TowerConfig { width, n_heads, mlp_width, layer_norm_eps: epsilon, .. } = *tower;
    let normed = graph.layer_norm(&stream.rows, &names.norms[0], width, epsilon);
    let normed = stream.with(normed);
    let (weights, out) = names.attention.weights(width, n_heads);
    let values = attend(graph, Attention::SelfAttention, &weights, &normed, &normed);
    let attended = graph.linear(&values.mixed, &out);
    let attended = graph.add(&stream.rows, &attended);

    let normed = graph.layer_norm(&attended, &names.norms[1], width, epsilon);
    let hidden = graph.linear(&normed, &Linear::named(&names.mlp[0], width, mlp_width));
    let hidden = activate(graph, tower.activation, &hidden);
    let contracted = graph.linear(&hidden, &Linear::named(&names.mlp[1], mlp_width, width));
    let output = graph.add(&attended, &contracted);
    let tokens = stream.tokens.clone();
    LayerValues { attentions: vec![values], hidden, output, tokens, mlp_width, width }
}
