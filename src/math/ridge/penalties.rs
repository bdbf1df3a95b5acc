//! Predictions at every penalty from predictions at a few.
//!
//! Owns the choice of the penalties at which a fold is really predicted, and the weights that give all others. It sees the
//! spectrum of a fold, never a target.

use ndarray::{Array2, Axis};

/// Largest error of a prediction that is put together from others, as a share of its own size (Frobenius norm of the map from
/// targets to predictions). Single-precision products are off by as much.
pub(super) const PENALTY_TOLERANCE: f64 = 3e-7;

/// Which penalties are predicted, and how the others follow.
#[derive(Debug)]
pub(super) struct PenaltyBasis {
    /// Indices of the penalties that are predicted, in the order in which they were chosen.
    pub nodes: Vec<usize>,
    /// Weights (n_alphas x n_nodes): row `a` times the predictions at the nodes is the prediction at penalty `a`.
    pub weights: Array2<f64>,
}

impl PenaltyBasis {
    /// Chooses nodes for maps whose inner products with one another are `gram` (n_alphas x n_alphas).
    ///
    /// The map of a fold at penalty `alpha` is `E diag(1 / (w + alpha)) U'` with orthonormal `U`: as a function of `alpha` a sum of
    /// rank many poles that a few of its values determine to any accuracy, as long as the eigenvalues `w` span less than the
    /// penalties do. Maps are made orthogonal to those already chosen, the largest relative remainder first
    /// (interpolative decomposition by pivoted Cholesky; Cheng et al. 2005, SIAM J Sci Comput 26), until no remainder exceeds
    /// [`PENALTY_TOLERANCE`]. Inner products know a remainder to about 1e-8 of a map, well below that.
    pub fn of(gram: &Array2<f64>) -> Self {
        let n_alphas = gram.nrows();
        let norms: Vec<f64> = gram.diag().iter().map(|power| power.max(0.0).sqrt()).collect();
        let cosine = |a: usize, b: usize| {
            if norms[a] > 0.0 && norms[b] > 0.0 { gram[[a, b]] / (norms[a] * norms[b]) } else { 0.0 }
        };
        let mut rest: Vec<f64> = (0..n_alphas).map(|a| cosine(a, a)).collect();
        let mut nodes: Vec<usize> = Vec::new();
        // Coordinates of the normalised maps in the orthonormal directions found so far.
        let mut coordinates = Array2::<f64>::zeros((n_alphas, n_alphas));
        while nodes.len() < n_alphas {
            let largest = (0..n_alphas).fold(0, |best, a| if rest[a] > rest[best] { a } else { best });
            if rest[largest] <= PENALTY_TOLERANCE * PENALTY_TOLERANCE {
                break;
            }
            let (direction, size) = (nodes.len(), rest[largest].sqrt());
            for alpha in (0..n_alphas).filter(|alpha| !nodes.contains(alpha)) {
                let known = coordinates.row(alpha).dot(&coordinates.row(largest));
                let along = if alpha == largest { size } else { (cosine(alpha, largest) - known) / size };
                coordinates[[alpha, direction]] = along;
                rest[alpha] -= along * along;
            }
            rest[largest] = 0.0;
            nodes.push(largest);
        }
        let mut weights = interpolate(&coordinates, &nodes);
        for (mut row, norm) in weights.rows_mut().into_iter().zip(&norms) {
            row *= *norm;
        }
        for (mut column, node) in weights.columns_mut().into_iter().zip(&nodes) {
            column /= norms[*node];
        }
        // A node is itself, to the last bit.
        for (place, node) in nodes.iter().enumerate() {
            weights.row_mut(*node).fill(0.0);
            weights[[*node, place]] = 1.0;
        }
        Self { nodes, weights }
    }
}

/// Solves `weights T = coordinates` where `T`, the coordinates of the nodes, is lower triangular in the order of their choice.
fn interpolate(coordinates: &Array2<f64>, nodes: &[usize]) -> Array2<f64> {
    let n_nodes = nodes.len();
    let triangle = coordinates.select(Axis(0), nodes);
    let mut weights = Array2::zeros((coordinates.nrows(), n_nodes));
    for (coordinates, mut weights) in coordinates.rows().into_iter().zip(weights.rows_mut()) {
        for column in (0..n_nodes).rev() {
            let later: f64 = (column + 1..n_nodes).map(|k| weights[k] * triangle[[k, column]]).sum();
            weights[column] = (coordinates[column] - later) / triangle[[column, column]];
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayView1;

    fn norm(row: ArrayView1<'_, f64>) -> f64 {
        row.dot(&row).sqrt()
    }

    fn profiles(alphas: &[f64], values: &[f64]) -> Array2<f64> {
        Array2::from_shape_fn((alphas.len(), values.len()), |(a, r)| values[r].sqrt() / (values[r] + alphas[a]))
    }

    fn worst(profiles: &Array2<f64>, basis: &PenaltyBasis) -> f64 {
        let rebuilt = basis.weights.dot(&profiles.select(Axis(0), &basis.nodes));
        let off =
            |(found, exact): (ArrayView1<'_, f64>, ArrayView1<'_, f64>)| norm((&found - &exact).view()) / norm(exact);
        rebuilt.rows().into_iter().zip(profiles.rows()).map(off).fold(0.0, f64::max)
    }

    #[test]
    fn a_narrow_spectrum_needs_few_nodes_and_a_wide_one_more() {
        let alphas: Vec<f64> = (0..20).map(|k| 10f64.powf(f64::from(k) * 0.5)).collect();
        let narrow: Vec<f64> = (0..200).map(|k| 2e3 + 100.0 * f64::from(k)).collect();
        let wide: Vec<f64> = (0..200).map(|k| 10f64.powf(-2.0 + 12.0 * f64::from(k) / 199.0)).collect();
        let of = |values: &[f64]| {
            let profiles = profiles(&alphas, values);
            let basis = PenaltyBasis::of(&profiles.dot(&profiles.t()));
            assert!(worst(&profiles, &basis) <= 2.0 * PENALTY_TOLERANCE, "{}", worst(&profiles, &basis));
            assert!(basis.weights.iter().all(|w| w.is_finite()));
            basis.nodes.len()
        };
        let (few, many) = (of(&narrow), of(&wide));
        assert!(few <= 9 && many > few, "{few} {many}");
    }

    #[test]
    fn a_node_is_its_own_prediction_and_nothing_needs_no_node() {
        let profiles = profiles(&[1.0, 100.0, 1e4], &[1.0, 50.0, 2e3]);
        let basis = PenaltyBasis::of(&profiles.dot(&profiles.t()));
        for (column, node) in basis.nodes.iter().enumerate() {
            for (k, weight) in basis.weights.row(*node).iter().enumerate() {
                assert!((weight - f64::from(u8::from(k == column))).abs() < 1e-9);
            }
        }
        let nothing = PenaltyBasis::of(&Array2::zeros((3, 3)));
        assert_eq!((nothing.nodes.len(), nothing.weights.dim()), (0, (3, 0)));
    }

    #[test]
    fn equal_maps_share_a_node() {
        let one = profiles(&[7.0], &[1.0, 2.0, 9.0]);
        let twice = ndarray::concatenate![Axis(0), one, one];
        let basis = PenaltyBasis::of(&twice.dot(&twice.t()));
        assert_eq!(basis.nodes, [0]);
        assert!(basis.weights.iter().all(|w| (w - 1.0).abs() < 1e-12));
    }
}
