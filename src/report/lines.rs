//! Line plots: time courses over runs, and layer profiles.
//!
//! This file owns the scales, paths and labels of both. It knows nothing of where the numbers come from; the sections
//! do. All coordinates are rounded to a tenth of a pixel, so that equal numbers give equal bytes.

use std::fmt::Write;

use maud::{Markup, html};

use super::heatmap::short;
use super::number::{self, px};
use super::page::{LayerCode, LayerId, PairCode, Pattern, PatternSet, Run};

/// Width of the plotted part of the time courses, in pixels.
const SERIES_WIDTH: f64 = 600.0;
/// Height of one time course.
const SERIES_HEIGHT: f64 = 56.0;
/// From one time course to the next.
const SERIES_PITCH: f64 = 68.0;
/// Room for the names at the left.
const NAME_WIDTH: f64 = 92.0;
/// Room for the runs' names at the top.
const RUN_NAMES: f64 = 20.0;
/// Samples drawn one by one; longer series are drawn as the range within each pixel.
const MAX_POINTS: usize = 1200;
/// Width of one layer's bar.
const BAR_WIDTH: f64 = 8.0;

/// The time courses of a set, one under another, with the runs' borders and a time axis.
pub(super) fn time_courses(set: &PatternSet, label: &str) -> Markup {
    let n_tr = set.patterns.iter().map(|pattern| pattern.series.len()).max().unwrap_or(0).max(1);
    let limit = magnitude(set.patterns.iter().flat_map(|pattern| &pattern.series).map(|&value| f64::from(value)));
    let x_of = |sample: usize| NAME_WIDTH + SERIES_WIDTH * sample as f64 / n_tr as f64;
    let bottom = RUN_NAMES + set.patterns.len() as f64 * SERIES_PITCH;
    let (width, height) = (NAME_WIDTH + SERIES_WIDTH + 52.0, bottom + 36.0);
    let borders = borders(&set.runs, n_tr);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            svg.plot width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) {
                @for (run, &(start, end)) in set.runs.iter().zip(&borders) {
                    @if start > 0 {
                        line.border x1=(px(x_of(start))) x2=(px(x_of(start))) y1=(RUN_NAMES) y2=(bottom - 6.0) {}
                    }
                    @let room = ((x_of(end) - x_of(start)) / 7.0) as usize;
                    @if room >= run.name.chars().count().min(28) {
                        text.note x=(px((x_of(start) + x_of(end)) / 2.0)) y="12" text-anchor="middle" { (short(&run.name)) }
                    }
                }
                @for (index, pattern) in set.patterns.iter().enumerate() {
                    @let top = RUN_NAMES + index as f64 * SERIES_PITCH;
                    (time_course(pattern, top, limit, &borders, &x_of))
                }
                (time_axis(n_tr, set.repetition_time_s, bottom))
            }
        }
    }
}

fn time_course(
    pattern: &Pattern,
    top: f64,
    limit: f64,
    borders: &[(usize, usize)],
    x_of: &impl Fn(usize) -> f64,
) -> Markup {
    let middle = top + SERIES_HEIGHT / 2.0;
    let y_of = |value: f64| middle - value / limit * SERIES_HEIGHT / 2.0;
    let mut path = String::new();
    for &(start, end) in borders {
        let end = end.min(pattern.series.len());
        trace(&mut path, &pattern.series, start.min(end)..end, x_of, &y_of);
    }
    html! {
        line.zero x1=(NAME_WIDTH) x2=(NAME_WIDTH + SERIES_WIDTH) y1=(px(middle)) y2=(px(middle)) {}
        text x=(NAME_WIDTH - 8.0) y=(px(middle + 4.0)) text-anchor="end" { (clip(&pattern.name, 13)) title { (pattern.name) } }
        path.series d=(path) { title { (pattern.name) } }
        text.note x=(NAME_WIDTH + SERIES_WIDTH + 4.0) y=(px(top + 9.0)) { (short_number(limit)) }
        text.note x=(NAME_WIDTH + SERIES_WIDTH + 4.0) y=(px(top + SERIES_HEIGHT)) { (short_number(-limit)) }
    }
}

/// Adds one run to a path: a line through its samples, or through lowest and highest of each pixel when they are many.
fn trace(
    path: &mut String,
    series: &[f32],
    samples: std::ops::Range<usize>,
    x_of: &impl Fn(usize) -> f64,
    y_of: &impl Fn(f64) -> f64,
) {
    let stride = series.len().div_ceil(MAX_POINTS).max(1);
    let mut pen_down = false;
    let mut point = |sample: usize, value: f32| {
        if !value.is_finite() {
            pen_down = false;
            return;
        }
        let command = if pen_down { 'L' } else { 'M' };
        pen_down = true;
        write!(path, "{command}{:.1} {:.1}", x_of(sample), y_of(f64::from(value)))
            .expect("writing to a string succeeds");
    };
    if stride == 1 {
        samples.for_each(|sample| point(sample, series[sample]));
        return;
    }
    for start in samples.clone().step_by(stride) {
        let block = &series[start..(start + stride).min(samples.end)];
        let finite = || block.iter().copied().filter(|value| value.is_finite());
        let (low, high) = finite().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        point(start, low);
        point(start, high);
    }
}

/// First sample and end of each run; what no run claims is one more, so that nothing is hidden.
fn borders(runs: &[Run], n_tr: usize) -> Vec<(usize, usize)> {
    let mut start = 0usize;
    let mut borders = Vec::with_capacity(runs.len() + 1);
    for run in runs {
        let end = start.saturating_add(run.n_tr).min(n_tr);
        borders.push((start, end));
        start = end;
    }
    if start < n_tr {
        borders.push((start, n_tr));
    }
    borders
}

fn time_axis(n_tr: usize, repetition_time_s: f64, y: f64) -> Markup {
    let end_s = n_tr as f64 * repetition_time_s;
    let (end, unit) = match end_s {
        long if long > 600.0 && long.is_finite() => (long / 60.0, "min"),
        short if short > 0.0 && short.is_finite() => (short, "s"),
        _ => (n_tr as f64, "samples"),
    };
    let ticks = number::ticks(0.0, end);
    let x_of = |tick: f64| NAME_WIDTH + SERIES_WIDTH * tick / end;
    html! {
        line.axis-line x1=(NAME_WIDTH) x2=(NAME_WIDTH + SERIES_WIDTH) y1=(y) y2=(y) {}
        @for &tick in &ticks {
            line.tick x1=(px(x_of(tick))) x2=(px(x_of(tick))) y1=(y) y2=(y + 4.0) {}
            text x=(px(x_of(tick))) y=(y + 16.0) text-anchor="middle" { (number::tick_label(tick, &ticks)) }
        }
        text.axis x=(NAME_WIDTH + SERIES_WIDTH / 2.0) y=(y + 31.0) text-anchor="middle" { "kept time, runs joined (" (unit) ")" }
    }
}

/// The codes of a set's patterns, one row of bars a pattern, aligned with the time courses.
pub(super) fn code_bars(set: &PatternSet, label: &str) -> Option<Markup> {
    let layers = &set.patterns.iter().max_by_key(|pattern| pattern.profile.len())?.profile;
    if layers.is_empty() {
        return None;
    }
    let codes = set.patterns.iter().flat_map(|pattern| &pattern.profile);
    let limit = magnitude(codes.map(|code| code.code));
    let modules = modules(layers.iter().map(|code| &code.layer));
    let x_of = |index: usize| 8.0 + index as f64 * BAR_WIDTH + 8.0 * module_index(&modules, index) as f64;
    let bottom = RUN_NAMES + set.patterns.len() as f64 * SERIES_PITCH;
    let (width, height) = (x_of(layers.len()) + 88.0, bottom + 36.0);
    Some(html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            svg.plot width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) {
                @for (index, pattern) in set.patterns.iter().enumerate() {
                    @let top = RUN_NAMES + index as f64 * SERIES_PITCH;
                    @let middle = top + SERIES_HEIGHT / 2.0;
                    line.zero x1="4" x2=(x_of(layers.len())) y1=(px(middle)) y2=(px(middle)) {}
                    @for (place, code) in pattern.profile.iter().enumerate() {
                        (bar(code, x_of(place), middle, limit))
                    }
                    text.note x=(x_of(layers.len()) + 4.0) y=(px(top + 9.0)) { (short_number(limit)) }
                    text.note x=(x_of(layers.len()) + 4.0) y=(px(top + SERIES_HEIGHT)) { (short_number(-limit)) }
                    // Named again, because on a narrow screen the bars stand below the time courses.
                    text.note x=(x_of(layers.len()) + 4.0) y=(px(middle + 4.0)) { (clip(&pattern.name, 13)) }
                }
                @for module in &modules {
                    (module_label(module, x_of(module.start), x_of(module.end - 1) + BAR_WIDTH, bottom))
                }
            }
        }
    })
}

fn bar(code: &LayerCode, x: f64, middle: f64, limit: f64) -> Markup {
    let reach = if code.code.is_finite() { code.code / limit * SERIES_HEIGHT / 2.0 } else { 0.0 };
    html! {
        rect.bar.bar-negative[code.code < 0.0] x=(px(x)) y=(px(middle - reach.max(0.0)))
            width=(BAR_WIDTH - 2.0) height=(px(reach.abs())) {
            title { (code.layer.module) " " (code.layer.layer) ": " (number::score_or_absent(&code.code.into())) }
        }
    }
}

/// Two layer profiles over one zero line: mirror images when the pair is opposed in the model as it is in the brain.
pub(super) fn mirrored_profiles(names: (&str, &str), profiles: &[PairCode], label: &str) -> Markup {
    let (plot_width, plot_height, left, top) = (360.0, 130.0, 52.0, 24.0);
    let limit = magnitude(profiles.iter().flat_map(|code| [code.k, code.j]));
    let modules = modules(profiles.iter().map(|code| &code.layer));
    let step = plot_width / profiles.len().max(1) as f64;
    let x_of = |index: usize| left + (index as f64 + 0.5) * step;
    let y_of = |code: f64| top + plot_height / 2.0 - code / limit * plot_height / 2.0;
    let ticks = number::ticks(-limit, limit);
    let bottom = top + plot_height;
    let (width, height) = (left + plot_width + 12.0, bottom + 36.0);
    let line = |module: &Module, code: &dyn Fn(&PairCode) -> f64| {
        let mut path = String::new();
        let mut pen_down = false;
        for (index, codes) in profiles.iter().enumerate().take(module.end).skip(module.start) {
            let value = code(codes);
            if value.is_finite() {
                let command = if pen_down { 'L' } else { 'M' };
                write!(path, "{command}{:.1} {:.1}", x_of(index), y_of(value)).expect("writing to a string succeeds");
            }
            pen_down = value.is_finite();
        }
        path
    };
    html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            svg.plot width=(width) height=(height) viewBox=(format!("0 0 {width} {height}")) role="img" aria-label=(label) {
                @for &tick in &ticks {
                    line.grid.zero[tick == 0.0] x1=(left) x2=(left + plot_width) y1=(px(y_of(tick))) y2=(px(y_of(tick))) {}
                    text x=(left - 6.0) y=(px(y_of(tick) + 4.0)) text-anchor="end" { (number::tick_label(tick, &ticks)) }
                }
                @for module in &modules {
                    path.profile-k d=(line(module, &|code| code.k)) {}
                    path.profile-j d=(line(module, &|code| code.j)) {}
                    (module_label(module, x_of(module.start) - 3.0, x_of(module.end - 1) + 3.0, bottom + 4.0))
                }
                @for (index, code) in profiles.iter().enumerate() {
                    @for (class, name, value) in [("dot-k", names.0, code.k), ("dot-j", names.1, code.j)] {
                        @if value.is_finite() {
                            circle class=(class) cx=(px(x_of(index))) cy=(px(y_of(value))) r="2.6" {
                                title { (name) ", " (code.layer.module) " " (code.layer.layer) ": " (number::score(value)) }
                            }
                        }
                    }
                }
                path.profile-k d=(format!("M{left} 9h18")) {}
                text x=(left + 23.0) y="13" { (clip(names.0, 20)) }
                path.profile-j d=(format!("M{} 9h18", left + 190.0)) {}
                text x=(left + 213.0) y="13" { (clip(names.1, 20)) }
                text.axis x=(left + plot_width / 2.0) y=(bottom + 33.0) text-anchor="middle" { "layer, nearest the input first" }
            }
        }
    }
}

/// A stretch of layers of one module: `start..end`.
struct Module<'a> {
    name: &'a str,
    first: &'a str,
    last: &'a str,
    start: usize,
    end: usize,
}

fn modules<'a>(layers: impl Iterator<Item = &'a LayerId>) -> Vec<Module<'a>> {
    let mut modules: Vec<Module> = Vec::new();
    for (index, layer) in layers.enumerate() {
        match modules.last_mut() {
            Some(module) if module.name == layer.module => (module.last, module.end) = (&layer.layer, index + 1),
            _ => modules.push(Module {
                name: &layer.module,
                first: &layer.layer,
                last: &layer.layer,
                start: index,
                end: index + 1,
            }),
        }
    }
    modules
}

/// Which module a layer belongs to; the place after the last layer counts as the last module's.
fn module_index(modules: &[Module], layer: usize) -> usize {
    modules.iter().position(|module| layer < module.end).unwrap_or(modules.len().saturating_sub(1))
}

fn module_label(module: &Module, from: f64, to: f64, y: f64) -> Markup {
    let layers = if module.end - module.start > 1 {
        format!("{} {}–{}", module.name, module.first, module.last)
    } else {
        format!("{} {}", module.name, module.first)
    };
    let room = ((to - from + 8.0) / 6.0).max(1.0) as usize;
    html! {
        line.bracket x1=(px(from)) x2=(px(to)) y1=(px(y)) y2=(px(y)) {}
        text x=(px((from + to) / 2.0)) y=(px(y + 13.0)) text-anchor="middle" { (clip(&layers, room)) title { (layers) } }
    }
}

/// A name cut to a number of characters.
fn clip(name: &str, n_characters: usize) -> String {
    if name.chars().count() <= n_characters {
        return name.to_owned();
    }
    name.chars().take(n_characters.saturating_sub(1)).chain(['…']).collect()
}

/// The largest finite magnitude; 1 when there is none, so that a flat line has a scale.
fn magnitude(numbers: impl Iterator<Item = f64>) -> f64 {
    let largest =
        numbers.filter(|number| number.is_finite()).fold(0.0, |largest: f64, number| largest.max(number.abs()));
    if largest > 0.0 { largest } else { 1.0 }
}

fn short_number(number: f64) -> String {
    let decimals = if number.abs() < 0.1 { 3 } else { 2 };
    if number.abs() < 0.001 { number::score(number) } else { number::fixed(number, decimals) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(n_tr: usize) -> Run {
        Run { name: "run".into(), n_tr }
    }

    #[test]
    fn borders_cover_every_sample_once() {
        assert_eq!(borders(&[run(3), run(2)], 5), [(0, 3), (3, 5)]);
        assert_eq!(borders(&[run(3)], 5), [(0, 3), (3, 5)]);
        assert_eq!(borders(&[run(3), run(usize::MAX)], 4), [(0, 3), (3, 4)]);
        assert_eq!(borders(&[], 2), [(0, 2)]);
    }

    #[test]
    fn a_gap_lifts_the_pen() {
        let mut path = String::new();
        let series = [0.0, 1.0, f32::NAN, 2.0];
        trace(&mut path, &series, 0..4, &|sample| sample as f64, &|value| value);
        assert_eq!(path, "M0.0 0.0L1.0 1.0M3.0 2.0");
    }

    #[test]
    fn long_series_keep_their_extremes() {
        let mut series = vec![0.0f32; 50_000];
        series[31_234] = 9.0;
        series[31_235] = -7.0;
        let mut path = String::new();
        trace(&mut path, &series, 0..50_000, &|sample| sample as f64, &|value| value);
        assert!(path.contains(" 9.0") && path.contains(" -7.0"));
        assert!(path.matches('L').count() <= 2 * MAX_POINTS);
    }

    #[test]
    fn modules_are_stretches_of_layers() {
        let layers: Vec<LayerId> = [("vision", "1"), ("vision", "2"), ("text", "1")]
            .map(|(module, layer)| LayerId { module: module.into(), layer: layer.into() })
            .into();
        let modules = modules(layers.iter());
        assert_eq!(modules.iter().map(|module| (module.start, module.end)).collect::<Vec<_>>(), [(0, 2), (2, 3)]);
        assert_eq!((0..4).map(|layer| module_index(&modules, layer)).collect::<Vec<_>>(), [0, 0, 1, 1]);
    }
}
