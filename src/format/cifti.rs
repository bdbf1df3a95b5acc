//! CIFTI-2 files: values on surfaces and in volumes at once, as the Human Connectome Project distributes them.
//!
//! A file is a matrix of maps (points of a series, scalars or labels) by places (vertices and voxels, or parcels) in a
//! NIfTI-2 file, with XML in a header extension that says what both are. In the file the values of one place follow each
//! other; readers such as nibabel show the maps as rows. [`CiftiReader`] takes values out place by place, so that a matrix
//! larger than memory is no matter; [`CiftiWriter`] puts them in. Read and written: `.dtseries.nii`, `.dscalar.nii`,
//! `.dlabel.nii` and the same over parcels. Connectivity (`.dconn.nii` and its kind) is refused by name.
//!
//! What places and labels mean for an analysis is for [`crate::brain`].

mod compose;
mod error;
mod maps;
mod parcels;
mod parse;
mod places;
mod read;
mod space;
mod write;
mod xml;

use std::path::Path;

pub use error::CiftiError;
pub use maps::{Label, LabelMap, Maps, Metadata, NamedMap, Series, SeriesUnit};
pub use parcels::{Parcel, Parcels};
pub use places::{BrainModel, BrainModelKind, BrainModels, Place, PlacesDifference, Position};
pub use read::{CiftiInfo, CiftiReader, read_cifti_info};
pub use space::{PlacesError, Structure, VolumeSpace};
pub use write::{CiftiWriter, write_keys, write_maps};

/// Code of the header extension that holds the XML (NIfTI's register of extensions).
const EXTENSION_CODE: i32 = 32;

/// What the rows and columns of a file are.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The maps, which vary fastest in the file.
    pub maps: Maps,
    /// The places.
    pub places: Places,
    /// What else the writer noted.
    pub metadata: Metadata,
}

/// Where the values of a file lie.
#[derive(Debug, Clone, PartialEq)]
pub enum Places {
    /// Single vertices and voxels.
    Dense(BrainModels),
    /// Groups of them.
    Parcels(Parcels),
}

impl Places {
    /// Number of places.
    pub fn len(&self) -> usize {
        match self {
            Places::Dense(models) => models.len(),
            Places::Parcels(parcels) => parcels.parcels().len(),
        }
    }

    /// Whether there is no place.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Matrix {
    /// Maps over single vertices and voxels, without notes.
    pub fn dense(maps: Maps, places: BrainModels) -> Self {
        Matrix { maps, places: Places::Dense(places), metadata: Metadata::new() }
    }

    /// What such a file is called.
    pub fn kind(&self) -> &'static str {
        match (&self.maps, &self.places) {
            (Maps::Series(_), Places::Dense(_)) => "a dense series (`.dtseries.nii`)",
            (Maps::Scalars(_), Places::Dense(_)) => "dense scalars (`.dscalar.nii`)",
            (Maps::Labels(_), Places::Dense(_)) => "dense labels (`.dlabel.nii`)",
            (Maps::Series(_), Places::Parcels(_)) => "a series of parcels (`.ptseries.nii`)",
            (Maps::Scalars(_), Places::Parcels(_)) => "scalars of parcels (`.pscalar.nii`)",
            (Maps::Labels(_), Places::Parcels(_)) => "labels of parcels (`.plabel.nii`)",
        }
    }
}

/// Reads the XML of a CIFTI file from bytes; `path` only serves the error messages.
///
/// # Errors
/// If it is no UTF-8, no XML, or does not describe a believable matrix of maps by places.
pub fn parse_xml(path: &Path, bytes: &[u8]) -> Result<Matrix, CiftiError> {
    let error = |offset, reason| CiftiError::Xml { path: path.to_owned(), offset, reason };
    let text = std::str::from_utf8(bytes)
        .map_err(|found| error(found.valid_up_to() as u64, "it is not UTF-8 there".to_owned()))?;
    // Zeros pad the extension; some writers set the mark of UTF-8 before it.
    let text = text.trim_end_matches('\0').trim_start_matches('\u{feff}');
    parse::matrix(text).map_err(|found| error(found.offset, found.reason))
}

/// Writes the XML that describes a matrix; equal matrices give equal texts. `path` only serves the error messages.
///
/// # Errors
/// If a name or note holds a control character, which XML cannot express.
pub fn compose_xml(path: &Path, matrix: &Matrix) -> Result<String, CiftiError> {
    match compose::unwritable(matrix) {
        Some(text) => Err(CiftiError::Name { path: path.to_owned(), text: text.to_owned() }),
        None => Ok(compose::document(matrix)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALARS: &str = r#"<MatrixIndicesMap AppliesToMatrixDimension="0" IndicesMapToDataType="CIFTI_INDEX_TYPE_SCALARS"><NamedMap><MapName>m</MapName></NamedMap></MatrixIndicesMap>"#;
    const SURFACE: &str = r#"<BrainModel IndexOffset="0" IndexCount="2" ModelType="CIFTI_MODEL_TYPE_SURFACE" BrainStructure="CIFTI_STRUCTURE_CORTEX_LEFT" SurfaceNumberOfVertices="9"><VertexIndices>4 8</VertexIndices></BrainModel>"#;
    const VOLUME: &str = r#"<Volume VolumeDimensions="3,3,3"><TransformationMatrixVoxelIndicesIJKtoXYZ MeterExponent="-3">2 0 0 -1 0 2 0 -2 0 0 2 -3 0 0 0 1</TransformationMatrixVoxelIndicesIJKtoXYZ></Volume>"#;
    const VOXELS: &str = r#"<BrainModel IndexOffset="2" IndexCount="1" ModelType="CIFTI_MODEL_TYPE_VOXELS" BrainStructure="CIFTI_STRUCTURE_AMYGDALA_LEFT"><VoxelIndicesIJK>0 1 2</VoxelIndicesIJK></BrainModel>"#;

    fn document(places: &str) -> String {
        let places = format!(
            "<MatrixIndicesMap AppliesToMatrixDimension=\"1\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_BRAIN_MODELS\">{places}</MatrixIndicesMap>"
        );
        format!("<CIFTI Version=\"2\"><Matrix>{SCALARS}{places}</Matrix></CIFTI>")
    }

    fn parse(text: &str) -> Result<Matrix, CiftiError> {
        parse_xml(Path::new("x.dscalar.nii"), text.as_bytes())
    }

    fn refuse(places: &str) -> String {
        parse(&document(places)).unwrap_err().to_string()
    }

    #[test]
    fn models_are_read_in_the_order_of_their_values() {
        let matrix = parse(&document(&format!("{VOXELS}{SURFACE}{VOLUME}"))).unwrap();
        let Places::Dense(places) = &matrix.places else { panic!("{matrix:?}") };
        let names: Vec<String> = places.places().map(|place| place.to_string()).collect();
        assert_eq!(names, ["CORTEX_LEFT vertex 4", "CORTEX_LEFT vertex 8", "AMYGDALA_LEFT voxel 0 1 2"]);
        assert_eq!(places.place(2).unwrap().position, Position::Voxel { ijk: [0, 1, 2], mm: [-1.0, 0.0, 1.0] });
        assert_eq!(matrix.maps, Maps::Scalars(vec![NamedMap::new("m")]));
        assert_eq!(parse(&compose::document(&matrix)).unwrap(), matrix);
    }

    #[test]
    fn padding_and_marks_around_the_document_are_passed_over() {
        assert!(parse(&format!("\u{feff}{}\0\0\0", document(SURFACE))).is_ok());
    }

    #[test]
    fn meters_become_millimetres() {
        let in_meters = VOLUME.replace("\"-3\"", "\"0\"").replace("2 0 0 -1", "0.002 0 0 -0.001");
        let matrix = parse(&document(&format!("{in_meters}{SURFACE}"))).unwrap();
        let Places::Dense(places) = &matrix.places else { panic!("{matrix:?}") };
        assert_eq!(places.volume().unwrap().affine[0], [2.0, 0.0, 0.0, -1.0]);
        assert!(refuse(&VOLUME.replace("\"-3\"", "\"300\"")).contains("1e300 m"));
    }

    #[test]
    fn wrong_counts_and_offsets_are_errors() {
        for (from, to, expected) in [
            ("IndexCount=\"2\"", "IndexCount=\"3\"", "CORTEX_LEFT lists 2 places, expected 3"),
            ("IndexCount=\"2\"", "IndexCount=\"-2\"", "`IndexCount` of `BrainModel` is \"-2\""),
            ("IndexOffset=\"0\"", "IndexOffset=\"1\"", "begin at index 1, expected 0"),
            ("IndexOffset=\"0\"", "IndexOffset=\"99999999999999999999\"", "\"99999999999999999999\", expected"),
            ("4 8", "4 9", "vertex 9 of CORTEX_LEFT, whose surface has 9 vertices"),
            ("4 8", "4 4", "vertex 4 of CORTEX_LEFT is listed twice"),
            ("4 8", "4 -8", "holds \"-8\", expected indices of vertices"),
            ("4 8", "4 8.5", "holds \"8.5\""),
            ("=\"9\"", "=\"4294967296\"", "`SurfaceNumberOfVertices` of `BrainModel` is \"4294967296\""),
            ("CORTEX_LEFT", "cortex", "is no name of a structure"),
            ("<VertexIndices>4 8</VertexIndices>", "", "lists no places"),
            ("_SURFACE\"", "_CURVE\"", "neither of surface nor of voxels"),
        ] {
            assert!(SURFACE.contains(from), "{from}");
            let text = refuse(&SURFACE.replace(from, to));
            assert!(text.contains(expected), "{to}: {text}");
        }
        let twice = SURFACE.replace("Offset=\"0\"", "Offset=\"2\"").replace("4 8", "1 2");
        assert!(refuse(&format!("{SURFACE}{twice}")).contains("described twice"));
    }

    #[test]
    fn impossible_volumes_are_errors() {
        for (from, to, expected) in [
            (VOLUME, "", "no volume says where they lie"),
            ("3,3,3", "3,2,2", "voxel [0, 1, 2] lies outside the volume of [3, 2, 2]"),
            ("3,3,3", "3,3", "is not three lengths"),
            ("3,3,3", "99999999,99999999,99999999", "expected between 1 and 1073741824 voxels"),
            ("0 1 2<", "0 1<", "holds 2 numbers, expected three for each voxel"),
            ("2 0 0 -1", "2 0 0 NaN", "expected finite numbers that can be inverted"),
            ("2 0 0 -1", "0 0 0 -1", "expected finite numbers that can be inverted"),
            ("0 0 0 1<", "0 0 0 1 0<", "a transformation has 17 numbers"),
            ("0 0 0 1<", "0 0 0 2<", "expected finite numbers that can be inverted"),
        ] {
            let text = refuse(&format!("{VOLUME}{SURFACE}{VOXELS}").replace(from, to));
            assert!(text.contains(expected), "{to}: {text}");
        }
    }

    #[test]
    fn missing_or_strange_dimensions_are_named() {
        let refuse = |from: &str, to: &str| {
            let whole = document(SURFACE);
            assert!(whole.contains(from), "{from}");
            parse(&whole.replace(from, to)).unwrap_err().to_string()
        };
        assert!(refuse(SCALARS, "").contains("nothing describes dimension 0"));
        assert!(refuse(SCALARS, &format!("{SCALARS}{SCALARS}")).contains("is described twice"));
        assert!(refuse("Dimension=\"1\"", "Dimension=\"0,1\"").contains("connectivity is not read"));
        assert!(refuse("Dimension=\"1\"", "Dimension=\"2\"").contains("is unexpected"));
        assert!(refuse("Dimension=\"0\"", "Dimension=\"1\"").contains("consists of maps"));
        assert!(refuse("Version=\"2\"", "Version=\"1\"").contains("-cifti-version-convert"));
        assert!(refuse("Version=\"2\"", "").contains("`CIFTI` has no attribute `Version`"));
        assert!(refuse("<MapName>m</MapName>", "").contains("has no `MapName`"));
        assert!(refuse("TYPE_SCALARS", "TYPE_MOODS").contains("which CIFTI-2 does not know"));
        assert!(refuse("</CIFTI>", "</CIFTI><CIFTI/>").contains("another element follows"));
        assert!(refuse("</Matrix>", "</Matrix><Matrix></Matrix>").contains("several matrices"));
        assert!(refuse("<CIFTI", "<!DOCTYPE x><CIFTI").contains("declares a document type"));
        assert!(parse("").unwrap_err().to_string().contains("does not begin with the element `CIFTI`"));
        let error = parse_xml(Path::new("x.nii"), b"<CIFTI Version='2'>\xff</CIFTI>").unwrap_err();
        assert!(matches!(error, CiftiError::Xml { offset: 19, .. }), "{error}");
    }

    #[test]
    fn label_tables_are_read_and_repeated_keys_refused() {
        let table = r#"<LabelTable><Label Key="-1" Red="0" Green="0.5" Blue="1" Alpha="0">A &amp; B</Label></LabelTable><MapName>"#;
        let whole = document(SURFACE).replace("TYPE_SCALARS", "TYPE_LABELS").replace("<MapName>", table);
        let Maps::Labels(maps) = parse(&whole).unwrap().maps else { panic!("{whole}") };
        let label = Label { key: -1, name: "A & B".to_owned(), rgba: [0.0, 0.5, 1.0, 0.0] };
        assert_eq!(maps, [LabelMap { name: "m".to_owned(), labels: vec![label], metadata: Vec::new() }]);
        let twice =
            whole.replace("</LabelTable>", "<Label Key='-1' Red='0' Green='0' Blue='0' Alpha='0'/></LabelTable>");
        assert!(parse(&twice).unwrap_err().to_string().contains("two labels have the key -1"));
        assert!(parse(&whole.replace("0.5", "inf")).unwrap_err().to_string().contains("`Green` of `Label` is inf"));
        assert!(
            parse(&whole.replace("\"-1\"", "\"3000000000\"")).unwrap_err().to_string().contains("`Key` of `Label`")
        );
    }
}
