//! Tails and quantiles of Student's t distribution, accurate on both sides of zero.
//!
//! It does not know what t is a statistic of.

use statrs::distribution::{ContinuousCDF, StudentsT};
use statrs::function::beta::beta_reg;

use super::Alternative;

/// `P(|T| >= |t|)` with `freedom` degrees of freedom.
fn two_tails(t: f64, freedom: f64) -> f64 {
    let (square, sum) = (t * t, freedom + t * t);
    if square.is_infinite() {
        return 0.0;
    }
    // Each form of the incomplete beta function is exact where its argument is small: the first far out in the tails,
    // the second near zero, where the first would lose the difference of its argument from 1.
    if square > freedom {
        beta_reg(freedom / 2.0, 0.5, freedom / sum)
    } else {
        1.0 - beta_reg(0.5, freedom / 2.0, square / sum)
    }
}

/// The p value of `t` with `freedom` degrees of freedom.
pub(super) fn p_value(t: f64, freedom: f64, alternative: Alternative) -> f64 {
    let tails = two_tails(t, freedom);
    let counts_far_side = match alternative {
        Alternative::TwoSided => return tails,
        Alternative::Greater => t > 0.0,
        Alternative::Less => t < 0.0,
    };
    if counts_far_side { tails / 2.0 } else { 1.0 - tails / 2.0 }
}

/// The `t` within which `confidence` of the distribution lies on either side of zero.
pub(super) fn quantile(freedom: f64, confidence: f64) -> f64 {
    let outside = 1.0 - confidence;
    let distribution = StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are positive");
    let mut t = distribution.inverse_cdf(1.0 - outside / 2.0);
    // The library stops at some nine digits; Newton's step on the tails doubles them.
    for _ in 0..2 {
        let density = statrs::distribution::Continuous::pdf(&distribution, t);
        t += (two_tails(t, freedom) - outside) / (2.0 * density);
    }
    t
}
