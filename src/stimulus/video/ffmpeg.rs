//! Where `ffmpeg` and `ffprobe` are, and what is always asked of them.
//!
//! Both read local files alone, and of those only containers: a playlist named like a film would else make them open
//! whatever it lists. The environment is looked at through a function, so that only the caller knows it.

use super::VideoError;
use serde::{Deserialize, Serialize};
use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The environment variable that names the folder of the programs.
pub const FFMPEG_VARIABLE: &str = "HEBB_FFMPEG";

/// The containers that are opened, by ffmpeg's names for them.
const CONTAINERS: &str =
    "mov,matroska,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,nut,mxf,ivf,h264,hevc,yuv4mpegpipe,gif,dv,rm";

/// The programs that read videos.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ffmpeg {
    /// Decodes.
    pub ffmpeg: PathBuf,
    /// Reads headers.
    pub ffprobe: PathBuf,
}

/// Finds `ffmpeg` and `ffprobe`: in the folder that `HEBB_FFMPEG` names (or beside the program that it names), else along
/// `PATH`. `lookup` tells the value of an environment variable.
///
/// # Errors
/// If one of them is nowhere; every folder looked at is named.
pub fn find_ffmpeg(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Ffmpeg, VideoError> {
    let folders: Vec<PathBuf> = match lookup(FFMPEG_VARIABLE).filter(|named| !named.is_empty()).map(PathBuf::from) {
        // What the user names is taken as it is: another version from `PATH` would hide the mistake.
        Some(named) if named.is_file() => vec![named.parent().map_or_else(PathBuf::new, Path::to_owned)],
        Some(named) => vec![named],
        None => lookup("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default(),
    };
    let find = |program: &'static str| {
        let name = format!("{program}{}", env::consts::EXE_SUFFIX);
        let found = folders.iter().map(|folder| folder.join(&name)).find(|file| file.is_file());
        found.ok_or_else(|| VideoError::NotInstalled { program, looked_in: folders.clone() })
    };
    Ok(Ffmpeg { ffmpeg: find("ffmpeg")?, ffprobe: find("ffprobe")? })
}

impl Ffmpeg {
    /// The version that ffmpeg gives itself.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn version(&self) -> Result<String, VideoError> {
        let failed = |source| VideoError::Start { program: self.ffmpeg.clone(), source };
        let output = Command::new(&self.ffmpeg).arg("-version").stdin(Stdio::null()).output().map_err(failed)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.split_whitespace().nth(2).unwrap_or("of no known version").to_owned())
    }
}

/// A program that is about to open a video: quiet in the terminal, deaf to it, and confined to local containers.
pub(super) fn command(program: &Path, before: &[&str], video: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.arg("-hide_banner").args(before);
    command.args(["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]);
    // The prefix keeps a name that begins with `-` or holds a `:` from being taken for something else.
    let mut name = OsString::from("file:");
    name.push(video);
    command.arg("-i").arg(name);
    command
}

/// The last lines of what a program wrote, without the addresses that change from run to run.
pub(super) fn last_lines(lines: &[String]) -> String {
    let kept = &lines[lines.len().saturating_sub(3)..];
    if kept.is_empty() { "none".to_owned() } else { kept.join("; ") }
}

/// Text of a line, without a leading `[part @ 0x…]`.
pub(super) fn without_address(line: &str) -> &str {
    let rest = line.strip_prefix('[').and_then(|line| line.split_once("] "));
    rest.map_or(line, |(part, rest)| if part.contains(" @ 0x") { rest } else { line }).trim()
}

/// How a process ended.
pub(super) fn ended(status: std::process::ExitStatus) -> String {
    status.code().map_or_else(|| "killed by a signal".to_owned(), |code| format!("exit code {code}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn programs_are_found_along_the_path_or_where_the_user_says() {
        let folder = tempfile::tempdir().unwrap();
        let (far, near) = (folder.path().join("far"), folder.path().join("near"));
        for place in [&far, &near] {
            fs::create_dir(place).unwrap();
            for program in ["ffmpeg", "ffprobe"] {
                fs::write(place.join(format!("{program}{}", env::consts::EXE_SUFFIX)), "").unwrap();
            }
        }
        let path = env::join_paths([folder.path(), &near, &far]).unwrap();
        let along = |name: &str| (name == "PATH").then(|| path.clone());
        assert_eq!(find_ffmpeg(along).unwrap().ffmpeg.parent(), Some(near.as_path()));
        for named in [far.clone(), far.join(format!("ffmpeg{}", env::consts::EXE_SUFFIX))] {
            let said = |name: &str| if name == FFMPEG_VARIABLE { Some(named.clone().into()) } else { along(name) };
            assert_eq!(find_ffmpeg(said).unwrap().ffprobe.parent(), Some(far.as_path()));
        }
    }

    #[test]
    fn what_is_missing_is_told_with_where_it_was_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().to_owned();
        let message = find_ffmpeg(|name| (name == "PATH").then(|| at.clone().into())).unwrap_err().to_string();
        assert!(message.starts_with("`ffmpeg` was not found; looked in `"), "{message}");
        assert!(message.contains(&at.display().to_string()) && message.contains("apt install ffmpeg"), "{message}");
        let nowhere = find_ffmpeg(|_| None).unwrap_err().to_string();
        assert!(nowhere.contains("no folder, as `PATH` is empty"), "{nowhere}");
    }

    #[test]
    fn addresses_are_left_out_of_messages() {
        assert_eq!(without_address("[mov,mp4 @ 0x55d0] moov atom not found"), "moov atom not found");
        assert_eq!(without_address("[a] b"), "[a] b");
        assert_eq!(last_lines(&["a", "b", "c", "d"].map(String::from)), "b; c; d");
    }
}
