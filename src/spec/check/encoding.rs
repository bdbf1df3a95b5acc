//! The encoding, the patterns and the delays: numbers that are fine on their own and impossible together.

use super::Check;
use crate::{
    math::{
        folds::blocks,
        series::{Hrf, delays_in_repetition_times},
    },
    spec::{
        document::FieldPath,
        study::{Model, Run},
        written::{Bands, Blocks, Encoding, Features, Folds, Patterns, Rearranged, Shuffled, Significance, Time},
    },
};
use std::ops::Range;

impl Check<'_, '_> {
    /// What an encoding says is possible before any file is opened.
    pub(super) fn encoding(&mut self, encoding: &Encoding, n_train: usize) {
        let table = FieldPath::of("encoding").key(encoding.name());
        self.ascending(&table.key("alphas"), encoding.alphas());
        if let Some((folds, allow_shuffled)) = encoding.folds() {
            if folds == Folds::Runs && n_train < 2 {
                let path = FieldPath::of("runs.train");
                let hint =
                    format!("name more training runs, or set `folds = {{ blocks = {{ n = 5 }} }}` in `[{table}]`");
                self.wrong_with_hint(
                    &path,
                    "one training run cannot be held out in turn",
                    "expected at least two",
                    hint,
                );
            }
            if matches!(folds, Folds::Shuffled(_)) && !allow_shuffled {
                let path = table.key("folds");
                let hint = "hold out `\"runs\"` or `{ blocks = { n = 5 } }`; if volumes really are exchangeable, set `allow_shuffled = true` beside it";
                self.wrong_with_hint(
                    &path,
                    format!(
                        "`{path}` holds out single volumes, whose neighbours would be fitted: scores would be inflated"
                    ),
                    "leaks in time series",
                    hint,
                );
            }
        }
        let features = encoding.features();
        for (index, entry) in features.iter().enumerate() {
            if features[..index].contains(entry) {
                let path = table.key("features").index(index);
                self.wrong(&path, format!("`{path}` names what was named before"), "keep one of them");
            }
        }
        if let Encoding::Banded(banded) = encoding {
            for (index, concentration) in banded.concentrations.iter().enumerate() {
                if *concentration <= 0.0 {
                    let path = table.key("concentrations").index(index);
                    let message = format!("`{path}` is {concentration}, expected more than 0");
                    self.wrong(&path, message, "a concentration is positive");
                }
            }
        }
    }

    /// Penalties are positive and ascend.
    fn ascending(&mut self, list: &FieldPath, alphas: &[f64]) {
        let mut before = 0.0;
        for (index, penalty) in alphas.iter().enumerate() {
            let path = list.index(index);
            if *penalty <= 0.0 {
                self.wrong(&path, format!("`{path}` is {penalty}, expected more than 0"), "a penalty is positive");
            } else if *penalty <= before {
                self.wrong(
                    &path,
                    format!("`{path}` is {penalty}, expected more than the {before} before it"),
                    "write penalties in ascending order",
                );
            }
            before = penalty.max(before);
        }
    }

    /// Numbers that are fine on their own and impossible together.
    pub(super) fn sizes(
        &mut self,
        patterns: &Patterns,
        models: &[Model],
        runs: &[Run],
        encoding: &Encoding,
        trim_start_s: f64,
        repetition_time_s: f64,
    ) {
        let (n_patterns, path) = match patterns {
            Patterns::Dictionary(dictionary) => (dictionary.n_patterns, "patterns.dictionary.n_patterns"),
            Patterns::Pca(components) => (components.n_patterns, "patterns.pca.n_patterns"),
            Patterns::Units(_) => (0, "patterns.units"),
        };
        let cut = (trim_start_s / repetition_time_s).ceil() as usize;
        let n_train: usize = runs.iter().filter(|run| !run.is_test).map(|run| run.n_tr.saturating_sub(cut)).sum();
        if let Some(run) = runs.iter().find(|run| run.n_tr <= cut + 2) {
            let path = FieldPath::of("time.trim_start_s");
            let lasts =
                format!("run `{}` has {} volumes, {} s", run.name, run.n_tr, run.n_tr as f64 * repetition_time_s);
            return match cut {
                0 => self.wrong(&FieldPath::of("runs"), format!("{lasts} in all, expected at least 3"), "too short"),
                _ => self.wrong(&path, format!("`{path}` is {trim_start_s}, but {lasts} in all"), "nothing is left"),
            };
        }
        for model in models {
            let most = model.n_units().min(n_train.saturating_sub(1));
            let has_too_few_units = n_patterns > model.n_units() && model.is_control;
            if n_patterns > most && !has_too_few_units {
                let path = FieldPath::of(path);
                let message = format!(
                    "`{path}` is {n_patterns}, but `{}` has {} units over {n_train} training volumes",
                    model.name,
                    model.n_units()
                );
                self.wrong(&path, message, format!("expected at most {most}"));
            }
        }
        let table = FieldPath::of("encoding").key(encoding.name());
        if let Some(components) = encoding.components().filter(|components| *components >= n_train) {
            let path = table.key("components");
            let message = format!("`{path}` is {components}, but there are {n_train} training volumes");
            self.wrong(&path, message, format!("expected at most {}", n_train.saturating_sub(1)));
        }
        match encoding.folds() {
            Some((Folds::Blocks(Blocks { n, gap_s }), _)) => {
                let gap = (gap_s / repetition_time_s).ceil() as usize;
                let leaves_nothing =
                    |held_out: Range<usize>| held_out.start <= gap && held_out.end.saturating_add(gap) >= n_train;
                if n > n_train || blocks(n_train, n).any(leaves_nothing) {
                    self.wrong(
                        &table.key("folds"),
                        format!(
                            "{n} blocks with gaps of {gap_s} s leave nothing of {n_train} training volumes to fit on"
                        ),
                        "too many, or too wide",
                    );
                }
            }
            Some((Folds::Shuffled(Shuffled { n, .. }), _)) if n > n_train => {
                let message = format!("{n} parts of {n_train} training volumes would be empty");
                self.wrong(&table.key("folds"), message, "too many");
            }
            _ => {}
        }
        if let Encoding::Ols(_) = encoding
            && n_patterns + 1 >= n_train
        {
            let message = format!(
                "{n_patterns} patterns and a constant leave nothing of {n_train} training volumes to measure errors by"
            );
            self.wrong_with_hint(
                &table,
                message,
                "expected fewer patterns",
                "use `[encoding.ridge]`, or fewer patterns",
            );
        }
        if let Encoding::Banded(banded) = encoding {
            self.bands(models, &banded.bands, &table.key("bands"));
        }
    }

    /// The test series is long enough to be rearranged as significance asks for.
    pub(super) fn rearrangements(
        &mut self,
        significance: Option<&Significance>,
        runs: &[Run],
        trim_start_s: f64,
        repetition_time_s: f64,
    ) {
        let Some(Significance { method, block_s, .. }) = significance else { return };
        let volumes = |seconds: f64| (seconds / repetition_time_s).ceil() as usize;
        let cut = volumes(trim_start_s);
        let n_test: usize = runs.iter().filter(|run| run.is_test).map(|run| run.n_tr.saturating_sub(cut)).sum();
        let block = volumes(*block_s).max(1);
        let (needed, what) = match method {
            Rearranged::Blocks => (block.saturating_add(1), "two blocks of which"),
            Rearranged::CircularShift => (block.saturating_mul(2), "circular shifts of at least which"),
        };
        if n_test < needed {
            let path = FieldPath::of("statistics.significance.block_s");
            let lasts_s = n_test as f64 * repetition_time_s;
            let message = format!(
                "`{path}` is {block_s}, {what} need {needed} volumes, but the test runs have {n_test}, {lasts_s} s in all"
            );
            self.wrong_with_hint(&path, message, "too long", "use a smaller one, or more or longer test runs");
        }
    }

    /// Delays in volumes, none if none were asked for or they cannot be.
    pub(super) fn delays(
        &mut self,
        time: &Time,
        encoding: &Encoding,
        runs: &[Run],
        repetition_time_s: f64,
    ) -> Vec<usize> {
        let path = FieldPath::of("time.delays_s");
        if time.delays_s.is_empty() {
            return Vec::new();
        }
        if time.hrf != Hrf::None {
            let hint = "set `hrf = \"none\"`, or leave the delays out";
            let message = format!("`{path}` finds the shape of the response, but `time.hrf` assumes one");
            self.wrong_with_hint(&path, message, "one or the other", hint);
        }
        if encoding.features().contains(&Features::Patterns) {
            let hint = "predict voxels from `\"layers\"` alone, or by `[encoding.banded]`";
            let message = format!("`{path}` delays units, but patterns are learned from units as they are");
            self.wrong_with_hint(&path, message, "not for patterns", hint);
        }
        if encoding.components().is_some() {
            let hint = "leave `components` out, so that units themselves are delayed";
            let message = format!("`{path}` delays units, but layers are predicted from components");
            self.wrong_with_hint(&path, message, "not for components", hint);
        }
        match delays_in_repetition_times(&time.delays_s, repetition_time_s) {
            Err(error) => {
                self.wrong(
                    &path,
                    format!("`{path}` with {repetition_time_s} s from volume to volume: {error}"),
                    "expected others",
                );
                Vec::new()
            }
            Ok(delays) => {
                let longest = delays.iter().copied().max().unwrap_or_default();
                if let Some(run) = runs.iter().find(|run| run.n_tr <= longest) {
                    let message =
                        format!("`{path}` reaches {longest} volumes back, but run `{}` has {}", run.name, run.n_tr);
                    self.wrong(&path, message, "longer than a run");
                }
                delays
            }
        }
    }

    /// Bands are two or more for some model, or there is nothing to weigh.
    fn bands(&mut self, models: &[Model], bands: &Bands, path: &FieldPath) {
        let n_bands = |model: &Model| match bands {
            Bands::Modules => model.modules.len(),
            Bands::Layers => model.modules.iter().map(|units| units.layers().len()).sum(),
        };
        if let Some(model) = models.iter().find(|model| n_bands(model) < 2) {
            self.wrong_with_hint(
                path,
                format!("`{}` has one band only, so there is nothing to weigh", model.name),
                "expected two bands or more",
                "take more modules, or use `\"layers\"` as bands, or `[encoding.ridge]`",
            );
        }
    }
}
