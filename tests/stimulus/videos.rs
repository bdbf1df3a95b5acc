//! Frames of videos that ffmpeg makes here, each of a colour that tells its number.
//!
//! Where `ffmpeg` is not installed these tests have nothing to test and say so; with `HEBB_REQUIRE_FFMPEG` set they fail.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use hebb::model::image::decode;
use hebb::stimulus::video::{Ffmpeg, Frame, Video, VideoError, find_ffmpeg, probe, write_frames};
use tempfile::TempDir;

fn programs() -> Option<Ffmpeg> {
    let found = find_ffmpeg(|name| std::env::var_os(name));
    if std::env::var_os("HEBB_REQUIRE_FFMPEG").is_some() {
        return Some(found.unwrap());
    }
    found.inspect_err(|error| println!("nothing tested: {error}")).ok()
}

/// Frame `n` is of one grey level, as the lossless codec keeps it; levels return after 40 frames.
const GREY: &str = "geq=lum='16+5*mod(N,40)':cb=128:cr=128";

fn level(number: usize) -> f64 {
    // From the range of video, 16 to 235, to that of pictures.
    (5 * (number % 40)) as f64 * 255.0 / 219.0
}

struct Film {
    programs: Ffmpeg,
    folder: TempDir,
    path: PathBuf,
}

impl Film {
    /// A film of grey frames through further filters.
    fn new(name: &str, size: &str, rate: &str, n_frames: usize, filters: &str, codec: &[&str]) -> Option<Self> {
        let programs = programs()?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut command = Command::new(&programs.ffmpeg);
        command.args(["-v", "error", "-f", "lavfi", "-i"]).arg(format!("color=size={size}:rate={rate},format=yuv444p"));
        command.args(["-vf", &format!("{GREY}{filters}"), "-frames:v", &n_frames.to_string()]);
        command.args(["-fps_mode", "passthrough", "-enc_time_base", "1/1000"]);
        let output = command.args(codec).arg(format!("file:{}", path.display())).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Self { programs, folder, path })
    }

    fn plain() -> Option<Self> {
        Self::new("film.mkv", "32x24", "10", 30, "", &LOSSLESS)
    }

    fn probe(&self) -> Video {
        probe(&self.programs, &self.path).unwrap()
    }

    fn frames(&self, times_s: &[f64]) -> Result<Vec<Frame>, VideoError> {
        let out = self.folder.path();
        write_frames(&self.programs, &self.path, times_s, out, &mut |_, _| {}, &AtomicBool::new(false))
    }

    /// Asks for times and checks which frame each of them has.
    fn expect(&self, times_s: &[f64], numbers: &[usize]) {
        let frames = self.frames(times_s).unwrap();
        assert_eq!(frames.len(), times_s.len());
        for ((frame, &time_s), &number) in frames.iter().zip(times_s).zip(numbers) {
            assert_eq!(frame.time_s, time_s);
            let image = decode(&frame.path).unwrap();
            for pixel in image.pixels() {
                assert!(
                    pixel.0.iter().all(|&sample| (f64::from(sample) - level(number)).abs() <= 1.5),
                    "{time_s} s: {pixel:?}"
                );
            }
        }
    }
}

const LOSSLESS: [&str; 2] = ["-c:v", "ffv1"];

#[test]
fn the_frame_at_a_time_is_the_last_that_came_on_screen() {
    let Some(film) = Film::plain() else { return };
    film.expect(&[0.0, 0.05, 0.1, 0.149, 1.0, 1.999, 2.9, 2.99], &[0, 0, 1, 1, 10, 19, 29, 29]);
    // In any order, and more than once.
    film.expect(&[2.0, 0.3, 2.0, 0.31], &[20, 3, 20, 3]);
    assert!(film.frames(&[]).unwrap().is_empty());
    let shown: Vec<_> = film.frames(&[0.31, 1.05]).unwrap().iter().map(|frame| frame.shown_s).collect();
    assert_eq!(shown, [0.3, 1.0]);
}

#[test]
fn hundreds_of_times_are_served_at_once() {
    let Some(film) = Film::new("film.mkv", "32x24", "10", 450, "", &LOSSLESS) else { return };
    let times_s: Vec<f64> = (0..150).map(|number| f64::from(number) * 0.3 + 0.02).collect();
    let numbers: Vec<usize> = (0..150).map(|number| number * 3).collect();
    film.expect(&times_s, &numbers);
}

#[test]
fn variable_rates_go_by_the_frames_own_times() {
    // Frame n stands at n^2 / 50 seconds: 0, 0.02, 0.08, 0.18, 0.32, 0.5, ...
    let slowing = ",settb=1/1000,setpts='N*N*20'";
    let Some(film) = Film::new("film.mkv", "32x24", "10", 12, slowing, &LOSSLESS) else { return };
    film.expect(&[0.0, 0.019, 0.02, 0.079, 0.081, 0.3, 0.33, 0.499, 0.5, 2.41], &[0, 0, 1, 1, 2, 3, 4, 4, 5, 10]);
}

#[test]
fn frames_that_stay_on_screen_for_long_are_found() {
    // Frame n stands at n^3 / 50 seconds; the tenth stays for more than six, the mean frame for two.
    let halting = ",settb=1/1000,setpts='N*N*N*20'";
    let Some(film) = Film::new("film.mkv", "32x24", "10", 12, halting, &LOSSLESS) else { return };
    film.expect(&[0.5, 14.0, 20.1, 26.5, 26.7], &[2, 8, 10, 10, 11]);
    // Nothing between 14.58 and 20 seconds lies near the time asked for.
    film.expect(&[19.9], &[9]);
    let message = film.frames(&[26.5, 40.0]).unwrap_err().to_string();
    assert!(message.contains("its frame at 40 s but ends at"), "{message}");
}

#[test]
fn frames_that_are_stored_out_of_order_come_in_order() {
    let codec = ["-c:v", "mpeg4", "-q:v", "2", "-bf", "2", "-pix_fmt", "yuv420p"];
    let Some(film) = Film::new("film.mp4", "32x32", "25", 40, "", &codec) else { return };
    film.expect(&[0.0, 0.2, 0.21, 0.44, 1.0, 1.5], &[0, 5, 5, 11, 25, 37]);
    assert_eq!(film.probe().n_frames, Some(40));
}

#[test]
fn odd_sizes_and_odd_names_are_read() {
    let Some(film) = Film::new("-odd: film 100%.mkv", "33x17", "5", 10, "", &LOSSLESS) else { return };
    let video = film.probe();
    assert_eq!((video.width, video.height, video.fps), (33, 17, 5.0));
    assert!((video.duration_s - 2.0).abs() < 0.01, "{video:?}");
    film.expect(&[0.0, 1.9], &[0, 9]);
    assert_eq!(decode(&film.frames(&[0.0]).unwrap()[0].path).unwrap().dimensions(), (33, 17));
    // A name that begins like an option, given without its folder.
    let alone = Path::new("-nothing-here.mkv");
    assert!(matches!(probe(&film.programs, alone), Err(VideoError::Read { .. })));
}

#[test]
fn pixels_are_the_same_in_every_run() {
    let Some(programs) = programs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let mut command = Command::new(&programs.ffmpeg);
    command.args(["-v", "error", "-f", "lavfi", "-i", "testsrc=size=96x64:rate=10:duration=2"]);
    assert!(command.args(["-c:v", "mpeg4", "-q:v", "3"]).arg(&path).status().unwrap().success());
    let film = Film { programs, folder, path };
    let bytes =
        |()| film.frames(&[0.0, 0.55, 1.9]).unwrap().iter().map(|frame| fs::read(&frame.path).unwrap()).collect();
    let (one, again): (Vec<_>, Vec<_>) = (bytes(()), bytes(()));
    assert_eq!(one, again);
    assert!(one[0] != one[1] && one[1] != one[2]);
}

#[test]
fn times_behind_the_end_are_refused() {
    let Some(film) = Film::plain() else { return };
    let message = film.frames(&[0.5, 3.2]).unwrap_err().to_string();
    assert!(message.contains("its frame at 3.2 s but ends at 3 s"), "{message}");
    assert!(matches!(film.frames(&[-0.1]), Err(VideoError::Time { .. })));
    assert!(matches!(film.frames(&[f64::NAN]), Err(VideoError::Time { .. })));
}

#[test]
fn a_film_that_is_cut_short_is_no_film_with_a_long_last_frame() {
    let codec = ["-c:v", "mjpeg", "-pix_fmt", "yuvj444p", "-movflags", "+faststart"];
    let Some(film) = Film::new("film.mov", "64x64", "10", 30, "", &codec) else { return };
    film.expect(&[0.0], &[0]);
    let whole = fs::read(&film.path).unwrap();
    fs::write(&film.path, &whole[..whole.len() / 2]).unwrap();
    let error = film.frames(&[0.0, 2.9]).unwrap_err();
    assert!(matches!(error, VideoError::Died { .. } | VideoError::PastEnd { .. }), "{error}");
}

#[test]
fn what_is_no_video_is_named() {
    let Some(programs) = programs() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("film.mp4");
    let told = || probe(&programs, &path).unwrap_err();
    assert!(matches!(told(), VideoError::Read { .. }));
    for content in ["", "no film at all", "ffconcat version 1.0\nfile other.mp4\n", "#EXTM3U\n#EXTINF:1,\nother.ts\n"] {
        fs::write(&path, content).unwrap();
        let message = told().to_string();
        assert!(message.contains("film.mp4` is no video that can be read: "), "{message}");
    }
    let sound = folder.path().join("sound.mkv");
    let mut command = Command::new(&programs.ffmpeg);
    command.args(["-v", "error", "-f", "lavfi", "-i", "sine=duration=1"]);
    assert!(command.arg(&sound).status().unwrap().success());
    let message = probe(&programs, &sound).unwrap_err().to_string();
    assert!(message.ends_with("it holds no moving picture"), "{message}");
}

#[test]
fn cancelling_ends_the_run_and_progress_counts_frames() {
    let Some(film) = Film::plain() else { return };
    let (cancelled, out) = (AtomicBool::new(false), film.folder.path());
    let mut told = Vec::new();
    let mut progress = |n_written, n_wanted| {
        told.push((n_written, n_wanted));
        cancelled.store(n_written == 2, Ordering::Relaxed);
    };
    let ended = write_frames(&film.programs, &film.path, &[0.0, 0.5, 1.0, 2.0], out, &mut progress, &cancelled);
    assert!(matches!(ended, Err(VideoError::Cancelled { .. })), "{ended:?}");
    assert_eq!(told, [(1, 4), (2, 4)]);
}

#[test]
fn a_program_that_fails_is_quoted() {
    let Some(film) = Film::plain() else { return };
    // `ffprobe` in ffmpeg's place does not know what it is asked.
    let programs = Ffmpeg { ffmpeg: film.programs.ffprobe.clone(), ..film.programs.clone() };
    let out = film.folder.path();
    let ended = write_frames(&programs, &film.path, &[0.0], out, &mut |_, _| {}, &AtomicBool::new(false));
    let message = ended.unwrap_err().to_string();
    assert!(message.contains("film.mkv` (exit code 1); its last words: "), "{message}");
    let programs = Ffmpeg { ffprobe: OsString::from("/nowhere/ffprobe").into(), ..film.programs.clone() };
    assert!(matches!(probe(&programs, &film.path), Err(VideoError::Start { .. })));
}

#[cfg(unix)]
#[test]
fn a_program_that_is_too_old_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let Some(film) = Film::plain() else { return };
    let old = film.folder.path().join("ffmpeg");
    fs::write(&old, "#!/bin/sh\necho \"Unrecognized option 'fps_mode'.\" >&2\nexit 1\n").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
    let programs = Ffmpeg { ffmpeg: old, ..film.programs.clone() };
    let out = film.folder.path();
    let ended = write_frames(&programs, &film.path, &[0.0], out, &mut |_, _| {}, &AtomicBool::new(false));
    let message = ended.unwrap_err().to_string();
    assert!(message.contains("ffmpeg` is too old: expected ffmpeg 5.1 or later"), "{message}");
}
