"""Write a study's inputs with the programs that laboratories use, none of them Hebb.

A CLIP ViT-B/32 at full size with random weights, saved by transformers; photographs from scikit-learn and scikit-image;
two subjects' BOLD series, brain masks and an atlas written by nibabel; confounds by pandas; and a study file that reads
them. Made with transformers 5.23, nibabel 5.4, scikit-image 0.26, scikit-learn 1.9, pandas 3.0; other versions should do.

    python make_real_inputs.py DIR && hebb run DIR/study.toml
"""

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import skimage
import skimage.data
import skimage.io
import tokenizers
import torch
import transformers
from skimage.transform import resize
from sklearn.datasets import load_sample_images

RUNS = ["1", "2", "3", "4"]
SUBJECTS = ["sub-01", "sub-02"]
REPETITION_TIME_S = 1.5
IMAGES_PER_RUN = 48
SHAPE = (60, 72, 56)
VOXEL_MM = 3.0


def photographs():
    """Crops of photographs, so that every image is different and none is made up."""
    names = ["astronaut", "chelsea", "coffee", "rocket", "camera", "coins", "page", "moon", "brick", "grass", "gravel", "text"]
    whole = []
    for name in names:
        try:
            whole.append((name, np.asarray(getattr(skimage.data, name)())))
        except Exception:  # some are fetched from the network, which this script does without
            continue
    whole += [(Path(n).stem, image) for n, image in zip(load_sample_images().filenames, load_sample_images().images)]
    return whole


def write_stimuli(folder, rng):
    """PNG and JPEG files of several sizes, grey and colour, and one table for each run."""
    (folder / "images").mkdir(parents=True)
    whole = photographs()
    for run in RUNS:
        rows = []
        for place in range(IMAGES_PER_RUN):
            name, image = whole[rng.integers(len(whole))]
            height, width = image.shape[:2]
            size = int(rng.integers(min(height, width) // 3, min(height, width)))
            top, left = rng.integers(height - size + 1), rng.integers(width - size + 1)
            crop = image[top : top + size, left : left + max(size * 3 // 4, 8)]
            side = "left" if left < width / 3 else "middle" if left < 2 * width / 3 else "right"
            suffix = "jpg" if place % 2 and crop.ndim == 3 else "png"
            file = f"images/run-{run}_{place:03}_{name}.{suffix}"
            skimage.io.imsave(folder / file, crop[..., :3] if crop.ndim == 3 else crop, check_contrast=False)
            rows.append({"onset": 6 + 4 * place, "duration": 2.5, "image": file, "text": f"the {side} of the {name}, {size} pixels high"})
        pd.DataFrame(rows).to_csv(folder / f"run-{run}.tsv", sep="\t", index=False, na_rep="n/a")


def write_clip(folder):
    """ViT-B/32 as transformers builds it, with a tokenizer made of bytes, since the trained one is not in the package."""
    torch.manual_seed(0)
    transformers.CLIPModel(transformers.CLIPConfig()).save_pretrained(folder)
    transformers.CLIPImageProcessor().save_pretrained(folder)
    symbols = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = symbols + [symbol + "</w>" for symbol in symbols] + ["<|startoftext|>", "<|endoftext|>"]
    # CLIP's default configuration closes texts with the last two of 49408 ids.
    ids = {token: place for place, token in enumerate(vocabulary[:-2])} | {"<|startoftext|>": 49406, "<|endoftext|>": 49407}
    transformers.CLIPTokenizerFast(vocab=ids, merges=[]).save_pretrained(folder)


def write_brains(folder, rng):
    """BOLD, masks and confounds as fMRIPrep names them, and an atlas on a grid of its own."""
    affine = np.diag([-VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[:3, 3] = [VOXEL_MM * SHAPE[0] / 2, -VOXEL_MM * SHAPE[1] / 2, -VOXEL_MM * SHAPE[2] / 2]
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    brain = (grid**2).sum(0) < 0.85
    n_tr = int(np.ceil((6 + 4 * IMAGES_PER_RUN + 14) / REPETITION_TIME_S))
    for subject in SUBJECTS:
        func = folder / subject / "func"
        func.mkdir(parents=True)
        for run in RUNS:
            stem = f"{subject}_task-photos_run-{run}"
            space = f"{stem}_space-MNI152NLin2009cAsym"
            noise = rng.standard_normal((*SHAPE, n_tr), dtype=np.float32)
            motion = rng.standard_normal((n_tr, 6)).cumsum(0) * 0.02
            series = brain[..., None] * (1000 + 10 * noise + 20 * motion[:, 0])
            image = nib.Nifti1Image(series.astype(np.int16), affine)
            image.header.set_zooms((VOXEL_MM,) * 3 + (REPETITION_TIME_S,))
            image.header.set_xyzt_units("mm", "sec")
            nib.save(image, func / f"{space}_desc-preproc_bold.nii.gz")
            nib.save(nib.Nifti1Image(brain.astype(np.uint8), affine), func / f"{space}_desc-brain_mask.nii.gz")
            (func / f"{space}_desc-preproc_bold.json").write_text(json.dumps({"RepetitionTime": REPETITION_TIME_S, "TaskName": "photos"}))
            columns = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]
            confounds = pd.DataFrame(motion, columns=columns)
            confounds["framewise_displacement"] = confounds.diff().abs().sum(axis=1, skipna=False)
            confounds.to_csv(func / f"{stem}_desc-confounds_timeseries.tsv", sep="\t", index=False, na_rep="n/a")
    (folder / "dataset_description.json").write_text(json.dumps({"Name": "made", "BIDSVersion": "1.8.0", "DatasetType": "derivative"}))
    # Labels on a finer grid that is turned a little: what resampling is for.
    turn = np.deg2rad(7)
    atlas_affine = np.diag([2.0, 2.0, 2.0, 1.0])
    atlas_affine[:2, :2] = 2 * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shape = (100, 120, 92)
    atlas_affine[:3, 3] = -(atlas_affine[:3, :3] @ np.array(shape)) / 2
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    labels = (1 + (places[1] > 0) + 2 * (places[2] > 0) + 4 * (places[0] > 0)) * ((places**2).sum(0) < 0.9)
    atlas = folder / "atlas"
    atlas.mkdir()
    nib.save(nib.Nifti1Image(labels.astype(np.int32), atlas_affine), atlas / "octants_dseg.nii.gz")
    networks = ["visual", "language", "dorsal-attention", "default"]
    table = pd.DataFrame({"index": range(1, 9), "name": [f"octant-{n}" for n in range(1, 9)], "network": networks * 2})
    table.loc[len(table)] = [9, "nowhere", "empty"]
    table.to_csv(atlas / "octants_dseg.tsv", sep="\t", index=False)


STUDY = """\
[study]
name = "real-inputs"
description = "Files that Hebb did not write."

[runs]
train = ["1", "2", "3"]
test = ["4"]

[stimuli.tables]
path = "stimuli/run-{run}.tsv"

[models.clip]
folder = "clip"

[bold.bids]
folder = "derivatives"
subjects = ["sub-01", "sub-02"]

[preparation]
confounds = ["trans_*", "rot_*"]
high_pass_s = 128.0

[atlas]
labels = "derivatives/atlas/octants_dseg.nii.gz"
table = "derivatives/atlas/octants_dseg.tsv"

[patterns.dictionary]
n_patterns = 32
penalty = 0.15

[encoding.ridge]
alphas = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]

[statistics.significance]
[statistics.redundancy]
[statistics.polarity]
"""


def main():
    folder = Path(sys.argv[1])
    rng = np.random.default_rng(0)
    write_stimuli(folder / "stimuli", rng)
    write_clip(folder / "clip")
    write_brains(folder / "derivatives", rng)
    (folder / "study.toml").write_text(STUDY)
    versions = {module.__name__: module.__version__ for module in (transformers, nib, skimage, pd, np)}
    (folder / "versions.json").write_text(json.dumps(versions))
    print(f"wrote {folder}: {versions}")


if __name__ == "__main__":
    main()
