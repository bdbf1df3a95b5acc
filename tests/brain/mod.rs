//! Brain files against nibabel and nilearn (fixtures made by `tests/scripts/make_brain_fixtures.py`), hostile files, and
//! simulated subjects read back by the readers that read real ones.

mod atlases;
mod cifti;
mod cifti_writing;
mod derivatives;
mod hcp;
mod hostile;
mod hostile_images;
mod images;
mod layouts;
mod nifti2;
mod preparation;
mod regions;
mod resampling;
mod simulated;
mod simulated_noise;
mod simulated_patterns;
mod simulated_planting;

use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/brain").join(name)
}
