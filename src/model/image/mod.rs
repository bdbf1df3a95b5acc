//! From an image file to the array that an image tower takes.
//!
//! ```text
//! file --decode--> 8-bit pixels, upright --resample, crop--> --rescale, normalise--> (channels, height, width)
//!      decode.rs                          resample.rs         preprocess.rs
//!      jpeg.rs (JPEG alone)
//! ```
//!
//! `settings.rs` reads and writes `preprocessor_config.json`, the description of the last two steps. Nothing here knows
//! networks. The measure of all of it is Pillow, on which the networks were trained: decoded and resized pixels are
//! equal to its pixels.

mod alpha;
mod decode;
mod jpeg;
mod preprocess;
mod resample;
mod settings;

pub use alpha::Alpha;
pub use decode::{AREA_LIMIT_PX, decode, decode_with_alpha};
pub use preprocess::{PREPROCESSOR_FILE, Preprocessor};
pub use resample::{Filter, Part, resize, resize_part};
