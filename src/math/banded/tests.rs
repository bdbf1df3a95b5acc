use super::*;
use crate::math::folds::contiguous_blocks;
use crate::math::ridge::{Ridge, RidgeOptions};
use crate::math::scores::{pearson_columns, r2_columns};
use ndarray::{Array, Axis, concatenate, s};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn noise(rows: usize, columns: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Array::from_shape_simple_fn((rows, columns), || StandardNormal.sample(&mut rng))
}

/// Two bands, and targets that follow both with a noise that grows from target to target.
fn study(n_samples: usize, widths: [usize; 2], n_targets: usize) -> ([Array2<f32>; 2], Array2<f32>) {
    let bands = [noise(n_samples, widths[0], 1) + 0.5, noise(n_samples, widths[1], 2) * 2.0];
    let signal = |x: &Array2<f32>, seed| x.dot(&noise(x.ncols(), n_targets, seed)) / (x.ncols() as f32).sqrt();
    let level = Array::linspace(0.1, 4.0, n_targets);
    let y = signal(&bands[0], 3) + signal(&bands[1], 4) * 0.3 + noise(n_samples, n_targets, 5) * &level + 2.0;
    (bands, y)
}

fn explicit(weights: &[[f64; 2]]) -> Candidates {
    Candidates::Explicit { weights: weights.iter().map(|w| w.to_vec()).collect() }
}

const WEIGHTS: [[f64; 2]; 4] = [[0.5, 0.5], [0.9, 0.1], [0.1, 0.9], [1.0, 0.0]];

fn options(alphas: &[f64], candidates: Candidates) -> BandedOptions {
    BandedOptions { alphas: alphas.to_vec(), candidates, dual_weights: true, ..BandedOptions::default() }
}

fn views<A>(arrays: &[Array2<A>]) -> Vec<ArrayView2<'_, A>> {
    arrays.iter().map(ArrayView2::from).collect()
}

fn largest<'a>(a: impl IntoIterator<Item = &'a f32>, b: impl IntoIterator<Item = &'a f32>) -> f32 {
    let distance = |(a, b): (&f32, &f32)| if (a - b).is_nan() { f32::INFINITY } else { (a - b).abs() };
    a.into_iter().zip(b).map(distance).fold(0.0, f32::max)
}

/// Fits the first rows and predicts the others.
fn fit_predict(
    bands: &[Array2<f32>],
    y: &Array2<f32>,
    n_train: usize,
    intercept: bool,
    options: BandedOptions,
) -> (BandedFit, BandedPrediction) {
    let part = |rows: std::ops::Range<usize>| -> Vec<Array2<f32>> {
        bands.iter().map(|x| x.slice(s![rows.clone(), ..]).to_owned()).collect()
    };
    let (train, test) = (part(0..n_train), part(n_train..y.nrows()));
    let kernels = BandKernels::from_features(&views(&train), intercept).unwrap();
    let cross = cross_kernels(&views(&test), &views(&train)).unwrap();
    let folds = contiguous_blocks(n_train, 3, 0).unwrap();
    let ridge = BandedRidge::new(&kernels, &folds, options).unwrap();
    ridge.fit_predict(y.slice(s![..n_train, ..]), &views(&cross)).unwrap()
}

/// One band, and equal weights of two, are ridge regression on the features, scaled by the root of the weights.
#[test]
fn equal_weights_are_plain_ridge() {
    let alphas = [0.3, 3.0, 30.0, 300.0];
    for widths in [[6, 9], [40, 90]] {
        let (bands, y) = study(80, widths, 30);
        let joined = concatenate(Axis(1), &views(&bands)).unwrap() * 0.5f32.sqrt();
        for (bands, x, candidates) in [
            (bands[..1].to_vec(), bands[0].clone(), Candidates::Explicit { weights: vec![vec![1.0]] }),
            (bands.to_vec(), joined, explicit(&[[0.5, 0.5]])),
        ] {
            for intercept in [true, false] {
                for score in [CvScore::R2, CvScore::Pearson] {
                    let banded = BandedOptions { score, ..options(&alphas, candidates.clone()) };
                    let (fit, prediction) = fit_predict(&bands, &y, 60, intercept, banded);
                    let plain = RidgeOptions { alphas: alphas.to_vec(), score, intercept, ..RidgeOptions::default() };
                    let folds = contiguous_blocks(60, 3, 0).unwrap();
                    let ridge = Ridge::factorise(x.slice(s![..60, ..]), &folds, plain).unwrap();
                    let (expected, expected_prediction) =
                        ridge.fit_predict(y.slice(s![..60, ..]), x.slice(s![60.., ..])).unwrap();
                    for (target, best) in fit.best.iter().enumerate() {
                        let alpha = best.unwrap().alpha;
                        assert_eq!(Some(alpha), expected.best_alpha[target], "{widths:?} target {target}");
                        let (found, score) = (fit.cv_scores[[0, target]], expected.cv_scores[[alpha, target]]);
                        assert!((found.unwrap() - score.unwrap()).abs() < 2e-6);
                    }
                    assert!(largest(&prediction.joint(), &expected_prediction) < 2e-5);
                }
            }
        }
    }
}

/// `beta_b = gamma_b X_b' d` solves the normal equations of the features scaled by the roots of the weights.
#[test]
fn the_dual_solution_is_the_primal_one() {
    use ndarray_linalg::Solve;
    for widths in [[4, 7], [30, 50]] {
        let (bands, y) = study(40, widths, 3);
        let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
        let folds = contiguous_blocks(40, 2, 0).unwrap();
        let (gamma, alpha) = ([0.8, 0.2], 2.5);
        let ridge = BandedRidge::new(&kernels, &folds, options(&[alpha], explicit(&[gamma]))).unwrap();
        let fit = ridge.fit(y.view()).unwrap();
        let scaled = bands.iter().zip(gamma).map(|(x, g)| {
            let wide = x.mapv(f64::from);
            (&wide - &wide.mean_axis(Axis(0)).unwrap()) * g.sqrt()
        });
        let scaled: Vec<Array2<f64>> = scaled.collect();
        let x = concatenate(Axis(1), &views(&scaled)).unwrap();
        let wide_y = y.mapv(f64::from);
        let centred = &wide_y - &wide_y.mean_axis(Axis(0)).unwrap();
        let system = x.t().dot(&x) + Array2::<f64>::eye(x.ncols()) * alpha;
        let through_dual = x.t().dot(fit.dual_weights.as_ref().unwrap());
        for (target, column) in centred.columns().into_iter().enumerate() {
            let exact = system.solve(&x.t().dot(&column)).unwrap();
            let difference = &exact - &through_dual.column(target);
            assert!(difference.iter().all(|d| d.abs() < 1e-10), "{difference:?}");
        }
        let deltas = fit.deltas();
        assert!((deltas[[0, 1]].unwrap() - (0.8f64 / 2.5).ln()).abs() < 1e-12);
    }
}

#[test]
fn cross_validated_scores_equal_fits_on_the_folds() {
    let alphas = [1e-3, 0.5, 20.0, 1e3, 1e7];
    for widths in [[5, 6], [40, 60]] {
        let (bands, y) = study(60, widths, 7);
        let folds = contiguous_blocks(60, 3, 2).unwrap();
        for score in [CvScore::R2, CvScore::Pearson] {
            let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
            let search = BandedOptions { score, ..options(&alphas, explicit(&WEIGHTS)) };
            let fit = BandedRidge::new(&kernels, &folds, search).unwrap().fit(y.view()).unwrap();
            for (candidate, weights) in WEIGHTS.iter().enumerate() {
                let mut means = Array2::<f64>::zeros((alphas.len(), 7));
                for (row, &alpha) in alphas.iter().enumerate() {
                    for fold in &folds {
                        let rows: Vec<usize> = fold.train.iter().chain(&fold.validation).copied().collect();
                        let order = |x: &Array2<f32>| x.select(Axis(0), &rows);
                        let ordered: Vec<_> = bands.iter().map(order).collect();
                        let only = options(&[alpha], explicit(&[*weights]));
                        let (_, prediction) = fit_predict(&ordered, &order(&y), fold.train.len(), true, only);
                        let held_out = y.select(Axis(0), &fold.validation);
                        let joint = prediction.joint();
                        let scores = match score {
                            CvScore::R2 => r2_columns(held_out.view(), joint.view()),
                            CvScore::Pearson => pearson_columns(held_out.view(), joint.view()),
                        };
                        let mut mean = means.row_mut(row);
                        // At the largest penalty a prediction in f32 is its mean and little else.
                        mean.iter_mut().zip(scores.unwrap()).for_each(|(m, s)| *m += s.unwrap_or(0.0) / 3.0);
                    }
                }
                let is_exact = |row: usize| score == CvScore::R2 || row + 1 < alphas.len();
                for target in 0..7 {
                    let found = f64::from(fit.cv_scores[[candidate, target]].unwrap());
                    let best = (0..alphas.len()).filter(|&row| is_exact(row)).map(|row| means[[row, target]]);
                    let best = best.fold(f64::NEG_INFINITY, f64::max);
                    let tolerance = if score == CvScore::R2 { 3e-6 } else { 1e-4 };
                    assert!(found > best - tolerance, "{score:?} {found} {best}");
                    assert!(score == CvScore::Pearson || found < best + tolerance, "{found} {best}");
                }
            }
        }
    }
}

#[test]
fn bytes_depend_neither_on_threads_nor_on_neighbouring_blocks() {
    let (bands, y) = study(48, [30, 60], 700);
    let folds = contiguous_blocks(48, 3, 0).unwrap();
    let candidates = Candidates::Dirichlet { n_candidates: 9, concentrations: vec![0.1, 1.0], seed: 4 };
    let with = |n_threads: usize, y: ArrayView2<'_, f32>| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
            let cross = cross_kernels(&views(&bands), &views(&bands)).unwrap();
            let options = options(&[1.0, 10.0, 100.0], candidates.clone());
            BandedRidge::new(&kernels, &folds, options).unwrap().fit_predict(y, &views(&cross)).unwrap()
        })
    };
    let whole = with(1, y.view());
    assert_eq!(whole, with(2, y.view()));
    assert_eq!(whole, with(5, y.view()));
    let (tail, prediction) = with(2, y.slice(s![.., 512..]));
    assert_eq!(tail.best, whole.0.best[512..]);
    assert_eq!(tail.cv_scores, whole.0.cv_scores.slice(s![.., 512..]));
    assert!(largest(&prediction.bands, whole.1.bands.slice(s![.., .., 512..]).iter()) < 1e-6);
}

/// Each target follows one band: its split R2 and its weight say so.
#[test]
fn the_band_that_drives_a_target_has_its_variance() {
    let bands = [noise(200, 40, 1), noise(200, 300, 2), noise(200, 20, 3)];
    let mut y = noise(200, 30, 4) * 0.5;
    for target in 0..30 {
        let x = &bands[target % 3];
        let signal = x.dot(&noise(x.ncols(), 1, 50 + target as u64)) / (x.ncols() as f32).sqrt();
        y.column_mut(target).scaled_add(1.0, &signal.column(0));
    }
    let candidates = Candidates::Dirichlet { n_candidates: 40, concentrations: vec![0.1, 1.0], seed: 2 };
    let alphas: Vec<f64> = (0..8).map(|e| 10f64.powf(f64::from(e) * 0.75 - 1.0)).collect();
    let (fit, prediction) = fit_predict(&bands, &y, 150, true, options(&alphas, candidates));
    let split = split_r2(y.slice(s![150.., ..]), prediction.bands.view(), &prediction.intercepts).unwrap();
    for target in 0..30 {
        let own = split.bands[[target % 3, target]].unwrap();
        let others: f64 = (1..3).map(|step| split.bands[[(target + step) % 3, target]].unwrap().abs()).sum();
        assert!(own > 5.0 * others, "target {target}: {own} {others}");
        let gamma = fit.gammas.row(fit.best[target].unwrap().candidate);
        assert!((0..3).all(|band| gamma[band] <= gamma[target % 3]), "target {target}: {gamma:?}");
        assert!(target % 3 == 1 || own > 0.5, "target {target}: {own}");
    }
}

#[test]
fn one_fit_for_each_set_of_bands_partitions_the_variance() {
    let (bands, y) = study(90, [12, 20], 10);
    let folds = contiguous_blocks(60, 3, 0).unwrap();
    let (train, test): (Vec<_>, Vec<_>) =
        bands.iter().map(|x| (x.slice(s![..60, ..]).to_owned(), x.slice(s![60.., ..]).to_owned())).unzip();
    let kernels = BandKernels::from_features(&views(&train), true).unwrap();
    let cross = cross_kernels(&views(&test), &views(&train)).unwrap();
    let r2: Vec<Vec<Option<f64>>> = band_subsets(2)
        .unwrap()
        .iter()
        .map(|subset| {
            let kernels = kernels.subset(subset).unwrap();
            let candidates = Candidates::Dirichlet { n_candidates: 8, concentrations: vec![1.0], seed: 0 };
            let ridge = BandedRidge::new(&kernels, &folds, options(&[1.0, 10.0, 100.0], candidates)).unwrap();
            let cross: Vec<_> = subset.iter().map(|&band| cross[band].view()).collect();
            let (_, prediction) = ridge.fit_predict(y.slice(s![..60, ..]), &cross).unwrap();
            r2_columns(y.slice(s![60.., ..]), prediction.joint().view()).unwrap()
        })
        .collect();
    let partition = partition_variance(2, &r2).unwrap();
    for (target, joint) in r2[2].iter().enumerate() {
        let sum: f64 = partition.parts.iter().map(|part| part.r2[target].unwrap()).sum();
        assert!((sum - joint.unwrap()).abs() < 1e-12);
    }
    // Independent bands share nothing.
    assert!(partition.parts[2].r2[0].unwrap().abs() < 0.25 * partition.parts[0].r2[0].unwrap());
}

#[test]
fn splits_sum_to_the_joint_scores() {
    let (bands, y) = study(80, [12, 20], 90);
    let (_, prediction) = fit_predict(&bands, &y, 50, true, options(&[1.0, 10.0], explicit(&WEIGHTS)));
    let held_out = y.slice(s![50.., ..]);
    let joint = prediction.joint();
    let r2 = split_r2(held_out, prediction.bands.view(), &prediction.intercepts).unwrap();
    let r = split_correlation(held_out, prediction.bands.view()).unwrap();
    let expected_r2 = r2_columns(held_out, joint.view()).unwrap();
    let expected_r = pearson_columns(held_out, joint.view()).unwrap();
    for target in 0..90 {
        for (split, expected) in [(&r2, &expected_r2), (&r, &expected_r)] {
            let bands = split.bands.column(target).iter().flatten().sum::<f64>();
            let sum = bands + split.intercept[target].unwrap();
            assert!((sum - expected[target].unwrap()).abs() < 1e-6);
            assert!((sum - split.joint[target].unwrap()).abs() < 1e-12);
        }
    }
    let constant = Array2::from_elem((4, 1), 3.0f32);
    let predictions = Array::from_shape_fn((2, 4, 1), |(b, t, _)| (b + t) as f32);
    let split = split_r2(constant.view(), predictions.view(), &[0.0]).unwrap();
    assert_eq!((split.bands[[0, 0]], split.intercept[0], split.joint[0]), (None, None, None));
    let varying = predictions.index_axis(Axis(0), 0);
    assert!(split_correlation(varying, constant.view().insert_axis(Axis(0))).unwrap().joint[0].is_none());
    assert!(matches!(split_r2(constant.view(), predictions.view(), &[]), Err(MathError::Shape { .. })));
    assert!(split_r2(constant.view(), predictions.slice(s![..0, .., ..]), &[0.0]).is_err());
    assert!(split_r2(constant.view(), predictions.slice(s![.., ..3, ..]), &[0.0]).is_err());
}

#[test]
fn ready_kernels_give_the_same_fit() {
    let (bands, y) = study(40, [10, 60], 5);
    let folds = contiguous_blocks(40, 3, 0).unwrap();
    let products: Vec<Array2<f64>> =
        bands.iter().map(|x| x.mapv(f64::from)).map(|x: Array2<f64>| x.dot(&x.t())).collect();
    for intercept in [true, false] {
        let from_features = BandKernels::from_features(&views(&bands), intercept).unwrap();
        let ready = BandKernels::from_kernels(products.clone(), intercept).unwrap();
        let fit = |kernels: &BandKernels| {
            let options = options(&[1.0, 10.0, 100.0], explicit(&WEIGHTS));
            BandedRidge::new(kernels, &folds, options).unwrap().fit(y.view()).unwrap()
        };
        let (a, b) = (fit(&from_features), fit(&ready));
        assert_eq!(a.best, b.best);
        let (a, b) = (a.dual_weights.unwrap(), b.dual_weights.unwrap());
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10));
    }
}

#[test]
fn equal_candidates_go_to_the_earlier_and_equal_penalties_to_the_larger() {
    let (bands, y) = study(40, [10, 12], 6);
    let folds = contiguous_blocks(40, 2, 0).unwrap();
    let kernels = BandKernels::from_features(&[bands[0].view(), bands[0].view()], true).unwrap();
    let candidates = explicit(&[[0.3, 0.7], [0.7, 0.3], [0.5, 0.5], [1.0, 0.0]]);
    let score = CvScore::Pearson;
    // At these penalties predictions differ by a factor alone.
    let search = BandedOptions { score, ..options(&[1e9, 1e11, 1e13], candidates) };
    let fit = BandedRidge::new(&kernels, &folds, search).unwrap().fit(y.view()).unwrap();
    assert!(fit.best.iter().all(|best| *best == Some(Choice { candidate: 0, alpha: 2 })), "{:?}", fit.best);
    assert!(fit.warnings.contains(&BandedWarning::ProportionalBands { first: 0, second: 1 }));
    assert!(fit.warnings.contains(&BandedWarning::AlphaAtGridEdge { n_at_smallest: 0, n_at_largest: 6 }));
}

#[test]
fn features_that_say_nothing_are_reported_and_harmless() {
    let (bands, mut y) = study(45, [10, 12], 4);
    y.column_mut(2).fill(-3.5);
    let constant = Array2::from_shape_fn((45, 3), |(_, j)| 1e3 + j as f32);
    let copies = Array2::from_shape_fn((45, 5), |(i, j)| bands[0][[i, 0]] * (j + 1) as f32);
    let all = [bands[0].clone(), constant, copies];
    let candidates = Candidates::Explicit {
        weights: vec![vec![0.2, 0.6, 0.2], vec![0.0, 1.0, 0.0], vec![0.0, 0.5, 0.5], vec![1.0, 0.0, 0.0]],
    };
    let (fit, prediction) = fit_predict(&all, &y, 36, true, options(&[1e-8, 1.0, 100.0], candidates));
    assert!(fit.warnings.contains(&BandedWarning::BandWithoutVariance { band: 1 }));
    let low_rank = |w: &BandedWarning| matches!(w, BandedWarning::LowRankBand { band: 2, effective_rank } if *effective_rank < 1.01);
    assert!(fit.warnings.iter().any(low_rank), "{:?}", fit.warnings);
    assert!(fit.warnings.contains(&BandedWarning::UnscoredTargets { n_targets: 1 }));
    assert_eq!((fit.best[2], fit.cv_scores[[0, 2]], fit.deltas()[[0, 2]]), (None, None, None));
    let joint = prediction.joint();
    assert!(joint.column(2).iter().all(|&p| p == -3.5));
    assert!(joint.iter().all(|p| p.is_finite()));
    assert!(prediction.bands.index_axis(Axis(0), 1).iter().all(|&p| p == 0.0));
    // A candidate of the constant band alone predicts the mean, which scores no more than 0.
    assert!(fit.cv_scores.row(1).iter().flatten().all(|&score| score <= 0.0 && score > -2.0));
    // Without intercept a constant is a feature like any other.
    let constant = BandKernels::from_features(&[all[1].view()], false).unwrap();
    assert_eq!(constant.warnings().len(), 1);
    assert!(matches!(constant.warnings()[0], BandedWarning::LowRankBand { band: 0, .. }));
}

#[test]
fn copied_features_share_their_weight() {
    let (bands, y) = study(40, [6, 8], 3);
    let twice = concatenate(Axis(1), &[bands[0].view(), bands[0].view()]).unwrap();
    let (once, _) = fit_predict(&bands, &y, 30, true, options(&[2.0], explicit(&[[0.5, 0.5]])));
    // A band written twice has twice the kernel: half its weight relative to the other band undoes that.
    let weights = explicit(&[[1.0 / 3.0, 2.0 / 3.0]]);
    let (doubled, _) =
        fit_predict(&[twice, bands[1].clone()], &y, 30, true, options(&[2.0 * 2.0 / 3.0 * 2.0], weights));
    for (a, b) in once.dual_weights.unwrap().iter().zip(&doubled.dual_weights.unwrap()) {
        assert!((a - b * 4.0 / 3.0).abs() < 1e-10, "{a} {b}");
    }
}

#[test]
fn far_more_features_than_samples_are_fitted() {
    let bands = [noise(24, 1200, 1), noise(24, 600, 2) * 3.0];
    let y = noise(24, 5, 3) + bands[0].slice(s![.., ..5]);
    let search = options(&[1e-6, 1.0, 1e3, 1e5], explicit(&WEIGHTS));
    let (fit, prediction) = fit_predict(&bands, &y, 20, true, search);
    assert!(fit.best.iter().all(Option::is_some));
    assert!(prediction.bands.iter().all(|p| p.is_finite()));
    assert!(fit.dual_weights.unwrap().iter().all(|d| d.is_finite()));
}

/// With a penalty below the rounding of a singular kernel the fit is the least-squares one on what the samples span.
#[test]
fn a_vanishing_penalty_on_a_singular_kernel_is_fitted() {
    let (bands, _) = study(60, [3, 4], 1);
    let y = bands[0].dot(&noise(3, 2, 7));
    let (fit, prediction) = fit_predict(&bands, &y, 50, true, options(&[1e-18], explicit(&[[0.5, 0.5]])));
    let held_out = y.slice(s![50.., ..]);
    assert!(largest(&prediction.joint(), held_out.iter()) < 2e-6, "{:?}", &prediction.joint() - &held_out);
    assert!(fit.cv_scores.iter().all(|score| score.unwrap() > 0.9999), "{:?}", fit.cv_scores);
}

#[test]
fn a_single_fold_and_repeated_rows_are_accepted() {
    let (bands, y) = study(30, [6, 8], 3);
    let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
    let folds = [Fold { train: (0..20).collect(), validation: (20..30).collect() }];
    let fit = |folds: &[Fold]| {
        let options = options(&[1.0, 10.0], explicit(&WEIGHTS));
        BandedRidge::new(&kernels, folds, options).unwrap().fit(y.view()).unwrap()
    };
    let one = fit(&folds);
    assert!(one.best.iter().all(Option::is_some));
    // The mean over a fold seen twice is that fold's score.
    let twice = fit(&[folds[0].clone(), folds[0].clone()]);
    assert_eq!(one.best, twice.best);
}

#[test]
fn a_search_that_has_not_settled_says_so() {
    let (bands, y) = study(60, [30, 30], 12);
    let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
    let folds = contiguous_blocks(60, 3, 0).unwrap();
    let warnings = |weights: &[[f64; 2]]| {
        let ridge = BandedRidge::new(&kernels, &folds, options(&[1.0, 30.0], explicit(weights))).unwrap();
        ridge.fit(y.view()).unwrap().warnings
    };
    let is_improving =
        |w: &BandedWarning| matches!(w, BandedWarning::SearchStillImproving { mean_gain } if *mean_gain > 0.0);
    assert!(warnings(&[[0.0, 1.0], [0.01, 0.99], [0.0, 1.0], [0.01, 0.99], [0.9, 0.1]]).iter().any(is_improving));
    assert!(!warnings(&[[0.9, 0.1], [0.01, 0.99], [0.0, 1.0], [0.01, 0.99], [0.9, 0.1]]).iter().any(is_improving));
}

#[test]
fn wrong_input_is_refused() {
    let (bands, y) = study(20, [3, 4], 2);
    let mut broken = bands[1].clone();
    broken[[7, 2]] = f32::NAN;
    let error = BandKernels::from_features(&[bands[0].view(), broken.view()], true).unwrap_err();
    assert_eq!(error.to_string(), "band 1: `features` holds NaN at row 7, column 2, expected finite numbers only");
    let error = BandKernels::from_features(&[bands[0].view(), bands[1].slice(s![.., ..0])], true).unwrap_err();
    assert_eq!(error.to_string(), "band 1: `features` is empty, expected at least one entry");
    let short = BandKernels::from_features(&[bands[0].view(), bands[1].slice(s![..19, ..])], true).unwrap_err();
    assert!(matches!(short, MathError::InBand { band: 1, .. }));
    assert!(matches!(BandKernels::from_features(&[], true), Err(MathError::Empty { what: "bands" })));
    let no_samples = bands[0].slice(s![..0, ..]);
    assert!(matches!(BandKernels::from_features(&[no_samples], true), Err(MathError::Empty { what: "samples" })));

    let eye = Array2::<f64>::eye(3);
    let refused = |kernel: Array2<f64>| BandKernels::from_kernels(vec![eye.clone(), kernel], true).unwrap_err();
    for change in [(0, 1, 0.5), (1, 1, -1.0), (2, 2, f64::INFINITY)] {
        let mut kernel = eye.clone();
        kernel[[change.0, change.1]] = change.2;
        assert!(matches!(refused(kernel), MathError::InBand { band: 1, .. }));
    }
    assert!(matches!(refused(Array2::eye(4)), MathError::InBand { band: 1, .. }));
    assert!(matches!(refused(Array2::zeros((3, 2))), MathError::InBand { band: 1, .. }));

    let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
    assert!(matches!(kernels.subset(&[2]), Err(MathError::Index { found: 2, .. })));
    assert!(matches!(kernels.subset(&[]), Err(MathError::Empty { .. })));
    let folds = contiguous_blocks(20, 2, 0).unwrap();
    let refused = |folds: &[Fold], alphas: &[f64]| {
        BandedRidge::new(&kernels, folds, options(alphas, explicit(&WEIGHTS))).unwrap_err()
    };
    assert!(matches!(refused(&folds, &[]), MathError::Empty { what: "alphas" }));
    assert!(matches!(refused(&folds, &[0.0]), MathError::Parameter { name: "alphas", .. }));
    assert!(matches!(refused(&folds, &[-1.0, 1.0]), MathError::Parameter { name: "alphas", .. }));
    assert!(matches!(refused(&folds, &[2.0, 2.0]), MathError::Parameter { name: "alphas", .. }));
    assert!(matches!(refused(&[], &[1.0]), MathError::Empty { what: "folds" }));
    let outside = Fold { train: vec![0, 20], validation: vec![1] };
    assert!(matches!(refused(&[outside], &[1.0]), MathError::Index { found: 20, .. }));
    let nothing = Fold { train: vec![], validation: vec![1] };
    assert!(matches!(refused(&[nothing], &[1.0]), MathError::TooFew { .. }));
    let off = BandedRidge::new(&kernels, &folds, options(&[1.0], explicit(&[[0.6, 0.6]]))).unwrap_err();
    assert!(matches!(off, MathError::Parameter { .. }));

    let ridge = BandedRidge::new(&kernels, &folds, options(&[1.0], explicit(&WEIGHTS))).unwrap();
    assert!(matches!(ridge.fit(y.slice(s![..19, ..])), Err(MathError::Shape { .. })));
    let mut infinite = y.clone();
    infinite[[3, 1]] = f32::INFINITY;
    assert!(matches!(ridge.fit(infinite.view()), Err(MathError::NotFinite { what: "y", row: 3, column: 1, .. })));
    assert_eq!(ridge.fit(y.slice(s![.., ..0])).unwrap().best.len(), 0);
    let cross = Array2::<f64>::zeros((2, 20));
    assert!(matches!(ridge.fit_predict(y.view(), &[cross.view()]), Err(MathError::Shape { .. })));
    let narrow = cross.slice(s![.., ..19]);
    let error = ridge.fit_predict(y.view(), &[cross.view(), narrow]).unwrap_err();
    assert!(matches!(error, MathError::InBand { band: 1, .. }));
    let fewer = cross_kernels(&[bands[0].view(), bands[0].view()], &views(&bands)).unwrap_err();
    assert!(matches!(fewer, MathError::InBand { band: 1, .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// The dual weights solve `(sum_b gamma_b K_b + alpha I) d = y - b0` and sum to 0 with an intercept.
    #[test]
    fn the_dual_weights_solve_their_system(
        seed in 0u64..1000, widths in (1usize..30, 1usize..30), exponent in -2i32..4, share in 0.0f64..1.0,
    ) {
        let bands = [noise(20, widths.0, seed), noise(20, widths.1, seed + 1) + 1.0];
        let y = noise(20, 2, seed + 2) * 3.0;
        let alpha = 10f64.powi(exponent);
        let folds = contiguous_blocks(20, 2, 0).unwrap();
        let kernels = BandKernels::from_features(&views(&bands), true).unwrap();
        let search = options(&[alpha], explicit(&[[share, 1.0 - share]]));
        let fit = BandedRidge::new(&kernels, &folds, search).unwrap().fit(y.view()).unwrap();
        let all: Vec<usize> = (0..20).collect();
        let kernel = kernels.combine(&[share, 1.0 - share], &all, &all);
        let dual = fit.dual_weights.unwrap();
        let left = kernel.dot(&dual) + &dual * alpha;
        for ((row, target), value) in left.indexed_iter() {
            prop_assert!((value - f64::from(y[[row, target]]) + fit.intercepts[target]).abs() < 1e-8);
        }
        prop_assert!(dual.sum_axis(Axis(0)).iter().all(|sum| sum.abs() < 1e-8 * (1.0 + 1.0 / alpha)));
    }
}
