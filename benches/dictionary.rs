//! 100 patterns of 9216 units x 3000 time points learned, against scikit-learn's `MiniBatchDictionaryLearning` on the same
//! units and penalty, turn by turn on two threads.
//!
//! `cargo bench --bench dictionary [-- TURNS [PENALTY]]`. `HEBB_PYTHON` names a Python with scikit-learn, else `python` on the
//! path; without scikit-learn only Hebb is measured. Every turn is a process of its own; imports and reading are left out of
//! its time, CPU seconds are those of the whole process. Whoever learned them, patterns are judged by the objective of
//! their exact codes. The floor is the two products a pass cannot do without: all units with all patterns, and all codes
//! with all units. Units mix a few of 80 slow sources that passed through a haemodynamic response, plus slow noise of their
//! own; they are made once, in `target/bench/dictionary`.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use hebb::math::{
    blas::matmul,
    dictionary::{DictionaryOptions, learn_dictionary},
    lasso::lasso_codes,
};
use ndarray::Array2;
use ndarray_npy::{read_npy, write_npy};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};
use rayon::prelude::*;

const N_TR: usize = 3000;
const N_UNITS: usize = 9216;
const N_SOURCES: usize = 80;
const N_PATTERNS: usize = 100;
const THREADS: &str = "2";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |at: usize, or: f64| arguments.get(at).map_or(or, |text| text.parse().expect("a number"));
    match arguments.first().map(String::as_str) {
        Some("learn") => learn(number(1, 0.1), number(2, 0.0) as usize),
        Some("floor") => floor(),
        _ => compare(number(0, 3.0) as usize, number(1, 0.1)),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/dictionary")
}

/// Autoregressive series of these time constants, added up: with several, a spectrum near 1/f.
fn slow(rng: &mut ChaCha8Rng, time_constants: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; N_TR];
    for &time in time_constants {
        let keep = (-1.0 / time).exp();
        let mut state: f64 = StandardNormal.sample(rng);
        for value in &mut sum {
            let drawn: f64 = StandardNormal.sample(rng);
            state = keep * state + (1.0 - keep * keep).sqrt() * drawn;
            *value += state;
        }
    }
    sum
}

/// The series after a double-gamma response sampled each second, z-scored.
fn respond(drive: &[f64]) -> Vec<f64> {
    let gamma = |s: f64, shape: i32| s.powi(shape) * (-s).exp() / (1..=shape).map(f64::from).product::<f64>();
    let kernel: Vec<f64> = (0..30).map(|s| gamma(f64::from(s), 5) - gamma(f64::from(s), 15) / 6.0).collect();
    let at = |t: usize| kernel.iter().take(t + 1).enumerate().map(|(lag, k)| k * drive[t - lag]).sum();
    scaled((0..drive.len()).map(at).collect())
}

fn scaled(mut values: Vec<f64>) -> Vec<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter_mut().for_each(|v| *v -= mean);
    let deviation = (values.iter().map(|v| v * v).sum::<f64>() / n).sqrt();
    values.iter_mut().for_each(|v| *v /= deviation);
    values
}

/// Units of norm 1 (n_units x n_tr), each of one to six sources.
fn make(path: &Path) {
    if path.exists() {
        return;
    }
    fs::create_dir_all(folder()).expect("writable");
    println!("making {} ...", path.display());
    let source = |k: u64| respond(&slow(&mut ChaCha8Rng::seed_from_u64(k), &[0.1, 2.0, 8.0, 32.0, 128.0]));
    let sources: Vec<Vec<f64>> = (0..N_SOURCES as u64).into_par_iter().map(source).collect();
    let mut units = Array2::zeros((N_UNITS, N_TR));
    units.outer_iter_mut().into_par_iter().enumerate().for_each(|(i, mut unit)| {
        let mut rng = ChaCha8Rng::seed_from_u64(1000 + i as u64);
        let noise = respond(&slow(&mut rng, &[0.1, 0.1, 2.0, 8.0]));
        let mut series: Vec<f64> = noise.iter().map(|v| 0.6 * v).collect();
        for _ in 0..rng.random_range(1..=6) {
            let source = &sources[rng.random_range(0..N_SOURCES)];
            let size: f64 = Exp1.sample(&mut rng);
            let weight = if rng.random::<f64>() < 0.7 { 0.5 * size } else { -0.5 * size };
            series.iter_mut().zip(source).for_each(|(s, v)| *s += weight * v);
        }
        let norm = (N_TR as f64).sqrt();
        unit.iter_mut().zip(scaled(series)).for_each(|(u, v)| *u = (v / norm) as f32);
    });
    let unfinished = path.with_extension("unfinished");
    write_npy(&unfinished, &units).expect("writable");
    fs::rename(unfinished, path).expect("the same folder");
}

fn read(name: &str) -> Array2<f32> {
    read_npy(folder().join(name)).expect("written before")
}

/// One turn of ours, with this many passes at most, or as many as the default options make.
fn learn(penalty: f64, max_epochs: usize) {
    let series = read("units.npy").t().as_standard_layout().into_owned();
    let mut options = DictionaryOptions { n_patterns: N_PATTERNS, penalty, ..DictionaryOptions::default() };
    if max_epochs > 0 {
        options.max_epochs = max_epochs;
    }
    let started = Instant::now();
    let found = learn_dictionary(series.view(), &options).expect("learned");
    let seconds = started.elapsed().as_secs_f64();
    let patterns = found.patterns.t().as_standard_layout().into_owned();
    write_npy(folder().join(format!("ours_{max_epochs}.npy")), &patterns).expect("writable");
    println!("{{\"fit\": {seconds}, \"transform\": 0, \"n_passes\": {}}}", found.objective.len() - 1);
}

/// The two products of a pass.
fn floor() {
    let units = read("units.npy");
    let patterns = units.slice(ndarray::s![..N_PATTERNS, ..]);
    let started = Instant::now();
    let codes = matmul(units.view(), patterns.t());
    let sums = matmul(codes.t(), units.view());
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(sums.dim(), (N_PATTERNS, N_TR));
    println!("{{\"fit\": {seconds}, \"transform\": 0, \"n_passes\": 1}}");
}

/// What a turn took.
#[derive(Clone)]
struct Turn {
    fit_s: f64,
    total_s: f64,
    cpu_s: f64,
    peak_bytes: f64,
    n_passes: f64,
}

/// Runs a turn as a process of its own; `None` if it fails.
fn turn(command: &mut Command) -> Option<Turn> {
    command.env("RAYON_NUM_THREADS", THREADS).env("OMP_NUM_THREADS", THREADS).env("OPENBLAS_NUM_THREADS", THREADS);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("what was printed");
    // SAFETY: the child is ours and nothing else waits for it; both pointers are to live values, for which zeroes are valid.
    let (status, usage) = unsafe {
        let (mut status, mut usage): (i32, libc::rusage) = (0, std::mem::zeroed());
        assert_eq!(libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage), child.id() as i32);
        (status, usage)
    };
    let told: serde_json::Value = serde_json::from_str(text.lines().next_back()?).ok()?;
    let of = |name: &str| told[name].as_f64();
    let cpu = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    (status == 0).then_some(Turn {
        fit_s: of("fit")?,
        total_s: of("fit")? + of("transform")?,
        cpu_s: cpu(usage.ru_utime) + cpu(usage.ru_stime),
        peak_bytes: usage.ru_maxrss as f64 * 1024.0,
        n_passes: of("n_passes")?,
    })
}

fn ours(arguments: &[String]) -> Turn {
    let program = std::env::current_exe().expect("this program");
    turn(Command::new(program).args(arguments)).expect("our own turn succeeds")
}

fn scikit_learn(penalty: f64, max_iter: &str) -> Option<Turn> {
    let python = std::env::var("HEBB_PYTHON").unwrap_or("python".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/dictionary.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder().join("units.npy")).arg(N_PATTERNS.to_string()).arg(penalty.to_string());
    command.arg(max_iter).arg(folder().join(format!("theirs_{max_iter}.npy")));
    turn(&mut command)
}

fn median(turns: &[Turn], of: impl Fn(&Turn) -> f64) -> f64 {
    let mut values: Vec<f64> = turns.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// `sum_i 1/2 ||s_i - D c_i||^2 + penalty ||c_i||_1` at the exact codes.
fn objective(units: &Array2<f32>, patterns: &str, penalty: f64) -> f64 {
    let patterns = read(patterns);
    let found = lasso_codes(units.t(), patterns.t(), penalty).expect("coded");
    assert_eq!(found.n_unconverged, 0);
    let fitted = matmul(found.codes.t(), patterns.view());
    let error: f64 = units.iter().zip(&fitted).map(|(&s, &f)| f64::from(s - f).powi(2)).sum();
    0.5 * error + penalty * found.codes.iter().map(|&c| f64::from(c.abs())).sum::<f64>()
}

fn tell(name: &str, turns: &[Turn], objective: f64) {
    let [fit, total, cpu] = [median(turns, |t| t.fit_s), median(turns, |t| t.total_s), median(turns, |t| t.cpu_s)];
    let (passes, peak_mib) = (median(turns, |t| t.n_passes), median(turns, |t| t.peak_bytes) / f64::from(1 << 20));
    println!(
        "{name:<28}{passes:>5} passes {fit:>8.2} s {total:>8.2} s {cpu:>8.2} s {peak_mib:>6.0} MiB {objective:>11.3}"
    );
}

fn compare(turns: usize, penalty: f64) {
    make(&folder().join("units.npy"));
    println!("{N_UNITS} units x {N_TR}, {N_PATTERNS} patterns, penalty {penalty}, {turns} turns, {THREADS} threads");
    println!("{:<40}{:>10} {:>10} {:>10} {:>10} {:>11}", "", "learning", "and codes", "CPU", "peak", "objective");
    let (few_passes, many_passes) = ("4", "10");
    let (mut full, mut few, mut least) = (Vec::new(), Vec::new(), Vec::new());
    let (mut theirs, mut theirs_long) = (Vec::new(), Vec::new());
    for done in 0..turns {
        full.push(ours(&["learn".to_owned(), penalty.to_string(), "0".to_owned()]));
        theirs.extend(scikit_learn(penalty, "default"));
        few.push(ours(&["learn".to_owned(), penalty.to_string(), few_passes.to_owned()]));
        least.push(ours(&["floor".to_owned()]));
        if done == 0 {
            theirs_long.extend(scikit_learn(penalty, many_passes));
        }
    }
    let units = read("units.npy");
    let value = |name: String| objective(&units, &name, penalty);
    let (full_value, few_value) = (value("ours_0.npy".to_owned()), value(format!("ours_{few_passes}.npy")));
    tell("hebb, default options", &full, full_value);
    tell(&format!("hebb, max_epochs = {few_passes}"), &few, few_value);
    let floor_s = median(&least, |t| t.fit_s);
    let pass_s = (median(&full, |t| t.fit_s) - median(&few, |t| t.fit_s))
        / (median(&full, |t| t.n_passes) - median(&few, |t| t.n_passes)).max(1.0);
    let gflops = 4e-9 * (N_UNITS * N_TR * N_PATTERNS) as f64 / floor_s;
    println!("a pass {pass_s:.3} s; its two products alone {floor_s:.3} s ({gflops:.0} GFLOP/s)");
    if theirs.is_empty() {
        println!("scikit-learn is not there: set HEBB_PYTHON to a Python that has it");
        return;
    }
    for (name, turns, max_iter) in [
        ("scikit-learn, default", &theirs, "default"),
        (&*format!("scikit-learn, max_iter = {many_passes}"), &theirs_long, many_passes),
    ] {
        let their_value = value(format!("theirs_{max_iter}.npy"));
        tell(name, turns, their_value);
        for (ours, turns_of_ours, our_value) in
            [("default options", &full, full_value), ("few passes", &few, few_value)]
        {
            let ratio = |of: fn(&Turn) -> f64| median(turns, of) / median(turns_of_ours, of);
            let (all, learning, cpu) = (ratio(|t| t.total_s), ratio(|t| t.fit_s), ratio(|t| t.cpu_s));
            println!(
                "  / hebb, {ours:<20}{all:>6.1} x (learning alone {learning:.1} x, CPU {cpu:.1} x), objective {:.5} x",
                their_value / our_value
            );
        }
    }
}
