"""OpenAI's CLIP, from the published package `clip`: a small model, its two kinds of file, its own inputs.

The package (with `ftfy` and `torchvision`) is found on a path that the caller gives.
"""

import importlib
import sys
import warnings

import torch


def load_package(site_packages):
    """Imports the package from a folder."""
    sys.path.append(str(site_packages))
    # The package asks setuptools for a version in a way that it deprecates.
    warnings.filterwarnings("ignore", category=UserWarning)
    return importlib.import_module("clip.clip"), importlib.import_module("clip.model")


def build(model_module, **sizes):
    """A model in the precision that was released: half, but for norms, embeddings and positions."""
    model = model_module.CLIP(transformer_heads=sizes["transformer_width"] // 64, **sizes)
    generator = torch.Generator().manual_seed(28)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 0:
                parameter.add_(0.08 * torch.randn(parameter.shape, generator=generator))
    model_module.convert_weights(model)
    return model.eval()


def trace(model, pixel_values, input_ids):
    """A TorchScript archive's module, with the sizes as tensors beside the weights, as the released ones have."""
    for name, value in (("input_resolution", model.visual.input_resolution), ("context_length", model.context_length),
                        ("vocab_size", model.vocab_size)):
        delattr(model, name) if hasattr(model, name) else None
        model.register_buffer(name, torch.tensor(value))
    pixel_values = pixel_values.half()
    methods = {"forward": (pixel_values, input_ids), "encode_image": pixel_values, "encode_text": input_ids}
    return torch.jit.trace_module(model, methods, check_trace=False)
