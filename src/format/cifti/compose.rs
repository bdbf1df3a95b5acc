//! A matrix to the XML that describes it: the same matrix, the same text.

use std::fmt::Write;

use quick_xml::escape::escape;

use super::maps::{Label, Maps, Metadata, Series};
use super::parcels::Parcels;
use super::places::{BrainModelKind, BrainModels};
use super::space::VolumeSpace;
use super::{Matrix, Places};

/// Writing into a string, which has no way to fail.
macro_rules! push {
    ($text:expr, $($part:tt)*) => { write!($text, $($part)*).expect("strings take any text") };
}

pub(super) fn document(matrix: &Matrix) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CIFTI Version=\"2\"><Matrix>");
    metadata(&mut xml, &matrix.metadata);
    maps(&mut xml, &matrix.maps);
    match &matrix.places {
        Places::Dense(places) => brain_models(&mut xml, places),
        Places::Parcels(places) => parcels(&mut xml, places),
    }
    xml.push_str("</Matrix></CIFTI>\n");
    xml
}

/// A text that XML cannot express, if there is one: a control character other than white space.
pub(super) fn unwritable(matrix: &Matrix) -> Option<&str> {
    fn noted<'a>(texts: &mut Vec<&'a String>, metadata: &'a Metadata) {
        texts.extend(metadata.iter().flat_map(|(name, value)| [name, value]));
    }
    let mut texts = Vec::new();
    noted(&mut texts, &matrix.metadata);
    match &matrix.maps {
        Maps::Series(_) => {}
        Maps::Scalars(maps) => {
            for map in maps {
                texts.push(&map.name);
                noted(&mut texts, &map.metadata);
            }
        }
        Maps::Labels(maps) => {
            for map in maps {
                texts.push(&map.name);
                texts.extend(map.labels.iter().map(|label| &label.name));
                noted(&mut texts, &map.metadata);
            }
        }
    }
    if let Places::Parcels(parcels) = &matrix.places {
        texts.extend(parcels.parcels().iter().map(|parcel| &parcel.name));
    }
    let control = |character: char| {
        character.is_control() && !"\n\t".contains(character) || "\u{fffe}\u{ffff}".contains(character)
    };
    texts.into_iter().find(|text| text.contains(control)).map(String::as_str)
}

fn metadata(xml: &mut String, entries: &Metadata) {
    if entries.is_empty() {
        return;
    }
    xml.push_str("<MetaData>");
    for (name, value) in entries {
        push!(xml, "<MD><Name>{}</Name><Value>{}</Value></MD>", escape(name.as_str()), escape(value.as_str()));
    }
    xml.push_str("</MetaData>");
}

fn indices_map(xml: &mut String, dimension: usize, kind: &str) {
    let attributes =
        format!("AppliesToMatrixDimension=\"{dimension}\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_{kind}\"");
    push!(xml, "<MatrixIndicesMap {attributes}");
}

fn maps(xml: &mut String, maps: &Maps) {
    match maps {
        Maps::Series(Series { n_points, start, step, exponent, unit }) => {
            indices_map(xml, 0, "SERIES");
            push!(xml, " NumberOfSeriesPoints=\"{n_points}\" SeriesExponent=\"{exponent}\" SeriesStart=\"{start}\"");
            push!(xml, " SeriesStep=\"{step}\" SeriesUnit=\"{}\">", unit.name());
        }
        Maps::Scalars(maps) => {
            indices_map(xml, 0, "SCALARS");
            xml.push('>');
            maps.iter().for_each(|map| named_map(xml, &map.name, &map.metadata, None));
        }
        Maps::Labels(maps) => {
            indices_map(xml, 0, "LABELS");
            xml.push('>');
            maps.iter().for_each(|map| named_map(xml, &map.name, &map.metadata, Some(&map.labels)));
        }
    }
    xml.push_str("</MatrixIndicesMap>");
}

fn named_map(xml: &mut String, name: &str, notes: &Metadata, labels: Option<&[Label]>) {
    xml.push_str("<NamedMap>");
    metadata(xml, notes);
    if let Some(labels) = labels {
        xml.push_str("<LabelTable>");
        for Label { key, name, rgba: [red, green, blue, alpha] } in labels {
            push!(xml, "<Label Key=\"{key}\" Red=\"{red}\" Green=\"{green}\" Blue=\"{blue}\" Alpha=\"{alpha}\">");
            push!(xml, "{}</Label>", escape(name.as_str()));
        }
        xml.push_str("</LabelTable>");
    }
    push!(xml, "<MapName>{}</MapName></NamedMap>", escape(name));
}

fn brain_models(xml: &mut String, places: &BrainModels) {
    indices_map(xml, 1, "BRAIN_MODELS");
    xml.push('>');
    places.volume().iter().for_each(|volume| volume_element(xml, volume));
    for model in places.models() {
        let kind = match model.kind {
            BrainModelKind::Surface { .. } => "SURFACE",
            BrainModelKind::Voxels { .. } => "VOXELS",
        };
        push!(xml, "<BrainModel IndexOffset=\"{}\" IndexCount=\"{}\"", model.offset(), model.count());
        push!(xml, " ModelType=\"CIFTI_MODEL_TYPE_{kind}\" BrainStructure=\"{}\"", model.structure.full_name());
        match &model.kind {
            BrainModelKind::Surface { n_vertices, vertices } => {
                push!(xml, " SurfaceNumberOfVertices=\"{n_vertices}\"><VertexIndices>");
                numbers(xml, vertices);
                xml.push_str("</VertexIndices>");
            }
            BrainModelKind::Voxels { ijk } => {
                xml.push('>');
                voxels(xml, ijk);
            }
        }
        xml.push_str("</BrainModel>");
    }
    xml.push_str("</MatrixIndicesMap>");
}

fn parcels(xml: &mut String, places: &Parcels) {
    indices_map(xml, 1, "PARCELS");
    xml.push('>');
    places.volume().iter().for_each(|volume| volume_element(xml, volume));
    for (structure, n_vertices) in places.surfaces() {
        let structure = structure.full_name();
        push!(xml, "<Surface BrainStructure=\"{structure}\" SurfaceNumberOfVertices=\"{n_vertices}\"/>");
    }
    for parcel in places.parcels() {
        // Readers turn white space in attributes into blanks unless it is written by number.
        let name = escape(parcel.name.as_str()).replace('\n', "&#10;").replace('\t', "&#9;");
        push!(xml, "<Parcel Name=\"{name}\">");
        for (structure, vertices) in &parcel.vertices {
            push!(xml, "<Vertices BrainStructure=\"{}\">", structure.full_name());
            numbers(xml, vertices);
            xml.push_str("</Vertices>");
        }
        if !parcel.voxels.is_empty() {
            voxels(xml, &parcel.voxels);
        }
        xml.push_str("</Parcel>");
    }
    xml.push_str("</MatrixIndicesMap>");
}

fn volume_element(xml: &mut String, volume: &VolumeSpace) {
    let [nx, ny, nz] = volume.shape;
    push!(xml, "<Volume VolumeDimensions=\"{nx},{ny},{nz}\">");
    xml.push_str("<TransformationMatrixVoxelIndicesIJKtoXYZ MeterExponent=\"-3\">");
    numbers(xml, volume.affine.as_flattened());
    xml.push_str("</TransformationMatrixVoxelIndicesIJKtoXYZ></Volume>");
}

fn voxels(xml: &mut String, ijk: &[[u32; 3]]) {
    xml.push_str("<VoxelIndicesIJK>");
    for [i, j, k] in ijk {
        push!(xml, "{i} {j} {k}\n");
    }
    xml.push_str("</VoxelIndicesIJK>");
}

fn numbers<T: std::fmt::Display>(xml: &mut String, numbers: &[T]) {
    for (position, number) in numbers.iter().enumerate() {
        let space = if position == 0 { "" } else { " " };
        push!(xml, "{space}{number}");
    }
}
