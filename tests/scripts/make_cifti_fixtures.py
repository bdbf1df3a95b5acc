"""Makes tests/fixtures/brain/nifti2 and tests/fixtures/brain/cifti: small files with what nibabel reads out of them.

Run from the repository root:

    python tests/scripts/make_cifti_fixtures.py

Made with Python 3.11, numpy 2.4.6, nibabel 5.4.2. The versions of each run are written to `versions.json` beside the
files. All numbers come from fixed seeds.
"""

import json
import platform
import shutil
from pathlib import Path

import nibabel
import numpy as np
from nibabel import cifti2

OUT = Path("tests/fixtures/brain")
AFFINE = np.array([[-1.6, 0, 0, 90.4], [0, 1.6, 0.1, -126], [0, 0, 1.7, -72], [0, 0, 0, 1]])
TYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def fresh(name):
    """An empty folder for fixtures, with the versions that fill it."""
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    versions = {"python": platform.python_version(), "numpy": np.__version__, "nibabel": nibabel.__version__}
    (folder / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")
    return folder


def plain(values):
    """Numbers for JSON, as 32-bit floats in the order of the file."""
    return [float(x) for x in np.asarray(values, dtype="f4").ravel(order="F")]


def images():
    """NIfTI-2 images of every sample type, byte order and scaling."""
    folder = fresh("nifti2")
    rng = np.random.default_rng(1)
    expected = {}

    def save(name, stored, big, slope=float("nan"), intercept=float("nan"), q_only=False, step=None, extension=None):
        header = nibabel.Nifti2Header(endianness=">" if big else "<")
        image = nibabel.Nifti2Image(stored, AFFINE, header=header, dtype=stored.dtype)
        if q_only:
            rigid = AFFINE.copy()
            rigid[1, 2] = 0
            image.set_qform(rigid, code=1)
            image.set_sform(None, code=0)
        if step is not None:
            image.header.set_xyzt_units("mm", "msec")
            image.header.set_zooms((*image.header.get_zooms()[:3], step))
        image.header["scl_slope"], image.header["scl_inter"] = slope, intercept
        offset = 544
        if extension:
            image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", extension))
            offset += image.header.extensions.get_sizeondisk()
        image.header.set_data_offset(offset)
        path = folder / name
        # The stored integers are kept as they are: only the header says how to scale them.
        with nibabel.openers.Opener(str(path), "wb") as file:
            image.header.write_to(file)
            assert file.tell() == offset
            file.write(stored.astype(image.header.get_data_dtype()).tobytes(order="F"))
        read = nibabel.load(path)
        expected[name] = {"shape": list(read.shape), "affine": read.affine.tolist(), "values": plain(read.get_fdata())}

    shape = (3, 2, 2)
    for kind in TYPES:
        info = None if kind[0] == "f" else np.iinfo(kind)
        for big in [False, True]:
            if info is None:
                stored = rng.normal(size=shape).astype(kind)
            else:
                stored = rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
            end = "big.nii" if big else "little.nii.gz"
            save(f"{kind}_{end}", stored, big)
            save(f"{kind}_scaled_{end}", stored, big, slope=1 / 3, intercept=-7.25)
    series = rng.integers(-999, 999, (3, 2, 2, 4), dtype="i2")
    save("series_little.nii.gz", series, False, step=720)
    save("series_qform_big.nii", series, True, q_only=True, step=1500)
    save("extension_big.nii.gz", series, True, slope=2, intercept=0, extension=b"between header and data")
    (folder / "expected.json").write_text(json.dumps(expected))


def brain_models():
    """Two surfaces and three structures of voxels; vertices and voxels in no particular order."""
    rng = np.random.default_rng(2)
    surfaces = [(rng.permutation(32)[:12], 32, "CORTEX_LEFT"), (np.arange(0, 40, 3), 40, "CORTEX_RIGHT")]
    axis = cifti2.BrainModelAxis.from_surface(*surfaces[0]) + cifti2.BrainModelAxis.from_surface(*surfaces[1])
    mask = np.zeros((6, 5, 4), dtype=int)
    mask.ravel()[rng.permutation(120)[:18]] = np.repeat([1, 2, 3], 6)
    for value, name in enumerate(["THALAMUS_LEFT", "BRAIN_STEM", "CEREBELLUM_RIGHT"], start=1):
        axis += cifti2.BrainModelAxis.from_mask(mask == value, name=name, affine=AFFINE)
    return axis


def parcels():
    """Parcels of vertices, of voxels and of both."""
    table = [
        ("left", [], {"CORTEX_LEFT": [3, 4, 9]}),
        ("both & more", [[0, 1, 2], [5, 4, 3]], {"CORTEX_LEFT": [0], "CORTEX_RIGHT": [7, 30]}),
        ("deep", [[1, 1, 1]], {}),
    ]
    names, voxels, vertices = zip(*table, strict=True)
    ragged = np.empty(len(voxels), dtype=object)
    ragged[:] = [np.array(v, dtype=int).reshape(-1, 3) for v in voxels]
    vertices = [{f"CIFTI_STRUCTURE_{k}": np.array(v) for k, v in each.items()} for each in vertices]
    n_vertices = {"CIFTI_STRUCTURE_CORTEX_LEFT": 32, "CIFTI_STRUCTURE_CORTEX_RIGHT": 40}
    return cifti2.ParcelsAxis(np.array(names), ragged, vertices, AFFINE, (6, 5, 4), n_vertices)


def places_of(axis):
    """What a file's places are, in words and numbers."""
    if isinstance(axis, cifti2.ParcelsAxis):
        return [
            {
                "name": name,
                "voxels": np.asarray(voxels).tolist(),
                "vertices": {k.removeprefix("CIFTI_STRUCTURE_"): v.tolist() for k, v in sorted(vertices.items())},
            }
            for name, voxels, vertices in zip(axis.name, axis.voxels, axis.vertices, strict=True)
        ]
    rows = []
    for kind, place, structure in axis:
        structure = structure.removeprefix("CIFTI_STRUCTURE_")
        if kind == "CIFTI_MODEL_TYPE_SURFACE":
            rows.append([structure, int(place)])
        else:
            mm = axis.affine[:3, :3] @ place + axis.affine[:3, 3]
            rows.append([structure, *map(int, place), *map(float, mm)])
    return rows


def maps_of(axis):
    """What a file's maps are, in words and numbers."""
    if isinstance(axis, cifti2.SeriesAxis):
        return {"start": axis.start, "step": axis.step, "unit": axis.unit, "size": axis.size}
    if isinstance(axis, cifti2.LabelAxis):
        rows = zip(axis.name, axis.label, strict=True)
        return [[name, [[k, t, list(map(float, c))] for k, (t, c) in sorted(table.items())]] for name, table in rows]
    return [str(name) for name in axis.name]


def matrices():
    """CIFTI files of every kind that is read."""
    folder = fresh("cifti")
    rng = np.random.default_rng(3)
    dense = brain_models()
    series = cifti2.SeriesAxis(1.5, 0.72, 7)
    scalars = cifti2.ScalarAxis(["thickness", "a < b & 'c'"])
    tables = [{0: ("???", (0, 0, 0, 0)), 7: ("Vis <1>", (0.5, 0.25, 1, 1)), 70000: ("Default", (0.8, 0.2, 0.3, 1))}]
    tables.append({-4: ("minus", (1, 1, 1, 1)), 2: ("two", (0, 1, 0, 0.5))})
    labels = cifti2.LabelAxis(["first", "second"], tables)
    expected = {}

    def save(name, data, axes, intent):
        image = cifti2.Cifti2Image(data, header=axes)
        image.nifti_header.set_intent(intent)
        image.nifti_header.set_data_dtype(data.dtype)
        image.to_filename(folder / name)
        read = nibabel.load(folder / name)
        maps, places = (read.header.get_axis(dimension) for dimension in [0, 1])
        expected[name] = {
            "values": [[float(x) for x in row] for row in np.asarray(read.get_fdata(), dtype="f4")],
            "places": places_of(places),
            "maps": maps_of(maps),
        }

    for suffix, places in [("d", dense), ("p", parcels())]:
        kinds = ("DENSE", "DENSE_SCALARS", "DENSE_LABELS") if suffix == "d" else ("PARCELLATED", "PARCELLATED_SCALAR", None)
        save(f"x.{suffix}tseries.nii", rng.normal(size=(7, len(places))).astype("f4"), (series, places), f"NIFTI_INTENT_CONNECTIVITY_{kinds[0]}_SERIES")
        save(f"x.{suffix}scalar.nii", rng.normal(size=(2, len(places))).astype("f4"), (scalars, places), f"NIFTI_INTENT_CONNECTIVITY_{kinds[1]}")
        keys = np.stack([rng.choice(list(table), len(places)) for table in tables]).astype("i4")
        save(f"x.{suffix}label.nii", keys, (labels, places), f"NIFTI_INTENT_CONNECTIVITY_{kinds[2] or 'UNKNOWN'}")
    save("floats.dlabel.nii", keys_as_floats(rng, tables[0], len(dense)), (labels[:1], dense), "NIFTI_INTENT_CONNECTIVITY_DENSE_LABELS")
    save("integers.dtseries.nii", rng.integers(-9, 9, (7, len(dense)), dtype="i2"), (series, dense), "NIFTI_INTENT_CONNECTIVITY_DENSE_SERIES")
    (folder / "expected.json").write_text(json.dumps(expected))


def keys_as_floats(rng, table, n_places):
    """Labels as older files hold them."""
    return rng.choice(list(table), (1, n_places)).astype("f4")


def main():
    images()
    matrices()


if __name__ == "__main__":
    main()
