"""Finding files: by path, glob or folder, on any file system that Beam knows.

Globs are those of a shell and of Python: ``*``, ``?`` and ``[...]`` within a name, ``**`` for
folders to any depth, none included, and ``{a,b}`` for alternatives. A path that exists is that
file, whatever marks its name has. What tools leave beside data (names that begin with ``.`` or
``_``, copies of editors) is left out below the first glob mark, unless the pattern names it.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Protocol

from model.errors import UserError
from model.remote import file_systems, get_scheme, storage_errors
from model.schemes import check_scheme, local_path
from model.wording import first_line
from reading.formats import format_of

_MARKS = re.compile(r"[*?\[]")
_ALL = ("**", "*")


class FoundFile(NamedTuple):
    """A file: its path, bytes, and when it was last written (seconds; 0 if unknown)."""

    path: str
    size: int
    updated: float


class Matches(NamedTuple):
    """What a pattern matches.

    Attributes:
        files: by path, sorted.
        left_out: the paths that match but are hidden, copies or broken links, sorted.
        named: the paths that the pattern names exactly.
        folders: the folders that stand for all data in them.
        passed: the folders that a glob for files matches, and that are not looked into.
    """

    files: dict[str, FoundFile]
    left_out: list[str]
    named: set[str]
    folders: list[str]
    passed: list[str]


class _Tree(Protocol):
    """A file system, as far as it is looked at."""

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        """The names of the files, and of the folders, in a folder; both sorted."""

    def stat(self, path: str) -> FoundFile | None:
        """A file; None if it is not there."""

    def is_folder(self, path: str) -> bool: ...

    def identity(self, folder: str) -> str:
        """The same for the same folder, however it is reached."""


def match(pattern: str, option: str = "--input") -> Matches:
    """The files that a path, a glob or a folder stands for.

    Args:
        pattern: the path, the glob or the folder.
        option: what it was given for, for the messages.

    Raises:
        UserError: if its file system is not known here, or cannot be listed.
    """
    pattern = local_path(pattern)
    check_scheme(pattern, option)
    try:
        return _match(pattern)
    except storage_errors(ValueError) as error:
        raise UserError(f"{option} {pattern}: cannot be listed: {first_line(error)}") from error


def _match(pattern: str) -> Matches:
    remote = get_scheme(pattern) is not None
    result = Matches({}, [], set(), [], [])
    left_out: set[str] = set()
    for one in [pattern] if _exists(pattern, remote) else expand_braces(pattern):
        path = one if remote else os.path.expanduser(one)
        tree: _Tree = _Remote(path) if remote else _Local()
        file = tree.stat(path)
        if file is not None:
            result.files[path] = file
            result.named.add(path)
        elif tree.is_folder(path):
            result.folders.append(path)
            _add(_descend(tree, path.rstrip("/") or "/", _ALL), tree, result, left_out)
        else:
            fixed, parts = _split(path)
            _add(_descend(tree, fixed, parts), tree, result, left_out)
            result.passed.extend(_find_passed(tree, fixed, parts))
    ordered = dict(sorted(result.files.items()))
    return result._replace(files=ordered, left_out=sorted(left_out - ordered.keys()))


def _exists(path: str, remote: bool) -> bool:
    if not remote:
        return os.path.lexists(os.path.expanduser(path))
    return bool(_MARKS.search(path) or "{" in path) and bool(file_systems().exists(path))


def _add(
    paths: Iterator[tuple[str, bool]], tree: _Tree, result: Matches, left_out: set[str]
) -> None:
    for path, hidden in paths:
        file = None if hidden else tree.stat(path)
        if file is None:
            left_out.add(path)
        else:
            result.files[path] = file


def expand_braces(pattern: str) -> list[str]:
    """A pattern's alternatives, as a shell expands them.

    Example:
        >>> expand_braces("d/{a,b{1,2}}.csv"), expand_braces("{a}.csv")
        (['d/a.csv', 'd/b1.csv', 'd/b2.csv'], ['{a}.csv'])
    """
    depth = start = 0
    commas: list[int] = []
    for at, mark in enumerate(pattern):
        if mark == "{":
            start, commas = (at, [at]) if depth == 0 else (start, commas)
            depth += 1
        elif mark == "," and depth == 1:
            commas.append(at)
        elif mark == "}" and depth:
            depth -= 1
            if depth == 0 and len(commas) > 1:
                edges = [*commas, at]
                inner = [pattern[a + 1 : b] for a, b in pairwise(edges)]
                head, tails = pattern[:start], expand_braces(pattern[at + 1 :])
                return [head + m + t for i in inner for m in expand_braces(i) for t in tails]
    return [pattern]


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of the data, by its name.

    Example:
        >>> [is_hidden(name) for name in ("_SUCCESS", ".a.csv.crc", "a.csv~", "a.csv", "_k=1")]
        [True, True, True, False, False]
    """
    if name.startswith("_"):
        return "=" not in name  # a partition's folder, if its column is named so
    return name.startswith((".", "~$", "#")) or name.endswith(("~", "._COPYING_"))


def _is_hidden_folder(name: str) -> bool:
    """As ``is_hidden``; the value that a partition's folder names may end as it likes (``k=~``)."""
    return is_hidden(name) and not ("=" in name and name[0] not in ".#~")


def _names_it(part: str) -> bool:
    """Whether a part of a pattern asks for hidden names."""
    return part[:1] in ("_", ".", "#") or part.startswith("~$") or part.endswith("~")


def _split(pattern: str) -> tuple[str, tuple[str, ...]]:
    """The folder before the first part that has a glob mark, and the parts from there."""
    scheme, mark, rest = pattern.rpartition("://")
    parts = rest.split("/")
    first = next((i for i, part in enumerate(parts) if _MARKS.search(part)), len(parts) - 1)
    fixed = "/".join(parts[:first]) or ("/" if rest.startswith("/") else "")
    glob: list[str] = []
    for part in filter(None, parts[first:]):
        # Beam's own globs read **.csv as any depth, which is **/*.csv elsewhere
        glob += ["**", part[1:]] if part.startswith("**") and part != "**" else [part]
    if glob and glob[-1] == "**":
        glob.append("*")
    return scheme + mark + fixed, tuple(glob)


def _join(folder: str, name: str) -> str:
    return name if not folder else f"{folder}{'' if folder.endswith('/') else '/'}{name}"


def _descend(
    tree: _Tree, folder: str, parts: tuple[str, ...], hidden: bool = False
) -> Iterator[tuple[str, bool]]:
    """The paths below a folder that fit the parts of a pattern, and whether each is hidden."""
    if not parts:
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        for below, beneath in _folders(tree, folder, hidden):
            yield from _descend(tree, below, rest, beneath)
        return
    names, folders = tree.entries(folder)
    within = partial(_is_within, part, hidden, is_hidden)
    inside = partial(_is_within, part, hidden, _is_hidden_folder)
    if rest:
        for name in folders:
            if fnmatchcase(name, part):
                yield from _descend(tree, _join(folder, name), rest, inside(name))
        return
    for name in names:
        if fnmatchcase(name, part):
            yield _join(folder, name), within(name)
    for name in folders:  # what Spark writes as x.parquet is a folder
        if format_of(name) and fnmatchcase(name, part):
            yield from _descend(tree, _join(folder, name), _ALL, inside(name))


def _find_passed(tree: _Tree, folder: str, parts: tuple[str, ...]) -> Iterator[str]:
    """The folders that fit a pattern whose files alone are read; with ``**`` there are none."""
    if not parts or "**" in parts:
        return
    part, rest = parts[0], parts[1:]
    for name in tree.entries(folder)[1]:
        if not fnmatchcase(name, part) or _is_within(part, False, _is_hidden_folder, name):
            continue
        if rest:
            yield from _find_passed(tree, _join(folder, name), rest)
        elif not format_of(name):
            yield _join(folder, name)


def _is_within(part: str, hidden: bool, hides: Callable[[str], bool], name: str) -> bool:
    return hidden or (hides(name) and not _names_it(part))


def _folders(tree: _Tree, top: str, hidden: bool) -> Iterator[tuple[str, bool]]:
    """A folder and all folders below it; one that a link leads to again is not entered twice."""
    seen: set[str] = set()
    waiting = [(top, hidden)]
    while waiting:
        folder, within = waiting.pop(0)
        if tree.identity(folder) in seen:
            continue
        seen.add(tree.identity(folder))
        yield folder, within
        _, names = tree.entries(folder)
        waiting += [(_join(folder, name), within or _is_hidden_folder(name)) for name in names]


class _Local:
    """This machine's file system."""

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        try:
            with os.scandir(folder or os.curdir) as found:
                kinds = [(entry.name, entry.is_dir()) for entry in found]
        except (FileNotFoundError, NotADirectoryError):
            return [], []
        kinds.sort()
        return [n for n, is_dir in kinds if not is_dir], [n for n, is_dir in kinds if is_dir]

    def stat(self, path: str) -> FoundFile | None:
        if not os.path.isfile(path):
            return None
        found = os.stat(path)
        return FoundFile(path, found.st_size, found.st_mtime)

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def identity(self, folder: str) -> str:
        return os.path.realpath(folder)


class _Remote:
    """A file system that lists paths: what is below the fixed part of a pattern, listed once."""

    def __init__(self, pattern: str) -> None:
        self.files: dict[str, FoundFile] = {}
        self.below: defaultdict[str, tuple[set[str], set[str]]] = defaultdict(
            lambda: (set(), set())
        )
        if _MARKS.search(pattern):
            self._list(f"{_split(pattern)[0]}/**")
        else:
            self._list(f"{pattern.rstrip('/')}/**")
            if not self.files:  # some file systems show a folder as a file, too
                self._list(pattern)

    def _list(self, pattern: str) -> None:
        for found in file_systems().match([pattern])[0].metadata_list:
            updated = float(found.last_updated_in_seconds or 0.0)
            self.files[found.path] = FoundFile(found.path, found.size_in_bytes, updated)
            folder, _, name = found.path.rpartition("/")
            self.below[folder][0].add(name)
            while "/" in folder and not folder.endswith(":/"):
                folder, _, name = folder.rpartition("/")
                self.below[folder][1].add(name)

    def entries(self, folder: str) -> tuple[list[str], list[str]]:
        names, folders = self.below[folder]
        return sorted(filter(None, names)), sorted(filter(None, folders))

    def stat(self, path: str) -> FoundFile | None:
        return self.files.get(path)

    def is_folder(self, path: str) -> bool:
        return not _MARKS.search(path) and path.rstrip("/") in self.below

    def identity(self, folder: str) -> str:
        return folder
