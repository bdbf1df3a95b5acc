//! `hebb models`: what models offer, their graphs as files, how exact they are.

use super::{World, runtime};
use std::path::Path;

fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/model").join(name).display().to_string()
}

#[test]
fn the_known_architectures_are_listed_with_their_units() {
    let world = World::empty();
    // Counts of published models, as the architecture says: layers x heads x dimensions.
    world.hebb("models").exits(0).prints(&[
        "clip: CLIP (Radford et al. 2021)",
        "ViT-L/14@336",
        "vision        12 layers, 9216 query-key, 36864 mlp",
        "text          12 layers, 6144 query-key",
        "image         11 layers, 8448 query-key",
        "fusion-image   6 layers, 9216 query-key",
        "fusion-text    6 layers, 9216 query-key",
        "roberta: RoBERTa",
    ]);
}

#[test]
fn a_model_says_what_it_offers_and_what_is_not_used() {
    let world = World::empty();
    world.hebb(&format!("models show {}", fixture("clip"))).exits(0).prints(&[
        "model.safetensors",
        "kind         vision",
        "layers       3",
        "query-key    108 (3 x 36)",
        "images of 32 x 32",
        "texts of 24 tokens",
        "not used: 1 tensors, as `logit_scale`",
    ]);
    world.hebb(&format!("models show {}", fixture("meter"))).exits(0).prints(&["fusion-text", "images with texts"]);
    world.hebb("models show nowhere").exits(2).says(&["`nowhere` could not be read"]);
    world.hebb("models show hf:openai/clip").exits(2).says(&["expected the 40 hexadecimal digits of a commit"]);
}

#[test]
fn a_model_by_name_is_told_how_to_be_placed() {
    let world = World::empty();
    let mut command =
        world.command("models show hf:openai/clip-vit-base-patch32@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268");
    let output = command.env("HF_HOME", world.path("hub")).output().expect("it starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    for word in ["nothing is fetched now", "models--openai--clip-vit-base-patch32/snapshots/3d74acf9a28c6774"] {
        assert!(told.contains(word), "{told}");
    }
    world.write(
        "study.toml",
        super::SIMULATED.replace(
            "[models.clip.random]\nseed = 2\nprojection_dim = 32\n",
            "[models.clip]\nweights = \"hf:openai/clip\"\n\n[models.other.random]\n",
        ),
    );
    world.hebb("check study.toml").exits(2).says(&["expected the 40 hexadecimal digits", "`hebb models fetch`"]);
}

#[test]
fn a_graph_is_written_for_any_onnx_runtime() {
    if runtime().is_none() {
        return;
    }
    let world = World::empty();
    let clip = fixture("clip");
    world
        .hebb(&format!("models export {clip} --module vision --kind mlp --layers 0,2 --out graph"))
        .exits(0)
        .prints(&["graph/model.onnx: 88 units of vision, opened with 2 outputs"]);
    for name in ["model.onnx", "model.safetensors", "units.tsv", "module.json", "preprocessor_config.json"] {
        assert!(world.path("graph").join(name).is_file(), "{name}");
    }
    world.hebb(&format!("models export {clip} --module vision --out graph")).exits(2).says(&["is not empty"]);
    world.hebb(&format!("models export {clip} --module audio --out other")).exits(2).says(&["unknown variant `audio`"]);
}

#[test]
fn units_are_compared_with_a_second_way() {
    if runtime().is_none() {
        return;
    }
    let world = World::empty();
    let clip = fixture("clip");
    world.hebb(&format!("models verify {clip}")).exits(0).prints(&["query-key", "text", "within 1e-4"]);
    // The fixture's weights have 11 bits; rounded to 8 their units differ.
    world.hebb(&format!("models verify {clip} --against bf16")).exits(1).prints(&["bf16", "beyond 1e-4"]);
    world.hebb(&format!("models verify {clip} --against bf16 --tolerance 0.1")).exits(0).prints(&["within 1e-1"]);
}

#[test]
fn a_gpu_that_is_not_there_is_told_before_anything_runs() {
    if runtime().is_none() {
        return;
    }
    let world = World::simulated();
    world.replace("study.toml", "[models.clip.random]", "[extraction]\ndevice = \"cuda\"\n\n[models.clip.random]");
    let answer = world.hebb("run study.toml");
    if answer.status != 0 {
        answer.exits(2).says(&["`extraction.device` is `cuda`", "onnxruntime-gpu"]);
    }
}
