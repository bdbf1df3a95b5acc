//! `Movement_Regressors.txt`: head motion as the HCP pipelines write it, turned into the table that other tools know.
//!
//! The file has no header: six columns of position (millimetres, then degrees) and six of their backward differences. The
//! table has fMRIPrep's names and units (radians), so that one list of confounds serves both, and what follows from the
//! six positions: squares, and framewise displacement (Power 2012).

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::format::memory::read_within;
use crate::format::motion::{HEAD_RADIUS_MM, MOTION_COLUMNS};
use crate::format::tsv::{MISSING, Table, TsvError};

/// Largest number believed: no head moves further, and its square is still a number.
const LARGEST: f64 = 1e9;
/// Longest file read; a real one has about 100 bytes a volume.
const MAX_BYTES: u64 = 64 << 20;

/// What can go wrong with movement regressors.
#[derive(Debug, Error)]
pub enum MovementError {
    /// The file cannot be read.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too long.
    #[error("`{}` is {found_bytes} bytes long, movement regressors may have {MAX_BYTES}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
    },
    /// A line is not twelve numbers.
    #[error("`{}` line {line} {reason}, expected 12 numbers: positions and their differences", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What it holds.
        reason: String,
    },
    /// There is no line.
    #[error("`{}` is empty, expected a line of 12 numbers for every volume", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The numbers do not make a table.
    #[error(transparent)]
    Table(#[from] TsvError),
}

/// Whether a file of confounds is one of movement regressors, by its name, and not a table with a header.
pub fn is_movement(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with("Movement_Regressors.txt"))
}

/// Reads movement regressors as a table of confounds: a row for every volume.
///
/// # Errors
/// If the file cannot be read or a line is not twelve finite numbers.
pub fn read_movement(path: &Path) -> Result<Table, MovementError> {
    let io_error = |source| MovementError::Io { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io_error)?;
    // Opening a pipe or a device would wait, or never end.
    if !metadata.is_file() {
        return Err(io_error(io::Error::other("not a regular file")));
    }
    let found_bytes = metadata.len();
    if found_bytes > MAX_BYTES {
        return Err(MovementError::TooLarge { path: path.to_owned(), found_bytes });
    }
    parse(path, &read_within(path, MAX_BYTES).map_err(io_error)?)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Table, MovementError> {
    let mut rows: Vec<[f64; 12]> = Vec::new();
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let wrong = |reason: String| MovementError::Line { path: path.to_owned(), line: index + 1, reason };
        let line = std::str::from_utf8(line).map_err(|_| wrong("is not text".to_owned()))?;
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        let mut row = [0.0; 12];
        if fields.len() != row.len() {
            return Err(wrong(format!("has {} fields", fields.len())));
        }
        for (slot, field) in row.iter_mut().zip(fields) {
            let value = field.parse().ok().filter(|value: &f64| value.abs() <= LARGEST);
            *slot = value.ok_or_else(|| wrong(format!("holds `{field}`")))?;
        }
        // Degrees in the file, radians in the table.
        [3, 4, 5, 9, 10, 11].into_iter().for_each(|angle: usize| row[angle] = row[angle].to_radians());
        rows.push(row);
    }
    if rows.is_empty() {
        return Err(MovementError::Empty { path: path.to_owned() });
    }
    Ok(Table::parse(path, tabulated(&rows).as_bytes())?)
}

fn tabulated(rows: &[[f64; 12]]) -> String {
    let derivatives = MOTION_COLUMNS.map(|name| format!("{name}_derivative1"));
    let plain: Vec<String> = MOTION_COLUMNS.map(str::to_owned).into_iter().chain(derivatives).collect();
    let squares = plain.iter().map(|name| format!("{name}_power2"));
    let names: Vec<String> =
        ["framewise_displacement".to_owned()].into_iter().chain(plain.clone()).chain(squares).collect();
    let mut text = names.join("\t");
    for (volume, row) in rows.iter().enumerate() {
        let displacement = volume.checked_sub(1).map(|before| displacement_mm(&rows[before], row));
        text.push_str(&format!("\n{}", displacement.map_or(MISSING.to_owned(), |mm| mm.to_string())));
        for value in row.iter().copied().chain(row.iter().map(|value| value * value)) {
            text.push_str(&format!("\t{value}"));
        }
    }
    text.push('\n');
    text
}

fn displacement_mm(before: &[f64; 12], now: &[f64; 12]) -> f64 {
    let step = |column: usize| (now[column] - before[column]).abs();
    (0..3).map(step).sum::<f64>() + HEAD_RADIUS_MM * (3..6).map(step).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Result<Table, MovementError> {
        parse(Path::new("Movement_Regressors.txt"), text.as_bytes())
    }

    #[test]
    fn columns_have_the_usual_names_and_units() {
        let table = parsed("0.1 0.2 0.3 1 2 3 0 0 0 0 0 0\n0.4 0.2 0.3 1 2 93 0.3 0 0 0 0 90\n").unwrap();
        assert_eq!((table.n_rows(), table.columns().len()), (2, 25));
        let at = |column: &str, row: usize| table.numbers(column).unwrap()[row];
        assert_eq!((at("trans_x", 1), at("trans_x_derivative1", 1)), (Some(0.4), Some(0.3)));
        let quarter = std::f64::consts::FRAC_PI_2;
        assert_eq!(at("rot_z_derivative1", 1), Some(quarter));
        assert!((at("rot_z_derivative1_power2", 1).unwrap() - quarter * quarter).abs() < 1e-12);
        assert!((at("rot_x", 0).unwrap() - 1.0_f64.to_radians()).abs() < 1e-15);
        assert_eq!(at("framewise_displacement", 0), None);
        assert!((at("framewise_displacement", 1).unwrap() - (0.3 + 50.0 * quarter)).abs() < 1e-9);
    }

    #[test]
    fn movement_is_known_by_name() {
        assert!(
            ["Movement_Regressors.txt", "x/tfMRI_MOTOR_LR_Movement_Regressors.txt"]
                .iter()
                .all(|p| is_movement(Path::new(p)))
        );
        assert!(
            ["x_desc-confounds_timeseries.tsv", "Movement_Regressors_dt.txt", ""]
                .iter()
                .all(|p| !is_movement(Path::new(p)))
        );
    }

    #[test]
    fn lines_of_another_shape_are_named() {
        let said = |text: &str| parsed(text).unwrap_err().to_string();
        let twelve = "0 0 0 0 0 0 0 0 0 0 0 0\n";
        assert_eq!(
            said(&format!("{twelve}\n1 2 3\n")),
            "`Movement_Regressors.txt` line 3 has 3 fields, expected 12 numbers: positions and their differences"
        );
        assert!(said(&twelve.replacen('0', "nan", 1)).contains("line 1 holds `nan`"));
        assert!(said("trans_x trans_y").contains("line 1 has 2 fields"));
        assert!(said(" \r\n").contains("is empty"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_table_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80), at in 0_usize..40) {
            let mut text = "0.1 -2e-3 3 4 5 6 7 8 9 10 11 12\r\n".repeat(2).into_bytes();
            let at = at.min(text.len());
            text.splice(at..at, bytes);
            if let Ok(table) = parse(Path::new("x.txt"), &text) {
                prop_assert!(table.n_rows() > 0);
                prop_assert!(table.numbers("rot_z_power2").is_ok());
            }
        }
    }
}
