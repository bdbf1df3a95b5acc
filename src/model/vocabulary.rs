//! A tokenizer like CLIP's for models without trained weights.
//!
//! Owns the making of a `tokenizer.json` of any size by rule: byte-level pair encoding with
//! lower-casing and the end-of-word mark `</w>`, whose merges spell out the words of simple
//! captions and then invented words, until the vocabulary is full. Knows nothing of weights:
//! `random.rs` puts a model around it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

/// Byte tokens, plain and at a word's end, and the two marks: what every vocabulary has.
pub const SMALLEST_VOCABULARY: usize = 2 * 256 + 2;

pub const START_OF_TEXT: &str = "<|startoftext|>";
pub const END_OF_TEXT: &str = "<|endoftext|>";

const END_OF_WORD: &str = "</w>";

/// How CLIP cuts a text into words (Radford et al. 2021, released code).
const WORD_PATTERN: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Words of simple captions, the commonest first: they get their own tokens in small vocabularies.
const CAPTION_WORDS: &str = "the of and with in on at is are to from by an for two one three four \
    this that his her their its out up down over under near next behind front back top side left \
    right photo picture image man woman person people child boy girl baby dog cat bird horse cow \
    sheep bear fish car bus train truck boat plane bike street road city house building room \
    kitchen table chair bed door window wall floor tree grass flower field beach sea water river \
    lake mountain hill snow rain sky cloud sun moon night day light dark red green blue yellow \
    white black brown grey pink orange small large big little old young new tall long short happy \
    sad angry quiet loud sitting standing walking running riding holding eating drinking looking \
    talking smiling playing sleeping driving flying swimming jumping wearing waiting working \
    reading writing cooking face hand eye hair hat shirt dress coat shoe bag book phone cup plate \
    bowl glass bottle food bread cake fruit apple banana pizza soup coffee tea ball game music \
    guitar piano clock sign lamp fire bridge station airport school shop market park garden farm \
    forest desert island ship tower church stone wood metal paper round square open closed empty \
    full many some few each other another while after before during into through across around \
    along between against toward scene close view background foreground movie film camera screen";

/// `tokenizer.json` with exactly `vocab_size` tokens, the two marks last.
///
/// `vocab_size` is at least [`SMALLEST_VOCABULARY`].
pub fn tokenizer_json(vocab_size: usize) -> Value {
    let n_merges = vocab_size.saturating_sub(SMALLEST_VOCABULARY);
    let alphabet = byte_characters();
    let mut tokens: Vec<String> = alphabet.iter().map(char::to_string).collect();
    tokens.extend(alphabet.iter().map(|character| format!("{character}{END_OF_WORD}")));
    let merges = merges(n_merges);
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    tokens.extend([START_OF_TEXT.to_owned(), END_OF_TEXT.to_owned()]);

    let start_id = tokens.len() - 2;
    let mark = |offset: usize, content: &str| {
        json!({
            "id": start_id + offset, "content": content, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true,
        })
    };
    let vocab: Map<String, Value> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, Value::from(id))).collect();
    let merges: Vec<String> = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [mark(0, START_OF_TEXT), mark(1, END_OF_TEXT)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORD_PATTERN}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {
            "type": "RobertaProcessing", "sep": [END_OF_TEXT, start_id + 1],
            "cls": [START_OF_TEXT, start_id], "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": END_OF_TEXT,
            "continuing_subword_prefix": "", "end_of_word_suffix": END_OF_WORD, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocab, "merges": merges,
        },
    })
}

/// The printable character that stands for each byte: itself where it is printable in Latin-1,
/// else the next free one from U+0100, in CLIP's order (printable bytes first).
fn byte_characters() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (own, rest): (Vec<u8>, Vec<u8>) = (0..=255).partition(printable);
    let borrowed = (0x100..).filter_map(char::from_u32).take(rest.len());
    own.into_iter().map(char::from).chain(borrowed).collect()
}

/// The first `n_merges` merges that spell words letter by letter from the left.
fn merges(n_merges: usize) -> Vec<(String, String)> {
    let mut merges = Vec::with_capacity(n_merges);
    let mut known = HashSet::new();
    let caption_words = CAPTION_WORDS.split_whitespace().map(str::to_owned);
    for word in caption_words.chain((0..).map(invented_word)) {
        let last = word.len() - 1;
        let mut left = word[..1].to_owned();
        for at in 1..word.len() {
            let mut right = word[at..=at].to_owned();
            if at == last {
                right.push_str(END_OF_WORD);
            }
            let merged = format!("{left}{right}");
            if merges.len() == n_merges {
                return merges;
            }
            if known.insert(merged.clone()) {
                merges.push((left, right));
            }
            left = merged;
        }
    }
    merges
}

/// Words of two syllables and more: `number` written in base 100, a syllable for each digit.
fn invented_word(number: usize) -> String {
    const CONSONANTS: &[u8; 20] = b"btkdmnlrsgpvfhzjwcxq";
    const VOWELS: &[u8; 5] = b"aeiou";
    let mut word = String::new();
    let mut rest = number + 100;
    while rest > 0 {
        let syllable = rest % 100;
        word.push(char::from(CONSONANTS[syllable / 5]));
        word.push(char::from(VOWELS[syllable % 5]));
        rest /= 100;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::Tokenizer;

    fn tokenizer(vocab_size: usize) -> Tokenizer {
        let json = tokenizer_json(vocab_size);
        Tokenizer::from_bytes(serde_json::to_vec(&json).unwrap()).unwrap()
    }

    #[test]
    fn the_vocabulary_has_the_size_asked_for() {
        for vocab_size in [SMALLEST_VOCABULARY, 600, 2000, 49_408] {
            let tokenizer = tokenizer(vocab_size);
            assert_eq!(tokenizer.get_vocab_size(true), vocab_size);
            assert_eq!(tokenizer.token_to_id(END_OF_TEXT), Some(vocab_size as u32 - 1));
        }
    }

    #[test]
    fn texts_are_lower_cased_and_every_byte_is_known() {
        let tokenizer = tokenizer(2000);
        let tokens = |text| tokenizer.encode(text, true).unwrap().get_tokens().to_vec();
        assert_eq!(tokens("The  DOG é"), ["<|startoftext|>", "the</w>", "dog</w>", "Ã", "©</w>", "<|endoftext|>"]);
        let all: String = (0u8..=255).map(char::from).chain("日本𝄞".chars()).collect();
        let ids = tokenizer.encode(all, false).unwrap().get_ids().to_vec();
        assert!(ids.iter().all(|&id| id < 1998), "a byte became the unknown token");
    }
}
