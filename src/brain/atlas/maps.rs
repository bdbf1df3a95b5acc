//! Probability maps: one volume for each region, cut at a threshold.
//!
//! The maps stay in their file. They are read one by one, brought to the grid of the data and cut there, in the memory of
//! one volume on either grid plus the voxels that are kept.

use std::path::{Path, PathBuf};

use super::{AtlasError, AtlasWarning, Parcel};
use crate::brain::grid::{Grid, LinearResampling};
use crate::brain::membership::Membership;
use crate::format::nifti::{NiftiInfo, VolumeReader, read_info};

/// Networks that an average voxel of the grid may belong to; beyond it the threshold tells nothing apart.
const MAX_MEAN_OVERLAP: usize = 16;
/// The largest probability, in per cent.
const PER_CENT: f32 = 100.0;

/// Maps in a file and where they are cut.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbabilityMaps {
    /// The image, with one volume for each map.
    pub path: PathBuf,
    /// Number of maps.
    pub n_maps: usize,
    /// The smallest value, in the unit of the maps, at which a voxel belongs to a region.
    pub threshold: f64,
}

impl ProbabilityMaps {
    /// Looks at the header of an image of maps.
    ///
    /// # Errors
    /// If the image is not readable or the threshold is not above 0.
    pub fn open(path: &Path, threshold: f64) -> Result<(Self, NiftiInfo), AtlasError> {
        if !(threshold.is_finite() && threshold > 0.0) {
            return Err(AtlasError::Threshold { found: threshold });
        }
        let info = read_info(path)?;
        Ok((ProbabilityMaps { path: path.to_owned(), n_maps: info.n_volumes, threshold }, info))
    }

    /// The networks of every voxel of a grid: those of which some map is at least as large as the threshold there.
    ///
    /// Maps are interpolated linearly first and cut then; values that are no numbers count as 0. A value equal to the
    /// threshold belongs. `parcels` says which map is of which network.
    ///
    /// # Errors
    /// If the image is not readable, the grids do not overlap, the volumes hold labels, or too many maps hold too many
    /// voxels.
    pub fn membership(
        &self,
        grid: &Grid,
        target: &Grid,
        parcels: &[Parcel],
        n_networks: usize,
    ) -> Result<(Membership, Vec<AtlasWarning>), AtlasError> {
        let resampling = LinearResampling::new(grid, target)?;
        let mut warnings = Vec::new();
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); n_networks];
        let (mut n_kept, mut largest) = (0, 0.0_f32);
        let mut cleaned = Vec::new();
        VolumeReader::open(&self.path)?.each_volume(|volume, values| {
            let Some(parcel) = parcels.iter().find(|parcel| usize::try_from(parcel.index) == Ok(volume)) else {
                return Ok(());
            };
            cleaned.clear();
            cleaned.extend(values.iter().map(|value| if value.is_finite() { *value } else { 0.0 }));
            let n_voxels = values.iter().filter(|value| !value.is_finite()).count();
            if n_voxels > 0 {
                warnings.push(AtlasWarning::NotFinite { name: parcel.name.clone(), n_voxels });
            }
            let highest = cleaned.iter().copied().fold(0.0, f32::max);
            if highest > PER_CENT && cleaned.iter().all(|value| value.fract() == 0.0) {
                return Err(AtlasError::LabelsNotMaps { path: self.path.clone(), volume, largest: highest });
            }
            largest = largest.max(highest);
            let Some(network) = parcel.network else { return Ok(()) };
            let resampled = resampling.resample(&cleaned);
            // In the precision of the maps: a stored 0.7 is at a threshold of 0.7.
            let inside = |offset: &usize| resampled[*offset] >= self.threshold as f32;
            let before = members[network].len();
            members[network].extend((0..resampled.len()).filter(inside));
            n_kept += members[network].len() - before;
            if n_kept > MAX_MEAN_OVERLAP * target.n_voxels() {
                let (path, threshold) = (self.path.clone(), self.threshold);
                return Err(AtlasError::TooMuchOverlap { path, threshold, n_maps_of_voxel: MAX_MEAN_OVERLAP });
            }
            Ok(())
        })?;
        // Several maps of one network may hold the same voxel.
        for voxels in &mut members {
            voxels.sort_unstable();
            voxels.dedup();
        }
        let per_cent = largest > 1.0 && largest <= PER_CENT && self.threshold <= 1.0;
        if largest < self.threshold as f32 || per_cent {
            warnings.push(AtlasWarning::ThresholdScale { threshold: self.threshold, largest });
        }
        Ok((Membership::from_members(target.n_voxels(), &members), warnings))
    }
}
