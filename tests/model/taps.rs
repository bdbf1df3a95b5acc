//! Exported graphs give the units that forward hooks in transformers give.

use std::path::Path;

use hebb::model::{
    ExportSummary, Kind, Layers, ModelError, Module, Network, RandomClip, Reduce, UnitSelection, export, load_runtime,
};
use image::RgbImage;
use ndarray::{Array2, Array3, Axis, s};
use tempfile::TempDir;

use super::{expected, fixture, model_folder, runtime};

/// Largest error allowed, relative to the largest absolute value of the units compared.
const TOLERANCE: f32 = 1e-4;

/// The fixture's network was run on its first images only.
const N_IMAGES: usize = 5;

fn selections(module: Module) -> Vec<UnitSelection> {
    let mut selections = Vec::new();
    for kind in [Kind::QueryKey, Kind::Mlp, Kind::Residual] {
        for &reduce in kind.reductions() {
            let selection = UnitSelection { kind, reduce, layers: Layers::default() };
            if selection.checked_layers(module, 1).is_ok() {
                selections.push(selection);
            }
        }
    }
    selections
}

fn exported(folder: &Path, module: Module, selection: &UnitSelection) -> (TempDir, ExportSummary) {
    let out = tempfile::tempdir().unwrap();
    let summary = export(folder, "tiny", module, selection, out.path()).unwrap();
    (out, summary)
}

/// The images as the network takes them, from the fixture's own pixels.
fn images(network: &Network) -> Vec<Array3<f32>> {
    let preprocessor = network.preprocessor().unwrap();
    let pixels = expected();
    let names = fixture().images;
    let image = |name: &String| {
        let pixels = &pixels[&format!("pixels.{name}")];
        let (height, width) = (pixels.shape[0] as u32, pixels.shape[1] as u32);
        let image = RgbImage::from_raw(width, height, pixels.bytes.clone()).unwrap();
        preprocessor.apply(&image).unwrap()
    };
    names.iter().take(N_IMAGES).map(image).collect()
}

/// Runs the fixture's stimuli, in one batch or one by one.
fn run(network: &mut Network, module: Module, one_by_one: bool) -> Array2<f32> {
    let images = if module == Module::Vision { images(network) } else { Vec::new() };
    let captions = fixture().captions;
    let mut batch = |range: std::ops::Range<usize>| match module {
        Module::Vision => network.run_images(&images[range]).unwrap(),
        Module::Text => network.run_texts(&captions[range]).unwrap(),
    };
    if !one_by_one {
        return batch(0..5);
    }
    let rows: Vec<_> = (0..5).map(|row| batch(row..row + 1)).collect();
    let rows: Vec<_> = rows.iter().map(|row| row.view()).collect();
    ndarray::concatenate(Axis(0), &rows).unwrap()
}

#[test]
fn every_kind_and_reduction_equals_transformers() {
    if !runtime() {
        return;
    }
    let hooked = expected();
    println!("{:<32} {:>8} {:>10} {:>10}", "units", "scale", "batch 5", "batch 1");
    for module in [Module::Vision, Module::Text] {
        for selection in selections(module) {
            let name = format!("{module}.{}.{}", selection.kind, selection.reduce);
            let (out, _) = exported(&model_folder(), module, &selection);
            let mut network = Network::open(out.path(), 1).unwrap();
            let expected = &hooked[&name];
            let values = expected.floats();
            let scale = values.iter().fold(0f32, |scale, value| scale.max(value.abs()));
            let errors = [false, true].map(|one_by_one| {
                let units = run(&mut network, module, one_by_one);
                assert_eq!(units.shape(), expected.shape, "{name}");
                let differences = units.iter().zip(&values).map(|(a, b)| (a - b).abs());
                differences.fold(0f32, f32::max) / scale
            });
            println!("{name:<32} {scale:>8.3} {:>10.1e} {:>10.1e}", errors[0], errors[1]);
            assert!(errors.iter().all(|&error| error <= TOLERANCE), "{name}: {errors:?}");
        }
    }
}

#[test]
fn units_depend_on_neither_batch_nor_threads() {
    if !runtime() {
        return;
    }
    for module in [Module::Vision, Module::Text] {
        let (out, _) = exported(&model_folder(), module, &UnitSelection::default());
        let mut one_thread = Network::open(out.path(), 1).unwrap();
        let mut two_threads = Network::open(out.path(), 2).unwrap();
        let together = run(&mut one_thread, module, false);
        assert_eq!(together, run(&mut one_thread, module, true), "{module}: batch");
        assert_eq!(together, run(&mut two_threads, module, false), "{module}: threads");
    }
}

#[test]
fn selected_layers_are_slices_of_all_layers() {
    if !runtime() {
        return;
    }
    let all = UnitSelection::default();
    let some = UnitSelection { layers: Layers::Listed(vec![1, 0]), ..all.clone() };
    let (all_out, all_summary) = exported(&model_folder(), Module::Vision, &all);
    let (some_out, some_summary) = exported(&model_folder(), Module::Vision, &some);
    assert!(some_summary.weights_bytes < all_summary.weights_bytes, "later layers are left out");
    let outputs: Vec<_> = some_summary.module.layers.iter().map(|layer| layer.output.as_str()).collect();
    assert_eq!(outputs, ["vision/layer-00/query-key", "vision/layer-01/query-key"]);

    let mut all_network = Network::open(all_out.path(), 1).unwrap();
    let mut some_network = Network::open(some_out.path(), 1).unwrap();
    let all_units = run(&mut all_network, Module::Vision, false);
    let some_units = run(&mut some_network, Module::Vision, false);
    // Equal but for the last bits: the runtime fuses other operators in a shorter graph.
    let all_units = all_units.slice(s![.., ..some_units.ncols()]);
    assert!(some_units.iter().zip(all_units).all(|(a, b)| (a - b).abs() < 1e-5));
    let table = std::fs::read_to_string(some_out.path().join("units.tsv")).unwrap();
    assert_eq!(table.lines().count(), 1 + some_units.ncols());
    assert!(table.ends_with("tiny/vision/1/2/11\tvision\t1\t2\t11\n"), "{table}");
}

#[test]
fn the_old_end_of_text_rule_finds_the_same_token() {
    if !runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(model_folder()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let config = folder.path().join("config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"eos_token_id\": 599", "\"eos_token_id\": 2")).unwrap();
    let (kind, reduce) = (Kind::Residual, Reduce::Last);
    let selection = UnitSelection { kind, reduce, layers: Layers::default() };
    let [old, new] = [folder.path().to_owned(), model_folder()].map(|folder| {
        let (out, _) = exported(&folder, Module::Text, &selection);
        let mut network = Network::open(out.path(), 1).unwrap();
        run(&mut network, Module::Text, false)
    });
    assert_eq!(old, new);
}

#[test]
fn an_export_is_the_same_bytes_every_time() {
    for module in [Module::Vision, Module::Text] {
        let (first, _) = exported(&model_folder(), module, &UnitSelection::default());
        let (second, _) = exported(&model_folder(), module, &UnitSelection::default());
        let mut names: Vec<_> =
            std::fs::read_dir(first.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names.len(), 5);
        for name in names {
            let read = |folder: &TempDir| std::fs::read(folder.path().join(&name)).unwrap();
            assert_eq!(read(&first), read(&second), "{name:?}");
        }
    }
}

#[test]
fn a_random_model_runs_from_end_to_end() {
    if !runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let random = RandomClip::tiny();
    random.write_random(folder.path()).unwrap();
    let selection = UnitSelection::default();
    let (out, summary) = exported(folder.path(), Module::Text, &selection);
    let mut network = Network::open(out.path(), 2).unwrap();
    let units = network.run_texts(&["a dog on the beach", "Two people"]).unwrap();
    assert_eq!(units.dim(), (2, summary.module.n_units));
    assert!(units.iter().all(|unit| unit.is_finite()));
    assert_ne!(units.row(0), units.row(1));
    assert_eq!(network.run_texts::<&str>(&[]).unwrap().dim(), (0, summary.module.n_units));

    let (out, _) = exported(folder.path(), Module::Vision, &selection);
    let mut network = Network::open(out.path(), 2).unwrap();
    let units = network.run_images(&[Array3::from_elem((3, 64, 64), 0.5)]).unwrap();
    assert!(units.iter().all(|unit| unit.is_finite()));
    assert!(matches!(network.run_texts(&["a"]), Err(ModelError::WrongModule { .. })));
    let wrong = network.run_images(&[Array3::zeros((3, 64, 63))]);
    assert!(matches!(wrong, Err(ModelError::ImageShape { index: 0, .. })));
}

#[test]
fn damaged_exports_are_errors_not_panics() {
    if !runtime() {
        return;
    }
    let (out, _) = exported(&model_folder(), Module::Vision, &UnitSelection::default());
    let path = out.path().join("model.onnx");
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let refused = Network::open(out.path(), 1);
        assert!(matches!(refused, Err(ModelError::Runtime { .. })), "cut at {cut}");
    }
    std::fs::write(&path, &whole).unwrap();
    std::fs::write(out.path().join("weights.bin"), [0; 64]).unwrap();
    assert!(matches!(Network::open(out.path(), 1), Err(ModelError::Runtime { .. })));
    let module = out.path().join("module.json");
    let text = std::fs::read_to_string(&module).unwrap();
    let grown = text.replace("\"n_units\": 36", "\"n_units\": 37");
    std::fs::write(&module, grown.replace("\"n_units\": 108", "\"n_units\": 111")).unwrap();
    assert!(matches!(Network::open(out.path(), 1), Err(ModelError::Runtime { .. })));
    std::fs::remove_file(module).unwrap();
    assert!(matches!(Network::open(out.path(), 1), Err(ModelError::Read { .. })));
}

#[test]
fn a_second_runtime_is_refused() {
    if !runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, "another").unwrap();
    assert!(matches!(load_runtime(&path), Err(ModelError::OtherRuntime { .. })));
    assert!(runtime(), "the first one stays");
}
