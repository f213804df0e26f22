"""Settings: defaults, durations, times, and what does not go together."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from model.asof import Cadence
from model.errors import UserError
from model.people import SCHEMA as PEOPLE
from pipeline.settings import Settings, divisors, micros_of, option, settings_from
from tests.kit.job import make_settings

FILES = {"input": "a.csv", "schema_file": "s.toml"}
DEFAULTS: dict[str, Any] = {
    "runner": "direct",
    "on_interrupt": "cancel",
    "shared": False,
    "output": None,
    "resume": False,
    "overwrite": False,
    "people": "learnable",
    "input": None,
    "schema_file": None,
    "window": 60,
    "refresh": 60,
    "serve_window": 60,
    "refresh_count": 12,
    "live": False,
    "rate": 250,
    "learner": "forest",
    "learner_param": {},
    "source_param": {},
    "predictions": "parquet",
    "disorder": 0,
    "people_delay": None,
    "max_rejected": 0.5,
    "sample_rows": 1_000_000,
    "min_rows": None,
    "strict": False,
    "batch_rows": 10_000,
    "shards": 4,
    "offset": None,
    "lag": 1,
    "keep": 3,
    "drift_psi": 0.25,
    "drift_shift": 0.5,
    "alert_run_length": 1000.0,
    "webhook": None,
    "gate": "auto",
    "labels": None,
    "kafka_config": None,
    "until": None,
    "idle": 30,
    "replay": None,
    "seed": 42,
}


ADDRESSES = [
    *("ftp://h/x", "h", "http://", "http:///x", "http://a:b@h/", "http://h:99999/", "http://h:0/"),
    *("http://[h/", "http://h/ x", "http://h/\n", "http://é/", "", 7, True),
]
"""What is not an address of a webhook."""


def refusal(**values: Any) -> str:
    with pytest.raises(UserError) as raised:
        settings_from(values)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_each_default_is_that_of_the_design(name: str, value: object) -> None:
    assert getattr(make_settings(), name) == value


def test_every_option_is_known_to_these_tests() -> None:
    derived = {
        "refresh": "every",
        "serve_window": "latency",
        "refresh_count": "refreshes",
    }
    known = {derived.get(name, name) for name in DEFAULTS}
    assert set(Settings.model_fields) == known | {"source", "start", "latest"}


def test_files_are_the_source_where_an_input_is_given_and_are_all_read() -> None:
    assert not make_settings().reads_files
    assert make_settings(**FILES).reads_files
    assert make_settings(**FILES).refresh_count == 0
    assert make_settings(**FILES, refreshes=5).refresh_count == 5


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("90s", 90), ("5m", 300), ("1h", 3600), ("1d", 86_400), (7, 7), ("007", 7)],
)
def test_a_duration_is_whole_seconds_minutes_hours_or_days(text: object, seconds: int) -> None:
    assert settings_from({"window": text}).window == seconds


@pytest.mark.parametrize(
    "value", ["0", "-60", "1w", "5 m", "1.5", "1.5m", "", "m", "60sm", "1e3", 1.5, True, None, []]
)
def test_what_is_no_duration_is_refused_by_name_and_value(value: object) -> None:
    message = refusal(window=value)
    assert message.startswith(f"--window {value}: ")
    assert "60, 90s, 5m, 1h, 1d" in message or "must be >= 1" in message


@pytest.mark.parametrize("option", ["every", "latency"])
def test_no_time_may_be_zero_but_disorder(option: str) -> None:
    assert refusal(**{option: "0"}).startswith(f"--{option} 0: ")
    assert settings_from({"disorder": "0"}).disorder == 0


@pytest.mark.parametrize("option", ["window", "every", "latency", "disorder"])
def test_no_time_may_be_longer_than_a_hundred_years(option: str) -> None:
    assert refusal(**{option: "99999999999d"}).startswith(f"--{option} 99999999999d: ")


@pytest.mark.parametrize(
    ("values", "argv"),
    [
        ({"rate": 0}, ["--rate 0: must be > 0"]),
        ({"rate": "nan"}, ["--rate nan", "finite"]),
        ({"rate": "inf"}, ["--rate inf", "finite"]),
        ({"rate": "quick"}, ["--rate quick", "number"]),
        ({"lag": 0}, ["--lag 0: must be >= 1"]),
        ({"keep": -1}, ["--keep -1: must be >= 0"]),
        *(
            ({name: value}, [f"{option(name)} {value}", "must be a number > 0, or none"])
            for name in ("drift_psi", "drift_shift")
            for value in (0, -1, "nan", "inf", "much", True)
        ),
        *(
            ({"webhook": value}, ["--webhook (hidden): must be an http:// or https:// address"])
            for value in ADDRESSES
        ),
        ({"seed": 2**32}, ["--seed 4294967296", "must be < 4294967296"]),
        ({"shards": 0}, ["--shards 0"]),
        ({"batch_rows": 0}, ["--batch-rows 0"]),
        ({"sample_rows": "many"}, ["--sample-rows many: must be a whole number"]),
        ({"refreshes": -1}, ["--refreshes -1", "must be >= 0"]),
        ({"runner": "spark"}, ["--runner spark", "'direct', 'prism', 'flink' or 'dataflow'"]),
        (
            {"source": "pubsub"},
            ["--source pubsub", "must be people, files, kafka, or package.module:factory"],
        ),
        ({"source": "kafka"}, ["--source kafka needs --input kafka://HOST:PORT/TOPIC"]),
        ({"input": "kafka://localhost/t", "schema_file": "s.toml"}, ["kafka://localhost/t: must"]),
        ({"input": "kafka://h:9/t"}, ["needs --schema, a TOML file"]),
        ({"input": "kafka://u:secret@h:9/t", "schema_file": "s.toml"}, ["--kafka-config"]),
        ({"people": "me"}, ["--people me", "'learnable', 'original' or 'classes'"]),
        ({"predictions": "csv"}, ["--predictions csv", "'parquet' or 'none'"]),
        ({"output": ""}, ["--output", "must not be empty"]),
        ({"start": "soon"}, ["--start soon", "ISO 8601"]),
        ({"start": "0001-01-01T00:00:00+01:00"}, ["--start", "years 2 to 9900"]),
        ({"start": "9999-12-31T00:00:00Z"}, ["--start", "years 2 to 9900"]),
        (
            {"window": 90, "every": 60},
            ["--window 90s", "multiple of --every 60s: must be"],
        ),
        ({"window": 60, "every": 90}, ["--window 60s", "multiple of --every 90s"]),
        ({"every": 60, "latency": 7}, ["--latency 7s", "--every 60s", "3s, 4s, 5s, 6s, 10s"]),
        ({"latency": "350ms"}, ["--latency 350ms does not", "240ms, 250ms, 300ms, 375ms, 400ms"]),
        (
            {"window": "1h", "latency": "100ms"},
            ["--latency 100ms", "36,000 serve windows: must be <= 3,600, as with --latency 1s"],
        ),
        *(
            ({"latency": value}, [f"--latency {value}: must be a duration, as 100ms"])
            for value in ("0.5ms", "1e3ms", "-1ms", "ms", 0.0001, float("nan"), True)
        ),
        ({"latency": "0ms"}, ["--latency 0ms", "must be >= 0.001"]),
        ({"latency": 120}, ["--latency 120s", "does not divide", "--every 60s"]),
        (
            {"window": "1d", "latency": 1},
            ["--latency 1s", "--every 86400s", "86,400 serve windows: must be <= 3,600", "24s"],
        ),
        ({"resume": True, "overwrite": True, "output": "a"}, ["--resume and --overwrite"]),
        ({"resume": True}, ["--resume", "--output FOLDER"]),
        ({"overwrite": True}, ["--overwrite", "--output FOLDER"]),
        ({"source": "files"}, ["--source files", "--input"]),
        ({"input": "a.csv"}, ["--schema"]),
        ({"source": "people", **FILES}, ["--input", "--source files"]),
        ({**FILES, "live": True}, ["--live", "--source people"]),
        ({**FILES, "start": "2026-01-01"}, ["--start", "--source people"]),
        ({"colour": "red"}, ["--colour red: is not an option"]),
        ({"rate": 0, "lag": 0}, ["--rate 0", "--lag 0"]),
    ],
)
def test_a_bad_value_names_the_option_the_value_and_what_is_allowed(
    values: dict[str, Any], argv: list[str]
) -> None:
    message = refusal(**values)
    assert [word for word in argv if word not in message] == []


@examples(max_examples=50, deadline=None)
@given(st.sampled_from([millis for millis in divisors(60_000) if millis >= 17]))
def test_a_latency_of_milliseconds_is_exact_and_kept_as_seconds(millis: int) -> None:
    settings = make_settings(latency=f"{millis}ms")
    assert settings.cadence.latency == millis * 1000
    kept = json.loads(json.dumps(settings.resolved["latency"]))
    assert kept * 1000 == millis and isinstance(kept, int) == (millis % 1000 == 0)
    assert make_settings(latency=kept).cadence == settings.cadence


@pytest.mark.parametrize(
    ("name", "runner"),
    [
        ("direct", "direct"),
        ("DirectRunner", "direct"),
        ("FnApiRunner", "direct"),
        ("PrismRunner", "prism"),
        ("FlinkRunner", "flink"),
        ("DataflowRunner", "dataflow"),
    ],
)
def test_beams_class_names_are_runners_too(name: str, runner: str) -> None:
    assert settings_from({"runner": name}).runner == runner


def test_a_refresh_is_a_window_and_a_serve_window_is_a_refresh_unless_set() -> None:
    assert (make_settings(window=300).refresh, make_settings(window=300).serve_window) == (300, 300)
    assert make_settings(window=300, every=60).serve_window == 60
    cut = make_settings(window="3m", every="1m", latency="20s", lag=2)
    assert cut.cadence == Cadence(window=180_000_000, every=60_000_000, latency=20_000_000, lag=2)


@examples(max_examples=50, deadline=None)
@given(st.integers(1, 200_000))
def test_a_live_serve_window_is_a_second_or_the_600th_part_of_a_refresh(every: int) -> None:
    result = make_settings(live=True, window=every).serve_window
    assert result == min(d for d in range(1, every + 1) if every % d == 0 and every / d <= 600)
    assert make_settings(live=True, window=600, latency=60).serve_window == 60


@examples(max_examples=50, deadline=None)
@given(st.integers(1, 5000))
def test_divisors_are_all_that_leave_no_rest(number: int) -> None:
    assert divisors(number) == [d for d in range(1, number + 1) if number % d == 0]


@examples(max_examples=50, deadline=None)
@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    st.integers(-23, 23).map(lambda hours: timezone(timedelta(hours=hours))),
)
def test_a_start_is_the_same_moment_in_every_zone(at: datetime, zone: timezone) -> None:
    aware = at.replace(tzinfo=zone)
    start = settings_from({"start": aware.isoformat()}).start
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    assert micros_of(start) == (aware - epoch) // timedelta(microseconds=1)
    assert start is not None and start.endswith("Z")


def test_a_start_without_a_zone_is_utc_and_none_is_the_default() -> None:
    assert settings_from({"start": "2026-05-01"}).start == "2026-05-01T00:00:00Z"
    new_year = datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp()
    assert micros_of(None) == new_year * 1_000_000


@pytest.mark.parametrize("name", ["drift_psi", "drift_shift"])
def test_a_threshold_is_a_number_or_none(name: str) -> None:
    given = ("0.1", 3, "none", None)
    assert [getattr(make_settings(**{name: value}), name) for value in given] == [
        0.1,
        3.0,
        None,
        None,
    ]


def test_people_have_their_own_schema() -> None:
    assert make_settings().row_schema == PEOPLE


def test_labels_of_people_need_to_come_later_and_to_be_asked_for() -> None:
    apart = settings_from({"labels": "people", "people_delay": "0..5m"}).row_schema
    assert apart.labels is not None and apart.id == apart.labels.id == "pessoa"
    assert (apart.wait, apart.label_time) == (300, None)
    for values, message in {
        ("people", None): "--labels people: needs --people-delay",
        ("x.csv", "0..5m"): "with people it needs --people-delay and --labels people",
        ("x.csv", None): "--labels: the schema has no [labels]",
    }.items():
        labels, delay = values
        with pytest.raises(UserError, match=re.escape(message)):
            assert settings_from({"labels": labels, "people_delay": delay}).row_schema
