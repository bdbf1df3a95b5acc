"""Writes tests/fixtures/math/{projection,components}*: projections and principal components by NumPy and scikit-learn.

Versions used: numpy 2.4.6, scikit-learn 1.9.1; they are also written into the fixture. Matrices are .npy files of float32 in
C order. Run from the repository's root: `python tests/scripts/make_dictionary_fixtures.py`.
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.decomposition import PCA

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, sklearn)}


def save(name, array):
    np.save(FOLDER / f"{name}.npy", np.ascontiguousarray(array, dtype=np.float32))


def stored(array):
    """What a reader of the fixture gets."""
    return array.astype(np.float32).astype(np.float64)


def components(rng):
    cases = []
    for name, n_tr, n_units in (("tall", 60, 24), ("wide", 24, 60)):
        sources = rng.standard_normal((n_tr, 8)) * 0.7 ** np.arange(8)
        series = sources @ rng.standard_normal((8, n_units)) + 0.1 * rng.standard_normal((n_tr, n_units))
        series = stored((series - series.mean(0)) / series.std(0))
        # Centred once more in double precision, as scikit-learn does; what is left of a mean is rounding.
        model = PCA(n_components=5, svd_solver="full").fit(series)
        scores = model.transform(series)
        norms = np.linalg.norm(scores, axis=0)
        codes = model.components_ * norms[:, None]
        sign = np.where(codes.sum(axis=1) < 0, -1, 1)
        save(f"components_{name}_series", series)
        save(f"components_{name}_patterns", scores / norms * sign)
        save(f"components_{name}_codes", codes * sign[:, None])
        cases.append({"name": name, "ratio": model.explained_variance_ratio_.tolist()})
    return cases


def projection(rng):
    n_tr, n_units, n_patterns = 12, 40, 7
    codes = rng.standard_normal((n_patterns, n_units)) * (rng.uniform(size=(n_patterns, n_units)) < 0.4)
    codes[5] = 0.5 * codes[1]
    codes[6] = 0
    codes = stored(codes)
    series = stored(rng.standard_normal((n_tr, n_units)))
    save("projection_series", series)
    save("projection_codes", codes)
    save("projection_patterns", series @ np.linalg.pinv(codes, rcond=1e-5))
    return {"rank": int(np.linalg.matrix_rank(codes))}


if __name__ == "__main__":
    rng = np.random.default_rng(11)
    table = {"versions": VERSIONS, "components": components(rng), "projection": projection(rng)}
    (FOLDER / "components.json").write_text(json.dumps(table) + "\n")
