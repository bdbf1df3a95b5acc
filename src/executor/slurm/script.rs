//! What is submitted: the text of a batch script. Everything that goes into it is quoted here.

use super::batch::Resources;
use std::{
    ffi::OsString,
    fmt::Write,
    path::{Path, PathBuf},
};

/// What every job of a run has in common.
#[derive(Clone, Debug)]
pub struct Worker {
    /// This program.
    pub program: PathBuf,
    /// Its arguments before the folder of the array.
    pub arguments: Vec<OsString>,
    /// Where it works: files that a study names may be relative to it.
    pub folder: PathBuf,
    /// Shell lines before it.
    pub setup: Vec<String>,
}

/// The script of an array of so many elements, whose folder is `folder`.
pub(super) fn script(
    worker: &Worker,
    name: &str,
    resources: &Resources,
    n_elements: usize,
    max_running: u32,
    folder: &Path,
) -> String {
    let mut text = "#!/bin/sh\n".to_owned();
    let mut option = |name: &str, value: &str| writeln!(text, "#SBATCH --{name}={value}").expect("texts take anything");
    option("job-name", name);
    option("array", &format!("0-{}%{max_running}", n_elements - 1));
    for (name, value) in [
        ("partition", &resources.partition),
        ("account", &resources.account),
        ("qos", &resources.qos),
        ("constraint", &resources.constraint),
    ] {
        if let Some(value) = value {
            option(name, &format!("\"{value}\""));
        }
    }
    option("chdir", &format!("\"{}\"", worker.folder.to_string_lossy()));
    option("nodes", "1");
    option("ntasks", "1");
    option("cpus-per-task", &resources.cpus.to_string());
    option("mem", &format!("{}M", resources.memory_mb));
    option("time", &resources.time_min.to_string());
    if resources.gpus > 0 {
        option("gres", &format!("gpu:{}", resources.gpus));
    }
    // A log that goes on after a requeue says what came before it.
    option("open-mode", "append");
    option("output", &format!("\"{}/%a.log\"", pattern(folder)));
    let mut text = text + "#SBATCH --requeue\n";
    for given in &resources.options {
        writeln!(text, "#SBATCH {given}").expect("texts take anything");
    }
    text.push('\n');
    for line in &worker.setup {
        writeln!(text, "{line}").expect("texts take anything");
    }
    // In place of the shell, so that signals reach it.
    write!(text, "exec {}", quoted(&worker.program.to_string_lossy())).expect("texts take anything");
    for argument in &worker.arguments {
        write!(text, " {}", quoted(&argument.to_string_lossy())).expect("texts take anything");
    }
    writeln!(text, " {} \"$SLURM_ARRAY_TASK_ID\"", quoted(&folder.to_string_lossy())).expect("texts take anything");
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+=:,@".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A folder as Slurm takes it in the name of a log, where a per cent sign begins a pattern.
fn pattern(folder: &Path) -> String {
    folder.to_string_lossy().replace('%', "%%")
}

/// Why a folder cannot stand in a line of a script, if it cannot.
pub(super) fn unfit(folder: &Path) -> Option<&'static str> {
    let Some(text) = folder.to_str() else { return Some("bytes that are no text") };
    if text.contains(['\n', '\r']) {
        return Some("a line break");
    }
    text.contains(['"', '\\']).then_some("a quotation mark or a backslash")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources() -> Resources {
        Resources {
            kind: crate::task::Kind::Encode,
            partition: Some("main".into()),
            account: None,
            qos: None,
            constraint: Some("avx512&ib".into()),
            cpus: 4,
            gpus: 1,
            memory_mb: 2048,
            time_min: 60,
            options: vec!["--exclude=n13".into()],
        }
    }

    #[test]
    fn a_script_asks_for_what_is_set_and_nothing_breaks_out_of_it() {
        let worker = Worker {
            program: "/opt/it's/hebb".into(),
            arguments: ["--cache", "/data/a cache", "worker"].map(Into::into).into(),
            folder: "/home/a b".into(),
            setup: vec!["module load openblas".into()],
        };
        let folder = Path::new("/data/a cache/100%/jobs/1");
        let text = script(&worker, "hebb-a-1", &resources(), 3, 64, folder);
        assert_eq!(
            text,
            "#!/bin/sh\n#SBATCH --job-name=hebb-a-1\n#SBATCH --array=0-2%64\n#SBATCH --partition=\"main\"\n\
             #SBATCH --constraint=\"avx512&ib\"\n#SBATCH --chdir=\"/home/a b\"\n#SBATCH --nodes=1\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=4\n\
             #SBATCH --mem=2048M\n#SBATCH --time=60\n#SBATCH --gres=gpu:1\n#SBATCH --open-mode=append\n\
             #SBATCH --output=\"/data/a cache/100%%/jobs/1/%a.log\"\n#SBATCH --requeue\n#SBATCH --exclude=n13\n\n\
             module load openblas\n\
             exec '/opt/it'\\''s/hebb' --cache '/data/a cache' worker '/data/a cache/100%/jobs/1' \"$SLURM_ARRAY_TASK_ID\"\n"
        );
    }

    #[test]
    fn folders_that_no_line_can_hold_are_known() {
        assert_eq!(unfit(Path::new("/a b/ä%")), None);
        assert!(unfit(Path::new("/a\nb")).is_some() && unfit(Path::new("/a\"b")).is_some());
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            // A script is text: it would name another folder.
            let unreadable = Path::new(std::ffi::OsStr::from_bytes(b"/a\xff"));
            assert_eq!(unfit(unreadable), Some("bytes that are no text"));
        }
    }
}
