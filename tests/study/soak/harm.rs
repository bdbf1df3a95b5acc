//! What befalls the files of a cache: flipped bits, lost ends, files that are emptied, grow or go away.

use super::draft::Dice;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What was done to a file or folder of the cache.
pub(super) struct Harm {
    pub(super) told: String,
    /// Bytes that may be set aside for it: those of the whole artifact or record.
    pub(super) size_bytes: u64,
}

/// Every file below a folder, sorted; of what goes away meanwhile, as much as was seen.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().flatten();
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Bytes of all files below a folder.
pub(super) fn weight(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

/// The folder of the artifact that a file lies in.
fn artifact_of<'a>(cache: &Path, file: &'a Path) -> Option<&'a Path> {
    let artifacts = cache.join("artifacts");
    file.ancestors().find(|folder| folder.parent().and_then(Path::parent) == Some(&artifacts))
}

/// Those of some files that were written last: what a run that goes on is about to read.
fn youngest(mut listed: Vec<PathBuf>) -> Vec<PathBuf> {
    listed
        .sort_by_cached_key(|path| std::cmp::Reverse(fs::metadata(path).and_then(|metadata| metadata.modified()).ok()));
    listed.truncate(12);
    listed
}

/// Harms something at random, if there is anything: with `fresh`, an artifact that was published last. What a run takes away
/// meanwhile is left alone.
pub(super) fn harm(cache: &Path, fresh: bool, dice: &mut Dice) -> Option<Harm> {
    let part = dice.weighed(&[(65, "artifacts"), (20, "records"), (5, "families"), (5, "studies"), (5, "")]);
    let part = if fresh { "artifacts" } else { part };
    let listed = match part {
        "" => [cache.join("times.json")].into_iter().chain(files(&cache.join("runs"))).collect(),
        part => files(&cache.join(part)),
    };
    // Who runs holds the lock of a log, which is nobody else's to touch.
    let listed: Vec<_> = listed.into_iter().filter(|path| path.extension().is_none_or(|end| end != "lock")).collect();
    let listed = if fresh { youngest(listed) } else { listed };
    let file = (!listed.is_empty()).then(|| dice.pick(&listed).clone())?;
    let whole = artifact_of(cache, &file).unwrap_or(&file).to_owned();
    let size_bytes = weight(&whole).max(fs::metadata(&file).map_or(0, |metadata| metadata.len()));
    let inside = file.strip_prefix(cache).expect("listed below it").display().to_string();
    let (kind, bit, end) = (dice.below(7), dice.below(8), dice.below(1 << 30));
    let in_place = dice.chance(50);
    let done = (|| {
        let mut bytes = fs::read(&file)?;
        let what = match kind {
            0 | 1 if !bytes.is_empty() => {
                let at = end % bytes.len();
                bytes[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} flipped")
            }
            2 if bytes.len() > 1 => {
                bytes.truncate(end % (bytes.len() - 1) + 1);
                format!("cut to {} bytes", bytes.len())
            }
            3 => {
                bytes.extend([bit as u8; 5]);
                "five bytes added".to_owned()
            }
            4 => {
                bytes.clear();
                "emptied".to_owned()
            }
            5 => {
                fs::remove_file(&file)?;
                return Ok("removed".to_owned());
            }
            _ if whole != file => {
                fs::remove_dir_all(&whole)?;
                return Ok("gone with its whole artifact".to_owned());
            }
            _ => {
                fs::remove_file(&file)?;
                return Ok("removed".to_owned());
            }
        };
        if in_place {
            // As a failing disk does it: the file stays the file that it was.
            let mut permissions = fs::metadata(&file)?.permissions();
            #[expect(clippy::permissions_set_readonly_false, reason = "the folder is this test's alone")]
            permissions.set_readonly(false);
            fs::set_permissions(&file, permissions)?;
            fs::write(&file, bytes)?;
        } else {
            fs::remove_file(&file)?;
            fs::write(&file, bytes)?;
        }
        Ok::<_, io::Error>(format!("{what}{}", if in_place { " in place" } else { "" }))
    })();
    Some(Harm { told: format!("`{inside}`: {}", done.ok()?), size_bytes })
}
