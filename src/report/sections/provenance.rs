//! How the results came to be, and how to open them elsewhere.
//!
//! Owns the methods text, the tables of tasks, engines and seeds, the spec, and the examples in Python, which are
//! written for the study's own files.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, html};

use super::{nothing, prose, table};
use crate::report::number;
use crate::report::page::{OutputFile, Page, Provenance, Task};
use crate::report::references::cited;

/// Tasks listed one by one.
const MAX_TASKS: usize = 2000;

/// The methods as given.
pub(in crate::report) fn methods(page: &Page) -> Markup {
    html! {
        @if page.methods.is_empty() {
            (nothing("No methods text was written for this study."))
        }
        @for paragraph in &page.methods {
            p { (prose(paragraph)) }
        }
        @let works = cited(&page.methods);
        @if !works.is_empty() {
            h3 { "References" }
            ul.references { @for work in works { li { (work.in_words()) } } }
        }
    }
}

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    of(&page.provenance)
}

/// The same of a run that has no page.
pub(in crate::report) fn of(provenance: &Provenance) -> Markup {
    html! {
        (tasks(&provenance.tasks, &provenance.graph))
        (versions(provenance))
        h3 { "The study file" }
        details {
            summary { "The spec, as written" }
            pre tabindex="0" { code { (provenance.spec) } }
        }
        h3 { "Opening the results elsewhere" }
        (files(&provenance.files))
    }
}

/// What tasks of one kind cost.
#[derive(Default)]
struct Cost {
    n_tasks: usize,
    run_time_s: f64,
}

fn tasks(tasks: &[Task], graph: &str) -> Markup {
    let mut kinds: BTreeMap<&str, Cost> = BTreeMap::new();
    for task in tasks {
        let cost = kinds.entry(&task.kind).or_default();
        cost.n_tasks += 1;
        cost.run_time_s += task.run_time_s.filter(|seconds| seconds.is_finite()).unwrap_or(0.0);
    }
    let body = html! {
        @for (kind, cost) in &kinds {
            tr {
                th scope="row" { (kind) }
                td.number { (number::count(cost.n_tasks)) }
                td.number { (number::duration(cost.run_time_s)) }
            }
        }
    };
    html! {
        h3 { "Tasks" }
        @if tasks.is_empty() {
            (nothing("No tasks are recorded."))
        } @else {
            (table("Tasks by kind", &["kind", "tasks", "computing time"], body))
            @if !graph.is_empty() {
                details {
                    summary { "What flows between them" }
                    div.scroll tabindex="0" role="region" aria-label="Kinds of tasks and what flows between them" {
                        img.graph src=(format!("data:image/svg+xml;base64,{}", STANDARD.encode(graph)))
                            alt="Kinds of tasks as boxes with their number, and arrows from each to what needs it; the table above has the same numbers.";
                    }
                }
            }
            details {
                summary { "All " (number::counted(tasks.len(), "task", "tasks")) }
                (task_list(tasks))
            }
        }
    }
}

fn task_list(tasks: &[Task]) -> Markup {
    let body = html! {
        @for task in tasks.iter().take(MAX_TASKS) {
            tr {
                th scope="row" { (task.id) }
                td { (task.kind) }
                td { code { (task.key) } }
                td.number { (task.run_time_s.map_or(number::ABSENT.to_owned(), number::duration)) }
                td { (task.state.words()) }
            }
        }
    };
    html! {
        (table("All tasks", &["task", "kind", "key", "time", "result"], body))
        @if tasks.len() > MAX_TASKS {
            p.fine { (number::count(tasks.len() - MAX_TASKS)) " more tasks are not listed here." }
        }
    }
}

fn versions(provenance: &Provenance) -> Markup {
    html! {
        div.panels {
            div {
                h3 { "Engines" }
                @if provenance.engines.is_empty() { (nothing("No engine is recorded.")) }
                dl {
                    @for engine in &provenance.engines { div { dt { (engine.name) } dd { (engine.version) } } }
                }
            }
            div {
                h3 { "Seeds" }
                @if provenance.seeds.is_empty() { (nothing("Nothing in this study is drawn at random.")) }
                dl {
                    @for seed in &provenance.seeds { div { dt { (seed.name) } dd { (seed.value) } } }
                }
            }
        }
    }
}

fn files(files: &[OutputFile]) -> Markup {
    let examples = examples(files);
    let body = html! {
        @for file in files {
            tr { th scope="row" { code { (file.path) } } td { (file.holds) } }
        }
    };
    html! {
        @if files.is_empty() {
            (nothing("No result file is listed. Arrays are .npy, tables are .tsv, maps are NIfTI."))
        } @else {
            (table("Result files", &["file", "what it holds"], body))
        }
        @if !examples.is_empty() {
            p { "Paths are relative to this page. In Python:" }
            pre tabindex="0" { code { (examples) } }
        }
    }
}

/// Python that opens the first file of each kind.
fn examples(files: &[OutputFile]) -> String {
    let first = |ends: &[&str]| files.iter().find(|file| ends.iter().any(|end| file.path.ends_with(end)));
    let mut blocks = Vec::new();
    if let Some(file) = first(&[".npy"]) {
        let path = python_string(&file.path);
        blocks.push(format!("import numpy as np\narray = np.load({path}, mmap_mode=\"r\")"));
    }
    if let Some(file) = first(&[".tsv"]) {
        let path = python_string(&file.path);
        blocks.push(format!("import pandas as pd\ntable = pd.read_csv({path}, sep=\"\\t\", na_values=\"n/a\")"));
    }
    if let Some(file) = first(&[".nii", ".nii.gz"]) {
        let path = python_string(&file.path);
        blocks.push(format!(
            "from nilearn import image, plotting\nscores = image.load_img({path})\nplotting.view_img(scores)"
        ));
    }
    blocks.join("\n\n")
}

/// A Python string literal for any text.
fn python_string(text: &str) -> String {
    let mut literal = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => literal.extend(['\\', character]),
            control if control.is_control() => literal.push_str(&format!("\\x{:02x}", u32::from(control))),
            plain => literal.push(plain),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> OutputFile {
        OutputFile { path: path.into(), holds: String::new() }
    }

    #[test]
    fn examples_follow_the_files() {
        assert_eq!(examples(&[]), "");
        let text = examples(&[file("maps/r.nii.gz"), file("scores.tsv")]);
        assert!(text.contains("image.load_img(\"maps/r.nii.gz\")") && text.contains("pd.read_csv(\"scores.tsv\""));
        assert!(!text.contains("numpy"));
    }

    #[test]
    fn paths_cannot_leave_their_literal() {
        assert_eq!(python_string("a\"); x(\\\n"), "\"a\\\"); x(\\\\\\x0a\"");
    }
}
