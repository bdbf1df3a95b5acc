//! Slurm's own commands: `sbatch`, `squeue`, `scancel`. Owns how they are called and how their answers are read.

use super::{
    SlurmError,
    fate::{JobState, PREFIX},
};
use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    process::{Child, Command, Stdio},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// A job of an array: the array's number, its own within it.
pub(super) type JobId = (u64, u32);

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The number of the array.
    Job(u64),
    /// The cluster will not have it, and says why.
    Refused(String),
    /// The cluster will have no more for now.
    Full(String),
    /// Nobody knows whether it arrived.
    Unsure(String),
}

/// Seconds after which a command that has not answered counts as one that got no answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two looks at whether a command has ended.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Jobs that are named in one call of `scancel`: a command line has room for more.
const NAMED: usize = 500;

/// What `sbatch` and `squeue` say where they got no answer: none of it says what the controller did.
const NO_ANSWER: [&str; 9] = [
    "unable to contact",
    "timed out",
    "connection refused",
    "zero bytes were transmitted",
    "transport endpoint",
    "communication connection failure",
    "connection failure",
    "unexpected message received",
    "temporarily unavailable",
];

/// What `sbatch` says where a user has as many jobs as may be.
const FULL: [&str; 4] =
    ["submit limit", "maxsubmitjob", "violates accounting/qos policy", "temporarily unable to accept"];

/// Submits a script.
pub(super) fn submit(script: &str) -> Result<Answer, SlurmError> {
    let mut command = Command::new("sbatch");
    command.arg("--parsable");
    let said = match call(command, script)? {
        Called::NoAnswer => return Ok(Answer::Unsure(format!("no answer within {} s", PATIENCE.as_secs()))),
        Called::Answered { is_success: true, out, err } => {
            let number = out.lines().rev().find_map(|line| line.split(';').next()?.trim().parse().ok());
            return Ok(
                number.map_or_else(|| Answer::Unsure(format!("it answered `{}` {err}", out.trim())), Answer::Job)
            );
        }
        Called::Answered { err, .. } => one_line(&err),
    };
    let lower = said.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|words| lower.contains(words));
    Ok(match () {
        () if says(&FULL) => Answer::Full(said),
        () if says(&NO_ANSWER) => Answer::Unsure(said),
        () => Answer::Refused(said),
    })
}

/// Every job of this user and this program that the cluster knows of, in one call; nothing if the controller is away.
pub(super) fn look() -> Result<Option<BTreeMap<JobId, JobState>>, SlurmError> {
    let mut command = Command::new("squeue");
    command.args(["-h", "--me", "-t", "all", "-r", "-O", "JobArrayID:|,State:|,exit_code:|,Reason:|,Name:|"]);
    match call(command, "")? {
        Called::Answered { is_success: true, out, .. } => Ok(Some(out.lines().filter_map(parse).collect())),
        Called::Answered { .. } | Called::NoAnswer => Ok(None),
    }
}

/// One line of `squeue`; none for jobs that are no elements of this program's arrays.
fn parse(line: &str) -> Option<(JobId, JobState)> {
    let parts: Vec<&str> = line.split('|').map(str::trim).collect();
    let [id, word, status, reason, name, ..] = parts[..] else { return None };
    let (array, element) = id.split_once('_')?;
    let id = (array.parse().ok()?, element.parse().ok()?);
    let state = JobState {
        word: word.to_owned(),
        status: status.parse().unwrap_or_default(),
        reason: reason.to_owned(),
        name: name.to_owned(),
    };
    name.starts_with(PREFIX).then_some((id, state))
}

/// Cancels jobs; says whether every call was answered.
pub(super) fn cancel(jobs: &[JobId]) -> Result<bool, SlurmError> {
    let mut answered = true;
    for jobs in jobs.chunks(NAMED) {
        let mut command = Command::new("scancel");
        command.arg("--quiet").args(jobs.iter().map(|(array, element)| format!("{array}_{element}")));
        answered &= matches!(call(command, "")?, Called::Answered { is_success: true, .. });
    }
    Ok(answered)
}

/// What came of calling a program.
enum Called {
    Answered { is_success: bool, out: String, err: String },
    NoAnswer,
}

/// Calls a program with some input, for as long as patience lasts.
fn call(mut command: Command, input: &str) -> Result<Called, SlurmError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |source: io::Error| SlurmError::Program { program: program.clone(), source };
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let (out, err) = (read(child.stdout.take()), read(child.stderr.take()));
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says itself what was wrong.
        let _ = stdin.write_all(input.as_bytes());
    }
    let Some(is_success) = wait(&mut child).map_err(failed)? else { return Ok(Called::NoAnswer) };
    let text = |reader: JoinHandle<String>| reader.join().expect("reading does not panic");
    Ok(Called::Answered { is_success, out: text(out), err: text(err) })
}

/// Whether it ended well; nothing if it had to be ended.
fn wait(child: &mut Child) -> io::Result<Option<bool>> {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if started.elapsed() >= PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Bytes that are kept of what a program says: a line for each of a hundred thousand jobs has a tenth of that.
const MOST_SAID_BYTES: u64 = 64 << 20;

/// Reads what a program says while it runs: a pipe that nobody reads would stop it.
fn read(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.by_ref().take(MOST_SAID_BYTES).read_to_end(&mut bytes);
            // What is beyond that is passed over: a program whose pipe is full would wait for ever.
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A complaint without the name of the program that every line begins with.
fn one_line(text: &str) -> String {
    let lines =
        text.lines().map(|line| line.trim().trim_start_matches("sbatch: error: ").trim_start_matches("sbatch: "));
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_queue_are_read_and_those_of_others_left() {
        let (id, state) = parse("17_3|RUNNING|0|None|hebb-a-0123|").expect("one of ours");
        assert_eq!(
            (id, state.word.as_str(), state.status, state.name.as_str()),
            ((17, 3), "RUNNING", 0, "hebb-a-0123")
        );
        let (_, state) = parse("17_3 |FAILED |768 |NonZeroExitCode |hebb-a-0123 |").expect("one of ours");
        assert_eq!((state.word.as_str(), state.status, state.reason.as_str()), ("FAILED", 768, "NonZeroExitCode"));
        for other in [
            "18|RUNNING|0|None|hebb-a|",
            "17_3|RUNNING|0|None|theirs|",
            "",
            "slurm_load_jobs error",
            "17_[0-9]|P|0|N|hebb-a|",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn complaints_are_told_in_one_line() {
        let said = "sbatch: error: Batch job submission failed: Invalid partition name specified\nsbatch: error: x\n\n";
        assert_eq!(one_line(said), "Batch job submission failed: Invalid partition name specified; x");
    }
}
