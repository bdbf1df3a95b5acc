//! Names of structures and the volume in which voxels lie, and what can be wrong with the places in them.

use std::fmt;

use thiserror::Error;

/// How the standard's names of structures begin.
const STRUCTURE_PREFIX: &str = "CIFTI_STRUCTURE_";
/// The standard's longest name of a structure has 39 letters.
const MAX_STRUCTURE_LETTERS: usize = 100;
/// Voxels of a volume that is believed, as whoever draws a map allocates it; the finest in use have some ten million.
const MAX_VOXELS: u64 = 1 << 30;
/// Two affines are the same if no entry differs by more: their text may be that of 32-bit floats.
const SAME_AFFINE_TOLERANCE_MM: f64 = 1e-4;

/// What can be wrong with places.
#[derive(Debug, Clone, PartialEq, Error)]
#[expect(missing_docs, reason = "the messages name every field")]
pub enum PlacesError {
    /// A structure has no name of the standard's kind.
    #[error("`{found}` is no name of a structure, expected capital letters as in `CIFTI_STRUCTURE_CORTEX_LEFT`")]
    Structure { found: String },
    /// A vertex lies beyond its surface.
    #[error("vertex {vertex} of {structure}, whose surface has {n_vertices} vertices")]
    Vertex { structure: Structure, vertex: u32, n_vertices: u32 },
    /// A vertex is listed twice.
    #[error("vertex {vertex} of {structure} is listed twice")]
    RepeatedVertex { structure: Structure, vertex: u32 },
    /// A structure has two surfaces.
    #[error("the surface of {structure} is described twice")]
    RepeatedSurface { structure: Structure },
    /// Vertices are listed for a structure without a surface.
    #[error("vertices of {structure}, whose surface is not described")]
    NoSurface { structure: Structure },
    /// A voxel lies outside the volume.
    #[error("voxel {ijk:?} lies outside the volume of {shape:?} voxels")]
    Voxel { ijk: [u32; 3], shape: [usize; 3] },
    /// A voxel is listed twice.
    #[error("voxel {ijk:?} is listed twice")]
    RepeatedVoxel { ijk: [u32; 3] },
    /// Voxels are listed without a volume to lie in.
    #[error("voxels are listed, but no volume says where they lie")]
    NoVolume,
    /// The volume is too large or empty.
    #[error("a volume of {shape:?} voxels, expected between 1 and {MAX_VOXELS} voxels in all")]
    Shape { shape: [usize; 3] },
    /// The volume lies nowhere.
    #[error("a volume with the affine {affine:?}, expected finite numbers that can be inverted")]
    Affine { affine: Box<[[f64; 4]; 4]> },
}

/// Name of a structure of the brain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Structure(String);

impl Structure {
    /// A structure by its name in the standard, as in `CIFTI_STRUCTURE_CORTEX_LEFT`; the prefix may be left out.
    ///
    /// # Errors
    /// If the name holds anything else than capital letters, digits and underscores.
    pub fn new(name: &str) -> Result<Self, PlacesError> {
        let short = name.strip_prefix(STRUCTURE_PREFIX).unwrap_or(name);
        let usual = |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_';
        if short.is_empty() || short.len() > MAX_STRUCTURE_LETTERS || !short.bytes().all(usual) {
            return Err(PlacesError::Structure { found: name.chars().take(MAX_STRUCTURE_LETTERS).collect() });
        }
        Ok(Structure(short.to_owned()))
    }

    /// The name without the standard's prefix.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The name as it stands in files.
    pub fn full_name(&self) -> String {
        format!("{STRUCTURE_PREFIX}{}", self.0)
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The volume in which voxels lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VolumeSpace {
    /// Lengths of the three axes.
    pub shape: [usize; 3],
    /// Voxel indices to millimetres.
    pub affine: [[f64; 4]; 4],
}

impl VolumeSpace {
    /// A volume that is neither empty nor absurd and lies somewhere.
    ///
    /// # Errors
    /// If it has no voxel or too many, or the affine is not finite, not affine or singular.
    pub fn new(shape: [usize; 3], affine: [[f64; 4]; 4]) -> Result<Self, PlacesError> {
        let n_voxels = shape.iter().fold(1_u64, |product, &n| product.saturating_mul(n as u64));
        if n_voxels == 0 || n_voxels > MAX_VOXELS {
            return Err(PlacesError::Shape { shape });
        }
        let [x, y, z, last] = affine;
        let determinant = x[0] * (y[1] * z[2] - y[2] * z[1]) - x[1] * (y[0] * z[2] - y[2] * z[0])
            + x[2] * (y[0] * z[1] - y[1] * z[0]);
        let finite = affine.as_flattened().iter().all(|entry| entry.is_finite());
        if !finite || last != [0.0, 0.0, 0.0, 1.0] || determinant == 0.0 || !determinant.is_finite() {
            return Err(PlacesError::Affine { affine: Box::new(affine) });
        }
        Ok(VolumeSpace { shape, affine })
    }

    /// The millimetres at which a voxel lies.
    pub fn mm(&self, ijk: [u32; 3]) -> [f64; 3] {
        std::array::from_fn(|row| {
            let [a, b, c, offset] = self.affine[row];
            a * f64::from(ijk[0]) + b * f64::from(ijk[1]) + c * f64::from(ijk[2]) + offset
        })
    }

    /// Whether two volumes have the same voxels at the same places.
    pub fn same_as(&self, other: &Self) -> bool {
        let pairs = self.affine.as_flattened().iter().zip(other.affine.as_flattened());
        self.shape == other.shape && pairs.into_iter().all(|(a, b)| (a - b).abs() <= SAME_AFFINE_TOLERANCE_MM)
    }

    pub(super) fn check(&self, voxels: &[[u32; 3]]) -> Result<(), PlacesError> {
        let outside = |ijk: &&[u32; 3]| ijk.iter().zip(self.shape).any(|(&index, length)| index as usize >= length);
        match voxels.iter().find(outside) {
            Some(&ijk) => Err(PlacesError::Voxel { ijk, shape: self.shape }),
            None => Ok(()),
        }
    }
}

pub(super) fn check_vertices(structure: &Structure, n_vertices: u32, vertices: &[u32]) -> Result<(), PlacesError> {
    if let Some(&vertex) = vertices.iter().find(|&&vertex| vertex >= n_vertices) {
        return Err(PlacesError::Vertex { structure: structure.clone(), vertex, n_vertices });
    }
    match repeated(vertices.to_vec()) {
        Some(vertex) => Err(PlacesError::RepeatedVertex { structure: structure.clone(), vertex }),
        None => Ok(()),
    }
}

/// Something that occurs twice, if anything does.
pub(super) fn repeated<T: Ord + Clone>(mut values: Vec<T>) -> Option<T> {
    values.sort_unstable();
    values.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFFINE: [[f64; 4]; 4] =
        [[-2.0, 0.0, 0.0, 90.0], [0.0, 2.0, 0.0, -126.0], [0.0, 0.0, 2.0, -72.0], [0.0, 0.0, 0.0, 1.0]];

    #[test]
    fn names_of_structures_are_those_of_the_standard() {
        assert_eq!(Structure::new("BRAIN_STEM").unwrap(), Structure::new("CIFTI_STRUCTURE_BRAIN_STEM").unwrap());
        assert_eq!(Structure::new("BRAIN_STEM").unwrap().full_name(), "CIFTI_STRUCTURE_BRAIN_STEM");
        for name in ["", "CIFTI_STRUCTURE_", "left cortex", "A\u{0}", &"A".repeat(101)] {
            assert!(Structure::new(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn impossible_volumes_are_errors() {
        for shape in [[0, 1, 1], [usize::MAX, usize::MAX, 2], [2048, 2048, 2048]] {
            assert!(matches!(VolumeSpace::new(shape, AFFINE), Err(PlacesError::Shape { .. })), "{shape:?}");
        }
        for (row, column, entry) in [(0, 0, f64::NAN), (1, 3, f64::INFINITY), (3, 3, 0.0), (2, 2, 0.0)] {
            let mut affine = AFFINE;
            affine[row][column] = entry;
            assert!(matches!(VolumeSpace::new([2, 2, 2], affine), Err(PlacesError::Affine { .. })), "{affine:?}");
        }
    }
}
