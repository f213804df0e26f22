"""Asks a server (``monitor.serve``) for predictions, with the standard library alone."""

from __future__ import annotations

import http.client
import json
import os
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

from model.errors import UserError
from monitor.serve.options import KEY

URL = "http://127.0.0.1:8000"
PATIENCE = 60.0
"""Seconds that an answer may take."""

Row = dict[str, Any]


class Prediction(NamedTuple):
    """An answer: the model's name and a prediction a row."""

    model: str
    predictions: list[float | None]


class Client:
    """One connection to a server.

    Attributes:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parts = _parts(url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        self._connection = kind(str(parts.hostname), parts.port, timeout=PATIENCE)
        self._path = parts.path.rstrip("/")
        key = os.environ.get(KEY)
        self._headers = {"Content-Type": "application/json", **({"X-API-Key": key} if key else {})}

    def status(self) -> dict[str, Any]:
        """How the server's run stands.

        Raises:
            UserError: if it does not answer so.
        """
        answer = self._asked("GET", "/status")
        if not isinstance(answer, dict) or "settings" not in answer:
            raise UserError(f"{self.url}: is no server of this project: it has no /status of ours")
        return answer

    def predict(self, rows: list[Row]) -> Prediction:
        """Predictions for rows.

        Raises:
            UserError: if the server refuses, or is not there.
        """
        answer = self._asked("POST", "/predict", json.dumps(rows).encode())
        return Prediction(answer["model"], answer["predictions"])

    def _asked(self, method: str, path: str, body: bytes | None = None) -> Any:
        try:
            self._connection.request(method, self._path + path, body, self._headers)
            answer = self._connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise UserError(f"{self.url}: does not answer: {_brief(error)}") from error
        try:
            payload = json.loads(data)
        except ValueError as error:
            raise UserError(f"{self.url}{path}: answers {answer.status}, not in JSON") from error
        if answer.status != 200:
            raise UserError(f"{self.url}{path}: {payload.get('detail', answer.reason)}")
        return payload


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise UserError(f"{url}: must be the address of a server, as {URL}")


def _brief(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
