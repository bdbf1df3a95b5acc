//! From stimuli to one value per repetition time, and on to the expected haemodynamic response.
//!
//! Owns overlap-weighted averaging of stimuli into repetition times ([`sample_to_tr`]); the haemodynamic response ([`Hrf`]) is
//! in `series/hrf.rs`, delayed copies without an assumed response ([`delay_columns`]) in `series/fir.rs`. It does not know how
//! stimuli are named or where a run's values come from.

mod fir;
mod hrf;

use ndarray::{Array2, ArrayView2, Zip};

pub use self::fir::{delay_columns, delays_in_repetition_times};
pub use self::hrf::{HRF_LENGTH_S, Hrf, HrfDerivatives, HrfPart};
use super::MathError;
use super::error::require_finite;

/// Columns that one task convolves.
const COLUMN_BLOCK: usize = 256;

/// What rounding may move a time by, in repetition times; no event is timed as finely.
const ROUNDING: f64 = 1e-9;

/// One presentation of one stimulus within a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Seconds from the start of the run's first volume.
    pub onset_s: f64,
    /// Seconds on screen; 0 for an impulse.
    pub duration_s: f64,
    /// Row of the stimulus in the matrix of unit values.
    pub stimulus: usize,
}

/// Unit values of one run, one row per repetition time.
#[derive(Debug, Clone, PartialEq)]
pub struct TrSeries {
    /// Unit values (n_tr x n_units).
    pub values: Array2<f32>,
    /// Whether a stimulus was present in each repetition time (n_tr); where not, the row is the mean of the presented rows.
    pub presented: Vec<bool>,
    /// Events that lie wholly outside the run and were left out.
    pub n_events_outside: usize,
}

/// Averages stimuli (n_stimuli x n_units) into repetition times (n_tr x n_units).
///
/// Row `n` is the mean of the stimuli whose event overlaps `[n TR, (n + 1) TR)`, weighted by the seconds of overlap. An
/// event of duration 0 counts for a whole repetition time in the one that holds its onset. A repetition time without
/// stimulus is marked in `presented` and holds the mean of the presented rows: neutral for a convolution of deviations
/// from the mean, where a zero would act as a stimulus of its own.
///
/// # Errors
/// [`MathError::Index`] when an event names a row that does not exist, [`MathError::Parameter`] when a time is not finite
/// or negative, [`MathError::NotFinite`] for unit values, [`MathError::Empty`] when no event falls into the run.
pub fn sample_to_tr(
    events: &[Event],
    stimuli: ArrayView2<'_, f32>,
    n_tr: usize,
    repetition_time_s: f64,
) -> Result<TrSeries, MathError> {
    require_duration("repetition_time_s", repetition_time_s)?;
    require_finite("stimuli", stimuli)?;
    let mut shares: Vec<Vec<(usize, f64)>> = vec![Vec::new(); n_tr];
    let mut n_events_outside = 0;
    for event in events {
        let end_s = event.onset_s + event.duration_s;
        if event.stimulus >= stimuli.nrows() {
            return Err(MathError::Index { name: "events", found: event.stimulus, expected: stimuli.nrows() });
        }
        if !event.onset_s.is_finite() {
            return Err(MathError::Parameter {
                name: "onset_s",
                found: event.onset_s,
                expected: "a finite number of seconds",
            });
        }
        if !end_s.is_finite() || event.duration_s < 0.0 {
            return Err(MathError::Parameter {
                name: "duration_s",
                found: event.duration_s,
                expected: "a finite number of seconds from 0",
            });
        }
        if event.duration_s == 0.0 {
            // 13.6 s is the 17th multiple of 0.8 s as they are written, but not as f64 rounds both.
            let at = (event.onset_s / repetition_time_s + ROUNDING).floor();
            match shares.get_mut(at.max(0.0) as usize).filter(|_| at >= 0.0) {
                Some(share) => share.push((event.stimulus, repetition_time_s)),
                None => n_events_outside += 1,
            }
            continue;
        }
        let mut is_inside = false;
        // A cast from f64 saturates, so an event far before or after the run costs nothing.
        let first = (event.onset_s / repetition_time_s).floor().max(0.0) as usize;
        for (n, share) in shares.iter_mut().enumerate().skip(first) {
            let (start_tr_s, end_tr_s) = (n as f64 * repetition_time_s, (n + 1) as f64 * repetition_time_s);
            if start_tr_s > end_s {
                break;
            }
            let weight_s = end_s.min(end_tr_s) - event.onset_s.max(start_tr_s);
            // Rounding of `onset + duration` alone must not mark a repetition time as presented.
            if weight_s > ROUNDING * repetition_time_s {
                share.push((event.stimulus, weight_s));
                is_inside = true;
            }
        }
        n_events_outside += usize::from(!is_inside);
    }

    let presented: Vec<bool> = shares.iter().map(|share| !share.is_empty()).collect();
    let n_presented = presented.iter().filter(|&&p| p).count();
    if n_presented == 0 {
        return Err(MathError::Empty { what: "events within the run" });
    }
    let n_units = stimuli.ncols();
    let mut values = Array2::<f32>::zeros((n_tr, n_units));
    let mut mean = vec![0.0f64; n_units];
    let mut sum = vec![0.0f64; n_units];
    for (mut row, share) in values.outer_iter_mut().zip(&shares).filter(|(_, s)| !s.is_empty()) {
        sum.fill(0.0);
        let total_s: f64 = share.iter().map(|(_, weight_s)| weight_s).sum();
        for &(stimulus, weight_s) in share {
            let weight = weight_s / total_s;
            sum.iter_mut().zip(stimuli.row(stimulus)).for_each(|(s, &v)| *s += weight * f64::from(v));
        }
        row.iter_mut().zip(&sum).for_each(|(out, &s)| *out = s as f32);
        mean.iter_mut().zip(&sum).for_each(|(m, s)| *m += s / n_presented as f64);
    }
    for (mut row, _) in values.outer_iter_mut().zip(&presented).filter(|(_, p)| !**p) {
        row.iter_mut().zip(&mean).for_each(|(out, &m)| *out = m as f32);
    }
    Ok(TrSeries { values, presented, n_events_outside })
}

/// Mean of each column, summed in f64 in row order.
pub(super) fn column_means(matrix: ArrayView2<'_, f32>) -> Vec<f64> {
    let mut mean = vec![0.0; matrix.ncols()];
    for row in matrix.outer_iter() {
        Zip::from(&mut mean[..]).and(&row).for_each(|m, &v| *m += f64::from(v));
    }
    let n = matrix.nrows().max(1) as f64;
    mean.iter_mut().for_each(|m| *m /= n);
    mean
}

fn require_duration(name: &'static str, found: f64) -> Result<(), MathError> {
    if found.is_finite() && found > 0.0 {
        Ok(())
    } else {
        Err(MathError::Parameter { name, found, expected: "a positive number of seconds" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn event(onset_s: f64, duration_s: f64, stimulus: usize) -> Event {
        Event { onset_s, duration_s, stimulus }
    }

    #[test]
    fn overlap_weights_the_mean_and_rest_is_neutral() {
        let stimuli = array![[1.0f32, 10.0], [3.0, 30.0]];
        // TR 0: half of stimulus 0; TR 1: 1.5 s of 0 and 0.5 s of 1; TR 2: 1; TR 3: rest.
        let events = [event(1.0, 2.5, 0), event(3.5, 2.5, 1)];
        let series = sample_to_tr(&events, stimuli.view(), 4, 2.0).unwrap();
        assert_eq!(series.presented, [true, true, true, false]);
        assert_eq!(series.values.column(0).to_vec(), [1.0, 1.5, 3.0, 5.5 / 3.0]);
        assert_eq!(series.n_events_outside, 0);
    }

    /// Frames and labels at a fixed rate are events that follow each other.
    #[test]
    fn a_series_at_a_steady_rate_is_averaged_within_each_repetition_time() {
        let at_rate = |rate_hz: f64, n: usize, n_tr, repetition_time_s| {
            let events: Vec<Event> = (0..n).map(|i| event(i as f64 / rate_hz, 1.0 / rate_hz, i)).collect();
            let values = Array2::from_shape_fn((n, 1), |(i, _)| i as f32);
            sample_to_tr(&events, values.view(), n_tr, repetition_time_s).unwrap().values.column(0).to_vec()
        };
        assert_eq!(at_rate(1.0, 6, 3, 2.0), [0.5, 2.5, 4.5]);
        for (n, mean) in at_rate(24.0, 72, 3, 1.0).into_iter().enumerate() {
            assert!((mean - (24 * n) as f32 - 11.5).abs() < 1e-5);
        }
        // 0.75 s of label 0; then a third of 0 and two thirds of 1; 0.5 s of 1 and 0.25 s of 2.
        for (found, expected) in at_rate(1.0, 3, 3, 0.75).into_iter().zip([0.0, 2.0 / 3.0, 4.0 / 3.0]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn impulses_and_events_outside_the_run() {
        let stimuli = array![[1.0f32], [5.0]];
        let events = [event(2.0, 0.0, 1), event(-9.0, 3.0, 0), event(1e300, 1.0, 0), event(-1.0, 1.5, 0)];
        let series = sample_to_tr(&events, stimuli.view(), 3, 1.0).unwrap();
        assert_eq!(series.presented, [true, false, true]);
        assert_eq!(series.values.column(0).to_vec(), [1.0, 3.0, 5.0]);
        assert_eq!(series.n_events_outside, 2);
    }

    /// Neither 13.6 / 0.8 nor 2.4 / 0.8 is whole in f64: the one has a product above it, the other a quotient below it.
    #[test]
    fn an_impulse_at_a_multiple_of_the_repetition_time_belongs_to_the_one_that_begins_there() {
        for (onset_s, repetition_time_s, volume) in [(13.6, 0.8, 17), (2.4, 0.8, 3), (2.1, 0.7, 3), (0.0, 0.72, 0)] {
            let series =
                sample_to_tr(&[event(onset_s, 0.0, 0)], array![[1.0f32]].view(), 20, repetition_time_s).unwrap();
            let expected: Vec<bool> = (0..20).map(|n| n == volume).collect();
            assert_eq!((series.presented, series.n_events_outside), (expected, 0), "{onset_s} s");
        }
        for onset_s in [-0.1, 14.4] {
            assert!(sample_to_tr(&[event(onset_s, 0.0, 0)], array![[1.0f32]].view(), 18, 0.8).is_err(), "{onset_s} s");
        }
    }

    #[test]
    fn hostile_events_are_refused() {
        let stimuli = array![[1.0f32]];
        let run = |events: &[Event]| sample_to_tr(events, stimuli.view(), 3, 1.0).unwrap_err();
        assert_eq!(run(&[event(0.0, 1.0, 7)]).to_string(), "`events` holds 7, expected an index below 1");
        assert!(matches!(run(&[event(f64::NAN, 1.0, 0)]), MathError::Parameter { name: "onset_s", .. }));
        assert!(matches!(run(&[event(0.0, -1.0, 0)]), MathError::Parameter { name: "duration_s", .. }));
        assert_eq!(run(&[]), MathError::Empty { what: "events within the run" });
    }
}
