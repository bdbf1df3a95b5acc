//! Cholesky's factorisation of a small matrix from which rows and columns are removed one by one.
//!
//! Owns the arithmetic only; which coefficients are solved for, and which leave, is decided in `working.rs`.

use ndarray::aview1;

/// `G_AA + ridge I = L L'`.
#[derive(Debug)]
pub(super) struct Factor {
    /// Rows of `L`, each up to its diagonal.
    rows: Vec<Vec<f64>>,
}

impl Factor {
    /// Factorises the rows and columns `active` of `gram`; `None` when a pivot is not positive.
    pub fn of(active: &[usize], gram: &[Vec<f64>], ridge: f64) -> Option<Self> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(active.len());
        for &i in active {
            let mut row: Vec<f64> = Vec::with_capacity(rows.len() + 1);
            for (other, &j) in rows.iter().zip(active) {
                let known = aview1(&row).dot(&aview1(&other[..row.len()]));
                row.push((gram[i][j] - known) / other[row.len()]);
            }
            let pivot = gram[i][i] + ridge - aview1(&row).dot(&aview1(&row));
            if pivot.is_nan() || pivot <= 0.0 {
                return None;
            }
            row.push(pivot.sqrt());
            rows.push(row);
        }
        Some(Self { rows })
    }

    /// Solves `L L' x = right` in place.
    pub fn solve(&self, right: &mut [f64]) {
        for (i, row) in self.rows.iter().enumerate() {
            right[i] = (right[i] - aview1(&row[..i]).dot(&aview1(&right[..i]))) / row[i];
        }
        for (i, row) in self.rows.iter().enumerate().rev() {
            right[i] /= row[i];
            let value = right[i];
            right[..i].iter_mut().zip(row).for_each(|(r, l)| *r -= l * value);
        }
    }

    /// Removes one row and column of the factorised matrix.
    ///
    /// Without its row `i` the factor has one column too many; rotations of neighbouring columns (Givens) empty it.
    pub fn remove(&mut self, i: usize) {
        self.rows.remove(i);
        for k in i..self.rows.len() {
            let (a, b) = (self.rows[k][k], self.rows[k][k + 1]);
            let length = a.hypot(b);
            let (cosine, sine) = (a / length, b / length);
            for row in &mut self.rows[k..] {
                let (a, b) = (row[k], row[k + 1]);
                (row[k], row[k + 1]) = (cosine * a + sine * b, cosine * b - sine * a);
            }
            self.rows[k].truncate(k + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_positive_system_is_solved() {
        let gram = vec![vec![4.0, 2.0, 0.0], vec![2.0, 5.0, 1.0], vec![0.0, 1.0, 3.0]];
        let mut right = [3.0, -2.0];
        Factor::of(&[0, 2], &gram, 1.0).unwrap().solve(&mut right);
        assert!((right[0] - 0.6).abs() < 1e-15 && (right[1] + 0.5).abs() < 1e-15);
        let mut right = [8.0, 15.0, 11.0];
        Factor::of(&[0, 1, 2], &gram, 0.0).unwrap().solve(&mut right);
        assert!(right.iter().zip([1.0, 2.0, 3.0]).all(|(a, b)| (a - b).abs() < 1e-14), "{right:?}");
        assert!(Factor::of(&[0, 1], &[vec![1.0, 2.0], vec![2.0, 1.0]], 0.0).is_none());
    }

    proptest! {
        #[test]
        fn removal_equals_a_fresh_factorisation(values in prop::collection::vec(-1.0f64..1.0, 36), i in 0usize..6) {
            let x = ndarray::Array2::from_shape_vec((6, 6), values).unwrap();
            let gram: Vec<Vec<f64>> = x.t().dot(&x).outer_iter().map(|row| row.to_vec()).collect();
            let mut active: Vec<usize> = (0..6).collect();
            let mut factor = Factor::of(&active, &gram, 0.1).unwrap();
            factor.remove(i);
            active.remove(i);
            let fresh = Factor::of(&active, &gram, 0.1).unwrap();
            for (row, expected) in factor.rows.iter().zip(&fresh.rows) {
                prop_assert_eq!(row.len(), expected.len());
                // Columns are determined up to their sign, and a rotation keeps the diagonal positive.
                prop_assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{row:?} {expected:?}");
            }
        }
    }
}
