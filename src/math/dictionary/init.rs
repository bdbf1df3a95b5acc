//! The patterns that dictionary learning starts from.
//!
//! Owns the seeded draws of units and the start from principal components; how learning goes on is `../dictionary.rs`.

use ndarray::{Array2, ArrayView2, Axis, s};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::units::Units;
use super::{DictionaryInit, DictionaryOptions};
use crate::math::MathError;
use crate::math::blas::matmul;
use crate::math::eigen::symmetric_eigen;

/// Dimensions beyond the components asked for in which they are sought.
const OVERSAMPLING: usize = 16;

/// Multiplications by `S S'` that turn the first, random basis towards the strongest components.
const POWER_PASSES: usize = 1;

/// Share of the strongest direction's power below which a direction counts as rounding of f32 products.
const RANK_CUTOFF: f64 = 1e-10;

/// Patterns of unit norm as rows (n_patterns x n_tr), for units of which enough vary.
pub(super) fn first_patterns(
    units: &Units,
    options: &DictionaryOptions,
    rng: &mut ChaCha8Rng,
) -> Result<Array2<f32>, MathError> {
    let n_patterns = options.n_patterns;
    let mut patterns = Array2::zeros((n_patterns, units.n_tr()));
    let mut n_filled = 0;
    if options.init == DictionaryInit::Components {
        let components = components(units, n_patterns, rng)?;
        n_filled = components.nrows();
        patterns.slice_mut(s![..n_filled, ..]).assign(&components);
    }
    let n_drawn = n_patterns - n_filled;
    let chosen = match options.init {
        DictionaryInit::Components | DictionaryInit::Spread => spread_units(units, n_drawn, rng),
        DictionaryInit::Random => {
            let mut varying = units.varying();
            varying.shuffle(rng);
            varying.truncate(n_drawn);
            varying
        }
    };
    for (mut pattern, &unit) in patterns.outer_iter_mut().skip(n_filled).zip(&chosen) {
        pattern.assign(&units.direction(unit));
    }
    Ok(patterns)
}

/// Strongest principal components of the units as rows, fewer than `n_components` where the units span no more.
///
/// Randomised subspace iteration (Halko 2011, algorithms 4.4 and 5.1): the first basis is sums of units with random signs,
/// every unit in one sum. Components of nearly equal power come out mixed, which a start does not mind.
fn components(units: &Units, n_components: usize, rng: &mut ChaCha8Rng) -> Result<Array2<f32>, MathError> {
    let mut order = units.varying();
    order.shuffle(rng);
    let signs: Vec<f32> = order.iter().map(|_| if rng.random::<bool>() { 1.0 } else { -1.0 }).collect();
    let n_directions = (n_components + OVERSAMPLING).min(order.len()).min(units.n_tr());
    let mut sums: Array2<f32> = Array2::zeros((n_directions, units.n_tr()));
    sums.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(direction, mut sum)| {
        for (&unit, &sign) in order.iter().zip(&signs).skip(direction).step_by(n_directions) {
            sum.scaled_add(sign, &units.values.row(unit));
        }
    });
    let mut basis = orthonormal_rows(sums.view(), n_directions)?;
    for _ in 0..POWER_PASSES {
        let loadings = matmul(basis.view(), units.values.t());
        basis = orthonormal_rows(matmul(loadings.view(), units.values.view()).view(), n_directions)?;
    }
    let loadings = matmul(basis.view(), units.values.t());
    let turned = strongest_first(loadings.view(), n_components)?;
    Ok(matmul(turned.rotation.t().mapv(|v| v as f32).view(), basis.view()))
}

/// An orthonormal basis of the span of some rows, of `n_rows` rows at most.
fn orthonormal_rows(rows: ArrayView2<'_, f32>, n_rows: usize) -> Result<Array2<f32>, MathError> {
    let Turned { rotation, power } = strongest_first(rows, n_rows)?;
    let roots = ndarray::Array1::from(power).mapv(f64::sqrt);
    Ok(matmul((rotation / &roots).t().mapv(|v| v as f32).view(), rows))
}

/// Eigenvectors of the rows' Gram matrix.
struct Turned {
    /// Eigenvectors as columns, by descending eigenvalue.
    rotation: Array2<f64>,
    /// Their eigenvalues, all above [`RANK_CUTOFF`] times the largest.
    power: Vec<f64>,
}

fn strongest_first(rows: ArrayView2<'_, f32>, at_most: usize) -> Result<Turned, MathError> {
    let wide = rows.mapv(f64::from);
    let eigen = symmetric_eigen(matmul(wide.view(), wide.t()))?;
    let largest = eigen.values.last().copied().unwrap_or(0.0);
    let power: Vec<f64> =
        eigen.values.iter().rev().take(at_most).copied().take_while(|&w| w > RANK_CUTOFF * largest).collect();
    // Ascending order, so the strongest are the last vectors, taken backwards.
    let rotation = eigen.vectors.slice(s![.., ..;-1]).slice(s![.., ..power.len()]).to_owned();
    Ok(Turned { rotation, power })
}

/// Draws units that differ from one another, the first uniformly.
fn spread_units(units: &Units, n_patterns: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let power = &units.power;
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
        let products = matmul(units.values.view(), units.values.select(Axis(0), &[unit]).t());
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array;
    use rand::SeedableRng;
    use rand_distr::{Distribution, StandardNormal};

    use crate::math::projection::pca;

    /// Series (n_tr x n_units) whose components fall off, of `rank` dimensions.
    fn falling(n_tr: usize, n_units: usize, rank: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut noise = |rows, columns| -> Array2<f32> {
            Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
        };
        let (mut left, right) = (noise(n_tr, rank), noise(rank, n_units));
        for (k, mut column) in left.columns_mut().into_iter().enumerate() {
            column *= 0.9f32.powi(k as i32);
        }
        left.dot(&right)
    }

    #[test]
    fn components_carry_nearly_the_power_of_the_exact_ones() {
        for (n_tr, n_units) in [(90, 400), (400, 90)] {
            let series = falling(n_tr, n_units, 80);
            let units = Units::new(series.view()).unwrap();
            let found = components(&units, 12, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
            let off = found.dot(&found.t()) - Array2::<f32>::eye(12);
            assert!(off.iter().all(|d| d.abs() < 1e-4));
            let carried = found.dot(&units.values.t()).iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
            let best: f64 = pca(series.view(), 12).unwrap().power_share.iter().sum();
            let share = carried / units.total_power() / best;
            assert!(share > 0.99 && share < 1.0 + 1e-5, "{share}");
        }
    }

    #[test]
    fn components_end_where_the_units_span_no_more() {
        let units = Units::new(falling(50, 200, 5).view()).unwrap();
        assert_eq!(components(&units, 9, &mut ChaCha8Rng::seed_from_u64(1)).unwrap().nrows(), 5);
    }
}
