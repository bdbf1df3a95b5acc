//! Names as messages list them. Knows nothing of what is named.

/// Names in backticks, the first `n_shown` of them and how many more there are; `none` without any.
pub(crate) fn listed(names: &[String], n_shown: usize) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let mut text = names.iter().take(n_shown).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if names.len() > n_shown {
        text.push_str(&format!(" and {} more", names.len() - n_shown));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted_and_none_is_said() {
        let names = |n: usize| (0..n).map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(listed(&names(0), 2), "none");
        assert_eq!(listed(&names(2), 2), "`0`, `1`");
        assert_eq!(listed(&names(5), 2), "`0`, `1` and 3 more");
    }
}
