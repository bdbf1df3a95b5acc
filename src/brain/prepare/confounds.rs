//! Columns and samples chosen from a confounds table.
//!
//! A derivative is `n/a` in its first row because there is nothing to take a difference from; as nilearn's
//! `load_confounds` does, it takes the value of the second row, so that the first sample brings no artificial step. An
//! `n/a` in any other kept row is an error: nothing honest can stand in for it.

use super::{Preparation, PrepareError};
use crate::format::tsv::Table;

/// The volumes that are kept, in order.
///
/// # Errors
/// If the table has another length than the series or lacks a column that is needed.
pub fn kept_samples(table: Option<&Table>, n_tr: usize, preparation: &Preparation) -> Result<Vec<usize>, PrepareError> {
    let mut keep = vec![true; n_tr];
    keep.iter_mut().take(preparation.drop_initial).for_each(|keep| *keep = false);
    if let Some(table) = table {
        if table.n_rows() != n_tr {
            let (path, found) = (table.path().to_owned(), table.n_rows());
            return Err(PrepareError::ConfoundRows { path, found, expected: n_tr });
        }
        if preparation.drop_non_steady_state {
            for column in table.columns().iter().filter(|column| column.starts_with("non_steady_state_outlier")) {
                let marks = table.numbers(column)?;
                keep.iter_mut().zip(marks).for_each(|(keep, mark)| *keep &= mark.is_none_or(|mark| mark == 0.0));
            }
        }
        if let Some(limit_mm) = preparation.max_framewise_displacement_mm {
            let displacement = table.numbers("framewise_displacement")?;
            // The first volume has no displacement: there is none before it.
            keep.iter_mut().zip(displacement).for_each(|(keep, mm)| *keep &= mm.is_none_or(|mm| mm <= limit_mm));
        }
    }
    Ok((0..n_tr).filter(|&volume| keep[volume]).collect())
}

/// The columns that the patterns name, in the order of the table, each at the kept samples.
///
/// # Errors
/// If a pattern names no column, or a field at a kept sample is no number.
pub fn select(table: &Table, patterns: &[String], kept: &[usize]) -> Result<Vec<(String, Vec<f64>)>, PrepareError> {
    if let Some(pattern) = patterns.iter().find(|pattern| !table.columns().iter().any(|column| names(pattern, column)))
    {
        return Err(PrepareError::NoSuchConfound {
            pattern: pattern.clone(),
            path: table.path().to_owned(),
            available: table.columns().to_vec(),
        });
    }
    let chosen = table.columns().iter().filter(|column| patterns.iter().any(|pattern| names(pattern, column)));
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
        let text = "trans_x\ttrans_x_derivative1\trot_x\tframewise_displacement\tnon_steady_state_outlier00\tcsf\n\
                    0.5\tn/a\t1\tn/a\t1\t1\n0.7\t0.2\t2\t0.9\t0\tn/a\n0.8\t0.1\t3\t0.1\t0\t3\n";
        Table::parse(Path::new("confounds.tsv"), text.as_bytes()).unwrap()
    }

    fn patterns(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
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
        let chosen = select(&table(), &patterns(&["trans_*"]), &[0, 1, 2]).unwrap();
        assert_eq!(chosen[0], ("trans_x".to_owned(), vec![0.5, 0.7, 0.8]));
        assert_eq!(chosen[1], ("trans_x_derivative1".to_owned(), vec![0.2, 0.2, 0.1]));
    }

    #[test]
    fn other_gaps_are_errors_unless_their_volume_is_dropped() {
        let error = select(&table(), &patterns(&["csf"]), &[0, 1, 2]).unwrap_err().to_string();
        assert!(error.starts_with("`confounds.tsv` line 3 column `csf` is `n/a`"), "{error}");
        assert_eq!(select(&table(), &patterns(&["csf"]), &[0, 2]).unwrap()[0].1, [1.0, 3.0]);
    }

    #[test]
    fn patterns_without_columns_list_what_there_is() {
        let error = select(&table(), &patterns(&["motion_*"]), &[0]).unwrap_err().to_string();
        assert!(
            error.starts_with("`motion_*` names no column of `confounds.tsv`: its columns are trans_x,"),
            "{error}"
        );
    }

    #[test]
    fn samples_are_dropped_by_each_criterion() {
        let kept = |preparation: Preparation| kept_samples(Some(&table()), 3, &preparation).unwrap();
        let none = Preparation::default();
        assert_eq!(kept(none.clone()), [0, 1, 2]);
        assert_eq!(kept(Preparation { drop_initial: 2, ..none.clone() }), [2]);
        assert_eq!(kept(Preparation { drop_non_steady_state: true, ..none.clone() }), [1, 2]);
        assert_eq!(kept(Preparation { max_framewise_displacement_mm: Some(0.5), ..none.clone() }), [0, 2]);
        assert!(matches!(
            kept_samples(Some(&table()), 4, &none),
            Err(PrepareError::ConfoundRows { found: 3, expected: 4, .. })
        ));
    }
}
