"""A pipeline that runs elsewhere: waited for, cancelled, left alone; Ctrl-C at every moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.runners import execution
from pipeline.runners.execution import Controller, run_to_end


class Running:
    """A job elsewhere: it ends when it is told to, with an error or without."""

    runner = "elsewhere"

    def __init__(self, error: Exception | None = None, at_run: Callable[[], object] = int) -> None:
        self.error = error
        self.at_run = at_run
        self.over = threading.Event()
        self.cancelled = 0

    def run(self) -> Running:
        self.at_run()
        return self

    def wait_until_finish(self) -> None:
        self.over.wait(600)
        if self.error is not None:
            raise self.error

    def cancel(self) -> None:
        self.cancelled += 1
        self.over.set()


class Recorder(Controller):
    """A controller that does what a test wants at a tick, and records its calls."""

    def __init__(self, at_tick: Callable[[int], Any] = bool, goes_on: int = 0) -> None:
        self.at_tick = at_tick
        self.goes_on = goes_on
        self.ticks = 0
        self.heard: list[str] = []

    def tick(self) -> None:
        self.ticks += 1
        self.at_tick(self.ticks)

    def on_interrupt(self) -> bool:
        self.heard.append("interrupted")
        return self.heard.count("interrupted") <= self.goes_on

    def on_cancel(self) -> None:
        self.heard.append("cancelling")


def ctrl_c(_: object = None) -> Any:
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ticks come fast; afterwards Ctrl-C means what it did."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(execution, "TICK", 0.01)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_job_is_waited_for_to_its_end() -> None:
    running = Running()
    controller = Recorder(lambda tick: running.over.set() if tick == 3 else None)
    run_to_end(running, controller)  # type: ignore[arg-type]
    assert controller.ticks >= 3
    assert (running.cancelled, controller.heard) == (0, [])


def test_the_error_of_a_job_that_fails_is_raised() -> None:
    running = Running(ArithmeticError("no good"))
    running.over.set()
    with pytest.raises(ArithmeticError, match="no good"):
        run_to_end(running, Recorder())  # type: ignore[arg-type]
    assert running.cancelled == 0


def test_a_job_whose_runner_keeps_it_is_cancelled_when_all_is_done() -> None:
    running = Running(RuntimeError("cancelled"))  # which is not an error of the job's

    class Done(Recorder):
        def has_ended(self) -> bool:
            return self.ticks == 3

    controller = Done()
    run_to_end(running, controller)  # type: ignore[arg-type]
    assert (controller.ticks, running.cancelled, controller.heard) == (3, 1, ["cancelling"])


def test_a_job_that_its_guide_gives_up_is_cancelled() -> None:
    def give_up(tick: int) -> None:
        raise ValueError("this fails for ever")

    running, controller = Running(), Recorder(give_up)
    with pytest.raises(ValueError, match="for ever"):
        run_to_end(running, controller)  # type: ignore[arg-type]
    assert (running.cancelled, controller.heard) == (1, ["cancelling"])


def test_ctrl_c_cancels_the_job_and_the_guide_hears_of_it_first() -> None:
    running, controller = Running(), Recorder(ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(running, controller)  # type: ignore[arg-type]
    assert (running.cancelled, controller.heard) == (1, ["interrupted", "cancelling"])


def test_a_guide_that_goes_on_is_asked_again_at_the_next_ctrl_c() -> None:
    running = Running()
    controller = Recorder(lambda tick: tick in (1, 4) and ctrl_c(), goes_on=1)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(running, controller)  # type: ignore[arg-type]
    assert controller.ticks == 4
    assert controller.heard == ["interrupted", "interrupted", "cancelling"]


def test_a_guide_that_goes_on_sees_the_job_end_by_itself() -> None:
    running = Running()
    controller = Recorder(lambda tick: ctrl_c() if tick == 1 else running.over.set(), goes_on=1)
    run_to_end(running, controller)  # type: ignore[arg-type]
    assert (running.cancelled, controller.heard) == (0, ["interrupted"])


def test_a_second_ctrl_c_while_the_guide_is_at_work_cancels() -> None:
    class Slow(Recorder):
        def on_interrupt(self) -> bool:
            super().on_interrupt()
            ctrl_c()
            raise AssertionError("Ctrl-C was not heard")

    running, controller = Running(), Slow(ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(running, controller)  # type: ignore[arg-type]
    assert (running.cancelled, controller.heard) == (1, ["interrupted", "cancelling"])


def test_ctrl_c_after_the_end_of_a_job_that_its_runner_keeps_is_no_interruption() -> None:
    running = Running(RuntimeError("cancelled"))

    class Ended(Recorder):
        def has_ended(self) -> bool:
            return True

        def on_cancel(self) -> None:
            super().on_cancel()
            if len(self.heard) == 1:
                ctrl_c()

    controller = Ended()
    run_to_end(running, controller)  # type: ignore[arg-type]
    assert (running.cancelled, controller.heard) == (1, ["cancelling", "cancelling"])


def test_a_job_that_ends_while_the_controller_stops_it_is_not_interrupted() -> None:
    running = Running(RuntimeError("cancelled"))

    class Ends(Recorder):
        def on_interrupt(self) -> bool:
            running.over.set()
            return super().on_interrupt()

        def has_ended(self) -> bool:
            return bool(self.heard)

    controller = Ends(ctrl_c)
    run_to_end(running, controller)  # type: ignore[arg-type]
    assert controller.heard[0] == "interrupted"


def test_ctrl_c_while_the_job_is_handed_over_has_the_guide_cancel_it() -> None:
    running, controller = Running(at_run=ctrl_c), Recorder()
    with pytest.raises(KeyboardInterrupt):
        run_to_end(running, controller)  # type: ignore[arg-type]
    assert controller.heard == ["cancelling"]


def test_ctrl_c_is_heard_though_the_runner_took_the_signal() -> None:
    running = Running(at_run=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    with pytest.raises(KeyboardInterrupt):
        run_to_end(running, Recorder(ctrl_c))  # type: ignore[arg-type]


def test_a_runner_that_does_not_cancel_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "CANCEL_SECONDS", 0.1)
    running, go_on = Running(), threading.Event()
    cancelled: list[bool] = []
    monkeypatch.setattr(running, "cancel", lambda: cancelled.append(go_on.wait(600)))
    with pytest.raises(KeyboardInterrupt):
        run_to_end(running, Recorder(ctrl_c))  # type: ignore[arg-type]
    assert cancelled == []
    go_on.set()
