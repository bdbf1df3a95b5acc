//! Numbers to words.
//!
//! This file owns how the page writes counts, scores, probabilities and times. It knows nothing of HTML: its output
//! is plain text. Signs are real minus signs, thousands are parted by narrow no-break spaces.

/// What stands in a table where there is no number; the reason goes into the cell's title.
pub(super) const ABSENT: &str = "–";

/// A count with its thousands parted: `108 441`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A count and its noun in the right number.
pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A coordinate of a drawing, to a tenth of a pixel, so that the bytes are few and the same everywhere.
pub(super) fn px(coordinate: f64) -> String {
    let text = format!("{coordinate:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A parameter as it was written: `0.05`.
pub(super) fn plain(number: f64) -> String {
    if number.is_finite() { number.to_string().replace('-', "−") } else { ABSENT.to_owned() }
}

/// A number with a fixed number of decimals and a real minus sign; a rounded zero has no sign.
pub(super) fn fixed(number: f64, decimals: usize) -> String {
    if !number.is_finite() {
        return ABSENT.to_owned();
    }
    let text = format!("{number:.decimals$}");
    match text.strip_prefix('-') {
        Some(digits) if digits.chars().all(|c| matches!(c, '0' | '.')) => digits.to_owned(),
        Some(digits) => format!("−{digits}"),
        None => text,
    }
}

/// A score or correlation: three decimals, or three digits where that would hide a small or large number.
pub(super) fn score(number: f64) -> String {
    let magnitude = number.abs();
    if number.is_finite() && magnitude > 0.0 && !(0.001..10_000.0).contains(&magnitude) {
        let text = format!("{number:.2e}");
        return text.replace('-', "−");
    }
    fixed(number, 3)
}

/// A share as per cent.
pub(super) fn percent(share: f64) -> String {
    format!("{}\u{202f}%", fixed(100.0 * share, 1))
}

/// A probability: never printed as zero.
pub(super) fn probability(p: f64) -> String {
    if p < 0.0001 { "< 0.0001".to_owned() } else { fixed(p, 4) }
}

/// A running time in the unit that suits it.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => ABSENT.to_owned(),
        s if s < 1.0 => format!("{:.0} ms", 1000.0 * s),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} min {:02} s", (s / 60.0) as u64, (s % 60.0) as u64),
        s => format!("{} h {:02} min", (s / 3600.0) as u64, (s % 3600.0 / 60.0) as u64),
    }
}

/// Words joined as a sentence does: `a, b and c`.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

/// At most five round numbers from `low` to `high`, both ends included when they are round themselves.
pub(super) fn ticks(low: f64, high: f64) -> Vec<f64> {
    let span = high - low;
    if !(span.is_finite() && span > 0.0) {
        return vec![low];
    }
    let rough = span / 5.0;
    let magnitude = 10f64.powf(rough.log10().floor());
    // Room for a sixth part: rounding may make the span a hair longer than five steps.
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|s| s * magnitude).find(|s| span / s < 5.001);
    let step = step.unwrap_or(span);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|i| i as f64 * step).collect()
}

/// The decimals that a tick step needs.
pub(super) fn tick_label(tick: f64, ticks: &[f64]) -> String {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(1.0);
    let decimals =
        (0..6).find(|&d| (step * 10f64.powi(d)).fract().abs().min(1.0 - (step * 10f64.powi(d)).fract()) < 1e-6);
    fixed(tick, decimals.unwrap_or(6) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_part_their_thousands() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(108_441), "108\u{202f}441");
        assert_eq!(count(1_000_000), "1\u{202f}000\u{202f}000");
        assert_eq!(counted(1, "run", "runs"), "1 run");
    }

    #[test]
    fn signs_and_small_numbers() {
        assert_eq!(fixed(-0.0001, 3), "0.000");
        assert_eq!(fixed(-0.25, 2), "−0.25");
        assert_eq!(score(0.000_12), "1.20e−4");
        assert_eq!(score(0.0), "0.000");
        assert_eq!(probability(0.0), "< 0.0001");
        assert_eq!(percent(0.125), "12.5\u{202f}%");
    }

    #[test]
    fn times_take_their_unit() {
        assert_eq!(duration(0.0123), "12 ms");
        assert_eq!(duration(59.94), "59.9 s");
        assert_eq!(duration(61.0), "1 min 01 s");
        assert_eq!(duration(7260.0), "2 h 01 min");
        assert_eq!(duration(f64::NAN), ABSENT);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(0.0, 0.25).len(), 6);
        assert_eq!(ticks(-1.0, 1.0), [-1.0, -0.5, 0.0, 0.5, 1.0]);
        for (low, high) in [(0.0, 0.3), (-0.8, 0.8), (0.0, 3655.0), (3.0, 3.1), (-1e-6, 1e-6)] {
            let ticks = ticks(low, high);
            assert!((2..=6).contains(&ticks.len()), "{low} {high}: {ticks:?}");
            assert!(ticks.iter().all(|&t| t >= low - 1e-9 * (high - low) && t <= high + 1e-9 * (high - low)));
        }
        assert_eq!(ticks(1.0, 1.0), [1.0]);
        assert_eq!(tick_label(0.05, &[0.0, 0.05]), "0.05");
        assert_eq!(tick_label(-0.5, &[-0.5, 0.0]), "−0.5");
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed(["a"]), "a");
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
        assert_eq!(listed([]), "");
    }
}
