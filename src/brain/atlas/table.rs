//! Tables that name the labels of an atlas, in the formats in which atlases are distributed.
//!
//! Owns what such a table says ([`LabelTable`]) and which format a file is in, by its content: TSV as in TemplateFlow and
//! BIDS (`columns`), colour tables of FreeSurfer, Yeo 2011 and Schaefer 2018 (`colors`), FSL's XML (`fsl`). What makes
//! a network of the entries is told in [`super::grouping`].

mod colors;
mod columns;
mod fsl;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::AtlasError;
use crate::format::tsv::TsvError;

/// Longest table read; FreeSurfer's, with 1300 labels, has 50 kilobytes.
const MAX_BYTES: u64 = 1 << 24;
/// Characters of a file's first line that an error shows.
const SHOWN_CHARACTERS: usize = 60;
/// Columns that say to which network a parcel belongs, the most telling first.
const NETWORK_COLUMNS: [&str; 3] = ["network", "network_label", "network_name"];

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Tab-separated with a header, as BIDS writes it.
    Tsv,
    /// Lines of index, name, red, green, blue, alpha, as FreeSurfer writes them.
    ColorTable,
    /// FSL's XML.
    FslXml,
    /// None of these: the table was made in memory, from the labels inside another file.
    Embedded,
}

impl fmt::Display for TableFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableFormat::Tsv => "TSV",
            TableFormat::ColorTable => "colour table",
            TableFormat::FslXml => "FSL XML",
            TableFormat::Embedded => "labels inside the image",
        })
    }
}

/// Why bytes are not read as a table of some format.
enum Refusal {
    /// They are of another.
    OtherFormat(String),
    /// They begin as one of this format and then do not go on as one.
    Defect(AtlasError),
}

impl<E: Into<AtlasError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Refusal::Defect(error.into())
    }
}

type Parse = fn(&Path, &[u8]) -> Result<LabelTable, Refusal>;

/// Formats that only reading tells apart.
const BY_READING: [(TableFormat, Parse); 2] =
    [(TableFormat::Tsv, columns::parse), (TableFormat::ColorTable, colors::parse)];

/// What the index of an entry counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexMeaning {
    /// The label in the image.
    Label,
    /// The volume among the probability maps, from 0; in the volume of the most probable labels the label is one more.
    Map,
    /// The table does not say which of the two.
    Unsaid,
}

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelEntry {
    /// The index, which counts what [`LabelTable::meaning`] says.
    pub index: i32,
    /// The name.
    pub name: String,
    /// The colour as `#rrggbb`.
    pub color: Option<String>,
    /// Line in the file, counted from 1.
    pub line: u64,
    /// The text in each of [`LabelTable::columns`], absent for `n/a`.
    pub fields: Vec<Option<String>>,
}

/// The names of the labels of an atlas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelTable {
    /// The file it came from.
    pub path: PathBuf,
    /// Its format.
    pub format: TableFormat,
    /// The name of the atlas, where the table says it.
    pub title: Option<String>,
    /// What the indices count.
    pub meaning: IndexMeaning,
    /// Columns of text, all of them for TSV, none for the other formats.
    pub columns: Vec<String>,
    /// The rows in the order of the file; no two have the same index.
    pub entries: Vec<LabelEntry>,
}

impl LabelTable {
    /// Reads a table in whatever format its content is in.
    ///
    /// # Errors
    /// If the file cannot be read, is too large, is in no known format or is defective in its own.
    pub fn read(path: &Path) -> Result<Self, AtlasError> {
        let io_error = |source| TsvError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io_error)?;
        let found_bytes = file.metadata().map_err(io_error)?.len();
        // What is told to be longer is not read at all; what is longer than it told is read as far as that.
        if found_bytes <= MAX_BYTES {
            file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(io_error)?;
        }
        if found_bytes.max(bytes.len() as u64) > MAX_BYTES {
            let found_bytes = found_bytes.max(bytes.len() as u64);
            return Err(AtlasError::TooLarge { path: path.to_owned(), found_bytes, limit_bytes: MAX_BYTES });
        }
        LabelTable::parse(path, &bytes)
    }

    /// Reads a table from bytes; `path` only serves the error messages.
    ///
    /// # Errors
    /// As [`LabelTable::read`].
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, AtlasError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let unreadable = |reasons: Vec<String>| AtlasError::NotATable {
            path: path.to_owned(),
            first_line: first_line(bytes),
            reasons,
        };
        if bytes.starts_with(b"\x1f\x8b") || bytes.contains(&0) {
            return Err(unreadable(vec![
                "it is binary: name the image as labels and the text beside it as table".to_owned(),
            ]));
        }
        let table = match bytes.trim_ascii_start().first() {
            Some(b'<') => fsl::parse(path, bytes)?,
            Some(b'{' | b'[') => {
                let reason = "it is JSON, which describes the columns: name the table beside it";
                return Err(unreadable(vec![reason.to_owned()]));
            }
            _ => LabelTable::of_text(path, bytes)?,
        };
        table.checked()
    }

    /// A table in the one format, of those that are told apart by reading them, in which it reads.
    fn of_text(path: &Path, bytes: &[u8]) -> Result<Self, AtlasError> {
        let (mut read, mut refused) = (Vec::new(), Vec::new());
        for (format, parse) in BY_READING {
            match parse(path, bytes) {
                Ok(table) => read.push(table),
                Err(refusal) => refused.push((format, refusal)),
            }
        }
        let unreadable =
            |reasons| AtlasError::NotATable { path: path.to_owned(), first_line: first_line(bytes), reasons };
        if let [one, .., other] = read.as_slice() {
            let reason = format!("it reads both as {} and as {}: add a header or remove it", one.format, other.format);
            return Err(unreadable(vec![reason]));
        }
        if let Some(table) = read.pop() {
            return Ok(table);
        }
        let is_defect = |(_, refusal): &(TableFormat, Refusal)| matches!(refusal, Refusal::Defect(_));
        if refused.iter().filter(|refused| is_defect(refused)).count() == 1
            && let Some(place) = refused.iter().position(is_defect)
            && let (_, Refusal::Defect(error)) = refused.swap_remove(place)
        {
            // A defect deep in a file that is clearly of one format is told as what it is.
            return Err(error);
        }
        let reason = |(format, refusal)| match refusal {
            Refusal::OtherFormat(reason) => format!("as {format} {reason}"),
            Refusal::Defect(error) => format!("as {format} {error}"),
        };
        Err(unreadable(refused.into_iter().map(reason).collect()))
    }

    /// A table of labels that stand in another file, such as the label table of a CIFTI image.
    ///
    /// # Errors
    /// If two entries have the same index.
    pub fn embedded(
        path: &Path,
        entries: impl IntoIterator<Item = (i32, String, Option<String>)>,
    ) -> Result<Self, AtlasError> {
        let entries = entries.into_iter().zip(1..).map(|((index, name, color), line)| LabelEntry {
            index,
            name,
            color,
            line,
            fields: Vec::new(),
        });
        let table = LabelTable {
            path: path.to_owned(),
            format: TableFormat::Embedded,
            title: None,
            meaning: IndexMeaning::Label,
            columns: Vec::new(),
            entries: entries.collect(),
        };
        table.checked()
    }

    fn checked(self) -> Result<Self, AtlasError> {
        let mut seen = std::collections::BTreeSet::new();
        match self.entries.iter().find(|entry| !seen.insert(entry.index)) {
            Some(entry) => {
                Err(AtlasError::RepeatedIndex { path: self.path.clone(), line: entry.line, index: entry.index })
            }
            None => Ok(self),
        }
    }

    /// The column that says to which network a parcel belongs, as position in [`LabelTable::columns`].
    ///
    /// `network`, `network_label` and `network_name` come first, then other columns of networks or communities; columns
    /// that say nothing in any row do not count.
    ///
    /// # Errors
    /// If several columns could be meant.
    pub fn network_column(&self) -> Result<Option<usize>, AtlasError> {
        let says_something = |column: &usize| self.entries.iter().any(|entry| entry.fields[*column].is_some());
        let position = |name: &&str| self.columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        if let Some(column) = NETWORK_COLUMNS.iter().filter_map(position).find(says_something) {
            return Ok(Some(column));
        }
        let could_say = |column: &usize| {
            let name = self.columns[*column].to_ascii_lowercase();
            let of_networks = ["network_", "community", "yeo_network"].iter().any(|start| name.starts_with(start));
            of_networks && name != "network_id"
        };
        let found: Vec<usize> = (0..self.columns.len()).filter(could_say).filter(says_something).collect();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(*one)),
            several => Err(AtlasError::Ambiguous {
                path: self.path.clone(),
                role: "the network",
                columns: several.iter().map(|&column| self.columns[column].clone()).collect(),
                hint: "say which with `networks = { column = \"...\" }`",
            }),
        }
    }

    /// The entries that name labels of an image, with the label as index; 0, which is background, is left out.
    ///
    /// # Errors
    /// If the table does not say whether its indices are labels.
    pub fn labels(&self) -> Result<Vec<LabelEntry>, AtlasError> {
        let shift = match self.meaning {
            IndexMeaning::Label => 0,
            IndexMeaning::Map => 1,
            IndexMeaning::Unsaid => {
                let reason = "it has no `<type>`: add `<type>Label</type>` to its header if the label is the index, \
                              `<type>Probabilistic</type>` if the label is one more than the index";
                return Err(AtlasError::Xml { path: self.path.clone(), reason: reason.to_owned() });
            }
        };
        let mut labels = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let index = entry.index.checked_add(shift).ok_or_else(|| AtlasError::Line {
                path: self.path.clone(),
                line: entry.line,
                reason: format!("index {} leaves no room for a label above it", entry.index),
            })?;
            if index != 0 {
                labels.push(LabelEntry { index, ..entry.clone() });
            }
        }
        Ok(labels)
    }

    /// The entries of `n_maps` probability maps, with the volume counted from 0 as index, in the order of the volumes.
    ///
    /// Rows may count from 0 or from 1, with or without a row 0 for the background.
    ///
    /// # Errors
    /// If there is not one row for each map; `image` only serves the message.
    pub fn maps(&self, image: &Path, n_maps: usize) -> Result<Vec<LabelEntry>, AtlasError> {
        let mut maps = self.entries.clone();
        maps.sort_by_key(|entry| entry.index);
        let counts_from = |first: usize| {
            let mut rows = maps.iter().zip(first..);
            rows.all(|(entry, index)| usize::try_from(entry.index) == Ok(index))
        };
        let (skipped, fits) = match maps.len() {
            n_rows if n_rows == n_maps => (0, counts_from(0) || (self.meaning != IndexMeaning::Map && counts_from(1))),
            n_rows if n_rows == n_maps + 1 => (1, self.meaning != IndexMeaning::Map && counts_from(0)),
            _ => (0, false),
        };
        if !fits {
            let numbers = match (maps.first(), maps.last()) {
                (Some(first), Some(last)) => format!("{} to {} ({} rows)", first.index, last.index, maps.len()),
                _ => "not at all (0 rows)".to_owned(),
            };
            let (image, table) = (image.to_owned(), self.path.clone());
            return Err(AtlasError::OtherMaps { image, n_maps, table, numbers });
        }
        maps.drain(..skipped);
        for (entry, volume) in maps.iter_mut().zip(0..) {
            entry.index = volume;
        }
        Ok(maps)
    }
}

fn first_line(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).find(|line| !line.trim_ascii().is_empty());
    let shown = line.unwrap_or_default();
    let text: String = String::from_utf8_lossy(&shown[..shown.len().min(4 * SHOWN_CHARACTERS)])
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(SHOWN_CHARACTERS)
        .collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests;
