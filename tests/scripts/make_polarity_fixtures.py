"""Writes the fixtures of tests/math/polarity.rs: polarity, specialisation and recovery by numpy, scipy and statsmodels.

Versions used: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, statsmodels 0.15.0; they are also written into every fixture.
Null distributions are not drawn here but enumerated: all relabellings of six patterns, all their signs, all resamples.
Run from the repository's root: `python tests/scripts/make_polarity_fixtures.py`.
"""

import itertools
import json
import math
import pathlib

import numpy as np
import scipy
import scipy.spatial
import scipy.stats
import sklearn
import statsmodels
import statsmodels.api as sm
from sklearn.metrics import f1_score, precision_score, recall_score
from statsmodels.stats.proportion import proportion_confint

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, scipy, sklearn, statsmodels)}


def save(name, array):
    array = np.ascontiguousarray(array, dtype=np.float32)
    np.save(FOLDER / f"{name}.npy", array)
    return array.astype(np.float64)


def save_json(name, **fields):
    (FOLDER / f"{name}.json").write_text(json.dumps({"versions": VERSIONS, **fields}) + "\n")


def null(draws, observed):
    draws = np.array([d for d in draws if d is not None])
    return {
        "observed": observed,
        "mean": float(draws.mean()),
        "deviation": float(draws.std()),
        "p": float(np.mean(draws >= observed - 1e-12)),
        "share_with_value": None,
    }


def dice(a, b):
    return 1.0 - scipy.spatial.distance.dice(a, b)


def polarity(rng):
    n_patterns, n_layers, per_layer, n_voxels, n_tr = 6, 5, 4, 50, 25
    tau, threshold = 0.15, 1.2
    layer = np.repeat(np.arange(n_layers), per_layer)
    latent = rng.standard_normal((n_patterns, 2))
    depth = np.stack([np.linspace(-1, 1, n_layers), np.linspace(-1, 1, n_layers) ** 2])[:, layer]
    codes = save("polarity_codes", latent @ depth + rng.standard_normal((n_patterns, layer.size)) * 0.8)
    maps = save(
        "polarity_maps",
        latent @ rng.standard_normal((2, n_voxels)) * 0.6 + rng.standard_normal((n_patterns, n_voxels)) + 0.2,
    )
    series = save(
        "polarity_series",
        rng.standard_normal((n_tr, 2)) @ latent.T * 0.4 + rng.standard_normal((n_tr, n_patterns)),
    )
    sign = np.sign(codes.sum(1))
    strength = np.abs(codes.sum(1)) / np.abs(codes).sum(1)
    beta, d = maps * sign[:, None], series * sign
    profile = np.stack([(codes * sign[:, None])[:, layer == l].mean(1) for l in range(n_layers)], 1)
    maps_r, series_r, mirror = np.corrcoef(beta), np.corrcoef(d.T), -np.corrcoef(profile)
    rms = np.sqrt((beta**2).mean(1, keepdims=True))
    up, down = beta > threshold * rms, beta < -threshold * rms
    pairs = list(itertools.combinations(range(n_patterns), 2))
    first, second = np.array(pairs).T
    x, y, z = maps_r[first, second], mirror[first, second], series_r[first, second]
    opposed = x < -tau
    effect = y[opposed].mean() - y[~opposed].mean()

    relabelled = [np.array(p) for p in itertools.permutations(range(n_patterns))]
    labels = []
    for p in relabelled:
        m = mirror[np.ix_(p, p)][first, second]
        labels.append(m[opposed].mean() - m[~opposed].mean())
    means, counts = [], []
    for s in itertools.product([-1, 1], repeat=n_patterns):
        s = np.array(s)
        pair_sign = s[first] * s[second]
        hit = pair_sign * x < -tau
        counts.append(float(hit.sum()))
        means.append(float((pair_sign * y)[hit].mean()) if hit.any() else None)
    signs = null(means, float(y[opposed].mean()))
    signs["share_with_value"] = float(np.mean([m is not None for m in means]))

    design = sm.add_constant(z)
    residual = sm.OLS(x, design).fit().resid
    of_profile = sm.OLS(-y, design).fit().resid
    matrix = np.zeros((n_patterns, n_patterns))
    matrix[first, second] = matrix[second, first] = residual
    partial = []
    for p in relabelled:
        e = matrix[np.ix_(p, p)][first, second]
        partial.append(np.corrcoef(sm.OLS(e, design).fit().resid, of_profile)[0, 1])

    shifted = []
    for k, j in itertools.combinations(range(n_patterns), 2):
        arrange = lambda a: [t for s in range(n_layers) for t in (np.roll(a, s), np.roll(a, s)[::-1])]
        r = np.corrcoef(np.array(arrange(profile[k])), np.array(arrange(profile[j])))
        shifted.append(float((r[: 2 * n_layers, 2 * n_layers :] ** 2).mean()))

    resamples = []
    for sample in itertools.combinations_with_replacement(range(n_patterns), n_patterns):
        w = np.bincount(sample, minlength=n_patterns)
        weight = math.factorial(n_patterns) / np.prod([math.factorial(int(c)) for c in w])
        pair_weight = w[first] * w[second]
        if pair_weight[opposed].sum() and pair_weight[~opposed].sum():
            one = np.average(y[opposed], weights=pair_weight[opposed])
            resamples.append((one - np.average(y[~opposed], weights=pair_weight[~opposed]), weight))
    values, weights = np.array(sorted(resamples)).T
    share = np.cumsum(weights) / weights.sum()
    bound = lambda q: float(values[np.searchsorted(share, q)])

    save_json(
        "polarity",
        layer_of_unit=layer.tolist(),
        n_layers=n_layers,
        min_opposition=tau,
        threshold_sd=threshold,
        strength=strength.tolist(),
        maps_r=x.tolist(),
        series_r=z.tolist(),
        mirror=y.tolist(),
        opposite_dice=[(dice(up[k], down[j]) + dice(down[k], up[j])) / 2 for k, j in pairs],
        aligned_dice=[(dice(up[k], up[j]) + dice(down[k], down[j])) / 2 for k, j in pairs],
        n_opposed=int(opposed.sum()),
        n_not_by_algebra=int((opposed & (np.abs(z) < 0.3)).sum()),
        effect=float(effect),
        standardised=float(effect / y.std(ddof=1)),
        pairs_permuted=null(labels, float(effect)),
        signs_redrawn=signs,
        n_opposed_signs_redrawn=null(counts, float(opposed.sum())),
        unadjusted=float(np.corrcoef(x, -y)[0, 1]),
        partial=null(partial, float(np.corrcoef(residual, of_profile)[0, 1])),
        layers_permuted_deviation=float(np.sqrt(1 / (n_layers - 1) / opposed.sum())),
        layers_shifted_deviation=float(np.sqrt(np.array(shifted)[opposed].sum()) / opposed.sum()),
        lower_between=[bound(0.018), bound(0.032)],
        upper_between=[bound(0.968), bound(0.982)],
        resamples_with_value=float(weights.sum() / n_patterns**n_patterns),
    )


def specialisation(rng):
    a = save("specialisation_a", rng.standard_normal((5, 80)) + 0.4)
    b = save("specialisation_b", 0.5 * a[:3] + rng.standard_normal((3, 80)))
    x, y = (a - a.mean(1, keepdims=True)).T, (b - b.mean(1, keepdims=True)).T
    # The kernels over voxels, which the routine under test never forms.
    kx, ky = x @ x.T, y @ y.T
    cka = (kx * ky).sum() / np.sqrt((kx * kx).sum() * (ky * ky).sum())
    padded = np.pad(y, ((0, 0), (0, 2)))
    _, _, disparity = scipy.spatial.procrustes(x, padded)
    overlaps = []
    for n, k, m, both in ((1000, 120, 300, 60), (1000, 120, 300, 36), (60, 30, 30, 29), (5000, 40, 900, 40)):
        law = scipy.stats.hypergeom(n, k, m)
        overlaps.append(
            {"n": n, "n_a": k, "n_b": m, "n_both": both, "log10_p": float(np.log10(law.sf(both - 1)))}
        )
    laws = [scipy.stats.hypergeom(*sizes) for sizes in ((300, 90, 60), (500, 100, 120), (40, 20, 10))]
    pmf = np.array([1.0])
    for law in laws:
        pmf = np.convolve(pmf, law.pmf(np.arange(121)))
    tails = [{"n_both": n, "log10_p": float(np.log10(pmf[n:].sum()))} for n in (30, 47, 60, 90)]
    save_json(
        "specialisation",
        cka=float(cka),
        # disparity = 1 - alignment^2 at the best scale of the second set.
        alignment=float(np.sqrt(1 - disparity)),
        overlaps=overlaps,
        groups=[[300, 90, 60], [500, 100, 120], [40, 20, 10]],
        tails=tails,
    )


def recovery(rng):
    shares = []
    for n_with, n in ((0, 7), (7, 7), (3, 11), (50, 200), (1, 3000), (1, 1)):
        for confidence in (0.8, 0.95, 0.99):
            interval = proportion_confint(n_with, n, alpha=1 - confidence, method="wilson")
            shares.append(
                {"n_with": n_with, "n": n, "confidence": confidence, "interval": [float(v) for v in interval]}
            )
    correlations = []
    for n, confidence in ((5, 0.95), (40, 0.9), (40, 0.99)):
        x = rng.standard_normal(n) * 3 + 10
        y = 0.5 * x + rng.standard_normal(n)
        found = scipy.stats.pearsonr(x, y)
        interval = found.confidence_interval(confidence)
        correlations.append(
            {
                "x": x.tolist(),
                "y": y.tolist(),
                "confidence": confidence,
                "r": float(found.statistic),
                "interval": [float(interval.low), float(interval.high)],
            }
        )
    truth, found = rng.random((12, 9)) < 0.3, rng.random((12, 9)) < 0.4
    edges = {
        "planted": np.argwhere(truth).tolist(),
        "recovered": np.argwhere(found).tolist(),
        "precision": precision_score(truth.ravel(), found.ravel()),
        "recall": recall_score(truth.ravel(), found.ravel()),
        "f1": f1_score(truth.ravel(), found.ravel()),
    }
    save_json("recovery", shares=shares, correlations=correlations, edges=edges)


if __name__ == "__main__":
    generator = np.random.default_rng(20)
    polarity(generator)
    specialisation(generator)
    recovery(generator)
