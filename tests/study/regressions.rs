//! The regressions beside ridge, and what is asked of scores: what an edit reruns, and that what was planted is told.

use super::{
    bench::{Bench, Planned, edited, fixture, tiny},
    edits::{FITS, PATTERN_FITS, TRUTH, edits},
};
use hebb::format::{npy::read_matrix, tsv::Table};
use std::sync::LazyLock;

/// A study without what it asks of patterns, which bands and layers have none of.
fn without_questions(text: &str) -> String {
    let questions = text.find("[statistics.significance]").expect("both studies end with their questions");
    text[..questions].to_owned()
}

/// The tiny study with another regression.
fn with_encoding(table: &str) -> String {
    edited(&tiny(), &[("[encoding.ridge]\nalphas = [1, 100, 10_000]", table)])
}

/// The study whose answer is known, with another regression.
fn truth_with(table: &str) -> String {
    let ridge = "[encoding.ridge]\nalphas = [1, 10, 100, 1_000, 10_000, 100_000]";
    edited(&fixture("truth.toml"), &[(ridge, table)])
}

/// A study in which the test run is shown twice.
pub(super) fn shown_twice(text: &str, last: &str, again: &str) -> String {
    let runs = (format!("test = [\"{last}\"]"), format!("test = [\"{last}\", \"{again}\"]"));
    let ceiling = format!("[statistics.ceiling]\nrepeats = [\"{last}\", \"{again}\"]\n\n[statistics.significance]");
    let edits = [
        (runs.0.as_str(), runs.1.as_str()),
        ("rest_s = 6.0", "rest_s = 6.0\nrepeat_test = true"),
        ("[statistics.significance]", ceiling.as_str()),
    ];
    edited(text, &edits)
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
bench!(banded, without_questions(&with_encoding(BANDED)));
bench!(lasso, with_encoding("[encoding.lasso]\nn_alphas = 5\nsmallest_share = 0.01"));
bench!(ols, with_encoding("[encoding.ols]\nnoise = \"white\""));
bench!(delayed, {
    let text = with_encoding("[encoding.ridge]\nalphas = [1, 100, 10_000]\nfeatures = [\"layers\"]");
    edited(&without_questions(&text), &[("hrf = \"glover\"", "hrf = \"none\"\ndelays_s = [3.0, 4.5, 6.0, 7.5]")])
});
bench!(repeated, shown_twice(&tiny(), "4", "5"));

const BAND_FITS: &str = "encode/*/bands prediction maps report";

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
            computes "pattern encode prediction maps recovery report";
    }
}

mod lasso_edits {
    use super::*;

    edits! {
        lasso();

        more_penalties_rerun_fits: "encoding.lasso.n_alphas", ["n_alphas = 5" -> "n_alphas = 6"] computes PATTERN_FITS, TRUTH;
        smaller_penalties_rerun_fits: "encoding.lasso.smallest_share", ["smallest_share = 0.01" -> "smallest_share = 0.001"]
            computes PATTERN_FITS, TRUTH;
        folds_of_the_lasso_rerun_fits: "encoding.lasso.folds", ["n_alphas = 5" -> "n_alphas = 5\nfolds = { blocks = { n = 3 } }"]
            computes PATTERN_FITS, TRUTH;
        the_number_of_folds_of_the_lasso_reruns_fits: "encoding.lasso.folds.blocks.n",
            ["n_alphas = 5" -> "n_alphas = 5\nfolds = { blocks = { n = 4 } }"] computes PATTERN_FITS, TRUTH;
        the_gap_of_folds_of_the_lasso_reruns_fits: "encoding.lasso.folds.blocks.gap_s",
            ["n_alphas = 5" -> "n_alphas = 5\nfolds = { blocks = { n = 3, gap_s = 6 } }"] computes PATTERN_FITS, TRUTH;
        shuffled_folds_of_the_lasso_rerun_fits: "encoding.lasso.folds.shuffled.n",
            ["n_alphas = 5" -> "n_alphas = 5\nallow_shuffled = true\nfolds = { shuffled = { n = 3 } }"] computes PATTERN_FITS, TRUTH;
        the_order_of_shuffled_folds_of_the_lasso_reruns_fits: "encoding.lasso.folds.shuffled.seed",
            ["n_alphas = 5" -> "n_alphas = 5\nallow_shuffled = true\nfolds = { shuffled = { n = 3, seed = 1 } }"]
            computes PATTERN_FITS, TRUTH;
        permission_alone_reruns_no_lasso: "encoding.lasso.allow_shuffled", ["n_alphas = 5" -> "n_alphas = 5\nallow_shuffled = true"]
            computes;
        the_score_of_the_lasso_reruns_fits: "encoding.lasso.score", ["n_alphas = 5" -> "n_alphas = 5\nscore = \"pearson\""]
            computes PATTERN_FITS, TRUTH;
        layers_of_the_lasso_are_fitted_too: "encoding.lasso.features",
            ["n_alphas = 5" -> "n_alphas = 5\nfeatures = [\"patterns\", \"layers\"]"] computes "encode/*/layer-* prediction recovery report";
    }
}

mod ols_edits {
    use super::*;

    edits! {
        ols();

        another_noise_reruns_t_values_only: "encoding.ols.noise", ["\"white\"" -> "\"ar1\""] computes PATTERN_FITS, TRUTH;
    }
}

mod delayed_edits {
    use super::*;

    edits! {
        delayed();

        another_delay_reruns_fits: "time.delays_s", ["7.5]" -> "9.0]"] computes "encode prediction recovery report";
        delays_that_round_to_the_same_volumes_rerun_nothing: "time.delays_s", ["[3.0, 4.5" -> "[2.9, 4.6"] computes;
    }
}

mod repeated_edits {
    use super::*;

    edits! {
        repeated();

        the_order_of_repeats_reruns_ceilings: "statistics.ceiling.repeats", ["repeats = [\"4\", \"5\"]" -> "repeats = [\"5\", \"4\"]"]
            computes "ceiling maps report";
        other_pictures_in_every_test_run_rerun_what_shows_them: "stimuli.generate.repeat_test", ["repeat_test = true\n\n[models" -> "repeat_test = false\n\n[models"]
            computes "stimuli extract series pattern simulate mask bold", FITS, TRUTH, "ceiling";
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

/// Mean of a column over the voxels of a network, by the report's table.
fn of_network(planned: &Planned, file: &str, network: &str, column: &str, band: Option<&str>) -> f64 {
    let table = table(planned, "report", file);
    let (network_at, values) = (table.require("network").expect("a column"), table.numbers(column).expect("numbers"));
    let is_meant =
        |row: &Vec<String>| row[network_at] == network && band.is_none_or(|band| row.iter().any(|cell| cell == band));
    values[table.rows().iter().position(is_meant).expect("a row of this name")].expect("a number")
}

#[test]
fn bands_share_r2_and_the_band_that_drives_a_network_has_all_of_it() {
    let text = truth_with("[encoding.banded]\nalphas = [1, 10, 100, 1_000, 10_000, 100_000]\nn_candidates = 20");
    let Some(bench) = ran(&without_questions(&text)) else { return };
    let planned = bench.plan();
    let task = "encode/sub-01/clip/bands";
    let (bands, scores) = (table(&planned, task, "bands.tsv"), table(&planned, task, "scores.tsv"));
    let (vision, text, joint) = (numbers(&bands, "vision"), numbers(&bands, "text"), numbers(&scores, "r2"));
    for ((vision, text), joint) in vision.iter().zip(&text).zip(&joint) {
        // Series are z-scored run by run, so the intercept adds next to nothing.
        assert!((vision + text - joint).abs() < 2e-3, "{vision} {text} {joint}");
    }
    let share =
        |network, band| of_network(&planned, "tables/sub-01_clip_bands.tsv", network, "mean_band_r2", Some(band));
    for (network, driver, other) in
        [("visual", "vision", "text"), ("language", "text", "vision"), ("default", "text", "vision")]
    {
        let (most, least) = (share(network, driver), share(network, other));
        assert!(most > 0.25 && least.abs() < 0.05, "{network}: {most} {least}");
    }
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
    assert!(planned.artifact("maps/sub-01/clip").join("maps/sub-01_desc-clip_stat-t_statmap.nii.gz").is_file());
    let r = numbers(&table(&planned, "encode/sub-01/clip/patterns", "scores.tsv"), "r");

    let ridge = with_encoding("[encoding.ridge]\nalphas = [0.000001]\nfeatures = [\"patterns\"]");
    let bench = ran(&ridge).expect("the other study ran");
    let of_ridge = numbers(&table(&bench.plan(), "encode/sub-01/clip/patterns", "scores.tsv"), "r");
    assert!(r.iter().zip(&of_ridge).all(|(one, other)| (one - other).abs() < 1e-4));
}

#[test]
fn whitening_changes_t_values_and_no_prediction() {
    let Some(bench) = ols() else { return };
    let found = |bench: &Bench| {
        let planned = bench.plan();
        let task = "encode/sub-01/clip/patterns";
        let t_values = read_matrix(&planned.artifact(task).join("t.npy")).expect("kept");
        (t_values, numbers(&table(&planned, task, "scores.tsv"), "r"))
    };
    let (t_white, r_white) = found(&bench);
    bench.edit(&[("\"white\"", "\"ar1\"")]);
    assert!(bench.run().failed.is_empty());
    let (t_ar1, r_ar1) = found(&bench);
    assert_ne!(t_white, t_ar1);
    assert_eq!(r_white, r_ar1);
}

#[test]
fn the_lasso_leaves_weights_out_and_predicts_what_was_planted() {
    let Some(bench) = ran(&truth_with("[encoding.lasso]\nn_alphas = 10\nsmallest_share = 0.01")) else { return };
    let planned = bench.plan();
    let weights = read_matrix(&planned.artifact("encode/sub-01/clip/patterns").join("weights.npy")).expect("kept");
    let share = weights.iter().filter(|weight| **weight == 0.0).count() as f64 / weights.len() as f64;
    assert!((0.3..1.0).contains(&share), "{share}");
    let mean_r = |network| of_network(&planned, "tables/scores.tsv", network, "mean_r", Some("sub-01"));
    assert!(mean_r("visual") > 0.4 && mean_r("limbic").abs() < 0.1, "{} {}", mean_r("visual"), mean_r("limbic"));
}

#[test]
fn delays_predict_what_an_assumed_response_predicts() {
    let table = "[encoding.ridge]\nalphas = [1, 10, 100, 1_000, 10_000, 100_000]\nfeatures = [\"layers\"]";
    let text = without_questions(&truth_with(table));
    let time = "[time]\nhrf = \"none\"\ndelays_s = [3.0, 4.5, 6.0, 7.5]\n\n[bold.simulate]\n";
    let Some(bench) = ran(&edited(&text, &[("[bold.simulate]\n", time)])) else { return };
    let planned = bench.plan();
    let mean_r = |features| of_network(&planned, "tables/scores.tsv", "visual", "mean_r", Some(features));
    // The planted layer predicts best, though nobody said how blood follows it.
    assert!(mean_r("vision/0") > 0.5, "{}", mean_r("vision/0"));
    for other in ["vision/1", "vision/2", "vision/3", "text/0", "text/3"] {
        assert!(mean_r("vision/0") > mean_r(other) + 0.03, "{other}: {} {}", mean_r("vision/0"), mean_r(other));
    }
    let facts = std::fs::read_to_string(planned.artifact("encode/sub-01/clip/vision/layer-01").join("encode.json"));
    assert!(facts.expect("written").contains("\"n_features\": 256"), "64 units at four delays");
}

#[test]
fn ceilings_are_high_where_signal_was_planted() {
    let Some(bench) = ran(&shown_twice(&fixture("truth.toml"), "5", "6")) else { return };
    let planned = bench.plan();
    let ceiling = |network| of_network(&planned, "tables/sub-01_clip_ceilings.tsv", network, "mean_ceiling", None);
    // A signal-to-noise ratio of 2 and two repeats: sqrt(2 / (2 + 1 / 2)) = 0.89, less what preparation takes from it.
    for network in ["visual", "dorsal-attention", "language", "default"] {
        assert!((0.78..0.93).contains(&ceiling(network)), "{network}: {}", ceiling(network));
    }
    assert!(ceiling("limbic") < 0.45, "what chance leaves where there is nothing: {}", ceiling("limbic"));
    let all = table(&planned, "ceiling/sub-01/clip", "ceilings.tsv");
    let column = |name| all.numbers(name).expect("numbers");
    let (r, ceiling, r_norm) = (column("r"), column("ceiling"), column("r_norm"));
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
    let text = edited(&fixture("truth.toml"), &[("n_permutations = 999", "n_permutations = 999\nstop_after = 5")]);
    let Some(bench) = ran(&text) else { return };
    let significance = table(&bench.plan(), "null/sub-01/clip", "significance.tsv");
    let (p, drawn) = (numbers(&significance, "p"), numbers(&significance, "n_drawn"));
    assert!(drawn.iter().any(|n| *n < 99.0) && drawn.contains(&999.0));
    for (p, drawn) in p.iter().zip(&drawn) {
        let reached = (p * drawn - 5.0).abs() < 1e-9;
        assert!(reached || (*drawn == 999.0 && *p <= 5.0 / 999.0), "{p} {drawn}");
    }
}
