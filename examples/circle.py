r"""The circle: ask a server, let it record, label what was asked, learn from that, and ask again.

Run it as ``python -m examples.circle FOLDER``; it takes less than a minute. A run learns from a few
people of the past, and ``serve --record`` answers by its model. Each round asks about 10,000
people, and gives the server their salaries as soon as they are known. The server writes both into
folders, which are the run's sources: ``--resume`` takes up the new files, and the server takes up
the new model. ``examples/answers.toml`` is the schema.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.asof import parse_iso
from model.batch import SECOND
from model.people import SCHEMA, People
from pipeline.__main__ import main as run_job

FEW, MANY = 60, 10_000
"""People of the past, and of each round: a server writes a file for so many."""
FEATURES = [*SCHEMA.numeric, *SCHEMA.categorical]


def draw(first: int, number: int) -> pa.Table:
    """People, with their salaries, all as of one time."""
    people = People("learnable", 42, 1e9, 0)
    rows = pa.table(people.rows(first, first + number, [*FEATURES, SCHEMA.target]))
    return rows.select([*FEATURES, SCHEMA.target])


def write_past(kept: Path) -> None:
    """Writes a few questions of the minute before with their labels, as a server records them."""
    rows = draw(0, FEW)
    asked = int((time.time() - 60) * SECOND) + np.arange(FEW) * SECOND // 20
    times = pa.array(asked).cast(pa.timestamp("us", "UTC"))
    keys = pa.array([f"past {number}" for number in range(FEW)])
    questions = rows.drop_columns([SCHEMA.target]).append_column("timestamp", times)
    labels = {"pessoa": keys, "salario": rows[SCHEMA.target], "respondido": times}
    for name, table in (
        ("questions", questions.append_column("pessoa", keys)),
        ("labels", pa.table(labels)),
    ):
        (kept / name).mkdir(parents=True)
        pq.write_table(table, kept / name / "0-past.parquet")


def learn(kept: Path, run: Path, *more: str) -> None:
    """Runs the job on all that is kept, to its end."""
    schema = str(Path(__file__).with_name("answers.toml"))
    sources = ["--input", f"{kept}/questions/*", "--labels", f"{kept}/labels/*"]
    options = ["--schema", schema, "--window", "2m", "--every", "5s", "--learner", "ridge"]
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        code = run_job([*sources, *options, "--output", str(run), *more])
    if code:
        raise RuntimeError(f"the job ended with {code}:\n{shown.getvalue()}")


@contextlib.contextmanager
def serving(run: Path, kept: Path) -> Iterator[str]:
    """A server of the run that records; gives its address."""
    options = [str(run), "--port", "0", "--record", str(kept)]
    argv = [sys.executable, "-m", "pipeline", "serve", *options]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        assert server.stdout is not None
        try:
            words = server.stdout.readline().decode().split()
            yield next(word for word in words if word.startswith("http://"))
        finally:
            server.terminate()


def send(url: str, body: object = None) -> Any:
    """The server's answer to a request, as JSON."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def ask(url: str, people: pa.Table) -> float:
    """Asks about people, and gives the server their salaries; gives the mean absolute error."""
    answer = send(f"{url}/predict", people.drop_columns([SCHEMA.target]).to_pylist())
    salaries = people[SCHEMA.target].to_pylist()
    labels = [
        {"id": key, "target": salary} for key, salary in zip(answer["keys"], salaries, strict=True)
    ]
    send(f"{url}/labels", labels)
    return float(np.abs(np.array(answer["predictions"]) - salaries).mean())


def wait_for(what: Any, seconds: float = 300) -> None:
    """Waits until something holds."""
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            raise TimeoutError(f"{what.__name__}: not within {seconds:g} s")
        time.sleep(0.1)


def go_round(folder: Path, rounds: int) -> Iterator[float]:
    """Asks, labels and learns some times; gives the error of each round."""
    kept, run = folder / "kept", folder / "run"
    write_past(kept)
    learn(kept, run)
    with serving(run, kept) as url:
        for number in range(rounds):
            ended = parse_iso(json.loads((run / "until.json").read_bytes())["until"])
            time.sleep(max(0.0, ended.timestamp() - time.time()))  # a run goes on where it ended
            yield ask(url, draw(FEW + number * MANY, MANY))

            def written(files: int = number + 2) -> bool:
                return all(
                    len([*kept.glob(f"{name}/*")]) == files for name in ("questions", "labels")
                )

            def taken_up(before: str = send(f"{url}/status")["model"]) -> bool:
                return bool(send(f"{url}/status")["model"] > before)

            wait_for(written)
            learn(kept, run, "--resume")
            wait_for(taken_up)


def main(argv: list[str]) -> int:
    """Goes round three times, and prints each error."""
    if len(argv) != 1:
        print("usage: python -m examples.circle FOLDER", file=sys.stderr)
        return 2
    for number, error in enumerate(go_round(Path(argv[0]), 3), 1):
        print(f"round {number}: {MANY:,} asked, MAE {error:,.0f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
