//! A few columns of a large table as numbers, without making a text of every field.

use super::error::MAX_TABLE_BYTES;
use super::{MISSING, Table, TsvError};
use crate::format::memory::{afford, read_within};
use std::path::Path;

/// The rows of `columns`, `None` where a field is `n/a`.
///
/// Tables of voxels have hundreds of thousands of rows, of which a reader wants two columns.
///
/// # Errors
/// As [`Table::read`] and [`Table::numbers`].
pub fn read_numbers<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Vec<[Option<f64>; N]>, TsvError> {
    let bytes = read_within(path, MAX_TABLE_BYTES).map_err(|source| TsvError::Io { path: path.to_owned(), source })?;
    let n_lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let row_bytes = size_of::<[Option<f64>; N]>();
    afford(path, 2 * n_lines as u128 * row_bytes as u128, || format!("a table of {n_lines} lines"))?;
    if let Some(rows) = plain_numbers(&bytes, columns) {
        return Ok(rows);
    }
    // Whatever is unusual, or wrong, is for the reader that knows all of it.
    let table = Table::parse(path, &bytes)?;
    let mut rows = vec![[None; N]; table.n_rows()];
    for (place, column) in columns.into_iter().enumerate() {
        rows.iter_mut().zip(table.numbers(column)?).for_each(|(row, number)| row[place] = number);
    }
    Ok(rows)
}

/// The same of a table as this program writes it; `None` of any other.
fn plain_numbers<const N: usize>(bytes: &[u8], columns: [&str; N]) -> Option<Vec<[Option<f64>; N]>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.strip_suffix('\n')?.split('\n');
    let names: Vec<&str> = lines.next()?.split('\t').collect();
    let is_plain = |(at, name): (usize, &&str)| {
        !name.is_empty() && name.trim() == *name && !names[..at].contains(name) && !name.starts_with('\u{feff}')
    };
    if !names.iter().enumerate().all(is_plain) {
        return None;
    }
    let mut wanted = [0; N];
    for (place, column) in wanted.iter_mut().zip(columns) {
        *place = names.iter().position(|name| *name == column)?;
    }
    let mut rows = Vec::new();
    for line in lines {
        let mut row = [None; N];
        let mut n_fields = 0;
        for field in line.split('\t') {
            for (number, _) in row.iter_mut().zip(wanted).filter(|(_, place)| *place == n_fields) {
                if field != MISSING {
                    *number = Some(field.parse().ok().filter(|number: &f64| number.is_finite())?);
                }
            }
            n_fields += 1;
        }
        if n_fields != names.len() || line.contains('\r') {
            return None;
        }
        rows.push(row);
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "a.tsv";

    fn slowly(bytes: &[u8]) -> Option<Vec<[Option<f64>; 2]>> {
        let table = Table::parse(Path::new(PATH), bytes).ok()?;
        let (a, b) = (table.numbers("a").ok()?, table.numbers("b").ok()?);
        Some(a.into_iter().zip(b).map(|(a, b)| [a, b]).collect())
    }

    #[test]
    fn a_table_as_we_write_it_is_read_at_once() {
        let text = b"b\tname\ta\n1e-3\tx\tn/a\n-0.25\ty\t7\n";
        let rows = vec![[None, Some(1e-3)], [Some(7.0), Some(-0.25)]];
        assert_eq!(plain_numbers(text, ["a", "b"]), Some(rows));
        assert_eq!(plain_numbers(b"a\tb\n", ["a", "b"]), Some(Vec::new()));
    }

    #[test]
    fn what_is_wrong_is_told_as_ever() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(PATH);
        for (text, word) in [
            ("a\tb\n1\n", "field"),
            ("a\tb\n1\tx\n", "`x`"),
            ("a\n1\n", "`b`"),
            ("a\tb\n1\tinf\n", "`inf`"),
            ("", "empty"),
        ] {
            std::fs::write(&path, text).expect("writable");
            let told = read_numbers(&path, ["a", "b"]).expect_err(text).to_string();
            assert!(told.contains(word), "{text:?}: {told}");
        }
    }

    proptest! {
        #[test]
        fn both_readers_agree(text in "(a\tb|b\ta|a\tc\tb)\r?\n(([0-9.e-]{0,4}|n/a| 1)[\t\n\r]?){0,12}\n?") {
            if let Some(rows) = plain_numbers(text.as_bytes(), ["a", "b"]) {
                prop_assert_eq!(Some(rows), slowly(text.as_bytes()));
            }
        }
    }
}
