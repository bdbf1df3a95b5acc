//! Which layers predict a target best, and whether that depth follows an order of networks.
//!
//! Owns the preferred layer and centroid of each target, and rank correlations with an order given from outside, such as the
//! cortical hierarchy. How permutation p values are found is in `hierarchy/permutation.rs`; scores and their bootstrap
//! draws are the caller's (see [`super::evidence`]).

mod permutation;
mod ranks;

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

pub use self::permutation::Permutations;
use self::permutation::two_sided;
use self::ranks::{Concordance, MidRanks};
use super::MathError;
use super::error::require_shape;

/// Networks below which a rank correlation is not given: of three, no order is rarer than two in six.
pub const FEW_NETWORKS: usize = 4;

/// Targets looked at by one task.
const TARGET_BLOCK: usize = 1024;

/// The layers that predict one target.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Preference {
    /// The layer with the highest score, the lower one of equals.
    pub layer: usize,
    /// Its score.
    pub score: f64,
    /// Mean depth of the layers, weighted by the positive parts of their scores.
    pub centroid: f64,
}

/// The preferred layer of every target (n_targets) from scores of layers (n_layers x n_targets).
///
/// `layer = argmax over l of s_l` and `centroid = sum of max(s_l, 0) depth_l / sum of max(s_l, 0)` over the layers that
/// have a score; `depth` gives each layer's place between 0 (input) and 1 (output). `None` where no score is positive: a
/// layer that predicts nothing is preferred to nothing.
///
/// Caveats: the best of several noisy scores is biased towards layers that fit well by chance, and flat profiles put the
/// centroid near the mean depth whatever the target; compare targets under the same layers only.
///
/// # Errors
/// [`MathError::Empty`] without a layer, [`MathError::Shape`] when `depth` has not one entry for each layer,
/// [`MathError::Parameter`] for a depth outside 0 to 1, [`MathError::NotFinite`] for a score that is present and no number.
pub fn preferred(scores: ArrayView2<'_, Option<f64>>, depth: &[f64]) -> Result<Vec<Option<Preference>>, MathError> {
    if scores.nrows() == 0 {
        return Err(MathError::Empty { what: "layers" });
    }
    require_shape("depth", depth.len(), scores.nrows(), "one depth for each layer")?;
    if let Some(&found) = depth.iter().find(|depth| !(0.0..=1.0).contains(*depth)) {
        return Err(MathError::Parameter { name: "depth", found, expected: "a number from 0 to 1" });
    }
    require_finite("scores", scores)?;
    let of_target = |target: usize| {
        let (mut best, mut weights, mut moment) = (None::<(usize, f64)>, 0.0, 0.0);
        for (layer, score) in scores.column(target).iter().enumerate() {
            let Some(score) = score.filter(|&score| score > 0.0) else { continue };
            weights += score;
            moment += score * depth[layer];
            if best.is_none_or(|(_, highest)| score > highest) {
                best = Some((layer, score));
            }
        }
        best.map(|(layer, score)| Preference { layer, score, centroid: moment / weights })
    };
    Ok((0..scores.ncols()).into_par_iter().with_min_len(TARGET_BLOCK).map(of_target).collect())
}

/// Rank correlation of networks' values with their order.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankTrend {
    /// Networks that have a value.
    pub n_networks: usize,
    /// Spearman's rho, Pearson's r of mid-ranks.
    pub rho: f64,
    /// Two-sided permutation p value of rho.
    pub rho_p: f64,
    /// Kendall's tau-b, which allows for ties.
    pub tau: f64,
    /// Two-sided permutation p value of tau.
    pub tau_p: f64,
    /// The orders that p values count.
    pub permutations: Permutations,
}

/// Why there is no rank correlation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoTrend {
    /// Fewer than [`FEW_NETWORKS`] networks have a value.
    FewNetworks {
        /// How many have one.
        n_networks: usize,
    },
    /// All networks that have a value have the same one.
    EqualValues,
    /// All networks that have a value stand at the same place of the order.
    EqualOrder,
}

/// Whether values of networks (their preferred depth, say) rise or fall along an order of networks.
///
/// Spearman's rho and Kendall's tau-b (Kendall 1945, Biometrika 33:239) over the networks that have a value; ties share
/// their mean rank. The p values are two-sided and conditional on ties: the share of orders of the values whose statistic is
/// at least as far from zero as the observed one. Up to eight networks every order is counted; beyond, `n_draws` orders
/// are drawn and the observed one counts besides ([`Permutations`]).
///
/// Caveat: networks are the units, so p says nothing about other subjects or stimuli, and networks that share targets or
/// signals are not exchangeable.
///
/// # Errors
/// [`MathError::Shape`] when the lists differ in length, [`MathError::NotFinite`], [`MathError::TooFew`] without draws.
pub fn rank_trend(
    order: &[f64],
    values: &[Option<f64>],
    n_draws: usize,
    seed: u64,
) -> Result<Result<RankTrend, NoTrend>, MathError> {
    require_shape("values", values.len(), order.len(), "one value for each network of the order")?;
    check_order(order)?;
    require_finite("values", ArrayView2::from_shape((1, values.len()), values).expect("one row"))?;
    if n_draws == 0 {
        return Err(MathError::TooFew {
            name: "number of draws",
            found: 0,
            expected: 1,
            hint: "10000 resolves p values to 0.0001; up to eight networks none is used",
        });
    }
    let (order, values) = match present(order, values.iter().copied()) {
        Ok(pairs) => pairs,
        Err(reason) => return Ok(Err(reason)),
    };
    let (order_ranks, value_ranks) = (MidRanks::of(&order), MidRanks::of(&values));
    let concordance = Concordance::of(&order, &values);
    let n_networks = order.len();
    let statistics = |places: &[usize]| [order_ranks.rho(&value_ranks, places), concordance.tau(places)];
    let in_order: Vec<usize> = (0..n_networks).collect();
    let [rho, tau] = statistics(&in_order);
    let (permutations, [rho_p, tau_p]) = two_sided(n_networks, n_draws, seed, statistics);
    Ok(Ok(RankTrend { n_networks, rho, rho_p, tau, tau_p, permutations }))
}

/// Spearman's rho of every bootstrap draw of the networks' values (n_draws x n_networks), for an interval.
///
/// `None` where a draw has too few values or all are equal, as [`NoTrend`] says of the observed ones.
///
/// # Errors
/// [`MathError::Shape`] when the order has not one place for each network, [`MathError::NotFinite`].
pub fn from_draws(order: &[f64], draws: ArrayView2<'_, Option<f64>>) -> Result<Vec<Option<f64>>, MathError> {
    require_shape("columns of the draws", draws.ncols(), order.len(), "one column for each network of the order")?;
    check_order(order)?;
    require_finite("draws", draws)?;
    let rho = |draw: ndarray::ArrayView1<'_, Option<f64>>| {
        let (order, values) = present(order, draw.iter().copied()).ok()?;
        let places: Vec<usize> = (0..order.len()).collect();
        Some(MidRanks::of(&order).rho(&MidRanks::of(&values), &places))
    };
    Ok(draws.axis_iter(Axis(0)).into_par_iter().with_min_len(TARGET_BLOCK).map(rho).collect())
}

/// Order and value of the networks that have one, unless there is nothing to correlate.
fn present(order: &[f64], values: impl Iterator<Item = Option<f64>>) -> Result<(Vec<f64>, Vec<f64>), NoTrend> {
    let (order, values): (Vec<f64>, Vec<f64>) =
        order.iter().zip(values).filter_map(|(&order, value)| Some((order, value?))).unzip();
    if order.len() < FEW_NETWORKS {
        return Err(NoTrend::FewNetworks { n_networks: order.len() });
    }
    let are_equal = |list: &[f64]| list.iter().all(|&v| v == list[0]);
    if are_equal(&values) {
        return Err(NoTrend::EqualValues);
    }
    if are_equal(&order) {
        return Err(NoTrend::EqualOrder);
    }
    Ok((order, values))
}

fn check_order(order: &[f64]) -> Result<(), MathError> {
    match order.iter().enumerate().find(|(_, place)| !place.is_finite()) {
        Some((column, &found)) => Err(MathError::NotFinite { what: "order", row: 0, column, found }),
        None => Ok(()),
    }
}

fn require_finite(what: &'static str, array: ArrayView2<'_, Option<f64>>) -> Result<(), MathError> {
    for ((row, column), value) in array.indexed_iter() {
        if let Some(found) = value.filter(|value| !value.is_finite()) {
            return Err(MathError::NotFinite { what, row, column, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, Array2, array};
    use proptest::prelude::*;

    #[test]
    fn the_highest_positive_score_is_preferred() {
        let scores = array![
            [Some(0.2), Some(0.1), Some(-0.1), None, Some(-0.5)],
            [Some(0.2), None, Some(0.0), None, Some(0.3)],
            [Some(0.1), Some(0.3), None, None, Some(0.1)],
        ];
        let found = preferred(scores.view(), &[0.0, 0.5, 1.0]).unwrap();
        let layers: Vec<_> = found.iter().map(|p| p.map(|p| (p.layer, p.score))).collect();
        assert_eq!(layers, [Some((0, 0.2)), Some((2, 0.3)), None, None, Some((1, 0.3))]);
        let centroids: Vec<f64> = found.iter().flatten().map(|p| p.centroid).collect();
        for (found, expected) in centroids.iter().zip([0.2 / 0.5, 0.3 / 0.4, 0.25 / 0.4]) {
            assert!((found - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn bad_scores_and_depths_are_named() {
        let scores = array![[Some(0.2)], [Some(f64::NAN)]];
        let error = preferred(scores.view(), &[0.0, 1.0]).unwrap_err();
        assert!(matches!(error, MathError::NotFinite { what: "scores", row: 1, column: 0, .. }));
        let refused = |depth: &[f64]| preferred(scores.view(), depth).unwrap_err();
        assert!(matches!(refused(&[0.0]), MathError::Shape { .. }));
        assert!(matches!(refused(&[0.0, 1.5]), MathError::Parameter { .. }));
        assert!(matches!(refused(&[f64::NAN, 1.0]), MathError::Parameter { .. }));
        assert!(matches!(preferred(Array2::from_elem((0, 3), None).view(), &[]), Err(MathError::Empty { .. })));
    }

    #[test]
    fn a_monotone_trend_has_the_smallest_exact_p() {
        let order: Vec<f64> = (0..6).map(f64::from).collect();
        let values: Vec<Option<f64>> = order.iter().map(|v| Some(-v.exp())).collect();
        let trend = rank_trend(&order, &values, 1, 0).unwrap().unwrap();
        assert_eq!((trend.n_networks, trend.permutations), (6, Permutations::Exhaustive { n_orders: 720 }));
        assert!((trend.rho + 1.0).abs() < 1e-15 && (trend.tau + 1.0).abs() < 1e-15);
        assert_eq!((trend.rho_p, trend.tau_p), (2.0 / 720.0, 2.0 / 720.0));
    }

    #[test]
    fn what_has_no_trend_says_why() {
        let order = [1.0, 2.0, 3.0, 4.0, 5.0];
        let trend = |values: &[Option<f64>]| rank_trend(&order, values, 9, 0).unwrap().unwrap_err();
        assert_eq!(trend(&[Some(1.0), None, Some(2.0), None, Some(3.0)]), NoTrend::FewNetworks { n_networks: 3 });
        assert_eq!(trend(&[Some(1.0); 5]), NoTrend::EqualValues);
        let values = [Some(1.0), Some(2.0), Some(3.0), Some(4.0)];
        assert_eq!(rank_trend(&[2.0; 4], &values, 9, 0).unwrap(), Err(NoTrend::EqualOrder));
        assert!(matches!(rank_trend(&order, &values, 9, 0), Err(MathError::Shape { .. })));
        assert!(matches!(rank_trend(&[0.0, f64::NAN, 1.0, 2.0], &values, 9, 0), Err(MathError::NotFinite { .. })));
        assert!(matches!(rank_trend(&[0.0, 3.0, 1.0, 2.0], &values, 0, 0), Err(MathError::TooFew { .. })));
        let draws = array![[Some(1.0), Some(2.0), Some(3.0), None, None], [None; 5]];
        assert_eq!(from_draws(&order, draws.view()).unwrap(), [None, None]);
    }

    #[test]
    fn draws_have_the_rho_of_their_values() {
        let order = [3.0, 1.0, 2.0, 2.0, 7.0, 5.0];
        let draws = Array::from_shape_fn((40, 6), |(i, j)| (i * j % 7 != 3).then(|| ((i * 6 + j) as f64 * 0.9).sin()));
        let found = from_draws(&order, draws.view()).unwrap();
        for (found, draw) in found.iter().zip(draws.outer_iter()) {
            let trend = rank_trend(&order, draw.as_slice().unwrap(), 1, 0).unwrap();
            assert_eq!(*found, trend.ok().map(|trend| trend.rho));
        }
    }

    #[test]
    fn drawn_p_values_approach_the_exact_ones_and_keep_their_seed() {
        let order: Vec<f64> = (0..9).map(f64::from).collect();
        let values: Vec<Option<f64>> = [2.0, 1.0, 4.0, 3.0, 3.0, 8.0, 5.0, 6.0, 5.0].map(Some).to_vec();
        let with = |n_threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| rank_trend(&order, &values, 20_000, seed).unwrap().unwrap())
        };
        let found = with(1, 1);
        assert_eq!(found, with(2, 1));
        assert_ne!(found.rho_p, with(1, 2).rho_p);
        assert_eq!(found.permutations, Permutations::Random { n_drawn: 20_000 });
        let numbers: Vec<f64> = values.iter().flatten().copied().collect();
        let (order_ranks, value_ranks) = (MidRanks::of(&order), MidRanks::of(&numbers));
        let exact = permutation::exact_share(9, |places| [order_ranks.rho(&value_ranks, places)])[0];
        assert!((found.rho_p - exact).abs() < 5.0 * (exact / 20_000.0).sqrt() + 1e-4, "{} {exact}", found.rho_p);
    }

    proptest! {
        #[test]
        fn trends_turn_with_the_values_and_ignore_rising_maps(
            values in prop::collection::vec(prop::option::weighted(0.8, -5i8..5), 4..8), seed in 0u64..50,
        ) {
            let order: Vec<f64> = (0..values.len()).map(|i| ((i as u64 * 7 + seed) % 5) as f64).collect();
            let mapped = |map: fn(f64) -> f64| -> Vec<_> { values.iter().map(|v| v.map(|v| map(f64::from(v)))).collect() };
            let trend = |values: Vec<Option<f64>>| rank_trend(&order, &values, 9, 0).unwrap();
            let plain = trend(mapped(|v| v));
            prop_assert_eq!(plain, trend(mapped(|v| (0.3 * v).exp())));
            match (plain, trend(mapped(|v| -v))) {
                (Ok(a), Ok(b)) => {
                    prop_assert!((a.rho + b.rho).abs() < 1e-12 && (a.tau + b.tau).abs() < 1e-12);
                    prop_assert_eq!((a.rho_p, a.tau_p), (b.rho_p, b.tau_p));
                    prop_assert!(a.rho.abs() <= 1.0 && a.tau.abs() <= 1.0 && a.rho_p > 0.0 && a.rho_p <= 1.0);
                }
                (a, b) => prop_assert_eq!(a, b),
            }
        }
    }
}
