//! A page with something in every section, made of formulas so that it never changes.

use hebb::format::nifti::{ImageHeader, SampleType, VolumeWriter};
use hebb::report::*;

/// Networks and their voxels; the last one fell outside the mask.
const NETWORKS: [(&str, usize); 8] = [
    ("visual", 14_212),
    ("somatomotor", 11_870),
    ("dorsal attention", 7_341),
    ("ventral attention", 6_904),
    ("language", 5_215),
    ("frontoparietal", 9_480),
    ("default mode", 13_077),
    ("limbic", 0),
];
const MODULES: [(&str, usize); 2] = [("vision", 12), ("text", 12)];

/// A number between -1 and 1 that looks random and depends on its arguments alone.
fn wobble(a: usize, b: usize) -> f64 {
    let mut state = (a as u64) << 32 ^ b as u64 ^ 0x9e37_79b9_7f4a_7c15;
    for _ in 0..3 {
        state ^= state >> 30;
        state = state.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 27;
    }
    (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// The whole example.
pub fn page() -> Page {
    Page {
        study: "Simulated films, CLIP".into(),
        description: "Do layers of CLIP's two towers predict networks in the order of the cortical hierarchy?".into(),
        subjects: ["sub-01", "sub-02"].map(subject).into(),
        models: vec!["clip-vit-b-32".into()],
        warnings: warnings(),
        prediction: Prediction {
            measure: Measure::default(),
            q: Some(0.05),
            panels: vec![panel("sub-01", 1), panel("sub-02", 2)],
        },
        brain: vec![brain()],
        n_brain_left_out: 2,
        viewer: viewer(),
        patterns: vec![patterns()],
        redundancy: vec![redundancy(12)],
        polarity: vec![polarity("sub-01", 3), polarity("sub-02", 0)],
        findings: vec![
            finding("prediction", "visual", Value::Known(0.31)),
            finding("prediction", "language", Value::Known(0.22)),
            finding("prediction", "all", Value::Known(0.18)),
            finding("mirroring", "all", Value::absent("no pair of patterns has opposite maps")),
            finding("specialisation", "visual", Value::Known(0.42)),
            finding("specialisation", "all", Value::Known(-0.04)),
            finding("hierarchy", "all", Value::absent("too few networks")),
        ],
        methods: vec![
            "Units are the products of mean query and mean key, one for each head and dimension of every layer.".into(),
            "Voxel time courses were fitted by ridge regression, its penalty chosen for each voxel by cross-validation over runs.".into(),
        ],
        provenance: provenance(),
    }
}

fn finding(statistic: &str, network: &str, value: Value) -> FindingRow {
    FindingRow {
        statistic: statistic.into(),
        meaning: "how far two branches differ".into(),
        subject: "sub-01".into(),
        model: "clip-vit-b-32".into(),
        part: if statistic == "prediction" { "patterns".into() } else { "vision|text".into() },
        network: network.into(),
        value,
        interval: Some((0.31, 0.53)),
        chance: Value::Known(0.0),
        p: Value::Known(0.001),
        q: Value::Known(0.004),
    }
}

fn subject(name: &str) -> Subject {
    Subject { name: name.into(), n_runs: 4, n_tr: 3655, n_voxels: 68_099 }
}

fn warnings() -> Vec<Warning> {
    let warning =
        |severity, place: &str, message: &str| Warning { severity, place: place.into(), message: message.into() };
    vec![
        warning(Severity::Notice, "stimuli", "412 samples of rest were left out"),
        warning(
            Severity::Caution,
            "network `limbic`",
            "has no voxel inside the mask; it is kept in every table with n = 0",
        ),
        warning(
            Severity::Serious,
            "encode sub-02",
            "the chosen penalty lies at the end of the grid for 31 % of voxels; widen `encoding.ridge.alphas`",
        ),
    ]
}

/// One subject's scores: vision layers peak in visual cortex, text layers in language cortex.
pub fn panel(subject: &str, seed: usize) -> PredictionPanel {
    let score = |module: usize, layer: usize, network: usize| {
        let (peak, width) = ([8.0, 10.0][module], 5.0);
        let affinity = [[0.32, 0.03, 0.16, 0.09, 0.08, 0.05, 0.06], [0.08, 0.02, 0.06, 0.07, 0.24, 0.09, 0.15]];
        let bump = (-((layer as f64 - peak) / width).powi(2)).exp();
        affinity[module][network] * (0.35 + 0.65 * bump) + 0.008 * wobble(seed * 1000 + module * 100 + layer, network)
    };
    let cell = |module: usize, layer: usize, network: usize| {
        if NETWORKS[network].1 == 0 {
            Value::absent("the network has no voxel")
        } else {
            score(module, layer, network).into()
        }
    };
    let modules = MODULES.iter().enumerate().map(|(module, &(name, n_layers))| ModuleScores {
        name: name.into(),
        layers: (0..n_layers)
            .map(|layer| LayerScores {
                name: (layer + 1).to_string(),
                cells: (0..NETWORKS.len()).map(|network| cell(module, layer, network)).collect(),
            })
            .collect(),
    });
    let networks = NETWORKS.iter().enumerate().map(|(network, &(name, n_voxels))| {
        let places = (0..MODULES.len()).flat_map(|module| (0..MODULES[module].1).map(move |layer| (module, layer)));
        let scored =
            places.filter(|_| n_voxels > 0).map(|(module, layer)| (score(module, layer, network), module, layer));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
        let absent = || Value::absent("the network has no voxel");
        NetworkScores {
            name: name.into(),
            n_voxels,
            median: best.map_or_else(absent, |best| Value::from(0.94 * best.0)),
            mean: best.map_or_else(absent, |best| Value::from(best.0)),
            significant_share: best.map_or_else(absent, |best| Value::from((2.6 * best.0).min(1.0))),
            best_layer: best
                .map(|(_, module, layer)| LayerId { module: MODULES[module].0.into(), layer: (layer + 1).to_string() }),
            spread: best.map(|best| [0.1, 0.6, 0.94, 1.3, 1.8].map(|share| share * best.0)),
            ceiling: best.map_or_else(absent, |best| Value::from(2.1 * best.0)),
            bands: MODULES
                .iter()
                .enumerate()
                .map(|(module, (name, _))| BandScore {
                    name: (*name).into(),
                    r2: best.map_or_else(absent, |_| Value::from(score(module, 6, network).powi(2) - 0.004)),
                })
                .collect(),
        }
    });
    PredictionPanel {
        subject: subject.into(),
        model: "clip-vit-b-32".into(),
        networks: networks.collect(),
        modules: modules.collect(),
    }
}

/// A shell of scored voxels with a strong back, a weaker patch on the left, and an unscored bottom.
fn brain() -> BrainMap {
    let shape = [50, 60, 46];
    let (mut values, mut mask) = (Vec::new(), Vec::new());
    for x in 0..shape[0] {
        for y in 0..shape[1] {
            for z in 0..shape[2] {
                // The first axis runs to the left, as in many templates.
                let place = [(24.5 - x as f64) / 24.0, (y as f64 - 29.5) / 29.0, (z as f64 - 20.0) / 24.0];
                let radius = place.iter().map(|p| p * p).sum::<f64>().sqrt();
                let blob = |centre: [f64; 3], width: f64| {
                    (-place.iter().zip(centre).map(|(p, c)| ((p - c) / width).powi(2)).sum::<f64>()).exp()
                };
                let score = 0.45 * blob([0.1, -0.85, 0.0], 0.45)
                    + 0.3 * blob([-0.8, 0.0, 0.1], 0.3)
                    + 0.04 * wobble(x * 64 + y, z);
                mask.push(radius < 1.0 && place[2] > -0.8);
                values.push(if radius > 0.55 && place[2] > -0.6 { score as f32 } else { f32::NAN });
            }
        }
    }
    let affine = [[-3.0, 0.0, 0.0, 73.5], [0.0, 3.0, 0.0, -105.0], [0.0, 0.0, 3.0, -50.0]];
    BrainMap {
        title: "sub-01, clip-vit-b-32, best layer of each voxel".into(),
        measure: Measure { name: "Pearson r (held-out runs)".into(), scale: Scale::FromZero, least_end: 0.1 },
        volume: Volume::new(shape, values, mask, affine).expect("arrays fill the shape"),
    }
}

fn layers() -> Vec<LayerId> {
    let layer = |module: &str, layer: usize| LayerId { module: module.into(), layer: (layer + 1).to_string() };
    MODULES.iter().flat_map(|&(module, n_layers)| (0..n_layers).map(move |index| layer(module, index))).collect()
}

fn patterns() -> PatternSet {
    let n_tr = [921, 918, 915, 901];
    let pattern = |k: usize| {
        let mut level = 0.0;
        let series = (0..n_tr.iter().sum()).map(|sample: usize| {
            level = 0.93 * level + 0.4 * wobble(k, sample);
            (level + 0.5 * (sample as f64 / (23.0 + 9.0 * k as f64)).sin()) as f32
        });
        let series = series.collect();
        let profile = layers().into_iter().enumerate().map(|(index, layer)| LayerCode {
            layer,
            code: 0.02 * ((index as f64 - 4.0 * k as f64) / 5.0).cos() + 0.004 * wobble(k + 50, index),
        });
        Pattern { name: format!("pattern {}", k + 1), series, profile: profile.collect() }
    };
    PatternSet {
        title: "clip-vit-b-32, one dictionary for the whole model".into(),
        repetition_time_s: 1.0,
        unit: "standard deviations".into(),
        runs: n_tr
            .iter()
            .enumerate()
            .map(|(index, &n_tr)| Run { name: format!("movie {}", index + 1), n_tr })
            .collect(),
        n_patterns: 40,
        patterns: (0..5).map(pattern).collect(),
    }
}

/// K patterns of which neighbours overlap.
/// Gzipped NIfTI on a small grid.
fn volume(value: impl Fn(usize) -> f32) -> Vec<u8> {
    let shape = [12, 14, 10];
    let affine = [[3.0, 0.0, 0.0, -18.0], [0.0, 3.0, 0.0, -21.0], [0.0, 0.0, 3.0, -15.0], [0.0, 0.0, 0.0, 1.0]];
    let header = ImageHeader { shape, n_volumes: None, affine, repetition_time_s: 0.0, sample_type: SampleType::F32 };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("map.nii.gz");
    let mut writer = VolumeWriter::create(&path, &header).expect("a file");
    let values: Vec<f32> = (0..shape.iter().product()).map(value).collect();
    writer.write_volume(&values).expect("a volume");
    writer.finish().expect("a whole file");
    std::fs::read(path).expect("a file that was just written")
}

fn viewer() -> Viewer {
    let frame = |at: usize, name: &str| ViewerFrame {
        name: name.into(),
        file: volume(|voxel| 0.3 * ((voxel + 5 * at) as f32 / 90.0).sin()),
    };
    let map = |title: &str, scale, names: &[&str]| ViewerMap {
        title: title.into(),
        brain: 0,
        measure: Measure { name: "Pearson r".into(), scale, least_end: 0.3 },
        frames: names.iter().enumerate().map(|(at, name)| frame(at, name)).collect(),
        n_frames: 12,
        path: "maps/sub-01_desc-clip_stat-r_statmap.nii.gz".into(),
    };
    Viewer {
        brains: vec![ViewerBrain {
            subject: "sub-01".into(),
            networks: NETWORKS.map(|(name, _)| name.to_owned()).into(),
            file: volume(|voxel| (voxel % 12 / 2) as f32),
        }],
        n_left_out: 3,
        maps: vec![map("scores", Scale::FromZero, &[""]), map("weights", Scale::Signed, &["pattern 1", "pattern 2"])],
    }
}

pub fn redundancy(n_patterns: usize) -> Redundancy {
    let dice = |k: usize, j: usize| {
        if k == j {
            return Value::Known(1.0);
        }
        if k.min(j) == 3 && k.max(j) == 7 {
            return Value::absent("neither pattern drives a voxel");
        }
        let near = 0.5 * (-(k.abs_diff(j) as f64) / 2.5).exp();
        Value::from(near + 0.05 * (1.0 + wobble(k.min(j), k.max(j))))
    };
    let shared = |(network, n_voxels): (&str, usize)| SharedVoxels {
        network: network.into(),
        n_voxels,
        n_driven: n_voxels * 3 / 5,
        n_shared: n_voxels / 4,
    };
    Redundancy {
        subject: "sub-01".into(),
        model: "clip-vit-b-32".into(),
        patterns: (1..=n_patterns).map(|k| format!("pattern {k}")).collect(),
        dice: (0..n_patterns).map(|k| (0..n_patterns).map(|j| dice(k, j)).collect()).collect(),
        redundant: vec![RedundantPair { k: 0, j: 1, p: 0.004 }, RedundantPair { k: 4, j: 5, p: 0.03 }],
        mean_dice: Value::Known(0.157),
        null: Null {
            name: "permuted memberships".into(),
            n_permutations: 1000,
            seed: 20,
            mean: Value::Known(0.061),
            p: Value::Known(0.000_999),
        },
        networks: NETWORKS.map(shared).into(),
    }
}

fn polarity(subject: &str, n_pairs: usize) -> Polarity {
    let pair = |index: usize| {
        let code = |place: usize| 0.02 * ((place as f64 + 3.0 * index as f64) / 4.0).sin();
        let profiles = layers().into_iter().enumerate().map(|(place, layer)| PairCode {
            layer,
            k: code(place) + 0.003 * wobble(index, place),
            j: -code(place) + 0.003 * wobble(index + 9, place),
        });
        OpposedPair {
            k: format!("pattern {}", index + 1),
            j: format!("pattern {}", 12 - index),
            maps_r: Value::Known(-0.81 + 0.1 * index as f64),
            series_r: Value::Known(-0.12),
            mirror_index: Value::Known(0.93 - 0.05 * index as f64),
            p: if index == 2 { Value::absent("fewer than 20 pairs in the null") } else { Value::Known(0.004) },
            profiles: profiles.collect(),
        }
    };
    Polarity {
        subject: subject.into(),
        model: "clip-vit-b-32".into(),
        tau: 0.5,
        n_pairs: 66,
        null: "layer-permuted codes, 1000 permutations, seed 21".into(),
        pairs: (0..n_pairs).map(pair).collect(),
    }
}

fn provenance() -> Provenance {
    let task = |id: &str, kind: &str, run_time_s: f64, state| Task {
        id: id.into(),
        kind: kind.into(),
        key: format!("{:08x}", (id.len() as u64 * 2_654_435_761) & 0xffff_ffff),
        run_time_s: Some(run_time_s),
        state,
    };
    let file = |path: &str, holds: &str| OutputFile { path: path.into(), holds: holds.into() };
    Provenance {
        graph: "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"80\" height=\"20\"><text y=\"15\">tasks</text></svg>"
            .into(),
        tasks: vec![
            task("export clip", "export", 4.2, TaskState::Done),
            task("extract clip shard-0", "extract", 812.0, TaskState::Done),
            task("encode sub-01 clip", "encode", 95.5, TaskState::Done),
            task("encode sub-02 clip", "encode", 97.1, TaskState::Done),
            task("redundancy sub-01", "redundancy", 3.3, TaskState::Done),
        ],
        engines: vec![Engine { name: "ONNX Runtime".into(), version: "1.31.1".into() }],
        seeds: vec![
            Seed { name: "redundancy null".into(), value: 20 },
            Seed { name: "polarity null".into(), value: 21 },
        ],
        files: vec![
            file("results/sub-01_r.nii.gz", "Pearson r of each voxel, 50 x 60 x 46"),
            file("results/networks.tsv", "scores per model, layer and network"),
            file("results/sub-01_weights.npy", "ridge weights, patterns x voxels"),
        ],
        spec: "[study]\nname = \"Simulated films, CLIP\"\n\n[encoding.ridge]\nalphas = [1, 10, 100, 1000]\n".into(),
    }
}
