//! What a CIFTI file says about each place: a series of time points, named values or named labels.

/// The maps of a file: its rows as nibabel shows them, one value for each place.
#[derive(Debug, Clone, PartialEq)]
pub enum Maps {
    /// Points of a series.
    Series(Series),
    /// Named maps of real values.
    Scalars(Vec<NamedMap>),
    /// Named maps of labels.
    Labels(Vec<LabelMap>),
}

impl Maps {
    /// Number of maps.
    pub fn len(&self) -> usize {
        match self {
            Maps::Series(series) => series.n_points,
            Maps::Scalars(maps) => maps.len(),
            Maps::Labels(maps) => maps.len(),
        }
    }

    /// Whether there is no map.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Points at equal steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Series {
    /// Number of points.
    pub n_points: usize,
    /// Where the first point lies, in units times ten to the power of the exponent.
    pub start: f64,
    /// Distance between points, likewise.
    pub step: f64,
    /// Power of ten by which start and step are multiplied.
    pub exponent: i32,
    /// What the points are points of.
    pub unit: SeriesUnit,
}

impl Series {
    /// Points of time that begin at 0.
    pub fn seconds(n_points: usize, step_s: f64) -> Self {
        Series { n_points, start: 0.0, step: step_s, exponent: 0, unit: SeriesUnit::Second }
    }

    /// Seconds between points: the repetition time; absent for other units and for steps that are not positive.
    pub fn step_s(&self) -> Option<f64> {
        // Division by a whole power of ten is correctly rounded: 720 with exponent -3 is 0.72.
        let power = 10_f64.powi(self.exponent.saturating_abs());
        let step_s = if self.exponent < 0 { self.step / power } else { self.step * power };
        (self.unit == SeriesUnit::Second && step_s.is_finite() && step_s > 0.0).then_some(step_s)
    }
}

/// The units of series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SeriesUnit {
    Second,
    Hertz,
    Meter,
    Radian,
}

impl SeriesUnit {
    const NAMES: [(SeriesUnit, &'static str); 4] = [
        (SeriesUnit::Second, "SECOND"),
        (SeriesUnit::Hertz, "HERTZ"),
        (SeriesUnit::Meter, "METER"),
        (SeriesUnit::Radian, "RADIAN"),
    ];

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|&(unit, _)| unit)
    }

    pub(super) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|&&(unit, _)| unit == self).map_or("SECOND", |&(_, name)| name)
    }
}

/// Names and values that a file carries along.
pub type Metadata = Vec<(String, String)>;

/// A map of real values.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedMap {
    /// Its name.
    pub name: String,
    /// What else its writer noted.
    pub metadata: Metadata,
}

impl NamedMap {
    /// A map without notes.
    pub fn new(name: impl Into<String>) -> Self {
        NamedMap { name: name.into(), metadata: Metadata::new() }
    }
}

/// A map of labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LabelMap {
    /// Its name.
    pub name: String,
    /// The labels, in the order of the file; no key occurs twice.
    pub labels: Vec<Label>,
    /// What else its writer noted.
    pub metadata: Metadata,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The value at the places that carry the label.
    pub key: i32,
    /// Its name.
    pub name: String,
    /// Red, green, blue and opacity from 0 to 1.
    pub rgba: [f32; 4],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_seconds_only_where_the_unit_is() {
        let series = |step, exponent, unit| Series { n_points: 9, start: 0.0, step, exponent, unit };
        assert_eq!(series(720.0, -3, SeriesUnit::Second).step_s(), Some(0.72));
        assert_eq!(series(0.5, 1, SeriesUnit::Second).step_s(), Some(5.0));
        assert_eq!(series(1.0, 0, SeriesUnit::Hertz).step_s(), None);
        for (step, exponent) in [(0.0, 0), (-1.0, 0), (1.0, i32::MIN), (1.0, i32::MAX), (f64::NAN, 0)] {
            assert_eq!(series(step, exponent, SeriesUnit::Second).step_s(), None, "{step} {exponent}");
        }
    }
}
