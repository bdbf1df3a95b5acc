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
        "`make setup` in Hebb's source folder installs it; or `pip install onnxruntime` where Hebb is installed or in the \
         active environment; or set `HEBB_ONNXRUNTIME` to the library file"
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
    let mut folders = env::current_exe().map(|program| folders_beside(&program)).unwrap_or_default();
    let data = env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".local/share")));
    folders.extend(data.map(|data| data.join("hebb/onnxruntime")));
    for prefix in ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(env::var_os) {
        folders.extend(in_packages(Path::new(&prefix)));
    }
    folders.extend(
        ["/usr/local/lib", "/usr/lib", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/opt/homebrew/lib"]
            .map(PathBuf::from),
    );
    folders
}

/// Folders that belong to a program: its own, the Python environment that it is installed in, and above it the source tree.
fn folders_beside(program: &Path) -> Vec<PathBuf> {
    // Installers put a link to the program where the PATH finds it; what belongs to it lies where the link leads.
    let Ok(program) = program.canonicalize() else { return Vec::new() };
    let Some(own) = program.parent() else { return Vec::new() };
    let mut folders = vec![own.to_owned()];
    // `bin/hebb`, or `Scripts\hebb.exe`, in an environment whose packages are in `lib`, or `Lib`.
    folders.extend(own.parent().map(in_packages).unwrap_or_default());
    // A program built in its source tree finds what `make setup` put beside the sources.
    let engines = own.ancestors().map(|folder| folder.join(".engines/onnxruntime"));
    folders.extend(engines.filter(|folder| folder.is_dir()));
    folders
}

/// Where the package `onnxruntime` of a Python environment, or of several Pythons below one prefix, has its library.
fn in_packages(prefix: &Path) -> Vec<PathBuf> {
    let mut homes = vec![prefix.join("Lib")];
    // In a virtual environment `lib64` is a link to `lib`.
    let mut libs: Vec<PathBuf> = ["lib", "lib64"].iter().flat_map(|lib| prefix.join(lib).canonicalize()).collect();
    libs.dedup();
    for entries in libs.iter().flat_map(|lib| lib.read_dir()) {
        let pythons = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("python"));
        homes.extend(pythons.map(|entry| entry.path()));
    }
    homes.sort();
    // `dist-packages` is Debian's name for what its own pip installs.
    let packages = homes.iter().flat_map(|home| ["site-packages", "dist-packages"].map(|name| home.join(name)));
    packages.filter(|packages| packages.is_dir()).map(|packages| packages.join("onnxruntime/capi")).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A file in a folder that is made for it.
    fn file(path: PathBuf) -> PathBuf {
        fs::create_dir_all(path.parent().expect("in a folder")).expect("a temporary folder");
        fs::write(&path, "").expect("a temporary folder");
        path
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_that_a_python_installer_linked_finds_the_library_of_its_own_environment() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().canonicalize().expect("it exists");
        let program = file(home.join("tools/hebb/bin/hebb"));
        let library =
            file(home.join("tools/hebb/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1"));
        file(home.join("tools/hebb/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime_providers_shared.so"));
        let link = home.join("bin/hebb");
        fs::create_dir_all(home.join("bin")).expect("a temporary folder");
        std::os::unix::fs::symlink(&program, &link).expect("links are possible");
        let found: Vec<PathBuf> = folders_beside(&link).iter().filter_map(|folder| library_in(folder)).collect();
        assert_eq!(found, [library]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_library_beside_the_program_comes_before_that_of_its_environment_and_of_the_source_tree() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().canonicalize().expect("it exists");
        let tree = file(home.join(".engines/onnxruntime/libonnxruntime.so.1.31.1"));
        let debian = file(home.join("env/lib/python3/dist-packages/onnxruntime/capi/libonnxruntime.so.1.24.0"));
        let beside = file(home.join("env/bin/libonnxruntime.so"));
        let program = file(home.join("env/bin/hebb"));
        let found: Vec<PathBuf> = folders_beside(&program).iter().filter_map(|folder| library_in(folder)).collect();
        assert_eq!(found, [beside, debian, tree]);
    }

    #[test]
    fn a_program_that_is_not_there_has_no_folders() {
        assert_eq!(folders_beside(Path::new("/nowhere/at/all/hebb")), Vec::<PathBuf>::new());
    }
}
