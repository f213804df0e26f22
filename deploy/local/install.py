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
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local.parameters import HOME, ROOT, Parameters

POM = ROOT / "deploy" / "flink" / "pom.xml"
LOCKED = ROOT / "deploy" / "flink" / "requirements.txt"
"""The version of Flink that is tested, with the hashes of its files."""
SHOW_EVERY = 10.0
OLDEST_JAVA = 11


def install(parameters: Parameters) -> None:
    """Installs what is missing.

    Raises:
        SystemExit: if a tool is missing or a download failed; names the log.
    """
    check_java("Flink")
    install_whole(
        parameters.flink,
        f"Flink {parameters.flink_version} (some 250 MB, once)",
        lambda part: _flink(part, parameters),
    )
    install_whole(
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


def check_java(program: str) -> None:
    """Checks that Java is there, and new enough.

    Raises:
        SystemExit: if it is not.
    """
    try:
        output = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    except FileNotFoundError:
        raise SystemExit(
            f"error: {program} needs Java, and no java is on the PATH: install 17"
        ) from None
    version = java_version(output)
    if version is None or version < OLDEST_JAVA:
        raise SystemExit(
            f"error: {program} needs Java {OLDEST_JAVA} or newer (17 is tested): {output}"
        )


def install_whole(path: Path, title: str, make: Callable[[Path], None]) -> None:
    """Makes a folder, whole or not at all."""
    if path.exists():
        return
    print(f"== installing {title}", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as scratch:
        part = Path(scratch, "part")
        make(part)
        part.rename(path)


def _flink(part: Path, parameters: Parameters) -> None:
    # pip knows no wheel of apache-flink for newer Pythons or other machines; only its scripts are
    # used, and they are the same in each: any wheel will do.
    fetched = part.with_name("fetched")
    run_downloader(
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
    name, version = parameters.beam_flink_runner.split(":")
    defined = {"runner.name": name, "runner.version": version}
    defined["slf4j.version"] = parameters.slf4j_version
    copy_jars(part, POM, defined, "Beam's job server")


def copy_jars(
    part: Path, pom: Path, defined: Mapping[str, str], program: str, home: Path = HOME
) -> None:
    """Copies a program's jars into a folder.

    Args:
        part: the folder, which Maven makes.
        pom: what the program is made of.
        defined: the properties that the pom leaves open.
        program: for the message.
        home: where the log is.

    Raises:
        SystemExit: if there is no Maven, or it failed; names the log.
    """
    if shutil.which("mvn") is None:
        raise SystemExit(f"error: {program} comes by Maven, and no mvn is on the PATH")
    copied = part.with_name("pom.xml")  # Maven writes beside it
    shutil.copy(pom, copied)
    run_downloader(
        [
            *("mvn", "--batch-mode", "--file", str(copied), "dependency:copy-dependencies"),
            *("-DincludeScope=runtime", f"-DoutputDirectory={part}"),
            *(f"-D{name}={value}" for name, value in defined.items()),
        ],
        part,
        home,
    )


def run_downloader(argv: list[str], target: Path, home: Path = HOME) -> None:
    """Runs a downloader, and says every ten seconds how far it is."""
    log = home / "log" / f"install-{Path(argv[0]).name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=subprocess.STDOUT)
        while True:
            try:
                code = process.wait(SHOW_EVERY)
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
