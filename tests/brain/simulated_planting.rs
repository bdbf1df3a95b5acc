//! Planted specialisation, redundancy and polarity are found again by plain regressions, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hebb::brain::mask::VoxelTable;
use hebb::brain::prepare::{Preparation, Scale};
use hebb::brain::simulate::{
    Branch, Mixing, PlantedNetwork, PlantedPatterns, SecondBranch, SimulateError, SimulatedRun, SimulatedSubject,
    Simulation, Truth, simulate_subject,
};
use hebb::format::tsv::Table;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, concatenate, s};
use ndarray_linalg::LeastSquaresSvd;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::simulated::{N_TR, columns, correlation, events, planted, read_back, units};

pub(super) const N_PATTERNS: usize = 24;
/// A pattern that does not vary.
pub(super) const CONSTANT: usize = 5;

/// The units of a run, and its patterns.
pub(super) type Series = (Array2<f32>, Option<Array2<f32>>);

/// Time courses of norm about 1, as dictionaries have them.
pub(super) fn patterns(seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(100 + seed);
    let mut courses = Array2::from_shape_fn((N_TR, N_PATTERNS), |_| 0.06 * normal(&mut rng));
    courses.column_mut(CONSTANT).fill(0.25);
    courses
}

fn normal(rng: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(rng)
}

pub(super) fn also(module: &str, layers: &[usize], mixing: Mixing) -> Option<SecondBranch> {
    Some(SecondBranch { module: module.to_owned(), layers: layers.to_vec(), mixing })
}

pub(super) fn shared_out() -> PlantedPatterns {
    let text = "networks = ['default', 'limbic']\nduplicates = 3\nmirrored = 2\nalone = 4";
    toml::from_str(text).unwrap()
}

/// One network of one branch, two of two branches, two of patterns, two of noise.
pub(super) fn simulation() -> Simulation {
    let two = |network, mixing| PlantedNetwork { also: also("text", &[1, 2], mixing), ..network };
    let networks = [
        ("language", planted("text", &[2])),
        ("somatomotor", two(planted("vision", &[0, 1]), Mixing::Even)),
        ("visual", two(PlantedNetwork { negative_units: 0.3, ..planted("vision", &[2]) }, Mixing::Uniform)),
    ];
    let networks = networks.map(|(name, network)| (name.to_owned(), network));
    Simulation {
        seed: 7,
        shape: [10, 12, 9],
        networks: BTreeMap::from(networks),
        patterns: Some(shared_out()),
        ..Simulation::default()
    }
}

/// A simulation whose noise is white and small.
pub(super) fn clean() -> Simulation {
    Simulation { snr: 300.0, ar1: 0.0, drift: 0.0, motion: 0.0, ..simulation() }
}

pub(super) fn simulate_runs(
    simulation: &Simulation,
    series: &[Series],
    out: &Path,
) -> Result<SimulatedSubject, SimulateError> {
    let runs: Vec<SimulatedRun<'_>> = series
        .iter()
        .enumerate()
        .map(|(run, (units, patterns))| SimulatedRun {
            name: (run + 1).to_string(),
            units: units.view(),
            patterns: patterns.as_ref().map(|patterns| patterns.view()),
            events: events(),
        })
        .collect();
    simulate_subject(simulation, "01", "movie", 2.0, &runs, &columns(), out)
}

pub(super) fn both_runs() -> [Series; 2] {
    [1, 2].map(|run| (units(run), Some(patterns(run))))
}

pub(super) fn simulate(simulation: &Simulation, out: &Path) -> Result<SimulatedSubject, SimulateError> {
    simulate_runs(simulation, &both_runs(), out)
}

fn below(parts: [ArrayView2<'_, f64>; 2]) -> Array2<f64> {
    concatenate(Axis(0), &parts).unwrap()
}

/// The noise-free signal of every voxel over all runs (n_tr x n_voxels).
fn signals(truth: &Truth, series: &[Series; 2]) -> Array2<f64> {
    let of_run = |(units, patterns): &Series| {
        let patterns = patterns.as_ref().map(|patterns| patterns.view());
        let drivers =
            truth.drivers(&SimulatedRun { name: "1".to_owned(), units: units.view(), patterns, events: events() });
        Array2::from_shape_fn((N_TR, truth.voxels.len()), |(t, voxel)| drivers.signal(&truth.voxels[voxel], t))
    };
    below([of_run(&series[0]).view(), of_run(&series[1]).view()])
}

pub(super) fn field<'a>(table: &'a Table, row: usize, column: &str) -> &'a str {
    &table.rows()[row][table.require(column).unwrap()]
}

pub(super) fn number(table: &Table, row: usize, column: &str) -> f64 {
    field(table, row, column).parse().unwrap()
}

pub(super) fn table(out: &Path, name: &str) -> Table {
    Table::read(&out.join(name)).unwrap()
}

/// The series of all sources and of all patterns of variance 1, made from the tables that were written and the matrices
/// that went in, with means taken out (n_tr x (n_sources + n_patterns)); and the number of sources.
fn regressors(out: &Path) -> (Array2<f64>, usize) {
    let written = table(out, "planted.tsv");
    let all_units = concatenate(Axis(0), &[units(1).view(), units(2).view()]).unwrap().mapv(f64::from);
    let all_patterns = concatenate(Axis(0), &[patterns(1).view(), patterns(2).view()]).unwrap().mapv(f64::from);
    let n_sources = written.n_rows();
    let mut regressors = Array2::zeros((2 * N_TR, n_sources + N_PATTERNS));
    for row in 0..n_sources {
        let list = |column| field(&written, row, column).split(',').map(|cell| cell.parse::<f64>().unwrap());
        for (unit, weight) in list("units").zip(list("weights")) {
            regressors.column_mut(row).scaled_add(weight, &all_units.column(unit as usize));
        }
    }
    for (pattern, course) in all_patterns.columns().into_iter().enumerate().filter(|(k, _)| *k != CONSTANT) {
        regressors.column_mut(n_sources + pattern).assign(&(&course / course.std(0.0)));
    }
    for mut column in regressors.columns_mut() {
        let mean = column.mean().unwrap();
        column -= mean;
    }
    (regressors, n_sources)
}

/// The loadings of every voxel (n_voxels x (n_sources + n_patterns)), as the tables have them.
fn written_loadings(out: &Path, voxels: &VoxelTable, n_sources: usize) -> Array2<f64> {
    let places = voxels.locations.voxels().unwrap();
    let mut loadings = Array2::zeros((places.len(), n_sources + N_PATTERNS));
    for (name, column, first) in
        [("planted_voxels.tsv", "source", 0), ("planted_pattern_voxels.tsv", "pattern", n_sources)]
    {
        let written = table(out, name);
        for row in 0..written.n_rows() {
            let place = ["i", "j", "k"].map(|axis| number(&written, row, axis) as usize);
            let voxel = places.iter().position(|&known| known == place).unwrap();
            let network = voxels.membership.of(voxel)[0];
            assert_eq!(field(&written, row, "network"), voxels.networks[network].name);
            loadings[[voxel, first + number(&written, row, column) as usize]] = number(&written, row, "loading");
        }
    }
    loadings
}

#[test]
fn regressions_find_the_loadings_of_every_voxel_and_no_others() {
    let out = tempfile::tempdir().unwrap();
    let subject = simulate(&clean(), out.path()).unwrap();
    let raw = Preparation { scale: Scale::None, ..Preparation::default() };
    let (voxels, series) = read_back(out.path(), "01", &raw);
    let (regressors, n_sources) = regressors(out.path());
    let written = written_loadings(out.path(), &voxels, n_sources);
    let kept: Vec<usize> = (0..regressors.ncols()).filter(|&column| column != n_sources + CONSTANT).collect();
    let regressors = regressors.select(Axis(1), &kept);
    let expected = written.select(Axis(1), &kept).reversed_axes();

    let noise_free = signals(&subject.truth, &both_runs());
    let centred = |mut y: Array2<f64>| {
        for mut column in y.columns_mut() {
            let mean = column.mean().unwrap();
            column -= mean;
        }
        y
    };
    // Noise has a standard deviation of 10 scanner units; runs differ in nothing but noise and signal.
    let measured = series.mapv(f64::from) / (10.0 * clean().snr.sqrt());
    for (y, tolerance, least_r) in [(noise_free, 1e-5, 1.0 - 1e-5), (measured, 0.02, 0.997)] {
        let y = centred(y);
        let found = regressors.least_squares(&y).unwrap().solution;
        let worst = (&found - &expected).iter().fold(0.0_f64, |worst, error| worst.max(error.abs()));
        println!("largest error of a loading {worst:.1e}");
        assert!(worst < tolerance, "{worst}");
        let fitted = regressors.dot(&expected);
        let mut kinds = BTreeMap::new();
        for (voxel, planted) in subject.truth.voxels.iter().enumerate() {
            let kind = (planted.loadings.len(), planted.mixture.is_some(), planted.patterns.len());
            *kinds.entry(kind).or_insert(0) += 1;
            if kind == (0, false, 0) {
                assert!(expected.column(voxel).iter().all(|&loading| loading == 0.0));
                continue;
            }
            let r = correlation(fitted.column(voxel).iter().copied(), y.column(voxel).iter().copied());
            assert!(r > least_r, "voxel {voxel} of kind {kind:?}: {r}");
            let variance = fitted.column(voxel).mapv(|g| g * g).mean().unwrap();
            assert!((variance - 1.0).abs() < 1e-5, "{variance}");
        }
        println!("voxels by number of sources, branches, number of patterns: {kinds:?}");
        for kind in
            [(0, false, 0), (1, false, 0), (2, false, 0), (2, true, 0), (4, true, 0), (0, false, 1), (0, false, 2)]
        {
            assert!(kinds.contains_key(&kind), "{kind:?} of {kinds:?}");
        }
    }
}

/// Cosines over both runs: no two units correlate.
fn orthogonal() -> [Series; 2] {
    let n = 2 * N_TR;
    let cosine = |t: usize, k: usize| (std::f64::consts::PI * (k + 1) as f64 * (t as f64 + 0.5) / n as f64).cos();
    [0, N_TR].map(|first| (Array2::from_shape_fn((N_TR, 60), |(t, k)| cosine(first + t, k) as f32), None))
}

fn explained(x: &Array2<f64>, y: ArrayView1<'_, f64>) -> f64 {
    let fit = x.dot(&x.least_squares(&y.to_owned()).unwrap().solution);
    1.0 - (&y - &fit).mapv(|e| e * e).sum() / y.mapv(|e| e * e).sum()
}

#[test]
fn specialisation_is_what_the_branches_explain() {
    let out = tempfile::tempdir().unwrap();
    let simulation = Simulation { patterns: None, ..simulation() };
    let subject = simulate_runs(&simulation, &orthogonal(), out.path()).unwrap();
    let truth = &subject.truth;
    let y = signals(truth, &orthogonal());
    let sources = orthogonal().map(|(units, _)| truth.source_series(units.view()));
    let sources = below([sources[0].view(), sources[1].view()]);
    let written = table(out.path(), "planted_specialisation.tsv");
    let mut row = 0;
    let mut shares = Vec::new();
    for (voxel, planted) in truth.voxels.iter().enumerate() {
        let Some(mixture) = planted.mixture else { continue };
        let network = truth.sources[planted.loadings[0].0].network;
        let r2 = [Branch::First, Branch::Second].map(|branch| {
            let of_branch =
                |source: &usize| truth.sources[*source].branch == branch && truth.sources[*source].network == network;
            let columns: Vec<usize> = (0..truth.sources.len()).filter(of_branch).collect();
            assert_eq!(columns.len(), 4);
            explained(&sources.select(Axis(1), &columns), y.column(voxel))
        });
        let index = (r2[0] - r2[1]) / (r2[0] + r2[1]);
        assert!((r2[0] - mixture.share).abs() < 1e-5 && (r2[1] - (1.0 - mixture.share)).abs() < 1e-5, "{r2:?}");
        assert!((index - number(&written, row, "specialisation")).abs() < 1e-5);
        assert!((number(&written, row, "share") - mixture.share).abs() < 1e-6);
        assert!(number(&written, row, "branches_r").abs() < 1e-5);
        if field(&written, row, "network") == "somatomotor" {
            assert_eq!(mixture.share, 0.5);
        } else {
            shares.push(mixture.share);
        }
        row += 1;
    }
    assert_eq!(written.n_rows(), row);
    shares.sort_by(f64::total_cmp);
    // The Kolmogorov-Smirnov distance from an even spread, far below what one in ten thousand samples exceeds.
    let n = shares.len() as f64;
    let distance = shares.iter().enumerate().map(|(i, w)| (w - (i as f64 + 0.5) / n).abs()).fold(0.0, f64::max);
    println!("{} shares, distance from an even spread {distance:.3}", shares.len());
    assert!(distance < 2.2 / n.sqrt(), "{distance}");
}

#[test]
fn correlated_branches_say_so() {
    let out = tempfile::tempdir().unwrap();
    let simulation = Simulation { patterns: None, ..simulation() };
    // Everything shares one course.
    let series = [1, 2].map(|run| {
        let mut series = units(run);
        let shared = series.column(0).to_owned();
        for mut column in series.columns_mut() {
            column.zip_mut_with(&shared, |value, shared| *value += shared);
        }
        (series, None)
    });
    let truth = simulate_runs(&simulation, &series, out.path()).unwrap().truth;
    let y = signals(&truth, &series);
    let mut largest = 0.0_f64;
    for (voxel, planted) in truth.voxels.iter().enumerate() {
        let Some(mixture) = planted.mixture else { continue };
        largest = largest.max(mixture.correlation.abs());
        assert!((y.column(voxel).var(0.0) - 1.0).abs() < 1e-6);
    }
    assert!(largest > 0.5, "{largest}");
}

#[test]
fn nothing_is_redrawn_but_what_was_changed() {
    let out = tempfile::tempdir().unwrap();
    let truth = |simulation: &Simulation| simulate(simulation, out.path()).unwrap().truth;
    let change = |edit: fn(&mut Simulation)| {
        let mut changed = simulation();
        edit(&mut changed);
        truth(&changed)
    };
    let all = truth(&simulation());
    let of_network = |truth: &Truth, network: usize| {
        let sources: Vec<_> = truth.sources.iter().filter(|source| source.network == network).cloned().collect();
        let follows = |(_, voxel): &(usize, &hebb::brain::simulate::PlantedVoxel)| {
            voxel.loadings.first().is_some_and(|(source, _)| truth.sources[*source].network == network)
        };
        let voxels: Vec<_> =
            truth.voxels.iter().enumerate().filter(follows).map(|(v, voxel)| (v, voxel.clone())).collect();
        (sources, voxels)
    };
    let networks: BTreeSet<usize> = all.sources.iter().map(|source| source.network).collect();
    let visual = all.sources.last().unwrap().network;

    let without_patterns = change(|simulation| simulation.patterns = None);
    assert_eq!(without_patterns.sources, all.sources);
    assert!(without_patterns.sets.is_none());
    for (one, other) in without_patterns.voxels.iter().zip(&all.voxels) {
        assert_eq!((&one.loadings, one.mixture), (&other.loadings, other.mixture));
    }

    // The last network by name: the numbers of the sources before it stay.
    let one_branch = change(|simulation| simulation.networks.get_mut("visual").unwrap().also = None);
    let even = change(|simulation| {
        simulation.networks.get_mut("visual").unwrap().also.as_mut().unwrap().mixing = Mixing::Even;
    });
    for changed in [&one_branch, &even] {
        assert_eq!(changed.sets, all.sets);
        for &network in networks.iter().filter(|&&network| network != visual) {
            assert_eq!(of_network(changed, network), of_network(&all, network));
        }
    }
    assert_eq!(even.sources, all.sources);
    let (first_branch, all_of_visual) = (of_network(&one_branch, visual), of_network(&all, visual));
    assert_eq!(first_branch.0, all_of_visual.0[..4]);
    for ((_, one), (_, mixed)) in first_branch.1.iter().zip(&all_of_visual.1) {
        let n = one.loadings.len();
        for (a, b) in one.loadings.iter().zip(&mixed.loadings[..n]) {
            assert_eq!((a.0, a.1.signum()), (b.0, b.1.signum()));
        }
        if let [(_, a), (_, b)] = one.loadings[..] {
            assert!((a / b - mixed.loadings[0].1 / mixed.loadings[1].1).abs() < 1e-9);
        }
    }

    let fewer_alone = change(|simulation| simulation.patterns.as_mut().unwrap().alone = 1);
    assert_eq!(fewer_alone.sets.unwrap().pairs, all.sets.unwrap().pairs);
}

#[test]
fn truth_of_studies_without_the_newer_plantings_stays() {
    let names =
        ["visual", "somatomotor", "dorsal-attention", "ventral-attention", "limbic", "language", "default"].into_iter();
    let networks = names.enumerate().map(|(index, name)| {
        let module = if index % 2 == 0 { "vision" } else { "text" };
        (name.to_owned(), PlantedNetwork { negative_units: 0.25, ..planted(module, &[index % 3]) })
    });
    let simulation = Simulation {
        seed: 3,
        shape: [10, 12, 9],
        networks: networks.collect(),
        repeats: BTreeMap::from([("1".to_owned(), vec!["2".to_owned()])]),
        ..Simulation::default()
    };
    let out = tempfile::tempdir().unwrap();
    simulate_runs(&simulation, &[(units(1), None)], out.path()).unwrap();
    let pinned = [
        ("planted.tsv", "771cf6ab371b38e7d8715bfef03cd7e49d5ed6a5b219fb72db494c98ceaddada"),
        ("planted_voxels.tsv", "05ab91a8debdad18a1feb72be392d4e3c4d592f1e45e000bee0a9fba561cb676"),
        ("README", "d676445ad707a94aff05b818a1740130b4cb51a8e1226c786c1a97b87d6f3ebd"),
        (".bidsignore", "30d79db1bb846876c4652108dcfbfff40ce3b0c98f3b2f50f8dd30b22c6fdb7e"),
    ];
    for (name, digest) in pinned {
        let bytes = std::fs::read(out.path().join(name)).unwrap();
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), digest, "{name}");
    }
    let written: BTreeSet<String> = planted_files(out.path());
    assert_eq!(written, BTreeSet::from(["planted.tsv".to_owned(), "planted_voxels.tsv".to_owned()]));
    // Neither do the keys of such studies change.
    let text = serde_json::to_string(&simulation).unwrap();
    assert!(!text.contains("also") && !text.contains("patterns") && text.matches("snr").count() == 1, "{text}");
}

pub(super) fn planted_files(out: &Path) -> BTreeSet<String> {
    let names = std::fs::read_dir(out).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("planted")).collect()
}

#[test]
fn dead_branches_leave_noise() {
    let out = tempfile::tempdir().unwrap();
    let mut series = both_runs();
    series.iter_mut().for_each(|(units, _)| units.slice_mut(s![.., 30..]).fill(0.0));
    let truth = simulate_runs(&simulation(), &series, out.path()).unwrap().truth;
    assert!(truth.voxels.iter().all(|voxel| voxel.loadings.is_empty() && voxel.mixture.is_none()));
    assert_eq!(table(out.path(), "planted_specialisation.tsv").n_rows(), 0);
    assert!(truth.voxels.iter().any(|voxel| !voxel.patterns.is_empty()));
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let written = [1, 3].map(|n_threads| {
        let out = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        let subject = pool.install(|| simulate(&simulation(), out.path())).unwrap();
        subject.runs.iter().map(|run| std::fs::read(&run.bold).unwrap()).collect::<Vec<_>>()
    });
    assert!(written[0] == written[1]);
}
