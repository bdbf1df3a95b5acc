r"""Makes tests/fixtures/model: small random models as people download them, stimuli, and every activation
that the original implementations make of them.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0, pillow 13.0.0,
scikit-image 0.26.0, numpy 2.4.6; the versions that really ran are written to `fixture.json`.
Run from the repository root, with a checkout of zdou0830/METER (f4f0934) and a folder of packages for it and for
OpenAI's CLIP, both of them left as they are and kept out of the repository:
pip install --no-deps --target PACKAGES clip-anytorch==2.6.0 ftfy==6.3.1 wcwidth timm==0.4.12 einops \
    torchvision==0.29.2 setuptools==80.9.0
python tests/scripts/make_model_fixtures.py --meter METER --packages PACKAGES [NAME...]

NAME/               a model folder: odd and unequal widths, every bias and norm away from its initial value;
                    `fixture.json` in it: versions, captions, their ids (unpadded), the images
NAME.safetensors    pixel_values, input_ids, attention_mask of the first three captions and the images, the taps
                    of `originals/taps.py`, and MODULE.embedding: what the model itself makes of a stimulus
stimuli/            photographs (scikit-image's samples, scaled down) as PNG and JPEG
"""

import argparse
import gzip
from pathlib import Path

import skimage
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import (BertConfig, BertForMaskedLM, BertModel, BertTokenizer, CLIPConfig, CLIPModel, CLIPTokenizer,
                          RobertaConfig, RobertaForMaskedLM, RobertaModel, RobertaTokenizer, ViTConfig,
                          ViTForImageClassification, ViTModel)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from originals import meter as meter_original
from originals import openai as openai_original
from originals.common import (CAPTIONS, PHOTOGRAPHS, ROBERTA_TEXTS, ROOT, TEXTS, batch, fresh, installed, note,
                              open_images, photographs, reloaded, unpadded, unsettle, versions, write_json, write_taps)
from originals.files import drop_source_ranges, save_before_zip
from originals.taps import bert_taps, clip_taps, meter_taps, openai_taps, vit_taps
from originals.vocabularies import (clip_vocabulary, roberta_vocabulary, save_roberta_tokenizer, word_pieces,
                                    write_pairs)

IMAGE_SIZE, CONTEXT, VOCABULARY = 32, 24, 600


def make_images(folder):
    """Photographs of different shapes and kinds of pixels."""
    coffee, cat, face = (Image.fromarray(a) for a in
                         (skimage.data.coffee(), skimage.data.chelsea(), skimage.data.astronaut()))
    small = lambda image, size: image.resize(size, Image.Resampling.LANCZOS)
    small(coffee, (90, 60)).save(folder / "coffee.png")
    small(cat, (70, 47)).convert("L").save(folder / "grey.png")
    translucent = small(face, (64, 64)).convert("RGBA")
    translucent.putalpha(small(cat, (64, 64)).convert("L"))
    translucent.save(folder / "alpha.png")
    small(cat, (33, 57)).quantize(32).save(folder / "palette.png")
    small(face, (96, 120)).save(folder / "face-444.jpg", quality=92, subsampling=0)
    small(coffee, (120, 80)).save(folder / "coffee-420.jpg", quality=85, subsampling=2)
    turned = Image.Exif()
    turned[0x0112] = 6
    small(face, (80, 60)).save(folder / "turned.jpg", quality=92, subsampling=0, exif=turned)


def make_stimuli():
    make_images(fresh(ROOT / "stimuli"))


def make_clip():
    """CLIP as transformers saves it: two non-linearities, F16, `tokenizer.json`."""
    folder = fresh(ROOT / "clip")
    torch.manual_seed(20)
    config = CLIPConfig(
        projection_dim=20,
        vision_config=dict(num_hidden_layers=3, hidden_size=36, num_attention_heads=3, intermediate_size=44,
                           image_size=IMAGE_SIZE, patch_size=8, projection_dim=20, hidden_act="quick_gelu"),
        text_config=dict(num_hidden_layers=2, hidden_size=24, num_attention_heads=4, intermediate_size=56,
                         max_position_embeddings=CONTEXT, vocab_size=VOCABULARY, projection_dim=20,
                         hidden_act="gelu", layer_norm_eps=1e-6, bos_token_id=VOCABULARY - 2,
                         eos_token_id=VOCABULARY - 1, pad_token_id=VOCABULARY - 1),
    )
    unsettle(CLIPModel(config), 20).half().save_pretrained(folder)
    tokens, merges = clip_vocabulary(CAPTIONS, VOCABULARY)
    tokenizer = CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges,
                              model_max_length=CONTEXT)
    tokenizer.save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": IMAGE_SIZE},
                                      crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    processor.save_pretrained(folder)

    model = reloaded(CLIPModel, folder)
    inputs = dict(pixel_values=photographs(processor), **batch(tokenizer, TEXTS))
    write_taps(ROOT / "clip.safetensors", clip_taps(model, **inputs), **inputs)
    note(folder, unpadded(tokenizer), TEXTS, PHOTOGRAPHS)


def make_clip_one_layer():
    """CLIP as the first checkpoints are: `*_config_dict`, a wrong end of text, vocab and merges, position ids."""
    folder = fresh(ROOT / "clip-one-layer")
    texts = [text for text in TEXTS if text]
    tokens, merges = clip_vocabulary(CAPTIONS)
    vision = dict(num_hidden_layers=1, hidden_size=28, num_attention_heads=1, intermediate_size=40, image_size=27,
                  patch_size=9, hidden_act="quick_gelu", layer_norm_eps=2e-3)
    text = dict(num_hidden_layers=1, hidden_size=20, num_attention_heads=1, intermediate_size=52,
                vocab_size=len(tokens), max_position_embeddings=15, hidden_act="quick_gelu", layer_norm_eps=1e-5,
                bos_token_id=0, eos_token_id=2, pad_token_id=1)
    torch.manual_seed(21)
    model = unsettle(CLIPModel(CLIPConfig(projection_dim=12, vision_config=vision, text_config=text)), 21)
    state = {name: value.contiguous() for name, value in model.state_dict().items()}
    state["vision_model.embeddings.position_ids"] = torch.arange(10)[None]
    state["text_model.embeddings.position_ids"] = torch.arange(15)[None]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    # The widths stand in the older tables alone; the newer ones hold what transformers 4.2x wrote beside them.
    write_json(folder / "config.json", dict(
        architectures=["CLIPModel"], initializer_factor=1.0, logit_scale_init_value=2.6592, model_type="clip",
        projection_dim=12, torch_dtype="float32", transformers_version=None,
        text_config=dict(model_type="clip_text_model", hidden_size=512, hidden_act="quick_gelu", dropout=0.0),
        text_config_dict=text,
        vision_config=dict(model_type="clip_vision_model", hidden_size=768, hidden_act="quick_gelu", dropout=0.0),
        vision_config_dict=vision))
    write_pairs(folder, tokens, merges)
    write_json(folder / "tokenizer_config.json", dict(
        unk_token="<|endoftext|>", bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>",
        do_lower_case=True, model_max_length=15, tokenizer_class="CLIPTokenizer"))
    write_json(folder / "preprocessor_config.json", dict(
        crop_size=27, do_center_crop=True, do_normalize=True, do_resize=True,
        feature_extractor_type="CLIPFeatureExtractor", image_mean=[0.48145466, 0.4578275, 0.40821073],
        image_std=[0.26862954, 0.26130258, 0.27577711], resample=3, size=27))

    tokenizer = CLIPTokenizer.from_pretrained(folder)
    model = reloaded(CLIPModel, folder)
    assert model.config.vision_config.hidden_size == 28 and model.config.text_config.eos_token_id == 2
    processor = CLIPImageProcessorPil.from_pretrained(folder)
    inputs = dict(pixel_values=photographs(processor), **batch(tokenizer, texts))
    write_taps(ROOT / "clip-one-layer.safetensors", clip_taps(model, **inputs), **inputs)
    note(folder, unpadded(tokenizer), texts, PHOTOGRAPHS)


def make_vit():
    """ViT as `ViTModel` saves it, in bf16 and in shards; the pooler is there and plays no part."""
    folder = fresh(ROOT / "vit")
    torch.manual_seed(22)
    config = ViTConfig(num_hidden_layers=3, hidden_size=35, num_attention_heads=5, intermediate_size=54, image_size=30,
                       patch_size=10, layer_norm_eps=3e-3, hidden_act="gelu")
    unsettle(ViTModel(config), 22).bfloat16().save_pretrained(folder, max_shard_size="50KB")
    ViTImageProcessorPil(size={"height": 30, "width": 30}).save_pretrained(folder)
    write_vit_taps("vit", ViTModel)


def make_vit_classifier():
    """ViT under a classifier: prefixed names, no bias on q, k and v, the image processor's file as first written."""
    folder = fresh(ROOT / "vit-classifier")
    torch.manual_seed(23)
    config = ViTConfig(num_hidden_layers=2, hidden_size=42, num_attention_heads=3, intermediate_size=46, image_size=28,
                       patch_size=7, qkv_bias=False, num_labels=5, hidden_act="gelu")
    unsettle(ViTForImageClassification(config), 23).save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", dict(
        do_normalize=True, do_resize=True, feature_extractor_type="ViTFeatureExtractor", image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5], resample=2, size=28))
    write_vit_taps("vit-classifier", ViTForImageClassification)


def write_vit_taps(name, architecture):
    model = reloaded(architecture, ROOT / name)
    pixels = photographs(ViTImageProcessorPil.from_pretrained(ROOT / name))
    write_taps(ROOT / f"{name}.safetensors", vit_taps(getattr(model, "vit", model), pixels), pixel_values=pixels)
    note(ROOT / name, images=PHOTOGRAPHS)


def make_bert():
    """BERT as first published: a pickled state dict, `gamma` and `beta`, and no tokenizer but its vocabulary."""
    folder = fresh(ROOT / "bert")
    tokens = word_pieces(TEXTS, 140, lower_case=True)
    torch.manual_seed(24)
    config = BertConfig(num_hidden_layers=3, hidden_size=33, num_attention_heads=3, intermediate_size=50,
                        vocab_size=140, max_position_embeddings=19, layer_norm_eps=2e-3)
    config.architectures = ["BertModel"]
    model = unsettle(BertModel(config), 24)
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    state = {}
    for key, value in model.state_dict().items():
        ends = [end for end in old if key.endswith(end)]
        state[key.removesuffix(ends[0]) + old[ends[0]] if ends else key] = value
    torch.save(state, folder / "pytorch_model.bin")
    config.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    write_json(folder / "tokenizer_config.json", dict(do_lower_case=True, model_max_length=19))
    write_bert_taps("bert", BertModel, BertTokenizer, "", TEXTS)


def make_bert_masked_lm():
    """BERT under a head for masked words: prefixed names, no pooler, a cased vocabulary, `tokenizer.json`."""
    folder = fresh(ROOT / "bert-masked-lm")
    tokens = word_pieces(TEXTS, 150, lower_case=False)
    torch.manual_seed(25)
    config = BertConfig(num_hidden_layers=1, hidden_size=28, num_attention_heads=2, intermediate_size=38,
                        vocab_size=150, max_position_embeddings=23, hidden_act="gelu")
    unsettle(BertForMaskedLM(config), 25).save_pretrained(folder)
    BertTokenizer(vocab={token: i for i, token in enumerate(tokens)}, do_lower_case=False,
                  model_max_length=21).save_pretrained(folder)
    write_bert_taps("bert-masked-lm", BertForMaskedLM, BertTokenizer, "bert", TEXTS)


def make_roberta():
    """RoBERTa under a head for masked words: prefixed names, all files of the tokenizer."""
    folder = fresh(ROOT / "roberta")
    tokens, merges = roberta_vocabulary(CAPTIONS, 390)
    torch.manual_seed(26)
    config = RobertaConfig(num_hidden_layers=2, hidden_size=30, num_attention_heads=5, intermediate_size=58,
                           vocab_size=390, max_position_embeddings=27, type_vocab_size=1, layer_norm_eps=2e-3)
    unsettle(RobertaForMaskedLM(config), 26).save_pretrained(folder)
    save_roberta_tokenizer(folder, tokens, merges, 25)
    write_pairs(folder, tokens, merges)
    write_bert_taps("roberta", RobertaForMaskedLM, RobertaTokenizer, "roberta", ROBERTA_TEXTS)


def make_roberta_base_model():
    """RoBERTa bare, pickled as torch did before 1.6."""
    folder = fresh(ROOT / "roberta-base-model")
    tokens, merges = roberta_vocabulary(CAPTIONS, 340)
    torch.manual_seed(27)
    config = RobertaConfig(num_hidden_layers=2, hidden_size=26, num_attention_heads=2, intermediate_size=34,
                           vocab_size=340, max_position_embeddings=25, type_vocab_size=1, layer_norm_eps=1e-5)
    config.architectures = ["RobertaModel"]
    state = unsettle(RobertaModel(config), 27).state_dict()
    # Releases of that time kept the positions as a buffer.
    state["embeddings.position_ids"] = torch.arange(25)[None]
    save_before_zip(state, folder / "pytorch_model.bin")
    config.save_pretrained(folder)
    write_pairs(folder, tokens, merges)
    write_json(folder / "tokenizer_config.json", dict(model_max_length=23))
    write_bert_taps("roberta-base-model", RobertaModel, RobertaTokenizer, "", ROBERTA_TEXTS)


def write_bert_taps(name, architecture, tokenizer_class, prefix, texts):
    model = reloaded(architecture, ROOT / name)
    tokenizer = tokenizer_class.from_pretrained(ROOT / name)
    inputs = batch(tokenizer, texts)
    write_taps(ROOT / f"{name}.safetensors", bert_taps(getattr(model, prefix, model), **inputs), **inputs)
    note(ROOT / name, unpadded(tokenizer), texts)


OPENAI_TEXTS = [text for text in TEXTS if text]


def make_clip_openai(site_packages):
    """OpenAI's CLIP: a state dict, and the same weights as the TorchScript archive that OpenAI published."""
    package, model_module = openai_original.load_package(site_packages)
    # Its tokenizer reads the merges of a list of this name.
    _, merges = clip_vocabulary(TEXTS[:2])
    n_tokens = 2 * 256 + len(merges) + 2
    torch.manual_seed(28)
    sizes = dict(embed_dim=18, image_resolution=18, vision_layers=1, vision_width=128, vision_patch_size=6,
                 context_length=13, vocab_size=n_tokens, transformer_width=64, transformer_layers=1)
    model = openai_original.build(model_module, **sizes)
    state, traced = fresh(ROOT / "clip-openai"), fresh(ROOT / "clip-openai-jit")
    listed = "\n".join(["#version: 0.2"] + [" ".join(pair) for pair in merges]).encode()
    for folder in (state, traced):
        (folder / "bpe_simple_vocab_16e6.txt.gz").write_bytes(gzip.compress(listed, mtime=0))
    torch.save(model.state_dict(), state / "model.pt")

    package._tokenizer = package._Tokenizer(str(state / "bpe_simple_vocab_16e6.txt.gz"))
    tokenize = lambda texts: package.tokenize(texts, context_length=13, truncate=True).long()
    input_ids = tokenize(OPENAI_TEXTS[:3])
    transform = package._transform(18)
    pixels = torch.stack([transform(image) for image in open_images()])
    with torch.no_grad():
        torch.jit.save(openai_original.trace(model, pixels, input_ids), traced / "model.pt")
    drop_source_ranges(traced / "model.pt")

    # What `clip.load` makes of the archive on a processor: single precision.
    loaded, _ = package.load(str(traced / "model.pt"), device="cpu")
    ends = input_ids.argmax(-1, keepdim=True)
    mask = (torch.arange(13)[None] <= ends).long()
    write_taps(ROOT / "clip-openai.safetensors", openai_taps(loaded.float(), pixels, input_ids), pixel_values=pixels,
               input_ids=input_ids, attention_mask=mask)

    def ids(text):
        row = tokenize([text])[0].tolist()
        return row[: row.index(max(row)) + 1]

    for folder in (state, traced):
        note(folder, ids, OPENAI_TEXTS, PHOTOGRAPHS, installed("clip-anytorch", "ftfy", "torchvision"))


METER_PHOTOGRAPHS = ["coffee.png", "alpha.png", "palette.png"]


def meter_inputs(meter, folder, transform, image_size, max_text_len):
    """As METER's datasets make them: for CLIP's transform RGBA until the crop; texts padded to the full length."""
    tokenizer = RobertaTokenizer.from_pretrained(folder)
    encoded = tokenizer(ROBERTA_TEXTS[:3], padding="max_length", truncation=True, max_length=max_text_len,
                        return_tensors="pt")
    (transform,) = meter.transforms.keys_to_transforms([transform], size=image_size)
    mode = "RGBA" if transform == "clip" else "RGB"
    pixels = torch.stack([transform(Image.open(ROOT / "stimuli" / name).convert(mode)) for name in METER_PHOTOGRAPHS])
    return dict(pixel_values=pixels, input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"])


def write_meter_folder(name, config, roberta, seed):
    """The files beside a checkpoint: the sizes of the text tower, which it does not tell, and RoBERTa's tokenizer."""
    folder = fresh(ROOT / name)
    tokens, merges = roberta_vocabulary(CAPTIONS, roberta["vocab_size"])
    save_roberta_tokenizer(folder, tokens, merges, config["max_text_len"])
    torch.manual_seed(seed)
    return folder


def settle_meter(model, seed):
    """Moves every parameter, and makes what enters the fusion faint, so that the two constants of layer norms tell."""
    unsettle(model, seed, 0.1)
    with torch.no_grad():
        for part in (model.cross_modal_text_transform, model.cross_modal_image_transform, model.token_type_embeddings,
                     model.text_transformer.embeddings.LayerNorm):
            for parameter in part.parameters():
                parameter.mul_(0.02)
    return model


def make_meter(meter):
    """METER with CLIP's image tower, its checkpoint as Lightning saves it; and at a larger image."""
    roberta = dict(vocab_size=300, hidden_size=24, num_hidden_layers=3, num_attention_heads=3, intermediate_size=40,
                   max_position_embeddings=34, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
                   eos_token_id=2)
    clip = dict(embed_dim=22, image_resolution=18, vision_layers=3, vision_width=64, vision_patch_size=6,
                context_length=17, vocab_size=100, transformer_width=22, transformer_heads=1, transformer_layers=2)
    config = meter_original.config(
        image_size=18, patch_size=6, max_text_len=13, vocab_size=300, num_top_layer=2, input_image_embed_size=64,
        input_text_embed_size=24, hidden_size=20, num_heads=5, mlp_ratio=2)
    folder = write_meter_folder("meter", config, roberta, 29)
    encoder = lambda resolution: meter.clip_model.CLIP(**clip, resolution_after=resolution)
    model = settle_meter(meter_original.build(meter, config, roberta, encoder), 29)
    meter_original.save_checkpoint(model, folder / "meter.ckpt", 34)
    write_json(folder / "config.json", dict(meter=config, clip=clip, roberta=roberta))
    inputs = meter_inputs(meter, folder, "clip", 18, 13)
    write_taps(ROOT / "meter.safetensors", meter_taps(model, **inputs), **inputs)
    tokenizer = RobertaTokenizer.from_pretrained(folder)
    note(folder, unpadded(tokenizer), ROBERTA_TEXTS, METER_PHOTOGRAPHS, meter.versions)

    larger = meter_original.build(meter, config | dict(image_size=24), roberta, encoder)
    state = meter.clip_model.adapt_position_encoding(model.state_dict(), after=24, patch_size=6)
    larger.load_state_dict(state)
    inputs = meter_inputs(meter, folder, "clip", 24, 13)
    taps = meter_taps(larger, **inputs)
    kept = {name: value for name, value in taps.items() if name.startswith("image.") and not name.endswith(".mlp")}
    write_taps(ROOT / "meter-interpolated.safetensors", kept, pixel_values=inputs["pixel_values"])


def make_meter_swin(meter):
    """METER with its Swin image tower: three stages, shifted windows; fine-tuned to answer questions."""
    roberta = dict(vocab_size=300, hidden_size=20, num_hidden_layers=1, num_attention_heads=2, intermediate_size=36,
                   max_position_embeddings=30, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, bos_token_id=0,
                   eos_token_id=2)
    swin = dict(patch_size=8, embed_dim=8, depths=(2, 2, 1), num_heads=(2, 4, 8))
    config = meter_original.config(
        heads=["vqa"], vqav2_label_size=7, image_size=96, patch_size=32, max_text_len=11, vocab_size=300,
        num_top_layer=1, input_image_embed_size=32, input_text_embed_size=20, hidden_size=28, num_heads=4, mlp_ratio=2,
        vit="swin_base_patch4_window12_384_in22k", train_transform_keys=["imagenet"],
        val_transform_keys=["imagenet"], resolution_before=96)
    folder = write_meter_folder("meter-swin", config, roberta, 30)
    encoder = lambda resolution: meter.swin_transformer.SwinTransformer(img_size=resolution, **swin)
    model = settle_meter(meter_original.build(meter, config, roberta, encoder), 30)
    meter_original.save_checkpoint(model, folder / "meter.ckpt", 30)
    write_json(folder / "config.json", dict(meter=config, swin=swin, roberta=roberta))
    inputs = meter_inputs(meter, folder, "imagenet", 96, 11)
    # Two stimuli: many windows make many numbers.
    inputs = {name: value[:2] for name, value in inputs.items()}
    write_taps(ROOT / "meter-swin.safetensors", meter_taps(model, **inputs), **inputs)
    tokenizer = RobertaTokenizer.from_pretrained(folder)
    note(folder, unpadded(tokenizer), ROBERTA_TEXTS, METER_PHOTOGRAPHS, meter.versions)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--meter", type=Path, help="a checkout of zdou0830/METER")
    parser.add_argument("--packages", type=Path, help="a folder with the packages that the originals need")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    alone = {name: globals()[f"make_{name.replace('-', '_')}"] for name in
             ("stimuli", "clip", "clip-one-layer", "vit", "vit-classifier", "bert", "bert-masked-lm", "roberta",
              "roberta-base-model")}
    meters = {"meter": make_meter, "meter-swin": make_meter_swin}
    names = arguments.names or [*alone, "clip-openai", *meters]
    for name in names:
        if name in alone:
            alone[name]()
        elif name == "clip-openai":
            make_clip_openai(arguments.packages)
        elif name in meters:
            meters[name](meter_original.load_package(arguments.meter, arguments.packages))
        else:
            parser.error(f"`{name}` is none of {[*alone, 'clip-openai', *meters]}")
        print(f"made {name}")


if __name__ == "__main__":
    main()
