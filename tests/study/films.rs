//! Films and transcripts: cut once, each moment one picture, an edit of what is heard leaves what is seen alone. Films that were cut
//! before are in `pictures`.

use super::{
    bench::{Bench, on_files, read},
    edits::{PATTERN_FITS, edits},
};
use std::{collections::BTreeSet, fs, process::Command, sync::LazyLock};

/// The tiny study on files, with a film in place of its pictures and words in place of its captions; absent without ffmpeg.
fn films() -> Option<Bench> {
    static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| {
        let has_ffmpeg = Command::new("ffmpeg").arg("-version").output().is_ok();
        let is_required = std::env::var_os("HEBB_REQUIRE_FFMPEG").is_some();
        assert!(has_ffmpeg || !is_required, "no ffmpeg, which is asked for");
        let bench = (has_ffmpeg && crate::model::runtime()).then(|| Bench::new(&text()))?;
        bench.write_inputs();
        let folder = bench.folder();
        // Three frames a second, each of another picture.
        let source = "testsrc=size=64x48:rate=3:duration=60";
        let made = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-f", "lavfi", "-i", source, "-c:v", "ffv1"])
            .arg(folder.join("film.mkv"))
            .status();
        assert!(made.expect("ffmpeg starts").success());
        for run in 1..=4 {
            let from_s = 12 * (run - 1);
            let shown =
                format!("onset\tduration\tvideo\tvideo_onset\n3\t12\tfilm.mkv\t{from_s}\n24\t6\tfilm.mkv\t{from_s}\n");
            fs::write(folder.join(format!("run-{run}.tsv")), shown).expect("writable");
            let words = ["a", "red", "square", "on", "the", "table", "and", "two", "birds"];
            let rows = words.iter().enumerate().map(|(place, word)| format!("{}\t0.4\t{word}{run}\n", 4 * place));
            let words = format!("onset\tduration\tword\n{}", rows.collect::<String>());
            fs::write(folder.join(format!("words-{run}.tsv")), words).expect("writable");
        }
        let ran = bench.run();
        assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
        Some(bench)
    });
    RAN.as_ref().map(Bench::copy)
}

fn text() -> String {
    let tables = "path = \"run-{run}.tsv\"\nframes_per_tr = 2\ntranscripts = \"words-{run}.tsv\"\ntext_window_s = 6.0";
    on_files().replace("path = \"inputs/stimuli/run-{run}.tsv\"", tables)
}

edits! {
    films();

    more_frames_cut_the_film_again: "stimuli.tables.frames_per_tr", ["frames_per_tr = 2" -> "frames_per_tr = 3"]
        computes "frames extract/clip/vision/* series/clip/vision/* encode/*/vision/* pattern", PATTERN_FITS;
    a_longer_window_leaves_what_is_seen: "stimuli.tables.text_window_s", ["text_window_s = 6.0" -> "text_window_s = 9.0"]
        computes "extract/clip/text/* series/clip/text/* encode/*/text/* pattern", PATTERN_FITS;
    words_elsewhere_rerun_nothing: "stimuli.tables.transcripts", ["\"words-{run}.tsv\"" -> "\"./words-{run}.tsv\""] computes;
}

#[test]
fn a_film_is_cut_once_and_each_moment_is_one_picture() {
    let Some(bench) = films() else { return };
    let planned = bench.plan();
    let frames: Vec<_> = planned.ids().into_iter().filter(|id| id.starts_with("frames/")).collect();
    assert_eq!(frames, ["frames/000"]);
    let table = planned.artifact("extract/clip/vision/000").join("rows.tsv");
    let text = fs::read_to_string(table).expect("a table of rows");
    let digests: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split('\t').next()).collect();
    // Runs of 12 s show their first 6 s again; frames come every 0.75 s.
    assert_eq!(digests.len(), 64, "16 moments of each of four runs");
    let distinct: BTreeSet<_> = digests.iter().collect();
    // This source shows the same 18 pictures again and again, and every 2.25th is looked at: frames are known by what they show.
    assert_eq!(distinct.len(), 8);
}

#[test]
fn a_film_that_is_too_short_is_told_before_anything_runs() {
    let Some(bench) = films() else { return };
    let table = bench.folder().join("run-4.tsv");
    let text = fs::read_to_string(&table).expect("a table").replace("film.mkv\t36", "film.mkv\t55");
    fs::write(&table, text).expect("writable");
    let refused = read(&bench.file()).expect_err("a film that ends").to_string();
    assert!(refused.contains("lasts 60 s, and is shown until its second 67"), "{refused}");
}
