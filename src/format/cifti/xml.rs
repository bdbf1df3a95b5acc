//! XML of strangers, element by element, in memory that the text bounds.
//!
//! Built on `quick-xml`, which reads events out of a slice and expands nothing but the five entities of the standard and
//! characters by number: a document that declares entities of its own is refused, so none can grow. Depth and attributes
//! are bounded here, and unknown elements are passed over without recursion.

use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// CIFTI files have elements within elements seven deep.
const MAX_DEPTH: usize = 16;
/// CIFTI's elements have at most seven attributes.
const MAX_ATTRIBUTES: usize = 16;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct XmlError {
    /// Bytes from the beginning of the document.
    pub offset: u64,
    pub reason: String,
}

/// The beginning of an element.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Element {
    pub name: String,
    offset: u64,
    attributes: Vec<(String, String)>,
}

impl Element {
    /// An attribute, if it is there.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// An attribute that must be there.
    pub fn required(&self, name: &str) -> Result<&str, XmlError> {
        self.optional(name).ok_or_else(|| self.error(format!("`{}` has no attribute `{name}`", self.name)))
    }

    /// An attribute that must be there and be a number.
    pub fn number<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<T, XmlError> {
        let text = self.required(name)?.trim();
        text.parse().map_err(|_| {
            let text: String = text.chars().take(40).collect();
            self.error(format!("attribute `{name}` of `{}` is {text:?}, expected {expected}", self.name))
        })
    }

    /// An error about this element.
    pub fn error(&self, reason: impl Into<String>) -> XmlError {
        XmlError { offset: self.offset, reason: reason.into() }
    }
}

/// Walks through a document.
pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
}

impl<'a> Xml<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Xml { reader, depth: 0 }
    }

    /// The next element inside the current one, which it becomes; at the end of the current one, none, and that is left.
    pub fn child(&mut self) -> Result<Option<Element>, XmlError> {
        loop {
            match self.event()? {
                Event::Start(start) => return self.enter(&start).map(Some),
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(self.error(format!("it ends inside an element at depth {}", self.depth))),
                _ => {}
            }
        }
    }

    /// Passes over the rest of the current element.
    pub fn skip(&mut self) -> Result<(), XmlError> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.child()?;
        }
        Ok(())
    }

    /// The text of the current element, which has no elements in it, and leaves it.
    pub fn text(&mut self, element: &Element) -> Result<String, XmlError> {
        let mut text = String::new();
        loop {
            match self.event()? {
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::CData(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(part) => match part.resolve_char_ref() {
                    Ok(Some(character)) => text.push(character),
                    _ => {
                        let known = resolve_predefined_entity(&part);
                        text.push_str(
                            known.ok_or_else(|| element.error("it refers to an unknown entity or character"))?,
                        );
                    }
                },
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(text);
                }
                Event::Start(_) => {
                    return Err(element.error(format!("`{}` holds an element, expected text", element.name)));
                }
                Event::Eof => return Err(element.error(format!("`{}` does not end", element.name))),
                _ => {}
            }
        }
    }

    /// An error about the place that was reached.
    pub fn error(&self, reason: impl Into<String>) -> XmlError {
        XmlError { offset: self.reader.buffer_position(), reason: reason.into() }
    }

    fn event(&mut self) -> Result<Event<'a>, XmlError> {
        match self.reader.read_event() {
            Ok(Event::DocType(_)) => Err(self.error("it declares a document type, which CIFTI does not have")),
            Ok(event) => Ok(event),
            Err(error) => Err(XmlError { offset: self.reader.error_position(), reason: error.to_string() }),
        }
    }

    fn enter(&mut self, start: &BytesStart<'a>) -> Result<Element, XmlError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error(format!("elements lie more than {MAX_DEPTH} deep in each other")));
        }
        let name = start.name().into_inner().to_owned();
        let mut element = Element { name, offset: self.reader.buffer_position(), attributes: Vec::new() };
        // The check for repeated attributes that comes with the iterator takes time quadratic in their number.
        for attribute in start.attributes().with_checks(false) {
            let attribute = attribute.map_err(|error| element.error(error.to_string()))?;
            let name = attribute.key.into_inner();
            if element.attributes.len() == MAX_ATTRIBUTES || element.optional(name).is_some() {
                return Err(element.error(format!("`{}` has too many or repeated attributes", element.name)));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| element.error(error.to_string()))?;
            let attribute = (name.to_owned(), value.into_owned());
            element.attributes.push(attribute);
        }
        Ok(element)
    }
}

/// Numbers separated by white space.
pub(super) fn numbers<T: std::str::FromStr>(element: &Element, text: &str, expected: &str) -> Result<Vec<T>, XmlError> {
    let number = |word: &str| {
        word.parse().map_err(|_| {
            let word: String = word.chars().take(40).collect();
            element.error(format!("`{}` holds {word:?}, expected {expected}", element.name))
        })
    };
    text.split_ascii_whitespace().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(document: &str) -> Result<String, XmlError> {
        let mut xml = Xml::new(document);
        let root = xml.child()?.ok_or_else(|| xml.error("it holds no element"))?;
        xml.text(&root)
    }

    #[test]
    fn text_is_put_together_from_its_parts() {
        assert_eq!(text_of("<a>x &amp; y&#x21;<!-- no --><![CDATA[<z>]]>\r\n</a>").unwrap(), "x & y!<z>\n");
        assert_eq!(text_of("<?xml version=\"1.0\"?>\n<a/>").unwrap(), "");
    }

    #[test]
    fn entities_of_the_document_are_refused() {
        let laughs = "<!DOCTYPE a [<!ENTITY l \"ha\"><!ENTITY m \"&l;&l;&l;&l;\">]><a>&m;</a>";
        assert!(text_of(laughs).unwrap_err().reason.contains("declares a document type"));
        assert!(text_of("<a>&m;</a>").unwrap_err().reason.contains("unknown entity"));
    }

    #[test]
    fn depth_and_attributes_are_bounded() {
        let deep = "<a>".repeat(100_000);
        let mut xml = Xml::new(&deep);
        xml.child().unwrap();
        assert!(xml.skip().unwrap_err().reason.contains("deep in each other"));
        let wide = format!("<a {}/>", (0..100_000).map(|n| format!("b{n}='' ")).collect::<String>());
        assert!(text_of(&wide).unwrap_err().reason.contains("too many or repeated attributes"));
        assert!(text_of("<a b='1' b='2'/>").unwrap_err().reason.contains("too many or repeated attributes"));
    }

    #[test]
    fn children_are_walked_and_passed_over() {
        let mut xml = Xml::new("<r><a><b/>text<c><d/></c></a><e n=' 7 '/></r>");
        assert_eq!(xml.child().unwrap().unwrap().name, "r");
        assert_eq!(xml.child().unwrap().unwrap().name, "a");
        xml.skip().unwrap();
        let e = xml.child().unwrap().unwrap();
        assert_eq!(e.number::<u8>("n", "a small number").unwrap(), 7);
        assert!(e.number::<u8>("m", "a small number").unwrap_err().reason.contains("no attribute `m`"));
        assert_eq!(xml.child().unwrap(), None);
        assert_eq!(xml.child().unwrap(), None);
        assert_eq!(xml.child().unwrap(), None);
    }

    #[test]
    fn documents_that_do_not_end_are_errors() {
        for document in ["<a>", "<a", "<a><b></b>", "<a>&#0;</a>", "<a></b>"] {
            assert!(text_of(document).is_err(), "{document}");
        }
    }
}
