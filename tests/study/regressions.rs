//! The regressions beside ridge, and what is asked of scores: what an edit reruns, and that what was planted is told.

use super::{
    bench::{Bench, Planned, edited, tiny},
    edits::{FITS, PATTERN_FITS, edits},
};
use hebb::format::{npy::read_matrix, tsv::Table};
use std::sync::LazyLock;

/// What the tiny study asks of patterns, which bands have none of.
const QUESTIONS: &str = "[statistics.significance]\nn_permutations = 99\n\n[statistics.redundancy]\nn_permutations = 99\n\n\
                         [statistics.polarity]\nn_permutations = 99\n";

/// The tiny study with another regression.
fn with_encoding(table: &str, has_patterns: bool) -> String {
    let text = edited(&tiny(), &[("[encoding.ridge]\nalphas = [1, 100, 10_000]", table)]);
    if has_patterns { text } else { edited(&text, &[(QUESTIONS, "")]) }
}

fn ran(text: &str) -> Option<Bench> {
    let bench = crate::model::runtime().then(|| Bench::new(text))?;
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
    Some(bench)
}

/// A bench that ran once, copied for every test.
macro_rules! bench {
    ($name:ident, $text:expr) => {
        fn $name() -> Option<Bench> {
            static RAN: LazyLock<Option<Bench>> = LazyLock::new(|| ran(&$text));
            RAN.as_ref().map(Bench::copy)
        }
    };
}

const BANDED: &str = "[encoding.banded]\nalphas = [1, 100, 10_000]\nn_candidates = 10";
bench!(banded, with_encoding(BANDED, false));
bench!(lasso, with_encoding("[encoding.lasso]\nn_alphas = 5\nsmallest_share = 0.01", true));
bench!(ols, with_encoding("[encoding.ols]\nnoise = \"white\"", true));
bench!(delayed, {
    let text = with_encoding("[encoding.ridge]\nalphas = [1, 100, 10_000]\nfeatures = [\"layers\"]", false);
    edited(&text, &[("hrf = \"glover\"", "hrf = \"none\"\ndelays_s = [3.0, 4.5, 6.0, 7.5]")])
});
bench!(repeated, {
    let edits = [
        ("test = [\"4\"]", "test = [\"4\", \"5\"]"),
        ("rest_s = 6.0", "rest_s = 6.0\nrepeat_test = true"),
        ("[statistics.significance]", "[statistics.ceiling]\nrepeats = [\"4\", \"5\"]\n\n[statistics.significance]"),
    ];
    edited(&tiny(), &edits)
});

const BAND_FITS: &str = "encode/*/bands report";

mod banded_edits {
    use super::*;

    edits! {
        banded();

        penalties_of_bands_rerun_fits: "encoding.banded.alphas", ["10_000]" -> "20_000]"] computes BAND_FITS;
        layers_as_bands_rerun_fits: "encoding.banded.bands", ["n_candidates = 10" -> "n_candidates = 10\nbands = \"layers\""]
            computes BAND_FITS;
        more_weights_rerun_fits: "encoding.banded.n_candidates", ["n_candidates = 10" -> "n_candidates = 12"] computes BAND_FITS;
        concentrations_rerun_fits: "encoding.banded.concentrations",
            ["n_candidates = 10" -> "n_candidates = 10\nconcentrations = [0.5]"] computes BAND_FITS;
        the_seed_of_weights_of_bands_reruns_fits: "encoding.banded.seed", ["n_candidates = 10" -> "n_candidates = 10\nseed = 1"]
            computes BAND_FITS;
        folds_of_bands_rerun_fits: "encoding.banded.folds", ["n_candidates = 10" -> "n_candidates = 10\nfolds = { blocks = { n = 3 } }"]
            computes BAND_FITS;
        the_number_of_folds_of_bands_reruns_fits: "encoding.banded.folds.blocks.n",
            ["n_candidates = 10" -> "n_candidates = 10\nfolds = { blocks = { n = 4 } }"] computes BAND_FITS;
        the_gap_of_folds_of_bands_reruns_fits: "encoding.banded.folds.blocks.gap_s",
            ["n_candidates = 10" -> "n_candidates = 10\nfolds = { blocks = { n = 3, gap_s = 6 } }"] computes BAND_FITS;
        shuffled_folds_of_bands_rerun_fits: "encoding.banded.folds.shuffled.n",
            ["n_candidates = 10" -> "n_candidates = 10\nallow_shuffled = true\nfolds = { shuffled = { n = 3 } }"] computes BAND_FITS;
        the_order_of_shuffled_folds_of_bands_reruns_fits: "encoding.banded.folds.shuffled.seed",
            ["n_candidates = 10" -> "n_candidates = 10\nallow_shuffled = true\nfolds = { shuffled = { n = 3, seed = 1 } }"]
            computes BAND_FITS;
        permission_alone_reruns_no_bands: "encoding.banded.allow_shuffled",
            ["n_candidates = 10" -> "n_candidates = 10\nallow_shuffled = true"] computes;
        the_score_of_bands_reruns_fits: "encoding.banded.score", ["n_candidates = 10" -> "n_candidates = 10\nscore = \"pearson\""]
            computes BAND_FITS;
        another_kind_of_regression_reruns_fits: "encoding.banded.alphas", ["[encoding.banded]\nalphas = [1, 100, 10_000]\nn_candidates = 10" -> "[encoding.ridge]\nalphas = [1, 100, 10_000]"]
            computes "pattern encode report";
    }
}

mod lasso_edits {
    use super::*;

    edits! {
        lasso();

        more_penalties_rerun_fits: "encoding.lasso.n_alphas", ["n_alphas = 5" -> "n_alphas = 6"] computes PATTERN_FITS;
        smaller_penalties_rerun_fits: "encoding.lasso.smallest_share", ["smallest_share = 0.01" -> "smallest_share = 0.001"]
            computes PATTERN_FITS;
        folds_of_the_lasso_rerun_fits: "encoding.lasso.folds", ["n_alphas = 5" -> "n_alphas = 5\nfolds = { blocks = { n = 3 } }"]
            computes PATTERN_FITS;
        the_number_of_folds_of_the_lasso_reruns_fits: "encoding.lasso.folds.blocks.n",
            ["n_alphas = 5" -> "n_alphas = 5\nfolds = { blocks = { n = 4 } }"] computes PATTERN_FITS;
        the_gap_of_folds_of_the_lasso_reruns_fits: "encoding.lasso.folds.blocks.gap_s",
            ["n_alphas = 5" -> "n_alphas = 5\nfolds = { blocks = { n = 3, gap_s = 6 } }"] computes PATTERN_FITS;
        shuffled_folds_of_the_lasso_rerun_fits: "encoding.lasso.folds.shuffled.n",
            ["n_alphas = 5" -> "n_alphas = 5\nallow_shuffled = true\nfolds = { shuffled = { n = 3 } }"] computes PATTERN_FITS;
        the_order_of_shuffled_folds_of_the_lasso_reruns_fits: "encoding.lasso.folds.shuffled.seed",
            ["n_alphas = 5" -> "n_alphas = 5\nallow_shuffled = true\nfolds = { shuffled = { n = 3, seed = 1 } }"]
            computes PATTERN_FITS;
        permission_alone_reruns_no_lasso: "encoding.lasso.allow_shuffled", ["n_alphas = 5" -> "n_alphas = 5\nallow_shuffled = true"]
            computes;
        the_score_of_the_lasso_reruns_fits: "encoding.lasso.score", ["n_alphas = 5" -> "n_alphas = 5\nscore = \"pearson\""]
            computes PATTERN_FITS;
        layers_of_the_lasso_are_fitted_too: "encoding.lasso.features",
            ["n_alphas = 5" -> "n_alphas = 5\nfeatures = [\"patterns\", \"layers\"]"] computes "encode/*/layer-* report";
    }
}

mod ols_edits {
    use super::*;

    edits! {
        ols();

        another_noise_reruns_t_values_only: "encoding.ols.noise", ["\"white\"" -> "\"ar1\""] computes PATTERN_FITS;
    }
}

mod delayed_edits {
    use super::*;

    edits! {
        delayed();

        another_delay_reruns_fits: "time.delays_s", ["7.5]" -> "9.0]"] computes "encode report";
        delays_that_round_to_the_same_volumes_rerun_nothing: "time.delays_s", ["[3.0, 4.5" -> "[2.9, 4.6"] computes "report";
    }
}

mod repeated_edits {
    use super::*;

    edits! {
        repeated();

        the_order_of_repeats_reruns_ceilings: "statistics.ceiling.repeats", ["repeats = [\"4\", \"5\"]" -> "repeats = [\"5\", \"4\"]"]
            computes "ceiling report";
        other_pictures_in_every_test_run_rerun_what_shows_them: "stimuli.generate.repeat_test", ["repeat_test = true\n\n[models" -> "repeat_test = false\n\n[models"]
            computes "stimuli extract series pattern simulate mask bold", FITS, "ceiling";
    }
}

/// The fields that are edited here.
pub(super) fn fields() -> impl Iterator<Item = &'static &'static str> {
    [banded_edits::FIELDS, lasso_edits::FIELDS, ols_edits::FIELDS, delayed_edits::FIELDS, repeated_edits::FIELDS]
        .into_iter()
        .flatten()
}

fn table(planned: &Planned, task: &str, file: &str) -> Table {
    Table::read(&planned.artifact(task).join(file)).expect("written by the task")
}

fn numbers(table: &Table, column: &str) -> Vec<f64> {
    table.numbers(column).expect("a column of numbers").into_iter().map(|value| value.expect("present")).collect()
}

#[test]
fn bands_share_r2_and_the_band_that_drives_a_network_has_most_of_it() {
    let Some(bench) = banded() else { return };
    let planned = bench.plan();
    let (bands, scores) = (
        table(&planned, "encode/sub-01/clip/bands", "bands.tsv"),
        table(&planned, "encode/sub-01/clip/bands", "scores.tsv"),
    );
    let (vision, text, joint) = (numbers(&bands, "vision"), numbers(&bands, "text"), numbers(&scores, "r2"));
    for ((vision, text), joint) in vision.iter().zip(&text).zip(&joint) {
        // Series are z-scored run by run, so the intercept adds next to nothing.
        assert!((vision + text - joint).abs() < 2e-3, "{vision} {text} {joint}");
    }
    let of_network = table(&planned, "report", "tables/sub-01_clip_bands.tsv");
    let shares = numbers(&of_network, "mean_band_r2");
    let share = |network: &str, band: &str| {
        let place = |row: &&Vec<String>| row[0] == network && row[1] == band;
        shares[of_network.rows().iter().position(|row| place(&row)).expect("a row for each network and band")]
    };
    assert!(share("visual", "vision") > share("visual", "text") + 0.05, "{shares:?}");
    assert!(share("language", "text") > share("language", "vision") + 0.05, "{shares:?}");
}

#[test]
fn least_squares_leaves_t_maps_and_predicts_as_ridge_with_hardly_a_penalty() {
    let Some(bench) = ols() else { return };
    let planned = bench.plan();
    let artifact = planned.artifact("encode/sub-01/clip/patterns");
    let (weights, t_values) = (
        read_matrix(&artifact.join("weights.npy")).expect("kept"),
        read_matrix(&artifact.join("t.npy")).expect("kept"),
    );
    assert_eq!((weights.dim(), weights.nrows()), (t_values.dim(), 4));
    assert!(weights.iter().zip(&t_values).all(|(weight, t)| weight * t >= 0.0));
    assert!(planned.artifact("report").join("maps/sub-01_desc-clip_stat-t_statmap.nii.gz").is_file());
    let r = numbers(&table(&planned, "encode/sub-01/clip/patterns", "scores.tsv"), "r");

    let ridge = with_encoding("[encoding.ridge]\nalphas = [0.000001]\nfeatures = [\"patterns\"]", true);
    let bench = ran(&ridge).expect("the other study ran");
    let of_ridge = numbers(&table(&bench.plan(), "encode/sub-01/clip/patterns", "scores.tsv"), "r");
    assert!(r.iter().zip(&of_ridge).all(|(one, other)| (one - other).abs() < 1e-4));
}

#[test]
fn whitening_changes_t_values_and_no_prediction() {
    let Some(bench) = ols() else { return };
    let (before, after) = {
        let before = table(&bench.plan(), "encode/sub-01/clip/patterns", "scores.tsv");
        let of_white = read_matrix(&bench.plan().artifact("encode/sub-01/clip/patterns").join("t.npy")).expect("kept");
        bench.edit(&[("\"white\"", "\"ar1\"")]);
        assert!(bench.run().failed.is_empty());
        let of_ar1 = read_matrix(&bench.plan().artifact("encode/sub-01/clip/patterns").join("t.npy")).expect("kept");
        assert_ne!(of_white, of_ar1);
        (before, table(&bench.plan(), "encode/sub-01/clip/patterns", "scores.tsv"))
    };
    assert_eq!(numbers(&before, "r"), numbers(&after, "r"));
}

#[test]
fn the_lasso_leaves_weights_out_and_predicts_what_was_planted() {
    let Some(bench) = lasso() else { return };
    let planned = bench.plan();
    let weights = read_matrix(&planned.artifact("encode/sub-01/clip/patterns").join("weights.npy")).expect("kept");
    let n_zero = weights.iter().filter(|weight| **weight == 0.0).count();
    assert!(n_zero > 0 && n_zero < weights.len(), "{n_zero} of {}", weights.len());
    let r = numbers(&table(&planned, "encode/sub-01/clip/patterns", "scores.tsv"), "r");
    assert!(r.iter().any(|r| *r > 0.3));
}

#[test]
fn delays_predict_what_an_assumed_response_predicts() {
    let Some(bench) = delayed() else { return };
    let planned = bench.plan();
    let mean = |task: &str| {
        let r = numbers(&table(&planned, task, "scores.tsv"), "r");
        r.iter().sum::<f64>() / r.len() as f64
    };
    // The planted layer predicts best, though nobody said how blood follows it.
    let (planted, other) = (mean("encode/sub-01/clip/vision/layer-01"), mean("encode/sub-01/clip/text/layer-00"));
    assert!(planted > other + 0.02 && planted > 0.05, "{planted} {other}");
    let facts = std::fs::read_to_string(planned.artifact("encode/sub-01/clip/vision/layer-01").join("encode.json"));
    assert!(facts.expect("written").contains("\"n_features\": 128"), "32 units at four delays");
}

#[test]
fn ceilings_are_high_where_signal_was_planted() {
    let Some(bench) = repeated() else { return };
    let planned = bench.plan();
    let of_network = table(&planned, "report", "tables/sub-01_clip_ceilings.tsv");
    let (place, ceilings) =
        (of_network.require("network").expect("a column"), of_network.numbers("mean_ceiling").expect("numbers"));
    let ceiling = |network: &str| {
        let row = of_network.rows().iter().position(|row| row[place] == network).expect("every network has a row");
        ceilings[row].unwrap_or(0.0)
    };
    // A signal-to-noise ratio of 2 and two repeats: sqrt(2 / (2 + 1 / 2)) = 0.89, less what preparation takes from it.
    assert!((0.75..0.97).contains(&ceiling("visual")), "{}", ceiling("visual"));
    assert!(ceiling("visual") > ceiling("limbic") + 0.2, "{} {}", ceiling("visual"), ceiling("limbic"));
    let all = table(&planned, "ceiling/sub-01/clip", "ceilings.tsv");
    let (r, ceiling, r_norm) = (
        all.numbers("r").expect("numbers"),
        all.numbers("ceiling").expect("numbers"),
        all.numbers("r_norm").expect("numbers"),
    );
    let absent = all.require("absent").expect("a column");
    for (row, ((r, ceiling), r_norm)) in r.iter().zip(&ceiling).zip(&r_norm).enumerate() {
        match (r, ceiling, r_norm) {
            (Some(r), Some(ceiling), Some(r_norm)) => assert!((r_norm - r / ceiling).abs() < 1e-9),
            _ => assert!(!all.rows()[row][absent].is_empty(), "an absent score has a reason"),
        }
    }
}

#[test]
fn voxels_that_stop_early_tell_how_many_permutations_they_took() {
    let Some(bench) = Bench::tiny() else { return };
    bench.edit(&[("[statistics.significance]", "[statistics.significance]\nstop_after = 5")]);
    assert!(bench.run().failed.is_empty());
    let significance = table(&bench.plan(), "null/sub-01/clip", "significance.tsv");
    let (p, drawn) = (numbers(&significance, "p"), numbers(&significance, "n_drawn"));
    assert!(drawn.iter().any(|n| *n < 99.0) && drawn.iter().any(|n| *n == 99.0), "{drawn:?}");
    for (p, drawn) in p.iter().zip(&drawn) {
        assert!((*drawn == 99.0 || (p * drawn - 5.0).abs() < 1e-9) && *p > 0.0, "{p} {drawn}");
    }
}
