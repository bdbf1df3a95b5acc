//! Score maps over the brain, as axial slices.
//!
//! Owns the shared scale of maps of one measure and the captions. Slices and pixels: `mosaic.rs`.

use maud::{Markup, html};

use super::{nothing, viewer};
use crate::report::colour::Ramp;
use crate::report::legend::legend;
use crate::report::mosaic::{self, Mosaic};
use crate::report::number;
use crate::report::page::{BrainMap, Measure, Page, Scale};

/// Share of the scored voxels that the colour scale covers at least; those beyond take the end's colour.
const COVERED: f64 = 0.995;

/// Draws the section.
pub(in crate::report) fn section(page: &Page) -> Markup {
    let ramps = ramps(&page.brain);
    html! {
        @if page.brain.is_empty() {
            (nothing("The study made no map of scores on a voxel grid."))
        }
        @if !page.viewer.maps.is_empty() && !page.viewer.brains.is_empty() { (viewer::viewer(&page.viewer)) }
        @for map in &page.brain {
            @if let Some((_, ramp)) = ramps.iter().find(|(measure, _)| **measure == map.measure) {
                (figure(map, ramp))
            }
        }
        @if page.n_brain_left_out > 0 {
            p.fine { (number::counted(page.n_brain_left_out, "more map is", "more maps are")) " not drawn here; all are in maps/, and open in the viewer." }
        }
    }
}

/// One ramp for each measure, over all maps of it, so that maps can be compared by eye.
fn ramps(maps: &[BrainMap]) -> Vec<(&Measure, Ramp)> {
    let mut ramps: Vec<(&Measure, Ramp)> = Vec::new();
    for map in maps {
        if ramps.iter().all(|(measure, _)| **measure != map.measure) {
            let alike = maps.iter().filter(|other| other.measure == map.measure);
            let scores = alike.flat_map(|map| map.volume.scores()).map(f64::from);
            let ramp = Ramp::covering_most(map.measure.scale, scores, COVERED).reaching(map.measure.least_end);
            ramps.push((&map.measure, ramp));
        }
    }
    ramps
}

fn figure(map: &BrainMap, ramp: &Ramp) -> Markup {
    let label = format!("Axial slices of {}, {}", map.measure.name, map.title);
    let n_voxels = map.volume.n_voxels();
    let n_scores = map.volume.scores().count();
    html! {
        h3 { (map.title) }
        @match mosaic::draw(&map.volume, ramp, &label) {
            Some(mosaic) => figure {
                (mosaic.figure)
                (legend(&map.measure.name, ramp, n_scores < n_voxels))
                figcaption { (caption(map, &mosaic, n_voxels, n_scores, ramp)) }
            },
            None => (nothing("The mask of this map holds no voxel, so there is nothing to draw.")),
        }
    }
}

fn caption(map: &BrainMap, mosaic: &Mosaic, n_voxels: usize, n_scores: usize, ramp: &Ramp) -> String {
    let mut sentences = Vec::new();
    let (low, high) = mosaic.heights_mm;
    let slices = number::counted(mosaic.n_slices, "axial slice", "axial slices");
    sentences.push(if mosaic.n_slices > 1 {
        format!(
            "{slices} from z = {} to {} mm, {} mm apart.",
            number::fixed(low, 1),
            number::fixed(high, 1),
            number::fixed(mosaic.gap_mm, 1)
        )
    } else {
        format!("{slices} at z = {} mm.", number::fixed(low, 1))
    });
    sentences.push("Neurological orientation: left is left (L, R), the front is at the top.".to_owned());
    sentences.push(format!(
        "{} of {} in the mask have a score.",
        number::count(n_scores),
        number::counted(n_voxels, "voxel", "voxels")
    ));
    let highest = map.volume.scores().fold(f32::NEG_INFINITY, f32::max);
    if highest.is_finite() {
        let lowest = map.volume.scores().fold(f32::INFINITY, f32::min);
        sentences.push(format!(
            "Scores run from {} to {}.",
            number::score(lowest.into()),
            number::score(highest.into())
        ));
    }
    let beyond = |score: &f32| match ramp.scale() {
        Scale::FromZero => f64::from(*score) > ramp.limit(),
        Scale::Signed => f64::from(score.abs()) > ramp.limit(),
    };
    let n_beyond = map.volume.scores().filter(beyond).count();
    if n_beyond > 0 {
        let voxels = number::counted(n_beyond, "voxel beyond the scale takes", "voxels beyond the scale take");
        sentences.push(format!("{voxels} the colour of its end."));
    }
    let n_negative = map.volume.scores().filter(|&score| score < 0.0).count();
    if ramp.scale() == Scale::FromZero && n_negative > 0 {
        let voxels = number::counted(n_negative, "voxel below zero takes", "voxels below zero take");
        sentences.push(format!("{voxels} the colour of zero."));
    }
    if mosaic.oblique {
        sentences.push(
            "The grid is tilted: its axes are shown as the nearest anatomical ones, nothing was resampled, \
             and heights hold at the middle of a slice."
                .to_owned(),
        );
    }
    if mosaic.stride > 1 {
        sentences.push(format!("One voxel in {} is drawn along each in-plane axis.", mosaic.stride));
    }
    sentences.join(" ")
}
