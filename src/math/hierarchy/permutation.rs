//! Two-sided p values over orders of a short list: all of them, or a sample.
//!
//! It does not know what statistic it compares.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Entries up to which every order is counted: eight have 40 320.
const MAX_EXHAUSTIVE: usize = 8;

/// By how much the magnitude of a statistic may stay below the observed one and still tie with it: rounding of its sum.
const TIE: f64 = 1e-12;

/// Which orders a p value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Permutations {
    /// Every order once, the observed one among them: `p = #{as extreme} / n`.
    Exhaustive {
        /// The factorial of the number of networks.
        n_orders: usize,
    },
    /// Orders drawn with replacement, the observed one counted besides: `p = (1 + #{as extreme}) / (1 + n)`.
    Random {
        /// Orders drawn.
        n_drawn: usize,
    },
}

/// p values of several statistics of the order of `n` entries.
pub(super) fn two_sided<const N: usize>(
    n: usize,
    n_draws: usize,
    seed: u64,
    statistics: impl Fn(&[usize]) -> [f64; N],
) -> (Permutations, [f64; N]) {
    if n <= MAX_EXHAUSTIVE {
        return (Permutations::Exhaustive { n_orders: (1..=n).product() }, exact_share(n, statistics));
    }
    let mut order: Vec<usize> = (0..n).collect();
    let mut tally = Tally::new(statistics(&order));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for _ in 0..n_draws {
        order.shuffle(&mut rng);
        tally.count(statistics(&order));
    }
    let p = tally.n_as_extreme.map(|n_as_extreme| (1 + n_as_extreme) as f64 / (1 + n_draws) as f64);
    (Permutations::Random { n_drawn: n_draws }, p)
}

/// Share of all orders in which each statistic is at least as far from zero as in the natural one.
pub(super) fn exact_share<const N: usize>(n: usize, statistics: impl Fn(&[usize]) -> [f64; N]) -> [f64; N] {
    let mut order: Vec<usize> = (0..n).collect();
    let mut tally = Tally::new(statistics(&order));
    visit(&mut order, 0, &mut |order| tally.count(statistics(order)));
    let n_orders: usize = (1..=n).product();
    tally.n_as_extreme.map(|n_as_extreme| n_as_extreme as f64 / n_orders as f64)
}

struct Tally<const N: usize> {
    observed: [f64; N],
    n_as_extreme: [usize; N],
}

impl<const N: usize> Tally<N> {
    fn new(observed: [f64; N]) -> Self {
        Self { observed, n_as_extreme: [0; N] }
    }

    fn count(&mut self, statistics: [f64; N]) {
        for ((n, observed), statistic) in self.n_as_extreme.iter_mut().zip(self.observed).zip(statistics) {
            *n += usize::from(statistic.abs() >= observed.abs() - TIE);
        }
    }
}

fn visit(order: &mut [usize], from: usize, each: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        return each(order);
    }
    for i in from..order.len() {
        order.swap(from, i);
        visit(order, from + 1, each);
        order.swap(from, i);
    }
}
