//! What each pattern explains alone and beside the others, from the fit as it is.

use super::{MeasureRedundancy, PIECE, SHARES};
use crate::{
    brain::mask::VoxelTable,
    format::{npy::MatrixReader, tsv::Table},
    math::unique_r2::{FeatureShares, SharesWarning},
    task::{
        TaskError, Workbench,
        encode::{Rows, WEIGHTS, cell, read_column},
        evidence::network_names,
        finding::{Absent, Finding, Statistic},
    },
};
use ndarray::{Array2, s};

impl MeasureRedundancy {
    /// What each pattern explains alone and beside the others.
    pub(super) fn shares(
        &self,
        rows: &Rows,
        voxels: &VoxelTable,
        networks: &[Vec<usize>],
        bench: &Workbench<'_>,
    ) -> Result<Vec<Finding>, TaskError> {
        let mut table = Table::new(["pattern", "network", "n_voxels", "unique_r2", "alone_r2"]);
        if !self.has_unique {
            table.write(&bench.out.join(SHARES))?;
            return Ok(Vec::new());
        }
        let of_voxels = read_column(bench.input("encode"), "alpha")?;
        // Without a penalty there is none to choose.
        let is_penalised = of_voxels.iter().any(|(_, alpha)| alpha.is_some());
        let alpha = |alpha: Option<f64>| if is_penalised { alpha } else { Some(0.0) };
        let mut alphas: Vec<f64> = of_voxels.iter().filter_map(|(_, chosen)| alpha(*chosen)).collect();
        alphas.sort_by(f64::total_cmp);
        alphas.dedup();
        let n_train = rows.n_train(self.n_train_runs);
        let features = FeatureShares::new(rows.x.slice(s![..n_train, ..]), rows.x.slice(s![n_train.., ..]), &alphas)?;
        let mut weights = MatrixReader::open(&bench.input("encode").join(WEIGHTS))?;
        let names = network_names(voxels);
        let shape = (rows.x.ncols(), names.len());
        let (mut unique, mut alone) = (Array2::<f64>::zeros(shape), Array2::<f64>::zeros(shape));
        let (mut full, mut n_scored) = (vec![0.0; names.len()], vec![0_usize; names.len()]);
        let mut unstable = 0;
        for piece in rows.pieces(PIECE) {
            let y = rows.voxels(piece.clone())?;
            let chosen: Vec<Option<usize>> = of_voxels[piece.clone()]
                .iter()
                .map(|(_, chosen)| {
                    let alpha = alpha(*chosen)?;
                    alphas.iter().position(|known| known.to_bits() == alpha.to_bits())
                })
                .collect();
            let part = weights.columns(piece.clone())?;
            let shares =
                features.shares(y.slice(s![..n_train, ..]), y.slice(s![n_train.., ..]), part.view(), &chosen)?;
            for SharesWarning::IllConditioned { n_targets, .. } in &shares.warnings {
                unstable += n_targets;
            }
            for (column, of_voxel) in networks[piece].iter().enumerate() {
                let all: Option<Vec<(f64, f64)>> = (0..shape.0)
                    .map(|pattern| Some((shares.unique[[pattern, column]]?, shares.alone[[pattern, column]]?)))
                    .collect();
                let (Some(r2), Some(all)) = (shares.full[column], all) else { continue };
                for &network in of_voxel {
                    full[network] += r2;
                    n_scored[network] += 1;
                    for (pattern, (of_unique, of_alone)) in all.iter().enumerate() {
                        unique[[pattern, network]] += of_unique;
                        alone[[pattern, network]] += of_alone;
                    }
                }
            }
        }
        if unstable > 0 {
            bench.warn(
                "dependent-patterns",
                format!("patterns are so nearly sums of others that {unstable} voxels have no unique R2"),
            );
        }
        let mut findings = Vec::new();
        for (network, name) in names.iter().enumerate() {
            let n = n_scored[network];
            let mean = |sum: f64| (n > 0).then(|| sum / n as f64);
            for pattern in 0..shape.0 {
                let (unique, alone) = (unique[[pattern, network]], alone[[pattern, network]]);
                table.push([
                    pattern.to_string(),
                    (*name).to_owned(),
                    n.to_string(),
                    cell(mean(unique)),
                    cell(mean(alone)),
                ]);
            }
            let about = Finding::about(Statistic::UniqueShare, &self.model, "patterns", name, n);
            findings.push(if n == 0 {
                about.absent(Absent::NoVoxel)
            } else if full[network] <= 0.0 {
                about.absent(Absent::NothingExplained)
            } else {
                Finding { value: Some(unique.column(network).sum() / full[network]), ..about }
            });
        }
        table.write(&bench.out.join(SHARES))?;
        Ok(findings)
    }
}
