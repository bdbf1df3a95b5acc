//! Gaussian smoothing of a volume, as `nilearn.image.smooth_img` does it.
//!
//! Owns the kernel and the convolution along the three axes. Each axis has a standard deviation of its own, from the
//! length of its voxel edge, so that the Gaussian is round in millimetres; the kernel is cut at four standard deviations;
//! beyond its border a volume goes on as its mirror image (`scipy.ndimage.gaussian_filter1d`, `mode="reflect"`). Values
//! that are not finite count as 0. All is in double precision: where the mean is a thousand times the noise, rounding each
//! axis to single precision would already show in the z-scores.

use std::path::Path;

use rayon::prelude::*;

use super::PrepareError;
use crate::brain::grid::Grid;

/// Standard deviations at which the kernel ends.
const TRUNCATE: f64 = 4.0;

/// A Gaussian for volumes of one grid, with room for two of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Smoothing {
    shape: [usize; 3],
    /// Right halves of the three kernels, the centre first; a single weight where nothing is smoothed.
    kernels: [Vec<f64>; 3],
    volume: Vec<f64>,
    spare: Vec<f64>,
}

impl Smoothing {
    /// A Gaussian of full width at half maximum `fwhm_mm`; `path` is for messages.
    ///
    /// # Errors
    /// If the width is not a positive number or exceeds a side of the volume that has more than one voxel.
    pub fn new(grid: &Grid, fwhm_mm: f64, path: &Path) -> Result<Self, PrepareError> {
        let edges_mm = grid.voxel_size_mm();
        let sides = (0..3).filter(|&axis| grid.shape[axis] > 1).map(|axis| grid.shape[axis] as f64 * edges_mm[axis]);
        let widest_mm = sides.fold(f64::INFINITY, f64::min);
        let is_width = fwhm_mm > 0.0 && fwhm_mm.is_finite() && fwhm_mm <= widest_mm;
        if !is_width {
            return Err(PrepareError::Smoothing { path: path.to_owned(), found: fwhm_mm, widest_mm });
        }
        let kernels = [0, 1, 2].map(|axis| match grid.shape[axis] {
            // The mirror images of a single voxel are itself.
            0 | 1 => vec![1.0],
            _ => half_kernel(fwhm_mm / ((8.0 * 2.0_f64.ln()).sqrt() * edges_mm[axis])),
        });
        let zeros = vec![0.0; grid.n_voxels()];
        Ok(Smoothing { shape: grid.shape, kernels, volume: zeros.clone(), spare: zeros })
    }

    /// A volume whose first axis runs fastest, smoothed.
    ///
    /// # Panics
    /// If the volume does not fill the grid.
    pub fn apply(&mut self, volume: &[f32]) -> &[f64] {
        assert_eq!(volume.len(), self.volume.len(), "one value per voxel of the grid");
        for (slot, &value) in self.volume.iter_mut().zip(volume) {
            *slot = if value.is_finite() { f64::from(value) } else { 0.0 };
        }
        for axis in (0..3).filter(|&axis| self.kernels[axis].len() > 1) {
            along(axis, self.shape, &self.kernels[axis], &self.volume, &mut self.spare);
            std::mem::swap(&mut self.volume, &mut self.spare);
        }
        &self.volume
    }
}

/// The weights from the centre to the right end.
fn half_kernel(sigma: f64) -> Vec<f64> {
    let radius = (TRUNCATE * sigma + 0.5) as usize;
    let weights: Vec<f64> = (0..=radius).map(|x| (-0.5 * (x as f64 / sigma).powi(2)).exp()).collect();
    let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f64>();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// Where a position beyond the borders lies in the mirror images `d c b a | a b c d | d c b a`.
fn mirrored(position: isize, length: usize) -> usize {
    let period = 2 * length as isize;
    let place = position.rem_euclid(period);
    (if place < length as isize { place } else { period - 1 - place }) as usize
}

/// Convolves along one axis from `source` into `target`; each plane of the last axis is written by one thread.
fn along(axis: usize, [nx, ny, nz]: [usize; 3], kernel: &[f64], source: &[f64], target: &mut [f64]) {
    let length = [nx, ny, nz][axis];
    target.par_chunks_exact_mut(nx * ny).enumerate().for_each(|(z, plane)| {
        let row_at = |y: usize, z: usize| &source[nx * (y + ny * z)..][..nx];
        let mut padded = Vec::new();
        for (y, out) in plane.chunks_exact_mut(nx).enumerate() {
            if axis == 0 {
                convolve_row(row_at(y, z), kernel, &mut padded, out);
                continue;
            }
            let neighbour = |step: isize| match axis {
                1 => row_at(mirrored(y as isize + step, length), z),
                _ => row_at(y, mirrored(z as isize + step, length)),
            };
            out.iter_mut().zip(neighbour(0)).for_each(|(sum, value)| *sum = kernel[0] * value);
            for (step, weight) in kernel.iter().enumerate().skip(1) {
                let (before, after) = (neighbour(-(step as isize)), neighbour(step as isize));
                out.iter_mut().zip(before.iter().zip(after)).for_each(|(sum, (a, b))| *sum += weight * (a + b));
            }
        }
    });
}

fn convolve_row(row: &[f64], kernel: &[f64], padded: &mut Vec<f64>, out: &mut [f64]) {
    let radius = kernel.len() - 1;
    padded.clear();
    let places = -(radius as isize)..(row.len() + radius) as isize;
    padded.extend(places.map(|place| row[mirrored(place, row.len())]));
    // Weight by weight over the whole row, which vectorises, and not sum by sum, which does not.
    out.iter_mut().zip(&padded[radius..]).for_each(|(sum, value)| *sum = kernel[0] * value);
    for (step, weight) in kernel.iter().enumerate().skip(1) {
        let sides = padded[radius - step..].iter().zip(&padded[radius + step..]);
        out.iter_mut().zip(sides).for_each(|(sum, (a, b))| *sum += weight * (a + b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: [usize; 3], step: [f64; 3]) -> Grid {
        let [x, y, z] = step;
        Grid::new(shape, [[x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0], [0.0, 0.0, 0.0, 1.0]]).unwrap()
    }

    fn smoothed(grid: &Grid, fwhm_mm: f64, volume: Vec<f32>) -> Vec<f64> {
        Smoothing::new(grid, fwhm_mm, Path::new("x.nii")).unwrap().apply(&volume).to_vec()
    }

    #[test]
    fn a_flat_volume_stays_flat_and_sums_stay() {
        let grid = grid([7, 6, 5], [2.0, -2.0, 2.5]);
        assert!(smoothed(&grid, 6.0, vec![3.0; 210]).iter().all(|value| (value - 3.0).abs() < 1e-12));
        let mut volume = vec![0.0; 210];
        volume[grid.offset([0, 5, 2])] = 100.0;
        let sum: f64 = smoothed(&grid, 6.0, volume).iter().sum();
        // Mirrored borders lose nothing.
        assert!((sum - 100.0).abs() < 1e-10, "{sum}");
    }

    #[test]
    fn half_the_height_is_reached_at_half_the_width() {
        let grid = grid([41, 1, 1], [1.0, 1.0, 1.0]);
        let mut volume = vec![0.0; 41];
        volume[20] = 1.0;
        let bump = smoothed(&grid, 8.0, volume);
        assert!((bump[24] / bump[20] - 0.5).abs() < 1e-3 && bump[16] == bump[24]);
    }

    #[test]
    fn values_that_are_no_numbers_count_as_zero() {
        let grid = grid([3, 3, 3], [2.0; 3]);
        let mut holes = vec![1.0; 27];
        (holes[13], holes[2]) = (f32::NAN, f32::INFINITY);
        let zeros = holes.iter().map(|value| if value.is_finite() { *value } else { 0.0 }).collect();
        assert_eq!(smoothed(&grid, 4.0, holes), smoothed(&grid, 4.0, zeros));
    }

    #[test]
    fn widths_that_are_none_are_refused() {
        let grid = grid([10, 10, 4], [2.0; 3]);
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY, 8.1, 1e300] {
            let error = Smoothing::new(&grid, width, Path::new("x.nii")).unwrap_err().to_string();
            assert!(error.ends_with("expected a positive width of at most 8 mm, the shortest side of `x.nii`"));
        }
    }

    #[test]
    fn mirrors_repeat() {
        let places: Vec<usize> = (-4..7).map(|place| mirrored(place, 3)).collect();
        assert_eq!(places, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
    }

    #[test]
    fn thread_count_changes_no_bit() {
        let grid = grid([9, 8, 7], [2.0, 3.0, 2.5]);
        let volume: Vec<f32> = (0..504).map(|x| (x as f32 * 0.37).sin()).collect();
        let with = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| smoothed(&grid, 6.0, volume.clone()))
        };
        assert_eq!(with(1), with(4));
    }
}
