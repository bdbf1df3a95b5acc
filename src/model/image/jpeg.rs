//! JPEG pixels as libjpeg-turbo gives them.
//!
//! Owns the call into MozJPEG's decoder, which computes what libjpeg-turbo computes: the integer inverse transform,
//! triangle interpolation of subsampled colour, fixed-point conversion to RGB. Decoders written anew differ from it by up
//! to 9 grey levels where colour is subsampled, and the networks were trained on pixels from libjpeg. The C code is the
//! portable one, without assembler, so that a C compiler is all that it takes; its results are the same.
//!
//! A file that ends too early is an error, as it is for Pillow; damage in the middle is decoded as libjpeg does, also as
//! it is for Pillow. Knows no other format: see `decode.rs`.

use std::io::{self, BufRead, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::RgbImage;
use image::metadata::Orientation;
use mozjpeg::{ColorSpace, Decompress, Marker};

/// What precedes the TIFF structure in an EXIF segment.
const EXIF_PREFIX: &[u8] = b"Exif\0\0";

/// No honest progressive file has more scans; each of them costs time in proportion to the image, whatever its length.
const SCAN_LIMIT: usize = 500;

/// The first bytes of a JPEG file.
pub const SIGNATURE: &[u8] = b"\xff\xd8\xff";

/// Decodes to RGB and tells how the image is to be turned.
///
/// `check_size` sees width and height before any pixel is allocated.
///
/// # Errors
/// In words, if the bytes are no JPEG file, end too early, or are refused by `check_size`.
pub fn decode(
    bytes: &[u8],
    check_size: impl FnOnce(u64, u64) -> Result<(), String>,
) -> Result<(RgbImage, Orientation), String> {
    // In compressed data this pair of bytes cannot occur, so nothing but metadata can make the count too high.
    let n_scans = bytes.windows(2).filter(|pair| *pair == [0xff, 0xda]).count();
    if n_scans > SCAN_LIMIT {
        return Err(format!("{n_scans} scans: expected at most {SCAN_LIMIT}; save the image anew"));
    }
    // The library unwinds out of its error handler, without calling the panic hook; all that it had allocated is
    // freed on the way, and nothing that it touched is looked at again.
    catch_unwind(AssertUnwindSafe(|| decode_unwinding(bytes, check_size))).unwrap_or_else(|payload| {
        let message = payload.downcast_ref::<String>().map_or("the decoder failed", String::as_str);
        let message = message.trim_start_matches("libjpeg fatal error: ");
        Err(if message.contains("Input file read error") { ENDS_EARLY.to_owned() } else { in_words(message) })
    })
}

const ENDS_EARLY: &str = "the JPEG data end too early: expected the end marker; the file is cut short";

fn in_words(message: &str) -> String {
    format!("no valid JPEG file: {message}")
}

fn decode_unwinding(
    bytes: &[u8],
    check_size: impl FnOnce(u64, u64) -> Result<(), String>,
) -> Result<(RgbImage, Orientation), String> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::InvalidData => ENDS_EARLY.to_owned(),
        _ => in_words(&error.to_string()),
    };
    let mut decoder = Decompress::with_markers(&[Marker::APP(1)]).from_reader(Whole(bytes)).map_err(failed)?;
    check_size(decoder.width() as u64, decoder.height() as u64)?;
    decoder.do_block_smoothing(true);
    let orientation = decoder
        .markers()
        .find_map(|marker| Orientation::from_exif_chunk(marker.data.strip_prefix(EXIF_PREFIX)?))
        .unwrap_or(Orientation::NoTransforms);
    let four_inks = matches!(decoder.color_space(), ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK);
    let wanted = if four_inks { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_RGB };
    let mut rows = decoder.to_colorspace(wanted).map_err(failed)?;
    let (width, height) = (rows.width(), rows.height());
    let n_pixels = width * height;
    let samples = if four_inks {
        let mut inks = vec![[0u8; 4]; n_pixels];
        rows.read_scanlines_into(&mut inks).map_err(failed)?;
        inks.into_iter().flat_map(rgb_of_inks).collect()
    } else {
        let mut pixels = vec![[0u8; 3]; n_pixels];
        rows.read_scanlines_into(&mut pixels).map_err(failed)?;
        pixels.into_flattened()
    };
    rows.finish().map_err(failed)?;
    let sides = (u32::try_from(width), u32::try_from(height));
    let (Ok(width), Ok(height)) = sides else { return Err(in_words("sides beyond 32 bits")) };
    let image = RgbImage::from_raw(width, height, samples).ok_or_else(|| in_words("rows are missing"))?;
    Ok((image, orientation))
}

/// RGB of inks stored upside down, as Adobe's programs do and Pillow takes for granted.
fn rgb_of_inks([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u32::from(black);
    [cyan, magenta, yellow].map(|stored| {
        let product = u32::from(255 - stored) * light + 128;
        let ink = (product + (product >> 8)) >> 8;
        light.saturating_sub(ink) as u8
    })
}

/// The bytes of a file, and an error where they end; a plain slice would be taken for a file with an end marker.
struct Whole<'a>(&'a [u8]);

impl Read for Whole<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        self.0.read(target)
    }
}

impl BufRead for Whole<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.0.is_empty() { Err(io::ErrorKind::InvalidData.into()) } else { Ok(self.0) }
    }

    fn consume(&mut self, n_bytes: usize) {
        self.0 = &self.0[n_bytes.min(self.0.len())..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_ink_is_black_and_none_is_white() {
        assert_eq!(rgb_of_inks([255, 255, 255, 255]), [255, 255, 255]);
        assert_eq!(rgb_of_inks([255, 255, 255, 0]), [0, 0, 0]);
        assert_eq!(rgb_of_inks([0, 255, 255, 255]), [0, 255, 255]);
    }

    #[test]
    fn a_refused_size_is_told_before_pixels_are_read() {
        let mut bytes = Vec::new();
        let picture = RgbImage::from_pixel(9, 7, image::Rgb([200, 10, 30]));
        picture.write_to(&mut io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
        let header_alone = &bytes[..bytes.len() - 3];
        let refused = decode(header_alone, |width, height| Err(format!("{width} by {height}")));
        assert_eq!(refused.unwrap_err(), "9 by 7");
        assert_eq!(decode(header_alone, |_, _| Ok(())).unwrap_err(), ENDS_EARLY);
        assert_eq!(decode(&bytes, |_, _| Ok(())).unwrap().0.dimensions(), (9, 7));
        bytes.extend([0xff, 0xda].repeat(SCAN_LIMIT));
        let refused = decode(&bytes, |_, _| Ok(())).unwrap_err();
        assert_eq!(refused, "501 scans: expected at most 500; save the image anew");
    }
}
