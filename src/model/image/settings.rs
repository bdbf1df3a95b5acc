//! The text of `preprocessor_config.json`: what transformers' image processors save, old and new.
//!
//! Owns the fields, the defaults of each class and the refusal of what is not offered. A missing field, or one that is
//! `null`, has the default of the class that the file names; a file that names none is CLIP's unless told otherwise.
//! `preprocess.rs` does what the checked settings say.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::error::ModelError;
use super::alpha::Alpha;
use super::preprocess::{Preprocessor, Rounding, Size};
use super::resample::Filter;

/// Channel means of CLIP's training images (Radford et al. 2021, released code).
pub(in super::super) const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Channel standard deviations of CLIP's training images (same source).
pub(in super::super) const CLIP_DEVIATION: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Channel means of ImageNet's training images, as torchvision has them.
pub(super) const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];

/// Channel standard deviations of ImageNet's training images, as torchvision has them.
pub(super) const IMAGENET_DEVIATION: [f64; 3] = [0.229, 0.224, 0.225];

/// No side that is asked for is longer, in pixels.
pub(super) const SIDE_LIMIT: u32 = 1 << 14;

/// The classes whose files are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Clip,
    Vit,
    /// No class of transformers: the transform of METER's own code.
    Meter,
}

impl Class {
    const METER: &str = "MeterImageTransform";

    fn of(name: &str) -> Option<Self> {
        // The suffixes name backends, which are meant to agree.
        let stem = name.trim_end_matches("Fast").trim_end_matches("Pil");
        match stem {
            "CLIPImageProcessor" | "CLIPFeatureExtractor" => Some(Self::Clip),
            "ViTImageProcessor" | "ViTFeatureExtractor" => Some(Self::Vit),
            Self::METER => Some(Self::Meter),
            _ => None,
        }
    }

    fn defaults(self) -> Defaults {
        let clip = Defaults {
            size: Size::ShortestEdge(224),
            filter: Filter::Bicubic,
            crop: Some([224; 2]),
            mean: CLIP_MEAN,
            deviation: CLIP_DEVIATION,
            alpha: Alpha::Drop,
            rounding: Rounding::Down,
        };
        match self {
            Self::Clip => clip,
            Self::Vit => Defaults {
                size: Size::Exact([224; 2]),
                filter: Filter::Bilinear,
                crop: None,
                mean: [0.5; 3],
                deviation: [0.5; 3],
                ..clip
            },
            Self::Meter => Defaults { alpha: Alpha::Resample, rounding: Rounding::HalfToEven, ..clip },
        }
    }
}

struct Defaults {
    size: Size,
    filter: Filter,
    crop: Option<[u32; 2]>,
    mean: [f64; 3],
    deviation: [f64; 3],
    alpha: Alpha,
    rounding: Rounding,
}

/// The file as written.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(super) struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    image_processor_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_extractor_type: Option<String>,
    do_resize: Option<bool>,
    size: Option<Value>,
    resample: Option<Value>,
    do_center_crop: Option<bool>,
    crop_size: Option<Value>,
    do_rescale: Option<bool>,
    rescale_factor: Option<f64>,
    do_normalize: Option<bool>,
    image_mean: Option<Channels>,
    image_std: Option<Channels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    do_pad: Option<bool>,
    /// Ours: no processor of transformers has the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<Alpha>,
}

/// One number for all channels, or one for each.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(untagged)]
enum Channels {
    All(f64),
    Each([f64; 3]),
}

impl Channels {
    fn each(self) -> [f64; 3] {
        match self {
            Self::All(value) => [value; 3],
            Self::Each(values) => values,
        }
    }
}

impl Settings {
    /// Does the file name no class?
    pub(super) fn is_anonymous(&self) -> bool {
        self.image_processor_type.is_none() && self.feature_extractor_type.is_none()
    }

    /// What the file asks for; a file without a class is of class `otherwise`.
    pub(super) fn checked(self, path: &Path, otherwise: Class) -> Result<Preprocessor, ModelError> {
        let refuse = |field: &str, found: String, expected: &str| ModelError::field(path, field, found, expected);
        let named = match (&self.image_processor_type, &self.feature_extractor_type) {
            (Some(name), _) => Some(("image_processor_type", name)),
            (None, Some(name)) => Some(("feature_extractor_type", name)),
            (None, None) => None,
        };
        let class = match named {
            None => otherwise,
            Some((field, name)) => Class::of(name).ok_or_else(|| {
                let expected = "`CLIPImageProcessor`, `ViTImageProcessor` or `MeterImageTransform`";
                refuse(field, format!("`{name}`"), expected)
            })?,
        };
        let defaults = class.defaults();
        if self.do_pad == Some(true) {
            return Err(refuse("do_pad", "true".into(), "false: padding is not offered"));
        }
        let do_center_crop = self.do_center_crop.unwrap_or(defaults.crop.is_some());
        let size = match &self.size {
            None => defaults.size,
            Some(written) => read_size(written, class).ok_or_else(|| {
                let expected = "a number of pixels, `height` and `width`, or `shortest_edge` alone";
                refuse("size", written.to_string(), expected)
            })?,
        };
        let crop = match &self.crop_size {
            None => defaults.crop,
            Some(written) => Some(read_sides(written).ok_or_else(|| {
                refuse("crop_size", written.to_string(), "a number of pixels, or `height` and `width`")
            })?),
        };
        let filter = match &self.resample {
            None => defaults.filter,
            Some(written) => serde_json::from_value(written.clone()).map_err(|_| {
                refuse("resample", written.to_string(), "a number from 0 to 5, as Pillow counts filters")
            })?,
        };
        let sensible = |sides: &[u32; 2]| sides.iter().all(|side| (1..=SIDE_LIMIT).contains(side));
        let expected = format!("sides of 1 to {SIDE_LIMIT} pixels");
        let do_resize = self.do_resize.unwrap_or(true);
        if do_resize && !sensible(&size.sides()) {
            return Err(refuse("size", format!("{:?}", size.sides()), &expected));
        }
        let crop = match (do_center_crop, crop) {
            (false, _) => None,
            (true, Some(crop)) if sensible(&crop) => Some(crop),
            (true, Some(crop)) => return Err(refuse("crop_size", format!("{crop:?}"), &expected)),
            (true, None) => return Err(refuse("crop_size", "missing".into(), "a size, as `do_center_crop` is true")),
        };
        let rescale_factor = self.rescale_factor.unwrap_or(1.0 / 255.0);
        if !rescale_factor.is_finite() {
            return Err(refuse("rescale_factor", rescale_factor.to_string(), "a finite number"));
        }
        let mean = self.image_mean.map_or(defaults.mean, Channels::each);
        let deviation = self.image_std.map_or(defaults.deviation, Channels::each);
        if mean.iter().any(|mean| !mean.is_finite()) {
            return Err(refuse("image_mean", format!("{mean:?}"), "finite numbers"));
        }
        if deviation.iter().any(|&deviation| !(deviation > 0.0 && deviation.is_finite())) {
            return Err(refuse("image_std", format!("{deviation:?}"), "positive numbers"));
        }
        Ok(Preprocessor {
            resize: do_resize.then_some((size, filter)),
            crop,
            rescale_factor: self.do_rescale.unwrap_or(true).then_some(rescale_factor),
            normalize: self.do_normalize.unwrap_or(true).then_some((mean, deviation)),
            alpha: self.alpha.unwrap_or(defaults.alpha),
            rounding: defaults.rounding,
        })
    }

    /// Every field written out, so that no default can change what is read back.
    pub(super) fn of(preprocessor: &Preprocessor) -> Self {
        let class = match (preprocessor.rounding, preprocessor.resize) {
            (Rounding::HalfToEven, _) => Class::METER,
            (Rounding::Down, Some((Size::Exact(_), _))) => "ViTImageProcessor",
            (Rounding::Down, _) => "CLIPImageProcessor",
        };
        let table = |[height, width]: [u32; 2]| serde_json::json!({"height": height, "width": width});
        let size = preprocessor.resize.map(|(size, _)| match size {
            Size::ShortestEdge(edge) => serde_json::json!({"shortest_edge": edge}),
            Size::Exact(sides) => table(sides),
        });
        Self {
            image_processor_type: Some(class.to_owned()),
            do_resize: Some(preprocessor.resize.is_some()),
            size,
            resample: preprocessor.resize.map(|(_, filter)| u32::from(filter).into()),
            do_center_crop: Some(preprocessor.crop.is_some()),
            crop_size: preprocessor.crop.map(table),
            do_rescale: Some(preprocessor.rescale_factor.is_some()),
            rescale_factor: preprocessor.rescale_factor,
            do_normalize: Some(preprocessor.normalize.is_some()),
            image_mean: preprocessor.normalize.map(|(mean, _)| Channels::Each(mean)),
            image_std: preprocessor.normalize.map(|(_, deviation)| Channels::Each(deviation)),
            alpha: Some(preprocessor.alpha),
            ..Self::default()
        }
    }
}

/// A number means the shorter edge to CLIP's class and a square to ViT's.
fn read_size(written: &Value, class: Class) -> Option<Size> {
    let table = written.as_object();
    if let Some(number) = written.as_u64() {
        let edge = u32::try_from(number).ok()?;
        return Some(if class == Class::Vit { Size::Exact([edge; 2]) } else { Size::ShortestEdge(edge) });
    }
    let present = |name: &str| table.and_then(|table| table.get(name)).filter(|value| !value.is_null());
    if ["longest_edge", "max_height", "max_width"].iter().any(|name| present(name).is_some()) {
        return None;
    }
    match (present("shortest_edge"), present("height").or(present("width"))) {
        (Some(edge), None) => Some(Size::ShortestEdge(u32::try_from(edge.as_u64()?).ok()?)),
        (Some(_), Some(_)) => None,
        (None, _) => read_sides(written).map(Size::Exact),
    }
}

/// Height and width: a number for both, a list, or a table.
fn read_sides(written: &Value) -> Option<[u32; 2]> {
    let side = |value: &Value| u32::try_from(value.as_u64()?).ok();
    match written {
        Value::Number(_) => side(written).map(|side| [side; 2]),
        Value::Array(values) => match values.as_slice() {
            [height, width] => Some([side(height)?, side(width)?]),
            _ => None,
        },
        Value::Object(table) => Some([side(table.get("height")?)?, side(table.get("width")?)?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(json: &str) -> Result<Preprocessor, ModelError> {
        let settings: Settings = serde_json::from_str(json).unwrap();
        settings.checked(Path::new("preprocessor_config.json"), Class::Clip)
    }

    #[test]
    fn sizes_are_read_in_every_spelling() {
        let number = checked(r#"{"size": 40, "crop_size": 32}"#).unwrap();
        for same in [
            r#"{"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}"#,
            r#"{"size": {"shortest_edge": 40, "longest_edge": null}, "crop_size": [32, 32], "resample": 3}"#,
            r#"{"size": 40, "crop_size": 32, "image_processor_type": "CLIPImageProcessorFast", "do_pad": null}"#,
            r#"{"size": 40, "crop_size": 32, "feature_extractor_type": "CLIPFeatureExtractor", "do_resize": null}"#,
        ] {
            assert_eq!(number, checked(same).unwrap(), "{same}");
        }
        assert_eq!(number.output_size(), Some([32, 32]));
        let square = checked(r#"{"size": 40, "image_processor_type": "ViTImageProcessor"}"#).unwrap();
        assert_eq!(square.resize, Some((Size::Exact([40, 40]), Filter::Bilinear)));
        assert_eq!((square.crop, square.output_size()), (None, Some([40, 40])));
        let exact = r#"{"size": {"height": 8, "width": 9}, "do_center_crop": false, "image_mean": 0.5}"#;
        let exact = checked(exact).unwrap();
        assert_eq!(exact.output_size(), Some([8, 9]));
        assert_eq!(exact.normalize, Some(([0.5; 3], CLIP_DEVIATION)));
    }

    #[test]
    fn what_is_not_offered_is_named_by_field() {
        for (json, expected) in [
            (r#"{"size": 0}"#, "`size` is [0, 0]: expected sides of 1 to 16384 pixels"),
            (r#"{"size": {"longest_edge": 9}}"#, r#"`size` is {"longest_edge":9}: expected a number of pixels"#),
            (r#"{"size": {"shortest_edge": 8, "longest_edge": 9}}"#, "or `shortest_edge` alone"),
            (r#"{"crop_size": {"shortest_edge": 8}}"#, r#"`crop_size` is {"shortest_edge":8}: expected"#),
            (r#"{"crop_size": 99999999999}"#, "`crop_size` is 99999999999: expected"),
            (r#"{"resample": 6}"#, "`resample` is 6: expected a number from 0 to 5"),
            (r#"{"image_std": [1, 0, 1]}"#, "`image_std` is [1.0, 0.0, 1.0]: expected positive numbers"),
            (r#"{"do_pad": true}"#, "`do_pad` is true: expected false"),
            (r#"{"image_processor_type": "BeitImageProcessor"}"#, "`image_processor_type` is `BeitImageProcessor`"),
            (r#"{"feature_extractor_type": "ViTFeatureExtractor", "do_center_crop": true}"#, "`crop_size` is missing"),
        ] {
            let message = checked(json).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        let odd =
            r#"{"size": {"height": 7, "width": 9}, "do_rescale": false, "do_normalize": false, "crop_size": [3, 4]}"#;
        let plain = r#"{"do_resize": false, "do_center_crop": false, "alpha": "white"}"#;
        let read = [Preprocessor::clip(336), Preprocessor::meter(288), checked(odd).unwrap(), checked(plain).unwrap()];
        for preprocessor in read {
            let written = serde_json::to_string(&Settings::of(&preprocessor)).unwrap();
            assert_eq!(checked(&written).unwrap(), preprocessor, "{written}");
        }
    }
}
