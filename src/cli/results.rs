//! Lays out what a reader opens: the page, its tables and maps, and where every intermediate result lies.
//!
//! The results folder holds copies, so that it can be moved, edited and deleted without harm to the cache.

use super::{error::CliError, open::OpenStudy};
use crate::{
    format::tsv::Table,
    math::blas::openblas_version,
    plan::Standing,
    report::{Engine, OutputFile, Page, Task, render},
    spec::Study,
    store::Digest,
    task::{TaskError, report::open_page},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Says which results the folder shows, so that an unchanged study is not laid out again.
const STAMP: &str = ".shown";

/// Where the page of a study is laid out.
pub(super) fn page(results: &Path, study: &Study) -> PathBuf {
    folder(results, study).join("report.html")
}

fn folder(results: &Path, study: &Study) -> PathBuf {
    let safe = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    let name: String = study.name.chars().map(safe).collect();
    // A name of full stops would lead out of the folder.
    results.join(if name.trim_matches('.').is_empty() { "study" } else { name.trim_start_matches('.') })
}

/// Copies tables and maps and draws the page, unless they show these results already; gives the page's path.
pub(super) fn lay_out(open: &OpenStudy, results: &Path) -> Result<PathBuf, CliError> {
    let folder = folder(results, &open.study);
    let page_path = page(results, &open.study);
    let report = open.plan.find("report").expect("every plan ends in a report");
    let record =
        open.store.lookup(&open.plan.node(report).recipe).expect("the run that just ended computed or found it");
    let text = fs::read_to_string(&open.study.file).map_err(CliError::file("read", &open.study.file))?;
    let stamp = Digest::of(
        format!("{} {} {} {text}", env!("CARGO_PKG_VERSION"), record.output, open.store.root().display()).as_bytes(),
    )
    .to_string();
    if page_path.is_file() && fs::read_to_string(folder.join(STAMP)).is_ok_and(|shown| shown == stamp) {
        return Ok(page_path);
    }
    fs::create_dir_all(&folder).map_err(CliError::file("create", &folder))?;
    let artifact = open.store.artifact(&record.output);
    for part in ["tables", "maps"] {
        copy_folder(&artifact.join(part), &folder.join(part))?;
    }
    let inner = |error: TaskError| CliError::Results(Box::new(error));
    tasks_table(open).write(&folder.join("tasks.tsv")).map_err(|error| inner(error.into()))?;
    let page = complete(open, open_page(&artifact).map_err(inner)?, text);
    fs::write(&page_path, render(&page)).map_err(CliError::file("write", &page_path))?;
    fs::write(folder.join(STAMP), stamp).map_err(CliError::file("write", &folder))?;
    Ok(page_path)
}

/// Replaces a folder by copies that may be written to.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<(), CliError> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(CliError::file("replace", to))?;
    }
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(|error| CliError::file("read", from)(error.into()))?;
        let target = to.join(entry.path().strip_prefix(from).expect("walked from this folder"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).map_err(CliError::file("create", &target))?;
        } else {
            let bytes = fs::read(entry.path()).map_err(CliError::file("read", entry.path()))?;
            fs::write(&target, bytes).map_err(CliError::file("write", &target))?;
        }
    }
    Ok(())
}

/// Every task with its key and the folder of its result.
fn tasks_table(open: &OpenStudy) -> Table {
    let mut table = Table::new(["task", "kind", "key", "seconds", "size_bytes", "folder"]);
    for place in open.plan.places() {
        let node = open.plan.node(place);
        if let Some(record) = open.store.lookup(&node.recipe) {
            table.push([
                node.id.to_string(),
                node.task.kind().to_string(),
                node.recipe.to_string(),
                format!("{:.3}", record.run.seconds),
                record.size_bytes().to_string(),
                open.store.artifact(&record.output).display().to_string(),
            ]);
        }
    }
    table
}

/// Adds what shapes no result: name, words, times, versions, the study's own text.
fn complete(open: &OpenStudy, page: Page, text: String) -> Page {
    let mut page = Page { study: open.study.name.clone(), description: open.study.description.clone(), ..page };
    page.provenance.tasks = open
        .plan
        .places()
        .map(|place| {
            let node = open.plan.node(place);
            Task {
                id: node.id.to_string(),
                kind: node.task.kind().to_string(),
                key: node.recipe.short(),
                run_time_s: open.store.remembered(&node.recipe).map(|record| record.run.seconds),
                cached: matches!(open.assessment.standing(place), Standing::Cached { .. }),
            }
        })
        .collect();
    let engine = |name: &str, version: String| Engine { name: name.to_owned(), version };
    page.provenance.engines =
        vec![engine("hebb", env!("CARGO_PKG_VERSION").to_owned()), engine("OpenBLAS", openblas_version())];
    let manifests = open.plan.places().filter_map(|place| open.plan.manifest(place).engine.clone());
    let mut others: Vec<String> = manifests.collect();
    others.sort();
    others.dedup();
    page.provenance.engines.extend(others.into_iter().map(|engine| match engine.split_once(' ') {
        Some((name, version)) => Engine { name: name.to_owned(), version: version.to_owned() },
        None => Engine { name: engine, version: String::new() },
    }));
    let file = |path: &str, holds: &str| OutputFile { path: path.to_owned(), holds: holds.to_owned() };
    page.provenance.files = vec![
        file("tables/scores.tsv", "mean and median score by subject, model, features and network"),
        file("tasks.tsv", "every task with its key and the folder of its result"),
    ];
    for (place, map) in page.brain.iter().enumerate() {
        let stem = map_stem(open, place);
        page.provenance
            .files
            .push(file(&format!("maps/{stem}_r.nii.gz"), &format!("held-out score of every voxel: {}", map.title)));
        page.provenance
            .files
            .push(file(&format!("maps/{stem}_weights.nii.gz"), "weight of every pattern, one volume each"));
    }
    page.provenance.spec = text;
    page
}

/// Maps come subject by subject and, within a subject, model by model.
fn map_stem(open: &OpenStudy, place: usize) -> String {
    let n_models = open.study.models.len();
    let subject = open.study.subjects.names().nth(place / n_models).unwrap_or_default();
    format!("{subject}_{}", open.study.models[place % n_models].name)
}
