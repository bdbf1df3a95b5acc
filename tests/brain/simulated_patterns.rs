//! Patterns get the voxels that were asked for, the folder says so, and what cannot be planted is refused.

use std::collections::{BTreeMap, BTreeSet};

use hebb::brain::prepare::Preparation;
use hebb::brain::simulate::{Mixing, PlantedNetwork, PlantedPatterns, SetKind, SimulateError, Simulation};
use ndarray::{ArrayView1, Axis, concatenate, s};

use super::simulated::{N_TR, correlation, read_back, units};
use super::simulated_planting::{
    CONSTANT, N_PATTERNS, Series, also, both_runs, clean, field, number, patterns, planted_files, shared_out, simulate,
    simulate_runs, simulation, table,
};

#[test]
fn patterns_share_their_voxels_as_asked_for() {
    let out = tempfile::tempdir().unwrap();
    let subject = simulate(&simulation(), out.path()).unwrap();
    let (voxels, _) = read_back(out.path(), "01", &Preparation::default());
    let sets = subject.truth.sets.as_ref().unwrap();
    let kinds: Vec<SetKind> = sets.sets.iter().map(|set| set.kind).collect();
    let expected = [vec![SetKind::Duplicate; 3], vec![SetKind::Mirrored; 2], vec![SetKind::Alone; 4]].concat();
    assert_eq!(kinds, expected);
    let sizes: BTreeSet<usize> = sets.sets.iter().map(|set| set.voxels.len()).collect();
    assert!(sizes.last().unwrap() - sizes.first().unwrap() <= 1, "{sizes:?}");
    let mut all: Vec<usize> = sets.sets.iter().flat_map(|set| set.voxels.clone()).collect();
    all.sort_unstable();
    let of_networks: Vec<usize> = (0..voxels.n_voxels())
        .filter(|&voxel| {
            let name = voxels.membership.of(voxel).first().map(|&network| voxels.networks[network].name.as_str());
            matches!(name, Some("default" | "limbic"))
        })
        .collect();
    assert_eq!(all, of_networks);
    let mut chosen: Vec<usize> = sets.sets.iter().flat_map(|set| set.patterns.iter().map(|(k, _)| *k)).collect();
    assert!(!chosen.contains(&CONSTANT));
    let n_chosen = chosen.len();
    chosen.sort_unstable();
    chosen.dedup();
    assert_eq!((n_chosen, chosen.len()), (14, 14));
    for set in &sets.sets {
        for &voxel in &set.voxels {
            let loadings = &subject.truth.voxels[voxel].patterns;
            assert!(loadings.iter().zip(&set.patterns).all(|(a, b)| a.0 == b.0 && a.1.signum() == b.1));
            if let [(_, one), (_, other)] = loadings[..] {
                assert_eq!(one.signum() == other.signum(), set.kind == SetKind::Duplicate);
                assert!((one / other).abs() < 3.0 && (one / other).abs() > 1.0 / 3.0);
            }
        }
    }

    let courses = concatenate(Axis(0), &[patterns(1).view(), patterns(2).view()]).unwrap().mapv(f64::from);
    let pairs = table(out.path(), "planted_pairs.tsv");
    let written = table(out.path(), "planted_patterns.tsv");
    assert_eq!((pairs.n_rows(), written.n_rows()), (5, N_PATTERNS));
    for row in 0..pairs.n_rows() {
        let [k, j] = ["k", "j"].map(|column| number(&pairs, row, column) as usize);
        let r = correlation(courses.column(k).iter().copied(), courses.column(j).iter().copied());
        assert!((r - number(&pairs, row, "series_r")).abs() < 1e-6 && r.abs() <= 0.3);
        let of = |pattern, column| field(&written, pattern, column);
        assert_eq!((of(k, "set"), of(k, "n_voxels")), (of(j, "set"), of(j, "n_voxels")));
        let kind = field(&pairs, row, "kind");
        assert_eq!((of(k, "kind"), of(j, "kind")), (kind, kind));
        assert_eq!((of(k, "sign"), of(j, "sign")), ("1", if kind == "mirrored" { "-1" } else { "1" }));
        assert!(number(&written, j, "mean_loading") * number(&written, j, "sign") > 0.3);
    }
    assert_eq!(written.rows()[CONSTANT], ["5", "none", "n/a", "n/a", "0", "n/a"]);
}

#[test]
fn the_folder_explains_what_is_planted() {
    let out = tempfile::tempdir().unwrap();
    let mut simulation = simulation();
    simulation.patterns.as_mut().unwrap().snr = Some(0.25);
    simulate(&simulation, out.path()).unwrap();
    let text = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
    let (ignored, readme) = (text(".bidsignore"), text("README"));
    let written = planted_files(out.path());
    assert_eq!(written.len(), 6);
    for name in written {
        assert!(ignored.lines().any(|line| line == name), "{name}");
        assert!(readme.contains(&name), "{name}");
    }
    for line in [
        "Network visual follows units of vision and of text",
        "Networks that follow patterns: default, limbic",
        "Pairs of patterns that drive one set of voxels with opposite signs: 2",
        "Variance of signal over variance of noise in networks default, limbic: 0.25",
    ] {
        assert!(readme.lines().any(|known| known == line), "{readme}");
    }
}

#[test]
fn networks_have_their_own_ratio_and_repeats_the_same_signal() {
    let out = tempfile::tempdir().unwrap();
    let mut simulation = Simulation { snr: 1.0, ..clean() };
    simulation.networks.get_mut("language").unwrap().snr = Some(50.0);
    simulation.patterns.as_mut().unwrap().snr = Some(200.0);
    simulation.repeats = BTreeMap::from([("1".to_owned(), vec!["2".to_owned()])]);
    let series = [(units(1), Some(patterns(1)))];
    let truth = simulate_runs(&simulation, &series, out.path()).unwrap().truth;
    // The two showings of the run, one below the other.
    let (voxels, series) = read_back(out.path(), "01", &Preparation::default());
    for (name, ratio) in [("language", 50.0), ("visual", 1.0), ("default", 200.0), ("limbic", 200.0)] {
        let network = voxels.networks.iter().position(|network| network.name == name).unwrap();
        let of_network: Vec<f64> = (0..voxels.n_voxels())
            .filter(|&voxel| voxels.membership.of(voxel) == [network])
            .map(|voxel| {
                let planted = &truth.voxels[voxel];
                assert!(!planted.loadings.is_empty() || !planted.patterns.is_empty());
                let showing = |rows: ArrayView1<'_, f32>| rows.iter().map(|&y| f64::from(y)).collect::<Vec<_>>();
                let column = series.column(voxel);
                let [one, other] = [column.slice(s![..N_TR]), column.slice(s![N_TR..])].map(showing);
                correlation(one.into_iter(), other.into_iter())
            })
            .collect();
        let mean = of_network.iter().sum::<f64>() / of_network.len() as f64;
        println!("{name}: showings correlate by {mean:.4}, expected {:.4}", ratio / (1.0 + ratio));
        assert!((mean - ratio / (1.0 + ratio)).abs() < 0.08 / (1.0 + ratio) + 0.002, "{name} {mean}");
    }
}

#[test]
fn what_cannot_be_planted_is_named() {
    let out = tempfile::tempdir().unwrap();
    let said = |edit: &dyn Fn(&mut Simulation)| {
        let mut simulation = simulation();
        edit(&mut simulation);
        simulate(&simulation, out.path()).unwrap_err()
    };
    let patterns_said = |edit: &dyn Fn(&mut PlantedPatterns)| said(&|of| edit(of.patterns.as_mut().unwrap()));
    let visual_said = |edit: &dyn Fn(&mut PlantedNetwork)| said(&|of| edit(of.networks.get_mut("visual").unwrap()));
    let parameters = [
        (
            patterns_said(&|of| of.networks.push("visual".to_owned())),
            "`patterns.networks` is `visual`, expected networks that are not in `networks`, where they follow units",
        ),
        (
            patterns_said(&|of| of.networks.push("limbic".to_owned())),
            "`patterns.networks` is `limbic` twice, expected every network once",
        ),
        (patterns_said(&|of| of.networks.clear()), "`patterns.networks` is [], expected at least one network"),
        (
            patterns_said(&|of| (of.duplicates, of.mirrored, of.alone) = (0, 0, 0)),
            "`patterns` is without `duplicates`, `mirrored` and `alone` patterns, expected at least one that drives voxels",
        ),
        (patterns_said(&|of| of.mirrored = 10_001), "`patterns.mirrored` is 10001, expected between 0 and 10000"),
        (
            patterns_said(&|of| of.max_correlation = 1.0),
            "`patterns.max_correlation` is 1, expected between 0.01 and 0.9",
        ),
        (patterns_said(&|of| of.snr = Some(-1.0)), "`patterns.snr` is -1, expected between 0 and 1000000"),
        (visual_said(&|of| of.snr = Some(f64::NAN)), "`networks.visual.snr` is NaN, expected between 0 and 1000000"),
        (
            visual_said(&|of| of.also = also("text", &[], Mixing::Even)),
            "`networks.visual.also.layers` is [], expected at least one layer",
        ),
        (
            visual_said(&|of| of.also = also("vision", &[1, 2], Mixing::Even)),
            "`networks.visual.also.layers` is [1, 2] of `vision`, expected layers that the first branch does not have",
        ),
    ];
    for (error, expected) in parameters {
        assert!(matches!(error, SimulateError::Parameter { .. }), "{error}");
        assert_eq!(error.to_string(), expected);
    }

    let error = visual_said(&|of| of.also = also("text", &[0, 5], Mixing::Even));
    assert!(matches!(error, SimulateError::NoUnits { layer: 5, .. }), "{error}");
    let error = patterns_said(&|of| of.networks = vec!["vision".to_owned()]);
    assert!(matches!(error, SimulateError::UnknownNetwork { .. }), "{error}");
    let error = patterns_said(&|of| of.duplicates = 20);
    assert!(
        matches!(
            error,
            SimulateError::TooFewPatterns { found: 8..=11, expected: 22, n_patterns: N_PATTERNS, n_varying: 23, .. }
        ),
        "{error}"
    );
    let error = patterns_said(&|of| of.alone = 20);
    assert!(matches!(error, SimulateError::TooFewPatterns { found: ..=13, expected: 20, .. }), "{error}");
    println!("{error}");

    let with = |edit: &dyn Fn(&mut [Series; 2])| {
        let mut series = both_runs();
        edit(&mut series);
        simulate_runs(&simulation(), &series, out.path()).unwrap_err().to_string()
    };
    assert_eq!(with(&|series| series[1].1 = None), "run `2` has no time courses of patterns, which `patterns` plants");
    let shape = |rows, columns| {
        move |series: &mut [Series; 2]| {
            series[1].1 = Some(patterns(2).slice(s![..rows, ..columns]).to_owned());
        }
    };
    for (rows, columns) in [(149, N_PATTERNS), (150, 20)] {
        assert_eq!(
            with(&shape(rows, columns)),
            format!(
                "run `2` has time courses of {rows} volumes and {columns} patterns, expected 150 volumes and 24 patterns"
            )
        );
    }
    assert_eq!(
        with(&|series| series[0].1.as_mut().unwrap()[[3, 4]] = f32::NAN),
        "run `1` has time courses of patterns that are not finite"
    );
    // One voxel for each set is the least.
    let mut crowded = Simulation { shape: [6, 6, 6], ..simulation() };
    crowded.networks.clear();
    let many = PlantedPatterns { duplicates: 0, mirrored: 0, alone: 23, ..shared_out() };
    crowded.patterns = Some(PlantedPatterns { networks: vec!["limbic".to_owned()], ..many });
    let error = simulate(&crowded, out.path()).unwrap_err();
    assert!(matches!(error, SimulateError::TooFewVoxels { expected: 23, .. }), "{error}");
}
