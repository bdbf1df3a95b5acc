//! A run that goes on when its terminal is closed: the same command, in a session of its own, with a file for what it says.

use super::{Shared, answer, error::CliError, runs::StudyRuns};
use crate::executor::slurm::ClusterFolder;
use std::{
    env,
    fs::{self, File},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::Duration,
};

/// The option that is left out of the command that goes on.
const DETACH: &str = "--detach";

/// Time between two looks at whether it has begun.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Starts this command again without `--detach`, and waits until it has begun to run or has ended.
pub(super) fn start(study: &Path, shared: &Shared) -> Result<ExitCode, CliError> {
    fs::create_dir_all(&shared.cache).map_err(CliError::file("create", &shared.cache))?;
    let folder = ClusterFolder::of(&shared.cache, study);
    fs::create_dir_all(folder.root()).map_err(CliError::file("create", folder.root()))?;
    let log = folder.root().join("run.log");
    let said = File::create(&log).map_err(CliError::file("create", &log))?;
    let also_said = said.try_clone().map_err(CliError::file("write", &log))?;
    let program = env::current_exe().map_err(CliError::file("find", "hebb"))?;
    let mut command = Command::new(&program);
    command.args(env::args_os().skip(1).filter(|argument| argument != DETACH));
    command.stdin(Stdio::null()).stdout(said).stderr(also_said);
    in_a_session_of_its_own(&mut command);
    let mut child = command.spawn().map_err(CliError::file("start", &program))?;
    let runs = StudyRuns::of(&shared.cache, study);
    loop {
        if let Some(status) = child.try_wait().map_err(CliError::file("wait for", &program))? {
            // It had nothing to run, or said what is wrong.
            if let Ok(mut said) = File::open(&log) {
                std::io::copy(&mut said, &mut std::io::stderr())?;
            }
            return Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
        }
        if runs.unended().iter().any(|run| run.is_alive && run.process() == Some(child.id())) {
            return begun(study, &child, &log);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn begun(study: &Path, child: &Child, log: &Path) -> Result<ExitCode, CliError> {
    let (study, log) = (study.display(), log.display());
    answer(format_args!(
        "the run goes on as process {} and says what it says in {log}\n  follow  hebb status --watch {study}\n  end     \
         hebb slurm cancel {study}",
        child.id()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A closed terminal ends what is of its session.
#[cfg(unix)]
fn in_a_session_of_its_own(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only `setsid` is called, which is safe there and touches no memory.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
}

#[cfg(not(unix))]
fn in_a_session_of_its_own(_: &mut Command) {}
