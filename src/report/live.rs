//! The page that `hebb view` serves: how far a run is, and under it the report.
//!
//! Owns its frame; `scripts/live.js` asks for the state again and again and writes it down. Unlike a report it speaks to the server
//! that it came from, and to nothing else.

use super::{
    render::{Frame, framed},
    script::LIVE,
};
use maud::html;

/// Renders the page of a study whose state is at `state.json`, beside the page.
#[must_use]
pub fn render_live(study: &str, description: &str) -> String {
    let body = html! {
        header {
            p.kicker { "Live view" }
            h1 { (study) }
            @if !description.is_empty() { p.description { (description) } }
        }
        main id="content" tabindex="-1" {
            section.live aria-labelledby="state-title" {
                h2 id="state-title" { "State" }
                p.state role="status" { "Asking how far the study is." }
                progress.whole max="1" value="0" aria-label="Tasks that have ended" hidden="" {}
                div.failed hidden="" {}
                div.running hidden="" {}
                details {
                    summary { "Tasks by kind" }
                    div.scroll tabindex="0" role="region" aria-label="Tasks by kind" { table hidden="" { thead {} tbody {} } }
                }
                noscript { p.nothing { "How far a run is needs the page's script; the report below does not." } }
            }
            section.shown aria-labelledby="shown-title" {
                h2 id="shown-title" { "Report" }
                p.none.nothing { "No results yet: they are shown here as soon as a run has laid them out." }
                p.fine.open hidden="" { a href="" { "Open it by itself" } }
                iframe title="Report" hidden="" {}
            }
        }
    };
    framed(&Frame {
        title: study,
        kind: "live view",
        body: &body,
        foot: "Served from this machine to this machine alone, for as long as `hebb view` goes on.",
        scripts: vec![LIVE.to_owned()],
        speaks_to_server: true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_speaks_to_its_server_alone_and_names_are_escaped() {
        let page = render_live("<script>alert(1)</script>", "a & b");
        assert!(page.contains("&lt;script&gt;alert(1)") && page.contains("a &amp; b"));
        assert!(page.contains("connect-src 'self'") && page.contains("frame-src 'self'"));
        assert!(page.contains("default-src 'none'"));
    }
}
