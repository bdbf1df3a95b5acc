//! Settings of this machine and its user: where their files lie. What may stand in them is the business of `spec::settings`.

use super::{Shared, error::CliError};
use crate::{
    spec::settings::{Settings, read_settings},
    task::Kind,
};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Settings of the site, unless a variable of the environment names another file.
const SITE: &str = "/etc/hebb/settings.toml";

/// The names of the kinds of task, which settings may speak of.
pub(super) fn kinds() -> [&'static str; Kind::ALL.len()] {
    Kind::ALL.map(Kind::name)
}

/// Settings of the site, the user and the command, the later over the earlier.
///
/// # Errors
/// If the file that the command names is not there, one that is there cannot be read, or with all that is wrong in any.
pub(super) fn settings(shared: &Shared) -> Result<Settings, CliError> {
    if let Some(named) = &shared.settings
        && let Err(error) = fs::metadata(named)
    {
        return Err(CliError::Usage {
            message: format!("cannot read the settings `{}`: {error}", named.display()),
            hint: "`--settings FILE` and `HEBB_SETTINGS` name a file that is there; `hebb doctor` says which others are read"
                .to_owned(),
        });
    }
    Ok(read_settings(&places(shared), &kinds())?)
}

/// The files of settings, the later over the earlier; those of the site and the user need not be there.
pub(super) fn places(shared: &Shared) -> Vec<PathBuf> {
    places_in(|name| env::var_os(name), shared.settings.as_deref())
}

fn places_in(variable: impl Fn(&str) -> Option<OsString>, named: Option<&Path>) -> Vec<PathBuf> {
    let path = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = |name: &str| path(name).filter(|folder| folder.is_absolute());
    let home = || folder("HOME").or_else(|| folder("USERPROFILE"));
    let site = path("HEBB_SITE_SETTINGS").unwrap_or_else(|| SITE.into());
    let own = folder("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")));
    let mut places = vec![site];
    for place in own.map(|own| own.join("hebb/settings.toml")).into_iter().chain(named.map(Path::to_owned)) {
        // Of a file that is named twice the last place counts, since it overrides what stands between.
        places.retain(|before| *before != place);
        places.push(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(variables: &[(&str, &str)], named: Option<&str>) -> Vec<String> {
        let variable = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        let places = places_in(variable, named.map(Path::new));
        places.into_iter().map(|place| place.display().to_string()).collect()
    }

    #[test]
    fn settings_lie_where_systems_place_them() {
        let site = "/etc/hebb/settings.toml";
        assert_eq!(places(&[], None), [site]);
        assert_eq!(places(&[("HOME", "/home/a")], None), [site, "/home/a/.config/hebb/settings.toml"]);
        let both = [("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/c")];
        assert_eq!(places(&both, None), [site, "/c/hebb/settings.toml"]);
        // A folder that depends on where the program runs is none, as the convention has it.
        let relative = [("HOME", "/home/a"), ("XDG_CONFIG_HOME", "c")];
        assert_eq!(places(&relative, None), [site, "/home/a/.config/hebb/settings.toml"]);
    }

    #[test]
    fn the_named_file_comes_last_and_no_file_twice() {
        let variables = [("HEBB_SITE_SETTINGS", "/opt/site.toml"), ("XDG_CONFIG_HOME", "/c")];
        assert_eq!(places(&variables, Some("my.toml")), ["/opt/site.toml", "/c/hebb/settings.toml", "my.toml"]);
        assert_eq!(places(&variables, Some("/opt/site.toml")), ["/c/hebb/settings.toml", "/opt/site.toml"]);
    }
}
