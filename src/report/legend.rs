//! The colour bar of pictures that no chart library draws: slices of the brain.

use super::{
    colour::{Ramp, anchors},
    number::{self, px},
    page::Scale,
};
use maud::{Markup, html};

/// The colour ramps that bars refer to. Goes into the page once.
pub(super) fn definitions() -> Markup {
    html! {
        svg.definitions width="0" height="0" aria-hidden="true" focusable="false" {
            defs {
                @for scale in [Scale::FromZero, Scale::Signed] {
                    linearGradient id=(gradient(scale)) {
                        @let anchors = anchors(scale);
                        @for (place, colour) in anchors.iter().enumerate() {
                            stop offset=(place as f64 / (anchors.len() - 1) as f64) stop-color=(colour.hex()) {}
                        }
                    }
                }
            }
        }
    }
}

fn gradient(scale: Scale) -> &'static str {
    match scale {
        Scale::FromZero => "ramp-from-zero",
        Scale::Signed => "ramp-signed",
    }
}

/// The colour bar with its ticks and its measure, and what grey means where voxels of the mask have no score.
pub(super) fn legend(measure: &str, ramp: &Ramp, has_unscored: bool) -> Markup {
    let (width, left) = (220.0, 14.0);
    let ticks = ramp.ticks();
    let place = |tick: f64| left + width * (tick - ramp.start()) / (ramp.limit() - ramp.start());
    html! {
        div.legend {
            div.legend-measure { (measure) }
            svg width="248" height="34" viewBox="0 0 248 34" role="img"
                aria-label=(format!("colour scale from {} to {}", number::score(ramp.start()), number::score(ramp.limit()))) {
                rect x=(left) y="2" width=(width) height="11" fill=(format!("url(#{})", gradient(ramp.scale()))) {}
                @for (index, &tick) in ticks.iter().enumerate() {
                    line.tick x1=(px(place(tick))) x2=(px(place(tick))) y1="13" y2="17" {}
                    text x=(px(place(tick))) y="29" text-anchor="middle" {
                        @if index == 0 && ramp.clipped_low() { "≤\u{202f}" }
                        @if index + 1 == ticks.len() && ramp.clipped_high() { "≥\u{202f}" }
                        (number::tick_label(tick, &ticks))
                    }
                }
            }
            @if has_unscored {
                span.key {
                    svg width="16" height="12" aria-hidden="true" focusable="false" { rect.unscored width="16" height="12" {} }
                    " in the mask, no score"
                }
            }
        }
    }
}
