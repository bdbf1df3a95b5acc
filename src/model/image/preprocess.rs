//! What is done to an image before a network sees it.
//!
//! Owns the order of the steps and their arithmetic: resize, centre crop, rescale, normalise, as transformers does them
//! on Pillow images (`CLIPImageProcessorPil`, `ViTImageProcessorPil`) and METER's own code on its own. The file that asks
//! for them is read in `settings.rs`; pixels come from `decode.rs` and `resample.rs`.
//!
//! transformers' default where torchvision is installed is another backend, and files do not say which one made the
//! features of a paper. It resizes 8-bit tensors with other rounding: on four photographs scaled to 224 pixels, at most 1
//! level of 255 from Pillow and 99.6 % of the values equal or more (torch 2.15).

use std::path::Path;

use image::{DynamicImage, RgbImage, RgbaImage};
use ndarray::Array3;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::error::ModelError;
use super::super::file::read_json;
use super::alpha::{Alpha, divided, on_white, premultiplied};
use super::decode;
use super::resample::{Filter, Part, resize_part};
use super::settings::{CLIP_DEVIATION, CLIP_MEAN, Class, IMAGENET_DEVIATION, IMAGENET_MEAN, SIDE_LIMIT, Settings};

/// The preprocessing file's name in a model folder.
pub const PREPROCESSOR_FILE: &str = "preprocessor_config.json";

/// What is done to an image before the network sees it.
///
/// It is serialised as a complete `preprocessor_config.json`, and read from any that is understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    pub(super) resize: Option<(Size, Filter)>,
    pub(super) crop: Option<[u32; 2]>,
    pub(super) rescale_factor: Option<f64>,
    pub(super) normalize: Option<([f64; 3], [f64; 3])>,
    pub(super) alpha: Alpha,
    pub(super) rounding: Rounding,
}

/// What an image is resized to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// The shorter edge, in pixels; the other follows.
    ShortestEdge(u32),
    /// Height and width in pixels.
    Exact([u32; 2]),
}

/// What becomes of half a pixel when a crop is centred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rounding {
    /// It is cut: transformers.
    Down,
    /// It goes to the even number: torchvision, by Python's `round`.
    HalfToEven,
}

impl Preprocessor {
    /// Reads `preprocessor_config.json` of a folder.
    ///
    /// A file that names no class of processor belongs to a `ViT` if the folder's `config.json` says so, else to CLIP.
    ///
    /// # Errors
    /// The file cannot be read, or asks for something that is not offered; the field is named.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Config {
            model_type: String,
        }
        let path = folder.join(PREPROCESSOR_FILE);
        let settings: Settings = read_json(&path)?;
        let of_vit = || read_json(&folder.join("config.json")).is_ok_and(|config: Config| config.model_type == "vit");
        let otherwise = if settings.is_anonymous() && of_vit() { Class::Vit } else { Class::Clip };
        settings.checked(&path, otherwise)
    }

    /// CLIP's own: the shorter edge to `image_size` pixels by Keys' cubic, a square from the centre, CLIP's mean and
    /// standard deviation.
    #[must_use]
    pub fn clip(image_size: u32) -> Self {
        Self {
            resize: Some((Size::ShortestEdge(image_size), Filter::Bicubic)),
            crop: Some([image_size; 2]),
            rescale_factor: Some(1.0 / 255.0),
            normalize: Some((CLIP_MEAN, CLIP_DEVIATION)),
            alpha: Alpha::Drop,
            rounding: Rounding::Down,
        }
    }

    /// METER's own (Dou et al. 2022, `clip_transform` of the released code): as CLIP's, but an alpha channel takes part
    /// in the resampling before it is dropped, and the crop is centred with torchvision's rounding.
    #[must_use]
    pub fn meter(image_size: u32) -> Self {
        Self { alpha: Alpha::Resample, rounding: Rounding::HalfToEven, ..Self::clip(image_size) }
    }

    /// ViT's own: exactly to `image_size` pixels on both sides, bilinear, numbers from -1 to 1.
    #[must_use]
    pub fn vit(image_size: u32) -> Self {
        Self {
            resize: Some((Size::Exact([image_size; 2]), Filter::Bilinear)),
            crop: None,
            normalize: Some(([0.5; 3], [0.5; 3])),
            ..Self::clip(image_size)
        }
    }

    /// What METER does for its encoder with windows (`imagenet_transform` of the released code): as CLIP's, with the mean and
    /// standard deviation of ImageNet, and the crop centred with torchvision's rounding.
    #[must_use]
    pub fn imagenet(image_size: u32) -> Self {
        let normalize = Some((IMAGENET_MEAN, IMAGENET_DEVIATION));
        Self { normalize, rounding: Rounding::HalfToEven, ..Self::clip(image_size) }
    }

    /// The same with another treatment of alpha channels.
    #[must_use]
    pub fn with_alpha(self, alpha: Alpha) -> Self {
        Self { alpha, ..self }
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
    /// # Errors
    /// The file cannot be read, is no image of a format that is read, or passes the bounds.
    pub fn load(&self, path: &Path) -> Result<Array3<f32>, ModelError> {
        let image = decode::open(path)?;
        let prepared = match (self.alpha, image.has_alpha()) {
            (Alpha::Drop, _) | (_, false) => self.apply(&image.into_rgb8()),
            (Alpha::White | Alpha::Resample, true) => self.apply_with_alpha(&image.into_rgba8()),
        };
        prepared.map_err(|message| ModelError::Image { path: path.to_owned(), message })
    }

    /// Prepares a decoded image: (channels, height, width).
    ///
    /// A crop that is larger than the image is filled up with black around it, as transformers does.
    ///
    /// # Errors
    /// In words, if the image is empty or too narrow.
    pub fn apply(&self, image: &RgbImage) -> Result<Array3<f32>, String> {
        let view = self.view(image.dimensions())?;
        Ok(self.numbers(&view.pixels(image), &view))
    }

    /// Prepares a decoded image with an alpha channel: (channels, height, width).
    ///
    /// # Errors
    /// As [`Preprocessor::apply`].
    pub fn apply_with_alpha(&self, image: &RgbaImage) -> Result<Array3<f32>, String> {
        match self.alpha {
            Alpha::Drop => self.apply(&DynamicImage::ImageRgba8(image.clone()).into_rgb8()),
            Alpha::White => self.apply(&on_white(image)),
            Alpha::Resample => {
                let view = self.view(image.dimensions())?;
                // Pillow multiplies colours by alpha for filters that mix pixels, and only if it resizes at all.
                let mixes = view.size != <[u32; 2]>::from(image.dimensions()) && view.filter != Filter::Nearest;
                let pixels = if mixes {
                    divided(&view.pixels(&premultiplied(image)))
                } else {
                    DynamicImage::ImageRgba8(view.pixels(image)).into_rgb8()
                };
                Ok(self.numbers(&pixels, &view))
            }
        }
    }

    fn view(&self, (width, height): (u32, u32)) -> Result<View, String> {
        if width == 0 || height == 0 {
            return Err(format!("{width} by {height} pixels: expected at least one"));
        }
        let (size, filter) = match self.resize {
            Some((size, filter)) => (size.of(width, height)?, filter),
            None => ([width, height], Filter::Nearest),
        };
        let [crop_height, crop_width] = self.crop.unwrap_or([size[1], size[0]]);
        let (left, width, inner_left) = self.rounding.centred(size[0], crop_width);
        let (top, height, inner_top) = self.rounding.centred(size[1], crop_height);
        let part = Part { left, top, width, height };
        Ok(View { size, filter, part, output: [crop_height, crop_width], inset: [inner_top, inner_left] })
    }

    fn numbers(&self, pixels: &RgbImage, view: &View) -> Array3<f32> {
        // A sample has 256 values: each is computed once, in transformers' own order of steps and precisions.
        let tables = [0, 1, 2].map(|channel| {
            let number = |level: usize| {
                let scaled = self.rescale_factor.map_or(level as f32, |factor| (level as f64 * factor) as f32);
                self.normalize
                    .map_or(scaled, |(mean, deviation)| (scaled - mean[channel] as f32) / deviation[channel] as f32)
            };
            std::array::from_fn::<f32, 256, _>(number)
        });
        let [height, width] = view.output.map(|side| side as usize);
        let [top, left] = view.inset.map(|side| side as usize);
        let mut numbers = Array3::from_shape_fn((3, height, width), |(channel, _, _)| tables[channel][0]);
        let rows = pixels.as_raw().chunks_exact((pixels.width() as usize * 3).max(3));
        for (row, samples) in rows.enumerate() {
            for (column, pixel) in samples.chunks_exact(3).enumerate() {
                for (channel, &level) in pixel.iter().enumerate() {
                    numbers[[channel, top + row, left + column]] = tables[channel][usize::from(level)];
                }
            }
        }
        numbers
    }
}

/// Which pixels of the resized image are wanted, and where they stand in the output.
struct View {
    /// Width and height of the resized image.
    size: [u32; 2],
    filter: Filter,
    part: Part,
    /// Height and width of the output.
    output: [u32; 2],
    /// Rows and columns of the output before the part.
    inset: [u32; 2],
}

impl View {
    fn pixels<P: image::Pixel<Subpixel = u8>>(
        &self,
        image: &image::ImageBuffer<P, Vec<u8>>,
    ) -> image::ImageBuffer<P, Vec<u8>> {
        resize_part(image, self.size, self.filter, self.part)
    }
}

impl Size {
    pub(super) fn sides(self) -> [u32; 2] {
        match self {
            Self::ShortestEdge(edge) => [edge; 2],
            Self::Exact(sides) => sides,
        }
    }

    /// Width and height that an image of this width and height is resized to.
    fn of(self, width: u32, height: u32) -> Result<[u32; 2], String> {
        let edge = match self {
            Self::Exact([height, width]) => return Ok([width, height]),
            Self::ShortestEdge(edge) => edge,
        };
        let (short, long) = (width.min(height), width.max(height));
        // In floating point and cut, as transformers does; torchvision cuts the same quotient.
        let long_edge = f64::from(edge) * f64::from(long) / f64::from(short);
        if long_edge > f64::from(SIDE_LIMIT) {
            return Err(format!("{width} by {height} pixels: expected a less extreme shape; crop the image"));
        }
        let long_edge = long_edge as u32;
        Ok(if width <= height { [edge, long_edge] } else { [long_edge, edge] })
    }
}

impl Rounding {
    /// Along one side: pixels skipped, pixels kept, and pixels of the crop before the first kept one.
    fn centred(self, side: u32, crop: u32) -> (u32, u32, u32) {
        let halved = |difference: u32| match self {
            Self::HalfToEven if difference % 4 == 3 => difference / 2 + 1,
            _ => difference / 2,
        };
        if crop <= side {
            return (halved(side - crop), crop, 0);
        }
        // transformers puts the odd pixel before the image, torchvision behind it.
        let inset = match self {
            Self::Down => (crop - side).div_ceil(2),
            Self::HalfToEven => (crop - side) / 2,
        };
        (0, side, inset)
    }
}

impl Serialize for Preprocessor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Settings::of(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Preprocessor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = Settings::deserialize(deserializer)?;
        settings.checked(Path::new(PREPROCESSOR_FILE), Class::Clip).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_rescaled_and_normalised() {
        let settings = serde_json::json!({
            "do_resize": false, "do_center_crop": false,
            "image_mean": [0.5, 0.0, 0.25], "image_std": [0.5, 1.0, 2.0],
        });
        let preprocessor: Preprocessor = serde_json::from_value(settings).unwrap();
        let image = RgbImage::from_pixel(1, 1, image::Rgb([255, 51, 0]));
        for (found, expected) in preprocessor.apply(&image).unwrap().iter().zip([1.0, 0.2, -0.125]) {
            assert!((found - expected).abs() < 1e-6);
        }
        assert_eq!(preprocessor.output_size(), None);
    }

    #[test]
    fn crops_are_centred_as_each_library_rounds() {
        let (down, even) = (Rounding::Down, Rounding::HalfToEven);
        assert_eq!([4, 5, 6, 7].map(|side| down.centred(side, 4).0), [0, 0, 1, 1]);
        // Python's round takes 0.5 to 0 and 1.5 to 2.
        assert_eq!([4, 5, 6, 7].map(|side| even.centred(side, 4).0), [0, 0, 1, 2]);
        assert_eq!(down.centred(3, 6), (0, 3, 2));
        assert_eq!(even.centred(3, 6), (0, 3, 1));
    }

    #[test]
    fn extreme_shapes_are_refused_and_small_ones_are_not() {
        let clip = Preprocessor::clip(224);
        let sliver = clip.apply(&RgbImage::new(1, 16_000)).unwrap_err();
        assert_eq!(sliver, "1 by 16000 pixels: expected a less extreme shape; crop the image");
        assert_eq!(clip.apply(&RgbImage::new(0, 4)).unwrap_err(), "0 by 4 pixels: expected at least one");
        for (width, height) in [(1, 1), (1, 70), (3, 2)] {
            assert_eq!(clip.apply(&RgbImage::new(width, height)).unwrap().dim(), (3, 224, 224));
        }
    }
}
