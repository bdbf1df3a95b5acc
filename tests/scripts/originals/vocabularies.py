"""Small tokenizers by rule: the commonest pair first, ties by spelling.

(The tokenizers package's own trainers number their tokens differently from run to run.)
"""

import json
from collections import Counter

from tokenizers import AddedToken, Regex, pre_tokenizers
from transformers import RobertaTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
LETTERS = sorted(pre_tokenizers.ByteLevel.alphabet())


def merge_pairs(words, n_merges):
    """The first merges of byte-pair encoding over `words`, lists of symbols that this changes in place."""
    merges = []
    while len(merges) < n_merges:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(pair)
        for word in words:
            for at in range(len(word) - 2, -1, -1):
                if (*word[at : at + 2],) == pair:
                    word[at : at + 2] = ["".join(pair)]
    return merges


def clip_vocabulary(captions, size=None):
    """Tokens and merges as CLIP's: lower case, `</w>` at a word's end, the two marks last; filled up to `size`."""
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    words = [list(word) for caption in captions for word, _ in split.pre_tokenize_str(caption.lower())]
    for word in words:
        word[-1] += "</w>"
    tokens = LETTERS + [letter + "</w>" for letter in LETTERS]
    merges = merge_pairs(words, 10**6 if size is None else size - 2 - len(tokens))
    tokens += ["".join(pair) for pair in merges]
    tokens += [f"unused-{i}" for i in range((size or 0) - 2 - len(tokens))] + [START, END]
    return tokens, merges


def roberta_vocabulary(captions, size):
    """Tokens and merges as RoBERTa's: a space belongs to the word after it, `<mask>` last."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words = [list(word) for caption in captions for word, _ in split.pre_tokenize_str(caption)]
    tokens = ["<s>", "<pad>", "</s>", "<unk>"] + LETTERS
    merges = merge_pairs(words, size - 1 - len(tokens))
    tokens += ["".join(pair) for pair in merges]
    tokens += [f"madeupword{i:04}" for i in range(size - 1 - len(tokens))] + ["<mask>"]
    return tokens, merges


def save_roberta_tokenizer(folder, tokens, merges, max_length):
    """`tokenizer.json` as RoBERTa's is published: `<mask>` takes the space before it, not so in transformers 5."""
    mask = AddedToken("<mask>", lstrip=True, normalized=False, special=True)
    RobertaTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges, mask_token=mask,
                     model_max_length=max_length).save_pretrained(folder)


def word_pieces(captions, size, lower_case):
    """Tokens as BERT's: unused places first, then letters, short words whole, long ones in two pieces."""
    split = pre_tokenizers.BertPreTokenizer()
    text = [caption.lower() if lower_case else caption for caption in captions]
    counts = Counter(word for caption in text for word, _ in split.pre_tokenize_str(caption))
    words = sorted((word for word in counts if word.isascii()), key=lambda word: (-counts[word], word))
    tokens = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = sorted(set("".join(words)))
    pieces = letters + [f"##{letter}" for letter in letters if letter.isalnum()]
    for word in words:
        pieces += [word] if len(word) < 5 else [word[:3], f"##{word[3:]}"]
    tokens += dict.fromkeys(pieces)
    tokens += [f"[unused{i}]" for i in range(2, 2 + size - len(tokens))]
    assert len(tokens) == size == len(set(tokens)), (len(tokens), size)
    return tokens


def write_pairs(folder, tokens, merges):
    """`vocab.json` and `merges.txt`, as tokenizers that pair bytes were published before `tokenizer.json`."""
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    lines = ["#version: 0.2"] + [" ".join(pair) for pair in merges]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
