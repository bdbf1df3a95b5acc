//! What lies beside a series: its brain mask, its confounds, its events.

use std::path::{Path, PathBuf};

use super::inherit::{Folders, applicable};
use super::runs::FoundSeries;
use super::{Entities, RunQuery};
use crate::format::runs::{RunNote, RunProblem, is_named};

const IMAGES: [&str; 2] = [".nii.gz", ".nii"];

/// Finds the brain mask of a volume series, and what is worth knowing if it is not the run's own.
///
/// A mask counts only in the space of the series. The run's own comes first, then one that several runs share (beside the
/// run, in the session's, the subject's or the dataset's folder), then the anatomical one of session or subject.
pub(super) fn brain_mask(
    folders: &mut Folders,
    root: &Path,
    series: &FoundSeries,
) -> Result<(PathBuf, Option<RunNote>), RunProblem> {
    let wanted = series.entities.clone().with("desc", "brain");
    let combined = wanted.clone().without("echo");
    // Masks are written once for all echoes, by some programs once for each.
    let own = |extension: &'static str| {
        [&combined, &wanted].map(|entities| series.folder.join(entities.clone().of_kind("mask", extension).to_string()))
    };
    if let Some(path) = IMAGES.into_iter().flat_map(own).find(|path| is_named(path)) {
        return Ok((path, None));
    }
    let same = |mask: &Entities, key: &str| mask.get(key) == wanted.get(key);
    let best = |folders: &mut Folders, top: &Path, folder: &Path, same_resolution: bool| {
        let mut masks = applicable(folders, top, folder, &combined, "mask", &IMAGES);
        masks.retain(|mask| {
            let entities = &mask.entities;
            let brain = entities.get("desc") == Some("brain") && same(entities, "space");
            brain && (same(entities, "res") || !same_resolution && entities.get("res").is_none())
        });
        masks
    };
    let mut masks = best(folders, root, &series.folder, true);
    let shared = !masks.is_empty();
    if !shared && wanted.get("space").is_some() {
        // Without a space the series lies where its scanner had it, and no anatomical image does.
        for above in series.folder.ancestors().skip(1).take_while(|above| above.starts_with(root) && *above != root) {
            let anat = above.join("anat");
            masks.extend(best(folders, &anat, &anat, false));
        }
    }
    match &masks[..] {
        [] => {
            let expected = series.folder.join(combined.of_kind("mask", IMAGES[0]).to_string());
            Err(RunProblem::MissingFile { run: series.run.clone(), what: "brain mask", expected })
        }
        [first, second, ..] if first.rank == second.rank && first.path.parent() == second.path.parent() => {
            let found = [first, second].map(|mask| mask.entities.to_string()).to_vec();
            Err(RunProblem::Copies { run: series.run.clone(), what: "brain masks", found })
        }
        [first, ..] => {
            let mask = first.path.clone();
            let note = match shared {
                true => RunNote::SharedMask { mask: mask.clone() },
                false => RunNote::AnatomicalMask { mask: mask.clone() },
            };
            Ok((mask, Some(note)))
        }
    }
}

/// The confounds table beside a series and its sidecar.
pub(super) fn confounds(series: &FoundSeries) -> (Option<PathBuf>, Option<PathBuf>) {
    let run = ["space", "res", "den"].iter().fold(series.entities.clone(), |run, key| run.without(key));
    let run = run.with("desc", "confounds");
    let echoes = [run.clone().without("echo"), run];
    // `regressors` was the suffix before fMRIPrep 20.2.
    let table = ["timeseries", "regressors"]
        .iter()
        .flat_map(|suffix| echoes.clone().map(|run| series.folder.join(run.of_kind(suffix, ".tsv").to_string())))
        .find(|path| is_named(path));
    let sidecar = table.as_ref().map(|path| path.with_extension("json")).filter(|path| is_named(path));
    (table, sidecar)
}

/// The events of a run: the nearest table that holds for it, in the derivatives and then in the raw dataset.
pub(super) fn events(folders: &mut Folders, root: &Path, query: &RunQuery, series: &FoundSeries) -> Option<PathBuf> {
    let mut find = |root: &Path, folder: &Path| {
        let tables = applicable(folders, root, folder, &series.entities, "events", &[".tsv"]);
        tables.into_iter().next().map(|table| table.path)
    };
    let raw = || Some((query.raw_root.as_ref()?, series.folder.strip_prefix(root).ok()?));
    find(root, &series.folder).or_else(|| raw().and_then(|(top, inside)| find(top, &top.join(inside))))
}
