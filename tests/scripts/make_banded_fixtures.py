"""Writes tests/fixtures/math/banded*: what himalaya computes for banded ridge regression from inputs stored beside it.

Versions used: numpy 2.4.6, scikit-learn 1.9.1, himalaya 0.4.11 (numpy backend, float64). They are also written into the
fixture. Candidates are explicit, so that no random draw is compared. `MultipleKernelRidgeCV` and, in the primal,
`GroupRidgeCV` must agree before anything is written, and no target may have two pairs of weights and penalty whose scores
are so close that rounding decides. Run from the repository's root: `python tests/scripts/make_banded_fixtures.py`.
"""

import json
import pathlib

import himalaya
import numpy as np
import sklearn
from himalaya.kernel_ridge import MultipleKernelRidgeCV, solve_multiple_kernel_ridge_random_search
from himalaya.ridge import GroupRidgeCV
from himalaya.scoring import correlation_score, correlation_score_split, r2_score, r2_score_split
from sklearn.model_selection import KFold

FOLDER = pathlib.Path("tests/fixtures/math")
VERSIONS = {module.__name__: module.__version__ for module in (np, sklearn, himalaya)}
SCORES = {"r2": r2_score, "pearson": correlation_score}
N_SAMPLES, N_TEST, WIDTHS, N_TARGETS, N_FOLDS = 50, 14, (30, 45, 8), 9, 3


def save(name, array):
    np.save(FOLDER / f"{name}.npy", np.ascontiguousarray(array, dtype=np.float32))


def inputs(rng):
    bands = [rng.standard_normal((N_SAMPLES + N_TEST, width)) * scale + 0.4 for width, scale in zip(WIDTHS, (1, 2, 0.5))]
    y = 1.5 + rng.standard_normal((N_SAMPLES + N_TEST, N_TARGETS)) * np.linspace(0.3, 2, N_TARGETS)
    for target in range(N_TARGETS):
        for band in {target % 3, target % 2}:
            y[:, target] += bands[band] @ rng.standard_normal(WIDTHS[band]) / np.sqrt(WIDTHS[band])
    # The estimators see the values that are stored, so that only arithmetic differs.
    return [x.astype(np.float32).astype(np.float64) for x in bands], y.astype(np.float32).astype(np.float64)


def require_margin(kernels, y, gammas, alphas, **options):
    scores = np.array(
        [
            [
                solve_multiple_kernel_ridge_random_search(
                    kernels, y, n_iter=gamma[None], alphas=np.array([alpha]), progress_bar=False, **options
                )[2][0]
                for alpha in alphas
            ]
            for gamma in gammas
        ]
    ).reshape(-1, y.shape[1])
    best = np.sort(scores, axis=0)
    assert np.all(best[-1] - best[-2] > 2e-5), best[-1] - best[-2]


def case(bands, y, gammas, alphas, intercept, score):
    train, test = slice(0, N_SAMPLES), slice(N_SAMPLES, None)
    kernels = np.stack([x[train] @ x[train].T for x in bands])
    cross = np.stack([x[test] @ x[train].T for x in bands])
    options = dict(score_func=SCORES[score], cv=KFold(N_FOLDS), fit_intercept=intercept, return_weights="dual")
    require_margin(kernels, y[train], gammas, alphas, **options)
    search = dict(n_iter=gammas, alphas=alphas, progress_bar=False)
    results = solve_multiple_kernel_ridge_random_search(
        kernels, y[train], return_alphas=True, **search, **options
    )
    deltas, weights, cv_scores, best_alphas = results[:4]

    # Bands relative to the samples fitted on, where the intercept is the mean of the targets.
    shift = np.stack([k.mean(0) @ weights for k in kernels]) if intercept else np.zeros_like(deltas)
    parts = np.exp(deltas)[:, None] * (np.stack([k @ weights for k in cross]) - shift[:, None])
    offset = y[train].mean(0) if intercept else np.zeros(N_TARGETS)

    model = MultipleKernelRidgeCV(
        kernels="precomputed", solver="random_search", cv=KFold(N_FOLDS), fit_intercept=intercept,
        solver_params=dict(score_func=SCORES[score], **search),
    ).fit(kernels, y[train])
    assert np.allclose(model.predict(cross), parts.sum(0) + offset, atol=1e-8)
    # The primal solver divides by the root of each weight.
    search["n_iter"] = np.maximum(gammas, 1e-12)
    primal = GroupRidgeCV(
        groups="input", solver="random_search", cv=KFold(N_FOLDS), fit_intercept=intercept,
        solver_params=dict(score_func=SCORES[score], warn=False, **search),
    ).fit([x[train] for x in bands], y[train])
    assert np.allclose(primal.predict([x[test] for x in bands]), parts.sum(0) + offset, atol=1e-6)
    assert np.allclose(np.exp(primal.deltas_), np.exp(deltas), atol=1e-10)
    assert np.allclose(primal.cv_scores_, cv_scores, atol=1e-6)

    chosen = [int(np.argmin(np.abs(gammas - np.exp(d) * a).sum(1))) for d, a in zip(deltas.T, best_alphas)]
    centred = y[test] - y[test].mean(0)
    report = {
        "intercept": intercept,
        "score": score,
        "best_gammas": chosen,
        "best_alphas": best_alphas.tolist(),
        "cv_scores": cv_scores.tolist(),
        "r2_split": r2_score_split(centred, parts).tolist(),
        "r2_joint": r2_score(centred, parts.sum(0)).tolist(),
        "correlation_split": correlation_score_split(centred, parts).tolist(),
    }
    return report, weights / best_alphas, parts


def main():
    rng = np.random.default_rng(20221)
    bands, y = inputs(rng)
    gammas = np.concatenate([np.full((1, 3), 1 / 3), rng.dirichlet([0.3] * 3, 4), [[0, 1, 0], [0.5, 0, 0.5]]])
    alphas = np.logspace(-1, 4, 7)
    cases, duals, predictions = [], [], []
    for intercept in (True, False):
        for score in SCORES:
            report, dual, parts = case(bands, y, gammas, alphas, intercept, score)
            cases.append(report)
            duals.append(dual)
            predictions.append(parts)
    save("banded_x", np.concatenate(bands, axis=1))
    save("banded_y", y)
    save("banded_duals", duals)
    save("banded_predictions", predictions)
    text = json.dumps(
        {
            "versions": VERSIONS,
            "n_samples": N_SAMPLES,
            "widths": WIDTHS,
            "n_folds": N_FOLDS,
            "alphas": alphas.tolist(),
            "gammas": gammas.tolist(),
            "cases": cases,
        }
    )
    (FOLDER / "banded.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
