//! Atlases on surfaces: the labels of a CIFTI file, at the places of the data.
//!
//! Owns the choice of a map and the pairing of places: a label belongs to a place of the data if it stands at the same vertex of
//! a surface with as many vertices, or at the same voxel of the same volume. Nothing is resampled: surfaces of another density
//! are refused.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use super::table::{LabelEntry, LabelTable};
use super::{AtlasError, AtlasWarning, Grouping, Network, Parcel, compare, counts, named};
use crate::brain::membership::Membership;
use crate::format::cifti::{BrainModelKind, BrainModels, CiftiReader, Label, Maps, Place, Places, Position};

/// Labels with names at the places of a CIFTI file.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceAtlas {
    /// The file.
    pub path: PathBuf,
    /// Where its labels stand.
    pub models: BrainModels,
    /// The label at every place; 0 is none.
    pub labels: Vec<i32>,
    /// The regions, in the order of the label table.
    pub parcels: Vec<Parcel>,
    /// The networks, in the order in which the table first names them.
    pub networks: Vec<Network>,
    /// What is odd about it.
    pub warnings: Vec<AtlasWarning>,
}

/// Whether a file is, by its name, an atlas on surfaces.
#[must_use]
pub fn is_surface_atlas(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".dlabel.nii"))
}

impl SurfaceAtlas {
    /// Reads a `.dlabel.nii`; `map` chooses among several, `table` names the labels otherwise than the file itself does.
    ///
    /// # Errors
    /// If a file is not readable, the CIFTI file holds no labels of single places, several maps without one being chosen, or none
    /// of the chosen name, or if the labels cannot be grouped.
    pub fn read(path: &Path, map: Option<&str>, table: Option<&Path>, grouping: &Grouping) -> Result<Self, AtlasError> {
        let mut reader = CiftiReader::open(path)?;
        let matrix = reader.info().matrix.clone();
        let (Maps::Labels(maps), Places::Dense(models)) = (&matrix.maps, &matrix.places) else {
            return Err(AtlasError::NoSurfaceLabels { path: path.to_owned(), found: matrix.kind() });
        };
        let available = || maps.iter().map(|map| map.name.clone()).collect();
        let chosen = match map {
            Some(name) => maps.iter().position(|map| map.name == name),
            None => (maps.len() == 1).then_some(0),
        };
        let chosen = chosen.ok_or_else(|| AtlasError::WhichMap {
            path: path.to_owned(),
            asked: map.map(str::to_owned),
            available: available(),
        })?;
        let table = match table {
            Some(table) => LabelTable::read(table)?,
            None => LabelTable::embedded(path, maps[chosen].labels.iter().filter(|label| label.key != 0).map(entry))?,
        };
        let labels = reader.read_keys()?.swap_remove(chosen);
        let counts = counts(&labels);
        let entries: Vec<LabelEntry> = table.labels()?;
        if !entries.iter().any(|entry| counts.contains_key(&entry.index)) {
            return Err(AtlasError::NothingInCommon { image: path.to_owned(), table: table.path.clone() });
        }
        let (parcels, networks, mut warnings) = named(&table, &entries, grouping)?;
        warnings.extend(compare(&counts, &parcels));
        Ok(SurfaceAtlas { path: path.to_owned(), models: models.clone(), labels, parcels, networks, warnings })
    }

    /// The networks of every place of the data, as positions in [`SurfaceAtlas::networks`].
    ///
    /// Places that the atlas does not have belong to none: an atlas of the cortex says nothing of the thalamus.
    ///
    /// # Errors
    /// If a surface has another number of vertices, the volumes differ, or no place is common to both.
    pub fn membership(&self, target: &BrainModels) -> Result<Membership, AtlasError> {
        self.same_meshes(target)?;
        let of_label: BTreeMap<i32, Option<usize>> =
            self.parcels.iter().map(|parcel| (parcel.index, parcel.network)).collect();
        let labelled: HashMap<Key<'_>, i32> = self.models.places().map(key).zip(self.labels.iter().copied()).collect();
        let mut n_common = 0;
        let networks: Vec<Option<usize>> = target
            .places()
            .map(|place| {
                let label = labelled.get(&key(place))?;
                n_common += 1;
                of_label.get(label).copied().flatten()
            })
            .collect();
        if n_common == 0 {
            return Err(AtlasError::NoCommonPlace { path: self.path.clone() });
        }
        Ok(Membership::from_single(self.networks.len(), networks))
    }

    fn same_meshes(&self, target: &BrainModels) -> Result<(), AtlasError> {
        let vertices = |models: &BrainModels| -> BTreeMap<String, u32> {
            let of = |model: &crate::format::cifti::BrainModel| match model.kind {
                BrainModelKind::Surface { n_vertices, .. } => Some((model.structure.name().to_owned(), n_vertices)),
                BrainModelKind::Voxels { .. } => None,
            };
            models.models().iter().filter_map(of).collect()
        };
        let expected = vertices(target);
        for (structure, found) in vertices(&self.models) {
            if let Some(&expected) = expected.get(&structure).filter(|expected| **expected != found) {
                return Err(AtlasError::OtherMesh { path: self.path.clone(), structure, found, expected });
            }
        }
        match (self.models.volume(), target.volume()) {
            (Some(found), Some(expected)) if !found.same_as(expected) => {
                Err(AtlasError::OtherVolume { path: self.path.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// A place by what it is, whatever file it stands in. The structure of a voxel is a matter of opinion, its indices are not.
type Key<'a> = (Option<&'a str>, [u32; 3]);

fn key(place: Place<'_>) -> Key<'_> {
    match place.position {
        Position::Vertex(vertex) => (Some(place.structure.name()), [vertex, 0, 0]),
        Position::Voxel { ijk, .. } => (None, ijk),
    }
}

/// A label of the file as an entry of a table: key, name, colour.
fn entry(label: &Label) -> (i32, String, Option<String>) {
    let [red, green, blue, opacity] = label.rgba.map(|part| (part.clamp(0.0, 1.0) * 255.0).round() as u8);
    (label.key, label.name.clone(), (opacity > 0).then(|| format!("#{red:02x}{green:02x}{blue:02x}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::cifti::{LabelMap, Matrix, NamedMap, Structure, VolumeSpace, write_keys, write_maps};

    fn surface(name: &str, n_vertices: u32, vertices: &[u32]) -> (Structure, BrainModelKind) {
        (Structure::new(name).unwrap(), BrainModelKind::Surface { n_vertices, vertices: vertices.to_vec() })
    }

    fn voxels(step: f64, ijk: &[[u32; 3]]) -> ((Structure, BrainModelKind), VolumeSpace) {
        let affine = [[step, 0.0, 0.0, 0.0], [0.0, step, 0.0, 0.0], [0.0, 0.0, step, 0.0], [0.0, 0.0, 0.0, 1.0]];
        let model = (Structure::new("THALAMUS_LEFT").unwrap(), BrainModelKind::Voxels { ijk: ijk.to_vec() });
        (model, VolumeSpace::new([4, 4, 4], affine).unwrap())
    }

    fn label(key: i32, name: &str) -> Label {
        Label { key, name: name.to_owned(), rgba: [1.0, 0.5, 0.0, f32::from(u8::from(key != 0))] }
    }

    /// An atlas of two maps on the left cortex.
    fn written(folder: &Path) -> PathBuf {
        let path = folder.join("networks.dlabel.nii");
        let models = BrainModels::new([surface("CORTEX_LEFT", 9, &[0, 2, 4, 6])], None).unwrap();
        let labels = vec![label(0, "???"), label(1, "7Networks_LH_Vis_1"), label(2, "7Networks_LH_Default_1")];
        let map = |name: &str| LabelMap { name: name.to_owned(), labels: labels.clone(), metadata: Vec::new() };
        let matrix = Matrix::dense(Maps::Labels(vec![map("seven"), map("other")]), models);
        write_keys(&path, &matrix, &[1, 2, 0, 1, 2, 2, 2, 2]).unwrap();
        path
    }

    #[test]
    fn labels_stand_at_the_places_that_both_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let atlas = SurfaceAtlas::read(&path, Some("seven"), None, &Grouping::Automatic).unwrap();
        let names: Vec<&str> = atlas.networks.iter().map(|network| network.name.as_str()).collect();
        assert_eq!(names, ["Vis", "Default"]);
        assert_eq!(atlas.networks[0].color.as_deref(), Some("#ff8000"));
        let (deep, volume) = voxels(2.0, &[[1, 1, 1]]);
        let target = BrainModels::new([surface("CORTEX_LEFT", 9, &[1, 2, 6]), deep], Some(volume)).unwrap();
        let rows: Vec<Vec<usize>> = atlas.membership(&target).unwrap().rows().map(<[usize]>::to_vec).collect();
        assert_eq!(rows, [vec![], vec![1], vec![0], vec![]]);
    }

    #[test]
    fn other_meshes_and_volumes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let atlas = SurfaceAtlas::read(&written(folder.path()), Some("seven"), None, &Grouping::Automatic).unwrap();
        let refused = |models| atlas.membership(&models).unwrap_err().to_string();
        let finer = BrainModels::new([surface("CORTEX_LEFT", 12, &[2])], None).unwrap();
        assert!(refused(finer).contains("a surface of CORTEX_LEFT with 9 vertices, expected 12"));
        let right = BrainModels::new([surface("CORTEX_RIGHT", 9, &[2])], None).unwrap();
        assert!(refused(right).contains("has no place in common"));
        let (deep, volume) = voxels(2.0, &[[1, 1, 1]]);
        let (_, elsewhere) = voxels(3.0, &[[1, 1, 1]]);
        let of = |volume| BrainModels::new([surface("CORTEX_LEFT", 9, &[2]), deep.clone()], Some(volume)).unwrap();
        let atlas = SurfaceAtlas { models: of(volume), labels: vec![1, 1], ..atlas.clone() };
        assert!(atlas.membership(&of(elsewhere)).unwrap_err().to_string().contains("another volume"));
    }

    #[test]
    fn maps_must_be_labels_and_chosen_among_several() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path());
        let refused = |map| SurfaceAtlas::read(&path, map, None, &Grouping::Automatic).unwrap_err().to_string();
        assert!(refused(None).ends_with("has several maps: set `map` to one of `seven`, `other`"), "{}", refused(None));
        assert!(refused(Some("six")).ends_with("has no map `six`: set `map` to one of `seven`, `other`"));
        let scalars = folder.path().join("x.dlabel.nii");
        let models = BrainModels::new([surface("CORTEX_LEFT", 9, &[0])], None).unwrap();
        let matrix = Matrix::dense(Maps::Scalars(vec![NamedMap::new("m")]), models);
        write_maps(&scalars, &matrix, &[1.0]).unwrap();
        let error = SurfaceAtlas::read(&scalars, None, None, &Grouping::Automatic).unwrap_err().to_string();
        assert!(error.contains("holds dense scalars (`.dscalar.nii`), expected dense labels"), "{error}");
    }
}
