//! Tails and quantiles of Student's t distribution, accurate on both sides of zero.
//!
//! It does not know what t is a statistic of.

use statrs::distribution::{Continuous, ContinuousCDF, StudentsT};
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
pub(in crate::math) fn quantile(freedom: f64, confidence: f64) -> f64 {
    let outside = 1.0 - confidence;
    let distribution = StudentsT::new(0.0, 1.0, freedom).expect("degrees of freedom are positive");
    let mut t = distribution.inverse_cdf(1.0 - outside / 2.0);
    // The library's inverse stops early; Newton's steps on the tails take it to the rounding of those.
    for _ in 0..2 {
        let density = distribution.pdf(t);
        t += (two_tails(t, freedom) - outside) / (2.0 * density);
    }
    t
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// One degree of freedom is the Cauchy distribution, two have a closed form as well.
    #[test]
    fn tails_have_their_closed_forms() {
        for t in [0.0, 1e-9, 1e-3, 0.4, 1.0, 3.0, 700.0, 1e9] {
            let cauchy = 2.0 / PI * 1f64.atan2(t);
            assert!((two_tails(t, 1.0) / cauchy - 1.0).abs() < 1e-12, "{t}");
            let two = 2.0 / (2.0 + t * t + t * (2.0 + t * t).sqrt());
            assert!((two_tails(-t, 2.0) / two - 1.0).abs() < 1e-12, "{t}");
        }
        assert_eq!(two_tails(f64::MAX, 5.0), 0.0);
    }

    #[test]
    fn one_sided_values_add_up_to_one() {
        for t in [-4.0, -0.2, 0.0, 0.7, 9.0] {
            let (up, down) = (p_value(t, 7.0, Alternative::Greater), p_value(t, 7.0, Alternative::Less));
            assert!((up + down - 1.0).abs() < 1e-14);
            assert!((2.0 * up.min(down) - p_value(t, 7.0, Alternative::TwoSided)).abs() < 1e-14);
            assert_eq!(up < down, t > 0.0);
        }
    }

    #[test]
    fn quantiles_invert_the_tails() {
        let mut worst = 0.0f64;
        for freedom in (1..200).map(f64::from) {
            for confidence in [0.01, 0.5, 0.9, 0.95, 0.99, 0.9999] {
                let outside = two_tails(quantile(freedom, confidence), freedom);
                worst = worst.max((outside / (1.0 - confidence) - 1.0).abs());
            }
        }
        assert!(worst < 1e-11, "{worst:e}");
    }
}
