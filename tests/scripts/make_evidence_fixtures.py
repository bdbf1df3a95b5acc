"""Writes tests/fixtures/math/{evidence,trend,phase}*: evidence of groups of targets, trends over networks, and spectra.

Versions used: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1. They are also written into the fixtures. Null distributions
are enumerated, so that no random draw is compared. Run from the repository's root:
`python tests/scripts/make_evidence_fixtures.py`.
"""

import itertools
import json
import pathlib

import numpy as np
import scipy
import scipy.stats
import sklearn
from sklearn.metrics import r2_score

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, scipy, sklearn)}


def save(name, array):
    """Stores an array and returns it as the float64 values that were stored."""
    stored = np.ascontiguousarray(array, dtype=np.float32)
    np.save(FOLDER / f"{name}.npy", stored)
    return stored.astype(np.float64)


def save_json(name, **fields):
    (FOLDER / f"{name}.json").write_text(json.dumps({"versions": VERSIONS, **fields}) + "\n")


def evidence(rng):
    n_samples, n_targets, block_tr, null_block, shift = 34, 9, 5, 6, 4
    y = save("evidence_data", rng.standard_normal((n_samples, n_targets)) + 3)
    prediction = save("evidence_prediction", 0.3 * y + rng.standard_normal((n_samples, n_targets)))
    groups = [[0, 1, 2, 3], [3, 4, 5, 6, 7], [8]]
    r = np.array([scipy.stats.pearsonr(y[:, v], prediction[:, v])[0] for v in range(n_targets)])
    r2 = r2_score(y, prediction, multioutput="raw_values")
    products = scipy.stats.zscore(y) * scipy.stats.zscore(prediction) / n_samples
    errors = (y - prediction) ** 2 / (n_samples * y.var(0))
    starts = range(0, n_samples, block_tr)
    blocks = {
        "r": [[products[b : b + block_tr, g].sum() / len(g) for g in groups] for b in starts],
        "error": [[errors[b : b + block_tr, g].sum() / len(g) for g in groups] for b in starts],
    }
    assert np.allclose(np.sum(blocks["r"], 0), [r[g].mean() for g in groups])
    assert np.allclose(1 - np.sum(blocks["error"], 0), [r2[g].mean() for g in groups])

    def mean_r(orders):
        z, p = scipy.stats.zscore(y), scipy.stats.zscore(prediction)
        by_target = np.array([(z[order] * p).mean(0) for order in orders])
        return np.stack([by_target[:, g].mean(1) for g in groups], 1)

    pieces = np.split(np.arange(n_samples), range(null_block, n_samples, null_block))
    by_blocks = mean_r([np.concatenate(order) for order in itertools.permutations(pieces)])
    by_shifts = mean_r([np.roll(np.arange(n_samples), -lag) for lag in range(shift, n_samples - shift + 1)])
    np.save(FOLDER / "evidence_null_blocks.npy", by_blocks)
    np.save(FOLDER / "evidence_null_shifts.npy", by_shifts)

    differences = rng.standard_normal((8, 4)) * [1, 1e-3, 20, 1] + [0.3, 1e-3, 0, 1.2]
    tests = [
        scipy.stats.permutation_test(
            (d,), lambda x, axis: x.sum(axis), permutation_type="samples", n_resamples=np.inf, vectorized=True
        ).pvalue
        for d in differences.T
    ]
    signs = np.array(list(itertools.product((1, -1), repeat=8)))
    t = np.abs(signs @ differences) / np.sqrt((differences**2).sum(0))
    draws = rng.standard_normal((40, 3)) * [1, 0.1, 5] + [0.2, 0.3, 9]
    observed = draws.mean(0) + 0.05
    n_blocks, confidence = 12, 0.9
    half = scipy.stats.t.ppf(0.95, n_blocks - 1) * draws.std(0, ddof=1) * np.sqrt(n_blocks / (n_blocks - 1))
    save_json(
        "evidence",
        block_tr=block_tr,
        null_block_tr=null_block,
        min_shift_tr=shift,
        groups=groups,
        r_blocks=blocks["r"],
        error_blocks=blocks["error"],
        mean_r=[r[g].mean() for g in groups],
        mean_r2=[r2[g].mean() for g in groups],
        differences=differences.tolist(),
        p=tests,
        p_family=[(t.max(1) >= t[0, g] - 1e-9).mean() for g in range(4)],
        n_blocks=n_blocks,
        confidence=confidence,
        draws=draws.tolist(),
        observed=observed.tolist(),
        low=(observed - half).tolist(),
        high=(observed + half).tolist(),
    )


def trend(rng):
    cases = []
    for n, decimals, n_absent in [(4, 9, 0), (5, 9, 0), (6, 0, 0), (7, 9, 1), (7, 0, 0), (8, 9, 1), (6, 0, 1), (7, 9, 0)]:
        order = np.arange(n) if decimals else rng.integers(0, n - 1, n)
        values = (0.4 * order + rng.standard_normal(n)).round(decimals)
        absent = rng.permutation(n)[:n_absent]
        kept = np.setdiff1d(np.arange(n), absent)
        o, v = order[kept].astype(float), values[kept]
        rho, kendall = scipy.stats.spearmanr(o, v).statistic, scipy.stats.kendalltau(o, v)
        orders = list(itertools.permutations(v))
        tau = kendall.statistic
        rhos = np.array([np.corrcoef(scipy.stats.rankdata(o), scipy.stats.rankdata(w))[0, 1] for w in orders])
        taus = np.array([scipy.stats.kendalltau(o, w).statistic for w in orders])
        tau_p = (np.abs(taus) >= abs(tau) - 1e-9).mean()
        if len(set(o)) == len(o) and len(set(v)) == len(v):
            assert np.isclose(tau_p, scipy.stats.kendalltau(o, v, method="exact").pvalue)
        cases.append(
            {
                "order": order.tolist(),
                "values": [None if i in absent else values[i] for i in range(n)],
                "rho": rho,
                "tau": tau,
                "rho_p": (np.abs(rhos) >= abs(rho) - 1e-9).mean(),
                "tau_p": tau_p,
            }
        )
    scores = rng.standard_normal((5, 7)).round(3)
    depth = np.linspace(0, 1, 5)
    weights = np.clip(scores, 0, None)
    save_json(
        "trend",
        cases=cases,
        scores=scores.tolist(),
        depth=depth.tolist(),
        layers=scores.argmax(0).tolist(),
        centroids=[np.average(depth, weights=weights[:, v]) for v in range(7)],
    )


def phase(rng):
    lengths = [31, 24, 2, 1]
    series = np.cumsum(rng.standard_normal((sum(lengths), 3)), 0) + rng.standard_normal((sum(lengths), 1))
    series = save("phase_series", series)
    runs, start = [], 0
    for n in lengths:
        x = np.fft.fft(series[start : start + n], axis=0)
        centred = series[start : start + n] - series[start : start + n].mean(0)
        power = np.abs(np.fft.fft(centred, axis=0)) ** 2
        cross = x * np.roll(x, -1, 1).conj()
        runs.append(
            {
                "amplitudes": np.abs(x).T.tolist(),
                "autocovariances": np.fft.ifft(power, axis=0).real.T.tolist(),
                "cross_real": cross.real.T.tolist(),
                "cross_imaginary": cross.imag.T.tolist(),
            }
        )
        start += n
    save_json("phase", lengths=lengths, runs=runs)


FOLDER.mkdir(parents=True, exist_ok=True)
evidence(np.random.default_rng(1))
trend(np.random.default_rng(2))
phase(np.random.default_rng(3))
