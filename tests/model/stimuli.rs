//! Captions become the token ids that the original tokenizers make of them, whichever files a model's vocabulary is in.

use hebb::model::module::TextInput;
use hebb::model::text::{EndOfText, TokenizerStyle};
use hebb::model::{CaptionTokenizer, ModelError, OpenModel};

use proptest::prelude::*;

use super::{Fixture, fixture, fixtures, model_folder};

fn tokenizer_of(
    vocab_size: usize,
    context_length: usize,
    end_of_text: EndOfText,
) -> Result<CaptionTokenizer, ModelError> {
    let input = TextInput { context_length, vocab_size, pad_id: 0, end_of_text };
    CaptionTokenizer::open(&model_folder(), TokenizerStyle::Clip, input)
}

fn tokenizer(vocab_size: usize, end_of_text: EndOfText) -> CaptionTokenizer {
    tokenizer_of(vocab_size, 24, end_of_text).unwrap()
}

#[test]
fn captions_become_the_original_ids() {
    // From `tokenizer.json`, `vocab.json` with `merges.txt`, `vocab.txt`, and OpenAI's own file of merges.
    for name in [
        "clip",
        "clip-one-layer",
        "clip-openai",
        "bert",
        "bert-masked-lm",
        "roberta",
        "roberta-base-model",
        "meter",
        "meter-swin",
    ] {
        let folder = fixtures().join(name);
        let fixture = Fixture::read(&folder.join("fixture.json"));
        let (tokenizer, _) = OpenModel::open(&folder).unwrap().tokenizer().unwrap();
        assert!(fixture.captions.len() >= 3, "{name}");
        // `<mask>` takes the space before it in every published tokenizer, and not in one that transformers 5 builds from
        // `vocab.json` itself.
        let differs = |caption: &str| name == "roberta-base-model" && caption.contains("<mask>");
        for (caption, expected) in fixture.captions.iter().zip(&fixture.ids).filter(|(caption, _)| !differs(caption)) {
            assert_eq!(&tokenizer.ids(caption).unwrap().ids, expected, "{name}: {caption:?}");
        }
    }
}

#[test]
fn captions_are_padded_by_steps_and_cut_with_a_word() {
    let tokenizer = tokenizer(600, EndOfText::FirstOf(599));
    let fixture = fixture();
    let batches = tokenizer.batches(&fixture.captions).unwrap();
    let shapes: Vec<_> = batches.iter().map(|batch| batch.ids.dim()).collect();
    assert_eq!(shapes, [(5, 16), (1, 24)], "padded to 16 tokens or the context");
    let n_cut: usize = batches.iter().map(|batch| batch.n_cut).sum();
    assert_eq!(n_cut, fixture.captions.iter().filter(|caption| tokenizer.ids(caption).unwrap().is_cut).count());
    assert!(n_cut > 0 && n_cut < fixture.captions.len());
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
    let long = tokenizer.ids(&"dog ".repeat(10_000)).unwrap();
    assert_eq!((long.ids.len(), long.is_cut), (24, true));
    let endless = tokenizer.ids(&"x".repeat(1 << 20));
    assert!(matches!(endless, Err(ModelError::CaptionTooLong { .. })));
    assert!(matches!(tokenizer_of(600, 2, EndOfText::LargestId), Err(ModelError::Malformed { .. })));
}

proptest! {
    #[test]
    fn any_text_becomes_a_row_with_start_and_end(caption in "\\PC{0,80}|[a-z ]{0,300}") {
        let tokenizer = tokenizer(600, EndOfText::FirstOf(599));
        let ids = tokenizer.ids(&caption).unwrap().ids;
        prop_assert!(ids.len() <= 24);
        prop_assert_eq!((ids[0], ids[ids.len() - 1]), (598, 599));
    }
}
