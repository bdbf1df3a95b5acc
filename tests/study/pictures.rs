//! Films that are folders of pictures: no program is needed, and each moment is one of the pictures.

use super::{
    bench::{Bench, on_files, read},
    edits::{PATTERN_FITS, edits},
};
use std::{fs, sync::LazyLock};

/// The tiny study on files, with a film of its own first run's pictures; absent where there is nothing to run it with.
fn pictures() -> Option<Bench> {
    static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| {
        let bench = crate::model::runtime().then(|| Bench::new(&text()))?;
        bench.write_inputs();
        for run in 1..=4 {
            let shown = format!("onset\tduration\tvideo\tvideo_onset\n3\t12\tinputs/stimuli/images\t{run}\n");
            fs::write(bench.folder().join(format!("run-{run}.tsv")), shown).expect("writable");
        }
        let ran = bench.run();
        assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
        Some(bench)
    });
    RAN.as_ref().map(Bench::copy)
}

fn text() -> String {
    let tables = "path = \"run-{run}.tsv\"\nframes_per_s = 2.0";
    on_files().replace("path = \"inputs/stimuli/run-{run}.tsv\"", tables)
}

edits! {
    pictures();

    a_slower_film_shows_other_pictures: "stimuli.tables.frames_per_s", ["frames_per_s = 2.0" -> "frames_per_s = 1.5"]
        computes "extract series pattern encode/*/vision/*", PATTERN_FITS;
}

#[test]
fn a_folder_of_pictures_is_a_film_without_any_program() {
    let Some(bench) = pictures() else { return };
    let planned = bench.plan();
    assert!(!planned.ids().into_iter().any(|id| id.starts_with("frames/") || id.contains("/text/")));
    let table = planned.artifact("extract/clip/vision/000").join("rows.tsv");
    // Eight volumes of 1.5 s look at the middle of three pictures each; the runs begin a second, two pictures, apart.
    let n_pictures = fs::read_to_string(table).expect("a table of rows").lines().count() - 1;
    let places = |run: usize| (0..8).map(move |volume| 2 * run + 3 * volume + 1);
    let distinct: std::collections::BTreeSet<usize> = (1..=4).flat_map(places).collect();
    assert_eq!(n_pictures, distinct.len());
}

#[test]
fn a_folder_with_too_few_pictures_is_told() {
    let Some(bench) = pictures() else { return };
    fs::write(bench.folder().join("run-4.tsv"), "onset\tduration\tvideo\n3\t60\tinputs/stimuli/images\n")
        .expect("writable");
    let refused = read(&bench.file()).expect_err("a film that ends").to_string();
    assert!(refused.contains("inputs/stimuli/images` lasts 24 s, and is shown until its second 60"), "{refused}");
}
