"""Asks a schema registry with Confluent's API for the schemas that records name by a number.

A schema never changes, so each is asked for once in a process. A registry that is away is asked
again for some seconds; then that is an error, for which the run stops: a record is rejected only
where the registry has answered that it has no such schema.
"""

from __future__ import annotations

import json
import threading
import time
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import urllib3

from model.errors import UserError
from reading.kafka.address import registry_properties
from reading.kafka.client import KafkaError

RETRIES = urllib3.Retry(
    total=6,
    backoff_factor=0.25,  # 0.5, 1, 2, 4 and 8 s between them
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
)
AT_LAUNCH = RETRIES.new(total=2)
"""At launch someone waits for the answer."""
ANSWER_SECONDS = 10.0
"""Seconds that the registry has to answer."""
UNKNOWN_SECONDS = 60.0
"""Seconds for which it is believed that there is no such schema; one copy may lag another."""
MAX_UNKNOWN = 10_000
"""Maximum number of schemas that are remembered as unknown."""


class UnknownSchema(Exception):
    """The registry has no such schema."""


class Registry:
    """A schema registry; safe for many threads.

    Attributes:
        address: where it is.

    Raises:
        UserError: if the properties cannot be read.
    """

    def __init__(self, address: str, config: str | None) -> None:
        self.address = address
        self._config = config
        given = registry_properties(config)
        token = given.get("bearer.auth.token")
        headers = urllib3.make_headers(
            basic_auth=given.get("basic.auth.user.info"), user_agent="correnteza"
        )
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._http = urllib3.PoolManager(
            headers=headers,
            timeout=ANSWER_SECONDS,
            ca_certs=given.get("ssl.ca.location"),
            cert_file=given.get("ssl.certificate.location"),
            key_file=given.get("ssl.key.location"),
        )
        self._unknown: dict[int, float] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """Asks for something, to see whether it answers.

        Raises:
            UserError: if it wants a user, or is no schema registry.
            KafkaError: if it does not answer.
        """
        # Who may read schemas need not have the right to list subjects.
        if self._get("/subjects", allowed=(200, 403), retries=AT_LAUNCH) is None:
            raise UserError(
                f"[format] registry {self.address}: is no schema registry with Confluent's API: "
                "must be its address, as http://localhost:8081"
            )

    def schema(self, number: int) -> list[dict[str, Any]]:
        """A schema, as the registry answers: last, behind those that it refers to.

        Raises:
            UnknownSchema: if there is none of that number.
            UserError: if it may not be read.
            KafkaError: if the registry does not answer.
        """
        with self._lock:
            if time.monotonic() - self._unknown.get(number, -UNKNOWN_SECONDS) < UNKNOWN_SECONDS:
                raise UnknownSchema
        found = self._get(f"/schemas/ids/{number}")
        if found is None:
            with self._lock:
                if len(self._unknown) >= MAX_UNKNOWN:
                    self._unknown.clear()
                self._unknown[number] = time.monotonic()
            raise UnknownSchema
        return self._with_references(found, {})

    def _with_references(self, found: dict[str, Any], seen: dict[str, Any]) -> list[dict[str, Any]]:
        needed = []
        for one in found.get("references") or ():
            if one["name"] in seen:
                continue
            path = f"/subjects/{quote(one['subject'], safe='')}/versions/{one['version']}"
            other = seen[one["name"]] = self._get(path)
            if other is None:
                raise UnknownSchema
            needed += self._with_references(other, seen)
        return [*needed, found]

    def _get(
        self, path: str, allowed: tuple[int, ...] = (200,), retries: urllib3.Retry = RETRIES
    ) -> Any:
        """What a path has; None if there is nothing."""
        try:
            answer = self._http.request("GET", self.address + path, retries=retries)
        except urllib3.exceptions.MaxRetryError as error:
            raise self._error(f"does not answer: {_explain(error.reason)}") from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._error(f"does not answer: {_explain(error)}") from None
        if answer.status in (404, 405):
            return None
        if answer.status == 401 or (answer.status == 403 and 403 not in allowed):
            given = "" if self._config is None else f" {self._config}"
            raise UserError(
                f"[format] registry {self.address}: refuses to answer ({answer.status}): must have "
                "schema.registry.basic.auth.user.info=USER:PASSWORD, of a user with the right to "
                f"read schemas, in the file of --kafka-config{given}"
            )
        if answer.status not in allowed:
            raise self._error(f"answers with status {answer.status}")
        try:
            return json.loads(answer.data)
        except ValueError:
            raise self._error(f"answers to {path} with what is not JSON") from None

    def _error(self, reason: str) -> KafkaError:
        return KafkaError(f"[format] registry {self.address}: {reason}")


def _explain(error: BaseException | None) -> str:
    """Why there is no answer, in one line: without the library's objects."""
    text = str(error).split("\n")[0]
    return text.split(">: ")[-1].split("): ", 1)[-1]


@lru_cache(maxsize=16)
def registry_of(address: str, config: str | None) -> Registry:
    """The registry at an address; one a process."""
    return Registry(address, config)
