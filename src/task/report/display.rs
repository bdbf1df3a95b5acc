//! Maps at the precision of a screen, for the viewer on the page.
//!
//! Owns what the viewer is given and how much of it: full precision is in `maps/`, and a page must stay light enough to be sent.

use super::Gather;
use crate::{
    brain::{locations::Locations, mask::VoxelTable, prepare::Scale as Units},
    format::nifti::{ImageHeader, NiftiError, SampleType, VolumeWriter},
    report::Scale,
    task::{TaskError, Workbench},
};
use serde::{Deserialize, Serialize};

/// The brains that maps are shown on, beside the maps.
pub(super) const BRAINS: &str = "brains.json";
/// Steps from zero to the end of a map's colours: more than a screen can tell apart.
const STEPS: f32 = 200.0;
/// Bytes that all maps of a page may take before they are written as text, about.
const PAGE_BYTES: usize = 9 << 20;
/// Bytes of one voxel in one compressed map, about: noise in these steps does not compress.
const VOXEL_BYTES: f64 = 1.15;
/// Maps of a pair that are shown besides those of patterns.
const OTHER_MAPS: usize = 4;
/// Share of the voxels whose values the colours cover.
const COVERED: f64 = 0.995;

/// A subject's voxels by network.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BrainEntry {
    pub subject: String,
    pub networks: Vec<String>,
    pub file: String,
}

/// A map, or several as frames of one file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DisplayEntry {
    pub title: String,
    /// Place among the subjects.
    pub subject: usize,
    pub measure: String,
    pub scale: Scale,
    /// Where the colours end.
    pub limit: f64,
    pub frames: Vec<String>,
    /// How many frames the file of full precision has.
    pub n_frames: usize,
    /// The file of full precision.
    pub path: String,
    pub file: String,
}

/// What a map shows, in words and colours.
pub(super) struct Shown<'a> {
    pub title: String,
    pub subject: usize,
    pub measure: &'a str,
    pub scale: Scale,
    /// The file of full precision.
    pub path: String,
}

impl Gather {
    /// Writes the networks of a subject's voxels, numbered from 1; voxels of several take the first. Absent on surfaces.
    pub(super) fn brain(
        &self,
        subject: usize,
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
    ) -> Result<Option<BrainEntry>, TaskError> {
        let name = &self.subjects[subject];
        let networks: Vec<String> = voxels.networks.iter().map(|network| network.name.clone()).collect();
        let numbers = (0..voxels.n_voxels()).map(|voxel| {
            let first = voxels.membership.of(voxel).first().copied().unwrap_or(networks.len());
            Some((first + 1) as f32)
        });
        let file = format!("display/{name}_networks.nii.gz");
        let written = write(voxels, bench, &file, SampleType::I16, 1, |_| Ok(numbers.clone().collect()))?;
        Ok(written.then(|| BrainEntry { subject: name.clone(), networks, file }))
    }

    /// Writes one map for the viewer; absent on surfaces.
    pub(super) fn display(
        &self,
        shown: Shown<'_>,
        values: &[Option<f32>],
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
    ) -> Result<Option<DisplayEntry>, TaskError> {
        self.display_frames(shown, &[String::new()], 1, voxels, bench, |_| Ok(values.to_vec()))
    }

    /// Writes the first maps of several for the viewer; absent on surfaces, or without any.
    pub(super) fn display_frames(
        &self,
        shown: Shown<'_>,
        frames: &[String],
        n_frames: usize,
        voxels: &VoxelTable,
        bench: &Workbench<'_>,
        mut values: impl FnMut(usize) -> Result<Vec<Option<f32>>, TaskError>,
    ) -> Result<Option<DisplayEntry>, TaskError> {
        if frames.is_empty() || voxels.locations.grid().is_none() {
            return Ok(None);
        }
        let limit = limit(&values(0)?);
        let Shown { title, subject, measure, scale, path } = shown;
        let stem = path.trim_start_matches("maps/").trim_end_matches(".nii.gz");
        let file = format!("display/{stem}.nii.gz");
        let sample_type = SampleType::ScaledI16 { slope: limit / STEPS };
        write(voxels, bench, &file, sample_type, frames.len(), values)?;
        let (measure, frames, limit) = (measure.to_owned(), frames.to_vec(), f64::from(limit));
        Ok(Some(DisplayEntry { title, subject, measure, scale, limit, frames, n_frames, path, file }))
    }

    /// Patterns whose maps the viewer holds, for each subject and model.
    pub(super) fn n_shown_patterns(&self, n_patterns: usize, n_voxels: usize) -> usize {
        let n_pairs = (self.subjects.len() * self.models.len()).max(1);
        let map_bytes = (n_voxels as f64 * VOXEL_BYTES).max(1.0);
        let n_maps = (PAGE_BYTES as f64 / n_pairs as f64 / map_bytes) as usize;
        n_maps.saturating_sub(OTHER_MAPS).min(n_patterns)
    }

    /// What weights are in, in words.
    pub(super) fn weight_units(&self) -> &'static str {
        match self.scale {
            Units::ZScore => "standard deviations",
            Units::PercentChange => "percent",
            Units::None => "as recorded",
        }
    }
}

/// Where the colours of a map end: at most of the magnitudes, so that a few voxels do not flatten it.
fn limit(values: &[Option<f32>]) -> f32 {
    let mut magnitudes: Vec<f32> =
        values.iter().flatten().map(|value| value.abs()).filter(|value| value.is_finite()).collect();
    magnitudes.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| magnitudes.get((share * magnitudes.len().saturating_sub(1) as f64) as usize).copied();
    [COVERED, 1.0].into_iter().filter_map(at).find(|limit| *limit > 0.0).unwrap_or(1.0)
}

/// Writes frames on the grid of the voxels; gives `false` on surfaces.
fn write(
    voxels: &VoxelTable,
    bench: &Workbench<'_>,
    file: &str,
    sample_type: SampleType,
    n_frames: usize,
    mut values: impl FnMut(usize) -> Result<Vec<Option<f32>>, TaskError>,
) -> Result<bool, TaskError> {
    let Locations::Grid { grid, .. } = &voxels.locations else { return Ok(false) };
    let n_volumes = (n_frames > 1).then_some(n_frames);
    let header = ImageHeader { shape: grid.shape, n_volumes, affine: grid.affine, repetition_time_s: 0.0, sample_type };
    let failed = |error: NiftiError| TaskError::from(error);
    let mut writer = VolumeWriter::create(&bench.out.join(file), &header).map_err(failed)?;
    let offsets = voxels.offsets();
    let mut volume = vec![0.0; grid.n_voxels()];
    for frame in 0..n_frames {
        for (&offset, value) in offsets.iter().zip(values(frame)?) {
            volume[offset] = value.filter(|value| value.is_finite()).unwrap_or(0.0);
        }
        writer.write_volume(&volume).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_end_where_nearly_all_voxels_do_and_never_at_zero() {
        let mut values: Vec<Option<f32>> = (0..1000).map(|at| Some(at as f32 / 1000.0)).collect();
        values.extend([Some(50.0), None, Some(f32::NAN)]);
        assert!((limit(&values) - 0.995).abs() < 0.002);
        assert_eq!(limit(&[Some(0.0), Some(0.0)]), 1.0);
        assert_eq!(limit(&[]), 1.0);
        // A sparse map: nearly everywhere zero.
        let sparse: Vec<Option<f32>> = (0..1000).map(|at| Some(if at == 3 { -2.0 } else { 0.0 })).collect();
        assert_eq!(limit(&sparse), 2.0);
    }
}
