//! What an export is: self-contained in what it says, the same bytes every time, and refused when it is damaged.

use std::path::{Path, PathBuf};

use hebb::model::{
    ExportedModule, Kind, Layers, ModelError, Module, Network, OpenModel, RandomArchitecture, RandomModel, Reduce,
    RunOptions, UnitSelection, export, export_alone, load_runtime, open_alone,
};
use ndarray::{Array2, Array3, s};
use tempfile::TempDir;

use super::{fixture, fixtures, model_folder, runtime};

fn exported(folder: &Path, module: Module, selection: &UnitSelection) -> (TempDir, ExportedModule) {
    let out = tempfile::tempdir().unwrap();
    let model = OpenModel::open(folder).unwrap();
    let module = export(&model, "tiny", module, selection, out.path()).unwrap();
    (out, module)
}

fn opened(out: &TempDir, weights: &Path, threads: usize) -> Network {
    Network::open(out.path(), weights, RunOptions::on_cpu(threads)).unwrap()
}

/// Images of the network's size that differ, or the fixture's captions, in one batch or one by one.
fn run(network: &mut Network, one_by_one: bool) -> Array2<f32> {
    const N: usize = 5;
    let captions = fixture().captions;
    let size = network.module().input.image.map(|image| image.image_size);
    let image = |row: usize, size: usize| {
        Array3::from_shape_fn((3, size, size), |(c, y, x)| ((row + 1) * (c * 7 + y * 3 + x) % 17) as f32 / 8.0 - 1.0)
    };
    let mut batch = |range: std::ops::Range<usize>| match size {
        Some(size) => network.run_images(&range.map(|row| image(row, size)).collect::<Vec<_>>()).unwrap(),
        None => network.run_texts(&captions[range]).unwrap(),
    };
    if !one_by_one {
        return batch(0..N);
    }
    let rows: Vec<_> = (0..N).map(|row| batch(row..row + 1)).collect();
    let rows: Vec<_> = rows.iter().map(|row| row.view()).collect();
    ndarray::concatenate(ndarray::Axis(0), &rows).unwrap()
}

#[test]
fn units_depend_neither_on_company_nor_on_threads() {
    if !runtime() {
        return;
    }
    for module in [Module::Vision, Module::Text] {
        let (out, _) = exported(&model_folder(), module, &UnitSelection::default());
        let mut one_thread = opened(&out, &model_folder(), 1);
        let mut two_threads = opened(&out, &model_folder(), 2);
        let together = run(&mut one_thread, false);
        assert_eq!(together, run(&mut one_thread, true), "{module}: batch");
        assert_eq!(together, run(&mut two_threads, false), "{module}: threads");
    }
}

#[test]
fn selected_layers_are_slices_of_all_layers() {
    if !runtime() {
        return;
    }
    let all = UnitSelection::default();
    let some = UnitSelection { layers: Layers::Listed(vec![1, 0]), ..all.clone() };
    let (all_out, _) = exported(&model_folder(), Module::Vision, &all);
    let (some_out, described) = exported(&model_folder(), Module::Vision, &some);
    let size = |out: &TempDir| std::fs::metadata(out.path().join("model.onnx")).unwrap().len();
    assert!(size(&some_out) < size(&all_out), "later layers are left out");
    let outputs: Vec<_> = described.layers.iter().map(|layer| layer.output.as_str()).collect();
    assert_eq!(outputs, ["vision/layer-00/query-key", "vision/layer-01/query-key"]);

    let all_units = run(&mut opened(&all_out, &model_folder(), 1), false);
    let some_units = run(&mut opened(&some_out, &model_folder(), 1), false);
    // Equal but for the last bits: the runtime fuses other operators in a shorter graph.
    let all_units = all_units.slice(s![.., ..some_units.ncols()]);
    assert!(some_units.iter().zip(all_units).all(|(a, b)| (a - b).abs() < 1e-5));
    let table = std::fs::read_to_string(some_out.path().join("units.tsv")).unwrap();
    assert_eq!(table.lines().count(), 1 + some_units.ncols());
    assert!(table.ends_with("tiny/vision/1/2/11\tvision\t1\tquery-key\tself\t2\t11\n"), "{table}");
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
    let edited = text.replace("\"eos_token_id\": 599", "\"eos_token_id\": 2");
    assert_ne!(text, edited);
    std::fs::write(&config, edited).unwrap();
    let selection = UnitSelection::of(Kind::Residual, Reduce::Last);
    let [old, new] = [folder.path().to_owned(), model_folder()].map(|folder| {
        let (out, _) = exported(&folder, Module::Text, &selection);
        run(&mut opened(&out, &folder, 1), false)
    });
    assert_eq!(old, new);
}

#[test]
fn an_export_is_the_same_bytes_every_time() {
    for (name, module) in [("clip", Module::Vision), ("clip", Module::Text), ("meter-swin", Module::FusionImage)] {
        let (first, _) = exported(&fixtures().join(name), module, &UnitSelection::default());
        let (second, _) = exported(&fixtures().join(name), module, &UnitSelection::default());
        let names: Vec<_> = std::fs::read_dir(first.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(names.len() >= 4);
        for name in names {
            let read = |folder: &TempDir| std::fs::read(folder.path().join(&name)).unwrap();
            assert_eq!(read(&first), read(&second), "{name:?}");
        }
    }
}

#[test]
fn weights_stay_where_they_are() {
    for (name, module, has_constants) in
        [("clip", Module::Vision, false), ("clip-openai", Module::Text, false), ("meter-swin", Module::Image, true)]
    {
        let folder = fixtures().join(name);
        let (out, described) = exported(&folder, module, &UnitSelection::default());
        let names: Vec<String> = std::fs::read_dir(out.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        assert!(!names.contains(&"weights.bin".to_owned()), "{name}");
        assert_eq!(
            names.contains(&"constants.bin".to_owned()),
            has_constants,
            "{name}: masks of windows are in no file"
        );
        assert!(!described.weights.parts.is_empty());
    }
}

#[test]
fn an_export_depends_on_the_numbers_and_not_on_their_file() {
    let model = [
        copied_as("clip", |_| ()),
        copied_as("clip", |folder| {
            // Other tensors before them move all others to another place.
            let path = folder.join("model.safetensors");
            let bytes = std::fs::read(&path).unwrap();
            let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let mut views = tensors.tensors();
            let extra = [0u8; 8];
            let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F16, vec![4], &extra).unwrap();
            views.push(("a.new.head".to_owned(), view));
            let written = safetensors::serialize(views, None).unwrap();
            std::fs::write(&path, written).unwrap();
        }),
    ];
    let read = |folder: &TempDir| {
        let (out, described) = exported(folder.path(), Module::Vision, &UnitSelection::default());
        (std::fs::read(out.path().join("model.onnx")).unwrap(), described)
    };
    assert_eq!(read(&model[0]), read(&model[1]));
}

fn copied_as(name: &str, change: impl FnOnce(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(fixtures().join(name)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    change(folder.path());
    folder
}

#[test]
fn any_onnx_runtime_opens_an_export_with_its_weights_beside_it() {
    if !runtime() {
        return;
    }
    for (name, module) in [("clip", Module::Vision), ("vit", Module::Vision), ("meter-swin", Module::Image)] {
        let folder = fixtures().join(name);
        let model = OpenModel::open(&folder).unwrap();
        let selection = UnitSelection::default();
        let out = tempfile::tempdir().unwrap();
        let described = export_alone(&model, "tiny", module, &selection, out.path(), false).unwrap();
        let outputs: Vec<_> = described.layers.iter().map(|layer| layer.output.clone()).collect();
        assert_eq!(open_alone(out.path()).unwrap(), outputs);
        #[cfg(unix)]
        for entry in std::fs::read_dir(out.path()).unwrap() {
            let facts = entry.unwrap().metadata().unwrap();
            assert_eq!(std::os::unix::fs::MetadataExt::nlink(&facts), 1, "readers of ONNX files refuse links");
        }
        // The weights are the same, wherever they come from.
        let size = described.input.image.unwrap().image_size;
        let images = [Array3::from_shape_fn((3, size, size), |(c, y, x)| ((c + 2 * y + x) % 7) as f32 / 3.0 - 1.0)];
        let alone = Network::open_alone(out.path(), RunOptions::on_cpu(1)).unwrap().run_images(&images).unwrap();
        let (referring, _) = exported(&folder, module, &selection);
        let units = opened(&referring, &folder, 1).run_images(&images).unwrap();
        assert!(
            alone.iter().zip(&units).all(|(one, other)| (one - other).abs() <= 1e-5 * one.abs().max(1.0)),
            "{name}"
        );
        let rounded = tempfile::tempdir().unwrap();
        export_alone(&model, "tiny", module, &selection, rounded.path(), true).unwrap();
        let rounded = Network::open_alone(rounded.path(), RunOptions::on_cpu(1)).unwrap().run_images(&images).unwrap();
        let worst = rounded.iter().zip(&units).map(|(one, other)| (one - other).abs()).fold(0f32, f32::max);
        let scale = units.iter().fold(0f32, |scale, unit| scale.max(unit.abs()));
        // The fixture `vit` is stored as bfloat16 already.
        assert!(
            if name == "vit" { worst < 1e-5 * scale } else { worst > 1e-5 * scale && worst < 0.1 * scale },
            "{name}"
        );
    }
}

#[test]
fn random_models_run_from_end_to_end() {
    if !runtime() {
        return;
    }
    for architecture in [
        RandomArchitecture::Clip,
        RandomArchitecture::Meter,
        RandomArchitecture::Vit,
        RandomArchitecture::Roberta,
        RandomArchitecture::Bert,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let random = RandomModel::tiny_of(architecture);
        random.write_random(folder.path()).unwrap();
        let images = [0.5, -0.5]
            .map(|value| Array3::from_shape_fn((3, 64, 64), |(c, y, x)| value * ((c + 3 * y + x) % 13) as f32 / 6.0));
        let texts = ["a dog on the beach", "Two people"];
        for module in random.modules().unwrap() {
            let (out, described) = exported(folder.path(), module, &UnitSelection::default());
            let mut network = opened(&out, folder.path(), 2);
            let units = match module {
                Module::Vision | Module::Image => network.run_images(&images),
                Module::Text => network.run_texts(&texts),
                _ => network.run_pairs(&images, &texts),
            };
            let units = units.unwrap();
            assert_eq!(units.dim(), (2, described.n_units));
            assert!(units.iter().all(|unit| unit.is_finite()));
            assert_ne!(units.row(0), units.row(1), "{architecture:?} {module}");
        }
    }
}

#[test]
fn stimuli_that_a_network_does_not_take_are_errors() {
    if !runtime() {
        return;
    }
    let (out, _) = exported(&model_folder(), Module::Vision, &UnitSelection::default());
    let mut network = opened(&out, &model_folder(), 1);
    assert!(matches!(network.run_texts(&["a"]), Err(ModelError::WrongModule { .. })));
    assert!(matches!(network.run_pairs(&[], &[] as &[&str]), Err(ModelError::WrongModule { .. })));
    let wrong = network.run_images(&[Array3::zeros((3, 64, 63))]);
    assert!(matches!(wrong, Err(ModelError::ImageShape { index: 0, .. })));
    assert_eq!(network.run_images(&[]).unwrap().nrows(), 0);

    let without = UnitSelection { special_tokens: false, ..UnitSelection::default() };
    let (out, _) = exported(&model_folder(), Module::Text, &without);
    let mut network = opened(&out, &model_folder(), 1);
    assert_eq!(network.run_texts::<&str>(&[]).unwrap().nrows(), 0);
    let nothing = network.run_texts(&["a dog", ""]).unwrap_err().to_string();
    assert!(nothing.contains("the caption `` has special tokens only"), "{nothing}");
}

#[test]
fn damaged_exports_are_errors_not_panics() {
    if !runtime() {
        return;
    }
    let (out, _) = exported(&model_folder(), Module::Vision, &UnitSelection::default());
    let open = |weights: &Path| Network::open(out.path(), weights, RunOptions::on_cpu(1));
    let path = out.path().join("model.onnx");
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 100, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(open(&model_folder()).is_err(), "cut at {cut}");
    }
    std::fs::write(&path, &whole).unwrap();
    let other = tempfile::tempdir().unwrap();
    assert!(matches!(open(other.path()), Err(ModelError::NoWeights { .. })));
    let weights = std::fs::read(model_folder().join("model.safetensors")).unwrap();
    let mut flipped = weights.clone();
    // The last bit of every number; the header stands before them.
    let half = flipped.len() / 2;
    flipped[half..].iter_mut().step_by(2).for_each(|byte| *byte ^= 1);
    std::fs::write(other.path().join("model.safetensors"), &flipped).unwrap();
    assert!(matches!(open(other.path()), Err(ModelError::OtherWeights { .. })));
    std::fs::write(other.path().join("model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    assert!(matches!(open(other.path()), Err(ModelError::Malformed { .. })));
    assert!(open(&model_folder()).is_ok());
    let module = out.path().join("module.json");
    std::fs::remove_file(module).unwrap();
    assert!(matches!(open(&model_folder()), Err(ModelError::Read { .. })));
}

#[test]
fn weights_that_are_cut_short_while_a_network_runs_are_an_error() {
    if !runtime() {
        return;
    }
    let (out, _) = exported(&model_folder(), Module::Vision, &UnitSelection::default());
    let copy = copied_as("clip", |_| ());
    let mut network = opened(&out, copy.path(), 1);
    run(&mut network, false);
    let file = std::fs::File::options().write(true).open(copy.path().join("model.safetensors")).unwrap();
    file.set_len(4096).unwrap();
    let size = network.module().input.image.unwrap().image_size;
    let error = network.run_images(&[Array3::zeros((3, size, size))]).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("shorter or longer"), "{error}");
}

#[test]
fn a_second_runtime_is_refused() {
    if !runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("libonnxruntime.so");
    std::fs::write(&path, "another").unwrap();
    assert!(matches!(load_runtime(&path), Err(ModelError::OtherRuntime { .. })));
    assert!(runtime(), "the first one stays");
}
