//! Where the values of a dense CIFTI file lie: vertices of surfaces and voxels of a volume, in the order of the values.
//!
//! Owns what makes such places believable, whoever states them: no vertex beyond its surface, no voxel outside the volume,
//! none twice. Groups of places are in [`super::parcels`].

use std::fmt;

use thiserror::Error;

use super::space::{PlacesError, Structure, VolumeSpace, check_vertices, repeated};

/// Values on one structure that follow each other in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct BrainModel {
    /// The structure.
    pub structure: Structure,
    /// Its places.
    pub kind: BrainModelKind,
    offset: usize,
}

/// Vertices of a surface or voxels of the volume.
#[derive(Debug, Clone, PartialEq)]
pub enum BrainModelKind {
    /// Vertices of a surface.
    Surface {
        /// Vertices of the whole surface, also those without values.
        n_vertices: u32,
        /// The vertices with values, in the order of the values.
        vertices: Vec<u32>,
    },
    /// Voxels of the volume.
    Voxels {
        /// Their indices, in the order of the values.
        ijk: Vec<[u32; 3]>,
    },
}

impl BrainModelKind {
    fn len(&self) -> usize {
        match self {
            BrainModelKind::Surface { vertices, .. } => vertices.len(),
            BrainModelKind::Voxels { ijk } => ijk.len(),
        }
    }
}

impl BrainModel {
    /// Index of its first place in the file.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Number of its places.
    pub fn count(&self) -> usize {
        self.kind.len()
    }
}

/// All places of a dense file, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct BrainModels {
    models: Vec<BrainModel>,
    volume: Option<VolumeSpace>,
}

/// One place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place<'a> {
    /// The structure in which it lies.
    pub structure: &'a Structure,
    /// Where in the structure.
    pub position: Position,
}

/// Where a place lies in its structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Position {
    /// A vertex of its surface.
    Vertex(u32),
    /// A voxel.
    Voxel {
        /// Its indices.
        ijk: [u32; 3],
        /// Its centre.
        mm: [f64; 3],
    },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Position::Vertex(vertex) => write!(formatter, "{} vertex {vertex}", self.structure),
            Position::Voxel { ijk: [i, j, k], .. } => write!(formatter, "{} voxel {i} {j} {k}", self.structure),
        }
    }
}

impl BrainModels {
    /// Structures with their places, in the order of the values.
    ///
    /// # Errors
    /// If a vertex or voxel lies outside its surface or the volume or is listed twice, or the volume is missing.
    pub fn new(
        structures: impl IntoIterator<Item = (Structure, BrainModelKind)>,
        volume: Option<VolumeSpace>,
    ) -> Result<Self, PlacesError> {
        let mut offset = 0;
        let models: Vec<BrainModel> = structures
            .into_iter()
            .map(|(structure, kind)| {
                let model = BrainModel { structure, kind, offset };
                offset += model.count();
                model
            })
            .collect();
        check_models(&models, volume.as_ref())?;
        Ok(BrainModels { models, volume })
    }

    /// The structures, in the order of their places.
    pub fn models(&self) -> &[BrainModel] {
        &self.models
    }

    /// The volume in which voxels lie.
    pub fn volume(&self) -> Option<&VolumeSpace> {
        self.volume.as_ref()
    }

    /// Number of places.
    pub fn len(&self) -> usize {
        self.models.last().map_or(0, |model| model.offset + model.count())
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places in the order of the values.
    pub fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.models.iter().flat_map(|model| (0..model.count()).map(|index| self.place_of(model, index)))
    }

    /// A place by its index in the file.
    pub fn place(&self, index: usize) -> Option<Place<'_>> {
        let model = &self.models[self.models.partition_point(|model| model.offset <= index).checked_sub(1)?];
        let index = index - model.offset;
        (index < model.count()).then(|| self.place_of(model, index))
    }

    fn place_of<'a>(&'a self, model: &'a BrainModel, index: usize) -> Place<'a> {
        let position = match &model.kind {
            BrainModelKind::Surface { vertices, .. } => Position::Vertex(vertices[index]),
            BrainModelKind::Voxels { ijk } => {
                let volume = self.volume.as_ref().expect("voxels without a volume were refused");
                Position::Voxel { ijk: ijk[index], mm: volume.mm(ijk[index]) }
            }
        };
        Place { structure: &model.structure, position }
    }

    /// What tells these places from others; absent if values at the same index lie at the same place.
    pub fn difference(&self, other: &Self) -> Option<PlacesDifference> {
        if self.len() != other.len() {
            return Some(PlacesDifference::Count { found: self.len(), expected: other.len() });
        }
        if let (Some(found), Some(expected)) = (&self.volume, &other.volume)
            && !found.same_as(expected)
        {
            return Some(PlacesDifference::Volume { found: Box::new(*found), expected: Box::new(*expected) });
        }
        let surfaces = |models: &Self| {
            let size = |model: &BrainModel| match model.kind {
                BrainModelKind::Surface { n_vertices, .. } => Some((model.structure.clone(), n_vertices)),
                BrainModelKind::Voxels { .. } => None,
            };
            models.models.iter().filter_map(size).collect::<Vec<_>>()
        };
        for ((structure, found), (_, expected)) in surfaces(self).into_iter().zip(surfaces(other)) {
            if found != expected {
                return Some(PlacesDifference::Surface { structure, found, expected });
            }
        }
        let index_of = |place: &Place<'_>| match place.position {
            Position::Vertex(vertex) => [vertex, 0, 0, 0],
            Position::Voxel { ijk: [i, j, k], .. } => [i, j, k, 1],
        };
        let differs = |(a, b): &(Place<'_>, Place<'_>)| a.structure != b.structure || index_of(a) != index_of(b);
        self.places().zip(other.places()).enumerate().find(|(_, pair)| differs(pair)).map(
            |(index, (found, expected))| PlacesDifference::Place {
                index,
                found: found.to_string(),
                expected: expected.to_string(),
            },
        )
    }
}

/// What tells two lists of places apart; displayed, it says the first thing that does.
#[derive(Debug, Clone, PartialEq, Error)]
#[expect(missing_docs, reason = "the messages name every field")]
pub enum PlacesDifference {
    /// One has more places.
    #[error("{found} places, expected {expected}")]
    Count { found: usize, expected: usize },
    /// A surface has another number of vertices.
    #[error("a surface of {structure} with {found} vertices, expected {expected}")]
    Surface { structure: Structure, found: u32, expected: u32 },
    /// The volumes lie elsewhere.
    #[error("a volume of shape {:?} and affine {:?}, expected {:?} and {:?}", found.shape, found.affine, expected.shape, expected.affine)]
    Volume { found: Box<VolumeSpace>, expected: Box<VolumeSpace> },
    /// A place is another.
    #[error("{found} at index {index}, expected {expected}")]
    Place { index: usize, found: String, expected: String },
}

fn check_models(models: &[BrainModel], volume: Option<&VolumeSpace>) -> Result<(), PlacesError> {
    let mut surfaces = Vec::new();
    let mut voxels = Vec::new();
    for BrainModel { structure, kind, .. } in models {
        match kind {
            BrainModelKind::Surface { n_vertices, vertices } => {
                surfaces.push(structure);
                check_vertices(structure, *n_vertices, vertices)?;
            }
            BrainModelKind::Voxels { ijk } => {
                volume.ok_or(PlacesError::NoVolume)?.check(ijk)?;
                voxels.extend_from_slice(ijk);
            }
        }
    }
    if let Some(structure) = repeated(surfaces) {
        return Err(PlacesError::RepeatedSurface { structure: structure.clone() });
    }
    match repeated(voxels) {
        Some(ijk) => Err(PlacesError::RepeatedVoxel { ijk }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFFINE: [[f64; 4]; 4] =
        [[-2.0, 0.0, 0.0, 90.0], [0.0, 2.0, 0.0, -126.0], [0.0, 0.0, 2.0, -72.0], [0.0, 0.0, 0.0, 1.0]];

    fn structure(name: &str) -> Structure {
        Structure::new(name).unwrap()
    }

    fn surface(vertices: &[u32]) -> (Structure, BrainModelKind) {
        (structure("CORTEX_LEFT"), BrainModelKind::Surface { n_vertices: 10, vertices: vertices.to_vec() })
    }

    fn voxels(ijk: &[[u32; 3]]) -> (Structure, BrainModelKind) {
        (structure("CIFTI_STRUCTURE_THALAMUS_LEFT"), BrainModelKind::Voxels { ijk: ijk.to_vec() })
    }

    fn volume() -> Option<VolumeSpace> {
        Some(VolumeSpace::new([4, 5, 6], AFFINE).unwrap())
    }

    #[test]
    fn places_follow_the_order_of_the_values() {
        let models = BrainModels::new([surface(&[7, 2]), voxels(&[[3, 4, 5], [0, 0, 1]])], volume()).unwrap();
        let places: Vec<Place<'_>> = models.places().collect();
        assert_eq!(models.len(), 4);
        assert_eq!(places[1].to_string(), "CORTEX_LEFT vertex 2");
        assert_eq!(places[2].position, Position::Voxel { ijk: [3, 4, 5], mm: [84.0, -118.0, -62.0] });
        for (index, place) in places.iter().enumerate() {
            assert_eq!(models.place(index), Some(*place));
        }
        assert_eq!(models.place(4), None);
    }

    #[test]
    fn impossible_places_are_errors() {
        let refuse = |structures: Vec<_>, volume| BrainModels::new(structures, volume).unwrap_err().to_string();
        assert_eq!(refuse(vec![surface(&[1, 10])], None), "vertex 10 of CORTEX_LEFT, whose surface has 10 vertices");
        assert_eq!(refuse(vec![surface(&[3, 1, 3])], None), "vertex 3 of CORTEX_LEFT is listed twice");
        assert_eq!(refuse(vec![surface(&[1]), surface(&[2])], None), "the surface of CORTEX_LEFT is described twice");
        assert!(refuse(vec![voxels(&[[0, 0, 0]])], None).contains("no volume"));
        assert!(refuse(vec![voxels(&[[0, 5, 0]])], volume()).contains("voxel [0, 5, 0] lies outside"));
        assert!(refuse(vec![voxels(&[[0, 1, 0]]), voxels(&[[0, 1, 0]])], volume()).contains("is listed twice"));
    }

    #[test]
    fn the_first_difference_is_named() {
        let models = |vertices: &[u32]| BrainModels::new([surface(vertices), voxels(&[[0, 0, 0]])], volume()).unwrap();
        let found = models(&[1, 2]);
        assert_eq!(found.difference(&models(&[1, 2])), None);
        assert_eq!(found.difference(&models(&[1])).unwrap().to_string(), "3 places, expected 2");
        let text = found.difference(&models(&[1, 3])).unwrap().to_string();
        assert_eq!(text, "CORTEX_LEFT vertex 2 at index 1, expected CORTEX_LEFT vertex 3");
        let mut moved = models(&[1, 2]);
        moved.volume.as_mut().unwrap().affine[0][3] += 1e-5;
        assert_eq!(found.difference(&moved), None);
        moved.volume.as_mut().unwrap().affine[0][3] += 1.0;
        assert!(matches!(found.difference(&moved), Some(PlacesDifference::Volume { .. })));
    }
}
