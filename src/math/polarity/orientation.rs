//! Which way round a pattern is said to point, and how firmly.
//!
//! `(d_k, c_k) -> (-d_k, -c_k)` leaves a dictionary's model unchanged, so the sign of a pattern is no property of the data.
//! It owns the convention that the codes of a pattern sum to a positive number; whoever speaks of opposite patterns reads
//! them that way round.

use ndarray::ArrayView2;

/// Sign and firmness of one pattern.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation {
    /// `o_k`, the sign of the sum of codes: 1 or -1.
    pub sign: f64,
    /// `|sum_i C_ki| / sum_i |C_ki|`, 1 where all codes agree in sign, near 0 where the sign is an accident.
    pub strength: f64,
}

/// Orientation of every pattern of `codes` (n_patterns x n_units).
///
/// `o_k = sign(sum_i C_ki)`; `None` where the codes sum to exactly 0, so that neither way round is preferred.
pub fn orientations(codes: ArrayView2<'_, f32>) -> Vec<Option<Orientation>> {
    let orientation = |code: ndarray::ArrayView1<'_, f32>| {
        let (sum, magnitude) = code.iter().fold((0.0, 0.0), |(s, m), &c| (s + f64::from(c), m + f64::from(c).abs()));
        (sum != 0.0).then(|| Orientation { sign: f64::signum(sum), strength: (f64::abs(sum) / magnitude).min(1.0) })
    };
    codes.outer_iter().map(orientation).collect()
}
