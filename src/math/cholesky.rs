//! Solutions of positive definite systems by Cholesky's factorisation.
//!
//! Owns the calls to LAPACK's `dpotrf`, `dpotri` and `dpotrs`. It does not know what the matrix is; a matrix that is not positive
//! definite in f64 is an answer, not an error, because whoever calls may have another way ([`super::eigen`]).

use std::ffi::{c_char, c_int};

use ndarray::{Array2, ArrayView2};

use super::MathError;
use super::blas::single_thread_blas;
use super::error::require_shape;

/// The factor of one positive definite matrix, ready for any number of right-hand sides.
#[derive(Debug)]
pub struct Cholesky {
    n: usize,
    factor: Vec<f64>,
}

const LOWER: c_char = b'L' as c_char;

impl Cholesky {
    /// Factorises the symmetric matrix `a` (n x n), of which one triangle is read; `None` when it is not positive definite.
    ///
    /// A third of `n^3` multiplications and as many additions, about a twentieth of the time of
    /// [`super::eigen::symmetric_eigen`].
    ///
    /// # Errors
    /// [`MathError::Shape`] when `a` is not square.
    pub fn factorise(a: Array2<f64>) -> Result<Option<Self>, MathError> {
        single_thread_blas();
        let n = a.nrows();
        require_shape("columns of the matrix", a.ncols(), n, "a symmetric matrix is square")?;
        // The matrix equals its transpose, so C order serves as LAPACK's column order.
        let mut factor = a.as_standard_layout().into_owned().into_raw_vec_and_offset().0;
        let order = n as c_int;
        let mut info = 0;
        if n > 0 {
            // SAFETY: `factor` holds n x n numbers and every pointer outlives the call.
            unsafe { lapack_sys::dpotrf_(&LOWER, &order, factor.as_mut_ptr(), &order, &mut info) };
        }
        match info {
            0 => Ok(Some(Self { n, factor })),
            code if code > 0 => Ok(None),
            code => Err(MathError::Lapack { routine: "dpotrf", code }),
        }
    }

    /// Solves `A X = B` for `b` (n x n_columns).
    ///
    /// # Errors
    /// [`MathError::Shape`] when the number of rows differs.
    pub fn solve(&self, b: ArrayView2<'_, f64>) -> Result<Array2<f64>, MathError> {
        require_shape("rows of the right-hand side", b.nrows(), self.n, "the order of the matrix")?;
        let n_columns = b.ncols();
        if b.is_empty() {
            return Ok(Array2::zeros(b.dim()));
        }
        let mut solution = b.t().as_standard_layout().into_owned().into_raw_vec_and_offset().0;
        let (order, columns) = (self.n as c_int, n_columns as c_int);
        let mut info = 0;
        // SAFETY: `factor` holds n x n and `solution` n x n_columns numbers in LAPACK's column order, and every pointer
        // outlives the call.
        unsafe {
            lapack_sys::dpotrs_(
                &LOWER,
                &order,
                &columns,
                self.factor.as_ptr(),
                &order,
                solution.as_mut_ptr(),
                &order,
                &mut info,
            );
        }
        if info != 0 {
            return Err(MathError::Lapack { routine: "dpotrs", code: info });
        }
        let columns = Array2::from_shape_vec((n_columns, self.n), solution).expect("LAPACK solved in place");
        Ok(columns.reversed_axes())
    }

    /// `A^-1` (n x n), symmetric to the last bit; two thirds of `n^3` multiplications and as many additions.
    ///
    /// # Errors
    /// [`MathError::Lapack`] when a diagonal entry of the factor is 0, which a factorised matrix does not have.
    pub fn inverse(self) -> Result<Array2<f64>, MathError> {
        let Self { n, mut factor } = self;
        let order = n as c_int;
        let mut info = 0;
        if n > 0 {
            // SAFETY: `factor` holds n x n numbers where `dpotrf` left them and every pointer outlives the call.
            unsafe { lapack_sys::dpotri_(&LOWER, &order, factor.as_mut_ptr(), &order, &mut info) };
        }
        if info != 0 {
            return Err(MathError::Lapack { routine: "dpotri", code: info });
        }
        let mut inverse = Array2::from_shape_vec((n, n), factor).expect("LAPACK inverted in place");
        // LAPACK's lower triangle in its column order is the upper one in ours.
        for row in 0..n {
            for column in 0..row {
                inverse[[row, column]] = inverse[[column, row]];
            }
        }
        Ok(inverse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array, array};

    #[test]
    fn closed_form_of_order_two() {
        let factor = Cholesky::factorise(array![[2.0, 1.0], [1.0, 2.0]]).unwrap().unwrap();
        let x = factor.solve(array![[3.0, 1.0], [3.0, -1.0]].view()).unwrap();
        assert!((&x - &array![[1.0, 1.0], [1.0, -1.0]]).iter().all(|d| d.abs() < 1e-14));
    }

    #[test]
    fn solution_satisfies_the_system() {
        let x = Array::from_shape_fn((50, 70), |(i, j)| ((i * 31 + j * 17) as f64 * 0.61).sin());
        let a = x.dot(&x.t()) + Array2::<f64>::eye(50);
        let b = Array::from_shape_fn((50, 9), |(i, j)| ((i * 5 + j * 3) as f64 * 0.37).cos());
        let solution = Cholesky::factorise(a.clone()).unwrap().unwrap().solve(b.view()).unwrap();
        assert!((a.dot(&solution) - b).iter().all(|d| d.abs() < 1e-11));
    }

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::factorise(array![[1.0, 2.0], [2.0, 1.0]]).unwrap().is_none());
        assert!(Cholesky::factorise(Array2::zeros((2, 3))).is_err());
        let factor = Cholesky::factorise(Array2::eye(2)).unwrap().unwrap();
        assert!(factor.solve(Array2::zeros((3, 1)).view()).is_err());
    }
}
