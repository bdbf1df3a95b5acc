//! The penalties that are compared, for every target.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::features::Features;
use super::path::{Block, Target};
use super::{LassoAlphas, LassoOptions, TARGET_BLOCK, require_alpha};
use crate::math::MathError;

/// The penalties of every target.
pub(super) enum Grid {
    Listed(Vec<f64>),
    /// The largest penalty of each target, and each penalty as a share of it, ascending.
    Path {
        largest: Vec<f64>,
        shares: Vec<f64>,
    },
}

impl Grid {
    pub fn of(x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>, options: &LassoOptions) -> Result<Self, MathError> {
        let (n_alphas, smallest_share) = match &options.alphas {
            LassoAlphas::Listed(alphas) if alphas.is_empty() => return Err(MathError::Empty { what: "alphas" }),
            LassoAlphas::Listed(alphas) => {
                let mut previous = 0.0;
                for &alpha in alphas {
                    require_alpha(alpha, previous)?;
                    previous = alpha;
                }
                return Ok(Self::Listed(alphas.clone()));
            }
            LassoAlphas::Path { n_alphas, smallest_share } => (*n_alphas, *smallest_share),
        };
        if n_alphas < 2 {
            return Err(MathError::TooFew {
                name: "n_alphas",
                found: n_alphas,
                expected: 2,
                hint: "the first penalty of a path leaves every feature out",
            });
        }
        if !(smallest_share > 0.0 && smallest_share < 1.0) {
            return Err(MathError::Parameter {
                name: "smallest_share",
                found: smallest_share,
                expected: "a number above 0 and below 1",
            });
        }
        let all: Vec<usize> = (0..x.nrows()).collect();
        let features = Features::of_gradients(x, &all, options);
        let blocks: Vec<Vec<f64>> = y
            .axis_chunks_iter(Axis(1), TARGET_BLOCK)
            .into_par_iter()
            .map(|y| Block::of(&features, y).targets.iter().map(Target::steepest).collect())
            .collect();
        let shares = (0..n_alphas)
            .map(|index| smallest_share.powf((n_alphas - 1 - index) as f64 / (n_alphas - 1) as f64))
            .collect();
        Ok(Self::Path { largest: blocks.concat(), shares })
    }

    pub fn n_alphas(&self) -> usize {
        match self {
            Grid::Listed(alphas) => alphas.len(),
            Grid::Path { shares, .. } => shares.len(),
        }
    }

    pub fn alpha(&self, index: usize, target: usize) -> f64 {
        match self {
            Grid::Listed(alphas) => alphas[index],
            Grid::Path { largest, shares } => largest[target] * shares[index],
        }
    }
}
