//! Where the hub is, where its files are kept, and who asks. Owns the usual environment variables' meaning; reads no
//! environment itself.

use crate::format::{memory::read_text_within, secret::hidden};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// Bytes of a file with a token.
const MOST_TOKEN_BYTES: u64 = 1 << 16;

/// The hub that is asked if no other is set.
const ENDPOINT: &str = "https://huggingface.co";

/// How to reach a hub, and where its files are kept.
#[derive(Clone)]
pub struct HubSettings {
    /// The address before every path, without a slash at its end.
    pub endpoint: String,
    /// The folder of all repositories' folders.
    pub cache: PathBuf,
    /// Whether nothing may be asked of the network.
    pub offline: bool,
    /// What proves who asks; only the endpoint is told.
    pub token: Option<String>,
    /// The pause before something that failed is tried again; each further one is twice as long.
    pub retry_pause: Duration,
}

impl HubSettings {
    /// The settings that the variables of Python's `huggingface_hub` say: `HF_ENDPOINT`, `HF_HUB_CACHE`, `HF_HOME`,
    /// `HF_HUB_OFFLINE`, `HF_TOKEN` and their older names; a token that was saved by a login counts too.
    pub fn from_environment(lookup: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |names: &[&str]| names.iter().find_map(|name| lookup(name).filter(|value| !value.is_empty()));
        let text = |names: &[&str]| set(names).and_then(|value| value.into_string().ok());
        let is_true = |names: &[&str]| {
            let value = text(names).unwrap_or_default();
            ["1", "on", "yes", "true"].contains(&value.to_lowercase().as_str())
        };
        let folder = |names: &[&str]| set(names).map(PathBuf::from);
        let user = || folder(&["HOME", "USERPROFILE"]).unwrap_or_default();
        let caches = || folder(&["XDG_CACHE_HOME"]).unwrap_or_else(|| user().join(".cache"));
        let home = folder(&["HF_HOME"]).unwrap_or_else(|| caches().join("huggingface"));
        let cache = folder(&["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"]).unwrap_or_else(|| home.join("hub"));
        let saved = || {
            let path = folder(&["HF_TOKEN_PATH"]).unwrap_or_else(|| home.join("token"));
            if is_true(&["HF_HUB_DISABLE_IMPLICIT_TOKEN"]) {
                None
            } else {
                read_text_within(&path, MOST_TOKEN_BYTES).ok()
            }
        };
        let token = text(&["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]).or_else(saved);
        let endpoint = text(&["HF_ENDPOINT"]).unwrap_or_else(|| ENDPOINT.to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache,
            offline: is_true(&["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            retry_pause: Duration::from_millis(500),
        }
    }
}

impl std::fmt::Debug for HubSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A token must not get into a log.
        f.debug_struct("HubSettings")
            .field("endpoint", &hidden(&self.endpoint))
            .field("cache", &self.cache)
            .field("offline", &self.offline)
            .field("has_token", &self.token.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        HubSettings::from_environment(|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| value.into())
        })
    }

    #[test]
    fn folders_are_where_python_looks_for_them() {
        for (variables, expected) in [
            (&[("HOME", "/u")][..], "/u/.cache/huggingface/hub"),
            (&[("HOME", "/u"), ("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub"),
            (&[("HOME", "/u"), ("HF_HOME", "/h")], "/h/hub"),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], "/c"),
            (&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/c")], "/c"),
            (&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "")], "/h/hub"),
        ] {
            assert_eq!(settings(variables).cache, Path::new(expected));
        }
    }

    #[test]
    fn the_hub_is_the_usual_one_unless_another_is_set() {
        assert_eq!(settings(&[]).endpoint, "https://huggingface.co");
        assert_eq!(settings(&[("HF_ENDPOINT", "https://mirror.example/")]).endpoint, "https://mirror.example");
        assert!(settings(&[("HF_HUB_OFFLINE", "1")]).offline);
        assert!(settings(&[("TRANSFORMERS_OFFLINE", "YES")]).offline);
        assert!(!settings(&[("HF_HUB_OFFLINE", "0")]).offline);
    }

    #[test]
    fn a_token_is_the_one_set_or_the_one_saved_and_never_printed() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("token"), "saved\n").unwrap();
        let home = ("HF_HOME", home.path().to_str().unwrap());
        assert_eq!(settings(&[home]).token.as_deref(), Some("saved"));
        assert_eq!(settings(&[home, ("HF_TOKEN", "set")]).token.as_deref(), Some("set"));
        assert_eq!(settings(&[home, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")]).token, None);
        assert!(!format!("{:?}", settings(&[home])).contains("saved"));
    }
}
