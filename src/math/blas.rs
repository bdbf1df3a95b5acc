//! Matrix products whose bytes do not depend on the number of threads.
//!
//! Owns the one switch of the BLAS library (one thread a call) and the block-parallel product; it does not know what the
//! matrices mean. Factorisations are in [`super::eigen`].

use std::ffi::{CStr, c_char, c_int};
use std::sync::Once;

use ndarray::{Array2, ArrayView2, Axis, LinalgScalar, linalg::general_mat_mul};
use openblas_src as _;
use rayon::prelude::*;

/// Rows or columns of the result that one task computes in [`matmul`].
///
/// Wide enough for the BLAS kernel to run near its peak, narrow enough that the columns of a typical study (tens of
/// thousands) keep every core busy.
pub const PRODUCT_BLOCK: usize = 256;

unsafe extern "C" {
    fn openblas_set_num_threads(n_threads: c_int);
    fn openblas_get_config() -> *const c_char;
}

/// Makes OpenBLAS use one thread a call, for the life of the process.
///
/// Parallelism then comes from blocks of fixed size alone, so results do not depend on the number of cores. Every
/// function of `math` that calls BLAS makes this call first; it costs nothing after the first time.
pub fn single_thread_blas() {
    static ONCE: Once = Once::new();
    // SAFETY: the function takes an integer, and `Once` keeps two threads from calling it together.
    ONCE.call_once(|| unsafe { openblas_set_num_threads(1) });
}

/// Says which OpenBLAS is linked and for which processor it chose its kernels.
///
/// The text is the library's own (`OpenBLAS 0.3.21 ... SkylakeX MAX_THREADS=64`); results are equal byte for byte only
/// between machines on which it is equal.
pub fn openblas_version() -> String {
    // SAFETY: the library returns a pointer to a static, NUL-terminated string.
    let config = unsafe { CStr::from_ptr(openblas_get_config()) };
    config.to_string_lossy().trim().to_owned()
}

/// Multiplies `a` (m x k) by `b` (k x n) in parallel over fixed-size blocks of the result.
///
/// The longer side of the result is cut into blocks of [`PRODUCT_BLOCK`], so the cut depends on the shapes alone and
/// the bytes are the same for any thread pool.
///
/// # Panics
/// When the inner dimensions differ.
pub fn matmul<A: LinalgScalar + Send + Sync>(a: ArrayView2<'_, A>, b: ArrayView2<'_, A>) -> Array2<A> {
    single_thread_blas();
    let mut product = Array2::zeros((a.nrows(), b.ncols()));
    if product.is_empty() {
        assert_eq!(a.ncols(), b.nrows(), "inner dimensions agree");
        return product;
    }
    if b.ncols() >= a.nrows() {
        product.axis_chunks_iter_mut(Axis(1), PRODUCT_BLOCK).into_par_iter().enumerate().for_each(
            |(block, mut out)| {
                let start = block * PRODUCT_BLOCK;
                let columns = b.slice(ndarray::s![.., start..start + out.ncols()]);
                general_mat_mul(A::one(), &a, &columns, A::zero(), &mut out);
            },
        );
    } else {
        product.axis_chunks_iter_mut(Axis(0), PRODUCT_BLOCK).into_par_iter().enumerate().for_each(
            |(block, mut out)| {
                let start = block * PRODUCT_BLOCK;
                let rows = a.slice(ndarray::s![start..start + out.nrows(), ..]);
                general_mat_mul(A::one(), &rows, &b, A::zero(), &mut out);
            },
        );
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: usize, columns: usize, step: f32) -> Array2<f32> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * columns + j) as f32 * step).sin())
    }

    #[test]
    fn version_names_the_library() {
        assert!(openblas_version().contains("OpenBLAS"), "{}", openblas_version());
    }

    #[test]
    fn product_equals_the_definition() {
        for (m, k, n) in [(3, 5, 700), (700, 5, 3), (1, 1, 1), (0, 4, 3), (4, 0, 3)] {
            let (a, b) = (matrix(m, k, 0.37), matrix(k, n, 0.71));
            let product = matmul(a.view(), b.view());
            for ((i, j), &value) in product.indexed_iter() {
                let expected: f32 = (0..k).map(|l| a[[i, l]] * b[[l, j]]).sum();
                assert!((value - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn product_bytes_do_not_depend_on_the_thread_count() {
        let (a, b) = (matrix(311, 97, 0.37), matrix(97, 1501, 0.71));
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| matmul(a.view(), b.view()))
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(5));
    }
}
