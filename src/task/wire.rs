//! A task as it travels to another machine: all of its fields, and which struct they are of.

use super::{
    Kind, Task, architecture::MeasureArchitecture, bold::PrepareRun, ceiling::MeasureCeiling, encode::Encode,
    export::Export, extract::Extract, frames::CutFrames, group::TestGroup, groups::TellGroups,
    hierarchy::MeasureHierarchy, maps::WriteGroupMaps, maps::WriteMaps, mask::ChooseVoxels, measure::MeasureStimuli,
    null::Permute, pattern::LearnPatterns, polarity::MeasurePolarity, prediction::MeasurePrediction,
    recovery::MeasureRecovery, redundancy::MeasureRedundancy, report::Gather, series::UnitSeries,
    simulate::SimulateSubject, stimuli::DrawScenes, twin::DrawTwin, weights::DrawWeights,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Why a task could not be read.
#[derive(Debug, thiserror::Error)]
#[error("this is no task of kind `{kind}` as this version of hebb writes it: {why}")]
pub struct WireError {
    kind: Kind,
    why: serde_json::Error,
}

/// Reads a task of a kind from what [`Task::written`] gave.
///
/// # Errors
/// If a field is missing or is not what the kind has.
pub fn read_task(kind: Kind, written: &Value) -> Result<Arc<dyn Task>, WireError> {
    let read = match kind {
        Kind::Stimuli => read::<DrawScenes>(written),
        Kind::Frames => read::<CutFrames>(written),
        Kind::Weights => read::<DrawWeights>(written).or_else(|_| read::<DrawTwin>(written)),
        Kind::Export => read::<Export>(written),
        Kind::Extract => read::<Extract>(written),
        Kind::Measure => read::<MeasureStimuli>(written),
        Kind::Series => read::<UnitSeries>(written),
        Kind::Simulate => read::<SimulateSubject>(written),
        Kind::Mask => read::<ChooseVoxels>(written),
        Kind::Groups => read::<TellGroups>(written),
        Kind::Bold => read::<PrepareRun>(written),
        Kind::Pattern => read::<LearnPatterns>(written),
        Kind::Encode => read::<Encode>(written),
        Kind::Null => read::<Permute>(written),
        Kind::Ceiling => read::<MeasureCeiling>(written),
        Kind::Prediction => read::<MeasurePrediction>(written),
        Kind::Redundancy => read::<MeasureRedundancy>(written),
        Kind::Polarity => read::<MeasurePolarity>(written),
        Kind::Architecture => read::<MeasureArchitecture>(written),
        Kind::Hierarchy => read::<MeasureHierarchy>(written),
        Kind::Recovery => read::<MeasureRecovery>(written),
        Kind::Group => read::<TestGroup>(written),
        Kind::Maps => read::<WriteMaps>(written).or_else(|_| read::<WriteGroupMaps>(written)),
        Kind::Report => read::<Gather>(written),
    };
    read.map_err(|why| WireError { kind, why })
}

fn read<T: Task + DeserializeOwned + 'static>(written: &Value) -> Result<Arc<dyn Task>, serde_json::Error> {
    Ok(Arc::new(T::deserialize(written)?))
}
