//! Images per second of CLIP ViT-B/32's image tower with every query-key and MLP unit of all layers, against transformers with
//! forward hooks and ONNX Runtime from Python without any, turn by turn on the same threads.
//!
//! `cargo bench --bench extract [-- TURNS]`. `HEBB_PYTHON` names a Python with torch, transformers, onnx and onnxruntime; without it
//! only Hebb is measured. Weights are random, of the real size. The floor is the network's arithmetic over the rate at which this
//! machine multiplies large matrices; beside it stands what torch takes for the tower's own matrix products and nothing else.

use hebb::model::{
    Kind, Kinds, Layers, Module, Network, OpenModel, RandomArchitecture, RandomModel, Reduce, RunOptions,
    UnitSelection, export, load_runtime,
};
use ndarray::{Array2, Array3};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

const BATCH: usize = 32;

/// Threads of everyone, unless `THREADS` says otherwise.
fn threads() -> usize {
    std::env::var("THREADS").ok().and_then(|threads| threads.parse().ok()).unwrap_or(2)
}

fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let result = act();
    (started.elapsed().as_secs_f64(), result)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Keeps the images per second of a turn; the first turn warms everyone up and does not count.
fn note(rates: &mut Vec<(String, Vec<f64>)>, name: &str, seconds: f64, turn: usize) {
    if turn == 0 {
        return;
    }
    match rates.iter_mut().find(|(known, _)| known == name) {
        Some((_, rates)) => rates.push(BATCH as f64 / seconds),
        None => rates.push((name.to_owned(), vec![BATCH as f64 / seconds])),
    }
}

/// A runner in Python that does one turn for each line it is sent.
struct Python {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Python {
    fn start(python: &str, what: &str, graph: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/vit_hooks.py");
        let threads = threads().to_string();
        let mut child = Command::new(python)
            .arg(script)
            .args(["--serve", what, "--threads", &threads])
            .arg("--batch")
            .arg(BATCH.to_string())
            .arg("--onnx")
            .arg(graph)
            .env("OMP_NUM_THREADS", &threads)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the Python that HEBB_PYTHON names");
        let answers = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, answers }
    }

    /// Seconds of one batch.
    fn turn(&mut self) -> f64 {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "turn").expect("the script listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the script answers");
        line.trim().parse().unwrap_or_else(|_| panic!("the script said `{line}` instead of seconds"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn runtime() {
    let named = std::env::var_os("HEBB_ONNXRUNTIME").map(PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".engines/onnxruntime");
    let found = named.or_else(|| {
        let entries = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
        entries.filter(|path| path.to_string_lossy().contains("libonnxruntime.so")).max()
    });
    load_runtime(&found.expect("ONNX Runtime, see `make setup`")).expect("it loads");
}

fn main() {
    let turns: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(9);
    runtime();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("clip");
    fs::create_dir(&model).expect("writable");
    RandomModel::of(RandomArchitecture::Clip).write_random(&model).expect("a model");
    let bytes = fs::metadata(model.join("model.safetensors")).expect("its weights").len();

    let both = || Kinds::Several(vec![Kind::QueryKey, Kind::Mlp]);
    let asked = [("query-key", Kinds::One(Kind::QueryKey)), ("mlp", Kinds::One(Kind::Mlp)), ("both", both())];
    let exports = asked.map(|(name, kinds)| {
        let out = folder.path().join(name);
        fs::create_dir(&out).expect("writable");
        let selection = UnitSelection::new(kinds, Some(Reduce::Mean), Layers::default(), true);
        let (seconds, described) = timed(|| {
            let open = OpenModel::open(&model).expect("a model");
            export(&open, "clip", Module::Vision, &selection, &out).expect("an export")
        });
        println!(
            "export of {name}: {:.2} s, {} units, weights of {:.0} MB stay where they are",
            seconds,
            described.n_units,
            bytes as f64 / 1e6
        );
        out
    });
    let image = |index: usize| {
        Array3::from_shape_fn((3, 224, 224), |(c, y, x)| ((index * 31 + c * 7 + y * 3 + x) % 255) as f32 / 64.0 - 2.0)
    };
    let images: Vec<Array3<f32>> = (0..BATCH).map(image).collect();
    let (seconds, mut networks) = timed(|| {
        exports.clone().map(|out| Network::open(&out, &model, RunOptions::on_cpu(threads())).expect("a network"))
    });
    println!("three networks opened in {seconds:.2} s");
    // As a study runs: every shard on one thread, as many side by side as there are threads.
    let mut shards: Vec<Network> =
        (0..threads()).map(|_| Network::open(&exports[2], &model, RunOptions::on_cpu(1)).expect("a network")).collect();
    let python = std::env::var("HEBB_PYTHON").ok();
    let graph = folder.path().join("plain.onnx");
    let mut others = Vec::new();
    if let Some(python) = &python {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/vit_hooks.py");
        let exported = Command::new(python).arg(script).arg("--export").arg(&graph).stderr(Stdio::null()).status();
        assert!(exported.is_ok_and(|status| status.success()), "torch exports the same tower");
        others.extend([
            ("transformers, hooks", Python::start(python, "hooks", &graph)),
            ("transformers", Python::start(python, "plain", &graph)),
            ("torch, products alone", Python::start(python, "products", &graph)),
            ("onnxruntime", Python::start(python, "onnx", &graph)),
        ]);
    }

    let mut rates: Vec<(String, Vec<f64>)> = Vec::new();
    let side = 2048;
    let (a, b) = (Array2::<f32>::from_elem((side, side), 0.5), Array2::<f32>::from_elem((side, side), 0.25));
    let mut gemm = Vec::new();
    for turn in 0..=turns {
        for (network, name) in networks.iter_mut().zip(["hebb, query-key", "hebb, mlp", "hebb, both"]) {
            let (seconds, units) = timed(|| network.run_images(&images).expect("units"));
            assert!(units.iter().all(|unit| unit.is_finite()));
            note(&mut rates, name, seconds, turn);
        }
        let halves = images.chunks(BATCH.div_ceil(threads()));
        let (seconds, ()) = timed(|| {
            std::thread::scope(|scope| {
                for (network, images) in shards.iter_mut().zip(halves) {
                    scope.spawn(|| network.run_images(images).expect("units"));
                }
            });
        });
        note(&mut rates, "hebb, both, shards", seconds, turn);
        for (name, python) in &mut others {
            let seconds = python.turn();
            note(&mut rates, name, seconds, turn);
        }
        gemm.push(2.0 * (side as f64).powi(3) / timed(|| a.dot(&b)).0);
    }
    println!("{:<34} {:>9}", "what else was tried, both kinds", "images/s");
    let mut tried: Vec<(String, Vec<f64>)> = Vec::new();
    let mut plain =
        Network::open(&exports[2], &model, RunOptions { is_optimised: false, ..RunOptions::on_cpu(threads()) })
            .expect("a network");
    for turn in 0..=turns.min(5) {
        for batch in [4, 8, 16] {
            let seconds = timed(|| {
                std::thread::scope(|scope| {
                    for (network, images) in shards.iter_mut().zip(images.chunks(BATCH.div_ceil(threads()))) {
                        scope.spawn(move || images.chunks(batch).for_each(|images| drop(network.run_images(images))));
                    }
                });
            })
            .0;
            note(&mut tried, &format!("a session a thread, batches of {batch}"), seconds, turn);
        }
        let seconds = timed(|| plain.run_images(&images).expect("units")).0;
        note(&mut tried, "graph not optimised, batches of 32", seconds, turn);
    }
    for (name, rates) in &tried {
        println!("{name:<34} {:>9.1}", median(rates));
    }
    // Every matrix product of the tower: patches, projections, attention and feed-forward part of 50 tokens.
    let tokens = 50.0;
    let (width, mlp, layers) = (768.0, 3072.0, 12.0);
    let flops = 2.0 * 49.0 * (3.0 * 32.0 * 32.0) * width
        + layers * 2.0 * (tokens * width * (4.0 * width + 2.0 * mlp) + 2.0 * tokens * tokens * width);
    let floor = median(&gemm) / flops;
    println!("floor {floor:.1} images/s: {:.2} GFLOP an image at {:.0} GFLOP/s", flops / 1e9, median(&gemm) / 1e9);
    println!("{:<22} {:>9} {:>8} {:>8}", "batch 32", "images/s", "best", "of floor");
    let ours = rates.iter().find(|(name, _)| name == "hebb, both, shards").map_or(f64::NAN, |(_, rates)| median(rates));
    for (name, rates) in &rates {
        let best = rates.iter().copied().fold(0.0, f64::max);
        let rate = median(rates);
        let ratio = if name.starts_with("hebb") {
            String::new()
        } else {
            format!("  hebb in shards: {:.2} times", ours / rate)
        };
        println!("{name:<22} {rate:>9.1} {best:>8.1} {:>7.0}%{ratio}", 100.0 * rate / floor);
    }
}
