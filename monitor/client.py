"""Asks a server (``monitor.serve``) for predictions, over one connection that is kept open."""

from __future__ import annotations

import os
from typing import Any, NamedTuple
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from model.errors import UserError
from monitor.serve.options import KEY

URL = "http://127.0.0.1:8000"
PATIENCE = 60.0
"""Seconds that an answer may take."""
BUSY = 503
"""The status of an answer that says to try again."""
RETRIES = Retry(
    total=3,
    redirect=False,
    backoff_factor=0.1,
    status_forcelist=[BUSY],
    allowed_methods=None,  # a prediction may be asked for twice
    raise_on_status=False,
)
"""How often a request is tried again if the connection fails or the server is busy: after 0, 0.2
and 0.4 seconds, or after the seconds that a busy server names."""

Row = dict[str, Any]


class Prediction(NamedTuple):
    """An answer: the model's name and a prediction a row."""

    model: str
    predictions: list[float | str | None]


class Client:
    """One connection to a server.

    Attributes:
        url: of the server.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parts = _parts(url)
        self._root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        key = os.environ.get(KEY)
        self._pool = urllib3.PoolManager(
            headers={"X-API-Key": key} if key else {}, retries=RETRIES, timeout=PATIENCE
        )

    def status(self) -> dict[str, Any]:
        """How the server's run stands.

        Raises:
            UserError: if it does not answer so.
        """
        answer = self._request("GET", "/status")
        if not isinstance(answer, dict) or "settings" not in answer:
            raise UserError(f"{self.url}: is not our server: it has no /status of ours")
        return answer

    def predict(self, rows: list[Row]) -> Prediction:
        """Predictions for rows.

        Raises:
            UserError: if the server refuses, or is not there.
        """
        answer = self._request("POST", "/predict", rows)
        return Prediction(answer["model"], answer["predictions"])

    def _request(self, method: str, path: str, json: Any = None) -> Any:
        try:
            answer = self._pool.request(method, self._root + path, json=json)
        except HTTPError as error:
            raise UserError(f"{self.url}: does not answer: {_describe(error)}") from error
        try:
            payload = answer.json()
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


def _describe(error: BaseException) -> str:
    """The system's error below those that urllib3 wraps around it, or the outermost one."""
    cause = getattr(error, "reason", None) or error.__cause__
    if isinstance(cause, BaseException):
        return _describe(cause)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
