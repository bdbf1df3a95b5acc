use super::*;
use crate::math::null::permutation_test;
use crate::math::scores::{pearson_columns, r2_columns};
use ndarray::{Array, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn noise(n_samples: usize, n_targets: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((n_samples, n_targets), || StandardNormal.sample(&mut rng))
}

const SHIFTS: Rearrangement = Rearrangement::CircularShift { min_shift_tr: 3 };

fn options(block_tr: usize, rearrangement: Rearrangement, n_permutations: usize) -> EvidenceOptions {
    EvidenceOptions { block_tr, null: Some(GroupNull { rearrangement, n_permutations, seed: 5 }) }
}

/// Adds pieces of `piece` targets.
fn gather(
    data: &Array2<f32>,
    prediction: &Array2<f32>,
    groups: &[Vec<usize>],
    n_groups: usize,
    options: EvidenceOptions,
    piece: usize,
) -> GroupEvidence {
    let mut evidence = Evidence::begin(data.nrows(), n_groups, options).unwrap();
    for start in (0..data.ncols()).step_by(piece) {
        let end = data.ncols().min(start + piece);
        let (y, p) = (data.slice(s![.., start..end]), prediction.slice(s![.., start..end]));
        evidence.add(y, p, &groups[start..end]).unwrap();
    }
    evidence.finish()
}

/// Every target in group 0, every third one in group 1, one target in group 2, none in group 3.
fn groups(n_targets: usize) -> Vec<Vec<usize>> {
    (0..n_targets)
        .map(|v| (0..3).filter(|&g| g == 0 || (g == 1 && v.is_multiple_of(3)) || (g == 2 && v == 1)).collect())
        .collect()
}

fn mean(scores: &[Option<f64>], groups: &[Vec<usize>], group: usize) -> Option<f64> {
    let of_group = scores.iter().zip(groups).filter(|(_, groups)| groups.contains(&group));
    let present: Vec<f64> = of_group.filter_map(|(score, _)| *score).collect();
    (!present.is_empty()).then(|| present.iter().sum::<f64>() / present.len() as f64)
}

#[test]
fn sums_over_blocks_are_the_mean_scores() {
    let (mut y, mut p) = (noise(83, 300, 1), noise(83, 300, 2));
    p.zip_mut_with(&y, |p, y| *p += y + 7.0);
    y.column_mut(1).fill(4.0);
    p.column_mut(3).fill(0.0);
    let (r, r2) = (pearson_columns(y.view(), p.view()).unwrap(), r2_columns(y.view(), p.view()).unwrap());
    let groups = groups(300);
    let found = gather(&y, &p, &groups, 4, EvidenceOptions { block_tr: 10, null: None }, 77);
    assert_eq!(found.r_blocks.dim(), (9, 4));
    assert_eq!(found.n_targets, [300, 100, 1, 0]);
    assert_eq!((&found.n_with_r[..], &found.n_with_error[..]), (&[298, 99, 0, 0][..], &[299, 100, 0, 0][..]));
    let (mean_r, mean_r2) = (found.mean_r(), found.mean_r2());
    for g in 0..4 {
        for (found, expected) in [(mean_r[g], mean(&r, &groups, g)), (mean_r2[g], mean(&r2, &groups, g))] {
            assert_eq!(found.is_some(), expected.is_some());
            let (found, expected) = (found.unwrap_or(0.0), expected.unwrap_or(0.0));
            assert!((found - expected).abs() < 1e-12 * expected.abs().max(1.0), "{g}: {found} {expected}");
        }
    }
    assert_eq!((mean_r[2], mean_r2[3], found.p_values()), (None, None, None));
    assert!(found.r_blocks.iter().chain(&found.error_blocks).all(|v| v.is_finite()));
}

/// A group of one target has the p value that the test of that target alone has: order `i` is the same in both.
#[test]
fn draws_are_those_of_the_test_of_single_targets() {
    let (y, mut p) = (noise(95, 24, 3), noise(95, 24, 4));
    p.zip_mut_with(&y, |p, y| *p += 0.15 * y);
    let alone: Vec<Vec<usize>> = (0..24).map(|v| vec![v]).collect();
    for rearrangement in [Rearrangement::Blocks { block_tr: 5 }, Rearrangement::Blocks { block_tr: 9 }, SHIFTS] {
        let found = gather(&y, &p, &alone, 24, options(10, rearrangement, 999), 24);
        let expected = permutation_test(y.view(), p.view(), rearrangement, 999, 5).unwrap();
        assert_eq!(found.p_values().unwrap(), expected.p_values, "{rearrangement:?}");
        assert_eq!(found.warnings, expected.warnings);
    }
}

#[test]
fn the_null_of_a_group_is_the_mean_of_its_targets() {
    let (y, p) = (noise(61, 12, 6), noise(61, 12, 7));
    let (together, alone): (Vec<_>, Vec<_>) = (0..12).map(|v| (vec![0], vec![v])).unzip();
    for rearrangement in [Rearrangement::Blocks { block_tr: 7 }, SHIFTS] {
        let group = gather(&y, &p, &together, 1, options(10, rearrangement, 50), 5).null_r.unwrap();
        let targets = gather(&y, &p, &alone, 12, options(10, rearrangement, 50), 12).null_r.unwrap();
        for (group, targets) in group.iter().zip(targets.outer_iter()) {
            assert!((group - targets.sum() / 12.0).abs() < 1e-13);
        }
    }
}

/// Targets that all measure the same are no more evidence than one.
#[test]
fn dependence_between_targets_is_kept() {
    let (y, p) = (noise(120, 1, 8), noise(120, 1, 9));
    let copies = |x: &Array2<f32>| x.broadcast((120, 40)).unwrap().to_owned();
    let rearrangement = Rearrangement::Blocks { block_tr: 10 };
    let one = gather(&y, &p, &[vec![0]], 1, options(10, rearrangement, 400), 1);
    let forty = gather(&copies(&y), &copies(&p), &vec![vec![0]; 40], 1, options(10, rearrangement, 400), 40);
    assert_eq!(one.p_values(), forty.p_values());
}

#[test]
fn bytes_depend_neither_on_threads_nor_values_on_pieces() {
    let (y, p) = (noise(75, 700, 10), noise(75, 700, 11));
    let groups = groups(700);
    for rearrangement in [Rearrangement::Blocks { block_tr: 10 }, SHIFTS] {
        let with = |n_threads: usize, piece: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| gather(&y, &p, &groups, 4, options(10, rearrangement, 64), piece))
        };
        let whole = with(1, 700);
        assert_eq!(whole, with(2, 700));
        assert_eq!(whole, with(5, 700));
        let pieces = with(2, 93);
        assert_eq!(whole.n_with_r, pieces.n_with_r);
        let (a, b) = (whole.null_r.as_ref().unwrap(), pieces.null_r.as_ref().unwrap());
        let arrays = [(&whole.r_blocks, &pieces.r_blocks), (&whole.error_blocks, &pieces.error_blocks), (a, b)];
        for (a, b) in arrays {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-13));
        }
    }
}

#[test]
fn bad_input_is_named_and_adds_nothing() {
    let begin = |n_samples, n_groups, options| Evidence::begin(n_samples, n_groups, options).map(|_| ()).unwrap_err();
    let plain = EvidenceOptions { block_tr: 10, null: None };
    assert!(matches!(begin(0, 1, plain), MathError::Empty { what: "samples" }));
    assert!(matches!(begin(9, 0, plain), MathError::Empty { what: "groups" }));
    assert!(matches!(begin(9, 1, EvidenceOptions { block_tr: 0, null: None }), MathError::Parameter { .. }));
    let blocks = |block_tr| Rearrangement::Blocks { block_tr };
    assert!(matches!(begin(9, 1, options(3, blocks(3), 0)), MathError::TooFew { .. }));
    assert!(matches!(begin(9, 1, options(3, blocks(9), 9)), MathError::TooFew { .. }));
    assert!(matches!(begin(9, 1, options(3, blocks(0), 9)), MathError::Parameter { .. }));

    let (y, mut broken) = (noise(9, 2, 1), noise(9, 2, 2));
    let mut evidence = Evidence::begin(9, 2, options(3, blocks(3), 9)).unwrap();
    let one = [vec![0], vec![0, 1]];
    let mut refused =
        |y: &Array2<f32>, p: &Array2<f32>, groups: &[Vec<usize>]| evidence.add(y.view(), p.view(), groups).unwrap_err();
    assert!(matches!(refused(&noise(8, 2, 1), &y, &one), MathError::Shape { found: 8, expected: 9, .. }));
    assert!(matches!(refused(&y, &noise(9, 3, 1), &one), MathError::Shape { found: 3, .. }));
    assert!(matches!(refused(&y, &y, &one[..1]), MathError::Shape { found: 1, .. }));
    assert!(matches!(refused(&y, &y, &[vec![], vec![2]]), MathError::Index { found: 2, expected: 2, .. }));
    assert!(matches!(refused(&y, &y, &[vec![], vec![1, 1]]), MathError::Parameter { .. }));
    broken[[4, 1]] = f32::NAN;
    assert!(matches!(refused(&y, &broken, &one), MathError::NotFinite { what: "prediction", row: 4, .. }));
    let found = evidence.finish();
    assert_eq!(found.n_targets, [0, 0]);
    assert_eq!(found.p_values().unwrap(), [None, None]);
    assert_eq!(found.null_r.unwrap(), Array2::<f64>::zeros((9, 2)));
}

#[test]
fn state_is_counted() {
    let bytes = |rearrangement| options(10, rearrangement, 1000).state_bytes(900, 20);
    assert_eq!(bytes(Rearrangement::Blocks { block_tr: 10 }), 20 * 8 * (180 + 8100));
    assert_eq!(bytes(SHIFTS), 20 * 8 * (180 + 1800));
    let layout = Evidence::begin(905, 3, options(10, Rearrangement::Blocks { block_tr: 10 }, 1)).unwrap();
    let held: usize = layout.groups.iter().map(Contribution::n_bytes).sum();
    assert_eq!(layout.options.state_bytes(905, 3), held as u64);
}

proptest! {
    /// The observed order is among the draws of a short series, and ties with the observed value.
    #[test]
    fn a_perfect_prediction_is_reached_only_by_its_own_order(n_targets in 1usize..200, seed in 0u64..100) {
        let y = noise(24, n_targets, seed);
        let found = gather(&y, &y, &vec![vec![0]; n_targets], 1, options(5, Rearrangement::Blocks { block_tr: 8 }, 60), 64);
        let null = found.null_r.as_ref().unwrap();
        let n_ties = null.iter().filter(|&&null| null > 1.0 - 1e-9).count();
        prop_assert!((found.mean_r()[0].unwrap() - 1.0).abs() < 1e-12);
        prop_assert_eq!(found.p_values().unwrap()[0], Some((1 + n_ties) as f64 / 61.0));
        prop_assert!(null.iter().all(|null| *null <= 1.0 + 1e-12));
    }
}
