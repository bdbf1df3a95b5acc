//! The page of a run that did not come to its end: what failed and why, what waits for it, and how far everything else is.
//!
//! Owns [`Failure`] and [`render_failure()`]. It stands beside the report of an earlier run and never in its place.

use super::{
    number,
    page::{Provenance, TaskState},
    render::document,
    sections::{prose, provenance, table},
};
use maud::html;

/// A run with tasks that failed.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// What the study is called.
    pub study: String,
    /// What the study asks, in the author's words; may be empty.
    pub description: String,
    /// How the run ended, in a sentence without its stop.
    pub ended: String,
    /// The tasks that failed.
    pub failed: Vec<FailedTask>,
    /// Every task and how it stands, engines, seeds, the study file.
    pub provenance: Provenance,
}

/// A task that failed.
#[derive(Clone, Debug)]
pub struct FailedTask {
    /// Its name in the plan.
    pub id: String,
    /// Why.
    pub message: String,
}

/// Renders what failed as one HTML file that needs nothing else.
#[must_use]
pub fn render_failure(failure: &Failure) -> String {
    let n_failed = failure.failed.len();
    let n_waiting = failure.provenance.tasks.iter().filter(|task| task.state == TaskState::Waiting).count();
    let rows = html! {
        @for task in &failure.failed { tr { th scope="row" { (task.id) } td { (prose(&task.message)) } } }
    };
    document(
        &failure.study,
        &html! {
            header {
                p.kicker { "Run that did not end well" }
                h1 { (failure.study) }
                @if !failure.description.is_empty() { p.description { (failure.description) } }
                div.warnings role="note" aria-labelledby="warnings-title" {
                    h2 id="warnings-title" { (number::counted(n_failed, "task", "tasks")) " failed" }
                    p {
                        (failure.ended) ". " (number::counted(n_waiting, "task waits", "tasks wait")) " for what failed. What was computed is "
                        "kept: after the cause is gone, " code { "hebb run" } " goes on from there. Numbers of an earlier run, if there are any, are in the "
                        "report beside this page and are not those of the study as it stands."
                    }
                }
            }
            main id="content" tabindex="-1" {
                section aria-labelledby="failed-title" {
                    h2 id="failed-title" { "What failed" }
                    (table("Tasks that failed", &["task", "why"], rows))
                }
                section aria-labelledby="provenance-title" {
                    h2 id="provenance-title" { "Provenance" }
                    (provenance::of(&failure.provenance))
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::Task;

    #[test]
    fn what_failed_and_what_waits_is_told_and_escaped() {
        let task = |id: &str, state| Task {
            id: id.into(),
            kind: "encode".into(),
            key: "0a1b".into(),
            run_time_s: None,
            state,
        };
        let failure = Failure {
            study: "<i>".into(),
            ended: "3 computed, 1 failed".into(),
            failed: vec![FailedTask { id: "encode/a".into(), message: "`x.nii` is cut <short>".into() }],
            provenance: Provenance {
                tasks: vec![task("encode/a", TaskState::Failed), task("report", TaskState::Waiting)],
                ..Provenance::default()
            },
            ..Failure::default()
        };
        let page = render_failure(&failure);
        assert!(page.contains("1 task failed") && page.contains("1 task waits for what failed"));
        assert!(page.contains("<code>x.nii</code> is cut &lt;short&gt;") && page.contains("&lt;i&gt;"));
        assert!(!page.contains("<script"));
    }
}
