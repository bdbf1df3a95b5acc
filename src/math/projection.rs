//! Linear views of a set of series: projection onto frozen codes, and principal components.
//!
//! Owns the pseudo-inverse that carries patterns to new samples, and [`pca`] as the dense alternative to
//! [`super::dictionary`].

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use serde::{Deserialize, Serialize};

use super::MathError;
use super::blas::matmul;
use super::eigen::symmetric_eigen;
use super::error::{require_finite, require_shape};

/// Eigenvalues of `C C'` below this share of the largest count as 0: singular values of `C` below 1e-5 of the largest.
///
/// Codes are stored in f32, whose rounding (6e-8 of a code) squares to 4e-15 and grows with the number of patterns.
pub const RANK_CUTOFF: f64 = 1e-10;

/// Patterns of new samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    /// Patterns (n_tr x n_patterns).
    pub patterns: Array2<f32>,
    /// Caveats of this projection.
    pub warnings: Vec<ProjectionWarning>,
}

/// A caveat of a projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectionWarning {
    /// The codes span fewer dimensions than there are patterns, so patterns were shared out by least norm.
    RankDeficient {
        /// Dimensions that the codes span.
        rank: usize,
        /// Patterns there are.
        n_patterns: usize,
    },
}

/// Extends patterns to new samples with frozen codes, `D = S C' (C C')^+`.
///
/// `series` S (n_tr x n_units), `codes` C (n_patterns x n_units): the least-squares patterns `argmin ||S - D C||^2`, of
/// least norm where `C` has not full row rank (Penrose 1955). The pseudo-inverse comes from the eigenvalues of `C C'` above
/// [`RANK_CUTOFF`] times the largest; all sums are f64. A pattern that no unit uses is 0.
///
/// # Errors
/// [`MathError::Shape`] when the numbers of units differ, [`MathError::NotFinite`], [`MathError::Lapack`].
pub fn project(series: ArrayView2<'_, f32>, codes: ArrayView2<'_, f32>) -> Result<Projection, MathError> {
    require_shape("columns of the codes", codes.ncols(), series.ncols(), "codes and series share units")?;
    require_finite("series", series)?;
    require_finite("codes", codes)?;
    let n_patterns = codes.nrows();
    let wide = codes.mapv(f64::from);
    let eigen = symmetric_eigen(matmul(wide.view(), wide.t()))?;
    let largest = eigen.values.last().copied().unwrap_or(0.0);
    let is_kept = |w: f64| w > 0.0 && w > RANK_CUTOFF * largest;
    let rank = eigen.values.iter().filter(|&&w| is_kept(w)).count();
    let inverse_values = eigen.values.mapv(|w| if is_kept(w) { w.recip() } else { 0.0 });
    let inverse = matmul((&eigen.vectors * &inverse_values).view(), eigen.vectors.t());
    let onto_patterns = matmul(wide.t(), inverse.view());
    let patterns = matmul(series.mapv(f64::from).view(), onto_patterns.view()).mapv(|v| v as f32);
    let mut warnings = Vec::new();
    if rank < n_patterns {
        warnings.push(ProjectionWarning::RankDeficient { rank, n_patterns });
    }
    Ok(Projection { patterns, warnings })
}

/// Principal components of a set of series.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// Component time courses of unit norm (n_tr x n_patterns), by descending share of power.
    pub patterns: Array2<f32>,
    /// Loadings (n_patterns x n_units), so that `patterns codes` approximates the series.
    pub codes: Array2<f32>,
    /// Share of the total power of the series that each component accounts for; for centred columns, of their variance.
    pub power_share: Vec<f64>,
}

/// Finds the `n_patterns` components that account for most of the power of `series` (n_tr x n_units).
///
/// Minimises `||S - D C||^2` over all `D` (n_tr x n_patterns) and `C` (n_patterns x n_units); the minimum is the truncated
/// singular value decomposition (Eckart and Young 1936), here through the eigenvectors of the smaller of `S S'` and
/// `S'S` in f64, which resolves singular values down to about 1e-8 of the largest. Nothing is centred: hand in z-scored
/// columns. Signs are fixed so that the codes of a component sum to a positive number.
///
/// # Errors
/// [`MathError::TooMany`] when the series do not span `n_patterns` dimensions, [`MathError::Empty`] for no pattern,
/// [`MathError::NotFinite`], [`MathError::Lapack`].
pub fn pca(series: ArrayView2<'_, f32>, n_patterns: usize) -> Result<Pca, MathError> {
    require_finite("series", series)?;
    if n_patterns == 0 {
        return Err(MathError::Empty { what: "patterns" });
    }
    let wide = series.mapv(f64::from);
    let is_tall = series.nrows() > series.ncols();
    let gram = if is_tall { matmul(wide.t(), wide.view()) } else { matmul(wide.view(), wide.t()) };
    let eigen = symmetric_eigen(gram)?;
    let largest = eigen.values.last().copied().unwrap_or(0.0);
    let cutoff = 1e-14 * largest * eigen.values.len() as f64;
    let rank = eigen.values.iter().filter(|&&w| w > cutoff && w > 0.0).count();
    if n_patterns > rank {
        return Err(MathError::TooMany {
            name: "number of patterns",
            found: n_patterns,
            expected: rank,
            hint: "the series span no more dimensions",
        });
    }
    // Ascending order, so the strongest components are the last vectors, taken backwards.
    let strongest = eigen.vectors.slice(s![.., ..;-1]);
    let vectors = strongest.slice(s![.., ..n_patterns]);
    let values: Array1<f64> = eigen.values.iter().rev().take(n_patterns).copied().collect();
    let (mut patterns, mut codes) = if is_tall {
        let roots = values.mapv(f64::sqrt);
        (matmul(wide.view(), vectors) / &roots, (&vectors * &roots).reversed_axes())
    } else {
        (vectors.to_owned(), matmul(vectors.t(), wide.view()))
    };
    for k in 0..n_patterns {
        if codes.row(k).sum() < 0.0 {
            codes.row_mut(k).mapv_inplace(|v| -v);
            patterns.column_mut(k).mapv_inplace(|v| -v);
        }
    }
    let total: f64 = wide.map_axis(Axis(1), |row| row.dot(&row)).sum();
    Ok(Pca {
        patterns: patterns.mapv(|v| v as f32),
        codes: codes.mapv(|v| v as f32).as_standard_layout().into_owned(),
        power_share: values.iter().map(|w| w / total).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn noise(rows: usize, columns: usize) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64((rows * 1000 + columns) as u64);
        Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
    }

    fn distance(a: &Array2<f32>, b: &Array2<f32>) -> f32 {
        (a - b).iter().fold(0.0, |m: f32, d| m.max(d.abs()))
    }

    #[test]
    fn projection_recovers_the_patterns_of_an_exact_product() {
        let (patterns, codes) = (noise(30, 4), noise(4, 25));
        let found = project(patterns.dot(&codes).view(), codes.view()).unwrap();
        assert!(found.warnings.is_empty());
        assert!(distance(&found.patterns, &patterns) < 1e-5);
    }

    #[test]
    fn repeated_codes_are_reported_and_shared_out() {
        let codes = array![[1.0f32, 2.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.0]];
        let found = project(array![[2.0f32, 4.0, 9.0]].view(), codes.view()).unwrap();
        assert_eq!(found.warnings, [ProjectionWarning::RankDeficient { rank: 1, n_patterns: 3 }]);
        assert!(distance(&found.patterns, &array![[1.0, 1.0, 0.0]]) < 1e-6);
    }

    #[test]
    fn unused_and_proportional_patterns_share_by_least_norm() {
        // The second pattern is half as strong as the first in every unit, so it is given half as much.
        let codes = array![[2.0f32, 4.0, 6.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]];
        let found = project(array![[5.0f32, 10.0, 15.0], [0.0, 0.0, 0.0]].view(), codes.view()).unwrap();
        assert_eq!(found.warnings, [ProjectionWarning::RankDeficient { rank: 1, n_patterns: 3 }]);
        assert!(distance(&found.patterns, &array![[2.0, 1.0, 0.0], [0.0, 0.0, 0.0]]) < 1e-6);
        let none = project(noise(4, 3).view(), Array2::zeros((2, 3)).view()).unwrap();
        assert_eq!(none.patterns, Array2::<f32>::zeros((4, 2)));
        assert_eq!(none.warnings, [ProjectionWarning::RankDeficient { rank: 0, n_patterns: 2 }]);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let (mut series, mut codes) = (noise(4, 6), noise(2, 6));
        series[[3, 5]] = f32::NAN;
        let error = project(series.view(), codes.view()).unwrap_err();
        assert!(matches!(error, MathError::NotFinite { what: "series", row: 3, column: 5, .. }));
        assert!(matches!(pca(series.view(), 2), Err(MathError::NotFinite { row: 3, column: 5, .. })));
        codes[[1, 2]] = f32::NEG_INFINITY;
        let error = project(noise(4, 6).view(), codes.view()).unwrap_err();
        assert!(matches!(error, MathError::NotFinite { what: "codes", row: 1, column: 2, .. }));
    }

    proptest! {
        /// Normal equations `D C C' = S C'`, and least norm: `D` has no part in the null space of `C C'`.
        #[test]
        fn projection_is_the_least_squares_solution_of_least_norm(
            numbers in prop::collection::vec(-1.0f32..1.0, 5 * 12 + 4 * 12),
            n_distinct in 1usize..=5,
            scale in 0.25f32..4.0,
        ) {
            let series = Array::from_shape_vec((4, 12), numbers[60..].to_vec()).unwrap();
            let mut codes = Array::from_shape_vec((5, 12), numbers[..60].to_vec()).unwrap();
            for k in n_distinct..5 {
                let copied = &codes.row(k - n_distinct) * scale;
                codes.row_mut(k).assign(&copied);
            }
            let found = project(series.view(), codes.view()).unwrap();
            let left = found.patterns.dot(&codes).dot(&codes.t());
            prop_assert!(distance(&left, &series.dot(&codes.t())) < 1e-3);
            for k in n_distinct..5 {
                // A copy that is `scale` times as strong gets `scale` times as much.
                let apart = &found.patterns.column(k) - &(&found.patterns.column(k - n_distinct) * scale);
                let size = found.patterns.iter().fold(1.0f32, |m, v| m.max(v.abs()));
                prop_assert!(apart.iter().all(|d| d.abs() < 1e-3 * size));
            }
            prop_assert_eq!(found.warnings.is_empty(), n_distinct == 5);
        }
    }

    #[test]
    fn components_are_orthonormal_and_projection_agrees_with_them() {
        for (rows, columns) in [(40, 12), (12, 40)] {
            let series = noise(rows, columns);
            let found = pca(series.view(), 5).unwrap();
            assert!(distance(&found.patterns.t().dot(&found.patterns), &Array2::eye(5)) < 1e-5);
            assert!(found.power_share.windows(2).all(|w| w[0] >= w[1]));
            assert!(found.codes.rows().into_iter().all(|row| row.sum() >= 0.0));
            let projected = project(series.view(), found.codes.view()).unwrap();
            assert!(distance(&projected.patterns, &found.patterns) < 1e-4);
        }
    }

    #[test]
    fn all_components_rebuild_the_series() {
        let series = noise(9, 20);
        let found = pca(series.view(), 9).unwrap();
        assert!(distance(&found.patterns.dot(&found.codes), &series) < 1e-5);
        assert!((found.power_share.iter().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn too_many_components_are_refused_with_the_rank() {
        let series = noise(10, 2).dot(&noise(2, 8));
        assert!(matches!(pca(series.view(), 9), Err(MathError::TooMany { .. })));
        assert!(matches!(pca(series.view(), 0), Err(MathError::Empty { .. })));
        assert!(project(series.view(), Array2::zeros((2, 7)).view()).is_err());
    }
}
