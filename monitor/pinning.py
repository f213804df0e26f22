"""``correnteza models pin | unpin | rollback``: which model serves, from the next refresh on."""

from __future__ import annotations

from datetime import datetime, timezone

from model import files, promotions
from model.asof import from_datetime, newest_window_end, parse_iso, parse_name, to_datetime
from model.batch import SECOND
from model.display import ENDED
from model.errors import UserError
from model.promotions import Act
from model.runs import RunFolder
from model.skipped import one_line
from model.store import DamagedArtefact, Store
from monitor.commandline import Parser

ACTS = ("pin", "unpin", "rollback")


def parser(what: str) -> Parser:
    """The parser of one of ``ACTS``."""
    about = {
        "pin": "A model serves, whatever newer ones there are, until unpin.",
        "unpin": "The newest accepted model serves again.",
        "rollback": "The accepted model before the one that serves is pinned.",
    }
    made = Parser(prog=f"python -m pipeline models {what}", description=about[what])
    made.add_argument("folder", help="a run's folder", metavar="OUTPUT")
    if what == "pin":
        made.add_argument("name", help="the model, as 20260101T001200Z")
    made.add_argument("--why", default="", metavar="TEXT", help="the reason, for promotions.ndjson")
    return made


def main(what: str, argv: list[str]) -> int:
    """Runs the command.

    Raises:
        UserError: for a folder that holds no run, or a model that cannot be pinned.
    """
    given = parser(what).parse_args(argv)
    folder = RunFolder(given.folder)
    folder.check()
    folder.read_settings()
    print(promote(folder, what, getattr(given, "name", None), given.why))
    return 0


def promote(folder: RunFolder, what: str, name: str | None, why: str) -> str:
    """Pins a model, or ends that; returns what was done, in a line.

    Args:
        folder: a run's, live or ended.
        what: one of ``ACTS``.
        name: the model to pin.
        why: the reason, for whoever reads ``promotions.ndjson``.

    Raises:
        UserError: if there is no such model, or its file does not match its hash.
    """
    store, acts = Store(folder.models), promotions.read(folder.promotions)
    pinned = promotions.find_pin(acts)
    newest = next(reversed(store.names()), None)
    serving = newest if pinned is None else pinned.name
    if what == "unpin" and pinned is None and promotions.read_asked(folder.asked_pin) is None:
        raise UserError(f"{folder.path}: no model is pinned")
    if what == "rollback":
        name = _find_older(store, serving)
    since = _find_since(folder, acts)
    act = Act.model_validate(
        {
            **{"what": what, "when": datetime.now(timezone.utc), "to": name},
            **{"from": _find_before(folder, store, acts, since), "since": since},
            "sha256": None if name is None else _verify(folder, store, name),
            "why": one_line("".join(c if c.isprintable() else " " for c in why)),
        }
    )
    served = "the newest accepted model" if name is None else name
    if _runs(folder):
        _check_source(folder)
        folder.write_json(folder.asked_pin, act.model_dump(mode="json", by_alias=True))
        return f"{served} serves from the next refresh that the job begins (waits in pin.json)"
    files.remove(folder.asked_pin)  # one that a job which has ended did not take
    promotions.append(folder.promotions, act)
    return f"{served} serves from {act.since:%Y-%m-%d %H:%M:%S} on"


def _find_older(store: Store, serving: str | None) -> str:
    older = [name for name in store.names() if serving is not None and name < serving]
    if not older:
        raise UserError(f"{store.path}: has no accepted model before {serving or 'the first'}")
    return older[-1]


def _verify(folder: RunFolder, store: Store, name: str) -> str:
    if name in Store(folder.refused).names():
        raise UserError(f"{name}: the gate refused it (skipped/{name}.json); it cannot be pinned")
    try:
        store.read_verified(store.find(name))
        return store.reference(name).sha256
    except (DamagedArtefact, FileNotFoundError) as error:
        raise UserError(f"{name}: cannot be pinned: {error}") from error


def _find_since(folder: RunFolder, acts: list[Act]) -> datetime:
    """The end of the newest report: what is after it has not been scored, or is scored anew."""
    names = folder.report_names()
    ends = [parse_iso(folder.read_report(names[-1]).refresh_end)] if names else []
    ends += [to_datetime(parse_name(name)) for name in Store(folder.models).names()[:1]]
    return max([*ends[:1], *(act.since for act in acts if act.what != "refused")])


def _find_before(folder: RunFolder, store: Store, acts: list[Act], since: datetime) -> str | None:
    """The model that would serve at a time: the pinned one, or the newest by the as-of rule."""
    start = from_datetime(since)
    pinned = promotions.find_pin(acts, start)
    if pinned is not None:
        return pinned.name
    settings = folder.parse_settings(folder.read_settings())
    latest = newest_window_end(start, settings.every * SECOND, settings.lag)
    return store.newest(latest)


def _runs(folder: RunFolder) -> bool:
    """Whether a job may still write: it has recorded no end."""
    try:
        return not folder.has_ended() and folder.read_status().state not in ENDED
    except (OSError, ValueError):
        return not folder.has_ended()


def _check_source(folder: RunFolder) -> None:
    source = folder.read_settings().get("source")
    if source not in ("people", "files", "kafka"):
        raise UserError(
            f"the job's source is {source}, which takes no pin while it runs: stop the job, pin, "
            "and go on with --resume"
        )
