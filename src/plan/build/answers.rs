//! The tasks that answer: fits, what is asked of each, and the report that gathers everything. What is compared among them is in
//! `comparisons.rs`.

use super::{Build, Inputs, ModelTasks, SubjectTasks};
use crate::{
    plan::methods,
    spec::{
        Model,
        written::{Bands, Blocks, Encoding, Features, Folds, Significance},
    },
    task::{
        ceiling::MeasureCeiling,
        encode::{
            BandedParameters, Encode, EncodeFeatures, LassoParameters, OlsParameters, Regression, RidgeParameters,
        },
        evidence::Permutations,
        hierarchy::MeasureHierarchy,
        maps::labels,
        null::Permute,
        pattern::Method,
        polarity::MeasurePolarity,
        prediction::MeasurePrediction,
        redundancy::MeasureRedundancy,
        report::{Gather, GatheredModel, MAPS_ROLE},
    },
};
use petgraph::graph::NodeIndex;

/// Roles of tasks that write findings.
const HAVE_FINDINGS: [&str; 4] = ["prediction", "redundancy", "polarity", "hierarchy"];

/// A subject seen through a model: what its fits are called, and what they say.
#[derive(Default)]
pub(super) struct Answers {
    /// The fit on patterns or bands.
    pub(super) encode: Option<NodeIndex>,
    /// Everything asked of the fit on patterns, by the role that the report reads it in.
    pub(super) asked: Inputs,
    /// One fit for each layer of each module.
    pub(super) layers: Vec<NodeIndex>,
    /// One fit for each set of branches, single ones first.
    pub(super) branches: Vec<NodeIndex>,
}

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
        let labels = labels(&design.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>());
        // Everything that the group is asked about, subject by subject.
        let mut of_group: Inputs = Vec::new();
        for subject in subjects {
            of_group.push(("voxels", subject.voxels));
            let mut findings = Vec::new();
            let mut of_models = Vec::new();
            for ((model, tasks), patterns) in design.models.iter().zip(models).zip(patterns) {
                let answers = self.answers(subject, model, tasks, *patterns);
                inputs.extend(answers.encode.map(|encode| ("encode", encode)));
                inputs.extend(answers.asked.iter().copied());
                inputs.extend(answers.layers.iter().map(|layer| ("layers", *layer)));
                findings.extend(
                    answers.asked.iter().filter(|(role, _)| HAVE_FINDINGS.contains(role)).map(|(_, task)| *task),
                );
                of_group.extend(answers.encode.map(|encode| ("encode", encode)));
                of_models.push(answers);
            }
            let architecture =
                design.architecture.as_ref().map(|options| self.architecture(options, subject, &of_models, patterns));
            inputs.extend(architecture.map(|task| ("architecture", task)));
            for ((model, label), answers) in design.models.iter().zip(&labels).zip(&of_models) {
                let maps = self.maps(subject, model, label, answers, architecture);
                inputs.extend(maps.map(|maps| (MAPS_ROLE, maps)));
            }
            findings.extend(architecture);
            inputs.extend(self.recovery(subject, &of_models, patterns, architecture).map(|task| ("recovery", task)));
            inputs.extend(findings.iter().map(|task| ("findings", *task)));
            of_group.extend(findings.into_iter().map(|task| ("findings", task)));
        }
        if let Some(options) = &design.group {
            let group = self.group(options, subjects, &of_group);
            inputs.push(("group", group));
            if of_group.iter().any(|(role, _)| *role == "encode") {
                inputs.push((MAPS_ROLE, self.group_maps(subjects, &labels, group)));
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
            repetition_time_s: design.repetition_time_s,
            has_patterns: has(Features::Patterns),
            has_layers: has(Features::Layers),
            has_bands: matches!(design.encoding, Encoding::Banded(_)),
            has_ceiling: design.ceiling.is_some(),
            fdr: design.significance.as_ref().map(|options| options.fdr),
            has_redundancy: design.redundancy.is_some(),
            has_polarity: design.polarity.is_some(),
            has_architecture: design.architecture.is_some(),
            has_hierarchy: design.hierarchy.is_some(),
            has_group: design.group.is_some(),
            methods: methods::paragraphs(design),
            seeds: methods::seeds(design),
            runtime: self.runtime.to_owned(),
            n_grid_voxels: subjects.iter().map(|subject| subject.n_grid_voxels).max().unwrap_or_default(),
        };
        let report = self.plan.add("report", task, &inputs, Vec::new());
        self.plan.end_cell(report);
    }

    /// The fits of a subject and a model, and everything that is asked of them.
    fn answers(
        &mut self,
        subject: &SubjectTasks,
        model: &Model,
        tasks: &ModelTasks,
        patterns: Option<NodeIndex>,
    ) -> Answers {
        let design = self.design;
        let mut answers = Answers::default();
        if let Some(patterns) = patterns {
            let (encode, asked) = self.questions(subject, model, tasks, patterns);
            answers.encode = Some(encode);
            answers.asked = asked;
        }
        if let Encoding::Banded(banded) = &design.encoding {
            answers.encode = Some(self.bands(subject, model, tasks, &banded.bands));
        }
        if design.encoding.features().contains(&Features::Layers) {
            answers.layers = self.layers(subject, model, tasks);
        }
        if design.architecture.is_some() {
            answers.branches = self.branches(subject, model, tasks);
        }
        answers.asked.push(("prediction", self.prediction(subject, model, &answers)));
        if let Some(options) = &design.hierarchy {
            let task = MeasureHierarchy {
                options: options.clone(),
                model: model.name.clone(),
                modules: layers_of(model),
                n_voxels: subject.n_brain_voxels,
            };
            let mut inputs: Inputs = vec![("voxels", subject.voxels)];
            inputs.extend(answers.layers.iter().map(|layer| ("layers", *layer)));
            let id = format!("hierarchy/{}/{}", subject.name, model.name);
            answers.asked.push(("hierarchy", self.plan.add(id, task, &inputs, Vec::new())));
        }
        answers
    }

    /// The fit on patterns and everything that is asked of it.
    fn questions(
        &mut self,
        subject: &SubjectTasks,
        model: &Model,
        tasks: &ModelTasks,
        patterns: NodeIndex,
    ) -> (NodeIndex, Inputs) {
        let design = self.design;
        let n_patterns = self.method(model).n_patterns();
        let (n_units, n_voxels, n_samples) = (model.n_units(), subject.n_brain_voxels, self.n_samples());
        let name = |kind: &str| format!("{kind}/{}/{}", subject.name, model.name);
        let bold: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
        let fit_inputs = [bold.as_slice(), &[("patterns", patterns), ("groups", subject.groups)]].concat();
        let task = self.encode(EncodeFeatures::Patterns, n_patterns, n_voxels);
        let encode = self.plan.add(name("encode") + "/patterns", task, &fit_inputs, Vec::new());
        let fit_inputs = [fit_inputs.as_slice(), &[("encode", encode)]].concat();
        let mut asked = Inputs::new();
        if let Some(options) = &design.significance {
            let task = Permute {
                permutations: self.permutations(options),
                block_tr: self.block_tr(),
                fdr: options.fdr,
                n_train_runs: self.n_train_runs(),
                n_samples,
                n_voxels,
            };
            asked.push(("null", self.plan.add(name("null"), task, &fit_inputs, Vec::new())));
        }
        if let Some(ceiling) = &design.ceiling {
            let place = |name: &String| design.runs.iter().position(|run| run.name == *name);
            let task =
                MeasureCeiling { repeats: ceiling.repeats.iter().filter_map(place).collect(), n_samples, n_voxels };
            let inputs: Inputs = fit_inputs.iter().copied().filter(|(role, _)| *role != "groups").collect();
            asked.push(("ceiling", self.plan.add(name("ceiling"), task, &inputs, Vec::new())));
        }
        let inputs: Inputs = vec![("encode", encode), ("patterns", patterns), ("voxels", subject.voxels)];
        if let Some(mut options) = design.redundancy.clone() {
            if model.phases.is_some() {
                // Silencing units says nothing of time courses that are not theirs.
                options.removed_shares.clear();
            }
            let task = MeasureRedundancy {
                options,
                model: model.name.clone(),
                n_train_runs: self.n_train_runs(),
                n_modules: model.modules.len(),
                has_unique: matches!(design.encoding, Encoding::Ridge(_) | Encoding::Ols(_)),
                n_samples,
                n_patterns,
                n_units,
                n_voxels,
            };
            let mut inputs: Inputs = fit_inputs.iter().copied().filter(|(role, _)| *role != "groups").collect();
            inputs.push(("voxels", subject.voxels));
            inputs.extend(tasks.series.iter().flatten().map(|series| ("series", *series)));
            asked.push(("redundancy", self.plan.add(name("redundancy"), task, &inputs, Vec::new())));
        }
        if let Some(options) = design.polarity.clone() {
            let task = MeasurePolarity { options, model: model.name.clone(), n_patterns, n_units, n_voxels };
            asked.push(("polarity", self.plan.add(name("polarity"), task, &inputs[..2], Vec::new())));
        }
        (encode, asked)
    }

    /// What the fits of a subject and a model predict, network by network.
    fn prediction(&mut self, subject: &SubjectTasks, model: &Model, answers: &Answers) -> NodeIndex {
        let design = self.design;
        let significance = design.significance.as_ref();
        let task = MeasurePrediction {
            model: model.name.clone(),
            has_bands: matches!(design.encoding, Encoding::Banded(_)),
            modules: if answers.layers.is_empty() { Vec::new() } else { layers_of(model) },
            fdr: significance.map(|options| options.fdr),
            n_voxels: subject.n_brain_voxels,
        };
        let mut inputs: Inputs = vec![("voxels", subject.voxels)];
        inputs.extend(answers.encode.map(|encode| ("encode", encode)));
        inputs.extend(answers.asked.iter().copied().filter(|(role, _)| *role == "null"));
        inputs.extend(answers.layers.iter().map(|layer| ("layers", *layer)));
        self.plan.add(format!("prediction/{}/{}", subject.name, model.name), task, &inputs, Vec::new())
    }

    /// One fit for each layer of each module.
    fn layers(&mut self, subject: &SubjectTasks, model: &Model, tasks: &ModelTasks) -> Vec<NodeIndex> {
        let mut fits = Vec::new();
        for (place, units) in model.modules.iter().enumerate() {
            let mut first_unit = 0;
            for (number, n_units) in units.layers() {
                let id = format!("{}/{}/layer-{number:02}", model.name, units.module);
                let mut inputs = self.voxels_of(subject);
                let (features, n_features) = match self.components(n_units) {
                    Some(n_patterns) => {
                        let columns = Some((first_unit, n_units));
                        let method = Method::Pca { n_patterns };
                        let courses = self.time_courses(
                            format!("pattern/{id}"),
                            method,
                            model.phases,
                            model,
                            tasks,
                            &[place],
                            columns,
                        );
                        inputs.push(("patterns", courses));
                        (EncodeFeatures::Components, n_patterns)
                    }
                    None => {
                        inputs.extend(tasks.series.iter().map(|of_run| ("series", of_run[place])));
                        (EncodeFeatures::Layer { first_unit, n_units }, n_units)
                    }
                };
                first_unit += n_units;
                let task = self.encode(features, n_features, subject.n_brain_voxels);
                fits.push(self.plan.add(format!("encode/{}/{id}", subject.name), task, &inputs, Vec::new()));
            }
        }
        fits
    }

    /// One fit for each set of a model's branches, the single ones first; none where there is one branch.
    fn branches(&mut self, subject: &SubjectTasks, model: &Model, tasks: &ModelTasks) -> Vec<NodeIndex> {
        let branches = model.branches();
        if branches.len() < 2 {
            return Vec::new();
        }
        let n_units = |places: &[usize]| places.iter().map(|place| model.modules[*place].n_units()).sum::<usize>();
        let mut fits = Vec::new();
        for members in subsets(branches.len()) {
            let name: Vec<&str> = members.iter().map(|branch| branches[*branch].0.as_str()).collect();
            let mut inputs = self.voxels_of(subject);
            let mut n_features = 0;
            let mut modules = Vec::new();
            for branch in &members {
                let (name, places) = &branches[*branch];
                match self.components(n_units(places)) {
                    Some(n_patterns) => {
                        let id = format!("pattern/{}/branch-{name}", model.name);
                        let method = Method::Pca { n_patterns };
                        let courses = self.time_courses(id, method, model.phases, model, tasks, places, None);
                        inputs.push(("patterns", courses));
                        n_features += n_patterns;
                    }
                    None => {
                        modules.extend(places.iter().copied());
                        n_features += n_units(places);
                    }
                }
            }
            for place in &modules {
                inputs.extend(tasks.series.iter().map(|of_run| ("series", of_run[*place])));
            }
            let features = match modules.len() {
                0 => EncodeFeatures::Components,
                n_modules => EncodeFeatures::Modules { n_modules },
            };
            let task = self.encode(features, n_features, subject.n_brain_voxels);
            let id = format!("encode/{}/{}/branches/{}", subject.name, model.name, name.join("+"));
            fits.push(self.plan.add(id, task, &inputs, Vec::new()));
        }
        fits
    }

    /// Runs and voxels of a subject.
    fn voxels_of(&self, subject: &SubjectTasks) -> Inputs {
        let mut inputs: Inputs = subject.bold.iter().map(|run| ("bold", *run)).collect();
        inputs.push(("groups", subject.groups));
        inputs
    }

    /// Components that stand for so many units, if any do.
    fn components(&self, n_units: usize) -> Option<usize> {
        self.design.encoding.components().map(|components| components.min(n_units))
    }

    fn permutations(&self, options: &Significance) -> Permutations {
        Permutations {
            n_permutations: options.n_permutations,
            method: options.method,
            stop_after: options.stop_after,
            seed: options.seed,
        }
    }

    /// Volumes of a block of test time.
    fn block_tr(&self) -> usize {
        let block_s =
            self.design.significance.as_ref().map_or(Significance::default().block_s, |options| options.block_s);
        self.volumes(block_s).max(1)
    }

    /// The fit on all modules of a model at once, by bands.
    fn bands(&mut self, subject: &SubjectTasks, model: &Model, tasks: &ModelTasks, bands: &Bands) -> NodeIndex {
        let mut inputs = self.voxels_of(subject);
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
            EncodeFeatures::Patterns | EncodeFeatures::Components => Vec::new(),
            EncodeFeatures::Layer { .. } | EncodeFeatures::Modules { .. } | EncodeFeatures::Bands { .. } => {
                self.design.delays_tr.clone()
            }
        };
        // Weights of patterns are kept, so that their test need not be fitted again: it is a task of its own.
        let permutations = match (&features, &self.design.significance) {
            (EncodeFeatures::Patterns, _) | (_, None) => None,
            (_, Some(options)) => Some(self.permutations(options)),
        };
        Encode {
            features,
            n_features: n_features * delays_tr.len().max(1),
            delays_tr,
            regression: self.regression(),
            block_tr: self.block_tr(),
            permutations,
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

/// Each module's layers by number.
pub(super) fn layers_of(model: &Model) -> Vec<(String, Vec<usize>)> {
    model.modules.iter().map(|units| (units.module.to_string(), units.layer_numbers())).collect()
}

/// The non-empty sets of `n` things, smaller ones first.
fn subsets(n: usize) -> Vec<Vec<usize>> {
    let members = |set: u32| (0..n).filter(|member| set & (1 << member) != 0).collect::<Vec<_>>();
    let mut all: Vec<Vec<usize>> = (1..1_u32 << n).map(members).collect();
    all.sort_by_key(|members| (members.len(), members.clone()));
    all
}

#[cfg(test)]
mod tests {
    use super::subsets;

    #[test]
    fn sets_of_branches_begin_with_the_single_ones() {
        assert_eq!(subsets(2), [vec![0], vec![1], vec![0, 1]]);
        let three = subsets(3);
        assert_eq!((three.len(), &three[3], &three[6]), (7, &vec![0, 1], &vec![0, 1, 2]));
    }
}
