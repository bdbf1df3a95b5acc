//! How often each test of a report finds something where there is nothing: 1000 data sets without any effect for each.
//!
//! `cargo bench --bench calibration [-- DRAWS]` prints a table in Markdown, which `docs/statistics.md` keeps. A test at 0.05 should
//! reject in 3.5 to 6.5 % of 1000 data sets; rows that are meant to be conservative, or that show what a weaker null does, say so.

use hebb::math::{
    blas::{matmul, single_thread_blas},
    evidence::{Evidence, EvidenceOptions, GroupNull, paired_test},
    fdr::benjamini_hochberg,
    folds::contiguous_blocks,
    group::{GroupValues, SignFlipOptions, TOptions, one_sample_t, sign_flip_test},
    hierarchy::rank_trend,
    null::{Rearrangement, permutation_test},
    overlap::{OverlapNull, OverlapOptions, Sets, compare_overlap},
    polarity::{PolarityInput, PolarityOptions, polarity},
    ridge::{Ridge, RidgeOptions},
    specialisation::branch_overlap,
};
use ndarray::{Array1, Array2, Axis, s};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use std::time::Instant;

/// Volumes of a test series, and of a block of it.
const N_TR: usize = 400;
const BLOCK_TR: usize = 20;
/// Voxels of a network.
const N_VOXELS: usize = 24;
/// Draws of each test.
const N_PERMUTATIONS: usize = 199;

/// What the tests of one data set gave: name of the row, p value.
type Found = Vec<(&'static str, Option<f64>)>;

fn main() {
    let n: usize = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1000);
    single_thread_blas();
    println!("| test | p <= 0.05 | p <= 0.01 | of data sets |\n|---|---|---|---|");
    let worlds: [fn(u64) -> Found; 7] =
        [time_series, branches, overlap, polar_pairs, hierarchy, over_subjects, discovery];
    for world in worlds {
        let start = Instant::now();
        let all: Vec<Found> = (0..n as u64).into_par_iter().map(world).collect();
        for place in 0..all[0].len() {
            let p: Vec<f64> = all.iter().filter_map(|found| found[place].1).collect();
            let share = |level: f64| 100.0 * p.iter().filter(|p| **p <= level).count() as f64 / p.len() as f64;
            println!("| {} | {:.1} % | {:.1} % | {} |", all[0][place].0, share(0.05), share(0.01), p.len());
        }
        eprintln!("{:.1} s", start.elapsed().as_secs_f64());
    }
}

fn rng(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

fn normal(shape: (usize, usize), rng: &mut ChaCha8Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn(shape, || StandardNormal.sample(&mut *rng))
}

/// First-order autoregressive columns.
fn autoregressive(shape: (usize, usize), phi: f32, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let mut series = normal(shape, rng);
    let scale = (1.0 - phi * phi).sqrt();
    for t in 1..shape.0 {
        let before = series.row(t - 1).to_owned();
        series.row_mut(t).zip_mut_with(&before, |now, before| *now = phi * before + scale * *now);
    }
    series
}

/// Neighbouring columns become alike.
fn smooth(maps: &Array2<f32>, width: usize) -> Array2<f32> {
    let n = maps.ncols();
    Array2::from_shape_fn(maps.dim(), |(row, at)| {
        (0..width).map(|shift| maps[[row, (at + shift) % n]]).sum::<f32>() / (width as f32).sqrt()
    })
}

/// Voxels and networks without any relation to what is predicted; voxels of a network share half of their noise.
fn time_series(seed: u64) -> Found {
    let mut rng = rng(seed, 1);
    let shared = autoregressive((N_TR, 1), 0.4, &mut rng);
    let voxels = (autoregressive((N_TR, N_VOXELS), 0.4, &mut rng) + &shared) / 2f32.sqrt();
    let layers: Vec<Array2<f32>> = (0..6)
        .map(|_| {
            let features = autoregressive((N_TR, 4), 0.5, &mut rng);
            matmul(features.view(), normal((4, N_VOXELS), &mut rng).view())
        })
        .collect();
    let rearrangement = Rearrangement::Blocks { block_tr: BLOCK_TR };
    let null = GroupNull { rearrangement, n_permutations: N_PERMUTATIONS, seed };
    let networks = vec![vec![0]; N_VOXELS];
    let evidence: Vec<_> = layers
        .iter()
        .map(|prediction| {
            let options = EvidenceOptions { block_tr: BLOCK_TR, null: Some(null) };
            let mut evidence = Evidence::begin(N_TR, 1, options).expect("a series");
            evidence.add(voxels.view(), prediction.view(), &networks).expect("matching shapes");
            evidence.finish()
        })
        .collect();
    let voxel =
        permutation_test(voxels.slice(s![.., ..1]), layers[0].slice(s![.., ..1]), rearrangement, N_PERMUTATIONS, seed)
            .expect("a series");
    let highest =
        |of: &dyn Fn(&hebb::math::evidence::GroupEvidence) -> f64| evidence.iter().map(of).fold(f64::MIN, f64::max);
    let best = highest(&|layer| layer.r_blocks.sum());
    let n_as_high = (0..N_PERMUTATIONS)
        .filter(|draw| highest(&|layer| layer.null_r.as_ref().expect("asked for")[[*draw, 0]]) >= best - 1e-9)
        .count();
    let differences = &evidence[0].r_blocks - &evidence[1].r_blocks;
    let paired = paired_test(differences.view(), N_PERMUTATIONS, seed).expect("enough blocks");
    vec![
        ("prediction of a voxel: blocks permuted", voxel.p_values[0]),
        ("prediction of a network: blocks permuted, voxels together", evidence[0].p_values().and_then(|p| p[0])),
        (
            "best of six layers: largest of the same permutations",
            Some((1 + n_as_high) as f64 / (1 + N_PERMUTATIONS) as f64),
        ),
        ("difference of two models: signs of blocks flipped", paired.groups[0].as_ref().ok().map(|group| group.p)),
    ]
}

/// Two branches of which the second adds nothing, and two that are equally good.
fn branches(seed: u64) -> Found {
    let mut rng = rng(seed, 2);
    let n = N_TR * 2;
    // Each branch knows the signal with errors of its own, or exactly, along with something else.
    let common = autoregressive((n, 3), 0.5, &mut rng);
    let own = [(); 2].map(|()| autoregressive((n, 3), 0.5, &mut rng));
    let [a, b] = own.each_ref().map(|own| &common + own);
    let [exact_a, exact_b] = [&a, &b]
        .map(|noisy| ndarray::concatenate(Axis(1), &[noisy.view(), (noisy - &common).view()]).expect("equal rows"));
    let noise = autoregressive((n, 6), 0.5, &mut rng);
    let weights = normal((3, N_VOXELS), &mut rng);
    let voxels = matmul(common.view(), weights.view()) + 2.0 * autoregressive((n, N_VOXELS), 0.4, &mut rng);
    let with_noise = ndarray::concatenate(Axis(1), &[a.view(), noise.view()]).expect("equal rows");
    let evidence = |features: &Array2<f32>| {
        let (train, test) = (features.slice(s![..N_TR, ..]), features.slice(s![N_TR.., ..]));
        let options = RidgeOptions { alphas: vec![1.0, 10.0, 100.0, 1000.0], ..RidgeOptions::default() };
        let folds = contiguous_blocks(N_TR, 4, 10).expect("long enough");
        let ridge = Ridge::factorise(train, &folds, options).expect("features");
        let placed = ridge.place(test).expect("same features");
        let (_, prediction) = ridge.fit_predict_placed(voxels.slice(s![..N_TR, ..]), &placed).expect("targets");
        let mut evidence =
            Evidence::begin(N_TR, 1, EvidenceOptions { block_tr: BLOCK_TR, null: None }).expect("a series");
        let networks = vec![vec![0]; N_VOXELS];
        evidence.add(voxels.slice(s![N_TR.., ..]), prediction.view(), &networks).expect("matching shapes");
        evidence.finish().error_blocks
    };
    let (of_a, of_b, of_both) = (evidence(&a), evidence(&b), evidence(&with_noise));
    let (of_exact_a, of_exact_b) = (evidence(&exact_a), evidence(&exact_b));
    let test = |differences: Array2<f64>| {
        let found = paired_test(differences.view(), N_PERMUTATIONS, seed).expect("enough blocks");
        found.groups[0].as_ref().ok().map(|group| (group.difference, group.p))
    };
    let unique = test(&of_a - &of_both).map(|(gain, p)| if gain > 0.0 { p / 2.0 } else { 1.0 - p / 2.0 });
    // Sets of voxels that two branches predict, drawn independently.
    let draw = |rng: &mut ChaCha8Rng| normal((1, 200), rng).row(0).mapv(|value| value > 0.8).to_vec();
    let (one, other) = (draw(&mut rng), draw(&mut rng));
    let overlap = branch_overlap(&one, &other, None, 1).expect("equal lengths").total.p();
    vec![
        ("specialisation of two equally good branches: signs of blocks flipped", test(&of_b - &of_a).map(|(_, p)| p)),
        (
            "the same if both branches know exactly the same, so that only their fits differ (for comparison)",
            test(&of_exact_b - &of_exact_a).map(|(_, p)| p),
        ),
        ("unique variance of a branch that adds nothing, one-sided (costs R2, so below its level)", unique),
        ("overlap of independent branches: hypergeometric (discrete, so below its level)", overlap),
    ]
}

/// Patterns whose maps have nothing to do with each other: smooth, and with voxels that drive all of them.
fn overlap(seed: u64) -> Found {
    let mut rng = rng(seed, 3);
    let (n_patterns, n_voxels) = (16, 1200);
    let independent = normal((n_patterns, n_voxels), &mut rng);
    let mut driven = smooth(&normal((n_patterns, n_voxels), &mut rng), 5);
    // A quarter of the voxels weighs twice as much in every pattern: a shared visual drive.
    driven.slice_mut(s![.., ..n_voxels / 4]).mapv_inplace(|weight| weight * 2.0);
    let compare = |maps: &Array2<f32>, null: OverlapNull| {
        let mut members = Array2::from_elem(maps.dim(), false);
        for (map, mut of_map) in maps.rows().into_iter().zip(members.rows_mut()) {
            // The tenth with the largest weights, as `driven_share` has it.
            let mut largest: Vec<usize> = (0..map.len()).collect();
            largest.sort_by(|a, b| map[*b].abs().total_cmp(&map[*a].abs()));
            largest[..map.len() / 10].iter().for_each(|voxel| of_map[*voxel] = true);
        }
        let groups = [(0..n_voxels / 4).collect::<Vec<_>>(), (n_voxels / 4..n_voxels).collect()];
        let options = OverlapOptions { null, n_draws: N_PERMUTATIONS, seed };
        let found = compare_overlap(maps.view(), &Sets::new(members.view()), &groups, options).expect("maps");
        let pair = found.pairs.iter().filter_map(|pair| pair.family_wise_p).fold(1.0, f64::min);
        (found.whole.mean_dice.map(|dice| dice.p), found.whole.shared_share.map(|share| share.p), Some(pair))
    };
    let independent = compare(&independent, OverlapNull::Rotations);
    let shared = compare(&driven, OverlapNull::Rotations);
    let within = compare(&driven, OverlapNull::MembershipsWithinGroups);
    vec![
        ("overlap, independent maps: rotations", independent.0),
        ("overlap, smooth maps with a shared drive: rotations", shared.0),
        ("shared voxels, smooth maps with a shared drive: rotations", shared.1),
        ("any pair of 120, smooth maps with a shared drive: rotations, family-wise", shared.2),
        ("the same overlap: memberships within networks (weaker null, for comparison)", within.0),
        ("the same pairs: memberships within networks, family-wise (weaker null, for comparison)", within.2),
    ]
}

/// Maps that have nothing to do with layer profiles, which are smooth over layers.
fn polar_pairs(seed: u64) -> Found {
    let mut rng = rng(seed, 4);
    let (n_patterns, n_layers, n_of_layer) = (16, 12, 4);
    let profiles = smooth(&normal((n_patterns, n_layers), &mut rng), 4);
    let layer_of_unit: Vec<usize> = (0..n_layers * n_of_layer).map(|unit| unit / n_of_layer).collect();
    let codes =
        Array2::from_shape_fn((n_patterns, layer_of_unit.len()), |(k, unit)| profiles[[k, layer_of_unit[unit]]]);
    let maps = matmul(normal((n_patterns, 4), &mut rng).view(), normal((4, 300), &mut rng).view());
    let series = normal((200, n_patterns), &mut rng);
    let input = PolarityInput {
        codes: codes.view(),
        maps: maps.view(),
        series: series.view(),
        layer_of_unit: &layer_of_unit,
        n_layers,
    };
    let options = PolarityOptions { n_permutations: N_PERMUTATIONS, seed, ..PolarityOptions::default() };
    let test = polarity(input, options).expect("patterns").test.ok();
    vec![
        ("mirroring, smooth profiles: names of patterns permuted", test.as_ref().map(|test| test.pairs_permuted.p)),
        (
            "opposition: signs drawn at random (discrete, so below its level)",
            test.as_ref().map(|test| test.n_opposed_signs_redrawn.p),
        ),
        (
            "partial mirroring: names of patterns permuted",
            test.as_ref().and_then(|test| Some(test.partial?.adjusted.p)),
        ),
        ("mirroring: layers permuted (weaker null, for comparison)", test.as_ref().map(|test| test.layers_permuted.p)),
    ]
}

/// Networks whose depth has nothing to do with their order.
fn hierarchy(seed: u64) -> Found {
    let mut rng = rng(seed, 5);
    let depths: Vec<Option<f64>> = normal((1, 7), &mut rng).iter().map(|depth| Some(f64::from(*depth))).collect();
    let order: Vec<f64> = (0..7).map(f64::from).collect();
    let trend = rank_trend(&order, &depths, 10_000, seed).expect("an order").ok();
    vec![("hierarchy of seven networks: networks permuted, all orders", trend.map(|trend| trend.rho_p))]
}

/// Subjects whose values differ from chance by nothing, some of them related.
fn over_subjects(seed: u64) -> Found {
    let mut rng = rng(seed, 6);
    let n_subjects = 12;
    let alone = normal((n_subjects, 8), &mut rng);
    let twins: Vec<usize> = (0..n_subjects).map(|subject| subject / 2).collect();
    let of_family = normal((n_subjects / 2, 8), &mut rng);
    let related = Array2::from_shape_fn((n_subjects, 8), |(subject, row)| {
        0.6 * alone[[subject, row]] + 0.8 * of_family[[twins[subject], row]]
    });
    let options = SignFlipOptions { n_permutations: 1000, seed, ..SignFlipOptions::default() };
    let flips = |values: &Array2<f32>, blocks: Option<&[usize]>| {
        sign_flip_test(GroupValues::complete(values.view()), blocks, options).expect("subjects").voxels
    };
    let t = one_sample_t(GroupValues::complete(alone.view()), TOptions::default()).expect("subjects").voxels;
    let (free, family, ignored) = (flips(&alone, None), flips(&related, Some(&twins)), flips(&related, None));
    let smallest = free.iter().filter_map(|voxel| voxel.ok().map(|voxel| voxel.p_family)).fold(1.0, f64::min);
    vec![
        ("group: t", t[0].ok().map(|test| test.p)),
        ("group: signs flipped", free[0].ok().map(|test| test.p)),
        ("group, any of 8 rows: largest t", Some(smallest)),
        ("group of twins: signs of families flipped", family[0].ok().map(|test| test.p)),
        ("group of twins, families ignored (for comparison)", ignored[0].ok().map(|test| test.p)),
    ]
}

/// The false discovery rate at 0.05: without any effect, the share of data sets in which anything is found; with some, the share of
/// findings that are false.
fn discovery(seed: u64) -> Found {
    let mut rng = rng(seed, 7);
    let uniform = |rng: &mut ChaCha8Rng, shift: f64| {
        let draw: f64 = StandardNormal.sample(rng);
        let value: f64 = draw + shift;
        Some(0.5 * statrs::function::erf::erfc(value / 2f64.sqrt()))
    };
    let none: Vec<Option<f64>> = (0..100).map(|_| uniform(&mut rng, 0.0)).collect();
    let some: Vec<Option<f64>> = (0..100).map(|test| uniform(&mut rng, if test < 30 { 3.0 } else { 0.0 })).collect();
    let found = |p: &[Option<f64>]| -> Array1<bool> {
        benjamini_hochberg(p).expect("probabilities").iter().map(|q| q.is_some_and(|q| q <= 0.05)).collect()
    };
    let any = found(&none).iter().any(|found| *found);
    let with_effects = found(&some);
    let n_found = with_effects.iter().filter(|found| **found).count();
    let n_false = with_effects.iter().skip(30).filter(|found| **found).count();
    // A share of false findings is reported as the rate at which a draw of one of them is false.
    let pick = (seed as usize * 7919) % n_found.max(1);
    let is_false = n_found > 0 && pick >= n_found - n_false;
    vec![
        ("false discovery rate, no effect: anything found", Some(if any { 0.0 } else { 1.0 })),
        ("false discovery rate, 30 effects of 100: a finding is false", Some(if is_false { 0.0 } else { 1.0 })),
    ]
}
