//! Made-up pictures with captions that are true of them: stimuli for studies that have none yet.
//!
//! A scene is a ground, a light and one to three coloured shapes; its caption names them. Captions follow from the seed
//! alone, so a study can be planned before a single picture is drawn.

use super::{Picture, StimulusError, TableEvent};
use image::{Rgb, RgbImage};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Pictures and captions made from a seed, one after another in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// Seed of the scenes.
    #[serde(default)]
    pub seed: u64,
    /// Pictures in each run, all different.
    #[schemars(range(min = 1, max = 10000), example = 60)]
    pub images_per_run: usize,
    /// Width and height of the pictures in pixels.
    #[serde(default = "default_size")]
    #[schemars(range(min = 16, max = 2048))]
    pub image_size_px: u32,
    /// Seconds that a picture is shown.
    #[serde(default = "default_duration")]
    #[schemars(range(min = 0.05, max = 600))]
    pub duration_s: f64,
    /// Seconds without a picture after each one.
    #[serde(default = "default_gap")]
    #[schemars(range(min = 0, max = 600))]
    pub gap_s: f64,
    /// Seconds without a picture at the start and the end of each run.
    #[serde(default = "default_rest")]
    #[schemars(range(min = 0, max = 600))]
    pub rest_s: f64,
    /// Whether every test run shows what the first of them shows: repeats, which tell how much of a series is signal.
    #[serde(default)]
    pub repeat_test: bool,
}

fn default_size() -> u32 {
    224
}
fn default_duration() -> f64 {
    2.0
}
fn default_gap() -> f64 {
    1.0
}
fn default_rest() -> f64 {
    8.0
}

impl Generate {
    /// So many scenes in one run, all else by default.
    #[must_use]
    pub fn made(seed: u64, images_per_run: usize) -> Self {
        Self {
            seed,
            images_per_run,
            image_size_px: default_size(),
            duration_s: default_duration(),
            gap_s: default_gap(),
            rest_s: default_rest(),
            repeat_test: false,
        }
    }

    /// Seconds from the start of a run to its end.
    #[must_use]
    pub fn run_length_s(&self) -> f64 {
        2.0 * self.rest_s + self.images_per_run as f64 * (self.duration_s + self.gap_s)
    }

    /// The events of run number `run`, with pictures named as [`Scenes::draw`] writes them.
    #[must_use]
    pub fn events(&self, run: usize) -> Vec<TableEvent> {
        (0..self.images_per_run)
            .map(|place| {
                let index = run * self.images_per_run + place;
                TableEvent {
                    onset_s: self.rest_s + place as f64 * (self.duration_s + self.gap_s),
                    duration_s: self.duration_s,
                    image: Some(Picture::File(Scenes::file_name(index).into())),
                    video: None,
                    text: Some(Scene::new(self.seed, index).caption()),
                }
            })
            .collect()
    }
}

/// The pictures of a [`Generate`].
#[derive(Clone, Debug)]
pub struct Scenes {
    seed: u64,
    size_px: u32,
}

impl Scenes {
    /// Scenes from a seed, as squares of `size_px` pixels.
    #[must_use]
    pub fn new(seed: u64, size_px: u32) -> Self {
        Self { seed, size_px }
    }

    /// The name of a picture: every fourth is a JPEG, the others are PNG.
    #[must_use]
    pub fn file_name(index: usize) -> String {
        format!("scene-{index:05}.{}", if index % 4 == 3 { "jpg" } else { "png" })
    }

    /// Draws picture number `index` into `folder`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn draw(&self, index: usize, folder: &Path) -> Result<PathBuf, StimulusError> {
        let path = folder.join(Self::file_name(index));
        let picture = Scene::new(self.seed, index).render(self.size_px);
        picture.save(&path).map_err(|source| StimulusError::Write { path: path.clone(), source })?;
        Ok(path)
    }
}

const COLOURS: [(&str, [f32; 3]); 8] = [
    ("red", [0.82, 0.16, 0.14]),
    ("green", [0.18, 0.58, 0.22]),
    ("blue", [0.14, 0.30, 0.78]),
    ("yellow", [0.93, 0.80, 0.18]),
    ("purple", [0.50, 0.22, 0.62]),
    ("orange", [0.93, 0.52, 0.13]),
    ("white", [0.95, 0.95, 0.93]),
    ("black", [0.07, 0.07, 0.08]),
];
const GROUNDS: [(&str, [f32; 3]); 5] = [
    ("grass", [0.36, 0.55, 0.25]),
    ("sand", [0.83, 0.74, 0.55]),
    ("water", [0.25, 0.47, 0.62]),
    ("snow", [0.88, 0.91, 0.94]),
    ("stone", [0.47, 0.46, 0.45]),
];
const SHAPES: [&str; 4] = ["circle", "square", "triangle", "ring"];

struct Scene {
    ground: usize,
    dusk: bool,
    shapes: Vec<Shape>,
    grain_seed: u64,
}

struct Shape {
    form: usize,
    colour: usize,
    /// Centre and half width, in parts of the picture.
    centre: [f32; 2],
    reach: f32,
}

impl Scene {
    fn new(seed: u64, index: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index as u64);
        let n_shapes = rng.random_range(1..=3);
        let shapes = (0..n_shapes).map(|_| Shape {
            form: rng.random_range(0..SHAPES.len()),
            colour: rng.random_range(0..COLOURS.len()),
            centre: [rng.random_range(0.2..0.8), rng.random_range(0.25..0.8)],
            reach: rng.random_range(0.08..0.22),
        });
        let shapes = shapes.collect();
        Self {
            ground: rng.random_range(0..GROUNDS.len()),
            dusk: rng.random_bool(0.5),
            shapes,
            grain_seed: rng.random(),
        }
    }

    fn caption(&self) -> String {
        let names: Vec<String> = self
            .shapes
            .iter()
            .map(|shape| {
                let size = if shape.reach > 0.15 { "large" } else { "small" };
                format!("a {size} {} {}", COLOURS[shape.colour].0, SHAPES[shape.form])
            })
            .collect();
        format!(
            "{} on {} {}",
            names.join(" and "),
            GROUNDS[self.ground].0,
            if self.dusk { "at dusk" } else { "by day" }
        )
    }

    fn render(&self, size_px: u32) -> RgbImage {
        let mut grain = ChaCha8Rng::seed_from_u64(self.grain_seed);
        let light = if self.dusk { 0.55 } else { 1.0 };
        RgbImage::from_fn(size_px, size_px, |x, y| {
            let at = [(x as f32 + 0.5) / size_px as f32, (y as f32 + 0.5) / size_px as f32];
            let ground = GROUNDS[self.ground].1;
            // Nearer ground is brighter, and every surface has a grain, so that no patch is constant.
            let depth = 0.75 + 0.35 * at[1];
            let mut colour = ground.map(|part| part * depth);
            for shape in &self.shapes {
                if shape.covers(at) {
                    let shade =
                        1.0 - 0.5 * (at[0] - shape.centre[0] + at[1] - shape.centre[1]) / shape.reach.max(0.05) * 0.5;
                    colour = COLOURS[shape.colour].1.map(|part| part * shade);
                }
            }
            let noise = grain.next_u32() as f32 / u32::MAX as f32 * 0.08 - 0.04;
            Rgb(colour.map(|part| ((part + noise) * light * 255.0).clamp(0.0, 255.0) as u8))
        })
    }
}

impl Shape {
    fn covers(&self, at: [f32; 2]) -> bool {
        let (dx, dy) = ((at[0] - self.centre[0]) / self.reach, (at[1] - self.centre[1]) / self.reach);
        let radius = dx.hypot(dy);
        match SHAPES[self.form] {
            "circle" => radius < 1.0,
            "square" => dx.abs() < 0.85 && dy.abs() < 0.85,
            "triangle" => dy < 0.8 && dy > 2.0 * dx.abs() - 1.0,
            _ => (0.55..1.0).contains(&radius),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_follows_from_its_seed_and_number_alone() {
        let (one, again) = (Scene::new(7, 3), Scene::new(7, 3));
        assert_eq!(one.caption(), again.caption());
        assert_eq!(one.render(32), again.render(32));
        assert_ne!(one.render(32), Scene::new(7, 4).render(32));
        assert_ne!(one.render(32), Scene::new(8, 3).render(32));
    }

    #[test]
    fn captions_name_what_is_drawn() {
        let caption = Scene::new(1, 0).caption();
        assert!(GROUNDS.iter().any(|(ground, _)| caption.contains(ground)), "{caption}");
        assert!(COLOURS.iter().any(|(colour, _)| caption.contains(colour)), "{caption}");
    }

    #[test]
    fn runs_show_different_scenes_at_stated_times() {
        let generate = Generate {
            seed: 1,
            images_per_run: 3,
            image_size_px: 32,
            duration_s: 2.0,
            gap_s: 1.0,
            rest_s: 8.0,
            repeat_test: false,
        };
        let (first, second) = (generate.events(0), generate.events(1));
        assert_eq!(first.iter().map(|event| event.onset_s).collect::<Vec<_>>(), [8.0, 11.0, 14.0]);
        assert_ne!(first[0].image, second[0].image);
        assert_eq!(generate.run_length_s(), 25.0);
    }
}
