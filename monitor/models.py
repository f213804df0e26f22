"""``python -m pipeline models``: lists, shows, verifies, prunes and exports a run's models."""

from __future__ import annotations

from rich.table import Table

from model import files, promotions
from model.errors import UserError
from model.manifest import Manifest, find_leak
from model.runs import RunFolder
from model.store import DamagedArtefact, Store
from model.wording import format_count
from monitor import pinning
from monitor.commandline import Parser
from monitor.console import consoles
from monitor.watch.figures import format_figure

EXAMPLES = """\
examples:
  python -m pipeline models runs/latest                              a line a model
  python -m pipeline models runs/latest 20260101T001200Z             one, whole
  python -m pipeline models runs/latest --verify                     does each match its hash?
  python -m pipeline models runs/latest --prune 3                    keep the newest three
  python -m pipeline models pin runs/latest 20260101T001200Z         it serves until unpin
  python -m pipeline models unpin runs/latest                        the newest serves again
  python -m pipeline models rollback runs/latest --why "odd errors"  the one before serves
  python -m pipeline models export runs/latest newest --to model.joblib   (or model.onnx)
  python -m pipeline models export runs/latest newest --mlflow URI        (export --help)
"""


def parser() -> Parser:
    """The parser of ``python -m pipeline models``."""
    made = Parser(
        prog="python -m pipeline models",
        description="The models that a run keeps.",
        epilog=EXAMPLES,
    )
    made.add_folder()
    what = made.add_mutually_exclusive_group()
    what.add_argument("name", nargs="?", help="one model: shows its manifest")
    what.add_argument("--verify", action="store_true", help="match every file with its hash")
    what.add_argument("--prune", type=int, metavar="N", help="remove all but the newest N")
    return made


def main(argv: list[str]) -> int:
    """Runs the command.

    Returns:
        0, or 1 if ``--verify`` found a damaged model.

    Raises:
        UserError: for a folder that holds no run, or a model that it has not.
    """
    if argv[:1] == ["export"]:
        from monitor.export import main as export  # late: it needs more than a list of models does

        return export(argv[1:])
    if argv[:1] and argv[0] in pinning.ACTS:
        return pinning.main(argv[0], argv[1:])
    given = parser().parse_args(argv)
    if given.prune is not None and given.prune < 1:
        raise UserError(f"--prune {given.prune}: must be >= 1")
    folder = RunFolder(given.folder)
    folder.check()
    folder.read_settings()
    store = Store(folder.models)
    if given.name is not None:
        return show(store, Store(folder.refused), given.name)
    if given.prune is not None:
        return prune(store, given.prune)
    if given.verify:
        settings = folder.parse_settings(folder.read_settings())
        return verify(store, settings.data_schema.has_later_labels)
    return list_models(store, folder)


def show(store: Store, refused: Store, name: str) -> int:
    """Prints the manifest of a model, accepted or refused."""
    store = refused if name in refused.names() else store
    try:
        print(store.manifest(store.find(name)).as_json().decode(), end="")
    except DamagedArtefact as error:
        raise UserError(str(error)) from error
    return 0


def list_models(store: Store, folder: RunFolder) -> int:
    """Prints a line a model, oldest first."""
    names, refused = store.names(), Store(folder.refused)
    out, _ = consoles()
    if not names and not refused.names():
        out.print(f"no model in {store.path}")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model (window's end)", no_wrap=True)
    figures = ("log loss", "AUC") if names and _classifies(store, names[-1]) else ("MAE", "R2")
    for title in ("rows", "learner", *figures, "bytes", "fit s", "gate"):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [(name, _row(store, folder, name)) for name in names]
    rows += [(name, _row(refused, folder, name)) for name in refused.names()]
    for name, row in sorted(rows):
        table.add_row(name, *row)
    out.print(table)
    pinned = folder.describe_pin()
    if pinned is not None:
        out.print(pinned, soft_wrap=True, markup=False)
    return 0


def _classifies(store: Store, name: str) -> bool:
    try:
        return store.manifest(name).task == "classification"
    except DamagedArtefact:
        return False


def _row(store: Store, folder: RunFolder, name: str) -> list[str]:
    try:
        manifest = store.manifest(name)
    except DamagedArtefact:
        return ["damaged"]
    fit = manifest.training
    figures = (fit.mae, fit.r2) if manifest.task is None else (fit.log_loss, fit.roc_auc)
    return [
        f"{manifest.rows:,}",
        manifest.learner,
        *map(format_figure, figures),
        f"{manifest.bytes:,}",
        format_figure(folder.fit_seconds(name)),
        describe_gate(manifest),
    ]


def describe_gate(manifest: Manifest) -> str:
    """What the gate has found of a model, in a word; "-" if there was none."""
    gate = manifest.gate
    if gate is None:
        return "-"
    if not gate.accepted:
        return "refused"
    return "accepted" if gate.trial is not None else "untried"


def verify(store: Store, has_label_time: bool = False) -> int:
    """Matches every model file with its hash; opens none.

    Args:
        store: the run's.
        has_label_time: whether labels have a time of their own: then no model may have learned one
            that was not known when its window ended.
    """
    damaged = 0
    for name in store.names():
        try:
            store.read_verified(name)
            problem = find_leak(store.manifest(name)) if has_label_time else None
        except DamagedArtefact as error:
            problem = f"damaged: {str(error).partition(': ')[2]}"
        damaged += problem is not None
        print(f"{name}  {problem or 'ok'}")
    print(f"{format_count(len(store.names()), 'model')}, {damaged} damaged")
    return 1 if damaged else 0


def prune(store: Store, keep: int) -> int:
    """Removes all but the newest models."""
    protected = promotions.find_protected(files.parent(store.path))
    for name in store.names()[:-keep]:
        if name not in protected:
            store.remove(name)
            print(f"removed {name}")
    return 0
