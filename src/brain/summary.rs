//! What the values of an image are, told without keeping them: range, gaps, labels.
//!
//! Owns the sums that are made while an image streams past. Says nothing of what the numbers mean for a study.

use std::collections::BTreeMap;

/// Distinct whole values beyond this many are measurements, not labels.
const MOST_LABELS: usize = 10_000;

/// The values of an image, added volume by volume.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Smallest finite value.
    pub least: f32,
    /// Largest finite value.
    pub largest: f32,
    /// Values that are no numbers or infinite, over all volumes.
    pub n_non_finite: u64,
    first: Vec<f32>,
    varies: Vec<bool>,
    labels: Option<BTreeMap<i64, usize>>,
    n_volumes: usize,
}

impl Summary {
    /// Of an image with so many voxels, before any volume of it.
    #[must_use]
    pub fn of(n_voxels: usize) -> Self {
        Self {
            least: f32::INFINITY,
            largest: f32::NEG_INFINITY,
            n_non_finite: 0,
            first: Vec::new(),
            varies: vec![false; n_voxels],
            labels: Some(BTreeMap::new()),
            n_volumes: 0,
        }
    }

    /// Takes in the next volume.
    ///
    /// # Panics
    /// If it has another number of voxels than the image: a mistake of the caller.
    pub fn add(&mut self, volume: &[f32]) {
        assert_eq!(volume.len(), self.varies.len(), "a volume has every voxel");
        for &value in volume {
            if value.is_finite() {
                self.least = self.least.min(value);
                self.largest = self.largest.max(value);
            } else {
                self.n_non_finite += 1;
            }
        }
        if self.n_volumes == 0 {
            self.first = volume.to_vec();
            volume.iter().for_each(|&value| self.count(value));
        } else {
            self.labels = None;
            let changed = self.first.iter().zip(volume).map(|(first, value)| first != value);
            self.varies.iter_mut().zip(changed).for_each(|(varies, changed)| *varies |= changed);
        }
        self.n_volumes += 1;
    }

    fn count(&mut self, value: f32) {
        let Some(labels) = &mut self.labels else { return };
        // Whole numbers beyond this are not all floats.
        if value.fract() != 0.0 || value.abs() > 16_777_216.0 {
            self.labels = None;
            return;
        }
        *labels.entry(value as i64).or_default() += 1;
        if labels.len() > MOST_LABELS {
            self.labels = None;
        }
    }

    /// Voxels whose value is the same in every volume; absent for a single volume.
    #[must_use]
    pub fn n_constant(&self) -> Option<usize> {
        (self.n_volumes > 1).then(|| self.varies.iter().filter(|varies| !**varies).count())
    }

    /// How many voxels have each label, where a single volume holds whole numbers only, of which some are not zero.
    #[must_use]
    pub fn labels(&self) -> Option<&BTreeMap<i64, usize>> {
        self.labels.as_ref().filter(|labels| labels.keys().any(|label| *label != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_counted_and_measurements_are_not() {
        let mut labels = Summary::of(4);
        labels.add(&[0.0, 3.0, 3.0, -1.0]);
        assert_eq!(labels.labels(), Some(&BTreeMap::from([(-1, 1), (0, 1), (3, 2)])));
        assert_eq!((labels.least, labels.largest, labels.n_constant()), (-1.0, 3.0, None));
        let mut measured = Summary::of(2);
        measured.add(&[0.5, 1.0]);
        assert_eq!(measured.labels(), None);
        let mut empty = Summary::of(2);
        empty.add(&[0.0, 0.0]);
        assert_eq!(empty.labels(), None);
    }

    #[test]
    fn a_series_tells_what_does_not_vary_and_what_is_no_number() {
        let mut series = Summary::of(3);
        series.add(&[1.0, 2.0, f32::NAN]);
        series.add(&[1.0, 5.0, f32::INFINITY]);
        assert_eq!((series.least, series.largest, series.n_non_finite), (1.0, 5.0, 2));
        assert_eq!((series.n_constant(), series.labels()), (Some(1), None));
    }
}
