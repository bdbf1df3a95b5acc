//! Tables and JSON against each other: numbers by distance, everything else letter by letter.
//!
//! A table is read a line at a time, and its columns are what numbers are compared within. In JSON that is every number
//! whose path differs in positions only, such as `rows[].score`.

use super::spread::{Deviation, Spread, printable};
use crate::format::memory::{afford_json, read_within};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

/// Longest line of a table and largest JSON that are taken apart; others are compared byte by byte.
const MOST_BYTES: u64 = 1 << 28;

/// Two tables; an error if one of them is none.
pub(super) fn tables(expected: &Path, found: &Path, file: &str) -> io::Result<Option<Deviation>> {
    let (mut one, mut two) = (BufReader::new(File::open(expected)?), BufReader::new(File::open(found)?));
    let (mut columns, mut spreads): (Vec<String>, Vec<Spread>) = (Vec::new(), Vec::new());
    let mut whole = Spread::default();
    for row in 0_usize.. {
        let (line, other) = match (line(&mut one)?, line(&mut two)?) {
            (Some(line), Some(other)) => (line, other),
            (None, None) => break,
            (one, two) => {
                let told = |line: Option<String>| line.unwrap_or_else(|| "the end".to_owned());
                whole.refuse(|| format!("row {row}"), &told(one), &told(two));
                break;
            }
        };
        if row == 0 {
            if line != other {
                whole.refuse(|| "the header".to_owned(), &line, &other);
                break;
            }
            columns = line.split('\t').map(printable).collect();
            spreads = columns.iter().map(|_| Spread::default()).collect();
            continue;
        }
        if line == other {
            for (field, spread) in line.split('\t').zip(&mut spreads) {
                if let Ok(value) = field.parse::<f64>() {
                    spread.take(value, value, String::new);
                }
            }
            continue;
        }
        let (fields, others): (Vec<&str>, Vec<&str>) = (line.split('\t').collect(), other.split('\t').collect());
        if fields.len() != columns.len() || others.len() != columns.len() {
            whole.refuse(|| format!("row {row}"), &line, &other);
            break;
        }
        for (at, (field, other)) in fields.into_iter().zip(others).enumerate() {
            let place = || format!("row {row}, column `{}`", columns[at]);
            match (number(field, other), field == other) {
                (Some((field, other)), _) => spreads[at].take(field, other, place),
                (None, true) => {}
                (None, false) => spreads[at].refuse(place, field, other),
            }
        }
    }
    Ok(spreads.into_iter().chain([whole]).filter_map(|spread| spread.worst(file)).reduce(Deviation::worse))
}

/// Two numbers that may be apart: whole numbers count things or name them, and are the same or not.
fn number(expected: &str, found: &str) -> Option<(f64, f64)> {
    if let (Ok(expected), Ok(found)) = (expected.parse::<i64>(), found.parse::<i64>())
        && expected != found
    {
        return None;
    }
    Some((expected.parse().ok()?, found.parse().ok()?))
}

/// The next line without its end; nothing at the end of the file.
fn line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if reader.by_ref().take(MOST_BYTES).read_line(&mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(line.strip_suffix('\n').map(str::to_owned).unwrap_or(line)))
}

/// Two JSON files; an error if one of them is none.
pub(super) fn documents(expected: &Path, found: &Path, file: &str) -> io::Result<Option<Deviation>> {
    let read = |path: &Path| -> io::Result<Value> {
        let bytes = read_within(path, MOST_BYTES)?;
        afford_json(path, &bytes).map_err(io::Error::other)?;
        Ok(serde_json::from_slice(&bytes)?)
    };
    let mut spreads = BTreeMap::new();
    values(&read(expected)?, &read(found)?, &mut Vec::new(), &mut spreads);
    Ok(spreads.into_values().filter_map(|spread| spread.worst(file)).reduce(Deviation::worse))
}

/// A step into a value.
#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Position(usize),
}

fn values<'a>(expected: &'a Value, found: &Value, path: &mut Vec<Step<'a>>, spreads: &mut BTreeMap<String, Spread>) {
    match (expected, found) {
        (Value::Array(one), Value::Array(two)) if one.len() == two.len() => {
            for (at, (one, two)) in one.iter().zip(two).enumerate() {
                path.push(Step::Position(at));
                values(one, two, path, spreads);
                path.pop();
            }
        }
        (Value::Object(one), Value::Object(two))
            if one.len() == two.len() && one.keys().all(|name| two.contains_key(name)) =>
        {
            for (name, one) in one {
                let two = &two[name];
                path.push(Step::Field(name));
                values(one, two, path, spreads);
                path.pop();
            }
        }
        (Value::Number(one), Value::Number(two)) if one == two || one.is_f64() || two.is_f64() => {
            let float = |number: &serde_json::Number| number.as_f64().unwrap_or(f64::NAN);
            let spread = spreads.entry(told(path, false)).or_default();
            spread.take(float(one), float(two), || told(path, true));
        }
        (one, two) if one == two => {}
        (one, two) => {
            let spread = spreads.entry(told(path, false)).or_default();
            spread.refuse(|| told(path, true), &short(one), &short(two));
        }
    }
}

/// A path as text, with positions or for all of them.
fn told(path: &[Step<'_>], positions: bool) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Field(name) => {
                text.push_str(if text.is_empty() { "" } else { "." });
                text.push_str(&printable(name));
            }
            Step::Position(at) if positions => text.push_str(&format!("[{at}]")),
            Step::Position(_) => text.push_str("[]"),
        }
    }
    text
}

/// A value as text; of a long one, how long it is.
fn short(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("{} values", values.len()),
        Value::Object(fields) => format!("{} fields", fields.len()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn compared(
        compare: fn(&Path, &Path, &str) -> io::Result<Option<Deviation>>,
        one: &str,
        two: &str,
    ) -> Option<Deviation> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, one).expect("writable");
        fs::write(&b, two).expect("writable");
        compare(&a, &b, "f").expect("readable")
    }

    #[test]
    fn a_table_is_compared_column_by_column() {
        let head = "name\tr\tcount\n";
        let table = |rows: &str| format!("{head}{rows}");
        let far = compared(tables, &table("a\t0.5\t3\nb\t-1.0\t3\n"), &table("a\t0.5\t3\nb\t-1.001\t3\n"));
        let far = far.expect("it differs");
        assert_eq!(far.place, "row 2, column `r`");
        assert!((far.relative.expect("a distance") - 1e-3).abs() < 1e-12, "{far:?}");
        let apart = |one: &str, two: &str| {
            let worst = compared(tables, &table(one), &table(two)).expect("it differs");
            assert_eq!(worst.relative, None, "{worst:?}");
            (worst.place, worst.expected, worst.found)
        };
        let told = |place: &str, one: &str, two: &str| (place.to_owned(), one.to_owned(), two.to_owned());
        assert_eq!(apart("a\t0.5\t3\n", "a\t0.5\t4\n"), told("row 1, column `count`", "3", "4"), "counts are exact");
        assert_eq!(apart("a\t0.5\t3\n", "b\t0.5\t3\n"), told("row 1, column `name`", "a", "b"));
        assert_eq!(apart("a\t0.5\t3\n", "a\tn/a\t3\n"), told("row 1, column `r`", "0.5", "n/a"));
        assert_eq!(apart("a\t0.5\t3\n", "a\t0.5\t3\nb\t1\t2\n"), told("row 2", "the end", "b\\t1\\t2"));
        assert_eq!(apart("a\t0.5\t3\nb\t1\t2\n", "a\t0.5\t3\n"), told("row 2", "b\\t1\\t2", "the end"));
        assert_eq!(apart("a\t0.5\t3\n", "a\t0.5\n").0, "row 1");
        assert_eq!(compared(tables, "x\n1\n", "y\n1\n").expect("it differs").place, "the header");
        // What is equal in a line that differs elsewhere, or in no line that differs, is part of the scale.
        let scaled = compared(tables, "x\n1000\n1.0\n", "x\n1000\n2.0\n").expect("it differs");
        assert_eq!(scaled.relative, Some(1e-3));
    }

    #[test]
    fn json_is_compared_number_by_number_within_what_differs_in_position_only() {
        let worst = |one: &str, two: &str| compared(documents, one, two);
        assert_eq!(worst(r#"{"a": [1, 2.5], "b": "x"}"#, r#"{"b":"x","a":[1,2.5]}"#), None);
        let far = worst(
            r#"{"rows": [{"r": 100.0}, {"r": 1.0}], "one": 1.0}"#,
            r#"{"rows": [{"r": 100.0}, {"r": 2.0}], "one": 1.0}"#,
        );
        let far = far.expect("it differs");
        assert_eq!((far.place.as_str(), far.relative), ("rows[1].r", Some(0.01)));
        for (one, two, place) in [
            (r#"{"n": 3}"#, r#"{"n": 4}"#, "n"),
            (r#"{"a": {"n": "x"}}"#, r#"{"a": {"n": "y"}}"#, "a.n"),
            (r#"{"a": [1]}"#, r#"{"a": [1, 2]}"#, "a"),
            (r#"{"a": 1}"#, r#"{"b": 1}"#, ""),
            (r#"{"a": 0.5}"#, r#"{"a": null}"#, "a"),
        ] {
            let worst = worst(one, two).expect("it differs");
            assert_eq!((worst.place.as_str(), worst.relative), (place, None), "{one} {two}");
        }
    }
}
