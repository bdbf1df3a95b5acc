"""Makes tests/fixtures/brain/preparation: two runs, and what nilearn makes of them under many combinations of options.

Run from the repository root:

    python tests/scripts/make_preparation_fixtures.py

Made with Python 3.11, numpy 2.4.6, pandas 3.1.1, scipy 1.17.1, nibabel 5.4.2, nilearn 0.14.1; the versions of each run
are written to `versions.json`. All numbers come from fixed seeds.

`new` has a confounds table as fMRIPrep 21 and later write it (tissue masks with prefixes of their own), `old` as 1.4 to
20.2 did (all anatomical components are `a_comp_cor_…`). Each case of `cases.json` holds the preparation as a study would
write it, the run, the columns that nilearn chose and the volumes it dropped, and the rows of `series.npy` that hold the
series that nilearn made of it.
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
import scipy
from nilearn.image import smooth_img
from nilearn.interfaces.fmriprep import load_confounds
from nilearn.maskers import NiftiMasker

OUT = Path("tests/fixtures/brain/preparation")
AFFINE = np.array([[-1.9, 0.3, 0.2, 9], [0.4, 2.1, -0.3, -12], [0.1, 0.2, 2.6, -7], [0, 0, 0, 1]])
SHAPE, N_TR, STEP = (5, 6, 4), 64, 1.5
MOTION = [f"{kind}_{axis}" for kind in ["trans", "rot"] for axis in "xyz"]
SIGNALS = [*MOTION, "csf", "white_matter", "global_signal"]


def series(rng, slow):
    """Volumes with a mean, a trend, slow waves, traces of the nuisance signals and noise, as 16-bit integers."""
    n_voxels = int(np.prod(SHAPE))
    t = np.linspace(0, 1, N_TR)[:, None]
    data = 1000 + 50 * rng.normal(size=n_voxels) + 40 * t * rng.normal(size=n_voxels)
    data = data + 15 * np.sin(2 * np.pi * t * rng.uniform(0.5, 2, n_voxels)) + 9 * rng.normal(size=(N_TR, n_voxels))
    data = data + slow @ rng.normal(size=(slow.shape[1], n_voxels)) * 6
    return np.round(data).astype("i2").T.reshape(*SHAPE, N_TR)


def table(rng, components):
    """A confounds table: signals, their differences and squares, marks of motion, cosines and components."""
    columns = {}
    for name in SIGNALS:
        signal = np.cumsum(rng.normal(size=N_TR) * 0.02) + (20 if "_" not in name or "global" in name else 0)
        difference = np.concatenate([[np.nan], np.diff(signal)])
        columns |= {
            name: signal,
            f"{name}_derivative1": difference,
            f"{name}_derivative1_power2": difference**2,
            f"{name}_power2": signal**2,
        }
    displacement = np.abs(rng.normal(size=N_TR)) * 0.2
    displacement[[9, 30, 33, 46, 61]] = 0.9
    displacement[0] = np.nan
    dvars = 1 + 0.1 * rng.normal(size=N_TR)
    dvars[[31, 50]] = 2.2
    dvars[0] = np.nan
    columns |= {"framewise_displacement": displacement, "std_dvars": dvars}
    for number in range(2):
        cosine = np.cos(np.pi * (number + 1) * (np.arange(N_TR) + 0.5) / N_TR)
        columns[f"cosine{number:02d}"] = cosine / np.linalg.norm(cosine)
    for number in range(2):
        columns[f"non_steady_state_outlier{number:02d}"] = (np.arange(N_TR) == number).astype(int)
    for name, (_, _, kept) in components.items():
        if kept:
            columns[name] = rng.normal(size=N_TR)
    return pd.DataFrame(columns)


def described(components):
    """The JSON file beside the table."""
    entries = {
        name: {"Mask": mask, "Method": method, "Retained": kept} for name, (mask, method, kept) in components.items()
    }
    for number, name in enumerate(name for name, entry in entries.items() if not entry["Retained"]):
        # fMRIPrep renames what it leaves out.
        entries = {f"dropped_{number}" if key == name else key: entry for key, entry in entries.items()}
    for entry in entries.values():
        if entry["Mask"] is None:
            del entry["Mask"]
    return {"csf": {"Method": "Mean"}, **entries}


def many(prefix, mask, method, n, start=0):
    return {f"{prefix}_comp_cor_{number:02d}": (mask, method, True) for number in range(start, start + n)}


NEW = (
    many("a", "combined", "aCompCor", 7)
    | many("c", "CSF", "aCompCor", 3)
    | many("w", "WM", "aCompCor", 6)
    | many("t", None, "tCompCor", 4)
    | {"a_comp_cor_07": ("combined", "aCompCor", False)}
)
OLD = (
    many("a", "WM", "aCompCor", 6)
    | many("a", "CSF", "aCompCor", 4, 6)
    | many("a", "combined", "aCompCor", 8, 10)
    | many("t", None, "tCompCor", 3)
)

# Name, run, preparation as written in a study, arguments of load_confounds, further arguments of the masker.
STRATEGY_CASES = [
    ("motion-6", "new", {"nuisance": {"motion": "basic"}}, {"strategy": ["motion"], "motion": "basic"}),
    ("motion-12", "new", {"nuisance": {"motion": "derivatives"}}, {"strategy": ["motion"], "motion": "derivatives"}),
    ("motion-24", "new", {"nuisance": {"motion": "full"}}, {"strategy": ["motion"], "motion": "full"}),
    ("tissues", "new", {"nuisance": {"wm_csf": "power2"}}, {"strategy": ["wm_csf"], "wm_csf": "power2"}),
    (
        "global",
        "old",
        {"nuisance": {"global_signal": "full", "wm_csf": "full"}},
        {"strategy": ["global_signal", "wm_csf"], "global_signal": "full", "wm_csf": "full"},
    ),
]
METHODS = ["anat_combined", "anat_separated", "temporal", "temporal_anat_combined", "temporal_anat_separated"]
for run in ["new", "old"]:
    for method in METHODS:
        for n in [2, "all"]:
            written = {"method": method.replace("_", "-")} | ({} if n == "all" else {"n": n})
            STRATEGY_CASES.append(
                (
                    f"{run}-{method}-{n}",
                    run,
                    {"nuisance": {"compcor": written, "fmriprep_cosines": True}},
                    {"strategy": ["compcor", "high_pass"], "compcor": method, "n_compcor": n},
                )
            )
SIMPLE = {"nuisance": {"motion": "derivatives", "wm_csf": "basic", "fmriprep_cosines": True}}
SIMPLE_CALL = {"strategy": ["high_pass", "motion", "wm_csf"], "motion": "derivatives", "wm_csf": "basic"}
SCRUB = {"max_framewise_displacement_mm": 0.5, "max_std_dvars": 1.5}
for shortest in [0, 5, 12]:
    STRATEGY_CASES.append(
        (
            f"scrub-{shortest}",
            "new",
            {**SIMPLE, **SCRUB, "scrub_shorter_than": shortest, "drop_non_steady_state": True},
            {**SIMPLE_CALL, "strategy": [*SIMPLE_CALL["strategy"], "scrub"], "scrub": shortest, "fd_threshold": 0.5, "std_dvars_threshold": 1.5},
        )
    )


def options():
    """Every combination of trend, filter, confounds, dropped volumes and scale."""
    listed = {"drop_volumes": [3, "20-24", 57], "drop_initial": 2, "drop_final": 1}
    for detrend in [False, True]:
        for high_pass_s in [None, 40.0]:
            for motion in [None, "derivatives"]:
                for dropped in [{}, listed]:
                    for scale in ["none", "z-score", "percent-change"]:
                        written = {"detrend": detrend, "scale": scale, **dropped}
                        written |= {"high_pass_s": high_pass_s} if high_pass_s else {}
                        written |= {"nuisance": {"motion": motion}} if motion else {}
                        yield written


def masked(image, mask, written, confounds, sample_mask):
    """What NiftiMasker makes of a run under the options of a study."""
    scales = {"none": None, "z-score": "zscore_sample", "percent-change": "psc"}
    filtered = {"high_pass": 1 / written["high_pass_s"], "clean_args": {"filter": "cosine"}} if "high_pass_s" in written else {}
    masker = NiftiMasker(
        mask_img=mask,
        dtype="float64",
        standardize=scales[written.get("scale", "z-score")],
        detrend=written.get("detrend", False),
        smoothing_fwhm=written.get("smoothing_fwhm_mm"),
        t_r=STEP,
        **filtered,
    )
    return masker.fit_transform(image, confounds=confounds, sample_mask=sample_mask).astype("f4")


def kept(written):
    keep = np.ones(N_TR, dtype=bool)
    keep[: written.get("drop_initial", 0)] = False
    keep[N_TR - written.get("drop_final", 0) :] = False
    for entry in written.get("drop_volumes", []):
        first, last = (entry, entry) if isinstance(entry, int) else map(int, entry.split("-"))
        keep[first : last + 1] = False
    return np.flatnonzero(keep)


def main():
    warnings.simplefilter("ignore")
    shutil.rmtree(OUT, ignore_errors=True)
    rng = np.random.default_rng(11)
    mask_data = np.zeros(SHAPE, dtype="u1")
    mask_data[2, 3, 1:3] = mask_data[1, 2, 2] = mask_data[4, 5, 3] = mask_data[0, 0, 0] = 1
    mask = nibabel.Nifti1Image(mask_data, AFFINE)
    images, files = {}, {}
    for run, components in [("new", NEW), ("old", OLD)]:
        func = OUT / "sub-01" / "func"
        func.mkdir(parents=True, exist_ok=True)
        stem = f"sub-01_task-movie_run-{run}"
        confounds = table(rng, components)
        suffix = "timeseries" if run == "new" else "regressors"
        confounds.to_csv(func / f"{stem}_desc-confounds_{suffix}.tsv", sep="\t", na_rep="n/a", index=False, float_format="%.5g")
        (func / f"{stem}_desc-confounds_{suffix}.json").write_text(json.dumps(described(components), indent=1) + "\n")
        image = nibabel.Nifti1Image(series(rng, confounds[MOTION].to_numpy()), AFFINE)
        image.header.set_xyzt_units("mm", "sec")
        zooms = nibabel.affines.voxel_sizes(AFFINE)
        image.header.set_zooms((*zooms, STEP))
        files[run] = func / f"{stem}_space-MNI152NLin6Asym_desc-preproc_bold.nii.gz"
        nibabel.save(image, files[run])
        nibabel.save(mask, func / f"{stem}_space-MNI152NLin6Asym_desc-brain_mask.nii.gz")
        images[run] = nibabel.Nifti1Image(image.get_fdata(), nibabel.load(files[run]).affine)
    mask = nibabel.Nifti1Image(mask_data, images["new"].affine)

    cases, stacked = [], []

    def case(name, run, written, confounds, sample_mask, with_series=True):
        names = sorted(confounds.columns) if confounds is not None else []
        volumes = np.arange(N_TR) if sample_mask is None else sample_mask
        dropped = np.setdiff1d(np.arange(N_TR), volumes).tolist()
        entry = {"name": name, "run": run, "preparation": written, "columns": names, "dropped": dropped}
        made = None
        if with_series:
            made = masked(images[run], mask, written, confounds, sample_mask)
            first = sum(map(len, stacked))
            entry["rows"] = [first, first + len(made)]
            stacked.append(made)
        cases.append(entry)
        return made

    for name, run, written, call in STRATEGY_CASES:
        confounds, sample_mask = load_confounds(str(files[run]), **call)
        # load_confounds drops volumes that are not steady in any case; a study says so.
        written = {"drop_non_steady_state": True, **written}
        case(name, run, written, confounds, sample_mask, with_series=name.startswith(("scrub", "old-anat_separated")))

    for number, written in enumerate(options()):
        confounds = None
        if "nuisance" in written:
            call = {"strategy": ["motion"], "motion": written["nuisance"]["motion"]}
            confounds, _ = load_confounds(str(files["new"]), **call)
        sample_mask = kept(written) if "drop_volumes" in written else None
        case(f"options-{number:02d}", "new", written, confounds, sample_mask)

    for fwhm in [3.0, 7.5]:
        written = {"smoothing_fwhm_mm": fwhm, "scale": "none"}
        made = case(f"smooth-{fwhm}", "new", written, None, None)
        smoothed = smooth_img(images["new"], fwhm).get_fdata()[mask_data > 0].T
        assert np.allclose(made, smoothed, rtol=1e-6)
    written = {**SIMPLE, "smoothing_fwhm_mm": 5.0, "detrend": True, "drop_non_steady_state": True}
    confounds, sample_mask = load_confounds(str(files["old"]), **SIMPLE_CALL)
    case("smooth-all", "old", written, confounds, sample_mask)

    np.save(OUT / "series.npy", np.concatenate(stacked))
    (OUT / "cases.json").write_text("[\n" + ",\n".join(json.dumps(entry) for entry in cases) + "\n]\n")
    versions = {"python": platform.python_version()}
    versions |= {module.__name__: module.__version__ for module in (np, pd, scipy, nibabel, nilearn)}
    (OUT / "versions.json").write_text(json.dumps(versions, indent=2) + "\n")


if __name__ == "__main__":
    main()
