//! Tables with a header: TSV as TemplateFlow, BIDS and the laboratories that follow them write it.
//!
//! The index stands in a column `index`, the name in `name` or `label`; a colour in `color`, as `#rrggbb` or `r,g,b`, or in
//! three columns. All other columns are kept as text.

use std::path::Path;

use super::{IndexMeaning, LabelEntry, LabelTable, Refusal, TableFormat};
use crate::brain::atlas::AtlasError;
use crate::format::tsv::{MISSING, Table, TsvError};

/// Columns that hold the index, the most telling first; those after the first must hold whole numbers.
const INDEX_COLUMNS: [&str; 6] = ["index", "value", "label", "id", "roi", "component"];
/// Columns that hold the name, the most telling first.
const NAME_COLUMNS: [&str; 6] = ["name", "label", "region", "roi_name", "difumo_names", "abbreviation"];
/// What a colour looks like.
const COLOR: &str = "a colour such as `#4682b4`";

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<LabelTable, Refusal> {
    let expected = "its header needs columns `index` and `name`, optionally `network` and `color`";
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let header =
        Table::parse(path, bytes[..end].trim_ascii_end()).map_err(|_| Refusal::OtherFormat(expected.to_owned()))?;
    if !header.columns().iter().any(|column| role(column, &INDEX_COLUMNS).is_some()) {
        let reason = match header.columns() {
            [one] if one.contains(',') => format!("{expected}, separated by tabs and not by commas"),
            _ => expected.to_owned(),
        };
        return Err(Refusal::OtherFormat(reason));
    }
    let table = Table::parse(path, bytes)?;
    let index = index_column(&table)?;
    let name = name_column(&table, index)?;
    let colors = ColorColumns::of(&table);
    let mut entries = Vec::with_capacity(table.n_rows());
    let numbers = table.integers(&table.columns()[index])?;
    for (row, number) in numbers.into_iter().enumerate() {
        let number = number.ok_or_else(|| table.field_error(row, index, "the label of a parcel"))?;
        let fields = table.rows()[row].iter().map(|field| Some(field.trim()).filter(|text| is_told(text)));
        let fields: Vec<Option<String>> = fields.map(|field| field.map(str::to_owned)).collect();
        let called = fields[name].clone().ok_or_else(|| table.field_error(row, name, "the name of a parcel"))?;
        let color = colors.color(&table, row)?;
        entries.push(LabelEntry { index: number, name: called, color, line: table.line(row), fields });
    }
    Ok(LabelTable {
        path: path.to_owned(),
        format: TableFormat::Tsv,
        title: None,
        meaning: IndexMeaning::Label,
        columns: table.columns().to_vec(),
        entries,
    })
}

fn is_told(text: &str) -> bool {
    !text.is_empty() && text != MISSING
}

fn role(column: &str, names: &[&str]) -> Option<usize> {
    names.iter().position(|name| column.eq_ignore_ascii_case(name))
}

/// The columns of a role, the most telling first.
fn candidates(table: &Table, names: &[&str]) -> Vec<usize> {
    let mut found: Vec<(usize, usize)> = table
        .columns()
        .iter()
        .enumerate()
        .filter_map(|(column, name)| role(name, names).map(|rank| (rank, column)))
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, column)| column).collect()
}

fn index_column(table: &Table) -> Result<usize, AtlasError> {
    let candidates = candidates(table, &INDEX_COLUMNS);
    if let Some(&first) = candidates.first()
        && table.columns()[first].eq_ignore_ascii_case(INDEX_COLUMNS[0])
    {
        return Ok(first);
    }
    let whole: Vec<usize> = candidates
        .into_iter()
        .filter(|&column| table.n_rows() > 0 && table.integers(&table.columns()[column]).is_ok())
        .collect();
    match whole.as_slice() {
        [one] => Ok(*one),
        [] => Err(no_column(table, INDEX_COLUMNS[0])),
        several => Err(AtlasError::Ambiguous {
            path: table.path().to_owned(),
            role: "the label",
            columns: several.iter().map(|&column| table.columns()[column].clone()).collect(),
            hint: "call the one that does `index`",
        }),
    }
}

fn no_column(table: &Table, column: &str) -> AtlasError {
    let (path, available) = (table.path().to_owned(), table.columns().to_vec());
    TsvError::NoColumn { path, column: column.to_owned(), available }.into()
}

fn name_column(table: &Table, index: usize) -> Result<usize, AtlasError> {
    let mut candidates = candidates(table, &NAME_COLUMNS);
    candidates.retain(|&column| column != index);
    candidates.first().copied().ok_or_else(|| no_column(table, NAME_COLUMNS[0]))
}

/// Where a table has its colours.
enum ColorColumns {
    None,
    One(usize),
    Channels([usize; 3]),
}

impl ColorColumns {
    fn of(table: &Table) -> Self {
        let position = |names: &[&str]| candidates(table, names).first().copied();
        if let Some(column) = position(&["color", "colour"]) {
            return ColorColumns::One(column);
        }
        match (position(&["r", "red"]), position(&["g", "green"]), position(&["b", "blue"])) {
            (Some(red), Some(green), Some(blue)) => ColorColumns::Channels([red, green, blue]),
            _ => ColorColumns::None,
        }
    }

    fn color(&self, table: &Table, row: usize) -> Result<Option<String>, AtlasError> {
        let field = |column: usize| table.rows()[row][column].trim();
        match self {
            ColorColumns::None => Ok(None),
            ColorColumns::One(column) if !is_told(field(*column)) => Ok(None),
            ColorColumns::One(column) => match color(field(*column)) {
                Some(color) => Ok(Some(color)),
                None => Err(table.field_error(row, *column, COLOR).into()),
            },
            ColorColumns::Channels(columns) => {
                let mut color = "#".to_owned();
                for &column in columns {
                    let Ok(channel) = field(column).parse::<u8>() else {
                        return Err(table.field_error(row, column, "a whole number from 0 to 255").into());
                    };
                    color.push_str(&format!("{channel:02x}"));
                }
                Ok(Some(color))
            }
        }
    }
}

/// `#rrggbb`, also with an alpha behind it or as three numbers between commas.
fn color(text: &str) -> Option<String> {
    if let Some(hex) = text.strip_prefix('#') {
        let valid = matches!(hex.len(), 6 | 8) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        return valid.then(|| format!("#{}", hex[..6].to_ascii_lowercase()));
    }
    let channels: Vec<u8> = text.split(',').map(|channel| channel.trim().parse().ok()).collect::<Option<_>>()?;
    let [red, green, blue] = channels.as_slice() else { return None };
    Some(format!("#{red:02x}{green:02x}{blue:02x}"))
}
