"""Writes the fixtures of inference to tests/fixtures/math: what other libraries, or a loop over every arrangement, give.

Versions used: numpy 2.4.6, scipy 1.17.1, statsmodels 0.15.0, nilearn 0.14.1. They are also written into every fixture.
Matrices are .npy files of float32 in C order; the rest is one JSON file a topic. Run from the repository's root:
`python tests/scripts/make_inference_fixtures.py`.
"""

import itertools
import json
import pathlib

import nilearn
import numpy as np
import pandas as pd
import scipy
import scipy.stats
import statsmodels
import statsmodels.formula.api as smf
from nilearn.mass_univariate import permuted_ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import fdrcorrection

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, scipy, statsmodels, nilearn)}


def save(name, array):
    """Stores an array and returns it as the float64 values that were stored."""
    stored = np.ascontiguousarray(array, dtype=np.float32)
    np.save(FOLDER / f"{name}.npy", stored)
    return stored.astype(np.float64)


def save_json(name, **fields):
    (FOLDER / f"{name}.json").write_text(json.dumps({"versions": VERSIONS, **fields}) + "\n")


def two_way_mean_squares(y):
    """Mean squares of samples and of residuals, from statsmodels' two-way table of one target (n_repeats, n_samples)."""
    n_repeats, n_samples = y.shape
    frame = pd.DataFrame(
        {
            "y": y.ravel(),
            "repeat": np.repeat(np.arange(n_repeats), n_samples),
            "sample": np.tile(np.arange(n_samples), n_repeats),
        }
    )
    anova = anova_lm(smf.ols("y ~ C(sample) + C(repeat)", frame).fit())
    return anova.loc["C(sample)", "mean_sq"], anova.loc["Residual", "mean_sq"]


def ceiling(rng):
    n_repeats, n_samples, n_targets = 3, 40, 6
    signal = rng.standard_normal((n_samples, n_targets))
    noise = rng.standard_normal((n_repeats, n_samples, n_targets)) * np.linspace(0.2, 2.5, n_targets)
    y = save("ceiling_repeats", signal + noise + 3)
    prediction = save("ceiling_prediction", signal + 0.5 * rng.standard_normal(signal.shape))
    targets = []
    for j in range(n_targets):
        by_sample, residual = two_way_mean_squares(y[:, :, j])
        signal_power = (by_sample - residual) / n_repeats
        # Cronbach's alpha and ICC(3,1) in terms of mean squares.
        ceiling_r2 = (by_sample - residual) / by_sample
        explainable = (by_sample - residual) / (by_sample + (n_repeats - 1) * residual)
        # The usual estimator of explainable variance with its correction for the number of repeats.
        raw = y[:, :, j].mean(0).var() / y[:, :, j].var(1).mean()
        assert np.isclose(explainable, raw - (1 - raw) / (n_repeats - 1))
        r = scipy.stats.pearsonr(y[:, :, j].mean(0), prediction[:, j])[0]
        reliability = np.mean(
            [scipy.stats.pearsonr(y[k, :, j], np.delete(y[:, :, j], k, 0).mean(0))[0] for k in range(n_repeats)]
        )
        targets.append(
            {
                "signal_power": signal_power,
                "r2": ceiling_r2,
                "explainable_variance": explainable,
                "reliability": reliability,
                "r": r,
                # The normalised correlation by its definition: covariance over the root of variance times signal power.
                "r_norm": np.cov(y[:, :, j].mean(0), prediction[:, j])[0, 1]
                / np.sqrt(np.var(prediction[:, j], ddof=1) * signal_power)
                if signal_power > 0
                else None,
            }
        )
    assert any(target["signal_power"] > 0 for target in targets)
    save_json("ceiling", n_repeats=n_repeats, targets=targets)


def null(rng):
    """p values over every order of the blocks of a short series, one of them shorter than the others, and every shift."""
    n_samples, n_targets, block, shift = 34, 5, 6, 4
    y = save("null_data", rng.standard_normal((n_samples, n_targets)))
    prediction = save("null_prediction", 0.25 * y + rng.standard_normal((n_samples, n_targets)))

    def share(orders):
        null_r = np.array(
            [[np.corrcoef(y[order, j], prediction[:, j])[0, 1] for j in range(n_targets)] for order in orders]
        )
        observed = np.array([np.corrcoef(y[:, j], prediction[:, j])[0, 1] for j in range(n_targets)])
        return observed.tolist(), (null_r >= observed - 1e-12).mean(0).tolist()

    blocks = np.split(np.arange(n_samples), range(block, n_samples, block))
    r, by_blocks = share([np.concatenate(order) for order in itertools.permutations(blocks)])
    shifts = [np.roll(np.arange(n_samples), -lag) for lag in range(shift, n_samples - shift + 1)]
    save_json("null", block_tr=block, min_shift_tr=shift, r=r, blocks=by_blocks, shifts=share(shifts)[1])


def group(rng):
    n_subjects, n_voxels = 9, 7
    values = save("group_values", rng.standard_normal((n_subjects, n_voxels)) + np.linspace(-1, 2.5, n_voxels))
    # A voxel all but without effect, and one with an overwhelming one.
    values[:, 3] -= values[:, 3].mean()
    values[:, 6] = 5 + 0.01 * values[:, 6]
    values = save("group_values", values)
    absent = np.zeros(values.shape, dtype=bool)
    absent[0, 1] = absent[4, 1] = absent[2, 5] = True
    families = [0, 0, 1, 2, 2, 3, 4, 5, 5]
    cases = []
    for alternative in ("two-sided", "greater", "less"):
        for gaps in (False, True):
            data = np.where(absent & gaps, np.nan, values)
            test = scipy.stats.ttest_1samp(data, 0, alternative=alternative, nan_policy="omit")
            interval = scipy.stats.ttest_1samp(data, 0, nan_policy="omit").confidence_interval(0.9)
            cases.append(
                {
                    "alternative": alternative,
                    "gaps": gaps,
                    "t": test.statistic.tolist(),
                    "p": test.pvalue.tolist(),
                    "low": interval.low.tolist(),
                    "high": interval.high.tolist(),
                    "exact": [exact(data[:, v], alternative) for v in range(n_voxels)],
                    **brute_force(data, families, alternative),
                }
            )
    nilearns = permuted_ols(
        np.ones((n_subjects, 1)), values, model_intercept=False, n_perm=20000, two_sided_test=True, random_state=1,
        verbose=0, output_type="dict",
    )
    save_json(
        "group",
        families=families,
        absent=[[int(i), int(v)] for i, v in np.argwhere(absent)],
        confidence=0.9,
        cases=cases,
        nilearn={
            "t": nilearns["t"][0].tolist(),
            "p_family": (10.0 ** -nilearns["logp_max_t"][0]).tolist(),
            "n_permutations": 20000,
        },
    )


def exact(data, alternative):
    """SciPy's exact test of one voxel, over every pattern of signs."""
    present = data[~np.isnan(data)]
    test = scipy.stats.permutation_test(
        (present,), lambda x, axis: x.mean(axis), permutation_type="samples", n_resamples=np.inf,
        alternative=alternative, vectorized=True,
    )
    # SciPy doubles the smaller tail where this library counts magnitudes; for signs both are the same number.
    return test.pvalue


def brute_force(data, families, alternative):
    """t of every pattern of signs of whole families, and p values from its largest value over voxels."""
    patterns = np.array(list(itertools.product((1, -1), repeat=max(families) + 1)))[:, families]
    t = np.array([scipy.stats.ttest_1samp(data * signs[:, None], 0, nan_policy="omit").statistic for signs in patterns])
    t = {"two-sided": np.abs(t), "greater": t, "less": -t}[alternative]
    observed = t[0]
    largest = t.max(1)
    return {
        "p_families": (t >= observed - 1e-9).mean(0).tolist(),
        "p_family_wise": (largest[:, None] >= observed - 1e-9).mean(0).tolist(),
        "largest_t": np.sort(largest).tolist(),
    }


def fdr(rng):
    p = np.concatenate([rng.uniform(size=40), rng.uniform(size=20) ** 5, [0.0, 1.0, 0.5, 0.5]])
    save_json("fdr_any_dependence", p=p.tolist(), q=fdrcorrection(p, method="negcorr")[1].tolist())


FOLDER.mkdir(parents=True, exist_ok=True)
ceiling(np.random.default_rng(1))
null(np.random.default_rng(2))
group(np.random.default_rng(3))
fdr(np.random.default_rng(4))
