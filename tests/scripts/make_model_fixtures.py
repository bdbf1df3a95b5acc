"""Makes tests/fixtures/model: a small random CLIP, stimuli, and what transformers makes of them.

Made with Python 3.11, torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0,
pillow 13.0.0, scikit-image 0.26.0, numpy 2.4.6; the versions that really ran are written to
`fixture.json`. Run from the repository root: python tests/scripts/make_model_fixtures.py

clip/                the model folder: odd and unequal widths, two kinds of non-linearity, weights
                     stored as F16, every bias and norm away from its initial value
stimuli/             photographs (scikit-image's samples, scaled down) as PNG and JPEG
expected.safetensors MODULE.KIND.REDUCE: (n_samples, n_layers * units), from forward hooks;
                     pixels.FILE: 8-bit (height, width, channel) after resize and crop;
                     input.FILE: what the image processor hands to the network, of one file
fixture.json         versions, captions, the tokenizer's ids, the files by name
"""

import json
import platform
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import PIL
import safetensors
import skimage
import tokenizers
import torch
import transformers
from PIL import Image
from safetensors.numpy import save_file
from tokenizers import Regex, pre_tokenizers
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

ROOT = Path(__file__).parent.parent / "fixtures" / "model"
IMAGE_SIZE, CONTEXT, VOCABULARY = 32, 24, 600
CAPTIONS = [
    "a dog",
    "Two PEOPLE are walking along the beach, it's late!",
    "",
    "a cat sits on a red chair and looks through the window at 3 small birds in the old tree "
    "while the rain falls on the quiet street behind the house",
    "un café, naïve 日本 \n\t  end",
]
START, END = "<|startoftext|>", "<|endoftext|>"


def make_tokenizer():
    """A byte-level BPE as CLIP's, trained on the captions: the commonest pair first, ties by spelling.

    (The tokenizers package's own trainer numbers its tokens differently from run to run.)
    """
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"), "removed", invert=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    words = [list(word) for caption in CAPTIONS for word, _ in split.pre_tokenize_str(caption.lower())]
    for word in words:
        word[-1] += "</w>"
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = letters + [letter + "</w>" for letter in letters]
    merges = []
    while len(tokens) < VOCABULARY - 2:
        counts = Counter(pair for word in words for pair in zip(word, word[1:]))
        if not counts:
            break
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(pair)
        tokens.append("".join(pair))
        for word in words:
            for at in range(len(word) - 2, -1, -1):
                if (*word[at : at + 2],) == pair:
                    word[at : at + 2] = ["".join(pair)]
    tokens += [f"unused-{i}" for i in range(VOCABULARY - 2 - len(tokens))] + [START, END]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges,
                         model_max_length=CONTEXT)


def make_model():
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
    model = CLIPModel(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 0:
                parameter.add_(0.15 * torch.randn_like(parameter))
    return model.half().float().eval()


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


def taps(tower, mask, run):
    """Per layer: query, key, hidden activations and output, and their reductions by their definition."""
    seen = {}
    hooks = []
    for number, layer in enumerate(tower.encoder.layers):
        modules = dict(q=layer.self_attn.q_proj, k=layer.self_attn.k_proj, mlp=layer.mlp.activation_fn, residual=layer)
        if layer.mlp.activation_fn is tower.encoder.layers[number - 1].mlp.activation_fn:
            raise RuntimeError("activations are shared between layers: hooks would collide")
        for name, module in modules.items():
            def keep(_module, _inputs, output, key=(number, name)):
                seen[key] = (output[0] if isinstance(output, tuple) else output).detach().double()
            hooks.append(module.register_forward_hook(keep))
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()

    def per_row(number, function, *names):
        rows = [function(*(seen[number, name][row][present] for name in names)) for row, present in enumerate(mask)]
        return torch.stack(rows)

    pairs = lambda q, k: q[:, None, :] * k[None, :, :]
    reductions = {
        "query-key.mean": (lambda q, k: pairs(q, k).mean((0, 1)), "q", "k"),
        "query-key.token-mean": (lambda q, k: (q * k).mean(0), "q", "k"),
        "query-key.max": (lambda q, k: pairs(q, k).amax((0, 1)), "q", "k"),
    }
    for kind in ("mlp", "residual"):
        reductions[f"{kind}.mean"] = (lambda x: x.mean(0), kind)
        reductions[f"{kind}.max"] = (lambda x: x.amax(0), kind)
        reductions[f"{kind}.first"] = (lambda x: x[0], kind)
        # Padding is taken away above, so the last token of a text is its end.
        reductions[f"{kind}.last"] = (lambda x: x[-1], kind)
    n_layers = len(tower.encoder.layers)
    return {
        name: torch.cat([per_row(number, *spec) for number in range(n_layers)], 1).float().numpy()
        for name, spec in reductions.items()
    }


def main():
    shutil.rmtree(ROOT, ignore_errors=True)
    (ROOT / "clip").mkdir(parents=True)
    (ROOT / "stimuli").mkdir()
    model = make_model()
    model.half().save_pretrained(ROOT / "clip")
    model = model.float()
    tokenizer = make_tokenizer()
    tokenizer.save_pretrained(ROOT / "clip")
    processor = CLIPImageProcessorPil(size={"shortest_edge": IMAGE_SIZE},
                                      crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE})
    processor.save_pretrained(ROOT / "clip")
    make_images(ROOT / "stimuli")
    files = sorted(path.name for path in (ROOT / "stimuli").iterdir())

    expected, inputs = {}, []
    for name in files:
        # Alpha is dropped here, as OpenAI's code and transformers 4 do; transformers 5 blends with white.
        image = PIL.ImageOps.exif_transpose(Image.open(ROOT / "stimuli" / name)).convert("RGB")
        raw = processor(image, return_tensors="np", do_rescale=False, do_normalize=False)["pixel_values"][0]
        expected[f"pixels.{name}"] = np.ascontiguousarray(raw.transpose(1, 2, 0)).astype(np.uint8)
        inputs.append(processor(image, return_tensors="np")["pixel_values"][0].astype(np.float32))
    expected[f"input.{files[0]}"] = inputs[0]
    # The network's own test takes the arrays, so that decoders cannot blur it.
    pixels = torch.from_numpy(np.stack(inputs[:5]))
    whole = torch.ones(len(pixels), (IMAGE_SIZE // 8) ** 2 + 1, dtype=torch.bool)
    vision = taps(model.vision_model, whole, lambda: model.vision_model(pixel_values=pixels))
    expected |= {f"vision.{name}": values for name, values in vision.items() if not name.endswith(".last")}
    encoded = tokenizer(CAPTIONS, padding=True, truncation=True, return_tensors="pt")
    text = taps(model.text_model, encoded["attention_mask"].bool(), lambda: model.text_model(**encoded))
    expected |= {f"text.{name}": values for name, values in text.items()}
    save_file(expected, ROOT / "expected.safetensors")

    ids = [row[mask.bool()].tolist() for row, mask in zip(encoded["input_ids"], encoded["attention_mask"])]
    packages = (torch, transformers, tokenizers, safetensors, PIL, skimage, np)
    versions = {package.__name__: package.__version__ for package in packages} | {"python": platform.python_version()}
    facts = dict(versions=versions, captions=CAPTIONS, ids=ids, images=files)
    (ROOT / "fixture.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
