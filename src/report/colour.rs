//! Numbers to colours.
//!
//! This file owns the two colour maps and [`Ramp`], the mapping of a range of numbers onto one of them. It knows no
//! figure; `charts/`, `legend.rs` and `mosaic.rs` use it.
//!
//! Both maps can be told apart with any kind of colour vision and in grey.

use super::number;
use super::page::Scale;

/// Eight bits each of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rgb(pub u8, pub u8, pub u8);

impl Rgb {
    /// The form that CSS and SVG read.
    pub(super) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Nine even samples of viridis (van der Walt and Smith, matplotlib 1.5, 2015, dedicated to the public domain), whose
/// lightness rises in equal steps. The straight lines between them stray from the original by 1.7 of 255 on average, by
/// 17 at most (in red, near the yellow end).
pub(super) const FROM_ZERO: [Rgb; 9] = [
    Rgb(0x44, 0x01, 0x54),
    Rgb(0x47, 0x2d, 0x7b),
    Rgb(0x3b, 0x52, 0x8b),
    Rgb(0x2c, 0x72, 0x8e),
    Rgb(0x21, 0x91, 0x8c),
    Rgb(0x28, 0xae, 0x80),
    Rgb(0x5e, 0xc9, 0x62),
    Rgb(0xad, 0xdc, 0x30),
    Rgb(0xfd, 0xe7, 0x25),
];

/// Blue, white, red after the rules of Moreland (Diverging Color Maps for Scientific Visualization, 2009): both arms
/// pass the CIELAB lightness 30, 47, 64, 81, 96, at the hues 272 and 35 degrees, so that equal magnitudes weigh the same.
pub(super) const SIGNED: [Rgb; 9] = [
    Rgb(0x12, 0x49, 0x78),
    Rgb(0x2a, 0x73, 0xb6),
    Rgb(0x6b, 0x9e, 0xde),
    Rgb(0xb6, 0xca, 0xee),
    Rgb(0xf3, 0xf3, 0xf3),
    Rgb(0xef, 0xbe, 0xb5),
    Rgb(0xda, 0x84, 0x76),
    Rgb(0xad, 0x56, 0x49),
    Rgb(0x72, 0x34, 0x2b),
];

/// A range of numbers laid onto a colour map.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ramp {
    scale: Scale,
    limit: f64,
    clipped_low: bool,
    /// The largest magnitude among the numbers.
    largest: f64,
}

impl Ramp {
    /// A ramp whose end is the largest magnitude among `numbers`, widened to a round number.
    ///
    /// Numbers that are not finite are left out. Without any positive magnitude the limit is 1.
    pub(super) fn covering(scale: Scale, numbers: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (0.0f64, 0.0f64);
        for number in numbers.filter(|number| number.is_finite()) {
            (low, high) = (low.min(number), high.max(number));
        }
        let largest = match scale {
            Scale::FromZero => high,
            Scale::Signed => high.max(-low),
        };
        // Rounding up may end a hair below the number itself, which is then covered all the same.
        let limit = round_up(largest).max(largest);
        Self { scale, limit, clipped_low: scale == Scale::FromZero && low < 0.0, largest }
    }

    /// A ramp that ends at the given quantile of the magnitudes, so that a few extreme voxels do not flatten the map.
    pub(super) fn covering_most(scale: Scale, numbers: impl Iterator<Item = f64>, quantile: f64) -> Self {
        let mut magnitudes = Vec::new();
        let mut any_negative = false;
        for number in numbers.filter(|number| number.is_finite()) {
            any_negative |= number < 0.0;
            magnitudes.push(if scale == Scale::Signed { number.abs() } else { number.max(0.0) });
        }
        magnitudes.sort_unstable_by(f64::total_cmp);
        let last = magnitudes.len().saturating_sub(1);
        let at = |share: f64| magnitudes.get((share * last as f64).ceil() as usize).copied().unwrap_or(0.0);
        // A sparse map may be zero at the quantile: then its largest magnitude is the only useful end.
        let end = if at(quantile) > 0.0 { at(quantile) } else { at(1.0) };
        let limit = round_up(end);
        Self { scale, limit, clipped_low: scale == Scale::FromZero && any_negative, largest: at(1.0) }
    }

    /// The same, ending no nearer to zero than `least_end`.
    pub(super) fn reaching(self, least_end: f64) -> Self {
        Self { limit: self.limit.max(least_end), ..self }
    }

    /// The number at the right end.
    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    /// The number at the left end.
    pub(super) fn start(&self) -> f64 {
        match self.scale {
            Scale::FromZero => 0.0,
            Scale::Signed => -self.limit,
        }
    }

    /// Round numbers along the ramp; both ends are among them.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::FromZero => number::ticks(0.0, self.limit),
            Scale::Signed => [-1.0, -0.5, 0.0, 0.5, 1.0].map(|share| share * self.limit).into(),
        }
    }

    /// Which map is used.
    pub(super) fn scale(&self) -> Scale {
        self.scale
    }

    /// Whether numbers below the left end exist and share its colour.
    pub(super) fn clipped_low(&self) -> bool {
        self.clipped_low || (self.clipped_high() && self.scale == Scale::Signed)
    }

    /// Whether numbers beyond the right end exist and share its colour.
    pub(super) fn clipped_high(&self) -> bool {
        self.largest > self.limit
    }

    /// The colour of a finite number; numbers past an end take the end's colour.
    pub(super) fn colour(&self, number: f64) -> Rgb {
        let position = (number - self.start()) / (self.limit - self.start());
        interpolate(anchors(self.scale), position)
    }
}

/// The colours that a map passes, at even distances.
pub(super) fn anchors(scale: Scale) -> &'static [Rgb; 9] {
    match scale {
        Scale::FromZero => &FROM_ZERO,
        Scale::Signed => &SIGNED,
    }
}

/// Straight lines between anchors in sRGB, which is what an SVG gradient with the same stops shows.
fn interpolate(anchors: &[Rgb; 9], position: f64) -> Rgb {
    let along = position.clamp(0.0, 1.0) * (anchors.len() - 1) as f64;
    let below = (along.floor() as usize).min(anchors.len() - 2);
    let share = along - below as f64;
    let (a, b) = (anchors[below], anchors[below + 1]);
    let mix = |from: u8, to: u8| (f64::from(from) + share * (f64::from(to) - f64::from(from))).round() as u8;
    Rgb(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// The next number up among a few round ones per decade, so that ticks fall on round values.
fn round_up(number: f64) -> f64 {
    if !(number.is_finite() && number > 1e-12) {
        return 1.0;
    }
    let magnitude = 10f64.powi(number.log10().floor() as i32);
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let mantissa = number / magnitude;
    // The tolerance keeps 0.3 at 0.3 although 0.3 / 0.1 is a little more than 3.
    let step = steps.into_iter().find(|step| *step >= mantissa - 1e-9).unwrap_or(10.0);
    // Far beyond any score, and far enough from overflow for what is computed from it.
    (step * magnitude).min(1e300)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CIELAB lightness under D65.
    fn lightness(colour: Rgb) -> f64 {
        let linear = |channel: u8| {
            let v = f64::from(channel) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        let y = 0.2126 * linear(colour.0) + 0.7152 * linear(colour.1) + 0.0722 * linear(colour.2);
        116.0 * y.cbrt() - 16.0
    }

    #[test]
    fn viridis_rises_evenly_in_lightness() {
        let ramp = Ramp::covering(Scale::FromZero, [0.5].into_iter());
        let steps: Vec<f64> = (0..=32).map(|i| lightness(ramp.colour(0.5 * f64::from(i) / 32.0))).collect();
        assert!(steps.windows(2).all(|pair| pair[1] > pair[0]));
        let anchors = FROM_ZERO.map(lightness);
        assert!(anchors.windows(2).all(|pair| (8.5..11.5).contains(&(pair[1] - pair[0]))), "{anchors:?}");
    }

    #[test]
    fn signed_arms_weigh_the_same() {
        let ramp = Ramp::covering(Scale::Signed, [-1.0, 0.3].into_iter());
        for magnitude in [0.25, 0.5, 0.75, 1.0] {
            let difference = lightness(ramp.colour(magnitude)) - lightness(ramp.colour(-magnitude));
            assert!(difference.abs() < 0.3, "{magnitude}: {difference}");
        }
        assert_eq!(ramp.colour(0.0), SIGNED[4]);
        assert_eq!(ramp.colour(-9.0), SIGNED[0]);
        assert_eq!(ramp.colour(9.0), SIGNED[8]);
    }

    #[test]
    fn limits_are_round_and_cover() {
        for (number, limit) in [(0.23, 0.25), (0.3, 0.3), (0.31, 0.4), (0.97, 1.0), (7.2, 8.0), (0.0, 1.0), (-3.0, 1.0)]
        {
            let ramp = Ramp::covering(Scale::FromZero, [number].into_iter());
            assert!((ramp.limit() - limit).abs() < 1e-9, "{number}: {}", ramp.limit());
        }
        let ramp = Ramp::covering(Scale::FromZero, [f64::NAN, -0.1, 0.2].into_iter());
        assert!(ramp.clipped_low() && !ramp.clipped_high());
    }

    #[test]
    fn numbers_next_to_nothing_do_not_fill_the_colours() {
        let faint = || Ramp::covering(Scale::FromZero, [0.001].into_iter());
        assert_eq!(faint().reaching(0.1).limit(), 0.1);
        assert_eq!(Ramp::covering(Scale::FromZero, [0.5].into_iter()).reaching(0.1).limit(), 0.5);
        assert_eq!(faint().reaching(0.1).start(), 0.0);
    }

    #[test]
    fn both_ends_have_a_tick() {
        for scale in [Scale::FromZero, Scale::Signed] {
            for step in 1..400 {
                let ramp = Ramp::covering(scale, [f64::from(step) * 0.0031].into_iter());
                let ticks = ramp.ticks();
                let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
                assert!(near(ticks[0], ramp.start()) && near(ticks[ticks.len() - 1], ramp.limit()), "{ticks:?}");
            }
        }
        assert!(Ramp::covering(Scale::Signed, [f64::MAX].into_iter()).limit().is_finite());
    }

    #[test]
    fn extreme_voxels_do_not_set_the_scale() {
        let numbers = (0..1000).map(|i| f64::from(i) / 2000.0).chain([50.0]);
        let ramp = Ramp::covering_most(Scale::FromZero, numbers, 0.99);
        assert_eq!(ramp.limit(), 0.5);
        assert!(ramp.clipped_high());
        let sparse = (0..1000).map(|_| 0.0).chain([0.7]);
        assert!((Ramp::covering_most(Scale::FromZero, sparse, 0.99).limit() - 0.8).abs() < 1e-9);
    }
}
