"""What works around Beam does so, and is needed still: a canary runs Beam without each piece."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from types import FrameType, ModuleType
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import Coder, registry
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    SetupOptions,
    StandardOptions,
)
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import sdk_worker
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms import trigger
from apache_beam.transforms.core import RestrictionProvider, Windowing
from apache_beam.transforms.window import (
    FixedWindows,
    Sessions,
    SlidingWindows,
    TimestampedValue,
    WindowFn,
)
from apache_beam.utils import interactive_utils, subprocess_server
from apache_beam.utils.windowed_value import WindowedValue

from pipeline.runners.beam_compat import (
    BeamParser,
    CachedOptions,
    describe_unsupported,
    group_by_window,
    outside_ipython,
    programs_in_own_session,
    silence_worker_prints,
)

ROWS = [(key, second) for key in "ab" for second in (0, 3, 4, 11, 12, 25, 26)]
FUNCTIONS = [FixedWindows(5), SlidingWindows(10, 5), Sessions(2)]
ARGV = ["--job_name", "a", "--streaming", "--experiments", "x", "--of_nobody", "1"]


def group_plainly(function: WindowFn) -> list[Any]:
    """The rows by key and window, without Beam."""
    by_key: dict[Any, list[int]] = {}
    for key, second in ROWS:
        if isinstance(function, Sessions):
            starts = {0: (0, 2), 3: (3, 6), 4: (3, 6), 11: (11, 14), 12: (11, 14)}
            bounds = [starts.get(second, (25, 28))]
        else:
            size, period = (10, 5) if isinstance(function, SlidingWindows) else (5, 5)
            last = second // period * period
            bounds = [(start, start + size) for start in range(last, second - size, -period)]
        for bound in bounds:
            by_key.setdefault((key, *bound), []).append(second)
    return sorted(by_key.items())


def with_bounds(pair: Any, window: Any = beam.DoFn.WindowParam) -> Any:
    key, seconds = pair
    return (key, int(window.start), int(window.end)), sorted(seconds)


def lines_of_beam(windows: int) -> int:
    """How many lines of Beam's trigger module run to group one row a window, of one key."""
    driver = trigger.create_trigger_driver(Windowing(FixedWindows(10)), is_batch=True)
    function = FixedWindows(10)
    rows = [
        WindowedValue(second, second, tuple(function.assign(WindowFn.AssignContext(second))))
        for second in range(5, 10 * windows, 10)
    ]
    lines = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != trigger.__file__:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        panes = list(driver.process_entire_key("a", rows))
    finally:
        sys.settrace(before)
    assert len(panes) == windows
    return lines


@contextmanager
def session_of_ipython(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A session as IPython shows it."""
    session = ModuleType("IPython")
    monkeypatch.setattr(session, "get_ipython", lambda: session, raising=False)
    monkeypatch.setattr(session, "config", {"IPKernelApp": {}}, raising=False)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "IPython", session)
        yield session


class Harness(sdk_worker.SdkHarness):
    """Beam's worker without connections, for what it does about a bundle that fails."""

    def __init__(self) -> None:
        self._responses: Queue[Any] = Queue()

    def fail(self) -> None:
        def bundle() -> Any:
            raise ValueError("a bug")

        self._execute(bundle, beam_fn_api_pb2.InstructionRequest(instruction_id="7"))


TRACKER = beam.DoFn.RestrictionParam()


class DeferringFn(beam.DoFn, RestrictionProvider):
    """Gives 0 to 9, one a bundle: after each it hands back what is left."""

    def initial_restriction(self, element: int) -> OffsetRange:
        return OffsetRange(0, 10)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        return int(restriction.size())

    def process(self, element: int, tracker: Any = TRACKER) -> Iterable[tuple[int, int]]:
        start = tracker.current_restriction().start
        if tracker.try_claim(start):
            yield element, start
            tracker.defer_remainder()


def count_deferred(folder: Path, workers: int) -> int:
    """How many of 20 rows of two sources that hand back are read with so many workers."""
    options = PipelineOptions([f"--direct_num_workers={workers}"])
    assert options.view_as(DirectOptions).direct_num_workers == workers
    with beam.Pipeline(FnApiRunner(), options=options) as pipeline:
        rows = pipeline | beam.Create([0, 1]) | beam.Reshuffle() | beam.ParDo(DeferringFn())
        rows | beam.Map(lambda row: (folder / "{}-{}".format(*row)).touch())
    return len(list(folder.iterdir()))


def test_the_beam_installed_is_one_that_this_is_written_for_and_another_is_warned_of() -> None:
    assert describe_unsupported(beam.__version__) is None
    for version in ("2.76.0", "2.78.0rc1", "3.0"):
        assert f"Beam {version} is installed" in str(describe_unsupported(version))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: type(function).__name__)
def test_what_is_grouped_is_what_was_grouped(function: WindowFn) -> None:
    with group_by_window(), TestPipeline(FnApiRunner()) as p:
        found = (
            p
            | beam.Create(ROWS)
            | beam.Map(lambda row: TimestampedValue(row, row[1]))
            | beam.WindowInto(function)
            | beam.GroupByKey()
            | beam.Map(with_bounds)
        )
        assert_that(found, equal_to(group_plainly(function)))


def test_eight_times_the_windows_are_grouped_in_eight_times_the_lines() -> None:
    with group_by_window():
        assert lines_of_beam(800) < 9 * lines_of_beam(100)


def test_canary_beam_groups_windows_in_a_time_that_grows_by_their_square() -> None:
    assert lines_of_beam(800) > 12 * lines_of_beam(100), "Beam is mended: delete group_by_window"


def test_grouping_is_beams_own_afterwards() -> None:
    plain = trigger.GeneralTriggerDriver.__init__
    with pytest.raises(KeyError), group_by_window():
        raise KeyError
    assert trigger.GeneralTriggerDriver.__init__ is plain


def test_a_cached_view_holds_what_beams_own_view_holds() -> None:
    ours, beams = CachedOptions(ARGV), PipelineOptions(ARGV)
    for kind in (*PipelineOptions.__subclasses__(), PipelineOptions):
        mine: dict[str, Any] = ours.view_as(kind).get_all_options()
        assert mine == beams.view_as(kind).get_all_options()
        assert ours.view_as(kind) is ours.view_as(kind)


def test_what_is_set_in_a_view_shows_in_all_and_in_the_whole() -> None:
    options = CachedOptions([])
    options.view_as(SetupOptions)
    options.view_as(StandardOptions).streaming = True
    assert options.view_as(StandardOptions).streaming
    assert options.view_as(SetupOptions).view_as(StandardOptions).streaming
    assert options.get_all_options()["streaming"]


def test_two_options_share_no_view() -> None:
    assert CachedOptions(["--streaming"]).view_as(StandardOptions).streaming
    assert not CachedOptions([]).view_as(StandardOptions).streaming


def test_canary_beam_parses_its_options_for_each_view(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[object] = []
    plain = StandardOptions._add_argparse_args.__func__  # type: ignore[attr-defined]

    def count(cls: Any, parser: Any) -> None:
        parsed.append(parser)
        plain(cls, parser)

    monkeypatch.setattr(StandardOptions, "_add_argparse_args", classmethod(count))
    options = PipelineOptions(ARGV)
    for _ in range(10):
        options.view_as(StandardOptions)
    assert len(parsed) >= 10, "Beam is mended: delete CachedOptions"


def test_beam_takes_a_session_of_ipython_for_none_while_the_job_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with session_of_ipython(monkeypatch) as session:
        assert interactive_utils.is_in_notebook() and beam.pipeline.is_in_ipython()
        with outside_ipython():
            assert not interactive_utils.is_in_notebook() and not beam.pipeline.is_in_ipython()
            beam.Pipeline("FnApiRunner") | beam.Create([1])
            assert sys.modules["IPython"] is session
        assert interactive_utils.is_in_notebook() and beam.pipeline.is_in_ipython()


def test_canary_beam_looks_for_ipython_at_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    with session_of_ipython(monkeypatch) as session:
        monkeypatch.setattr(session, "get_ipython", lambda: looks.append(None))
        pipeline = beam.Pipeline("FnApiRunner")
        for number in range(5):
            pipeline | str(number) >> beam.Impulse()
    assert len(looks) >= 5, "Beam is mended: delete outside_ipython"


def test_a_bundle_that_fails_is_logged_and_not_printed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(vars(sdk_worker), "print", print)
    silence_worker_prints()
    Harness().fail()
    assert "ValueError: a bug" not in capsys.readouterr().err
    assert "ValueError: a bug" in caplog.text


def test_canary_beam_prints_what_it_logs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(vars(sdk_worker), "print", print)
    Harness().fail()
    err = capsys.readouterr().err
    assert "ValueError: a bug" in err, "Beam is mended: delete silence_worker_prints"


SHOW_SESSION = "import os; print(os.getsid(0), flush=True)"


def session_of_program(monkeypatch: pytest.MonkeyPatch) -> int:
    """The session of a program that Beam starts; it shows that on its standard output."""
    shown: Queue[str] = Queue()
    logger = subprocess_server.logging.getLogger("session of a program")
    monkeypatch.setattr(logger, "info", shown.put)
    start: Any = subprocess_server.SubprocessServer._really_start_process
    process, _ = start([sys.executable, "-c", SHOW_SESSION], 1, logger)
    assert isinstance(process, subprocess.Popen)
    session = int(shown.get(timeout=300))
    process.wait(300)
    return session


def test_a_program_that_beam_starts_is_out_of_reach_of_the_terminals_ctrl_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = session_of_program(monkeypatch)
    with programs_in_own_session():
        assert session_of_program(monkeypatch) != own
    assert vars(subprocess_server)["subprocess"] is subprocess


def test_canary_beam_starts_programs_in_this_session(monkeypatch: pytest.MonkeyPatch) -> None:
    own = session_of_program(monkeypatch)
    assert own == os.getsid(0), "Beam is mended: delete programs_in_own_session"


def test_one_worker_reads_all_that_a_source_hands_back(tmp_path: Path) -> None:
    assert count_deferred(tmp_path, workers=1) == 20


def test_canary_two_workers_lose_what_a_source_hands_back(tmp_path: Path) -> None:
    found = count_deferred(tmp_path, workers=2)
    assert found < 20, "Beam is mended: delete _one_worker in pipeline/runners/direct.py"


class Box:
    """A value whose type has a coder that counts."""


class BoxCoder(Coder):  # type: ignore[misc]
    """Counts what is encoded."""

    encoded = 0

    def encode(self, value: Box) -> bytes:
        BoxCoder.encoded += 1
        return b"box"

    def decode(self, encoded: bytes) -> Box:
        return Box()

    def is_deterministic(self) -> bool:
        return True


def test_canary_the_embedded_runner_encodes_each_element_between_two_stages() -> None:
    registry.register_coder(Box, BoxCoder)
    with beam.Pipeline(FnApiRunner()) as pipeline:
        boxes = pipeline | beam.Create([1, 2, 3]) | beam.Map(lambda _: Box()).with_output_types(Box)
        boxes | beam.Reshuffle() | beam.Map(id)
    assert BoxCoder.encoded >= 3, "Beam is mended: delete transforms/byhand.py"


def test_all_of_beams_options_are_known_by_name() -> None:
    names = BeamParser().names
    assert {"--job_name", "--direct_num_workers", "--experiments"} <= {*names}
    assert len(names) == len({*names}) > 150
