//! Which weights of bands a search tries.
//!
//! Owns the draws from the simplex and the checks of weights that were given; it does not know kernels or targets.

use ndarray::Array2;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Gamma};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::math::MathError;
use crate::math::error::require_shape;

/// Weights may miss a sum of 1 by this much, the rounding of weights written in f32.
const SUM_TOLERANCE: f64 = 1e-6;

/// Which weights `gamma` of the bands are tried, each a point of the simplex.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Candidates {
    /// The first candidate weighs all bands alike; the others are draws from symmetric Dirichlet distributions.
    Dirichlet {
        /// How many candidates, with the first.
        n_candidates: usize,
        /// Concentrations that the draws cycle through: 1 is uniform over the simplex, less prefers few bands.
        concentrations: Vec<f64>,
        /// Seed of the draws.
        seed: u64,
    },
    /// These weights, one list of n_bands for each candidate.
    Explicit {
        /// Not negative, with a sum of 1.
        weights: Vec<Vec<f64>>,
    },
}

impl Default for Candidates {
    /// A hundred candidates of concentrations 0.1 and 1 (the defaults of himalaya; Dupré la Tour et al. 2022).
    fn default() -> Self {
        Self::Dirichlet { n_candidates: 100, concentrations: vec![0.1, 1.0], seed: 0 }
    }
}

impl Candidates {
    /// The weights in the order in which they are tried (n_candidates x n_bands).
    ///
    /// # Errors
    /// [`MathError::Empty`] without bands, candidates or concentrations; [`MathError::Parameter`] for a concentration that
    /// is not positive and finite, a weight that is negative or not finite, or weights that do not sum to 1;
    /// [`MathError::Shape`] for a candidate of another length.
    pub fn weights(&self, n_bands: usize) -> Result<Array2<f64>, MathError> {
        if n_bands == 0 {
            return Err(MathError::Empty { what: "bands" });
        }
        match self {
            Self::Dirichlet { n_candidates, concentrations, seed } => {
                draw(n_bands, *n_candidates, concentrations, *seed)
            }
            Self::Explicit { weights } => given(n_bands, weights),
        }
    }
}

fn draw(n_bands: usize, n_candidates: usize, concentrations: &[f64], seed: u64) -> Result<Array2<f64>, MathError> {
    for (what, n) in [("candidates", n_candidates), ("concentrations", concentrations.len())] {
        if n == 0 {
            return Err(MathError::Empty { what });
        }
    }
    let gammas: Vec<Gamma<f64>> = concentrations
        .iter()
        .map(|&found| {
            let refused =
                MathError::Parameter { name: "concentrations", found, expected: "positive and finite numbers" };
            if found.is_finite() { Gamma::new(found, 1.0).map_err(|_| refused) } else { Err(refused) }
        })
        .collect::<Result<_, _>>()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut weights = Array2::from_elem((n_candidates, n_bands), 1.0 / n_bands as f64);
    for (candidate, mut row) in weights.outer_iter_mut().enumerate().skip(1) {
        let gamma = &gammas[candidate % gammas.len()];
        let draws: Vec<f64> = (0..n_bands).map(|_| gamma.sample(&mut rng)).collect();
        let sum: f64 = draws.iter().sum();
        // Draws of a tiny concentration can all underflow; equal weights then stand.
        if sum > 0.0 {
            row.iter_mut().zip(draws).for_each(|(weight, draw)| *weight = draw / sum);
        }
    }
    Ok(weights)
}

fn given(n_bands: usize, weights: &[Vec<f64>]) -> Result<Array2<f64>, MathError> {
    if weights.is_empty() {
        return Err(MathError::Empty { what: "candidates" });
    }
    for row in weights {
        require_shape("weights of a candidate", row.len(), n_bands, "one weight for each band")?;
        if let Some(&found) = row.iter().find(|w| !w.is_finite() || **w < 0.0) {
            return Err(MathError::Parameter { name: "weight of a band", found, expected: "a finite number from 0" });
        }
        let found: f64 = row.iter().sum();
        if (found - 1.0).abs() > SUM_TOLERANCE {
            return Err(MathError::Parameter { name: "sum of a candidate's weights", found, expected: "1" });
        }
    }
    Ok(Array2::from_shape_fn((weights.len(), n_bands), |(candidate, band)| weights[candidate][band]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dirichlet(n_candidates: usize, concentrations: &[f64], seed: u64) -> Candidates {
        Candidates::Dirichlet { n_candidates, concentrations: concentrations.to_vec(), seed }
    }

    #[test]
    fn moments_are_those_of_the_distribution() {
        let n_draws = 20_000;
        for concentration in [0.1, 1.0, 5.0] {
            let weights = dirichlet(n_draws, &[concentration], 3).weights(3).unwrap();
            for column in weights.columns() {
                let mean = column.sum() / n_draws as f64;
                let variance = column.iter().map(|w| (w - mean) * (w - mean)).sum::<f64>() / n_draws as f64;
                // A Dirichlet of three equal concentrations c: variance (1/3)(2/3) / (3 c + 1).
                let expected = 2.0 / 9.0 / (3.0 * concentration + 1.0);
                assert!((mean - 1.0 / 3.0).abs() < 0.01 && (variance / expected - 1.0).abs() < 0.05);
            }
        }
    }

    #[test]
    fn draws_cycle_through_the_concentrations() {
        let weights = dirichlet(2_000, &[0.05, 50.0], 1).weights(2).unwrap();
        let spread = |parity: usize| {
            let rows = weights.outer_iter().skip(2).enumerate().filter(|(i, _)| i % 2 == parity);
            rows.map(|(_, row)| (row[0] - 0.5).abs()).sum::<f64>() / 999.0
        };
        assert!(spread(0) > 0.4 && spread(1) < 0.05, "{} {}", spread(0), spread(1));
        assert_eq!(weights.row(0).to_vec(), [0.5, 0.5]);
    }

    #[test]
    fn weights_off_the_simplex_are_refused() {
        let explicit = |weights: &[&[f64]]| {
            Candidates::Explicit { weights: weights.iter().map(|w| w.to_vec()).collect() }.weights(2)
        };
        assert!(explicit(&[&[0.25, 0.75], &[1.0, 0.0]]).is_ok());
        let error = explicit(&[&[0.5, 0.5], &[0.5, 0.75]]).unwrap_err();
        assert_eq!(error.to_string(), "`sum of a candidate's weights` is 1.25, expected 1");
        assert!(matches!(explicit(&[&[1.5, -0.5]]), Err(MathError::Parameter { .. })));
        assert!(matches!(explicit(&[&[f64::NAN, 1.0]]), Err(MathError::Parameter { .. })));
        assert!(matches!(explicit(&[&[1.0]]), Err(MathError::Shape { .. })));
        assert!(matches!(explicit(&[]), Err(MathError::Empty { what: "candidates" })));
        assert!(matches!(dirichlet(5, &[0.0], 0).weights(2), Err(MathError::Parameter { .. })));
        assert!(matches!(dirichlet(5, &[f64::INFINITY], 0).weights(2), Err(MathError::Parameter { .. })));
        assert!(matches!(dirichlet(5, &[], 0).weights(2), Err(MathError::Empty { .. })));
        assert!(matches!(dirichlet(0, &[1.0], 0).weights(2), Err(MathError::Empty { .. })));
    }

    proptest! {
        #[test]
        fn draws_lie_on_the_simplex(n_bands in 1usize..9, seed in 0u64..1000, concentration in 0.001f64..20.0) {
            let weights = dirichlet(20, &[concentration, 1.0], seed).weights(n_bands).unwrap();
            for row in weights.outer_iter() {
                prop_assert!(row.iter().all(|w| (0.0..=1.0).contains(w)));
                prop_assert!((row.sum() - 1.0).abs() < 1e-12);
            }
        }
    }
}
