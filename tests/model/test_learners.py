"""Learners: made by name or import path, fitted and asked so that no thread changes a digit."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_info, threadpool_limits

from model import fitting
from model.arrays import Matrix
from model.errors import FitFailed, UserError
from model.fitting import fit, params_of, predict
from model.learners import LEARNERS, check, make, parse_parameter
from model.threads import Cores

MODULE = '''
from sklearn.ensemble import RandomForestRegressor as Forest
from sklearn.neighbors import KNeighborsRegressor

class Mean:
    """The least that a regressor needs."""
    def fit(self, matrix, target):
        self.mean = target.mean()
    def predict(self, matrix):
        return [[self.mean]] * len(matrix)

def trees(n=3, seeded=None):
    return Forest(n_estimators=n, random_state=seeded)

def scaled():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    return make_pipeline(StandardScaler(), Forest(n_estimators=3, n_jobs=2))

def neighbours():
    return KNeighborsRegressor(n_jobs=2)

def picky(size):
    if size < 1:
        raise ValueError(f"size {size}: at least 1\\nis allowed")
    return Mean()

class Beside:
    """Compares a row with those that it is predicted with."""
    def fit(self, matrix, target):
        self.classes_ = sorted(set(target.tolist()))
    def predict(self, matrix):
        return matrix[:, 0] - matrix[:, 0].mean()
    def predict_proba(self, matrix):
        share = 1 / (1 + abs(self.predict(matrix)))
        return list(zip(share, 1 - share))

class Silent(Mean):
    def fit(self, matrix, target):
        raise RuntimeError

class Wide(Mean):
    def fit(self, matrix, target):
        if matrix.shape[1] < 20:
            raise ValueError("too few columns")
        super().fit(matrix, target)

class Long(Mean):
    def fit(self, matrix, target):
        if len(target) < 1000:
            raise ValueError("too few rows")
        super().fit(matrix, target)

def a_class():
    return Forest

number = 5
def text():
    return "no regressor"
class OnlyFit:
    def fit(self, matrix, target): ...
'''


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_learners.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def data(rows: int, seed: int = 0) -> tuple[Matrix, Matrix]:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, 6))
    return matrix, matrix[:, 0] * 3 + np.sin(matrix[:, 1]) + rng.normal(size=rows)


def test_each_name_gives_what_scikit_learn_gives_with_the_documented_parameters() -> None:
    matrix, target = data(300)
    same: dict[str, Any] = {
        "forest": RandomForestRegressor(
            n_estimators=100, min_samples_leaf=20, max_features=1 / 3, random_state=7
        ),
        "ridge": Ridge(),
        "boosting": HistGradientBoostingRegressor(random_state=7),
    }
    assert same.keys() == LEARNERS.keys()
    for name, estimator in same.items():
        with threadpool_limits(1):
            want = estimator.fit(matrix, target).predict(matrix)
        got = predict(fit(make(name, {}, seed=7), matrix, target), matrix)
        np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=name)


def test_parameters_reach_the_regressor_and_win_over_the_defaults() -> None:
    forest = make("forest", {"n_estimators": 5, "random_state": 3}, seed=7)
    assert (forest.n_estimators, forest.min_samples_leaf, forest.random_state) == (5, 20, 3)
    assert make("ridge", {"alpha": 0.5}, seed=7).alpha == 0.5


@pytest.mark.parametrize(
    ("learner", "parameters", "message"),
    [
        ("tree", {}, "'tree': must be forest, ridge, boosting, or package.module:factory"),
        ("forest", {"trees": 5}, "forest: .*unexpected keyword argument 'trees'"),
        ("ridge", {"seed": 5}, "ridge: .*multiple values for argument 'seed'"),
        ("no_such_module:f", {}, "no_such_module:f: cannot be imported: No module named"),
        ("my_learners:absent", {}, "cannot be imported: .*no attribute 'absent'"),
        (".my_learners:trees", {}, "cannot be imported: .*relative import"),
        (":trees", {}, "cannot be imported: Empty module name"),
        ("my_learners:number", {}, "is not a factory of a regressor: it cannot be called"),
        ("my_learners:text", {}, "gives a str; must give a regressor with fit and predict"),
        ("my_learners:OnlyFit", {}, "gives a OnlyFit; must give a regressor with fit and predict"),
        ("my_learners:a_class", {}, "gives a .*; must give a regressor with fit and predict"),
        ("my_learners:trees", {"depth": 2}, "unexpected keyword argument 'depth'"),
        ("my_learners:picky", {}, "missing 1 required positional argument: 'size'"),
        ("my_learners:picky", {"size": 0}, "my_learners:picky: size 0: at least 1"),
    ],
)
def test_what_cannot_be_made_is_reported_in_one_line(
    learner: str, parameters: dict[str, Any], message: str
) -> None:
    for ask in (make, check):
        with pytest.raises(UserError, match=message) as caught:
            ask(learner, parameters, 1)
        assert str(caught.value).startswith("--learner ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("learner", "parameters", "message"),
    [
        ("forest", {"n_estimators": "many"}, "forest: The 'n_estimators' parameter .* must be"),
        ("boosting", {"loss": "none"}, "boosting: The 'loss' parameter"),
        ("sklearn.linear_model:LogisticRegression", {}, "Unknown label type"),
        ("my_learners:Silent", {}, "my_learners:Silent: RuntimeError"),
    ],
)
def test_what_cannot_be_fitted_is_reported_before_anything_runs(
    learner: str, parameters: dict[str, Any], message: str
) -> None:
    make(learner, parameters, 1)
    with pytest.raises(UserError, match=message):
        check(learner, parameters, 1)


@pytest.mark.parametrize("learner", [*LEARNERS, "my_learners:Mean", "my_learners:trees"])
def test_a_good_learner_passes_the_check(learner: str) -> None:
    assert check(learner, {}, 1) is None


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_learner_whose_predictions_depend_on_the_cut_of_rows_is_warned_of(task: str) -> None:
    warning = check("my_learners:Beside", {}, 1, task=task) or ""
    assert warning.startswith("--learner my_learners:Beside: its prediction of a row depends on")


def test_a_factory_without_a_random_state_of_its_own_gets_the_seed() -> None:
    assert make("my_learners:trees", {}, seed=9).random_state == 9
    assert make("my_learners:trees", {"seeded": 4}, seed=9).random_state == 4
    assert not hasattr(make("my_learners:Mean", {}, seed=9), "random_state")


def test_a_solver_that_draws_gives_the_same_digits_each_time() -> None:
    matrix, target = data(500)
    for name, chosen in (("ridge", {"solver": "sag"}), ("forest", {"random_state": None})):
        one, two = (predict(fit(make(name, chosen, 3), matrix, target), matrix) for _ in range(2))
        assert one.tobytes() == two.tobytes()


def test_a_forest_is_fitted_by_all_cores_and_kept_with_one() -> None:
    matrix, target = data(500)

    class Counting(RandomForestRegressor):
        def fit(self, *given: Any) -> Any:
            seen.append(self.n_jobs)
            return super().fit(*given)

    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 3)
        fitted = fit(Counting(random_state=0, n_jobs=2), matrix, target)
    assert (seen, fitted.n_jobs) == ([3], 1)
    alone = RandomForestRegressor(random_state=0, n_jobs=1).fit(matrix, target)
    assert fitted.predict(matrix).tobytes() == alone.predict(matrix).tobytes()


def test_forests_that_grow_at_once_share_the_cores_and_are_no_more_than_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Counting(RandomForestRegressor):
        def fit(self, *given: Any) -> Any:
            jobs.append(self.n_jobs)
            growing.append(self)
            together.append(len(growing))
            if len(together) <= 2:
                both.wait(timeout=120)
            super().fit(*given)
            growing.remove(self)
            return self

    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(fitting, "cores", Cores())
    both = threading.Barrier(2)
    jobs: list[int] = []
    growing: list[object] = []
    together: list[int] = []
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(fit, Counting(4, random_state=0), *data(200)) for _ in range(4)]:
            done.result()
    assert sorted(jobs[:2]) == [1, 2] and set(jobs[2:]) <= {1, 2} and max(together) == 2


def test_any_other_regressor_is_kept_with_one_job_too() -> None:
    assert fit(make("my_learners:neighbours", {}, 0), *data(100)).n_jobs == 1


@pytest.mark.parametrize("rows", [1, 999, 2_000, 7_001])
def test_a_forest_asked_by_threads_gives_its_own_digits(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    forest = fit(make("forest", {}, 0), *data(2_000))
    matrix, _ = data(rows, seed=1)
    got = predict(forest, matrix)
    assert got.dtype == np.float64 and got.shape == (rows,)
    assert got.tobytes() == forest.predict(matrix).tobytes()


def test_predictions_in_a_column_become_a_row_of_figures() -> None:
    matrix, target = data(10)
    mean = fit(make("my_learners:Mean", {}, 0), matrix, target)
    assert predict(mean, matrix).tolist() == [target.mean()] * 10


class Watched:
    """A regressor that tells how many threads its libraries had at the end of a fit."""

    def __init__(self, started: threading.Event, go_on: threading.Event) -> None:
        self.started, self.go_on = started, go_on

    def fit(self, matrix: Any, target: Any) -> None:
        self.started.set()
        assert self.go_on.wait(120)
        self.threads = {pool["num_threads"] for pool in threadpool_info()}


def test_a_fit_has_one_thread_to_its_end_though_another_fit_ends_before() -> None:
    gates = [threading.Event() for _ in range(4)]
    first, second = Watched(gates[0], gates[1]), Watched(gates[2], gates[3])
    fits = [threading.Thread(target=fit, args=(w, *data(5))) for w in (first, second)]
    fits[0].start()
    assert gates[0].wait(120)
    fits[1].start()
    assert gates[2].wait(120)
    gates[1].set()
    fits[0].join()
    gates[3].set()
    fits[1].join()
    assert (first.threads, second.threads) == ({1}, {1})


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("max_depth=8", "max_depth", 8),
        ("max_features=0.5", "max_features", 0.5),
        ("max_depth=None", "max_depth", None),
        ("warm_start=True", "warm_start", True),
        ("warm_start=false", "warm_start", False),
        ("criterion=squared_error", "criterion", "squared_error"),
        ("path=a=b", "path", "a=b"),
        ("sizes=(1, 2)", "sizes", (1, 2)),
        ("empty=", "empty", ""),
    ],
)
def test_a_parameter_is_a_python_literal_or_text(text: str, name: str, value: object) -> None:
    found = parse_parameter(text)
    assert found == (name, value)
    assert type(found[1]) is type(value)


@pytest.mark.parametrize("text", ["max_depth", "=8", ""])
def test_a_parameter_without_a_name_or_equals_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="must be name=value, as in max_depth=8"):
        parse_parameter(text)


def test_parameters_are_those_that_a_regressor_shows() -> None:
    assert params_of(Ridge(alpha=2.0))["alpha"] == 2.0
    assert params_of(object()) == {}


def test_an_estimator_within_a_learner_is_seeded_and_predicts_with_one_thread() -> None:
    matrix, target = np.random.default_rng(0).normal(size=(50, 2)), np.arange(50.0)
    made = [fit(make("my_learners:scaled", {}, seed=7), matrix, target) for _ in range(2)]
    inner = made[0].steps[1][1]
    assert (inner.random_state, inner.n_jobs) == (7, 1)
    assert (predict(made[0], matrix) == predict(made[1], matrix)).all()


@pytest.mark.parametrize(
    ("learner", "parameters"),
    [
        ("forest", {}),
        ("forest", {"n_estimators": 1}),
        ("forest", {"criterion": "poisson", "max_depth": 3}),
        ("sklearn.ensemble:ExtraTreesRegressor", {"n_estimators": 7}),
        ("ridge", {}),
        ("ridge", {"fit_intercept": False, "alpha": 3.0}),
        ("ridge", {"positive": True}),
        ("boosting", {"max_iter": 5}),
    ],
)
@pytest.mark.parametrize("rows", [1, 900, 4_321])
def test_predictions_are_scikit_learns_own_to_the_last_digit_but_for_the_ridges(
    learner: str, parameters: dict[str, Any], rows: int
) -> None:
    rng = np.random.default_rng(rows)
    matrix = rng.normal(size=(4_321, 5))
    matrix[::7, 1] = 0.0  # ties
    target = np.abs(matrix @ np.arange(5.0) + rng.normal(size=len(matrix)))
    estimator = fit(make(learner, parameters, 3), matrix, target)
    asked = matrix[:rows]
    # a ridge's row by itself, where BLAS adds as the rows beside it have it
    rtol, atol = (1e-9, 1e-12) if learner == "ridge" else (0.0, 0.0)
    found, expected = predict(estimator, asked), estimator.predict(asked)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def test_a_forest_that_predicts_in_its_own_way_is_asked_itself() -> None:
    class Halved(RandomForestRegressor):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:
            return super().predict(X) / 2

    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(2_500, 2))
    halved = Halved(n_estimators=3, random_state=1).fit(matrix, matrix[:, 0])
    np.testing.assert_array_equal(predict(halved, matrix), halved.predict(matrix))


def test_forests_that_are_asked_for_at_once_are_those_of_one_after_the_other() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(500, 2))

    def grown(seed: int) -> Any:
        return fit(make("forest", {"n_estimators": 20}, seed), matrix, matrix[:, 0])

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(grown, range(6)))
    for seed, forest in enumerate(together):
        np.testing.assert_array_equal(grown(seed).predict(matrix), forest.predict(matrix))


def hourly(days: int, seed: int = 0) -> tuple[Matrix, Matrix]:
    """24 rows a day: y = 3 x + 5 if a category + noise."""
    rng = np.random.default_rng(seed)
    x, red = rng.normal(size=24 * days), rng.random(24 * days) < 0.5
    matrix = np.column_stack([x, red, ~red]).astype(float)
    return matrix, 3 * x + 5 * red + rng.normal(size=24 * days)


def skill(make_one: Any, days: int = 10) -> float:
    """1 - MAE / MAE of the mean of the day before, each day by the model of the day before."""
    matrix, target = hourly(days)
    errors = baseline = 0.0
    for day in range(1, days):
        before, now = slice(24 * (day - 1), 24 * day), slice(24 * day, 24 * (day + 1))
        fitted = make_one().fit(matrix[before], target[before])
        errors += float(np.abs(fitted.predict(matrix[now]) - target[now]).sum())
        baseline += float(np.abs(target[before].mean() - target[now]).sum())
    return 1 - errors / baseline


def test_of_a_day_of_hourly_rows_the_learners_learn_as_much_as_scikit_learns_own() -> None:
    theirs = skill(lambda: RandomForestRegressor(random_state=1))
    assert theirs > 0.5
    assert skill(lambda: make("forest", {}, 1, rows=24)) == pytest.approx(theirs, abs=0.02)
    assert skill(lambda: HistGradientBoostingRegressor(random_state=1)) == 0
    assert skill(lambda: make("boosting", {}, 1, rows=24)) > 0.4


@pytest.mark.parametrize("learner", ["forest", "boosting"])
def test_a_given_parameter_wins_over_the_default_for_few_rows(learner: str) -> None:
    assert make(learner, {"min_samples_leaf": 7}, 1, rows=24).min_samples_leaf == 7


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("rows", [1_000, 1_001, 10**6])
def test_from_a_thousand_rows_on_the_defaults_are_those_of_ever(learner: str, rows: int) -> None:
    assert params_of(make(learner, {}, 1, rows)) == params_of(make(learner, {}, 1))


@pytest.mark.parametrize("learner", ["forest", "boosting"])
def test_leaves_grow_with_the_rows_and_a_tree_can_always_split(learner: str) -> None:
    leaves = [make(learner, {}, 1, rows).min_samples_leaf for rows in range(1, 1_100)]
    assert leaves == sorted(leaves)
    assert all(2 * leaf <= max(rows, 6) for rows, leaf in enumerate(leaves, 1))


def test_a_learner_that_needs_many_rows_columns_or_a_positive_target_passes_the_check() -> None:
    check("sklearn.linear_model:PoissonRegressor", {}, 1)
    check("sklearn.neighbors:KNeighborsRegressor", {"n_neighbors": 500}, 1)
    check("my_learners:Wide", {}, 1, features=3)
    check("my_learners:Long", {}, 1)
    with pytest.raises(UserError, match="The 'alpha' parameter"):
        check("sklearn.linear_model:PoissonRegressor", {"alpha": -1.0}, 1)


@pytest.mark.parametrize(
    "error", [MemoryError("m"), OSError("o"), KeyboardInterrupt(), SystemExit()]
)
def test_what_is_not_the_estimators_own_passes_through_a_fit(error: BaseException) -> None:
    class Raising(Ridge):
        def fit(self, matrix: Any, target: Any) -> Any:
            raise error

    with pytest.raises(type(error)):
        fit(Raising(), *data(20))


def test_what_a_fit_raises_is_a_failed_fit_with_its_type() -> None:
    with pytest.raises(FitFailed, match=r"^ValueError: Found array with 0 sample"):
        fit(Ridge(), np.empty((0, 2)), np.empty(0))
