"""Makes tests/fixtures/brain/atlas: label volumes and probability maps with what nilearn and scipy make of them.

Run from the repository root:

    python tests/scripts/make_atlas_fixtures.py

Made with Python 3.11, numpy 2.4.6, scipy 1.17.1, nibabel 5.4.2, nilearn 0.14.1. The versions of each run are written to
`versions.json`. All numbers come from fixed seeds. Affines are chosen so that no centre of a target voxel lies exactly
between two voxels of the source, except on the grid that is shifted by half a voxel, which is there for its ties.
"""

import gzip
import json
import platform
import shutil
from pathlib import Path

import nibabel
import nilearn
import numpy as np
import scipy
from nilearn.image import resample_to_img
from scipy import ndimage

OUT = Path("tests/fixtures/brain/atlas")
SOURCE_SHAPE = (9, 10, 8)
SOURCE_AFFINE = np.array([[-2.5, 0, 0, 10], [0, 2.0, 0, -9], [0, 0, 3.0, -10.5], [0, 0, 0, 1]])


def save(image, name):
    """Writes an image without a time stamp, so that equal images are equal files."""
    (OUT / name).write_bytes(gzip.compress(image.to_bytes(), mtime=0))


def rotated(angles, step, shear, offset):
    """An affine of rotated, stretched and, if asked for, sheared axes."""
    a, b, c = angles
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rx @ ry @ rz @ np.diag(step) @ np.array([[1, shear, 0], [0, 1, shear], [0, 0, 1]])
    affine[:3, 3] = offset
    return affine


def targets():
    """Grids that lie over the source in every way that files do."""
    half = SOURCE_AFFINE.copy()
    half[:3, 3] += SOURCE_AFFINE[:3, :3] @ [0.5, 0.5, 0.5]
    return {
        "rotated": (rotated([0.3, -0.2, 0.5], [2.1, 2.1, 2.1], 0, [-3.1, -9.2, -6.3]), (8, 9, 8)),
        "flipped": (np.array([[2.4, 0, 0, -9.1], [0, -2.2, 0, 8.7], [0, 0, -2.6, 9.9], [0, 0, 0, 1]]), (9, 9, 8)),
        "sheared": (rotated([0.1, 0.2, -0.1], [1.9, 2.3, 2.0], 0.15, [-8.2, -8.3, -9.4]), (9, 8, 9)),
        "anisotropic": (np.array([[0.9, 0, 0, -7.13], [0, 4.1, 0, -8.21], [0, 0, 1.7, -9.37], [0, 0, 0, 1]]), (18, 5, 11)),
        "permuted": (np.array([[0, 0, 2.3, -9.3], [-2.1, 0, 0, 8.2], [0, 2.7, 0, -9.6], [0, 0, 0, 1]]), (8, 7, 8)),
        "half_voxel": (half, SOURCE_SHAPE),
        "larger": (np.array([[-3.7, 0, 0, 20.3], [0, 3.7, 0, -20.3], [0, 0, 3.7, -20.7], [0, 0, 0, 1]]), (11, 11, 11)),
    }


def resampling():
    """Labels past 65535 and two maps in blobs, resampled by nilearn to every target."""
    rng = np.random.default_rng(11)
    labels = rng.choice(np.array([0, 1, 7, 255, 65535, 65536, 100001, 2**24 + 1], dtype="i4"), SOURCE_SHAPE)
    smooth = [ndimage.gaussian_filter(rng.random(SOURCE_SHAPE), 1.2) for _ in range(2)]
    maps = np.stack([(s - s.min()) / (s.max() - s.min()) for s in smooth], axis=-1).astype("f4")
    label_image = nibabel.Nifti1Image(labels, SOURCE_AFFINE)
    map_image = nibabel.Nifti1Image(maps, SOURCE_AFFINE)
    save(label_image, "labels.nii.gz")
    save(map_image, "maps.nii.gz")
    for name, (affine, shape) in targets().items():
        target = nibabel.Nifti1Image(np.zeros(shape, dtype="u1"), affine)
        nearest = resample_to_img(label_image, target, interpolation="nearest", force_resample=True, copy_header=True)
        linear = resample_to_img(map_image, target, interpolation="linear", force_resample=True, copy_header=True)
        save(nibabel.Nifti1Image(np.asarray(nearest.dataobj).astype("i4"), affine), f"{name}_labels.nii.gz")
        save(nibabel.Nifti1Image(np.asarray(linear.dataobj).astype("f4"), affine), f"{name}_maps.nii.gz")
    small = rng.choice(np.array([0, 65536, 100001], dtype="i4"), (4, 3, 2))
    stored = {"float32": small.astype("f4"), "float64": small.astype("f8"), "uint32": small.astype("u4"), "int64": small.astype("i8")}
    for name, data in stored.items():
        save(nibabel.Nifti1Image(data, SOURCE_AFFINE, dtype=data.dtype), f"stored_{name}.nii.gz")
    missing = small.astype("f4")
    missing[2, 1, 0] = np.nan
    save(nibabel.Nifti1Image(missing, SOURCE_AFFINE), "stored_nan.nii.gz")
    several = np.stack([small, small[::-1]], axis=-1)
    save(nibabel.Nifti1Image(several, SOURCE_AFFINE), "several.nii.gz")


def regions():
    """Erosion and connected components by scipy, of a region with holes, specks and contact to the border."""
    rng = np.random.default_rng(12)
    region = ndimage.gaussian_filter(rng.random((12, 11, 10)), 1.0) > 0.5
    region |= rng.random(region.shape) > 0.97
    save(nibabel.Nifti1Image(region.astype("u1"), SOURCE_AFFINE), "region.nii.gz")
    results = {"eroded_1": ndimage.binary_erosion(region), "eroded_2": ndimage.binary_erosion(region, iterations=2)}
    parts, _ = ndimage.label(region)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    results["pieces_of_3"] = (sizes >= 3)[parts]
    eroded_parts, _ = ndimage.label(results["eroded_1"])
    eroded_sizes = np.bincount(eroded_parts.ravel())
    eroded_sizes[0] = 0
    results["eroded_1_pieces_of_5"] = (eroded_sizes >= 5)[eroded_parts]
    for name, result in results.items():
        assert 0 < result.sum() < region.sum(), name
        save(nibabel.Nifti1Image(result.astype("u1"), SOURCE_AFFINE), f"region_{name}.nii.gz")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    resampling()
    regions()
    versions = {"python": platform.python_version()}
    versions |= {module.__name__: module.__version__ for module in (np, scipy, nibabel, nilearn)}
    (OUT / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
