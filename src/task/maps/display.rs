//! Maps at the precision of a screen, for the viewer on the page.
//!
//! Owns what the viewer is given and how much of it: full precision is in `maps/`, and a page must stay light enough to be sent. Every
//! pattern is a file of its own, so that a page takes as many as it has room for, whatever the study's size.

use super::MapList;
use crate::{
    brain::{locations::Locations, mask::VoxelTable},
    format::{
        memory::read_within,
        nifti::{ImageHeader, NiftiError, SampleType, VolumeWriter},
    },
    report::{Measure, Scale, Viewer, ViewerBrain, ViewerFrame, ViewerMap},
    task::{TaskError, Workbench},
};
use serde::{Deserialize, Serialize};
use std::{fs, path::Path};

/// The folder of an artifact that they lie in.
pub(super) const FOLDER: &str = "display";
/// Steps from zero to the end of a map's colours: more than a screen can tell apart.
const STEPS: f32 = 200.0;
/// Bytes that all maps of a page may take before they are written as text.
const PAGE_BYTES: u64 = 9 << 20;
/// Patterns of a model that the viewer may be given.
const MAX_FRAMES: usize = 64;
/// Share of the voxels whose values the colours cover.
const COVERED: f64 = 0.995;

/// A subject's voxels by network.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BrainEntry {
    subject: String,
    networks: Vec<String>,
    file: String,
}

/// A map, or several that are looked at one by one.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct DisplayEntry {
    title: String,
    /// Whose brain it lies on.
    subject: String,
    measure: String,
    scale: Scale,
    /// Where the colours end.
    limit: f64,
    frames: Vec<FrameEntry>,
    /// How many maps the file of full precision has.
    n_frames: usize,
    /// The file of full precision.
    path: String,
}

/// One of several maps.
#[derive(Debug, Serialize, Deserialize)]
struct FrameEntry {
    name: String,
    file: String,
}

/// What a map shows, in words and colours.
pub(super) struct Shown<'a> {
    pub(super) title: String,
    /// Whose brain it lies on.
    pub(super) subject: String,
    pub(super) measure: &'a str,
    pub(super) scale: Scale,
    /// The file of full precision.
    pub(super) path: String,
}

/// Writes the networks of a subject's voxels, numbered from 1; voxels of several take the first. Absent on surfaces.
pub(super) fn brain(
    subject: &str,
    voxels: &VoxelTable,
    bench: &Workbench<'_>,
) -> Result<Option<BrainEntry>, TaskError> {
    let networks: Vec<String> = voxels.networks.iter().map(|network| network.name.clone()).collect();
    let numbers = (0..voxels.n_voxels()).map(|voxel| {
        let first = voxels.membership.of(voxel).first().copied().unwrap_or(networks.len());
        Some((first + 1) as f32)
    });
    let file = format!("{FOLDER}/{subject}_networks.nii.gz");
    let written = write(voxels, bench, &file, SampleType::I16, &numbers.collect::<Vec<_>>())?;
    Ok(written.then(|| BrainEntry { subject: subject.to_owned(), networks, file }))
}

/// Writes one map for the viewer; absent on surfaces.
pub(super) fn display(
    shown: Shown<'_>,
    values: &[Option<f32>],
    voxels: &VoxelTable,
    bench: &Workbench<'_>,
) -> Result<Option<DisplayEntry>, TaskError> {
    display_frames(shown, &[String::new()], voxels, bench, |_| Ok(values.to_vec()))
}

/// Writes the first of several maps for the viewer, all in the colours that suit the first; absent on surfaces, or without any.
pub(super) fn display_frames(
    shown: Shown<'_>,
    names: &[String],
    voxels: &VoxelTable,
    bench: &Workbench<'_>,
    mut values: impl FnMut(usize) -> Result<Vec<Option<f32>>, TaskError>,
) -> Result<Option<DisplayEntry>, TaskError> {
    if names.is_empty() || voxels.locations.grid().is_none() {
        return Ok(None);
    }
    let Shown { title, subject, measure, scale, path } = shown;
    let limit = limit(&values(0)?);
    let stem = path.rsplit('/').next().unwrap_or_default().trim_end_matches(".nii.gz");
    let mut frames = Vec::new();
    for (place, name) in names.iter().take(MAX_FRAMES).enumerate() {
        let file = match names.len() {
            1 => format!("{FOLDER}/{stem}.nii.gz"),
            _ => format!("{FOLDER}/{stem}-{place:03}.nii.gz"),
        };
        write(voxels, bench, &file, SampleType::ScaledI16 { slope: limit / STEPS }, &values(place)?)?;
        frames.push(FrameEntry { name: name.clone(), file });
    }
    let (measure, limit, n_frames) = (measure.to_owned(), f64::from(limit), names.len());
    Ok(Some(DisplayEntry { title, subject, measure, scale, limit, frames, n_frames, path }))
}

/// Where the colours of a map end: at most of the magnitudes, so that a few voxels do not flatten it.
fn limit(values: &[Option<f32>]) -> f32 {
    let mut magnitudes: Vec<f32> =
        values.iter().flatten().map(|value| value.abs()).filter(|value| value.is_finite()).collect();
    magnitudes.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| magnitudes.get((share * magnitudes.len().saturating_sub(1) as f64) as usize).copied();
    [COVERED, 1.0].into_iter().filter_map(at).find(|limit| *limit > 0.0).unwrap_or(1.0)
}

/// Writes values on the grid of the voxels; gives `false` on surfaces.
fn write(
    voxels: &VoxelTable,
    bench: &Workbench<'_>,
    file: &str,
    sample_type: SampleType,
    values: &[Option<f32>],
) -> Result<bool, TaskError> {
    let Locations::Grid { grid, .. } = &voxels.locations else { return Ok(false) };
    let header =
        ImageHeader { shape: grid.shape, n_volumes: None, affine: grid.affine, repetition_time_s: 0.0, sample_type };
    let failed = |error: NiftiError| TaskError::from(error);
    let mut writer = VolumeWriter::create(&bench.out.join(file), &header).map_err(failed)?;
    let mut volume = vec![0.0; grid.n_voxels()];
    for (offset, value) in voxels.offsets().into_iter().zip(values) {
        volume[offset] = value.filter(|value| value.is_finite()).unwrap_or(0.0);
    }
    writer.write_volume(&volume).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(true)
}

/// What of the maps of these artifacts a page has room for: maps by themselves first, then as many patterns of each model as fit.
pub(super) fn viewer(lists: &[(&Path, MapList)]) -> Result<Viewer, TaskError> {
    let size = |artifact: &Path, file: &str| {
        let path = artifact.join(file);
        fs::metadata(&path).map(|facts| facts.len()).map_err(|source| TaskError::Io { path, source })
    };
    let mut entries: Vec<(&Path, &DisplayEntry, Vec<u64>)> = Vec::new();
    for (artifact, list) in lists {
        for entry in &list.display {
            let sizes = entry.frames.iter().map(|frame| size(artifact, &frame.file)).collect::<Result<_, _>>()?;
            entries.push((artifact, entry, sizes));
        }
    }
    let taken = room(&entries.iter().map(|(_, _, sizes)| sizes.as_slice()).collect::<Vec<_>>(), PAGE_BYTES);
    let mut viewer = Viewer { n_left_out: taken.iter().filter(|n| **n == 0).count(), ..Viewer::default() };
    for ((artifact, entry, _), n_taken) in entries.iter().zip(taken).filter(|(_, n_taken)| *n_taken > 0) {
        let known = viewer.brains.iter().position(|brain| brain.subject == entry.subject);
        let brain = match (known, brain_of(lists, &entry.subject)) {
            (Some(known), _) => known,
            (None, Some((artifact, BrainEntry { subject, networks, file }))) => {
                let file = read(artifact, file)?;
                viewer.brains.push(ViewerBrain { subject: subject.clone(), networks: networks.clone(), file });
                viewer.brains.len() - 1
            }
            (None, None) => continue,
        };
        let frames = entry.frames[..n_taken]
            .iter()
            .map(|frame| Ok(ViewerFrame { name: frame.name.clone(), file: read(artifact, &frame.file)? }))
            .collect::<Result<_, TaskError>>()?;
        viewer.maps.push(ViewerMap {
            title: entry.title.clone(),
            brain,
            measure: Measure { name: entry.measure.clone(), scale: entry.scale, least_end: entry.limit },
            frames,
            n_frames: entry.n_frames,
            path: entry.path.clone(),
        });
    }
    Ok(viewer)
}

fn brain_of<'a>(lists: &'a [(&'a Path, MapList)], subject: &str) -> Option<(&'a Path, &'a BrainEntry)> {
    let mut brains = lists.iter().filter_map(|(artifact, list)| Some((*artifact, list.brain.as_ref()?)));
    brains.find(|(_, brain)| brain.subject == subject)
}

fn read(artifact: &Path, file: &str) -> Result<Vec<u8>, TaskError> {
    let path = artifact.join(file);
    read_within(&path, u64::MAX).map_err(|source| TaskError::Io { path, source })
}

/// How many frames of each entry fit, given their sizes: entries of one frame in their order, then equally many of all others.
fn room(entries: &[&[u64]], room_bytes: u64) -> Vec<usize> {
    let mut left = room_bytes;
    let mut taken = vec![0; entries.len()];
    for (taken, sizes) in taken.iter_mut().zip(entries).filter(|(_, sizes)| sizes.len() == 1) {
        if sizes[0] <= left {
            left -= sizes[0];
            *taken = 1;
        }
    }
    for frame in 0..entries.iter().map(|sizes| sizes.len()).max().unwrap_or_default() {
        let of_frame: u64 = entries.iter().filter(|sizes| sizes.len() > 1).filter_map(|sizes| sizes.get(frame)).sum();
        if of_frame > left {
            break;
        }
        left -= of_frame;
        for (taken, _) in taken.iter_mut().zip(entries).filter(|(_, sizes)| sizes.len() > 1 && sizes.len() > frame) {
            *taken = frame + 1;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_takes_single_maps_first_then_equally_many_patterns_and_never_more_than_it_has_room_for() {
        let (one, three, two) = ([10], [5, 5, 5], [7, 7]);
        let entries: [&[u64]; 4] = [&one, &three, &two, &one];
        assert_eq!(room(&entries, 1000), [1, 3, 2, 1]);
        assert_eq!(room(&entries, 32), [1, 1, 1, 1], "20 for single maps, 12 for one pattern of each");
        assert_eq!(room(&entries, 31), [1, 0, 0, 1]);
        assert_eq!(room(&entries, 19), [1, 0, 0, 0]);
        assert_eq!(room(&[], 19), [0_usize; 0]);
    }

    #[test]
    fn colours_end_where_nearly_all_voxels_do_and_never_at_zero() {
        let mut values: Vec<Option<f32>> = (0..1000).map(|at| Some(at as f32 / 1000.0)).collect();
        values.extend([Some(50.0), None, Some(f32::NAN)]);
        assert!((limit(&values) - 0.995).abs() < 0.002);
        assert_eq!(limit(&[Some(0.0), Some(0.0)]), 1.0);
        assert_eq!(limit(&[]), 1.0);
        // A sparse map: nearly everywhere zero.
        let sparse: Vec<Option<f32>> = (0..1000).map(|at| Some(if at == 3 { -2.0 } else { 0.0 })).collect();
        assert_eq!(limit(&sparse), 2.0);
    }
}
