"""Reads tests/fixtures/brain/cifti_written, the CIFTI files that the program writes, with nibabel and compares.

Run from the repository root whenever those files change:

    python tests/scripts/check_cifti.py

Written for Python 3.11, numpy 2.4.6, nibabel 5.4.2. The files are those of `tests/brain/cifti_writing.rs`, whose places,
maps and values are stated here once more. Exits with an error at the first difference.
"""

import warnings
from pathlib import Path

import nibabel
import numpy as np
from nibabel import cifti2

FOLDER = Path("tests/fixtures/brain/cifti_written")
AFFINE = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
SHAPE = (5, 6, 7)


def voxels(name, *ijk):
    """Voxels in the order in which they are given."""
    return cifti2.BrainModelAxis(name, voxel=np.array(ijk), affine=AFFINE, volume_shape=SHAPE)


DENSE = (
    cifti2.BrainModelAxis.from_surface(np.arange(0, 20, 3), 20, "CORTEX_LEFT")
    + cifti2.BrainModelAxis.from_surface(np.array([19, 4, 11]), 20, "CORTEX_RIGHT")
    + voxels("THALAMUS_LEFT", (1, 2, 3), (4, 3, 2))
    + voxels("BRAIN_STEM", (0, 0, 0))
)
PARCELS = cifti2.ParcelsAxis(
    ["V1", "deep & far"],
    np.array([np.zeros((0, 3), dtype=int), np.array([[1, 1, 1], [2, 1, 1]])], dtype=object),
    [{"CIFTI_STRUCTURE_CORTEX_LEFT": np.array([1, 2])}, {}],
    AFFINE,
    SHAPE,
    {"CIFTI_STRUCTURE_CORTEX_LEFT": 20},
)
SERIES = cifti2.SeriesAxis(0, 0.72, 5)
SCALARS = cifti2.ScalarAxis(["accuracy", "p < 0.05 & more"])
LABELS = cifti2.LabelAxis(
    ["networks"],
    {0: ("???", (0, 0, 0, 0)), 1: ("Visual <1>", (0.5, 0.25, 0.125, 1)), 100000: ('Default "A" & B', (0.75, 0, 1, 0.5))},
)


def values(n_maps, n_places):
    """The value that each map has at each place."""
    return np.arange(n_places) * 0.25 - np.arange(n_maps)[:, None] * 100.0


def check(name, maps, places, expected, code, dtype):
    """Compares a file's axes, values and header with what was meant."""
    path = FOLDER / name
    image = nibabel.load(path)
    assert isinstance(image, cifti2.Cifti2Image), name
    assert image.header.get_axis(0) == maps, name
    assert image.header.get_axis(1) == places, name
    assert np.array_equal(np.asarray(image.dataobj), expected), name
    with path.open("rb") as file:
        header = nibabel.Nifti2Header.from_fileobj(file)
    assert header.get_intent("code")[0] == code, name
    assert header.get_data_dtype() == dtype, name
    offset = int(header["vox_offset"])
    assert offset % 16 == 0 and path.stat().st_size == offset + expected.size * 4, name
    print("as meant:", name)


def main():
    warnings.simplefilter("error")
    check("x.dtseries.nii", SERIES, DENSE, values(5, len(DENSE)), 3002, "f4")
    check("x.dscalar.nii", SCALARS, DENSE, values(2, len(DENSE)), 3006, "f4")
    keys = np.array([[0, 1, 100000][place % 3] for place in range(len(DENSE))])[None]
    check("x.dlabel.nii", LABELS, DENSE, keys, 3007, "i4")
    check("x.ptseries.nii", SERIES, PARCELS, values(5, 2), 3004, "f4")


if __name__ == "__main__":
    main()
