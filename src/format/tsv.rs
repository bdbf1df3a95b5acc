//! Tab-separated tables as BIDS writes them.
//!
//! Owns the reading and writing of `.tsv` files: a header row, fields without quoting, `n/a` for a missing value, UTF-8
//! with or without a byte-order mark, any line ending. Fields stay text; [`Table::numbers`] turns one column into
//! numbers. What the columns mean is for others to know: [`crate::brain::atlas`], [`crate::brain::prepare`].

mod error;
mod numbers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::memory::{afford, read_within};
use error::MAX_TABLE_BYTES;
pub use error::TsvError;
pub use numbers::read_numbers;

/// How BIDS writes a missing value.
pub const MISSING: &str = "n/a";
/// Bytes that a field takes besides its letters: the text itself, and the smallest piece of memory for its letters.
const FIELD_BYTES: u128 = (size_of::<String>() + 32) as u128;
/// Bytes that a line takes besides its fields.
const LINE_BYTES: u128 = (size_of::<Vec<String>>() + size_of::<u64>()) as u128;

/// A table of text: named columns, rows of as many fields.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    lines: Vec<u64>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = S>) -> Self {
        Table { columns: columns.into_iter().map(Into::into).collect(), ..Table::default() }
    }

    /// Appends a row.
    ///
    /// # Panics
    /// If the row has another number of fields than the table has columns: a mistake of the caller, not of a file.
    pub fn push<S: Into<String>>(&mut self, row: impl IntoIterator<Item = S>) {
        let row: Vec<String> = row.into_iter().map(Into::into).collect();
        assert_eq!(row.len(), self.columns.len(), "a row has one field per column");
        self.lines.push(self.rows.len() as u64 + 2);
        self.rows.push(row);
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The rows, each with one field per column.
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// Line of the file on which a row stands, counted from 1.
    pub fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    /// The file the table was read from; empty for a table made in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Position of a column, if the table has it.
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| name == column)
    }

    /// Position of a column that must be there.
    ///
    /// # Errors
    /// If it is not; the error lists the columns there are.
    pub fn require(&self, column: &str) -> Result<usize, TsvError> {
        self.position(column).ok_or_else(|| TsvError::NoColumn {
            path: self.path.clone(),
            column: column.to_owned(),
            available: self.columns.clone(),
        })
    }

    /// A column as numbers, `None` where the field is `n/a`.
    ///
    /// # Errors
    /// If the column is not there or a field is neither a finite number nor `n/a`.
    pub fn numbers(&self, column: &str) -> Result<Vec<Option<f64>>, TsvError> {
        self.parsed(column, "a finite number or `n/a`", |text| text.parse().ok().filter(|x: &f64| x.is_finite()))
    }

    /// A column as whole numbers, `None` where the field is `n/a`; `3.0` counts as whole.
    ///
    /// # Errors
    /// If the column is not there or a field is neither a whole number nor `n/a`.
    pub fn integers(&self, column: &str) -> Result<Vec<Option<i32>>, TsvError> {
        self.parsed(column, "a whole number or `n/a`", |text| {
            text.parse().ok().or_else(|| {
                let value: f64 = text.parse().ok()?;
                (value.fract() == 0.0 && value.abs() <= f64::from(i32::MAX)).then_some(value as i32)
            })
        })
    }

    /// A column as counts or positions, which no row lacks.
    ///
    /// # Errors
    /// If the column is not there or a field is not a whole number from 0.
    pub fn counts(&self, column: &str) -> Result<Vec<usize>, TsvError> {
        let position = self.require(column)?;
        let count = |(row, value): (usize, Option<i32>)| {
            let count = value.and_then(|value| usize::try_from(value).ok());
            count.ok_or_else(|| self.field_error(row, position, "a whole number from 0"))
        };
        self.integers(column)?.into_iter().enumerate().map(count).collect()
    }

    /// The error for a field that does not hold what was expected.
    pub fn field_error(&self, row: usize, column: usize, expected: &'static str) -> TsvError {
        TsvError::Field {
            path: self.path.clone(),
            line: self.lines[row],
            column: self.columns[column].clone(),
            found: self.rows[row][column].clone(),
            expected,
        }
    }

    fn parsed<T>(
        &self,
        column: &str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<Option<T>>, TsvError> {
        let position = self.require(column)?;
        let field = |(row, fields): (usize, &Vec<String>)| match fields[position].trim() {
            MISSING | "" => Ok(None),
            text => parse(text).map(Some).ok_or_else(|| self.field_error(row, position, expected)),
        };
        self.rows.iter().enumerate().map(field).collect()
    }

    /// Reads a table.
    ///
    /// # Errors
    /// If the file cannot be read, is larger than a table or than the memory for one, is not UTF-8, has no header, a repeated column or a row of another length.
    pub fn read(path: &Path) -> Result<Self, TsvError> {
        let io_error = |source| TsvError::Io { path: path.to_owned(), source };
        let found_bytes = std::fs::metadata(path).map_err(io_error)?.len();
        if found_bytes > MAX_TABLE_BYTES {
            return Err(TsvError::TooLarge { path: path.to_owned(), found_bytes });
        }
        let bytes = read_within(path, MAX_TABLE_BYTES).map_err(io_error)?;
        let (mut n_fields, mut n_lines) = (1_u128, 1_u128);
        for byte in &bytes {
            n_fields += u128::from(matches!(byte, b'\t' | b'\n' | b'\r'));
            n_lines += u128::from(matches!(byte, b'\n' | b'\r'));
        }
        // Lists grow by doubling.
        let needed_bytes = 2 * (bytes.len() as u128 + n_fields * FIELD_BYTES + n_lines * LINE_BYTES);
        afford(path, needed_bytes, || format!("a table of {n_fields} fields in {n_lines} lines"))?;
        Table::parse(path, &bytes)
    }

    /// Reads a table from bytes; `path` only serves the error messages.
    ///
    /// # Errors
    /// As [`Table::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, TsvError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(b'\t')
            .quoting(false)
            .flexible(true)
            .has_headers(false)
            .from_reader(bytes);
        let mut table = Table { path: path.to_owned(), ..Table::default() };
        let mut record = csv::StringRecord::new();
        let mut lines = LineCounter { bytes, counted: 0, line: 1 };
        loop {
            let start = reader.position().byte();
            match reader.read_record(&mut record) {
                Ok(false) => break,
                Ok(true) => {}
                Err(_) => {
                    return Err(TsvError::Encoding { path: path.to_owned(), line: lines.line_of_record(start) });
                }
            }
            let line = lines.line_of_record(start);
            if table.columns.is_empty() {
                table.columns = header(path, &record)?;
            } else if record.len() == table.columns.len() {
                table.rows.push(record.iter().map(str::to_owned).collect());
                table.lines.push(line);
            } else {
                return Err(TsvError::Ragged {
                    path: path.to_owned(),
                    line,
                    found: record.len(),
                    expected: table.columns.len(),
                });
            }
        }
        if table.columns.is_empty() {
            return Err(TsvError::NoHeader { path: path.to_owned(), reason: "the file is empty".to_owned() });
        }
        Ok(table)
    }

    /// Writes the table, one `\n` a line.
    ///
    /// # Errors
    /// If a field holds a tab or a line break, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), TsvError> {
        let mut text = String::new();
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            for (position, field) in row.iter().enumerate() {
                if field.contains(['\t', '\n', '\r']) {
                    return Err(TsvError::Unwritable {
                        path: path.to_owned(),
                        column: self.columns[position].clone(),
                        found: field.clone(),
                    });
                }
                // A row that is one empty field would be a blank line, which readers skip.
                text.push_str(if field.is_empty() { MISSING } else { field });
                text.push(if position + 1 == row.len() { '\n' } else { '\t' });
            }
        }
        std::fs::write(path, text).map_err(|source| TsvError::Io { path: path.to_owned(), source })
    }
}

/// Finds the line of a record from the byte at which the reader stood before it.
///
/// The reader's own line count stops before the rest of a line ending and before blank lines, so it names the wrong one.
struct LineCounter<'a> {
    bytes: &'a [u8],
    counted: usize,
    line: u64,
}

impl LineCounter<'_> {
    fn line_of_record(&mut self, start: u64) -> u64 {
        let start = usize::try_from(start).map_or(self.bytes.len(), |start| start.min(self.bytes.len()));
        let blank = self.bytes[start..].iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let ends_line = |&at: &usize| match self.bytes[at] {
            b'\n' => true,
            b'\r' => self.bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let breaks = (self.counted..start + blank).filter(ends_line).count();
        self.counted = start + blank;
        self.line += breaks as u64;
        self.line
    }
}

fn header(path: &Path, record: &csv::StringRecord) -> Result<Vec<String>, TsvError> {
    let columns: Vec<String> = record.iter().map(|name| name.trim().to_owned()).collect();
    // A first row of numbers is data: taking it for names would silently lose one sample.
    if columns.iter().all(|name| name == MISSING || name.parse::<f64>().is_ok()) {
        let reason = format!("the first row is `{}`: add a row with the names of the columns", columns.join(" "));
        return Err(TsvError::NoHeader { path: path.to_owned(), reason });
    }
    let mut seen = BTreeSet::new();
    match columns.iter().find(|name| !seen.insert(name.as_str())) {
        Some(column) => Err(TsvError::RepeatedColumn { path: path.to_owned(), column: column.clone() }),
        None => Ok(columns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &[u8]) -> Result<Table, TsvError> {
        Table::parse(Path::new("events.tsv"), text)
    }

    #[test]
    fn byte_order_mark_and_carriage_returns_change_nothing() {
        let plain = parse(b"onset\tname\n1.5\ta b\nn/a\t\"q\"\n").unwrap();
        assert_eq!(parse(b"\xef\xbb\xbfonset\tname\r\n1.5\ta b\r\nn/a\t\"q\"").unwrap(), plain);
        assert_eq!(plain.numbers("onset").unwrap(), [Some(1.5), None]);
        assert_eq!(plain.rows()[1][1], "\"q\"");
    }

    #[test]
    fn missing_header_is_said() {
        let error = parse(b"1.0\t2.0\n3\t4\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "`events.tsv` has no header: the first row is `1.0 2.0`: add a row with the names of the columns"
        );
        assert!(matches!(parse(b""), Err(TsvError::NoHeader { .. })));
    }

    #[test]
    fn ragged_rows_name_their_line() {
        let error = parse(b"a\tb\n1\t2\n\n3\n").unwrap_err().to_string();
        assert_eq!(error, "`events.tsv` line 4 has 1 fields, expected 2 as in the header");
    }

    #[test]
    fn lines_are_counted_whatever_ends_them() {
        let table = parse(b"a\r1\r\r2\r\n3\n4").unwrap();
        assert_eq!((0..4).map(|row| table.line(row)).collect::<Vec<u64>>(), [2, 4, 5, 6]);
        assert_eq!(parse(b"\r\0\r\0").unwrap().line(0), 3);
    }

    #[test]
    fn wrong_fields_name_line_and_column() {
        let table = parse(b"a\tb\n1\tx\n").unwrap();
        let error = table.numbers("b").unwrap_err().to_string();
        assert_eq!(error, "`events.tsv` line 2 column `b`: `x`, expected a finite number or `n/a`");
        let error = table.numbers("c").unwrap_err().to_string();
        assert_eq!(error, "`events.tsv` has no column `c`: its columns are `a`, `b`");
        assert!(parse(b"a\nnan\n").unwrap().numbers("a").is_err());
    }

    #[test]
    fn whole_numbers_stay_exact() {
        let table = parse(b"index\n3\n4.0\nn/a\n").unwrap();
        assert_eq!(table.integers("index").unwrap(), [Some(3), Some(4), None]);
        assert!(parse(b"index\n3.5\n").unwrap().integers("index").is_err());
        assert!(parse(b"index\n9999999999\n").unwrap().integers("index").is_err());
    }

    #[test]
    fn repeated_columns_and_latin_1_are_refused() {
        assert!(matches!(parse(b"a\ta\n"), Err(TsvError::RepeatedColumn { .. })));
        assert!(matches!(parse(b"a\nx\xe9\n"), Err(TsvError::Encoding { line: 2, .. })));
    }

    #[test]
    fn tabs_in_fields_cannot_be_written() {
        let mut table = Table::new(["a"]);
        table.push(["x\ty"]);
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(table.write(&folder.path().join("t.tsv")), Err(TsvError::Unwritable { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn tables_round_trip(rows in proptest::collection::vec(("[^\t\r\n]{1,8}", "[a-z \"']{1,6}"), 0..12)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t.tsv");
            let mut table = Table::new(["first", "second"]);
            for (a, b) in rows {
                table.push([a, b]);
            }
            table.write(&path).unwrap();
            let back = Table::read(&path).unwrap();
            prop_assert_eq!(back.columns(), table.columns());
            prop_assert_eq!(back.rows(), table.rows());
        }
    }
}
