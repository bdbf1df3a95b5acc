//! `hebb cache`: what lies in the cache, whether it is whole, what no study needs, and which studies are kept.

use super::{Shared, answer, error::CliError, say, words::size};
use crate::{
    plan::{StudyNote, place_digest},
    store::{Digest, Listed, Roots, Store},
};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Arguments of `hebb cache`.
#[derive(Debug, Args)]
pub(super) struct Cache {
    #[command(subcommand)]
    command: CacheCommand,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Say what takes how much room.
    Size,
    /// Read every byte and compare it with its digest.
    Verify {
        /// Move what is damaged to `damaged/`: whatever needs it computes it again.
        #[arg(long)]
        set_aside: bool,
    },
    /// Remove what no study needs: neither one that is still there nor one that is pinned.
    Gc {
        /// Say what would be removed, and remove nothing.
        #[arg(long)]
        dry_run: bool,
        /// Keep what was published in the last so many hours.
        #[arg(long, value_name = "HOURS", default_value_t = 24.0, value_parser = hours)]
        grace: f64,
    },
    /// Keep the results of a study, also when its file changes or goes away.
    Pin {
        /// The study file.
        study: PathBuf,
    },
    /// Let the results of a pinned study go.
    Unpin {
        /// The study file, where it lies or lay.
        study: PathBuf,
    },
    /// List pinned studies.
    Pins,
}

/// Time for which a collection waits for others to let go of the cache.
const PATIENCE: Duration = Duration::from_secs(2);

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| "it is no number of hours".to_owned())?;
    let most = 1e6;
    if (0.0..=most).contains(&hours) { Ok(hours) } else { Err(format!("it lies outside of 0 to {most} hours")) }
}

impl Cache {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        if !shared.cache.is_dir() {
            let message = format!("there is no cache at `{}`", shared.cache.display());
            let hint = "`--cache DIR` or `HEBB_CACHE` says where it is; `hebb run` makes one".to_owned();
            return Err(CliError::Usage { message, hint });
        }
        let store = Store::open(&shared.cache)?;
        match &self.command {
            CacheCommand::Size => self.size(&store),
            CacheCommand::Verify { set_aside } => self.verify(&store, *set_aside),
            CacheCommand::Gc { dry_run, grace } => {
                self.collect(&store, *dry_run, Duration::from_secs_f64(grace * 3600.0))
            }
            CacheCommand::Pin { study } => self.pin(&store, study),
            CacheCommand::Unpin { study } => self.unpin(&store, study),
            CacheCommand::Pins => self.pins(&store),
        }
    }

    fn size(&self, store: &Store) -> Result<ExitCode, CliError> {
        let inventory = store.inventory()?;
        let roots = Rooted::read(store)?;
        let unreached = store.unreached(&inventory, &roots.roots, &roots.without_study, Duration::ZERO);
        let mut kinds: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
        for artifact in &inventory.artifacts {
            let kind = artifact.record.as_ref().and_then(|record| record.manifest["kind"].as_str());
            let (count, bytes) = kinds.entry(kind.unwrap_or("(no record)")).or_default();
            (*count, *bytes) = (*count + 1, *bytes + artifact.item.size_bytes);
        }
        let all = weight(inventory.artifacts.iter().map(|artifact| artifact.item.size_bytes));
        let records = inventory.records.iter().map(|(.., item)| item.size_bytes);
        let others = [
            ("artifacts", all),
            ("records", weight(records.chain(inventory.unreadable.iter().map(|(_, item)| item.size_bytes)))),
            ("partial", weight(inventory.partial.iter().map(|item| item.size_bytes))),
            ("damaged", weight(inventory.damaged.iter().map(|item| item.size_bytes))),
            ("unreachable", weight(unreached.artifacts.iter().map(|item| item.size_bytes))),
        ];
        if self.json {
            let row = |(count, bytes): (usize, u64)| json!({ "count": count, "size_bytes": bytes });
            let mut told = json!({ "cache": store.root() });
            told["kinds"] = kinds.into_iter().map(|(kind, what)| (kind.to_owned(), row(what))).collect();
            for (name, what) in others {
                told[name] = row(what);
            }
            return self.json(&told, ExitCode::SUCCESS);
        }
        let mut out = stdout().lock();
        writeln!(out, "{:<12} {:>9} {:>12}", "artifacts of", "number", "size")?;
        let mut rows: Vec<_> = kinds.into_iter().collect();
        rows.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
        for (name, (count, bytes)) in rows {
            writeln!(out, "{name:<12} {count:>9} {:>12}", size(bytes))?;
        }
        writeln!(out, "\n{:<12} {:>9} {:>12}", "", "number", "size")?;
        for (name, (count, bytes)) in others {
            writeln!(out, "{name:<12} {count:>9} {:>12}", size(bytes))?;
        }
        if !unreached.artifacts.is_empty() {
            writeln!(out, "\n`hebb cache gc` removes what is unreachable and older than a day")?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn verify(&self, store: &Store, set_aside: bool) -> Result<ExitCode, CliError> {
        let inventory = store.inventory()?;
        let (count, bytes) = weight(inventory.artifacts.iter().map(|artifact| artifact.item.size_bytes));
        let bar = if stderr().is_terminal() { ProgressBar::new(bytes) } else { ProgressBar::hidden() };
        let style = "{bar:30.green/dim} {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left";
        bar.set_style(ProgressStyle::with_template(style).expect("the template is constant and valid"));
        let damaged = store.verify(&inventory, set_aside, |read| bar.set_position(read))?;
        bar.finish_and_clear();
        let notes = unreadable_notes(store)?;
        let code = ExitCode::from(u8::from(!damaged.is_empty() || !notes.is_empty()));
        if self.json {
            let found = damaged.iter().map(|verdict| {
                json!({ "name": verdict.name, "path": verdict.path, "faults": verdict.damage.faults,
                    "set_aside": verdict.damage.aside })
            });
            let notes = notes.iter().map(|(path, why)| json!({ "path": path, "why": why }));
            let told = json!({ "artifacts": count, "records": inventory.records.len(), "size_bytes": bytes,
                "damaged": found.collect::<Vec<_>>(), "notes": notes.collect::<Vec<_>>() });
            return self.json(&told, code);
        }
        for verdict in &damaged {
            say(format_args!("damaged: `{}`: {}", verdict.path.display(), verdict.damage));
        }
        for (path, why) in &notes {
            say(format_args!("damaged: `{}`: {why}", path.display()));
        }
        let whole = format!("{count} artifacts ({}) and {} records read", size(bytes), inventory.records.len());
        match (damaged.len() + notes.len(), set_aside) {
            (0, _) => answer(format_args!("{whole}, all are whole"))?,
            (n, true) => answer(format_args!("{whole}, {n} damaged; the next run makes again what it needs"))?,
            (n, false) => answer(format_args!(
                "{whole}, {n} damaged; `hebb cache verify --set-aside` moves them, and the next run makes again what it needs"
            ))?,
        }
        Ok(code)
    }

    fn collect(&self, store: &Store, dry_run: bool, grace: Duration) -> Result<ExitCode, CliError> {
        let Some(collection) = store.collection(PATIENCE)? else {
            let message = format!("`{}` is in use, so nothing was removed", store.root().display());
            return Err(CliError::Usage {
                message,
                hint: "collect again when the runs that use it have ended".to_owned(),
            });
        };
        if let Some((path, why)) = unreadable_notes(store)?.into_iter().next() {
            let message =
                format!("`{}` does not read ({why}), so it is not known what its study needs", path.display());
            let hint = "run the study again, which writes it anew, or remove the file if the study is gone".to_owned();
            return Err(CliError::Usage { message, hint });
        }
        let inventory = store.inventory()?;
        let roots = Rooted::read(store)?;
        let unreached = store.unreached(&inventory, &roots.roots, &roots.without_study, grace);
        if !dry_run {
            collection.remove(&unreached)?;
        }
        let weigh = |items: &[crate::store::Item]| weight(items.iter().map(|item| item.size_bytes));
        let rows = [
            ("artifacts", weigh(&unreached.artifacts)),
            ("records", weigh(&unreached.records)),
            ("notes", weigh(&unreached.notes)),
            ("left over", weigh(&unreached.left_over)),
        ];
        let (n_young, young_bytes) = weigh(&unreached.young);
        if self.json {
            let mut told = json!({ "dry_run": dry_run, "size_bytes": unreached.size_bytes(), "studies": roots.n_studies,
                "pins": roots.n_pins, "young": { "count": n_young, "size_bytes": young_bytes } });
            for (name, (count, bytes)) in rows {
                told[name.replace(' ', "_")] = json!({ "count": count, "size_bytes": bytes });
            }
            return self.json(&told, ExitCode::SUCCESS);
        }
        let mut out = stdout().lock();
        let (studies, pins) = (counted(roots.n_studies, "study", "studies"), counted(roots.n_pins, "pin", "pins"));
        if unreached.is_empty() {
            let rest = if n_young > 0 { "all that is older" } else { "all that is there" };
            writeln!(out, "nothing to remove: {studies} and {pins} need {rest}")?;
        } else {
            for (name, (count, bytes)) in rows.into_iter().filter(|(_, (count, _))| *count > 0) {
                writeln!(out, "{name:<12} {count:>9} {:>12}", size(bytes))?;
            }
            let done = if dry_run { "would be removed" } else { "removed" };
            let bytes = unreached.size_bytes();
            writeln!(out, "{} ({bytes} bytes) {done}; {studies} and {pins} keep the rest", size(bytes))?;
        }
        if n_young > 0 {
            let young = counted(n_young, "artifact", "artifacts");
            writeln!(
                out,
                "{young} ({}) that no study needs stay for now: `--grace 0` removes young ones",
                size(young_bytes)
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn pin(&self, store: &Store, study: &Path) -> Result<ExitCode, CliError> {
        let note = StudyNote::read(store, study);
        if note.tasks.is_empty() {
            let message = format!("`{}` has not run in this cache, so there is nothing to keep", study.display());
            return Err(CliError::Usage { message, hint: format!("`hebb run {}`", study.display()) });
        }
        store.pin(&place_digest(&note.file), &note)?;
        let n_tasks = note.tasks.len();
        if self.json {
            return self.json(&json!({ "pinned": note.file, "tasks": n_tasks }), ExitCode::SUCCESS);
        }
        let tasks = counted(n_tasks, "result stays", "results stay");
        answer(format_args!("pinned {}: its {tasks} until `hebb cache unpin`", note.file.display()))?;
        Ok(ExitCode::SUCCESS)
    }

    fn unpin(&self, store: &Store, study: &Path) -> Result<ExitCode, CliError> {
        let file = full(study)?;
        if !store.unpin(&place_digest(&file))? {
            let message = format!("`{}` is not pinned", file.display());
            return Err(CliError::Usage { message, hint: "`hebb cache pins` lists what is".to_owned() });
        }
        if self.json {
            return self.json(&json!({ "unpinned": file }), ExitCode::SUCCESS);
        }
        answer(format_args!("unpinned {}: `hebb cache gc` may remove what only it needs", file.display()))?;
        Ok(ExitCode::SUCCESS)
    }

    fn pins(&self, store: &Store) -> Result<ExitCode, CliError> {
        let pins = store.pins::<StudyNote>()?;
        let read = pins.iter().filter_map(|(.., note)| note.as_ref().ok());
        let rows: Vec<_> = read
            .map(|note| {
                let artifacts: BTreeMap<_, u64> = note
                    .tasks
                    .values()
                    .map(|noted| (noted.output, noted.files.iter().map(|(_, bytes)| bytes).sum()))
                    .collect();
                (&note.file, note.tasks.len(), artifacts.values().sum::<u64>(), note.file.exists())
            })
            .collect();
        if self.json {
            let told = rows.iter().map(|(file, tasks, bytes, is_there)| {
                json!({ "study": file, "tasks": tasks, "size_bytes": bytes, "is_there": is_there })
            });
            return self.json(&json!(told.collect::<Vec<_>>()), ExitCode::SUCCESS);
        }
        let mut out = stdout().lock();
        if rows.is_empty() {
            writeln!(out, "no study is pinned")?;
        }
        for (file, tasks, bytes, is_there) in rows {
            let gone = if is_there { "" } else { "  (the file is gone)" };
            writeln!(out, "{tasks:>7} results {:>12}  {}{gone}", size(bytes), file.display())?;
        }
        for (path, why) in pins.iter().filter_map(|(_, path, note)| Some((path, note.as_ref().err()?))) {
            writeln!(out, "`{}` does not read: {why}", path.display())?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn json(&self, told: &serde_json::Value, code: ExitCode) -> Result<ExitCode, CliError> {
        answer(serde_json::to_string_pretty(told).expect("answers are plain data"))?;
        Ok(code)
    }
}

/// What studies and pins need.
struct Rooted {
    roots: Roots,
    n_studies: usize,
    n_pins: usize,
    /// Notes about studies whose file is gone.
    without_study: Vec<Digest>,
}

impl Rooted {
    fn read(store: &Store) -> Result<Self, CliError> {
        let mut rooted = Self { roots: Roots::default(), n_studies: 0, n_pins: 0, without_study: Vec::new() };
        for (name, _, note) in store.study_notes::<StudyNote>()? {
            let Ok(note) = note else { continue };
            // A disk that does not answer, or a folder that may not be read, says nothing of the study in it.
            if note.file.try_exists().unwrap_or(true) {
                rooted.n_studies += 1;
                rooted.add(&note);
            } else {
                rooted.without_study.push(name);
            }
        }
        for (.., note) in store.pins::<StudyNote>()? {
            let Ok(note) = note else { continue };
            rooted.n_pins += 1;
            rooted.add(&note);
        }
        Ok(rooted)
    }

    fn add(&mut self, note: &StudyNote) {
        self.roots.recipes.extend(note.tasks.values().map(|noted| noted.recipe));
        self.roots.outputs.extend(note.tasks.values().map(|noted| noted.output));
    }
}

fn unreadable_notes(store: &Store) -> Result<Vec<(PathBuf, String)>, CliError> {
    let notes: Vec<Listed<StudyNote>> = store.study_notes()?.into_iter().chain(store.pins()?).collect();
    Ok(notes.into_iter().filter_map(|(_, path, note)| Some((path, note.err()?))).collect())
}

/// A path from the root, also to a file that is gone.
fn full(file: &Path) -> Result<PathBuf, CliError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    match (file.canonicalize(), folder.canonicalize(), file.file_name()) {
        (Ok(full), ..) => Ok(full),
        (_, Ok(folder), Some(name)) => Ok(folder.join(name)),
        _ => std::path::absolute(file).map_err(CliError::file("find", file)),
    }
}

fn weight(bytes: impl Iterator<Item = u64>) -> (usize, u64) {
    bytes.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes))
}

fn counted(n: usize, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_a_number_of_hours() {
        assert_eq!(hours("0.5"), Ok(0.5));
        for wrong in ["-1", "nan", "inf", "a day", "1e9"] {
            assert!(hours(wrong).is_err(), "{wrong}");
        }
    }
}
