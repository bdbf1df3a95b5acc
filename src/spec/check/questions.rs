//! Statistics: whether what a study asks can be asked of its fits, networks, models and subjects.

use super::Check;
use crate::{
    brain::simulate::Simulation,
    format::tsv::Table,
    math::series::Hrf,
    spec::{
        document::FieldPath,
        study::{GroupTests, Model, Run},
        written::{
            Architecture, Bold, CeilingRuns, Encoding, Features, Group, Hierarchy, Patterns, Rest, Simulate,
            Statistics, Time,
        },
    },
};

/// Branches of a model that variance is shared out among, at most: the parts double with each.
const MOST_BRANCHES: usize = 3;

impl Check<'_, '_> {
    /// Every statistic has what it asks about; gives what is known of the group.
    pub(super) fn questions(
        &mut self,
        statistics: &Statistics,
        encoding: &Encoding,
        models: &[Model],
        runs: &[Run],
        subjects: &[&str],
    ) -> Option<GroupTests> {
        self.about_patterns(statistics, encoding);
        if let Some(ceiling) = &statistics.ceiling {
            self.ceiling(ceiling, runs);
        }
        if let Some(architecture) = &statistics.architecture {
            self.architecture(architecture, encoding, models);
        }
        if let Some(hierarchy) = &statistics.hierarchy {
            self.hierarchy(hierarchy, encoding);
        }
        statistics.group.as_ref().and_then(|group| self.group(group, subjects))
    }

    /// Statistics ask about the maps of patterns, so there must be such maps.
    fn about_patterns(&mut self, statistics: &Statistics, encoding: &Encoding) {
        let asked = [
            ("redundancy", statistics.redundancy.is_some()),
            ("ceiling", statistics.ceiling.is_some()),
            ("polarity", statistics.polarity.is_some()),
        ];
        if !encoding.features().contains(&Features::Patterns) {
            for (name, _) in asked.iter().filter(|(_, is_asked)| *is_asked) {
                let path = FieldPath::of("statistics").key(name);
                let hint = "predict voxels from `\"patterns\"` in `[encoding.ridge]`, `[encoding.lasso]` or `[encoding.ols]`, or remove this table";
                self.wrong_with_hint(
                    &path,
                    format!("`{path}` asks about patterns, from which no voxel is predicted"),
                    "nothing to ask about",
                    hint,
                );
            }
        }
    }

    /// Runs that repeat one another are test runs of one length.
    fn ceiling(&mut self, ceiling: &CeilingRuns, runs: &[Run]) {
        let list = FieldPath::of("statistics.ceiling.repeats");
        let mut first: Option<&Run> = None;
        for (index, name) in ceiling.repeats.iter().enumerate() {
            let path = list.index(index);
            if ceiling.repeats[..index].contains(name) {
                self.wrong(&path, format!("`{path}` names run `{name}` again"), "named before");
                continue;
            }
            let Some(run) = runs.iter().find(|run| run.is_test && run.name == *name) else {
                let known: Vec<&str> = runs.iter().filter(|run| run.is_test).map(|run| run.name.as_str()).collect();
                let message = format!("`{path}` is `{name}`, expected a test run: {}", known.join(", "));
                self.wrong(&path, message, "not a test run");
                continue;
            };
            match first {
                Some(first) if first.n_tr != run.n_tr => {
                    let message = format!("run `{name}` has {} volumes, `{}` has {}", run.n_tr, first.name, first.n_tr);
                    self.wrong(&path, message, "repeats are of one length");
                }
                Some(_) => {}
                None => first = Some(run),
            }
        }
    }

    /// Branches are few, fitted by ridge regression, and models that are compared are known.
    fn architecture(&mut self, architecture: &Architecture, encoding: &Encoding, models: &[Model]) {
        let path = FieldPath::of("statistics.architecture");
        if !matches!(encoding, Encoding::Ridge(_)) {
            let hint = "use `[encoding.ridge]`, or remove this table; `[encoding.banded]` shares R2 out among bands";
            let message =
                format!("`{path}` fits every branch of a model, which `[encoding.{}]` does not do", encoding.name());
            self.wrong_with_hint(&path, message, "for ridge regression", hint);
        }
        for model in models {
            let n_branches = model.branches().len();
            if n_branches > MOST_BRANCHES {
                let message = format!("`{}` has {n_branches} branches, expected at most {MOST_BRANCHES}", model.name);
                self.wrong_with_hint(&path, message, "too many parts", "name fewer `modules` of the model");
            }
        }
        let known: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
        for (row, pair) in architecture.compare.iter().flatten().enumerate() {
            for (place, name) in pair.iter().enumerate() {
                let path = path.key("compare").index(row).index(place);
                if !known.contains(&name.as_str()) {
                    let message = format!("`{path}` is `{name}`, expected a model: {}", known.join(", "));
                    self.wrong(&path, message, "not a model");
                }
            }
            if let [one, other] = pair.as_slice()
                && one == other
            {
                let path = path.key("compare").index(row);
                self.wrong(&path, format!("`{path}` compares `{one}` with itself"), "expected two models");
            }
        }
    }

    /// There are layers to order, and each network stands in the order once.
    fn hierarchy(&mut self, hierarchy: &Hierarchy, encoding: &Encoding) {
        let path = FieldPath::of("statistics.hierarchy");
        if !encoding.features().contains(&Features::Layers) {
            let message =
                format!("`{path}` asks which layer predicts which network, but voxels are not predicted from layers");
            let hint =
                format!("add `\"layers\"` to `features` in `[encoding.{}]`, or remove this table", encoding.name());
            self.wrong_with_hint(&path, message, "nothing to ask about", hint);
        }
        for (index, name) in hierarchy.order.iter().enumerate() {
            if hierarchy.order[..index].contains(name) {
                let path = path.key("order").index(index);
                self.wrong(&path, format!("`{path}` names `{name}` again"), "named before");
            }
        }
    }

    /// Voxels that follow patterns follow those that the study learns, so these are learned from series as brains hear them.
    pub(super) fn planted_patterns(&mut self, bold: &Bold, time: &Time, patterns: &Patterns, encoding: &Encoding) {
        let Bold::Simulate(Simulate { brain: Simulation { patterns: Some(_), .. }, .. }) = bold else { return };
        let path = FieldPath::of("bold.simulate.brain.patterns");
        if !encoding.features().contains(&Features::Patterns) || matches!(patterns, Patterns::Units(_)) {
            let message = format!("`{path}` plants patterns, but the study learns none");
            let hint = "predict voxels from `\"patterns\"` of `[patterns.dictionary]` or `[patterns.pca]`, or remove this table";
            self.wrong_with_hint(&path, message, "nothing to plant", hint);
        }
        if time.hrf != Hrf::Glover || time.trim_start_s > 0.0 || time.rest != Rest::Keep {
            let message = format!(
                "`{path}` plants patterns, which have to be learned from whole runs with the response that drives the brain"
            );
            let hint = "set `hrf = \"glover\"` and `rest = \"keep\"` in `[time]`, and no `trim_start_s`";
            self.wrong_with_hint(&path, message, "another response, or cut runs", hint);
        }
    }

    /// Families of all subjects, if relatives are to be kept together.
    fn group(&mut self, group: &Group, subjects: &[&str]) -> Option<GroupTests> {
        let tests = |families| GroupTests { families, n_permutations: group.n_permutations, seed: group.seed };
        let Some(file) = &group.families else { return Some(tests(None)) };
        let path = FieldPath::of("statistics.group.families");
        let place = self.document.folder(&path).join(file);
        match families(&place, &group.family_column, subjects) {
            Ok(families) => Some(tests(Some(families))),
            Err(message) => {
                self.wrong(&path, message, "cannot be used");
                None
            }
        }
    }
}

/// The family of each subject.
fn families(file: &std::path::Path, column: &str, subjects: &[&str]) -> Result<Vec<String>, String> {
    let table = Table::read(file).map_err(|error| error.to_string())?;
    let (id, family) = match (table.require("participant_id"), table.require(column)) {
        (Ok(id), Ok(family)) => (id, family),
        (Err(error), _) | (_, Err(error)) => return Err(error.to_string()),
    };
    let bare = |name: &str| name.strip_prefix("sub-").unwrap_or(name).to_owned();
    let of_subject = |subject: &&str| {
        let row = table.rows().iter().find(|row| bare(&row[id]) == bare(subject));
        let family = row.map(|row| row[family].clone()).filter(|family| family != crate::format::tsv::MISSING);
        family.ok_or_else(|| format!("`{}` has no family for `{subject}` in its column `{column}`", file.display()))
    };
    subjects.iter().map(of_subject).collect()
}
