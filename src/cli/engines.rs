//! Finds the ONNX Runtime library: the one thing that cannot be linked when the program is built.

use super::Shared;
use crate::model::load_runtime;
use std::{
    env, fmt,
    path::{Path, PathBuf},
};

/// ONNX Runtime, loaded.
pub(super) struct Runtime {
    pub(super) path: PathBuf,
    pub(super) version: String,
}

/// ONNX Runtime was not found, or what was found cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(super) struct RuntimeMissing {
    looked_in: Vec<PathBuf>,
    refused: Vec<String>,
}

impl fmt::Display for RuntimeMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.refused.is_empty() {
            write!(f, "ONNX Runtime (`{LIBRARY}`) was not found; looked in")?;
            for folder in &self.looked_in {
                write!(f, "\n    {}", folder.display())?;
            }
            return Ok(());
        }
        write!(f, "ONNX Runtime cannot be loaded")?;
        for reason in &self.refused {
            write!(f, "\n    {reason}")?;
        }
        Ok(())
    }
}

impl RuntimeMissing {
    pub(super) fn hint(&self) -> String {
        "`make setup` in Hebb's source folder installs it; or `pip install onnxruntime` in the active environment; or set \
         `HEBB_ONNXRUNTIME` to the library file"
            .to_owned()
    }
}

#[cfg(target_os = "macos")]
const LIBRARY: &str = "libonnxruntime.dylib";
#[cfg(windows)]
const LIBRARY: &str = "onnxruntime.dll";
#[cfg(not(any(target_os = "macos", windows)))]
const LIBRARY: &str = "libonnxruntime.so";

/// Finds and loads ONNX Runtime.
pub(super) fn runtime(shared: &Shared) -> Result<Runtime, Box<RuntimeMissing>> {
    let mut missing = RuntimeMissing { looked_in: Vec::new(), refused: Vec::new() };
    let named = shared.onnxruntime.clone().or_else(|| env::var_os("ORT_DYLIB_PATH").map(PathBuf::from));
    let candidates: Vec<PathBuf> = match named {
        // What the user names is taken as it is: falling back to another library would hide the mistake.
        Some(file) => vec![file],
        None => {
            missing.looked_in = folders();
            missing.looked_in.iter().filter_map(|folder| library_in(folder)).collect()
        }
    };
    for path in candidates {
        match load_runtime(&path) {
            Ok(version) => return Ok(Runtime { path, version }),
            Err(error) => missing.refused.push(error.to_string()),
        }
    }
    Err(Box::new(missing))
}

/// Folders that may hold the library, nearest first.
fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    if let Some(program) = env::current_exe().ok().and_then(|program| program.canonicalize().ok()) {
        folders.extend(program.parent().map(Path::to_owned));
        // A program built in its source tree finds what `make setup` put beside the sources.
        folders.extend(
            program
                .ancestors()
                .skip(1)
                .map(|folder| folder.join(".engines/onnxruntime"))
                .filter(|folder| folder.is_dir()),
        );
    }
    let data = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".local/share")));
    folders.extend(data.map(|data| data.join("hebb/onnxruntime")));
    for prefix in ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os) {
        folders.extend(site_packages(Path::new(&prefix)).into_iter().map(|packages| packages.join("onnxruntime/capi")));
    }
    folders.extend(
        ["/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib"]
            .map(PathBuf::from),
    );
    folders
}

fn site_packages(prefix: &Path) -> Vec<PathBuf> {
    let Ok(entries) = prefix.join("lib").read_dir() else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("python"))
        .map(|entry| entry.path().join("site-packages"))
        .filter(|packages| packages.is_dir())
        .collect();
    found.sort();
    found
}

/// The library in a folder, its version perhaps after its name (`libonnxruntime.so.1.31.1`); the newest of several.
fn library_in(folder: &Path) -> Option<PathBuf> {
    let stem = LIBRARY.trim_end_matches(".dylib");
    let is_library = |name: &str| {
        name == LIBRARY
            || name.starts_with(&format!("{LIBRARY}."))
            || (name.starts_with(stem) && name.ends_with(".dylib"))
    };
    let names = folder.read_dir().ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let newest =
        names.filter(|name| is_library(name)).max_by(|one, other| crate::format::bids::natural_order(one, other))?;
    Some(folder.join(newest))
}
