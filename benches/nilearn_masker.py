"""One preparation of a run by nilearn: mask, linear trend, cosine high-pass of 128 s, z-score.

    python benches/nilearn_masker.py BOLD MASK REPETITION_TIME_S STRIDE OUT

Prints the seconds that `NiftiMasker.fit_transform` took (imports left out) as JSON, and writes every STRIDE-th column of
the result to OUT as `.npy`. Peak memory is measured from outside.
"""

import json
import sys
import time
import warnings

import nilearn
import numpy as np
from nilearn.maskers import NiftiMasker


def main():
    bold, mask, repetition_time_s, stride, out = sys.argv[1:]
    warnings.simplefilter("ignore")
    masker = NiftiMasker(
        mask_img=mask,
        detrend=True,
        standardize="zscore_sample",
        high_pass=1 / 128,
        t_r=float(repetition_time_s),
        clean_args={"filter": "cosine"},
    )
    started = time.perf_counter()
    series = masker.fit_transform(bold)
    seconds = time.perf_counter() - started
    np.save(out, np.ascontiguousarray(series[:, :: int(stride)], dtype="<f4"))
    print(json.dumps({"seconds": seconds, "shape": series.shape, "version": nilearn.__version__}))


if __name__ == "__main__":
    main()
