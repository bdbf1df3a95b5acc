//! Any bytes taken for an array: an error or as many numbers as the header says, the same whichever way they are read.

use std::fs;

use hebb::format::npy::{MatrixReader, read_matrix, read_vector};

use super::scratch;

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let folder = scratch::folder();
    let path = folder.path().join("fuzzed.npy");
    fs::write(&path, bytes).expect("writable");
    if let Ok(vector) = read_vector(&path) {
        assert!(vector.len() <= bytes.len());
        assert!(MatrixReader::open(&path).is_err());
    }
    let Ok(mut reader) = MatrixReader::open(&path) else { return };
    let (n_rows, n_columns) = (reader.n_rows(), reader.n_columns());
    let whole = read_matrix(&path).expect("the header was right and so was the length");
    assert_eq!(whole.dim(), (n_rows, n_columns));
    assert!(whole.len() <= bytes.len());
    let (rows, columns) = (n_rows / 3..n_rows, n_columns / 2..n_columns);
    let block = reader.block(rows.clone(), columns.clone()).expect("inside");
    for (row, values) in rows.zip(block.rows()) {
        for (column, value) in columns.clone().zip(values) {
            assert_eq!(value.to_bits(), whole[[row, column]].to_bits());
        }
    }
    assert!(reader.rows(0..n_rows + 1).is_err());
}
