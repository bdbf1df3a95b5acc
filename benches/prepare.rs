//! A run of 100 x 100 x 80 x 300 16-bit volumes in `.nii.gz` through a mask of 150 000 voxels, detrended, high-pass
//! filtered and z-scored, against nilearn's `NiftiMasker` on the same files, turn by turn on two threads.
//!
//! `cargo bench --bench prepare [-- TURNS]`. `HEBB_PYTHON` names a Python with nilearn, else `python` on the path;
//! without nilearn only Hebb is measured. Every turn is a process of its own, so that its peak memory is its own; imports
//! of Python are left out of its time. The files are made once, in `target/bench/prepare`. The floors are the same
//! file inflated and thrown away, and the matrix alone cleaned; a run of 1000 TRs x 170 494 grayordinates is cleaned too.

use std::{
    fs,
    io::{self, BufReader, Read, Seek},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use hebb::{
    brain::{
        mask::{Mask, VoxelSelection, VoxelTable},
        prepare::{Preparation, SeriesSource, VolumeSource, clean, prepare_run},
    },
    format::{
        nifti::{ImageHeader, SampleType, VolumeWriter, write_labels},
        npy::{read_matrix, write_matrix},
        runs::{RunFiles, SeriesKind},
    },
};
use ndarray::{Array2, s};

const SHAPE: [usize; 3] = [100, 100, 80];
const N_TR: usize = 300;
const REPETITION_TIME_S: f64 = 2.0;
/// Every so many-th column of both results is compared.
const STRIDE: usize = 251;
const THREADS: &str = "2";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.first().map(String::as_str) {
        Some("prepare") => prepare(Path::new(&arguments[1])),
        Some("inflate") => inflate(Path::new(&arguments[1])),
        Some("read") => read(Path::new(&arguments[1])),
        Some("grayordinates") => grayordinates(),
        turns => compare(turns.and_then(|turns| turns.parse().ok()).unwrap_or(5)),
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/prepare")
}

/// Ellipsoids: 1 on the surface of the mask, more outside.
fn radius([x, y, z]: [usize; 3]) -> f64 {
    let from = |place: usize, length: usize, axis: f64| (place as f64 - (length as f64 - 1.0) / 2.0) / axis;
    let [x, y, z] = [from(x, SHAPE[0], 36.5), from(y, SHAPE[1], 36.5), from(z, SHAPE[2], 27.0)];
    (x * x + y * y + z * z).sqrt()
}

/// A head: a smooth brightness, zero far outside, noise that differs from voxel to voxel and volume to volume.
fn make(folder: &Path) {
    let (bold, mask) = (folder.join("bold.nii.gz"), folder.join("mask.nii.gz"));
    if bold.exists() && mask.exists() {
        return;
    }
    fs::create_dir_all(folder).expect("writable");
    println!("making {} ...", bold.display());
    let affine = [[-2.0, 0.0, 0.0, 99.0], [0.0, 2.0, 0.0, -99.0], [0.0, 0.0, 2.0, -79.0], [0.0, 0.0, 0.0, 1.0]];
    let [nx, ny, nz] = SHAPE;
    let places = (0..nz).flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])));
    let radii: Vec<f64> = places.map(radius).collect();
    let inside: Vec<i32> = radii.iter().map(|&radius| i32::from(radius <= 1.0)).collect();
    write_labels(&mask, SHAPE, affine, &inside).expect("writable");
    let header = ImageHeader {
        n_volumes: Some(N_TR),
        repetition_time_s: REPETITION_TIME_S,
        sample_type: SampleType::I16,
        ..ImageHeader::map(SHAPE, affine)
    };
    let unfinished = folder.join("unfinished.nii.gz");
    let mut writer = VolumeWriter::create(&unfinished, &header).expect("writable");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for t in 0..N_TR {
        let drift = 1.0 + 0.01 * (t as f64 / 40.0).sin() + 1e-5 * t as f64;
        let value = |(offset, &radius): (usize, &f64)| {
            if radius > 1.25 {
                return 0.0;
            }
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // The sum of four uniform bytes is near enough to a Gaussian.
            let noise: f64 = state.to_le_bytes()[..4].iter().map(|&byte| f64::from(byte) - 127.5).sum();
            let bright = 9000.0 * (1.4 - radius) + 800.0 * (offset as f64 * 0.01).sin();
            (bright * drift + 0.35 * noise).round() as f32
        };
        let volume: Vec<f32> = radii.iter().enumerate().map(value).collect();
        writer.write_volume(&volume).expect("writable");
    }
    writer.finish().expect("writable");
    fs::rename(unfinished, bold).expect("the same folder");
}

fn opened(folder: &Path) -> (RunFiles, VoxelTable) {
    let mask = Mask::read(&folder.join("mask.nii.gz")).expect("the mask that was made");
    let table = VoxelTable::new(&mask, None, &VoxelSelection::All).expect("voxels inside");
    let bold = folder.join("bold.nii.gz");
    let files = RunFiles { mask: Some(mask.path), ..RunFiles::of_series("bench", SeriesKind::Volume, &bold) };
    (files, table)
}

fn settings() -> Preparation {
    Preparation { high_pass_s: Some(128.0), detrend: true, ..Preparation::default() }
}

/// One turn of ours.
fn prepare(folder: &Path) {
    let started = Instant::now();
    let (files, table) = opened(folder);
    let run = prepare_run(&files, &table, &settings()).expect("prepared");
    let seconds = started.elapsed().as_secs_f64();
    assert!(run.constant.is_empty() && run.non_finite.is_empty());
    let columns = run.series.slice(s![.., ..;STRIDE]);
    write_matrix(&folder.join("ours.npy"), columns.as_standard_layout().view()).expect("writable");
    println!("{{\"seconds\": {seconds}, \"shape\": [{}, {}]}}", run.series.nrows(), run.series.ncols());
}

/// The first floor: every byte of the file, inflated and thrown away.
fn inflate(folder: &Path) {
    let started = Instant::now();
    let file = BufReader::with_capacity(1 << 17, fs::File::open(folder.join("bold.nii.gz")).expect("readable"));
    let bytes = io::copy(&mut flate2::bufread::MultiGzDecoder::new(file), &mut io::sink()).expect("whole");
    println!("{{\"seconds\": {}, \"shape\": [{bytes}]}}", started.elapsed().as_secs_f64());
}

/// The matrix read, and cleaned for itself.
fn read(folder: &Path) {
    let (files, table) = opened(folder);
    let started = Instant::now();
    let mut source = VolumeSource::open(&files.bold, &table).expect("readable");
    let mut series = Array2::zeros((N_TR, source.n_voxels()));
    source.read(&(0..N_TR).collect::<Vec<_>>(), series.view_mut()).expect("readable");
    println!("{{\"seconds\": {}, \"shape\": [0]}}", started.elapsed().as_secs_f64());
}

/// A run of the size of HCP's, cleaned in place.
fn grayordinates() {
    let mut series = Array2::from_shape_fn((1000, 170_494), |(t, v)| 1e4 + ((t * (v % 13 + 1)) % 97) as f32);
    let started = Instant::now();
    let mut regressors = clean::cosine_drift(1000, 1.0, 128.0).expect("a period");
    regressors.push((0..1000).map(f64::from).collect());
    let basis = clean::orthonormal_basis(&regressors, 1000).expect("independent");
    let found = clean::clean(&mut series, &basis, true, settings().scale);
    assert!(found.constant.is_empty());
    println!("{{\"seconds\": {}, \"shape\": [1000, 170494]}}", started.elapsed().as_secs_f64());
}

/// What a turn took.
struct Turn {
    seconds: f64,
    peak_bytes: f64,
}

/// Runs a turn as a process of its own; `None` if it fails.
fn turn(command: &mut Command) -> Option<Turn> {
    let mut printed = tempfile::tempfile().expect("writable");
    command.env("RAYON_NUM_THREADS", THREADS).env("OMP_NUM_THREADS", THREADS).env("OPENBLAS_NUM_THREADS", THREADS);
    command.stdin(Stdio::null()).stdout(printed.try_clone().expect("a handle")).stderr(Stdio::null());
    let child = command.spawn().ok()?;
    // SAFETY: the child is ours and nothing else waits for it; both pointers are to live values, for which zeroes are valid.
    let (status, usage) = unsafe {
        let (mut status, mut usage): (i32, libc::rusage) = (0, std::mem::zeroed());
        assert_eq!(libc::wait4(child.id() as i32, &raw mut status, 0, &raw mut usage), child.id() as i32);
        (status, usage)
    };
    let mut text = String::new();
    printed.rewind().and_then(|()| printed.read_to_string(&mut text)).expect("what was printed");
    let told: serde_json::Value = serde_json::from_str(text.lines().next_back()?).ok()?;
    let peak_bytes = usage.ru_maxrss as f64 * 1024.0;
    (status == 0).then_some(Turn { seconds: told["seconds"].as_f64()?, peak_bytes })
}

fn ours(what: &str, folder: &Path) -> Turn {
    let program = std::env::current_exe().expect("this program");
    turn(Command::new(program).arg(what).arg(folder)).expect("our own turn succeeds")
}

fn nilearn(folder: &Path) -> Option<Turn> {
    let python = std::env::var("HEBB_PYTHON").unwrap_or("python".to_owned());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/nilearn_masker.py");
    let mut command = Command::new(python);
    command.arg(script).arg(folder.join("bold.nii.gz")).arg(folder.join("mask.nii.gz"));
    command.arg(REPETITION_TIME_S.to_string()).arg(STRIDE.to_string()).arg(folder.join("theirs.npy"));
    turn(&mut command)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn tell(name: &str, turns: &[Turn]) -> f64 {
    let seconds = median(turns.iter().map(|turn| turn.seconds).collect());
    let peak_mib = median(turns.iter().map(|turn| turn.peak_bytes).collect()) / f64::from(1 << 20);
    println!("{name:<34}{seconds:>8.2} s {peak_mib:>9.0} MiB at peak");
    seconds
}

fn compare(turns: usize) {
    let folder = folder();
    make(&folder);
    let (_, table) = opened(&folder);
    let n_voxels = table.n_voxels();
    let file_mib = fs::metadata(folder.join("bold.nii.gz")).expect("made").len() as f64 / f64::from(1 << 20);
    let matrix_mib = (N_TR * n_voxels * 4) as f64 / f64::from(1 << 20);
    println!(
        "{N_TR} volumes, {n_voxels} voxels, file {file_mib:.0} MiB, matrix {matrix_mib:.0} MiB, {turns} turns, {THREADS} threads"
    );
    let (mut hebb, mut floor, mut reading, mut theirs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        hebb.push(ours("prepare", &folder));
        theirs.extend(nilearn(&folder));
        floor.push(ours("inflate", &folder));
        reading.push(ours("read", &folder));
    }
    let ours_s = tell("hebb", &hebb);
    tell("  of which inflating the file", &floor);
    tell("  of which reading the matrix", &reading);
    tell("1000 TRs x 170 494, cleaned only", &[ours("grayordinates", &folder)]);
    if theirs.is_empty() {
        println!("nilearn                           not there: set HEBB_PYTHON to a Python that has it");
        return;
    }
    let theirs_s = tell("nilearn NiftiMasker", &theirs);
    let of = |name: &str| read_matrix(&folder.join(name)).expect("written by a turn");
    let (found, expected) = (of("ours.npy"), of("theirs.npy"));
    let most = found.iter().zip(&expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
    println!(
        "nilearn / hebb                    {:>8.1}   (largest difference of z-scores {most:.1e})",
        theirs_s / ours_s
    );
}
