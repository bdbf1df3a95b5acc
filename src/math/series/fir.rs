//! Delayed copies of unit series: a finite impulse response, whose shape the regression finds by itself.
//!
//! Owns the shift of columns within runs and the step from seconds to repetition times. An assumed response is in
//! `hrf.rs`.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::{column_means, require_duration};
use crate::math::MathError;
use crate::math::error::{require_finite, require_shape};
use crate::math::folds::runs_in_order;

/// Turns delays in seconds into whole repetition times, each to the nearest one.
///
/// The returned delays times the repetition time are the delays in effect; they differ from those asked for where the
/// repetition time does not divide them. Their order is kept.
///
/// # Errors
/// [`MathError::Empty`] without delays; [`MathError::Parameter`] for one that is negative or not finite (a response does
/// not precede its stimulus), or that falls on the same repetition time as one before it.
pub fn delays_in_repetition_times(delays_s: &[f64], repetition_time_s: f64) -> Result<Vec<usize>, MathError> {
    require_duration("repetition_time_s", repetition_time_s)?;
    let mut delays = Vec::with_capacity(delays_s.len());
    for &found in delays_s {
        let refuse = |expected| Err(MathError::Parameter { name: "delays_s", found, expected });
        let delay = (found / repetition_time_s).round();
        if found < 0.0 || !(0.0..1e6).contains(&delay) {
            return refuse("seconds from 0 to less than a million repetition times");
        }
        if delays.contains(&(delay as usize)) {
            return refuse("delays that fall on different repetition times");
        }
        delays.push(delay as usize);
    }
    if delays.is_empty() { Err(MathError::Empty { what: "delays_s" }) } else { Ok(delays) }
}

/// Shifts every column of `series` (n_samples x n_units) later by each of `delays`, run by run.
///
/// Returns n_samples x (n_delays n_units), all units at the first delay, then all at the second, and so on. Row `t` at
/// delay `d` holds the value `d` samples earlier *in the same run*; before the run's first sample a column is taken to be
/// at its mean over the run, as [`Hrf::convolve`](super::Hrf::convolve) does. (With zeros there, as is common, a column
/// whose mean is not 0 would begin each run with a step; on z-scored runs the two agree.) So
/// `sum_k w_k delayed_k` equals a convolution with the weights `w` as long as they sum to 1.
///
/// `run_of_sample` names the run of each row (n_samples); a stretch that was cut out makes two runs of what was one.
///
/// # Errors
/// [`MathError::Empty`] without delays; [`MathError::TooMany`] for a delay that is not shorter than the shortest run;
/// [`MathError::Parameter`] for a delay that is listed twice or a run whose rows are not adjacent; [`MathError::Shape`]
/// when the lengths differ; [`MathError::NotFinite`].
pub fn delay_columns(
    series: ArrayView2<'_, f32>,
    run_of_sample: &[usize],
    delays: &[usize],
) -> Result<Array2<f32>, MathError> {
    require_shape("run_of_sample", run_of_sample.len(), series.nrows(), "one run for each row")?;
    require_finite("series", series)?;
    let runs = runs_in_order(run_of_sample)?;
    let shortest = runs.iter().map(ExactSizeIterator::len).min().ok_or(MathError::Empty { what: "samples" })?;
    if delays.is_empty() {
        return Err(MathError::Empty { what: "delays" });
    }
    for (index, &delay) in delays.iter().enumerate() {
        if delay >= shortest {
            return Err(MathError::TooMany {
                name: "delay in repetition times",
                found: delay,
                expected: shortest - 1,
                hint: "a run must be longer than every delay",
            });
        }
        if delays[..index].contains(&delay) {
            return Err(MathError::Parameter { name: "delays", found: delay as f64, expected: "each delay once" });
        }
    }
    let n_units = series.ncols();
    let mut delayed = Array2::zeros((series.nrows(), delays.len() * n_units));
    for rows in runs {
        let run = series.slice(s![rows.clone(), ..]);
        let mean: Vec<f32> = column_means(run).into_iter().map(|m| m as f32).collect();
        for (&delay, mut out) in delays.iter().zip(delayed.axis_chunks_iter_mut(Axis(1), n_units.max(1))) {
            let mut out = out.slice_mut(s![rows.clone(), ..]);
            for mut row in out.slice_mut(s![..delay, ..]).outer_iter_mut() {
                row.iter_mut().zip(&mean).for_each(|(v, &m)| *v = m);
            }
            out.slice_mut(s![delay.., ..]).assign(&run.slice(s![..rows.len() - delay, ..]));
        }
    }
    Ok(delayed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::series::Hrf;
    use ndarray::array;
    use proptest::prelude::*;

    #[test]
    fn columns_shift_within_their_run_and_begin_at_its_mean() {
        let series = array![[1.0f32, 10.0], [2.0, 20.0], [6.0, 60.0], [5.0, -1.0], [7.0, -3.0]];
        let found = delay_columns(series.view(), &[4, 4, 4, 1, 1], &[1, 0]).unwrap();
        let expected = array![
            [3.0f32, 30.0, 1.0, 10.0],
            [1.0, 10.0, 2.0, 20.0],
            [2.0, 20.0, 6.0, 60.0],
            [6.0, -2.0, 5.0, -1.0],
            [5.0, -1.0, 7.0, -3.0]
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn weights_of_the_response_rebuild_its_convolution() {
        let series = Array2::from_shape_fn((90, 3), |(t, j)| ((t * 7 + j * 5) as f32 * 0.37).sin() + 2.0);
        let runs: Vec<usize> = (0..90).map(|t| t / 45).collect();
        let kernel = Hrf::Glover.at_repetition_times(2.0).unwrap();
        let delays: Vec<usize> = (0..kernel.len()).collect();
        let delayed = delay_columns(series.view(), &runs, &delays).unwrap();
        for run in 0..2 {
            let rows = s![run * 45..(run + 1) * 45, ..];
            let convolved = Hrf::Glover.convolve(series.slice(rows), 2.0).unwrap();
            for ((t, j), value) in convolved.indexed_iter() {
                let sum: f64 =
                    kernel.iter().enumerate().map(|(k, w)| w * f64::from(delayed[[run * 45 + t, k * 3 + j]])).sum();
                assert!((sum - f64::from(*value)).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn hostile_delays_are_refused() {
        let series = Array2::<f32>::zeros((5, 1));
        let delay =
            |runs: &[usize], delays: &[usize]| delay_columns(series.view(), runs, delays).unwrap_err().to_string();
        assert_eq!(
            delay(&[0, 0, 0, 1, 1], &[1, 2]),
            "`delay in repetition times` is 2, expected 1 at most: a run must be longer than every delay"
        );
        assert_eq!(delay(&[0; 5], &[1, 1]), "`delays` is 1, expected each delay once");
        assert_eq!(delay(&[0; 5], &[]), "`delays` is empty, expected at least one entry");
        assert_eq!(
            delay(&[0, 1, 0, 0, 1], &[1]),
            "`run_of_sample` is 0, expected the samples of each run side by side"
        );
        assert!(delay(&[0; 4], &[1]).contains("one run for each row"));
        let nan = Array2::from_elem((5, 1), f32::NAN);
        assert!(matches!(delay_columns(nan.view(), &[0; 5], &[1]), Err(MathError::NotFinite { .. })));
        let none = Array2::<f32>::zeros((0, 1));
        assert_eq!(delay_columns(none.view(), &[], &[0]), Err(MathError::Empty { what: "samples" }));
    }

    #[test]
    fn seconds_round_to_distinct_repetition_times() {
        assert_eq!(delays_in_repetition_times(&[2.0, 4.0, 6.0], 2.0).unwrap(), [1, 2, 3]);
        assert_eq!(delays_in_repetition_times(&[8.0, 2.0, 0.0], 0.72).unwrap(), [11, 3, 0]);
        let refusal = |delays: &[f64]| delays_in_repetition_times(delays, 2.0).unwrap_err().to_string();
        assert_eq!(
            refusal(&[-2.0]),
            "`delays_s` is -2, expected seconds from 0 to less than a million repetition times"
        );
        assert_eq!(refusal(&[4.0, 4.5]), "`delays_s` is 4.5, expected delays that fall on different repetition times");
        assert!(refusal(&[f64::NAN]).contains("NaN"));
        assert!(refusal(&[f64::INFINITY]).contains("inf"));
        assert!(refusal(&[]).contains("empty"));
        assert!(delays_in_repetition_times(&[1.0], 0.0).is_err());
    }

    proptest! {
        #[test]
        fn no_value_crosses_into_another_run(lengths in prop::collection::vec(3usize..8, 1..4), delay in 0usize..3) {
            let runs: Vec<usize> = lengths.iter().enumerate().flat_map(|(r, &n)| vec![r; n]).collect();
            let series = Array2::from_shape_fn((runs.len(), 1), |(t, _)| runs[t] as f32);
            prop_assert_eq!(delay_columns(series.view(), &runs, &[delay]).unwrap(), series);
        }
    }
}
