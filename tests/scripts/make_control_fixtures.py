"""Writes tests/fixtures/model/controls.json: what controls are checked against.

Low-level features of pictures, computed anew with Pillow, NumPy and SciPy: pixels decoded by Pillow, areas averaged by repeating
pixels, bands by `scipy.ndimage`. And how the tensors of untrained models begin, as transformers itself draws them: the standard
deviation of each tensor around zero over many seeds, at the sizes of `RandomModel::tiny_of`.

Made with Python 3.11, NumPy 2.4.6, SciPy 1.17.1, Pillow 13.0.0, torch 2.15.0, transformers 5.24.0:
    python tests/scripts/make_control_fixtures.py
"""

import json
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from scipy.ndimage import correlate1d

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/model"
SIDE, GRID, N_SEEDS = 128, 3, 24
PAIRS = [("stimuli/coffee.png", None), ("stimuli/grey.png", "stimuli/coffee.png"), ("stimuli/turned.jpg", "stimuli/grey.png"),
         ("stimuli/palette.png", "stimuli/turned.jpg")]


def luminance(name):
    image = Image.open(FIXTURES / name)
    orientation = image.getexif().get(0x0112, 1)
    turn = {1: None, 3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[orientation]
    image = image.convert("RGB") if turn is None else image.convert("RGB").transpose(turn)
    encoded = np.asarray(image).astype(np.float64) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    values = light @ [0.2126, 0.7152, 0.0722]
    for axis in (0, 1):
        pieces = np.repeat(values, SIDE, axis=axis)
        shape = (SIDE, -1, pieces.shape[1]) if axis == 0 else (pieces.shape[0], SIDE, values.shape[1])
        values = pieces.reshape(shape).mean(axis=1 if axis == 0 else 2)
    return values


def smoothed(values, apart):
    kernel = np.zeros(4 * apart + 1)
    kernel[::apart] = np.array([1, 4, 6, 4, 1]) / 16
    return correlate1d(correlate1d(values, kernel, axis=0, mode="reflect"), kernel, axis=1, mode="reflect")


def features(name, before):
    now = luminance(name)
    levels = [now]
    for apart in (1, 2, 4, 8):
        levels.append(smoothed(levels[-1], apart))
    change = np.abs(now - luminance(before)) if before else np.zeros_like(now)
    edges = [place * SIDE // GRID for place in range(GRID + 1)]
    regions = [np.s_[:, :]] + [
        np.s_[edges[row]:edges[row + 1], edges[column]:edges[column + 1]] for row in range(GRID) for column in range(GRID)
    ]
    rms = lambda values: np.sqrt(np.mean(values**2))
    measures = [(now, np.mean), (now, np.std), (levels[3] - levels[4], rms), (levels[1] - levels[2], rms), (change, np.mean)]
    return [float(f"{measure(values[region]):.7g}") for values, measure in measures for region in regions]


def untrained():
    """By architecture, a model of random weights at a time."""
    vision = dict(num_hidden_layers=4, hidden_size=48, num_attention_heads=4, intermediate_size=96, image_size=64, patch_size=16)
    text = dict(num_hidden_layers=4, hidden_size=32, num_attention_heads=4, intermediate_size=64, vocab_size=1024)
    clip = transformers.CLIPConfig(vision_config=vision | dict(projection_dim=32), projection_dim=32,
                                   text_config=text | dict(max_position_embeddings=32, projection_dim=32))
    yield "clip", lambda: transformers.CLIPModel(clip)
    vit = transformers.ViTConfig(**vision)
    yield "vit", lambda: transformers.ViTModel(vit, add_pooling_layer=False)
    bert = transformers.BertConfig(**text, max_position_embeddings=32)
    yield "bert", lambda: transformers.BertModel(bert, add_pooling_layer=False)
    roberta = transformers.RobertaConfig(**text, max_position_embeddings=34, type_vocab_size=1)
    yield "roberta", lambda: transformers.RobertaModel(roberta, add_pooling_layer=False)


# What transformers 5 calls the tensors of a ViT in memory, and what they are called in files.
IN_FILES = {"layers.*.attention.q_proj": "encoder.layer.*.attention.attention.query",
            "layers.*.attention.k_proj": "encoder.layer.*.attention.attention.key",
            "layers.*.attention.v_proj": "encoder.layer.*.attention.attention.value",
            "layers.*.attention.o_proj": "encoder.layer.*.attention.output.dense",
            "layers.*.mlp.fc1": "encoder.layer.*.intermediate.dense", "layers.*.mlp.fc2": "encoder.layer.*.output.dense",
            "layers.*.layernorm_before": "encoder.layer.*.layernorm_before",
            "layers.*.layernorm_after": "encoder.layer.*.layernorm_after"}


def kind_of(name):
    """A tensor's name in files without the number of its layer: tensors of all layers begin alike."""
    owner, tensor = ".".join("*" if part.isdigit() else part for part in name.split(".")).rpartition(".")[::2]
    return ".".join(filter(None, [IN_FILES.get(owner, owner), tensor]))


def beginnings(make):
    sums = {}
    for seed in range(N_SEEDS):
        torch.manual_seed(seed)
        for name, tensor in make().state_dict().items():
            if tensor.is_floating_point():
                squares, n, total = sums.get(kind_of(name), (0.0, 0, 0.0))
                values = tensor.double()
                sums[kind_of(name)] = (squares + float((values**2).sum()), n + values.numel(), total + float(values.sum()))
    # Mean and root mean square over layers and seeds.
    return {name: [float(f"{total / n:.6g}"), float(f"{(squares / n) ** 0.5:.5g}")] for name, (squares, n, total) in sums.items()}


def main():
    low_level = [dict(picture=name, before=before, row=features(name, before)) for name, before in PAIRS]
    begun = {architecture: beginnings(make) for architecture, make in untrained()}
    fixture = dict(grid=GRID, low_level=low_level, beginnings=begun)
    (FIXTURES / "controls.json").write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
