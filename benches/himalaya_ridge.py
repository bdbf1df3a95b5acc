"""One ridge regression by himalaya on matrices on disk.

    python benches/himalaya_ridge.py BACKEND MODEL X Y N_TARGETS N_ALPHAS N_FOLDS OUT

BACKEND is `numpy` or `torch`, MODEL `primal` (RidgeCV) or `dual` (KernelRidgeCV). Prints the seconds that `fit` took (imports and
reading left out) and the peak memory of the process as JSON, and writes the chosen penalties to OUT as `.npy`.
"""

import json
import resource
import sys
import time
import warnings

import himalaya
import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from sklearn.model_selection import KFold


def main():
    name, model, x, y, n_targets, n_alphas, n_folds, out = sys.argv[1:]
    warnings.simplefilter("ignore")
    backend = set_backend(name)
    x = np.load(x)
    y = np.ascontiguousarray(np.load(y, mmap_mode="r")[:, : int(n_targets)])
    x, y = backend.asarray(x), backend.asarray(y)
    alphas = np.logspace(0, 9, int(n_alphas)).astype(np.float32)
    common = dict(alphas=alphas, fit_intercept=True, cv=KFold(int(n_folds)))
    if model == "primal":
        estimator = RidgeCV(**common, solver_params=dict(warn=False))
    else:
        estimator = KernelRidgeCV(kernel="linear", warn=False, **common)
    started = time.perf_counter()
    estimator.fit(x, y)
    seconds = time.perf_counter() - started
    np.save(out, np.asarray(backend.to_numpy(estimator.best_alphas_), dtype="<f4").reshape(1, -1))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mib": peak_mib, "version": himalaya.__version__}))


if __name__ == "__main__":
    main()
