//! Pillow's resampling of 8-bit images.
//!
//! Owns the separable convolution with antialiasing that `PIL.Image.resize` does, and its nearest neighbour. Other
//! libraries' filters differ from it by grey levels (another cubic, other rounding), which is more than the networks'
//! published preprocessing allows; here pixels are equal to Pillow's. Only what a crop needs is computed: each pixel
//! depends on its own windows alone. `preprocess.rs` decides what is resized to which size.
//!
//! Each output sample is a weighted mean of the input samples within the filter's support, which grows with the
//! reduction. Weights are fixed-point with 22 fractional bits, rounded half away from zero; the first pass rounds to 8
//! bits before the second. Source of the scheme: Pillow's documentation of its filters; Keys 1981 for the cubic,
//! with a = -1/2; Duchon 1979 for Lanczos' window, with 3 lobes.

use std::f64::consts::PI;

use image::{ImageBuffer, Pixel};
use serde::{Deserialize, Serialize};

/// A resampling filter, by Pillow's numbers from 0 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Filter {
    /// The pixel whose area holds the sample's centre.
    Nearest,
    /// The windowed sinc of half-width 3.
    Lanczos,
    /// The triangle of half-width 1.
    Bilinear,
    /// Keys' cubic of half-width 2.
    Bicubic,
    /// The mean of half-width 1/2.
    Box,
    /// The sinc in Hamming's window, of half-width 1.
    Hamming,
}

impl Filter {
    /// All filters, each at its number.
    pub const ALL: [Self; 6] = [Self::Nearest, Self::Lanczos, Self::Bilinear, Self::Bicubic, Self::Box, Self::Hamming];

    fn support(self) -> f64 {
        match self {
            Self::Nearest => 0.0,
            Self::Box => 0.5,
            Self::Bilinear | Self::Hamming => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let distance = x.abs();
        match self {
            // Half open, so that no sample on the edge between two means counts twice.
            Self::Box if x > -0.5 && x <= 0.5 => 1.0,
            Self::Bilinear if distance < 1.0 => 1.0 - distance,
            Self::Hamming if distance == 0.0 => 1.0,
            Self::Hamming if distance < 1.0 => sinc(distance) * (HAMMING[0] + HAMMING[1] * (distance * PI).cos()),
            Self::Bicubic if distance < 1.0 => ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0,
            Self::Bicubic if distance < 2.0 => (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A,
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            _ => 0.0,
        }
    }
}

/// The window's coefficients, in single precision as Pillow has them: a few sums in a million round otherwise.
const HAMMING: [f64; 2] = [0.54f32 as f64, 0.46f32 as f64];

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) }
}

impl TryFrom<u32> for Filter {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        let found = usize::try_from(number).ok().and_then(|number| Self::ALL.get(number).copied());
        found.ok_or_else(|| format!("resample {number}: expected a number from 0 to 5, as Pillow counts its filters"))
    }
}

impl From<Filter> for u32 {
    fn from(filter: Filter) -> Self {
        filter as Self
    }
}

/// A rectangle of a resized image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Columns to its left.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Its columns.
    pub width: u32,
    /// Its rows.
    pub height: u32,
}

/// Resizes an image; a side that keeps its length is not touched.
pub fn resize<P>(image: &Image<P>, width: u32, height: u32, filter: Filter) -> Image<P>
where
    P: Pixel<Subpixel = u8>,
{
    resize_part(image, [width, height], filter, Part { left: 0, top: 0, width, height })
}

/// Images of 8-bit samples.
type Image<P> = ImageBuffer<P, Vec<u8>>;

/// The part of an image that [`resize`] would make of `size` (width and height), without the rest of it.
///
/// # Panics
/// If the part reaches beyond the size, or the image is empty.
pub fn resize_part<P>(image: &Image<P>, size: [u32; 2], filter: Filter, part: Part) -> Image<P>
where
    P: Pixel<Subpixel = u8>,
{
    let within = |first: u32, n: u32, side: u32| first.checked_add(n).is_some_and(|past| past <= side);
    let fits = within(part.left, part.width, size[0]) && within(part.top, part.height, size[1]);
    assert!(fits, "{part:?} reaches beyond {size:?}");
    let (width, height) = image.dimensions();
    assert!(width > 0 && height > 0, "an empty image cannot be resized");
    let samples = match P::CHANNEL_COUNT {
        1 => resized::<1>(image.as_raw(), [width, height], size, filter, part),
        2 => resized::<2>(image.as_raw(), [width, height], size, filter, part),
        3 => resized::<3>(image.as_raw(), [width, height], size, filter, part),
        _ => resized::<4>(image.as_raw(), [width, height], size, filter, part),
    };
    Image::from_raw(part.width, part.height, samples).expect("both passes fill the part")
}

fn resized<const N: usize>(
    samples: &[u8],
    [in_width, in_height]: [u32; 2],
    [out_width, out_height]: [u32; 2],
    filter: Filter,
    part: Part,
) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks::<N>();
    let rows = pixels.chunks_exact(in_width as usize);
    let (columns, lines) = (part.left..part.left + part.width, part.top..part.top + part.height);
    if filter == Filter::Nearest {
        let across = nearest(in_width, out_width, columns);
        let rows: Vec<_> = rows.collect();
        let down = nearest(in_height, out_height, lines);
        let picked = down.iter().flat_map(|&row| across.iter().map(move |&column| (row, column)));
        return picked.flat_map(|(row, column)| rows[row][column]).collect();
    }
    let across = (out_width != in_width).then(|| windows(in_width, out_width, columns.clone(), filter));
    let down = (out_height != in_height).then(|| windows(in_height, out_height, lines.clone(), filter));
    // Pixels that no output pixel is made of are not mixed.
    let used = |windows: &Option<Vec<Window>>, wanted: std::ops::Range<u32>| match windows {
        Some(windows) => {
            let first = windows.iter().map(|window| window.first).min().unwrap_or(0);
            first..windows.iter().map(Window::past).max().unwrap_or(first)
        }
        None => wanted.start as usize..wanted.end as usize,
    };
    let (used_columns, used_rows) = (used(&across, columns), used(&down, lines));
    let rows = rows.skip(used_rows.start).take(used_rows.len()).map(|row| &row[used_columns.clone()]);
    let (width, n_columns) = (part.width as usize, used_columns.len());
    match (across, down) {
        (None, None) => rows.flatten().flatten().copied().collect(),
        (Some(across), None) => mix_across(rows, &across, used_columns.start),
        (None, Some(down)) => mix_down(rows, &down, used_rows.start, n_columns),
        (Some(across), Some(down)) if goes_down_first([in_width, in_height], [out_width, out_height]) => {
            let lowered = mix_down(rows, &down, used_rows.start, n_columns);
            mix_across(lowered.as_chunks::<N>().0.chunks_exact(n_columns.max(1)), &across, used_columns.start)
        }
        (Some(across), Some(down)) => {
            let narrowed = mix_across(rows, &across, used_columns.start);
            mix_down(narrowed.as_chunks::<N>().0.chunks_exact(width.max(1)), &down, used_rows.start, width)
        }
    }
}

/// Does Pillow mix columns before rows? As each pass rounds to 8 bits, the order shows in the result. The rule is that of
/// version 13, found by comparing its results with both orders; earlier versions always mix rows first.
fn goes_down_first([in_width, in_height]: [u32; 2], [out_width, out_height]: [u32; 2]) -> bool {
    let lost = |before: u32, after: u32| i64::from(before) - i64::from(after);
    out_height < in_height && lost(in_height, out_height) > 2 * lost(in_width, out_width)
}

fn mix_across<'a, const N: usize>(
    rows: impl Iterator<Item = &'a [[u8; N]]>,
    windows: &[Window],
    first: usize,
) -> Vec<u8> {
    let mut mixed = Vec::new();
    for row in rows {
        mixed.extend(windows.iter().flat_map(|window| mix(&row[window.first - first..], window)));
    }
    mixed
}

fn mix_down<'a, const N: usize>(
    rows: impl Iterator<Item = &'a [[u8; N]]>,
    windows: &[Window],
    first: usize,
    width: usize,
) -> Vec<u8> {
    let rows: Vec<&[u8]> = rows.map(<[[u8; N]]>::as_flattened).collect();
    let mut mixed = Vec::with_capacity(windows.len() * width * N);
    let mut sums = vec![0i32; width * N];
    for window in windows {
        sums.fill(HALF);
        for (row, &weight) in rows[(window.first - first).min(rows.len())..].iter().zip(&window.weights) {
            for (sum, &sample) in sums.iter_mut().zip(*row) {
                *sum = sum.wrapping_add(i32::from(sample).wrapping_mul(weight));
            }
        }
        mixed.extend(sums.iter().map(|&sum| rounded(sum)));
    }
    mixed
}

/// Fractional bits of a weight: what is left of 32 bits after a sample and two bits of headroom.
const FRACTION_BITS: u32 = 32 - 8 - 2;

/// One half, from which sums start so that cutting rounds them.
const HALF: i32 = 1 << (FRACTION_BITS - 1);

/// The input samples that one output sample is made of.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

impl Window {
    fn past(&self) -> usize {
        self.first + self.weights.len()
    }
}

/// The windows of some of the output samples along one side.
fn windows(n_in: u32, n_out: u32, wanted: std::ops::Range<u32>, filter: Filter) -> Vec<Window> {
    let scale = f64::from(n_in) / f64::from(n_out);
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let n_in = n_in as usize;
    wanted
        .map(|out| {
            let center = (f64::from(out) + 0.5) * scale;
            let first = ((center - support + 0.5).max(0.0)) as usize;
            let past = ((center + support + 0.5) as usize).min(n_in);
            let weights: Vec<f64> =
                (first..past).map(|at| filter.weight((at as f64 - center + 0.5) * stretch.recip())).collect();
            let total: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let share = if total == 0.0 { *weight } else { weight / total };
                let scaled = share * f64::from(1 << FRACTION_BITS);
                (scaled + 0.5f64.copysign(scaled)) as i32
            };
            Window { first, weights: weights.iter().map(fixed).collect() }
        })
        .collect()
}

/// The input samples under some of the output samples along one side. Places are summed up, not multiplied out: that
/// decides where a centre falls on an edge.
fn nearest(n_in: u32, n_out: u32, wanted: std::ops::Range<u32>) -> Vec<usize> {
    let step = f64::from(n_in) / f64::from(n_out);
    let places = std::iter::successors(Some(step * 0.5), |place| Some(place + step));
    let last = n_in.saturating_sub(1) as usize;
    places.skip(wanted.start as usize).take(wanted.len()).map(|place| (place as usize).min(last)).collect()
}

/// Sums cannot overflow: weights add up to one, and the two bits of headroom hold their negative lobes. Should they on
/// some input nonetheless, they wrap around as in Pillow.
fn mix<const N: usize>(pixels: &[[u8; N]], window: &Window) -> [u8; N] {
    let mut sums = [HALF; N];
    for (pixel, &weight) in pixels.iter().zip(&window.weights) {
        for (sum, &sample) in sums.iter_mut().zip(pixel) {
            *sum = sum.wrapping_add(i32::from(sample).wrapping_mul(weight));
        }
    }
    sums.map(rounded)
}

fn rounded(sum: i32) -> u8 {
    (sum >> FRACTION_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;
    use proptest::prelude::*;

    fn noise(width: u32, height: u32) -> RgbImage {
        let mut state = 7u32;
        RgbImage::from_fn(width, height, |_, _| {
            image::Rgb([(); 3].map(|()| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            }))
        })
    }

    proptest! {
        #[test]
        fn an_even_image_stays_even(
            level: u8, width in 1u32..40, height in 1u32..40,
            out_width in 1u32..40, out_height in 1u32..40,
        ) {
            let image = RgbImage::from_pixel(width, height, image::Rgb([level, 0, 255]));
            for filter in Filter::ALL {
                let resized = resize(&image, out_width, out_height, filter);
                prop_assert_eq!(resized.dimensions(), (out_width, out_height));
                prop_assert!(resized.pixels().all(|pixel| pixel.0 == [level, 0, 255]));
            }
        }

        #[test]
        fn a_part_is_what_a_crop_would_leave(
            width in 1u32..30, height in 1u32..30, out_width in 1u32..30, out_height in 1u32..30,
            corner: [u32; 2], extent: [u32; 2],
        ) {
            let image = noise(width, height);
            let (left, top) = (corner[0] % out_width, corner[1] % out_height);
            let part = Part {
                left, top,
                width: extent[0] % (out_width - left + 1),
                height: extent[1] % (out_height - top + 1),
            };
            for filter in Filter::ALL {
                let whole = resize(&image, out_width, out_height, filter);
                let cropped = image::imageops::crop_imm(&whole, left, top, part.width, part.height).to_image();
                prop_assert_eq!(cropped, resize_part(&image, [out_width, out_height], filter, part));
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for filter in &Filter::ALL[1..] {
            for (n_in, n_out) in [(7, 3), (3, 7), (1000, 224), (1, 5)] {
                for window in windows(n_in, n_out, 0..n_out, *filter) {
                    let sum: i32 = window.weights.iter().sum();
                    assert!((sum - (1 << FRACTION_BITS)).abs() < 64, "{filter:?} {n_in} to {n_out}: {sum}");
                    assert!(window.past() <= n_in as usize);
                }
            }
        }
    }

    #[test]
    fn filters_bear_pillow_s_numbers() {
        for (number, filter) in (0u32..).zip(Filter::ALL) {
            assert_eq!(Filter::try_from(number), Ok(filter));
            assert_eq!(u32::from(filter), number);
        }
        assert!(Filter::try_from(6).unwrap_err().starts_with("resample 6: expected"));
    }
}
