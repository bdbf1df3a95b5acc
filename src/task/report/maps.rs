//! Writes maps as NIfTI on the subject's own grid: scores, significance, and the weights of every pattern.

use super::{Gather, MapEntry, Pair};
use crate::{
    format::{
        nifti::{ImageHeader, SampleType, VolumeWriter},
        npy::MatrixReader,
    },
    task::{
        TaskError, Workbench,
        encode::{WEIGHTS, read_scores},
    },
};

impl Gather {
    /// Writes the maps of one pair and names the one that the page shows.
    pub(super) fn maps(&self, pair: &Pair<'_>, bench: &Workbench<'_>) -> Result<Option<MapEntry>, TaskError> {
        let Some(encode) = self.encode(pair, bench) else { return Ok(None) };
        let stem = pair.file_stem();
        let scores = read_scores(encode)?;
        let map = format!("maps/{stem}_r.nii.gz");
        pair.voxels.write_map(&bench.out.join(&map), &spread(pair, &scores), 0.0)?;
        let mask = format!("maps/{}_mask.nii.gz", pair.subject);
        let inside: Vec<Option<f32>> = vec![Some(1.0); pair.voxels.n_voxels()];
        pair.voxels.write_map(&bench.out.join(&mask), &inside, 0.0)?;
        if let Some(q) = self.significance(pair, bench)? {
            // One minus q: larger is more certain, and 0 is "none" as everywhere outside the brain.
            let certain: Vec<_> = q.into_iter().map(|(voxel, q)| (voxel, q.map(|q| 1.0 - q))).collect();
            pair.voxels.write_map(&bench.out.join(format!("maps/{stem}_1-q.nii.gz")), &spread(pair, &certain), 0.0)?;
        }
        self.weight_maps(pair, encode, &scores, bench)?;
        Ok(Some(MapEntry { title: format!("{}, patterns of {}", pair.subject, pair.model.name), map, mask }))
    }

    /// One volume for each pattern.
    fn weight_maps(
        &self,
        pair: &Pair<'_>,
        encode: &std::path::Path,
        scores: &[(usize, Option<f64>)],
        bench: &Workbench<'_>,
    ) -> Result<(), TaskError> {
        let mut weights = MatrixReader::open(&encode.join(WEIGHTS))?;
        let grid = pair.voxels.grid;
        let header = ImageHeader {
            shape: grid.shape,
            n_volumes: Some(weights.n_rows()),
            affine: grid.affine,
            repetition_time_s: 0.0,
            sample_type: SampleType::F32,
        };
        let mut writer =
            VolumeWriter::create(&bench.out.join(format!("maps/{}_weights.nii.gz", pair.file_stem())), &header)?;
        let offsets = pair.voxels.offsets();
        let mut volume = vec![0.0; grid.n_voxels()];
        for pattern in 0..weights.n_rows() {
            let row = weights.rows(pattern..pattern + 1)?;
            for ((voxel, _), weight) in scores.iter().zip(row.iter()) {
                volume[offsets[*voxel]] = *weight;
            }
            writer.write_volume(&volume)?;
        }
        Ok(writer.finish()?)
    }
}

/// Values of scored voxels at their places among all voxels.
fn spread(pair: &Pair<'_>, scores: &[(usize, Option<f64>)]) -> Vec<Option<f32>> {
    let mut all = vec![None; pair.voxels.n_voxels()];
    for (voxel, score) in scores {
        all[*voxel] = score.map(|score| score as f32);
    }
    all
}
