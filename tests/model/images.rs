//! Images become Pillow's pixels, and the numbers that transformers' and METER's own processors hand to a network.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use hebb::model::image::{Alpha, Filter, Part, decode, decode_with_alpha, resize, resize_part};
use hebb::model::{ModelError, Preprocessor};
use proptest::prelude::*;
use safetensors::SafeTensors;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/images")
}

fn file(name: &str) -> PathBuf {
    fixtures().join("files").join(name)
}

fn files() -> Vec<String> {
    let fixture: serde_json::Value =
        serde_json::from_slice(&fs::read(fixtures().join("fixture.json")).unwrap()).unwrap();
    serde_json::from_value(fixture["files"].clone()).unwrap()
}

/// Shapes and bytes of the arrays whose names begin with a prefix, by the rest of their names.
fn expected(prefix: &str) -> BTreeMap<String, (Vec<usize>, Vec<u8>)> {
    let bytes = fs::read(fixtures().join("expected.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let wanted = tensors.iter().filter_map(|(name, view)| {
        Some((name.strip_prefix(prefix)?.to_owned(), (view.shape().to_vec(), view.data().to_vec())))
    });
    let wanted: BTreeMap<_, _> = wanted.collect();
    assert!(!wanted.is_empty(), "{prefix}");
    wanted
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

/// The largest difference, and the share of values without any.
fn compare(found: &[u8], expected: &[u8]) -> (u8, f64) {
    assert_eq!(found.len(), expected.len());
    let differences = found.iter().zip(expected).map(|(one, other)| one.abs_diff(*other));
    let worst = differences.clone().max().unwrap_or(0);
    (worst, differences.filter(|difference| *difference == 0).count() as f64 / found.len() as f64)
}

#[test]
fn every_format_becomes_pillow_s_pixels() {
    println!("{:<24} {:>6} {:>8}", "file", "worst", "equal");
    let mut wrong = Vec::new();
    for (name, (shape, bytes)) in expected("rgb.") {
        let image = decode(&file(&name)).unwrap();
        assert_eq!([image.height() as usize, image.width() as usize, 3], shape[..], "{name}");
        let (worst, share_equal) = compare(image.as_raw(), &bytes);
        println!("{name:<24} {worst:>6} {:>7.2}%", share_equal * 100.0);
        if worst > 0 {
            wrong.push(name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn alpha_is_kept_where_it_is_asked_for() {
    for (name, (_, bytes)) in expected("rgba.") {
        let (worst, _) = compare(decode_with_alpha(&file(&name)).unwrap().as_raw(), &bytes);
        assert_eq!(worst, 0, "{name}");
    }
    assert!(decode_with_alpha(&file("colour.png")).unwrap().pixels().all(|pixel| pixel[3] == 255));
}

#[test]
fn every_filter_gives_pillow_s_pixels() {
    let colour = decode(&file("colour.png")).unwrap();
    let alone =
        |number: u32, size: [u32; 2]| resize(&colour, size[0], size[1], Filter::try_from(number).unwrap()).into_raw();
    for (name, (shape, bytes)) in expected("resize.colour.png.") {
        let number = name.split('.').next().unwrap().parse().unwrap();
        let size = [shape[1] as u32, shape[0] as u32];
        assert_eq!(compare(&alone(number, size), &bytes), (0, 1.0), "{name}");
        let part = Part { left: size[0] / 3, top: size[1] / 4, width: size[0] / 2, height: size[1] / 2 };
        let cut = resize_part(&colour, size, Filter::try_from(number).unwrap(), part);
        for (x, y, pixel) in cut.enumerate_pixels() {
            let at = 3 * (((part.top + y) * size[0] + part.left + x) as usize);
            assert_eq!(pixel.0, bytes[at..at + 3], "{name} at {x}, {y}");
        }
    }
}

#[test]
fn alpha_takes_part_in_resampling_as_in_pillow() {
    let image = decode_with_alpha(&file("alpha.png")).unwrap();
    for (name, (shape, bytes)) in expected("resize.alpha.png.") {
        let settings = serde_json::json!({
            "size": {"height": shape[0], "width": shape[1]},
            "resample": name.split('.').next().unwrap().parse::<u32>().unwrap(),
            "do_center_crop": false, "do_rescale": false, "do_normalize": false, "alpha": "resample",
        });
        let preprocessor: Preprocessor = serde_json::from_value(settings).unwrap();
        let numbers = preprocessor.apply_with_alpha(&image).unwrap();
        let found: Vec<u8> = numbers.permuted_axes([1, 2, 0]).iter().map(|&level| level as u8).collect();
        assert_eq!(compare(&found, &bytes), (0, 1.0), "{name}");
    }
}

/// The largest difference in levels of an 8-bit sample, for images scaled by `per_level` at least.
fn levels(found: &ndarray::Array3<f32>, expected: &(Vec<usize>, Vec<u8>)) -> (f32, f64) {
    assert_eq!(found.shape(), expected.0);
    assert!(found.iter().all(|value| value.is_finite()), "a difference from NaN is no largest one");
    let differences = found.iter().zip(floats(&expected.1)).map(|(one, other)| (one - other).abs());
    let n_equal = differences.clone().filter(|difference| *difference < 2e-6).count();
    (differences.fold(0.0, f32::max), n_equal as f64 / found.len() as f64)
}

#[test]
fn files_of_processors_are_followed_to_the_last_number() {
    for (name, expected) in expected("input.") {
        let (processor, image) = name.split_once('.').unwrap();
        let preprocessor = Preprocessor::open(&fixtures().join("processors").join(processor)).unwrap();
        let (worst, share_equal) = levels(&preprocessor.load(&file(image)).unwrap(), &expected);
        println!("{name:<40} {worst:.1e} {share_equal:.4}");
        assert_eq!(share_equal, 1.0, "{name}: {worst}");
        // What is written for an export reads as the same.
        let written = serde_json::to_string(&preprocessor).unwrap();
        assert_eq!(serde_json::from_str::<Preprocessor>(&written).unwrap(), preprocessor, "{written}");
    }
}

#[test]
fn alpha_on_white_is_transformers_5() {
    let preprocessor = Preprocessor::open(&fixtures().join("processors/clip")).unwrap().with_alpha(Alpha::White);
    for (name, expected) in expected("white.clip.") {
        let (worst, share_equal) = levels(&preprocessor.load(&file(&name)).unwrap(), &expected);
        assert_eq!(share_equal, 1.0, "{worst}");
        let dropped = preprocessor.clone().with_alpha(Alpha::Drop).load(&file(&name)).unwrap();
        assert!(levels(&dropped, &expected).0 > 0.5, "the fixture tells the two apart");
    }
}

#[test]
fn meter_s_transform_is_followed() {
    for (name, expected) in expected("meter.") {
        let (side, image) = name.split_once('.').unwrap();
        let preprocessor = Preprocessor::meter(side.parse().unwrap());
        let (worst, share_equal) = levels(&preprocessor.load(&file(image)).unwrap(), &expected);
        assert_eq!(share_equal, 1.0, "{name}: {worst}");
    }
}

#[test]
fn without_a_file_clip_is_what_its_class_does() {
    let saved = Preprocessor::open(&fixtures().join("processors/clip")).unwrap();
    assert_eq!(saved, Preprocessor::clip(16));
    assert_eq!(saved.output_size(), Some([16, 16]));
}

fn message(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.png");
    fs::write(&path, bytes).unwrap();
    let error = decode(&path).expect_err("an error");
    assert!(matches!(error, ModelError::Image { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("image.png"), "{message}");
    message.split_once("`: ").unwrap().1.to_owned()
}

#[test]
fn files_that_are_cut_short_are_errors_in_every_format() {
    for name in files() {
        let whole = fs::read(file(&name)).unwrap();
        // Half of an animation holds all of its first image.
        let most = whole.len() / if name == "moving.gif" { 4 } else { 2 };
        for cut in [1, 2, 5, 10, 20, 30, whole.len() / 3, most] {
            message(&whole[..cut.min(most)]);
        }
    }
    for name in files().iter().filter(|name| name.ends_with("jpg")) {
        let whole = fs::read(file(name)).unwrap();
        for left in [1, 2, 3, 20] {
            message(&whole[..whole.len() - left]);
        }
    }
    assert_eq!(message(b""), "the file is empty: expected an image");
    let text = message(b"this is no image at all");
    assert_eq!(text, "the content is no image that is read: expected JPEG, PNG, WebP, BMP, TIFF or GIF");
}

#[test]
fn content_decides_and_not_the_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, other) in [("420-q85.jpg", "a.png"), ("lossy.webp", "a.jpg"), ("plain.tiff", "a"), ("grey.bmp", "a.gif")]
    {
        let path = folder.path().join(other);
        fs::copy(file(name), &path).unwrap();
        assert_eq!(decode(&path).unwrap(), decode(&file(name)).unwrap());
    }
}

/// A PNG header that promises an image of these sides, with next to nothing behind it.
fn promising_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    image::RgbImage::new(1, 1).write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
    bytes[16..20].copy_from_slice(&width.to_be_bytes());
    bytes[20..24].copy_from_slice(&height.to_be_bytes());
    let checksum = checksum_of(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn checksum_of(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[test]
fn huge_images_are_refused_by_their_header() {
    let refused = message(&promising_png(20_000, 20_000));
    assert_eq!(refused, "20000 by 20000 pixels: expected at most 100 million; scale the image down");
    let mut jpeg = fs::read(file("444-q50.jpg")).unwrap();
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&60_000u16.to_be_bytes().repeat(2));
    assert!(message(&jpeg).starts_with("60000 by 60000 pixels: expected at most"), "{}", message(&jpeg));
    assert!(message(&promising_png(u32::MAX, u32::MAX)).contains("PNG data cannot be decoded"));
}

#[test]
fn absurd_metadata_leave_the_image_as_it_stands() {
    let whole = fs::read(file("turned-6.jpg")).unwrap();
    let at = whole.windows(6).position(|window| window == b"Exif\0\0").unwrap() + 6;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.jpg");
    for first in 0..26 {
        let mut bytes = whole.clone();
        bytes[at + first] = 0xff;
        fs::write(&path, &bytes).unwrap();
        let (width, height) = decode(&path).unwrap().dimensions();
        assert!([(12, 20), (20, 12)].contains(&(width, height)), "byte {first}: {width} by {height}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn damaged_files_never_panic(places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
                                 cut in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        for name in files() {
            let mut bytes = fs::read(file(&name)).unwrap();
            for (place, value) in &places {
                let n_bytes = bytes.len();
                bytes[place.index(n_bytes)] = *value;
            }
            if places.len() % 3 == 0 {
                bytes.truncate(cut.index(bytes.len()));
            }
            fs::write(&path, &bytes).unwrap();
            let _ = Preprocessor::meter(8).load(&path);
        }
    }
}
