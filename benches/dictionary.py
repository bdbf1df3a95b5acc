"""One dictionary learned by scikit-learn's `MiniBatchDictionaryLearning`.

    python benches/dictionary.py SERIES N_PATTERNS PENALTY MAX_ITER OUT

SERIES is an `.npy` of float32 (n_units x n_tr), rows of unit norm. MAX_ITER is `default`, for scikit-learn's own stopping rule,
or a number of passes that are made whatever the cost does. Coordinate descent codes the units: it is faster here than
least-angle regression. Prints the seconds of `fit` and of `transform` (imports and reading left out) as JSON and writes the
patterns (n_patterns x n_tr) to OUT.
"""

import json
import sys
import time
import warnings

import numpy as np
import sklearn
from sklearn.decomposition import MiniBatchDictionaryLearning


def main():
    series, n_patterns, penalty, max_iter, out = sys.argv[1:]
    warnings.simplefilter("ignore")
    units = np.load(series)
    options = {}
    if max_iter != "default":
        options = {"max_iter": int(max_iter), "tol": 0.0, "max_no_improvement": None}
    model = MiniBatchDictionaryLearning(
        n_components=int(n_patterns),
        alpha=float(penalty),
        batch_size=256,
        fit_algorithm="cd",
        transform_algorithm="lasso_cd",
        transform_alpha=float(penalty),
        n_jobs=1,
        random_state=0,
        **options,
    )
    started = time.perf_counter()
    model.fit(units)
    fitted = time.perf_counter()
    model.transform(units)
    coded = time.perf_counter()
    np.save(out, np.ascontiguousarray(model.components_, dtype="<f4"))
    told = {
        "fit": fitted - started,
        "transform": coded - fitted,
        "n_passes": int(model.n_iter_),
        "version": sklearn.__version__,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
