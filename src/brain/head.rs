//! What a run's files say before its values are read: its length, its pace and where its values lie.

use super::grid::Grid;
use super::locations::Extent;
use super::mask::Mask;
use super::prepare::PrepareError;
use crate::format::cifti::{Maps, Places, read_cifti_info};
use crate::format::nifti::read_info;
use crate::format::npy::MatrixReader;
use crate::format::runs::{RunFiles, SeriesKind};

/// A series before it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesHead {
    /// Volumes.
    pub n_tr: usize,
    /// Seconds between volumes, where the file says so.
    pub repetition_time_s: Option<f64>,
    /// Where its values lie; of a matrix, the grid of its mask.
    pub extent: Extent,
}

/// Reads the head of a series.
///
/// # Errors
/// If a file is not readable or not of the kind that its name promises, a volume does not say where it lies, or a matrix has no mask.
pub fn read_head(files: &RunFiles) -> Result<SeriesHead, PrepareError> {
    match files.kind {
        SeriesKind::Volume => {
            let info = read_info(&files.bold)?;
            let extent = Extent::Grid(Grid::of_image(&info)?);
            Ok(SeriesHead { n_tr: info.n_volumes, repetition_time_s: info.repetition_time_s, extent })
        }
        SeriesKind::Grayordinates => {
            let matrix = read_cifti_info(&files.bold)?.matrix;
            let found = matrix.kind();
            match (matrix.maps, matrix.places) {
                (Maps::Series(series), Places::Dense(models)) => Ok(SeriesHead {
                    n_tr: series.n_points,
                    repetition_time_s: series.step_s(),
                    extent: Extent::Grayordinates(Box::new(models)),
                }),
                _ => Err(PrepareError::NoSeries { path: files.bold.clone(), found }),
            }
        }
        SeriesKind::Matrix => {
            let n_tr = MatrixReader::open(&files.bold)?.n_rows();
            let mask = files.mask.as_ref().ok_or_else(|| PrepareError::NoMask { path: files.bold.clone() })?;
            let extent = Extent::Grid(Mask::read(mask)?.grid);
            Ok(SeriesHead { n_tr, repetition_time_s: files.repetition_time_s, extent })
        }
    }
}
