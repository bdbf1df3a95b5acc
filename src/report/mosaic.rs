//! Axial slices of a volume, as one picture.
//!
//! This file owns the choice of slices, the layout of the tiles, the pixels (a PNG in a data URI) and the labels over
//! them. It does not know how a volume is turned to the RAS frame (`volume.rs`) nor which colours suit (`colour.rs`).
//!
//! Neurological convention: the subject's left is on the left, the front at the top.

use std::io::Cursor;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgba, RgbaImage};
use maud::{Markup, html};

use super::colour::Ramp;
use super::number;
use super::volume::{RasView, Volume, Voxel};

/// Slices in one mosaic.
const MAX_SLICES: usize = 24;
/// Widest tile, in voxels; a finer grid is thinned to every second, third, ... voxel.
const MAX_TILE: usize = 256;
/// Width of the figure that the tiles share, in pixels.
const FIGURE_WIDTH: f64 = 1080.0;
/// Narrowest useful tile, in pixels.
const MIN_TILE_WIDTH: f64 = 120.0;
/// Room for a tile's label, in pixels.
const LABEL_HEIGHT: f64 = 24.0;
/// Grey of what has no colour on the scale, half transparent so that it suits light and dark pages.
pub(super) const UNSCORED: Rgba<u8> = Rgba([128, 128, 128, 110]);

/// A drawn mosaic and what its caption needs.
pub(super) struct Mosaic {
    /// The figure.
    pub figure: Markup,
    /// Slices drawn.
    pub n_slices: usize,
    /// Heights of the lowest and highest slice.
    pub heights_mm: (f64, f64),
    /// Distance from slice to slice; 0 for a single one.
    pub gap_mm: f64,
    /// Whether the grid is tilted against the anatomical axes.
    pub oblique: bool,
    /// Every how many voxels one is drawn.
    pub stride: usize,
}

/// The part of the volume that the mask fills: low and high index (inclusive) along right, front and up.
type Bounds = [(usize, usize); 3];

/// Draws a volume, or `None` when its mask is empty.
pub(super) fn draw(volume: &Volume, ramp: &Ramp, label: &str) -> Option<Mosaic> {
    let view = volume.to_ras();
    let bounds = bounds(&view)?;
    let slices = slices(bounds[2]);
    let spacing = view.spacing_mm();
    let tile = Tile::new(&bounds, spacing);
    let n_columns = tile.n_columns(slices.len());
    let n_rows = slices.len().div_ceil(n_columns);
    let picture = paint(&view, &bounds, &slices, &tile, n_columns, ramp);
    let (width, height) = (tile.width * n_columns as f64, (tile.height + LABEL_HEIGHT) * n_rows as f64);
    let figure = html! {
        div.scroll tabindex="0" role="region" aria-label=(label) {
            svg.mosaic viewBox=(format!("0 0 {width:.1} {height:.1}")) role="img" aria-label=(label)
                style=(format!("max-width:{width:.0}px")) {
                @for (row, strip) in picture.iter().enumerate() {
                    image x="0" y=(format!("{:.1}", row as f64 * (tile.height + LABEL_HEIGHT) + LABEL_HEIGHT))
                        width=(format!("{width:.1}")) height=(format!("{:.1}", tile.height))
                        preserveAspectRatio="none" href=(data_uri(strip)) {}
                }
                @for (index, &slice) in slices.iter().enumerate() {
                    @let x = (index % n_columns) as f64 * tile.width;
                    @let y = (index / n_columns) as f64 * (tile.height + LABEL_HEIGHT) + LABEL_HEIGHT - 6.0;
                    text x=(format!("{:.1}", x + tile.width / 2.0)) y=(format!("{y:.1}")) text-anchor="middle" {
                        "z = " (number::fixed(view.height_mm(slice), 0)) " mm"
                    }
                    @if index == 0 {
                        @let middle = y + 10.0 + tile.height / 2.0;
                        text.side x=(format!("{:.1}", x + 2.0)) y=(format!("{middle:.1}")) { "L" }
                        text.side x=(format!("{:.1}", x + tile.width - 2.0)) y=(format!("{middle:.1}")) text-anchor="end" { "R" }
                    }
                }
            }
        }
    };
    let heights_mm = (view.height_mm(slices[0]), view.height_mm(slices[slices.len() - 1]));
    let gap_mm = slices.get(1).map_or(0.0, |&second| view.height_mm(second) - heights_mm.0);
    Some(Mosaic { figure, n_slices: slices.len(), heights_mm, gap_mm, oblique: view.is_oblique(), stride: tile.stride })
}

/// The smallest box that holds the mask, one voxel wider in the plane where there is room.
fn bounds(view: &RasView) -> Option<Bounds> {
    let shape = view.shape();
    let mut found: Option<Bounds> = None;
    for x in 0..shape[0] {
        for y in 0..shape[1] {
            for z in 0..shape[2] {
                if view.at([x, y, z]) == Voxel::Outside {
                    continue;
                }
                let here = [x, y, z];
                let bounds = found.get_or_insert(here.map(|index| (index, index)));
                for (bound, index) in bounds.iter_mut().zip(here) {
                    *bound = (bound.0.min(index), bound.1.max(index));
                }
            }
        }
    }
    let widen = |(low, high): (usize, usize), axis: usize| (low.saturating_sub(1), (high + 1).min(shape[axis] - 1));
    found.map(|[x, y, z]| [widen(x, 0), widen(y, 1), z])
}

/// Evenly spaced slices from the lowest to the highest masked one; all of them when they are few.
fn slices((low, high): (usize, usize)) -> Vec<usize> {
    let step = (high - low + 1).div_ceil(MAX_SLICES);
    let n_slices = (high - low) / step + 1;
    // What the step leaves over is shared between both ends.
    let first = low + (high - low - (n_slices - 1) * step) / 2;
    (0..n_slices).map(|index| first + index * step).collect()
}

/// Size of one tile, in voxels and in pixels.
struct Tile {
    voxels: [u32; 2],
    stride: usize,
    width: f64,
    height: f64,
}

impl Tile {
    fn new(bounds: &Bounds, spacing_mm: [f64; 3]) -> Self {
        let extent = |axis: usize| bounds[axis].1 - bounds[axis].0 + 1;
        let stride = extent(0).max(extent(1)).div_ceil(MAX_TILE);
        let voxels = [0, 1].map(|axis| extent(axis).div_ceil(stride) as u32);
        // The larger spacing rules the scale so that a very flat voxel cannot blow the tile up.
        let unit = spacing_mm[0].max(spacing_mm[1]);
        let upscale = (MIN_TILE_WIDTH / f64::from(voxels[0])).ceil().clamp(1.0, 16.0);
        let size = |axis: usize| f64::from(voxels[axis]) * upscale * (spacing_mm[axis] / unit).max(0.1);
        Self { voxels, stride, width: size(0), height: size(1) }
    }

    /// As many columns as fit, less those that would only leave the last row short.
    fn n_columns(&self, n_slices: usize) -> usize {
        let most = ((FIGURE_WIDTH / self.width).floor() as usize).clamp(1, n_slices);
        n_slices.div_ceil(n_slices.div_ceil(most))
    }
}

/// One strip of pixels, a pixel a voxel, for each row of tiles.
fn paint(
    view: &RasView,
    bounds: &Bounds,
    slices: &[usize],
    tile: &Tile,
    n_columns: usize,
    ramp: &Ramp,
) -> Vec<RgbaImage> {
    let [width, height] = tile.voxels;
    let strip = |slices: &[usize]| {
        RgbaImage::from_fn(width * n_columns as u32, height, |column, row| {
            let Some(&slice) = slices.get((column / width) as usize) else {
                return Rgba([0; 4]);
            };
            let x = bounds[0].0 + (column % width) as usize * tile.stride;
            let y = bounds[1].0 + (height - 1 - row) as usize * tile.stride;
            match view.at([x, y, slice]) {
                Voxel::Outside => Rgba([0; 4]),
                Voxel::Unscored => UNSCORED,
                Voxel::Score(score) => {
                    let colour = ramp.colour(f64::from(score));
                    Rgba([colour.0, colour.1, colour.2, 255])
                }
            }
        })
    };
    slices.chunks(n_columns).map(strip).collect()
}

/// A picture as the text that an `href` takes.
pub(super) fn data_uri(picture: &RgbaImage) -> String {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).expect("an RGBA picture of bounded size encodes into memory");
    format!("data:image/png;base64,{}", STANDARD.encode(png.into_inner()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::page::Scale;

    /// A 6 x 5 x 4 grid, all in the mask, whose only score lies at voxel (0, 1, 2): on the low side of the first axis.
    fn strip(first_axis_mm: f64) -> RgbaImage {
        let mut values = vec![f32::NAN; 120];
        values[4 + 2] = 1.0;
        let affine = [[first_axis_mm, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]];
        let volume = Volume::new([6, 5, 4], values, vec![true; 120], affine).expect("arrays fill the shape");
        let view = volume.to_ras();
        let bounds = bounds(&view).expect("the mask is full");
        let ramp = Ramp::covering(Scale::FromZero, [1.0].into_iter());
        let tile = Tile::new(&bounds, view.spacing_mm());
        paint(&view, &bounds, &slices(bounds[2]), &tile, 4, &ramp).remove(0)
    }

    #[test]
    fn left_is_left_whatever_the_affine() {
        let yellow = Rgba([0xfd, 0xe7, 0x25, 255]);
        let places = |picture: &RgbaImage| -> Vec<(u32, u32)> {
            picture.enumerate_pixels().filter(|(.., pixel)| **pixel == yellow).map(|(x, y, _)| (x, y)).collect()
        };
        // Third tile; one voxel from the back, which is the last row but one.
        assert_eq!(places(&strip(2.0)), [(12, 3)]);
        assert_eq!(places(&strip(-2.0)), [(12 + 5, 3)]);
    }

    #[test]
    fn slices_span_the_mask() {
        assert_eq!(slices((3, 3)), [3]);
        assert_eq!(slices((0, 23)).len(), 24);
        for high in 24..400 {
            let slices = slices((0, high));
            assert!(slices.len() <= MAX_SLICES && slices.len() > MAX_SLICES / 2);
            assert!(slices.iter().all(|&slice| slice <= high));
        }
    }

    #[test]
    fn an_empty_mask_draws_nothing() {
        let affine = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        let volume = Volume::new([2, 2, 2], vec![0.0; 8], vec![false; 8], affine).expect("arrays fill the shape");
        assert!(draw(&volume, &Ramp::covering(Scale::FromZero, [].into_iter()), "nothing").is_none());
    }

    #[test]
    fn fine_grids_are_thinned() {
        let tile = Tile::new(&[(0, 599), (0, 299), (0, 9)], [0.5, 0.5, 0.5]);
        assert_eq!((tile.stride, tile.voxels), (3, [200, 100]));
    }
}
