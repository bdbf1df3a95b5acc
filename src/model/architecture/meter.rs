//! METER: an image tower, a text tower, and two streams that look at each other.
//!
//! Owns the architecture of METER with CLIP's image encoder and RoBERTa, as its released checkpoints have it: what of the towers
//! is used, the modality embeddings, and the co-attention blocks, in which both streams are updated from the pair before.
//! The image encoder with windows stands in `swin.rs`.
//!
//! Source: Dou et al. 2022 (arXiv 2111.02387) and its released code.

use serde_json::Value as Json;

use super::bert::{Bert, Style, first_token, pooler, post_norm_attention, post_norm_mlp};
use super::clip::{self, dim, misfit, openai_block, openai_tower};
use super::swin::Swin;
use super::{Architecture, Known};
use crate::model::blocks::{Patches, Stream};
use crate::model::config::{Activation, ConfigTable, DIMENSION_LIMIT, LAYER_LIMIT, TowerConfig};
use crate::model::error::ModelError;
use crate::model::graph::{GraphBuilder, Linear, Part};
use crate::model::image::Preprocessor;
use crate::model::module::{ImageInput, Module, ModuleInput, ModuleShape};
use crate::model::places::resize_places_after_class;
use crate::model::source::Source;
use crate::model::taps::Taps;
use crate::model::text::TokenizerStyle;

/// METER among the known architectures.
pub const KNOWN: Known = Known {
    name: "meter",
    title: "METER",
    work: "Dou et al. 2022",
    about: "METER (Dou et al. 2022) with CLIP or Swin as image encoder and RoBERTa: its released checkpoints",
    recognise: |source| {
        let is_meter = source.weights.shape("cross_modal_text_transform.weight").is_some();
        Ok(if is_meter { Some(Box::new(Meter::open(source)?)) } else { None })
    },
    configured: |config| Ok(Box::new(Meter::of_config(config)?)),
    published: || {
        let at = |image_size| -> Box<dyn Architecture> { Box::new(Meter::published(image_size)) };
        vec![("CLIP16-RoBERTa, 288 pixels", at(288)), ("CLIP16-RoBERTa, 384 pixels", at(384))]
    },
};

/// Added to the logits of padding, by METER's own choice.
const CLOSED: f32 = -10_000.0;

#[derive(Debug, Clone)]
pub(super) struct Meter {
    encoder: ImageEncoder,
    text: Bert,
    /// The blocks in which the streams look at each other.
    fusion: TowerConfig,
    /// Kinds of stream that the modality embedding tells apart.
    n_types: usize,
}

#[derive(Debug, Clone)]
enum ImageEncoder {
    Clip(ClipEncoder),
    Swin(Swin),
}

/// CLIP's image tower without its last block and projection.
#[derive(Debug, Clone)]
struct ClipEncoder {
    tower: TowerConfig,
    image_size: usize,
    patch_size: usize,
    /// Tokens that the checkpoint has places for.
    n_places: usize,
    /// Places for this size of image, where the checkpoint's are for another; rows (tokens, width).
    resized_places: Option<Vec<f32>>,
}

impl Meter {
    /// METER-CLIP16-RoBERTa, whose places fit the image.
    fn published(image_size: usize) -> Self {
        let tower = TowerConfig {
            n_layers: 11,
            width: 768,
            n_heads: 12,
            mlp_width: 3072,
            activation: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        };
        let n_places = 1 + (image_size / 16).pow(2);
        let encoder = ClipEncoder { tower, image_size, patch_size: 16, n_places, resized_places: None };
        let prefix = "text_transformer.".to_owned();
        Self {
            encoder: ImageEncoder::Clip(encoder),
            text: Bert { prefix, context_length: 50, ..Bert::base(Style::Roberta) },
            fusion: TowerConfig { n_layers: 6, activation: Activation::Gelu, layer_norm_eps: 1e-12, ..tower },
            n_types: 2,
        }
    }

    /// From the tables `meter`, `clip` and `roberta` of a configuration, for weights that are still to be made.
    pub(super) fn of_config(config: &ConfigTable<'_>) -> Result<Self, ModelError> {
        let (meter, clip, roberta) = (config.table("meter")?, config.table("clip")?, config.table("roberta")?);
        let image_size = meter.side("image_size", 288)?;
        let published = Self::published(image_size);
        let ImageEncoder::Clip(encoder) = &published.encoder else { return Ok(published) };
        let tower = clip.tower(&encoder.tower)?;
        // The checkpoint does not say how many heads there are, so there is no choice.
        if tower.n_heads * 64 != tower.width {
            return Err(clip.wrong(
                "num_attention_heads",
                tower.n_heads,
                format!("`hidden_size` {} over 64", tower.width),
            ));
        }
        let (_, patch_size) = clip.patches((image_size, encoder.patch_size))?;
        let n_places = 1 + (image_size / patch_size).pow(2);
        let encoder = ClipEncoder { tower, image_size, patch_size, n_places, resized_places: None };
        let context_length = meter.count("max_text_len", 50, DIMENSION_LIMIT)?;
        let prefix = published.text.prefix.clone();
        let text = Bert { context_length, ..Bert::of_config(&roberta, Style::Roberta, prefix)? };
        let width = meter.count("hidden_size", published.fusion.width, DIMENSION_LIMIT)?;
        let n_heads = meter.count("num_heads", published.fusion.n_heads, DIMENSION_LIMIT)?;
        if !width.is_multiple_of(n_heads) {
            return Err(meter.wrong("num_heads", n_heads, format!("a divisor of `hidden_size` {width}")));
        }
        let fusion = TowerConfig {
            n_layers: meter.count("num_top_layer", published.fusion.n_layers, LAYER_LIMIT)?,
            width,
            n_heads,
            mlp_width: meter.count("intermediate_size", published.fusion.mlp_width, DIMENSION_LIMIT)?,
            ..published.fusion
        };
        Ok(Self { encoder: ImageEncoder::Clip(encoder), text, fusion, n_types: published.n_types })
    }

    /// From the shapes of its tensors, the settings it was trained with, and `config.json` where there is one.
    ///
    /// Heads cannot be seen in shapes. Those of the fusion are `num_heads` of METER's settings, in the checkpoint or in the
    /// table `meter` of `config.json`; those of the text tower are `num_attention_heads` of the table `roberta` there, or the
    /// width over 64 as in every published RoBERTa.
    fn open(source: &Source) -> Result<Self, ModelError> {
        let none = Json::Object(serde_json::Map::new());
        let (settings, path) = source.settings().unwrap_or((&none, source.folder().to_owned()));
        let trained = ConfigTable::of(if settings.is_object() { settings } else { &none }, &path)?;
        let trained = trained.table("hyper_parameters")?;
        let trained = if trained.has("config") { trained.table("config")? } else { trained };
        let config = match source.config()? {
            Some(config) => config,
            None => ConfigTable::of(&none, &path)?,
        };
        let (written, roberta) = (config.table("meter")?, config.table("roberta")?);
        // What stands in a file that can be edited wins over what the checkpoint was trained with.
        let count = |name: &str, default: usize| {
            written.count(name, trained.count(name, default, DIMENSION_LIMIT)?, DIMENSION_LIMIT)
        };
        let dividing = |what: &str, n_heads: usize, width: usize| {
            let message = || format!("{what} has {n_heads} heads: expected a divisor of its width {width}");
            if width.is_multiple_of(n_heads) { Ok(n_heads) } else { Err(misfit(&source.weights, message())) }
        };

        let hidden = dim(source, "cross_modal_text_transform.weight", 0)?;
        let fusion = TowerConfig {
            n_layers: source.weights.count_blocks("cross_modal_text_layers."),
            width: hidden,
            n_heads: dividing("the fusion", count("num_heads", 12)?, hidden)?,
            mlp_width: dim(source, "cross_modal_text_layers.0.intermediate.dense.weight", 0)?,
            activation: Activation::Gelu,
            layer_norm_eps: 1e-12,
        };
        let prefix = "text_transformer.".to_owned();
        let text_width = dim(source, "text_transformer.embeddings.word_embeddings.weight", 1)?;
        let n_places = dim(source, "text_transformer.embeddings.position_embeddings.weight", 0)?;
        let text_heads = roberta.count("num_attention_heads", (text_width / 64).max(1), DIMENSION_LIMIT)?;
        let text = Bert {
            tower: TowerConfig {
                n_layers: source.weights.count_blocks("text_transformer.encoder.layer."),
                width: text_width,
                n_heads: dividing("the text tower", text_heads, text_width)?,
                mlp_width: dim(source, "text_transformer.encoder.layer.0.intermediate.dense.weight", 0)?,
                activation: Activation::Gelu,
                layer_norm_eps: 1e-5,
            },
            style: Style::Roberta,
            vocab_size: dim(source, "text_transformer.embeddings.word_embeddings.weight", 0)?,
            n_places,
            n_types: dim(source, "text_transformer.embeddings.token_type_embeddings.weight", 0)?,
            pad_id: 1,
            context_length: count("max_text_len", 50)?.clamp(3, n_places.saturating_sub(2).max(3)),
            prefix,
        };
        let encoder = if source.weights.has_prefix("vit_model.visual.") {
            let image_size = count("image_size", 288)?;
            ImageEncoder::Clip(ClipEncoder::open(source, image_size)?)
        } else {
            ImageEncoder::Swin(Swin::open(source, "vit_model.", count("image_size", 384)?)?)
        };
        Ok(Self { encoder, text, fusion, n_types: dim(source, "token_type_embeddings.weight", 0)? })
    }

    fn image_input(&self) -> ImageInput {
        match &self.encoder {
            ImageEncoder::Clip(encoder) => {
                let n_tokens = 1 + (encoder.image_size / encoder.patch_size).pow(2);
                ImageInput { image_size: encoder.image_size, n_tokens }
            }
            ImageEncoder::Swin(swin) => swin.input(),
        }
    }

    /// The image's tokens after the encoder's last norm, as wide as the encoder ends.
    fn encode_image(&self, graph: &mut GraphBuilder, taps: &Taps<'_>) -> (Stream, usize) {
        match &self.encoder {
            ImageEncoder::Clip(encoder) => (encoder.encode(graph, taps), encoder.tower.width),
            ImageEncoder::Swin(swin) => (swin.encode(graph, taps), swin.out_width()),
        }
    }

    /// What stands for a whole image: its class token, or the mean of its tokens where there is none.
    fn pooled_image(&self, graph: &mut GraphBuilder, stream: &Stream, width: usize) -> crate::model::graph::Value {
        match &self.encoder {
            ImageEncoder::Clip(_) => first_token(graph, stream, width),
            ImageEncoder::Swin(_) => {
                let tokens = stream.tokens.apart(graph, &stream.rows, width);
                graph.reduce("ReduceMean", &tokens, 1)
            }
        }
    }

    /// A tower's tokens in the width of the fusion, with the embedding of their modality.
    fn transformed(&self, graph: &mut GraphBuilder, stream: &Stream, name: &str, n_in: usize, kind: i64) -> Stream {
        let width = self.fusion.width;
        let linear = Linear::named(&format!("cross_modal_{name}_transform"), n_in, width);
        let rows = graph.linear(&stream.rows, &linear);
        let types = graph.weight(&Part::whole("token_type_embeddings.weight", &[self.n_types, width]));
        let kind = graph.int(kind);
        let kind = graph.gather(&types, &kind, 0);
        stream.with(graph.add(&rows, &kind))
    }

    /// Both streams through the co-attention blocks, one of them handed over layer by layer, to its embedding.
    fn fuse(&self, graph: &mut GraphBuilder, text: Stream, image: Stream, module: Module, taps: &Taps<'_>) {
        let (mut text, mut image) = (text, image);
        let width = self.fusion.width;
        for layer in 0..self.fusion.n_layers {
            let mut update = |name: &str, own: &Stream, other: &Stream| {
                let name = format!("cross_modal_{name}_layers.{layer}");
                let (within, attended) =
                    post_norm_attention(graph, &self.fusion, &format!("{name}.attention"), own, own);
                let attended = own.with(attended);
                let (across, attended) =
                    post_norm_attention(graph, &self.fusion, &format!("{name}.crossattention"), &attended, other);
                post_norm_mlp(graph, &self.fusion, &name, &own.with(attended), vec![within, across])
            };
            let of_text = update("text", &text, &image);
            let of_image = update("image", &image, &text);
            let values = if module == Module::FusionText { &of_text } else { &of_image };
            taps.layer(graph, layer, values);
            text = text.with(of_text.output);
            image = image.with(of_image.output);
        }
        let (name, pooled) = if module == Module::FusionText {
            ("text", first_token(graph, &text, width))
        } else {
            ("image", self.pooled_image(graph, &image, width))
        };
        let embedding = pooler(graph, &pooled, &format!("cross_modal_{name}_pooler"), width);
        taps.embedding(graph, &embedding);
    }
}

impl ClipEncoder {
    fn open(source: &Source, image_size: usize) -> Result<Self, ModelError> {
        let name = "vit_model.visual.positional_embedding";
        let tower = openai_tower(source, "vit_model.visual.")?;
        let patch_size = dim(source, "vit_model.visual.conv1.weight", 3)?;
        let n_places = dim(source, name, 0)?;
        if !image_size.is_multiple_of(patch_size) || image_size > 1 << 14 {
            let message = format!("`image_size` is {image_size}: expected a multiple of the patch size {patch_size}");
            return Err(misfit(&source.weights, message));
        }
        let side = image_size / patch_size;
        let resized_places = if n_places == 1 + side * side {
            None
        } else {
            let places = source.weights.floats(&Part::whole(name, &[n_places, tower.width]))?;
            let known = n_places.saturating_sub(1).isqrt();
            if known == 0 || known * known + 1 != n_places {
                let message = format!("`{name}` has {n_places} places: expected a square and one more");
                return Err(misfit(&source.weights, message));
            }
            Some(resize_places_after_class(&places, known, side, tower.width))
        };
        Ok(Self { tower, image_size, patch_size, n_places, resized_places })
    }

    fn encode(&self, graph: &mut GraphBuilder, taps: &Taps<'_>) -> Stream {
        let Self { ref tower, image_size, patch_size, n_places, .. } = *self;
        let name = |tensor: &str| format!("vit_model.visual.{tensor}");
        let kernel = Part::whole(name("conv1.weight"), &[tower.width, 3, patch_size, patch_size]);
        let patches = Patches { kernel, bias: None, image_size, patch_size };
        let places = Part::whole(name("positional_embedding"), &[n_places, tower.width]);
        let places = match &self.resized_places {
            None => graph.weight(&places),
            Some(resized) => {
                graph.require(places.spec);
                let shape = [1 + patches.count(), tower.width];
                graph.large_constant(&name("positional_embedding/resized"), &shape, resized.clone())
            }
        };
        let class = Part::whole(name("class_embedding"), &[tower.width]);
        let stream = patches.embed_with_class(graph, &class, &places, taps.special_tokens());
        let normed = graph.layer_norm(&stream.rows, &name("ln_pre"), tower.width, tower.layer_norm_eps);
        let mut stream = stream.with(normed);
        for layer in 0..tower.n_layers {
            let values = clip::block(graph, tower, &openai_block("vit_model.visual.", layer), &stream);
            stream = stream.with(values.output.clone());
            taps.layer(graph, layer, &values);
        }
        let normed = graph.layer_norm(&stream.rows, &name("ln_post"), tower.width, tower.layer_norm_eps);
        stream.with(normed)
    }
}

impl Architecture for Meter {
    fn name(&self) -> &'static str {
        "meter"
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module::Image, Module::Text, Module::FusionImage, Module::FusionText]
    }

    fn shape(&self, module: Module) -> ModuleShape {
        let (image, text) = (self.image_input(), self.text.input());
        let has_class_token = matches!(self.encoder, ImageEncoder::Clip(_));
        let (layers, embedding_width) = match (module, &self.encoder) {
            (Module::Text, _) => (self.text.tower.layers(false), self.text.tower.width),
            (Module::Image, ImageEncoder::Clip(encoder)) => (encoder.tower.layers(false), encoder.tower.width),
            (Module::Image, ImageEncoder::Swin(swin)) => (swin.layers(), swin.out_width()),
            _ => (self.fusion.layers(true), self.fusion.width),
        };
        let input = match module {
            Module::Image => ModuleInput { image: Some(image), text: None },
            Module::Text => ModuleInput { image: None, text: Some(text) },
            _ => ModuleInput { image: Some(image), text: Some(text) },
        };
        let is_of_text = matches!(module, Module::Text | Module::FusionText);
        ModuleShape { input, layers, embedding_width, has_first_token: is_of_text || has_class_token }
    }

    fn build(&self, graph: &mut GraphBuilder, module: Module, taps: &Taps<'_>) -> Result<(), ModelError> {
        let is_fusion = matches!(module, Module::FusionImage | Module::FusionText);
        // Within a fusion the towers put nothing out themselves.
        let silent = taps.silent();
        let taps_below = if is_fusion { &silent } else { taps };
        let text = |graph: &mut GraphBuilder| {
            let stream = self.text.embed(graph, taps.special_tokens(), CLOSED);
            self.text.encode(graph, stream, taps_below)
        };
        match module {
            Module::Image => {
                let (stream, width) = self.encode_image(graph, taps);
                let pooled = self.pooled_image(graph, &stream, width);
                taps.embedding(graph, &pooled);
            }
            Module::Text => {
                let stream = text(graph);
                let first = first_token(graph, &stream, self.text.tower.width);
                taps.embedding(graph, &first);
            }
            _ => {
                let (image, width) = self.encode_image(graph, taps_below);
                let image = self.transformed(graph, &image, "image", width, 1);
                let text = text(graph);
                let text = self.transformed(graph, &text, "text", self.text.tower.width, 0);
                self.fuse(graph, text, image, module, taps);
            }
        }
        Ok(())
    }

    fn preprocessor(&self) -> Option<Preprocessor> {
        Some(match &self.encoder {
            ImageEncoder::Clip(encoder) => Preprocessor::meter(encoder.image_size as u32),
            ImageEncoder::Swin(swin) => swin.preprocessor(),
        })
    }

    fn tokenizer_style(&self) -> Option<TokenizerStyle> {
        Some(TokenizerStyle::Roberta)
    }
}
