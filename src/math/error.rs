//! The one error type of `math`: what can be wrong with arrays and parameters handed in.
//!
//! It owns wording, not policy; what is only a caveat of a valid result is a warning type beside its estimator.

use ndarray::ArrayView2;

/// Why a numerical routine could not run on what it was given.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MathError {
    /// Two arrays that must agree in one dimension do not.
    #[error("`{what}` is {found}, expected {expected}: {hint}")]
    Shape {
        /// The dimension that disagrees, such as `rows of y`.
        what: &'static str,
        /// Its length in the array handed in.
        found: usize,
        /// The length it had to have.
        expected: usize,
        /// Which array it must agree with.
        hint: &'static str,
    },
    /// An array or list that must hold something is empty.
    #[error("`{what}` is empty, expected at least one entry")]
    Empty {
        /// The array or list.
        what: &'static str,
    },
    /// An array holds NaN or an infinity.
    #[error("`{what}` holds {found} at row {row}, column {column}, expected finite numbers only")]
    NotFinite {
        /// The array.
        what: &'static str,
        /// Row of the first offender, from 0.
        row: usize,
        /// Column of the first offender, from 0.
        column: usize,
        /// The offending value.
        found: f64,
    },
    /// A parameter lies outside its range.
    #[error("`{name}` is {found}, expected {expected}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// The value in hand.
        found: f64,
        /// What would do.
        expected: &'static str,
    },
    /// A count lies outside what the data allow.
    #[error("`{name}` is {found}, expected {expected} at most: {hint}")]
    TooMany {
        /// The count.
        name: &'static str,
        /// The value in hand.
        found: usize,
        /// The largest value the data allow.
        expected: usize,
        /// What limits it.
        hint: &'static str,
    },
    /// A count is too small for the statistic to exist.
    #[error("`{name}` is {found}, expected {expected} or more: {hint}")]
    TooFew {
        /// The count.
        name: &'static str,
        /// The value in hand.
        found: usize,
        /// The smallest value with which the statistic exists.
        expected: usize,
        /// What would help.
        hint: &'static str,
    },
    /// An index points outside the array it refers to.
    #[error("`{name}` holds {found}, expected an index below {expected}")]
    Index {
        /// The list that holds the index.
        name: &'static str,
        /// The index in hand.
        found: usize,
        /// The length of what it points into.
        expected: usize,
    },
    /// Something that invites wrong conclusions was asked for without the permission it needs.
    #[error("`{name}` is false, expected true to permit this: {hint}")]
    NotPermitted {
        /// The permission.
        name: &'static str,
        /// What could go wrong, and what to do instead.
        hint: &'static str,
    },
    /// What one band of features was given cannot be used.
    #[error("band {band}: {reason}")]
    InBand {
        /// Which band, from 0.
        band: usize,
        /// What is wrong with it.
        reason: Box<MathError>,
    },
    /// A LAPACK routine gave up.
    #[error("`{routine}` returned code {code}, expected 0: look for extreme values in its input")]
    Lapack {
        /// The routine's name.
        routine: &'static str,
        /// Its `info` value.
        code: i32,
    },
}

/// Refuses an array with a value that is not finite.
pub(super) fn require_finite(what: &'static str, array: ArrayView2<'_, f32>) -> Result<(), MathError> {
    for (row, values) in array.outer_iter().enumerate() {
        // A sum of squares keeps every NaN and infinity and vectorises, so only an offending row is searched.
        let power: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        if power.is_finite() {
            continue;
        }
        if let Some((column, &found)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(MathError::NotFinite { what, row, column, found: f64::from(found) });
        }
    }
    Ok(())
}

/// Refuses a dimension that differs from the one it must agree with.
pub(super) fn require_shape(
    what: &'static str,
    found: usize,
    expected: usize,
    hint: &'static str,
) -> Result<(), MathError> {
    if found == expected { Ok(()) } else { Err(MathError::Shape { what, found, expected, hint }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn finite_check_names_the_first_offender() {
        let x = array![[1.0f32, 2.0], [3.0, f32::INFINITY]];
        let error = require_finite("x", x.view()).unwrap_err();
        assert_eq!(error.to_string(), "`x` holds inf at row 1, column 1, expected finite numbers only");
        assert!(require_finite("x", array![[f32::MAX, f32::MIN]].view()).is_ok());
    }
}
