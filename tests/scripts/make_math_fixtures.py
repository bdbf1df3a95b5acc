"""Writes tests/fixtures/math: what other libraries compute from inputs stored beside it.

Versions used: numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, himalaya 0.4.11, nilearn 0.14.1, statsmodels 0.15.0.
They are also written into every fixture. Matrices are .npy files of float32 in C order; the rest is one JSON
file a topic; what has one row for each case of the JSON file is stacked along the first axis. Run from the repository's root: `python tests/scripts/make_math_fixtures.py`.
"""

import json
import pathlib

import himalaya
import nilearn
import numpy as np
import scipy
import scipy.stats
import sklearn
import statsmodels
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import correlation_score, r2_score
from nilearn.glm.first_level import glover_hrf, spm_hrf
from sklearn.decomposition import DictionaryLearning, MiniBatchDictionaryLearning
from sklearn.linear_model import Lasso
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.model_selection import KFold
from statsmodels.stats.multitest import fdrcorrection

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {
    module.__name__: module.__version__
    for module in (np, scipy, sklearn, himalaya, nilearn, statsmodels)
}


def save(name, array):
    np.save(FOLDER / f"{name}.npy", np.ascontiguousarray(array, dtype=np.float32))


def save_json(name, **fields):
    text = json.dumps({"versions": VERSIONS, **fields})
    (FOLDER / f"{name}.json").write_text(text + "\n")


def hrf():
    cases = []
    for name, function in (("glover", glover_hrf), ("spm", spm_hrf)):
        for t_r, oversampling, length in ((2.0, 1, 20.0), (1.0, 16, 32.0), (0.72, 3, 24.0)):
            kernel = function(t_r, oversampling=oversampling, time_length=length)
            cases.append(
                {
                    "hrf": name,
                    "repetition_time_s": t_r,
                    "oversampling": oversampling,
                    "time_length_s": length,
                    "kernel": kernel.tolist(),
                }
            )
    save_json("hrf", cases=cases)


def fdr(rng):
    p = np.concatenate([rng.uniform(size=60), rng.uniform(size=30) ** 6, [0.0, 1.0, 0.5, 0.5]])
    q = fdrcorrection(p)[1]
    assert np.allclose(q, scipy.stats.false_discovery_control(p))
    save_json("fdr", p=p.tolist(), q=q.tolist())


def ridge(rng):
    alphas = np.logspace(-2, 4, 7)
    cases = []
    for name, n_features in (("primal", 12), ("dual", 90)):
        n_samples, n_targets, n_test = 60, 12, 15
        x = rng.standard_normal((n_samples + n_test, n_features)) + 0.3
        b = rng.standard_normal((n_features, n_targets)) / np.sqrt(n_features)
        noise = rng.standard_normal((n_samples + n_test, n_targets)) * np.linspace(0.05, 3, n_targets)
        # The estimators see the values that are stored, so that only arithmetic differs.
        x = x.astype(np.float32).astype(np.float64)
        y = (x @ b + noise + 1.5).astype(np.float32).astype(np.float64)
        train, test = slice(0, n_samples), slice(n_samples, None)
        save(f"ridge_{name}_x", x)
        save(f"ridge_{name}_y", y)
        coefficients, predictions = [], []
        for intercept in (True, False):
            for score_name, score in (("r2", r2_score), ("pearson", correlation_score)):
                for local in (True, False):
                    parameters = dict(score_func=score, local_alpha=local)
                    model = RidgeCV(
                        alphas=alphas,
                        fit_intercept=intercept,
                        cv=KFold(3),
                        solver_params=dict(parameters, warn=False),
                    ).fit(x[train], y[train])
                    kernel = KernelRidgeCV(
                        alphas=alphas,
                        fit_intercept=intercept,
                        cv=KFold(3),
                        solver_params=parameters,
                        warn=False,
                    ).fit(x[train], y[train])
                    assert np.array_equal(model.best_alphas_, kernel.best_alphas_)
                    assert np.allclose(model.predict(x[test]), kernel.predict(x[test]))
                    coefficients.append(model.coef_)
                    predictions.append(model.predict(x[test]))
                    cases.append(
                        {
                            "input": name,
                            "row": len(predictions) - 1,
                            "n_samples": n_samples,
                            "intercept": intercept,
                            "score": score_name,
                            "per_target": local,
                            "alphas": alphas.tolist(),
                            "n_folds": 3,
                            "best_alphas": np.broadcast_to(model.best_alphas_, n_targets).tolist(),
                            "intercepts": model.intercept_.tolist() if intercept else [0.0] * n_targets,
                        }
                    )
        save(f"ridge_{name}_coefficients", np.stack(coefficients))
        save(f"ridge_{name}_predictions", np.stack(predictions))
        # One target at a time, as scikit-learn averages the score over targets otherwise.
        best = [
            SklearnRidgeCV(alphas=alphas, cv=KFold(3), scoring="r2").fit(x[train], y[train, j]).alpha_
            for j in range(n_targets)
        ]
        own = next(c for c in cases if c["input"] == name and c["row"] == 0)
        assert np.allclose(best, own["best_alphas"])
        own["sklearn_alphas"] = best
    save_json("ridge", cases=cases)


def lasso(rng):
    n_dimensions, n_patterns, n_samples = 40, 25, 20
    patterns = rng.standard_normal((n_dimensions, n_patterns))
    patterns += 0.5 * rng.standard_normal((n_dimensions, 1))
    patterns /= np.linalg.norm(patterns, axis=0)
    samples = rng.standard_normal((n_dimensions, n_samples))
    samples /= np.linalg.norm(samples, axis=0)
    patterns = patterns.astype(np.float32).astype(np.float64)
    samples = samples.astype(np.float32).astype(np.float64)
    save("lasso_patterns", patterns)
    save("lasso_samples", samples)
    penalties = [0.02, 0.1, 0.3]
    for index, penalty in enumerate(penalties):
        # scikit-learn divides the squared error by the number of rows.
        model = Lasso(alpha=penalty / n_dimensions, fit_intercept=False, tol=1e-12, max_iter=100000)
        codes = np.stack([model.fit(patterns, s).coef_ for s in samples.T], axis=1)
        save(f"lasso_codes_{index}", codes)
    save_json("lasso", penalties=penalties)


def dictionary(rng):
    n_tr, n_units, n_sources = 60, 240, 12
    time = np.arange(n_tr)
    sources = np.stack(
        [np.sin(time * rng.uniform(0.05, 0.9) + rng.uniform(0, 6)) for _ in range(n_sources)], axis=1
    )
    codes = rng.standard_normal((n_sources, n_units)) * (rng.uniform(size=(n_sources, n_units)) < 0.2)
    series = sources @ codes + 0.4 * rng.standard_normal((n_tr, n_units))
    series = ((series - series.mean(0)) / series.std(0)).astype(np.float32).astype(np.float64)
    save("dictionary_series", series)
    unit = series / np.sqrt(n_tr)
    cases = []
    for n_patterns, penalty in ((8, 0.1), (16, 0.05), (10, 0.3)):

        def objective(model):
            codes = model.transform(unit.T)
            residual = unit.T - codes @ model.components_
            return 0.5 * (residual**2).sum() + penalty * np.abs(codes).sum()

        common = dict(
            n_components=n_patterns,
            alpha=penalty,
            transform_algorithm="lasso_cd",
            transform_alpha=penalty,
            transform_max_iter=10000,
            random_state=0,
        )
        batch = DictionaryLearning(fit_algorithm="cd", max_iter=1000, tol=1e-8, **common).fit(unit.T)
        mini = MiniBatchDictionaryLearning(fit_algorithm="cd", max_iter=300, tol=0, **common).fit(unit.T)
        cases.append(
            {
                "n_patterns": n_patterns,
                "penalty": penalty,
                "batch_objective": objective(batch),
                "minibatch_objective": objective(mini),
            }
        )
    save_json("dictionary", cases=cases)


def scores(rng):
    y = rng.standard_normal((40, 9)) + 3
    p = 0.6 * y + rng.standard_normal((40, 9))
    y, p = y.astype(np.float32), p.astype(np.float32)
    save("scores_data", y)
    save("scores_prediction", p)
    wide_y, wide_p = y.astype(np.float64), p.astype(np.float64)
    r = [scipy.stats.pearsonr(a, b).statistic for a, b in zip(wide_y.T, wide_p.T)]
    r2 = sklearn.metrics.r2_score(wide_y, wide_p, multioutput="raw_values")
    save_json("scores", r=r, r2=r2.tolist())


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    hrf()
    fdr(np.random.default_rng(1))
    ridge(np.random.default_rng(2))
    lasso(np.random.default_rng(3))
    dictionary(np.random.default_rng(4))
    scores(np.random.default_rng(5))
