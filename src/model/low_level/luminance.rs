//! From the pixels of a picture to luminances at one size, whatever the picture's own.
//!
//! Owns the transfer from sRGB to light and the mean over areas. Both are in this order: the mean of light is the light of the
//! mean, which is not so of encoded levels, where fine stripes of black and white would come out too bright.
//!
//! Sources: IEC 61966-2-1 for the transfer function of sRGB; Recommendation ITU-R BT.709-6 for the weights of its primaries.

use image::RgbImage;

/// Rows and columns of the working size.
pub const WORKING_SIDE: usize = 128;

/// The luminance of the red, green and blue primaries.
const WEIGHTS: [f64; 3] = [0.2126, 0.7152, 0.0722];

/// The luminance of a picture, 0 for black and 1 for white, at the working size.
///
/// Each value is the mean over the part of the picture that it stands for, pixels at its border counting by the share of their
/// area; a picture of another shape is stretched, so that a place in it is a share of its sides.
#[derive(Debug, Clone, PartialEq)]
pub struct Luminance(Vec<f32>);

impl Luminance {
    /// Measures a picture of any size.
    ///
    /// # Panics
    /// If it has no pixel.
    #[must_use]
    pub fn of(image: &RgbImage) -> Self {
        let [width, height] = [image.width() as usize, image.height() as usize];
        assert!(width > 0 && height > 0, "a picture has at least one pixel");
        let light: Vec<f64> = (0..=255).map(|level| light(f64::from(level) / 255.0)).collect();
        let mut sums = vec![0.0_f64; WORKING_SIDE * WORKING_SIDE];
        let mut row_sums = [0.0_f64; WORKING_SIDE];
        for (y, row) in image.rows().enumerate() {
            row_sums.fill(0.0);
            for (x, pixel) in row.enumerate() {
                let [red, green, blue] = pixel.0.map(|level| light[usize::from(level)]);
                let luminance = WEIGHTS[0] * red + WEIGHTS[1] * green + WEIGHTS[2] * blue;
                for (place, share) in shares(x, width) {
                    row_sums[place] += share * luminance;
                }
            }
            for (place, share) in shares(y, height) {
                let sums = &mut sums[place * WORKING_SIDE..][..WORKING_SIDE];
                sums.iter_mut().zip(&row_sums).for_each(|(sum, of_row)| *sum += share * of_row);
            }
        }
        Self(sums.into_iter().map(|value| value as f32).collect())
    }

    /// The values, row by row from the top.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn from_fn(value: impl Fn(usize, usize) -> f32) -> Self {
        let at = |place| value(place % WORKING_SIDE, place / WORKING_SIDE);
        Self((0..WORKING_SIDE * WORKING_SIDE).map(at).collect())
    }
}

/// The light of an encoded level, both from 0 to 1.
fn light(level: f64) -> f64 {
    if level <= 0.040_45 { level / 12.92 } else { ((level + 0.055) / 1.055).powf(2.4) }
}

/// The values that a pixel takes part in along one side, with its weight in each; weights of a value add to 1.
fn shares(pixel: usize, n_pixels: usize) -> impl Iterator<Item = (usize, f64)> {
    // In pieces of which a pixel has as many as there are values, and a value as many as there are pixels.
    let (begin, end) = (pixel * WORKING_SIDE, (pixel + 1) * WORKING_SIDE);
    (begin / n_pixels..=(end - 1) / n_pixels).map(move |place| {
        let common = end.min((place + 1) * n_pixels) - begin.max(place * n_pixels);
        (place, common as f64 / n_pixels as f64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    #[test]
    fn primaries_and_grey_have_their_luminance() {
        let of = |colour: [u8; 3]| {
            let values = Luminance::of(&RgbImage::from_pixel(3, 2, Rgb(colour))).0;
            assert!(values.iter().all(|value| (value - values[0]).abs() < 1e-6));
            f64::from(values[0])
        };
        // 188 of 255 is the level of half the light of white, to the nearest level; 118 that of a grey card's 18 %.
        for (colour, expected) in [
            ([0; 3], 0.0),
            ([255; 3], 1.0),
            ([255, 0, 0], 0.2126),
            ([0, 255, 0], 0.7152),
            ([0, 0, 255], 0.0722),
            ([188; 3], 0.502_886_5),
            ([118; 3], 0.181_164_2),
            ([10; 3], 0.003_035_3),
        ] {
            assert!((of(colour) - expected).abs() < 1e-6, "{colour:?} is {}", of(colour));
        }
    }

    #[test]
    fn stripes_are_half_as_light_as_white_at_any_size() {
        let stripes = RgbImage::from_fn(512, 384, |x, _| Rgb([if x % 2 == 0 { 0 } else { 255 }; 3]));
        assert!(Luminance::of(&stripes).0.iter().all(|value| (value - 0.5).abs() < 1e-6));
    }

    #[test]
    fn pictures_of_the_working_size_stay_and_smaller_ones_become_blocks() {
        let side = WORKING_SIDE as u32;
        let checks = |side: u32| RgbImage::from_fn(side, side, |x, y| Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3]));
        assert_eq!(Luminance::of(&checks(side)), Luminance::from_fn(|x, y| ((x + y + 1) % 2) as f32));
        assert_eq!(Luminance::of(&checks(side / 8)), Luminance::from_fn(|x, y| ((x / 8 + y / 8 + 1) % 2) as f32));
    }

    proptest! {
        #[test]
        fn the_mean_is_that_of_the_pixels(width in 1u32..300, height in 1u32..300, seed: u32) {
            let level = |x: u32, y: u32| (x.wrapping_mul(31).wrapping_add(y.wrapping_mul(17)) ^ seed) as u8;
            let image = RgbImage::from_fn(width, height, |x, y| Rgb([level(x, y), level(y, x), level(x, x)]));
            let of_pixel = |pixel: &Rgb<u8>| -> f64 {
                pixel.0.iter().zip(WEIGHTS).map(|(level, weight)| weight * light(f64::from(*level) / 255.0)).sum()
            };
            let expected = image.pixels().map(of_pixel).sum::<f64>() / f64::from(width * height);
            let values = Luminance::of(&image).0;
            let found = values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64;
            prop_assert!((found - expected).abs() < 1e-6, "{} against {}", found, expected);
            prop_assert!(values.iter().all(|value| (0.0..=1.000_001).contains(value)));
        }
    }
}
