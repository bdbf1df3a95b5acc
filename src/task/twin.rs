//! Writes the untrained twin of a model as a folder, so that an export reads it as it reads the model.

use super::{Compute, Kind, TaskError, Workbench, listed};
use crate::model::{OpenModel, Twin, write_twin};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the twin consists of, in the artifact.
pub const TWIN: &str = "twin.json";

/// Draws the weights of a twin. The model is the input `weights`, or the external files `weights`.
#[derive(Debug, Serialize, Deserialize)]
pub struct DrawTwin {
    /// The seed of the twin.
    pub twin: Twin,
    /// The model's folder or checkpoint, unless it is the input.
    #[serde(rename = "~place")] // its files' digests are in the key
    pub place: PathBuf,
    /// Bytes of the model's weights.
    #[serde(rename = "~weights_bytes")] // follows from the files
    pub weights_bytes: u64,
}

impl Compute for DrawTwin {
    const KIND: Kind = Kind::Weights;

    fn memory_bytes(&self) -> u64 {
        // Weights stream; of a tensor whose beginning is not known, the numbers are read.
        self.weights_bytes / 4 + (64 << 20)
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let files = bench.files("weights");
        let (place, names) = if files.is_empty() {
            let place = bench.input("weights");
            let failed = |source| TaskError::Io { path: place.to_owned(), source };
            let entries = std::fs::read_dir(place).map_err(failed)?;
            let names = entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
            (place, names)
        } else {
            // Only files that are in the key.
            (self.place.as_path(), files.iter().filter_map(|file| file.file_name().map(ToOwned::to_owned)).collect())
        };
        let names: Vec<&str> = names.iter().filter_map(|name| name.to_str()).filter(|name| *name != TWIN).collect();
        let facts = write_twin(&OpenModel::open(place)?, self.twin, &names, bench.out)?;
        if !facts.own_deviation.is_empty() {
            let names: Vec<String> = facts.own_deviation.iter().map(|name| format!("`{name}`")).collect();
            let (n, listed) = (names.len(), listed(&names, ", "));
            let message = format!(
                "{n} tensors are drawn with the standard deviation of the trained ones, since it is not known how they begin: \
                 {listed}"
            );
            bench.warn("own-deviation", message);
        }
        bench.write_json(TWIN, &facts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_warnings;
    use super::*;
    use crate::model::{self, Module, RandomModel, UnitSelection};
    use std::{collections::BTreeMap, path::Path, sync::atomic::AtomicBool};

    fn compute(
        task: &impl Compute,
        role: &'static str,
        is_input: bool,
        paths: Vec<PathBuf>,
        out: &Path,
    ) -> Result<(), TaskError> {
        let (mut inputs, mut files) = (BTreeMap::new(), BTreeMap::new());
        if is_input { &mut inputs } else { &mut files }.insert(role, paths);
        let cancelled = AtomicBool::new(false);
        let bench = Workbench::new(inputs, files, out, &|_| {}, &cancelled);
        task.compute(&bench)?;
        bench.finish()
    }

    #[test]
    fn a_twin_is_exported_as_its_model_is() {
        let [model, of_input, of_files, export] = [(); 4].map(|()| tempfile::tempdir().unwrap());
        RandomModel::tiny().write_random(model.path()).unwrap();
        let twin = |place: PathBuf| DrawTwin { twin: Twin { seed: 3 }, place, weights_bytes: 1 << 20 };
        compute(&twin(PathBuf::new()), "weights", true, vec![model.path().to_owned()], of_input.path()).unwrap();
        // The files that the image tower depends on: no tokenizer is among them.
        let names = ["config.json", "model.safetensors", "preprocessor_config.json"];
        let files = names.map(|name| model.path().join(name)).to_vec();
        compute(&twin(model.path().to_owned()), "weights", false, files, of_files.path()).unwrap();
        for name in names {
            let read = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
            assert_eq!(read(of_input.path()), read(of_files.path()), "{name}");
        }
        assert!(of_input.path().join("tokenizer.json").is_file());
        assert!(!of_files.path().join("tokenizer.json").is_file());
        assert_eq!(read_warnings(of_input.path()).unwrap(), []);
        let task = super::super::export::Export {
            model: "twin".to_owned(),
            module: Module::Text,
            units: UnitSelection::default(),
            place: PathBuf::new(),
        };
        compute(&task, "weights", true, vec![of_input.path().to_owned()], export.path()).unwrap();
        assert!(export.path().join(model::UNITS_FILE).is_file());
    }

    #[test]
    fn a_twin_of_a_twin_knows_no_facts_of_the_first() {
        let [model, first, second] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        RandomModel::tiny().write_random(model.path()).unwrap();
        for (seed, from, to) in [(1, &model, &first), (2, &first, &second)] {
            let task = DrawTwin { twin: Twin { seed }, place: PathBuf::new(), weights_bytes: 0 };
            compute(&task, "weights", true, vec![from.path().to_owned()], to.path()).unwrap();
        }
        let facts: model::TwinFacts = super::super::workbench::read_json(&second.path().join(TWIN)).unwrap();
        assert_eq!(facts.seed, 2);
    }

    #[test]
    fn files_that_are_no_model_are_refused() {
        let [folder, out] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        RandomModel::tiny().write_random(folder.path()).unwrap();
        let weights = folder.path().join("model.safetensors");
        let bytes = std::fs::read(&weights).unwrap();
        std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
        let task = DrawTwin { twin: Twin::default(), place: folder.path().to_owned(), weights_bytes: 0 };
        let refused = compute(&task, "weights", false, vec![weights], out.path()).unwrap_err();
        assert!(refused.to_string().contains("model.safetensors"), "{refused}");
        assert!(std::fs::read_dir(out.path()).unwrap().next().is_none(), "nothing was begun");
    }
}
