//! Where the series of the studied voxels come from.
//!
//! Owns the one interface that preparation reads through, and the readers behind it: volumes and CIFTI files through the voxel
//! table, and matrices through the mask whose voxels their columns are. What is done with the rows is not known here; see [`super::clean`].

use std::path::{Path, PathBuf};

use ndarray::{ArrayViewMut2, Axis, s};

use super::PrepareError;
use super::smooth::Smoothing;
use crate::brain::grid::Grid;
use crate::brain::locations::Locations;
use crate::brain::mask::{Mask, VoxelTable};
use crate::format::cifti::{CiftiReader, Maps, Places};
use crate::format::nifti::VolumeReader;
use crate::format::npy::MatrixReader;

/// Why the rows that are read into are one slice.
const IN_ORDER: &str = "preparation reads into a matrix of its own, in C order";
/// Bytes of a matrix read at once.
const BLOCK_BYTES: usize = 16 << 20;

/// The series of a run, volume by volume, one value for each studied voxel.
pub trait SeriesSource {
    /// The file, for messages.
    fn path(&self) -> &Path;

    /// Volumes of the run.
    fn n_tr(&self) -> usize;

    /// Studied voxels: the columns of what is read.
    fn n_voxels(&self) -> usize;

    /// Seconds between volumes, where the file says so.
    fn repetition_time_s(&self) -> Option<f64>;

    /// Asks for volumes smoothed by a Gaussian of this full width at half maximum.
    ///
    /// # Errors
    /// If the source has no volumes, or the width does not suit them.
    fn smooth(&mut self, _fwhm_mm: f64) -> Result<(), PrepareError> {
        Err(PrepareError::NotSmoothable { path: self.path().to_owned() })
    }

    /// Writes the volumes `kept` (ascending, each below [`n_tr`](Self::n_tr)) into the rows of `rows`, in this order.
    ///
    /// Values that are not finite are passed on as they are. Called once.
    ///
    /// # Errors
    /// If the file cannot be read to the last volume kept.
    fn read(&mut self, kept: &[usize], rows: ArrayViewMut2<'_, f32>) -> Result<(), PrepareError>;
}

/// The volumes of an image, read through a voxel table in the memory of one volume, and of two in double precision if they
/// are smoothed.
pub struct VolumeSource {
    reader: VolumeReader,
    grid: Grid,
    offsets: Vec<usize>,
    smoothing: Option<Smoothing>,
}

impl VolumeSource {
    /// Opens an image on the grid of the voxel table.
    ///
    /// # Errors
    /// If the image is not readable or lies on another grid.
    pub fn open(path: &Path, table: &VoxelTable) -> Result<Self, PrepareError> {
        let reader = VolumeReader::open(path)?;
        let grid = Grid::of_image(reader.info())?;
        let expected = table.locations.grid().ok_or_else(|| PrepareError::OtherKind { path: path.to_owned() })?;
        if !grid.same_as(expected) {
            let (found, expected) = (Box::new(grid), Box::new(*expected));
            return Err(PrepareError::OtherGrid { path: path.to_owned(), found, expected });
        }
        Ok(VolumeSource { reader, grid, offsets: table.offsets(), smoothing: None })
    }
}

impl SeriesSource for VolumeSource {
    fn path(&self) -> &Path {
        &self.reader.info().path
    }

    fn n_tr(&self) -> usize {
        self.reader.info().n_volumes
    }

    fn n_voxels(&self) -> usize {
        self.offsets.len()
    }

    fn repetition_time_s(&self) -> Option<f64> {
        self.reader.info().repetition_time_s
    }

    fn smooth(&mut self, fwhm_mm: f64) -> Result<(), PrepareError> {
        self.smoothing = Some(Smoothing::new(&self.grid, fwhm_mm, &self.reader.info().path)?);
        Ok(())
    }

    fn read(&mut self, kept: &[usize], mut rows: ArrayViewMut2<'_, f32>) -> Result<(), PrepareError> {
        let VolumeSource { reader, offsets, smoothing, .. } = self;
        let Some(smoothing) = smoothing else {
            return Ok(reader.read_rows(offsets, kept, rows.as_slice_mut().expect(IN_ORDER))?);
        };
        reader.each_volume(|volume, values| {
            let Ok(row) = kept.binary_search(&volume) else { return Ok(()) };
            let mut row = rows.row_mut(row);
            let smoothed = smoothing.apply(values);
            // A voxel without a value of its own does not get one from its neighbours.
            let value = |offset: usize| if values[offset].is_finite() { smoothed[offset] as f32 } else { f32::NAN };
            row.iter_mut().zip(&*offsets).for_each(|(slot, &offset)| *slot = value(offset));
            Ok::<(), PrepareError>(())
        })
    }
}

/// A CIFTI series, read place by place through a voxel table.
pub struct CiftiSource {
    reader: CiftiReader,
    places: Vec<usize>,
}

impl CiftiSource {
    /// Opens a series with the places of the voxel table.
    ///
    /// # Errors
    /// If the file is not readable, is no series of single places, or has other places.
    pub fn open(path: &Path, table: &VoxelTable) -> Result<Self, PrepareError> {
        let reader = CiftiReader::open(path)?;
        let Locations::Grayordinates { models, places } = &table.locations else {
            return Err(PrepareError::OtherKind { path: path.to_owned() });
        };
        let (Maps::Series(_), Places::Dense(found)) = (&reader.info().matrix.maps, &reader.info().matrix.places) else {
            return Err(PrepareError::NoSeries { path: path.to_owned(), found: reader.info().matrix.kind() });
        };
        if let Some(difference) = found.difference(models) {
            return Err(PrepareError::OtherPlaces { path: path.to_owned(), difference: Box::new(difference) });
        }
        Ok(CiftiSource { reader, places: places.clone() })
    }
}

impl SeriesSource for CiftiSource {
    fn path(&self) -> &Path {
        &self.reader.info().path
    }

    fn n_tr(&self) -> usize {
        self.reader.info().n_maps()
    }

    fn n_voxels(&self) -> usize {
        self.places.len()
    }

    fn repetition_time_s(&self) -> Option<f64> {
        match &self.reader.info().matrix.maps {
            Maps::Series(series) => series.step_s(),
            _ => None,
        }
    }

    fn read(&mut self, kept: &[usize], mut rows: ArrayViewMut2<'_, f32>) -> Result<(), PrepareError> {
        Ok(self.reader.read_rows(&self.places, kept, rows.as_slice_mut().expect(IN_ORDER))?)
    }
}

/// A `.npy` matrix: a row for each volume, columns of which the studied voxels are some.
pub struct MatrixSource {
    path: PathBuf,
    reader: MatrixReader,
    columns: Vec<usize>,
}

impl MatrixSource {
    /// Opens a matrix whose columns are the voxels inside a mask, in C order of their indices, for the studied ones of these.
    ///
    /// # Errors
    /// If the file is not readable as a matrix, has another number of columns than the mask has voxels, or the mask lies
    /// elsewhere than the voxel table.
    pub fn of_mask(path: &Path, mask: &Mask, table: &VoxelTable) -> Result<Self, PrepareError> {
        let (Some(grid), Some(voxels)) = (table.locations.grid(), table.locations.voxels()) else {
            return Err(PrepareError::OtherKind { path: path.to_owned() });
        };
        if !grid.same_as(&mask.grid) {
            let (found, expected) = (Box::new(mask.grid), Box::new(*grid));
            return Err(PrepareError::OtherGrid { path: mask.path.clone(), found, expected });
        }
        let mut columns = Vec::with_capacity(voxels.len());
        let mut studied = voxels.iter().peekable();
        let mut n_columns = 0;
        for voxel in grid.voxels().filter(|&voxel| mask.inside[grid.offset(voxel)]) {
            // Both run in C order, so the next studied voxel is never behind.
            if studied.next_if(|next| **next == voxel).is_some() {
                columns.push(n_columns);
            }
            n_columns += 1;
        }
        if let Some(voxel) = studied.next() {
            return Err(PrepareError::NotInMask { path: mask.path.clone(), voxel: *voxel });
        }
        Self::open(path, n_columns, columns)
    }

    /// Opens a matrix of `n_columns` columns, of which these, ascending, are studied.
    ///
    /// # Errors
    /// If the file is not readable as a matrix or has another number of columns.
    pub fn open(path: &Path, n_columns: usize, columns: Vec<usize>) -> Result<Self, PrepareError> {
        let reader = MatrixReader::open(path)?;
        let (path, found) = (path.to_owned(), reader.n_columns());
        match found == n_columns {
            true => Ok(MatrixSource { path, reader, columns }),
            false => Err(PrepareError::MatrixColumns { path, found, expected: n_columns }),
        }
    }
}

impl SeriesSource for MatrixSource {
    fn path(&self) -> &Path {
        &self.path
    }

    fn n_tr(&self) -> usize {
        self.reader.n_rows()
    }

    fn n_voxels(&self) -> usize {
        self.columns.len()
    }

    fn repetition_time_s(&self) -> Option<f64> {
        None
    }

    fn read(&mut self, kept: &[usize], mut rows: ArrayViewMut2<'_, f32>) -> Result<(), PrepareError> {
        let row_bytes = self.reader.n_columns().saturating_mul(size_of::<f32>()).max(1);
        let rows_at_once = (BLOCK_BYTES / row_bytes).max(1);
        let mut done = 0;
        // Volumes that follow each other are read together.
        for stretch in kept.chunk_by(|a, b| a + 1 == *b) {
            for block in stretch.chunks(rows_at_once) {
                let first = block[0];
                let values = self.reader.rows(first..first + block.len())?;
                let values = values.select(Axis(1), &self.columns);
                rows.slice_mut(s![done..done + block.len(), ..]).assign(&values);
                done += block.len();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::npy::write_matrix;
    use ndarray::Array2;

    #[test]
    fn matrices_give_the_rows_that_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bold.npy");
        let matrix = Array2::from_shape_fn((9, 4), |(t, v)| (10 * t + v) as f32);
        write_matrix(&path, matrix.view()).unwrap();
        let mut source = MatrixSource::open(&path, 4, vec![0, 1, 2, 3]).unwrap();
        assert_eq!((source.n_tr(), source.n_voxels(), source.repetition_time_s()), (9, 4, None));
        let kept = [0, 2, 3, 4, 8];
        let mut rows = Array2::zeros((5, 4));
        source.read(&kept, rows.view_mut()).unwrap();
        assert_eq!(rows, matrix.select(Axis(0), &kept));
    }

    #[test]
    fn matrices_of_other_voxels_and_smoothing_them_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bold.npy");
        write_matrix(&path, Array2::zeros((3, 2)).view()).unwrap();
        let error = MatrixSource::open(&path, 3, vec![0]).err().unwrap().to_string();
        assert!(error.ends_with("bold.npy` has 2 columns, expected 3, one per voxel of its mask"), "{error}");
        let error = MatrixSource::open(&path, 2, vec![0, 1]).unwrap().smooth(6.0).unwrap_err().to_string();
        assert!(error.contains("bold.npy` holds no volumes"), "{error}");
    }
}
