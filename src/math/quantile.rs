//! Quantiles of a handful of values, such as the draws of one statistic.
//!
//! Owns one definition, so that all intervals of a study have the same: straight lines between neighbours in order (Hyndman and
//! Fan 1996, The American Statistician 50:361, definition 7, also the default of R and NumPy). It does not know what was drawn.

/// The quantile at `share` (from 0 to 1) of at least one value, in ascending order.
pub(super) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let at = share * (ascending.len() - 1) as f64;
    let (below, above) = (ascending[at.floor() as usize], ascending[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// The quantiles at two shares of values in any order; `None` without values.
pub(super) fn quantiles(mut values: Vec<f64>, shares: [f64; 2]) -> Option<[f64; 2]> {
    values.sort_by(f64::total_cmp);
    (!values.is_empty()).then(|| shares.map(|share| quantile(&values, share)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `numpy.quantile([1, 2, 4, 8], [0, 0.1, 0.5, 0.975, 1])`.
    #[test]
    fn quantiles_lie_on_straight_lines_between_neighbours() {
        for (share, expected) in [(0.0, 1.0), (0.1, 1.3), (0.5, 3.0), (0.975, 7.7), (1.0, 8.0)] {
            assert!((quantile(&[1.0, 2.0, 4.0, 8.0], share) - expected).abs() < 1e-12, "{share}");
        }
        assert_eq!(quantile(&[5.0], 0.3), 5.0);
    }

    #[test]
    fn values_need_no_order_but_one_of_them_must_be_there() {
        assert_eq!(quantiles(vec![8.0, 1.0, 4.0, 2.0], [0.0, 0.5]), Some([1.0, 3.0]));
        assert_eq!(quantiles(Vec::new(), [0.0, 0.5]), None);
    }
}
