//! What a page runs: our scripts and the vendored libraries, inside the page.
//!
//! Owns which page needs what, and the policy that lets nothing else run or be loaded. The libraries are byte for byte those of the
//! npm registry, see `vendored/`.

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::digest::{SHA256, digest};

/// Vega, Vega-Lite and what puts them into a page, in the order in which they load.
pub(super) const CHARTS: [&str; 3] = [
    include_str!("vendored/vega.min.js"),
    include_str!("vendored/vega-lite.min.js"),
    include_str!("vendored/vega-embed.min.js"),
];
/// The look of charts.
pub(super) const THEME: &str = include_str!("scripts/theme.js");
const DRAW_CHARTS: &str = include_str!("scripts/charts.js");
const NIIVUE: &str = include_str!("vendored/niivue.umd.js");
const SHOW_MAPS: &str = include_str!("scripts/viewer.js");
/// Asks the server how far a run is.
pub(super) const LIVE: &str = include_str!("scripts/live.js");

/// What a page has that needs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Needs {
    charts: bool,
    viewer: bool,
}

impl Needs {
    /// Read off the markup of a page, in which only our own elements can have these classes.
    pub(super) fn of(markup: &str) -> Self {
        Self { charts: markup.contains("<figure class=\"chart\""), viewer: markup.contains("<div class=\"viewer\"") }
    }
}

/// The scripts of a page, in order.
pub(super) fn scripts(needs: Needs) -> Vec<String> {
    let mut scripts: Vec<&str> = Vec::new();
    if needs.charts {
        scripts.extend(CHARTS);
        scripts.extend([THEME, DRAW_CHARTS]);
    }
    if needs.viewer {
        scripts.extend([NIIVUE, SHOW_MAPS]);
    }
    // In a string of a script this is the same text, and it does not end the element.
    scripts.into_iter().map(|script| script.replace("</script", "<\\/script")).collect()
}

/// What a page may do: run these scripts, and show what it holds. Nothing is loaded from anywhere, but for a page that speaks to its
/// server from there.
pub(super) fn policy(scripts: &[String], speaks_to_server: bool) -> String {
    let from = if speaks_to_server { "connect-src 'self'; frame-src 'self'" } else { "connect-src data: blob:" };
    let mut policy = format!(
        "default-src 'none'; img-src data: blob:; {from}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    );
    if !scripts.is_empty() {
        policy.push_str("; script-src");
        for script in scripts {
            policy.push_str(&format!(" 'sha256-{}'", STANDARD.encode(digest(&SHA256, script.as_bytes()))));
        }
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("vendored/vendored.tsv");
    const FILES: [(&str, &str); 4] = [
        ("vega.min.js", CHARTS[0]),
        ("vega-lite.min.js", CHARTS[1]),
        ("vega-embed.min.js", CHARTS[2]),
        ("niivue.umd.js", NIIVUE),
    ];

    #[test]
    fn vendored_files_are_those_of_the_registry() {
        let mut seen = 0;
        for line in MANIFEST.lines().skip(1) {
            let cells: Vec<&str> = line.split('\t').collect();
            let (_, text) = FILES.iter().find(|(name, _)| *name == cells[4]).expect("a vendored file is listed here");
            let found: String =
                digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, cells[5], "{}", cells[4]);
            seen += 1;
        }
        assert_eq!(seen, FILES.len());
    }

    #[test]
    fn a_page_without_charts_runs_nothing() {
        let scripts = scripts(Needs::of("<p>text</p>"));
        assert!(scripts.is_empty() && !policy(&scripts, false).contains("script-src"));
    }

    #[test]
    fn no_script_ends_its_own_element() {
        assert!(scripts(Needs { charts: true, viewer: true }).iter().all(|script| !script.contains("</script")));
    }
}
