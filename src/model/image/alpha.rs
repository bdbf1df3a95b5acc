//! What becomes of an alpha channel, exactly as Pillow computes it.
//!
//! Owns premultiplication and blending in 8-bit integers. `preprocess.rs` decides which one applies.

use image::{Rgb, RgbImage, RgbaImage};
use serde::{Deserialize, Serialize};

/// What becomes of an alpha channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alpha {
    /// It is dropped from the image as stored: OpenAI's code, transformers before version 5.
    #[default]
    Drop,
    /// The image is laid on white: transformers 5.
    White,
    /// It takes part in the resampling and is dropped afterwards: METER.
    Resample,
}

/// The image on a white ground.
pub fn on_white(image: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        // Pillow's `alpha_composite`: 7 fractional bits, and a division by 255 made of shifts.
        let own = u32::from(alpha) << 7;
        let ground = (255 << 7) - own;
        Rgb([red, green, blue].map(|sample| {
            let sum = u32::from(sample) * own + 255 * ground + (0x80 << 7);
            ((((sum >> 8) + sum) >> 8) >> 7) as u8
        }))
    })
}

/// Colours multiplied by their alpha.
pub fn premultiplied(image: &RgbaImage) -> RgbaImage {
    let mut image = image.clone();
    for pixel in image.pixels_mut() {
        let alpha = u32::from(pixel[3]);
        for sample in &mut pixel.0[..3] {
            let product = u32::from(*sample) * alpha + 128;
            *sample = (((product >> 8) + product) >> 8) as u8;
        }
    }
    image
}

/// Colours divided by their alpha, which is dropped.
pub fn divided(image: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(image.width(), image.height(), |x, y| {
        let [red, green, blue, alpha] = image.get_pixel(x, y).0;
        let colour = [red, green, blue];
        Rgb(match alpha {
            0 | 255 => colour,
            _ => colour.map(|sample| (255 * u32::from(sample) / u32::from(alpha)).min(255) as u8),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgba;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn opaque_pixels_stay_and_clear_ones_turn_white(colour: [u8; 3], alpha: u8) {
            let [red, green, blue] = colour;
            let one = |alpha| RgbaImage::from_pixel(1, 1, Rgba([red, green, blue, alpha]));
            prop_assert_eq!(on_white(&one(255)).get_pixel(0, 0).0, colour);
            prop_assert_eq!(on_white(&one(0)).get_pixel(0, 0).0, [255; 3]);
            prop_assert_eq!(divided(&premultiplied(&one(255))).get_pixel(0, 0).0, colour);
            let back = divided(&premultiplied(&one(alpha))).get_pixel(0, 0).0;
            let step = 255.0 / f64::from(alpha.max(1));
            for (found, expected) in back.iter().zip(colour) {
                prop_assert!(alpha == 0 || (f64::from(*found) - f64::from(expected)).abs() <= step);
            }
        }
    }
}
