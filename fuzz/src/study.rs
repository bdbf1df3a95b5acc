//! Any bytes taken for a study, and for one that it includes: mistakes that can be shown, or a study that can be planned.
//!
//! Nothing outside its own folder may be read: the study has no one's word.

use std::fs;

use hebb::{
    model::ModelError,
    plan::plan_study,
    spec::{SpecError, Surroundings, read_fields, read_study_with},
    stimulus::video,
    store::FileDigests,
};

use super::scratch::{self, parts};

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let folder = scratch::folder();
    let path = folder.path().join("study.toml");
    let [study, base] = parts(bytes);
    fs::write(&path, study).expect("writable");
    fs::write(folder.path().join("base.toml"), base).expect("writable");
    drop(read_fields(&path));
    let nowhere = folder.path().join("nowhere");
    let surroundings = Surroundings {
        find_model: &|_| Err(ModelError::NoWeights { folder: nowhere.clone() }),
        find_ffmpeg: &|| video::find_ffmpeg(|_| None),
        may: &|_| false,
    };
    let study = match read_study_with(&path, &surroundings) {
        Ok(study) => study,
        Err(SpecError::Wrong(wrong)) => {
            assert!(!wrong.diagnostics().is_empty());
            assert!(!wrong.render(false).is_empty() && !wrong.render(true).is_empty());
            assert_eq!(wrong.located().count(), wrong.diagnostics().len());
            return;
        }
        Err(other) => {
            assert!(!other.to_string().is_empty());
            return;
        }
    };
    // Planning is as large as what was asked for; studies of a few cells and subjects show all there is.
    if study.cells.len() > 4 {
        return;
    }
    let digests = FileDigests::open(folder.path(), true);
    if let Ok(plan) = plan_study(&study, &digests, "1.0.0") {
        assert!(plan.places().count() > 0);
    }
}
