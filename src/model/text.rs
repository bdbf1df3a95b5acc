//! From captions to the token ids that a network takes.
//!
//! Owns the use of a tokenizer: truncation that keeps the end-of-text token, padding, the mask, and the checks that tokenizer
//! and network belong together. What a model's files say becomes a tokenizer in `vocabulary.rs`; nothing here knows networks.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use ndarray::Array2;
use serde::{Deserialize, Serialize};
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::error::ModelError;
use super::module::TextInput;
use super::vocabulary::tokenizer_file;

/// How the end-of-text token of a row of ids is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndOfText {
    /// The first place of the largest id. Configurations written before transformers 4.31 carry a
    /// wrong `eos_token_id` of 2; there this rule stands, as in OpenAI's own code.
    LargestId,
    /// The first place of this id.
    FirstOf(u32),
    /// The last token that is no padding.
    LastToken,
}

/// How texts are cut where a model brings a vocabulary and no `tokenizer.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenizerStyle {
    /// Byte pairs of lower-cased words, as CLIP has it.
    Clip,
    /// Byte pairs, as RoBERTa has it.
    Roberta,
    /// Pieces of words, as BERT has it.
    Bert,
}

/// The most bytes of one caption. Far past any context, and cheap to tokenize.
const CAPTION_LIMIT_BYTES: usize = 1 << 16;

/// Padded lengths are multiples of this: few enough to fill batches, close enough to waste little.
const PADDING_STEP: usize = 16;

/// Turns captions into rows of token ids.
pub struct CaptionTokenizer {
    tokenizer: Tokenizer,
    input: TextInput,
}

/// The token ids of one caption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptionIds {
    /// Ids, start and end of text included.
    pub ids: Vec<u32>,
    /// Whether the caption was longer than the network takes, and was cut.
    pub is_cut: bool,
}

/// Captions of like length as the network takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// Where each row's caption stood among those given.
    pub places: Vec<usize>,
    /// Token ids, (n_samples, n_tokens), filled up with the network's id for padding.
    pub ids: Array2<i64>,
    /// One for a token, zero for padding, (n_samples, n_tokens).
    pub mask: Array2<i64>,
    /// How many of the captions were longer than the network takes.
    pub n_cut: usize,
}

/// What the library answers. Parts of it panic on descriptions that are none, and a stranger's file must cost no more than itself.
fn guarded<T>(ask: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match panic::catch_unwind(AssertUnwindSafe(ask)) {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err("the tokenizers library gave up on what it says".to_owned()),
    }
}

impl CaptionTokenizer {
    /// Reads the tokenizer of a folder, whichever files it is in; truncation and padding that it may carry are replaced.
    ///
    /// # Errors
    /// There is no tokenizer, a file of it cannot be read, or its special tokens alone fill the context.
    pub fn open(folder: &Path, style: TokenizerStyle, input: TextInput) -> Result<Self, ModelError> {
        let (path, bytes) = tokenizer_file(folder, style, input.vocab_size)?;
        Self::of_json(&path, &bytes, input)
    }

    /// A tokenizer as `tokenizer.json` describes it; `path` is where that stands.
    ///
    /// # Errors
    /// It is no tokenizer, or its special tokens alone fill the context.
    pub(super) fn of_json(path: &Path, bytes: &[u8], input: TextInput) -> Result<Self, ModelError> {
        let malformed = |message: String| ModelError::malformed(path, message);
        // A slip in the JSON is told by its place, before the library meets it.
        let text = std::str::from_utf8(bytes).map_err(|error| malformed(error.to_string()))?;
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|error| malformed(error.to_string()))?;
        let mut tokenizer = guarded(|| Tokenizer::from_bytes(bytes)).map_err(malformed)?;
        let n_added = tokenizer.get_post_processor().map_or(0, |post_processor| post_processor.added_tokens(false));
        let TextInput { context_length, .. } = input;
        if n_added >= context_length {
            let message = format!("{n_added} special tokens: expected fewer than the context {context_length}");
            return Err(malformed(message));
        }
        let truncation = TruncationParams { max_length: context_length, ..Default::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(|error| malformed(error.to_string()))?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer, input })
    }

    /// The ids of one caption, start and end of text included, at most the context length.
    ///
    /// # Errors
    /// The caption is beyond all measure or cannot be tokenized, a token is not in the network's
    /// vocabulary, or the end-of-text token that the network looks for is missing.
    pub fn ids(&self, caption: &str) -> Result<CaptionIds, ModelError> {
        let size_bytes = caption.len();
        if size_bytes > CAPTION_LIMIT_BYTES {
            let limit_bytes = CAPTION_LIMIT_BYTES;
            return Err(ModelError::CaptionTooLong { size_bytes, limit_bytes });
        }
        let quoted = || quoted(caption);
        let encoding = guarded(|| self.tokenizer.encode_fast(caption, true))
            .map_err(|message| ModelError::Tokenize { caption: quoted(), message })?;
        let ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            let message = "no tokens came out".to_owned();
            return Err(ModelError::Tokenize { caption: quoted(), message });
        }
        let vocab_size = self.input.vocab_size;
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(ModelError::TokenId { caption: quoted(), id, vocab_size });
        }
        match self.input.end_of_text {
            EndOfText::FirstOf(expected) if !ids.contains(&expected) => {
                Err(ModelError::NoEndOfText { caption: quoted(), expected })
            }
            _ => Ok(CaptionIds { ids, is_cut: !encoding.get_overflowing().is_empty() }),
        }
    }

    /// Captions as batches of equal padded length, each with the places of its captions.
    ///
    /// A caption is padded to the next multiple of 16 tokens, whatever its neighbours: padding to
    /// the longest of a batch would sum over tokens in another order in other company, so that a
    /// caption's units would depend on it; padding to the context would make short captions,
    /// which most are, several times as dear.
    ///
    /// # Errors
    /// See [`CaptionTokenizer::ids`].
    pub fn batches<S: AsRef<str>>(&self, captions: &[S]) -> Result<Vec<TokenBatch>, ModelError> {
        let mut by_length: BTreeMap<usize, Vec<(usize, CaptionIds)>> = BTreeMap::new();
        for (index, caption) in captions.iter().enumerate() {
            let ids = self.ids(caption.as_ref())?;
            let n_tokens = ids.ids.len().next_multiple_of(PADDING_STEP).min(self.input.context_length);
            by_length.entry(n_tokens).or_default().push((index, ids));
        }
        let batches = by_length.into_iter();
        Ok(batches.map(|(n_tokens, captions)| TokenBatch::new(n_tokens, &captions, self.input.pad_id)).collect())
    }
}

/// The beginning of a caption, for an error.
pub(super) fn quoted(caption: &str) -> String {
    caption.chars().take(60).collect()
}

impl TokenBatch {
    fn new(n_tokens: usize, captions: &[(usize, CaptionIds)], pad_id: u32) -> Self {
        let shape = (captions.len(), n_tokens);
        let (mut ids, mut mask) = (Array2::from_elem(shape, i64::from(pad_id)), Array2::zeros(shape));
        for (row, (_, caption)) in captions.iter().enumerate() {
            for (column, &id) in caption.ids.iter().enumerate() {
                ids[[row, column]] = i64::from(id);
                mask[[row, column]] = 1;
            }
        }
        let places = captions.iter().map(|&(place, _)| place).collect();
        let n_cut = captions.iter().filter(|(_, caption)| caption.is_cut).count();
        Self { places, ids, mask, n_cut }
    }
}
