//! Lays out what a reader opens: the page, its tables and maps, and where every intermediate result lies.
//!
//! The results folder holds copies, so that it can be moved, edited and deleted without harm to the cache. A sweep has a folder
//! for each cell, and over them a page and tables that compare the cells (`results/sweep.rs`).

mod sweep;

use self::sweep::{lay_out_sweep, sweep_figures, sweep_shown};
use super::{
    error::CliError,
    graph::picture,
    open::OpenStudy,
    run::{Ended, told},
};
use crate::{
    format::tsv::Table,
    math::blas::openblas_version,
    plan::Standing,
    report::{
        Drawer, Engine, Failure, Figure, OutputFile, Page, Provenance, Task, TaskState, figures, render, render_failure,
    },
    spec::{Cell, Study},
    store::Digest,
    task::{TaskError, report::open_page},
};
use petgraph::graph::NodeIndex;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Says which results the folder shows, so that an unchanged study is not laid out again.
const STAMP: &str = ".shown";

/// What a reader opens first.
pub(super) fn page(results: &Path, study: &Study) -> PathBuf {
    let folder = folder(results, study);
    folder.join(if is_sweep(study) { "index.html" } else { "report.html" })
}

fn folder(results: &Path, study: &Study) -> PathBuf {
    let safe = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
    let name: String = study.name.chars().map(safe).collect();
    // A name of full stops would lead out of the folder.
    results.join(if name.trim_matches('.').is_empty() { "study" } else { name.trim_start_matches('.') })
}

/// Most bytes of the name of a cell's folder: file systems take 255.
const LONGEST_FOLDER_BYTES: usize = 200;

/// The cell's name, or its beginning with a digest where that is too long for a folder; empty without a sweep.
fn cell_folder(cell: &Cell) -> String {
    let name = cell.name();
    if name.len() <= LONGEST_FOLDER_BYTES {
        return name;
    }
    let start: String = name.chars().take(LONGEST_FOLDER_BYTES / 4).collect();
    format!("{start}~{}", Digest::of(name.as_bytes()).short())
}

fn is_sweep(study: &Study) -> bool {
    !study.cells[0].labels.is_empty()
}

/// What happens to a page that shows these results already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays.
    Kept,
    /// It is laid out anew.
    Replaced,
}

/// Copies tables and maps and draws the pages; gives the path of the first page.
pub(super) fn lay_out(open: &OpenStudy, results: &Path, existing: Existing) -> Result<PathBuf, CliError> {
    let text = written(&open.study);
    let failed = folder(results, &open.study).join(FAILED);
    if failed.is_file() {
        fs::remove_file(&failed).map_err(CliError::file("remove", &failed))?;
    }
    for (number, report) in open.plan.reports().enumerate() {
        lay_out_cell(open, number, report, &folder_of(results, &open.study, number), &text, existing)?;
    }
    if is_sweep(&open.study) {
        lay_out_sweep(open, &folder(results, &open.study), existing)?;
    }
    Ok(page(results, &open.study))
}

/// The reports of cells that are not laid out as they stand in the cache: what will be read after a run.
pub(super) fn to_lay_out(open: &OpenStudy, results: &Path) -> Vec<NodeIndex> {
    let text = written(&open.study);
    let is_there = |number: usize, report| {
        let output = open.output(report);
        let folder = folder_of(results, &open.study, number);
        let is_shown = |output| is_shown(&folder, &shown(open, number, output, &text));
        folder.join("report.html").is_file() && output.is_some_and(is_shown)
    };
    if is_sweep(&open.study) {
        let folder = folder(results, &open.study);
        let outputs: Vec<Digest> = open.plan.reports().filter_map(|report| open.output(report)).collect();
        let names: Vec<String> = open.study.cells.iter().map(cell_folder).collect();
        // The page over all cells reads every one of them.
        if !folder.join("index.html").is_file() || !is_shown(&folder, &sweep_shown(open, &outputs, &names)) {
            return open.plan.reports().collect();
        }
    }
    open.plan
        .reports()
        .enumerate()
        .filter(|(number, report)| !is_there(*number, *report))
        .map(|(_, report)| report)
        .collect()
}

fn folder_of(results: &Path, study: &Study, number: usize) -> PathBuf {
    let folder = folder(results, study);
    match cell_folder(&study.cells[number]) {
        name if name.is_empty() => folder,
        name => folder.join(name),
    }
}

/// Everything that the page of a cell shows.
fn shown(open: &OpenStudy, number: usize, output: Digest, text: &str) -> String {
    let (version, cell) = (env!("CARGO_PKG_VERSION"), open.study.cells[number].name());
    format!("{version} {output} {} {cell} {text}", open.store.root().display())
}

/// The study as it was written, with whatever it includes.
fn written(study: &Study) -> String {
    let sources = study.sources.iter();
    let texts: Vec<String> = match sources.as_slice() {
        [one] => vec![one.text.clone()],
        _ => sources.map(|source| format!("# {}\n\n{}", source.name, source.text)).collect(),
    };
    texts.join("\n")
}

fn lay_out_cell(
    open: &OpenStudy,
    number: usize,
    report: NodeIndex,
    folder: &Path,
    text: &str,
    existing: Existing,
) -> Result<(), CliError> {
    let output = open.output(report).expect("the run that just ended computed or found it");
    let shown = shown(open, number, output, text);
    let page_path = folder.join("report.html");
    if existing == Existing::Kept && is_shown(folder, &shown) && page_path.is_file() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(CliError::file("create", folder))?;
    let artifact = open.store.artifact(&output);
    for part in ["tables", "maps"] {
        copy_folder(&artifact.join(part), &folder.join(part))?;
    }
    tasks_table(open, number).write(&folder.join("tasks.tsv")).map_err(|error| inner(error.into()))?;
    let page = complete(open, number, open_page(&artifact).map_err(inner)?, text.to_owned());
    fs::write(&page_path, render(&page)).map_err(CliError::file("write", &page_path))?;
    show(folder, &shown)
}

/// What a run whose tasks failed leaves beside earlier results; the next run that ends well removes it.
const FAILED: &str = "failed.html";

/// Writes what failed as a page; gives its path.
pub(super) fn lay_out_failure(open: &OpenStudy, results: &Path, ended: &Ended) -> Result<PathBuf, CliError> {
    let folder = folder(results, &open.study);
    fs::create_dir_all(&folder).map_err(CliError::file("create", &folder))?;
    let state = |place: NodeIndex| {
        let id = open.plan.node(place).id.as_str();
        match open.assessment.standing(place) {
            _ if ended.failed.iter().any(|failed| failed.id == id) => TaskState::Failed,
            _ if ended.done.contains(id) => TaskState::Computed,
            Standing::Cached { .. } => TaskState::Stored,
            Standing::Runs(_) | Standing::Unneeded => TaskState::Waiting,
        }
    };
    let failure = Failure {
        study: open.study.name.clone(),
        description: open.study.description.clone(),
        ended: told(&ended.summary),
        failed: ended.failed.clone(),
        provenance: Provenance {
            tasks: open.plan.places().map(|place| task(open, place, state(place))).collect(),
            graph: picture(open),
            engines: engines(open),
            spec: written(&open.study),
            ..Provenance::default()
        },
    };
    let path = folder.join(FAILED);
    fs::write(&path, render_failure(&failure)).map_err(CliError::file("write", &path))?;
    Ok(path)
}

/// Writes every chart of every page as SVG with its numbers as TSV, a folder for each cell of a sweep; gives how many.
pub(super) fn write_figures(open: &OpenStudy, folder: &Path) -> Result<usize, CliError> {
    let drawer = Drawer::new()?;
    let write = |folder: &Path, figures: Vec<Figure>| {
        fs::create_dir_all(folder).map_err(CliError::file("create", folder))?;
        for figure in &figures {
            for (ending, text) in [("svg", drawer.svg(figure)?), ("tsv", figure.to_tsv())] {
                let path = folder.join(format!("{}.{ending}", figure.name));
                fs::write(&path, text).map_err(CliError::file("write", &path))?;
            }
        }
        Ok::<usize, CliError>(figures.len())
    };
    let mut n_written = 0;
    for (number, report) in open.plan.reports().enumerate() {
        let output = open.output(report).expect("reports were asked for that are there");
        let page = open_page(&open.store.artifact(&output)).map_err(inner)?;
        n_written += write(&folder.join(cell_folder(&open.study.cells[number])), figures(&page))?;
    }
    if is_sweep(&open.study) {
        n_written += write(folder, sweep_figures(open)?)?;
    }
    Ok(n_written)
}

fn inner(error: TaskError) -> CliError {
    CliError::Results(Box::new(error))
}

fn is_shown(folder: &Path, what: &str) -> bool {
    let stamp = Digest::of(what.as_bytes()).to_string();
    fs::read_to_string(folder.join(STAMP)).is_ok_and(|shown| shown == stamp)
}

fn show(folder: &Path, what: &str) -> Result<(), CliError> {
    let stamp = Digest::of(what.as_bytes()).to_string();
    fs::write(folder.join(STAMP), stamp).map_err(CliError::file("write", folder))
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

/// Every task of a cell with its key and the folder of its result.
fn tasks_table(open: &OpenStudy, cell: usize) -> Table {
    let mut table = Table::new(["task", "kind", "key", "seconds", "size_bytes", "folder"]);
    for place in open.plan.places().filter(|place| open.plan.belongs(*place, cell)) {
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
fn complete(open: &OpenStudy, number: usize, page: Page, text: String) -> Page {
    let cell = &open.study.cells[number];
    let names = [open.study.name.clone(), cell.labels.join(", ")];
    let name = names.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(": ");
    let mut page = Page { study: name, description: open.study.description.clone(), ..page };
    let state = |place| match open.assessment.standing(place) {
        Standing::Cached { .. } => TaskState::Stored,
        _ => TaskState::Computed,
    };
    let places = open.plan.places().filter(|place| open.plan.belongs(*place, number));
    page.provenance.tasks = places.map(|place| task(open, place, state(place))).collect();
    page.provenance.engines = engines(open);
    let file = |path: &str, holds: &str| OutputFile { path: path.to_owned(), holds: holds.to_owned() };
    let tables = [
        file(
            "tables/scores.tsv",
            "mean and median score by subject, model, features and network, with interval and chance",
        ),
        file("tables/findings.tsv", "every statistic of every subject, with interval, chance and probability"),
        file("tasks.tsv", "every task with its key and the folder of its result"),
    ];
    page.provenance.files.splice(0..0, tables);
    page.provenance.graph = picture(open);
    page.provenance.spec = text;
    page
}

fn task(open: &OpenStudy, place: NodeIndex, state: TaskState) -> Task {
    let node = open.plan.node(place);
    Task {
        id: node.id.to_string(),
        kind: node.task.kind().to_string(),
        key: node.recipe.short(),
        run_time_s: open.store.remembered(&node.recipe).map(|record| record.run.seconds),
        state,
    }
}

/// Programs and libraries that shape the numbers.
fn engines(open: &OpenStudy) -> Vec<Engine> {
    let engine = |name: &str, version: String| Engine { name: name.to_owned(), version };
    let mut engines =
        vec![engine("hebb", env!("CARGO_PKG_VERSION").to_owned()), engine("OpenBLAS", openblas_version())];
    let mut others: Vec<String> = open.plan.places().filter_map(|place| open.plan.node(place).task.engine()).collect();
    others.sort();
    others.dedup();
    engines.extend(others.into_iter().map(|other| match other.split_once(' ') {
        Some((name, version)) => engine(name, version.to_owned()),
        None => Engine { name: other, version: String::new() },
    }));
    engines
}
