"""The job as Dataflow gets it, without network: a dry run, a template, the package for workers.

What Dataflow makes of it is not tested: that needs Google. See ``deploy/dataflow/README.md``.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import DebugOptions
from apache_beam.pipeline import AppliedPTransform, PipelineVisitor
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from model.runs import RunFolder
from pipeline import runners
from pipeline.__main__ import main
from pipeline.graph import build
from pipeline.source import people_source
from tests.kit.job import ROOT, make_settings

dataflow = pytest.importorskip("google.cloud.dataflow", reason="needs apache-beam[gcp]")
pytestmark = pytest.mark.slow

RUN = "gs://my-bucket/runs/a"
NAMED = ("--project=my-project", "--region=europe-west1")
DRY = (*NAMED, "--temp_location=gs://my-bucket/tmp", "--dry_run=True")
LIVE: dict[str, Any] = {"live": True, "refreshes": 0}
PACKAGES = ("model", "reading", "transforms", "monitor", "pipeline")
IMAGE = "europe-docker.pkg.dev/my-project/correnteza/worker:1"
STREAMS = {"use_runner_v2", "enable_streaming_engine", "enable_windmill_service"}
"""Beam's experiments for runner v2 and the streaming engine."""


@pytest.fixture(autouse=True, scope="module")
def no_network() -> Iterator[None]:
    """Any connection is an error."""

    def refuse(*args: object) -> None:
        raise AssertionError(f"a connection to {args[1:]}")

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket.socket, "connect_ex", refuse)
        yield


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the package is made of: a build leaves files beside it."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, copy)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def build_graph(runner: Any, options: Any, **values: Any) -> beam.Pipeline:
    """The job's graph, for any runner."""
    settings = make_settings(**{"runner": "dataflow", "output": RUN, **values})
    folder = RunFolder(str(settings.output))
    source, span = people_source(settings, folder)
    pipeline = beam.Pipeline(runner=runner, options=options)
    build(pipeline, source, settings, folder, span)
    return pipeline


def for_dataflow(*argv: str, **values: Any) -> beam.Pipeline:
    """The job's graph, for Dataflow."""
    settings = make_settings(**{"runner": "dataflow", "output": RUN, **values})
    runner, options = runners.make(settings, list(argv))
    return build_graph(runner, options, **values)


def steps(pipeline: beam.Pipeline) -> list[AppliedPTransform]:
    """All steps of a graph as they stand in it, composites too."""
    found: list[AppliedPTransform] = []

    class Collector(PipelineVisitor):
        def enter_composite_transform(self, step: AppliedPTransform) -> None:
            found.append(step)

        def visit_transform(self, step: AppliedPTransform) -> None:
            found.append(step)

    pipeline.visit(Collector())
    return [step for step in found if step.full_label]


def names_of(proto: api.Pipeline) -> list[str]:
    """The names of a job's steps, by which an update finds them again."""
    roots = set(proto.root_transform_ids)
    transforms = proto.components.transforms.items()
    return sorted(step.unique_name for key, step in transforms if key not in roots)


def staged_names(proto: api.Pipeline) -> list[str]:
    """The names of what a job stages for its workers."""
    [environment] = proto.components.environments.values()
    artifacts = environment.dependencies
    payloads = [api.ArtifactStagingToRolePayload.FromString(one.role_payload) for one in artifacts]
    return [payload.staged_name for payload in payloads]


class Template(NamedTuple):
    """A classic template, and what was staged with it.

    Attributes:
        job: the template.
        proto: the job's graph as it was staged.
        staged: the folder of all that was staged.
        graph: the graph that it was made from.
    """

    job: dict[str, Any]
    proto: api.Pipeline
    staged: Path
    graph: beam.Pipeline


def template_of(folder: Path, *argv: str) -> Template:
    """A classic template of the live job, written to a folder of this machine."""
    staged, made_at = folder / "staged", folder / "made" / "template"
    staged.mkdir()
    made_at.parent.mkdir()
    graph = for_dataflow(
        *NAMED,
        "--dataflow_endpoint=http://localhost:1",
        "--no_auth",
        f"--temp_location={folder / 'temp'}",
        f"--staging_location={staged}",
        f"--template_location={made_at}",
        *argv,
        **LIVE,
    )
    graph.run()
    proto = api.Pipeline.FromString((staged / "pipeline.pb").read_bytes())
    return Template(json.loads(made_at.read_text()), proto, staged, graph)


@pytest.fixture(scope="module")
def template(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The template whose workers get the package."""
    return template_of(tmp_path_factory.mktemp("template"), f"--setup_file={project / 'setup.py'}")


@pytest.mark.parametrize("values", [{}, LIVE], ids=["replay", "live"])
def test_a_dry_run_is_a_streaming_job_with_runner_v2_and_the_streaming_engine(
    project: Path, values: dict[str, Any]
) -> None:
    argv = [*DRY, f"--setup_file={project / 'setup.py'}"]
    runners.preflight(make_settings(**{"runner": "dataflow", "output": RUN, **values}), argv)
    pipeline = for_dataflow(*argv, **values)
    result: Any = pipeline.run()
    job = result.job
    assert job.proto.type_ == dataflow.JobType.JOB_TYPE_STREAMING
    assert set(job.options.view_as(DebugOptions).experiments) >= STREAMS
    assert names_of(job.proto_pipeline) == sorted(step.full_label for step in steps(pipeline))
    assert staged_names(job.proto_pipeline) == ["workflow.tar.gz"]


def test_the_template_is_a_streaming_job_with_runner_v2_and_the_streaming_engine(
    template: Template,
) -> None:
    environment = template.job["environment"]
    assert template.job["type"] == "JOB_TYPE_STREAMING"
    assert environment["version"]["job_type"] == "FNAPI_STREAMING"
    assert set(environment["experiments"]) >= STREAMS
    assert template.job["name"] == runners.dataflow.job_name(RUN)


def images(template: Template) -> set[str]:
    """The images that a template names for its workers, in the job and in the graph."""
    [pool] = template.job["environment"]["workerPools"]
    containers = [one["containerImage"] for one in pool["sdkHarnessContainerImages"]]
    payloads = [
        api.DockerPayload.FromString(environment.payload).container_image
        for environment in template.proto.components.environments.values()
    ]
    return {pool["workerHarnessContainerImage"], *containers, *payloads}


def test_workers_run_beams_image_of_this_python_and_this_beam(template: Template) -> None:
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    image = f"gcr.io/cloud-dataflow/v1beta3/beam_python{python}_sdk:{beam.__version__}"
    assert images(template) == {image}


def test_the_package_is_staged_once_and_the_job_names_its_bytes(template: Template) -> None:
    package = template.staged / "workflow.tar.gz"
    [pool] = template.job["environment"]["workerPools"]
    assert pool["packages"] == [{"name": package.name, "location": str(package)}]
    assert {path.name for path in template.staged.iterdir()} == {"pipeline.pb", package.name}
    [environment] = template.proto.components.environments.values()
    [artifact] = environment.dependencies
    payload = api.ArtifactFilePayload.FromString(artifact.type_payload)
    assert payload.sha256 == hashlib.sha256(package.read_bytes()).hexdigest()
    graph = (template.staged / "pipeline.pb").read_bytes()
    result = template.job["environment"]["sdkPipelineOptions"]["options"]
    assert result["pipelineProtoHash"] == hashlib.sha256(graph).hexdigest()


def test_with_an_image_nothing_but_the_graph_is_staged(tmp_path: Path) -> None:
    template = template_of(tmp_path, f"--sdk_container_image={IMAGE}")
    assert [path.name for path in template.staged.iterdir()] == ["pipeline.pb"]
    assert images(template) == {IMAGE}


def test_steps_have_the_names_of_the_graph_whatever_the_settings_are(template: Template) -> None:
    # but for --lag and --predictions, which add and drop steps
    others = [
        {"output": "gs://my-bucket/runs/b", "learner": "ridge", "seed": 1, "keep": 0, "rate": 9},
        {"window": "3m", "every": "1m", "latency": "10s", "shards": 9, "live": True},
        {"batch_rows": 7, "sample_rows": 9, "disorder": 5, "people": "original", "refreshes": 2},
    ]
    names = names_of(template.proto)
    for values in others:
        graph = build_graph(FnApiRunner(), None, **values)
        assert sorted(step.full_label for step in steps(graph)) == names


def test_no_name_of_a_step_is_made_up_anew_each_time(template: Template) -> None:
    names = names_of(template.proto)
    assert len(set(names)) == len(names) > 50
    made_up = re.compile(r"0x[0-9a-f]{4}|[0-9a-f]{8}-[0-9a-f]{4}|[0-9a-f]{16}|\d{6}")
    assert not [name for name in names if made_up.search(name)]


def test_the_package_has_every_module_and_nothing_else(template: Template) -> None:
    with tarfile.open(template.staged / "workflow.tar.gz") as package:
        inside = {Path(*Path(name).parts[1:]) for name in package.getnames()}
    modules = {path.relative_to(ROOT) for part in PACKAGES for path in (ROOT / part).rglob("*.py")}
    assert {path for path in inside if path.suffix == ".py"} == {*modules, Path("setup.py")}


WORKER = """
import json, sys
import apache_beam as beam
from apache_beam.internal import pickler
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.runners.pipeline_context import PipelineContext

pickler.set_library("cloudpickle")
proto = api.Pipeline.FromString(open(sys.argv[1], "rb").read())
context = PipelineContext(proto.components)
for name in proto.components.coders:
    context.coders.get_by_id(name)
for name in proto.components.windowing_strategies:
    context.windowing_strategies.get_by_id(name)
fns = []
for step in proto.components.transforms.values():
    if step.spec.urn == "beam:transform:pardo:v1":
        fn = api.ParDoPayload.FromString(step.spec.payload).do_fn
        if fn.urn == python_urns.PICKLED_DOFN_INFO:
            fns.append(pickler.loads(fn.payload)[0])
    elif step.spec.urn.startswith("beam:transform:combine"):
        fn = api.CombinePayload.FromString(step.spec.payload).combine_fn
        fns.append(beam.CombineFn.from_runner_api(fn, context))
import model.files, pipeline.run, transforms.sinks
print(json.dumps({
    "classes": sorted(f"{type(fn).__module__}.{type(fn).__qualname__}" for fn in fns),
    "modules": {
        name: module.__file__ for name, module in sys.modules.items()
        if name.split(".")[0] in ("model", "reading", "transforms", "monitor", "pipeline")
    },
}))
"""
"""Reads a staged graph as a worker does: coders, windowings, DoFns and combiners."""


@pytest.fixture(scope="module")
def venv(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty venv in which the staged package was installed.

    It reaches Beam, pip and all libraries in the site-packages of this one by a .pth file; an
    editable install of this project there, being a .pth file itself, is out of its reach.
    """
    folder = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{Path(beam.__file__).parents[1]}\n")
    pip: list[Any] = [folder / "bin/python", "-m", "pip", "install", "--quiet"]
    alone = ["--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([*pip, *alone, template.staged / "workflow.tar.gz"], check=True)
    return folder


@pytest.fixture(scope="module")
def worker(template: Template, venv: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What a worker in that venv makes of the staged graph, in a folder that has nothing."""
    result = subprocess.run(
        [venv / "bin/python", "-I", "-c", WORKER, template.staged / "pipeline.pb"],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[-1])


def test_a_worker_imports_the_project_from_the_staged_package(venv: Path, worker: Any) -> None:
    modules = worker["modules"]
    assert {"model.files", "transforms.sinks", "pipeline.run"} <= set(modules)
    assert [name for name, path in modules.items() if not Path(path).is_relative_to(venv)] == []


def test_a_worker_makes_every_function_of_the_graph_from_the_staged_graph(
    template: Template, worker: Any
) -> None:
    fns = [
        step.transform.fn
        for step in steps(template.graph)
        if isinstance(step.transform, beam.ParDo | beam.CombinePerKey)
    ]
    classes = {f"{type(fn).__module__}.{type(fn).__qualname__}" for fn in fns}
    mine = {name for name in classes if name.split(".")[0] in PACKAGES}
    assert len(mine) > 5
    assert mine <= set(worker["classes"])


def test_a_job_that_is_not_waited_for_shows_that_no_alerts_are_posted(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--runner=dataflow", f"--output={RUN}", *DRY, f"--setup_file={project / 'setup.py'}"]
    assert main([*argv, "--webhook=https://example.org/s3cret"]) == 0
    result = capsys.readouterr()
    assert "--webhook: nothing here waits for the job, so no alerts are posted" in result.err
    assert "s3cret" not in result.out + result.err
