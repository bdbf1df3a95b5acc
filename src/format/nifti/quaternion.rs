//! The second way in which a header states an affine: voxel sizes, an offset and a unit quaternion (the qform).

use std::path::Path;

use super::NiftiError;
use super::header::Header;

/// Largest cosine between two axes that still counts as a right angle.
const SHEAR_TOLERANCE: f64 = 1e-5;

/// The affine of the quaternion fields (NIfTI-1 standard, method 2).
pub(super) fn qform(path: &Path, header: &Header) -> Result<[[f64; 4]; 3], NiftiError> {
    qform_of(path, header.quaternion, header.quaternion_offset, &header.pixdim)
}

fn qform_of(
    path: &Path,
    [b, c, d]: [f64; 3],
    offset: [f64; 3],
    pixdim: &[f64; 8],
) -> Result<[[f64; 4]; 3], NiftiError> {
    let square = 1.0 - (b * b + c * c + d * d);
    // Three unit-quaternion components rounded to floats may exceed length one by a few float epsilons.
    if square.is_nan() || square < -3.0 * f64::from(f32::EPSILON) {
        let expected = "at most 1";
        let field = "squared quaternion length";
        return Err(NiftiError::Field { path: path.to_owned(), field, found: 1.0 - square, expected });
    }
    let a = square.max(0.0).sqrt();
    let handedness = if pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let [dx, dy, dz] = [1, 2, 3].map(|axis| pixdim[axis]);
    let scale = [dx, dy, dz * handedness];
    let rotation = [
        [a * a + b * b - c * c - d * d, 2.0 * (b * c - a * d), 2.0 * (b * d + a * c)],
        [2.0 * (b * c + a * d), a * a + c * c - b * b - d * d, 2.0 * (c * d - a * b)],
        [2.0 * (b * d - a * c), 2.0 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ];
    Ok(std::array::from_fn(|row| {
        let r = rotation[row];
        [r[0] * scale[0], r[1] * scale[1], r[2] * scale[2], offset[row]]
    }))
}

/// The columns of an affine as directions, lengths and handedness.
pub(super) struct Axes {
    /// Right-handed matrix of unit columns.
    rotation: [[f64; 3]; 3],
    pub(super) lengths: [f64; 3],
    pub(super) handedness: f64,
}

impl Axes {
    pub(super) fn of(affine: &[[f64; 4]; 4]) -> Self {
        let lengths: [f64; 3] =
            std::array::from_fn(|column| (0..3).map(|row| affine[row][column].powi(2)).sum::<f64>().sqrt());
        let mut rotation: [[f64; 3]; 3] =
            std::array::from_fn(|row| std::array::from_fn(|column| affine[row][column] / lengths[column]));
        let [x, y, z] = rotation;
        let determinant = x[0] * (y[1] * z[2] - y[2] * z[1]) - x[1] * (y[0] * z[2] - y[2] * z[0])
            + x[2] * (y[0] * z[1] - y[1] * z[0]);
        let handedness = if determinant < 0.0 { -1.0 } else { 1.0 };
        for row in &mut rotation {
            row[2] *= handedness;
        }
        Axes { rotation, lengths, handedness }
    }

    /// The components b, c, d of the unit quaternion; absent where the axes are not at right angles.
    pub(super) fn quaternion(&self) -> Option<[f64; 3]> {
        let r = &self.rotation;
        let cosine = |a: usize, b: usize| (0..3).map(|row| r[row][a] * r[row][b]).sum::<f64>();
        let right_angles = [(0, 1), (0, 2), (1, 2)].iter().all(|&(a, b)| cosine(a, b).abs() <= SHEAR_TOLERANCE);
        if !right_angles {
            return None;
        }
        // The largest of the four components is found from the diagonal, the others by dividing through it: no cancellation.
        let squares = [
            1.0 + r[0][0] + r[1][1] + r[2][2],
            1.0 + r[0][0] - r[1][1] - r[2][2],
            1.0 - r[0][0] + r[1][1] - r[2][2],
            1.0 - r[0][0] - r[1][1] + r[2][2],
        ];
        let largest = (1..4).fold(0, |best, next| if squares[next] > squares[best] { next } else { best });
        let twice = squares[largest].sqrt();
        let differences = [r[2][1] - r[1][2], r[0][2] - r[2][0], r[1][0] - r[0][1]];
        let mut components: [f64; 4] = match largest {
            0 => [twice * twice, differences[0], differences[1], differences[2]],
            1 => [differences[0], twice * twice, r[0][1] + r[1][0], r[0][2] + r[2][0]],
            2 => [differences[1], r[0][1] + r[1][0], twice * twice, r[1][2] + r[2][1]],
            _ => [differences[2], r[0][2] + r[2][0], r[1][2] + r[2][1], twice * twice],
        };
        // The format stores no scalar component and takes it for positive.
        let sign = if components[0] < 0.0 { -1.0 } else { 1.0 };
        components.iter_mut().for_each(|component| *component *= 0.5 * sign / twice);
        Some([components[1], components[2], components[3]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rotation(angles: [f64; 3]) -> [[f64; 3]; 3] {
        let [(sa, ca), (sb, cb), (sc, cc)] = angles.map(f64::sin_cos);
        [
            [cb * cc, -cb * sc, sb],
            [ca * sc + sa * sb * cc, ca * cc - sa * sb * sc, -sa * cb],
            [sa * sc - ca * sb * cc, sa * cc + ca * sb * sc, ca * cb],
        ]
    }

    proptest! {
        #[test]
        fn quaternion_says_the_same_as_the_matrix(
            angles in prop::array::uniform3(-3.1_f64..3.1), lengths in prop::array::uniform3(0.5_f64..4.0), flip in any::<bool>(),
        ) {
            let r = rotation(angles);
            let signs = [if flip { -1.0 } else { 1.0 }, 1.0, 1.0];
            let mut affine = [[0.0, 0.0, 0.0, 1.0]; 4];
            for row in 0..3 {
                for column in 0..3 {
                    affine[row][column] = r[row][column] * lengths[column] * signs[column];
                }
                affine[row][3] = 10.0 * row as f64;
            }
            let axes = Axes::of(&affine);
            let exact = axes.quaternion().unwrap();
            let stored = |x: f64| f64::from(x as f32);
            let [dx, dy, dz] = axes.lengths.map(stored);
            let pixdim = [axes.handedness, dx, dy, dz, 0.0, 0.0, 0.0, 0.0];
            let read = qform_of(Path::new("x.nii"), exact.map(stored), [0.0, 10.0, 20.0], &pixdim).unwrap();
            // Headers hold b, c, d as f32 and leave a to be computed: their rounding moves a^2 by up to 2.1e-7, hence a by
            // as much over a, or by the root of it where a vanishes (half turns). That much the format itself loses.
            let a = (1.0 - exact.iter().map(|x| x * x).sum::<f64>()).max(0.0).sqrt();
            let error_of_a = (2.1e-7 / a.max(2.1e-7)).min(4.6e-4);
            let bound = lengths.into_iter().fold(0.0, f64::max) * (2.5 * error_of_a + 1e-6);
            for (found, expected) in read.as_flattened().iter().zip(affine.as_flattened()) {
                prop_assert!((found - expected).abs() < bound, "{read:?} {affine:?}");
            }
        }
    }

    #[test]
    fn sheared_axes_have_no_quaternion() {
        let affine = [[2.0, 0.5, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
        assert!(Axes::of(&affine).quaternion().is_none());
    }

    #[test]
    fn impossible_quaternions_are_errors() {
        let error = qform_of(Path::new("x.nii"), [1.0, 1.0, 0.0], [0.0; 3], &[1.0; 8]).unwrap_err();
        assert!(error.to_string().contains("squared quaternion length 2, expected at most 1"));
    }
}
