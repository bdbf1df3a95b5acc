//! Exported graphs give the units that hooks in the original implementations give.
//!
//! The fixtures hold every token of every activation; the reductions over tokens are done here a second time, by their
//! definition, one pair of tokens after the other.

use std::path::{Path, PathBuf};

use hebb::model::{
    ExportedModule, Kind, Kinds, LayerUnits, Layers, Module, Network, OpenModel, Reduce, RunOptions, Stimulus,
    UnitSelection, export,
};
use ndarray::{Array2, Array3, ArrayView2, Axis, s};
use tempfile::TempDir;

use super::{Fixture, Tensors, fixtures, runtime};

/// Largest error allowed, relative to the largest absolute value of the units compared.
pub(super) const TOLERANCE: f64 = 1e-4;

/// The fixtures: a model, the taps that are its, and the largest window of tokens that attention does not leave.
const MODELS: [(&str, &str, Option<usize>); 12] = [
    ("clip", "clip", None),
    ("clip-one-layer", "clip-one-layer", None),
    ("clip-openai", "clip-openai", None),
    ("clip-openai-jit", "clip-openai", None),
    ("vit", "vit", None),
    ("vit-classifier", "vit-classifier", None),
    ("bert", "bert", None),
    ("bert-masked-lm", "bert-masked-lm", None),
    ("roberta", "roberta", None),
    ("roberta-base-model", "roberta-base-model", None),
    ("meter", "meter", None),
    ("meter-swin", "meter-swin", Some(9)),
];

/// A model, its taps and its stimuli.
pub(super) struct Original {
    name: String,
    pub(super) model: OpenModel,
    pub(super) folder: PathBuf,
    taps: Tensors,
    fixture: Fixture,
    window: Option<usize>,
}

impl Original {
    fn open((name, taps, window): (&str, &str, Option<usize>)) -> Self {
        Self::of(&fixtures(), name, taps, window)
    }

    /// A model without windows and its taps, side by side in a folder.
    pub(super) fn in_folder(root: &Path, name: &str) -> Self {
        Self::of(root, name, name, None)
    }

    fn of(root: &Path, name: &str, taps: &str, window: Option<usize>) -> Self {
        let folder = root.join(name);
        let model = OpenModel::open(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        let taps = Tensors::read(&root.join(format!("{taps}.safetensors")));
        let fixture = Fixture::read(&folder.join("fixture.json"));
        Self { name: name.to_owned(), model, folder, taps, fixture, window }
    }

    /// Whether the taps of a layer were kept.
    pub(super) fn has_layer(&self, module: Module, layer: usize) -> bool {
        self.taps.has(&format!("{module}.layer{layer:02}.q"))
    }

    fn n_rows(&self, module: Module) -> usize {
        self.taps.get(&format!("{module}.embedding")).shape[0]
    }

    /// Which tokens of a stream count: (rows, tokens).
    fn counted(&self, is_text: bool, n_rows: usize, n_tokens: usize, special_tokens: bool) -> Vec<Vec<usize>> {
        if !is_text {
            let first = usize::from(!special_tokens && self.window.is_none());
            return vec![(first..n_tokens).collect(); n_rows];
        }
        let mask = self.taps.integers("attention_mask");
        let of_row = |row: usize| {
            let n = mask[row * n_tokens..(row + 1) * n_tokens].iter().sum::<i64>() as usize;
            if special_tokens { (0..n).collect() } else { (1..n - 1).collect() }
        };
        (0..n_rows).map(of_row).collect()
    }

    /// The units of a layer as the definition has them.
    pub(super) fn expected(&self, module: Module, selection: &UnitSelection, units: &LayerUnits) -> Array2<f64> {
        let layer = format!("{module}.layer{:02}", units.layer);
        let is_text = matches!(module, Module::Text | Module::FusionText);
        let (kind, reduce, special_tokens) = (units.kind, selection.reduction(units.kind), selection.special_tokens);
        if kind == Kind::Embedding {
            return self.taps.get(&format!("{module}.embedding")).matrix();
        }
        let mut parts = Vec::new();
        for attention in
            if units.attentions.is_empty() { vec![None] } else { units.attentions.iter().map(Some).collect() }
        {
            let cross = attention.is_some_and(|attention| attention.to_string() == "cross");
            let name = |tap: &str| format!("{layer}.{}{tap}", if cross { "x" } else { "" });
            let keys_are_text = is_text != cross;
            let part = match kind {
                Kind::QueryKey => {
                    let (query, key) = (self.taps.get(&name("q")).tokens(), self.taps.get(&name("k")).tokens());
                    let (n_rows, n_queries, _) = query.dim();
                    let queries = self.counted(is_text, n_rows, n_queries, special_tokens);
                    let keys = self.counted(keys_are_text, n_rows, key.dim().1, special_tokens);
                    let rows = (0..n_rows).map(|row| {
                        let (query, key) = (query.index_axis(Axis(0), row), key.index_axis(Axis(0), row));
                        let window = self.window.filter(|_| module == Module::Image);
                        pairs(query, key, &queries[row], &keys[row], reduce, window)
                    });
                    stacked(rows)
                }
                kind => {
                    let (tap, of_text) = match kind {
                        Kind::Query => ("q", is_text),
                        Kind::Key => ("k", keys_are_text),
                        Kind::Value => ("v", keys_are_text),
                        Kind::Mlp => ("mlp", is_text),
                        Kind::Residual => ("resid", is_text),
                        _ => ("head_out", is_text),
                    };
                    let mut values = self.taps.get(&name(tap)).tokens();
                    if kind == Kind::HeadNorm {
                        values = norms(&values, units.n_heads.unwrap());
                    }
                    let counted = self.counted(of_text, values.dim().0, values.dim().1, special_tokens);
                    let rows = (0..values.dim().0).map(|row| {
                        let tokens = values.index_axis(Axis(0), row).select(Axis(0), &counted[row]);
                        reduced(tokens.view(), reduce)
                    });
                    stacked(rows)
                }
            };
            parts.push(part);
        }
        let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
        ndarray::concatenate(Axis(1), &views).unwrap()
    }

    fn images(&self, n_rows: usize) -> Vec<Array3<f32>> {
        let pixels = self.taps.get("pixel_values");
        let shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3]);
        let size = shape.0 * shape.1 * shape.2;
        let values = pixels.floats();
        (0..n_rows)
            .map(|row| Array3::from_shape_vec(shape, values[row * size..(row + 1) * size].to_vec()).unwrap())
            .collect()
    }

    /// Runs the fixture's stimuli, in one batch or one by one.
    pub(super) fn run(&self, network: &mut Network, one_by_one: bool) -> Array2<f32> {
        let module = network.module().module;
        let n_rows = self.n_rows(module);
        let images = if module.stimulus() == Stimulus::Text { Vec::new() } else { self.images(n_rows) };
        let texts = self.fixture.captions.get(..n_rows).unwrap_or_default();
        let mut batch = |range: std::ops::Range<usize>| match module.stimulus() {
            Stimulus::Image => network.run_images(&images[range]).unwrap(),
            Stimulus::Text => network.run_texts(&texts[range]).unwrap(),
            Stimulus::Pair => network.run_pairs(&images[range.clone()], &texts[range]).unwrap(),
        };
        if !one_by_one {
            return batch(0..n_rows);
        }
        let rows: Vec<_> = (0..n_rows).map(|row| batch(row..row + 1)).collect();
        let rows: Vec<_> = rows.iter().map(|row| row.view()).collect();
        ndarray::concatenate(Axis(0), &rows).unwrap()
    }
}

/// Over every pair of a query's and a key's token, where tokens stand in windows every pair of one window.
fn pairs(
    query: ArrayView2<'_, f64>,
    key: ArrayView2<'_, f64>,
    queries: &[usize],
    keys: &[usize],
    reduce: Reduce,
    window: Option<usize>,
) -> Vec<f64> {
    let n_units = query.ncols();
    let mut sum = vec![0.0; n_units];
    let mut max = vec![f64::MIN; n_units];
    let mut n_pairs = 0;
    for &i in queries {
        for &j in keys {
            let is_pair = match (reduce, window) {
                (Reduce::TokenMean, _) => i == j,
                (_, Some(window)) => i / window == j / window,
                _ => true,
            };
            if is_pair {
                n_pairs += 1;
                for unit in 0..n_units {
                    let product = query[[i, unit]] * key[[j, unit]];
                    sum[unit] += product;
                    max[unit] = max[unit].max(product);
                }
            }
        }
    }
    if reduce == Reduce::Max { max } else { sum.into_iter().map(|sum| sum / f64::from(n_pairs)).collect() }
}

fn stacked(rows: impl Iterator<Item = Vec<f64>>) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = rows.collect();
    let shape = (rows.len(), rows[0].len());
    Array2::from_shape_vec(shape, rows.concat()).unwrap()
}

/// (tokens, units) -> units.
fn reduced(tokens: ArrayView2<'_, f64>, reduce: Reduce) -> Vec<f64> {
    let of = |column: ndarray::ArrayView1<'_, f64>| match reduce {
        Reduce::Max => column.iter().copied().fold(f64::MIN, f64::max),
        Reduce::First => column[0],
        Reduce::Last => column[column.len() - 1],
        Reduce::Norm => column.iter().map(|value| value * value).sum::<f64>().sqrt(),
        _ => column.sum() / column.len() as f64,
    };
    tokens.columns().into_iter().map(of).collect()
}

/// (rows, tokens, heads x dims) -> (rows, tokens, heads).
fn norms(values: &Array3<f64>, n_heads: usize) -> Array3<f64> {
    let (n_rows, n_tokens, width) = values.dim();
    let dims = width / n_heads;
    Array3::from_shape_fn((n_rows, n_tokens, n_heads), |(row, token, head)| {
        let of_head = values.slice(s![row, token, head * dims..(head + 1) * dims]);
        of_head.iter().map(|value| value * value).sum::<f64>().sqrt()
    })
}

fn selections(kind: Kind) -> impl Iterator<Item = UnitSelection> {
    let with = move |special_tokens| {
        let reductions = kind.reductions().iter();
        reductions.map(move |&reduce| UnitSelection { special_tokens, ..UnitSelection::of(kind, reduce) })
    };
    with(true).chain(with(false))
}

fn exported(model: &OpenModel, module: Module, selection: &UnitSelection) -> (TempDir, ExportedModule) {
    let out = tempfile::tempdir().unwrap();
    let module = export(model, "tiny", module, selection, out.path()).unwrap();
    (out, module)
}

/// The largest difference of a layer's units, relative to their scale.
pub(super) fn error(found: ArrayView2<'_, f32>, expected: &Array2<f64>) -> f64 {
    assert_eq!(found.dim(), expected.dim());
    assert!(found.iter().all(|value| value.is_finite()), "a difference from NaN is no largest one");
    let scale = expected.iter().fold(f64::MIN_POSITIVE, |scale, value| scale.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(found, expected)| (f64::from(*found) - expected).abs());
    differences.fold(0.0, f64::max) / scale
}

#[test]
fn a_meter_for_larger_images_has_its_places_resized() {
    if !runtime() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let taps = Tensors::read(&fixtures().join("meter-interpolated.safetensors"));
    let image_size = taps.get("pixel_values").shape[2];
    for entry in std::fs::read_dir(fixtures().join("meter")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let config = folder.path().join("config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    assert_ne!(json["meter"]["image_size"], image_size);
    json["meter"]["image_size"] = image_size.into();
    std::fs::write(&config, json.to_string()).unwrap();
    let model = OpenModel::open(folder.path()).unwrap();
    let fixture = Fixture::default();
    let folder = folder.path().to_owned();
    let original = Original { name: "meter-interpolated".to_owned(), model, folder, taps, fixture, window: None };
    for kind in [Kind::QueryKey, Kind::HeadOutput, Kind::Residual] {
        let selection = UnitSelection::of(kind, Reduce::Mean);
        let (out, described) = exported(&original.model, Module::Image, &selection);
        assert!(out.path().join("constants.bin").exists(), "the resized places");
        let mut network = Network::open(out.path(), &original.folder, RunOptions::on_cpu(1)).unwrap();
        let n_rows = original.taps.get("pixel_values").shape[0];
        let units = network.run_images(&original.images(n_rows)).unwrap();
        let n_layers = described.layers.len();
        let mut column = 0;
        for (number, layer) in described.layers.iter().enumerate() {
            let found = units.slice(s![.., column..column + layer.n_units]);
            column += layer.n_units;
            // The fixture has the first and the last layer.
            if number == 0 || number + 1 == n_layers {
                let error = error(found, &original.expected(Module::Image, &selection, layer));
                println!("{image_size} pixels, {}: {error:.1e}", layer.output);
                assert!(error <= TOLERANCE, "{}: {error:e}", layer.output);
            }
        }
    }
}

#[test]
fn all_kinds_at_once_are_what_each_is_alone() {
    if !runtime() {
        return;
    }
    for original in MODELS.map(Original::open) {
        for module in original.model.architecture().modules() {
            let kinds = Kinds::Several(Kind::ALL.to_vec());
            let selection = UnitSelection::new(kinds, Some(Reduce::Mean), Layers::default(), true);
            let (out, described) = exported(&original.model, module, &selection);
            let mut network = Network::open(out.path(), &original.folder, RunOptions::on_cpu(1)).unwrap();
            let units = original.run(&mut network, false);
            let mut column = 0;
            for layer in &described.layers {
                let found = units.slice(s![.., column..column + layer.n_units]);
                column += layer.n_units;
                let error = error(found, &original.expected(module, &selection, layer));
                assert!(error <= TOLERANCE, "{} {}: {error:e} off", original.name, layer.output);
            }
            assert_eq!(column, units.ncols());
        }
    }
}

#[test]
fn every_unit_of_every_layer_equals_the_original() {
    if !runtime() {
        return;
    }
    println!("{:<20} {:<13} {:<12} {:>10} {:>10}", "model", "module", "units", "batch", "one by one");
    for original in MODELS.map(Original::open) {
        for module in original.model.architecture().modules() {
            for kind in Kind::ALL {
                let mut worst = [0f64; 2];
                for selection in selections(kind) {
                    let shape = original.model.architecture().shape(module);
                    let Ok(layers) = selection.of_module(module, &shape) else { continue };
                    let (out, described) = exported(&original.model, module, &selection);
                    assert_eq!(described.layers, layers);
                    let options = RunOptions::on_cpu(1);
                    let mut network = Network::open(out.path(), &original.folder, options).unwrap();
                    for (one_by_one, worst) in [false, true].into_iter().zip(&mut worst) {
                        let units = original.run(&mut network, one_by_one);
                        let mut column = 0;
                        for layer in &layers {
                            let found = units.slice(s![.., column..column + layer.n_units]);
                            column += layer.n_units;
                            let error = error(found, &original.expected(module, &selection, layer));
                            let name = &original.name;
                            assert!(error <= TOLERANCE, "{name} {}: {selection:?} is {error:e} off", layer.output);
                            *worst = worst.max(error);
                        }
                    }
                }
                let (name, [batch, single]) = (&original.name, worst);
                println!(
                    "{name:<20} {:<13} {:<12} {batch:>10.1e} {single:>10.1e}",
                    module.to_string(),
                    kind.to_string()
                );
            }
        }
    }
}
