//! Any bytes taken for a table: an error or rows that are as long as the header, never a panic.

use std::path::Path;

use hebb::format::tsv::Table;

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let Ok(table) = Table::parse(Path::new("fuzzed.tsv"), bytes) else { return };
    for (row, fields) in table.rows().iter().enumerate() {
        assert_eq!(fields.len(), table.columns().len());
        assert!(table.line(row) > 1);
    }
    for column in table.columns() {
        if let Ok(numbers) = table.numbers(column) {
            assert_eq!(numbers.len(), table.n_rows());
            assert!(numbers.iter().flatten().all(|number| number.is_finite()));
        }
        drop(table.integers(column));
    }
}
