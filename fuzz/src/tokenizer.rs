//! Any bytes taken for the files of a tokenizer: refused, or ids that the network knows and that fit its context.
//!
//! The first byte chooses the files, the second how the end of a text is found; parts become files.

use std::{fs, io::Write};

use flate2::{Compression, write::GzEncoder};
use hebb::model::{
    module::TextInput,
    text::{CaptionTokenizer, EndOfText, TokenizerStyle},
};

use super::scratch::{self, parts};

/// Captions of several scripts, with marks that tokenizers give a meaning, and one that no context holds.
const CAPTIONS: [&str; 4] =
    ["a photo of two dogs", "<|startoftext|>caf\u{e9} \u{732b}\u{1f408}", "[CLS] it's 12:30 ##x </s>", ""];

/// Feeds one input.
pub fn run(bytes: &[u8]) {
    let [form, end, bytes @ ..] = bytes else { return };
    let folder = scratch::folder();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("writable");
    let style = match form % 5 {
        0 => {
            write("tokenizer.json", bytes);
            TokenizerStyle::Clip
        }
        1 => {
            let [vocabulary, merges] = parts(bytes);
            write("vocab.json", vocabulary);
            write("merges.txt", merges);
            TokenizerStyle::Clip
        }
        2 => {
            let [vocabulary, merges, config] = parts(bytes);
            write("vocab.json", vocabulary);
            write("merges.txt", merges);
            write("tokenizer_config.json", config);
            TokenizerStyle::Roberta
        }
        3 => {
            let [pieces, config] = parts(bytes);
            write("vocab.txt", pieces);
            write("tokenizer_config.json", config);
            TokenizerStyle::Bert
        }
        _ => {
            let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
            packed.write_all(bytes).expect("in memory");
            write("bpe_simple_vocab_16e6.txt.gz", &packed.finish().expect("in memory"));
            TokenizerStyle::Clip
        }
    };
    let end_of_text = match end % 3 {
        0 => EndOfText::LargestId,
        1 => EndOfText::FirstOf(u32::from(*end)),
        _ => EndOfText::LastToken,
    };
    let input = TextInput { context_length: 16, vocab_size: 600, pad_id: 0, end_of_text };
    let Ok(tokenizer) = CaptionTokenizer::open(folder.path(), style, input) else { return };
    let long = "word ".repeat(100);
    for caption in CAPTIONS.into_iter().chain([long.as_str()]) {
        let Ok(ids) = tokenizer.ids(caption) else { continue };
        assert!(ids.ids.len() <= input.context_length);
        assert!(ids.ids.iter().all(|&id| (id as usize) < input.vocab_size));
    }
    if let Ok(batches) = tokenizer.batches(&CAPTIONS) {
        assert_eq!(batches.iter().map(|batch| batch.places.len()).sum::<usize>(), CAPTIONS.len());
        assert!(batches.iter().all(|batch| batch.ids.dim() == batch.mask.dim()));
    }
}
