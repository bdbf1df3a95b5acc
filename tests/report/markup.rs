//! A reader of tags, just strict enough to notice broken markup: balance, unique ids, attributes.

use std::collections::HashSet;

const VOID: [&str; 4] = ["meta", "img", "br", "input"];

/// A start or end tag.
struct Tag<'a> {
    name: &'a str,
    end: bool,
    attributes: Vec<(&'a str, &'a str)>,
}

/// Tags in order, or what is wrong with the first broken one.
fn tags(html: &str) -> Result<Vec<Tag<'_>>, String> {
    let mut rest = html.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?;
    let mut tags = Vec::new();
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let end = rest.starts_with('/');
        let text = rest.trim_start_matches('/');
        let name_length = text.find(|c: char| !c.is_ascii_alphanumeric()).ok_or("a tag that never ends")?;
        let name = &text[..name_length];
        if name.is_empty() {
            return Err(format!("a `<` that starts no tag: {text:.40}"));
        }
        let (attributes, after) = attributes(&text[name_length..])?;
        tags.push(Tag { name, end, attributes });
        // Style sheets and scripts are not markup.
        rest = match name {
            "style" if !end => &after[after.find("</style>").ok_or("an open style")?..],
            "script" if !end => &after[after.find("</script>").ok_or("an open script")?..],
            _ => after,
        };
    }
    Ok(tags)
}

type Attributes<'a> = Vec<(&'a str, &'a str)>;

/// Attributes up to the closing `>`, and what follows it.
fn attributes(mut text: &str) -> Result<(Attributes<'_>, &str), String> {
    let mut attributes = Vec::new();
    loop {
        text = text.trim_start();
        if let Some(after) = text.strip_prefix('>') {
            return Ok((attributes, after));
        }
        let equals = text.find("=\"").ok_or_else(|| format!("an attribute without a value: {text:.40}"))?;
        let name = &text[..equals];
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("a malformed attribute name: `{name:.40}`"));
        }
        text = &text[equals + 2..];
        let close = text.find('"').ok_or("an attribute value that never ends")?;
        attributes.push((name, &text[..close]));
        text = &text[close + 1..];
    }
}

/// Checks that tags balance, that no attribute is doubled, that ids are unique and that local links have a target.
pub fn check(html: &str) -> Result<(), String> {
    let mut open = Vec::new();
    let (mut ids, mut targets) = (HashSet::new(), Vec::new());
    for tag in tags(html)? {
        let mut names = HashSet::new();
        for (name, value) in tag.attributes {
            if !names.insert(name) {
                return Err(format!("`{}` has two `{name}`", tag.name));
            }
            match name {
                "id" if !ids.insert(value) => {
                    return Err(format!("two elements with the id `{value}`"));
                }
                "href" if value.starts_with('#') => targets.push(&value[1..]),
                "aria-labelledby" => targets.push(value),
                "fill" if value.starts_with("url(#") => targets.push(value[5..].trim_end_matches(')')),
                _ => {}
            }
        }
        if tag.end {
            let expected = open.pop();
            if expected != Some(tag.name) {
                return Err(format!("`{}` closes {expected:?}", tag.name));
            }
        } else if !VOID.contains(&tag.name) {
            open.push(tag.name);
        }
    }
    if let Some(target) = targets.into_iter().find(|target| !ids.contains(target)) {
        return Err(format!("a link to `#{target}`, which is not there"));
    }
    if open.is_empty() { Ok(()) } else { Err(format!("never closed: {open:?}")) }
}

/// Names of the elements, in order.
pub fn elements(html: &str) -> Vec<&str> {
    let tags = tags(html).expect("well formed");
    tags.into_iter().filter(|tag| !tag.end).map(|tag| tag.name).collect()
}

/// Attributes that could make a browser fetch something.
pub fn references(html: &str) -> Vec<(&str, &str)> {
    let fetching = ["src", "href", "srcset", "data", "poster", "action", "background", "formaction"];
    let tags = tags(html).expect("well formed");
    tags.into_iter().flat_map(|tag| tag.attributes).filter(|(name, _)| fetching.contains(name)).collect()
}

/// The page without what it runs; the data that it holds stay.
pub fn without_programs(html: &str) -> String {
    let mut pieces = html.split("<script>");
    let first = pieces.next().unwrap_or_default().to_owned();
    let rest = pieces.map(|piece| &piece[piece.find("</script>").expect("a script ends")..]);
    rest.fold(first, |text, piece| text + "<script>" + piece)
}

/// The page without the data of its pictures.
pub fn without_pictures(html: &str) -> String {
    let mut html = html.to_owned();
    for kind in ["data:image/png;base64,", "data:image/svg+xml;base64,"] {
        let mut pieces = html.split(kind);
        let first = pieces.next().unwrap_or_default().to_owned();
        let rest = pieces.map(|piece| &piece[piece.find('"').expect("an attribute ends")..]);
        html = rest.fold(first, |text, piece| text + piece);
    }
    html
}
