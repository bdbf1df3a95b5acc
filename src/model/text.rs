//! From captions to the token ids that the text tower takes.
//!
//! Owns the use of `tokenizer.json`: truncation that keeps the end-of-text token, padding, the
//! mask, and the checks that tokenizer and network belong together. The vocabulary itself is the
//! `tokenizers` crate's matter; nothing here knows networks.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::Array2;
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::config::EndOfText;
use super::error::ModelError;
use super::file::{TOKENIZER_LIMIT_BYTES, read_bounded};

/// The tokenizer's file name in a model folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";

/// The most bytes of one caption. Far past any context, and cheap to tokenize.
const CAPTION_LIMIT_BYTES: usize = 1 << 16;

/// Padded lengths are multiples of this: few enough to fill batches, close enough to waste little.
const PADDING_STEP: usize = 16;

/// Turns captions into rows of token ids.
pub struct CaptionTokenizer {
    tokenizer: Tokenizer,
    context_length: usize,
    vocab_size: usize,
    end_of_text: EndOfText,
}

/// Captions of like length as the network takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBatch {
    /// Where each row's caption stood among those given.
    pub places: Vec<usize>,
    /// Token ids, (n_samples, n_tokens), zero where padded.
    pub ids: Array2<i64>,
    /// One for a token, zero for padding, (n_samples, n_tokens).
    pub mask: Array2<i64>,
}

impl CaptionTokenizer {
    /// Reads `tokenizer.json` of a folder; truncation and padding that it may carry are replaced.
    ///
    /// # Errors
    /// The file cannot be read or is no tokenizer, or its special tokens alone fill the context.
    pub fn open(
        folder: &Path,
        context_length: usize,
        vocab_size: usize,
        end_of_text: EndOfText,
    ) -> Result<Self, ModelError> {
        let path = folder.join(TOKENIZER_FILE);
        let bytes = read_bounded(&path, TOKENIZER_LIMIT_BYTES)?;
        let malformed = |error| ModelError::malformed(&path, error);
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(malformed)?;
        let n_added = tokenizer.get_post_processor().map_or(0, |post_processor| post_processor.added_tokens(false));
        if n_added >= context_length {
            let message = format!("{n_added} special tokens: expected fewer than the context {context_length}");
            return Err(ModelError::malformed(&path, message));
        }
        let truncation = TruncationParams { max_length: context_length, ..Default::default() };
        tokenizer.with_truncation(Some(truncation)).map_err(malformed)?;
        tokenizer.with_padding(None);
        Ok(Self { tokenizer, context_length, vocab_size, end_of_text })
    }

    /// The ids of one caption, start and end of text included, at most the context length.
    ///
    /// # Errors
    /// The caption is beyond all measure or cannot be tokenized, a token is not in the network's
    /// vocabulary, or the end-of-text token that the network looks for is missing.
    pub fn ids(&self, caption: &str) -> Result<Vec<u32>, ModelError> {
        let size_bytes = caption.len();
        if size_bytes > CAPTION_LIMIT_BYTES {
            let limit_bytes = CAPTION_LIMIT_BYTES;
            return Err(ModelError::CaptionTooLong { size_bytes, limit_bytes });
        }
        let quoted = || caption.chars().take(60).collect::<String>();
        let encoding = self
            .tokenizer
            .encode_fast(caption, true)
            .map_err(|error| ModelError::Tokenize { caption: quoted(), message: error.to_string() })?;
        let ids = encoding.get_ids().to_vec();
        if ids.is_empty() {
            let message = "no tokens came out".to_owned();
            return Err(ModelError::Tokenize { caption: quoted(), message });
        }
        let vocab_size = self.vocab_size;
        if let Some(&id) = ids.iter().find(|&&id| id as usize >= vocab_size) {
            return Err(ModelError::TokenId { caption: quoted(), id, vocab_size });
        }
        match self.end_of_text {
            EndOfText::FirstOf(expected) if !ids.contains(&expected) => {
                Err(ModelError::NoEndOfText { caption: quoted(), expected })
            }
            _ => Ok(ids),
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
        let mut by_length: BTreeMap<usize, Vec<(usize, Vec<u32>)>> = BTreeMap::new();
        for (index, caption) in captions.iter().enumerate() {
            let ids = self.ids(caption.as_ref())?;
            let n_tokens = ids.len().next_multiple_of(PADDING_STEP).min(self.context_length);
            by_length.entry(n_tokens).or_default().push((index, ids));
        }
        let batches = by_length.into_iter();
        Ok(batches.map(|(n_tokens, captions)| TokenBatch::new(n_tokens, &captions)).collect())
    }
}

impl TokenBatch {
    fn new(n_tokens: usize, captions: &[(usize, Vec<u32>)]) -> Self {
        let shape = (captions.len(), n_tokens);
        let (mut ids, mut mask) = (Array2::zeros(shape), Array2::zeros(shape));
        for (row, (_, caption)) in captions.iter().enumerate() {
            for (column, &id) in caption.iter().enumerate() {
                ids[[row, column]] = i64::from(id);
                mask[[row, column]] = 1;
            }
        }
        let places = captions.iter().map(|&(place, _)| place).collect();
        Self { places, ids, mask }
    }
}
