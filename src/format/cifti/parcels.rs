//! Named groups of vertices and voxels, the places of parcellated files.

use super::space::{PlacesError, Structure, VolumeSpace, check_vertices, repeated};

/// A named group of places.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parcel {
    /// Its name.
    pub name: String,
    /// Its vertices on each surface.
    pub vertices: Vec<(Structure, Vec<u32>)>,
    /// Its voxels.
    pub voxels: Vec<[u32; 3]>,
}

/// All parcels of a file, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcels {
    parcels: Vec<Parcel>,
    surfaces: Vec<(Structure, u32)>,
    volume: Option<VolumeSpace>,
}

impl Parcels {
    /// Parcels on surfaces with these numbers of vertices and in a volume.
    ///
    /// # Errors
    /// If a vertex or voxel lies outside, is listed twice in a parcel, or its surface or the volume is missing.
    pub fn new(
        parcels: Vec<Parcel>,
        surfaces: Vec<(Structure, u32)>,
        volume: Option<VolumeSpace>,
    ) -> Result<Self, PlacesError> {
        if let Some(structure) = repeated(surfaces.iter().map(|(structure, _)| structure).collect()) {
            return Err(PlacesError::RepeatedSurface { structure: structure.clone() });
        }
        let mut sizes = surfaces.clone();
        sizes.sort_unstable();
        for parcel in &parcels {
            for (structure, vertices) in &parcel.vertices {
                let position = sizes.binary_search_by(|(known, _)| known.cmp(structure));
                let position = position.map_err(|_| PlacesError::NoSurface { structure: structure.clone() })?;
                check_vertices(structure, sizes[position].1, vertices)?;
            }
            if let Some(structure) = repeated(parcel.vertices.iter().map(|(structure, _)| structure).collect()) {
                return Err(PlacesError::RepeatedSurface { structure: structure.clone() });
            }
            if !parcel.voxels.is_empty() {
                volume.as_ref().ok_or(PlacesError::NoVolume)?.check(&parcel.voxels)?;
            }
            if let Some(ijk) = repeated(parcel.voxels.clone()) {
                return Err(PlacesError::RepeatedVoxel { ijk });
            }
        }
        Ok(Parcels { parcels, surfaces, volume })
    }

    /// The parcels, in the order of the values.
    pub fn parcels(&self) -> &[Parcel] {
        &self.parcels
    }

    /// The surfaces and how many vertices they have.
    pub fn surfaces(&self) -> &[(Structure, u32)] {
        &self.surfaces
    }

    /// The volume in which voxels lie.
    pub fn volume(&self) -> Option<&VolumeSpace> {
        self.volume.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_parcels_are_errors() {
        let left = Structure::new("CORTEX_LEFT").unwrap();
        let parcel = |vertices: Vec<(Structure, Vec<u32>)>, voxels| Parcel { name: "V1".into(), vertices, voxels };
        let parcels = |parcel| Parcels::new(vec![parcel], vec![(left.clone(), 5)], None);
        assert!(parcels(parcel(vec![(left.clone(), vec![0, 4])], vec![])).is_ok());
        assert!(matches!(
            parcels(parcel(vec![(left.clone(), vec![5])], vec![])),
            Err(PlacesError::Vertex { vertex: 5, n_vertices: 5, .. })
        ));
        let twice = vec![(left.clone(), vec![1]), (left.clone(), vec![2])];
        assert!(matches!(parcels(parcel(twice, vec![])), Err(PlacesError::RepeatedSurface { .. })));
        let right = Structure::new("CORTEX_RIGHT").unwrap();
        assert!(matches!(parcels(parcel(vec![(right, vec![0])], vec![])), Err(PlacesError::NoSurface { .. })));
        assert!(matches!(parcels(parcel(vec![], vec![[0; 3]])), Err(PlacesError::NoVolume)));
    }
}
