//! Exact upper tails of sums of hypergeometric counts, however small.
//!
//! Owns one number: `log10 P(X_1 + ... + X_G >= x)` for independent counts. What is counted it does not know.

use statrs::distribution::{Discrete, Hypergeometric};

/// Mass beside the largest below which a count is left out: so far below, it cannot reach the last digit of a tail.
const NEGLIGIBLE: f64 = 1e-25;

/// Halvings of the range in which the tilt lies; the tilt only places the mass, so it need not be exact.
const HALVINGS: usize = 60;

/// Steepest tilt: beyond it the mass sits on the largest count.
const STEEPEST: f64 = 100.0;

/// One draw without replacement: the size of a random set's intersection with a fixed one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    pub n_elements: usize,
    pub n_a: usize,
    pub n_b: usize,
}

/// Logarithms of the probabilities of `first`, `first + 1`, ...
struct Counts {
    first: usize,
    ln: Vec<f64>,
}

impl Counts {
    fn of(draw: Draw) -> Self {
        let Draw { n_elements, n_a, n_b } = draw;
        let (first, last) = ((n_a + n_b).saturating_sub(n_elements), n_a.min(n_b));
        let law = Hypergeometric::new(n_elements as u64, n_a as u64, n_b as u64).expect("sets are within the elements");
        Self { first, ln: (first..=last).map(|x| law.ln_pmf(x as u64)).collect() }
    }

    /// `ln sum_x p(x) e^(tilt x)` and the probabilities tilted by it, as first count and masses.
    fn tilted(&self, tilt: f64) -> (f64, usize, Vec<f64>) {
        let exponent = |i: usize| self.ln[i] + tilt * (self.first + i) as f64;
        let largest = (0..self.ln.len()).map(exponent).fold(f64::NEG_INFINITY, f64::max);
        let masses: Vec<f64> = (0..self.ln.len()).map(|i| (exponent(i) - largest).exp()).collect();
        let from = masses.iter().position(|&mass| mass > NEGLIGIBLE).expect("the largest mass is 1");
        let to = masses.iter().rposition(|&mass| mass > NEGLIGIBLE).expect("the largest mass is 1");
        let sum: f64 = masses[from..=to].iter().sum();
        let kept = masses[from..=to].iter().map(|mass| mass / sum).collect();
        (largest + sum.ln(), self.first + from, kept)
    }

    fn tilted_mean(&self, tilt: f64) -> f64 {
        let (_, first, masses) = self.tilted(tilt);
        masses.iter().enumerate().map(|(i, mass)| (first + i) as f64 * mass).sum()
    }
}

/// `log10 P(sum of counts >= observed)`, 0 where that is certain.
///
/// The counts are tilted exponentially until their mean is the observed sum (Esscher 1932), convolved there, where the mass is,
/// and tilted back term by term: what comes out is exact up to rounding, about 1e-9 of p for 100 000 elements, also where p
/// itself is too small for an f64. An observed sum below the mean needs no tilt.
pub(super) fn log10_upper_tail(draws: &[Draw], observed: usize) -> f64 {
    let counts: Vec<Counts> = draws.iter().map(|&draw| Counts::of(draw)).collect();
    let smallest: usize = counts.iter().map(|c| c.first).sum();
    if observed <= smallest {
        return 0.0;
    }
    let mean = |tilt: f64| counts.iter().map(|c| c.tilted_mean(tilt)).sum::<f64>();
    let target = observed as f64;
    let (mut low, mut high) = (0.0, STEEPEST);
    if mean(0.0) < target {
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            (low, high) = if mean(middle) < target { (middle, high) } else { (low, middle) };
            if high - low < 1e-6 {
                break;
            }
        }
    }
    let tilt = low;
    let (mut ln_scale, mut first, mut masses) = (0.0, 0, vec![1.0]);
    for count in &counts {
        let (ln_sum, from, factor) = count.tilted(tilt);
        ln_scale += ln_sum;
        first += from;
        masses = convolve(&masses, &factor);
        let kept = masses.iter().position(|&m| m > NEGLIGIBLE).expect("masses sum to 1");
        let end = masses.iter().rposition(|&m| m > NEGLIGIBLE).expect("masses sum to 1");
        first += kept;
        masses = masses[kept..=end].to_vec();
    }
    let back = |(i, mass): (usize, &f64)| {
        let count = first + i;
        (count >= observed).then(|| mass * (-tilt * (count as f64 - target)).exp())
    };
    let tail: f64 = masses.iter().enumerate().filter_map(back).sum();
    ((ln_scale - tilt * target + tail.ln()) / std::f64::consts::LN_10).min(0.0)
}

fn convolve(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (out, y) in product[i..].iter_mut().zip(b) {
            *out += x * y;
        }
    }
    product
}
