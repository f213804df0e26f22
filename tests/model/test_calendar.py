"""Calendar features: the values of pandas' ``dt`` in the schema's zone, by whatever door."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.artefact import Artefact
from model.batch import Key, Tag, column, concat, with_tag
from model.calendar import derive
from model.encoder import Encoder
from model.errors import UserError
from model.features import CYCLIC, PERIODS, calendar_features
from model.rows import from_dicts
from model.schema import Features, ScoringSchema, schema_of
from model.statistics import Statistics
from model.validation import Reject, validate
from reading import plan, read

ZONES = ["America/Sao_Paulo", "Australia/Lord_Howe", "Europe/Berlin", "Asia/Kathmandu", "UTC"]
ALL = (*PERIODS, *(part + CYCLIC for part in PERIODS))
SCHEMA = schema_of(
    {
        **{"name": "s", "time": "t", "target": "y", "time_zone": "America/Sao_Paulo"},
        "features": {"calendar": {"t": ["hour"], "sold": ["weekday", "day_of_year:cyclic"]}},
    },
    "test",
)
LEAST = int(np.datetime64("0001-01-01", "us").astype(np.int64))
GREATEST = int(np.datetime64("9999-12-31T23:59:59.999999", "us").astype(np.int64))


def by_pandas(times: pd.Series) -> dict[str, list[float]]:
    """The parts of local times."""
    dt = times.dt
    parts = {
        "hour": dt.hour,
        "minute_of_day": dt.hour * 60 + dt.minute,
        "weekday": dt.weekday,
        "month": dt.month,
        "day_of_year": dt.dayofyear,
    }
    return {name: values.astype(float).tolist() for name, values in parts.items()}


def check_all(micros: list[int], zone: str) -> None:
    times = pa.array(micros).cast(pa.timestamp("us", "UTC"))
    local = pd.Series(times.to_pandas()).astype("datetime64[us, UTC]").dt.tz_convert(ZoneInfo(zone))
    wanted = by_pandas(local)
    features = calendar_features("t", ALL)
    for feature, found in zip(features, derive(times, features, zone), strict=True):
        values = wanted[feature.part]
        if feature.wave:
            wave = getattr(math, feature.wave)
            values = [wave(math.tau * value / PERIODS[feature.part]) for value in values]
        assert found.tolist() == values, feature


@given(st.lists(st.integers(LEAST, GREATEST), min_size=1, max_size=20), st.sampled_from(ZONES))
def test_every_part_is_that_of_pandas_in_the_zone(micros: list[int], zone: str) -> None:
    inner = [
        min(max(each, LEAST + 2 * 86_400_000_000), GREATEST - 86_400_000_000) for each in micros
    ]
    check_all(inner, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_no_minute_around_a_clock_change_is_another_than_pandas_has(zone: str) -> None:
    minute = 60_000_000
    for day in ("1914-01-01", "2018-02-18", "2018-11-04", "2024-03-31", "2024-10-27", "2024-04-07"):
        start = int(np.datetime64(day, "us").astype(np.int64)) - 720 * minute
        check_all([start + n * 7 * minute for n in range(300)], zone)


@pytest.mark.parametrize(
    ("micros", "zone", "wanted"),
    [
        (LEAST, "UTC", [0, 0, 0, 1, 1]),  # a Monday
        (GREATEST, "UTC", [23, 1439, 4, 12, 365]),
        (LEAST, "America/New_York", [19, 19 * 60 + 3, 6, 12, 366]),  # in the year 0, a leap year
        (GREATEST, "Asia/Tokyo", [8, 539, 5, 1, 1]),
        (-1, "UTC", [23, 1439, 2, 12, 365]),
    ],
)
def test_the_edges_of_what_a_time_may_be_have_parts_too(
    micros: int, zone: str, wanted: list[int]
) -> None:
    times = pa.array([micros]).cast(pa.timestamp("us", "UTC"))
    found = derive(times, calendar_features("t", tuple(PERIODS)), zone)
    assert [values.item() for values in found] == wanted


TIMES = [  # either side of the ends of summers in Sao Paulo and of a day; a null
    datetime(2018, 2, 18, 1, 30, tzinfo=timezone.utc),
    datetime(2018, 2, 18, 2, 30, tzinfo=timezone.utc),
    datetime(2018, 11, 4, 3, 0, 0, 1, tzinfo=timezone.utc),
    None,
]
ROWS: list[dict[str, Any]] = [
    {"t": datetime(2024, 1, 1, hour, 59, tzinfo=timezone.utc), "y": 1.0, "sold": sold}
    for hour, sold in zip((2, 3, 12, 23), TIMES, strict=True)
]


def as_text(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in r.items()} for r in rows
    ]


def write_csv(path: Path) -> None:
    pd.DataFrame(as_text(ROWS)).to_csv(path / "a.csv", index=False)


def write_null_words(path: Path) -> None:
    pd.DataFrame(as_text(ROWS)).fillna("NA").to_csv(path / "a.csv", index=False)


def write_ndjson(path: Path) -> None:
    text = "\n".join(json.dumps(row) for row in as_text(ROWS))
    (path / "a.ndjson").write_text(text)


def write_parquet(path: Path) -> None:
    types = [("t", pa.timestamp("ns", "UTC")), ("y", pa.float64()), ("sold", pa.timestamp("us"))]
    naive = pd.DataFrame(ROWS)
    naive["sold"] = naive.sold.dt.tz_convert("America/Sao_Paulo").dt.tz_localize(None)
    table = pa.Table.from_pandas(naive, pa.schema(types), preserve_index=False)
    pq.write_table(table, path / "a.parquet", coerce_timestamps="us")


def write_dates_dayfirst(path: Path) -> None:
    """How times are written is guessed by the time's column."""
    local = pd.DataFrame(ROWS).drop(columns="y")
    for name in local:
        zoned = local[name].dt.tz_convert("America/Sao_Paulo")
        local[name] = zoned.dt.strftime("%d/%m/%Y %H:%M:%S.%f")
    local.loc[0, "t"] = "31/12/2023 23:59:00"  # which no month is
    local.assign(y=1.0).to_csv(path / "a.csv", index=False)


def accepted_of(path: Path, **more: Any) -> tuple[pa.RecordBatch, list[Reject]]:
    schema = SCHEMA.model_copy(update=more)
    planned = plan(str(path / "a.*"), schema)
    raw = concat([b for c in planned.chunks for b in read(planned.files[0], c, schema, 100)])
    return validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "a", 2)), schema)


def expected() -> dict[str, list[float]]:
    frame = pd.DataFrame(ROWS)
    local = {name: frame[name].dt.tz_convert("America/Sao_Paulo") for name in ("t", "sold")}
    sold = by_pandas(local["sold"])
    angles = [math.tau * value / 365.25 for value in sold["day_of_year"]]
    return {
        "t_hour": by_pandas(local["t"])["hour"],
        "sold_weekday": sold["weekday"],
        "sold_day_of_year_sin": [math.sin(angle) for angle in angles],
        "sold_day_of_year_cos": [math.cos(angle) for angle in angles],
    }


@pytest.mark.parametrize(
    "write", [write_csv, write_null_words, write_ndjson, write_parquet, write_dates_dayfirst]
)
def test_a_row_has_the_same_features_in_every_format(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    write(tmp_path)
    accepted, rejects = accepted_of(tmp_path)
    assert rejects == []
    assert accepted.schema.names[3:] == ["y", *SCHEMA.numeric]
    wanted = expected()
    if write is write_dates_dayfirst:  # the first row stands an hour earlier there
        wanted["t_hour"][0] = 23.0
    for name, values in wanted.items():
        np.testing.assert_array_equal(column(accepted, name), values, err_msg=name)


def test_rows_and_columns_of_a_process_have_the_same_features_as_files() -> None:
    raw = from_dicts(ROWS, np.arange(4), SCHEMA)
    accepted, _ = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "a", 2)), SCHEMA)
    encoder = Encoder(SCHEMA.numeric, np.zeros(4), np.ones(4), {})
    artefact = Artefact(SCHEMA, Statistics(columns={}), encoder, None)
    frame = pd.DataFrame(ROWS)
    doors = [
        artefact._features({name: frame[name] for name in ("t", "sold")}),
        artefact._features({name: frame[name].tolist() for name in ("t", "sold")}),
        artefact._features({name: [r[name] for r in as_text(ROWS)] for name in ("t", "sold")}),
        artefact._features({name: pa.chunked_array([frame[name]]) for name in ("t", "sold")}),
        artefact._features(expected()),
    ]
    for name, values in expected().items():
        for batch in (accepted, *doors):
            np.testing.assert_array_equal(column(batch, name), values, err_msg=name)
    with pytest.raises(ValueError, match=r"column 'sold': 'soon': must be ISO 8601 .*, or null"):
        artefact._features({"t": ["2024-01-01"], "sold": ["soon"]})


def test_rows_that_are_only_predicted_need_the_time_that_features_come_from(
    tmp_path: Path,
) -> None:
    schema = ScoringSchema.of(SCHEMA)
    assert schema.columns == schema.inputs == ("t", "sold")
    (tmp_path / "a.csv").write_text("t,sold\n2024-01-01T12:00Z,\n,2024-01-01\n")
    planned = plan(str(tmp_path / "a.csv"), schema)
    [raw] = read(planned.files[0], planned.chunks[0], schema, 100)
    raw = raw.append_column("y", pa.nulls(2, pa.float64()))
    accepted, [reject] = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "a.csv", 2)), schema)
    assert column(accepted, "t_hour").tolist() == [9.0]
    assert reject.reason.startswith("column 't' (the time): ''")


def test_a_time_that_cannot_be_read_is_a_reject_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "t,y,sold\n2024-01-01,1,soon\n2024-01-02,1,\n2024-01-03,1,2018-11-04T00:30\n"
    )
    accepted, rejects = accepted_of(tmp_path)
    assert accepted.num_rows == 1  # the clocks of Sao Paulo skip the third row's hour
    assert [reject.where.rpartition(":")[2] for reject in rejects] == ["2", "4"]
    assert rejects[0].reason == (
        "column 'sold': 'soon': must be ISO 8601 text, epoch seconds or a timestamp, in the years "
        "1 to 9999, or null"
    )


def test_a_column_whose_type_holds_no_times_is_refused_before_the_run(tmp_path: Path) -> None:
    table = pa.table({"t": ["2024-01-01"], "y": [1.0], "sold": [[1]]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"column 'sold' is of type list<.*>: must be ISO 8601"):
        plan(str(tmp_path / "a.parquet"), SCHEMA)


def test_what_is_kept_of_a_source_is_its_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("t,y,sold\n2024-01-01,1,2024-01-02 03:04\n2024-01-02,1,\n")
    accepted, _ = accepted_of(tmp_path, keep=("sold",))
    assert accepted.column("sold").to_pylist() == ["2024-01-02 03:04", None]
    assert column(accepted, "sold_weekday")[0] == 1.0


def test_a_folder_may_name_the_column_of_times(tmp_path: Path) -> None:
    (tmp_path / "sold=2024-07-15").mkdir()
    (tmp_path / "sold=2024-07-15" / "a.csv").write_text("t,y\n2024-01-01,1\n")
    planned = plan(str(tmp_path / "*" / "a.csv"), SCHEMA)
    [raw] = read(planned.files[0], planned.chunks[0], SCHEMA, 100)
    accepted, rejects = validate(with_tag(raw, Tag(Key(0, 0, 0), 0, "a", 2)), SCHEMA)
    assert rejects == []
    assert column(accepted, "sold_weekday").tolist() == [0.0]


def test_a_schema_says_which_columns_follow_the_calendar() -> None:
    assert SCHEMA.calendar_columns == (
        *("t_hour", "sold_weekday"),
        *("sold_day_of_year_sin", "sold_day_of_year_cos"),
    )
    assert SCHEMA.numeric == SCHEMA.calendar_columns
    assert SCHEMA.columns == ("t", "y", "sold")
    assert type(SCHEMA).model_validate_json(SCHEMA.model_dump_json()) == SCHEMA
    assert hash(SCHEMA) == hash(SCHEMA.model_copy())
    plain = Features(numeric=("x",))
    assert plain.model_dump_json() == '{"numeric":["x"],"categorical":[]}'


@pytest.mark.parametrize(
    ("calendar", "more", "message"),
    [
        ({"t": ["hours"]}, {}, "'hours' is not part of the calendar: must be one of hour, minute"),
        ({"t": ["hour:sin"]}, {}, "'hour:sin' is not part of the calendar"),
        ({"t": "hour"}, {}, r"calendar.t: must be a list of parts, as departed = \[\"hour\""),
        ({"t": []}, {}, "features.calendar.t: must be a list of parts"),
        ({"t": ["hour", "hour"]}, {}, "'hour' is named twice: it must be named once"),
        (["t"], {}, "features.calendar: must be a table of columns with their parts"),
        ({"y": ["hour"]}, {}, "column 'y' has another role: must be the time"),
        ({"x": ["hour"]}, {}, "column 'x' has another role"),
        ({"k": ["hour"]}, {"label_time": "k", "wait": "1d"}, "'k' is not known when the question"),
        ({"t": ["hour"]}, {"keep": ["t_hour"]}, "'t_hour' is a calendar feature and a column"),
        ({"__t": ["hour"]}, {}, "must not begin with '__'"),
    ],
)
def test_what_no_calendar_is_is_refused_in_one_line(
    calendar: Any, more: dict[str, Any], message: str
) -> None:
    keys = {"name": "s", "time": "t", "target": "y", **more}
    with pytest.raises(UserError, match=message) as refused:
        schema_of({**keys, "features": {"numeric": ["x"], "calendar": calendar}}, "a.toml")
    assert "\n" not in str(refused.value)
