//! What a model's files say of its tokenizer, as one `tokenizer.json`.
//!
//! Owns the older forms in which vocabularies come (`vocab.json` and `merges.txt`, `vocab.txt`, OpenAI's own file of merges)
//! and the making of a vocabulary of any size by rule, for models without trained weights: merges that spell out the words of
//! simple captions and then invented words. Knows nothing of weights; how a caption is cut with it stands in `text.rs`.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use super::config::ConfigTable;
use super::error::ModelError;
use super::file::{TOKENIZER_LIMIT_BYTES, read_bounded, read_json, read_json_within};
use super::text::TokenizerStyle;

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

/// The tokenizer's file name in a model folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// Every file that a tokenizer may be in, beside a model's weights.
pub const TOKENIZER_FILES: [&str; 6] =
    [TOKENIZER_FILE, TOKENIZER_CONFIG_FILE, VOCABULARY_FILE, MERGES_FILE, WORD_PIECES_FILE, OPENAI_MERGES_FILE];

const TOKENIZER_CONFIG_FILE: &str = "tokenizer_config.json";
const VOCABULARY_FILE: &str = "vocab.json";
const MERGES_FILE: &str = "merges.txt";
const WORD_PIECES_FILE: &str = "vocab.txt";
const OPENAI_MERGES_FILE: &str = "bpe_simple_vocab_16e6.txt.gz";

/// A tokenizer as `tokenizer.json` describes it, from whichever files a folder has, and the file that says most of it.
///
/// # Errors
/// There is no tokenizer in the folder, or a file of it is not what it should be.
pub fn tokenizer_file(
    folder: &Path,
    style: TokenizerStyle,
    vocab_size: usize,
) -> Result<(PathBuf, Vec<u8>), ModelError> {
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.is_file());
    let read = |path: &Path| read_bounded(path, TOKENIZER_LIMIT_BYTES);
    if let Some(path) = there(TOKENIZER_FILE) {
        let bytes = read(&path)?;
        return Ok((path, bytes));
    }
    let (path, json) = match style {
        TokenizerStyle::Bert => {
            let path = there(WORD_PIECES_FILE).ok_or_else(|| no_tokenizer(folder, &[WORD_PIECES_FILE]))?;
            let text = text_of(&path, read(&path)?)?;
            let is_lower_cased = match there(TOKENIZER_CONFIG_FILE) {
                Some(config) => {
                    let json: Value = read_json(&config)?;
                    ConfigTable::of(&json, &config)?.flag("do_lower_case", true)?
                }
                None => true,
            };
            let json = word_pieces_json(&path, &text, is_lower_cased)?;
            (path, json)
        }
        TokenizerStyle::Clip if there(VOCABULARY_FILE).is_none() && there(OPENAI_MERGES_FILE).is_some() => {
            let path = folder.join(OPENAI_MERGES_FILE);
            let mut text = String::new();
            let bytes = read(&path)?;
            let mut unpacked = GzDecoder::new(bytes.as_slice()).take(TOKENIZER_LIMIT_BYTES);
            unpacked.read_to_string(&mut text).map_err(ModelError::read(&path))?;
            // The first line names the format; what comes after the vocabulary's last merge was never used.
            let n_merges = vocab_size.saturating_sub(SMALLEST_VOCABULARY);
            let merges = merges_of(&path, text.lines().skip(1).take(n_merges))?;
            let json = clip_json(openai_vocabulary(&merges), &merges);
            (path, json)
        }
        TokenizerStyle::Clip | TokenizerStyle::Roberta => {
            let both = (there(VOCABULARY_FILE), there(MERGES_FILE));
            let (Some(path), Some(merges_path)) = both else {
                let or = if style == TokenizerStyle::Clip { OPENAI_MERGES_FILE } else { "" };
                return Err(no_tokenizer(folder, &[VOCABULARY_FILE, MERGES_FILE, or]));
            };
            let vocabulary: Map<String, Value> = read_json_within(&path, TOKENIZER_LIMIT_BYTES)?;
            let text = text_of(&merges_path, read(&merges_path)?)?;
            let lines = text.lines().filter(|line| !line.starts_with("#version") && !line.trim().is_empty());
            let merges = merges_of(&merges_path, lines)?;
            let json = match style {
                TokenizerStyle::Clip => clip_json(vocabulary, &merges),
                _ => roberta_json(&path, vocabulary, &merges)?,
            };
            (path, json)
        }
    };
    let bytes = serde_json::to_vec_pretty(&json).expect("a JSON value always prints");
    Ok((path, bytes))
}

/// The most tokens of a text that a tokenizer's own settings let through; settings that say more than any network takes, as many
/// do, say nothing.
///
/// # Errors
/// `tokenizer_config.json` is there and cannot be read.
pub fn longest_text(folder: &Path) -> Result<usize, ModelError> {
    let path = folder.join(TOKENIZER_CONFIG_FILE);
    if !path.is_file() {
        return Ok(usize::MAX);
    }
    let json: Value = read_json(&path)?;
    let longest = json.get("model_max_length").and_then(Value::as_u64).filter(|length| *length > 2);
    Ok(longest.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX))
}

fn no_tokenizer(folder: &Path, or: &[&'static str]) -> ModelError {
    let or = or.iter().filter(|name| !name.is_empty()).map(|name| format!("`{name}`")).collect::<Vec<_>>();
    ModelError::NoTokenizer { folder: folder.to_owned(), or: or.join(", ") }
}

fn text_of(path: &Path, bytes: Vec<u8>) -> Result<String, ModelError> {
    String::from_utf8(bytes).map_err(|error| ModelError::malformed(path, error))
}

fn merges_of<'a>(path: &Path, lines: impl Iterator<Item = &'a str>) -> Result<Vec<(String, String)>, ModelError> {
    let merge = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [left, right] => Ok((left.to_owned(), right.to_owned())),
        _ => Err(ModelError::malformed(path, format!("`{line}` is no merge: expected two tokens"))),
    };
    lines.map(merge).collect()
}

/// OpenAI's order: bytes, bytes at a word's end, merges, the two marks.
fn openai_vocabulary(merges: &[(String, String)]) -> Map<String, Value> {
    let alphabet = byte_characters();
    let mut tokens: Vec<String> = alphabet.iter().map(char::to_string).collect();
    tokens.extend(alphabet.iter().map(|character| format!("{character}{END_OF_WORD}")));
    tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    tokens.extend([START_OF_TEXT.to_owned(), END_OF_TEXT.to_owned()]);
    tokens.into_iter().enumerate().map(|(id, token)| (token, Value::from(id))).collect()
}

/// A token that is never cut and that decoding may leave out.
fn mark(vocabulary: &Map<String, Value>, content: &str, takes_space_before: bool) -> Option<Value> {
    Some(json!({
        "id": vocabulary.get(content)?, "content": content, "single_word": false, "lstrip": takes_space_before,
        "rstrip": false, "normalized": false, "special": true,
    }))
}

fn pair_list(merges: &[(String, String)]) -> Vec<[&str; 2]> {
    merges.iter().map(|(left, right)| [left.as_str(), right.as_str()]).collect()
}

/// Bytes and the special tokens: what every vocabulary of a style has at least, since they spell any text.
#[must_use]
pub fn smallest_vocabulary(style: TokenizerStyle) -> usize {
    match style {
        TokenizerStyle::Clip => SMALLEST_VOCABULARY,
        TokenizerStyle::Roberta => 256 + 5,
        TokenizerStyle::Bert => 5 + 2 * PRINTABLE.len(),
    }
}

/// A tokenizer without training, with exactly `vocab_size` tokens; at least [`smallest_vocabulary`].
#[must_use]
pub fn tokenizer_json(style: TokenizerStyle, vocab_size: usize) -> Value {
    let n_more = vocab_size.saturating_sub(smallest_vocabulary(style));
    let path = Path::new(TOKENIZER_FILE);
    match style {
        TokenizerStyle::Clip => {
            let merges = merges(n_more, "", END_OF_WORD);
            clip_json(openai_vocabulary(&merges), &merges)
        }
        TokenizerStyle::Roberta => {
            // A space stands before a word, as the character that bytes' alphabet has for it.
            let merges = merges(n_more, "Ġ", "");
            let mut tokens: Vec<String> = ["<s>", "<pad>", "</s>", "<unk>"].map(str::to_owned).to_vec();
            tokens.extend(byte_characters().iter().map(char::to_string));
            tokens.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
            tokens.push("<mask>".to_owned());
            let vocabulary = tokens.into_iter().enumerate().map(|(id, token)| (token, Value::from(id))).collect();
            roberta_json(path, vocabulary, &merges).expect("its marks are in it")
        }
        TokenizerStyle::Bert => {
            let mut pieces: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned).to_vec();
            pieces.extend(PRINTABLE.chars().map(String::from));
            pieces.extend(PRINTABLE.chars().map(|letter| format!("##{letter}")));
            let words = CAPTION_WORDS.split_whitespace().map(str::to_owned).chain((0..).map(invented_word));
            let mut known: HashSet<String> = pieces.iter().cloned().collect();
            pieces.extend(words.filter(|word| known.insert(word.clone())).take(n_more));
            word_pieces_json(path, &pieces.join("\n"), true).expect("its marks are in it")
        }
    }
}

/// What lower-cased English is written with.
const PRINTABLE: &str = "abcdefghijklmnopqrstuvwxyz0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// A tokenizer as CLIP's, with this vocabulary.
fn clip_json(vocabulary: Map<String, Value>, merges: &[(String, String)]) -> Value {
    let marks: Vec<Value> =
        [START_OF_TEXT, END_OF_TEXT].iter().filter_map(|content| mark(&vocabulary, content, false)).collect();
    let id = |content: &str| vocabulary.get(content).cloned().unwrap_or_default();
    let (start, end) = (id(START_OF_TEXT), id(END_OF_TEXT));
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": marks,
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
            "type": "RobertaProcessing", "sep": [END_OF_TEXT, end], "cls": [START_OF_TEXT, start],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": END_OF_TEXT,
            "continuing_subword_prefix": "", "end_of_word_suffix": END_OF_WORD, "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": pair_list(merges),
        },
    })
}

/// A tokenizer as RoBERTa's, with this vocabulary.
fn roberta_json(path: &Path, vocabulary: Map<String, Value>, merges: &[(String, String)]) -> Result<Value, ModelError> {
    let marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
    let marks: Vec<Value> =
        marks.iter().filter_map(|content| mark(&vocabulary, content, *content == "<mask>")).collect();
    let id = |content: &str| known_id(path, &vocabulary, content);
    let (start, end) = (id("<s>")?, id("</s>")?);
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": marks,
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {
            "type": "RobertaProcessing", "sep": ["</s>", end], "cls": ["<s>", start],
            "trim_offsets": true, "add_prefix_space": false,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null,
            "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
            "byte_fallback": false, "ignore_merges": false, "vocab": vocabulary, "merges": pair_list(merges),
        },
    }))
}

/// A tokenizer as BERT's, from one word piece a line.
fn word_pieces_json(path: &Path, text: &str, is_lower_cased: bool) -> Result<Value, ModelError> {
    let pieces = text.lines().enumerate().map(|(id, piece)| (piece.trim_end().to_owned(), Value::from(id)));
    let vocabulary: Map<String, Value> = pieces.collect();
    let marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    let marks: Vec<Value> = marks.iter().filter_map(|content| mark(&vocabulary, content, false)).collect();
    let id = |content: &str| known_id(path, &vocabulary, content);
    let (start, end, _) = (id("[CLS]")?, id("[SEP]")?, id("[UNK]")?);
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": marks,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
            "lowercase": is_lower_cased,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", end], "cls": ["[CLS]", start]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary,
        },
    }))
}

fn known_id(path: &Path, vocabulary: &Map<String, Value>, content: &str) -> Result<Value, ModelError> {
    let id = vocabulary.get(content).cloned();
    id.ok_or_else(|| ModelError::malformed(path, format!("it has no `{content}`, which every text needs")))
}

/// The printable character that stands for each byte: itself where it is printable in Latin-1,
/// else the next free one from U+0100, in CLIP's order (printable bytes first).
fn byte_characters() -> Vec<char> {
    let printable = |byte: &u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let (own, rest): (Vec<u8>, Vec<u8>) = (0..=255).partition(printable);
    let borrowed = (0x100..).filter_map(char::from_u32).take(rest.len());
    own.into_iter().map(char::from).chain(borrowed).collect()
}

/// The first `n_merges` merges that spell words letter by letter from the left, with what stands before a word and behind it.
fn merges(n_merges: usize, before: &str, behind: &str) -> Vec<(String, String)> {
    let mut merges = Vec::with_capacity(n_merges);
    let mut known = HashSet::new();
    let caption_words = CAPTION_WORDS.split_whitespace().map(str::to_owned);
    for word in caption_words.chain((0..).map(invented_word)) {
        let mut letters: Vec<String> = word.chars().map(String::from).collect();
        if !before.is_empty() {
            letters.insert(0, before.to_owned());
        }
        if let Some(last) = letters.last_mut() {
            last.push_str(behind);
        }
        let (mut left, rest) = (letters[0].clone(), &letters[1..]);
        for right in rest {
            let right = right.clone();
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
        let json = tokenizer_json(TokenizerStyle::Clip, vocab_size);
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
    fn every_style_spells_words_and_has_its_size() {
        for (style, expected) in [
            (TokenizerStyle::Roberta, &["<s>", "the", "Ġdog", "</s>"][..]),
            (TokenizerStyle::Bert, &["[CLS]", "the", "dog", "[SEP]"]),
        ] {
            let json = serde_json::to_vec(&tokenizer_json(style, 1500)).unwrap();
            let tokenizer = Tokenizer::from_bytes(json).unwrap();
            assert_eq!(tokenizer.get_vocab_size(true), 1500);
            let tokens = tokenizer.encode("the dog", true).unwrap().get_tokens().to_vec();
            // Words without a space before them are spelt out where the vocabulary has only the other form.
            assert_eq!(tokens.concat(), expected.concat());
            assert_eq!(tokens[tokens.len() - 2], expected[2]);
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
