//! From what a person types to one task: its name, the start of it, or a pattern.

use super::{error::CliError, words::counted};
use crate::plan::Plan;
use petgraph::graph::NodeIndex;

/// Names that a message lists.
const LISTED: usize = 5;

/// The task that `text` means: its name, the start of one name, or a pattern with `*` that fits one name.
///
/// # Errors
/// If it means none, with the nearest names, or several, with the first of them.
pub(super) fn find_task(plan: &Plan, text: &str) -> Result<NodeIndex, CliError> {
    let id = |place: NodeIndex| plan.node(place).id.as_str();
    if let Some(place) = plan.places().find(|place| id(*place) == text) {
        return Ok(place);
    }
    let means = |name: &str| if text.contains('*') { fits(text, name) } else { name.starts_with(text) };
    let meant: Vec<NodeIndex> = plan.places().filter(|place| !text.is_empty() && means(id(*place))).collect();
    match meant.as_slice() {
        [one] => Ok(*one),
        [] => {
            let mut names: Vec<&str> = plan.places().map(id).collect();
            // Sorted by what people get wrong: a letter, an order, a left-out part.
            names.sort_by_cached_key(|name| (-1e6 * strsim::jaro_winkler(name, text)) as i64);
            let nearest = names.iter().take(3).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            Err(CliError::Usage {
                message: format!("`{text}` is no task of this study"),
                hint: format!("the nearest are {nearest}; `hebb graph STUDY --by task` shows all"),
            })
        }
        several => {
            let mut list: Vec<String> = several.iter().take(LISTED).map(|place| format!("`{}`", id(*place))).collect();
            if several.len() > LISTED {
                list.push(format!("and {} more", several.len() - LISTED));
            }
            Err(CliError::Usage {
                message: format!("`{text}` means {}, expected one", counted(several.len(), "task")),
                hint: format!("write more of the name: {}", list.join(", ")),
            })
        }
    }
}

/// Whether a text is what a pattern says, `*` standing for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    // The first place of each part leaves most for the others, so no other has to be tried.
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Compute, Kind, TaskError, Workbench};
    use serde::Serialize;

    #[derive(Debug, Serialize)]
    struct Named(&'static str);

    impl Compute for Named {
        const KIND: Kind = Kind::Encode;

        fn memory_bytes(&self) -> u64 {
            1
        }

        fn compute(&self, _: &Workbench<'_>) -> Result<(), TaskError> {
            Ok(())
        }
    }

    fn found(text: &str) -> Result<&'static str, String> {
        let names =
            ["encode/sub-01/clip/patterns", "encode/sub-01/clip/patterns@n=2", "encode/sub-02/clip/x", "report"];
        let mut plan = Plan::default();
        for name in names {
            plan.add(name, Named(name), &[], Vec::new());
        }
        find_task(&plan, text).map(|place| names[place.index()]).map_err(|error| error.render(false))
    }

    #[test]
    fn names_starts_and_patterns_find_one_task() {
        assert_eq!(found("encode/sub-01/clip/patterns"), Ok("encode/sub-01/clip/patterns"), "though another starts so");
        assert_eq!(found("rep"), Ok("report"));
        assert_eq!(found("encode/sub-02"), Ok("encode/sub-02/clip/x"));
        assert_eq!(found("*sub-02*"), Ok("encode/sub-02/clip/x"));
        assert_eq!(found("encode/*/patterns"), Ok("encode/sub-01/clip/patterns"));
    }

    #[test]
    fn what_means_none_or_several_is_told_with_names() {
        let none = found("encode/sub-03/clip/x").expect_err("no such task");
        assert!(
            none.contains("`encode/sub-03/clip/x` is no task") && none.contains("nearest are `encode/sub-02/clip/x`")
        );
        let several = found("encode/sub-01").expect_err("two");
        assert!(
            several.contains("means 2 tasks, expected one") && several.contains("`encode/sub-01/clip/patterns@n=2`")
        );
        assert!(found("").is_err());
    }

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, is_fit) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abd", false),
            ("*", "", true),
            ("*b*b", "abcb", true),
            ("*b*b", "ab", false),
            ("a*a", "a", false),
            ("a", "a", true),
        ] {
            assert_eq!(fits(pattern, text), is_fit, "{pattern} {text}");
        }
    }
}
