//! What makes a simulated folder a dataset that others understand: README, participants, and sidecars that say what the
//! columns and images are.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::dataset::ATLAS_LABELS;
use super::planting::PlantedPatterns;
use super::{SimulateError, Simulation, tables};
use crate::format::bids::{BidsError, natural_order};
use crate::format::runs::RunFiles;
use crate::format::tsv::Table;

/// What validators are to pass over beside the tables of what was planted: other files that BIDS derivatives do not have,
/// and tables that the standard does not name yet, which fMRIPrep lists likewise.
const IGNORED: [&str; 3] = ["atlas", "*_timeseries.tsv", "*_timeseries.json"];

/// Writes what stands at the top of the dataset, beside its description.
///
/// # Errors
/// If a file cannot be written, or a list of participants is there that cannot be read.
pub(super) fn write_top(simulation: &Simulation, subject: &str, task: &str, out: &Path) -> Result<(), SimulateError> {
    write_text(&out.join("README"), &readme(simulation))?;
    let ignored = [&tables::names(simulation)[..], &IGNORED].concat().join("\n");
    write_text(&out.join(".bidsignore"), &(ignored + "\n"))?;
    let events = json!({
        "image": { "Description": "File name of the picture shown; n/a if none was." },
        "video": { "Description": "File name of the film shown; n/a if none was." },
        "text": { "Description": "Words shown or spoken; n/a if there were none." },
    });
    write_json(&out.join(format!("task-{task}_events.json")), &events)?;
    add_participant(&out.join("participants.tsv"), subject)
}

/// Writes the sidecars of a run: of its series, its mask and its confounds.
///
/// # Errors
/// If a file cannot be written.
pub(super) fn write_sidecars(
    paths: &RunFiles,
    task: &str,
    repetition_time_s: f64,
    confounds: &Table,
) -> Result<(), SimulateError> {
    // A space that is no published template has to say what defines it.
    let space = format!("bids::{ATLAS_LABELS}");
    let series = json!({
        "Description": "Simulated series, in scanner units.",
        "RepetitionTime": repetition_time_s,
        "SkullStripped": true,
        "SpatialReference": space,
        "TaskName": task,
    });
    write_json(&beside(&paths.bold), &series)?;
    if let Some(mask) = &paths.mask {
        write_json(
            &beside(mask),
            &json!({
                "Description": "Voxels of the schematic brain.",
                "SpatialReference": space,
                "Type": "Brain",
            }),
        )?;
    }
    let Some(path) = &paths.confounds_json else {
        return Ok(());
    };
    let columns: Map<String, Value> = confounds.columns().iter().map(|name| (name.clone(), described(name))).collect();
    write_json(path, &Value::Object(columns))
}

fn described(column: &str) -> Value {
    let (name, change) =
        column.strip_suffix("_derivative1").map_or((column, ""), |name| (name, "Change since the volume before: "));
    let (text, units) = match name.split_once('_') {
        Some(("trans", axis)) => (format!("{change}position of the head along {axis}"), "mm"),
        Some(("rot", axis)) => (format!("{change}rotation of the head about {axis}"), "rad"),
        _ if name == "framewise_displacement" => (
            "Sum of the absolute changes of the six motion parameters, rotations on a sphere of 50 mm".to_owned(),
            "mm",
        ),
        _ => ("Mean of all voxels of the brain".to_owned(), "arbitrary"),
    };
    json!({ "Description": text, "Units": units })
}

fn readme(simulation: &Simulation) -> String {
    let Simulation { snr, ar1, drift, motion, seed, .. } = simulation;
    let networks = match simulation.networks.is_empty() {
        true => "none: every voxel is noise".to_owned(),
        false => simulation.networks.keys().cloned().collect::<Vec<_>>().join(", "),
    };
    let mut text = format!(
        "Simulated subjects with planted truth\n\n\
         No one was scanned. Voxels of some networks of a schematic brain follow weighted sums of the units of a model,\n\
         convolved with a haemodynamic response; all others are noise.\n\n\
         Networks that follow units: {networks}\n\
         Variance of signal over variance of noise: {snr}\n\
         Correlation of the noise with itself one volume later: {ar1}\n\
         Slow drift, as a multiple of the noise: {drift}\n\
         Head motion, as a multiple of the noise: {motion}\n\
         Seed: {seed}\n"
    );
    for (run, showings) in &simulation.repeats {
        text.push_str(&format!("Run {run} is shown again, with fresh noise, as run {}\n", showings.join(", ")));
    }
    for (name, planted) in &simulation.networks {
        if let Some(also) = &planted.also {
            text.push_str(&format!("Network {name} follows units of {} and of {}\n", planted.module, also.module));
        }
        if let Some(snr) = planted.snr {
            text.push_str(&format!("Variance of signal over variance of noise in network {name}: {snr}\n"));
        }
    }
    if let Some(patterns) = &simulation.patterns {
        let PlantedPatterns { networks, duplicates, mirrored, alone, snr, .. } = patterns;
        let networks = networks.join(", ");
        text.push_str(&format!(
            "Networks that follow patterns: {networks}\n\
             Pairs of patterns that drive one set of voxels with the same sign: {duplicates}\n\
             Pairs of patterns that drive one set of voxels with opposite signs: {mirrored}\n\
             Patterns that drive a set of voxels alone: {alone}\n"
        ));
        if let Some(snr) = snr {
            text.push_str(&format!("Variance of signal over variance of noise in networks {networks}: {snr}\n"));
        }
    }
    text.push_str(
        "\nplanted.tsv lists the sources and their units, planted_voxels.tsv which voxel follows which source.\n",
    );
    if tables::has_branches(simulation) {
        text.push_str(
            "planted_specialisation.tsv gives, for voxels of two branches, the share w of the first one, 2w - 1, and the\n\
             correlation of the two parts of the signal, which are shares of variance only as far as it is 0.\n",
        );
    }
    if simulation.patterns.is_some() {
        text.push_str(
            "planted_patterns.tsv says of every pattern which set of voxels it drives, with which sign and mean loading,\n\
             planted_pairs.tsv which two patterns drive one set, planted_pattern_voxels.tsv which voxel follows which\n\
             pattern. Patterns are counted from 0 as rows of the codes; loadings are stated for patterns of variance 1.\n",
        );
    }
    text.push_str("atlas/ holds the schematic atlas.\n");
    text
}

/// Adds a subject to the list, which stays in natural order.
fn add_participant(path: &Path, subject: &str) -> Result<(), SimulateError> {
    let mut names = vec![format!("sub-{subject}")];
    if path.is_file() {
        let known = Table::read(path)?;
        let column = known.require("participant_id")?;
        names.extend(known.rows().iter().map(|row| row[column].clone()));
    }
    names.sort_by(|a, b| natural_order(a, b));
    names.dedup();
    let mut table = Table::new(["participant_id"]);
    names.into_iter().for_each(|name| table.push([name]));
    Ok(table.write(path)?)
}

/// The sidecar of an image.
fn beside(image: &Path) -> PathBuf {
    let text = image.to_string_lossy();
    PathBuf::from(format!("{}.json", text.trim_end_matches(".nii.gz")))
}

fn write_json(path: &Path, value: &Value) -> Result<(), SimulateError> {
    let text =
        serde_json::to_string_pretty(value).map_err(|source| BidsError::Json { path: path.to_owned(), source })?;
    write_text(path, &(text + "\n"))
}

fn write_text(path: &Path, text: &str) -> Result<(), SimulateError> {
    std::fs::write(path, text).map_err(|source| BidsError::Io { path: path.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn participants_are_listed_once_in_natural_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("participants.tsv");
        for subject in ["10", "2", "10", "1"] {
            add_participant(&path, subject).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "participant_id\nsub-1\nsub-2\nsub-10\n");
        std::fs::write(&path, "name\nx\n").unwrap();
        assert!(add_participant(&path, "1").unwrap_err().to_string().contains("no column `participant_id`"));
    }

    #[test]
    fn columns_have_units() {
        assert_eq!(described("rot_z")["Units"], "rad");
        assert_eq!(described("trans_x_derivative1")["Units"], "mm");
        assert!(described("trans_x_derivative1")["Description"].as_str().unwrap().starts_with("Change since"));
        assert_eq!(described("framewise_displacement")["Units"], "mm");
        assert_eq!(described("global_signal")["Description"], "Mean of all voxels of the brain");
    }
}
