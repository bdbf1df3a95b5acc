//! Voxels of a subject in the volumes that features have too, read in pieces.
//!
//! Owns which rows and columns count. A matrix of all voxels is never held: whoever computes asks for some voxels at a time.

use super::super::{TaskError, bold, pattern::Features};
use crate::format::npy::MatrixReader;
use ndarray::{Array2, Axis, s};
use std::{
    collections::BTreeSet,
    ops::Range,
    path::{Path, PathBuf},
};

/// A subject's prepared runs, not yet read.
pub(in crate::task) struct Brain {
    runs: Vec<RunFile>,
    /// Voxels that vary in every run, as rows of `voxels.tsv`.
    pub(in crate::task) kept: Vec<usize>,
    pub(super) n_dropped: usize,
    pub(super) n_voxels: usize,
}

/// One run: its matrix, and the volumes that are its rows.
struct RunFile {
    matrix: PathBuf,
    volumes: Vec<usize>,
}

impl Brain {
    /// Finds out which voxels and volumes there are.
    pub(in crate::task) fn open(artifacts: &[PathBuf]) -> Result<Self, TaskError> {
        let mut dropped = BTreeSet::new();
        let (mut runs, mut n_voxels) = (Vec::new(), 0);
        for artifact in artifacts {
            let facts = bold::facts(artifact)?;
            dropped.extend(facts.constant.into_iter().chain(facts.non_finite));
            let matrix = artifact.join(bold::BOLD);
            n_voxels = MatrixReader::open(&matrix)?.n_columns();
            runs.push(RunFile { matrix, volumes: bold::kept_volumes(artifact)? });
        }
        let kept: Vec<usize> = (0..n_voxels).filter(|voxel| !dropped.contains(voxel)).collect();
        if kept.is_empty() {
            return Err(TaskError::Unanswerable(format!(
                "none of {n_voxels} voxels varies in every run, so there is nothing to predict"
            )));
        }
        Ok(Self { runs, kept, n_dropped: dropped.len(), n_voxels })
    }

    /// The volumes that both sides have, in the order of runs and volumes.
    pub(in crate::task) fn aligned_with(self, features: Features) -> Rows {
        let places = Places::of(&features.samples, self.runs.iter().map(|run| run.volumes.as_slice()));
        let x = features.matrix.select(Axis(0), &places.x_rows);
        Rows { x, run_of_row: places.run_of_row, y_rows: places.y_rows, brain: self }
    }
}

/// Which rows of features and of each run belong together.
struct Places {
    x_rows: Vec<usize>,
    y_rows: Vec<Vec<usize>>,
    run_of_row: Vec<usize>,
}

impl Places {
    fn of<'a>(samples: &[(usize, usize)], runs: impl Iterator<Item = &'a [usize]>) -> Self {
        let mut places = Self { x_rows: Vec::new(), y_rows: Vec::new(), run_of_row: Vec::new() };
        for (run, volumes) in runs.enumerate() {
            let mut of_run = Vec::new();
            for (row, (_, volume)) in samples.iter().enumerate().filter(|(_, (of_run, _))| *of_run == run) {
                if let Ok(place) = volumes.binary_search(volume) {
                    places.x_rows.push(row);
                    of_run.push(place);
                    places.run_of_row.push(run);
                }
            }
            places.y_rows.push(of_run);
        }
        places
    }
}

/// Features and voxels in the same volumes.
pub(in crate::task) struct Rows {
    /// Features (n_samples x n_features).
    pub(in crate::task) x: Array2<f32>,
    /// The run of each row.
    pub(in crate::task) run_of_row: Vec<usize>,
    y_rows: Vec<Vec<usize>>,
    pub(in crate::task) brain: Brain,
}

impl Rows {
    /// Rows of the first `n_train_runs` runs.
    pub(in crate::task) fn n_train(&self, n_train_runs: usize) -> usize {
        self.run_of_row.iter().filter(|run| **run < n_train_runs).count()
    }

    /// Reads some of the kept voxels (n_samples x voxels).
    pub(in crate::task) fn voxels(&self, range: Range<usize>) -> Result<Array2<f32>, TaskError> {
        self.read(range, 0..self.y_rows.len())
    }

    /// Reads some of the kept voxels in some runs.
    pub(in crate::task) fn read(&self, range: Range<usize>, runs: Range<usize>) -> Result<Array2<f32>, TaskError> {
        let chosen = &self.brain.kept[range.clone()];
        let n_rows = self.y_rows[runs.clone()].iter().map(Vec::len).sum();
        let mut voxels = Array2::zeros((n_rows, chosen.len()));
        let (Some(first), Some(last)) = (chosen.first(), chosen.last()) else { return Ok(voxels) };
        let columns: Vec<usize> = chosen.iter().map(|voxel| voxel - first).collect();
        let mut start = 0;
        for (run, rows) in self.brain.runs[runs.clone()].iter().zip(&self.y_rows[runs]) {
            let series = read_columns(&run.matrix, *first..last + 1)?;
            let mut part = voxels.slice_mut(s![start..start + rows.len(), ..]);
            for (mut to, row) in part.rows_mut().into_iter().zip(rows) {
                let from = series.row(*row);
                to.iter_mut().zip(&columns).for_each(|(to, column)| *to = from[*column]);
            }
            start += rows.len();
        }
        Ok(voxels)
    }

    /// For runs in which the same was shown: the rows of each, counted within the run, whose volumes all of them have.
    pub(in crate::task) fn common_volumes(&self, runs: &[usize]) -> Vec<Vec<usize>> {
        let of_runs: Vec<Vec<usize>> = runs.iter().map(|run| self.volumes_of_run(*run)).collect();
        let is_common = |volume: &usize| of_runs.iter().all(|volumes| volumes.binary_search(volume).is_ok());
        let rows = |volumes: &Vec<usize>| {
            volumes.iter().enumerate().filter(|(_, volume)| is_common(volume)).map(|(row, _)| row).collect()
        };
        of_runs.iter().map(rows).collect()
    }

    /// The volumes of a run that are rows, ascending.
    pub(in crate::task) fn volumes_of_run(&self, run: usize) -> Vec<usize> {
        self.y_rows[run].iter().map(|row| self.brain.runs[run].volumes[*row]).collect()
    }

    /// Features of some rows of a run, counted within the run.
    pub(in crate::task) fn features_of(&self, run: usize, rows: &[usize]) -> Array2<f32> {
        let first = self.run_of_row.iter().position(|of_row| *of_row == run).unwrap_or_default();
        let rows: Vec<usize> = rows.iter().map(|row| first + row).collect();
        self.x.select(Axis(0), &rows)
    }

    /// The pieces in which the kept voxels are read, none larger than `size`.
    pub(in crate::task) fn pieces(&self, size: usize) -> Vec<Range<usize>> {
        let n = self.brain.kept.len();
        (0..n).step_by(size.max(1)).map(|start| start..(start + size).min(n)).collect()
    }
}

fn read_columns(path: &Path, columns: Range<usize>) -> Result<Array2<f32>, TaskError> {
    Ok(MatrixReader::open(path)?.columns(columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_joined_by_run_and_volume() {
        let samples = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1)];
        let volumes: [&[usize]; 2] = [&[0, 2, 3], &[1, 2]];
        let places = Places::of(&samples, volumes.into_iter());
        assert_eq!(places.x_rows, [1, 2, 4]);
        assert_eq!(places.y_rows, [vec![1, 2], vec![0]]);
        assert_eq!(places.run_of_row, [0, 0, 1]);
    }

    #[test]
    fn pieces_hold_chosen_voxels_of_used_volumes() {
        let folder = tempfile::tempdir().expect("a place for files");
        let matrix = folder.path().join("run.npy");
        let all = Array2::from_shape_fn((4, 6), |(t, v)| (10 * t + v) as f32);
        crate::format::npy::write_matrix(&matrix, all.view()).expect("writable");
        let run = || RunFile { matrix: matrix.clone(), volumes: vec![0, 1, 2, 3] };
        let brain = Brain { runs: vec![run(), run()], kept: vec![0, 2, 3, 5], n_dropped: 2, n_voxels: 6 };
        let features = Features { matrix: Array2::zeros((3, 1)), samples: vec![(0, 1), (0, 3), (1, 2)] };
        let rows = brain.aligned_with(features);
        assert_eq!(rows.pieces(3), [0..3, 3..4]);
        let part = rows.voxels(1..4).expect("readable");
        assert_eq!(part, ndarray::array![[12.0, 13.0, 15.0], [32.0, 33.0, 35.0], [22.0, 23.0, 25.0]]);
        assert_eq!(rows.read(3..4, 1..2).expect("readable"), ndarray::array![[25.0]]);
        assert_eq!(rows.n_train(1), 2);
        assert_eq!(rows.common_volumes(&[0, 1]), [Vec::<usize>::new(), Vec::new()]);
        assert_eq!(rows.common_volumes(&[0]), [vec![0, 1]]);
    }
}
