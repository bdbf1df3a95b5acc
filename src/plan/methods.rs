//! What a design does, in sentences that can go into a paper, and every seed it uses.

use crate::{
    math::{ridge::CvScore, series::Hrf},
    spec::{
        Design, ModelSource, Subjects,
        written::{Folds, Patterns, Rest},
    },
};

/// One paragraph for each stage, without the study's name.
pub(super) fn paragraphs(design: &Design) -> Vec<String> {
    let mut all = vec![units(design), time(design), brains(design), patterns(design), encoding(design)];
    if let Some(options) = &design.significance {
        all.push(format!(
            "Chance was estimated by {} permutations of {} s blocks of the test series; the false discovery rate over voxels was controlled at {} \
             (Benjamini and Hochberg 1995).",
            options.n_permutations, options.block_s, options.fdr
        ));
    }
    if let Some(options) = &design.redundancy {
        all.push(format!(
            "Redundancy: a pattern drives the voxels whose weight lies beyond {} root mean squares of its map; overlap is the Dice coefficient of two such \
             sets, compared with {} permutations of the memberships over voxels.",
            options.threshold_sd, options.n_permutations
        ));
    }
    if let Some(options) = &design.polarity {
        all.push(format!(
            "Polarity: two patterns oppose each other if their maps correlate below -{}; the mirror index is minus the correlation of their mean codes over \
             layers, compared with {} permutations of the layers.",
            options.min_opposition, options.n_permutations
        ));
    }
    all
}

/// Every seed by what it seeds.
pub(super) fn seeds(design: &Design) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    if let Some(scenes) = &design.scenes {
        all.push(("stimuli".to_owned(), scenes.seed));
    }
    for model in design.models.iter() {
        if let ModelSource::Random(random) = &model.source {
            all.push((format!("weights of {}", model.name), random.seed));
        }
    }
    if let Subjects::Simulated { brain, .. } = &design.subjects {
        all.push(("simulated brain".to_owned(), brain.seed));
    }
    if let Patterns::Dictionary(dictionary) = &design.patterns {
        all.push(("dictionary".to_owned(), dictionary.seed));
    }
    all.extend(design.significance.iter().map(|options| ("significance".to_owned(), options.seed)));
    all.extend(design.redundancy.iter().map(|options| ("redundancy".to_owned(), options.seed)));
    all.extend(design.polarity.iter().map(|options| ("polarity".to_owned(), options.seed)));
    all
}

fn units(design: &Design) -> String {
    let models: Vec<String> = design
        .models
        .iter()
        .map(|model| {
            let modules: Vec<String> = model
                .modules
                .iter()
                .map(|units| format!("{}: {} units of {} layers", units.module, units.n_units(), units.layers().len()))
                .collect();
            let source = match model.source {
                ModelSource::Files { .. } => "weights from files",
                ModelSource::Random(_) => "random weights, untrained",
            };
            format!("{} ({source}; {})", model.name, modules.join(", "))
        })
        .collect();
    format!(
        "Units are {} activations, reduced over tokens by `{}` without padding. Models: {}. Stimuli: {} images and {} texts in {} runs.",
        design.units.kinds,
        design.units.reduce,
        models.join("; "),
        design.schedule.images.len(),
        design.schedule.texts.len(),
        design.runs.len()
    )
}

fn time(design: &Design) -> String {
    let hrf = match design.hrf {
        Hrf::Glover => "convolved with the haemodynamic response of Glover (1999)",
        Hrf::Spm => "convolved with the haemodynamic response of SPM",
        Hrf::None => "not convolved with a haemodynamic response",
    };
    let rest = match design.rest {
        Rest::Keep => "Volumes without a stimulus were kept, with units at their mean before the convolution",
        Rest::Drop => "Volumes without a stimulus were left out",
    };
    let trim = if design.trim_start_s > 0.0 {
        format!(", and so were the first {} s of each run", design.trim_start_s)
    } else {
        String::new()
    };
    format!(
        "Unit values were averaged within each repetition time of {} s, weighted by overlap, {hrf} run by run, and z-scored within each run. {rest}{}.",
        design.repetition_time_s,
        if design.rest == Rest::Keep && !trim.is_empty() {
            format!("; the first {} s of each run were left out", design.trim_start_s)
        } else {
            trim
        }
    )
}

fn brains(design: &Design) -> String {
    let source = match &design.subjects {
        Subjects::Simulated { names, model, brain } => format!(
            "{} simulated subjects, whose voxels follow units of {model} at a signal-to-noise ratio of {} with AR(1) noise of {}",
            names.len(),
            brain.snr,
            brain.ar1
        ),
        Subjects::Recorded { subjects, .. } => format!("{} subjects from BIDS derivatives", subjects.len()),
    };
    let preparation = &design.preparation;
    let mut steps = Vec::new();
    if !preparation.confounds.is_empty() {
        steps.push(format!("regression on the confounds {}", preparation.confounds.join(", ")));
    }
    if let Some(period_s) = preparation.high_pass_s {
        steps.push(format!("cosine high-pass filter at {period_s} s"));
    }
    if preparation.detrend {
        steps.push("linear detrending".to_owned());
    }
    if preparation.z_score {
        steps.push("z-score within each run".to_owned());
    }
    let steps = if steps.is_empty() { "none".to_owned() } else { steps.join(", ") };
    format!(
        "BOLD: {source}. Preparation of every voxel and run: {steps}. Voxels without variance in a run were dropped."
    )
}

fn patterns(design: &Design) -> String {
    match &design.patterns {
        Patterns::Dictionary(dictionary) => format!(
            "Patterns: a sparse dictionary of {} time courses was learned from the units of all modules on the training runs (Mairal et al. 2009; penalty {} \
             for unit series of length one), its codes frozen, and every run projected onto them.",
            dictionary.n_patterns, dictionary.penalty
        ),
        Patterns::Pca(components) => format!(
            "Patterns: {} principal components of the units of all modules on the training runs; every run was projected onto them.",
            components.n_patterns
        ),
    }
}

fn encoding(design: &Design) -> String {
    let names = |is_test: bool| {
        design
            .runs
            .iter()
            .filter(|run| run.is_test == is_test)
            .map(|run| run.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let folds = match design.encoding.folds {
        Folds::Runs => "leaving one training run out".to_owned(),
        Folds::Blocks(blocks) => format!("over {} contiguous blocks with gaps of {} s", blocks.n, blocks.gap_s),
    };
    let score = match design.encoding.score {
        CvScore::R2 => "R2",
        CvScore::Pearson => "Pearson's r",
    };
    format!(
        "Encoding: ridge regression on runs {}, its penalty chosen among {} values by cross-validation ({folds}, compared by {score}); scores are Pearson's r \
         on runs {}, which no fit has seen.",
        names(false),
        design.encoding.alphas.len(),
        names(true)
    )
}
