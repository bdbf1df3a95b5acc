//! The tasks that answer: fits, what is asked of them, and the report that gathers everything.

use super::{Build, Inputs, ModelTasks, SubjectTasks};
use crate::{
    plan::methods,
    spec::{
        Model,
        written::{Bands, Blocks, Encoding, Features, Folds},
    },
    task::{
        ceiling::MeasureCeiling,
        encode::{
            BandedParameters, Encode, EncodeFeatures, LassoParameters, OlsParameters, Regression, RidgeParameters,
        },
        null::Permute,
        polarity::MeasurePolarity,
        redundancy::MeasureRedundancy,
        report::{Gather, GatheredModel},
    },
};
use petgraph::graph::NodeIndex;

impl Build<'_, '_> {
    /// Fits and questions of every subject and model, and the report.
    pub(super) fn report(&mut self, models: &[ModelTasks], patterns: &[Option<NodeIndex>], subjects: &[SubjectTasks]) {
        let design = self.design;
        let mut inputs: Inputs = Vec::new();
        for subject in subjects {
            inputs.push(("voxels", subject.voxels));
            inputs.extend(subject.bold.iter().map(|run| ("bold", *run)));
        }
        for (tasks, patterns) in models.iter().zip(patterns) {
            inputs.extend(patterns.iter().map(|patterns| ("patterns", *patterns)));
            inputs.extend(tasks.series.iter().flatten().map(|series| ("series", *series)));
        }
        for subject in subjects {
            for ((model, tasks), patterns) in design.models.iter().zip(models).zip(patterns) {
                if let Some(patterns) = patterns {
                    inputs.extend(self.questions(subject, model, *patterns));
                }
                if let Encoding::Banded(banded) = &design.encoding {
                    inputs.push(("encode", self.bands(subject, model, tasks, &banded.bands)));
                }
                if design.encoding.features().contains(&Features::Layers) {
                    inputs.extend(self.layers(subject, model, tasks));
                }
            }
        }
        let has = |feature| design.encoding.features().contains(&feature);
        let gathered = |model: &Model| GatheredModel {
            name: model.name.clone(),
            modules: model.modules.iter().map(|units| (units.module.to_string(), units.layer_numbers())).collect(),
        };
        let task = Gather {
            subjects: subjects.iter().map(|subject| subject.name.clone()).collect(),
            models: design.models.iter().map(gathered).collect(),
            runs: design.runs.iter().map(|run| (run.name.clone(), run.n_tr)).collect(),
            test_runs: design.runs.iter().filter(|run| run.is_test).map(|run| run.name.clone()).collect(),
            repetition_time_s: design.repetition_time_s,
            has_patterns: has(Features::Patterns),
            has_layers: has(Features::Layers),
            has_bands: matches!(design.encoding, Encoding::Banded(_)),
            has_t_values: matches!(design.encoding, Encoding::Ols(_)),
            has_ceiling: design.ceiling.is_some(),
            fdr: design.significance.as_ref().map(|options| options.fdr),
            has_redundancy: design.redundancy.is_some(),
            has_polarity: design.polarity.is_some(),
            methods: methods::paragraphs(design),
            seeds: methods::seeds(design),
            runtime: self.runtime.to_owned(),
            scale: design.preparation.scale,
            n_patterns: self.method().n_patterns(),
            n_grid_voxels: subjects.iter().map(|subject| subject.n_grid_voxels).max().unwrap_or_default(),
        };
        let report = self.plan.add("report", task, &inputs, Vec::new());
        self.plan.end_cell(report);
    }

    /// The fit on patterns and everything that is asked of it.
    fn questions(&mut self, subject: &SubjectTasks, model: &Model, patterns: NodeIndex) -> Inputs {
        let design = self.design;
        let (n_patterns, n_units, n_voxels) = (self.method().n_patterns(), model.n_units(), subject.n_brain_voxels);
        let name = |kind: &str| format!("{kind}/{}/{}", subject.name, model.name);
        let bold: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
        let fit_inputs = [bold.as_slice(), &[("patterns", patterns)]].concat();
        let task = self.encode(EncodeFeatures::Patterns, n_patterns, n_voxels);
        let encode = self.plan.add(name("encode") + "/patterns", task, &fit_inputs, Vec::new());
        let mut asked = vec![("encode", encode)];
        if let Some(options) = &design.significance {
            let task = Permute {
                n_permutations: options.n_permutations,
                method: options.method,
                block_tr: self.volumes(options.block_s).max(1),
                stop_after: options.stop_after,
                fdr: options.fdr,
                seed: options.seed,
                n_train_runs: self.n_train_runs(),
                n_samples: self.n_samples(),
                n_voxels,
            };
            let inputs = [fit_inputs.as_slice(), &[("encode", encode)]].concat();
            asked.push(("null", self.plan.add(name("null"), task, &inputs, Vec::new())));
        }
        if let Some(ceiling) = &design.ceiling {
            let place = |name: &String| design.runs.iter().position(|run| run.name == *name);
            let task = MeasureCeiling {
                repeats: ceiling.repeats.iter().filter_map(place).collect(),
                n_samples: self.n_samples(),
                n_voxels,
            };
            let inputs = [fit_inputs.as_slice(), &[("encode", encode)]].concat();
            asked.push(("ceiling", self.plan.add(name("ceiling"), task, &inputs, Vec::new())));
        }
        let inputs: Inputs = vec![("encode", encode), ("patterns", patterns), ("voxels", subject.voxels)];
        if let Some(options) = design.redundancy.clone() {
            let task = MeasureRedundancy { options, n_patterns, n_units, n_voxels };
            asked.push(("redundancy", self.plan.add(name("redundancy"), task, &inputs, Vec::new())));
        }
        if let Some(options) = design.polarity.clone() {
            let task = MeasurePolarity { options, n_patterns, n_units, n_voxels };
            asked.push(("polarity", self.plan.add(name("polarity"), task, &inputs[..2], Vec::new())));
        }
        asked
    }

    /// One fit for each layer of each module.
    fn layers(&mut self, subject: &SubjectTasks, model: &Model, tasks: &ModelTasks) -> Inputs {
        let mut fits = Vec::new();
        for (place, units) in model.modules.iter().enumerate() {
            let mut inputs: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
            inputs.extend(tasks.series.iter().map(|of_run| ("series", of_run[place])));
            let mut first_unit = 0;
            for (number, n_units) in units.layers() {
                let features = EncodeFeatures::Layer { first_unit, n_units };
                first_unit += n_units;
                let task = self.encode(features, n_units, subject.n_brain_voxels);
                let id = format!("encode/{}/{}/{}/layer-{number:02}", subject.name, model.name, units.module);
                fits.push(("layers", self.plan.add(id, task, &inputs, Vec::new())));
            }
        }
        fits
    }

    /// The fit on all modules of a model at once, by bands.
    fn bands(&mut self, subject: &SubjectTasks, model: &Model, tasks: &ModelTasks, bands: &Bands) -> NodeIndex {
        let mut inputs: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
        for place in 0..model.modules.len() {
            inputs.extend(tasks.series.iter().map(|of_run| ("series", of_run[place])));
        }
        let mut named = Vec::new();
        for units in &model.modules {
            match bands {
                Bands::Modules => named.push((units.module.to_string(), units.n_units())),
                Bands::Layers => {
                    let of_layer = |(layer, n_units)| (format!("{}/{layer}", units.module), n_units);
                    named.extend(units.layers().into_iter().map(of_layer));
                }
            }
        }
        let features = EncodeFeatures::Bands { n_modules: model.modules.len(), bands: named };
        let task = self.encode(features, model.n_units(), subject.n_brain_voxels);
        let id = format!("encode/{}/{}/bands", subject.name, model.name);
        self.plan.add(id, task, &inputs, Vec::new())
    }

    fn encode(&self, features: EncodeFeatures, n_features: usize, n_voxels: usize) -> Encode {
        let gap_tr = match self.design.encoding.folds() {
            Some((Folds::Blocks(Blocks { gap_s, .. }), _)) => self.volumes(gap_s),
            _ => 0,
        };
        let delays_tr = match features {
            EncodeFeatures::Patterns => Vec::new(),
            EncodeFeatures::Layer { .. } | EncodeFeatures::Bands { .. } => self.design.delays_tr.clone(),
        };
        Encode {
            features,
            n_features: n_features * delays_tr.len().max(1),
            delays_tr,
            regression: self.regression(),
            n_train_runs: self.n_train_runs(),
            gap_tr,
            n_samples: self.n_samples(),
            n_voxels,
        }
    }

    fn regression(&self) -> Regression {
        match &self.design.encoding {
            Encoding::Ridge(ridge) => Regression::Ridge(RidgeParameters {
                alphas: ridge.alphas.clone(),
                alpha: ridge.alpha,
                folds: ridge.folds,
                score: ridge.score,
            }),
            Encoding::Banded(banded) => Regression::Banded(BandedParameters {
                alphas: banded.alphas.clone(),
                n_candidates: banded.n_candidates,
                concentrations: banded.concentrations.clone(),
                seed: banded.seed,
                folds: banded.folds,
                score: banded.score,
            }),
            Encoding::Ols(ols) => Regression::Ols(OlsParameters { noise: ols.noise }),
            Encoding::Lasso(lasso) => Regression::Lasso(LassoParameters {
                n_alphas: lasso.n_alphas,
                smallest_share: lasso.smallest_share,
                folds: lasso.folds,
                score: lasso.score,
            }),
        }
    }
}
