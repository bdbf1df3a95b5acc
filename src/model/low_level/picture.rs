//! What is measured of a picture's luminances, over the whole of it and in each cell of a grid.
//!
//! Owns the maps and the statistic of each: mean luminance; its standard deviation, RMS contrast (Peli 1990, Journal of the
//! Optical Society of America A 7, 2032-2040); the root mean square of two bands of spatial frequency; the mean absolute change
//! from the picture before. Bands are differences between successive smoothings with the kernel [1 4 6 4 1]/16 (Burt and Adelson
//! 1983, IEEE Transactions on Communications 31, 532-540), its taps 1, 2, 4 and 8 pixels apart and nothing thrown away. The first
//! smoothing takes out what the size of the original decides, so that bands compare between pictures of all sizes.
//!
//! The change from picture to picture is the cheapest measure of motion energy: it does not tell motion from flicker or a cut,
//! has no direction, and sees what moves between two samples of a film, not in between. It is not divided by the time between them.

use std::ops::Range;

use super::LowLevelFeature;
use super::luminance::{Luminance, WORKING_SIDE};

/// The kernel of a smoothing.
const KERNEL: [f64; 5] = [1.0 / 16.0, 4.0 / 16.0, 6.0 / 16.0, 4.0 / 16.0, 1.0 / 16.0];

/// The maps of one picture that some feature needs.
pub(super) struct Maps<'a> {
    luminance: &'a [f32],
    /// Coarse and fine.
    bands: Option<[Vec<f32>; 2]>,
    change: Option<Vec<f32>>,
}

impl<'a> Maps<'a> {
    pub(super) fn of(picture: &'a Luminance, before: Option<&Luminance>, features: &[LowLevelFeature]) -> Self {
        let has_bands =
            features.iter().any(|feature| matches!(feature, LowLevelFeature::CoarseEdges | LowLevelFeature::FineEdges));
        let change = before.filter(|_| features.contains(&LowLevelFeature::Motion)).map(|before| {
            let pairs = picture.values().iter().zip(before.values());
            pairs.map(|(now, before)| (now - before).abs()).collect()
        });
        Self { luminance: picture.values(), bands: has_bands.then(|| bands(picture.values())), change }
    }

    /// Appends a feature's value over the whole and, if the grid has more than one, in each cell.
    pub(super) fn measure(&self, feature: LowLevelFeature, grid: usize, row: &mut Vec<f32>) {
        let whole = [[0..WORKING_SIDE, 0..WORKING_SIDE]];
        let cells = if grid > 1 { cells(grid) } else { Vec::new() };
        let band = |place: usize| self.bands.as_ref().map_or(self.luminance, |bands| &bands[place]);
        row.extend(whole.iter().chain(&cells).map(|cell| match feature {
            LowLevelFeature::Luminance => mean(self.luminance, cell, f64::from),
            LowLevelFeature::Contrast => {
                let centre = mean(self.luminance, cell, f64::from);
                mean(self.luminance, cell, |value| (f64::from(value) - centre).powi(2)).sqrt()
            }
            LowLevelFeature::CoarseEdges => mean(band(0), cell, |value| f64::from(value).powi(2)).sqrt(),
            LowLevelFeature::FineEdges => mean(band(1), cell, |value| f64::from(value).powi(2)).sqrt(),
            LowLevelFeature::Motion => self.change.as_ref().map_or(0.0, |change| mean(change, cell, f64::from)),
            other => unreachable!("`{other}` is no map of a picture"),
        } as f32));
    }
}

/// Rows and columns of each cell, row by row; cells differ by a pixel where the grid does not divide the side.
fn cells(grid: usize) -> Vec<[Range<usize>; 2]> {
    let span = |place: usize| place * WORKING_SIDE / grid..(place + 1) * WORKING_SIDE / grid;
    (0..grid * grid).map(|cell| [span(cell / grid), span(cell % grid)]).collect()
}

fn mean(map: &[f32], [rows, columns]: &[Range<usize>; 2], value: impl Fn(f32) -> f64) -> f64 {
    let n = (rows.len() * columns.len()) as f64;
    let of_row =
        |row: usize| map[row * WORKING_SIDE..][columns.clone()].iter().map(|number| value(*number)).sum::<f64>();
    rows.clone().map(of_row).sum::<f64>() / n
}

/// The coarse and the fine band.
fn bands(luminance: &[f32]) -> [Vec<f32>; 2] {
    let first = smoothed(luminance, 1);
    let second = smoothed(&first, 2);
    let third = smoothed(&second, 4);
    let fourth = smoothed(&third, 8);
    let between = |fine: &[f32], coarse: &[f32]| fine.iter().zip(coarse).map(|(fine, coarse)| fine - coarse).collect();
    [between(&third, &fourth), between(&first, &second)]
}

/// A map smoothed along both sides, the kernel's taps `apart` pixels apart, mirrored at the border.
fn smoothed(map: &[f32], apart: usize) -> Vec<f32> {
    let taps = |place: usize| -> [usize; 5] {
        [0, 1, 2, 3, 4].map(|tap| {
            let at = (place + tap * apart) as isize - (2 * apart) as isize;
            let mirrored = if at < 0 { -at - 1 } else { at };
            let last = WORKING_SIDE as isize - 1;
            (if mirrored > last { 2 * last + 1 - mirrored } else { mirrored }) as usize
        })
    };
    let places: Vec<[usize; 5]> = (0..WORKING_SIDE).map(taps).collect();
    let mut along = Vec::with_capacity(map.len());
    for row in map.chunks_exact(WORKING_SIDE) {
        along.extend(places.iter().map(|taps| weighted(taps, |tap| row[tap])));
    }
    let mut both = Vec::with_capacity(map.len());
    for taps in &places {
        both.extend((0..WORKING_SIDE).map(|column| weighted(taps, |tap| along[tap * WORKING_SIDE + column])));
    }
    both
}

fn weighted(taps: &[usize; 5], at: impl Fn(usize) -> f32) -> f32 {
    taps.iter().zip(KERNEL).map(|(tap, weight)| weight * f64::from(at(*tap))).sum::<f64>() as f32
}

#[cfg(test)]
mod tests {
    use super::super::LowLevel;
    use super::*;
    use LowLevelFeature as Feature;
    use proptest::prelude::*;
    use std::f64::consts::PI;

    fn measured(feature: Feature, grid: usize, picture: &Luminance, before: Option<&Luminance>) -> Vec<f32> {
        LowLevel { grid, features: vec![feature] }.measure_picture(picture, before, None)
    }

    fn near(found: f32, expected: f64) {
        assert!((f64::from(found) - expected).abs() < 1e-5, "{found} against {expected}");
    }

    #[test]
    fn cells_cover_the_picture_once() {
        for grid in 1..=32 {
            let mut covered = vec![0; WORKING_SIDE * WORKING_SIDE];
            for [rows, columns] in cells(grid) {
                for row in rows {
                    covered[row * WORKING_SIDE..][columns.clone()].iter_mut().for_each(|times| *times += 1);
                }
            }
            assert!(covered.iter().all(|times| *times == 1), "grid {grid}");
        }
    }

    #[test]
    fn a_lit_cell_is_found_where_it_is() {
        // The second of four columns, the third of four rows.
        let lit = |x: usize, y: usize| f32::from(u8::from(x / 32 == 1 && y / 32 == 2));
        let picture = Luminance::from_fn(lit);
        let light = measured(Feature::Luminance, 4, &picture, None);
        near(light[0], 1.0 / 16.0);
        let cells: Vec<usize> = (0..16).filter(|cell| light[1 + cell] > 0.0).collect();
        assert_eq!((cells, light[10]), (vec![9], 1.0));
        let contrast = measured(Feature::Contrast, 4, &picture, None);
        near(contrast[0], (1.0_f64 / 16.0 * 15.0 / 16.0).sqrt());
        assert!(contrast[1..].iter().all(|value| *value == 0.0), "each cell is even");
    }

    /// A wave along the columns that the mirrored border continues.
    fn wave(cycles: f64) -> impl Fn(usize) -> f64 {
        move |x| (2.0 * PI * cycles * (x as f64 + 0.5) / WORKING_SIDE as f64).cos()
    }

    #[test]
    fn bands_pass_waves_as_their_transfer_functions_say() {
        // A smoothing with taps `apart` pixels apart passes a wave of `angle` a pixel by cos(apart angle / 2)^4.
        let gain = |cycles: f64, apart: f64| (PI * cycles * apart / WORKING_SIDE as f64).cos().powi(4);
        for cycles in [1.0, 2.5, 4.5, 9.0, 18.0, 32.0, 50.0] {
            let at = wave(cycles);
            let picture = Luminance::from_fn(|x, _| (0.5 + 0.3 * at(x)) as f32);
            let first = gain(cycles, 1.0);
            let fine = first * (1.0 - gain(cycles, 2.0));
            let third = first * gain(cycles, 2.0) * gain(cycles, 4.0);
            let coarse = third * (1.0 - gain(cycles, 8.0));
            let rms = 0.3 / 2.0_f64.sqrt();
            near(measured(Feature::FineEdges, 1, &picture, None)[0], rms * fine.abs());
            near(measured(Feature::CoarseEdges, 1, &picture, None)[0], rms * coarse.abs());
            near(measured(Feature::Contrast, 1, &picture, None)[0], rms);
        }
    }

    #[test]
    fn bands_are_most_sensitive_where_their_documentation_says() {
        let strongest = |feature| {
            let strength = |cycles: &usize| {
                let at = wave(*cycles as f64);
                measured(feature, 1, &Luminance::from_fn(|x, _| (0.5 + 0.5 * at(x)) as f32), None)[0]
            };
            (1..=40).max_by(|one, other| strength(one).total_cmp(&strength(other))).unwrap()
        };
        let (coarse, fine) = (strongest(Feature::CoarseEdges), strongest(Feature::FineEdges));
        assert!((4..=5).contains(&coarse) && (17..=19).contains(&fine), "{coarse} and {fine}");
    }

    #[test]
    fn what_moves_is_found_where_it_was_and_where_it_is() {
        let square =
            |left: usize| Luminance::from_fn(move |x, y| f32::from(u8::from((left..left + 16).contains(&x) && y < 16)));
        let motion = measured(Feature::Motion, 4, &square(64), Some(&square(0)));
        near(motion[0], 2.0 * 256.0 / 16384.0);
        let moving: Vec<usize> = (0..16).filter(|cell| motion[1 + cell] > 0.0).collect();
        assert_eq!(moving, [0, 2]);
        near(motion[1], 0.25);
        for still in
            [measured(Feature::Motion, 4, &square(5), None), measured(Feature::Motion, 4, &square(5), Some(&square(5)))]
        {
            assert!(still.iter().all(|value| *value == 0.0));
        }
    }

    proptest! {
        #[test]
        fn the_whole_is_the_mean_of_equal_cells(seed: u32) {
            let picture = |seed: u32| Luminance::from_fn(|x, y| {
                let mixed = (x as u32 * 73 + y as u32 * 151).wrapping_mul(seed | 1) >> 7;
                (mixed % 1000) as f32 / 1000.0
            });
            let (now, before) = (picture(seed), picture(seed ^ 0xabcd));
            for feature in [Feature::Luminance, Feature::Motion] {
                let row = measured(feature, 8, &now, Some(&before));
                let mean = row[1..].iter().map(|value| f64::from(*value)).sum::<f64>() / 64.0;
                prop_assert!((mean - f64::from(row[0])).abs() < 1e-6);
            }
            // The energy of a band over the whole is the mean of that in its cells, and so is its square root's square.
            let row = measured(Feature::FineEdges, 8, &now, None);
            let mean = row[1..].iter().map(|value| f64::from(*value).powi(2)).sum::<f64>() / 64.0;
            prop_assert!((mean.sqrt() - f64::from(row[0])).abs() < 1e-6);
            let turned = measured(Feature::Motion, 8, &before, Some(&now));
            prop_assert_eq!(turned, measured(Feature::Motion, 8, &now, Some(&before)));
        }
    }
}
