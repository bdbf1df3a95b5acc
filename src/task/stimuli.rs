//! Draws the pictures of a study that has none. Tables on disk need no task: the plan reads them.

use super::{Compute, Kind, TaskError, Workbench};
use crate::stimulus::Scenes;
use serde::{Deserialize, Serialize};
use std::fs;

/// Draws scenes into `images/`.
#[derive(Debug, Serialize, Deserialize)]
pub struct DrawScenes {
    /// Seed of the scenes.
    #[serde(rename = "stimuli.generate.seed")]
    pub seed: u64,
    /// Number of pictures.
    pub n_images: usize,
    /// Width and height in pixels.
    #[serde(rename = "stimuli.generate.image_size_px")]
    pub image_size_px: u32,
}

/// Folder of the pictures in the artifact.
pub const IMAGES: &str = "images";

impl Compute for DrawScenes {
    const KIND: Kind = Kind::Stimuli;

    fn memory_bytes(&self) -> u64 {
        u64::from(self.image_size_px).pow(2) * 16
    }

    fn compute(&self, bench: &Workbench<'_>) -> Result<(), TaskError> {
        let folder = bench.out.join(IMAGES);
        fs::create_dir(&folder).map_err(|source| TaskError::Io { path: folder.clone(), source })?;
        let scenes = Scenes::new(self.seed, self.image_size_px);
        for index in 0..self.n_images {
            scenes.draw(index, &folder)?;
            bench.step(index + 1, self.n_images)?;
        }
        Ok(())
    }
}
