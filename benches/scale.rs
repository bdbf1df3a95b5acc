//! How the time to find that nothing is to do, and to plan, grows with the number of tasks; Snakemake beside it.
//!
//! `cargo bench --bench scale` runs a sweep of some 10 000 real tasks once (a few minutes), then times `hebb run` and `hebb plan`
//! on it, interleaved with Snakemake on a finished graph of as many touch rules, which it installs into `target/bench` from the
//! Python package index. Times are of whole processes, medians of interleaved repetitions.

use std::{
    fs,
    io::{Read, Seek},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

const HEBB: &str = env!("CARGO_BIN_EXE_hebb");
const SNAKEMAKE: &str = "snakemake==9.13.4";
const REPETITIONS: usize = 5;

/// A study of `n_cells` cells over `n_subjects` subjects: 4 tasks for each subject and 2 more in each cell.
fn study(n_subjects: usize, n_cells: usize) -> String {
    let subjects: Vec<String> = (1..=n_subjects).map(|n| format!("\"sub-{n:03}\"")).collect();
    let seeds: Vec<String> = (0..n_cells).map(|seed| seed.to_string()).collect();
    format!(
        r#"
[study]
name = "scale-{n_subjects}-{n_cells}"

[sweep.grid]
"patterns.dictionary.seed" = [{seeds}]

[runs]
train = ["1", "2"]
test = ["3"]

[stimuli.generate]
images_per_run = 12
image_size_px = 32

[models.clip.random]
vision = {{ layers = 2, width = 32, heads = 2, mlp_width = 64, image_size = 32, patch_size = 16 }}
text = {{ layers = 2, width = 32, heads = 2, mlp_width = 64, context_length = 16, vocab_size = 600 }}

[bold.simulate]
subjects = [{subjects}]
repetition_time_s = 1.5

[bold.simulate.brain]
shape = [10, 12, 9]
voxel_size_mm = 6.0

[bold.simulate.brain.networks]
visual = {{ module = "vision", layers = [1] }}

[patterns.dictionary]
n_patterns = 3
penalty = 0.15
max_epochs = 3

[encoding.ridge]
alphas = [1, 100]
features = ["patterns"]

[statistics.significance]
n_permutations = 19

[statistics.redundancy]
n_permutations = 19

[statistics.polarity]
n_permutations = 19
"#,
        seeds = seeds.join(", "),
        subjects = subjects.join(", ")
    )
}

/// What a process took.
struct Taken {
    seconds: f64,
    peak_bytes: u64,
    printed: String,
}

/// Runs a command to its end.
fn timed(command: &mut Command) -> Taken {
    let mut printed = tempfile::tempfile().expect("writable");
    let started = Instant::now();
    command.stdin(Stdio::null()).stdout(printed.try_clone().expect("a handle")).stderr(Stdio::null());
    #[expect(clippy::zombie_processes, reason = "waited for below, with what it took")]
    let child = command.spawn().expect("the program starts");
    // SAFETY: the child is ours and nothing else waits for it; both pointers are to live values, for which zeroes are valid.
    let (status, usage) = unsafe {
        let (mut status, mut usage): (i32, libc::rusage) = (0, std::mem::zeroed());
        assert_eq!(libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage), child.id() as i32);
        (status, usage)
    };
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(status, 0, "{command:?}");
    let mut text = String::new();
    printed.rewind().and_then(|()| printed.read_to_string(&mut text)).expect("what was printed");
    Taken { seconds, peak_bytes: usage.ru_maxrss as u64 * 1024, printed: text }
}

fn hebb(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(HEBB);
    command.current_dir(folder).args(arguments);
    command
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn n_tasks(folder: &Path, study: &str) -> usize {
    let told = timed(&mut hebb(folder, &["plan", study, "--json"])).printed;
    let plan: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let counts = plan["counts"].as_object().expect("counts");
    counts.values().filter_map(serde_json::Value::as_u64).sum::<u64>() as usize
}

/// Snakemake in an environment of its own; absent where there is no Python or no network.
fn snakemake() -> Option<PathBuf> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/snakemake");
    let program = place.join("bin/snakemake");
    if !program.is_file() {
        let done = |command: &mut Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        let made = done(Command::new("python3").args(["-m", "venv"]).arg(&place))
            && done(Command::new(place.join("bin/pip")).args(["install", "--quiet", SNAKEMAKE]));
        if !made {
            println!("Snakemake could not be installed, so it is not compared");
            return None;
        }
    }
    Some(program)
}

/// A finished graph of `n` touch rules in chains of five.
fn write_rules(folder: &Path, n: usize) {
    fs::create_dir_all(folder.join("out")).expect("writable");
    let chains = n / 5;
    let mut rules = format!("N = {chains}\nrule all:\n    input: expand(\"out/s4_{{i}}\", i=range(N))\n");
    for stage in 0..5 {
        let input = if stage == 0 { String::new() } else { format!("    input: \"out/s{}_{{i}}\"\n", stage - 1) };
        rules += &format!("rule s{stage}:\n{input}    output: touch(\"out/s{stage}_{{i}}\")\n");
        for chain in 0..chains {
            fs::write(folder.join(format!("out/s{stage}_{chain}")), []).expect("writable");
        }
    }
    fs::write(folder.join("Snakefile"), rules).expect("writable");
}

fn main() {
    let folder = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." }).expect("writable");
    let folder = folder.path();
    println!("planning, nothing cached:");
    let mut before: Option<(usize, f64)> = None;
    for n_cells in [23, 238, 2380] {
        let name = format!("{n_cells}.toml");
        fs::write(folder.join(&name), study(10, n_cells)).expect("writable");
        let n = n_tasks(folder, &name);
        let taken: Vec<Taken> = (0..3).map(|_| timed(&mut hebb(folder, &["plan", &name]))).collect();
        let peak_mb = taken.iter().map(|taken| taken.peak_bytes).max().unwrap_or_default() / 1_000_000;
        let seconds = median(taken.iter().map(|taken| taken.seconds).collect());
        print!("  {n:>7} tasks: {seconds:.2} s, {peak_mb} MB");
        if let Some((fewer, shorter)) = before {
            let growth = |n: usize| n as f64 * (n as f64).ln();
            print!(
                ", {:.2} of what n log n from the line above gives",
                seconds / shorter / (growth(n) / growth(fewer))
            );
        }
        println!();
        before = Some((n, seconds));
    }

    let first = timed(&mut hebb(folder, &["run", "238.toml"])).seconds;
    let n = n_tasks(folder, "238.toml");
    println!("running {n} tasks for the first time: {first:.0} s");
    let other = snakemake();
    if other.is_some() {
        write_rules(&folder.join("rules"), n);
    }
    let (mut run, mut plan, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        run.push(timed(&mut hebb(folder, &["run", "238.toml"])));
        plan.push(timed(&mut hebb(folder, &["plan", "238.toml"])));
        if let Some(program) = &other {
            let mut command = Command::new(program);
            command.current_dir(folder.join("rules"));
            theirs.push(timed(command.args(["--cores", "1", "--quiet", "all", "--rerun-triggers", "mtime"])));
        }
    }
    println!("{n} tasks, all cached:");
    let told = |name: &str, taken: &[Taken]| {
        let seconds = median(taken.iter().map(|taken| taken.seconds).collect());
        let peak_mb = taken.iter().map(|taken| taken.peak_bytes).max().unwrap_or_default() / 1_000_000;
        println!("  {name:<24} {seconds:>7.2} s {peak_mb:>6} MB");
        seconds
    };
    let run = told("hebb run", &run);
    told("hebb plan", &plan);
    if !theirs.is_empty() {
        let theirs = told("snakemake, touch rules", &theirs);
        println!("  Snakemake takes {:.0} times as long as `hebb run`", theirs / run);
    }
}
