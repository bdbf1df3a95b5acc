//! `hebb pack`: a study with what it led to in one file, for another laboratory.

use super::{
    Shared,
    error::CliError,
    lock::lock_of,
    open::OpenStudy,
    progress::Bytes,
    results::{self, Existing},
    words::{are, counted, size},
};
use crate::{
    share::{Lock, Packed, Packing, Personal, Relocated, With, archive::write_archive},
    spec::place::folder_of,
};
use clap::{Args, ValueEnum};
use std::{
    collections::BTreeMap,
    env, fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `hebb pack`.
#[derive(Debug, Args)]
pub(super) struct Pack {
    /// The study file.
    study: PathBuf,
    /// Write to this file; without it, beside the study, as `STUDY.hebb.tar.zst`.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What goes along beside the study, its lock and the records of its tasks.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "results", value_name = "WHAT")]
    with: Vec<Along>,
    /// Pack this file of others too, or all that the study reads in this folder: one that a field of `[sources]` tells of.
    #[arg(long, value_name = "PATH")]
    input: Vec<PathBuf>,
    /// The licence that the receiver has it under, by its SPDX name, as `CC-BY-4.0`.
    #[arg(long, value_name = "NAME", value_parser = license)]
    license: Option<String>,
}

/// What goes along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Along {
    /// Nothing more.
    Nothing,
    /// Report, tables and maps: whoever has them computes nothing.
    Results,
    /// Maps alone.
    Maps,
    /// Files that the study reads, but for those of others.
    Inputs,
    /// Results, inputs, and what every task in between led to.
    All,
}

fn license(name: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-.+".contains(letter);
    if !name.is_empty() && name.chars().all(is_plain) {
        Ok(name.to_owned())
    } else {
        Err("expected the SPDX name of a licence, as `CC-BY-4.0`".to_owned())
    }
}

/// What an archive's name ends in.
pub(super) const ENDING: &str = ".hebb.tar.zst";

impl Pack {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        let mut open = OpenStudy::new(&self.study, shared)?;
        open.note()?;
        let lock: Lock = lock_of(&open, shared)?;
        let has = |along: Along| self.with.contains(&along) || self.with.contains(&Along::All);
        let with = With {
            results: has(Along::Results),
            maps: has(Along::Maps),
            inputs: has(Along::Inputs),
            tasks: self.with.contains(&Along::All),
        };
        let personal = personal(&open);
        let pages = if with.results { pages(&mut open, &personal)? } else { BTreeMap::new() };
        let packing = Packing {
            study: &open.study,
            plan: &open.plan,
            store: &open.store,
            lock,
            personal,
            with,
            named: self.input.clone(),
            license: self.license.clone(),
            pages,
        };
        let Packed { index, contents, of_others } = packing.pack()?;
        let target = self.output.unwrap_or_else(|| {
            let stem = self.study.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            self.study.with_file_name(stem + ENDING)
        });
        let all_bytes: u64 = index.files.iter().map(|file| file.size_bytes).sum();
        let mut shown = Bytes::new("packing", all_bytes);
        write_archive(&index, &contents, &target, &mut |bytes| shown.set(bytes))?;
        shown.end();
        let packed_bytes = fs::metadata(&target).map_err(CliError::file("read", &target))?.len();
        writeln!(
            stdout(),
            "{}: {}, {} in {}",
            target.display(),
            counted(index.files.len(), "file"),
            size(all_bytes),
            size(packed_bytes)
        )?;
        if !index.missing.is_empty() {
            let others = if of_others > 0 { format!(", {of_others} of them from others") } else { String::new() };
            writeln!(
                stdout(),
                "{} that the study reads {} not in it{others}: its README.md names them by digest",
                counted(index.missing.len(), "file"),
                are(index.missing.len()),
            )?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What must not leave this machine.
fn personal(open: &OpenStudy) -> Personal {
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE")).map(PathBuf::from);
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| env::var(name).ok());
    let user = user.or_else(|| Some(home.as_ref()?.file_name()?.to_string_lossy().into_owned()));
    let folders = [(folder_of(&open.study.file), "."), (open.store.root(), "cache")];
    Personal::new(home.as_deref(), user.as_deref(), sysinfo::System::host_name().as_deref(), &folders)
}

/// The pages of a study, by path, as its receiver lays them out too. The study is left as its receiver has it.
fn pages(open: &mut OpenStudy, personal: &Personal) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let moved = Relocated::new(&open.study, personal)?;
    let moved = moved.sources(&open.study);
    let sources = std::mem::replace(&mut open.study.sources, moved);
    let folder = tempfile::tempdir().map_err(CliError::file("create", "a temporary folder"))?;
    results::lay_out(open, folder.path(), Existing::Replaced)?;
    open.study.sources = sources;
    let mut pages = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder.path()).into_iter().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "html") {
            let bytes = fs::read(path).map_err(CliError::file("read", path))?;
            let inside = path.strip_prefix(folder.path()).expect("walked from this folder");
            pages.insert(slashes(inside), bytes);
        }
    }
    Ok(pages)
}

fn slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}
