//! Pillow's resampling of 8-bit images.
//!
//! Owns the separable convolution with antialiasing that `PIL.Image.resize` does. The `image`
//! crate's own filters differ from it by up to several grey levels (another cubic, other rounding),
//! which is more than the networks' published preprocessing allows; here pixels are equal to
//! Pillow's. `image.rs` decides what is resized to which size.
//!
//! Each output sample is a weighted mean of the input samples within the filter's support, which
//! grows with the reduction. Weights are fixed-point with 22 fractional bits, rounded half away
//! from zero; the horizontal pass rounds to 8 bits before the vertical one. Source of the scheme:
//! Pillow's documentation of its filters; Keys 1981 for the cubic, with a = -1/2.

use image::RgbImage;

/// A resampling filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The triangle of half-width 1.
    Bilinear,
    /// Keys' cubic of half-width 2.
    Bicubic,
}

impl Filter {
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}

/// Fractional bits of a weight: what is left of 32 bits after a sample and two bits of headroom.
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// The input samples that one output sample is made of.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

fn windows(n_in: usize, n_out: usize, filter: Filter) -> Vec<Window> {
    let scale = n_in as f64 / n_out as f64;
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    (0..n_out)
        .map(|out| {
            let center = (out as f64 + 0.5) * scale;
            let first = ((center - support + 0.5).max(0.0)) as usize;
            let past = ((center + support + 0.5) as usize).min(n_in);
            let weights: Vec<f64> =
                (first..past).map(|at| filter.weight((at as f64 - center + 0.5) * stretch.recip())).collect();
            let total: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let scaled = weight / total * f64::from(1 << FRACTION_BITS);
                (scaled + 0.5f64.copysign(scaled)) as i32
            };
            Window { first, weights: weights.iter().map(fixed).collect() }
        })
        .collect()
}

/// Resizes an image; a side that keeps its length is not touched.
pub fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let (in_width, in_height) = (image.width() as usize, image.height() as usize);
    let (out_width, out_height) = (width as usize, height as usize);
    if in_width == 0 || in_height == 0 {
        return RgbImage::new(width, height);
    }
    let mut samples = image.as_raw().clone();
    if out_width != in_width {
        let columns = windows(in_width, out_width, filter);
        samples = samples
            .chunks_exact(in_width * 3)
            .flat_map(|row| columns.iter().flat_map(|window| mixed(row, window, 3)))
            .collect();
    }
    if out_height != in_height {
        let row_length = out_width * 3;
        samples = windows(in_height, out_height, filter)
            .iter()
            .flat_map(|window| mixed_rows(&samples, window, row_length))
            .collect();
    }
    RgbImage::from_raw(width, height, samples).expect("both passes fill the output")
}

fn rounded(sum: i64) -> u8 {
    ((sum + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS).clamp(0, 255) as u8
}

fn mixed(row: &[u8], window: &Window, n_channels: usize) -> [u8; 3] {
    let mut sums = [0i64; 3];
    let pixels = row[window.first * n_channels..].chunks_exact(n_channels);
    for (pixel, &weight) in pixels.zip(&window.weights) {
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum += i64::from(sample) * i64::from(weight);
        }
    }
    sums.map(rounded)
}

fn mixed_rows(samples: &[u8], window: &Window, row_length: usize) -> Vec<u8> {
    let mut sums = vec![0i64; row_length];
    let rows = samples[window.first * row_length..].chunks_exact(row_length);
    for (row, &weight) in rows.zip(&window.weights) {
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum += i64::from(sample) * i64::from(weight);
        }
    }
    sums.into_iter().map(rounded).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_even_image_stays_even(
            level: u8, width in 1u32..40, height in 1u32..40,
            out_width in 1u32..40, out_height in 1u32..40,
        ) {
            let image = RgbImage::from_pixel(width, height, image::Rgb([level, 0, 255]));
            for filter in [Filter::Bilinear, Filter::Bicubic] {
                let resized = resize(&image, out_width, out_height, filter);
                prop_assert_eq!(resized.dimensions(), (out_width, out_height));
                prop_assert!(resized.pixels().all(|pixel| pixel.0 == [level, 0, 255]));
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for (n_in, n_out) in [(7, 3), (3, 7), (1000, 224), (1, 5)] {
            for window in windows(n_in, n_out, Filter::Bicubic) {
                let sum: i32 = window.weights.iter().sum();
                assert!((sum - (1 << FRACTION_BITS)).abs() < 64, "{n_in} to {n_out}: {sum}");
                assert!(window.first + window.weights.len() <= n_in);
            }
        }
    }
}
