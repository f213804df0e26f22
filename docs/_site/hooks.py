"""What the site has beside ``docs/``; MkDocs calls the functions that begin with ``on_``.

The README and its like become pages, the options and the HTTP paths are asked of the program,
and each file of the repository that a page links to (an example, a manifest) becomes a page, too.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import shlex
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
WHOLE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Files beside ``docs/`` that are pages, and the pages' names."""
LINK = re.compile(r"(\]\()(?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")
LANGUAGES = {".yml": "yaml", ".yaml": "yaml", ".toml": "toml", ".py": "python", ".json": "json"}
PROGRAM = (sys.executable, "-m", "pipeline")
PROGRAM_NAME = shlex.join(PROGRAM)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are not in ``docs/``."""
    texts = {page: (ROOT / name).read_text(encoding="utf-8") for name, page in WHOLE.items()}
    sources = {page: name for name, page in WHOLE.items()}
    for file in files.documentation_pages():
        sources[file.src_uri] = f"docs/{file.src_uri}"
        texts[file.src_uri] = (ROOT / "docs" / file.src_uri).read_text(encoding="utf-8")
    linked: dict[str, str] = {}
    for page, text in texts.items():
        for target in targets(text, sources[page]):
            add(target, linked)
    made = {page: texts[page] for page in WHOLE.values()} | linked
    made |= {"options.md": "\n".join(options()), "http.md": "\n".join(paths())}
    for page, text in made.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads links that leave ``docs/`` to the pages that this module makes."""
    uri = page.file.src_uri
    source = {made: name for name, made in WHOLE.items()}.get(uri, f"docs/{uri}")
    if uri in ("options.md", "http.md") or uri.startswith("files/"):
        return markdown

    def lead(link: re.Match[str]) -> str:
        target = resolve(link[2], source)
        here = posixpath.relpath(place(target), posixpath.dirname(uri) or ".")
        return f"{link[1]}{here}{link[3] or ''})"

    return LINK.sub(lead, markdown)


def resolve(link: str, source: str) -> str:
    """The path in the repository that a link in a file of it leads to."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def targets(text: str, source: str) -> Iterator[str]:
    """The files and folders outside ``docs/`` that a text links to."""
    for link in LINK.finditer(text):
        target = resolve(link[2], source)
        if not target.startswith("docs/") and target not in WHOLE:
            yield target


def place(target: str) -> str:
    """Where the site has a path of the repository."""
    if target in WHOLE:
        return WHOLE[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"files/{target}.md"


def add(target: str, pages: dict[str, str]) -> None:
    """Makes the page of a file, or of a folder and what is in it.

    One that is absent has none, so MkDocs reports the link to it as dead.
    """
    path = ROOT / target
    if place(target) in pages or not path.exists():
        return
    if path.is_dir():
        inside = sorted(one.name for one in path.iterdir() if not one.name.startswith(("__", ".")))
        links = "\n".join(f"- [{name}]({path.name}/{name}.md)" for name in inside)
        pages[place(target)] = f"# {target}\n{links}\n"
        for name in inside:
            add(f"{target}/{name}", pages)
        return
    text = path.read_text(encoding="utf-8")
    fence = "`" * (3 + max([len(run) for run in re.findall("`{3,}", text)] or [0]))
    language = LANGUAGES.get(path.suffix, "text")
    pages[place(target)] = f"# {target}\n{fence}{language}\n{text.rstrip()}\n{fence}\n"


def options() -> Iterator[str]:
    """The page of commands and options, from the program's own help."""
    from pipeline.program import COMMANDS

    yield "# Commands and options"
    yield "`correnteza [options]` runs the job; `correnteza COMMAND [options]` does one of the"
    yield "things below. `python -m pipeline` is the same program. Options of the job may stand in"
    yield "a TOML file (`--config`), with `_` for `-`. What the program prints for `--help`:"
    yield "\n## The job"
    yield f"```text\n{print_help('--help')}\n```"
    for name in COMMANDS:
        yield f"\n## {name}\n```text\n{print_help(name, '--help')}\n```"


def print_help(*argv: str) -> str:
    """What the program prints, under its own name."""
    env = {**os.environ, "COLUMNS": "96", "NO_COLOR": "1"}
    text = subprocess.check_output([*PROGRAM, *argv], env=env, cwd=ROOT, text=True)
    return text.replace(PROGRAM_NAME, "correnteza").rstrip()


def escape_cell(text: str) -> str:
    """A text for a cell of a table."""
    return re.sub(r"([<>|*_])", r"\\\1", " ".join(text.split()))


def paths() -> Iterator[str]:
    """The page of the server's paths, from the description that it has of itself."""
    described = description()
    yield "# HTTP"
    yield "What `correnteza serve` answers. `/openapi.json` has it for programs, with the columns"
    yield "of the run's own schema. Every error is `application/problem+json`. Here the run is one"
    yield "on synthetic people."
    for path, methods in described["paths"].items():
        for method, what in methods.items():
            yield f"\n## {method.upper()} {path}"
            yield f"{escape_cell(what.get('summary', ''))}\n\n{what.get('description', '')}"
            if what.get("parameters"):
                yield "\n| parameter | in | |\n|---|---|---|"
            for one in what.get("parameters", []):
                text = escape_cell(one.get("description", ""))
                yield f"| `{one['name']}` | {one['in']} | {text} |"
            if "requestBody" in what:
                kinds = ", ".join(f"`{kind}`" for kind in what["requestBody"]["content"])
                yield f"\nBody: {kinds}."
            yield "\n| answer | | content |\n|---|---|---|"
            for code, answer in what["responses"].items():
                kinds = ", ".join(f"`{kind}`" for kind in answer.get("content", {}))
                yield f"| {code} | {escape_cell(answer.get('description', ''))} | {kinds} |"
    yield "\n## Objects"
    for name, schema in sorted(described.get("components", {}).get("schemas", {}).items()):
        yield f"\n### {name}\n{schema.get('description', '')}"
        if schema.get("properties"):
            yield "\n| field | type | |\n|---|---|---|"
        for field, kind in schema.get("properties", {}).items():
            text = escape_cell(kind.get("description", ""))
            yield f"| `{field}` | {escape_cell(describe_type(kind))} | {text} |"


def describe_type(kind: dict[str, Any]) -> str:
    """The type of a field, in a word or two."""
    if "$ref" in kind:
        return str(kind["$ref"].rsplit("/", 1)[-1])
    if "anyOf" in kind or "oneOf" in kind:
        return " or ".join(describe_type(one) for one in kind.get("anyOf", kind.get("oneOf")))
    if kind.get("type") == "array":
        return f"list of {describe_type(kind.get('items', {})) or 'anything'}"
    return str(kind.get("type", ""))


def description() -> dict[str, Any]:
    """The OpenAPI description of a server of a small run."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        argv = ["--refreshes=2", "--rate=50", "--learner=ridge", f"--output={run}"]
        subprocess.run([*PROGRAM, *argv], cwd=ROOT, check=True, capture_output=True)
        serve = [*PROGRAM, "serve", run, "--port", "0"]
        pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
        with subprocess.Popen(serve, cwd=ROOT, stdout=pipe, stderr=nowhere, text=True) as server:
            assert server.stdout is not None
            address = re.findall(r"http://[^\s/]+", server.stdout.readline())[0]
            with urllib.request.urlopen(f"{address}/openapi.json") as answer:
                described: dict[str, Any] = json.load(answer)
            server.terminate()
    return described
