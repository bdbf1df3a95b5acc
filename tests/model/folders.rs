//! Models are understood as they were downloaded, and those that do not hold together are refused before any work.

use std::fs;
use std::path::Path;

use hebb::model::{ModelError, Module, OpenModel, UnitSelection, export};
use tempfile::TempDir;

use super::{fixtures, model_folder};

const BOTH: [Module; 2] = [Module::Vision, Module::Text];

fn copied(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    folder
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn facts(folder: &Path) -> Result<hebb::model::ModelFacts, ModelError> {
    OpenModel::open(folder)?.facts(&BOTH)
}

#[test]
fn a_folder_says_what_it_offers() {
    let model = OpenModel::open(&model_folder()).unwrap();
    assert_eq!(model.architecture().name(), "clip");
    let facts = model.facts(&BOTH).unwrap();
    let [vision, text] = BOTH.map(|module| facts.module(module).unwrap());
    assert_eq!((vision.shape.layers.len(), text.shape.layers.len()), (3, 2));
    assert_eq!((vision.shape.layers[0].width, text.shape.layers[0].mlp_width), (36, 56));
    assert_eq!(vision.files, ["config.json", "model.safetensors", "preprocessor_config.json"]);
    assert_eq!(text.files, ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]);
    assert_eq!(facts.weight_files, ["model.safetensors"]);
    assert_eq!(model.unused_tensors().unwrap(), ["logit_scale"]);
}

#[test]
fn every_download_is_recognised() {
    for (name, architecture, n_modules) in [
        ("clip", "clip", 2),
        ("clip-openai", "clip", 2),
        ("clip-openai-jit", "clip", 2),
        ("vit", "vit", 1),
        ("vit-classifier", "vit", 1),
        ("bert", "bert", 1),
        ("roberta-base-model", "roberta", 1),
        ("meter", "meter", 4),
        ("meter-swin", "meter", 4),
    ] {
        let model = OpenModel::open(&fixtures().join(name)).unwrap();
        let modules = model.architecture().modules();
        assert_eq!((model.architecture().name(), modules.len()), (architecture, n_modules), "{name}");
        let facts = model.facts(&modules).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(facts.modules.iter().all(|module| module.weights_bytes > 0), "{name}");
    }
    let checkpoint = fixtures().join("meter/meter.ckpt");
    assert_eq!(OpenModel::open(&checkpoint).unwrap().architecture().name(), "meter", "a file is as good as its folder");
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_all_listed() {
    let folder = copied("clip");
    let config = folder.path().join("config.json");
    edit(&config, "\"intermediate_size\": 56", "\"intermediate_size\": 57");
    edit(&config, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    let Err(ModelError::Tensors { problems, extra, .. }) = facts(folder.path()) else {
        panic!("misfits were not found");
    };
    // Sixteen tensors of a layer that is not there; two layers with three misshaped tensors.
    assert_eq!(problems.len(), 16 + 6);
    assert_eq!(extra, ["logit_scale"], "what is there instead");
    let text = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for expected in [
        "`text_model.encoder.layers.1.mlp.fc1.weight` has shape [56, 24]: expected [57, 24]",
        "`vision_model.encoder.layers.3.self_attn.q_proj.bias` is missing: expected shape [36]",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn preprocessing_for_another_network_is_refused() {
    let folder = copied("clip");
    edit(&folder.path().join("preprocessor_config.json"), "\"height\": 32", "\"height\": 16");
    let message = facts(folder.path()).unwrap_err().to_string();
    assert!(message.contains("`crop_size` is [16, 32]: expected [32, 32]"), "{message}");
}

#[test]
fn what_is_missing_is_named_only_where_it_is_needed() {
    for (name, needs) in [("tokenizer.json", Module::Text), ("model.safetensors", Module::Vision)] {
        let folder = copied("clip");
        fs::remove_file(folder.path().join(name)).unwrap();
        let message = facts(folder.path()).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        let vision = OpenModel::open(folder.path()).and_then(|model| model.facts(&[Module::Vision]));
        assert_eq!(vision.is_err(), needs == Module::Vision, "{name}");
    }
    let folder = copied("clip");
    fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    assert!(facts(folder.path()).is_ok(), "CLIP's own preparation is known");
    let folder = copied("vit");
    fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let refused = OpenModel::open(folder.path()).unwrap().facts(&[Module::Vision]);
    assert!(matches!(refused, Err(ModelError::NoPreprocessor { .. })));
    let folder = copied("clip");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    let message = facts(folder.path()).unwrap_err().to_string();
    assert!(message.contains("it has no `config.json`"), "{message}");
}

#[test]
fn models_that_are_not_known_are_refused_with_those_that_are() {
    let folder = copied("clip");
    edit(&folder.path().join("config.json"), "\"model_type\": \"clip\"", "\"model_type\": \"blip\"");
    let message = facts(folder.path()).unwrap_err().to_string();
    assert!(message.contains("its `model_type` is `blip`: expected one of `meter`, `clip`"), "{message}");
    let model = OpenModel::open(&model_folder()).unwrap();
    let message = model.facts(&[Module::FusionText]).unwrap_err().to_string();
    assert_eq!(message, "`clip` has no module `fusion-text`: expected `vision`, `text`");
}

#[test]
fn checkpoints_whose_heads_are_unknown_say_so() {
    let folder = copied("meter");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    // A text tower of 24 dimensions has no heads of 64.
    let model = OpenModel::open(folder.path()).unwrap();
    let layers = model.architecture().shape(Module::Text).layers;
    assert_eq!((layers[0].width, layers[0].n_heads), (24, 1), "one head where 64 do not fit");
    let fused = model.architecture().shape(Module::FusionText).layers;
    assert_eq!(fused[0].n_heads, 5, "as the checkpoint's own settings say");
}

#[test]
fn an_export_goes_to_an_empty_folder_only() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("notes"), "").unwrap();
    let selection = UnitSelection::default();
    let model = OpenModel::open(&model_folder()).unwrap();
    let refused = export(&model, "tiny", Module::Text, &selection, out.path());
    assert!(matches!(refused, Err(ModelError::NotEmpty { .. })));
    let refused = export(&model, "a b", Module::Text, &selection, out.path());
    assert!(matches!(refused, Err(ModelError::ModelName { .. })));
}
