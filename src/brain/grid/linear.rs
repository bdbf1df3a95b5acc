//! Values between voxels, by linear interpolation.
//!
//! For maps of probabilities and other continuous values; labels are never averaged, see [`super::resample_labels`].

use rayon::prelude::*;

use super::{BOUNDARY_TOLERANCE, Grid, GridError, apply, multiply};

/// The way from one grid to another, for any number of volumes.
///
/// As `scipy.ndimage.affine_transform(order=1, mode="constant")` and hence nilearn's `resample_to_img(interpolation=
/// "linear")` have it: the weighted mean of the eight voxels around a place, 0 beyond the centres of the outermost voxels.
/// Rounding below a millionth of a voxel is forgiven, so that places on a voxel take exactly its value.
#[derive(Debug, Clone)]
pub struct LinearResampling {
    source: Grid,
    target: Grid,
    target_to_source: [[f64; 4]; 4],
    same: bool,
}

impl LinearResampling {
    /// The way from `source` to `target`.
    ///
    /// # Errors
    /// If no voxel of `target` lies inside `source`.
    pub fn new(source: &Grid, target: &Grid) -> Result<Self, GridError> {
        let target_to_source = multiply(&source.inverse, &target.affine);
        let resampling =
            LinearResampling { source: *source, target: *target, target_to_source, same: source.same_as(target) };
        match target.voxels().any(|voxel| resampling.corner(voxel).is_some()) {
            true => Ok(resampling),
            false => Err(GridError::NoOverlap { source_grid: Box::new(*source), target_grid: Box::new(*target) }),
        }
    }

    /// The values at the voxels of the target, first axis fastest in both volumes, in double precision inside.
    ///
    /// # Panics
    /// If `values` does not fill the source.
    pub fn resample(&self, values: &[f32]) -> Vec<f32> {
        assert_eq!(values.len(), self.source.n_voxels(), "one value per voxel of the source grid");
        if self.same {
            return values.to_vec();
        }
        let [nx, ny, _] = self.target.shape;
        let mut resampled = vec![0.0; self.target.n_voxels()];
        resampled.par_chunks_mut(nx * ny).enumerate().for_each(|(k, slab)| {
            for (offset, value) in slab.iter_mut().enumerate() {
                if let Some((corner, shares)) = self.corner([offset % nx, offset / nx, k]) {
                    *value = self.mean(values, corner, shares) as f32;
                }
            }
        });
        resampled
    }

    /// The lowest of the voxels around a place, and how far the place lies from it along each axis.
    fn corner(&self, voxel: [usize; 3]) -> Option<([usize; 3], [f64; 3])> {
        let place = apply(&self.target_to_source, voxel.map(|index| index as f64));
        let (mut corner, mut shares) = ([0; 3], [0.0; 3]);
        for axis in 0..3 {
            let last = self.source.shape[axis].checked_sub(1)?;
            if !(place[axis] >= -BOUNDARY_TOLERANCE && place[axis] <= last as f64 + BOUNDARY_TOLERANCE) {
                return None;
            }
            let nearest = place[axis].round();
            let on_voxel = (place[axis] - nearest).abs() <= BOUNDARY_TOLERANCE;
            let low = if on_voxel { nearest } else { place[axis].floor() };
            corner[axis] = (low as usize).min(last);
            shares[axis] = if on_voxel { 0.0 } else { place[axis] - low };
        }
        Some((corner, shares))
    }

    fn mean(&self, values: &[f32], corner: [usize; 3], shares: [f64; 3]) -> f64 {
        let mut mean = 0.0;
        for neighbour in 0..8_usize {
            let up = [0, 1, 2].map(|axis| neighbour >> axis & 1);
            let weight: f64 =
                (0..3).map(|axis| if up[axis] == 1 { shares[axis] } else { 1.0 - shares[axis] }).product();
            // Where a weight is zero there may be no voxel.
            if weight > 0.0 {
                let voxel = [0, 1, 2].map(|axis| corner[axis] + up[axis]);
                mean += weight * f64::from(values[self.source.offset(voxel)]);
            }
        }
        mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(shape: [usize; 3], step: f64, offset: f64) -> Grid {
        let affine =
            [[step, 0.0, 0.0, offset], [0.0, -step, 0.0, offset], [0.0, 0.0, step, offset], [0.0, 0.0, 0.0, 1.0]];
        Grid::new(shape, affine).unwrap()
    }

    proptest! {
        #[test]
        fn a_plane_is_met_exactly(slope in prop::array::uniform3(-2.0_f64..2.0), shift in -1.5_f64..1.5) {
            let source = grid([6, 7, 5], 2.0, 0.0);
            let target = grid([9, 9, 9], 1.3, shift);
            let height = |place: [f64; 3]| place.iter().zip(slope).map(|(x, s)| x * s).sum::<f64>() + 100.0;
            let mut values = vec![0.0; source.n_voxels()];
            for voxel in source.voxels() {
                values[source.offset(voxel)] = height(source.to_mm(voxel)) as f32;
            }
            let resampled = LinearResampling::new(&source, &target).unwrap().resample(&values);
            for voxel in target.voxels() {
                let place = source.to_voxel(target.to_mm(voxel));
                let inside = place.iter().zip(source.shape).all(|(x, n)| *x >= 0.0 && *x <= n as f64 - 1.0);
                let expected = if inside { height(target.to_mm(voxel)) } else { 0.0 };
                prop_assert!((f64::from(resampled[target.offset(voxel)]) - expected).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn places_on_voxels_take_their_values() {
        // Every second voxel of the finer grid lies on one of the source, up to rounding of the affine.
        let (source, target) = (grid([4, 4, 4], 0.3, 0.1), grid([7, 7, 7], 0.15, 0.1));
        let values: Vec<f32> = (0..64).map(|value| value as f32 / 7.0).collect();
        let resampled = LinearResampling::new(&source, &target).unwrap().resample(&values);
        for voxel in source.voxels() {
            assert_eq!(resampled[target.offset(voxel.map(|index| 2 * index))], values[source.offset(voxel)]);
        }
        assert_eq!(LinearResampling::new(&source, &source).unwrap().resample(&values), values);
    }

    #[test]
    fn distant_grids_do_not_overlap() {
        let error = LinearResampling::new(&grid([3, 3, 3], 2.0, 0.0), &grid([3, 3, 3], 2.0, 100.0)).unwrap_err();
        assert!(matches!(error, GridError::NoOverlap { .. }));
    }
}
