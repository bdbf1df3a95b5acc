//! Time courses of the same spectrum and of random phases.
//!
//! Owns one kind of surrogate series: it keeps the autocorrelation of every column and, if asked, the cross-correlation
//! between columns, and forgets when anything happened. What it is a control for is the caller's. Rearrangements of
//! whole blocks are in [`super::null`].

use std::f64::consts::TAU;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis, s};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MathError;
use super::error::{require_finite, require_shape};
use super::folds::runs_in_order;

/// Columns of one task.
const COLUMN_BLOCK: usize = 32;

/// Whether columns share their random phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phases {
    /// The same phases are added to all columns, which keeps the cross-spectra between them.
    Common,
    /// Each column has phases of its own, which leaves no more than chance between them.
    Independent,
}

/// Draws surrogates of `series` (n_samples x n_columns) that keep each column's Fourier amplitudes within every run.
///
/// A random phase is added to each frequency of a run of n samples, opposite ones to a frequency and its negative so that
/// the surrogate is real (Theiler et al. 1992, Physica D 58:77); the mean (frequency 0) stays, and the highest frequency
/// of an even n, which must stay real, keeps or changes its sign at random. With [`Phases::Common`] the same phases are
/// added to all columns, so that differences of phase between them stay and with them every cross-spectrum (Prichard and
/// Theiler 1994, Phys Rev Lett 73:951). A run of one sample is unchanged. `run_of_sample` gives the run of each sample.
///
/// Transforms are f64; the surrogate is rounded to f32. Draws of column `j` are those of the seed, of `j` and of the runs,
/// whatever the other columns hold.
///
/// Caveats: what is kept is the circular autocorrelation of a run, to whose estimate the jump from its end to its start
/// contributes; values become more normal than those of the series, as the surrogate is a sum of many frequencies.
///
/// # Errors
/// [`MathError::Shape`] when `run_of_sample` has not one entry for each sample, [`MathError::NotFinite`],
/// [`MathError::Parameter`] for a run whose samples do not follow one another.
pub fn phase_randomised(
    series: ArrayView2<'_, f32>,
    run_of_sample: &[usize],
    phases: Phases,
    seed: u64,
) -> Result<Array2<f32>, MathError> {
    require_shape("run_of_sample", run_of_sample.len(), series.nrows(), "one run for each sample")?;
    require_finite("series", series)?;
    let mut planner = FftPlanner::new();
    let runs: Vec<Run> =
        runs_in_order(run_of_sample)?.into_iter().map(|samples| Run::new(samples, &mut planner)).collect();
    let common = (phases == Phases::Common).then(|| draw(&runs, seed, 0));
    let mut surrogate = series.to_owned();
    surrogate.axis_chunks_iter_mut(Axis(1), COLUMN_BLOCK).into_par_iter().enumerate().for_each(
        |(block, mut columns)| {
            let mut work = Vec::new();
            for (index, mut column) in columns.columns_mut().into_iter().enumerate() {
                let own;
                let turns = match &common {
                    Some(turns) => turns,
                    None => {
                        own = draw(&runs, seed, (block * COLUMN_BLOCK + index) as u64);
                        &own
                    }
                };
                for (run, turns) in runs.iter().zip(turns) {
                    run.turn(column.slice_mut(s![run.samples.clone()]), turns, &mut work);
                }
            }
        },
    );
    Ok(surrogate)
}

/// One factor of unit magnitude for each frequency from 1 to half the length, of every run.
fn draw(runs: &[Run], seed: u64, stream: u64) -> Vec<Vec<Complex<f64>>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let of_run = |run: &Run| {
        let n = run.samples.len();
        (1..=n / 2)
            .map(|frequency| {
                let phase: f64 = rng.random();
                if 2 * frequency == n {
                    Complex::new(if phase < 0.5 { 1.0 } else { -1.0 }, 0.0)
                } else {
                    Complex::cis(TAU * phase)
                }
            })
            .collect()
    };
    runs.iter().map(of_run).collect()
}

/// One run and its transforms.
struct Run {
    samples: Range<usize>,
    forward: Arc<dyn Fft<f64>>,
    inverse: Arc<dyn Fft<f64>>,
}

impl Run {
    fn new(samples: Range<usize>, planner: &mut FftPlanner<f64>) -> Self {
        let n = samples.len();
        Self { samples, forward: planner.plan_fft_forward(n), inverse: planner.plan_fft_inverse(n) }
    }

    /// Multiplies frequency `f` of a series by `turns[f - 1]`, and its negative by the conjugate.
    fn turn(&self, mut series: ArrayViewMut1<'_, f32>, turns: &[Complex<f64>], spectrum: &mut Vec<Complex<f64>>) {
        let n = self.samples.len();
        spectrum.clear();
        spectrum.extend(series.iter().map(|&v| Complex::new(f64::from(v), 0.0)));
        self.forward.process(spectrum);
        for (f, turn) in (1..).zip(turns) {
            spectrum[f] *= turn;
            if 2 * f != n {
                spectrum[n - f] *= turn.conj();
            }
        }
        self.inverse.process(spectrum);
        for (value, z) in series.iter_mut().zip(spectrum) {
            *value = (z.re / n as f64) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use ndarray::{Array, array};
    use proptest::prelude::*;

    fn series(n_samples: usize, n_columns: usize, seed: u64) -> Array2<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        Array::from_shape_simple_fn((n_samples, n_columns), || rng.random_range(-1.0f32..3.0))
    }

    /// Amplitudes by the definition of the Fourier transform.
    fn amplitudes(values: &[f32]) -> Vec<f64> {
        let n = values.len();
        let of = |f: usize| {
            let term = |(t, &v): (usize, &f32)| Complex::cis(-TAU * ((f * t) % n) as f64 / n as f64) * f64::from(v);
            values.iter().enumerate().map(term).sum::<Complex<f64>>().norm()
        };
        (0..n).map(of).collect()
    }

    /// Circular cross-covariance of two columns at every lag.
    fn covariances(a: &[f32], b: &[f32]) -> Vec<f64> {
        let n = a.len();
        (0..n).map(|lag| (0..n).map(|t| f64::from(a[t]) * f64::from(b[(t + lag) % n])).sum()).collect()
    }

    fn distance(a: &[f64], b: &[f64]) -> f64 {
        let scale = b.iter().fold(0.0f64, |m, v| m.max(v.abs())).max(1e-30);
        a.iter().zip(b).fold(0.0f64, |m, (a, b)| m.max((a - b).abs())) / scale
    }

    #[test]
    fn known_phases_give_the_shifted_series() {
        // A delay of one sample adds a phase that grows with frequency.
        let x = array![1.0f32, 4.0, 2.0, -3.0, 0.5, 2.5, 7.0];
        for n in [6usize, 7] {
            let mut moved = x.slice(s![..n]).to_owned();
            let turns: Vec<_> = (1..=n / 2).map(|f| Complex::cis(-TAU * f as f64 / n as f64)).collect();
            Run::new(0..n, &mut FftPlanner::new()).turn(moved.view_mut(), &turns, &mut Vec::new());
            for t in 0..n {
                assert!((moved[(t + 1) % n] - x[t]).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn short_runs() {
        let x = array![[5.0f32], [1.0], [3.0]];
        let found: Vec<_> =
            (0..20).map(|seed| phase_randomised(x.view(), &[4, 2, 2], Phases::Independent, seed).unwrap()).collect();
        assert!(found.iter().all(|y| y[[0, 0]] == 5.0));
        let pairs: HashSet<[u32; 2]> = found.iter().map(|y| [y[[1, 0]].to_bits(), y[[2, 0]].to_bits()]).collect();
        assert_eq!(pairs, HashSet::from([[1.0f32.to_bits(), 3.0f32.to_bits()], [3.0f32.to_bits(), 1.0f32.to_bits()]]));
        let empty = phase_randomised(Array2::zeros((0, 3)).view(), &[], Phases::Common, 1).unwrap();
        assert_eq!(empty.dim(), (0, 3));
    }

    #[test]
    fn independent_phases_leave_no_correlation() {
        let column = series(400, 1, 1);
        let twins = column.broadcast((400, 300)).unwrap().to_owned();
        let surrogate = phase_randomised(twins.view(), &[0; 400], Phases::Independent, 2).unwrap();
        let r = crate::math::scores::pearson_columns(surrogate.view(), twins.view()).unwrap();
        // r is the sum over frequencies of their share of the power times the cosine of a random phase.
        let powers: Vec<f64> = amplitudes(&column.column(0).to_vec())[1..].iter().map(|a| a * a).collect();
        let total: f64 = powers.iter().sum();
        let share =
            |f: usize| if f == 200 { (powers[f - 1] / total).powi(2) } else { 2.0 * (powers[f - 1] / total).powi(2) };
        let variance: f64 = (1..=200).map(share).sum();
        let (mean, power) = r.iter().flatten().fold((0.0, 0.0), |(m, p), r| (m + r / 300.0, p + r * r / 300.0));
        assert!(mean.abs() < 5.0 * (variance / 300.0).sqrt(), "{mean}");
        assert!((power / variance - 1.0).abs() < 5.0 * (2.0f64 / 300.0).sqrt(), "{power} {variance}");
    }

    #[test]
    fn bytes_depend_on_the_seed_alone_and_columns_on_their_place() {
        let x = series(57, 150, 3);
        let runs: Vec<usize> = (0..57).map(|t| t / 20).collect();
        for phases in [Phases::Common, Phases::Independent] {
            let with = |n_threads: usize, seed: u64| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| phase_randomised(x.view(), &runs, phases, seed).unwrap())
            };
            let found = with(1, 1);
            assert_eq!(found, with(2, 1));
            assert_eq!(found, with(5, 1));
            assert_ne!(found, with(1, 2));
            let some = phase_randomised(x.slice(s![.., ..40]), &runs, phases, 1).unwrap();
            assert_eq!(some, found.slice(s![.., ..40]));
        }
    }

    #[test]
    fn bad_input_is_named() {
        let mut x = series(4, 2, 4);
        let run = |x: &Array2<f32>, runs: &[usize]| phase_randomised(x.view(), runs, Phases::Common, 1).unwrap_err();
        assert!(matches!(run(&x, &[0; 3]), MathError::Shape { found: 3, expected: 4, .. }));
        let error = run(&x, &[0, 1, 0, 0]);
        let expected = "`run_of_sample` is 0, expected the samples of each run side by side";
        assert_eq!(error.to_string(), expected);
        x[[2, 1]] = f32::INFINITY;
        assert!(matches!(run(&x, &[0; 4]), MathError::NotFinite { what: "series", row: 2, column: 1, .. }));
    }

    proptest! {
        #[test]
        fn spectra_are_kept(n_samples in 1usize..70, n_runs in 1usize..4, seed in 0u64..1000, common in any::<bool>()) {
            let x = series(n_samples, 3, seed);
            let run_of_sample: Vec<usize> = (0..n_samples).map(|t| t * n_runs / n_samples).collect();
            let phases = if common { Phases::Common } else { Phases::Independent };
            let y = phase_randomised(x.view(), &run_of_sample, phases, seed).unwrap();
            for samples in runs_in_order(&run_of_sample).unwrap() {
                let of = |z: &Array2<f32>, j: usize| z.slice(s![samples.clone(), j]).to_vec();
                for j in 0..3 {
                    prop_assert!(distance(&amplitudes(&of(&y, j)), &amplitudes(&of(&x, j))) < 1e-6);
                    prop_assert!(distance(&covariances(&of(&y, j), &of(&y, j)), &covariances(&of(&x, j), &of(&x, j))) < 1e-6);
                    if common {
                        let (a, b) = (of(&x, j), of(&x, (j + 1) % 3));
                        let power = distance(&covariances(&of(&y, j), &of(&y, (j + 1) % 3)), &covariances(&a, &b));
                        prop_assert!(power < 1e-5, "{}", power);
                    }
                }
            }
        }
    }
}
