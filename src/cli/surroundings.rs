//! What a study leans on beside its files: models by name, and the programs that read films.
//!
//! The environment says where they are; a model that is being fetched is shown.

use super::{Shared, say, trust::Trust, words::size};
use crate::{
    model::{
        ModelError,
        hub::{HubModel, HubSettings, fetch_model},
    },
    spec::{Demand, SpecError, Study, Surroundings, read_study_with},
    stimulus::video::find_ffmpeg,
};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    env,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Reads a study in its surroundings.
pub(super) fn read(study: &Path, may_fetch: bool, shared: &Shared) -> Result<Study, SpecError> {
    let find_model = finder(may_fetch);
    let find_ffmpeg = || find_ffmpeg(|name| env::var_os(name));
    let trust = Trust::of(study, shared.trust);
    let may = |demand: &Demand| trust.allows(demand);
    let read = read_study_with(study, &Surroundings { find_model: &find_model, find_ffmpeg: &find_ffmpeg, may: &may });
    trust.keep();
    read
}

/// What gives the folder of a model that a study names: from the hub's cache, and from the network if that is allowed.
pub(super) fn finder(may_fetch: bool) -> impl Fn(&HubModel) -> Result<PathBuf, ModelError> + Sync {
    let mut settings = HubSettings::from_environment(|name| env::var_os(name));
    settings.offline |= !may_fetch;
    move |model| find(model, &settings)
}

fn find(model: &HubModel, settings: &HubSettings) -> Result<PathBuf, ModelError> {
    let style = ProgressStyle::with_template("{msg:.bold} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .expect("the template is a constant");
    let shown: Mutex<Option<(String, ProgressBar)>> = Mutex::new(None);
    let found = fetch_model(model, settings, &mut |progress| {
        let mut shown = shown.lock().expect("no holder panics");
        if shown.as_ref().is_none_or(|(file, _)| file != progress.file) {
            let bar = ProgressBar::new(progress.total_bytes).with_style(style.clone());
            bar.set_message(progress.file.to_owned());
            if bar.is_hidden() {
                say(format_args!("fetching {} of {model} ({})", progress.file, size(progress.total_bytes)));
            }
            *shown = Some((progress.file.to_owned(), bar));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_position(progress.done_bytes);
        }
    });
    if let Some((_, bar)) = shown.into_inner().expect("no holder panics") {
        bar.finish_and_clear();
    }
    let found = found?;
    if !found.unasked.is_empty() && !settings.offline {
        say(format_args!("warning: the hub could not be asked for {} of {model}", found.unasked.join(", ")));
    }
    Ok(found.folder)
}
