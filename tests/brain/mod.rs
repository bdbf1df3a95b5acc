//! Brain files against nibabel and nilearn (fixtures made by `tests/scripts/make_brain_fixtures.py`), hostile files, and
//! simulated subjects read back by the readers that read real ones.

mod derivatives;
mod hostile;
mod images;
mod resampling;
mod simulated;

use std::path::PathBuf;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/brain").join(name)
}
