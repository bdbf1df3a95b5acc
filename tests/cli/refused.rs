//! Bad input that is found before anything runs: one clear error, exit code 2, and nothing made.

use std::{
    fs,
    io::{Read, Write},
};

use super::{World, base};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use safetensors::SafeTensors;

const BOLD: &str =
    "inputs/derivatives/sub-02/func/sub-02_task-simulated_run-1_space-schematic_desc-preproc_bold.nii.gz";
const CONFOUNDS: &str = "inputs/derivatives/sub-02/func/sub-02_task-simulated_run-1_desc-confounds_timeseries.tsv";
const ATLAS: &str = "inputs/derivatives/atlas/schematic_dseg.nii.gz";

/// One error with these words, from `check` and from `run` alike, and nothing made.
#[track_caller]
fn refused(world: &World, words: &[&str]) {
    for command in ["check", "run"] {
        let answer = world.hebb(&format!("{command} study.toml")).exits(2).says(words);
        assert_eq!(answer.stdout, "");
        assert_eq!(answer.stderr.matches("\n1 error; nothing was run").count(), 1, "{answer:#?}");
        world.is_untouched();
    }
}

/// Changes the bytes inside a compressed file.
fn patch(world: &World, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    GzDecoder::new(world.read(name).as_slice()).read_to_end(&mut bytes).expect("compressed");
    change(&mut bytes);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).expect("memory");
    world.write(name, encoder.finish().expect("memory"));
}

#[test]
fn a_study_file_that_is_not_there() {
    let world = World::empty();
    for command in ["check", "plan", "run", "status", "graph"] {
        world.hebb(&format!("{command} study.toml")).exits(2).says(&["cannot read `study.toml`", "hebb init"]);
        world.is_untouched();
    }
}

#[test]
fn a_study_file_that_is_no_text() {
    let world = World::empty();
    world.write("study.toml", [0xff, 0xfe, 0x00, 0x41]);
    world.hebb("check study.toml").exits(2).says(&["cannot read `study.toml`", "UTF-8"]);
    fs::create_dir(world.path("folder.toml")).expect("writable");
    world.hebb("check folder.toml").exits(2).says(&["cannot read `folder.toml`"]);
}

#[test]
fn weights_that_are_not_there() {
    let Some(world) = World::recorded() else { return };
    fs::remove_file(world.path("inputs/clip/model.safetensors")).expect("there");
    refused(&world, &["`inputs/clip` holds no weights", "study.toml:12:11"]);
}

#[test]
fn weights_of_another_width_than_their_configuration() {
    let Some(world) = World::recorded() else { return };
    let text = world.text("inputs/clip/config.json");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["vision_config"]["hidden_size"] = 64.into();
    world.write("inputs/clip/config.json", config.to_string());
    refused(
        &world,
        &[
            "the weights in `inputs/clip` do not fit their configuration",
            "has shape [32",
            "expected [64",
            "study.toml:12:11",
        ],
    );
}

#[test]
fn weights_without_a_tensor() {
    let Some(world) = World::recorded() else { return };
    const GONE: &str = "text_model.encoder.layers.1.self_attn.k_proj.weight";
    let bytes = world.read("inputs/clip/model.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("weights");
    let kept = tensors.iter().filter(|(name, _)| *name != GONE);
    let kept = safetensors::serialize(kept, None).expect("memory");
    world.write("inputs/clip/model.safetensors", kept);
    refused(&world, &[&format!("`{GONE}` is missing: expected shape [32, 32]"), "study.toml:12:11"]);
}

#[test]
fn a_tokenizer_that_is_none() {
    let Some(world) = World::recorded() else { return };
    world.write("inputs/clip/tokenizer.json", "{}");
    refused(&world, &["`inputs/clip/tokenizer.json` is not valid", "study.toml:12:11"]);
    fs::remove_file(world.path("inputs/clip/tokenizer.json")).expect("there");
    refused(&world, &["`inputs/clip` holds no tokenizer: expected `tokenizer.json`, or `vocab.json`"]);
}

#[test]
fn a_tokenizer_of_another_network() {
    let Some(world) = World::recorded() else { return };
    let mine = world.text("inputs/clip/tokenizer.json");
    // The end of text of a larger vocabulary, then of a smaller one.
    world.write("inputs/clip/tokenizer.json", mine.replace("599", "49407"));
    refused(&world, &["49407", "study.toml:12:11"]);
    world.write("inputs/clip/tokenizer.json", mine.replace("599", "513"));
    refused(&world, &["599", "study.toml:12:11"]);
}

#[test]
fn stimuli_that_go_on_after_the_scan() {
    let Some(world) = World::recorded() else { return };
    let table = world.text("inputs/stimuli/run-3.tsv");
    world.write("inputs/stimuli/run-3.tsv", table + "500\t2\tn/a\ta dog\n");
    world.replace("study.toml", r#"["sub-01", "sub-02"]"#, r#"["sub-01"]"#);
    refused(&world, &["35 volumes of 1.5 s, 52.5 s in all, but its stimuli end at 502 s", "study.toml:16:13"]);
}

#[test]
fn stimuli_whose_pictures_are_not_there() {
    let Some(world) = World::recorded() else { return };
    fs::remove_dir_all(world.path("inputs/stimuli/images")).expect("there");
    refused(&world, &["36 of 36 images are not there, the first is `inputs/stimuli/images/", "image_folder"]);
}

#[test]
fn a_run_of_another_length_than_the_first_subjects() {
    let Some(world) = World::recorded() else { return };
    // `dim[4]`: the number of volumes.
    patch(&world, BOLD, |bytes| bytes[48..50].copy_from_slice(&34i16.to_le_bytes()));
    let confounds = world.text(CONFOUNDS);
    let shorter: Vec<&str> = confounds.lines().take(1 + 34).collect();
    world.write(CONFOUNDS, shorter.join("\n") + "\n");
    refused(&world, &["has 34 volumes, `sub-01_task-simulated_run-1", "has 35", "study.toml:16:23"]);
}

#[test]
fn confounds_that_are_not_there() {
    let Some(world) = World::recorded() else { return };
    fs::remove_file(world.path(CONFOUNDS)).expect("there");
    refused(&world, &["run `sub-02_task-simulated_run-1", "has no confounds table", "desc-confounds_timeseries.tsv"]);
}

#[test]
fn confounds_of_another_length_than_their_run() {
    let Some(world) = World::recorded() else { return };
    let table = world.text(CONFOUNDS);
    let shorter: Vec<&str> = table.lines().take(1 + 20).collect();
    world.write(CONFOUNDS, shorter.join("\n") + "\n");
    refused(&world, &["has 20 rows, expected 35, one per volume", CONFOUNDS]);
}

#[test]
fn a_confound_that_no_table_has() {
    let Some(world) = World::recorded() else { return };
    world.replace("study.toml", r#"["rot_*"]"#, r#"["rot_*", "csf"]"#);
    refused(&world, &["`csf` names no column of `inputs/derivatives/sub-01", "study.toml:23:23", "`trans_x`"]);
}

#[test]
fn an_atlas_of_another_place() {
    let Some(world) = World::recorded() else { return };
    // The x offset of both affines, ten metres away.
    patch(&world, ATLAS, |bytes| {
        for at in [268, 292] {
            bytes[at..at + 4].copy_from_slice(&1.0e4f32.to_le_bytes());
        }
    });
    world.replace("study.toml", r#"["sub-01", "sub-02"]"#, r#"["sub-01"]"#);
    refused(&world, &["the grid of the data", "do not overlap", "study.toml:19:10"]);
}

#[test]
fn a_cache_that_cannot_be_one() {
    let world = World::simulated();
    world.write("cache", "a file in the way");
    for command in ["plan", "run"] {
        world.hebb(&format!("{command} study.toml")).exits(3).says(&["cannot create `cache`", "--cache DIR"]);
    }
    assert_eq!(world.text("cache"), "a file in the way");
    assert!(!world.path("results").exists());
    world.hebb("doctor").exits(2).prints(&["unusable: cannot create `cache`"]);
}

#[test]
fn the_files_that_are_damaged_here_make_a_good_study() {
    let Some(_) = base() else { return };
    let Some(world) = World::recorded() else { return };
    world.hebb("run study.toml").exits(0).prints(&["results: results/recorded/report.html"]);
    world.has_whole_cache();
}

#[test]
fn numbers_of_an_option_that_mean_nothing() {
    let world = World::empty();
    for arguments in [
        "run study.toml --memory=-1",
        "run study.toml --memory=nan",
        "diff one two --tolerance=nan",
        "models verify one --against bf16 --tolerance=-0.1",
        "models verify one --against bf16 --n-stimuli=0",
    ] {
        let option = arguments.rsplit(' ').next().and_then(|last| last.split('=').next()).expect("an option");
        world.hebb(arguments).exits(2).says(&["invalid value", option]);
        world.is_untouched();
    }
}
