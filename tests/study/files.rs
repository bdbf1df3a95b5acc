//! Studies that read files: where a file lies reruns nothing, what is in it reruns what reads it.

use super::{
    bench::{Bench, on_files},
    edits::{FITS, PATTERN_FITS, edits},
};
use std::{fs, path::Path};

edits! {
    Bench::files();

    a_model_elsewhere_reruns_nothing: "models.*.weights", ["\"inputs/clip\"" -> "\"copy/clip\""] computes;
    tables_and_images_elsewhere_rerun_nothing: "stimuli.tables.path",
        ["\"inputs/stimuli/run-{run}.tsv\"" -> "\"copy/stimuli/run-{run}.tsv\""] computes;
    a_word_on_unreadable_images_reruns_the_image_tower: "stimuli.tables.unreadable",
        ["run-{run}.tsv\"" -> "run-{run}.tsv\"\nunreadable = \"mask\""] computes "extract/clip/vision/*";
    images_elsewhere_rerun_nothing: "stimuli.tables.image_folder",
        ["run-{run}.tsv\"" -> "run-{run}.tsv\"\nimage_folder = \"copy/stimuli\""] computes;
    derivatives_elsewhere_rerun_nothing: "bold.bids.folder", ["\"inputs/derivatives\"" -> "\"copy/derivatives\""] computes;
    a_recorded_subject_less_reruns_the_report_only: "bold.bids.subjects", [r#"["sub-01", "sub-02"]"# -> r#"["sub-02"]"#]
        computes "report";
    the_only_task_by_name_reruns_nothing: "bold.bids.task",
        ["[bold.bids]" -> "[bold.bids]\ntask = \"simulated\""] computes;
    the_only_space_by_name_reruns_nothing: "bold.bids.space",
        ["[bold.bids]" -> "[bold.bids]\nspace = \"schematic\""] computes;
    the_same_files_in_a_session_rerun_nothing: "bold.bids.session",
        ["\"inputs/derivatives\"" -> "\"sessions/derivatives\"\nsession = \"1\""] computes;
    labels_elsewhere_rerun_nothing: "atlas.labels", ["labels = \"inputs" -> "labels = \"copy"] computes;
    a_table_elsewhere_reruns_nothing: "atlas.table", ["table = \"inputs" -> "table = \"copy"] computes;
}

/// Changes a file, runs, and fails unless these tasks were computed.
fn change(file: &str, to: impl Fn(Vec<u8>) -> Vec<u8>, words: &[&str]) {
    let Some(bench) = Bench::files() else { return };
    let path = bench.folder().join("inputs").join(file);
    let bytes = fs::read(&path).expect("readable");
    let changed = to(bytes.clone());
    assert_ne!(changed, bytes);
    fs::write(&path, changed).expect("writable");
    bench.run().assert_computed(&words.join(" "));
    assert!(bench.plan().to_run().is_empty());
}

/// Replaces a part of a text file, wherever it is.
fn replace(from: &str, to: &str) -> impl Fn(Vec<u8>) -> Vec<u8> {
    move |bytes| String::from_utf8(bytes).expect("text").replace(from, to).into_bytes()
}

/// Copies a file of the same data set over it.
fn take(file: &str) -> impl Fn(Vec<u8>) -> Vec<u8> {
    let bench = Bench::files();
    let bytes = bench.map(|bench| fs::read(bench.folder().join("inputs").join(file)).expect("readable"));
    move |_| bytes.clone().expect("the caller has a bench too")
}

fn func(name: &str) -> String {
    let subject = name.split('_').next().expect("a subject");
    format!("derivatives/{subject}/func/{name}")
}

#[test]
fn a_changed_weight_reruns_what_reads_it() {
    let flip_last = |mut bytes: Vec<u8>| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bytes
    };
    // Both towers are in one file, so both are exported; only the one with another weight is extracted.
    let Some(bench) = Bench::files() else { return };
    let path = bench.folder().join("inputs/clip/model.safetensors");
    let bytes = fs::read(&path).expect("readable");
    fs::write(&path, flip_last(bytes)).expect("writable");
    let ran = bench.run();
    assert!(ran.computed.contains("export/clip/vision") && ran.computed.contains("export/clip/text"));
    assert!(ran.computed.iter().filter(|id| id.starts_with("extract/")).count() <= 1, "{:?}", ran.computed);
    assert!(bench.plan().to_run().is_empty());
}

#[test]
fn a_changed_image_reruns_the_image_tower() {
    if crate::model::runtime() {
        change(
            "stimuli/images/scene-00000.png",
            take("stimuli/images/scene-00001.png"),
            &["extract/clip/vision/* series/clip/vision/* encode/*/vision/* pattern", PATTERN_FITS],
        );
    }
}

#[test]
fn a_moved_onset_reruns_its_run() {
    change(
        "stimuli/run-2.tsv",
        replace("\n6\t", "\n5.5\t"),
        &["series/clip/vision/run-2 series/clip/text/run-2 pattern", FITS],
    );
}

#[test]
fn a_changed_caption_reruns_the_text_tower() {
    // The first word: what is past the context length is cut off, and nothing follows from it.
    change(
        "stimuli/run-1.tsv",
        |bytes| String::from_utf8(bytes).expect("text").replacen("\ta", "\tone", 1).into_bytes(),
        &["extract/clip/text/* series/clip/text/* encode/*/text/* pattern", PATTERN_FITS],
    );
}

#[test]
fn an_unread_column_reruns_nothing() {
    let add = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).expect("text");
        let (header, rows) = text.split_once('\n').expect("a header");
        let rows: String = rows.lines().map(|row| format!("{row}\tx\n")).collect();
        format!("{header}\tnote\n{rows}").into_bytes()
    };
    change("stimuli/run-1.tsv", add, &[]);
}

const ONE_RUN: &str =
    "encode/sub-02/* null/sub-02/* prediction/sub-02/* maps/sub-02/* redundancy/sub-02/* polarity/sub-02/* report";

#[test]
fn a_changed_series_reruns_its_subject() {
    if crate::model::runtime() {
        change(
            &func("sub-02_task-simulated_run-3_space-schematic_desc-preproc_bold.nii.gz"),
            take(&func("sub-02_task-simulated_run-2_space-schematic_desc-preproc_bold.nii.gz")),
            &["bold/sub-02/run-3", ONE_RUN],
        );
    }
}

#[test]
fn a_changed_confounds_table_reruns_its_subject() {
    if crate::model::runtime() {
        change(
            &func("sub-02_task-simulated_run-3_desc-confounds_timeseries.tsv"),
            take(&func("sub-02_task-simulated_run-2_desc-confounds_timeseries.tsv")),
            &["bold/sub-02/run-3", ONE_RUN],
        );
    }
}

#[test]
fn a_network_renamed_in_the_atlas_reruns_masks_and_what_tells_networks() {
    // A fit does not read names, but its voxels come with them.
    change(
        "derivatives/atlas/schematic_dseg.tsv",
        replace("somatomotor", "motor"),
        &["mask groups bold prediction maps redundancy report"],
    );
}

#[test]
fn confounds_that_nothing_uses_are_not_read() {
    let Some(bench) = Bench::files() else { return };
    bench.edit(&[("confounds = [\"trans_*\", \"rot_*\"]\n", "")]);
    bench.run();
    let file = func("sub-02_task-simulated_run-3_desc-confounds_timeseries.tsv");
    fs::write(bench.folder().join("inputs").join(file), "other\n").expect("writable");
    assert!(bench.plan().to_run().is_empty());
}

#[test]
fn a_study_moved_with_all_its_files_reruns_nothing() {
    let Some(bench) = Bench::files() else { return };
    let deeper = bench.folder().join("a folder/deeper");
    fs::create_dir_all(&deeper).expect("writable");
    fs::rename(bench.folder().join("inputs"), deeper.join("inputs")).expect("movable");
    fs::rename(bench.file(), deeper.join("renamed.toml")).expect("movable");
    assert!(bench.plan_file(&deeper.join("renamed.toml")).to_run().is_empty());
}

#[test]
fn a_link_to_a_file_reruns_nothing() {
    let Some(bench) = Bench::files() else { return };
    let link = |path: &Path| {
        fs::rename(path, path.with_extension("moved")).expect("movable");
        #[cfg(unix)]
        std::os::unix::fs::symlink(path.with_extension("moved"), path).expect("linkable");
    };
    if cfg!(unix) {
        link(&bench.folder().join("inputs/clip/model.safetensors"));
        assert!(bench.plan().to_run().is_empty());
    }
}

#[test]
fn files_that_a_simulation_wrote_lead_to_the_results_of_the_simulation() {
    let Some(bench) = Bench::tiny() else { return };
    bench.write(&on_files());
    bench.write_inputs();
    let ran = bench.run();
    // What reads a file instead of another task's result is computed; its bytes are the same, so nothing after it is. The
    // report tells in words where the files came from.
    ran.assert_computed("export extract/clip/vision/* mask bold report");
    assert!(ran.unchanged.contains("pattern/clip") && ran.unchanged.contains("encode/sub-01/clip/patterns"));
    assert!(bench.plan().to_run().is_empty());
    bench.write(&super::bench::tiny());
    assert!(bench.plan().to_run().is_empty(), "the simulated study is still there");
}

#[test]
fn new_pictures_are_computed_and_no_others() {
    let Some(bench) = Bench::files() else { return };
    let known = bench.plan().artifact("extract/clip/vision/000");
    // A picture before all others moves them to other rows of other shards.
    let table = bench.folder().join("inputs/stimuli/run-1.tsv");
    let text = fs::read_to_string(&table).expect("a table");
    let (header, rows) = text.split_once('\n').expect("rows");
    fs::write(&table, format!("{header}\n0.5\t1\timages/new.png\tn/a\n{rows}")).expect("writable");
    let images = bench.folder().join("inputs/stimuli/images");
    fs::copy(images.join("scene-00002.png"), images.join("new.png")).expect("copied");
    let planned = bench.plan();
    let mut stepped = std::collections::BTreeMap::new();
    let ran = planned.run(super::bench::LIMITS, &std::sync::atomic::AtomicBool::new(false), |event| {
        if let hebb::executor::Event::Progress { id, progress, .. } = event {
            stepped.entry(id.to_string()).or_insert(*progress);
        }
    });
    assert!(ran.computed.contains("extract/clip/vision/000"));
    let first = stepped["extract/clip/vision/000"];
    assert_eq!(
        (first.done, first.total),
        (48 + 1, 48 + 1),
        "the new picture is one of the old, so nothing is computed"
    );
    let units = fs::read(planned.artifact("extract/clip/vision/000").join("units.npy")).expect("a matrix");
    let before = fs::read(known.join("units.npy")).expect("a matrix");
    let row = (units.len() - 128) / 49;
    // The new row stands first, and again where its content stood before.
    assert_eq!(units[128..128 + row], units[128 + 3 * row..128 + 4 * row]);
    assert_eq!(units[128 + row..], before[128..]);
}

#[test]
fn an_unreadable_picture_is_named_or_masked_and_shifts_no_row() {
    let Some(bench) = Bench::files() else { return };
    let before = bench.plan().artifact("extract/clip/vision/000");
    let before = fs::read(before.join("units.npy")).expect("a matrix");
    fs::write(bench.folder().join("inputs/stimuli/images/scene-00003.jpg"), "no picture").expect("writable");
    let ran = bench.run();
    let failed = &ran.failed["extract/clip/vision/000"];
    assert!(failed.contains("scene-00003.jpg"), "{failed}");
    bench.edit(&[("run-{run}.tsv\"", "run-{run}.tsv\"\nunreadable = \"mask\"")]);
    let ran = bench.run();
    assert!(ran.failed.is_empty(), "{:?}", ran.failed);
    let artifact = bench.plan().artifact("extract/clip/vision/000");
    let rows = fs::read_to_string(artifact.join("rows.tsv")).expect("a table");
    let statuses: Vec<&str> = rows.lines().skip(1).filter_map(|row| row.split('\t').nth(1)).collect();
    let masked: Vec<usize> = (0..statuses.len()).filter(|row| statuses[*row] == "unreadable").collect();
    assert_eq!(masked, [3]);
    let units = fs::read(artifact.join("units.npy")).expect("a matrix");
    let row = (units.len() - 128) / statuses.len();
    for number in 0..statuses.len() {
        let range = 128 + number * row..128 + (number + 1) * row;
        assert_eq!(units[range.clone()] == before[range], number != 3, "row {number}");
    }
    let warnings = fs::read_to_string(artifact.join("warnings.json")).expect("warnings");
    assert!(warnings.contains("scene-00003.jpg"), "{warnings}");
}

/// Weights that are no numbers reach the units first, and are told there by name, not as a fit that makes no sense.
#[test]
fn a_unit_that_is_no_number_is_named_with_what_it_was_shown() {
    let Some(bench) = Bench::files() else { return };
    let path = bench.folder().join("inputs/clip/model.safetensors");
    let mut bytes = fs::read(&path).expect("readable");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let tensors: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).expect("a header");
    let place = &tensors["vision_model.encoder.layers.1.self_attn.q_proj.bias"]["data_offsets"][0];
    let first = 8 + header + place.as_u64().expect("the bias of a query") as usize;
    bytes[first..first + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, bytes).expect("writable");
    let ran = bench.run();
    let message = ran.failed.get("extract/clip/vision/000").expect("the shard fails");
    assert!(
        message.contains("unit `clip/vision/1/0/0` is NaN for the image `") && message.contains(".png`"),
        "{message}"
    );
}
