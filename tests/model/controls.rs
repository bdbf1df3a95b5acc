//! Controls against independent implementations: fixtures of `tests/scripts/make_control_fixtures.py`. Twins run as their models.

use std::collections::BTreeMap;
use std::path::Path;

use hebb::model::image::decode;
use hebb::model::{
    LowLevel, LowLevelFeature, Luminance, Module, Network, OpenModel, RandomArchitecture, RandomModel, RunOptions,
    Twin, UnitSelection, export, write_twin,
};
use ndarray::{Array2, Array3};
use safetensors::SafeTensors;
use serde::Deserialize;
use tempfile::TempDir;

use super::{fixtures, runtime};

#[derive(Deserialize)]
struct Controls {
    grid: usize,
    low_level: Vec<Picture>,
    /// Mean and root mean square of each kind of tensor, by architecture.
    beginnings: BTreeMap<String, BTreeMap<String, [f64; 2]>>,
}

#[derive(Deserialize)]
struct Picture {
    picture: String,
    before: Option<String>,
    row: Vec<f64>,
}

fn controls() -> Controls {
    serde_json::from_slice(&std::fs::read(fixtures().join("controls.json")).unwrap()).unwrap()
}

#[test]
fn low_level_features_are_those_of_numpy_and_scipy() {
    let Controls { grid, low_level, .. } = controls();
    let features = LowLevelFeature::ALL.into_iter().filter(|feature| !feature.is_of_place()).collect();
    let asked = LowLevel { grid, features };
    let open = |name: &String| Luminance::of(&decode(&fixtures().join(name)).unwrap());
    let mut largest = 0.0_f64;
    for Picture { picture, before, row } in low_level {
        let found = asked.measure_picture(&open(&picture), before.as_ref().map(open).as_ref(), None);
        assert_eq!(found.len(), row.len(), "{picture}");
        for (found, expected) in found.into_iter().zip(row) {
            largest = largest.max((f64::from(found) - expected).abs());
        }
    }
    println!("largest difference {largest:e}");
    assert!(largest < 1e-6, "{largest}");
}

fn twin_of(folder: &Path, seed: u64) -> TempDir {
    let out = tempfile::tempdir().unwrap();
    let beside = ["preprocessor_config.json", "tokenizer.json"];
    write_twin(&OpenModel::open(folder).unwrap(), Twin { seed }, &beside, out.path()).unwrap();
    out
}

fn random(architecture: RandomArchitecture) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    RandomModel { seed: 7, ..RandomModel::tiny_of(architecture) }.write_random(folder.path()).unwrap();
    folder
}

/// A tensor's name without the number of its layer.
fn kind_of(name: &str) -> String {
    let is_number = |part: &&str| part.bytes().all(|digit| digit.is_ascii_digit());
    name.split('.').map(|part| if is_number(&part) { "*" } else { part }).collect::<Vec<_>>().join(".")
}

#[test]
fn tensors_of_a_twin_begin_as_transformers_begins_them() {
    let beginnings = controls().beginnings;
    for (architecture, name) in [
        (RandomArchitecture::Clip, "clip"),
        (RandomArchitecture::Vit, "vit"),
        (RandomArchitecture::Bert, "bert"),
        (RandomArchitecture::Roberta, "roberta"),
    ] {
        let twin = twin_of(random(architecture).path(), 3);
        let bytes = std::fs::read(twin.path().join("model.safetensors")).unwrap();
        let mut sums: BTreeMap<String, (f64, f64, f64)> = BTreeMap::new();
        for (tensor, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let (n, total, squares) = sums.entry(kind_of(&tensor)).or_default();
            for four in view.data().as_chunks::<4>().0 {
                let value = f64::from(f32::from_le_bytes(*four));
                (*n, *total, *squares) = (*n + 1.0, *total + value, *squares + value * value);
            }
        }
        assert!(sums.len() >= 16, "{name}");
        for (tensor, (n, total, squares)) in sums {
            let [mean, rms] =
                *beginnings[name].get(&tensor).unwrap_or_else(|| panic!("transformers has no `{tensor}`"));
            let (found_mean, found_rms) = (total / n, (squares / n).sqrt());
            if mean.abs() > 0.5 * rms || rms == 0.0 {
                assert!((found_mean - mean).abs() < 1e-4 && (found_rms - rms).abs() < 1e-4, "{name}: `{tensor}`");
                continue;
            }
            // Six standard errors of a root mean square, the fixture's own, and the row of padding, which is zero there.
            let tolerance = 6.0 / (2.0 * n).sqrt() + 0.02;
            assert!((found_rms / rms - 1.0).abs() < tolerance, "{name}: `{tensor}` has {found_rms} against {rms}");
            assert!(found_mean.abs() < 6.0 * rms / n.sqrt(), "{name}: `{tensor}` has mean {found_mean}");
        }
    }
}

fn units_of(folder: &Path, module: Module) -> Array2<f32> {
    let out = tempfile::tempdir().unwrap();
    export(&OpenModel::open(folder).unwrap(), "tiny", module, &UnitSelection::default(), out.path()).unwrap();
    let mut network = Network::open(out.path(), folder, RunOptions::on_cpu(1)).unwrap();
    match network.module().input.image.map(|image| image.image_size) {
        Some(size) => {
            let image = |row: usize| {
                Array3::from_shape_fn((3, size, size), |(c, y, x)| {
                    ((row * 5 + c * 7 + y * 3 + x) % 17) as f32 / 8.0 - 1.0
                })
            };
            network.run_images(&[image(0), image(1), image(2)]).unwrap()
        }
        None => network.run_texts(&["a dog", "two cats on a chair", "the red car"]).unwrap(),
    }
}

#[test]
fn twins_run_as_their_models_and_say_something_else() {
    if !runtime() {
        return;
    }
    for (architecture, module) in [
        (RandomArchitecture::Clip, Module::Vision),
        (RandomArchitecture::Clip, Module::Text),
        (RandomArchitecture::Vit, Module::Vision),
        (RandomArchitecture::Bert, Module::Text),
    ] {
        let model = random(architecture);
        let [one, again, other] = [1, 1, 2].map(|seed| units_of(twin_of(model.path(), seed).path(), module));
        let units = units_of(model.path(), module);
        assert_eq!(units.dim(), one.dim());
        assert!(one.iter().all(|value| value.is_finite()));
        assert_eq!(one, again);
        for different in [&units, &other] {
            let n_equal = one.iter().zip(different).filter(|(one, other)| one == other).count();
            assert!(n_equal * 10 < one.len(), "{architecture:?} {module}: {n_equal} of {} equal", one.len());
        }
        // Whatever its weights, a network tells stimuli apart.
        assert_ne!(one.row(0), one.row(1));
    }
}

#[test]
fn twins_of_downloads_are_exported() {
    for name in ["clip-openai", "vit-classifier", "bert-masked-lm", "meter", "meter-swin"] {
        let folder = fixtures().join(name);
        let model = OpenModel::open(&folder).unwrap();
        let names: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let beside: Vec<&str> = names.iter().map(String::as_str).collect();
        let out = tempfile::tempdir().unwrap();
        write_twin(&model, Twin { seed: 1 }, &beside, out.path()).unwrap();
        let twin = OpenModel::open(out.path()).unwrap();
        for module in model.architecture().modules() {
            let [old, new] = [&model, &twin].map(|model| {
                let to = tempfile::tempdir().unwrap();
                let described = export(model, "same", module, &UnitSelection::default(), to.path()).unwrap();
                let table = std::fs::read_to_string(to.path().join("units.tsv")).unwrap();
                (described, table)
            });
            assert_eq!(
                (old.0.n_units, &old.0.layers, old.0.input),
                (new.0.n_units, &new.0.layers, new.0.input),
                "{name}"
            );
            assert_eq!(old.1, new.1);
            assert_ne!(old.0.weights, new.0.weights, "{name}: the weights are others");
        }
    }
}
