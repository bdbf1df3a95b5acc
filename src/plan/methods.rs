//! What a design does, in sentences that can go into a paper, and every seed it uses.

use crate::{
    brain::{
        prepare::{Preparation, Scale, settings::Expansion},
        regions::NetworkChanges,
    },
    format::runs::SeriesKind,
    math::{ols::Noise, ridge::CvScore, series::Hrf},
    model::{Kind, RandomModel, architecture::known},
    spec::{
        Design, ModelSource, Subjects,
        written::{Bands, Encoding, Folds, OverlapNull, Patterns, Rearranged, Rest},
    },
};

/// The methods of a design, a paragraph for each stage, without the study's name.
#[must_use]
pub fn paragraphs(design: &Design) -> Vec<String> {
    let mut all = vec![units(design), time(design), brains(design), patterns(design), encoding(design)];
    if let Some(options) = &design.significance {
        let how = match options.method {
            Rearranged::Blocks => format!("permutations of {} s blocks of the test series", options.block_s),
            Rearranged::CircularShift => {
                format!("circular shifts of the test series by {} s at least", options.block_s)
            }
        };
        let stop = options.stop_after.map_or(String::new(), |n| {
            format!(
                "; a voxel took no more once {n} of them had reached its own score (Besag and Clifford 1991), and its p value is {n} over those it took"
            )
        });
        all.push(format!(
            "Chance was estimated by {} {how}{stop}; the false discovery rate over voxels was controlled at {} (Benjamini and Hochberg 1995).",
            options.n_permutations, options.fdr
        ));
    }
    if let Some(ceiling) = &design.ceiling {
        all.push(format!(
            "Noise ceilings come from runs {}, in which the same was shown: the power that repeats share, over that of their mean (Schoppe et al. 2016). The \
             normalised score is the correlation with the mean over repeats divided by the ceiling.",
            ceiling.repeats.join(", ")
        ));
    }
    all.push(
        "Prediction of a network is the mean correlation over its voxels. Its interval (95 %) comes from blocks of test time drawn with replacement, the same \
         draws for every fit, so that differences are paired; its chance from the same rearrangements of the test series in all voxels."
            .to_owned(),
    );
    if let Some(options) = &design.redundancy {
        let null = match options.null {
            OverlapNull::Rotations => {
                "random rotations of the maps in the space of patterns, which keep their mean, their smoothness and what drives all of them alike (Langsrud 2005)"
            }
            OverlapNull::Memberships => "permutations of the memberships over the voxels of the networks",
        };
        let driven = match options.threshold_sd {
            Some(threshold_sd) => format!("whose weight lies beyond {threshold_sd} root mean squares of its map"),
            None => format!("with the largest weights of its map, {} % of all", 100.0 * options.driven_share),
        };
        all.push(format!(
            "Redundancy (pairs of patterns whose maps from two halves of the training runs correlate by {} at least): a pattern drives the voxels {driven}; overlap is the Dice coefficient of two such \
             sets, compared with {} {null}. What a pattern explains alone is the held-out R2 that is lost without it at the same penalty. Units were silenced \
             at random and by the size of their codes, and the patterns of the test runs computed from those that were left.",
            options.min_reliability, options.n_permutations
        ));
    }
    if let Some(options) = &design.polarity {
        all.push(format!(
            "Polarity: two patterns whose maps come out again in halves of the training runs (correlation of {} at least) oppose each other if their maps correlate below -{}, each pattern taken with the sign in which its codes add up to more \
             than 0; the mirror index is minus the correlation of their mean codes over layers. Opposed pairs were compared with all others by permuting the \
             names of patterns (Hubert and Schultz 1976), by permuting layers, and by drawing the signs of patterns at random, {} times each; the correlation \
             of the two time courses, from which opposite maps follow by algebra, stands beside every pair and was taken out by partial correlation.",
            options.min_reliability, options.min_opposition, options.n_permutations
        ));
    }
    if let Some(options) = &design.architecture {
        all.push(format!(
            "Architecture: every branch of a model, and every set of branches, was fitted for itself. Unique variance of a branch is the held-out R2 of all \
             branches less that of all others; the specialisation index of two branches is the difference of their R2 over its sum. Differences between \
             branches and between models were tested by flipping the sign of the difference in blocks of test time ({} draws). The distance of two models' \
             maps is 1 - linear CKA (Kornblith et al. 2019).",
            options.n_permutations
        ));
    }
    if let Some(options) = &design.hierarchy {
        all.push(format!(
            "Hierarchy: the depth of a network is that of the layers that predict it, weighted by their correlations above 0; it was rank-correlated with the \
             order {} and tested by permuting networks.",
            options.order.join(", ")
        ));
    }
    if let Some(group) = &design.group {
        let families = match group.families {
            Some(_) => ", relatives together (Winkler et al. 2015)",
            None => "",
        };
        all.push(format!(
            "Over subjects every finding, less what chance gives in each subject, was tested by one-sample t and by {} flips of its sign{families}; the false \
             discovery rate was controlled over rows of one statistic and model, and the family-wise error by the largest t.",
            group.n_permutations
        ));
    }
    all
}

/// Every seed of a design by what it seeds.
#[must_use]
pub fn seeds(design: &Design) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    if let Some(scenes) = &design.scenes {
        all.push(("stimuli".to_owned(), scenes.seed));
    }
    for model in design.models.iter() {
        match &model.source {
            ModelSource::Random(RandomModel { seed, .. }) | ModelSource::Untrained { seed, .. } => {
                all.push((format!("weights of {}", model.units_of), *seed));
            }
            ModelSource::Files { .. } | ModelSource::LowLevel(_) => {}
        }
    }
    if let Subjects::Simulated { brain, .. } = &design.subjects {
        all.push(("simulated brain".to_owned(), brain.seed));
    }
    if let Patterns::Dictionary(dictionary) = &design.patterns {
        all.push(("dictionary".to_owned(), dictionary.seed));
    }
    if let Encoding::Banded(banded) = &design.encoding {
        all.push(("weights of bands".to_owned(), banded.seed));
    }
    if let Some((Folds::Shuffled(shuffled), _)) = design.encoding.folds() {
        all.push(("order of shuffled volumes".to_owned(), shuffled.seed));
    }
    all.extend(design.significance.iter().map(|options| ("significance".to_owned(), options.seed)));
    all.extend(design.redundancy.iter().map(|options| ("redundancy".to_owned(), options.seed)));
    all.extend(design.polarity.iter().map(|options| ("polarity".to_owned(), options.seed)));
    all.extend(design.architecture.iter().map(|options| ("architecture".to_owned(), options.seed)));
    all.extend(design.hierarchy.iter().map(|options| ("hierarchy".to_owned(), options.seed)));
    all.extend(design.group.iter().map(|options| ("group".to_owned(), options.seed)));
    all.extend(design.models.iter().filter_map(|model| Some((format!("phases of {}", model.name), model.phases?))));
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
                .map(|units| {
                    let (n_units, n_layers) = (units.n_units(), units.layers().len());
                    format!("{}: {} of {}", units.module, counted(n_units, "unit"), counted(n_layers, "layer"))
                })
                .collect();
            let source = match model.source {
                ModelSource::Files { .. } => "weights from files",
                ModelSource::Random(_) => "random weights, untrained",
                ModelSource::Untrained { .. } => "the architecture of the files, weights as before training",
                ModelSource::LowLevel(_) => "features of stimuli, no network",
            };
            format!("{} ({}{source}; {})", model.name, cited(model.facts.architecture), modules.join(", "))
        })
        .collect();
    let kinds = design.units.kinds.listed();
    let has_embedding_beside = kinds.len() > 1 && kinds.contains(&Kind::Embedding);
    format!(
        "Units are {} activations, reduced over tokens by `{}` without padding{}. Models: {}. Stimuli: {} and {} in {}.",
        design.units.kinds,
        design.units.reduce,
        if has_embedding_beside { " (the embedding as the model itself does)" } else { "" },
        models.join("; "),
        counted(design.schedule.images.len(), "image"),
        counted(design.schedule.texts.len(), "text"),
        counted(design.runs.len(), "run")
    )
}

/// An architecture with whoever described it.
fn cited(architecture: &str) -> String {
    known(architecture).map(|known| format!("{}, {}; ", known.title, known.work)).unwrap_or_default()
}

fn time(design: &Design) -> String {
    let hrf = match design.hrf {
        Hrf::Glover => "convolved with the haemodynamic response of Glover (1999)",
        Hrf::Spm => "convolved with the haemodynamic response of SPM",
        Hrf::None => "not convolved with a haemodynamic response",
    };
    let delays = if design.delays_tr.is_empty() {
        String::new()
    } else {
        let seconds = |delay: &usize| (*delay as f64 * design.repetition_time_s).to_string();
        let listed: Vec<String> = design.delays_tr.iter().map(seconds).collect();
        format!(" Every unit counts at delays of {} s, with weights of its own for each.", listed.join(", "))
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
        "Unit values were averaged within each repetition time of {} s, weighted by overlap, {hrf} run by run, and z-scored within each run. {rest}{}.{delays}",
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
            "{}, whose voxels follow units of {model} at a signal-to-noise ratio of {} with AR(1) noise of {}",
            counted(names.len(), "simulated subject"),
            brain.snr,
            brain.ar1
        ),
        Subjects::Recorded { subjects, made_by, .. } => {
            let kind = subjects.first().and_then(|subject| subject.runs.first()).map(|run| run.kind);
            let of = match kind {
                Some(SeriesKind::Grayordinates) => "with series of grayordinates",
                Some(SeriesKind::Matrix) => "with series that were prepared before",
                _ => "with preprocessed volumes",
            };
            let by = if made_by.is_empty() { String::new() } else { format!(" (made by {})", made_by.join(", ")) };
            format!("{} {of}{by}", counted(subjects.len(), "subject"))
        }
    };
    let preparation = &design.preparation;
    let mut steps = Vec::new();
    if let Some(fwhm_mm) = preparation.smoothing_fwhm_mm {
        steps.push(format!("smoothing with a Gaussian of {fwhm_mm} mm full width at half maximum"));
    }
    steps.extend(left_out(design));
    let regressors = regressors(preparation);
    if !regressors.is_empty() {
        steps.push(format!("regression on {}", regressors.join(", ")));
    }
    if let Some(period_s) = preparation.high_pass_s {
        steps.push(format!("cosine high-pass filter at {period_s} s"));
    }
    if preparation.detrend {
        steps.push("linear detrending".to_owned());
    }
    match preparation.scale {
        Scale::ZScore => steps.push("z-score within each run".to_owned()),
        Scale::PercentChange => steps.push("change in percent of the voxel's mean".to_owned()),
        Scale::None => {}
    }
    let networks = changed_networks(design);
    let steps = if steps.is_empty() { "none".to_owned() } else { steps.join(", ") };
    format!(
        "BOLD: {source}. Preparation of every voxel and run: {steps}. Voxels without variance in a run were dropped.{networks}"
    )
}

/// What was made of the atlas' networks.
fn changed_networks(design: &Design) -> String {
    let NetworkChanges { combine, clean } = &design.atlas.changes;
    let mut changes: Vec<String> = combine
        .iter()
        .map(|rule| format!("`{}` was made as the {} of {}", rule.name, rule.operation.word(), rule.of.join(", ")))
        .collect();
    if clean.erode_voxels > 0 {
        changes.push(format!("every network was eroded by {}", counted(clean.erode_voxels, "voxel")));
    }
    if clean.smallest_piece_voxels > 1 {
        changes.push(format!("pieces of fewer than {} voxels were dropped", clean.smallest_piece_voxels));
    }
    if clean.smallest_network_voxels > 1 {
        changes.push(format!("networks of fewer than {} voxels were emptied", clean.smallest_network_voxels));
    }
    if changes.is_empty() { String::new() } else { format!(" Networks: {}.", changes.join("; ")) }
}

fn counted(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// Which volumes do not count.
fn left_out(design: &Design) -> Option<String> {
    let preparation = &design.preparation;
    let mut volumes = Vec::new();
    if preparation.drop_initial > 0 {
        volumes.push(format!("the first {}", preparation.drop_initial));
    }
    if preparation.drop_final > 0 {
        volumes.push(format!("the last {}", preparation.drop_final));
    }
    if !preparation.drop_volumes.is_empty() {
        let listed: Vec<String> = preparation.drop_volumes.iter().map(ToString::to_string).collect();
        volumes.push(format!("those numbered {} from 0", listed.join(", ")));
    }
    if preparation.drop_non_steady_state {
        volumes.push("those before the steady state".to_owned());
    }
    if let Some(mm) = preparation.max_framewise_displacement_mm {
        volumes.push(format!("those with a framewise displacement above {mm} mm"));
    }
    if let Some(dvars) = preparation.max_std_dvars {
        volumes.push(format!("those with standardised DVARS above {dvars}"));
    }
    let (before, after, shortest) = (preparation.scrub_before, preparation.scrub_after, preparation.scrub_shorter_than);
    let has_limit = preparation.max_framewise_displacement_mm.is_some() || preparation.max_std_dvars.is_some();
    if has_limit && before + after > 0 {
        volumes.push(format!("{before} before and {after} after each that moved too much"));
    }
    if has_limit && shortest > 0 {
        volumes.push(format!("stretches of fewer than {shortest} between those that moved too much"));
    }
    if design.runs.iter().any(|run| run.clips.is_some()) {
        volumes.push(format!("all outside of the clips and within {} s of a clip's start", preparation.clip_trim_s));
    }
    (!volumes.is_empty()).then(|| format!("leaving out volumes ({})", volumes.join("; ")))
}

/// What is regressed out beside slow drifts.
fn regressors(preparation: &Preparation) -> Vec<String> {
    let nuisance = &preparation.nuisance;
    let mut regressors = Vec::new();
    let mut group = |name: &str, expansion: Option<Expansion>| {
        let with = match expansion {
            None => return,
            Some(Expansion::Basic) => "",
            Some(Expansion::Derivatives) => " with derivatives",
            Some(Expansion::Power2) => " with squares",
            Some(Expansion::Full) => " with derivatives and the squares of both",
        };
        regressors.push(format!("{name}{with}"));
    };
    group("six motion parameters", nuisance.motion);
    group("the mean signals of white matter and cerebrospinal fluid", nuisance.wm_csf);
    group("the global signal", nuisance.global_signal);
    if let Some(compcor) = &nuisance.compcor {
        let most = compcor.n.map_or("all kept components".to_owned(), |n| format!("the first {n} components"));
        regressors.push(format!("{most} of CompCor (Behzadi et al. 2007; {})", compcor.method));
    }
    if nuisance.fmriprep_cosines {
        regressors.push("fMRIPrep's cosines".to_owned());
    }
    if !preparation.confounds.is_empty() {
        regressors.push(format!("the confounds {}", preparation.confounds.join(", ")));
    }
    regressors
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
        Patterns::Units(_) => "Patterns: every unit is a time course of its own.".to_owned(),
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
    let held_out = match design.encoding.folds() {
        None => String::new(),
        Some((Folds::Runs, _)) => "leaving one training run out".to_owned(),
        Some((Folds::Blocks(blocks), _)) => {
            format!("over {} contiguous blocks with gaps of {} s", blocks.n, blocks.gap_s)
        }
        Some((Folds::Shuffled(shuffled), _)) => format!(
            "over {} parts of shuffled volumes, whose neighbours were fitted: penalties are chosen by inflated scores",
            shuffled.n
        ),
    };
    let chosen = |score: CvScore| {
        let score = match score {
            CvScore::R2 => "R2",
            CvScore::Pearson => "Pearson's r",
        };
        format!("by cross-validation ({held_out}, compared by {score})")
    };
    let (train, test) = (names(false), names(true));
    let fit = match &design.encoding {
        Encoding::Ridge(ridge) => format!(
            "ridge regression on runs {train}, its penalty chosen among {} values {}",
            ridge.alphas.len(),
            chosen(ridge.score)
        ),
        Encoding::Banded(banded) => format!(
            "banded ridge regression (Dupre la Tour et al. 2022) on runs {train}, the units of each {} a band; {} weights of the bands and {} penalties were \
             compared {}; R2 on test runs is split among bands so that their shares add up to it",
            match banded.bands {
                Bands::Modules => "module",
                Bands::Layers => "layer",
            },
            banded.n_candidates,
            banded.alphas.len(),
            chosen(banded.score)
        ),
        Encoding::Lasso(lasso) => format!(
            "lasso regression (Tibshirani 1996) on runs {train}, its penalty chosen among {} values {}",
            lasso.n_alphas,
            chosen(lasso.score)
        ),
        Encoding::Ols(ols) => format!(
            "least squares on the patterns on runs {train}; t values {}",
            match ols.noise {
                Noise::White => "take noise to be independent from volume to volume",
                Noise::Ar1 => "follow from series whitened by each voxel's own lag-1 autocorrelation within runs",
            }
        ),
    };
    format!("Encoding: {fit}; scores are Pearson's r on runs {test}, which no fit has seen.")
}
