//! `hebb models verify`: a model's units computed twice, and how far the two are from each other.
//!
//! The second way is ONNX Runtime without its rewriting of graphs, a GPU, or weights rounded to bfloat16. Stimuli are made-up
//! scenes with their captions, prepared by the model's own processor.

use super::open;
use crate::{
    cli::{Shared, answer, engines, error::CliError, words::from_zero},
    model::{Device, Kind, Module, Network, OpenModel, Reduce, RunOptions, Stimulus, UnitSelection, export_alone},
    stimulus::{Generate, Scenes},
};
use clap::{Args, ValueEnum};
use ndarray::{Array2, Array3, ArrayView2, s};
use std::{path::Path, process::ExitCode};

/// Arguments of `hebb models verify`.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// A folder, a checkpoint, or `hf:OWNER/NAME@COMMIT`.
    weights: String,
    /// The second way.
    #[arg(long, default_value = "unoptimised")]
    against: Against,
    /// The largest difference that is let through, relative to the largest unit of a layer.
    #[arg(long, default_value_t = 1e-4, value_parser = from_zero)]
    tolerance: f64,
    /// Made-up scenes that are shown.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    n_stimuli: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Against {
    /// ONNX Runtime without any rewriting of the graph.
    Unoptimised,
    /// An NVIDIA GPU.
    Cuda,
    /// Weights rounded to bfloat16.
    Bf16,
}

/// What is shown to both.
struct Shown {
    images: Vec<Array3<f32>>,
    texts: Vec<String>,
}

impl Verify {
    /// Exit code 1 if a difference is too large.
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        engines::runtime(shared)?;
        let model = open(&self.weights)?;
        let shown = self.shown(&model)?;
        let mut worst = 0f64;
        answer(format_args!("{:<13} {:<12} {:>12} {:>7}", "module", "kind", "difference", "layer"))?;
        for module in model.architecture().modules() {
            for kind in Kind::ALL {
                let reduce = if kind == Kind::Embedding { Reduce::Pooled } else { Reduce::Mean };
                let (difference, layer) = self.compare(&model, module, &UnitSelection::of(kind, reduce), &shown)?;
                worst = worst.max(difference);
                let (module, kind) = (module.to_string(), kind.to_string());
                answer(format_args!("{module:<13} {kind:<12} {difference:>12.1e} {layer:>7}"))?;
            }
        }
        let is_close = worst <= self.tolerance;
        let verdict = if is_close { "within" } else { "beyond" };
        let (against, tolerance) = (self.against.to_possible_value(), self.tolerance);
        let against = against.as_ref().map_or("", |value| value.get_name());
        answer(format_args!(
            "largest difference to {against}: {worst:.1e} of a layer's largest unit, {verdict} {tolerance:e}"
        ))?;
        Ok(if is_close { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn shown(&self, model: &OpenModel) -> Result<Shown, CliError> {
        let folder = tempfile::tempdir().map_err(CliError::file("create", std::env::temp_dir()))?;
        let scenes = Scenes::new(0, 224);
        let n_stimuli = self.n_stimuli as usize;
        let captions = Generate::made(0, n_stimuli).events(0);
        let takes_images = model.architecture().modules().iter().any(|module| module.stimulus() != Stimulus::Text);
        let mut images = Vec::new();
        for index in 0..if takes_images { n_stimuli } else { 0 } {
            let path = scenes.draw(index, folder.path()).map_err(|error| CliError::MadeUp(Box::new(error.into())))?;
            images.push(model.preprocessor()?.load(&path)?);
        }
        Ok(Shown { images, texts: captions.into_iter().filter_map(|event| event.text).collect() })
    }

    /// The largest difference of all layers, relative to the largest unit of its layer, and which layer it is in.
    fn compare(
        &self,
        model: &OpenModel,
        module: Module,
        selection: &UnitSelection,
        shown: &Shown,
    ) -> Result<(f64, usize), CliError> {
        let run = |is_rounded: bool, options: RunOptions| -> Result<(Array2<f32>, Network), CliError> {
            let folder = tempfile::tempdir().map_err(CliError::file("create", std::env::temp_dir()))?;
            export_alone(model, "model", module, selection, folder.path(), is_rounded)?;
            units(folder.path(), options, shown)
        };
        let plain = RunOptions::on_cpu(crate::cli::run::available_threads());
        let (first, network) = run(false, plain)?;
        let (second, _) = match self.against {
            Against::Unoptimised => run(false, RunOptions { is_optimised: false, ..plain })?,
            Against::Cuda => run(false, RunOptions { device: Device::Cuda, ..plain })?,
            Against::Bf16 => run(true, plain)?,
        };
        let mut worst = (0f64, 0);
        let mut column = 0;
        for layer in &network.module().layers {
            let range = s![.., column..column + layer.n_units];
            column += layer.n_units;
            let difference = difference(first.slice(range), second.slice(range));
            if difference >= worst.0 {
                worst = (difference, layer.layer);
            }
        }
        Ok(worst)
    }
}

/// How far the units of a layer are apart, relative to the largest of the first; without end where one of them is no number.
fn difference(first: ArrayView2<'_, f32>, second: ArrayView2<'_, f32>) -> f64 {
    let scale = first.iter().fold(f32::MIN_POSITIVE, |scale, unit| scale.max(unit.abs()));
    let apart = first.iter().zip(&second).map(|(one, other)| (one - other).abs() / scale);
    // The maximum of floats passes over what is no number, which would count as no difference.
    let largest = apart.fold(0f32, |largest, apart| largest.max(if apart.is_finite() { apart } else { f32::INFINITY }));
    largest.into()
}

fn units(folder: &Path, options: RunOptions, shown: &Shown) -> Result<(Array2<f32>, Network), CliError> {
    let mut network = Network::open_alone(folder, options)?;
    let units = match network.module().module.stimulus() {
        Stimulus::Image => network.run_images(&shown.images)?,
        Stimulus::Text => network.run_texts(&shown.texts)?,
        Stimulus::Pair => network.run_pairs(&shown.images, &shown.texts)?,
    };
    Ok((units, network))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_difference_is_a_share_of_the_largest_unit() {
        let (first, second) = (array![[1.0f32, -4.0], [2.0, 0.0]], array![[1.0f32, -3.0], [2.0, 0.5]]);
        assert_eq!(difference(first.view(), second.view()), 0.25);
        assert_eq!(difference(first.view(), first.view()), 0.0);
        let zeros = Array2::zeros((2, 2));
        assert_eq!(difference(zeros.view(), zeros.view()), 0.0);
    }

    #[test]
    fn units_that_are_no_numbers_are_beyond_any_tolerance() {
        let whole = array![[1.0f32, 2.0]];
        for broken in [array![[f32::NAN, 2.0]], array![[1.0, f32::INFINITY]]] {
            assert_eq!(difference(whole.view(), broken.view()), f64::INFINITY);
            assert_eq!(difference(broken.view(), whole.view()), f64::INFINITY);
            assert_eq!(difference(broken.view(), broken.view()), f64::INFINITY);
        }
    }
}
