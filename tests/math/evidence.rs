//! Evidence of groups, trends over networks and random phases against NumPy, SciPy and scikit-learn.
//!
//! The numbers compared with are made by `tests/scripts/make_evidence_fixtures.py`.

use hebb::math::evidence::{BlockDraws, Evidence, EvidenceOptions, GroupEvidence, GroupNull, NoInference, paired_test};
use hebb::math::hierarchy::{Permutations, preferred, rank_trend};
use hebb::math::null::Rearrangement;
use hebb::math::phase::{Phases, phase_randomised};
use ndarray::{Array2, ArrayView1, s};
use serde::Deserialize;

use super::inference::autoregressive;
use super::{matrix, table};

#[derive(Deserialize)]
struct Expected {
    block_tr: usize,
    null_block_tr: usize,
    min_shift_tr: usize,
    groups: Vec<Vec<usize>>,
    r_blocks: Vec<Vec<f64>>,
    error_blocks: Vec<Vec<f64>>,
    mean_r: Vec<f64>,
    mean_r2: Vec<f64>,
    differences: Vec<Vec<f64>>,
    p: Vec<f64>,
    p_family: Vec<f64>,
    n_blocks: usize,
    confidence: f64,
    draws: Vec<Vec<f64>>,
    observed: Vec<f64>,
    low: Vec<f64>,
    high: Vec<f64>,
}

fn rectangle(rows: &[Vec<f64>]) -> Array2<f64> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, j)| rows[i][j])
}

/// Infinite where either is not a number.
fn largest_distance<'a>(found: impl IntoIterator<Item = &'a f64>, expected: impl IntoIterator<Item = &'a f64>) -> f64 {
    let distance = |(a, b): (&f64, &f64)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() };
    found.into_iter().zip(expected).map(distance).fold(0.0, f64::max)
}

/// The groups of each target from the targets of each group.
fn groups_of_targets(groups: &[Vec<usize>], n_targets: usize) -> Vec<Vec<usize>> {
    (0..n_targets).map(|v| (0..groups.len()).filter(|&g| groups[g].contains(&v)).collect()).collect()
}

fn evidence(
    data: &Array2<f32>,
    prediction: &Array2<f32>,
    groups: &[Vec<usize>],
    options: EvidenceOptions,
) -> GroupEvidence {
    let mut evidence = Evidence::begin(data.nrows(), groups.len(), options).unwrap();
    evidence.add(data.view(), prediction.view(), &groups_of_targets(groups, data.ncols())).unwrap();
    evidence.finish()
}

#[test]
fn contributions_equal_those_of_scipy_and_scikit_learn() {
    let (data, prediction): (Array2<f32>, Array2<f32>) = (matrix("evidence_data"), matrix("evidence_prediction"));
    let expected: Expected = table("evidence");
    let options = EvidenceOptions { block_tr: expected.block_tr, null: None };
    let found = evidence(&data, &prediction, &expected.groups, options);
    let (r_blocks, error_blocks) = (rectangle(&expected.r_blocks), rectangle(&expected.error_blocks));
    assert_eq!((found.r_blocks.dim(), found.error_blocks.dim()), (r_blocks.dim(), error_blocks.dim()));
    let (mean_r, mean_r2): (Vec<f64>, Vec<f64>) =
        (found.mean_r().into_iter().flatten().collect(), found.mean_r2().into_iter().flatten().collect());
    assert_eq!((mean_r.len(), mean_r2.len()), (3, 3));
    let worst = largest_distance(&found.r_blocks, &r_blocks)
        .max(largest_distance(&found.error_blocks, &error_blocks))
        .max(largest_distance(&mean_r, &expected.mean_r))
        .max(largest_distance(&mean_r2, &expected.mean_r2));
    println!("largest error {worst:.1e}");
    assert!(worst < 1e-12, "{worst}");
}

/// Every drawn value is that of one enumerated order for all groups at once, and p approaches the share of all orders.
#[test]
fn null_values_are_those_of_enumerated_orders() {
    let (data, prediction): (Array2<f32>, Array2<f32>) = (matrix("evidence_data"), matrix("evidence_prediction"));
    let expected: Expected = table("evidence");
    let blocks = Rearrangement::Blocks { block_tr: expected.null_block_tr };
    let shifts = Rearrangement::CircularShift { min_shift_tr: expected.min_shift_tr };
    for (rearrangement, name) in [(blocks, "evidence_null_blocks"), (shifts, "evidence_null_shifts")] {
        let all: Array2<f64> = matrix(name);
        let n = 20_000;
        let null = Some(GroupNull { rearrangement, n_permutations: n, seed: 3 });
        let found = evidence(&data, &prediction, &expected.groups, EvidenceOptions { block_tr: 5, null });
        let null_r = found.null_r.as_ref().unwrap();
        let worst = null_r.slice(s![..500, ..]).outer_iter().fold(0.0f64, |worst, draw| {
            let nearest = all.outer_iter().map(|row| largest_distance(draw, row)).fold(f64::INFINITY, f64::min);
            worst.max(nearest)
        });
        println!("{name}: largest error {worst:.1e}");
        assert!(worst < 1e-12, "{name}: {worst}");
        for (g, p) in found.p_values().unwrap().into_iter().enumerate() {
            let as_high = all.column(g).iter().filter(|&&null| null >= expected.mean_r[g] - 1e-12).count();
            let share = as_high as f64 / all.nrows() as f64;
            let bound = 5.0 * (share * (1.0 - share) / n as f64).sqrt() + 1.0 / n as f64;
            assert!((p.unwrap() - share).abs() <= bound, "{name} {g}: {p:?} {share}");
        }
    }
}

#[test]
fn paired_tests_and_intervals_equal_scipy() {
    let expected: Expected = table("evidence");
    let test = paired_test(rectangle(&expected.differences).view(), 256, 0).unwrap();
    for (g, group) in test.groups.iter().enumerate() {
        let group = group.unwrap();
        assert!((group.p - expected.p[g]).abs() < 1e-12, "{g}: {} {}", group.p, expected.p[g]);
        assert!((group.p_family - expected.p_family[g]).abs() < 1e-12, "{g}");
    }
    let draws = BlockDraws::new(expected.n_blocks, 40, 0).unwrap();
    let found = draws.intervals(rectangle(&expected.draws).view(), &expected.observed, expected.confidence).unwrap();
    for (g, interval) in found.iter().enumerate() {
        let interval = interval.unwrap();
        let error = (interval.low - expected.low[g]).abs().max((interval.high - expected.high[g]).abs());
        assert!(error < 1e-10, "{g}: {error}");
    }
}

/// Simulated test series, of which each is a group of four targets: autoregressive data and predictions.
#[test]
fn intervals_cover_and_paired_tests_keep_their_level() {
    let (n_series, width, phi) = (1000, 4, 0.5);
    let groups: Vec<Vec<usize>> = (0..n_series).map(|g| (g * width..(g + 1) * width).collect()).collect();
    let noise = |seed| autoregressive(300, n_series * width, phi, seed);
    for block_tr in [10, 20] {
        let options = EvidenceOptions { block_tr, null: None };
        let (first, second) = (noise(1), noise(2));
        // Both predictions share 0.15 with the data: r is 0.15 / sqrt(1 + 2 * 0.15^2).
        let data = &(&(&first + &second) * 0.15) + &noise(3);
        let truth = 0.15 / (1.0f64 + 2.0 * 0.15 * 0.15).sqrt();
        let (a, b) = (evidence(&data, &first, &groups, options), evidence(&data, &second, &groups, options));
        let differences = &a.r_blocks - &b.r_blocks;
        let draws = BlockDraws::new(a.r_blocks.nrows(), 1000, 7).unwrap();
        let coverage = |blocks: &Array2<f64>, truth: f64| {
            let observed: Vec<f64> = blocks.columns().into_iter().map(|c: ArrayView1<'_, f64>| c.sum()).collect();
            let found = draws.intervals(draws.totals(blocks.view()).unwrap().view(), &observed, 0.95).unwrap();
            let covers = |i: &&Result<_, NoInference>| {
                let i: hebb::math::evidence::Interval = i.unwrap();
                i.low <= truth && truth <= i.high
            };
            found.iter().filter(covers).count() as f64 / n_series as f64
        };
        let (of_r, of_difference) = (coverage(&a.r_blocks, truth), coverage(&differences, 0.0));
        let p: Vec<f64> =
            paired_test(differences.view(), 999, 1).unwrap().groups.iter().map(|g| g.unwrap().p).collect();
        let size = p.iter().filter(|&&p| p <= 0.05).count() as f64 / n_series as f64;
        println!("blocks of {block_tr}: coverage of r {of_r}, of a difference {of_difference}; size at 0.05 {size}");
        // Four standard errors of a share are 0.028; blocks leave out what neighbouring ones share.
        assert!((of_r - 0.95).abs() < 0.035 && (of_difference - 0.95).abs() < 0.035);
        assert!((size - 0.05).abs() < 0.035);
    }
}

#[test]
fn trends_equal_scipy() {
    #[derive(Deserialize)]
    struct Trends {
        cases: Vec<Case>,
        scores: Vec<Vec<f64>>,
        depth: Vec<f64>,
        layers: Vec<usize>,
        centroids: Vec<f64>,
    }
    #[derive(Deserialize)]
    struct Case {
        order: Vec<f64>,
        values: Vec<Option<f64>>,
        rho: f64,
        tau: f64,
        rho_p: f64,
        tau_p: f64,
    }
    let expected: Trends = table("trend");
    let mut worst = 0.0f64;
    for case in &expected.cases {
        let found = rank_trend(&case.order, &case.values, 1, 0).unwrap().unwrap();
        assert!(matches!(found.permutations, Permutations::Exhaustive { .. }));
        worst = worst.max(largest_distance(
            &[found.rho, found.tau, found.rho_p, found.tau_p],
            &[case.rho, case.tau, case.rho_p, case.tau_p],
        ));
    }
    let scores = rectangle(&expected.scores).mapv(Some);
    let found = preferred(scores.view(), &expected.depth).unwrap();
    for (v, preference) in found.iter().enumerate() {
        let preference = preference.unwrap();
        assert_eq!(preference.layer, expected.layers[v]);
        worst = worst.max((preference.centroid - expected.centroids[v]).abs());
    }
    println!("largest error {worst:.1e}");
    assert!(worst < 1e-12, "{worst}");
}

#[derive(Deserialize)]
struct Spectra {
    lengths: Vec<usize>,
    runs: Vec<RunSpectra>,
}

#[derive(Deserialize)]
struct RunSpectra {
    amplitudes: Vec<Vec<f64>>,
    autocovariances: Vec<Vec<f64>>,
    cross_real: Vec<Vec<f64>>,
    cross_imaginary: Vec<Vec<f64>>,
}

/// Real and imaginary part at every frequency, by the definition.
fn spectrum(values: ArrayView1<'_, f32>) -> Vec<(f64, f64)> {
    let n = values.len();
    let at = |f: usize| {
        values.iter().enumerate().fold((0.0, 0.0), |(re, im), (t, &v)| {
            let angle = -std::f64::consts::TAU * ((f * t) % n) as f64 / n as f64;
            (re + f64::from(v) * angle.cos(), im + f64::from(v) * angle.sin())
        })
    };
    (0..n).map(at).collect()
}

/// Largest distance of the surrogate's statistics from those that NumPy finds in the series, relative to the largest.
#[test]
fn surrogates_have_the_spectra_that_numpy_finds() {
    let series: Array2<f32> = matrix("phase_series");
    let expected: Spectra = table("phase");
    let run_of_sample: Vec<usize> =
        expected.lengths.iter().enumerate().flat_map(|(run, &n)| std::iter::repeat_n(run, n)).collect();
    let (mut amplitude, mut covariance, mut cross) = (0.0f64, 0.0f64, 0.0f64);
    let relative = |found: &[f64], expected: &[f64]| {
        let scale = expected.iter().fold(1e-9f64, |m, v| m.max(v.abs()));
        largest_distance(found, expected) / scale
    };
    for (phases, seed) in [(Phases::Common, 1), (Phases::Independent, 2), (Phases::Common, 3)] {
        let surrogate = phase_randomised(series.view(), &run_of_sample, phases, seed).unwrap();
        let moved = surrogate.iter().zip(&series).filter(|(a, b)| (*a - *b).abs() > 1e-3).count();
        assert!(moved > series.len() / 2, "phases are random");
        let mut start = 0;
        for (&n, run) in expected.lengths.iter().zip(&expected.runs) {
            let part = surrogate.slice(s![start..start + n, ..]);
            let spectra: Vec<_> = part.columns().into_iter().map(spectrum).collect();
            for j in 0..3 {
                let found: Vec<f64> = spectra[j].iter().map(|(re, im)| re.hypot(*im)).collect();
                amplitude = amplitude.max(relative(&found, &run.amplitudes[j]));
                let mean = part.column(j).iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64;
                let at = |t: usize| f64::from(part[[t % n, j]]) - mean;
                let found: Vec<f64> = (0..n).map(|lag| (0..n).map(|t| at(t) * at(t + lag)).sum()).collect();
                covariance = covariance.max(relative(&found, &run.autocovariances[j]));
                if phases == Phases::Common {
                    let pairs = spectra[j].iter().zip(&spectra[(j + 1) % 3]);
                    let (real, imaginary): (Vec<f64>, Vec<f64>) =
                        pairs.map(|((ar, ai), (br, bi))| (ar * br + ai * bi, ai * br - ar * bi)).unzip();
                    let scale = run.cross_real[j].iter().fold(1e-9f64, |m, v| m.max(v.abs()));
                    cross = cross.max(relative(&real, &run.cross_real[j]));
                    cross = cross.max(largest_distance(&imaginary, &run.cross_imaginary[j]) / scale);
                }
            }
            start += n;
        }
    }
    println!("largest errors: amplitude {amplitude:.1e}, autocovariance {covariance:.1e}, cross-spectrum {cross:.1e}");
    assert!(amplitude < 1e-6 && covariance < 1e-5 && cross < 1e-5);
}
