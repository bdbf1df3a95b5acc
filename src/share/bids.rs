//! The results of a study as a BIDS derivative dataset: maps, tables, and what says how they came to be.
//!
//! Owns the whole of an export: a dataset is written beside its place and moved there when it is complete. Maps are copied byte for byte
//! and fields of tables letter for letter. `items.rs` says which files there will be, `labels.rs` what they are called, `about.rs` writes
//! what describes the dataset. A sweep makes one dataset for each cell: BIDS has no entity for what a sweep varies, and a dataset has
//! one description of how it was made.

mod about;
mod items;
mod labels;

use crate::{
    format::tsv::{Table, TsvError},
    spec::{Design, Study},
    store::Digest,
    task::{TaskError, report::open_page},
};
use about::About;
use items::{Item, Origin, items};
use labels::Labels;
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Why a dataset could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The place of the dataset is taken, or cannot be one.
    #[error("`{path}` {problem}", path = path.display())]
    Target {
        /// The place.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} `{path}`: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the results is not what it was written as.
    #[error("`{path}` is no result of this version: {problem}", path = path.display())]
    Result {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TsvError),
    /// The contents of the report cannot be read.
    #[error(transparent)]
    Report(#[from] Box<TaskError>),
}

/// Makes an I/O error carry what was tried and on which path.
fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ExportError {
    let path = path.to_owned();
    move |source| ExportError::Io { action, path, source }
}

/// What a task led to.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// Its files.
    pub folder: PathBuf,
    /// Name of the task.
    pub task: String,
    /// The task's key.
    pub key: Digest,
    /// Digest of the files.
    pub output: Digest,
}

/// The results of one cell of a study.
#[derive(Clone, Debug)]
pub struct CellResults {
    /// Its folder inside the export; empty without a sweep.
    pub folder: String,
    /// Tables and the contents of the page.
    pub report: Artifact,
    /// Maps.
    pub maps: Vec<Artifact>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Datasets: one, or one for each cell of a sweep.
    pub n_datasets: usize,
    /// Files of all of them.
    pub n_files: usize,
    /// Their size.
    pub size_bytes: u64,
}

impl Exported {
    /// One file more.
    fn count(&mut self, path: &Path) -> Result<(), ExportError> {
        self.size_bytes += fs::metadata(path).map_err(io_error("read", path))?.len();
        self.n_files += 1;
        Ok(())
    }
}

/// Writes the results of a study, cells in its order, as BIDS derivatives into a folder that is new or empty. `programs` are those that
/// computed them; `tell` hears of every map that is copied, with its size.
///
/// # Errors
/// If the folder is not new or empty, or a file cannot be read or written; then nothing is left behind.
pub fn export_bids(
    study: &Study,
    cells: &[CellResults],
    programs: &[(String, String)],
    target: &Path,
    tell: &dyn Fn(&Path, u64),
) -> Result<Exported, ExportError> {
    let parent = free_place(target)?;
    let beside = tempfile::Builder::new().prefix(".hebb-export-").tempdir_in(&parent);
    let beside = beside.map_err(io_error("write in", &parent))?;
    // The temporary folder is closed to others, a dataset is as open as any new folder.
    let whole = beside.path().join("dataset");
    let mut exported = Exported::default();
    create_folder(&whole)?;
    for (cell, results) in study.cells.iter().zip(cells) {
        let root = whole.join(&results.folder);
        fs::create_dir_all(&root).map_err(io_error("create", &root))?;
        let page = open_page(&results.report.folder, &[]).map_err(Box::new)?;
        let labels = Labels::of(&cell.design, study);
        let items = items(&cell.design, results, &labels)?;
        let cell_name = cell.name();
        let about = About { study, cell: &cell_name, design: &cell.design, page: &page, labels: &labels, programs };
        let mut dataset = Dataset { root, design: &cell.design, labels: &labels, tell, exported: &mut exported };
        dataset.write(&items)?;
        dataset.describe(&about, &items)?;
        exported.n_datasets += 1;
    }
    if study.cells.len() > 1 {
        let path = whole.join("cells.tsv");
        cells_table(study, cells).write(&path)?;
        exported.count(&path)?;
    }
    if target.exists() {
        fs::remove_dir(target).map_err(io_error("replace", target))?;
    }
    fs::rename(&whole, target).map_err(io_error("create", target))?;
    Ok(exported)
}

/// The folder that a dataset is to lie in, if it may.
fn free_place(target: &Path) -> Result<PathBuf, ExportError> {
    let wrong = |path: &Path, problem| ExportError::Target { path: path.to_owned(), problem };
    let parent = match target.parent() {
        _ if target.file_name().is_none() => return Err(wrong(target, "is no name for a new folder")),
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io_error("look at", target)(error)),
        Ok(found) if !found.is_dir() => {
            return Err(wrong(target, "is there and no folder, expected a new or empty one"));
        }
        Ok(_) => {
            let mut inside = fs::read_dir(target).map_err(io_error("read", target))?;
            if inside.next().is_some() {
                return Err(wrong(target, "is not empty, expected a new or empty folder"));
            }
        }
    }
    if !parent.is_dir() {
        return Err(wrong(&parent, "is not there, so that no dataset can be written in it"));
    }
    Ok(parent)
}

fn create_folder(path: &Path) -> Result<(), ExportError> {
    fs::create_dir(path).map_err(io_error("create", path))
}

fn cells_table(study: &Study, cells: &[CellResults]) -> Table {
    let axes = study.cells[0].values().map(|(axis, _)| axis);
    let mut table = Table::new(["folder"].into_iter().chain(axes));
    for (cell, results) in study.cells.iter().zip(cells) {
        table.push([results.folder.as_str()].into_iter().chain(cell.values().map(|(_, value)| value)));
    }
    table
}

/// A dataset while it is written.
struct Dataset<'a> {
    root: PathBuf,
    design: &'a Design,
    labels: &'a Labels,
    tell: &'a dyn Fn(&Path, u64),
    exported: &'a mut Exported,
}

impl Dataset<'_> {
    /// Every map and table with its sidecar.
    fn write(&mut self, items: &[Item]) -> Result<(), ExportError> {
        for item in items {
            let path = self.root.join(item.path(self.labels));
            let folder = path.parent().expect("every item lies in a folder of the dataset");
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
            match &item.origin {
                Origin::File(from) => self.copy(from, &path)?,
                Origin::Rows(table) => {
                    table.write(&path)?;
                    self.count(&path)?;
                }
            }
            let sidecar = self.root.join(item.sidecar_path(self.labels));
            self.json(&sidecar, &item.sidecar(self.design, self.labels, items).into())?;
        }
        Ok(())
    }

    /// What describes the dataset as a whole.
    fn describe(&mut self, about: &About<'_>, items: &[Item]) -> Result<(), ExportError> {
        self.json(&self.root.join("dataset_description.json"), &about.description())?;
        self.text("README.md", &about.readme())?;
        self.text(".bidsignore", &about::ignored(items))?;
        self.json(&self.root.join(".bids-validator-config.json"), &about::of_older_validator())?;
        self.table("participants", &about.participants())?;
        self.table("descriptions", &about.descriptions(items))?;
        create_folder(&self.root.join("docs"))?;
        self.table("docs/labels", &self.labels.table(items))
    }

    /// A table with the meaning of its columns beside it.
    fn table(&mut self, name: &str, (table, meanings): &(Table, Value)) -> Result<(), ExportError> {
        let path = self.root.join(format!("{name}.tsv"));
        table.write(&path)?;
        self.count(&path)?;
        self.json(&self.root.join(format!("{name}.json")), meanings)
    }

    fn text(&mut self, name: &str, text: &str) -> Result<(), ExportError> {
        let path = self.root.join(name);
        fs::write(&path, text).map_err(io_error("write", &path))?;
        self.count(&path)
    }

    fn json(&mut self, path: &Path, value: &Value) -> Result<(), ExportError> {
        fs::write(path, format!("{value:#}\n")).map_err(io_error("write", path))?;
        self.count(path)
    }

    /// Copies bytes, not rights: results in the cache are read-only.
    fn copy(&mut self, from: &Path, to: &Path) -> Result<(), ExportError> {
        let mut source = File::open(from).map_err(io_error("read", from))?;
        let size_bytes = source.metadata().map_err(io_error("read", from))?.len();
        (self.tell)(from, size_bytes);
        let mut copy = File::create_new(to).map_err(io_error("write", to))?;
        io::copy(&mut source, &mut copy).map_err(io_error("write", to))?;
        self.count(to)
    }

    fn count(&mut self, path: &Path) -> Result<(), ExportError> {
        self.exported.count(path)
    }
}

/// What columns mean, as BIDS writes it.
fn meanings(columns: &[(&str, &str)]) -> Value {
    let meaning = |(name, what): &(&str, &str)| ((*name).to_owned(), json!({ "Description": what }));
    Value::Object(columns.iter().map(meaning).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_new_and_empty_folders_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "x").unwrap();
        fs::create_dir(at("empty")).unwrap();
        assert_eq!(free_place(&at("new")).unwrap(), folder.path());
        assert!(free_place(&at("empty")).is_ok());
        let problem = |path: &Path| free_place(path).unwrap_err().to_string();
        assert!(problem(&at("file")).ends_with("is there and no folder, expected a new or empty one"));
        assert!(problem(folder.path()).ends_with("is not empty, expected a new or empty folder"));
        assert!(problem(&at("no/where")).ends_with("no` is not there, so that no dataset can be written in it"));
        assert!(problem(Path::new("/")).ends_with("is no name for a new folder"));
        assert!(problem(Path::new("..")).ends_with("is no name for a new folder"));
    }
}
