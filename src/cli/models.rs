//! `hebb models`: what models offer, their graphs as files, how exact they are.
//!
//! Whatever names a model is a folder or a checkpoint as it was downloaded, or `hf:OWNER/NAME@COMMIT`.

mod verify;

use super::{Shared, answer, engines, error::CliError, surroundings::finder, words::size};
use crate::model::{
    Kind, Kinds, Layers, Module, OpenModel, UnitSelection, architecture, export_alone, hub::HubModel, open_alone,
};
use clap::{Args, Subcommand};
use std::{fs, path::PathBuf, process::ExitCode};

/// Arguments of `hebb models`.
#[derive(Debug, Args)]
pub(super) struct Models {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the architectures that are known, with their units.
    List,
    /// Say what a model offers: modules, layers, kinds of units and how many.
    Show(Show),
    /// Fetch a model from a hub into its cache.
    Fetch(Fetch),
    /// Write a module's graph with its units as outputs, and its weights beside it, for any ONNX Runtime.
    Export(Export),
    /// Compare a model's units with a second way to compute them.
    Verify(verify::Verify),
}

#[derive(Debug, Args)]
struct Show {
    /// A folder, a checkpoint, or `hf:OWNER/NAME@COMMIT`.
    weights: String,
}

#[derive(Debug, Args)]
struct Fetch {
    /// The model, as `hf:openai/clip-vit-base-patch32@3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268`.
    model: String,
}

#[derive(Debug, Args)]
struct Export {
    /// A folder, a checkpoint, or `hf:OWNER/NAME@COMMIT`.
    weights: String,
    /// The module.
    #[arg(long)]
    module: String,
    /// Which activations are the units: one kind or several.
    #[arg(long, value_delimiter = ',', default_value = "query-key")]
    kind: Vec<String>,
    /// How tokens are reduced; the first kind's own default if absent.
    #[arg(long)]
    reduce: Option<String>,
    /// Layers, all if absent.
    #[arg(long, value_delimiter = ',')]
    layers: Option<Vec<usize>>,
    /// Leave out class tokens, start and end of texts.
    #[arg(long)]
    without_special_tokens: bool,
    /// What units' names begin with.
    #[arg(long, default_value = "model")]
    name: String,
    /// The folder to write, empty or not there yet.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Models {
    pub(super) fn run(self, shared: &Shared) -> Result<ExitCode, CliError> {
        match self.command.unwrap_or(Command::List) {
            Command::List => answer(list())?,
            Command::Show(Show { weights }) => answer(describe(&open(&weights)?, &weights)?)?,
            Command::Fetch(Fetch { model }) => {
                let folder = finder(true)(&model.parse::<HubModel>().map_err(|error| usage(error, FETCH_HINT))?)?;
                answer(folder.display())?;
            }
            Command::Export(asked) => asked.run(shared)?,
            Command::Verify(asked) => return asked.run(shared),
        }
        Ok(ExitCode::SUCCESS)
    }
}

const FETCH_HINT: &str = "a model is named as `hf:OWNER/NAME@COMMIT`";

fn usage(error: impl std::fmt::Display, hint: &str) -> CliError {
    CliError::Usage { message: error.to_string(), hint: hint.to_owned() }
}

/// Opens whatever names a model.
fn open(weights: &str) -> Result<OpenModel, CliError> {
    let place = if HubModel::is_meant(weights) {
        let model = weights.parse::<HubModel>().map_err(|error| usage(error, FETCH_HINT))?;
        finder(false)(&model)?
    } else {
        PathBuf::from(weights)
    };
    Ok(OpenModel::open(&place)?)
}

/// The architectures in their published sizes.
fn list() -> String {
    let mut text = String::new();
    for known in &architecture::KNOWN {
        text += &format!("{}: {}\n", known.name, known.about);
        for (name, model) in (known.published)() {
            text += &format!("  {name}\n");
            for module in model.modules() {
                let shape = model.shape(module);
                let counts = [Kind::QueryKey, Kind::Mlp, Kind::Residual].map(|kind| {
                    let units = UnitSelection::of(kind, kind.reductions()[0]).of_module(module, &shape);
                    let n: usize = units.iter().flatten().map(|units| units.n_units).sum();
                    format!("{n} {kind}")
                });
                let n_layers = shape.layers.len();
                text += &format!("    {:<13} {n_layers:>2} layers, {}\n", module.to_string(), counts.join(", "));
            }
        }
    }
    text += "`hebb models show WEIGHTS` says the same of a model that you have";
    text
}

/// One model: a column for each module, a row for each kind of unit.
fn describe(model: &OpenModel, weights: &str) -> Result<String, CliError> {
    let architecture = model.architecture();
    let modules = architecture.modules();
    let folder = model.source().folder();
    let files = model.source().weights.file_names();
    let bytes: u64 =
        files.iter().filter_map(|name| fs::metadata(folder.join(name)).ok()).map(|facts| facts.len()).sum();
    let mut text = format!("{weights}: {}, {} in {}\n", architecture.name(), size(bytes), files.join(", "));
    let mut rows: Vec<Vec<String>> = vec![
        ["kind".to_owned()].into_iter().chain(modules.iter().map(Module::to_string)).collect(),
        row("takes", &modules, |module| match architecture.shape(module).input {
            input if input.image.is_some() && input.text.is_some() => "images with texts".to_owned(),
            input => match (input.image, input.text) {
                (Some(image), _) => format!("images of {0} x {0}", image.image_size),
                (_, Some(text)) => format!("texts of {} tokens", text.context_length),
                _ => String::new(),
            },
        }),
        row("layers", &modules, |module| architecture.shape(module).layers.len().to_string()),
    ];
    for kind in Kind::ALL {
        rows.push(row(&kind.to_string(), &modules, |module| {
            let shape = architecture.shape(module);
            let units = UnitSelection::of(kind, kind.reductions()[0]).of_module(module, &shape).unwrap_or_default();
            let n: usize = units.iter().map(|units| units.n_units).sum();
            let first = units.first().map_or(0, |units| units.n_units);
            if units.len() > 1 && units.iter().all(|units| units.n_units == first) {
                format!("{n} ({} x {first})", units.len())
            } else {
                n.to_string()
            }
        }));
    }
    let widths: Vec<usize> =
        (0..=modules.len()).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or_default()).collect();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text += cells.join("  ").trim_end();
        text += "\n";
    }
    match model.facts(&modules) {
        Ok(_) => text += "all weights, stimuli's preparation and vocabulary are there",
        Err(error) => text += &format!("cannot be used as it is: {error}"),
    }
    let unused = model.unused_tensors()?;
    if !unused.is_empty() {
        text += &format!("\nnot used: {} tensors, as {}", unused.len(), first_of(&unused));
    }
    Ok(text)
}

fn row(name: &str, modules: &[Module], cell: impl Fn(Module) -> String) -> Vec<String> {
    [name.to_owned()].into_iter().chain(modules.iter().map(|module| cell(*module))).collect()
}

fn first_of(names: &[String]) -> String {
    names.iter().take(4).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A value as a study writes it.
fn written<T: serde::de::DeserializeOwned>(word: &str, hint: &str) -> Result<T, CliError> {
    serde_json::from_value(serde_json::Value::from(word)).map_err(|error| usage(error, hint))
}

impl Export {
    fn run(self, shared: &Shared) -> Result<(), CliError> {
        let model = open(&self.weights)?;
        let module: Module = written(&self.module, "`hebb models show` lists the modules of a model")?;
        let kind_hint = "`hebb models show` lists the kinds of unit";
        let kinds = self.kind.iter().map(|kind| written(kind, kind_hint)).collect::<Result<Vec<Kind>, _>>()?;
        let reduce_hint = "one of `mean`, `token-mean`, `max`, `first`, `last`, `norm`, `pooled`";
        let reduce = self.reduce.as_ref().map(|reduce| written(reduce, reduce_hint)).transpose()?;
        let layers = self.layers.clone().map_or_else(Layers::default, Layers::Listed);
        let selection = UnitSelection::new(Kinds::Several(kinds), reduce, layers, !self.without_special_tokens);
        fs::create_dir_all(&self.out).map_err(CliError::file("create", &self.out))?;
        let exported = export_alone(&model, &self.name, module, &selection, &self.out, false)?;
        let opened = match engines::runtime(shared) {
            Ok(_) => format!(", opened with {} outputs", open_alone(&self.out)?.len()),
            Err(_) => ", not opened: ONNX Runtime was not found".to_owned(),
        };
        let n_units = exported.n_units;
        answer(format_args!("{}: {n_units} units of {module}{opened}", self.out.join("model.onnx").display()))?;
        Ok(())
    }
}
