//! Simulated subjects come back through the readers of real ones, with the planted statistics in them.

use std::collections::BTreeMap;
use std::path::Path;

use hebb::brain::atlas::Atlas;
use hebb::brain::mask::{Mask, VoxelSelection, VoxelTable};
use hebb::brain::prepare::{Preparation, Scale, prepare_run};
use hebb::brain::simulate::{
    PlantedNetwork, SimulateError, SimulatedRun, SimulatedSubject, Simulation, simulate_subject,
};
use hebb::format::bids::{RunQuery, find_runs};
use hebb::format::tsv::Table;
use ndarray::{Array2, Axis, concatenate};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

pub(super) const N_TR: usize = 150;

pub(super) fn columns() -> Vec<(String, usize)> {
    let layers = |module: &str| (0..3).flat_map(move |layer| vec![(module.to_owned(), layer); 10]).collect::<Vec<_>>();
    [layers("vision"), layers("text")].concat()
}

pub(super) fn units(seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_fn((N_TR, 60), |_| StandardNormal.sample(&mut rng))
}

pub(super) fn planted(module: &str, layers: &[usize]) -> PlantedNetwork {
    let text = format!("module = '{module}'\nlayers = {layers:?}");
    toml::from_str(&text).unwrap()
}

pub(super) fn simulation() -> Simulation {
    let networks = [
        ("visual".to_owned(), PlantedNetwork { negative_units: 0.3, ..planted("vision", &[0, 1]) }),
        (
            "language".to_owned(),
            PlantedNetwork { mirrored_voxels: 0.5, redundant_voxels: 0.0, ..planted("text", &[2]) },
        ),
    ];
    Simulation { seed: 7, shape: [10, 12, 9], networks: BTreeMap::from(networks), ..Simulation::default() }
}

pub(super) fn events() -> Table {
    let mut table = Table::new(["onset", "duration", "image"]);
    table.push(["0", "2", "a.png"]);
    table
}

pub(super) fn simulate(simulation: &Simulation, subject: &str, out: &Path) -> Result<SimulatedSubject, SimulateError> {
    let (first, second) = (units(1), units(2));
    let runs = [("1", first.view()), ("2", second.view())].map(|(name, units)| SimulatedRun {
        name: name.to_owned(),
        units,
        patterns: None,
        events: events(),
    });
    simulate_subject(simulation, subject, "movie", 2.0, &runs, &columns(), out)
}

/// The voxel table of a simulated dataset and the cleaned series of both runs of a subject, one below the other.
pub(super) fn read_back(out: &Path, subject: &str, preparation: &Preparation) -> (VoxelTable, Array2<f32>) {
    let query = RunQuery { subject: subject.to_owned(), task: Some("movie".to_owned()), ..RunQuery::default() };
    let runs = find_runs(out, &query).unwrap();
    let atlas = Atlas::read(&out.join("atlas/schematic_dseg.nii.gz"), &out.join("atlas/schematic_dseg.tsv")).unwrap();
    let table =
        VoxelTable::new(&Mask::read(runs[0].mask.as_ref().unwrap()).unwrap(), Some(&atlas), &VoxelSelection::All)
            .unwrap();
    let series: Vec<Array2<f32>> =
        runs.iter().map(|run| prepare_run(run, &table, preparation).unwrap().series).collect();
    let both = concatenate(Axis(0), &[series[0].view(), series[1].view()]).unwrap();
    (table, both)
}

pub(super) fn correlation(a: impl Iterator<Item = f64> + Clone, b: impl Iterator<Item = f64> + Clone) -> f64 {
    let n = a.clone().count() as f64;
    let (mean_a, mean_b) = (a.clone().sum::<f64>() / n, b.clone().sum::<f64>() / n);
    let product = |x: f64, y: f64| (x - mean_a) * (y - mean_b);
    let covariance: f64 = a.clone().zip(b.clone()).map(|(x, y)| product(x, y)).sum();
    let variance_a: f64 = a.map(|x| (x - mean_a).powi(2)).sum();
    let variance_b: f64 = b.map(|y| (y - mean_b).powi(2)).sum();
    covariance / (variance_a * variance_b).sqrt()
}

pub(super) fn motion_and_drift() -> Preparation {
    Preparation {
        confounds: vec![
            "trans_x".to_owned(),
            "trans_y".to_owned(),
            "trans_z".to_owned(),
            "rot_x".to_owned(),
            "rot_y".to_owned(),
            "rot_z".to_owned(),
        ],
        high_pass_s: Some(128.0),
        ..Preparation::default()
    }
}

#[test]
fn planted_signal_comes_back_at_the_stated_ratio() {
    let out = tempfile::tempdir().unwrap();
    let simulation = Simulation { snr: 1.0, ..simulation() };
    let subject = simulate(&simulation, "01", out.path()).unwrap();
    let (table, series) = read_back(out.path(), "01", &motion_and_drift());
    let sources = concatenate(
        Axis(0),
        &[subject.truth.source_series(units(1).view()).view(), subject.truth.source_series(units(2).view()).view()],
    )
    .unwrap();
    // A voxel of signal and noise in equal parts correlates with its signal by sqrt(1/2).
    let mut by_network = vec![Vec::new(); table.networks.len()];
    for (voxel, planted) in subject.truth.voxels.iter().enumerate() {
        let Some(network) = table.membership.of(voxel).first().copied() else {
            assert!(planted.loadings.is_empty());
            continue;
        };
        let signal: Vec<f64> =
            sources.rows().into_iter().map(|row| planted.loadings.iter().map(|&(s, l)| l * row[s]).sum()).collect();
        if !planted.loadings.is_empty() {
            by_network[network]
                .push(correlation(signal.into_iter(), series.column(voxel).iter().map(|&y| f64::from(y))));
        }
    }
    for (network, correlations) in table.networks.iter().zip(&by_network) {
        let planted = simulation.networks.contains_key(&network.name);
        assert_eq!(planted, !correlations.is_empty(), "{}", network.name);
        if planted {
            let mean = correlations.iter().sum::<f64>() / correlations.len() as f64;
            println!(
                "{}: mean r {mean:.3} in {} voxels, expected {:.3}",
                network.name,
                correlations.len(),
                0.5_f64.sqrt()
            );
            assert!((mean - 0.5_f64.sqrt()).abs() < 0.04, "{}: {mean}", network.name);
        }
    }
}

#[test]
fn confounds_explain_motion_and_drift() {
    let out = tempfile::tempdir().unwrap();
    let noisy = Simulation { snr: 0.0, ar1: 0.0, drift: 3.0, motion: 3.0, ..simulation() };
    simulate(&noisy, "01", out.path()).unwrap();
    let variance = |preparation: &Preparation| {
        let (_, series) = read_back(out.path(), "01", &Preparation { scale: Scale::None, ..preparation.clone() });
        let column = |c: ndarray::ArrayView1<'_, f32>| f64::from(c.slice(ndarray::s![..N_TR]).to_owned().var(1.0));
        series.columns().into_iter().map(column).sum::<f64>() / series.ncols() as f64
    };
    let (raw, cleaned) = (variance(&Preparation::default()), variance(&motion_and_drift()));
    println!("variance {raw:.0} before, {cleaned:.1} after cleaning, 100 planted as noise");
    assert!(raw > 1500.0 && (cleaned - 100.0).abs() < 15.0, "{raw} {cleaned}");
}

#[test]
fn planted_shares_are_what_was_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let subject = simulate(&simulation(), "01", out.path()).unwrap();
    let (table, _) = read_back(out.path(), "01", &Preparation::default());
    let of = |name: &str| {
        let network = table.networks.iter().position(|network| network.name == name);
        let voxels = subject
            .truth
            .voxels
            .iter()
            .zip(table.membership.rows())
            .filter(move |(_, of)| of.first().copied() == network);
        voxels.map(|(voxel, _)| voxel.loadings.clone()).collect::<Vec<_>>()
    };
    let share = |voxels: &[Vec<(usize, f64)>], test: fn(&Vec<(usize, f64)>) -> bool| {
        voxels.iter().filter(|loadings| test(loadings)).count() as f64 / voxels.len() as f64
    };
    let (visual, language) = (of("visual"), of("language"));
    assert!((share(&visual, |loadings| loadings.len() == 2) - 0.5).abs() < 0.2);
    assert!((share(&visual, |loadings| loadings[0].1 < 0.0) - 0.25).abs() < 0.2);
    assert_eq!(share(&language, |loadings| loadings.len() == 1), 1.0);
    assert!((share(&language, |loadings| loadings[0].1 < 0.0) - 0.5).abs() < 0.25);
    for source in &subject.truth.sources {
        let vision = table.networks[source.network].name == "visual";
        assert_eq!(source.units.len(), 6);
        assert!(source.units.iter().all(|&unit| if vision { unit < 20 } else { unit >= 50 }));
        let n_negative = source.weights.iter().filter(|weight| **weight < 0.0).count();
        assert_eq!(n_negative, if vision { 2 } else { 0 });
    }
    let rows = Table::read(&out.path().join("planted.tsv")).unwrap();
    assert_eq!(rows.n_rows(), subject.truth.sources.len());
    assert!(Table::read(&out.path().join("planted_voxels.tsv")).unwrap().n_rows() > table.counts()[0]);
}

#[test]
fn files_found_are_the_files_written() {
    let out = tempfile::tempdir().unwrap();
    let subject = simulate(&simulation(), "sub-01", out.path()).unwrap();
    let query = RunQuery { subject: "01".to_owned(), space: Some("schematic".to_owned()), ..RunQuery::default() };
    assert_eq!(find_runs(out.path(), &query).unwrap(), subject.runs);
    let events_read = Table::read(subject.runs[0].events.as_ref().unwrap()).unwrap();
    assert_eq!(events_read.rows(), events().rows());
}

#[test]
fn equal_seeds_give_equal_bytes_and_subjects_differ_in_noise_only() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let a = simulate(&simulation(), "01", first.path()).unwrap();
    let b = simulate(&simulation(), "01", second.path()).unwrap();
    for (one, other) in a.runs.iter().zip(&b.runs) {
        assert_eq!(std::fs::read(&one.bold).unwrap(), std::fs::read(&other.bold).unwrap());
        assert_eq!(
            std::fs::read(one.confounds.as_ref().unwrap()).unwrap(),
            std::fs::read(other.confounds.as_ref().unwrap()).unwrap()
        );
    }
    let c = simulate(&simulation(), "02", first.path()).unwrap();
    assert_eq!(a.truth, c.truth);
    assert_ne!(std::fs::read(&a.runs[0].bold).unwrap(), std::fs::read(&c.runs[0].bold).unwrap());
    let d = simulate(&Simulation { seed: 8, ..simulation() }, "01", second.path()).unwrap();
    assert_ne!(a.truth, d.truth);
}

#[test]
fn impossible_plans_are_named() {
    let out = tempfile::tempdir().unwrap();
    let message =
        |simulation: &Simulation, subject: &str| simulate(simulation, subject, out.path()).unwrap_err().to_string();
    let with = |name: &str, network: PlantedNetwork| Simulation {
        networks: BTreeMap::from([(name.to_owned(), network)]),
        ..simulation()
    };
    assert!(
        message(&with("vision", planted("vision", &[0])), "01")
            .starts_with("network `vision` is not in the schematic atlas: its networks are visual,")
    );
    let expected =
        "network `visual` follows layer 5 of `vision`, which has no unit: the units are of `text` 0, `text` 1,";
    assert!(message(&with("visual", planted("vision", &[0, 5])), "01").starts_with(expected));
    assert_eq!(message(&simulation(), "../01"), "`subject` is `../01`, expected letters and digits");
}
