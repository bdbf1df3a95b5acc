//! Swin, the image encoder with windows that METER may have.
//!
//! Owns the architecture: stages of blocks whose attention stays within windows, every second block's windows shifted, and the
//! merging of patches between stages. Tokens are put into window order by one gather and back by another. The tensors are named
//! as timm names them.
//!
//! Source: Liu et al. 2021 (arXiv 2103.14030), as in METER's released code, where the window is the image over 32.

use super::clip::{dim, misfit};
use crate::model::blocks::{Patches, Stream, activate, mix};
use crate::model::config::{Activation, LAYER_LIMIT};
use crate::model::error::ModelError;
use crate::model::graph::{GraphBuilder, Linear, Part, Value};
use crate::model::image::Preprocessor;
use crate::model::module::{ImageInput, LayerShape};
use crate::model::places::resize_places;
use crate::model::source::Source;
use crate::model::taps::{AttentionValues, LayerValues, Taps, Tokens};
use crate::model::units::Attention;

/// What is added to the logit of a token that a shift brought into the window from elsewhere.
const ELSEWHERE: f32 = -100.0;

/// Pixels of the image for each token of a window's side.
const PIXELS_PER_WINDOW_SIDE: usize = 32;

const EPSILON: f32 = 1e-5;

#[derive(Debug, Clone)]
pub(super) struct Swin {
    prefix: &'static str,
    image_size: usize,
    patch_size: usize,
    window: usize,
    stages: Vec<Stage>,
}

#[derive(Debug, Clone)]
struct Stage {
    width: usize,
    n_heads: usize,
    mlp_width: usize,
    /// Tokens on a side.
    side: usize,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone)]
struct Block {
    /// Entries of the table of relative places that the checkpoint has.
    n_places: usize,
    /// The table for this size of window, where the checkpoint's is for another; (places, heads).
    resized_places: Option<Vec<f32>>,
}

impl Swin {
    /// From the shapes of its tensors.
    pub(super) fn open(source: &Source, prefix: &'static str, image_size: usize) -> Result<Self, ModelError> {
        let patch_size = dim(source, &format!("{prefix}patch_embed.proj.weight"), 3)?;
        let window = image_size / PIXELS_PER_WINDOW_SIDE;
        let n_stages = source.weights.count_blocks(&format!("{prefix}layers."));
        let wrong = |message: String| misfit(&source.weights, message);
        if window == 0 || image_size > 1 << 14 || !image_size.is_multiple_of(patch_size) || n_stages > LAYER_LIMIT {
            let message = format!("`image_size` is {image_size}: expected a multiple of the patch size {patch_size}");
            return Err(wrong(message));
        }
        let mut stages = Vec::with_capacity(n_stages);
        let mut side = image_size / patch_size;
        for number in 0..n_stages {
            if number > 0 {
                if !side.is_multiple_of(2) {
                    return Err(wrong(format!(
                        "stage {number} would merge {side} by {side} patches: expected an even side"
                    )));
                }
                side /= 2;
            }
            let name = format!("{prefix}layers.{number}.blocks.");
            let width = dim(source, &format!("{name}0.norm1.weight"), 0)?;
            let table = format!("{name}0.attn.relative_position_bias_table");
            let (n_places, n_heads) = (dim(source, &table, 0)?, dim(source, &table, 1)?);
            let in_window = window.min(side);
            if !width.is_multiple_of(n_heads) || !side.is_multiple_of(in_window) {
                let message = format!(
                    "stage {number} has width {width}, {n_heads} heads and {side} by {side} tokens: expected heads that divide \
                     the width and windows of {in_window} that divide the side"
                );
                return Err(wrong(message));
            }
            let n_blocks = source.weights.count_blocks(&name);
            let (known, wanted) = (n_places.isqrt(), 2 * in_window - 1);
            let block = |number: usize| -> Result<Block, ModelError> {
                let table = format!("{name}{number}.attn.relative_position_bias_table");
                if known == wanted && known * known == n_places {
                    return Ok(Block { n_places, resized_places: None });
                }
                if known * known != n_places {
                    return Err(wrong(format!("`{table}` has {n_places} rows: expected a square")));
                }
                let stored = source.weights.floats(&Part::whole(&table, &[n_places, n_heads]))?;
                Ok(Block { n_places, resized_places: Some(resize_places(&stored, known, wanted, n_heads)) })
            };
            stages.push(Stage {
                width,
                n_heads,
                mlp_width: dim(source, &format!("{name}0.mlp.fc1.weight"), 0)?,
                side,
                blocks: (0..n_blocks).map(block).collect::<Result<_, _>>()?,
            });
        }
        Ok(Self { prefix, image_size, patch_size, window, stages })
    }

    /// Width of the last stage.
    pub(super) fn out_width(&self) -> usize {
        self.stages.last().map_or(0, |stage| stage.width)
    }

    pub(super) fn input(&self) -> ImageInput {
        let n_tokens = self.stages.last().map_or(0, |stage| stage.side * stage.side);
        ImageInput { image_size: self.image_size, n_tokens }
    }

    pub(super) fn layers(&self) -> Vec<LayerShape> {
        let of_stage = |stage: &Stage| {
            let Stage { width, n_heads, mlp_width, .. } = *stage;
            vec![LayerShape { width, n_heads, mlp_width, has_cross_attention: false }; stage.blocks.len()]
        };
        self.stages.iter().flat_map(of_stage).collect()
    }

    pub(super) fn preprocessor(&self) -> Preprocessor {
        Preprocessor::imagenet(self.image_size as u32)
    }

    /// The image's tokens after the last norm.
    pub(super) fn encode(&self, graph: &mut GraphBuilder, taps: &Taps<'_>) -> Stream {
        let Self { prefix, image_size, patch_size, .. } = *self;
        let width = self.stages.first().map_or(0, |stage| stage.width);
        let name = |tensor: &str| format!("{prefix}patch_embed.{tensor}");
        let patches = Patches {
            kernel: Part::whole(name("proj.weight"), &[width, 3, patch_size, patch_size]),
            bias: Some(Part::whole(name("proj.bias"), &[width])),
            image_size,
            patch_size,
        };
        let (pixels, embedded) = patches.embed(graph);
        let batch = graph.length(&pixels, 0);
        let rows = graph.reshape(&embedded, &[-1, width as i64]);
        let mut rows = graph.layer_norm(&rows, &name("norm"), width, EPSILON);
        let mut layer = 0;
        let mut tokens = None;
        for (number, stage) in self.stages.iter().enumerate() {
            if number > 0 {
                let before = &self.stages[number - 1];
                rows = merge(graph, &format!("{prefix}layers.{}.downsample", number - 1), before, &rows, stage.width);
            }
            let n_tokens = graph.ints(&[(stage.side * stage.side) as i64]);
            let lengths = graph.concat(&[&batch, &n_tokens], 0);
            let of_stage = Tokens::of_images(lengths, false, taps.special_tokens());
            for block in 0..stage.blocks.len() {
                let stream = Stream { rows, tokens: of_stage.clone(), bias: None };
                let values = self.block(graph, number, block, &stream);
                rows = values.output.clone();
                taps.layer(graph, layer, &values);
                layer += 1;
            }
            tokens = Some(of_stage);
        }
        let rows = graph.layer_norm(&rows, &format!("{prefix}norm"), self.out_width(), EPSILON);
        let tokens = tokens.expect("a checkpoint without a stage was refused for its missing tensors");
        Stream { rows, tokens, bias: None }
    }

    fn block(&self, graph: &mut GraphBuilder, stage: usize, number: usize, stream: &Stream) -> LayerValues {
        let name = format!("{}layers.{stage}.blocks.{number}", self.prefix);
        let stage = &self.stages[stage];
        let Stage { width, n_heads, mlp_width, side, ref blocks } = *stage;
        let windows = Windows::of(side, self.window, number);
        let normed = graph.layer_norm(&stream.rows, &format!("{name}.norm1"), width, EPSILON);
        let normed = windows.gather(graph, stream, &normed, width, &windows.order());
        let qkv = format!("{name}.attn.qkv");
        let [query, key, value] = [0, 1, 2].map(|index| {
            let weight = Part::block(format!("{qkv}.weight"), &[3 * width, width], index, 3);
            let bias = Some(Part::block(format!("{qkv}.bias"), &[3 * width], index, 3));
            graph.linear(&normed, &Linear { weight, bias })
        });
        let bias = windows.bias(graph, &format!("{name}.attn"), n_heads, &blocks[number]);
        let mixed = {
            let dims = [-1, windows.n_tokens() as i64, n_heads as i64, (width / n_heads) as i64];
            let mut split = |x: &Value, order: &[i64]| {
                let heads = graph.reshape(x, &dims);
                graph.transpose(&heads, order)
            };
            let query = split(&query, &[0, 2, 1, 3]);
            let key = split(&key, &[0, 2, 3, 1]);
            let value = split(&value, &[0, 2, 1, 3]);
            windows.mix(graph, [&query, &key, &value], n_heads, width, &bias)
        };
        let out = graph.linear(&mixed, &Linear::named(&format!("{name}.attn.proj"), width, width));
        let out = windows.gather(graph, stream, &out, width, &windows.inverse());
        let attended = graph.add(&stream.rows, &out);
        let normed = graph.layer_norm(&attended, &format!("{name}.norm2"), width, EPSILON);
        let hidden = graph.linear(&normed, &Linear::named(&format!("{name}.mlp.fc1"), width, mlp_width));
        let hidden = activate(graph, Activation::Gelu, &hidden);
        let contracted = graph.linear(&hidden, &Linear::named(&format!("{name}.mlp.fc2"), mlp_width, width));
        let output = graph.add(&attended, &contracted);
        let tokens = stream.tokens.in_windows(windows.count());
        let attention = AttentionValues {
            attention: Attention::SelfAttention,
            query,
            key,
            value,
            mixed,
            queries: tokens.clone(),
            keys: tokens,
            n_heads,
            width,
        };
        let tokens = stream.tokens.clone();
        LayerValues { attentions: vec![attention], hidden, output, tokens, mlp_width, width }
    }
}

/// Four neighbouring tokens become one, side by side, normalised and projected.
fn merge(graph: &mut GraphBuilder, name: &str, stage: &Stage, rows: &Value, out_width: usize) -> Value {
    let Stage { width, side, .. } = *stage;
    let half = side / 2;
    let order: Vec<i64> = (0..half * half)
        .flat_map(|place| {
            let (row, column) = (2 * (place / half), 2 * (place % half));
            [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(down, right)| ((row + down) * side + column + right) as i64)
        })
        .collect();
    let tokens = graph.reshape(rows, &[-1, (side * side) as i64, width as i64]);
    let order = graph.named_ints(&format!("merge/{side}"), &[order.len()], &order);
    let neighbours = graph.gather(&tokens, &order, 1);
    let neighbours = graph.reshape(&neighbours, &[-1, 4 * width as i64]);
    let normed = graph.layer_norm(&neighbours, &format!("{name}.norm"), 4 * width, EPSILON);
    graph.linear(&normed, &Linear::named(&format!("{name}.reduction"), 4 * width, out_width).without_bias())
}

/// How the tokens of a stage fall into windows.
struct Windows {
    side: usize,
    window: usize,
    shift: usize,
}

impl Windows {
    /// Every second block's windows are shifted by half a window, unless one window holds all.
    fn of(side: usize, window: usize, block: usize) -> Self {
        let shift = if side <= window || block.is_multiple_of(2) { 0 } else { window / 2 };
        Self { side, window: window.min(side), shift }
    }

    fn count(&self) -> usize {
        (self.side / self.window).pow(2)
    }

    fn n_tokens(&self) -> usize {
        self.window * self.window
    }

    /// Row and column of each token in window order, before the shift is undone.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let across = self.side / self.window;
        (0..self.side * self.side).map(move |token| {
            let (window, within) = (token / self.n_tokens(), token % self.n_tokens());
            let row = window / across * self.window + within / self.window;
            let column = window % across * self.window + within % self.window;
            (row, column)
        })
    }

    /// The token that stands at each place of the window order.
    fn order(&self) -> Vec<i64> {
        let shifted = |place: usize| (place + self.shift) % self.side;
        self.places().map(|(row, column)| (shifted(row) * self.side + shifted(column)) as i64).collect()
    }

    /// The place in the window order of each token.
    fn inverse(&self) -> Vec<i64> {
        let mut inverse = vec![0; self.side * self.side];
        for (place, token) in self.order().into_iter().enumerate() {
            inverse[token as usize] = place as i64;
        }
        inverse
    }

    /// The part of the image that each token in window order comes from: windows at the edge hold several after a shift.
    fn regions(&self) -> Vec<usize> {
        let part =
            |place: usize| usize::from(place >= self.side - self.window) + usize::from(place >= self.side - self.shift);
        self.places().map(|(row, column)| 3 * part(row) + part(column)).collect()
    }

    fn gather(&self, graph: &mut GraphBuilder, stream: &Stream, rows: &Value, width: usize, order: &[i64]) -> Value {
        let tokens = stream.tokens.apart(graph, rows, width);
        let way = if order == self.order() { "order" } else { "inverse" };
        let name = format!("windows/{}-{}-{}/{way}", self.side, self.window, self.shift);
        let order = graph.named_ints(&name, &[order.len()], order);
        let gathered = graph.gather(&tokens, &order, 1);
        graph.reshape(&gathered, &[-1, width as i64])
    }

    /// What each head adds for the way from a query to a key, (1, heads, tokens, tokens).
    fn bias(&self, graph: &mut GraphBuilder, name: &str, n_heads: usize, block: &Block) -> Value {
        let window = self.window;
        let name = format!("{name}.relative_position_bias_table");
        let stored = Part::whole(&name, &[block.n_places, n_heads]);
        let table = match &block.resized_places {
            None => graph.weight(&stored),
            Some(resized) => {
                graph.require(stored.spec);
                let shape = [(2 * window - 1).pow(2), n_heads];
                graph.large_constant(&format!("{name}/resized"), &shape, resized.clone())
            }
        };
        let n_tokens = self.n_tokens();
        let way = |query: usize, key: usize| {
            let (down, right) =
                (query / window + window - 1 - key / window, query % window + window - 1 - key % window);
            (down * (2 * window - 1) + right) as i64
        };
        let ways: Vec<i64> = (0..n_tokens)
            .flat_map(|query| (0..n_tokens).map(move |key| (query, key)))
            .map(|(q, k)| way(q, k))
            .collect();
        let ways = graph.named_ints(&format!("windows/{window}/ways"), &[n_tokens, n_tokens], &ways);
        let bias = graph.gather(&table, &ways, 0);
        let bias = graph.transpose(&bias, &[2, 0, 1]);
        graph.unsqueeze(&bias, &[0])
    }

    /// Attention within each window; in shifted windows between tokens of one region only.
    fn mix(
        &self,
        graph: &mut GraphBuilder,
        [query, key, value]: [&Value; 3],
        n_heads: usize,
        width: usize,
        bias: &Value,
    ) -> Value {
        if self.shift == 0 {
            return mix(graph, [query, key, value], n_heads, width, Some(bias));
        }
        let (n_windows, n_tokens) = (self.count(), self.n_tokens());
        let regions = self.regions();
        let mask: Vec<f32> = regions
            .chunks_exact(n_tokens)
            .flat_map(|window| {
                let row = |query: &usize| {
                    let query = *query;
                    window.iter().map(move |key| if *key == query { 0.0 } else { ELSEWHERE })
                };
                window.iter().flat_map(row).collect::<Vec<_>>()
            })
            .collect();
        let name = format!("windows/{}-{}-{}/mask", self.side, self.window, self.shift);
        let mask = graph.large_constant(&name, &[n_windows, 1, n_tokens, n_tokens], mask);
        // One more axis apart, so that the mask of each window meets its own.
        let bias = graph.add(bias, &mask);
        let head_dim = width / n_heads;
        let mut apart = |x: &Value, dims: [usize; 2]| {
            let [first, second] = dims.map(|length| length as i64);
            graph.reshape(x, &[-1, n_windows as i64, n_heads as i64, first, second])
        };
        let query = apart(query, [n_tokens, head_dim]);
        let key = apart(key, [head_dim, n_tokens]);
        let value = apart(value, [n_tokens, head_dim]);
        let scale = graph.float((head_dim as f32).sqrt().recip());
        let logits = graph.matmul(&query, &key);
        let logits = graph.mul(&logits, &scale);
        let logits = graph.add(&logits, &bias);
        let shares = graph.softmax(&logits);
        let mixed = graph.matmul(&shares, &value);
        let tokens_first = graph.transpose(&mixed, &[0, 1, 3, 2, 4]);
        graph.reshape(&tokens_first, &[-1, width as i64])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn window_order_is_a_permutation_and_its_inverse_undoes_it() {
        for (side, window, block) in [(6, 3, 0), (6, 3, 1), (12, 4, 1), (3, 3, 1), (2, 5, 1)] {
            let windows = Windows::of(side, window, block);
            let (order, inverse) = (windows.order(), windows.inverse());
            assert!((0..side * side).all(|token| inverse[order[token] as usize] == token as i64));
        }
    }

    #[test]
    fn shifted_windows_hold_the_regions_of_the_published_figure() {
        // Four tokens on a side in windows of two, shifted by one: the last window holds four corners of the image.
        let windows = Windows::of(4, 2, 1);
        assert_eq!(windows.shift, 1);
        let regions = windows.regions();
        assert_eq!(regions[..4], [0, 0, 0, 0], "the first window is whole");
        assert_eq!(regions[12..], [4, 5, 7, 8], "the last is four pieces");
        assert_eq!(windows.order()[..4], [5, 6, 9, 10]);
        assert_eq!(windows.order()[12..], [15, 12, 3, 0]);
    }
}
