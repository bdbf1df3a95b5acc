//! From an image file to 8-bit pixels, upright.
//!
//! Owns which formats are read, told by content and never by a file's name, and the bounds on what is decoded. JPEG is
//! decoded in `jpeg.rs`, the rest by the `image` crate, whose pixels are equal to Pillow's but for two rarities that are one
//! level off: TIFF that holds JPEG data, and BMP of 15 or 16 bits a pixel. TIFF with a palette, of grey with alpha, of
//! YCbCr or Lab colours, or compressed by Zstandard is refused by name.
//!
//! Grey and palettes become RGB. Of 16-bit samples the upper byte counts, as Pillow does for colour; its conversion of
//! 16-bit grey cuts everything above 255 to white, which no one can mean. Images are turned upright by their EXIF
//! orientation. Of an animation or a file of several pages the first is read.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};

use super::super::error::ModelError;
use super::super::file::read_bounded;
use super::jpeg;
use crate::format::memory::{afford_unnamed, budget_bytes};

/// No image has more pixels: decoding one takes at most 1.2 GB, twice that of its RGBA form.
pub const AREA_LIMIT_PX: u64 = 100_000_000;

/// The most that a decoder may allocate: samples of four channels of 16 bits at the largest area.
const DECODER_LIMIT_BYTES: u64 = 8 * AREA_LIMIT_PX;

/// Bytes that decoding takes for a pixel: samples of four channels of 16 bits, and those of RGB that come out of them.
const PIXEL_BYTES: u128 = 12;

/// The most that an image file may hold.
const FILE_LIMIT_BYTES: u64 = 512 << 20;

/// Decodes an image file to RGB, upright; an alpha channel is dropped without blending, as Pillow's `convert("RGB")` does.
///
/// # Errors
/// The file cannot be read, is no image of a format that is read, is cut short, or passes the bounds.
pub fn decode(path: &Path) -> Result<RgbImage, ModelError> {
    Ok(open(path)?.into_rgb8())
}

/// Decodes an image file to RGB with alpha, upright; images without an alpha channel are opaque.
///
/// # Errors
/// As [`decode`].
pub fn decode_with_alpha(path: &Path) -> Result<RgbaImage, ModelError> {
    Ok(open(path)?.into_rgba8())
}

/// An image of 8-bit samples, with alpha if the file has it.
pub(super) fn open(path: &Path) -> Result<DynamicImage, ModelError> {
    let bytes = read_bounded(path, FILE_LIMIT_BYTES)?;
    from_bytes(&bytes).map_err(|message| ModelError::Image { path: path.to_owned(), message })
}

fn from_bytes(bytes: &[u8]) -> Result<DynamicImage, String> {
    if bytes.is_empty() {
        return Err("the file is empty: expected an image".to_owned());
    }
    let (mut image, orientation) = if bytes.starts_with(jpeg::SIGNATURE) {
        let (image, orientation) = jpeg::decode(bytes, check_size)?;
        (DynamicImage::ImageRgb8(image), orientation)
    } else {
        decode_other(bytes)?
    };
    image.apply_orientation(orientation);
    Ok(image)
}

fn check_size(width: u64, height: u64) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("{width} by {height} pixels: expected at least one"));
    }
    if width.saturating_mul(height) > AREA_LIMIT_PX {
        let limit = AREA_LIMIT_PX / 1_000_000;
        return Err(format!("{width} by {height} pixels: expected at most {limit} million; scale the image down"));
    }
    let needed_bytes = u128::from(width) * u128::from(height) * PIXEL_BYTES;
    afford_unnamed(needed_bytes, || format!("{width} by {height} pixels"))
}

fn decode_other(bytes: &[u8]) -> Result<(DynamicImage, Orientation), String> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    // The crate reads TIFF with 64-bit offsets, but does not know it by its first bytes.
    if bytes.starts_with(b"II+\0") || bytes.starts_with(b"MM\0+") {
        reader.set_format(ImageFormat::Tiff);
    }
    let Some(format) = reader.format() else {
        return Err("the content is no image that is read: expected JPEG, PNG, WebP, BMP, TIFF or GIF".to_owned());
    };
    let failed = |error: image::ImageError| {
        let name = format!("{format:?}").to_uppercase();
        format!("the {name} data cannot be decoded: {error}")
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_LIMIT_BYTES.min(budget_bytes()));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    let (width, height) = decoder.dimensions();
    check_size(width.into(), height.into())?;
    if decoder.total_bytes() > DECODER_LIMIT_BYTES {
        let (found, limit) = (decoder.total_bytes(), DECODER_LIMIT_BYTES);
        return Err(format!("{found} bytes when decoded: expected at most {limit}; scale the image down"));
    }
    // Damaged metadata do not make an image unreadable: it then stands as it is stored.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(failed)?;
    Ok((eight_bits(image)?, orientation))
}

/// Samples of 8 bits. The `image` crate would round 16-bit samples to the nearest.
fn eight_bits(image: DynamicImage) -> Result<DynamicImage, String> {
    use DynamicImage as Kind;
    let (width, height) = (image.width(), image.height());
    let upper = |samples: Vec<u16>| samples.into_iter().map(|sample| (sample >> 8) as u8).collect::<Vec<u8>>();
    const FILLED: &str = "as many samples as before";
    Ok(match image {
        Kind::ImageLuma16(deep) => {
            image::GrayImage::from_raw(width, height, upper(deep.into_raw())).expect(FILLED).into()
        }
        Kind::ImageLumaA16(deep) => {
            image::GrayAlphaImage::from_raw(width, height, upper(deep.into_raw())).expect(FILLED).into()
        }
        Kind::ImageRgb16(deep) => RgbImage::from_raw(width, height, upper(deep.into_raw())).expect(FILLED).into(),
        Kind::ImageRgba16(deep) => RgbaImage::from_raw(width, height, upper(deep.into_raw())).expect(FILLED).into(),
        Kind::ImageRgb32F(_) | Kind::ImageRgba32F(_) => {
            return Err("samples are floating-point numbers: expected 8 or 16 bits; save the image with those".into());
        }
        shallow => shallow,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_sixteen_bits_the_upper_byte_counts_and_alpha_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        let deep = image::ImageBuffer::from_pixel(2, 1, image::Rgba([0x80ffu16, 0, 0xffff, 7]));
        DynamicImage::ImageRgba16(deep).save(&path).unwrap();
        assert_eq!(decode(&path).unwrap().get_pixel(1, 0).0, [0x80, 0, 0xff]);
        assert_eq!(decode_with_alpha(&path).unwrap().get_pixel(1, 0).0, [0x80, 0, 0xff, 0]);
        image::GrayImage::from_pixel(1, 1, image::Luma([9])).save(&path).unwrap();
        assert_eq!(decode(&path).unwrap().get_pixel(0, 0).0, [9, 9, 9]);
    }

    #[test]
    fn sizes_are_bounded_by_area() {
        assert!(check_size(100_000, 1000).is_ok());
        assert!(check_size(100_000, 1001).is_err());
        assert!(check_size(0, 5).is_err());
        assert!(check_size(u64::MAX, u64::MAX).is_err());
    }

    #[test]
    fn floating_point_samples_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tiff");
        DynamicImage::ImageRgb32F(image::Rgb32FImage::new(2, 2)).save(&path).unwrap();
        let message = decode(&path).unwrap_err().to_string();
        assert!(message.ends_with("expected 8 or 16 bits; save the image with those"), "{message}");
    }
}
