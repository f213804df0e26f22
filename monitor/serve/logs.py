"""Logs: a JSON object a line, on standard error."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

from model.asof import format_iso

LOGGER = logging.getLogger("monitor.serve")
NOTES = "correnteza"
"""Where in a request's scope stands what its log line shows: rows, model, problem."""
LINE_ENDS = {end: f"\\u{end:04x}" for end in (0x85, 0x2028, 0x2029)}
"""Ends of lines that JSON leaves as they are, and that readers of lines split at."""
LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class JsonLines(logging.Formatter):
    """Makes a line of JSON of each record, whoever logged it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "time": format_iso(int(record.created * 1e6)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.name != LOGGER.name:
            line["logger"] = record.name
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str).translate(LINE_ENDS)


def log_event(event: str, level: str = "info", **fields: Any) -> None:
    """Logs an event.

    Args:
        event: what happened, in a few words.
        level: info, warning or error.
        fields: of the line; an exception is logged with its traceback.
    """
    for name, value in fields.items():
        if isinstance(value, BaseException):
            fields[name] = "".join(traceback.format_exception(value))
    LOGGER.log(LEVELS[level], event, extra={"fields": fields})


def install() -> None:
    """Makes all logs of this process JSON lines; uvicorn's and ours from info on."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLines())
    LOGGER.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
