//! The patterns that dictionary learning starts from.
//!
//! Owns the seeded draws of units and the start from principal components; how learning goes on is `../dictionary.rs`.

use ndarray::{Array2, Axis};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{DictionaryInit, DictionaryOptions};
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::projection::pca;

/// Patterns of unit norm as rows (n_patterns x n_tr), for `units` (n_units x n_tr) of which enough vary.
pub(super) fn first_patterns(
    units: &Array2<f32>,
    power: &[f64],
    options: &DictionaryOptions,
    rng: &mut ChaCha8Rng,
) -> Result<Array2<f64>, MathError> {
    let n_patterns = options.n_patterns;
    let mut patterns = Array2::zeros((n_patterns, units.ncols()));
    let mut n_filled = 0;
    if options.init == DictionaryInit::Components {
        let components = match pca(units.t(), n_patterns) {
            // The units span fewer dimensions than there are patterns.
            Err(MathError::TooMany { expected: rank, .. }) => pca(units.t(), rank)?,
            other => other?,
        };
        n_filled = components.patterns.ncols();
        for (mut pattern, component) in patterns.outer_iter_mut().zip(components.patterns.columns()) {
            pattern.assign(&component.mapv(f64::from));
        }
    }
    let n_drawn = n_patterns - n_filled;
    let chosen = match options.init {
        DictionaryInit::Components | DictionaryInit::Spread => spread_units(units, power, n_drawn, rng),
        DictionaryInit::Random => {
            let mut varying: Vec<usize> = (0..units.nrows()).filter(|&i| power[i] > 0.0).collect();
            varying.shuffle(rng);
            varying.truncate(n_drawn);
            varying
        }
    };
    for (mut pattern, &unit) in patterns.outer_iter_mut().skip(n_filled).zip(&chosen) {
        let norm = power[unit].sqrt();
        pattern.assign(&units.row(unit).mapv(|v| f64::from(v) / norm));
    }
    Ok(patterns)
}

/// Draws units that differ from one another, the first uniformly.
fn spread_units(units: &Array2<f32>, power: &[f64], n_patterns: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::with_capacity(n_patterns);
    let mut distance: Vec<f64> = power.iter().map(|&p| if p > 0.0 { 1.0 } else { 0.0 }).collect();
    while chosen.len() < n_patterns {
        let total: f64 = distance.iter().sum();
        let unit = if total > 0.0 {
            let mut remaining = rng.random::<f64>() * total;
            let drawn = distance.iter().position(|&d| {
                remaining -= d;
                d > 0.0 && remaining <= 0.0
            });
            // Rounding can leave a crumb after the last candidate.
            drawn.or_else(|| distance.iter().rposition(|&d| d > 0.0))
        } else {
            // What is left are copies of units already chosen.
            (0..power.len()).find(|i| power[*i] > 0.0 && !chosen.contains(i))
        };
        let unit = unit.expect("there are at least as many varying units as patterns");
        chosen.push(unit);
        let products = matmul(units.view(), units.select(Axis(0), &[unit]).t());
        for (i, &product) in products.iter().enumerate().filter(|(i, _)| power[*i] > 0.0) {
            let r2 = f64::from(product).powi(2) / (power[i] * power[unit]);
            // Rounding of f32 must not let a copy of a chosen unit be drawn.
            let unexplained = if r2 > 1.0 - 1e-5 { 0.0 } else { 1.0 - r2 };
            distance[i] = distance[i].min(unexplained);
        }
        distance[unit] = 0.0;
    }
    chosen
}
