"""What the makers of model fixtures share: where they write, what they feed, how they note it."""

import json
import platform
import shutil
from importlib import metadata
from pathlib import Path

import numpy
import PIL
import safetensors
import skimage
import tokenizers
import torch
import transformers
from PIL import Image, ImageOps
from safetensors.torch import save_file

ROOT = Path(__file__).parent.parent.parent / "fixtures" / "model"
PACKAGES = (torch, transformers, tokenizers, safetensors, PIL, skimage, numpy)

# The captions of `expected.safetensors`.
CAPTIONS = [
    "a dog",
    "Two PEOPLE are walking along the beach, it's late!",
    "",
    "a cat sits on a red chair and looks through the window at 3 small birds in the old tree "
    "while the rain falls on the quiet street behind the house",
    "un café, naïve 日本 \n\t  end",
]
# The first three run through a network: one word, some, more than fit. The others are there for the tokenizers.
TEXTS = ["dog", "PEOPLE at a Café, it's late!", CAPTIONS[3], "", CAPTIONS[4], "[MASK] and <mask>"]
# RoBERTa's positions count the ids that are no padding, and a text can spell the padding.
ROBERTA_TEXTS = ["dog", "a <pad> late <pad> Café", *TEXTS[2:]]
PHOTOGRAPHS = ["coffee.png", "grey.png", "palette.png"]


def versions():
    return {package.__name__: package.__version__ for package in PACKAGES} | {"python": platform.python_version()}


def installed(*names):
    """Versions of packages by their names in the index."""
    return {name: metadata.version(name) for name in names}


def unsettle(model, seed, scale=0.15):
    """Moves every parameter away from its initial value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 0:
                parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def fresh(folder):
    """An empty folder of this name."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def write_json(path, content):
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def write_taps(path, taps, **inputs):
    save_file({name: value.contiguous() for name, value in (inputs | taps).items()}, path)


def note(folder, tokenize=None, texts=(), images=(), originals=None):
    """`fixture.json` of a model folder; ids are cut to the model's length, and unpadded."""
    ids = [tokenize(text) for text in texts]
    made_with = versions() | (originals or {})
    write_json(folder / "fixture.json", dict(versions=made_with, captions=list(texts), ids=ids, images=list(images)))


def open_images(names=PHOTOGRAPHS):
    """Turned as they say and in three colours: other kinds of pixels are no matter of the network's."""
    return [ImageOps.exif_transpose(Image.open(ROOT / "stimuli" / name)).convert("RGB") for name in names]


def photographs(processor, names=PHOTOGRAPHS):
    """What an image processor of transformers makes of the images."""
    return processor(open_images(names), return_tensors="pt")["pixel_values"].float()


def batch(tokenizer, texts):
    """The first three texts, padded to the longest and cut to the model's length."""
    encoded = tokenizer(texts[:3], padding=True, truncation=True, return_tensors="pt")
    return dict(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])


def unpadded(tokenizer):
    return lambda text: tokenizer(text, truncation=True)["input_ids"]


def reloaded(architecture, folder):
    """A model of transformers from its folder, in single precision; every weight of it must have been there."""
    model, loading = architecture.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True)
    lacking = {name: found for name, found in loading.items() if name != "unexpected_keys" and found}
    if lacking:
        raise RuntimeError(f"{folder.name} does not hold what {architecture.__name__} needs: {lacking}")
    return model.eval()
