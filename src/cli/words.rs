//! Numbers as people read and write them: durations, sizes, counts.

/// Seconds for people: `0.3 s`, `12 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    // A cast from a float saturates, so there is no end of time.
    let whole = seconds.round() as u64;
    let two = |large: u64, large_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        small => format!("{large} {large_name} {small} {small_name}"),
    };
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => two(whole / 60, "min", whole % 60, "s"),
        3600..86_400 => two(whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3600, "h"),
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// `1 task`, `2 tasks`.
pub(super) fn counted(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// `is` for one, `are` for any other number.
pub(super) fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

/// An argument that is a number from 0 on.
pub(super) fn from_zero(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| "expected a number from 0 on".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let told = [0.0, 0.04, 9.94, 9.97, 59.4, 59.6, 60.0, 250.2, 3599.9, 7500.0, 273_600.0, f64::NAN].map(duration);
        let expected = [
            "0.0 s",
            "0.0 s",
            "9.9 s",
            "10 s",
            "59 s",
            "1 min",
            "1 min",
            "4 min 10 s",
            "1 h",
            "2 h 5 min",
            "3 d 4 h",
            "0.0 s",
        ];
        assert_eq!(told, expected);
    }
}
