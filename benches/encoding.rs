//! Ridge regression with a penalty for each of many targets, against himalaya on the same matrices, turn by turn on the same
//! threads; memory at whole-brain size; how time grows with samples, features and targets; and the permutation test.
//!
//! `cargo bench --bench encoding [-- TURNS]`, or with one of `primal`, `dual`, `dual-50k` (and TURNS), `large`, `growth`, `null`
//! for that part alone. `HEBB_PYTHON` names a Python with himalaya (and torch, for its faster backend); without it only Hebb is
//! measured. Every turn is a process of its own, so that its peak memory is its own. Matrices are made once, in
//! `target/bench/encoding`. The floor is what the solver's own products would take at the rate at which this machine multiplies
//! large matrices in single precision.

use hebb::math::{
    blas::matmul,
    folds::contiguous_blocks,
    null::{Rearrangement, permutation_test},
    ridge::{Ridge, RidgeFit, RidgeOptions},
};
use ndarray::{Array, Array2, ArrayView2};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// One problem: `n_samples` x `n_features` on `n_targets`.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    n_samples: usize,
    n_features: usize,
    n_targets: usize,
    n_alphas: usize,
    n_folds: usize,
    model: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        name: "primal",
        n_samples: 3000,
        n_features: 1000,
        n_targets: 30_000,
        n_alphas: 20,
        n_folds: 3,
        model: "primal",
    },
    Case {
        name: "dual",
        n_samples: 3000,
        n_features: 9216,
        n_targets: 10_000,
        n_alphas: 10,
        n_folds: 5,
        model: "dual",
    },
    Case {
        name: "dual-50k",
        n_samples: 3000,
        n_features: 9216,
        n_targets: 50_000,
        n_alphas: 10,
        n_folds: 5,
        model: "dual",
    },
];

/// The whole brain in grayordinates.
const LARGE: Case = Case { name: "large", n_targets: 170_494, ..CASES[1] };

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.first().map(String::as_str) {
        Some("ours") => ours(&arguments[1], Path::new(&arguments[2])),
        Some("large") => large(),
        Some("growth") => growth(),
        Some("null") => null(),
        Some(name) if CASES.iter().any(|case| case.name == name) => compare(name, arguments.get(1)),
        turns => {
            CASES.iter().for_each(|case| compare(case.name, turns.map(str::to_owned).as_ref()));
            null();
            growth();
            large();
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/encoding")
}

fn noise(n_rows: usize, n_columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((n_rows, n_columns), || StandardNormal.sample(&mut rng))
}

/// White features, as in himalaya's own benchmark, and targets that follow thirty of their mixtures with more and more noise.
fn matrices(n_samples: usize, n_features: usize, n_targets: usize) -> (Array2<f32>, Array2<f32>) {
    let x = noise(n_samples, n_features, 1);
    let sources = matmul(x.view(), noise(n_features, 30, 2).view()) / (n_features as f32).sqrt();
    let mut y = matmul(sources.view(), noise(30, n_targets, 3).view()) / 30f32.sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for mut row in y.rows_mut() {
        for (target, value) in row.iter_mut().enumerate() {
            let level = 0.5 + 4.0 * target as f32 / n_targets as f32;
            let disturbance: f32 = StandardNormal.sample(&mut rng);
            *value += level * disturbance;
        }
    }
    (x, y)
}

fn options(case: &Case) -> RidgeOptions {
    let step = 9.0 / (case.n_alphas - 1) as f64;
    RidgeOptions {
        alphas: (0..case.n_alphas).map(|k| 10f64.powf(step * k as f64)).collect(),
        coefficients: case.model == "primal",
        dual_coefficients: case.model == "dual",
        expected_targets: Some(case.n_targets),
        ..RidgeOptions::default()
    }
}

/// Seconds of one fit, decomposition included, what it found, and its single-precision flops.
fn fit(case: &Case, x: ArrayView2<'_, f32>, y: ArrayView2<'_, f32>) -> (f64, f64, RidgeFit, [f64; 2], (usize, usize)) {
    let folds = contiguous_blocks(case.n_samples, case.n_folds, 0).expect("as many samples");
    let started = Instant::now();
    let ridge = Ridge::factorise(x, &folds, options(case)).expect("features to decompose");
    let factorised = started.elapsed().as_secs_f64();
    let fit = ridge.fit(y).expect("targets to fit");
    let seconds = started.elapsed().as_secs_f64();
    let flops = [ridge.flops_per_target(0) as f64 * case.n_targets as f64, ridge.flops_before_targets() as f64];
    (seconds, factorised, fit, flops, ridge.n_nodes())
}

/// One turn of ours in a process of its own.
fn ours(name: &str, folder: &Path) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case of this name");
    let x: Array2<f32> = ndarray_npy::read_npy(folder.join(format!("{name}-x.npy"))).expect("made before");
    let y: Array2<f32> = ndarray_npy::read_npy(folder.join(format!("{name}-y.npy"))).expect("made before");
    let (seconds, factorised, fit, flops, nodes) = fit(case, x.view(), y.view());
    let alphas = options(case).alphas;
    let best: Vec<f32> = fit.best_alpha.iter().map(|best| best.map_or(0.0, |index| alphas[index] as f32)).collect();
    ndarray_npy::write_npy(folder.join("ours.npy"), &Array2::from_shape_vec((1, best.len()), best).expect("one row"))
        .expect("writable");
    let (fewest, most) = nodes;
    println!(
        "{{\"seconds\": {seconds}, \"factorised\": {factorised}, \"peak_mib\": {}, \"flops\": {}, \"wide_flops\": {}, \"nodes\": [{fewest}, {most}]}}",
        peak_mib(),
        flops[0],
        flops[1]
    );
}

/// Peak resident memory of this process.
fn peak_mib() -> f64 {
    // SAFETY: `usage` is plain data that the call fills in.
    let usage = unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    usage.ru_maxrss as f64 / 1024.0
}

/// Flops a second of large single-precision products on all threads.
fn product_rate() -> f64 {
    let (a, b) = (noise(2048, 2048, 7), noise(2048, 4096, 8));
    let rate = |_| {
        let started = Instant::now();
        let product = matmul(a.view(), b.view());
        assert!(product[[0, 0]].is_finite());
        2.0 * 2048.0 * 2048.0 * 4096.0 / started.elapsed().as_secs_f64()
    };
    median((0..5).map(rate).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Runs a command and reads the JSON it prints last.
fn answer(command: &mut Command) -> Option<serde_json::Value> {
    let output = command.output().expect("a program that starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

fn number(value: &serde_json::Value, field: &str) -> f64 {
    value[field].as_f64().unwrap_or(f64::NAN)
}

fn compare(name: &str, turns: Option<&String>) {
    let n_turns = turns.and_then(|turns| turns.parse().ok()).unwrap_or(3);
    let folder = folder();
    fs::create_dir_all(&folder).expect("writable");
    let python = std::env::var("HEBB_PYTHON").ok();
    let program = std::env::current_exe().expect("this program");
    for case in CASES.iter().filter(|case| case.name == name) {
        let path = |what: &str| folder.join(format!("{}-{what}.npy", case.name));
        if !path("y").exists() {
            println!("making {} ...", path("y").display());
            let (x, y) = matrices(case.n_samples, case.n_features, case.n_targets);
            ndarray_npy::write_npy(path("x"), &x).expect("writable");
            ndarray_npy::write_npy(path("y"), &y).expect("writable");
        }
        let mut backends = vec!["torch", "numpy"];
        let (mut our_turns, mut rates) = (Vec::new(), Vec::new());
        let mut their_turns: Vec<Vec<serde_json::Value>> = vec![Vec::new(); backends.len()];
        for turn in 0..n_turns {
            rates.push(product_rate());
            our_turns.push(answer(Command::new(&program).args(["ours", case.name]).arg(&folder)).expect("an answer"));
            let Some(python) = &python else { continue };
            for (backend, turns) in backends.iter().zip(&mut their_turns) {
                let mut command = Command::new(python);
                command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/himalaya_ridge.py"));
                command.args([backend, case.model]).arg(path("x")).arg(path("y"));
                command.args([case.n_targets, case.n_alphas, case.n_folds].map(|n| n.to_string()));
                turns.extend(answer(command.arg(folder.join("theirs.npy"))));
            }
            // One turn tells which of its backends is the slower; that one is not measured again.
            if turn == 0 && their_turns.iter().all(|turns| !turns.is_empty()) {
                let slower = usize::from(number(&their_turns[0][0], "seconds") < number(&their_turns[1][0], "seconds"));
                println!("  himalaya on {}: {:.1} s", backends[slower], number(&their_turns[slower][0], "seconds"));
                backends.remove(slower);
                their_turns.remove(slower);
            }
        }
        let of =
            |turns: &[serde_json::Value], field: &str| median(turns.iter().map(|turn| number(turn, field)).collect());
        let (seconds, flops, rate) = (of(&our_turns, "seconds"), of(&our_turns, "flops"), median(rates));
        println!(
            "{}: n = {}, p = {}, {} targets, {} alphas, {} folds, {n_turns} turns",
            case.name, case.n_samples, case.n_features, case.n_targets, case.n_alphas, case.n_folds
        );
        println!(
            "  hebb {seconds:.1} s ({:.1} s of it decomposing), {:.0} MiB; penalties predicted {} of {}",
            of(&our_turns, "factorised"),
            of(&our_turns, "peak_mib"),
            our_turns[0]["nodes"],
            case.n_alphas
        );
        let wide = of(&our_turns, "wide_flops");
        println!(
            "  {:.2} Tflop with targets in single precision, {:.2} before them in double (each counted twice below); machine {:.0} Gflop/s in \
             single precision: {:.0} % of it over the whole fit, {:.0} % by products with targets alone",
            flops / 1e12,
            wide / 1e12,
            rate / 1e9,
            100.0 * (flops + 2.0 * wide) / rate / seconds,
            100.0 * flops / rate / seconds
        );
        for (backend, turns) in backends.iter().zip(&their_turns).filter(|(_, turns)| !turns.is_empty()) {
            let theirs = of(turns, "seconds");
            let (ratio, memory) = (theirs / seconds, of(&our_turns, "peak_mib") / of(turns, "peak_mib"));
            println!(
                "  himalaya {} on {backend} {theirs:.1} s, {:.0} MiB: {ratio:.2} times as long; our memory is {memory:.2} of it; {} of the penalties are equal",
                turns[0]["version"].as_str().unwrap_or_default(),
                of(turns, "peak_mib"),
                agreement(&folder)
            );
        }
    }
}

/// Share of targets for which both chose the same penalty.
fn agreement(folder: &Path) -> String {
    let read = |name: &str| ndarray_npy::read_npy::<_, Array2<f32>>(folder.join(name));
    let (Ok(ours), Ok(theirs)) = (read("ours.npy"), read("theirs.npy")) else { return "none".to_owned() };
    let equal = ours.iter().zip(&theirs).filter(|(a, b)| (*a / *b - 1.0).abs() < 1e-3).count();
    format!("{:.2} %", 100.0 * equal as f64 / ours.len() as f64)
}

/// The whole brain, targets in pieces as a study reads them.
fn large() {
    const PIECE: usize = 16_384;
    let x = noise(LARGE.n_samples, LARGE.n_features, 1);
    let folds = contiguous_blocks(LARGE.n_samples, LARGE.n_folds, 0).expect("as many samples");
    let started = Instant::now();
    let ridge = Ridge::factorise(x.view(), &folds, options(&LARGE)).expect("features to decompose");
    let mut kept = Vec::new();
    let mut making = 0.0;
    for start in (0..LARGE.n_targets).step_by(PIECE) {
        let made = Instant::now();
        let y = noise(LARGE.n_samples, PIECE.min(LARGE.n_targets - start), start as u64);
        making += made.elapsed().as_secs_f64();
        kept.push(ridge.fit(y.view()).expect("targets to fit").dual_coefficients);
    }
    println!(
        "{} targets, n = {}, p = {}: {:.0} s, {:.2} GiB at peak, {:.2} GiB of it dual coefficients",
        LARGE.n_targets,
        LARGE.n_samples,
        LARGE.n_features,
        started.elapsed().as_secs_f64() - making,
        peak_mib() / 1024.0,
        (LARGE.n_targets * LARGE.n_samples * 4) as f64 / f64::from(1 << 30)
    );
}

/// How time grows with one size while the others stay.
fn growth() {
    let base = Case { name: "growth", n_samples: 1600, n_features: 3200, n_targets: 8000, ..CASES[1] };
    type Grow = fn(Case, usize) -> Case;
    let sizes: [(&str, f64, Grow); 3] = [
        ("n_samples", 3.0, |case, k| Case { n_samples: 400 * k, n_features: 6400, ..case }),
        ("n_features", 1.0, |case, k| Case { n_features: 3200 * k, ..case }),
        ("n_targets", 1.0, |case, k| Case { n_targets: 4000 * k, ..case }),
    ];
    let mut table = String::from("size\tvalue\tseconds\n");
    let mut lines = Vec::new();
    for (name, theory, at) in sizes {
        let mut points = Vec::new();
        for k in [1, 2, 4, 8] {
            let case = at(base, k);
            let (x, y) = matrices(case.n_samples, case.n_features, case.n_targets);
            let seconds = median((0..3).map(|_| fit(&case, x.view(), y.view()).0).collect());
            let value = match name {
                "n_samples" => case.n_samples,
                "n_features" => case.n_features,
                _ => case.n_targets,
            };
            writeln!(table, "{name}\t{value}\t{seconds:.3}").expect("text");
            points.push(((value as f64).ln(), seconds.ln()));
        }
        let slope = (points[3].1 - points[1].1) / (points[3].0 - points[1].0);
        lines.push((name, points.clone()));
        println!("time grows as {name}^{slope:.2} from the second size to the last; theory: {theory:.0} at most");
    }
    fs::create_dir_all(folder()).expect("writable");
    let path = folder().join("growth.tsv");
    fs::write(&path, table).expect("writable");
    fs::write(path.with_extension("svg"), plot(&lines)).expect("writable");
    println!("points in {}, drawn beside it", path.display());
}

/// Seconds over a size relative to its first value, both on logarithmic scales.
fn plot(lines: &[(&str, Vec<(f64, f64)>)]) -> String {
    let mut drawing = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 460 320' font-family='sans-serif' font-size='12'>\n\
         <rect width='460' height='320' fill='white'/>\n<text x='60' y='306'>size, as a multiple of the smallest</text>\n",
    );
    let all = || lines.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let across = |value: f64| 60.0 + 330.0 * value / 8f64.ln();
    let up = |value: f64| 270.0 - 240.0 * (value - low) / (high - low);
    for factor in [1.0f64, 2.0, 4.0, 8.0] {
        writeln!(drawing, "<text x='{:.0}' y='286'>{factor}</text>", across(factor.ln())).expect("text");
    }
    for seconds in [low, high] {
        writeln!(drawing, "<text x='4' y='{:.0}'>{:.2} s</text>", up(seconds), seconds.exp()).expect("text");
    }
    for ((name, points), colour) in lines.iter().zip(["#1b6ca8", "#b4552d", "#3a7d44"]) {
        let place = |point: &(f64, f64)| format!("{:.1},{:.1}", across(point.0 - points[0].0), up(point.1));
        let path: Vec<String> = points.iter().map(place).collect();
        writeln!(drawing, "<polyline fill='none' stroke='{colour}' stroke-width='2' points='{}'/>", path.join(" "))
            .expect("text");
        let end = up(points[points.len() - 1].1);
        writeln!(drawing, "<text x='394' y='{end:.0}' fill='{colour}'>{name}</text>").expect("text");
    }
    drawing + "</svg>\n"
}

/// A thousand permutations of a run's blocks, for 50 000 voxels.
fn null() {
    let (data, prediction) = (noise(900, 50_000, 1), noise(900, 50_000, 2));
    let started = Instant::now();
    let test = permutation_test(data.view(), prediction.view(), Rearrangement::Blocks { block_tr: 10 }, 1000, 1)
        .expect("rearranged");
    let seconds = started.elapsed().as_secs_f64();
    let low = test.p_values.iter().flatten().filter(|p| **p <= 0.05).count();
    println!(
        "1000 permutations of blocks of 10, 900 samples, 50000 targets: {seconds:.1} s; {:.3} of p <= 0.05",
        low as f64 / 5e4
    );
}
