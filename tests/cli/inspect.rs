//! `hebb inspect`: what a file is, told from the file alone.

use super::World;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/brain").join(name)
}

fn derivative(name: &str) -> String {
    fixture("derivatives/sub-01/func").join(name).display().to_string()
}

#[test]
fn a_series_says_its_grid_its_pace_and_its_values() {
    let world = World::empty();
    let bold = derivative("sub-01_task-movie_run-1_space-MNI152NLin2009cAsym_desc-preproc_bold.nii.gz");
    let answer = world.hebb(&format!("inspect {bold}"));
    answer.exits(0).prints(&[
        "NIfTI-1",
        " volumes",
        "a volume every ",
        "mm, axes run ",
        "MNI152NLin2009cAsym, by its name",
        "values",
    ]);
}

#[test]
fn labels_are_counted_and_named() {
    let world = World::empty();
    world.write("atlas.tsv", "index\tname\tnetwork\n1\tV1\tvisual\n2\tA1\tauditory\n");
    let affine = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
    let path = world.path("atlas.nii.gz");
    hebb::format::nifti::write_labels(&path, [2, 2, 2], affine, &[0, 1, 1, 1, 2, 2, 0, 0]).expect("writable");
    world.hebb("inspect atlas.nii.gz").exits(0).prints(&[
        "2 besides 0, in 5 voxels",
        "1  3 voxels",
        "2  2 voxels",
        "RAS",
    ]);
    world.hebb("inspect atlas.nii.gz --table atlas.tsv").exits(0).prints(&["visual    3 voxels", "auditory  2 voxels"]);
    let coarse = affine.map(|row| row.map(|value| 2.0 * value));
    let coarse = [coarse[0], coarse[1], coarse[2], affine[3]];
    hebb::format::nifti::write_labels(&world.path("coarse.nii.gz"), [1, 1, 1], coarse, &[1]).expect("writable");
    let on = world.hebb("inspect atlas.nii.gz --table atlas.tsv --on coarse.nii.gz");
    on.exits(0).prints(&["shape 1x1x1", "visual    0 voxels"]);
}

#[test]
fn surfaces_tables_and_matrices_are_told_too() {
    let world = World::empty();
    let series = fixture("cifti_written/x.dtseries.nii");
    world.hebb(&format!("inspect {}", series.display())).exits(0).prints(&[
        "CIFTI-2, a dense series",
        "structure",
        "CORTEX_LEFT",
    ]);
    let labels = fixture("cifti_written/x.dlabel.nii");
    world.hebb(&format!("inspect {}", labels.display())).exits(0).prints(&["dense labels", "map"]);
    world.write("run.tsv", "onset\tduration\ttext\n0\t2\ta dog\n2\t2\tn/a\n");
    world.hebb("inspect run.tsv").exits(0).prints(&["2 rows of 3 columns", "text: a dog, 1 missing"]);
    let matrix = ndarray::array![[1.0_f32, 2.0], [1.0, f32::NAN]];
    hebb::format::npy::write_matrix(&world.path("m.npy"), matrix.view()).expect("writable");
    let told = world.hebb("inspect m.npy");
    told.exits(0).prints(&["2 rows of 2", "1 to 2", "1 are no numbers or infinite", "1 column the same in every row"]);
}

#[test]
fn files_that_are_none_of_these_say_what_is_read() {
    let world = World::empty();
    world.hebb("inspect nowhere.nii").exits(2).says(&["nowhere.nii"]);
    world.write("notes.txt", "hello");
    world.hebb("inspect notes.txt").exits(2).says(&["notes.txt", "`hebb inspect` reads NIfTI images"]);
}
