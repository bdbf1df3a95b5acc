"""Writes weights in the formats of other times, the same bytes from the same weights every time."""

import os
import zipfile
from unittest import mock

import torch

ALIGNMENT = 64


def save_before_zip(content, path):
    """`torch.save` as it was before torch 1.6: pickles in a row, then the numbers of every storage.

    Storages are known by their addresses and stand in the order of these; addresses that only grow take their place.
    """
    numbers = {}

    class Address:
        def __new__(cls, address):
            return str(94_000_000_000_000 + 64 * numbers.setdefault(address, len(numbers)))

    with mock.patch.object(torch.serialization, "str", Address, create=True), open(path, "wb") as file:
        torch.save(content, file, _use_new_zipfile_serialization=False)


def drop_source_ranges(path):
    """Takes the debugging entries from a TorchScript archive, which tell where the sources lay, and a digest over them.

    The other entries stay stored, and aligned as torch aligns them: by a padding in the extra field `FB`.
    """
    shorter = path.with_suffix(".shorter")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(shorter, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            if entry.filename.endswith((".debug_pkl", "serialization_id")):
                continue
            content = old.read(entry)
            start = new.fp.tell() + 30 + len(entry.filename.encode()) + 4
            padding = -start % ALIGNMENT
            kept = zipfile.ZipInfo(entry.filename)
            kept.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            new.writestr(kept, content)
    os.replace(shorter, path)
