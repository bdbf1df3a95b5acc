//! The matrix products of a solver, behind one interface.
//!
//! Owns what a backend has to offer, and the backend for processors. Who solves something hands blocks of targets to a backend and
//! knows nothing about where it multiplies; a backend knows nothing about penalties, folds or scores.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::blas::single_thread_blas;

/// Multiplies single-precision matrices on some device.
///
/// All products of [`super::ridge`] whose cost grows with the number of targets go through this interface, so that a device with
/// memory of its own needs no change to the solver. Equal calls must give equal bytes, from whichever thread they come.
pub trait Products: Send + Sync {
    /// `out = a b` for `a` (m x k), `b` (k x n) and `out` (m x n).
    ///
    /// # Panics
    /// When the shapes disagree.
    fn multiply(&self, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, out: ArrayViewMut2<'_, f32>);
}

/// OpenBLAS on the calling thread.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenBlas;

impl Products for OpenBlas {
    fn multiply(&self, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
        single_thread_blas();
        general_mat_mul(1.0, &a, &b, 0.0, &mut out);
    }
}
