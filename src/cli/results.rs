//! Lays out what a reader opens: the page, its tables and maps, and where every intermediate result lies.
//!
//! The results folder holds copies, so that it can be moved, edited and deleted without harm to the cache. A sweep has a folder
//! for each cell, and over them a page and tables that compare the cells (`results/sweep.rs`).

mod sweep;

use self::sweep::{lay_out_sweep, sweep_figures, sweep_shown};
use super::{
    error::CliError,
    graph::{picture, picture_of_results},
    open::OpenStudy,
    run::{Ended, told},
};
use crate::{
    format::{memory::read_text_within, tsv::Table},
    plan::Standing,
    report::{
        Drawer, Engine, Failure, Figure, OutputFile, Page, Provenance, Task, TaskState, figures, render, render_failure,
    },
    spec::{
        Cell, Source, Study,
        place::{self, way},
    },
    store::{Digest, Held, Store, StoreError, Traces},
    task::{
        TaskError,
        maps::MAPS,
        report::{MAPS_ROLE, TABLES, open_page},
    },
};
use petgraph::graph::NodeIndex;
use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Says which results the folder shows, so that an unchanged study is not laid out again.
const PAGE_STAMP: &str = ".shown";
/// The same of its maps, which outlive most edits.
const MAPS_STAMP: &str = ".maps";

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
pub(super) fn cell_folder(cell: &Cell) -> String {
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

/// Waits until no other run lays out results in this folder; absent where the cache cannot be written to.
fn turn(open: &OpenStudy, folder: &Path) -> Option<Held> {
    let place = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = format!("results-{}", Digest::of(place.as_os_str().as_encoded_bytes()));
    loop {
        match open.store.hold(&name) {
            Ok(Ok(held)) => return Some(held),
            Ok(Err(_)) => std::thread::sleep(PAUSE),
            // Results that cannot be guarded are laid out all the same.
            Err(_) => return None,
        }
    }
}

/// Pause between two looks at whether another run has laid out its results.
const PAUSE: Duration = Duration::from_millis(20);

/// Copies tables and maps and draws the pages; gives the path of the first page.
pub(super) fn lay_out(open: &OpenStudy, results: &Path, existing: Existing) -> Result<PathBuf, CliError> {
    let text = written(&open.study);
    let _turn = turn(open, &folder(results, &open.study));
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
        let folder = folder_of(results, &open.study, number);
        let shown = Parts::of(open, report).map(|parts| shown(open, number, &parts, &text));
        folder.join("report.html").is_file() && shown.is_some_and(|shown| is_shown(&folder, PAGE_STAMP, &shown))
    };
    let with_maps = |report| maps(open, report).chain([report]);
    if is_sweep(&open.study) {
        let folder = folder(results, &open.study);
        let outputs: Vec<Digest> = open.plan.reports().filter_map(|report| open.output(report)).collect();
        let names: Vec<String> = open.study.cells.iter().map(cell_folder).collect();
        // The page over all cells reads every one of them.
        if !folder.join("index.html").is_file() || !is_shown(&folder, PAGE_STAMP, &sweep_shown(open, &outputs, &names))
        {
            return open.plan.reports().flat_map(with_maps).collect();
        }
    }
    open.plan
        .reports()
        .enumerate()
        .filter(|(number, report)| !is_there(*number, *report))
        .flat_map(|(_, report)| with_maps(report))
        .collect()
}

/// The tasks whose maps lie beside a report.
pub(super) fn maps(open: &OpenStudy, report: NodeIndex) -> impl Iterator<Item = NodeIndex> {
    open.plan.inputs(report).into_iter().filter(|(role, _)| *role == MAPS_ROLE).map(|(_, maps)| maps)
}

/// Artifacts of a report and of its maps.
struct Parts {
    report: Digest,
    maps: Vec<Digest>,
}

impl Parts {
    /// Absent if one of them has no result.
    fn of(open: &OpenStudy, report: NodeIndex) -> Option<Self> {
        let maps = maps(open, report).map(|maps| open.output(maps)).collect::<Option<Vec<_>>>()?;
        Some(Self { report: open.output(report)?, maps })
    }
}

/// Whether a report and its maps are there as the study stands.
pub(super) fn is_computed(open: &OpenStudy, report: NodeIndex) -> bool {
    maps(open, report).chain([report]).all(|place| matches!(open.assessment.standing(place), Standing::Cached { .. }))
}

fn folder_of(results: &Path, study: &Study, number: usize) -> PathBuf {
    let folder = folder(results, study);
    match cell_folder(&study.cells[number]) {
        name if name.is_empty() => folder,
        name => folder.join(name),
    }
}

/// Everything that the page of a cell shows.
fn shown(open: &OpenStudy, number: usize, parts: &Parts, text: &str) -> String {
    let (version, cell) = (env!("CARGO_PKG_VERSION"), open.study.cells[number].name());
    let Parts { report, maps } = parts;
    format!("{version} {report} {maps:?} {} {cell} {text}", open.store.root().display())
}

/// The study as it was written, with whatever it includes.
fn written(study: &Study) -> String {
    let sources = study.sources.iter();
    let texts: Vec<String> = match sources.as_slice() {
        [one] => vec![one.text.clone()],
        _ => {
            let name = |source: &Source| way(Path::new(&source.name), place::folder_of(&study.file));
            sources.map(|source| format!("# {}\n\n{}", name(source), source.text)).collect()
        }
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
    let parts = Parts::of(open, report).expect("the run that just ended computed or found them");
    let shown = shown(open, number, &parts, text);
    let page_path = folder.join("report.html");
    if existing == Existing::Kept && is_shown(folder, PAGE_STAMP, &shown) && page_path.is_file() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(CliError::file("create", folder))?;
    unshow(folder, PAGE_STAMP)?;
    let artifact = open.store.artifact(&parts.report);
    let maps: Vec<PathBuf> = parts.maps.iter().map(|maps| open.store.artifact(maps)).collect();
    let sources = Sources::of(&open.store, [parts.report].into_iter().chain(parts.maps.iter().copied()));
    copy_folder(&artifact.join(TABLES), &folder.join(TABLES))?;
    lay_out_maps(&sources, &maps, folder, existing)?;
    tasks_table(open, number).write(&folder.join("tasks.tsv")).map_err(|error| inner(error.into()))?;
    let page = complete(open, number, open_page(&artifact, &maps).map_err(inner)?, text.to_owned());
    fs::write(&page_path, render(&page)).map_err(CliError::file("write", &page_path))?;
    sources.assert_whole()?;
    show(folder, PAGE_STAMP, &shown)
}

/// Results of the cache that are being copied, with what the file system said of them before.
struct Sources<'a> {
    store: &'a Store,
    traces: Vec<(Digest, Traces)>,
}

impl<'a> Sources<'a> {
    fn of(store: &'a Store, outputs: impl IntoIterator<Item = Digest>) -> Self {
        Self { store, traces: outputs.into_iter().map(|output| (output, store.traces(&output))).collect() }
    }

    /// Fails if one was damaged meanwhile. What was laid out of it is then not taken for what it should be: the next run makes
    /// the result anew and lays it out again.
    fn assert_whole(&self) -> Result<(), CliError> {
        for (output, before) in &self.traces {
            let is_whole =
                self.store.traces(output).tell_no_writing_since(before) && self.store.examine(output, None)?.is_empty();
            if !is_whole {
                return Err(StoreError::Changing { path: self.store.artifact(output) }.into());
            }
        }
        Ok(())
    }
}

/// Copies the maps of all artifacts into one folder, unless they lie there.
fn lay_out_maps(
    sources: &Sources<'_>,
    artifacts: &[PathBuf],
    folder: &Path,
    existing: Existing,
) -> Result<(), CliError> {
    let target = folder.join(MAPS);
    let shown = format!("{artifacts:?}");
    if existing == Existing::Kept && target.is_dir() && is_shown(folder, MAPS_STAMP, &shown) {
        return Ok(());
    }
    unshow(folder, MAPS_STAMP)?;
    clear(&target)?;
    fs::create_dir_all(&target).map_err(CliError::file("create", &target))?;
    for artifact in artifacts {
        copy_into(&artifact.join(MAPS), &target)?;
    }
    sources.assert_whole()?;
    show(folder, MAPS_STAMP, &shown)
}

/// What a run whose tasks failed leaves beside earlier results; the next run that ends well removes it.
const FAILED: &str = "failed.html";

/// Writes what failed as a page; gives its path.
pub(super) fn lay_out_failure(open: &OpenStudy, results: &Path, ended: &Ended) -> Result<PathBuf, CliError> {
    let folder = folder(results, &open.study);
    fs::create_dir_all(&folder).map_err(CliError::file("create", &folder))?;
    let failed: HashSet<&str> = ended.failed.iter().map(|failed| failed.id.as_str()).collect();
    let state = |place: NodeIndex| {
        let id = open.plan.node(place).id.as_str();
        match open.assessment.standing(place) {
            _ if failed.contains(id) => TaskState::Failed,
            _ if ended.done.contains(id) => TaskState::Done,
            Standing::Cached { .. } => TaskState::Done,
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
        // Charts show no maps.
        let page = open_page(&open.store.artifact(&output), &[]).map_err(inner)?;
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

fn is_shown(folder: &Path, stamp: &str, what: &str) -> bool {
    let expected = Digest::of(what.as_bytes()).to_string();
    read_text_within(&folder.join(stamp), 1024).is_ok_and(|shown| shown == expected)
}

fn show(folder: &Path, stamp: &str, what: &str) -> Result<(), CliError> {
    fs::write(folder.join(stamp), Digest::of(what.as_bytes()).to_string()).map_err(CliError::file("write", folder))
}

/// Before anything is replaced: who is killed in the middle must not leave a part of it under the stamp of what was there.
fn unshow(folder: &Path, stamp: &str) -> Result<(), CliError> {
    match fs::remove_file(folder.join(stamp)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CliError::file("write", folder)(error)),
        _ => Ok(()),
    }
}

/// Replaces a folder by copies that may be written to.
pub(super) fn copy_folder(from: &Path, to: &Path) -> Result<(), CliError> {
    clear(to)?;
    copy_into(from, to)
}

fn clear(folder: &Path) -> Result<(), CliError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(CliError::file("replace", folder))?;
    }
    Ok(())
}

/// Copies what is in a folder beside what is in another.
fn copy_into(from: &Path, to: &Path) -> Result<(), CliError> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(|error| CliError::file("read", from)(error.into()))?;
        let target = to.join(entry.path().strip_prefix(from).expect("walked from this folder"));
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).map_err(CliError::file("create", &target))?;
        } else {
            let mut file = fs::File::open(entry.path()).map_err(CliError::file("read", entry.path()))?;
            let mut copy = fs::File::create(&target).map_err(CliError::file("write", &target))?;
            io::copy(&mut file, &mut copy).map_err(CliError::file("write", &target))?;
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
    let places = open.plan.places().filter(|place| open.plan.belongs(*place, number));
    page.provenance.tasks = places.map(|place| task(open, place, TaskState::Done)).collect();
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
    page.provenance.graph = picture_of_results(open);
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

fn engines(open: &OpenStudy) -> Vec<Engine> {
    open.programs().into_iter().map(|(name, version)| Engine { name, version }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RunFacts;

    #[test]
    fn what_is_copied_of_a_result_that_is_damaged_meanwhile_is_not_taken_for_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(folder.path()).expect("a cache");
        let key = Digest::of(b"key");
        let claim = store.claim(&key, || false).expect("writable").expect("nobody else wants it");
        let made = claim.folder().expect("writable").to_owned();
        for name in ["a.tsv", "b.tsv"] {
            fs::write(made.join(name), name).expect("writable");
        }
        let run = RunFacts { seconds: 0.1, program: "0.1.0".to_owned(), finished_unix_s: 0 };
        let output = claim.publish(key, serde_json::json!({}), run).expect("writable").record.output;
        let whole = Sources::of(&store, [output]);
        assert!(whole.assert_whole().is_ok());
        let harmed = store.artifact(&output).join("a.tsv");
        let bytes = fs::read(&harmed).expect("there");
        fs::remove_file(&harmed).expect("removable");
        assert!(matches!(whole.assert_whole(), Err(CliError::Store(StoreError::Changing { .. }))));
        // Put back, it is whole again, and yet the copy may be of what was there meanwhile. The clock of files has a coarse step.
        std::thread::sleep(Duration::from_millis(30));
        fs::write(&harmed, bytes).expect("writable");
        assert!(whole.assert_whole().is_err());
        assert!(Sources::of(&store, [output]).assert_whole().is_ok());
    }
}
