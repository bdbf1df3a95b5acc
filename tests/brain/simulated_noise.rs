//! What a simulation promises of its noise, its signal and its repeats is measured in the files it wrote.

use std::collections::BTreeMap;

use hebb::brain::mask::{Mask, VoxelSelection, VoxelTable};
use hebb::brain::prepare::{Preparation, Scale, prepare_run};
use hebb::brain::simulate::{SimulateError, Simulation};
use hebb::format::bids::{DatasetDescription, RunQuery, find_runs};
use hebb::format::tsv::Table;
use ndarray::{Array2, ArrayView1, Axis, s};

use super::simulated::{N_TR, correlation, motion_and_drift, read_back, simulate, simulation, units};

/// A simulation with nothing but white noise.
fn white() -> Simulation {
    Simulation { snr: 0.0, ar1: 0.0, drift: 0.0, motion: 0.0, ..simulation() }
}

/// The series as they are in the files, both runs one below the other.
fn raw_series(simulation: &Simulation) -> Array2<f32> {
    let out = tempfile::tempdir().unwrap();
    simulate(simulation, "01", out.path()).unwrap();
    read_back(out.path(), "01", &Preparation { scale: Scale::None, ..Preparation::default() }).1
}

fn mean_variance(simulation: &Simulation, preparation: &Preparation) -> f64 {
    let out = tempfile::tempdir().unwrap();
    simulate(simulation, "01", out.path()).unwrap();
    let (_, series) = read_back(out.path(), "01", &Preparation { scale: Scale::None, ..preparation.clone() });
    let variance = |column: ArrayView1<'_, f32>| f64::from(column.slice(s![..N_TR]).to_owned().var(1.0));
    series.columns().into_iter().map(variance).sum::<f64>() / series.ncols() as f64
}

#[test]
fn noise_has_the_stated_autocorrelation() {
    for ar1 in [0.0, 0.3, 0.6] {
        let series = raw_series(&Simulation { ar1, ..white() });
        let (mut lagged, mut all) = (0.0, 0.0);
        for column in series.columns() {
            for run in [column.slice(s![..N_TR]), column.slice(s![N_TR..])] {
                let mean = run.iter().map(|&y| f64::from(y)).sum::<f64>() / N_TR as f64;
                let centred: Vec<f64> = run.iter().map(|&y| f64::from(y) - mean).collect();
                all += centred.iter().map(|y| y * y).sum::<f64>();
                lagged += centred.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>();
            }
        }
        // Taking the mean out of n samples lowers the estimate by (1 + 4 rho) / n (Kendall 1954).
        let measured = lagged / all + (1.0 + 4.0 * ar1) / N_TR as f64;
        println!("AR(1) coefficient {measured:.4}, planted {ar1}");
        assert!((measured - ar1).abs() < 0.01, "{measured} {ar1}");
    }
}

#[test]
fn signal_has_the_stated_share_of_variance() {
    for snr in [0.25, 4.0] {
        let out = tempfile::tempdir().unwrap();
        let subject = simulate(&Simulation { snr, shape: [16, 18, 14], ..white() }, "01", out.path()).unwrap();
        let (_, series) = read_back(out.path(), "01", &Preparation { scale: Scale::None, ..Preparation::default() });
        let sources = [1, 2].map(|run| subject.truth.source_series(units(run).view()));
        let sources = ndarray::concatenate(Axis(0), &[sources[0].view(), sources[1].view()]).unwrap();
        let (mut explained, mut rest) = (0.0, 0.0);
        for (column, planted) in series.columns().into_iter().zip(&subject.truth.voxels) {
            if planted.loadings.is_empty() {
                continue;
            }
            let signal = |row: ArrayView1<'_, f64>| planted.loadings.iter().map(|&(source, l)| l * row[source]).sum();
            let g: Vec<f64> = sources.rows().into_iter().map(signal).collect();
            let mean_y = f64::from(column.mean().unwrap());
            let mean_g = g.iter().sum::<f64>() / g.len() as f64;
            let pairs = || column.iter().zip(&g).map(|(&y, g)| (f64::from(y) - mean_y, g - mean_g));
            let variance: f64 = pairs().map(|(_, g)| g * g).sum();
            let slope = pairs().map(|(y, g)| y * g).sum::<f64>() / variance;
            let residual = pairs().map(|(y, g)| (y - slope * g).powi(2)).sum::<f64>();
            // The slope fits one sample's worth of noise, too.
            explained += slope * slope * variance - residual / g.len() as f64;
            rest += residual;
        }
        println!("signal over noise {:.4}, planted {snr}", explained / rest);
        assert!((explained / rest / snr - 1.0).abs() < 0.04, "{} {snr}", explained / rest);
    }
}

#[test]
fn high_pass_alone_removes_drift_and_motion_columns_alone_remove_motion() {
    let (high_pass, motion) = (
        Preparation { high_pass_s: Some(128.0), ..Preparation::default() },
        Preparation { high_pass_s: None, ..motion_and_drift() },
    );
    let drifting = Simulation { drift: 3.0, ..white() };
    let moving = Simulation { motion: 3.0, ..white() };
    let noise = mean_variance(&white(), &Preparation::default());
    // Regressors also take the share of white noise that lies in their span.
    for (simulation, right, n_regressors, wrong) in
        [(&drifting, &high_pass, 4.0, &motion), (&moving, &motion, 6.0, &high_pass)]
    {
        let (before, after) = (mean_variance(simulation, &Preparation::default()), mean_variance(simulation, right));
        let expected = noise * (1.0 - n_regressors / (N_TR as f64 - 1.0));
        println!("variance {before:.0} before, {after:.1} after, {expected:.1} expected of the noise");
        assert!(before > 5.0 * noise, "{before}");
        assert!((after / expected - 1.0).abs() < 0.03, "{after} {expected}");
        assert!(mean_variance(simulation, wrong) > 1.5 * noise);
    }
}

#[test]
fn repeats_have_the_same_signal_and_fresh_noise() {
    let out = tempfile::tempdir().unwrap();
    let repeats = BTreeMap::from([("2".to_owned(), vec!["3".to_owned(), "04".to_owned()])]);
    let simulation = Simulation { repeats, ar1: 0.0, ..simulation() };
    let subject = simulate(&simulation, "01", out.path()).unwrap();
    let runs = find_runs(out.path(), &RunQuery { subject: "01".to_owned(), ..RunQuery::default() }).unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run.name.rsplit('_').next().unwrap()).collect();
    assert_eq!(names, ["run-1", "run-2", "run-3", "run-04"]);
    assert_eq!(runs, subject.runs);
    assert_eq!(
        Table::read(runs[1].events.as_ref().unwrap()).unwrap().rows(),
        Table::read(runs[2].events.as_ref().unwrap()).unwrap().rows()
    );

    let table =
        VoxelTable::new(&Mask::read(runs[0].mask.as_ref().unwrap()).unwrap(), None, &VoxelSelection::All).unwrap();
    let series: Vec<Array2<f32>> =
        runs.iter().map(|run| prepare_run(run, &table, &motion_and_drift()).unwrap().series).collect();
    let mean_correlation = |a: usize, b: usize, planted: bool| {
        let of_kind = |voxel: &usize| subject.truth.voxels[*voxel].loadings.is_empty() != planted;
        let voxels: Vec<usize> = (0..table.n_voxels()).filter(of_kind).collect();
        let numbers = |run: usize, voxel: usize| series[run].column(voxel).to_vec().into_iter().map(f64::from);
        let sum: f64 = voxels.iter().map(|&voxel| correlation(numbers(a, voxel), numbers(b, voxel))).sum();
        sum / voxels.len() as f64
    };
    // Two showings share the signal: a correlation of snr / (1 + snr), the noise ceiling of this simulation.
    for pair in [(1, 2), (1, 3), (2, 3)] {
        let (same, noise) = (mean_correlation(pair.0, pair.1, true), mean_correlation(pair.0, pair.1, false));
        println!("showings {pair:?}: r {same:.3} in planted voxels, {noise:.3} in others");
        assert!((same - 0.5).abs() < 0.05 && noise.abs() < 0.03, "{same} {noise}");
    }
    assert!(mean_correlation(0, 1, true).abs() < 0.1);
}

#[test]
fn repeats_leave_everything_else_as_it_was() {
    let [plain, repeated] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let a = simulate(&simulation(), "01", plain.path()).unwrap();
    let repeats = BTreeMap::from([("1".to_owned(), vec!["9".to_owned()])]);
    let b = simulate(&Simulation { repeats, ..simulation() }, "01", repeated.path()).unwrap();
    assert_eq!((&a.truth, a.runs.len(), b.runs.len()), (&b.truth, 2, 3));
    for (one, other) in [(&a.runs[0], &b.runs[0]), (&a.runs[1], &b.runs[2])] {
        assert_eq!(std::fs::read(&one.bold).unwrap(), std::fs::read(&other.bold).unwrap());
    }
    // What is written of a simulation without repeats is what was written before there were any.
}

#[test]
fn impossible_repeats_are_named() {
    let out = tempfile::tempdir().unwrap();
    let said = |run: &str, showing: &str| {
        let repeats = BTreeMap::from([(run.to_owned(), vec![showing.to_owned()])]);
        simulate(&Simulation { repeats, ..simulation() }, "01", out.path()).unwrap_err()
    };
    assert_eq!(said("5", "6").to_string(), "`repeats` names run `5`, which is not simulated: the runs are 1, 2");
    assert!(matches!(said("1", "2"), SimulateError::RunTwice { .. }));
    assert_eq!(said("1", "../2").to_string(), "`repeats.1` is `../2`, expected letters and digits");
}

#[test]
fn the_folder_is_a_complete_dataset() {
    let out = tempfile::tempdir().unwrap();
    for subject in ["02", "01"] {
        simulate(&simulation(), subject, out.path()).unwrap();
    }
    let stem = "sub-01/func/sub-01_task-movie_run-1";
    let json = |file: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(out.path().join(file)).unwrap()).unwrap()
    };
    assert_eq!(json(&format!("{stem}_space-schematic_desc-preproc_bold.json"))["RepetitionTime"], 2.0);
    assert_eq!(json(&format!("{stem}_space-schematic_desc-brain_mask.json"))["Type"], "Brain");
    assert!(json("task-movie_events.json")["image"].is_object());
    let columns = Table::read(&out.path().join(format!("{stem}_desc-confounds_timeseries.tsv"))).unwrap();
    let described = json(&format!("{stem}_desc-confounds_timeseries.json"));
    assert!(columns.columns().iter().all(|name| described[name]["Units"].is_string()));
    assert_eq!(DatasetDescription::read(out.path()).unwrap().dataset_type.as_deref(), Some("derivative"));
    let participants = std::fs::read_to_string(out.path().join("participants.tsv")).unwrap();
    assert_eq!(participants, "participant_id\nsub-01\nsub-02\n");
    let readme = std::fs::read_to_string(out.path().join("README")).unwrap();
    assert!(readme.contains("Networks that follow units: language, visual") && readme.contains("Seed: 7"), "{readme}");
    assert!(out.path().join(".bidsignore").is_file());
}
