//! Voxel grids in space: affines, their inverses, nearest-neighbour and linear resampling.
//!
//! Owns the geometry that an atlas, a mask and a series must share before their voxels may be paired. Reads no data; go
//! on to [`super::atlas`] and [`super::mask`].

mod linear;

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::format::nifti::NiftiInfo;

pub use linear::LinearResampling;

/// Lengths of the three axes of a volume.
pub type Shape = [usize; 3];

/// Two grids are the same if no corner is further apart than this; affines are stored as 32-bit floats, whose rounding
/// moves a corner by some hundred thousandths of a millimetre.
const SAME_GRID_TOLERANCE_MM: f64 = 0.01;
/// Rounding in voxel units below which a coordinate counts as exactly on a boundary.
const BOUNDARY_TOLERANCE: f64 = 1e-6;

/// What can go wrong with grids.
#[derive(Debug, Error)]
pub enum GridError {
    /// An image does not say where it lies.
    #[error("`{}` has neither sform nor qform, so nothing says where its voxels lie: set its affine", path.display())]
    NoAffine {
        /// The image.
        path: PathBuf,
    },
    /// An affine maps the grid onto a plane, a line or a point.
    #[error("affine {affine:?} cannot be inverted: a voxel needs three independent edges")]
    Singular {
        /// The affine.
        affine: Box<[[f64; 4]; 4]>,
    },
    /// Two grids have no place in common.
    #[error(
        "the grid of the atlas ({source_grid}) and the grid of the data ({target_grid}) do not overlap: they lie in different spaces"
    )]
    NoOverlap {
        /// The grid resampled from.
        source_grid: Box<Grid>,
        /// The grid resampled to.
        target_grid: Box<Grid>,
    },
}

/// The shape of a volume and the affine from its voxel indices to millimetres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Grid {
    /// Lengths of the three axes.
    pub shape: [usize; 3],
    /// Voxel indices to millimetres.
    pub affine: [[f64; 4]; 4],
    inverse: [[f64; 4]; 4],
}

impl Grid {
    /// A grid with an invertible affine.
    ///
    /// # Errors
    /// If the affine is singular.
    pub fn new(shape: [usize; 3], affine: [[f64; 4]; 4]) -> Result<Self, GridError> {
        let inverse = inverse(&affine).ok_or_else(|| GridError::Singular { affine: Box::new(affine) })?;
        Ok(Grid { shape, affine, inverse })
    }

    /// The grid of an image.
    ///
    /// # Errors
    /// If the image has no affine or a singular one.
    pub fn of_image(info: &NiftiInfo) -> Result<Self, GridError> {
        let affine = info.affine.ok_or_else(|| GridError::NoAffine { path: info.path.clone() })?;
        Grid::new(info.shape, affine)
    }

    /// Number of voxels.
    pub fn n_voxels(&self) -> usize {
        self.shape.iter().product()
    }

    /// Place of a voxel in a volume whose first axis runs fastest.
    pub fn offset(&self, [i, j, k]: [usize; 3]) -> usize {
        i + self.shape[0] * (j + self.shape[1] * k)
    }

    /// Whether voxel indices lie inside the grid.
    pub fn contains(&self, voxel: [usize; 3]) -> bool {
        voxel.iter().zip(self.shape).all(|(&index, length)| index < length)
    }

    /// All voxels in C order: the last index runs fastest.
    pub fn voxels(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [nx, ny, nz] = self.shape;
        (0..nx).flat_map(move |i| (0..ny).flat_map(move |j| (0..nz).map(move |k| [i, j, k])))
    }

    /// The centre of a voxel in millimetres.
    pub fn to_mm(&self, voxel: [usize; 3]) -> [f64; 3] {
        apply(&self.affine, voxel.map(|index| index as f64))
    }

    /// The voxel coordinates, in general between voxels, of a place in millimetres.
    pub fn to_voxel(&self, place_mm: [f64; 3]) -> [f64; 3] {
        apply(&self.inverse, place_mm)
    }

    /// The inverse affine: millimetres to voxel indices.
    pub fn inverse(&self) -> &[[f64; 4]; 4] {
        &self.inverse
    }

    /// Lengths of a voxel's three edges.
    pub fn voxel_size_mm(&self) -> [f64; 3] {
        [0, 1, 2].map(|axis| (0..3).map(|row| self.affine[row][axis].powi(2)).sum::<f64>().sqrt())
    }

    /// Where the three axes run, as nibabel's axis codes: `RAS` for to the right, to the front and up.
    ///
    /// An oblique axis is told by where it runs most, and no two share a direction.
    pub fn orientation(&self) -> String {
        let size = self.voxel_size_mm();
        let share = |row: usize, axis: usize| self.affine[row][axis] / size[axis];
        let mut codes = [' '; 3];
        let (mut rows, mut axes) = (vec![0, 1, 2], vec![0, 1, 2]);
        while !axes.is_empty() {
            let pairs = axes.iter().flat_map(|&axis| rows.iter().map(move |&row| (axis, row)));
            let strongest = pairs.max_by(|a, b| share(a.1, a.0).abs().total_cmp(&share(b.1, b.0).abs()));
            let (axis, row) = strongest.expect("as many directions as axes are left");
            codes[axis] = if share(row, axis) > 0.0 { ['R', 'A', 'S'][row] } else { ['L', 'P', 'I'][row] };
            axes.retain(|known| *known != axis);
            rows.retain(|known| *known != row);
        }
        codes.iter().collect()
    }

    /// Whether both grids have the same shape and no corner lies elsewhere by more than a hundredth of a millimetre.
    pub fn same_as(&self, other: &Grid) -> bool {
        let corners = (0..8).map(|corner: usize| [0, 1, 2].map(|axis| (self.shape[axis] - 1) * (corner >> axis & 1)));
        let near = |voxel| {
            let (a, b) = (self.to_mm(voxel), other.to_mm(voxel));
            a.iter().zip(b).all(|(x, y)| (x - y).abs() <= SAME_GRID_TOLERANCE_MM)
        };
        self.shape == other.shape && corners.into_iter().all(near)
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [nx, ny, nz] = self.shape;
        write!(f, "shape {nx}x{ny}x{nz}, affine")?;
        for (row, values) in self.affine[..3].iter().enumerate() {
            let values = values.map(|value| format!("{}", (value * 1e4).round() / 1e4)).join(" ");
            write!(f, "{} [{values}]", if row == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// The label of the nearest voxel of `source` at every voxel of `target`, 0 outside; both volumes first axis fastest.
///
/// As `scipy.ndimage.affine_transform(order=0)` and hence nilearn have it: a target voxel whose centre lies beyond the
/// centres of the outermost source voxels is outside, and a tie goes to the higher index. Rounding below a millionth of
/// a voxel is forgiven on both counts, so that an affine's last digit decides nothing.
///
/// # Errors
/// If no voxel of `target` lies inside `source`.
///
/// # Panics
/// If `labels` does not fill `source`.
pub fn resample_labels(labels: &[i32], source: &Grid, target: &Grid) -> Result<Vec<i32>, GridError> {
    assert_eq!(labels.len(), source.n_voxels(), "one label per voxel of the source grid");
    let target_to_source = multiply(&source.inverse, &target.affine);
    let mut resampled = vec![0; target.n_voxels()];
    let mut overlap = false;
    for voxel in target.voxels() {
        let place = apply(&target_to_source, voxel.map(|index| index as f64));
        if let Some(nearest) = nearest(place, source.shape) {
            overlap = true;
            resampled[target.offset(voxel)] = labels[source.offset(nearest)];
        }
    }
    match overlap {
        true => Ok(resampled),
        false => Err(GridError::NoOverlap { source_grid: Box::new(*source), target_grid: Box::new(*target) }),
    }
}

fn nearest(place: [f64; 3], shape: [usize; 3]) -> Option<[usize; 3]> {
    let mut voxel = [0; 3];
    for axis in 0..3 {
        let last = shape[axis].checked_sub(1)?;
        let inside = place[axis] >= -BOUNDARY_TOLERANCE && place[axis] <= last as f64 + BOUNDARY_TOLERANCE;
        if !inside {
            return None;
        }
        voxel[axis] = ((place[axis] + 0.5 + BOUNDARY_TOLERANCE).floor() as usize).min(last);
    }
    Some(voxel)
}

fn apply(affine: &[[f64; 4]; 4], [x, y, z]: [f64; 3]) -> [f64; 3] {
    [0, 1, 2].map(|row| {
        let [a, b, c, offset] = affine[row];
        a * x + b * y + c * z + offset
    })
}

fn multiply(a: &[[f64; 4]; 4], b: &[[f64; 4]; 4]) -> [[f64; 4]; 4] {
    [0, 1, 2, 3].map(|row| [0, 1, 2, 3].map(|column| (0..4).map(|inner| a[row][inner] * b[inner][column]).sum()))
}

/// The inverse by cofactors; absent where the volume of a voxel vanishes beside the product of its edges.
fn inverse(affine: &[[f64; 4]; 4]) -> Option<[[f64; 4]; 4]> {
    let m = affine;
    let cofactor = |row: usize, column: usize| {
        let [r1, r2] = [(row + 1) % 3, (row + 2) % 3];
        let [c1, c2] = [(column + 1) % 3, (column + 2) % 3];
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f64 = (0..3).map(|column| m[0][column] * cofactor(0, column)).sum();
    let edges: f64 = (0..3).map(|column| (0..3).map(|row| m[row][column].powi(2)).sum::<f64>().sqrt()).product();
    let finite = m.as_flattened().iter().all(|value| value.is_finite()) && determinant.is_finite();
    if !finite || determinant.abs() <= 1e-9 * edges {
        return None;
    }
    let linear = [0, 1, 2].map(|row| [0, 1, 2].map(|column| cofactor(column, row) / determinant));
    let [x, y, z] = linear.map(|row| {
        let offset = -(0..3).map(|inner| row[inner] * m[inner][3]).sum::<f64>();
        [row[0], row[1], row[2], offset]
    });
    Some([x, y, z, [0.0, 0.0, 0.0, 1.0]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn diagonal(step: [f64; 3], offset: [f64; 3]) -> [[f64; 4]; 4] {
        let mut affine = [[0.0; 4]; 4];
        for axis in 0..3 {
            affine[axis][axis] = step[axis];
            affine[axis][3] = offset[axis];
        }
        affine[3][3] = 1.0;
        affine
    }

    proptest! {
        #[test]
        fn to_voxel_undoes_to_mm(entries in prop::array::uniform9(-1.0_f64..1.0), offset in prop::array::uniform3(-90.0_f64..90.0), voxel in prop::array::uniform3(0_usize..100)) {
            let mut affine = diagonal([3.0, 3.0, 3.0], offset);
            for (position, entry) in entries.iter().enumerate() {
                affine[position / 3][position % 3] += entry;
            }
            let Ok(grid) = Grid::new([100, 100, 100], affine) else { return Ok(()) };
            let back = grid.to_voxel(grid.to_mm(voxel));
            for axis in 0..3 {
                prop_assert!((back[axis] - voxel[axis] as f64).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn orientations_are_those_of_the_axis_codes() {
        let grid = |affine| Grid::new([2, 2, 2], affine).unwrap();
        assert_eq!(grid(diagonal([-2.0, 2.0, 3.0], [0.0; 3])).orientation(), "LAS");
        let turned = [[0.0, 0.3, -2.0, 0.0], [2.5, 0.0, 0.0, 0.0], [0.1, -3.0, 0.2, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert_eq!(grid(turned).orientation(), "AIL");
        assert_eq!(grid(diagonal([2.0, 2.0, 3.0], [0.0; 3])).voxel_size_mm(), [2.0, 2.0, 3.0]);
    }

    #[test]
    fn flat_affines_are_refused() {
        assert!(Grid::new([2, 2, 2], diagonal([2.0, 0.0, 2.0], [0.0; 3])).is_err());
        assert!(Grid::new([2, 2, 2], diagonal([2.0, f64::NAN, 2.0], [0.0; 3])).is_err());
        assert!(Grid::new([2, 2, 2], diagonal([1e-3, 1e-3, 1e-3], [0.0; 3])).is_ok());
    }

    #[test]
    fn sameness_forgives_rounding_only() {
        let grid = Grid::new([50, 50, 50], diagonal([2.0; 3], [-50.0; 3])).unwrap();
        let shifted = |by: f64| Grid::new([50, 50, 50], diagonal([2.0; 3], [-50.0 + by, -50.0, -50.0])).unwrap();
        assert!(grid.same_as(&shifted(1e-4)));
        assert!(!grid.same_as(&shifted(0.1)));
        let scaled = Grid::new([50, 50, 50], diagonal([2.001, 2.0, 2.0], [-50.0; 3])).unwrap();
        assert!(!grid.same_as(&scaled));
    }

    #[test]
    fn resampling_onto_itself_changes_nothing() {
        let grid = Grid::new([3, 4, 5], diagonal([-2.0, 2.0, 2.5], [10.0, -7.0, 3.0])).unwrap();
        let labels: Vec<i32> = (0..60).collect();
        assert_eq!(resample_labels(&labels, &grid, &grid).unwrap(), labels);
    }

    #[test]
    fn distant_grids_do_not_overlap() {
        let grid = Grid::new([3, 3, 3], diagonal([2.0; 3], [0.0; 3])).unwrap();
        let far = Grid::new([3, 3, 3], diagonal([2.0; 3], [100.0; 3])).unwrap();
        let error = resample_labels(&[1; 27], &grid, &far).unwrap_err().to_string();
        assert!(error.contains("shape 3x3x3, affine [2 0 0 100], [0 2 0 100], [0 0 2 100]) do not overlap"), "{error}");
    }
}
