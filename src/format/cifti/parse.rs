//! The XML of a CIFTI file to the matrix it describes.
//!
//! Follows the CIFTI-2 standard: one `Matrix` with a `MatrixIndicesMap` for each of its two dimensions. Dimension 0 is the
//! one that varies fastest and says which maps there are, dimension 1 says which places.

use std::collections::BTreeSet;

use super::maps::{Label, LabelMap, Maps, Metadata, NamedMap, Series, SeriesUnit};
use super::parcels::{Parcel, Parcels};
use super::places::{BrainModelKind, BrainModels};
use super::space::{PlacesError, Structure, VolumeSpace};
use super::xml::{Element, Xml, XmlError, numbers};
use super::{Matrix, Places};

/// Powers of ten of a meter that a volume is believed to be measured in: from femtometers to kilometers.
const METER_EXPONENTS: std::ops::RangeInclusive<i32> = -15..=3;
const MILLIMETER_EXPONENT: i32 = -3;

type Parsed<T> = Result<T, XmlError>;

/// One dimension of a matrix.
enum Axis {
    Maps(Maps),
    Places(Places),
}

pub(super) fn matrix(text: &str) -> Parsed<Matrix> {
    let mut xml = Xml::new(text);
    let Some(root) = xml.child()?.filter(|root| root.name == "CIFTI") else {
        return Err(xml.error("it does not begin with the element `CIFTI`"));
    };
    match root.required("Version")? {
        "2" | "2.0" => {}
        "1" | "1.0" => {
            let hint = "convert it with `wb_command -file-convert -cifti-version-convert IN 2 OUT`";
            return Err(root.error(format!("it is CIFTI-1, expected CIFTI-2: {hint}")));
        }
        other => return Err(root.error(format!("it has version {other:?}, expected 2"))),
    }
    let mut found = None;
    while let Some(element) = xml.child()? {
        if element.name == "Matrix" && found.is_none() {
            found = Some(matrix_element(&mut xml, &element)?);
        } else if element.name == "Matrix" {
            return Err(element.error("it has several matrices"));
        } else {
            xml.skip()?;
        }
    }
    if xml.child()?.is_some() {
        return Err(xml.error("another element follows `CIFTI`"));
    }
    found.ok_or_else(|| root.error("it has no `Matrix`"))
}

fn matrix_element(xml: &mut Xml<'_>, matrix: &Element) -> Parsed<Matrix> {
    let (mut maps, mut places, mut metadata) = (None, None, Metadata::new());
    while let Some(element) = xml.child()? {
        match element.name.as_str() {
            "MetaData" => metadata = metadata_element(xml)?,
            "MatrixIndicesMap" => {
                let dimension = element.required("AppliesToMatrixDimension")?;
                let refuse = |what: &str| element.error(format!("dimension {dimension:?} of the matrix {what}"));
                match dimension {
                    "0" | "1" => {}
                    "0,1" | "1,0" | "0, 1" => return Err(refuse("pairs places with places: connectivity is not read")),
                    _ => return Err(refuse("is unexpected, a matrix of the dimensions 0 and 1 is read")),
                }
                match (axis(xml, &element)?, dimension) {
                    (Axis::Maps(found), "0") if maps.is_none() => maps = Some(found),
                    (Axis::Places(found), "1") if places.is_none() => places = Some(found),
                    (Axis::Maps(_), "0") | (Axis::Places(_), "1") => return Err(refuse("is described twice")),
                    (Axis::Maps(_), _) => return Err(refuse("consists of maps, expected brain models or parcels")),
                    (Axis::Places(_), _) => {
                        return Err(refuse("consists of places, expected a series, scalars or labels"));
                    }
                }
            }
            _ => xml.skip()?,
        }
    }
    match (maps, places) {
        (Some(maps), Some(places)) => Ok(Matrix { maps, places, metadata }),
        (None, _) => Err(matrix.error("nothing describes dimension 0 of the matrix")),
        (_, None) => Err(matrix.error("nothing describes dimension 1 of the matrix")),
    }
}

fn axis(xml: &mut Xml<'_>, map: &Element) -> Parsed<Axis> {
    Ok(match map.required("IndicesMapToDataType")? {
        "CIFTI_INDEX_TYPE_BRAIN_MODELS" => Axis::Places(Places::Dense(brain_models(xml, map)?)),
        "CIFTI_INDEX_TYPE_PARCELS" => Axis::Places(Places::Parcels(parcels(xml, map)?)),
        "CIFTI_INDEX_TYPE_SERIES" => {
            let series = series(map)?;
            xml.skip()?;
            Axis::Maps(Maps::Series(series))
        }
        "CIFTI_INDEX_TYPE_SCALARS" => {
            let maps = label_maps(xml)?.into_iter();
            Axis::Maps(Maps::Scalars(maps.map(|LabelMap { name, metadata, .. }| NamedMap { name, metadata }).collect()))
        }
        "CIFTI_INDEX_TYPE_LABELS" => Axis::Maps(Maps::Labels(label_maps(xml)?)),
        other => {
            let other: String = other.chars().take(60).collect();
            return Err(map.error(format!("its indices are {other:?}, which CIFTI-2 does not know")));
        }
    })
}

fn series(map: &Element) -> Parsed<Series> {
    let finite = |name: &str| {
        let value: f64 = map.number(name, "a number")?;
        if value.is_finite() { Ok(value) } else { Err(map.error(format!("attribute `{name}` is {value}"))) }
    };
    let unit = map.required("SeriesUnit")?;
    Ok(Series {
        n_points: map.number("NumberOfSeriesPoints", "a number of points")?,
        start: finite("SeriesStart")?,
        step: finite("SeriesStep")?,
        exponent: map.number("SeriesExponent", "a whole number")?,
        unit: SeriesUnit::from_name(unit)
            .ok_or_else(|| map.error("attribute `SeriesUnit` is not SECOND, HERTZ, METER or RADIAN"))?,
    })
}

fn label_maps(xml: &mut Xml<'_>) -> Parsed<Vec<LabelMap>> {
    let mut maps = Vec::new();
    while let Some(element) = xml.child()? {
        if element.name != "NamedMap" {
            xml.skip()?;
            continue;
        }
        let (mut map, mut name) = (LabelMap::default(), None);
        while let Some(part) = xml.child()? {
            match part.name.as_str() {
                "MapName" => name = Some(xml.text(&part)?),
                "MetaData" => map.metadata = metadata_element(xml)?,
                "LabelTable" => map.labels = label_table(xml)?,
                _ => xml.skip()?,
            }
        }
        map.name = name.ok_or_else(|| element.error("a `NamedMap` has no `MapName`"))?;
        maps.push(map);
    }
    Ok(maps)
}

fn label_table(xml: &mut Xml<'_>) -> Parsed<Vec<Label>> {
    let (mut labels, mut keys) = (Vec::new(), BTreeSet::new());
    while let Some(element) = xml.child()? {
        if element.name != "Label" {
            xml.skip()?;
            continue;
        }
        let key = element.number("Key", "a whole number of 32 bits")?;
        if !keys.insert(key) {
            return Err(element.error(format!("two labels have the key {key}")));
        }
        let mut rgba = [0.0_f32; 4];
        for (slot, name) in rgba.iter_mut().zip(["Red", "Green", "Blue", "Alpha"]) {
            *slot = element.number(name, "a number from 0 to 1")?;
            if !slot.is_finite() {
                return Err(
                    element.error(format!("attribute `{name}` of `Label` is {slot}, expected a number from 0 to 1"))
                );
            }
        }
        labels.push(Label { key, name: xml.text(&element)?, rgba });
    }
    Ok(labels)
}

fn metadata_element(xml: &mut Xml<'_>) -> Parsed<Metadata> {
    let mut metadata = Metadata::new();
    while let Some(element) = xml.child()? {
        if element.name != "MD" {
            xml.skip()?;
            continue;
        }
        let mut entry = (String::new(), String::new());
        while let Some(part) = xml.child()? {
            match part.name.as_str() {
                "Name" => entry.0 = xml.text(&part)?,
                "Value" => entry.1 = xml.text(&part)?,
                _ => xml.skip()?,
            }
        }
        metadata.push(entry);
    }
    Ok(metadata)
}

fn brain_models(xml: &mut Xml<'_>, map: &Element) -> Parsed<BrainModels> {
    let (mut models, mut volume) = (Vec::new(), None);
    while let Some(element) = xml.child()? {
        match element.name.as_str() {
            "Volume" if volume.is_none() => volume = Some(volume_element(xml, &element)?),
            "Volume" => return Err(element.error("its volume is described twice")),
            "BrainModel" => models.push(brain_model(xml, &element)?),
            _ => xml.skip()?,
        }
    }
    models.sort_by_key(|&(offset, ..)| offset);
    let mut expected = 0;
    for (found, count, structure, _) in &models {
        if *found != expected {
            return Err(map.error(format!("the values of {structure} begin at index {found}, expected {expected}")));
        }
        expected += count;
    }
    let structures = models.into_iter().map(|(_, _, structure, kind)| (structure, kind));
    BrainModels::new(structures, volume).map_err(|error| map.error(error.to_string()))
}

fn brain_model(xml: &mut Xml<'_>, model: &Element) -> Parsed<(usize, usize, Structure, BrainModelKind)> {
    let structure = structure(model)?;
    let surface = match model.required("ModelType")? {
        "CIFTI_MODEL_TYPE_SURFACE" => true,
        "CIFTI_MODEL_TYPE_VOXELS" => false,
        _ => return Err(model.error(format!("the brain model {structure} is neither of surface nor of voxels"))),
    };
    let offset: usize = model.number("IndexOffset", "a whole number from 0 up")?;
    let count: usize = model.number("IndexCount", "a whole number from 0 up")?;
    let mut kind = None;
    while let Some(element) = xml.child()? {
        let found = match element.name.as_str() {
            "VertexIndices" if surface => BrainModelKind::Surface {
                n_vertices: n_vertices(model)?,
                vertices: numbers(&element, &xml.text(&element)?, "indices of vertices")?,
            },
            "VoxelIndicesIJK" if !surface => BrainModelKind::Voxels { ijk: voxels(xml, &element)? },
            _ => {
                xml.skip()?;
                continue;
            }
        };
        if kind.replace(found).is_some() {
            return Err(element.error(format!("the places of {structure} are listed twice")));
        }
    }
    let kind = kind.ok_or_else(|| model.error(format!("the brain model {structure} lists no places")))?;
    let found = match &kind {
        BrainModelKind::Surface { vertices, .. } => vertices.len(),
        BrainModelKind::Voxels { ijk } => ijk.len(),
    };
    if found != count {
        return Err(model.error(format!("the brain model {structure} lists {found} places, expected {count}")));
    }
    Ok((offset, count, structure, kind))
}

fn parcels(xml: &mut Xml<'_>, map: &Element) -> Parsed<Parcels> {
    let (mut parcels, mut surfaces, mut volume) = (Vec::new(), Vec::new(), None);
    while let Some(element) = xml.child()? {
        match element.name.as_str() {
            "Volume" if volume.is_none() => volume = Some(volume_element(xml, &element)?),
            "Volume" => return Err(element.error("its volume is described twice")),
            "Surface" => {
                surfaces.push((structure(&element)?, n_vertices(&element)?));
                xml.skip()?;
            }
            "Parcel" => parcels.push(parcel(xml, &element)?),
            _ => xml.skip()?,
        }
    }
    Parcels::new(parcels, surfaces, volume).map_err(|error| map.error(error.to_string()))
}

fn parcel(xml: &mut Xml<'_>, element: &Element) -> Parsed<Parcel> {
    let mut parcel = Parcel { name: element.required("Name")?.to_owned(), ..Parcel::default() };
    while let Some(part) = xml.child()? {
        match part.name.as_str() {
            "Vertices" => {
                let vertices = numbers(&part, &xml.text(&part)?, "indices of vertices")?;
                parcel.vertices.push((structure(&part)?, vertices));
            }
            "VoxelIndicesIJK" => parcel.voxels.extend(voxels(xml, &part)?),
            _ => xml.skip()?,
        }
    }
    Ok(parcel)
}

fn structure(element: &Element) -> Parsed<Structure> {
    Structure::new(element.required("BrainStructure")?).map_err(|error: PlacesError| element.error(error.to_string()))
}

fn n_vertices(element: &Element) -> Parsed<u32> {
    element.number("SurfaceNumberOfVertices", "a number of vertices")
}

fn voxels(xml: &mut Xml<'_>, element: &Element) -> Parsed<Vec<[u32; 3]>> {
    let indices: Vec<u32> = numbers(element, &xml.text(element)?, "indices of voxels")?;
    let (voxels, rest) = indices.as_chunks();
    if rest.is_empty() {
        return Ok(voxels.to_vec());
    }
    Err(element.error(format!("`VoxelIndicesIJK` holds {} numbers, expected three for each voxel", indices.len())))
}

fn volume_element(xml: &mut Xml<'_>, volume: &Element) -> Parsed<VolumeSpace> {
    let lengths = volume.required("VolumeDimensions")?;
    let lengths: Option<Vec<usize>> = lengths.split(',').take(4).map(|length| length.trim().parse().ok()).collect();
    let shape = lengths.and_then(|lengths| <[usize; 3]>::try_from(lengths).ok());
    let shape = shape.ok_or_else(|| volume.error("attribute `VolumeDimensions` is not three lengths with commas"))?;
    let mut affine = None;
    while let Some(element) = xml.child()? {
        match element.name.as_str() {
            "TransformationMatrixVoxelIndicesIJKtoXYZ" => affine = Some(affine_mm(xml, &element)?),
            _ => xml.skip()?,
        }
    }
    let affine = affine.ok_or_else(|| volume.error("the volume has no transformation to millimetres"))?;
    VolumeSpace::new(shape, affine).map_err(|error| volume.error(error.to_string()))
}

fn affine_mm(xml: &mut Xml<'_>, element: &Element) -> Parsed<[[f64; 4]; 4]> {
    let exponent: i32 = element.number("MeterExponent", "a power of ten")?;
    if !METER_EXPONENTS.contains(&exponent) {
        return Err(element.error(format!("a volume is measured in 1e{exponent} m, expected millimetres, 1e-3 m")));
    }
    let entries: Vec<f64> = numbers(element, &xml.text(element)?, "numbers")?;
    let (rows, rest) = entries.as_chunks::<4>();
    let (Ok(mut affine), []) = (<[[f64; 4]; 4]>::try_from(rows), rest) else {
        return Err(element.error(format!("a transformation has {} numbers, expected 16", entries.len())));
    };
    let to_mm = exponent - MILLIMETER_EXPONENT;
    let power = 10_f64.powi(to_mm.abs());
    for entry in affine[..3].as_flattened_mut() {
        *entry = if to_mm < 0 { *entry / power } else { *entry * power };
    }
    Ok(affine)
}
