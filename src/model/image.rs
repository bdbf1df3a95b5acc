//! From an image file to the array that the image tower takes.
//!
//! Owns `preprocessor_config.json`: resize, centre crop, rescale and normalise as transformers'
//! `CLIPImageProcessor` does on Pillow images, and the bounds on what is decoded. The resampling
//! itself stands in `resample.rs`; nothing here knows networks.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};
use ndarray::Array3;
use serde::Deserialize;

use super::error::ModelError;
use super::file::read_json;
use super::resample::{Filter, resize};

/// The preprocessing file's name in a model folder.
pub const PREPROCESSOR_FILE: &str = "preprocessor_config.json";

/// No stimulus is wider or higher, in pixels.
const SIDE_LIMIT: u32 = 1 << 14;

/// The most that a decoder may allocate: an RGB image of 16-bit samples at half the largest area.
const DECODER_LIMIT_BYTES: u64 = 1 << 30;

/// The most that an image file may hold.
const FILE_LIMIT_BYTES: u64 = 256 << 20;

/// What is done to an image before the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    resize: Option<(Size, Filter)>,
    crop: Option<[u32; 2]>,
    scale: f32,
    mean: [f32; 3],
    deviation: [f32; 3],
}

/// What an image is resized to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    /// The shorter edge, in pixels; the other follows.
    ShortestEdge(u32),
    /// Height and width in pixels.
    Exact([u32; 2]),
}

#[derive(Deserialize)]
#[serde(default)]
struct RawPreprocessor {
    do_resize: bool,
    size: RawSize,
    resample: u32,
    do_center_crop: bool,
    crop_size: RawSize,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f64; 3],
    image_std: [f64; 3],
}

impl Default for RawPreprocessor {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: RawSize::Number(224),
            resample: 3,
            do_center_crop: true,
            crop_size: RawSize::Number(224),
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: CLIP_MEAN,
            image_std: CLIP_DEVIATION,
        }
    }
}

/// Channel means of CLIP's training images (Radford et al. 2021, released code).
pub(super) const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];

/// Channel standard deviations of CLIP's training images (same source).
pub(super) const CLIP_DEVIATION: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];

/// Sizes come as a number (older files) or a table.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawSize {
    Number(u32),
    ShortestEdge { shortest_edge: u32 },
    Exact { height: u32, width: u32 },
}

impl Preprocessor {
    /// Reads `preprocessor_config.json` of a folder.
    ///
    /// # Errors
    /// The file cannot be read, or asks for something that is not offered; the field is named.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(PREPROCESSOR_FILE);
        let raw: RawPreprocessor = read_json(&path)?;
        raw.checked(&path)
    }

    /// Height and width of what comes out, where the images themselves do not decide.
    pub fn output_size(&self) -> Option<[usize; 2]> {
        let fixed = match (self.crop, self.resize) {
            (Some(crop), _) => crop,
            (None, Some((Size::Exact(size), _))) => size,
            _ => return None,
        };
        Some(fixed.map(|side| side as usize))
    }

    /// Decodes and prepares one image file: (channels, height, width).
    ///
    /// Images are turned upright by their EXIF orientation, grey becomes RGB, an alpha channel is
    /// dropped without blending (as in OpenAI's code; transformers 5 blends with white), and of
    /// 16-bit samples the upper byte counts.
    ///
    /// # Errors
    /// The file cannot be read, is no PNG or JPEG, passes the bounds, or is smaller than the crop.
    pub fn load(&self, path: &Path) -> Result<Array3<f32>, ModelError> {
        self.apply(&decode(path)?).map_err(|message| image_error(path, message))
    }

    /// Prepares a decoded image: (channels, height, width).
    ///
    /// # Errors
    /// In words, if the image is too narrow or smaller than the crop.
    pub fn apply(&self, image: &RgbImage) -> Result<Array3<f32>, String> {
        let resized = match self.resize {
            Some((size, filter)) => {
                let [height, width] = size.of(image)?;
                &resize(image, width, height, filter)
            }
            None => image,
        };
        let (width, height) = resized.dimensions();
        let [crop_height, crop_width] = self.crop.unwrap_or([height, width]);
        if crop_height > height || crop_width > width {
            return Err(format!(
                "{width} by {height} pixels: expected at least the crop's {crop_width} by {crop_height}"
            ));
        }
        let (left, top) = ((width - crop_width) / 2, (height - crop_height) / 2);
        let shape = (3, crop_height as usize, crop_width as usize);
        Ok(Array3::from_shape_fn(shape, |(channel, row, column)| {
            let pixel = resized.get_pixel(left + column as u32, top + row as u32);
            let value = f32::from(pixel[channel]) * self.scale;
            (value - self.mean[channel]) / self.deviation[channel]
        }))
    }
}

impl Size {
    fn of(self, image: &RgbImage) -> Result<[u32; 2], String> {
        let edge = match self {
            Self::Exact(size) => return Ok(size),
            Self::ShortestEdge(edge) => edge,
        };
        let (width, height) = image.dimensions();
        let (short, long) = (width.min(height).max(1), width.max(height));
        // In floating point and cut, as transformers does.
        let long_edge = (f64::from(edge) * f64::from(long) / f64::from(short)) as u32;
        if long_edge > SIDE_LIMIT {
            return Err(format!("{width} by {height} pixels: expected a less extreme shape"));
        }
        Ok(if width <= height { [long_edge, edge] } else { [edge, long_edge] })
    }
}

impl RawPreprocessor {
    fn checked(self, path: &Path) -> Result<Preprocessor, ModelError> {
        let wrong = |field: &str, found: String, expected: &str| Err(ModelError::field(path, field, found, expected));
        let size = match self.size {
            RawSize::Number(edge) | RawSize::ShortestEdge { shortest_edge: edge } => Size::ShortestEdge(edge),
            RawSize::Exact { height, width } => Size::Exact([height, width]),
        };
        let crop = match self.crop_size {
            RawSize::Number(edge) | RawSize::ShortestEdge { shortest_edge: edge } => [edge; 2],
            RawSize::Exact { height, width } => [height, width],
        };
        let sides = match size {
            Size::ShortestEdge(edge) => [edge; 2],
            Size::Exact(size) => size,
        };
        let sensible = |sides: [u32; 2]| sides.iter().all(|side| (1..=SIDE_LIMIT).contains(side));
        let expected = "sides of 1 to 16384 pixels";
        if self.do_resize && !sensible(sides) {
            return wrong("size", format!("{sides:?}"), expected);
        }
        if self.do_center_crop && !sensible(crop) {
            return wrong("crop_size", format!("{crop:?}"), expected);
        }
        if self.do_resize && self.do_center_crop && (crop[0] > sides[0] || crop[1] > sides[1]) {
            let expected = format!("no more than `size` {sides:?}");
            return wrong("crop_size", format!("{crop:?}"), &expected);
        }
        let filter = match self.resample {
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            other => {
                let expected = "2 (bilinear) or 3 (bicubic)";
                return wrong("resample", other.to_string(), expected);
            }
        };
        if self.image_std.iter().any(|&deviation| deviation <= 0.0) {
            return wrong("image_std", format!("{:?}", self.image_std), "positive numbers");
        }
        let narrow = |values: [f64; 3]| values.map(|value| value as f32);
        let (mean, deviation) =
            if self.do_normalize { (narrow(self.image_mean), narrow(self.image_std)) } else { ([0.0; 3], [1.0; 3]) };
        Ok(Preprocessor {
            resize: self.do_resize.then_some((size, filter)),
            crop: self.do_center_crop.then_some(crop),
            scale: if self.do_rescale { self.rescale_factor as f32 } else { 1.0 },
            mean,
            deviation,
        })
    }
}

fn image_error(path: &Path, message: impl ToString) -> ModelError {
    ModelError::Image { path: path.to_owned(), message: message.to_string() }
}

/// Decodes a PNG or JPEG file to 8-bit RGB, upright.
///
/// # Errors
/// The file cannot be read, is no such image, or passes the bounds.
pub fn decode(path: &Path) -> Result<RgbImage, ModelError> {
    let file = File::open(path).map_err(ModelError::read(path))?;
    let size_bytes = file.metadata().map_err(ModelError::read(path))?.len();
    if size_bytes > FILE_LIMIT_BYTES {
        let limit_bytes = FILE_LIMIT_BYTES;
        return Err(ModelError::TooLarge { path: path.to_owned(), size_bytes, limit_bytes });
    }
    let mut bytes = Vec::new();
    BufReader::new(file).take(FILE_LIMIT_BYTES).read_to_end(&mut bytes).map_err(ModelError::read(path))?;
    let mut reader =
        ImageReader::new(std::io::Cursor::new(bytes)).with_guessed_format().map_err(ModelError::read(path))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_LIMIT);
    limits.max_image_height = Some(SIDE_LIMIT);
    limits.max_alloc = Some(DECODER_LIMIT_BYTES);
    reader.limits(limits);
    let failed = |error: image::ImageError| image_error(path, error);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let orientation = decoder.orientation().map_err(failed)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    image.apply_orientation(orientation);
    Ok(to_rgb(image))
}

/// 8-bit RGB. The `image` crate would round 16-bit samples to the nearest; Pillow keeps the upper
/// byte, and so do we.
fn to_rgb(image: DynamicImage) -> RgbImage {
    let upper = |sample: u16| (sample >> 8) as u8;
    let (width, height) = (image.width(), image.height());
    let rgb = |pixel: &dyn Fn(u32, u32) -> [u16; 3]| {
        RgbImage::from_fn(width, height, |x, y| image::Rgb(pixel(x, y).map(upper)))
    };
    match &image {
        DynamicImage::ImageLuma16(grey) => rgb(&|x, y| [grey.get_pixel(x, y)[0]; 3]),
        DynamicImage::ImageLumaA16(grey) => rgb(&|x, y| [grey.get_pixel(x, y)[0]; 3]),
        DynamicImage::ImageRgb16(colour) => rgb(&|x, y| colour.get_pixel(x, y).0),
        DynamicImage::ImageRgba16(colour) => rgb(&|x, y| {
            let [red, green, blue, _] = colour.get_pixel(x, y).0;
            [red, green, blue]
        }),
        _ => image.into_rgb8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preprocessor(json: &str) -> Result<Preprocessor, ModelError> {
        let raw: RawPreprocessor = serde_json::from_str(json).unwrap();
        raw.checked(Path::new(PREPROCESSOR_FILE))
    }

    #[test]
    fn sizes_are_read_in_every_spelling() {
        let number = preprocessor(r#"{"size": 40, "crop_size": 32}"#).unwrap();
        let table =
            preprocessor(r#"{"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}"#).unwrap();
        assert_eq!(number, table);
        assert_eq!(number.output_size(), Some([32, 32]));
        let wide = number.apply(&RgbImage::new(300, 100)).unwrap();
        assert_eq!(wide.dim(), (3, 32, 32));
        let exact = r#"{"size": {"height": 8, "width": 9}, "do_center_crop": false}"#;
        assert_eq!(preprocessor(exact).unwrap().output_size(), Some([8, 9]));
    }

    #[test]
    fn contradictions_are_named_by_field() {
        for (json, expected) in [
            (r#"{"crop_size": 225}"#, "`crop_size` is [225, 225]: expected no more than `size`"),
            (r#"{"size": 0}"#, "`size` is [0, 0]"),
            (r#"{"resample": 1}"#, "`resample` is 1: expected 2 (bilinear) or 3 (bicubic)"),
            (r#"{"image_std": [1, 0, 1]}"#, "`image_std` is"),
        ] {
            let message = preprocessor(json).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn pixels_are_rescaled_and_normalised() {
        let json = r#"{"do_resize": false, "do_center_crop": false,
                       "image_mean": [0.5, 0.0, 0.25], "image_std": [0.5, 1.0, 2.0]}"#;
        let image = RgbImage::from_pixel(1, 1, image::Rgb([255, 51, 0]));
        let array = preprocessor(json).unwrap().apply(&image).unwrap();
        for (found, expected) in array.iter().zip([1.0, 0.2, -0.125]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn sixteen_bits_alpha_and_grey_become_eight_bit_rgb() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        let deep = image::ImageBuffer::from_pixel(2, 1, image::Rgba([0x80ffu16, 0, 0xffff, 7]));
        DynamicImage::ImageRgba16(deep).save(&path).unwrap();
        assert_eq!(decode(&path).unwrap().get_pixel(1, 0).0, [0x80, 0, 0xff]);
        image::GrayImage::from_pixel(1, 1, image::Luma([9])).save(&path).unwrap();
        assert_eq!(decode(&path).unwrap().get_pixel(0, 0).0, [9, 9, 9]);
    }

    #[test]
    fn hostile_images_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        image::GrayImage::new(1 << 15, 1).save(&path).unwrap();
        assert!(matches!(decode(&path), Err(ModelError::Image { .. })));
        RgbImage::new(20, 20).save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 1, 10, 30, whole.len() / 2] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(matches!(decode(&path), Err(ModelError::Image { .. })), "cut at {cut}");
        }
        let sliver = preprocessor("{}").unwrap().apply(&RgbImage::new(1, 16_000)).unwrap_err();
        assert!(sliver.contains("less extreme"), "{sliver}");
    }
}
