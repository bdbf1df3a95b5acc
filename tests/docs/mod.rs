//! README and the pages of `docs/` as a reader has them: every command is run, every output compared, every study checked.
//!
//! A page is a story, told from top to bottom in one sandbox (`sandbox.rs`): a copy of `experiments/`, a home and a cache of its own, the
//! built program first on the `PATH`, no network. [`PAGES`] says what its reader has when it begins. These tests want a build with
//! optimisation, as `make test` makes; without it the quickstart alone takes a quarter of an hour. The shell's own commands are
//! GNU's, so that this is for Linux.
//!
//! # What a page may hold
//!
//! | block | what is done with it |
//! |---|---|
//! | with lines `$ COMMAND` | each command is run; what follows is compared with what it prints, errors included (`compare.rs`) |
//! | `sh` | each line is run, and prints what it likes |
//! | `toml` | a study is checked; a piece is joined to the quickstart, or to the study of `into:`, and checked; settings are read |
//! |   | (only files that come from the reader may be missing) |
//! | `json`, `jsonl`, `bib` | read |
//! | `python` | compiled, and run where what it imports is there |
//! | anything else | needs `printed by:` or `write:`, or an entry in `elsewhere.rs` |
//!
//! A command goes on in the next line after a backslash. A command ends with 0 unless an `error:` is shown. `mask.rs` says what may
//! differ: times, sizes, digests, dates, processes, ports, folders. A line of `...` or `…` stands for any lines.
//!
//! What happens between blocks, since the text tells the reader to do it or since something befalls them, is said in comments that
//! Markdown does not show, before the block, one wish a comment or a line:
//!
//! ```text
//! <!-- test edit FILE: OLD -> NEW -->     the reader's edit; OLD must be there exactly once
//! <!-- test sh: COMMAND -->               run first; must end well
//! <!-- test write: FILE -->               the block is what the reader writes into FILE
//! <!-- test into: STUDY -->               the block is a piece of this study
//! <!-- test refused: WORDS -->            the block is wrong on purpose, and these words are said of it
//! <!-- test printed by: COMMAND -->       the block is the output of this command
//! <!-- test alike: REASON -->             figures are of another machine or moment: the form is compared, not the numbers
//! <!-- test during: COMMAND -->           runs while the block's commands are tried, until what they print has the form shown
//! ```
//!
//! What no test can run is listed in `elsewhere.rs` with its reason and the script or test that does run it.
//!
//! # When a page is wrong
//!
//! `HEBB_DOCS_REWRITE=1 cargo test --release docs` writes what was printed into the pages, elisions kept; look at the difference
//! before committing it.

mod compare;
mod contents;
mod elsewhere;
mod links;
mod mask;
mod options;
mod page;
mod paths;
mod sandbox;
mod story;

use elsewhere::{ELSEWHERE, elsewhere};
use page::{Page, names, root};
use sandbox::Begin;
use std::fs;

/// An untrained METER of full size in a folder, by a study that needs little else.
const METER: &str = r#"cat >meter.toml <<'STUDY'
[study]
name = "meter"

[runs]
train = ["1", "2"]
test = ["3"]

[stimuli.generate]
images_per_run = 4
image_size_px = 32

[models.meter.random]
architecture = "meter"

[models.clip.random]
vision = { layers = 1, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 }
text = { layers = 1, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 }

[bold.simulate]
subjects = ["sub-01"]
repetition_time_s = 1.5
model = "clip"

[bold.simulate.brain]
shape = [10, 12, 9]
voxel_size_mm = 12.0
networks.visual = { module = "vision", layers = [0] }

[patterns.dictionary]
n_patterns = 2
penalty = 0.15

[encoding.ridge]
alphas = [1, 10]
STUDY
hebb inputs meter.toml --out models
rm -r cache"#;

/// A test for each page with commands or studies, and the table of them.
macro_rules! pages {
    ($($test:ident: $page:literal, $begin:ident, $beforehand:expr;)*) => {
        /// Pages, with what their readers have when they begin, and what is done beforehand for files that they bring.
        const PAGES: &[(&str, Begin, &str)] = &[$(($page, Begin::$begin, $beforehand)),*];

        $(
            #[test]
            #[cfg_attr(debug_assertions, ignore = "takes an optimised build: cargo test --release docs")]
            fn $test() {
                let (page, begin, beforehand) = PAGES.iter().find(|(page, ..)| *page == $page).expect("the table has it");
                story::tell(page, *begin, beforehand);
            }
        )*
    };
}

pages! {
    readme_is_true: "README.md", Fresh, "";
    brains_is_true: "docs/brains.md", QuickstartRan, "";
    clusters_is_true: "docs/clusters.md", QuickstartRan, "";
    files_is_true: "docs/files.md", QuickstartRan, "";
    following_is_true: "docs/following.md", Fresh, "";
    keeping_is_true: "docs/keeping.md", QuickstartRan, "";
    models_is_true: "docs/models.md", Fresh, METER;
    regressions_is_true: "docs/regressions.md", QuickstartRan, "";
    results_is_true: "docs/results.md", QuickstartRan, "";
    settings_is_true: "docs/settings.md", QuickstartRan, "";
    settings_reference_is_true: "docs/settings-reference.md", QuickstartRan, "";
    sharing_is_true: "docs/sharing.md", QuickstartRan, "";
    tutorial_is_true: "docs/tutorial.md", Fresh, "";
    studies_is_true: "docs/studies.md", QuickstartRan, "";
}

#[test]
fn every_page_with_a_block_is_tried() {
    let tried: Vec<&str> = PAGES.iter().map(|(page, ..)| *page).collect();
    for name in names() {
        let page = Page::read(&name);
        let listed = tried.contains(&name.as_str());
        if elsewhere(&name).is_some() {
            assert!(!listed, "{name} is tried here: take it out of tests/docs/elsewhere.rs");
            continue;
        }
        assert!(page.blocks.is_empty() || listed, "{name} is not in the table of tests/docs/mod.rs");
        assert!(
            !page.blocks.is_empty() || !listed,
            "{name} has no block any more: take it out of the table of tests/docs/mod.rs"
        );
    }
}

#[test]
fn what_pages_make_is_in_the_makefile() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("committed");
    let mut n_named = 0;
    for name in names() {
        let page = Page::read(&name);
        let commands = page.commands().into_iter().map(|command| (command.line, command.text));
        for (line, code) in page.inline_code().into_iter().chain(commands) {
            let Some(target) = code.strip_prefix("make ").and_then(|rest| rest.split_whitespace().next()) else {
                continue;
            };
            n_named += 1;
            assert!(makefile.contains(&format!("\n{target}:")), "{name}:{line}: there is no `make {target}`");
        }
    }
    assert!(n_named > 8, "{n_named}");
}

#[test]
fn what_is_tried_elsewhere_is_in_a_page_and_is_tried_there() {
    let pages: Vec<Page> = names().iter().map(|name| Page::read(name)).collect();
    for entry in ELSEWHERE {
        let shown = pages.iter().any(|page| {
            let commands = page.commands().into_iter().map(|command| command.text);
            let firsts = page.blocks.iter().filter_map(|block| block.lines.first().cloned());
            let name = [page.name.clone()];
            commands.chain(firsts).chain(name).any(|text| text.starts_with(entry.begins))
        });
        assert!(shown, "no page has `{}` any more: take it out of tests/docs/elsewhere.rs", entry.begins);
        assert!(!entry.why.is_empty(), "`{}`: why can no test run it?", entry.begins);
        let text = fs::read_to_string(root().join(entry.by)).unwrap_or_else(|error| panic!("{}: {error}", entry.by));
        assert!(
            text.contains(entry.words),
            "{} does not say `{}`, which tries `{}`",
            entry.by,
            entry.words,
            entry.begins
        );
    }
}
