//! Every relative link of the pages for readers leads somewhere: to a file or folder that is there, and to a heading of it. It does
//! not know of links into the web, which nothing here may ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// `README.md`, the cache's own page and every page of `docs/`, by name.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = fs::read_dir("docs")
        .expect("the documentation")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.extend(["README.md".into(), "cache/README.md".into()]);
    pages.sort();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        (!is_code && !is_fence).then_some((at + 1, line))
    })
}

/// A line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

/// Where the links of a line lead, pictures among them.
fn targets(line: &str) -> Vec<String> {
    let line = without_code(line);
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page as GitHub makes them of headings: small letters, no punctuation, hyphens for spaces, numbers for repeats.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text) {
        let Some(heading) = line.strip_prefix('#') else { continue };
        let anchor: String = heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'))
            .map(|letter| if letter == ' ' { '-' } else { letter })
            .collect();
        let earlier = seen.entry(anchor.clone()).or_default();
        anchors.insert(if *earlier == 0 { anchor } else { format!("{anchor}-{earlier}") });
        *earlier += 1;
    }
    anchors
}

/// What is wrong with the links of a page, a line each.
fn broken(page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().expect("a file");
    let mut faults = Vec::new();
    for (number, line) in prose(text) {
        for target in targets(line) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let path = if file.is_empty() { page.to_owned() } else { folder.join(file) };
            let place = format!("{}:{number}: `{target}`", page.display());
            if !file.is_empty() && !path.exists() {
                faults.push(format!("{place}: there is no `{}`", path.display()));
            } else if !anchor.is_empty() {
                let there =
                    if file.is_empty() { text.to_owned() } else { fs::read_to_string(&path).unwrap_or_default() };
                if !anchors(&there).contains(anchor) {
                    faults.push(format!("{place}: `{}` has no heading for `#{anchor}`", path.display()));
                }
            }
        }
    }
    faults
}

#[test]
fn every_relative_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let mut n_links = 0;
    let mut faults = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).expect("text");
        n_links += prose(&text).map(|(_, line)| targets(line).len()).sum::<usize>();
        faults.extend(broken(&page, &text));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(n_links > 50, "{n_links} links were found");
}

#[test]
fn every_page_is_listed_in_the_table_of_contents() {
    let contents = fs::read_to_string("docs/README.md").expect("the table of contents");
    let listed: BTreeSet<String> = prose(&contents).flat_map(|(_, line)| targets(line)).collect();
    for page in pages().iter().filter(|page| page.starts_with("docs") && !page.ends_with("README.md")) {
        let name = page.file_name().expect("a file").to_string_lossy();
        assert!(listed.contains(&*name), "docs/README.md does not list `{name}`");
    }
}

#[test]
fn links_that_lead_nowhere_are_found() {
    let text = "# A `b`: c\n[one](#a-b-c) [two](#a-b) `[code](none)` ![three](none.png)\n```text\n[four](none)\n```\n[five](../README.md#none)\n";
    let faults = broken(Path::new("docs/page.md"), text);
    let expected = [
        "docs/page.md:2: `#a-b`: `docs/page.md` has no heading for `#a-b`",
        "docs/page.md:2: `none.png`: there is no `docs/none.png`",
        "docs/page.md:6: `../README.md#none`: `docs/../README.md` has no heading for `#none`",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn headings_that_are_repeated_have_numbered_anchors() {
    assert_eq!(
        anchors("## Page\n### Page\n```\n# no heading\n```\n"),
        BTreeSet::from(["page".into(), "page-1".into()])
    );
}
