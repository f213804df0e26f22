"""What is known of Beam's Java job server is what is in its jar, and what Java really prints."""

from __future__ import annotations

import re
import shutil
import subprocess
import traceback
import zipfile
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.arguments import parse
from pipeline.runners.beam_compat import BeamParser
from pipeline.runners.cluster import root_cause
from pipeline.runners.flink import JOB_SERVERS
from tests.kit.job import ROOT

JARS = sorted((ROOT / ".tools" / "flink").glob("beam-runners-flink-*/beam-runners-flink-*.jar"))
OTHERS = {
    "state_backend_factory",  # a class, which no command line can give
    "file_input_split_max_size_m_b",  # of files that Java reads
}
THROW = """
public class Throw {
  public static void main(String[] args) throws Exception {
    var python = new RuntimeException(new String(System.in.readAllBytes(), "UTF-8"));
    var bundle = new java.util.concurrent.ExecutionException(python);
    new RuntimeException("Failed job: 7", bundle).printStackTrace(System.out);
  }
}
"""


def java_options(jar: Path) -> set[str]:
    """The options of ``FlinkPipelineOptions`` in a jar, as a command line has them."""
    with zipfile.ZipFile(jar) as opened:
        data = opened.read("org/apache/beam/runners/flink/FlinkPipelineOptions.class")
    # A text of a class's constants is a 1, its length in two bytes, and its bytes.
    texts = [
        data[at + 3 : at + 3 + int.from_bytes(data[at + 1 : at + 3], "big")].decode("latin-1")
        for at in (found.start() for found in re.finditer(rb"\x01\x00.(?:get|is)[A-Z]", data, re.S))
    ]
    getters = [re.fullmatch(r"(?:get|is)([A-Z]\w*)", text) for text in texts]
    return {re.sub("(?<!^)(?=[A-Z])", "_", getter[1]).lower() for getter in getters if getter}


@pytest.mark.skipif(not JARS, reason="no job server is installed: make flink-up")
@pytest.mark.parametrize("jar", JARS, ids=lambda jar: str(jar.name))
def test_each_option_of_the_job_server_is_passed_through(jar: Path) -> None:
    options = java_options(jar) - OTHERS
    assert {"parallelism", "checkpointing_interval", "savepoint_path"} <= options
    beams = {name.removeprefix("--") for name in BeamParser().names}
    assert options - beams - {*JOB_SERVERS} == set()


def test_no_option_of_the_job_server_is_one_that_beams_python_knows() -> None:
    assert {f"--{name}" for name in JOB_SERVERS} & {*BeamParser().names} == set()
    assert len(JOB_SERVERS) == len({*JOB_SERVERS})


@pytest.mark.parametrize("name", JOB_SERVERS)
def test_an_option_of_the_job_server_is_no_mistake(name: str) -> None:
    _, beam_options = parse([f"--{name}=1"])
    assert beam_options == [f"--{name}=1"]
    assert PipelineOptions(beam_options).get_all_options(retain_unknown_options=True)[name] == "1"


FULL = "OSError: [Errno 28] No space left on device: '/data/a'"


def python_traceback() -> str:
    """What Python prints of an error that was raised from another one."""
    try:
        try:
            raise OSError(28, "No space left on device", "/data/a")
        except OSError as full:
            raise RuntimeError("the bundle failed [while running 'Train']") from full
    except RuntimeError as error:
        return "".join(traceback.format_exception(error))


def test_the_root_of_a_python_traceback_is_the_error_that_was_raised_first() -> None:
    assert root_cause(python_traceback()) == FULL


def test_the_root_of_errors_that_met_while_another_was_handled_is_that_of_the_last() -> None:
    try:
        try:
            raise KeyError("before")
        except KeyError:
            try:
                raise OSError(28, "No space left on device", "/data/a")
            except OSError as full:
                raise RuntimeError("the bundle failed") from full
    except RuntimeError as error:
        assert root_cause("".join(traceback.format_exception(error))) == FULL


@pytest.mark.skipif(shutil.which("javac") is None, reason="no javac is on the PATH")
def test_the_root_of_a_stack_trace_that_java_prints_is_the_error_in_python(tmp_path: Path) -> None:
    (tmp_path / "Throw.java").write_text(THROW)
    text = f"Error received from SDK harness for instruction 7: {python_traceback()}"
    printed = subprocess.run(
        ["java", tmp_path / "Throw.java"], input=text, capture_output=True, text=True, check=True
    ).stdout
    assert "Caused by: java.util.concurrent.ExecutionException" in printed
    assert root_cause(printed) == FULL
