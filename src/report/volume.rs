//! A volume of scores, and how it is turned to face the reader.
//!
//! This file owns [`Volume`]: values, mask and affine, checked once so that drawing cannot fail, and the turn to the
//! RAS frame (first axis towards the subject's right, second towards the front, third up). It knows no colours and
//! no pixels; `mosaic.rs` cuts the slices.

use serde::Serialize;
use thiserror::Error;

/// Most voxels along one axis.
pub const MAX_AXIS: usize = 1024;
/// Most voxels in all: twice a 0.7 mm whole-head grid.
pub const MAX_VOXELS: usize = 1 << 26;

/// Why an array is not a volume that can be drawn.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum VolumeError {
    /// An axis is empty or too long.
    #[error("volume of shape {shape:?}: expected 1 to {MAX_AXIS} voxels on each axis and at most {MAX_VOXELS} in all")]
    Shape {
        /// The shape given.
        shape: [usize; 3],
    },
    /// An array does not fill the shape.
    #[error("`{array}` has {found} elements, expected {expected} for shape {shape:?}")]
    Length {
        /// Which array: `values` or `mask`.
        array: &'static str,
        /// Its length.
        found: usize,
        /// The product of the shape.
        expected: usize,
        /// The shape given.
        shape: [usize; 3],
    },
    /// The affine does not map voxels to space one to one.
    #[error("affine {affine:?} is not invertible: expected finite numbers and three independent voxel axes")]
    Affine {
        /// The first three rows of the affine.
        affine: [[f64; 4]; 3],
    },
}

/// Scores on a voxel grid, the voxels that count, and the grid's place in space.
#[derive(Debug, Clone, Serialize)]
pub struct Volume {
    shape: [usize; 3],
    values: Vec<f32>,
    mask: Vec<bool>,
    affine: [[f64; 4]; 3],
}

impl Volume {
    /// Checks and takes the arrays.
    ///
    /// `values` and `mask` have shape `[x, y, z]` in C order (z runs fastest). `affine` holds the first three rows of
    /// the NIfTI affine: voxel index to mm, x towards the right, y the front, z up. A masked voxel whose value is not
    /// finite counts as "no score" and is drawn as background.
    ///
    /// # Errors
    /// When an axis is empty or too long, an array does not fill the shape, or the affine is not invertible.
    pub fn new(
        shape: [usize; 3],
        values: Vec<f32>,
        mask: Vec<bool>,
        affine: [[f64; 4]; 3],
    ) -> Result<Self, VolumeError> {
        let n_voxels = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let n_voxels = n_voxels
            .filter(|&n| n <= MAX_VOXELS && shape.iter().all(|axis| (1..=MAX_AXIS).contains(axis)))
            .ok_or(VolumeError::Shape { shape })?;
        for (array, found) in [("values", values.len()), ("mask", mask.len())] {
            if found != n_voxels {
                return Err(VolumeError::Length { array, found, expected: n_voxels, shape });
            }
        }
        if affine.iter().flatten().any(|entry| !entry.is_finite()) || relative_determinant(&affine) < 1e-6 {
            return Err(VolumeError::Affine { affine });
        }
        Ok(Self { shape, values, mask, affine })
    }

    /// Voxels inside the mask.
    pub fn n_voxels(&self) -> usize {
        self.mask.iter().filter(|&&inside| inside).count()
    }

    /// Finite values inside the mask.
    pub fn scores(&self) -> impl Iterator<Item = f32> {
        let masked = self.values.iter().zip(&self.mask);
        masked.filter(|&(value, &inside)| inside && value.is_finite()).map(|(&value, _)| value)
    }

    /// The volume seen along the anatomical axes.
    pub(super) fn to_ras(&self) -> RasView<'_> {
        RasView::new(self)
    }
}

/// Magnitude of the determinant of the three unit-length voxel axes: 1 for right angles, 0 when they do not span space.
fn relative_determinant(affine: &[[f64; 4]; 3]) -> f64 {
    let axes = [0, 1, 2].map(|axis| {
        let column = column(affine, axis);
        let length = length(column);
        column.map(|entry| if length > 0.0 { entry / length } else { 0.0 })
    });
    let [a, b, c] = axes;
    (a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])).abs()
}

fn column(affine: &[[f64; 4]; 3], axis: usize) -> [f64; 3] {
    [affine[0][axis], affine[1][axis], affine[2][axis]]
}

fn length(vector: [f64; 3]) -> f64 {
    vector.iter().map(|entry| entry * entry).sum::<f64>().sqrt()
}

/// What one voxel shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Voxel {
    /// Outside the mask.
    Outside,
    /// In the mask, without a score.
    Unscored,
    /// In the mask, with its score.
    Score(f32),
}

/// A volume with its axes permuted and flipped to the nearest anatomical ones; nothing is resampled.
pub(super) struct RasView<'a> {
    volume: &'a Volume,
    /// For each anatomical axis, the voxel axis that serves it and whether it runs the other way.
    axes: [(usize, bool); 3],
}

impl<'a> RasView<'a> {
    fn new(volume: &'a Volume) -> Self {
        let mut axes = [(0, false); 3];
        let (mut world_free, mut voxel_free) = ([true; 3], [true; 3]);
        for _ in 0..3 {
            // The largest remaining direction cosine decides first, so that an oblique grid cannot use an axis twice.
            let mut best = (-1.0, 0, 0, false);
            for axis in (0..3).filter(|&axis| voxel_free[axis]) {
                let direction = column(&volume.affine, axis);
                let scale = length(direction);
                for world in (0..3).filter(|&world| world_free[world]) {
                    let cosine = direction[world] / scale;
                    if cosine.abs() > best.0 {
                        best = (cosine.abs(), world, axis, cosine < 0.0);
                    }
                }
            }
            let (_, world, axis, flipped) = best;
            axes[world] = (axis, flipped);
            (world_free[world], voxel_free[axis]) = (false, false);
        }
        Self { volume, axes }
    }

    /// Voxels to the right, to the front and up.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.axes.map(|(axis, _)| self.volume.shape[axis])
    }

    /// Millimetres from one voxel to the next along each anatomical axis.
    pub(super) fn spacing_mm(&self) -> [f64; 3] {
        self.axes.map(|(axis, _)| length(column(&self.volume.affine, axis)))
    }

    /// Whether the grid is tilted, so that a slice has no single height.
    pub(super) fn is_oblique(&self) -> bool {
        (0..3).any(|world| {
            let direction = column(&self.volume.affine, self.axes[world].0);
            direction[world].abs() < 0.9999 * length(direction)
        })
    }

    /// The voxel at an anatomical index: right, front, up.
    pub(super) fn at(&self, ras: [usize; 3]) -> Voxel {
        let index = self.grid_index(ras);
        let [_, ny, nz] = self.volume.shape;
        let flat = (index[0] * ny + index[1]) * nz + index[2];
        match (self.volume.mask[flat], self.volume.values[flat]) {
            (false, _) => Voxel::Outside,
            (true, value) if value.is_finite() => Voxel::Score(value),
            (true, _) => Voxel::Unscored,
        }
    }

    /// Height of the slice `up`, at the middle of its plane.
    pub(super) fn height_mm(&self, up: usize) -> f64 {
        let [right, front, _] = self.shape();
        let (low, high) = (self.grid_index([0, 0, up]), self.grid_index([right - 1, front - 1, up]));
        let row = self.volume.affine[2];
        (0..3).map(|axis| row[axis] * (low[axis] + high[axis]) as f64 / 2.0).sum::<f64>() + row[3]
    }

    fn grid_index(&self, ras: [usize; 3]) -> [usize; 3] {
        let mut index = [0; 3];
        for (world, &(axis, flipped)) in self.axes.iter().enumerate() {
            index[axis] = if flipped { self.volume.shape[axis] - 1 - ras[world] } else { ras[world] };
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 3 x 4 x 5 grid whose only score lies at the voxel index (0, 1, 2).
    fn marked(affine: [[f64; 4]; 3]) -> Volume {
        let mut values = vec![f32::NAN; 60];
        values[5 + 2] = 1.0;
        Volume::new([3, 4, 5], values, vec![true; 60], affine).expect("arrays fill the shape")
    }

    fn place(volume: &Volume) -> [usize; 3] {
        let view = volume.to_ras();
        let [right, front, up] = view.shape();
        let mut found = Vec::new();
        for x in 0..right {
            for y in 0..front {
                for z in 0..up {
                    if matches!(view.at([x, y, z]), Voxel::Score(_)) {
                        found.push([x, y, z]);
                    }
                }
            }
        }
        assert_eq!(found.len(), 1);
        found[0]
    }

    const RAS: [[f64; 4]; 3] = [[2.0, 0.0, 0.0, -3.0], [0.0, 2.0, 0.0, -4.0], [0.0, 0.0, 3.0, 7.0]];

    #[test]
    fn an_upright_grid_stays() {
        let volume = marked(RAS);
        assert_eq!(place(&volume), [0, 1, 2]);
        assert_eq!(volume.to_ras().spacing_mm(), [2.0, 2.0, 3.0]);
        assert_eq!(volume.to_ras().height_mm(2), 13.0);
        assert!(!volume.to_ras().is_oblique());
    }

    #[test]
    fn a_flipped_first_axis_moves_left_to_right() {
        let mut affine = RAS;
        affine[0][0] = -2.0;
        assert_eq!(place(&marked(affine)), [2, 1, 2]);
    }

    #[test]
    fn permuted_axes_are_put_in_order() {
        // Voxel axis 0 runs down, 1 to the left, 2 to the front.
        let affine = [[0.0, -2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [-2.0, 0.0, 0.0, 50.0]];
        let volume = marked(affine);
        assert_eq!(volume.to_ras().shape(), [4, 5, 3]);
        assert_eq!(place(&volume), [2, 2, 2]);
        assert_eq!(volume.to_ras().height_mm(2), 50.0);
    }

    #[test]
    fn a_tilted_grid_is_called_oblique() {
        let (sin, cos) = 0.3f64.sin_cos();
        let affine = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0 * cos, -2.0 * sin, 0.0], [0.0, 2.0 * sin, 2.0 * cos, 0.0]];
        let volume = marked(affine);
        assert_eq!(place(&volume), [0, 1, 2]);
        assert!(volume.to_ras().is_oblique());
    }

    #[test]
    fn axes_agree_with_nibabel() {
        let text = include_str!("../../tests/fixtures/report/orientation.json");
        let document: serde_json::Value = serde_json::from_str(text).expect("the fixture is JSON");
        let cases = document["cases"].as_array().expect("the fixture has cases");
        assert_eq!(cases.len(), 148);
        for case in cases {
            let affine = serde_json::from_value(case["affine"].clone()).expect("three rows of four");
            let expected: [(usize, i8); 3] = serde_json::from_value(case["axes"].clone()).expect("three axes");
            let volume = marked(affine);
            let found = volume.to_ras().axes;
            for (axis, (world, direction)) in expected.into_iter().enumerate() {
                assert_eq!(found[world], (axis, direction < 0), "{case}");
            }
        }
    }

    #[test]
    fn bad_arrays_are_refused() {
        let error = |shape, n_values, n_mask, affine| {
            Volume::new(shape, vec![0.0; n_values], vec![true; n_mask], affine).expect_err("must be refused")
        };
        assert!(matches!(error([0, 4, 5], 0, 0, RAS), VolumeError::Shape { .. }));
        assert!(matches!(error([usize::MAX, 2, 2], 0, 0, RAS), VolumeError::Shape { .. }));
        assert!(matches!(error([1, 1, 2], 1, 2, RAS), VolumeError::Length { array: "values", .. }));
        assert!(matches!(error([1, 1, 2], 2, 1, RAS), VolumeError::Length { array: "mask", .. }));
        let mut flat = RAS;
        flat[2][2] = 0.0;
        assert!(matches!(error([1, 1, 1], 1, 1, flat), VolumeError::Affine { .. }));
        flat[2][2] = f64::NAN;
        assert!(matches!(error([1, 1, 1], 1, 1, flat), VolumeError::Affine { .. }));
    }
}
