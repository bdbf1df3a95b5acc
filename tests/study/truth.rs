//! What was planted is found again, and nothing is found where nothing was planted.

use super::bench::{Bench, Planned, edited, fixture};
use hebb::format::{npy::read_matrix, tsv::Table};
use std::{collections::BTreeMap, fs, sync::LazyLock};

/// The study with planted networks, which has run; absent where there is nothing to run it with.
static TRUTH: LazyLock<Option<Bench>> = LazyLock::new(|| ran(&fixture("truth.toml")));

const SUBJECTS: [&str; 2] = ["sub-01", "sub-02"];

/// Network, and the module and layer that drive it, as in the study.
const PLANTED: [(&str, &str, i64); 4] =
    [("visual", "vision", 0), ("dorsal-attention", "vision", 3), ("language", "text", 1), ("default", "text", 3)];

const NOISE: [&str; 3] = ["somatomotor", "ventral-attention", "limbic"];

fn ran(text: &str) -> Option<Bench> {
    let bench = crate::model::runtime().then(|| Bench::new(text))?;
    let ran = bench.run();
    assert_eq!(ran.computed, ran.all, "{:?}", ran.failed);
    Some(bench)
}

/// A row of the report's table of scores.
struct Score {
    n_voxels: f64,
    mean_r: f64,
    significant_share: Option<f64>,
}

/// Scores by subject, features and network.
fn scores(planned: &Planned) -> BTreeMap<(String, String, String), Score> {
    let table = Table::read(&planned.artifact("report").join("tables/scores.tsv")).expect("written by the report");
    let numbers = |name| table.numbers(name).expect("a column of numbers");
    let (n_voxels, mean_r, share) = (numbers("n_voxels"), numbers("mean_r"), numbers("significant_share"));
    let place = |name| table.require(name).expect("a column");
    let (subject, features, network) = (place("subject"), place("features"), place("network"));
    let row = |(index, row): (usize, &Vec<String>)| {
        let score = Score {
            n_voxels: n_voxels[index].expect("every network has voxels"),
            mean_r: mean_r[index].expect("every network is scored"),
            significant_share: share[index],
        };
        ((row[subject].clone(), row[features].clone(), row[network].clone()), score)
    };
    table.rows().iter().enumerate().map(row).collect()
}

#[test]
fn a_network_is_predicted_best_by_the_layer_that_drives_it() {
    let Some(bench) = &*TRUTH else { return };
    let scores = scores(&bench.plan());
    for subject in SUBJECTS {
        for (network, module, layer) in PLANTED {
            let of_network = scores
                .iter()
                .filter(|((of, features, name), _)| of == subject && name == network && features != "patterns");
            let ((_, best, _), score) = of_network
                .max_by(|one, other| one.1.mean_r.total_cmp(&other.1.mean_r))
                .expect("every layer was fitted");
            let (found_module, found_layer) = best.split_once('/').expect("module/layer");
            // Neighbouring layers share most of their residual stream, so they are told apart by little.
            let distance = (found_layer.parse::<i64>().expect("a number") - layer).abs();
            assert!(
                found_module == module && distance <= 1,
                "{subject} {network} follows {module}/{layer}, but {best} predicts it best"
            );
            assert!(score.mean_r > 0.4, "{subject} {network}: {}", score.mean_r);
        }
    }
}

#[test]
fn a_network_of_noise_is_predicted_by_nothing() {
    let Some(bench) = &*TRUTH else { return };
    let scores = scores(&bench.plan());
    let (mut n_voxels, mut n_significant) = (0.0, 0.0);
    for ((subject, features, network), score) in &scores {
        if NOISE.contains(&network.as_str()) {
            assert!(score.mean_r.abs() < 0.05, "{subject} {features} {network}: {}", score.mean_r);
            if let Some(share) = score.significant_share.filter(|_| features == "patterns") {
                n_voxels += score.n_voxels;
                n_significant += share * score.n_voxels;
            }
        }
    }
    // A false discovery rate of 0.05 lets about one voxel of noise in for 19 driven ones: 0.03 of these voxels. 0.06 is four
    // standard errors of a share over 812 voxels more.
    assert!(n_voxels > 800.0 && n_significant / n_voxels <= 0.06, "{n_significant} of {n_voxels}");
    let driven = |(_, _, network): &(String, String, String)| PLANTED.iter().any(|(name, _, _)| name == network);
    for (key, score) in scores.iter().filter(|(key, _)| driven(key) && key.1 == "patterns") {
        assert!(score.significant_share > Some(0.8), "{key:?}: {:?}", score.significant_share);
    }
}

#[test]
fn without_any_signal_small_p_values_are_as_frequent_as_their_size() {
    let Some(bench) = ran(&edited(&fixture("truth.toml"), &[("snr = 2.0", "snr = 0.0")])) else { return };
    let planned = bench.plan();
    let mut p_values = Vec::new();
    for subject in SUBJECTS {
        let table = planned.artifact(&format!("null/{subject}/clip")).join("significance.tsv");
        p_values.extend(Table::read(&table).expect("written").numbers("p").expect("numbers").into_iter().flatten());
    }
    assert!(p_values.len() > 1500, "{}", p_values.len());
    // The share may differ by 0.02 from 0.05, four standard errors of a share over 1800 voxels. Half of that is in use: over
    // many seeds the share is 0.06, since permuting blocks of a high-pass filtered series is slightly liberal.
    let share = |below: f64| p_values.iter().filter(|p| **p < below).count() as f64 / p_values.len() as f64;
    assert!((share(0.05) - 0.05).abs() < 0.02, "{}", share(0.05));
    assert!((share(0.5) - 0.5).abs() < 0.05, "{}", share(0.5));
}

#[test]
fn statistics_hold_numbers_and_probabilities_only() {
    let Some(bench) = &*TRUTH else { return };
    let planned = bench.plan();
    let mut n_probabilities = 0;
    for kind in ["null", "prediction", "redundancy", "polarity"] {
        for subject in SUBJECTS {
            for entry in fs::read_dir(planned.artifact(&format!("{kind}/{subject}/clip"))).expect("readable") {
                let path = entry.expect("readable").path();
                if path.extension().is_some_and(|extension| extension == "npy") {
                    let matrix = read_matrix(&path).expect("a matrix");
                    assert!(matrix.iter().all(|value| value.is_finite()), "{}", path.display());
                    continue;
                }
                let text = fs::read_to_string(&path).expect("text");
                for word in ["NaN", "nan", "inf"] {
                    let whole = |part: &str| part == word || part == format!("-{word}");
                    assert!(
                        !text.split(|letter: char| letter.is_whitespace() || letter == ',').any(whole),
                        "{}",
                        path.display()
                    );
                }
                n_probabilities += check_probabilities(&path, &text);
            }
        }
    }
    assert!(n_probabilities > 1000, "{n_probabilities}");
}

/// Fails if a probability in a table or a JSON file is not above 0 and at most 1; gives how many there are.
fn check_probabilities(path: &std::path::Path, text: &str) -> usize {
    let found: Vec<f64> = if path.extension().is_some_and(|extension| extension == "json") {
        let facts: serde_json::Value = serde_json::from_str(text).expect("JSON");
        facts["p"].as_f64().into_iter().collect()
    } else {
        let table = Table::read(path).expect("a table");
        let columns = ["p", "q", "voxel_dice_p", "voxel_dice_q", "voxel_dice_fwe_p"]
            .into_iter()
            .filter_map(|name| table.numbers(name).ok());
        columns.flatten().flatten().collect()
    };
    assert!(found.iter().all(|p| *p > 0.0 && *p <= 1.0), "{}", path.display());
    found.len()
}
