"""Upgrades: a running job's savepoint is found again by a changed program, or refused.

A runner keeps what it holds of a running job by the names of the steps, as bytes that the
steps' coders wrote. (Flink's goes by the full name of a GroupByKey, and for what runs between
two of them by the name of the PCollection that comes in, which is its step's.) So the names
of all steps stand in ``golden/steps.txt``, small values of each coder in ``golden/coders.json``
(by version; 0 is the time before there were any), and the planner, which Beam pickles, in
``golden/planner.json`` (by the day on which its form was new). After a change that is meant:

    python -m tests.pipeline.test_upgrade

writes them anew. It refuses to write other bytes under a version that stands there already.
"""

from __future__ import annotations

import json
import logging
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from difflib import unified_diff
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.io.unbounded_source import (
    _UnboundedSourceRestriction,
    _UnboundedSourceRestrictionCoder,
)
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms.window import IntervalWindow
from pyarrow.csv import read_csv

from model.answers import Outcome
from model.baselines import Chain, Link, Tally
from model.batch import Key, Tag
from model.block_sums import ARRAYS
from model.cohorts import CohortPart
from model.drift import Drift, Shift
from model.exact import Exact
from model.labels import Delays, LabelCounts
from model.manifest import Fit, Manifest, Reference, Window
from model.metrics import BaselineRows, Baselines, ErrorQuantiles, Metrics, Sums
from model.quantiles import Bins
from model.regression import RegressionSums, Spread
from model.runs import RunFolder
from model.skipped import Skipped
from model.statistics import Categorical
from pipeline.graph import build
from pipeline.source import file_source, people_source
from reading import Chunk, File, Plan
from tests.kit.job import GOOD, HEADER, SCHEMA, make_settings
from tests.kit.streams import MINUTE, row
from tests.kit.streams import SCHEMA as STREAM
from transforms.coders import (
    MetricsCoder,
    ModelReferenceCoder,
    PartCoder,
    RowReferenceCoder,
    SharesModelCoder,
    SummaryCoder,
    SumsCoder,
    TaggedCoder,
    WindowDataCoder,
    WorkItemCoder,
)
from transforms.elements import (
    AcceptedBatch,
    KeyedSums,
    ModelReference,
    PredictionRows,
    RowReference,
    SampleRows,
    ScoredBatch,
    SharesModel,
    Summary,
    WorkItem,
)
from transforms.sinks.predictions import prediction_rows
from transforms.sinks.samples import SampleFn
from transforms.sources.files import FileWork
from transforms.sources.people import PeopleWork
from transforms.sources.planner import Drain, Mark, MarkCoder, Planner
from transforms.sources.work_items import Extent
from transforms.statistics import BoundFn, CombineSummaries, summarize
from transforms.testing import accepted, batches
from transforms.versions import OtherVersion, describe_header, header

GOLDEN = Path(__file__).parent / "golden"
STEPS, BYTES, PLANNERS = (GOLDEN / name for name in ("steps.txt", "coders.json", "planner.json"))
COMMAND = "python -m tests.pipeline.test_upgrade"
NOW = date.today().isoformat()

# The graph, in some variants.

JOBS: dict[str, dict[str, Any]] = {
    "people": {},
    "files": {"source": "files", "input": "in.csv", "schema_file": "schema.toml"},
    "parquet": {"source": "files", "input": "in.parquet", "schema_file": "schema.toml"},
    "live": {"live": True, "runner": "flink"},
    "sliding": {"window": 120, "every": 60},
    "lag 2": {"lag": 2},
    "no predictions": {"predictions": "none"},
    "later labels": {"people_delay": "0s..90s"},
    "classes": {"people": "classes"},
}
"""What of the options changes the graph, and what might."""


@cache
def graph(job: str) -> tuple[Any, Any]:
    """A job's graph in Beam's portable form, and what reads the coders in it."""
    pipeline = beam.Pipeline("FnApiRunner")
    with tempfile.TemporaryDirectory() as home:
        options = dict(JOBS[job])
        Path(home, "in.csv").write_text(HEADER + GOOD)
        pq.write_table(read_csv(Path(home, "in.csv")), Path(home, "in.parquet"))
        Path(home, "schema.toml").write_text(SCHEMA)
        for name in {"input", "schema_file"} & set(options):
            options[name] = str(Path(home, options[name]))
        settings, folder = make_settings(**options), RunFolder("nowhere")
        if settings.reads_files:
            source, span = file_source(settings, folder, lambda line: None)
        else:
            source, span = people_source(settings, folder)
        build(pipeline, source, settings, folder, span)
    proto, context = pipeline.to_runner_api(return_context=True)
    return proto.components, context.coders


def steps(job: str) -> set[str]:
    """The full names of a job's steps."""
    transforms = graph(job)[0].transforms.values()
    return {step.unique_name for step in transforms if step.spec.urn or step.subtransforms} - {
        "ref_AppliedPTransform_AppliedPTransform_1"  # the whole
    }


def steps_text() -> str:
    """The names of all steps, by the jobs that have them."""
    having: dict[str, list[str]] = {}
    for job in JOBS:
        for name in steps(job):
            having.setdefault(name, []).append(job)
    lines = [f"# The names of all steps, by the jobs that have them. {COMMAND}"]
    by_jobs = sorted(having, key=lambda name: (-len(having[name]), having[name], name))
    for jobs, names in groupby(by_jobs, key=having.__getitem__):
        lines += ["", f"[{', '.join(jobs)}]", *names]
    return "\n".join(lines) + "\n"


def test_the_names_of_all_steps_are_those_of_the_list() -> None:
    listed, found = STEPS.read_text(), steps_text()
    drift = unified_diff(listed.splitlines(), found.splitlines(), "listed", "found", "", "", 0, "")
    assert listed == found, (
        "Steps have other names than the list.\n"
        + "\n".join(drift)
        + "\nA savepoint finds its state by these names: one of a job that runs now could not be "
        "started from with this program. Without need, take the old names. Else say in the "
        "release's notes that running jobs are drained, not stopped with a savepoint (and go on "
        f"with --resume), and write the list anew: {COMMAND}"
    )


@pytest.mark.parametrize("job", JOBS)
def test_no_step_is_named_after_a_line_of_ours(job: str) -> None:
    assert {name for name in steps(job) if ".py:" in name and "at core.py:" not in name} == set()


# The coders that Beam chooses.

OURS = {
    "MetricsCoder",
    "PartCoder",
    "ServeInputCoder",
    "SharesModelCoder",
    "SummaryCoder",
    "SumsCoder",
    "TaggedCoder",
    "WorkItemCoder",
    "WindowDataCoder",
}
PLAIN = {"VarIntCoder", "StrUtf8Coder", "PaneInfoCoder"}
"""Beam's own, whose formats are part of its portability standard, or of no content."""
WINDOW = "_OrderedUnionCoder"
"""What Beam's Reshuffle writes a window with: global windows and intervals have their standard
coders, others are pickled, and the job has no others."""


def leaves(coder: Any) -> set[str]:
    """The names of the coders that a coder is made of.

    One pickle is left out: the stamp that Beam's Reshuffle writes beside each element in the
    global window. It has no type that a coder could be registered for without changing Beam's.
    """
    parts = list(coder._get_component_coders())
    if [type(part).__name__ for part in parts[1:]] == ["NullableCoder", "PaneInfoCoder"]:
        assert set().union(*map(leaves, parts[1]._get_component_coders())) == {
            "FastPrimitivesCoder"
        }
        del parts[1]
    return set().union(*map(leaves, parts)) if parts else {type(coder).__name__}


def shuffled(job: str) -> dict[str, set[str]]:
    """The coders of what each GroupByKey takes in and each combiner accumulates, by its name."""
    parts, coders = graph(job)
    found = {}
    for step in parts.transforms.values():
        if step.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn:
            [taken] = step.inputs.values()
            coder = parts.pcollections[taken].coder_id
            found[step.unique_name] = leaves(coders.get_by_id(coder))
        elif step.spec.urn == common_urns.composites.COMBINE_PER_KEY.urn:
            coder = beam_runner_api_pb2.CombinePayload.FromString(
                step.spec.payload
            ).accumulator_coder_id
            found[f"{step.unique_name} (accumulator)"] = leaves(coders.get_by_id(coder))
    return found


@pytest.mark.parametrize("job", JOBS)
def test_nothing_that_is_shuffled_is_pickled(job: str) -> None:
    unknown = {name: found - OURS - PLAIN - {WINDOW} for name, found in shuffled(job).items()}
    assert {name: found for name, found in unknown.items() if found} == {}


def test_each_shuffle_writes_what_it_carries_by_its_own_coder() -> None:
    found = {name: coders & OURS for name, coders in shuffled("lag 2").items()}
    carried = {
        "Source/Spread/ReshufflePerKey/GroupByKey": {"WorkItemCoder"},
        "Windows/Combine/GroupByKey": {"SummaryCoder"},
        "Windows/Combine (accumulator)": {"SummaryCoder"},
        "Windows/Spread/ReshufflePerKey/GroupByKey": {"WindowDataCoder"},
        "HandOver/Meet/CoGroupByKeyImpl/GroupByKey": {"ServeInputCoder"},
        "Evaluate/Merge/GroupByKey": {"SumsCoder"},
        "Evaluate/Merge (accumulator)": {"SumsCoder"},
        "Evaluate/Past": {"SumsCoder"},
        "Settle/ReshufflePerKey/GroupByKey": {"MetricsCoder"},
        "Predictions/Group": {"TaggedCoder"},
        "Sample/Combine/GroupByKey": {"TaggedCoder"},
        "Sample/Combine (accumulator)": {"TaggedCoder"},
    }
    assert {name: found.get(name) for name in carried} == carried
    assert {name for name, coders in found.items() if coders} == set(carried)


@pytest.mark.parametrize("job", JOBS)
def test_only_the_planner_keeps_anything_beside_the_shuffles(job: str) -> None:
    keeping = set()
    for step in graph(job)[0].transforms.values():
        if step.spec.urn == common_urns.primitives.PAR_DO.urn:
            done = beam_runner_api_pb2.ParDoPayload.FromString(step.spec.payload)
            if done.restriction_coder_id or done.state_specs or done.timer_family_specs:
                keeping.add(step.unique_name)
    assert keeping == {"Source/Plan/ReadUnbounded"}


# The bytes.


def describe(batch: pa.RecordBatch) -> str:
    """A batch's columns, types and values (times in microseconds), and its metadata."""
    lines = []
    for field, column in zip(batch.schema, batch.columns, strict=True):
        stored = column.cast(pa.int64()) if pa.types.is_timestamp(field.type) else column
        lines.append(f"{field.name}: {field.type} {stored.to_pylist()}")
    metadata = batch.schema.metadata or {}
    return "\n".join([*lines, *(f"{k.decode()} = {v.decode()}" for k, v in metadata.items())])


def seen(element: Any) -> str:
    """An element's rows as ``described``, and what else it has, a line each."""
    window, tag = getattr(element, "window", None), getattr(element, "tag", None)
    statistics = getattr(element, "statistics", None)
    lines = [describe(element.rows)]
    lines += [] if tag is None else [str((tuple(tag.key), *tag[1:]))]
    lines += [] if statistics is None else [statistics.model_dump_json()]
    if isinstance(element, Summary):
        lines.append(repr([np.asarray(array).tolist() for array in element.sums[:ARRAYS]]))
        lines.append(repr(dict(element.sums.categories)))
    return "\n".join(lines if window is None else [*lines, str(tuple(window))])


def written_elements() -> dict[str, Any]:
    """An element of rows of each kind that is shuffled, as the job makes it of two rows."""
    rows = [row(0, 1.5, 2.0, "a"), row(0.25, None, None, None)]
    [batch] = accepted(batches(rows, STREAM, MINUTE), STREAM)
    summary = summarize(batch, STREAM)
    assert summary is not None
    whole = CombineSummaries(STREAM).extract_output([summary])
    [data] = BoundFn(None).process((0, whole), IntervalWindow(0, 60))
    scored = ScoredBatch(batch, None)
    [(_, sample)] = SampleFn(STREAM, "nowhere").process(scored)
    return {
        "accepted": batch,
        "summary": summary,
        "window": data,
        "predictions": prediction_rows(scored, STREAM),
        "sample": sample,
    }


TAG = "((0, 0, 0), 0, 'rows', 0)"
STATISTICS = (
    '{"columns":{"y":{"count":1,"nulls":0,"mean":1.5,"variance":0.0,"min":1.5,"max":1.5},'
    '"x":{"count":1,"nulls":0,"mean":2.0,"variance":0.0,"min":2.0,"max":2.0},'
    '"z":{"count":1,"nulls":0,"mean":1.0,"variance":0.0,"min":1.0,"max":1.0},'
    '"c":{"count":1,"nulls":0,"values":{"a":1}}}}'
)
SUMMED = (
    "[[0], [1.0], [[1.5], [2.0], [1.0]], [], [], [[], [], []], "
    "[1.5, 2.0, 1.0], [1.5, 2.0, 1.0], []]\n"
    "{'c': Categorical(count=1, nulls=0, values={'a': 1}, distinct=None)}"
)
"""What a summary has of one row: a block of its own."""
TRAINED_ON = """\
__id: int64 [0]
__time: timestamp[us, tz=UTC] [0]
__late: bool [False]
y: double [1.5]
x: double [2.0]
z: double [1.0]
c: dictionary<values=string, indices=int32, ordered=0> ['a']
"""
ROWS = """\
__id: int64 [0, 1]
__time: timestamp[us, tz=UTC] [0, 250000]
__late: bool [False, False]
y: double [1.5, nan]
x: double [2.0, nan]
z: double [1.0, 1.0]
c: dictionary<values=string, indices=int32, ordered=0> ['a', None]
"""
MEANT = {
    "accepted": ROWS + TAG,
    "summary": f"{TRAINED_ON}{TAG}\n{SUMMED}",
    "window": f"{TRAINED_ON}{STATISTICS}\n(0, 60000000)",
    "predictions": f"""\
id: int64 [0, 1]
time: timestamp[us, tz=UTC] [0, 250000]
target: double [1.5, None]
prediction: double [None, None]
model: string [None, None]
late: bool [False, False]
{TAG}""",
    "sample": f"""\
{ROWS}__prediction: double [None, None]
__normalized:x: double [None, None]
__normalized:z: double [None, None]
{TAG}""",
}
"""What the batches of the golden bytes are."""

SOME = (
    Sums(
        *(7, 6, 1, 2, 3, "m", (1, 0, 5), (Exact.of(0.1), Exact.of(-1e300)), '{"numeric":1}'),
        figures=RegressionSums(
            *(5, Exact.of(0.1), Exact.of(1e-9)),
            Spread.of(np.array([-2.5]), np.array([5]), Exact.of(4.0)),
            *(-1e300, 0.30000000000000004, Exact.of(9.0)),
            Bins.of(np.array([0.0, 1e-300, 1.0, 1.0, 7.5])),
            Tally(4, Exact.of(0.1)),
            (
                Link((0, 1, 2, 3), Chain(Tally(2, Exact.of(1e-9)), {"1": -2.5}, {"1": 1e300})),
                Link((60_000_000, 1, 2, 4), Chain(lasts={"a": 0.30000000000000004})),
            ),
        ),
    ),
    Sums(),
)


def as_once(keyed: KeyedSums) -> KeyedSums:
    """What sums of older versions had of some."""
    task = keyed.sums.figures or RegressionSums()
    assert isinstance(task, RegressionSums)
    return keyed._replace(sums=keyed.sums._replace(figures=RegressionSums(*task[:7], signed=None)))


METRICS = Metrics(
    refresh_start="2026-11-23T07:01:00Z",
    refresh_end="2026-11-23T07:02:00Z",
    model="20261123T070100Z",
    rows=7,
    scored=6,
    unlabelled=1,
    late=2,
    rejected=3,
    mae=0.1,
    rmse=0.30000000000000004,
    r2=-1.5,
    baseline_mae=1e-9,
    skill=None,
    labelled=5,
    target_mean=-2.5,
    target_squares=4.0,
    absolute_error=ErrorQuantiles(p50=0.1, p90=1e-9),
    baselines=Baselines(mean=1e-9, last=0.1, season=None),
    baseline_rows=BaselineRows(mean=5, last=4),
    best_baseline="last",
    skill_best=-0.30000000000000004,
    drift=Drift(
        features={
            "x": Shift(psi=0.1, mean_shift=-0.5, psi_by_chance=0.0, mean_shift_by_chance=1e-9),
            "c": Shift(psi=1.5, mean_shift=None, psi_by_chance=0.2, mean_shift_by_chance=None),
        },
        prediction=Shift(psi=0.0, mean_shift=2.0, psi_by_chance=0.3, mean_shift_by_chance=0.4),
    ),
)
METRICS_ONCE = Metrics(
    **METRICS.model_dump(
        exclude={
            *("labelled", "target_mean", "target_squares", "absolute_error", "baselines"),
            *("baseline_rows", "best_baseline", "skill_best"),
        }
    )
)
"""What figures of older versions had of these."""


class Case(NamedTuple):
    """A value of which the golden bytes are kept.

    Attributes:
        coder: what writes it.
        name: what it is.
        value: as the program makes it today.
        meant: what it is, written out, as ``seen`` sees it.
        seen: makes it comparable.
        once: what the bytes of older versions that are read mean; None: the same.
        whole: the first version whose bytes lack nothing.
    """

    coder: Any
    name: str
    value: Any
    meant: Any
    seen: Callable[[Any], Any] = lambda value: value
    once: Any = None
    whole: int = 256

    @property
    def kept(self) -> dict[str, dict[str, str]]:
        """The coder's golden bytes in hex, by version and name."""
        found: dict[str, Any] = json.loads(BYTES.read_text()) if BYTES.exists() else {}
        return dict(found.get(type(self.coder).__name__, {}))

    @property
    def version(self) -> str:
        """The version of the coder's bytes."""
        return str(self.coder.head[3])

    def holds(self, golden: bytes) -> bool:
        """Whether golden bytes are what is written of the value today.

        Arrow may write other bytes in another release, which say the same.
        """
        written = self.coder.encode(self.value)
        if self.seen is not seen:
            return bool(written == golden)
        return bool(self.seen(self.coder.decode(golden)) == self.seen(self.coder.decode(written)))


CODERS = {
    "accepted": TaggedCoder(AcceptedBatch),
    "summary": SummaryCoder(),
    "window": WindowDataCoder(),
    "predictions": TaggedCoder(PredictionRows),
    "sample": TaggedCoder(SampleRows),
}


def mark_seen(mark: Mark) -> tuple[int, int]:
    """A planner's mark, comparable."""
    return mark.count, mark.until


SHARES_MODEL = SharesModel(
    Window(0, 60_000_000),
    b"\x00model",
    Manifest(
        window_start="1970-01-01T00:00:00Z",
        window_end="1970-01-01T00:01:00Z",
        rows=30,
        learner="shares",
        parameters={"strategy": "prior"},
        features=["x"],
        statistics={"y": Categorical(count=30, nulls=0, values={"no": 30})},
        training=Fit(log_loss=0.0, brier=0.0, accuracy=1.0, roc_auc=None),
        fingerprint="cd34",
        versions={},
        sha256="ab12",
        bytes=6,
        task="classification",
        classes=("no",),
        calibration="none",
    ),
    0.25,
    Skipped(
        window_start="1970-01-01T00:00:00Z",
        window_end="1970-01-01T00:01:00Z",
        rows=30,
        kind="one_class",
        reason="one class: 30 labelled rows, all of the class 'no'",
    ),
)


def cases() -> list[Case]:
    """All values of which the golden bytes are kept."""
    elements = written_elements()
    rows = RowReference(Tag(Key(0, 10, 2), 0, "rows", 0), 2)
    model = ModelReference(Reference("20261123T070100Z", "ab12"))
    item = WorkItem(3, 10_000, 20_000, 30_000, 40_000, 50_001, -1_000_000, 2**63 - 1)
    sums, nothing = KeyedSums(Key(-1, 2, 3), SOME[0]), KeyedSums(Key(0, 0, 0), SOME[1])
    labels = LabelCounts(3, 2, 1, Delays.of(np.array([0, 7, 60_000_000])))
    later = KeyedSums(Key(1, 2, 3), SOME[0]._replace(labels=labels))
    part = CohortPart(Key(1, 2, 3), 5, "m", (Outcome(60_000_000, later.sums), Outcome(0, SOME[1])))
    outcomes = tuple(Outcome(at, as_once(KeyedSums(Key(0, 0, 0), s)).sums) for at, s in part[3])
    part_once = part._replace(outcomes=outcomes)
    return [
        *(Case(CODERS[name], name, elements[name], MEANT[name], seen) for name in MEANT),
        Case(RowReferenceCoder(), "rows", rows, rows),
        Case(ModelReferenceCoder(), "reference", model, model),
        Case(WorkItemCoder(), "work item", item, item),
        Case(SumsCoder(), "sums", sums, sums, once=as_once(sums), whole=5),
        Case(SumsCoder(), "no sums", nothing, nothing, once=as_once(nothing), whole=5),
        Case(SumsCoder(), "sums of labels", later, later, once=as_once(later), whole=5),
        Case(PartCoder(), "part of a cohort", part, part, once=part_once, whole=2),
        Case(SharesModelCoder(), "shares", SHARES_MODEL, SHARES_MODEL),
        Case(MetricsCoder(), "figures", METRICS, METRICS, once=METRICS_ONCE),
        Case(MarkCoder(), "mark", Mark(7, 60_000_000), (7, 60_000_000), mark_seen),
        Case(MarkCoder(), "open mark", Mark(1_234_567), (1_234_567, 2**63 - 1), mark_seen),
    ]


CASES = {f"{type(case.coder).__name__}, {case.name}": case for case in cases()}


def changed(case: Case) -> str:
    """What to do if golden bytes of a case do not hold any more."""
    return (
        f"{describe_header(case.coder.head)}, the case {case.name!r}: its bytes are not what they "
        "were. A program with this change would misread savepoints of running jobs, so raise the "
        f"version in the head of {type(case.coder).__name__} (they are refused then, and such jobs "
        f"are drained), and write the bytes of the new version: {COMMAND}"
    )


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_bytes_of_this_version_are_read_as_what_they_were_and_written_so(case: Case) -> None:
    kept = case.kept.get(case.version, {})
    assert case.name in kept, f"no bytes of this version are kept yet: {COMMAND}"
    golden = bytes.fromhex(kept[case.name])
    assert case.seen(case.value) == case.meant, changed(case)
    assert case.seen(case.coder.decode(golden)) == case.meant, changed(case)
    assert case.holds(golden), changed(case)


def still_read(case: Case) -> set[str]:
    """The older versions that the coder still reads."""
    coder = case.coder
    heads = getattr(coder, "older", [coder.before] if hasattr(coder, "before") else [])
    return {str(head[3]) for head in heads}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_bytes_of_older_versions_are_read_where_they_lack_only_what_may_be_absent(
    case: Case,
) -> None:
    for version in still_read(case):
        kept = case.kept.get(version, {})
        if case.name in kept:
            value = case.coder.decode(bytes.fromhex(kept[case.name]))
            lacking = case.once is not None and int(version) < case.whole
            meant = case.once if lacking else case.meant
            assert case.seen(value) == meant


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_bytes_of_every_other_older_version_are_refused(case: Case) -> None:
    older = {
        version: kept
        for version, kept in case.kept.items()
        if version != case.version and version not in still_read(case)
    }
    # the oldest, which the program wrote before there were versions; there were parts later
    assert "0" in older or isinstance(case.coder, PartCoder | SharesModelCoder)
    for version, kept in older.items():
        what = "bytes without a version" if version == "0" else f"of version {version}: "
        for data in kept.values():
            with pytest.raises(OtherVersion, match=f"{what}.*drain the job") as refused:
                case.coder.decode(bytes.fromhex(data))
            assert f"this program reads {describe_header(case.coder.head)}. " in str(refused.value)


# The planner, which Beam pickles into a savepoint together with its mark.


def planners() -> dict[str, Planner]:
    """A planner of each source."""
    people = people_source(make_settings(start="2026-11-23T07:00:00Z"), RunFolder("o"))[0].work
    plan = Plan(
        (File("in.csv", "csv", 100, 5.0, None, 0, ("t", "y"), 4, 2),),
        (Chunk(0, 4, 100, 0, 9, 2, 1_000_000, 9_000_000),),
        9,
    )
    drain = Drain("o/drain", MINUTE)
    # Batches of older versions were not whole blocks.
    assert isinstance(people, PeopleWork)
    people = replace(people, batch_rows=10_000)
    files = FileWork(plan, Extent(0, MINUTE))
    return {"people": Planner(people, drain=drain), "files": Planner(files, drain=drain)}


def planner_bytes() -> dict[str, str]:
    """The planners in hex, as Beam keeps them, with a mark each."""
    coder = _UnboundedSourceRestrictionCoder()
    return {
        name: coder.encode(_UnboundedSourceRestriction(planner, Mark(7, MINUTE))).hex()
        for name, planner in planners().items()
    }


KEPT: dict[str, dict[str, str]] = json.loads(PLANNERS.read_text())
"""Pickles by when their form was new, the oldest first, and source: all of them are read."""


@pytest.mark.parametrize(
    ("since", "source"), [(since, source) for since in KEPT for source in KEPT[since]]
)
def test_a_planner_in_a_savepoint_is_read_with_its_mark(since: str, source: str) -> None:
    golden = bytes.fromhex(KEPT[since][source])
    message = (
        "A savepoint holds the planner as a pickle of its classes (that is Beam's doing), and "
        "these have changed: this program does not read savepoints of jobs that run now. Leave the "
        "classes where they were, by their old names too. If that is too much, say in the "
        "release's notes that such jobs are drained, and take the pickles that are not read out of "
        f"{PLANNERS.name}"
    )
    try:
        found = _UnboundedSourceRestrictionCoder().decode(golden)
        same = vars(found.source) == vars(planners()[source])
    except (AttributeError, ImportError, TypeError) as error:
        pytest.fail(f"{message} ({error})")
    assert same, message
    assert isinstance(found.checkpoint_mark, Mark)
    assert mark_seen(found.checkpoint_mark) == (7, MINUTE)


# Writing all of it anew.


def golden_bytes() -> Iterator[tuple[str, str, str, str]]:
    """Coder, version, name and hex of all bytes to keep.

    Raises:
        SystemExit: if bytes have changed, but not their version.
    """
    for case in cases():
        coder = type(case.coder).__name__
        for version, kept in case.kept.items():
            yield from ((coder, version, name, data) for name, data in kept.items())
        golden = case.kept.get(case.version, {}).get(case.name)
        if golden is None:
            yield coder, case.version, case.name, case.coder.encode(case.value).hex()
        elif not case.holds(bytes.fromhex(golden)):
            raise SystemExit(changed(case))


def test_the_command_refuses_other_bytes_under_the_same_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert list(golden_bytes())
    monkeypatch.setattr(
        WorkItemCoder, "layout", struct.Struct("<" + WorkItemCoder.layout.format[1:])
    )
    with pytest.raises(SystemExit, match=r"a work item of version \d+, .* raise the version"):
        list(golden_bytes())


def test_the_command_keeps_the_bytes_of_a_new_version_beside_the_old_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = {kept for kept in golden_bytes() if kept[0] == "WorkItemCoder"}
    monkeypatch.setattr(WorkItemCoder, "head", header(b"T", 200))
    after = {kept for kept in golden_bytes() if kept[0] == "WorkItemCoder"}
    assert after > before
    assert {(version, name) for _, version, name, _ in after - before} == {("200", "work item")}


def write() -> None:
    """Writes the golden files anew."""
    kept: dict[str, dict[str, dict[str, str]]] = {}
    for coder, version, name, data in golden_bytes():
        kept.setdefault(coder, {}).setdefault(version, {})[name] = data
    BYTES.write_text(json.dumps(kept, indent=1) + "\n")
    if planner_bytes() not in KEPT.values():
        PLANNERS.write_text(json.dumps({**KEPT, NOW: planner_bytes()}, indent=1) + "\n")
    STEPS.write_text(steps_text())


if __name__ == "__main__":
    logging.disable()
    write()
    sys.stdout.write(f"written: {STEPS}, {BYTES}, {PLANNERS}\n")
