//! Columns chosen from a confounds table.
//!
//! Owns the patterns that name columns and the values at the kept samples; ready-made groups of columns are named in
//! [`super::nuisance`]. A derivative is `n/a` in its first row because there is nothing to take a difference from; as
//! nilearn's `load_confounds` does, it takes the value of the second row, so that the first sample brings no artificial
//! step. An `n/a` in any other kept row is an error: nothing honest can stand in for it.

use super::settings::Preparation;
use super::{PrepareError, nuisance};
use crate::format::tsv::Table;

/// The columns to regress out, in the order of the table, each at the kept samples.
///
/// # Errors
/// If a pattern names no column, a group of columns is not complete, or a field at a kept sample is no number.
pub fn select(
    table: &Table,
    preparation: &Preparation,
    kept: &[usize],
) -> Result<Vec<(String, Vec<f64>)>, PrepareError> {
    let patterns = &preparation.confounds;
    if let Some(pattern) = patterns.iter().find(|pattern| !table.columns().iter().any(|column| names(pattern, column)))
    {
        return Err(PrepareError::NoSuchConfound {
            pattern: pattern.clone(),
            path: table.path().to_owned(),
            available: table.columns().to_vec(),
        });
    }
    let grouped = nuisance::columns(table, &preparation.nuisance)?;
    let is_chosen = |column: &&String| grouped.contains(*column) || patterns.iter().any(|p| names(p, column));
    let chosen = table.columns().iter().filter(is_chosen);
    chosen.map(|column| Ok((column.clone(), values(table, column, kept)?))).collect()
}

fn values(table: &Table, column: &str, kept: &[usize]) -> Result<Vec<f64>, PrepareError> {
    let fields = table.numbers(column)?;
    let value = |&volume: &usize| {
        let stand_in = if volume == 0 { fields.get(1).copied().flatten() } else { None };
        fields[volume].or(stand_in).ok_or_else(|| PrepareError::MissingConfound {
            path: table.path().to_owned(),
            line: table.line(volume),
            column: column.to_owned(),
        })
    };
    kept.iter().map(value).collect()
}

/// Whether `text` is `pattern`, in which every `*` stands for any text, also none.
pub fn names(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().expect("splitting gives at least one part");
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(position) => rest = &rest[position + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn table() -> Table {
        let text = "trans_x\ttrans_x_derivative1\trot_x\tglobal_signal\tcsf\n\
                    0.5\tn/a\t1\t7\t1\n0.7\t0.2\t2\t8\tn/a\n0.8\t0.1\t3\t9\t3\n";
        Table::parse(Path::new("confounds.tsv"), text.as_bytes()).unwrap()
    }

    fn chosen(texts: &[&str], kept: &[usize]) -> Result<Vec<(String, Vec<f64>)>, PrepareError> {
        let confounds = texts.iter().map(|text| (*text).to_owned()).collect();
        select(&table(), &Preparation { confounds, ..Preparation::default() }, kept)
    }

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text, expected) in [
            ("rot_*", "rot_x", true),
            ("rot_*", "trans_x", false),
            ("*", "csf", true),
            ("*_derivative1", "trans_x_derivative1", true),
            ("t*x*1", "trans_x_derivative1", true),
            ("aa*aa", "aaa", false),
            ("csf", "csf_derivative1", false),
        ] {
            assert_eq!(names(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn first_row_of_a_derivative_takes_the_second_value() {
        let chosen = chosen(&["trans_*"], &[0, 1, 2]).unwrap();
        assert_eq!(chosen[0], ("trans_x".to_owned(), vec![0.5, 0.7, 0.8]));
        assert_eq!(chosen[1], ("trans_x_derivative1".to_owned(), vec![0.2, 0.2, 0.1]));
    }

    #[test]
    fn other_gaps_are_errors_unless_their_volume_is_dropped() {
        let error = chosen(&["csf"], &[0, 1, 2]).unwrap_err().to_string();
        assert!(error.starts_with("`confounds.tsv` line 3 column `csf` is `n/a`"), "{error}");
        assert_eq!(chosen(&["csf"], &[0, 2]).unwrap()[0].1, [1.0, 3.0]);
    }

    #[test]
    fn patterns_without_columns_list_what_there_is() {
        let error = chosen(&["motion_*"], &[0]).unwrap_err().to_string();
        assert!(
            error.starts_with("`motion_*` names no column of `confounds.tsv`: its columns are trans_x,"),
            "{error}"
        );
    }

    #[test]
    fn patterns_and_groups_name_a_column_once() {
        use crate::brain::prepare::settings::{Expansion, Nuisance};
        let nuisance = Nuisance { global_signal: Some(Expansion::Basic), ..Nuisance::default() };
        let confounds = vec!["global_*".to_owned(), "rot_x".to_owned()];
        let preparation = Preparation { confounds, nuisance, ..Preparation::default() };
        let names: Vec<String> =
            select(&table(), &preparation, &[0]).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["rot_x", "global_signal"]);
    }
}
