//! Bad input that only running finds: the task that met it says so, the rest goes on, and the next good run works.

use super::World;

const BOLD: &str =
    "inputs/derivatives/sub-02/func/sub-02_task-simulated_run-3_space-schematic_desc-preproc_bold.nii.gz";
const PICTURE: &str = "inputs/stimuli/images/scene-00005.png";

/// The run fails with these words, leaves no results and nothing partial, and works once the file is whole again.
#[track_caller]
fn fails_until_mended(file: &str, damage: impl FnOnce(&[u8]) -> Vec<u8>, words: &[&str]) {
    let Some(world) = World::recorded() else { return };
    let whole = world.read(file);
    world.write(file, damage(&whole));
    let answer = world.hebb("run study.toml").exits(1).says(words).says(&["blocked report"]);
    let answer = answer.prints(&["1 failed", "what was computed is kept"]);
    assert_eq!(answer.stderr.matches("] failed ").count(), 1, "{answer:#?}");
    assert!(!world.path("results/recorded/report.html").exists());
    assert!(world.text("results/recorded/failed.html").contains("1 task failed"));
    world.has_whole_cache();

    world.write(file, whole);
    let answer = world.hebb("run study.toml").exits(0).prints(&["results: results/recorded/report.html"]);
    assert!(!answer.stdout.contains(" 0 cached"), "what did not need the file is not computed again: {answer:#?}");
    world.has_whole_cache();
}

#[test]
fn an_empty_picture() {
    fails_until_mended(PICTURE, |_| Vec::new(), &["failed extract/clip/vision", &format!("image `{PICTURE}`")]);
}

#[test]
fn a_text_called_picture() {
    fails_until_mended(PICTURE, |_| b"not a picture".to_vec(), &[&format!("image `{PICTURE}`")]);
}

#[test]
fn a_picture_that_ends_early() {
    fails_until_mended(PICTURE, |whole| whole[..whole.len() / 2].to_vec(), &[&format!("image `{PICTURE}`")]);
}

#[test]
fn a_series_that_ends_early() {
    fails_until_mended(BOLD, |whole| whole[..whole.len() / 2].to_vec(), &["failed bold/sub-02/run-3", BOLD]);
}

#[test]
fn a_results_folder_that_cannot_be_one() {
    let Some(world) = World::recorded() else { return };
    world.write("results", "a file in the way");
    world.hebb("run study.toml").exits(2).says(&["cannot create `results/recorded`"]);
    assert_eq!(world.text("results"), "a file in the way");
    let answer = world.hebb("run study.toml --results elsewhere").exits(0).prints(&[" 0 computed"]);
    answer.prints(&["results: elsewhere/recorded/report.html"]);
    world.has_whole_cache();
}
