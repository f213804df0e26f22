"""Makes rows of Debezium's changes: what an insert, an update and a delete in a database mean.

| change | ``op`` | of questions | of labels |
|---|---|---|---|
| insert, or a row of the first snapshot | ``c``, ``r`` | a question: the row after it | a label |
| update | ``u`` | no new question: rejected | a label: the row after it |
| delete, truncate | ``d``, ``t`` | rejected | rejected: a label that was given stays |
| tombstone, behind a delete | | rejected | rejected |

All that is rejected is counted, and shown with its place and reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from model.rows import Row, RowError

NAMES = {"u": "an update", "d": "a delete", "t": "a truncate", "m": "a message"}
"""What is no row, by Debezium's letter for it."""
ROWS = frozenset({"c", "r"})
OF_LABELS = frozenset({"c", "r", "u"})


def unwrap(change: Row, are_labels: bool, tombstone: RowError) -> Row:
    """The row of a change, with the change's ``op``, ``ts_ms`` and ``source`` as further columns.

    Args:
        change: as it was read, with or without Connect's schema beside it; or why it was not.
        are_labels: whether rows are labels, and not questions.
        tombstone: what stands for a change without anything in it.

    Example:
        >>> unwrap({"op": "c", "before": None, "after": {"a": 1}}, False, RowError("", ""))["a"]
        1
    """
    if isinstance(change, RowError):
        return change
    body: object = change
    if change.keys() == {"schema", "payload"}:
        body = change["payload"]
        if body is None:
            return tombstone
    if not isinstance(body, Mapping) or not isinstance(body.get("op"), str):
        return _reject(change, "is not a change of Debezium's: must have op, before and after")
    op = body["op"]
    if op not in (OF_LABELS if are_labels else ROWS):
        name, what = NAMES.get(op, "no change that is known"), "label" if are_labels else "question"
        return _reject(change, f"is {name} (op {op!r}), which makes no {what}")
    after = body.get("after")
    if not isinstance(after, Mapping):
        return _reject(change, f"has op {op!r} and no row after it")
    # The row's own columns go before.
    return {**{name: body.get(name) for name in ("op", "ts_ms", "source")}, **after}


def _reject(change: Mapping[str, object], reason: str) -> RowError:
    text = json.dumps(dict(change), ensure_ascii=False, default=str, skipkeys=True)
    return RowError(text.encode(errors="backslashreplace").decode(), reason)
