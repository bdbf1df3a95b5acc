"""Makes tests/fixtures/brain: small images, tables and matrices with what nibabel, nilearn and pandas make of them.

Run from the repository root:

    python tests/scripts/make_brain_fixtures.py

Made with Python 3.11, numpy 2.4.6, pandas 3.1.1, nibabel 5.4.2, nilearn 0.14.1. The versions of each run are written to
`versions.json`. All numbers come from fixed seeds.
"""

import json
import platform
import shutil
import warnings
from pathlib import Path

import nibabel
import nilearn
import numpy as np
import pandas as pd
from nilearn.image import resample_to_img
from nilearn.maskers import NiftiMasker
from nilearn.signal import clean

OUT = Path("tests/fixtures/brain")
FLIPPED = np.array([[-2.0, 0, 0, 9], [0, 2.0, 0, -12], [0, 0, 2.5, -7], [0, 0, 0, 1]])


def oblique(step, angles, offset):
    """An affine of rotated axes."""
    a, b, c = angles
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rx @ ry @ rz @ np.diag(step)
    affine[:3, 3] = offset
    return affine


def images():
    """Images in many sample types, byte orders, scalings and affine codes, with nibabel's reading of them."""
    folder = OUT / "images"
    folder.mkdir()
    rng = np.random.default_rng(1)
    tilted = oblique([2, 2.2, -3], [0.1, -0.2, 0.3], [10, -20, 30])
    expected = {}

    def save(name, data, affine=FLIPPED, big=False, slope=None, intercept=None, codes=(0, 2), units=None, step=None, rank5=False):
        if rank5:
            data = data[..., np.newaxis]
        header = nibabel.Nifti1Header(endianness=">" if big else "<")
        image = nibabel.Nifti1Image(data, affine, header=header, dtype=data.dtype)
        qform_code, sform_code = codes
        image.set_qform(affine, code=qform_code)
        image.set_sform(affine if sform_code else None, code=sform_code)
        if units:
            image.header.set_xyzt_units("mm", units)
        if step is not None:
            zooms = list(image.header.get_zooms())
            zooms[3] = step
            image.header.set_zooms(zooms)
        path = folder / name
        if slope is None:
            nibabel.save(image, path)
        else:
            # Stored integers are kept as they are: only the header says how to scale them.
            image.header["scl_slope"], image.header["scl_inter"] = slope, intercept
            image.header.set_data_offset(352)
            with nibabel.openers.Opener(str(path), "wb") as file:
                image.header.write_to(file)
                file.write(b"\0" * 4)
                file.write(data.astype(image.header.get_data_dtype()).tobytes(order="F"))
        read = nibabel.load(path)
        values = np.squeeze(read.get_fdata()).astype(np.float32)
        expected[name] = {
            "shape": list(read.shape),
            "affine": read.affine.tolist(),
            "values": [float(x) for x in values.ravel(order="F")],
        }

    small = (4, 3, 2)
    for kind in ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]:
        data = rng.integers(0, 100, small).astype(kind) if kind[0] != "f" else rng.normal(size=small).astype(kind)
        save(f"{kind}_little.nii.gz", data)
        save(f"{kind}_big.nii", data, big=True)
    stored = rng.integers(-3000, 3000, small).astype("i2")
    save("scaled.nii.gz", stored, slope=0.25, intercept=-7.5)
    save("scaled_big.nii", stored, big=True, slope=1 / 3, intercept=0.1)
    save("slope_zero.nii", stored, slope=0.0, intercept=5.0)
    save("slope_nan.nii", stored, slope=float("nan"), intercept=0.0)
    save("qform.nii.gz", stored, affine=tilted, codes=(1, 0))
    save("sform_before_qform.nii.gz", stored, affine=tilted, codes=(1, 2))
    series = rng.integers(0, 2000, (4, 3, 2, 5)).astype("i2")
    save("series_seconds.nii.gz", series, units="sec", step=0.72)
    save("series_milliseconds.nii.gz", series, units="msec", step=1500)
    save("series_microseconds_big.nii", series, big=True, units="usec", step=2e6)
    save("series_rank5.nii.gz", series, units="sec", step=2.0, rank5=True)
    extension = nibabel.Nifti1Image(stored, FLIPPED)
    extension.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"between header and data"))
    nibabel.save(extension, folder / "extension.nii.gz")
    read = nibabel.load(folder / "extension.nii.gz")
    expected["extension.nii.gz"] = {
        "shape": list(read.shape),
        "affine": read.affine.tolist(),
        "values": [float(x) for x in read.get_fdata().ravel(order="F")],
    }
    (folder / "expected.json").write_text(json.dumps(expected))
    nibabel.save(nibabel.Nifti2Image(stored, FLIPPED), OUT / "nifti2.nii.gz")


def resampling():
    """Labels on one grid and nilearn's nearest-neighbour resampling of them to others."""
    folder = OUT / "resampling"
    folder.mkdir()
    rng = np.random.default_rng(2)
    source_affine = np.array([[2.0, 0, 0, -9], [0, 2.0, 0, -11], [0, 0, 2.0, -8], [0, 0, 0, 1]])
    labels = rng.integers(0, 30, (10, 12, 9)).astype("i2")
    source = nibabel.Nifti1Image(labels, source_affine)
    nibabel.save(source, folder / "source.nii.gz")
    targets = {
        "finer": (np.array([[1.0, 0, 0, -9], [0, 1.0, 0, -11], [0, 0, 1.0, -8], [0, 0, 0, 1]]), (19, 23, 17)),
        "coarser_shifted": (np.array([[3.0, 0, 0, -10], [0, 3.0, 0, -9.5], [0, 0, 3.0, -12], [0, 0, 0, 1]]), (8, 8, 8)),
        "flipped": (np.array([[-2.0, 0, 0, 9], [0, 2.0, 0, -11], [0, 0, -2.0, 8], [0, 0, 0, 1]]), (10, 12, 9)),
        "oblique": (oblique([1.7, 2.1, -1.9], [0.2, -0.3, 0.15], [-6, -9, 7]), (11, 10, 9)),
        "permuted": (np.array([[0, 0, 2.2, -9], [-1.8, 0, 0, 11], [0, 2.4, 0, -8], [0, 0, 0, 1]]), (12, 8, 9)),
    }
    for name, (affine, shape) in targets.items():
        target = nibabel.Nifti1Image(np.zeros(shape, dtype="i2"), affine)
        resampled = resample_to_img(source, target, interpolation="nearest", force_resample=True, copy_header=True)
        resampled = nibabel.Nifti1Image(np.asarray(resampled.dataobj).astype("i2"), affine)
        nibabel.save(resampled, folder / f"{name}.nii.gz")


def drifting(rng, n_tr, n_voxels):
    """Series with a mean, a trend, slow waves and noise."""
    t = np.linspace(0, 1, n_tr)[:, None]
    slow = np.sin(2 * np.pi * t * rng.uniform(0.5, 2, n_voxels) + rng.uniform(0, 6, n_voxels))
    return 1000 + 50 * rng.normal(size=n_voxels) + 20 * t * rng.normal(size=n_voxels) + 8 * slow + rng.normal(size=(n_tr, n_voxels)) * 5


def confounds_table(rng, n_tr):
    """A table as fMRIPrep writes it: the first derivative is missing, one column is constant."""
    table = pd.DataFrame({f"{kind}_{axis}": np.cumsum(rng.normal(size=n_tr) * 0.02) for kind in ["trans", "rot"] for axis in "xyz"})
    for name in list(table.columns):
        table[f"{name}_derivative1"] = table[name].diff()
    table["framewise_displacement"] = np.abs(rng.normal(size=n_tr)) * 0.3
    table.loc[0, "framewise_displacement"] = np.nan
    table["csf"] = 500 + rng.normal(size=n_tr)
    table["constant"] = 3.0
    table["non_steady_state_outlier00"] = (np.arange(n_tr) == 0).astype(int)
    table["non_steady_state_outlier01"] = (np.arange(n_tr) == 1).astype(int)
    return table


def usable(table, columns):
    """Confounds with the first row filled as nilearn's `load_confounds` fills it."""
    chosen = table[columns].copy()
    missing = chosen.iloc[0].isna()
    chosen.loc[0, missing] = chosen.iloc[1][missing]
    return chosen.to_numpy()


def derivatives():
    """An fMRIPrep-like folder of two runs and what nilearn makes of each."""
    root = OUT / "derivatives"
    func = root / "sub-01" / "func"
    func.mkdir(parents=True)
    (root / "dataset_description.json").write_text(
        json.dumps({"Name": "tiny", "BIDSVersion": "1.8.0", "DatasetType": "derivative", "GeneratedBy": [{"Name": "make_brain_fixtures"}], "License": "CC0"})
    )
    rng = np.random.default_rng(3)
    shape, n_tr, step = (5, 6, 4), 60, 1.5
    motion = [f"{kind}_{axis}" for kind in ["trans", "rot"] for axis in "xyz"]
    with_derivatives = motion + [f"{name}_derivative1" for name in motion]
    for run in [1, 2]:
        stem = f"sub-01_task-movie_run-{run}"
        in_space = f"{stem}_space-MNI152NLin2009cAsym"
        data = drifting(rng, n_tr, np.prod(shape)).T.reshape(*shape, n_tr).astype("f4")
        mask = np.zeros(shape, dtype="u1")
        mask[1:4, 1:5, 1:3] = 1
        mask[4, 5, 3] = 1
        mask[2, 2, 2] = run - 1
        image = nibabel.Nifti1Image(data, FLIPPED)
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_zooms((2.0, 2.0, 2.5, step))
        nibabel.save(image, func / f"{in_space}_desc-preproc_bold.nii.gz")
        mask_image = nibabel.Nifti1Image(mask, FLIPPED)
        nibabel.save(mask_image, func / f"{in_space}_desc-brain_mask.nii.gz")
        (func / f"{in_space}_desc-preproc_bold.json").write_text(json.dumps({"RepetitionTime": step, "TaskName": "movie"}))
        table = confounds_table(rng, n_tr)
        table.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", na_rep="n/a", index=False)
        events = pd.DataFrame({"onset": [0.0, 30.0], "duration": [30.0, 30.0], "video": ["a.mp4", "b.mp4"]})
        events.to_csv(func / f"{stem}_events.tsv", sep="\t", na_rep="n/a", index=False)

        # The stored values in double precision, so that the expected numbers carry no rounding of their own.
        image = nibabel.Nifti1Image(data.astype("f8"), FLIPPED)

        def masked(columns, **options):
            masker = NiftiMasker(mask_img=mask_image, dtype="float64", **options)
            return masker.fit_transform(image, confounds=usable(table, columns) if columns else None)

        keep = (table["framewise_displacement"].fillna(0) <= 0.5).to_numpy() & (np.arange(n_tr) >= 2)
        masker = NiftiMasker(mask_img=mask_image, dtype="float64", standardize="zscore_sample", high_pass=1 / 40, t_r=step)
        masker.clean_args = {"filter": "cosine"}
        results = {
            "raw": masked([]),
            "z_score": masked([], standardize="zscore_sample"),
            "motion": masked(motion, standardize="zscore_sample"),
            "motion_no_z_score": masked(motion),
            "all": masked(with_derivatives, standardize="zscore_sample", detrend=True, high_pass=1 / 40, t_r=step, clean_args={"filter": "cosine"}),
            "scrubbed": masker.fit_transform(image, confounds=usable(table, motion), sample_mask=np.flatnonzero(keep)),
            "detrend": masked([], detrend=True),
        }
        for name, series in results.items():
            np.save(root / f"run-{run}_{name}.npy", np.asarray(series, dtype="f4"))

    # The same numbers straight from `clean`, to tell a mistake of the masker's options from one of the projection.
    series = drifting(rng, n_tr, 3)
    direct = clean(series, detrend=False, standardize="zscore_sample", filter="cosine", high_pass=1 / 40, t_r=step)
    np.save(root / "direct_in.npy", series.astype("f8"))
    np.save(root / "direct_out.npy", direct.astype("f8"))


def main():
    warnings.simplefilter("ignore")
    # Other scripts keep their fixtures beside these.
    for folder in ("images", "resampling", "derivatives"):
        shutil.rmtree(OUT / folder, ignore_errors=True)
    OUT.mkdir(parents=True, exist_ok=True)
    images()
    resampling()
    derivatives()
    versions = {"python": platform.python_version()}
    versions |= {module.__name__: module.__version__ for module in (np, pd, nibabel, nilearn)}
    (OUT / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
