//! Which runs of a dataset are meant.

use std::path::PathBuf;

use super::Entities;
use crate::format::runs::SeriesKind;
use crate::format::runs::naming::{bare, same_label};

/// Which runs to look for; every label may be written with or without its key, as `ses-a` or `a`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Subject.
    pub subject: String,
    /// Session (`ses`); all sessions if absent.
    pub session: Option<String>,
    /// Task; all tasks if absent.
    pub task: Option<String>,
    /// Acquisition (`acq`); all of them if absent.
    pub acquisition: Option<String>,
    /// Phase-encoding direction (`dir`); all of them if absent.
    pub direction: Option<String>,
    /// A single echo of a multi-echo series; their combination if absent.
    pub echo: Option<String>,
    /// Space; may be absent where there is only one.
    pub space: Option<String>,
    /// Resolution (`res`); may be absent where there is only one.
    pub resolution: Option<String>,
    /// Density of surfaces (`den`); may be absent where there is only one.
    pub density: Option<String>,
    /// Description of the series (`desc`): `preproc` if absent, and for grayordinates also none.
    pub desc: Option<String>,
    /// Volumes or grayordinates; may be absent where there is only one.
    pub kind: Option<SeriesKind>,
    /// Runs that matter, as [`RunFiles::matches`] understands them; all if empty. What is wrong with others is not told.
    ///
    /// [`RunFiles::matches`]: crate::format::runs::RunFiles::matches
    pub runs: Vec<String>,
    /// The raw dataset, where events and sidecars may lie.
    pub raw_root: Option<PathBuf>,
}

/// The field of a query for each entity it may fix, by the entity's key.
pub(super) const FIELDS: [(&str, &str); 9] = [
    ("ses", "session"),
    ("task", "task"),
    ("acq", "acquisition"),
    ("dir", "direction"),
    ("echo", "echo"),
    ("space", "space"),
    ("res", "resolution"),
    ("den", "density"),
    ("desc", "desc"),
];

/// What fMRIPrep calls its preprocessed series.
const PREPROCESSED: &str = "preproc";

impl RunQuery {
    /// What the query asks for an entity, without the key.
    fn wanted(&self, key: &str) -> Option<&str> {
        let field = match key {
            "ses" => &self.session,
            "task" => &self.task,
            "acq" => &self.acquisition,
            "dir" => &self.direction,
            "echo" => &self.echo,
            "space" => &self.space,
            "res" => &self.resolution,
            "den" => &self.density,
            "desc" => &self.desc,
            _ => &None,
        };
        field.as_deref().map(|value| bare(key, value))
    }

    /// The query for a message.
    pub(super) fn in_words(&self) -> String {
        let mut words = format!("subject `{}`", self.subject);
        for (key, field) in FIELDS {
            if let Some(value) = self.wanted(key) {
                words.push_str(&format!(", {field} `{value}`"));
            }
        }
        if let Some(kind) = self.kind {
            words.push_str(&format!(", series `{kind}`"));
        }
        words
    }

    /// Whether a session folder may hold runs of the query.
    pub(super) fn accepts_session(&self, folder: &str) -> bool {
        self.wanted("ses").is_none_or(|session| same_label(session, bare("ses", folder)))
    }

    /// Whether a series with these entities is of the query; `kind` is what its extension says.
    pub(super) fn accepts(&self, entities: &Entities, kind: SeriesKind) -> bool {
        let fits = |key: &str| {
            let Some(wanted) = self.wanted(key) else { return true };
            // Numbers may have leading zeros, spaces and descriptions are words.
            entities.get(key).is_some_and(|found| same_label(found, wanted))
        };
        let described = match (&self.desc, entities.get("desc")) {
            (Some(_), _) => true,
            (None, None) => kind == SeriesKind::Grayordinates,
            (None, Some(found)) => found == PREPROCESSED,
        };
        described && self.kind.is_none_or(|wanted| wanted == kind) && FIELDS.iter().all(|(key, _)| fits(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_narrows_the_search() {
        let name = "sub-01_ses-a_task-movie_acq-mb4_dir-AP_run-01_echo-2_space-fsLR_res-2_den-91k_desc-x_bold.nii";
        let entities = Entities::parse(name).unwrap();
        let text = |value: &str| Some(value.to_owned());
        type Field = fn(&mut RunQuery) -> &mut Option<String>;
        let set: [(Field, &str); 9] = [
            (|query| &mut query.session, "a"),
            (|query| &mut query.task, "task-movie"),
            (|query| &mut query.acquisition, "acq-mb4"),
            (|query| &mut query.direction, "AP"),
            (|query| &mut query.echo, "02"),
            (|query| &mut query.space, "fsLR"),
            (|query| &mut query.resolution, "res-2"),
            (|query| &mut query.density, "91k"),
            (|query| &mut query.desc, "desc-x"),
        ];
        for (field, right) in set {
            let mut query = RunQuery { desc: text("x"), ..RunQuery::default() };
            *field(&mut query) = text(right);
            assert!(query.accepts(&entities, SeriesKind::Volume), "{right}");
            *field(&mut query) = text("other");
            assert!(!query.accepts(&entities, SeriesKind::Volume), "{right}");
            assert!(query.in_words().contains("`other`"));
        }
    }

    #[test]
    fn only_grayordinates_need_no_description() {
        let accepts = |name: &str, kind| RunQuery::default().accepts(&Entities::parse(name).unwrap(), kind);
        assert!(accepts("sub-01_desc-preproc_bold.nii", SeriesKind::Volume));
        assert!(!accepts("sub-01_bold.nii", SeriesKind::Volume));
        assert!(accepts("sub-01_space-fsLR_bold.dtseries.nii", SeriesKind::Grayordinates));
        assert!(!accepts("sub-01_desc-denoised_bold.dtseries.nii", SeriesKind::Grayordinates));
        let volumes = RunQuery { kind: Some(SeriesKind::Volume), ..RunQuery::default() };
        let grayordinates = Entities::parse("sub-01_space-fsLR_bold.dtseries.nii").unwrap();
        assert!(!volumes.accepts(&grayordinates, SeriesKind::Grayordinates));
    }
}
