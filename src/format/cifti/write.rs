//! Values into CIFTI files that nibabel and Connectome Workbench open, always the same bytes for the same values.
//!
//! Files are little-endian NIfTI-2: 32-bit floats, or 32-bit integers for labels.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{CiftiError, EXTENSION_CODE, Maps, Matrix, Places, compose_xml};
use crate::format::nifti::header::{EXTENDER_BYTES, HEADER_BYTES_2, MatrixHeader};
use crate::format::nifti::{ALIGNMENT_BYTES, NiftiError, PREFIX_BYTES, io_error};

/// Writes a CIFTI file place by place.
pub struct CiftiWriter {
    file: BufWriter<File>,
    path: PathBuf,
    n_maps: usize,
    n_places: usize,
    holds_labels: bool,
    n_written: usize,
}

impl CiftiWriter {
    /// Creates the file and writes what its maps and places are.
    ///
    /// # Errors
    /// If a name cannot stand in XML, or the file cannot be created.
    pub fn create(path: &Path, matrix: &Matrix) -> Result<Self, CiftiError> {
        let xml = compose_xml(path, matrix)?;
        let extension_bytes = (xml.len() + PREFIX_BYTES).next_multiple_of(ALIGNMENT_BYTES);
        let stated_bytes = i32::try_from(extension_bytes)
            .map_err(|_| CiftiError::TooLong { path: path.to_owned(), found_bytes: xml.len() })?;
        let (intent_code, intent_name) = intent(matrix);
        let holds_labels = matches!(matrix.maps, Maps::Labels(_));
        let (n_maps, n_places) = (matrix.maps.len(), matrix.places.len());
        let header = MatrixHeader {
            lengths: [n_maps, n_places],
            datatype: if holds_labels { (8, 32) } else { (16, 32) },
            data_offset: (HEADER_BYTES_2 + EXTENDER_BYTES + extension_bytes) as u64,
            intent_code,
            intent_name,
        };
        let mut bytes = header.to_bytes();
        bytes.extend(stated_bytes.to_le_bytes());
        bytes.extend(EXTENSION_CODE.to_le_bytes());
        bytes.extend(xml.as_bytes());
        bytes.resize(HEADER_BYTES_2 + EXTENDER_BYTES + extension_bytes, 0);
        let mut file = BufWriter::new(File::create(path).map_err(io_error(path))?);
        file.write_all(&bytes).map_err(io_error(path))?;
        Ok(CiftiWriter { file, path: path.to_owned(), n_maps, n_places, holds_labels, n_written: 0 })
    }

    /// Appends the values of all maps at the next place.
    ///
    /// # Errors
    /// If there are more or fewer values than maps, the file holds labels, or it cannot be written.
    pub fn write_place(&mut self, values: &[f32]) -> Result<(), CiftiError> {
        if self.holds_labels {
            return Err(self.kind("labels", "values"));
        }
        self.append(values.len(), values.iter().flat_map(|value| value.to_le_bytes()))
    }

    /// Appends the keys of all maps at the next place.
    ///
    /// # Errors
    /// If there are more or fewer keys than maps, the file holds no labels, or it cannot be written.
    pub fn write_place_keys(&mut self, keys: &[i32]) -> Result<(), CiftiError> {
        if !self.holds_labels {
            return Err(self.kind("values", "labels"));
        }
        self.append(keys.len(), keys.iter().flat_map(|key| key.to_le_bytes()))
    }

    fn kind(&self, found: &'static str, expected: &'static str) -> CiftiError {
        CiftiError::Kind { path: self.path.clone(), found, expected }
    }

    fn append(&mut self, found: usize, bytes: impl Iterator<Item = u8>) -> Result<(), CiftiError> {
        self.check_count("values of a place", found, self.n_maps)?;
        let bytes: Vec<u8> = bytes.collect();
        self.n_written += 1;
        Ok(self.file.write_all(&bytes).map_err(io_error(&self.path))?)
    }

    fn check_count(&self, what: &'static str, found: usize, expected: usize) -> Result<(), NiftiError> {
        if found == expected {
            return Ok(());
        }
        Err(NiftiError::Count { path: self.path.clone(), what, found, expected })
    }

    /// Closes the file.
    ///
    /// # Errors
    /// If fewer or more places were written than there are, or the file cannot be written.
    pub fn finish(mut self) -> Result<(), CiftiError> {
        self.check_count("places", self.n_written, self.n_places)?;
        Ok(self.file.flush().map_err(io_error(&self.path))?)
    }
}

/// Writes maps of values: `values` has a row for each map.
///
/// # Errors
/// If the number of values is not that of maps times places, the matrix is one of labels, or the file cannot be written.
pub fn write_maps(path: &Path, matrix: &Matrix, values: &[f32]) -> Result<(), CiftiError> {
    write_columns(path, matrix, values, CiftiWriter::write_place)
}

/// Writes maps of labels: `keys` has a row for each map.
///
/// # Errors
/// If the number of keys is not that of maps times places, a key has no label (but for 0, which stands for none), the
/// matrix is not one of labels, or the file cannot be written.
pub fn write_keys(path: &Path, matrix: &Matrix, keys: &[i32]) -> Result<(), CiftiError> {
    if let Maps::Labels(maps) = &matrix.maps {
        for (map, keys) in maps.iter().zip(keys.chunks(matrix.places.len().max(1))) {
            let known = |key: &i32| *key == 0 || map.labels.iter().any(|label| label.key == *key);
            if let Some((place, &key)) = keys.iter().enumerate().find(|(_, key)| !known(key)) {
                let expected = "a key of the map's label table";
                let (path, map) = (path.to_owned(), map.name.clone());
                return Err(CiftiError::Label { path, found: f64::from(key), place, map, expected });
            }
        }
    }
    write_columns(path, matrix, keys, CiftiWriter::write_place_keys)
}

fn write_columns<T: Copy>(
    path: &Path,
    matrix: &Matrix,
    values: &[T],
    write: impl Fn(&mut CiftiWriter, &[T]) -> Result<(), CiftiError>,
) -> Result<(), CiftiError> {
    let (n_maps, n_places) = (matrix.maps.len(), matrix.places.len());
    let (found, expected) = (values.len(), n_maps.saturating_mul(n_places));
    if found != expected {
        return Err(NiftiError::Count { path: path.to_owned(), what: "values", found, expected }.into());
    }
    let mut writer = CiftiWriter::create(path, matrix)?;
    let mut column = Vec::with_capacity(n_maps);
    for place in 0..n_places {
        column.clear();
        column.extend((0..n_maps).map(|map| values[map * n_places + place]));
        write(&mut writer, &column)?;
    }
    writer.finish()
}

/// Code and name by which the header says what the file is (CIFTI-2 standard, with its spelling).
///
/// Labels of parcels have no code of their own and go by that of the unknown kind, as Workbench writes them.
fn intent(matrix: &Matrix) -> (i32, &'static str) {
    match (&matrix.maps, &matrix.places) {
        (Maps::Series(_), Places::Dense(_)) => (3002, "ConnDenseSeries"),
        (Maps::Scalars(_), Places::Dense(_)) => (3006, "ConnDenseScalar"),
        (Maps::Labels(_), Places::Dense(_)) => (3007, "ConnDenseLabel"),
        (Maps::Series(_), Places::Parcels(_)) => (3004, "ConnParcelSries"),
        (Maps::Scalars(_), Places::Parcels(_)) => (3008, "ConnParcelScalr"),
        (Maps::Labels(_), Places::Parcels(_)) => (3000, "ConnUnknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        BrainModelKind, BrainModels, CiftiReader, Label, LabelMap, NamedMap, Parcel, Parcels, Series, Structure,
        VolumeSpace,
    };
    use super::*;

    const AFFINE: [[f64; 4]; 4] =
        [[-1.6, 0.0, 0.0, 90.0], [0.0, 1.6, 0.1, -126.0], [0.0, 0.0, 2.0, -72.0], [0.0, 0.0, 0.0, 1.0]];

    fn places() -> BrainModels {
        let surface = BrainModelKind::Surface { n_vertices: 8, vertices: vec![7, 0, 3] };
        let voxels = BrainModelKind::Voxels { ijk: vec![[1, 2, 3], [0, 0, 0]] };
        BrainModels::new(
            [(Structure::new("CORTEX_RIGHT").unwrap(), surface), (Structure::new("OTHER").unwrap(), voxels)],
            Some(VolumeSpace::new([2, 3, 4], AFFINE).unwrap()),
        )
        .unwrap()
    }

    fn every(n: usize) -> Vec<usize> {
        (0..n).collect()
    }

    #[test]
    fn values_come_back_and_equal_values_are_equal_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let scalars = Maps::Scalars(vec![NamedMap::new("a < b"), NamedMap::new("\"c\" & d\ne")]);
        let series = Maps::Series(Series::seconds(2, 0.72));
        let values: Vec<f32> = (0..10).map(|n| n as f32 / 3.0).collect();
        for maps in [scalars, series] {
            let matrix = Matrix { metadata: vec![("Note".into(), "x\ty".into())], ..Matrix::dense(maps, places()) };
            let written = ["a.nii", "b.nii"].map(|name| {
                let path = folder.path().join(name);
                write_maps(&path, &matrix, &values).unwrap();
                let mut reader = CiftiReader::open(&path).unwrap();
                assert_eq!(reader.info().matrix, matrix);
                let mut read = vec![0.0; 10];
                reader.read_rows(&every(5), &every(2), &mut read).unwrap();
                assert_eq!(read, values);
                std::fs::read(&path).unwrap()
            });
            assert_eq!(written[0], written[1]);
        }
    }

    #[test]
    fn labels_and_parcels_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.plabel.nii");
        let labels = vec![Label { key: 70_000, name: "V1 'é'".to_owned(), rgba: [0.1, 0.2, 0.3, 1.0] }];
        let maps = Maps::Labels(vec![LabelMap { name: "m".to_owned(), labels, metadata: Vec::new() }]);
        let left = Structure::new("CORTEX_LEFT").unwrap();
        let parcel = |name: &str, vertices, voxels| Parcel { name: name.to_owned(), vertices, voxels };
        let parcels =
            vec![parcel("one\n&", vec![(left.clone(), vec![2, 1])], vec![]), parcel("two", vec![], vec![[1, 1, 1]])];
        let volume = Some(VolumeSpace::new([2, 3, 4], AFFINE).unwrap());
        let parcels = Parcels::new(parcels, vec![(left, 4)], volume).unwrap();
        let matrix = Matrix { maps, places: Places::Parcels(parcels), metadata: Vec::new() };
        write_keys(&path, &matrix, &[0, 70_000]).unwrap();
        let mut reader = CiftiReader::open(&path).unwrap();
        assert_eq!(reader.info().matrix, matrix);
        assert_eq!(reader.read_keys().unwrap(), [[0, 70_000]]);
        let error = write_keys(&path, &matrix, &[1, 0]).unwrap_err();
        assert!(error.to_string().contains("the label 1 at place 0 of map `m`, expected a key"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.dscalar.nii");
        let named = |name: &str| Matrix::dense(Maps::Scalars(vec![NamedMap::new(name)]), places());
        assert!(matches!(CiftiWriter::create(&path, &named("a\u{1}")), Err(CiftiError::Name { .. })));
        let mut writer = CiftiWriter::create(&path, &named("a")).unwrap();
        assert!(writer.write_place(&[1.0, 2.0]).is_err());
        assert!(matches!(writer.write_place_keys(&[1]), Err(CiftiError::Kind { found: "values", .. })));
        writer.write_place(&[1.0]).unwrap();
        let error = writer.finish().unwrap_err().to_string();
        assert!(error.starts_with("1 places for") && error.ends_with("expected 5"), "{error}");
        assert!(write_maps(&path, &named("a"), &[0.0; 4]).is_err());
        assert!(matches!(CiftiReader::open(&path), Err(CiftiError::File(NiftiError::TooShort { .. }))));
    }
}
