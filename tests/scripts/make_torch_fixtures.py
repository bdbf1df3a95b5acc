"""Makes tests/fixtures/format/torch: checkpoints as PyTorch writes them, and what PyTorch itself reads in them.

Versions: Python 3.11, torch 2.15.0, numpy 2. Run from the repository's root:

    python tests/scripts/make_torch_fixtures.py

`expected.json` has for each checkpoint the tensors that PyTorch reads (type, shape, strides, bytes in C order as hexadecimal)
and the plain values that are to be found beside them. The files in `bad/` are never loaded: some of them would run a command.
"""

import argparse
import collections
import io
import json
import os
import pathlib
import pickle
import shutil
import sys
import types
import warnings
import zipfile

import numpy as np
import torch
from torch import nn

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "format" / "torch"
TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16",
    torch.float8_e4m3fn: "F8E4M3", torch.float8_e5m2: "F8E5M2",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint64: "U64", torch.uint32: "U32", torch.uint16: "U16", torch.uint8: "U8", torch.bool: "Bool",
    torch.complex128: "C128", torch.complex64: "C64",
}


def describe(state):
    """What PyTorch holds, in a form that can be compared."""
    described = {}
    for name, tensor in state.items():
        tensor = tensor.detach()
        flat = tensor.contiguous().reshape(-1)
        data = bytes(flat.view(torch.uint8).tolist()) if flat.numel() else b""
        described[name] = {
            "dtype": TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "strides": list(tensor.stride()),
            "contiguous": tensor.is_contiguous(),
            "bytes": data.hex(),
        }
    return described


def state_dict(with_new_types):
    """Tensors of every type, and every way in which a tensor can be a window on numbers."""
    torch.manual_seed(4)
    table = torch.randn(5, 6)
    state = collections.OrderedDict()
    state["plain.weight"] = torch.randn(4, 3)
    state["plain.parameter"] = nn.Parameter(torch.randn(3))
    state["plain.double"] = torch.randn(2, 2, dtype=torch.float64)
    state["plain.half"] = torch.randn(2, 3).half()
    state["plain.bfloat16"] = torch.randn(2, 3).bfloat16()
    state["whole.int64"] = torch.tensor(-(2**40))
    state["whole.int32"] = torch.arange(-2, 3, dtype=torch.int32)
    state["whole.int16"] = torch.arange(-2, 3, dtype=torch.int16)
    state["whole.int8"] = torch.arange(-2, 3, dtype=torch.int8)
    state["whole.uint8"] = torch.arange(250, 255, dtype=torch.uint8)
    state["whole.bool"] = torch.tensor([True, False, True])
    state["complex"] = torch.randn(2, dtype=torch.complex64)
    state["view.table"] = table
    state["view.rows"] = table[1:3]
    state["view.transposed"] = table.t()
    state["view.every_second"] = table[::2, 1::2]
    state["view.permuted"] = torch.randn(2, 3, 4).permute(2, 0, 1)
    state["view.expanded"] = torch.tensor([[1.5], [2.5]]).expand(2, 3)
    state["view.tied"] = state["plain.weight"]
    state["view.channels_last"] = torch.randn(1, 3, 2, 2).to(memory_format=torch.channels_last)
    state["empty"] = torch.zeros(0, 3)
    state["scalar"] = torch.tensor(2.5)
    if with_new_types:
        for name in ["uint16", "uint32", "uint64"]:
            state[f"new.{name}"] = torch.arange(3).to(getattr(torch, name))
        state["new.float8"] = torch.randn(4).to(torch.float8_e4m3fn)
    return state


def package_that_is_absent():
    """A module whose classes can be pickled here and are nowhere else."""
    module = types.ModuleType("absent_package.callbacks")

    class Stopping:
        def __init__(self):
            self.patience, self.weights = 3, torch.zeros(2)

    class Settings(dict):
        pass

    for one in (Stopping, Settings):
        one.__module__, one.__qualname__ = module.__name__, one.__name__
        setattr(module, one.__name__, one)
    sys.modules["absent_package"] = types.ModuleType("absent_package")
    sys.modules[module.__name__] = module
    return module


def checkpoint(absent):
    """A checkpoint as a trainer writes it: the state dict among much else."""
    return {
        "epoch": 7,
        "pytorch-lightning_version": "1.3.2",
        "callbacks": {absent.Stopping: {"best": torch.tensor(0.5), "path": "a/b"}, "stopping": absent.Stopping()},
        "state_dict": collections.OrderedDict(a=torch.arange(4.0), b=torch.arange(6).reshape(2, 3)),
        "optimizer_states": [{"state": {0: {"step": 12, "mean": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}],
        "hyper_parameters": absent.Settings(rate=1e-5, layers=(1, 2, 3), name="größe", nothing=None, flag=True),
        "arguments": argparse.Namespace(size=3, callback=absent.Stopping()),
        "kinds": {
            "device": torch.device("cuda", 1), "type": torch.float16, "size": torch.Size([2, 3]),
            "set": {5}, "numpy": np.float64(0.25), "numpy32": np.int32(-7), "default": collections.defaultdict(list, x=[1]),
            "infinite": float("inf"), "large": 2**200, "long": 2**40, "negative": -(2**40), "bytes": b"ab",
            "objects": [1, absent.Stopping(), 2], 3: "three", "quoted": "it's\n\\",
        },
    }


PLAIN = {
    "epoch": 7,
    "pytorch-lightning_version": "1.3.2",
    "callbacks": {},
    "optimizer_states": [{"state": {"0": {"step": 12}}, "param_groups": [{"lr": 0.1}]}],
    "hyper_parameters": {"rate": 1e-5, "layers": [1, 2, 3], "name": "größe", "nothing": None, "flag": True},
    "arguments": {"size": 3},
    "kinds": {
        "device": "cuda:1", "type": "float16", "size": [2, 3], "set": [5], "numpy": 0.25, "numpy32": -7,
        "default": {"x": [1]}, "long": 2**40, "negative": -(2**40), "objects": [1, None, 2], "3": "three",
        "quoted": "it's\n\\",
    },
}


class AnyText(type):
    """Lets plain texts pass for instances."""

    def __instancecheck__(cls, value):
        return isinstance(value, str)


class Numbered(str, metaclass=AnyText):
    """A text, but numbers by the order in which they were first asked for instead of their digits."""

    order = {}

    def __new__(cls, value=""):
        if isinstance(value, int):
            value = f"{cls.order.setdefault(value, len(cls.order)):05}"
        return str(value)


def save_legacy(value, path):
    """Saves in the older format, whose keys of storages are memory addresses, but with keys that are the same on every run."""
    Numbered.order.clear()
    torch.serialization.str = Numbered
    try:
        torch.save(value, path, _use_new_zipfile_serialization=False)
    finally:
        del torch.serialization.str


class Block(nn.Module):
    """A module with what TorchScript keeps beside weights."""

    def __init__(self, width):
        super().__init__()
        self.projection = nn.Linear(width, 2).half()
        self.register_buffer("mask", torch.ones(width, dtype=torch.bool))
        self.rate = 0.5

    def forward(self, x):
        return self.projection(x) * self.rate


class Network(nn.Module):
    """Modules inside of modules."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(3), Block(2))
        self.scale = nn.Parameter(torch.tensor(1.25))
        self.sizes = [2, 3]
        self.label = "network"

    def forward(self, x):
        return self.blocks(x) * self.scale * self.sizes[0]


class Harm:
    """What runs a command in a program that unpickles it."""

    def __reduce__(self):
        return os.system, ("echo harm",)


def write_good(absent):
    expected = {}

    def save(name, value, state, settings, write=torch.save, **options):
        write(value, FOLDER / name, **options)
        read = torch.load(FOLDER / name, weights_only=False)
        assert str(read.keys()) == str(value.keys())
        expected[name] = {"tensors": describe(state(read)), "settings": settings}

    whole = lambda read: read
    save("state.pt", state_dict(True), whole, {})
    save("state_protocol_1.pt", state_dict(False), whole, {}, pickle_protocol=1)
    save("state_protocol_5.pt", state_dict(True), whole, {}, pickle_protocol=5)
    save("state_legacy.bin", state_dict(False), whole, {}, write=save_legacy)
    inner = lambda read: read["state_dict"]
    save("lightning.ckpt", checkpoint(absent), inner, PLAIN)
    save("lightning_legacy.ckpt", checkpoint(absent), inner, PLAIN, write=save_legacy)
    save("lightning_protocol_4.ckpt", checkpoint(absent), inner, PLAIN, pickle_protocol=4)
    state = collections.OrderedDict(w=torch.ones(2))
    save("under_model.pt", {"step": 3, "model": state}, lambda read: read["model"], {"step": 3})
    nested = {"module": {"encoder": {"w": torch.ones(2)}, "decoder": [torch.zeros(1), torch.ones(1)]}}
    flat = {"encoder.w": torch.ones(2), "decoder.0": torch.zeros(1), "decoder.1": torch.ones(1)}
    save("nested.pt", nested, lambda _: flat, {})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(4)
        torch.jit.script(Network()).save(str(FOLDER / "script.pt"))
        read = torch.jit.load(str(FOLDER / "script.pt"))
    block = {"training": True, "_is_full_backward_hook": None, "rate": 0.5}
    linear = {"training": True, "_is_full_backward_hook": None}
    expected["script.pt"] = {
        "tensors": describe(read.state_dict()),
        "settings": {
            "training": True, "_is_full_backward_hook": None, "sizes": [2, 3], "label": "network",
            "blocks": {"training": True, "_is_full_backward_hook": None, "0": block | {"projection": linear}, "1": block | {"projection": linear}},
        },
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


def write_bad(absent):
    folder = FOLDER / "bad"
    folder.mkdir()
    state = collections.OrderedDict(a=torch.ones(2))
    torch.save({"state_dict": state, "extra": Harm()}, folder / "harm.pt")
    torch.save({"state_dict": state, "extra": Harm()}, folder / "harm_protocol_4.pt", pickle_protocol=4)
    save_legacy({"state_dict": state, "extra": Harm()}, folder / "harm_legacy.bin")
    torch.save({"state_dict": collections.OrderedDict(a=torch.ones(2), b=Harm())}, folder / "harm_in_state.pt")
    (folder / "harm_bare.bin").write_bytes(pickle.dumps(Harm(), protocol=2))
    torch.save({"state_dict": collections.OrderedDict(a=torch.ones(2), b=absent.Stopping())}, folder / "object_in_state.pt")
    torch.save(absent.Stopping(), folder / "whole_object.pt")
    torch.save({"epoch": 3, "losses": [0.5]}, folder / "no_state.pt")
    torch.save({"state_dict": {"a": torch.ones(2).to_sparse()}}, folder / "sparse.pt")
    (folder / "bare.pkl").write_bytes(pickle.dumps({"a": 1}, protocol=2))

    shared = ["ha"]
    for _ in range(64):
        shared = [shared, shared]
    torch.save({"state_dict": state, "laughs": shared}, folder / "laughs.pt")
    shared = {"ha": torch.ones(2)}
    for _ in range(40):
        shared = {"a": shared, "b": shared}
    torch.save({"state_dict": shared}, folder / "laughs_in_state.pt")
    circle = {}
    circle["again"] = circle
    torch.save({"model": circle}, folder / "circle.pt")

    buffer = io.BytesIO()
    torch.save(state, buffer)
    whole = zipfile.ZipFile(buffer)

    def copied(name, method=zipfile.ZIP_STORED, changed=None, without=()):
        with zipfile.ZipFile(folder / name, "w") as out:
            for entry in whole.infolist():
                content = (changed or {}).get(entry.filename.split("/", 1)[1], whole.read(entry))
                if not entry.filename.endswith(tuple(without) or ("\0",)):
                    info = zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0))
                    info.compress_type = method
                    out.writestr(info, content)

    copied("compressed.pt", zipfile.ZIP_DEFLATED)
    copied("big_endian.pt", changed={"byteorder": b"big"})
    copied("storage_cut.pt", changed={"data/0": b"1234"})
    copied("storage_absent.pt", without=["data/0"])
    copied("pickle_absent.pt", without=["data.pkl"])


def main():
    # TorchScript writes sets in their order in memory.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, *sys.argv])
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    absent = package_that_is_absent()
    write_good(absent)
    write_bad(absent)


if __name__ == "__main__":
    main()
