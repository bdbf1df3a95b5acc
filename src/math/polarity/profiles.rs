//! How the codes of a pattern are spread over layers, and how far two such profiles mirror each other.
//!
//! It takes profiles as they come: signs are settled in `orientation.rs`, chance in `layers.rs`.

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::math::MathError;
use crate::math::error::{require_finite, require_shape};

/// Layers that a pair must share for its mirror index: a correlation of two points is always 1 or -1.
pub(super) const MIN_LAYERS: usize = 3;

/// Layer profile of every pattern (n_patterns x n_layers): the mean of its codes over the units of a layer.
///
/// `a_k(l) = mean_{i in layer l} C_ki` for codes C (n_patterns x n_units); `layer_of_unit` gives the layer of each unit.
/// `None` for a layer without units. The sign of a profile flips with the sign of its pattern: orient it by
/// [`super::orientations`], or use `a_k(l) beta_k`, which does not depend on it.
///
/// # Errors
/// [`MathError::Shape`] when the numbers of units differ, [`MathError::Index`] for a layer beyond `n_layers`,
/// [`MathError::NotFinite`].
pub fn layer_profiles(
    codes: ArrayView2<'_, f32>,
    layer_of_unit: &[usize],
    n_layers: usize,
) -> Result<Array2<Option<f64>>, MathError> {
    require_shape("layer_of_unit", layer_of_unit.len(), codes.ncols(), "one layer for each unit")?;
    require_finite("codes", codes)?;
    let mut n_units = vec![0usize; n_layers];
    for &layer in layer_of_unit {
        *n_units.get_mut(layer).ok_or(MathError::Index {
            name: "layer_of_unit",
            found: layer,
            expected: n_layers,
        })? += 1;
    }
    let mut profiles = Array2::from_elem((codes.nrows(), n_layers), None);
    for (mut profile, code) in profiles.outer_iter_mut().zip(codes.outer_iter()) {
        let mut sums = vec![0.0f64; n_layers];
        for (&layer, &value) in layer_of_unit.iter().zip(code) {
            sums[layer] += f64::from(value);
        }
        for (mean, (sum, &n)) in profile.iter_mut().zip(sums.iter().zip(&n_units)) {
            *mean = (n > 0).then(|| sum / n as f64);
        }
    }
    Ok(profiles)
}

/// Mirror index of every pair of layer profiles (n_patterns x n_patterns), `M_kj = -r(a_k, a_j)`.
///
/// 1 where two patterns rise and fall over the layers in opposite ways, -1 where they do so together. The
/// correlation is over the layers present in both profiles; `None` with fewer than three of them, or where a profile is
/// constant over them.
pub fn mirror_index(profiles: &Array2<Option<f64>>) -> Array2<Option<f64>> {
    let n_patterns = profiles.nrows();
    Array2::from_shape_fn((n_patterns, n_patterns), |(a, b)| mirror(profiles.row(a), profiles.row(b)))
}

/// `-r` of two profiles over the layers that both have.
pub(super) fn mirror(a: ArrayView1<'_, Option<f64>>, b: ArrayView1<'_, Option<f64>>) -> Option<f64> {
    let shared = || a.iter().zip(&b).filter_map(|(a, b)| Some(((*a)?, (*b)?)));
    let (mut n_layers, mut sum_a, mut sum_b) = (0usize, 0.0, 0.0);
    for (x, y) in shared() {
        (n_layers, sum_a, sum_b) = (n_layers + 1, sum_a + x, sum_b + y);
    }
    if n_layers < MIN_LAYERS {
        return None;
    }
    let n = n_layers as f64;
    let (mean_a, mean_b) = (sum_a / n, sum_b / n);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in shared() {
        let (dx, dy) = (x - mean_a, y - mean_b);
        aa += dx * dx;
        bb += dy * dy;
        ab += dx * dy;
    }
    // Below this share of the offset's power the deviations are rounding of f64 sums.
    let varies = |power: f64, mean: f64| power > 1e-24 * n * mean * mean;
    (varies(aa, mean_a) && varies(bb, mean_b)).then(|| (-ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
}
