//! FSL's XML, as `HarvardOxford-Cortical.xml`: a name, a type and one `<label>` for each region.
//!
//! In an atlas of type `Probabilistic` the index is the volume among the probability maps, and the label in the volume of
//! the most probable regions is one more; in one of type `Label` the index is the label. Documents are read without a DTD,
//! so that nothing in them can be an entity that grows.

use std::borrow::Cow;
use std::path::Path;

use roxmltree::{Document, Node, ParsingOptions};

use super::{IndexMeaning, LabelEntry, LabelTable, TableFormat};
use crate::brain::atlas::AtlasError;

/// Most elements and texts of a document; the largest atlas of FSL has some thousands.
const MAX_NODES: u32 = 1 << 20;

pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<LabelTable, AtlasError> {
    let error = |reason: String| AtlasError::Xml { path: path.to_owned(), reason };
    let text = decoded(bytes).ok_or_else(|| error("it is neither UTF-8 nor declared as ISO-8859-1".to_owned()))?;
    let options = ParsingOptions { nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(&text, options).map_err(|source| error(source.to_string()))?;
    let root = document.root_element();
    let data = match root.tag_name().name() {
        "atlas" => child(root, "data"),
        "data" => Some(root),
        _ => None,
    };
    let data = data.ok_or_else(|| {
        error(format!("its root is `<{}>`, expected `<atlas>` with `<data>` inside", root.tag_name().name()))
    })?;
    let header = child(root, "header");
    let header_text = |name| header.and_then(|header| child(header, name)).and_then(|node| told(node.text()));
    let mut entries = Vec::new();
    let (mut counted, mut line) = (0, 1);
    for node in data.children().filter(|node| node.has_tag_name("label")) {
        // Nodes come in the order of the text, so that each line break is counted once.
        let start = node.range().start;
        line += text.as_bytes()[counted..start].iter().filter(|&&byte| byte == b'\n').count() as u64;
        counted = start;
        entries.push(entry(path, node, line)?);
    }
    if entries.is_empty() {
        return Err(error("it has no `<label>`".to_owned()));
    }
    Ok(LabelTable {
        path: path.to_owned(),
        format: TableFormat::FslXml,
        title: header_text("name"),
        meaning: match header_text("type") {
            None => IndexMeaning::Unsaid,
            // FSL's own files spell it `Probabalistic`.
            Some(text) if text.to_ascii_lowercase().starts_with("prob") => IndexMeaning::Map,
            Some(text) if text.eq_ignore_ascii_case("label") => IndexMeaning::Label,
            Some(text) => {
                return Err(error(format!("its type is `{text}`, expected `Probabilistic` or `Label`")));
            }
        },
        columns: Vec::new(),
        entries,
    })
}

fn entry(path: &Path, node: Node<'_, '_>, line: u64) -> Result<LabelEntry, AtlasError> {
    let error = |reason: String| AtlasError::Line { path: path.to_owned(), line, reason };
    let index = node.attribute("index").ok_or_else(|| error("`<label>` has no attribute `index`".to_owned()))?;
    let index = index
        .trim()
        .parse::<i32>()
        .ok()
        .filter(|index| *index >= 0)
        .ok_or_else(|| error(format!("`index` is `{index}`, expected a whole number from 0")))?;
    let name = told(node.text()).ok_or_else(|| error(format!("label {index} has no name")))?;
    let is_color =
        |text: &&str| text.len() == 7 && text.starts_with('#') && text[1..].bytes().all(|b| b.is_ascii_hexdigit());
    let color = node.attribute("color").filter(is_color).map(str::to_ascii_lowercase);
    Ok(LabelEntry { index, name, color, line, fields: Vec::new() })
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

fn told(text: Option<&str>) -> Option<String> {
    let words: Vec<&str> = text?.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn decoded(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Some(Cow::Borrowed(text));
    }
    let declaration = bytes.split(|byte| *byte == b'>').next().unwrap_or_default().to_ascii_lowercase();
    let latin = declaration.windows(10).any(|window| window == b"iso-8859-1");
    // The bytes of Latin-1 are the first 256 characters of Unicode.
    latin.then(|| Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()))
}
