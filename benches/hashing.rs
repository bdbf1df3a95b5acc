//! Hashing a file against `b3sum` on the same file, turn by turn, and asking again for a file that has not changed.
//!
//! `cargo bench --bench hashing [-- MIB]`; `b3sum` is looked for on the path (`cargo install b3sum`).

use hebb::store::{FileDigests, hash_file};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

const TURNS: usize = 11;

/// The median and the shortest: on a machine that does other things too, the two say different things.
fn median_and_best(mut seconds: Vec<f64>) -> [f64; 2] {
    seconds.sort_by(f64::total_cmp);
    [seconds[seconds.len() / 2], seconds[0]]
}

fn timed<T>(act: impl FnOnce() -> T) -> (f64, T) {
    let started = Instant::now();
    let result = act();
    (started.elapsed().as_secs_f64(), result)
}

fn main() {
    let mib: usize = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(1024);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("large.bin");
    let bytes: Vec<u8> = (0_u32..1 << 18).flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let mut file = fs::File::create(&path).expect("writable");
    for _ in 0..mib {
        std::io::Write::write_all(&mut file, &bytes).expect("room for the file");
    }
    file.sync_all().expect("synced");
    let digest = hash_file(&path).expect("readable").to_string();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        ours.push(timed(|| hash_file(&path).expect("readable")).0);
        let (seconds, output) = timed(|| Command::new("b3sum").arg("--no-names").arg(&path).output());
        if let Ok(output) = output {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), digest, "both hash the same bytes");
            theirs.push(seconds);
        }
    }
    let rate = |seconds: f64| mib as f64 / 1024.0 / seconds;
    let ours = median_and_best(ours);
    println!("{mib} MiB, median and best of {TURNS} turns, page cache warm, {} threads", rayon::current_num_threads());
    let tell = |name: &str, [median, best]: [f64; 2]| {
        let (median_ms, best_ms) = (median * 1e3, best * 1e3);
        println!("{name:<12}{median_ms:>8.1} ms  {best_ms:>8.1} ms  {:>6.2} GiB/s", rate(best));
    };
    tell("hash_file", ours);
    if theirs.is_empty() {
        println!("b3sum       not on the path");
    } else {
        let theirs = median_and_best(theirs);
        tell("b3sum", theirs);
        println!("throughput  {:>8.1} %   {:>8.1} %", 100.0 * theirs[0] / ours[0], 100.0 * theirs[1] / ours[1]);
    }

    // What was written just now could change without a trace, so it is hashed each time.
    std::thread::sleep(Duration::from_secs(3));
    let digests = FileDigests::open(folder.path(), false);
    let first = timed(|| digests.digest(&path).expect("readable")).0;
    digests.save().expect("writable");
    let digests = FileDigests::open(folder.path(), false);
    let again = timed(|| digests.digest(&path).expect("readable")).0;
    println!("unchanged   {:>8.3} ms, first {:.1} ms: a ratio of {:.0}", again * 1e3, first * 1e3, first / again);
}
