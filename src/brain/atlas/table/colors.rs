//! Colour tables: a line for each label with index, name, red, green, blue and, mostly, alpha.
//!
//! FreeSurfer's `FreeSurferColorLUT.txt`, `Yeo2011_7Networks_ColorLUT.txt` and Schaefer's `..._order.txt` are such tables;
//! fields stand between tabs or blanks, `#` begins a comment. In a file without tabs names may hold blanks.

use std::path::Path;

use super::{IndexMeaning, LabelEntry, LabelTable, Refusal, TableFormat};
use crate::brain::atlas::AtlasError;

/// A line taken apart: index, name, and the numbers behind the name.
struct Row<'a> {
    line: u64,
    index: i32,
    fields: Vec<&'a str>,
}

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<LabelTable, Refusal> {
    let not_colors = |found: usize| {
        Refusal::OtherFormat(format!(
            "its lines need an index, a name and three or four numbers from 0 to 255, the first has {found} fields"
        ))
    };
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(Refusal::OtherFormat("its text must be UTF-8".to_owned()));
    };
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (line, text) in (1..).zip(text.split('\n')) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let fields: Vec<&str> = match text.contains('\t') {
            true => text.split('\t').map(str::trim).filter(|field| !field.is_empty()).collect(),
            false => text.split_whitespace().collect(),
        };
        let index = fields[0].parse::<i32>().ok().filter(|_| n_channels(&fields) >= 3);
        match index {
            Some(index) => rows.push(Row { line, index, fields }),
            None if rows.is_empty() => return Err(not_colors(fields.len())),
            None => {
                let reason = format!("`{}` is not index, name, red, green, blue, alpha", shortened(text));
                return Err(Refusal::Defect(AtlasError::Line { path: path.to_owned(), line, reason }));
            }
        }
    }
    if rows.is_empty() {
        return Err(Refusal::OtherFormat("it has no lines".to_owned()));
    }
    // A name may end in a number, so all lines decide together whether there is an alpha.
    let n_channels = if rows.iter().all(|row| n_channels(&row.fields) == 4) { 4 } else { 3 };
    let name = |row: &Row<'_>| row.fields[1..row.fields.len() - n_channels].join(" ");
    if rows.iter().all(|row| name(row).parse::<f64>().is_ok()) {
        return Err(Refusal::OtherFormat("its names must be more than numbers".to_owned()));
    }
    let entries = rows.into_iter().map(|row| {
        let channels = &row.fields[row.fields.len() - n_channels..];
        let color = channels[..3].iter().fold("#".to_owned(), |color, channel| {
            // The channels have been parsed once, when they were counted.
            color + &channel.parse::<u8>().map_or_else(|_| String::new(), |channel| format!("{channel:02x}"))
        });
        LabelEntry { index: row.index, name: name(&row), color: Some(color), line: row.line, fields: Vec::new() }
    });
    Ok(LabelTable {
        path: path.to_owned(),
        format: TableFormat::ColorTable,
        title: None,
        meaning: IndexMeaning::Label,
        columns: Vec::new(),
        entries: entries.collect(),
    })
}

/// How many fields at the end, at most four, are channels of a colour, if index and name are left.
fn n_channels(fields: &[&str]) -> usize {
    let behind_name = fields.get(2..).unwrap_or_default();
    behind_name.iter().rev().take(4).take_while(|field| field.parse::<u8>().is_ok()).count()
}

fn shortened(text: &str) -> String {
    text.chars().take(super::SHOWN_CHARACTERS).collect()
}
