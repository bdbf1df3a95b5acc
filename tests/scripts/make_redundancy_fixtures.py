"""Writes the fixtures of redundancy to tests/fixtures/math: overlap, shares of features, ablation and dimension by numpy.

Versions used: numpy 2.4.6, scikit-learn 1.9.1. They are also written into the fixture. Matrices are .npy files of float32 in C
order; the rest is one JSON file. Run from the repository's root: `python tests/scripts/make_redundancy_fixtures.py`.
"""

import itertools
import json
import pathlib

import numpy as np
import sklearn
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, sklearn)}


def save(name, array):
    """Stores an array and returns it as the float64 values that were stored."""
    stored = np.ascontiguousarray(array, dtype=np.float32)
    np.save(FOLDER / f"redundancy_{name}.npy", stored)
    return stored.astype(np.float64)


def overlap(rng):
    """Counts of one region, and the distribution of statistics under rotations, by QR in a basis from a full SVD."""
    n_maps, n_elements, size, n_draws = 5, 180, 30, 20000
    drive = np.where(np.arange(n_elements) < 60, 3.0, 1.0)
    maps = rng.standard_normal((n_maps, n_elements)) * drive
    maps[1] = 0.8 * maps[0] + 0.6 * maps[1]
    maps = save("maps", maps / np.sqrt((maps**2).mean(1, keepdims=True)))
    members = np.zeros(maps.shape, bool)
    for row, weights in zip(members, maps):
        row[np.argsort(-np.abs(weights))[:size]] = True
    regions = [np.arange(n_elements), np.arange(0, 100), np.arange(80, 180, 2)]

    def statistics(members):
        found = []
        for region in regions:
            inside = members[:, region].astype(int)
            dice = [
                2 * (inside[a] & inside[b]).sum() / (inside[a].sum() + inside[b].sum())
                for a, b in itertools.combinations(range(n_maps), 2)
                if inside[a].sum() + inside[b].sum() > 0
            ]
            counts = inside.sum(0)
            found += [np.mean(dice), (counts >= 2).sum() / (counts >= 1).sum()]
        whole = members.astype(int)
        return found + [2 * (whole[a] & whole[b]).sum() / (2 * size) for a, b in itertools.combinations(range(n_maps), 2)]

    # Rows of squared weights are made equal, then columns, in turn.
    balanced = maps
    for _ in range(1000):
        balanced = balanced / np.sqrt((balanced**2 / (balanced**2).mean(0)).mean(1, keepdims=True))
    whitened = balanced / np.sqrt((balanced**2).mean(0))
    cosines = [(whitened[a] * whitened[b]).mean() for a, b in itertools.combinations(range(n_maps), 2)]
    variance = 2 * np.var(cosines)
    # Right singular vectors of the row of ones: the first is the mean, the rest span its complement.
    complement = np.linalg.svd(np.ones((1, n_maps)))[2][1:].T
    draws = []
    for _ in range(n_draws):
        q, r = np.linalg.qr(rng.standard_normal((n_maps - 1, n_maps - 1)))
        rotation = np.full((n_maps, n_maps), 1 / n_maps) + complement @ (q * np.sign(np.diag(r))) @ complement.T
        lengths = np.sqrt(rng.gamma(1 / variance, variance, n_maps))
        rotated = np.abs((rotation * lengths) @ balanced)
        drawn = np.zeros_like(members)
        np.put_along_axis(drawn, np.argpartition(-rotated, size - 1, axis=1)[:, :size], True, axis=1)
        draws.append(statistics(drawn))
    draws = np.array(draws)
    observed = np.array(statistics(members))
    return {
        "size": size,
        "groups": [region.tolist() for region in regions[1:]],
        "observed": observed.tolist(),
        "null_mean": draws.mean(0).tolist(),
        "null_deviation": draws.std(0).tolist(),
        "p": (draws >= observed - 1e-12).mean(0).tolist(),
    }


def pairs(rng):
    """All 4^4 resamples of four patterns, each as likely as the next."""
    n = 4
    values = np.triu(rng.standard_normal((n, n)), 1)
    values += values.T
    missing = (1, 3)
    means = []
    for chosen in itertools.product(range(n), repeat=n):
        kept = [
            values[a, b]
            for a, b in itertools.combinations(chosen, 2)
            if a != b and tuple(sorted((a, b))) != missing
        ]
        if kept:
            means.append(np.mean(kept))
    return {
        "values": values.tolist(),
        "missing": list(missing),
        "n_defined": len(means),
        "n_resamples": n**n,
        "deviation": float(np.std(means)),
        "sorted_means": np.sort(means).tolist(),
    }


def shares(rng):
    n_train, n_test, n_features, n_targets = 50, 25, 5, 4
    mixing = rng.standard_normal((n_features, n_features)) + 1
    x = [rng.standard_normal((n, n_features)) @ mixing + 2 for n in (n_train, n_test)]
    weights = rng.standard_normal((n_features, n_targets))
    y = [part @ weights + 3 * rng.standard_normal((len(part), n_targets)) for part in x]
    x_train, x_test = save("x_train", x[0]), save("x_test", x[1])
    y_train, y_test = save("y_train", y[0]), save("y_test", y[1])
    alphas, chosen = [2.0, 80.0], [0, 1, 1, 0]
    fitted, unique, alone, full = np.zeros((n_features, n_targets)), [], [], []

    def score(columns, target, alpha):
        model = Ridge(alpha=alpha, solver="svd").fit(x_train[:, columns], y_train[:, target])
        return r2_score(y_test[:, target], model.predict(x_test[:, columns])), model.coef_

    features = list(range(n_features))
    for target, index in enumerate(chosen):
        r2, fitted[:, target] = score(features, target, alphas[index])
        full.append(r2)
        unique.append([r2 - score([k for k in features if k != f], target, alphas[index])[0] for f in features])
        alone.append([score([f], target, alphas[index])[0] for f in features])
    save("weights", fitted)
    return {"alphas": alphas, "chosen": chosen, "full": full, "unique": unique, "alone": alone}


def ablation(rng):
    n_tr, n_units, n_patterns = 12, 24, 3
    codes = rng.standard_normal((n_patterns, n_units)) * (rng.random((n_patterns, n_units)) < 0.5)
    series = rng.standard_normal((n_tr, n_patterns)) @ codes + rng.standard_normal((n_tr, n_units))
    codes, series = save("codes", codes), save("series", series)
    mean, deviation = rng.standard_normal(n_patterns), rng.random(n_patterns) + 0.5
    order = np.argsort(-np.abs(codes).sum(0), kind="stable")
    shares_removed, patterns = [0.25, 0.5, 0.75], []
    for share in shares_removed:
        kept = order[round(share * n_units) :]
        found = np.linalg.lstsq(codes[:, kept].T, series[:, kept].T, rcond=1e-5)[0].T
        patterns.append((found - mean) / deviation)
    save("ablated", np.stack(patterns))
    eigenvalues = [np.linalg.eigvalsh(np.cov(part, rowvar=False)) for part in (series, series.T)]
    return {
        "mean": mean.tolist(),
        "deviation": deviation.tolist(),
        "order": order.tolist(),
        "shares": shares_removed,
        "participation": [float(w.sum() ** 2 / (w**2).sum()) for w in eigenvalues],
    }


def main():
    rng = np.random.default_rng(2025)
    parts = {"overlap": overlap, "pairs": pairs, "shares": shares, "ablation": ablation}
    found = {name: part(rng) for name, part in parts.items()}
    (FOLDER / "redundancy.json").write_text(json.dumps({"versions": VERSIONS, **found}) + "\n")


if __name__ == "__main__":
    main()
