"""Makes random models of the real sizes, as people download them, and taps of two stimuli: parity on demand.

Run from the repository root: python tests/scripts/make_full_size_models.py OUT NAME...
with --meter CHECKOUT --packages SITE_PACKAGES (see make_model_fixtures.py) for METER; without a NAME the names are
listed. OUT/NAME is the folder, OUT/NAME.safetensors the inputs and taps as in `originals/taps.py`, of the first, the
middle and the last layer of each module (--all-layers: of every one; several GB for large images), and
MODULE.embedding. Weights are random, tokenizers made by rule and filled up to the real number of tokens.
"""

import argparse
from pathlib import Path

import skimage
import torch
import transformers
from PIL import Image
from transformers import (BertConfig, BertForMaskedLM, BertTokenizer, CLIPConfig, CLIPModel, CLIPTokenizer,
                          RobertaConfig, RobertaForMaskedLM, RobertaTokenizer, ViTConfig, ViTModel)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from originals import meter as meter_original
from originals.common import CAPTIONS, fresh, note, reloaded, unpadded, unsettle, write_json, write_taps
from originals.taps import bert_taps, clip_taps, meter_taps, vit_taps
from originals.vocabularies import (clip_vocabulary, roberta_vocabulary, save_roberta_tokenizer, word_pieces,
                                    write_pairs)

TEXTS = [CAPTIONS[0], CAPTIONS[3]]
SEED, NOISE = 40, 0.01
ROBERTA_BASE = dict(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
                    pad_token_id=1, bos_token_id=0, eos_token_id=2)


def images():
    return [Image.fromarray(array) for array in (skimage.data.coffee(), skimage.data.chelsea())]


def inputs_of(tokenizer, **options):
    encoded = tokenizer(TEXTS, truncation=True, return_tensors="pt", **({"padding": True} | options))
    return dict(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])


def make_clip(folder, patch_size, image_size=224, large=False):
    vision = dict(patch_size=patch_size, image_size=image_size, projection_dim=768 if large else 512)
    text = dict(bos_token_id=49406, eos_token_id=49407, pad_token_id=49407, projection_dim=768 if large else 512)
    if large:
        vision |= dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16)
        text |= dict(hidden_size=768, intermediate_size=3072, num_attention_heads=12)
    config = CLIPConfig(projection_dim=768 if large else 512, vision_config=vision, text_config=text)
    unsettle(CLIPModel(config), SEED, NOISE).save_pretrained(folder)
    tokens, merges = clip_vocabulary(CAPTIONS, 49408)
    CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges,
                  model_max_length=77).save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": image_size},
                                      crop_size={"height": image_size, "width": image_size})
    processor.save_pretrained(folder)
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    inputs = dict(pixel_values=processor(images(), return_tensors="pt")["pixel_values"].float(), **inputs_of(tokenizer))
    return inputs, clip_taps(reloaded(CLIPModel, folder), **inputs), tokenizer


def make_vit(folder):
    unsettle(ViTModel(ViTConfig()), SEED, NOISE).save_pretrained(folder)
    processor = ViTImageProcessorPil(size={"height": 224, "width": 224})
    processor.save_pretrained(folder)
    inputs = dict(pixel_values=processor(images(), return_tensors="pt")["pixel_values"].float())
    return inputs, vit_taps(reloaded(ViTModel, folder), **inputs), None


def make_bert(folder):
    unsettle(BertForMaskedLM(BertConfig()), SEED, NOISE).save_pretrained(folder)
    tokens = word_pieces(CAPTIONS, 30522, lower_case=True)
    BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}, model_max_length=512).save_pretrained(folder)
    tokenizer = BertTokenizer.from_pretrained(folder)
    inputs = inputs_of(tokenizer)
    return inputs, bert_taps(reloaded(BertForMaskedLM, folder).bert, **inputs), tokenizer


def roberta_tokenizer(folder):
    tokens, merges = roberta_vocabulary(CAPTIONS, 50265)
    save_roberta_tokenizer(folder, tokens, merges, 512)
    write_pairs(folder, tokens, merges)
    return RobertaTokenizer.from_pretrained(folder)


def make_roberta(folder):
    unsettle(RobertaForMaskedLM(RobertaConfig(**ROBERTA_BASE)), SEED, NOISE).save_pretrained(folder)
    tokenizer = roberta_tokenizer(folder)
    inputs = inputs_of(tokenizer)
    return inputs, bert_taps(reloaded(RobertaForMaskedLM, folder).roberta, **inputs), tokenizer


def make_meter(folder, image_size, meter):
    roberta = ROBERTA_BASE | dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
    clip = dict(embed_dim=512, image_resolution=224, vision_layers=12, vision_width=768, vision_patch_size=16,
                context_length=77, vocab_size=49408, transformer_width=512, transformer_heads=8, transformer_layers=12)
    config = meter_original.config(image_size=image_size)
    encoder = lambda resolution: meter.clip_model.CLIP(**clip, resolution_after=resolution)
    model = unsettle(meter_original.build(meter, config, roberta, encoder), SEED, NOISE)
    meter_original.save_checkpoint(model, folder / f"meter_clip16_{image_size}_roberta_pretrain.ckpt", 514)
    write_json(folder / "config.json", dict(meter=config, clip=clip, roberta=roberta))
    tokenizer = roberta_tokenizer(folder)
    (transform,) = meter.transforms.keys_to_transforms(["clip"], size=image_size)
    inputs = inputs_of(tokenizer, padding="max_length", max_length=config["max_text_len"])
    inputs["pixel_values"] = torch.stack([transform(image.convert("RGBA")) for image in images()])
    return inputs, meter_taps(model, **inputs), tokenizer


MAKERS = {
    "clip-vit-base-patch32": lambda folder, _: make_clip(folder, 32),
    "clip-vit-base-patch16": lambda folder, _: make_clip(folder, 16),
    "clip-vit-large-patch14": lambda folder, _: make_clip(folder, 14, large=True),
    "clip-vit-large-patch14-336": lambda folder, _: make_clip(folder, 14, 336, large=True),
    "vit-base-patch16-224": lambda folder, _: make_vit(folder),
    "bert-base-uncased": lambda folder, _: make_bert(folder),
    "roberta-base": lambda folder, _: make_roberta(folder),
    "meter-clip16-288": lambda folder, meter: make_meter(folder, 288, meter),
    "meter-clip16-384": lambda folder, meter: make_meter(folder, 384, meter),
    "meter-clip16-576": lambda folder, meter: make_meter(folder, 576, meter),
}


def thinned(taps):
    """The first, middle and last layers of each module, and everything that belongs to no layer."""
    layers = {}
    for name in taps:
        module, *rest = name.split(".")
        if rest[0].startswith("layer"):
            layers.setdefault(module, set()).add(rest[0])
    wanted = {module: {(ordered := sorted(names))[0], ordered[len(ordered) // 2], ordered[-1]}
              for module, names in layers.items()}

    def is_wanted(name):
        module, part = name.split(".")[:2]
        return not part.startswith("layer") or part in wanted[module]
    return {name: value for name, value in taps.items() if is_wanted(name)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all-layers", action="store_true")
    parser.add_argument("--meter", type=Path, help="a checkout of zdou0830/METER")
    parser.add_argument("--packages", type=Path, help="a folder with the packages that METER needs")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(MAKERS):
        parser.error(f"{sorted(unknown)} are none of {list(MAKERS)}")
    if not arguments.names:
        print("\n".join(MAKERS))
    transformers.utils.logging.disable_progress_bar()
    if needs_meter := any(name.startswith("meter") for name in arguments.names):
        if not (arguments.meter and arguments.packages):
            parser.error("METER needs --meter and --packages")
    meter = meter_original.load_package(arguments.meter, arguments.packages) if needs_meter else None
    for name in arguments.names:
        torch.manual_seed(SEED)
        folder = fresh(arguments.out / name)
        inputs, taps, tokenizer = MAKERS[name](folder, meter)
        write_taps(arguments.out / f"{name}.safetensors", taps if arguments.all_layers else thinned(taps), **inputs)
        texts = TEXTS if tokenizer else []
        note(folder, unpadded(tokenizer) if tokenizer else None, texts, ["skimage coffee", "skimage chelsea"])
        print(f"made {name}")


if __name__ == "__main__":
    main()
