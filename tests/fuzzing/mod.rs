//! The stable driver of the fuzz targets: what fuzzing found and kept is read again, whole and mutated.
//!
//! `fuzz/regressions/TARGET/` holds inputs that once were findings, `fuzz/corpus.tar.zst` those that libFuzzer kept for the paths
//! that they take. Every run of the tests replays them all and a bounded number of mutations, drawn from a fixed seed.
//! `HEBB_FUZZ_SECONDS` has each target mutate for so long instead, for machines without `cargo fuzz`; it follows no coverage.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use rand::{RngExt, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    fs,
    io::Read,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use targets::{TARGETS, Target};

/// Mutations of a target in a usual run of the tests.
const MUTATIONS: usize = 300;

/// Inputs larger than this are replayed and not mutated: a mutant is read whole, too.
const LARGEST_MUTATED_BYTES: usize = 1 << 16;

/// No target may need longer for one input, in a build that is not optimised and on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

/// Numbers at which sizes overflow, wrap, or stop to fit.
const EDGES: [u64; 10] = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The kept inputs of every target, by name.
fn corpus() -> BTreeMap<String, Vec<(String, Vec<u8>)>> {
    let mut inputs: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    let packed = fs::File::open(root().join("corpus.tar.zst")).expect("the corpus");
    let mut tar = tar::Archive::new(zstd::Decoder::new(packed).expect("Zstandard"));
    for entry in tar.entries().expect("a tar") {
        let mut entry = entry.expect("whole");
        let name = entry.path().expect("a name").display().to_string();
        let Some((target, _)) = name.split_once('/').filter(|_| entry.header().entry_type().is_file()) else {
            continue;
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("whole");
        inputs.entry(target.to_owned()).or_default().push((name, bytes));
    }
    for (target, _) in TARGETS {
        let Ok(entries) = fs::read_dir(root().join("regressions").join(target)) else { continue };
        for entry in entries {
            let path = entry.expect("readable").path();
            let bytes = fs::read(&path).expect("readable");
            inputs.entry(target.to_owned()).or_default().push((path.display().to_string(), bytes));
        }
    }
    inputs.values_mut().for_each(|inputs| inputs.sort());
    inputs
}

/// Feeds one input; if that is a finding, the input is kept and named.
fn feed(name: &str, target: Target, origin: &str, bytes: &[u8]) {
    let begun = Instant::now();
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| target(bytes)));
    let needed = begun.elapsed();
    if outcome.is_ok() && needed < LONGEST {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("findings");
    fs::create_dir_all(&folder).expect("writable");
    let kept = folder.join(format!("{name}-{}", hebb::store::Digest::of(bytes).short()));
    fs::write(&kept, bytes).expect("writable");
    panic!(
        "{name} did not take an input that came of {origin} ({} s); it lies in {}: mend what it found and put it into \
         fuzz/regressions/{name}",
        needed.as_secs(),
        kept.display()
    );
}

/// One change of the kinds that find the most: bits, bytes, edges of integers, cuts, repeats, splices, digits.
fn mutate(bytes: &mut Vec<u8>, others: &[(String, Vec<u8>)], rng: &mut ChaCha8Rng) {
    let length = bytes.len();
    let some = |rng: &mut ChaCha8Rng| if length == 0 { 0 } else { rng.random_range(0..length) };
    let (first, second) = (some(rng), some(rng));
    let range = first.min(second)..first.max(second);
    match rng.random_range(0..8) {
        0 if length > 0 => bytes[first] ^= 1 << rng.random_range(0..8),
        1 => bytes.insert(first, rng.random()),
        2 => drop(bytes.drain(range)),
        3 => {
            let repeated = bytes[range].to_vec();
            bytes.splice(second..second, repeated);
        }
        4 => {
            let edge = EDGES.choose(rng).expect("there are some");
            let width = *[1, 2, 4, 8].choose(rng).expect("there are some");
            let all = if rng.random() { edge.to_le_bytes() } else { (edge << (64 - 8 * width)).to_be_bytes() };
            let end = (first + width).min(length);
            bytes[first..end].copy_from_slice(&all[..end - first]);
        }
        5 => bytes.truncate(first),
        6 => {
            let (_, other) = others.choose(rng).expect("there are some");
            let from = if other.is_empty() { 0 } else { rng.random_range(0..other.len()) };
            bytes.truncate(first);
            bytes.extend_from_slice(&other[from..]);
        }
        _ => {
            if let Some(at) = bytes[first..].iter().position(u8::is_ascii_digit) {
                let edge = EDGES.choose(rng).expect("there are some").to_string();
                bytes.splice(first + at..=first + at, edge.into_bytes());
            }
        }
    }
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    let inputs = corpus().remove(name).expect("every target has a corpus");
    for (origin, bytes) in &inputs {
        feed(name, target, origin, bytes);
    }
    let seconds = std::env::var("HEBB_FUZZ_SECONDS").ok().map(|text| text.parse().expect("whole seconds"));
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let small: Vec<(String, Vec<u8>)> =
        inputs.into_iter().filter(|(_, bytes)| bytes.len() <= LARGEST_MUTATED_BYTES).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for n_fed in 0.. {
        if until.map_or(n_fed >= MUTATIONS, |until| Instant::now() >= until) {
            break;
        }
        let (origin, bytes) = small.choose(&mut rng).expect("small inputs");
        let mut mutant = bytes.clone();
        for _ in 0..rng.random_range(1..6) {
            mutate(&mut mutant, &small, &mut rng);
        }
        feed(name, target, origin, &mutant);
    }
}

macro_rules! replayed {
    ($($name:ident)*) => { $(
        #[test]
        fn $name() {
            replay(stringify!($name));
        }
    )* };
}

replayed! { archive checkpoint cifti_xml lock nifti npy record safetensors study tokenizer tsv }

#[test]
fn every_target_has_inputs_a_fuzzer_and_a_row_in_the_documentation() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the fuzz crate");
    let page = fs::read_to_string(root().join("README.md")).expect("the fuzz crate's page");
    let corpus = corpus();
    assert_eq!(corpus.keys().map(String::as_str).collect::<Vec<_>>(), TARGETS.map(|(name, _)| name));
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        assert!(page.contains(&format!("\n| `{name}` |")), "{name}");
    }
}
