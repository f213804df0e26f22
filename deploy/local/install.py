"""Brings Flink (by pip) and Beam's job server (by Maven) into ``.tools/flink``, once a version.

Each is made in a folder beside its own, which is renamed at the end: what stands under its
name is whole. Which registries are asked is pip's and Maven's own configuration.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from deploy.local.parameters import HOME, ROOT, Parameters

POM = ROOT / "deploy" / "flink" / "pom.xml"
LOCKED = ROOT / "deploy" / "flink" / "requirements.txt"
"""The version of Flink that is tested, with the hashes of its files."""
TOLD_EVERY = 10.0
OLDEST_JAVA = 11


def install(parameters: Parameters) -> None:
    """Installs what is missing.

    Raises:
        SystemExit: if a tool is missing or a download failed; names the log.
    """
    _check_java()
    _whole(
        parameters.flink,
        f"Flink {parameters.flink_version} (some 250 MB, once)",
        lambda part: _flink(part, parameters),
    )
    _whole(
        parameters.job_server,
        f"Beam's job server {parameters.beam_flink_runner} (some 150 MB, once)",
        lambda part: _job_server(part, parameters),
    )


def java_version(output: str) -> int | None:
    """The main version in what ``java -version`` prints; None if there is none.

    Example:
        >>> java_version('openjdk version "17.0.9" 2023-10-17'), java_version('version "1.8.0_1"')
        (17, 8)
    """
    match = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(match[1]) if match else None


def _check_java() -> None:
    try:
        output = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    except FileNotFoundError:
        raise SystemExit(
            "error: Flink needs Java, and no java is on the PATH: install 17"
        ) from None
    version = java_version(output)
    if version is None or version < OLDEST_JAVA:
        raise SystemExit(f"error: Flink needs Java {OLDEST_JAVA} or newer (17 is tested): {output}")


def _whole(path: Path, title: str, make: Callable[[Path], None]) -> None:
    """Makes a folder, whole or not at all."""
    if path.exists():
        return
    print(f"== installing {title}", flush=True)
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=HOME) as scratch:
        part = Path(scratch, "part")
        make(part)
        part.rename(path)


def _flink(part: Path, parameters: Parameters) -> None:
    # pip knows no wheel of apache-flink for newer Pythons or other machines; only its scripts are
    # used, and they are the same in each: any wheel will do.
    fetched = part.with_name("fetched")
    _run(
        [
            *(sys.executable, "-m", "pip", "install", "--no-deps", "--no-compile"),
            *("--target", str(fetched), "--only-binary", "apache-flink"),
            *("--python-version", "3.11", "--platform", "manylinux1_x86_64"),
            *requirements(parameters.flink_version),
        ],
        fetched,
    )
    (fetched / "pyflink").rename(part)
    (part / "plugins").mkdir(exist_ok=True)
    for script in (part / "bin").glob("*.sh"):
        script.chmod(0o755)


def requirements(version: str) -> list[str]:
    """Pip's arguments for a version of Flink: the tested one is checked by its hashes.

    Example:
        >>> requirements("1.18.1")
        ['apache-flink==1.18.1', 'apache-flink-libraries==1.18.1']
    """
    names = [f"apache-flink=={version}", f"apache-flink-libraries=={version}"]
    locked = LOCKED.read_text()
    if all(f"{name} " in locked for name in names):
        return ["--require-hashes", "--requirement", str(LOCKED)]
    return names


def _job_server(part: Path, parameters: Parameters) -> None:
    if shutil.which("mvn") is None:
        raise SystemExit("error: Beam's job server comes by Maven, and no mvn is on the PATH")
    name, version = parameters.beam_flink_runner.split(":")
    pom = part.with_name("pom.xml")  # Maven writes beside it
    shutil.copy(POM, pom)
    _run(
        [
            *("mvn", "--batch-mode", "--file", str(pom), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", f"-DoutputDirectory={part}"),
            *(f"-Drunner.name={name}", f"-Drunner.version={version}"),
            f"-Dslf4j.version={parameters.slf4j_version}",
        ],
        part,
    )


def _run(argv: list[str], target: Path) -> None:
    """Runs a downloader, and says every ten seconds how far it is."""
    log = HOME / "log" / f"install-{Path(argv[0]).name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(TOLD_EVERY)
                break
            except subprocess.TimeoutExpired:
                print(f"   {time.monotonic() - began:.0f} s: {_last(log)}", flush=True)
            except BaseException:
                process.kill()
                raise
    if code or not target.is_dir():
        raise SystemExit(f"error: {Path(argv[0]).name} failed: see {log}: {_last(log, 'ERROR')}")


def _last(log: Path, word: str = "") -> str:
    """The last line that holds a word, cut to a screen's width."""
    text = log.read_text(errors="replace").replace("\r", "\n")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if word in line] or lines
    return named[-1][:100] if named else "starting"
