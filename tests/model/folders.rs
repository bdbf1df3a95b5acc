//! Model folders are understood, and those that do not hold together are refused before any work.

use std::fs;
use std::path::Path;

use hebb::model::{Kind, ModelError, Module, UnitSelection, export, inspect};
use tempfile::TempDir;

use super::model_folder;

fn copied() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(model_folder()).unwrap() {
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

#[test]
fn a_folder_says_what_it_offers() {
    let facts = inspect(&model_folder()).unwrap();
    assert_eq!((facts.n_layers(Module::Vision), facts.n_layers(Module::Text)), (3, 2));
    assert_eq!(facts.units_per_layer(Module::Vision, Kind::QueryKey), 36);
    assert_eq!(facts.units_per_layer(Module::Text, Kind::Mlp), 56);
    assert_eq!(facts.files(Module::Vision), ["config.json", "model.safetensors", "preprocessor_config.json"]);
    assert_eq!(facts.files(Module::Text)[2], "tokenizer.json");
    assert_eq!(
        facts.unused_tensors,
        [
            "logit_scale",
            "text_model.final_layer_norm.bias",
            "text_model.final_layer_norm.weight",
            "text_projection.weight",
            "vision_model.post_layernorm.bias",
            "vision_model.post_layernorm.weight",
            "visual_projection.weight",
        ]
    );
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_all_listed() {
    let folder = copied();
    let config = folder.path().join("config.json");
    edit(&config, "\"intermediate_size\": 56", "\"intermediate_size\": 57");
    edit(&config, "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 4");
    let Err(ModelError::Tensors { problems, .. }) = inspect(folder.path()) else {
        panic!("misfits were not found");
    };
    // Sixteen tensors of a layer that is not there; two layers with three misshaped tensors.
    assert_eq!(problems.len(), 16 + 6);
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
    let folder = copied();
    edit(&folder.path().join("preprocessor_config.json"), "\"height\": 32", "\"height\": 16");
    let message = inspect(folder.path()).unwrap_err().to_string();
    assert!(message.contains("`crop_size` is [16, 32]: expected [32, 32]"), "{message}");
}

#[test]
fn missing_files_are_named() {
    for name in ["config.json", "preprocessor_config.json", "tokenizer.json"] {
        let folder = copied();
        fs::remove_file(folder.path().join(name)).unwrap();
        let message = inspect(folder.path()).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
    }
    let folder = copied();
    fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(matches!(inspect(folder.path()), Err(ModelError::NoWeights { .. })));
}

#[test]
fn an_export_goes_to_an_empty_folder_only() {
    let out = tempfile::tempdir().unwrap();
    fs::write(out.path().join("notes"), "").unwrap();
    let selection = UnitSelection::default();
    let refused = export(&model_folder(), "tiny", Module::Text, &selection, out.path());
    assert!(matches!(refused, Err(ModelError::NotEmpty { .. })));
    let refused = export(&model_folder(), "a b", Module::Text, &selection, out.path());
    assert!(matches!(refused, Err(ModelError::ModelName { .. })));
}
