//! The interactive viewer's controls and what it is given.
//!
//! Owns its markup and data; `scripts/viewer.js` brings them to life with NiiVue.

use crate::report::{
    colour::anchors,
    figure::in_script,
    number,
    page::{Scale, Viewer, ViewerMap},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};

/// Draws the viewer.
pub(super) fn viewer(viewer: &Viewer) -> Markup {
    html! {
        div.viewer data-colours=(colours()) {
            div.controls {
                label { "Map " select name="map" { @for (place, map) in viewer.maps.iter().enumerate() { option value=(place) { (map.title) } } } }
                label hidden="" { "Pattern " select name="frame" {} }
                label { "View " select name="view" {
                    @for (value, name) in [("all", "three planes"), ("axial", "axial"), ("coronal", "coronal"), ("sagittal", "sagittal"), ("solid", "solid")] {
                        option value=(value) { (name) }
                    }
                } }
                label { "Colours from " input type="range" name="low" min="0" max="1" step="0.005"; " " span.low {} }
                label { "to " input type="range" name="high" min="0" max="1" step="0.005"; " " span.high {} }
                label { "Opacity " input type="range" name="opacity" min="0" max="1" step="0.05" value="1"; }
                label { input type="checkbox" name="networks" checked=""; " outlines of networks" }
                label { "Open a map of your own " input type="file" name="file" accept=".nii,.nii.gz,.gz"; }
            }
            // The library paints what is around its canvas.
            div.stage {
                canvas width="960" height="480" tabindex="0" role="img"
                    aria-label="Brain viewer: the chosen map on slices; arrows and page keys move, so do clicks and the wheel. The slices below show the scores without a script." {}
            }
            p.place { span.measure {} span.scale {} output aria-live="polite" {} }
            p.fine.left-out {}
            @if viewer.n_left_out > 0 {
                p.fine {
                    (number::counted(viewer.n_left_out, "more map has", "more maps have")) " no room on a page that is to be sent; all are in maps/, and open above."
                }
            }
            script type="application/json" { (PreEscaped(in_script(&contents(viewer)))) }
            noscript { p.nothing { "The viewer needs a browser that runs the page's script; the slices below show the scores." } }
        }
    }
}

fn contents(viewer: &Viewer) -> Value {
    let brains: Vec<Value> = viewer
        .brains
        .iter()
        .map(|brain| json!({ "subject": brain.subject, "networks": brain.networks, "file": STANDARD.encode(&brain.file) }))
        .collect();
    let map = |map: &ViewerMap| {
        json!({
            "title": map.title,
            "brain": map.brain.min(viewer.brains.len() - 1),
            "measure": map.measure.name,
            "scale": map.measure.scale,
            "limit": map.measure.least_end,
            "frames": map.frames.iter().map(|frame| frame.name.as_str()).collect::<Vec<_>>(),
            "files": map.frames.iter().map(|frame| STANDARD.encode(&frame.file)).collect::<Vec<_>>(),
            "left_out": left_out(map),
        })
    };
    json!({ "brains": brains, "maps": viewer.maps.iter().map(map).collect::<Vec<_>>() })
}

/// What of a map's file is not on the page, and how to see it.
fn left_out(map: &ViewerMap) -> String {
    let shown = map.frames.len();
    if shown >= map.n_frames {
        return format!("Shown at the precision of a screen; {} has it in full.", map.path);
    }
    format!(
        "The first {} of {} maps, at the precision of a screen; all are in {}, which can be opened above.",
        number::count(shown),
        number::count(map.n_frames),
        map.path
    )
}

/// The colour maps of the page, those of both signs as two halves that start at zero.
fn colours() -> String {
    let from_zero: Vec<String> = anchors(Scale::FromZero).iter().map(|colour| colour.hex()).collect();
    let signed: Vec<String> = anchors(Scale::Signed).iter().map(|colour| colour.hex()).collect();
    let warm = signed[signed.len() / 2..].to_vec();
    let cold: Vec<String> = signed[..=signed.len() / 2].iter().rev().cloned().collect();
    json!({ "hebb-from-zero": from_zero, "hebb-warm": warm, "hebb-cold": cold }).to_string()
}
