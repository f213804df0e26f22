"""The benchmark's own arithmetic: added work, ratios, limits, and what has fallen."""

from __future__ import annotations

import io
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from typing_extensions import override

from benchmarks import class_loop, class_rates, data
from benchmarks.__main__ import fallen, unheld
from benchmarks.contenders import Job, Loop, Peer, Work
from benchmarks.contest import Contest, Entry, entries, times
from benchmarks.growth import Shape
from benchmarks.growth import points as growth_points
from benchmarks.loop import windows
from benchmarks.measure import Measured, Pair, run
from benchmarks.reading import SCHEMA as READING
from benchmarks.reading import Rate, is_held, rate, read_all, write
from benchmarks.showing import figures, picture, table
from benchmarks.startup import measure
from reading import plan

WORK = Work("ridge", 100, 1_000, 5_000)


def took(seconds: float, peak: int = 1 << 30) -> Measured:
    return Measured(seconds, seconds, peak, "")


def entry(contender: Loop | Job | Peer, large: float, share: float | None = None) -> Entry:
    """A contender that took a second for the small file and so many for the large one."""
    made = Entry(contender, WORK, share, [Pair(took(1.0), took(large))])
    made.ratios.append(made.rates[0] / 4_000)  # the loop takes two seconds
    return made


MEASURED = [
    entry(Loop(), 2.0),
    Entry(Loop(), WORK._replace(learner="forest")),
    entry(Job("direct"), 3.0, share=0.5),
    entry(Peer("Bytewax"), 11.0),
]


def test_what_the_large_file_takes_more_is_the_added_work() -> None:
    pair = Pair(took(3.0), took(5.0))
    assert pair.rate(4_000) == 2_000
    assert pair.startup(1_000, 5_000) == 2.5


def test_added_work_that_noise_hid_is_refused() -> None:
    with pytest.raises(RuntimeError, match="noise hid the added work of 4,000 rows"):
        Pair(took(3.0), took(3.0)).rate(4_000)


def test_a_share_that_is_reached_is_held_and_one_that_is_not_is_reported() -> None:
    assert unheld(MEASURED) == []
    slow = [*MEASURED[:2], entry(Job("direct"), 3.1, share=0.5)]
    assert unheld(slow) == ["ridge: Correnteza, direct: 0.48 of the loop"]


def test_the_job_is_set_beside_each_peer() -> None:
    assert times(MEASURED) == [("ridge", "Bytewax", 5.0, 4.0)]
    near = [*MEASURED[:3], entry(Peer("Bytewax"), 5.0)]
    assert unheld(near) == ["ridge: 2 times Bytewax, not 4"]


def test_memory_beyond_four_gib_is_reported() -> None:
    large = entry(Job("direct"), 3.0)
    large.pairs[0] = Pair(took(1.0), took(3.0, peak=5 << 30))
    assert unheld([*MEASURED[:2], large]) == ["the embedded runner held 5.0 GiB"]


def test_a_ratio_that_fell_by_more_than_a_third_of_the_recorded_one_is_reported() -> None:
    some = MEASURED[:3]
    recorded = {"entries": [{"learner": "ridge", "name": "Correnteza, direct", "ratios": [0.74]}]}
    assert fallen(some, recorded) == []
    recorded["entries"][0]["ratios"] = [0.9, 0.76, 0.5]
    assert fallen(some, recorded) == ["ridge: Correnteza, direct: 0.50 of the loop, it was 0.76"]


def test_names_choose_and_the_loops_are_always_there() -> None:
    chosen = entries(WORK, WORK, ["foreachbatch", "prism"])
    assert {one.contender.name for one in chosen[2:]} == {"Correnteza, prism", "Spark foreachBatch"}
    assert [one.contender.name for one in chosen[:2]] == ["plain loop", "plain loop"]


def test_a_repetition_measures_the_loop_and_the_job_and_compares_what_they_did(
    tmp_path: Path,
) -> None:
    some = [
        Entry(Loop(), Work("ridge", 10_000, 30_000, 900_000)),
        Entry(Loop(), Work("forest", 1_000, 2_000, 12_000)),
    ]
    said: list[str] = []
    Contest(some, tmp_path, said.append).repeat(0)
    assert [one.ratios for one in some] == [[1.0], [1.0]]
    assert len(said) == 2 and said[0].startswith("ridge: plain loop: ")


class Paced(Loop):
    """Takes a second for a thousand rows, and two after four turns, as the machine slows down."""

    def __init__(self, called: str, turns: list[tuple[str, int]]) -> None:
        self.called = called
        self.turns = turns

    @override
    def run(self, work: Work, file: Path, folder: Path) -> Measured:
        rows = pq.read_metadata(file).num_rows
        self.turns.append((self.called, rows))
        pace = 1_000 if len(self.turns) <= 4 else 500
        return Measured(rows / pace, 0.0, 0, "[1.0]")


def test_who_takes_the_loops_windows_is_measured_by_a_loop_beside_it(tmp_path: Path) -> None:
    turns: list[tuple[str, int]] = []
    alike, other = Work("ridge", 10, 20, 60), Work("ridge", 5, 20, 40)
    loops = [
        Entry(Paced("loop", turns), alike),
        Entry(Paced("idle", []), Work("forest", *alike[1:])),
    ]
    job, peer = Entry(Paced("job", turns), alike), Entry(Paced("peer", turns), other)
    Contest([*loops, job, peer], tmp_path, lambda _: None).repeat(0)
    beside = [("loop", 20), ("job", 20), ("job", 60), ("loop", 60)]
    assert turns == [("loop", 20), ("loop", 60), *beside, ("peer", 20), ("peer", 40)]
    assert loops[0].rates[-1] == job.rates[0] * job.ratios[0] ** -1
    assert loops[0].rates == pytest.approx([1_000, 400])  # the second one beside the job
    assert (job.ratios, peer.ratios) == (pytest.approx([1.0]), pytest.approx([1.25]))
    assert [len(one.pairs) for one in (*loops, job, peer)] == [2, 1, 1, 1]


def test_a_process_that_fails_is_reported_with_its_output() -> None:
    with pytest.raises(RuntimeError, match=r"failed \(3\):\nno luck"):
        run(["-c", "print('no luck'); raise SystemExit(3)"])


def test_table_json_and_picture_have_every_contender() -> None:
    measured = [MEASURED[0], *MEASURED[2:]]
    shown = io.StringIO()
    Console(width=160, file=shown).print(table(measured))
    drawn = picture(measured)
    for name in ("plain loop", "Correnteza, direct", "Bytewax"):
        assert name in shown.getvalue()
        assert name in drawn
        assert name in [one["name"] for one in figures(measured)["entries"]]
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    assert picture(measured) == drawn


def test_a_shape_has_as_many_windows_as_it_shows(tmp_path: Path) -> None:
    shape = Shape(rows=5_000, windows=100, columns=3, categories=7)
    shape.write(tmp_path / "f.parquet", shape.rows)
    table = pq.read_table(tmp_path / "f.parquet")
    seconds = table["time"].cast("int64").to_numpy() // 1_000_000
    assert table.num_rows == 5_000
    assert len(np.unique(seconds // shape.seconds)) == 100
    assert len(table["c"].unique()) == 7
    assert 'numeric = ["x0", "x1", "x2"]\ncategorical = ["c"]' in shape.schema


def test_rows_grow_a_thousandfold_on_each_runner_in_windows_of_the_same_size() -> None:
    points = [p for p in growth_points(["direct", "flink"]) if p.curve == "rows"]
    for runner in ("direct", "flink"):
        rows = [p.shape.rows for p in points if p.runner == runner]
        assert max(rows) == 1_000 * min(rows) == 100_000_000
    assert {p.shape.rows // p.shape.windows for p in points if p.value > 100_000} == {100_000}


def test_the_plain_loop_cuts_windows_by_event_time(tmp_path: Path) -> None:
    data.write(tmp_path / "f.parquet", 2_500)
    assert [len(one.target) for one in windows(str(tmp_path / "f.parquet"), 1_000)] == [
        *(1_000, 1_000, 500)
    ]


@pytest.mark.slow
def test_a_start_is_measured_to_the_first_batch(tmp_path: Path) -> None:
    file, schema = tmp_path / "rows.parquet", tmp_path / "schema.toml"
    data.write(file, 20_000)
    schema.write_text(data.SCHEMA, encoding="utf-8")
    words = ["--input", str(file), "--schema", str(schema), "--learner", "ridge"]
    began = time.perf_counter()
    start = measure(*words, "--output", str(tmp_path / "run"))
    assert 0 < start.seconds < time.perf_counter() - began and start.cpu > 0
    assert not list((tmp_path / "run" / "metrics").glob("*"))


def test_reading_is_held_to_a_third_of_polars() -> None:
    found = {"Correnteza": Rate(100.0, 1.0), "Polars": Rate(300.0, 9.0)}
    assert is_held(found)
    assert not is_held(found | {"Polars": Rate(301.0, 1.0)})
    assert is_held({"Correnteza": Rate(1.0, 1.0)})


def test_reading_that_lost_a_row_is_no_measurement() -> None:
    seen = [{"rows": 10.0, "cores": 2.0, "clock": 4.0}, {"rows": 10.0, "cores": 5.0, "clock": 5.0}]
    assert rate([*seen, seen[0]], 10) == Rate(5.0, 2.5)
    with pytest.raises(RuntimeError, match="not all of the 11 rows"):
        rate(seen, 11)


def test_the_files_that_are_read_hold_the_same_rows(tmp_path: Path) -> None:
    for path in write(tmp_path, 50):
        assert read_all(plan(str(path), READING)) == 50


def test_the_shares_of_classes_are_of_added_work_and_the_limit_is_for_the_job_without_a_trial() -> (
    None
):
    loop, without, trial = class_rates.SIDES
    pairs = {
        loop: [Pair(took(1.0), took(10.0))],
        without: [Pair(took(4.0), took(14.0))],
        trial: [Pair(took(4.0), took(16.0))],
    }
    compared = class_rates.Compared("forest", pairs)
    assert [compared.cpu_shares(side) for side in (without, trial)] == [[0.9], [0.75]]
    assert compared.held
    assert not class_rates.Compared("forest", {**pairs, without: pairs[trial]}).held


def test_the_plain_loop_of_classes_takes_the_log_loss_of_each_window_but_the_first(
    tmp_path: Path,
) -> None:
    class_rates.write(tmp_path / "rows.parquet", 3_000, 3, text=True)
    found = list(windows(str(tmp_path / "rows.parquet"), 1_000))
    losses = class_loop.loop(found, "logistic", tmp_path)
    assert set(found[0].target) == {"class 0", "class 1", "class 2"}
    assert len(losses) == 2 and all(0 < loss < np.log(3) for loss in losses)
    assert len(list(tmp_path.glob("*.joblib"))) == 3
