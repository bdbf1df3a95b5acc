//! Images become the pixels, and captions the token ids, that transformers makes of them.

use hebb::model::config::EndOfText;
use hebb::model::{CaptionTokenizer, ModelError, Preprocessor};

use proptest::prelude::*;

use super::{expected, fixture, fixtures, model_folder};

fn tokenizer(vocab_size: usize, end_of_text: EndOfText) -> CaptionTokenizer {
    CaptionTokenizer::open(&model_folder(), 24, vocab_size, end_of_text).unwrap()
}

/// Differences in grey levels to Pillow's pixels: the largest, and the share that is zero.
fn compare(name: &str) -> (f64, f64) {
    let preprocessor = Preprocessor::open(&model_folder()).unwrap();
    let ours = preprocessor.load(&fixtures().join("stimuli").join(name)).unwrap();
    let theirs = &expected()[&format!("pixels.{name}")];
    let (mean, deviation) = ([0.481_454_66, 0.457_827_5, 0.408_210_73], [0.268_629_54, 0.261_302_58, 0.275_777_11]);
    let mut worst = 0f64;
    let mut n_equal = 0;
    for ((channel, row, column), &value) in ours.indexed_iter() {
        let grey = (f64::from(value) * deviation[channel] + mean[channel]) * 255.0;
        let at = (row * theirs.shape[1] + column) * 3 + channel;
        let difference = (grey.round() - f64::from(theirs.bytes[at])).abs();
        worst = worst.max(difference);
        n_equal += usize::from(difference == 0.0);
    }
    (worst, n_equal as f64 / ours.len() as f64)
}

#[test]
fn images_become_pillow_s_pixels() {
    println!("{:<16} {:>6} {:>8}", "image", "worst", "equal");
    for name in fixture().images {
        let (worst, share_equal) = compare(&name);
        println!("{name:<16} {worst:>6} {:>7.2}%", share_equal * 100.0);
        // PNG is exact. For JPEG the decoders differ: `image` rounds the inverse transform and
        // interpolates subsampled colour otherwise than libjpeg-turbo, which Pillow uses.
        let allowed = match name.rsplit_once('.') {
            Some((_, "png")) => (0.0, 1.0),
            _ if name.contains("420") => (2.0, 0.6),
            _ => (1.0, 0.9),
        };
        assert!(worst <= allowed.0 && share_equal >= allowed.1, "{name}");
    }
}

#[test]
fn normalised_images_equal_the_processor_s() {
    let name = &fixture().images[0];
    let preprocessor = Preprocessor::open(&model_folder()).unwrap();
    let ours = preprocessor.load(&fixtures().join("stimuli").join(name)).unwrap();
    let theirs = expected()[&format!("input.{name}")].floats();
    for (found, expected) in ours.iter().zip(theirs) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
}

#[test]
fn captions_become_transformers_ids() {
    let tokenizer = tokenizer(600, EndOfText::FirstOf(599));
    let fixture = fixture();
    for (caption, expected) in fixture.captions.iter().zip(&fixture.ids) {
        assert_eq!(&tokenizer.ids(caption).unwrap(), expected, "{caption:?}");
    }
    let batches = tokenizer.batches(&fixture.captions).unwrap();
    let shapes: Vec<_> = batches.iter().map(|batch| batch.ids.dim()).collect();
    assert_eq!(shapes, [(3, 16), (2, 24)], "padded to 16 tokens or the context");
    for batch in batches {
        for (row, &place) in batch.places.iter().enumerate() {
            let expected = &fixture.ids[place];
            assert_eq!(batch.mask.row(row).sum() as usize, expected.len());
            let last = batch.ids[[row, expected.len() - 1]];
            assert_eq!(last, 599, "truncation keeps the end of text");
        }
    }
}

#[test]
fn captions_that_do_not_fit_the_network_are_errors() {
    let small = tokenizer(400, EndOfText::LargestId).ids("a dog");
    assert!(matches!(small, Err(ModelError::TokenId { vocab_size: 400, .. })));
    let other = tokenizer(600, EndOfText::FirstOf(5)).ids("a dog");
    assert!(matches!(other, Err(ModelError::NoEndOfText { expected: 5, .. })));
    let tokenizer = tokenizer(600, EndOfText::FirstOf(599));
    assert_eq!(tokenizer.ids(&"dog ".repeat(10_000)).unwrap().len(), 24);
    let endless = tokenizer.ids(&"x".repeat(1 << 20));
    assert!(matches!(endless, Err(ModelError::CaptionTooLong { .. })));
    let crowded = CaptionTokenizer::open(&model_folder(), 2, 600, EndOfText::LargestId);
    assert!(matches!(crowded, Err(ModelError::Malformed { .. })));
}

proptest! {
    #[test]
    fn any_text_becomes_a_row_with_start_and_end(caption in "\\PC{0,80}|[a-z ]{0,300}") {
        let tokenizer = tokenizer(600, EndOfText::FirstOf(599));
        let ids = tokenizer.ids(&caption).unwrap();
        prop_assert!(ids.len() <= 24);
        prop_assert_eq!((ids[0], ids[ids.len() - 1]), (598, 599));
    }
}
