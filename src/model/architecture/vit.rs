//! ViT, the vision transformer of ImageNet.
//!
//! Owns the architecture, which differs from CLIP's image tower by a bias of the patches, no norm before the blocks, and exact
//! GELU, and the names that Hugging Face's `ViTModel` gives to its tensors, with or without a classifier on top.
//!
//! Source: Dosovitskiy et al. 2021 (arXiv 2010.11929), as in transformers' `ViTModel`.

use super::clip::{AttentionNames, BlockNames, block};
use super::{Architecture, Known};
use crate::model::blocks::Patches;
use crate::model::config::{Activation, ConfigTable, TowerConfig};
use crate::model::error::ModelError;
use crate::model::graph::{GraphBuilder, Part};
use crate::model::image::Preprocessor;
use crate::model::module::{ImageInput, Module, ModuleInput, ModuleShape};
use crate::model::taps::Taps;
use crate::model::text::TokenizerStyle;

/// ViT among the known architectures.
pub const KNOWN: Known = Known {
    name: "vit",
    title: "ViT",
    work: "Dosovitskiy et al. 2021",
    about: "ViT (Dosovitskiy et al. 2021): transformers' ViTModel or ViTForImageClassification",
    recognise: |source| match (source.config()?, source.model_type()?.as_deref()) {
        (Some(config), Some("vit")) => {
            let prefix = if source.weights.has_prefix("vit.") { "vit." } else { "" };
            Ok(Some(Box::new(Vit::of_config(&config, prefix)?)))
        }
        _ => Ok(None),
    },
    configured: |config| Ok(Box::new(Vit::of_config(config, "")?)),
    published: || {
        let large = TowerConfig { n_layers: 24, width: 1024, n_heads: 16, mlp_width: 4096, ..BASE };
        let sized =
            |tower, patch_size| -> Box<dyn Architecture> { Box::new(Vit { tower, patch_size, ..Vit::default() }) };
        vec![("ViT-B/16", sized(BASE, 16)), ("ViT-B/32", sized(BASE, 32)), ("ViT-L/16", sized(large, 16))]
    },
};

/// transformers' defaults, which are those of ViT-B/16.
const BASE: TowerConfig = TowerConfig {
    n_layers: 12,
    width: 768,
    n_heads: 12,
    mlp_width: 3072,
    activation: Activation::Gelu,
    layer_norm_eps: 1e-12,
};

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Vit {
    tower: TowerConfig,
    image_size: usize,
    patch_size: usize,
    has_attention_bias: bool,
    prefix: &'static str,
}

impl Default for Vit {
    fn default() -> Self {
        Self { tower: BASE, image_size: 224, patch_size: 16, has_attention_bias: true, prefix: "" }
    }
}

impl Vit {
    /// From `config.json`.
    pub(super) fn of_config(config: &ConfigTable<'_>, prefix: &'static str) -> Result<Self, ModelError> {
        let (image_size, patch_size) = config.patches((224, 16))?;
        let has_attention_bias = config.flag("qkv_bias", true)?;
        Ok(Self { tower: config.tower(&BASE)?, image_size, patch_size, has_attention_bias, prefix })
    }

    fn names(&self, layer: usize) -> BlockNames {
        let name = format!("{}encoder.layer.{layer}", self.prefix);
        let [query, key, value] = ["query", "key", "value"].map(|part| format!("{name}.attention.attention.{part}"));
        BlockNames {
            norms: ["before", "after"].map(|place| format!("{name}.layernorm_{place}")),
            attention: AttentionNames::Apart {
                names: [query, key, value, format!("{name}.attention.output.dense")],
                has_bias: self.has_attention_bias,
            },
            mlp: ["intermediate", "output"].map(|part| format!("{name}.{part}.dense")),
        }
    }
}

impl Architecture for Vit {
    fn name(&self) -> &'static str {
        "vit"
    }

    fn modules(&self) -> Vec<Module> {
        vec![Module::Vision]
    }

    fn shape(&self, _module: Module) -> ModuleShape {
        let n_tokens = 1 + (self.image_size / self.patch_size).pow(2);
        let image = Some(ImageInput { image_size: self.image_size, n_tokens });
        ModuleShape {
            input: ModuleInput { image, text: None },
            layers: self.tower.layers(false),
            embedding_width: self.tower.width,
            has_first_token: true,
        }
    }

    fn build(&self, graph: &mut GraphBuilder, _module: Module, taps: &Taps<'_>) -> Result<(), ModelError> {
        let Self { ref tower, image_size, patch_size, prefix, .. } = *self;
        let name = |tensor: &str| format!("{prefix}embeddings.{tensor}");
        let patches = Patches {
            kernel: Part::whole(name("patch_embeddings.projection.weight"), &[tower.width, 3, patch_size, patch_size]),
            bias: Some(Part::whole(name("patch_embeddings.projection.bias"), &[tower.width])),
            image_size,
            patch_size,
        };
        let shape = [1, 1 + patches.count(), tower.width];
        let places = graph.weight(&Part::whole(name("position_embeddings"), &shape));
        let class = Part::whole(name("cls_token"), &[1, 1, tower.width]);
        let mut stream = patches.embed_with_class(graph, &class, &places, taps.special_tokens());
        for layer in 0..tower.n_layers {
            let values = block(graph, tower, &self.names(layer), &stream);
            stream = stream.with(values.output.clone());
            taps.layer(graph, layer, &values);
        }
        let normed = graph.layer_norm(&stream.rows, &format!("{prefix}layernorm"), tower.width, tower.layer_norm_eps);
        let tokens = stream.tokens.apart(graph, &normed, tower.width);
        let first = graph.int(0);
        let class = graph.gather(&tokens, &first, 1);
        taps.embedding(graph, &class);
        Ok(())
    }

    fn preprocessor(&self) -> Option<Preprocessor> {
        None
    }

    fn tokenizer_style(&self) -> Option<TokenizerStyle> {
        None
    }
}
