#!/usr/bin/env python3
"""Writes what fuzzing starts from: inputs of every target, from the fixtures of the tests, below fuzz/corpus/TARGET/.

    python3 fuzz/seeds.py            writes the seeds
    python3 fuzz/seeds.py unpack     lays out corpus.tar.zst beside them (needs the program zstd)
    python3 fuzz/seeds.py pack       packs fuzz/minimised/TARGET/ into corpus.tar.zst (needs the program zstd)

Only Python's own library is used. Bytes that choose what a target does with an input stand before it, as its source says.
"""

import gzip
import hashlib
import io
import json
import pathlib
import subprocess
import sys
import tarfile
import zipfile

FUZZ = pathlib.Path(__file__).resolve().parent
TESTS = FUZZ.parent / "tests"
FIXTURES = TESTS / "fixtures"
PACKED = FUZZ / "corpus.tar.zst"
MARK = b"\n%%\n"

# Larger inputs slow fuzzing down and find nothing more.
LARGEST_BYTES = 1 << 17

# Of what libFuzzer kept, inputs up to this size are packed, the smallest first, until a target has so many bytes.
LARGEST_PACKED_BYTES = 1 << 13
MOST_TARGET_BYTES = 1 << 18


def inflated(path):
    """The bytes of a file, and those inside it if it is gzipped."""
    raw = path.read_bytes()
    yield raw
    if raw[:2] == b"\x1f\x8b":
        try:
            yield gzip.decompress(raw)
        except (OSError, EOFError):
            pass


def files(folder, *patterns):
    for pattern in patterns:
        yield from sorted(path for path in (FIXTURES / folder).rglob(pattern) if path.is_file())


def nifti():
    for path in [*files("brain", "*.nii", "*.nii.gz")]:
        yield from inflated(path)


def cifti_xml():
    for path in files("brain", "*.dtseries.nii", "*.dscalar.nii", "*.dlabel.nii", "*.p*.nii"):
        raw = path.read_bytes()
        yield raw
        begin, end = raw.find(b"<?xml"), raw.rfind(b"</CIFTI>")
        begin = raw.find(b"<CIFTI") if begin < 0 else begin
        if 0 <= begin < end:
            yield raw[begin : end + len(b"</CIFTI>")]


def tsv():
    for path in files(".", "*.tsv", "*.csv", "*.txt"):
        yield path.read_bytes()


def npy():
    for path in files(".", "*.npy"):
        yield path.read_bytes()
    for descr, order, shape in [("<f4", False, (2, 3)), (">f4", False, (3, 2)), ("<f8", False, (2, 2)), ("<f4", True, (3, 2)), ("<f4", False, (5,))]:
        text = repr({"descr": descr, "fortran_order": order, "shape": shape})
        header = text + " " * (63 - (10 + len(text)) % 64) + "\n"
        n_bytes = int(descr[2])
        for length in shape:
            n_bytes *= length
        yield b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(range(n_bytes))


def checkpoint():
    for path in files(".", "*.pt", "*.ckpt", "*.bin", "*.pkl"):
        raw = path.read_bytes()
        yield b"\x00" + raw
        if zipfile.is_zipfile(io.BytesIO(raw)):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                for name in archive.namelist():
                    if name.endswith(".pkl"):
                        try:
                            yield b"\x01" + archive.read(name)
                        except (zipfile.BadZipFile, NotImplementedError):
                            pass


def safetensors():
    for path in files("model", "*.safetensors"):
        raw = path.read_bytes()
        yield b"\x00" + raw
        yield b"\x01" + raw[8 : 8 + int.from_bytes(raw[:8], "little")]
    header = {
        "__metadata__": {"format": "pt"},
        "a.weight": {"dtype": "F32", "shape": [4, 8], "data_offsets": [0, 128]},
        "b.bias": {"dtype": "F16", "shape": [16], "data_offsets": [128, 160]},
        "c": {"dtype": "BF16", "shape": [], "data_offsets": [160, 162]},
        "d": {"dtype": "U8", "shape": [2, 1967], "data_offsets": [162, 4096]},
    }
    yield b"\x01" + json.dumps(header).encode()


def tokenizer():
    small = '{"!":0,"a":1,"b":2,"ab</w>":3,"<|startoftext|>":4,"<|endoftext|>":5,"a</w>":6,"b</w>":7}'
    yield b"\x01\x00" + small.encode() + MARK + b"#version: 0.2\na b</w>\n"
    roberta = '{"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"a":4,"b":5,"ab":6,"<mask>":7}'
    yield b"\x02\x02" + roberta.encode() + MARK + b"#version: 0.2\na b\n" + MARK + b'{"add_prefix_space": false}'
    yield b"\x03\x02" + b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\ndog\n##s\n" + MARK + b'{"do_lower_case": true}'
    yield b"\x04\x00" + b'"bpe_simple_vocab_16e6.txt#version: 0.2\na b</w>\nd o\ndo g</w>\n'
    for path in files("model", "tokenizer.json"):
        tokens = json.loads(path.read_text())
        for end in b"\x00\x01\x02":
            yield bytes([0, end]) + path.read_bytes()
        # The same with few words, so that mutations meet its structure.
        vocabulary = tokens["model"].get("vocab")
        if isinstance(vocabulary, dict):
            tokens["model"]["vocab"] = dict(list(vocabulary.items())[:300])
            tokens["model"]["merges"] = []
        for end in b"\x00\x01\x02":
            yield bytes([0, end]) + json.dumps(tokens).encode()
    for folder in sorted({path.parent for path in files("model", "vocab.json", "vocab.txt", "*.txt.gz")}):
        def part(name):
            path = folder / name
            return path.read_bytes() if path.is_file() else b""
        if (folder / "vocab.json").is_file():
            yield b"\x01\x00" + part("vocab.json") + MARK + part("merges.txt")
            yield b"\x02\x02" + part("vocab.json") + MARK + part("merges.txt") + MARK + part("tokenizer_config.json")
        if (folder / "vocab.txt").is_file():
            yield b"\x03\x02" + part("vocab.txt") + MARK + part("tokenizer_config.json")
        for path in folder.glob("*.txt.gz"):
            yield b"\x04\x00" + gzip.decompress(path.read_bytes())


def study():
    experiments = sorted((FUZZ.parent / "experiments").glob("*.toml"))
    for path in [*experiments, *sorted((TESTS / "specs").rglob("*.toml"))]:
        yield path.read_bytes()
    for path in experiments:
        yield b'include = "base.toml"\n[study]\nname = "over"\n' + MARK + path.read_bytes()
        yield b'include = ["base.toml"]\nwithout = ["statistics.polarity"]\n[study]\nname = "over"\n[sweep.grid]\n"encoding.ridge.folds" = [2, 3]\n' + MARK + path.read_bytes()


def lock():
    digest = hashlib.sha256(b"any").hexdigest()
    yield (
        "version = 1\nstudy = \"quickstart\"\n\n[programs]\n\"hebb\" = \"0.1.0\"\n\n[fields]\n\"encoding.ridge.alphas[0]\" = \"0.1\"\n\n"
        "[seeds]\n\"stimuli\" = 7\n\n[inputs]\n\"a b.nii.gz\" = { digest = \"%s\", size_bytes = 12 }\n\n"
        "[tasks]\n\"bold/sub-01/run-1\" = { key = \"%s\", output = \"%s\" }\n" % (digest, digest, digest)
    ).encode()


def record():
    digest = hashlib.sha256(b"any").hexdigest()
    entry = {
        "recipe": digest,
        "content": digest,
        "output": digest,
        "files": [{"path": "maps/a.npy", "size_bytes": 257, "digest": digest}, {"path": "b.tsv", "size_bytes": 9, "digest": digest}],
        "manifest": {"kind": "series", "version": 1, "engine": None, "parameters": {"n_tr": 35, "time.hrf": "glover"}, "files": [], "inputs": [{"role": "units", "key": digest, "task": "extract/clip/text/000"}]},
        "run": {"seconds": 0.5, "program": "0.1.0", "finished_unix_s": 1795936323},
    }
    note = {"file": "/home/study.toml", "tasks": {"bold/sub-01/run-1": {"recipe": digest, "output": digest, "files": [["bold.npy", 49128]], "seconds": 0.01}}}
    memo = {"files": {"/home/a": {"stamp": {"size_bytes": 1, "modified_ns": 1, "changed_ns": 1, "inode": 1, "device": 1}, "digest": digest}}}
    for written in entry, note, memo:
        text = json.dumps(written, indent=2)
        yield b"\x00" + text.encode()
        yield b"\x01" + text[: text.rindex("\n}")].encode()
        yield b"\x02" + text.encode()
    yield b"\x00" + (digest + "\n" + digest[:40]).encode()


def archive():
    digest = hashlib.sha256(b"any").hexdigest()
    index = {"version": 1, "folder": "study", "program": "0.1.0", "study": "movie", "study_file": "study.toml", "missing": [], "files": [{"path": "study.toml", "size_bytes": 1, "digest": digest}, {"path": "cache/records/aa/a.json", "size_bytes": 1, "digest": digest}]}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in [("study/hebb-archive.json", json.dumps(index).encode()), ("study/study.toml", b"x")]:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    yield b"\x01" + out.getvalue()
    yield b"\x02" + json.dumps(index).encode()


TARGETS = [archive, checkpoint, cifti_xml, lock, nifti, npy, record, safetensors, study, tokenizer, tsv]


def name(content):
    return hashlib.sha1(content).hexdigest()


def write():
    for target in TARGETS:
        folder = FUZZ / "corpus" / target.__name__
        folder.mkdir(parents=True, exist_ok=True)
        seeds = {seed for seed in target() if len(seed) <= LARGEST_BYTES}
        for seed in seeds:
            (folder / name(seed)).write_bytes(seed)
        print(f"{target.__name__}: {len(seeds)} seeds")


def pack():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for target in TARGETS:
            kept = sorted(
                (content for path in (FUZZ / "minimised" / target.__name__).iterdir() if len(content := path.read_bytes()) <= LARGEST_PACKED_BYTES),
                key=lambda content: (len(content), name(content)),
            )
            total = n_packed = 0
            for content in kept:
                if total + len(content) > MOST_TARGET_BYTES:
                    break
                entry = tarfile.TarInfo(f"{target.__name__}/{name(content)}")
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
                total += len(content)
                n_packed += 1
            print(f"{target.__name__}: {n_packed} of {len(kept)} inputs, {total} bytes")
    PACKED.write_bytes(subprocess.run(["zstd", "-19", "-c"], input=out.getvalue(), stdout=subprocess.PIPE, check=True).stdout)
    print(f"{PACKED.name}: {PACKED.stat().st_size} bytes")


def unpack():
    raw = subprocess.run(["zstd", "-dc", str(PACKED)], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        tar.extractall(FUZZ / "corpus", filter="data")


if __name__ == "__main__":
    {"": write, "pack": pack, "unpack": unpack}["".join(sys.argv[1:])]()
