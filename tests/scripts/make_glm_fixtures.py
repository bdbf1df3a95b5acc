"""Writes tests/fixtures/math/glm_*: least squares, lasso, response derivatives and delays as other libraries compute them.

Versions used: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, nilearn 0.14.1, statsmodels 0.15.0. They are also written
into every JSON file. Matrices are .npy files of float32 in C order. Run from the repository's root:
`python tests/scripts/make_glm_fixtures.py`.
"""

import json
import pathlib

import nilearn
import numpy as np
import scipy
import scipy.linalg
import sklearn
import statsmodels
import statsmodels.api as sm
from nilearn.glm.first_level import (
    compute_regressor,
    glover_dispersion_derivative,
    glover_time_derivative,
    run_glm,
    spm_dispersion_derivative,
    spm_time_derivative,
)
from nilearn.glm.first_level.first_level import _yule_walker
from sklearn.linear_model import Lasso, LassoCV, LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, scipy, sklearn, nilearn, statsmodels)}


def stored(array):
    """The values that a float32 file keeps, so that only arithmetic differs."""
    return np.asarray(array).astype(np.float32).astype(np.float64)


def save(name, array):
    np.save(FOLDER / f"glm_{name}.npy", np.ascontiguousarray(array, dtype=np.float32))


def save_json(name, **fields):
    text = json.dumps({"versions": VERSIONS, **fields})
    (FOLDER / f"glm_{name}.json").write_text(text + "\n")


def derivatives():
    functions = {
        ("glover", "temporal-derivative"): glover_time_derivative,
        ("glover", "dispersion-derivative"): glover_dispersion_derivative,
        ("spm", "temporal-derivative"): spm_time_derivative,
        ("spm", "dispersion-derivative"): spm_dispersion_derivative,
    }
    cases = [
        {
            "hrf": hrf,
            "part": part,
            "repetition_time_s": t_r,
            "oversampling": oversampling,
            "time_length_s": length,
            "kernel": function(t_r, oversampling=oversampling, time_length=length).tolist(),
        }
        for (hrf, part), function in functions.items()
        for t_r, oversampling, length in ((2.0, 1, 20.0), (1.0, 3, 32.0), (0.72, 2, 24.0))
    ]
    save_json("hrf", cases=cases)


def delays():
    """One event of one repetition time each; nilearn takes the stimulus to be absent before the run."""
    t_r, n_tr, fir_delays = 2.0, 30, [0, 1, 3]
    onsets = np.array([2, 7, 8, 15, 21]) * t_r
    events = np.stack([onsets, np.full(5, t_r), np.array([1.0, 0.5, 2.0, 1.5, 1.0])])
    regressors, names = compute_regressor(events, "fir", np.arange(n_tr) * t_r, fir_delays=fir_delays, oversampling=1)
    save_json(
        "fir",
        n_tr=n_tr,
        delays=fir_delays,
        rows=[2, 7, 8, 15, 21],
        amplitudes=events[2].tolist(),
        names=names,
        regressors=regressors.T.tolist(),
    )


def autoregressive(rng, n, rho):
    noise = rng.standard_normal((n, len(rho)))
    for t in range(1, n):
        noise[t] += rho * noise[t - 1]
    return noise


def of_model(model, contrasts, n_constant):
    """Estimates, errors, t and p values of a statsmodels result, without those of the constant."""
    padded = np.hstack([np.zeros((len(contrasts), n_constant)), contrasts])
    test = model.t_test(padded)
    return {
        "estimates": test.effect.tolist(),
        "errors": np.atleast_1d(test.sd).tolist(),
        "t": np.atleast_1d(test.tvalue).tolist(),
        "p": np.atleast_1d(test.pvalue).tolist(),
        "r2": float(model.rsquared),
        "variance": float(model.scale),
        "dof": int(model.df_resid),
        "intercept": float(model.params[0]) if n_constant else 0.0,
    }


def least_squares(rng):
    n, n_features, n_targets = 60, 4, 5
    runs = np.repeat([3, 1, 2], [25, 20, 15])
    x = stored(autoregressive(rng, n, np.full(n_features, 0.6)) * [1, 5, 0.1, 1] + [0, 100, 0, -3])
    b = rng.standard_normal((n_features, n_targets)) / np.array([[1], [5], [0.1], [1]])
    rho = np.array([-0.4, 0.0, 0.3, 0.5, 0.75])
    y = stored(x @ b + 2 * autoregressive(rng, n, rho) + [0, 50, -3, 200, 1])
    contrasts = np.vstack([np.eye(n_features), [[1, -0.2, 0, 0], [0.25, 0.05, 0, -1]]])
    save("x", x)
    save("y", y)
    cases = []
    for intercept in (True, False):
        design = sm.add_constant(x, prepend=True) if intercept else x
        n_constant = int(intercept)
        padded = np.hstack([np.zeros((len(contrasts), n_constant)), contrasts])
        # A lone target, because without a constant nilearn's autocorrelation depends on the other targets.
        white, one_run = [], []
        for target in y.T:
            white.append(of_model(sm.OLS(target, design).fit(), contrasts, n_constant))
            labels, results = run_glm(target[:, None], design, noise_model="ols")
            t = [float(results[labels[0]].Tcontrast(c).t.squeeze()) for c in padded]
            assert np.allclose(t, white[-1]["t"], rtol=1e-9)
            labels, results = run_glm(target[:, None], design, noise_model="ar1", bins=100)
            result = results[labels[0]]
            tests = [result.Tcontrast(c) for c in padded]
            one_run.append(
                {
                    "rho": float(labels[0]),
                    "estimates": [float(test.effect.squeeze()) for test in tests],
                    "errors": [float(np.squeeze(test.sd)) for test in tests],
                    "t": [float(np.squeeze(test.t)) for test in tests],
                }
            )
        # Generalised least squares by an explicit covariance, block-diagonal over runs.
        explicit = {}
        for start in ("plain", "stationary"):
            explicit[start] = []
            for target in y.T:
                residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
                residual = residual - residual.mean()
                pieces = [residual[runs == run] for run in (3, 1, 2)]
                lagged = sum(piece[1:] @ piece[:-1] for piece in pieces) / (n - 3)
                own = np.trunc(lagged / (residual @ residual / n) * 100) / 100
                blocks = []
                for size in (25, 20, 15):
                    if start == "stationary":
                        blocks.append(own ** np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (1 - own**2))
                    else:
                        # The process begins with an innovation of the same variance as all others.
                        filter_ = scipy.linalg.toeplitz(own ** np.arange(size), np.eye(size)[0])
                        blocks.append(filter_ @ filter_.T)
                model = sm.GLS(target, design, sigma=scipy.linalg.block_diag(*blocks)).fit()
                explicit[start].append({"rho": float(own), **of_model(model, contrasts, n_constant)})
        lone_run = _yule_walker((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]).T[:1], 1)
        assert abs(np.trunc(lone_run[0, 0] * 100) / 100 - one_run[0]["rho"]) < 1e-12
        cases.append({"intercept": intercept, "white": white, "one_run": one_run, **explicit})
    # Held-out predictions, run by run.
    r, r2 = np.zeros(n_targets), np.zeros(n_targets)
    for run in (3, 1, 2):
        model = LinearRegression().fit(x[runs != run], y[runs != run])
        prediction = model.predict(x[runs == run])
        r2 += r2_score(y[runs == run], prediction, multioutput="raw_values") / 3
        r += [scipy.stats.pearsonr(a, b)[0] / 3 for a, b in zip(y[runs == run].T, prediction.T)]
    save_json(
        "ols",
        contrasts=contrasts.tolist(),
        runs=runs.tolist(),
        cases=cases,
        held_out={"r": r.tolist(), "r2": r2.tolist()},
    )


def lasso(rng):
    n, n_targets, n_folds, n_alphas, smallest_share = 80, 6, 4, 12, 0.02
    cases = []
    for name, n_features in (("tall", 12), ("wide", 90)):
        x = rng.standard_normal((n, n_features)) + 0.6 * rng.standard_normal((n, 1)) + 0.3
        b = rng.standard_normal((n_features, n_targets)) * (rng.uniform(size=(n_features, n_targets)) < 6 / n_features)
        y = x @ b + np.linspace(0.3, 4, n_targets) * rng.standard_normal((n, n_targets))
        folds = list(KFold(n_folds).split(x))
        # Equal variance in every fold, so that squared error and R2 rank penalties alike.
        for _, validation in folds:
            y[validation] = (y[validation] - y[validation].mean(0)) / y[validation].std(0)
        x, y = stored(x), stored(y)
        save(f"lasso_{name}_x", x)
        save(f"lasso_{name}_y", y)
        coefficients, targets, fixed = [], [], []
        for target in y.T:
            options = dict(tol=1e-12, max_iter=1_000_000)
            model = LassoCV(alphas=n_alphas, eps=smallest_share, cv=KFold(n_folds), **options).fit(x, target)
            scores = np.zeros(n_alphas)
            for train, validation in folds:
                for index, alpha in enumerate(model.alphas_):
                    part = Lasso(alpha=alpha, **options).fit(x[train], target[train])
                    scores[index] += r2_score(target[validation], part.predict(x[validation])) / n_folds
            assert np.isclose(model.alphas_[np.argmax(scores)], model.alpha_)
            coefficients.append(model.coef_)
            targets.append(
                {
                    "alphas": model.alphas_[::-1].tolist(),
                    "alpha": float(model.alpha_),
                    "scores": scores[::-1].tolist(),
                    "intercept": float(model.intercept_),
                }
            )
            no_intercept = Lasso(alpha=0.05, fit_intercept=False, **options).fit(x, target)
            fixed.append(no_intercept.coef_)
        save(f"lasso_{name}_coefficients", np.stack(coefficients, axis=1))
        save(f"lasso_{name}_fixed", np.stack(fixed, axis=1))
        cases.append({"name": name, "targets": targets})
    save_json("lasso", n_folds=n_folds, n_alphas=n_alphas, smallest_share=smallest_share, fixed_alpha=0.05, cases=cases)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    derivatives()
    delays()
    least_squares(np.random.default_rng(20))
    lasso(np.random.default_rng(21))
