"""``python -m pipeline prune``: removes the large files of a run's old refreshes.

Reports stay, so figures do, and models have ``--keep`` of the job. ``pruned.json`` says which
refreshes may lack their files, so that a resumed run does not make them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from model import files
from model.asof import format_iso, parse_name
from model.batch import SECOND
from model.durations import parse_duration
from model.errors import UserError
from model.runs import NAME, RunFolder, RunSettings
from model.wording import format_count
from monitor.commandline import Parser

EXAMPLES = """\
examples:
  python -m pipeline prune runs/latest --keep 90d --dry-run       what would be removed
  python -m pipeline prune runs/latest --keep 90d

It may run while the job does. Reports, models and skipped windows stay.
"""
PRUNED = (
    *(f"predictions/{NAME}/*", f"outcomes/{NAME}/*", f"rejected/{NAME}/*"),
    *(f"sample/{NAME}.parquet", f"alerts/{NAME}.ndjson"),
)
"""What is removed, as globs."""


def parser() -> Parser:
    """The parser of ``python -m pipeline prune``."""
    made = Parser(
        prog="python -m pipeline prune",
        description="Remove predictions, outcomes, samples, rejects and alerts of old refreshes.",
        epilog=EXAMPLES,
    )
    made.add_folder()
    made.add_argument(
        "--keep",
        metavar="TIME",
        required=True,
        help="event time before the end of the newest report, of which all stays: 90d, 12h",
    )
    made.add_argument("--dry-run", action="store_true", help="remove nothing")
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0.

    Raises:
        UserError: for a folder that holds no run; if ``--keep`` is not a duration, or shorter than
            what a run whose labels come later still reads.
    """
    given = parser().parse_args(argv)
    folder = RunFolder(given.folder)
    folder.check()
    settings = RunSettings.model_validate(folder.read_settings())
    names = folder.report_names()
    if not names:
        print("no report yet: nothing is removed")
        return 0
    length = check_keep(given.keep, settings)
    before = parse_name(names[-1]) + (settings.every - length) * SECOND
    old = {name for name in names if parse_name(name) < before}
    found = dict(find(folder, old))
    if found and not given.dry_run:
        folder.write_json(
            folder.pruned, {"before": format_iso(max(before, folder.pruned_before()))}
        )
        for path in found:
            files.remove(path)
        for path in {str(PurePath(path).parent) for path in found}:
            if PurePath(path).name in old:
                files.remove_folder_if_empty(path)
        files.flush()
    verb = "would be removed" if given.dry_run else "removed"
    megabytes = f"{sum(found.values()) / 1e6:,.1f} MB"
    count = format_count(len(found), "file")
    print(f"{count} ({megabytes}) of refreshes before {format_iso(before)} {verb}")
    return 0


def check_keep(text: str, settings: RunSettings) -> int:
    """The seconds of ``--keep``.

    Raises:
        UserError: if it is not a duration, or too short.
    """
    try:
        length = parse_duration(text)
    except ValueError as error:
        raise UserError(f"--keep {text}: {error}") from error
    least = (settings.data_schema.wait or 0) + 2 * settings.every
    if length < least:
        reason = "two refreshes and as long as labels are waited for"
        raise UserError(f"--keep {text}: must be >= {least}s, {reason}")
    return length


def find(folder: RunFolder, refreshes: set[str]) -> Iterator[tuple[str, int]]:
    """The files of some refreshes that may be removed, and their sizes in bytes."""
    for pattern in PRUNED:
        for path, size in files.list_sizes(folder.path, pattern).items():
            parts = PurePath(path).parts
            if parts[-2] in refreshes or PurePath(path).stem in refreshes:
                yield path, size
