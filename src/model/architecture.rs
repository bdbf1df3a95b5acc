//! The architectures that are known, one file each.
//!
//! Owns what an architecture has to say of itself ([`Architecture`]) and the list of them. To add one: write a file in
//! `architecture/` that recognises its checkpoints, and add it to [`KNOWN`].

mod bert;
mod clip;
mod meter;
mod swin;
mod vit;

use std::fmt;

use super::config::ConfigTable;
use super::error::ModelError;
use super::graph::{Graph, GraphBuilder};
use super::image::Preprocessor;
use super::module::{Module, ModuleShape};
use super::source::Source;
use super::taps::Taps;
use super::text::TokenizerStyle;
use super::units::{LayerUnits, UnitSelection};

/// What a model of one architecture and size has, and how a module of it is computed.
pub trait Architecture: fmt::Debug + Send + Sync {
    /// The name, such as `clip`.
    fn name(&self) -> &'static str;

    /// Its modules in order.
    fn modules(&self) -> Vec<Module>;

    /// One of [`Architecture::modules`] from outside.
    fn shape(&self, module: Module) -> ModuleShape;

    /// Builds one of [`Architecture::modules`], handing over every layer's values.
    ///
    /// # Errors
    /// A tensor that is needed in another form than it is stored in cannot be read.
    fn build(&self, graph: &mut GraphBuilder, module: Module, taps: &Taps<'_>) -> Result<(), ModelError>;

    /// How images are prepared where no file beside the weights says so.
    fn preprocessor(&self) -> Option<Preprocessor>;

    /// What texts are cut by where there is a vocabulary and no `tokenizer.json`.
    fn tokenizer_style(&self) -> Option<TokenizerStyle>;
}

/// An architecture that is known.
pub struct Known {
    /// The name, such as `clip`.
    pub name: &'static str,
    /// What it is called in prose, such as `CLIP`.
    pub title: &'static str,
    /// The work that described it, as the references of a report name it.
    pub work: &'static str,
    /// What it is, and the files that it is read from.
    pub about: &'static str,
    /// The model in a source, if it is one of this architecture.
    recognise: fn(&Source) -> Result<Option<Described>, ModelError>,
    /// The model that a configuration describes, of weights that are still to be made.
    configured: fn(&ConfigTable<'_>) -> Result<Described, ModelError>,
    /// Models of this architecture in their published sizes, by name.
    pub published: fn() -> Vec<(&'static str, Described)>,
}

/// A model of some architecture and size.
pub type Described = Box<dyn Architecture>;

/// Every architecture that is known.
pub static KNOWN: [Known; 5] = [meter::KNOWN, clip::KNOWN, vit::KNOWN, bert::KNOWN_ROBERTA, bert::KNOWN_BERT];

/// The architecture of this name.
#[must_use]
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.name == name)
}

/// The architecture of a model.
///
/// # Errors
/// It is none that is known, or its configuration contradicts itself.
pub fn recognise(source: &Source) -> Result<Box<dyn Architecture>, ModelError> {
    for known in &KNOWN {
        if let Some(found) = (known.recognise)(source)? {
            return Ok(found);
        }
    }
    let known = KNOWN.iter().map(|known| format!("`{}`", known.name)).collect::<Vec<_>>().join(", ");
    let folder = source.folder().to_owned();
    Err(ModelError::Unrecognised { folder, model_type: source.model_type()?, known })
}

/// The architecture that a configuration describes, of weights that are still to be made.
///
/// # Errors
/// It is none that is known, or the configuration contradicts itself.
pub fn of_config(config: &ConfigTable<'_>) -> Result<Box<dyn Architecture>, ModelError> {
    let found = config.word("model_type", "")?;
    match known(&found) {
        Some(known) => (known.configured)(config),
        None => Err(config.wrong("model_type", format!("`{found}`"), "an architecture that is known")),
    }
}

/// One module's graph and the units that it puts out.
pub struct TappedGraph {
    /// The graph, without what no tap needs.
    pub graph: Graph,
    /// The units by layer, in the order of the graph's outputs.
    pub layers: Vec<LayerUnits>,
}

/// One module as a graph with the selected units as its outputs.
///
/// # Errors
/// The selection does not fit the module.
pub fn tapped(
    architecture: &dyn Architecture,
    module: Module,
    selection: &UnitSelection,
) -> Result<TappedGraph, ModelError> {
    let layers = selection.of_module(module, &architecture.shape(module))?;
    let mut graph = GraphBuilder::default();
    architecture.build(&mut graph, module, &Taps::new(selection, &layers))?;
    Ok(TappedGraph { graph: graph.finish(&format!("{}-{module}", architecture.name())), layers })
}
