"""The synthetic people: the same rows everywhere, exact times, and what can be learned of them."""

import hashlib
import itertools
import math
import os
import pickle
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from model.batch import CATEGORY_TYPE, SECOND, TIME_TYPE, encode
from model.errors import UserError
from model.people import FIELDS, KINDS, SCHEMA, People

START = 1_750_000_000_000_000
ROWS = 15_000
"""A window of 60 seconds at 250 rows a second."""

RATES = st.one_of(
    st.integers(1, 10**6),
    st.fractions(Fraction(1, 1000), 10**6).map(float),
    st.floats(1e-3, 1e9),
    st.sampled_from([0.1, 1 / 3, 250.0, 29.97, 1e-3, 1e9, 999_999_999.9999999]),
)


def people(kind: str = "learnable", seed: int = 42, disorder: int = 0) -> People:
    return People(kind, seed, 250, START, disorder)


def window(number: int, kind: str = "learnable", seed: int = 42) -> pd.DataFrame:
    return people(kind, seed).rows(number * ROWS, (number + 1) * ROWS, SCHEMA.columns).to_pandas()


def ridge(frame: pd.DataFrame) -> Any:
    return fit_rows(Ridge(), frame)


def fit_rows(estimator: Any, frame: pd.DataFrame) -> Any:
    encoder = make_column_transformer(
        (StandardScaler(), list(SCHEMA.numeric)),
        (OneHotEncoder(sparse_output=False), list(SCHEMA.categorical)),
    )
    return make_pipeline(encoder, estimator).fit(frame, frame[SCHEMA.target])


def skill(model: Any, trained: pd.DataFrame, scored: pd.DataFrame) -> float:
    mean = np.full(len(scored), trained.salario.mean())
    error = mean_absolute_error(scored.salario, model.predict(scored))
    return float(1 - error / mean_absolute_error(scored.salario, mean))


# The same rows, however they are made


@settings(deadline=None, max_examples=40)
@given(
    cuts=st.lists(st.integers(0, 400), max_size=6),
    kind=st.sampled_from(KINDS),
    seed=st.integers(-(2**70), 2**70) | st.just(0),
    first=st.integers(0, 2**42),  # later times do not fit an int64
    rate=RATES.filter(lambda rate: rate >= 1),
    disorder=st.sampled_from([0, 1, 7 * SECOND]),
)
def test_rows_are_the_same_however_they_are_cut(
    cuts: list[int], kind: str, seed: int, first: int, rate: float, disorder: int
) -> None:
    made = People(kind, seed, rate, START, disorder)
    whole, stamps = made.arrivals(first, first + 400)
    edges = [0, *sorted(cuts), 400]
    for low, high in itertools.pairwise(edges):
        piece, piece_stamps = made.arrivals(first + low, first + high)
        assert piece == whole.slice(low, high - low)
        assert piece_stamps.tolist() == stamps[low:high].tolist()


def test_a_copy_sent_to_a_worker_makes_the_same_rows() -> None:
    made = people(disorder=SECOND)
    assert pickle.loads(pickle.dumps(made)).rows(0, 50) == made.rows(0, 50)


def test_another_process_with_another_hash_seed_makes_the_same_bytes() -> None:
    program = (
        "import sys, hashlib; from model.people import People; from model.batch import encode;"
        "assert 'faker' not in sys.modules, 'importing the module must not import faker';"
        f"rows = People('learnable', 42, 250, {START}, 3000000).rows(77, 5000);"
        "print(hashlib.sha256(encode(rows)).hexdigest())"
    )
    wanted = hashlib.sha256(encode(people(disorder=3 * SECOND).rows(77, 5000))).hexdigest()
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == wanted, done.stderr


def test_asking_for_some_columns_gives_the_same_values_in_the_order_asked_for() -> None:
    every = people().rows(5, 300)
    some = people().rows(5, 300, ["salario", "cidade", "timestamp"])
    assert some.schema.names == ["__id", "__time", "__late", "salario", "cidade", "timestamp"]
    assert all(some.column(name) == every.column(name) for name in some.schema.names)


@pytest.mark.parametrize("name", ["nome", "idade", "salario", "cidade", "estado", "cargo", "idh"])
def test_another_seed_gives_other_rows(name: str) -> None:
    here, there = people(seed=1).rows(0, 200, [name]), people(seed=2).rows(0, 200, [name])
    assert here.column(name).to_pylist() != there.column(name).to_pylist()


def test_the_generator_is_splitmix64() -> None:
    """The published algorithm, step by step in Python's own integers."""
    full = 2**64 - 1

    def finish(bits: int) -> int:
        bits = (bits ^ bits >> 30) * 0xBF58476D1CE4E5B9 & full
        bits = (bits ^ bits >> 27) * 0x94D049BB133111EB & full
        return bits ^ bits >> 31

    def draw(stream: bytes, index: int) -> int:
        key = finish(finish(42) + int.from_bytes(stream, "little") & full)
        return finish(key + index * 0x9E3779B97F4A7C15 & full)

    first = 2**50
    ages = people().rows(first, first + 9, ["idade"]).column("idade").to_pylist()
    assert ages == [18 + (draw(b"idade", first + i) >> 32) * 63 // 2**32 for i in range(9)]


# What a row holds


def test_a_person_has_the_originals_fields_with_their_types() -> None:
    batch = people().rows(0, 10)
    assert dict(zip(batch.schema.names, batch.schema.types, strict=True)) == {
        "__id": pa.int64(),
        "__time": TIME_TYPE,
        "__late": pa.bool_(),
        "nome": CATEGORY_TYPE,
        "idade": pa.int64(),
        "salario": pa.float64(),
        "cidade": CATEGORY_TYPE,
        "estado": CATEGORY_TYPE,
        "cargo": CATEGORY_TYPE,
        "idh": pa.float64(),
        "latitude": pa.float64(),
        "longitude": pa.float64(),
        "timestamp": TIME_TYPE,
        "geracao_id": pa.int64(),
    }
    assert set(SCHEMA.columns) <= set(FIELDS)
    batch.validate(full=True)


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_lies_in_its_range_and_the_ends_are_reached(kind: str) -> None:
    frame = people(kind).rows(0, 50_000).to_pandas()
    assert (frame.idade.min(), frame.idade.max(), frame.idade.nunique()) == (18, 80, 63)
    assert (frame.idh.min(), frame.idh.max(), frame.idh.nunique()) == (0.5, 0.9, 401)
    assert (frame.idh == frame.idh.round(3)).all()
    assert (frame.salario > 0).all() and (frame.salario == frame.salario.round(2)).all()
    assert frame.latitude.isna().all() and frame.longitude.isna().all()
    assert not frame.drop(columns=["latitude", "longitude"]).isna().any(axis=None)
    assert frame.__id.tolist() == list(range(50_000))


def test_every_value_of_a_pool_is_drawn_about_equally_often() -> None:
    frame = people().rows(0, 100_000, ["estado", "cargo"]).to_pandas()
    assert (frame.estado.nunique(), frame.cargo.nunique()) == (27, 40)
    for name in ("estado", "cargo"):
        share = frame[name].value_counts(normalize=True)
        assert (share.max() - share.min()) * len(share) < 0.2


def test_fields_are_drawn_independently_of_each_other_and_of_their_neighbours() -> None:
    batch = people("original").rows(0, 40_000)
    names = ["idade", "salario", "idh"]
    drawn = [batch.column(name).to_numpy().astype(float) for name in names]
    words = ["nome", "cidade", "estado", "cargo"]
    drawn += [batch.column(name).indices.to_numpy().astype(float) for name in words]
    both = np.corrcoef([column[:-1] for column in drawn] + [column[1:] for column in drawn])
    assert np.abs(both - np.eye(len(both))).max() < 0.025  # five standard errors


def test_the_generation_is_the_second_since_the_start() -> None:
    made = people(disorder=5 * SECOND)
    seconds = made.rows(0, 1000, ["geracao_id"]).column("geracao_id").to_pylist()
    assert seconds == [index // 250 for index in range(1000)]


@pytest.mark.parametrize("stop", [7, 3])
def test_no_rows_are_an_empty_batch_of_the_same_columns(stop: int) -> None:
    batch, stamps = people(disorder=SECOND).arrivals(7, stop)
    assert (batch.num_rows, len(stamps)) == (0, 0)
    assert batch.schema == people(disorder=SECOND).rows(7, 8).schema


# Time


@settings(deadline=None, max_examples=150)
@given(rate=RATES, index=st.integers(0, 2**53))
def test_the_time_of_a_row_is_exact(rate: float, index: int) -> None:
    exact = START + math.floor(index * SECOND / Fraction(repr(rate)))
    assert People("original", 0, rate, START).time(index) == exact


@settings(deadline=None, max_examples=60)
@given(rate=RATES, index=st.integers(0, 10**9), count=st.integers(1, 3000))
def test_the_times_of_a_batch_are_those_of_its_rows(rate: float, index: int, count: int) -> None:
    made = People("original", 0, rate, START)
    times = made.rows(index, index + count, []).column("__time").cast(pa.int64())
    assert times.to_pylist() == [made.time(i) for i in range(index, index + count)]


@settings(deadline=None, max_examples=150)
@given(rate=RATES, offset=st.integers(-(10**12), 10**16))
def test_index_at_is_the_first_row_at_that_time_or_later(rate: float, offset: int) -> None:
    made = People("original", 0, rate, START)
    index = made.index_at(START + offset)
    assert index >= 0 and made.time(index) >= START + offset
    assert index == 0 or made.time(index - 1) < START + offset


def test_a_decimal_rate_means_what_it_prints() -> None:
    assert People("original", 0, 0.1, 0).time(3) == 30 * SECOND
    assert People("original", 0, 0.1, 0).index_at(30 * SECOND) == 3


def test_without_disorder_nothing_is_late_and_event_time_is_the_nominal_time() -> None:
    made = people()
    batch, stamps = made.arrivals(100, 400, ["timestamp"])
    assert not any(batch.column("__late").to_pylist())
    assert stamps.tolist() == [made.time(index) for index in range(100, 400)]
    assert batch.column("__time").cast(pa.int64()).to_pylist() == stamps.tolist()
    assert batch.column("timestamp") == batch.column("__time")


@pytest.mark.parametrize("disorder", [1, 5 * SECOND, 3600 * SECOND])
def test_with_disorder_one_row_in_a_hundred_is_late_and_counts_at_the_watermark(
    disorder: int,
) -> None:
    made, count = people(disorder=disorder), 100_000
    batch, stamps = made.arrivals(0, count, ["timestamp"])
    nominal = START + np.arange(count) * 4000
    delay = nominal - batch.column("__time").cast(pa.int64()).to_numpy()
    late = batch.column("__late").to_numpy(zero_copy_only=False)
    watermark = nominal - disorder
    assert abs(late.mean() - 0.01) < 5 * math.sqrt(0.01 * 0.99 / count)
    assert (late == (delay > disorder)).all()
    assert 0 <= delay.min() < max(1, disorder / 1000)
    assert 2.9 * disorder < delay.max() <= 3 * disorder
    assert delay[~late].mean() == pytest.approx(disorder / 2, rel=0.02)
    assert delay[late].mean() == pytest.approx((4 * disorder + 1) / 2, rel=0.05)
    assert (stamps == np.where(late, watermark, nominal - delay)).all()
    assert (stamps >= watermark).all()


def test_disorder_moves_rows_in_time_and_changes_nothing_else() -> None:
    calm, stormy = people("original"), people("original", disorder=60 * SECOND)
    fields = [name for name in FIELDS if name != "timestamp"]
    kept = ["__id", *fields]
    assert calm.rows(0, 500, fields).select(kept) == stormy.rows(0, 500, fields).select(kept)
    assert calm.rows(0, 500, []).column("__time") != stormy.rows(0, 500, []).column("__time")


@given(
    edges=st.lists(st.integers(0, 40_000_000), min_size=1, max_size=4),
    disorder=st.sampled_from([0, 3 * SECOND]),
    looked_at=st.integers(1, 3_000),
)
@settings(max_examples=30)
def test_the_answers_of_spans_of_time_are_those_of_all_people_each_once(
    edges: list[int], disorder: int, looked_at: int
) -> None:
    made = People("learnable", 42, 50, START, disorder, (2 * SECOND, 9 * SECOND))
    columns = ["pessoa", "salario", "respondido"]
    every = made.rows(0, 3_000, [*columns, "timestamp"]).to_pandas()
    cuts = [START + edge for edge in sorted(edges)]
    micros = "datetime64[us, UTC]"
    known = every["respondido"].astype(micros).astype("int64")  # none: the least of all
    times = every["timestamp"].astype(micros).astype("int64")
    asked = np.maximum(times, START + every["__id"] * 20_000 - disorder)
    for begin, end in itertools.pairwise([START - 10 * SECOND, *cuts]):
        first, stop = made.asked_before(begin, end)
        ranges = [(low, min(low + looked_at, stop)) for low in range(first, stop, looked_at)]
        parts = [made.answers(each, (begin, end), START, columns) for each in ranges]
        found = [row for part in parts for row in part.to_pylist()]
        within = every["respondido"].notna() & (known >= begin) & (known < end) & (asked >= START)
        assert [row["pessoa"] for row in found] == every["__id"][within].tolist()
        assert [row["salario"] for row in found] == every["salario"][within].tolist()
        assert [row["__time"] for row in found] == [row["respondido"] for row in found]


# What can be learned


def test_the_originals_salario_is_uniform_and_independent_of_everything() -> None:
    frame = window(0, "original")
    assert 1500 <= frame.salario.min() < 1510 and 14_990 < frame.salario.max() <= 15_000
    assert frame.salario.std() == pytest.approx(13_500 / math.sqrt(12), rel=0.02)
    limit = 5 / math.sqrt(ROWS)
    assert frame[["idade", "idh"]].corrwith(frame.salario).abs().max() < limit
    for name in SCHEMA.categorical:
        groups = frame.groupby(name, observed=True).salario
        error = groups.std() / np.sqrt(groups.size())
        assert ((groups.mean() - frame.salario.mean()).abs() < 5 * error).all()


def test_no_model_can_learn_the_original() -> None:
    trained, scored = window(0, "original"), window(1, "original")
    model = ridge(trained)
    assert r2_score(scored.salario, model.predict(scored)) < 0.01
    assert abs(skill(model, trained, scored)) < 0.01


@pytest.mark.parametrize("seed", [0, 42])
def test_a_fresh_ridge_does_well_and_a_stale_one_clearly_worse(seed: int) -> None:
    old, recent, now = (window(number, seed=seed) for number in (0, 10, 11))
    fresh, stale = ridge(recent), ridge(old)
    assert 0.75 < r2_score(now.salario, fresh.predict(now)) < 0.9
    assert skill(fresh, recent, now) > 0.5
    assert skill(stale, old, now) < skill(fresh, recent, now) - 0.2


def test_a_fresh_forest_does_well_too() -> None:
    trained, scored = window(0), window(1)
    forest = RandomForestRegressor(10, min_samples_leaf=20, max_features=1 / 3, random_state=0)
    model = fit_rows(forest, trained)
    assert r2_score(scored.salario, model.predict(scored)) > 0.7
    assert skill(model, trained, scored) > 0.5


def test_salario_rises_with_idade_ever_more_slowly_and_with_idh() -> None:
    frame = people().rows(0, 200_000, SCHEMA.columns).to_pandas()
    ages = pd.cut(frame.idade, [17, 38, 59, 80], labels=False)
    young, middle, old = frame.salario.groupby(ages).mean()
    assert middle - young > 2 * (old - middle) > 0
    assert frame.salario[frame.idh > 0.8].mean() > 1.1 * frame.salario[frame.idh < 0.6].mean()


@pytest.mark.parametrize("name", SCHEMA.categorical)
def test_each_cargo_and_each_estado_has_a_factor_of_its_own(name: str) -> None:
    means = window(0).groupby(name, observed=True).salario.mean()
    again = window(1).groupby(name, observed=True).salario.mean()
    assert means.max() > 1.3 * means.min()
    assert means.corr(again) > 0.8


def test_salario_drifts_with_event_time_alone() -> None:
    here = People("learnable", 42, 250, START).rows(1000, 1001, ["salario"])
    there = People("learnable", 42, 500, START + 2 * SECOND).rows(1000, 1001, ["salario"])
    later = People("learnable", 42, 250, START + 300 * SECOND).rows(1000, 1001, ["salario"])
    assert here == there
    assert here.column("salario") != later.column("salario")


def test_salaries_of_a_year_later_are_still_of_the_same_size() -> None:
    year = 365 * 24 * 3600 * SECOND
    now, then = (
        People("learnable", 42, 250, START + later).rows(0, 20_000, ["salario"]).to_pandas()
        for later in (0, year)
    )
    assert 0.8 < then.salario.mean() / now.salario.mean() < 1.25


# What is refused


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "orignal"}, "people 'orignal': must be learnable, original or classes"),
        ({"rate": 0}, "rate 0: must be above 0 and at most 1e9 rows a second"),
        ({"rate": -1.5}, "rate -1.5: must be above 0 and at most 1e9 rows a second"),
        ({"rate": math.nan}, "rate nan: must be above 0 and at most 1e9 rows a second"),
        ({"rate": math.inf}, "rate inf: must be above 0 and at most 1e9 rows a second"),
        ({"disorder": -1}, "disorder -1: must be 0 microseconds or more"),
    ],
)
def test_settings_out_of_range_are_refused_in_one_clear_line(
    wrong: dict[str, Any], message: str
) -> None:
    right: dict[str, Any] = {"kind": "original", "seed": 0, "rate": 250, "start": 0}
    with pytest.raises(UserError) as caught:
        People(**{**right, **wrong})
    assert str(caught.value) == message


def test_a_column_that_people_do_not_have_is_named() -> None:
    with pytest.raises(UserError, match="column 'altura': people have nome, idade, salario"):
        people().rows(0, 1, ["idade", "altura"])
