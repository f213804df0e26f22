"""Addresses with a scheme: which of them are paths here, and what to do about the others."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

from model.errors import UserError
from model.remote import file_systems

_EXTRAS = {"gs": "gcp", "s3": "aws", "azfs": "azure", "hdfs": "hadoop"}
"""The extra of apache-beam that a file system needs."""
_NEEDS = {"gs": "google.cloud.storage", "s3": "boto3", "azfs": "azure.storage.blob", "hdfs": "hdfs"}
"""What that extra installs, by which it is known."""
_MEANT = {
    **dict.fromkeys(("s3a", "s3n"), "s3"),
    "gcs": "gs",
    **dict.fromkeys(("az", "abfs", "abfss", "wasb", "wasbs", "adl"), "azfs"),
}
"""Other programs' names of the same file systems."""
_KNOWN = "a local path, gs://, s3://, azfs:// or hdfs://"
_REMOTE = ("http", "https", "ftp", "ftps", "sftp", "ssh", "scp", "webdav", "smb")


def local_path(path: str) -> str:
    """The path of a ``file://`` address; any other path as it is.

    Example:
        >>> local_path("file:///tmp/a%20b.csv"), local_path("a.csv")
        ('/tmp/a b.csv', 'a.csv')
    """
    if not path.lower().startswith("file:/"):
        return path
    return unquote(path[len("file:") :].removeprefix("//").removeprefix("localhost")) or "/"


def check_scheme(path: str, option: str) -> None:
    """Refuses an address that no file system here can open, with what to do instead.

    Args:
        path: a path or an address.
        option: what it was given for, as ``--input``; "" if for nothing that has a name.

    Raises:
        UserError: if it is of a scheme that Beam does not know, or whose package is missing.

    Example:
        >>> check_scheme("https://example.org/a.csv", "--input")
        Traceback (most recent call last):
        ...
        model.errors.UserError: --input https://example.org/a.csv: is not on a file system: \
download it first (curl --fail --location --remote-name URL), and name the local file
    """
    scheme, mark, rest = path.partition("://")
    advice = _advice(scheme.lower(), rest, option) if mark else None
    if advice:
        raise UserError(f"{option} {_without_secrets(path)}: {advice}".lstrip())


def _advice(scheme: str, rest: str, option: str) -> str | None:
    if scheme in _REMOTE and option != "--input":
        return f"is not on a file system: must be {_KNOWN}"
    if scheme in _REMOTE:
        tool = "curl --fail --location --remote-name URL" if scheme.startswith("http") else scheme
        return f"is not on a file system: download it first ({tool}), and name the local file"
    if scheme in _MEANT:
        meant = _MEANT[scheme]
        example = "azfs://ACCOUNT/CONTAINER/PATH" if meant == "azfs" else f"{meant}://{rest}"
        return f"is written {example} here" + _install(meant, "; that ")
    if scheme in _EXTRAS:
        return _install(scheme, "") or None
    if scheme == "kafka":
        return "Kafka cannot be read yet: write the messages to files of NDJSON first"
    return None if _has_file_system(scheme) else f"{scheme}:// is not known: must be {_KNOWN}"


def _install(scheme: str, lead: str) -> str:
    """What installs a file system's package; empty if it is there."""
    extra, module = _EXTRAS[scheme], _NEEDS[scheme]
    try:
        there = find_spec(module) is not None
    except ModuleNotFoundError:
        there = False
    if there:
        return ""
    python = os.path.relpath(sys.executable)
    python = sys.executable if python.startswith("..") else python
    return f"{lead}needs a package: {python} -m pip install 'apache-beam[{extra}]'"


def _has_file_system(scheme: str) -> bool:
    try:
        file_systems().get_filesystem(f"{scheme}://")
    except ValueError:
        return False
    return True


def _without_secrets(path: str) -> str:
    """The address without a password or a query, in which tokens are."""
    if path.partition("://")[0].lower() not in _REMOTE:
        return path
    try:
        parts = urlsplit(path)
    except ValueError:
        return path
    if not parts.query and "@" not in parts.netloc:
        return path
    return parts._replace(query="", netloc=parts.netloc.rpartition("@")[2]).geturl()
