//! `hebb unpack`, and archives that `hebb run` is given: the folder that a study and its results become.

use super::{
    Shared,
    error::CliError,
    pack::ENDING,
    progress::Bytes,
    say,
    words::{are, counted, size},
};
use crate::{
    format::memory::read_within,
    share::{
        Lock, absent_inputs,
        archive::{Archive, INDEX, Index, MOST_INDEX_BYTES, printable},
        find_inputs, lock_path, place_input, unpacked_index,
    },
    spec::place::folder_of,
    store::FileDigests,
};
use clap::Args;
use std::{
    collections::BTreeSet,
    fs,
    io::{Write, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Arguments of `hebb unpack`.
#[derive(Debug, Args)]
pub(super) struct Unpack {
    /// The archive that `hebb pack` wrote.
    archive: PathBuf,
    /// Unpack to this new folder; without it, to one of the study's name here.
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Look in this folder, and all below it, for files that the study reads and the archive has not.
    #[arg(long, value_name = "DIR")]
    find: Vec<PathBuf>,
}

/// Missing files that are told one by one.
const TOLD: usize = 20;

impl Unpack {
    pub(super) fn run(self, _shared: &Shared) -> Result<ExitCode, CliError> {
        let archive = Archive::open(&self.archive)?;
        let folder = self.output.unwrap_or_else(|| PathBuf::from(&archive.index.folder));
        unpack(&archive, &folder)?;
        let study = folder.join(&archive.index.study_file);
        find(&study, &self.find, &folder.join("cache"), false)?;
        let inside = printable(&archive.index.study_file);
        writeln!(stdout(), "next: cd {} && hebb run {inside} --locked", folder.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn unpack(archive: &Archive, folder: &Path) -> Result<(), CliError> {
    let Index { study, program, files, .. } = &archive.index;
    let mut shown = Bytes::new("unpacking", archive.size_bytes());
    archive.unpack(folder, &mut |bytes| shown.set(bytes))?;
    shown.end();
    writeln!(
        stdout(),
        "{}: {}, packed by {}, {} with {}",
        folder.display(),
        printable(study),
        printable(program),
        counted(files.len(), "file"),
        size(archive.size_bytes())
    )?;
    Ok(())
}

/// Where a run of an archive goes on.
pub(super) struct Unpacked {
    pub(super) study: PathBuf,
    pub(super) cache: PathBuf,
    pub(super) results: PathBuf,
}

/// Whether a path names an archive and no study.
pub(super) fn is_archive(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ENDING))
}

/// The folder of an archive here: unpacked now, or before.
pub(super) fn unpacked(path: &Path) -> Result<Unpacked, CliError> {
    let archive = Archive::open(path)?;
    let folder = PathBuf::from(&archive.index.folder);
    let before = read_within(&folder.join(INDEX), MOST_INDEX_BYTES)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<Index>(&bytes).ok());
    match before {
        Some(before) if before == archive.index => {}
        _ => unpack(&archive, &folder)?,
    }
    let study = folder.join(&archive.index.study_file);
    Ok(Unpacked { study, cache: folder.join("cache"), results: folder.join("results") })
}

/// Looks in `folders` for what a study's lock names and its folder has not, puts links in place, and tells what is still missing if
/// the study was unpacked or a search was asked for.
pub(super) fn find(study: &Path, folders: &[PathBuf], cache: &Path, rehash: bool) -> Result<(), CliError> {
    let index = unpacked_index(study);
    let path = lock_path(study);
    if folders.is_empty() && (index.is_none() || !path.is_file()) {
        return Ok(());
    }
    let lock = Lock::read(&path)?;
    let start = folder_of(study);
    let mut absent: BTreeSet<String> = absent_inputs(&lock, start);
    if !folders.is_empty() {
        for folder in folders {
            fs::read_dir(folder).map_err(CliError::file("look in", folder))?;
        }
        let digests = FileDigests::open(cache, rehash);
        let found = find_inputs(&lock, &absent, folders, &digests)?;
        for (name, file) in &found.files {
            let place = start.join(name);
            place_input(file, &place).map_err(CliError::file("put a link at", &place))?;
            absent.remove(name);
        }
        // The memo only saves time.
        let _ = digests.save();
        say(format_args!(
            "{} of {} found, {} read",
            found.files.len(),
            counted(found.files.len() + absent.len(), "missing file"),
            counted(found.n_read, "file")
        ));
    }
    if absent.is_empty() {
        return Ok(());
    }
    let sources = |name: &str| {
        let place = start.join(name);
        let missing = index.iter().flat_map(|index| &index.missing);
        missing.into_iter().find(|missing| place.ends_with(&missing.path)).and_then(|missing| missing.source.clone())
    };
    say(format_args!("{} that this study reads {} not here:", counted(absent.len(), "file"), are(absent.len())));
    for name in absent.iter().take(TOLD) {
        let input = &lock.inputs[name];
        let source = sources(name).map_or(String::new(), |source| format!(", from {}", printable(&source)));
        say(format_args!("  {} ({}, BLAKE3 {}{source})", printable(name), size(input.size_bytes), input.digest));
    }
    if absent.len() > TOLD {
        say(format_args!("  and {} more", absent.len() - TOLD));
    }
    say("  hint: put them there, or let `--find DIR` look for them");
    Ok(())
}
