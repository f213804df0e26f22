"""The command line and its TOML file: every option, unknown ones, Beam's own, help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from pydantic import SecretStr

from model.errors import UserError
from pipeline.arguments import parse, parser
from pipeline.program import COMMANDS
from pipeline.settings import Settings, option
from tests.kit.job import SCHEMA, Job

OPTIONS: dict[str, tuple[str, Any]] = {
    "runner": ("prism", "prism"),
    "on_interrupt": ("drain", "drain"),
    "output": ("somewhere", "somewhere"),
    "people": ("original", "original"),
    "people_delay": ("0..5m", "0s..300s"),
    "source": ("people", "people"),
    "window": ("10m", 600),
    "every": ("30s", 30),
    "latency": ("100ms", 0.1),
    "refreshes": ("5", 5),
    "rate": ("0.5", 0.5),
    "start": ("2026-03-01T01:00:00+01:00", "2026-03-01T00:00:00Z"),
    "learner": ("ridge", "ridge"),
    "predictions": ("none", "none"),
    "disorder": ("5s", 5),
    "latest": ("2026-03-01", "2026-03-01T00:00:00Z"),
    "min_rows": ("30", 30),
    "gate": ("checks", "checks"),
    "max_rejected": ("0.9", 0.9),
    "sample_rows": ("77", 77),
    "batch_rows": ("78", 78),
    "shards": ("2", 2),
    "lag": ("3", 3),
    "offset": ("2h", 7200),
    "keep": ("0", 0),
    "drift_psi": ("0.1", 0.1),
    "drift_shift": ("none", None),
    "alert_run_length": ("500", 500.0),
    "webhook": ("https://example.org/a", SecretStr("https://example.org/a")),
    "seed": ("7", 7),
}
"""Options that can stand alone: what is written, what it means."""
FLAGS = {
    "live": [],
    "strict": [],
    "shared": [],
    "resume": ["--output", "o"],
    "overwrite": ["--output", "o"],
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_works_with_a_space_and_with_an_equals_sign(name: str) -> None:
    written, meant = OPTIONS[name]
    for argv in ([option(name), written], [f"{option(name)}={written}"]):
        settings, rest = parse(argv)
        assert getattr(settings, name) == meant
        assert rest == []


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_works(name: str) -> None:
    assert getattr(parse([option(name), *FLAGS[name]])[0], name) is True


def test_input_and_schema_work() -> None:
    settings, _ = parse(["--input", "a/*.csv", "--schema", "s.toml", "--source", "files"])
    assert (settings.input, settings.schema_file) == ("a/*.csv", "s.toml")


def test_a_learners_parameters_may_be_given_more_than_once() -> None:
    argv = ["--learner-param", "max_depth=8", "--learner-param=criterion=squared_error"]
    assert parse(argv)[0].learner_param == {"max_depth": 8, "criterion": "squared_error"}


TOPIC = {
    "kafka_config": ("client.properties", "client.properties"),
    "until": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    "idle": ("5m", 300),
    "replay": ("runs/a", "runs/a"),
}
"""Options that go with a topic alone: as written, and as meant."""


@pytest.mark.parametrize("name", TOPIC)
def test_an_option_of_a_topic_needs_one(name: str, home: Path) -> None:
    written, meant = TOPIC[name]
    Path("s.toml").write_text(SCHEMA)
    topic = ("--input", "kafka://localhost:9092/rides", "--schema", "s.toml")
    if name == "replay":  # is read from the run's folder: tests/end_to_end/test_kafka.py
        with pytest.raises(UserError, match="runs/a"):
            parse([*topic, option(name), str(written)])
    else:
        settings, _ = parse([*topic, option(name), str(written)])
        assert getattr(settings, name) == meant and settings.reads_topic
        with pytest.raises(UserError, match=f"{option(name)} goes with --input kafka://"):
            parse([option(name), str(written)])


def test_these_tests_know_every_option() -> None:
    others = {"input", "labels", "schema_file", "learner_param", "source_param", *TOPIC}
    known = {*OPTIONS, *FLAGS, *others}
    assert known == set(Settings.model_fields)


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("style", ["dashes", "underscores"])
def test_an_option_works_in_a_toml_file(name: str, style: str, home: Path) -> None:
    written, meant = OPTIONS[name]
    key = option(name)[2:] if style == "dashes" else name
    Path("c.toml").write_text(f'{key} = "{written}"\n')
    assert getattr(parse(["--config", "c.toml"])[0], name) == meant


def test_a_toml_file_may_hold_numbers_flags_tables_and_times(home: Path) -> None:
    Path("c.toml").write_text(
        "window = 120\nrate = 2.5\nlive = true\nstart = 2026-01-01T00:00:00Z\n"
        "[learner-param]\nmax_depth = 3\n"
    )
    settings, _ = parse(["--config", "c.toml"])
    assert (settings.window, settings.rate, settings.live) == (120, 2.5, True)
    assert settings.start == "2026-01-01T00:00:00Z"
    assert settings.learner_param == {"max_depth": 3}


def test_input_and_schema_work_in_a_toml_file(home: Path) -> None:
    Path("c.toml").write_text('input = "a.csv"\nschema = "s.toml"\n')
    settings, _ = parse(["--config", "c.toml"])
    assert (settings.input, settings.schema_file) == ("a.csv", "s.toml")


def test_the_old_name_of_an_option_is_accepted_with_a_warning(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    warning = "warning: --windows is called --refreshes now; the next release refuses it\n"
    Path("c.toml").write_text("windows = 5\n")
    for argv, meant in (
        (["--windows", "3"], 3),
        (["--windows=3"], 3),
        (["--config", "c.toml"], 5),
        (["--config", "c.toml", "--refreshes", "4"], 4),
    ):
        assert parse(argv)[0].refreshes == meant
        assert capsys.readouterr() == ("", warning)
    assert "--windows" not in parser().format_help()
    with pytest.raises(UserError, match="only --refreshes may be given"):
        parse(["--windows", "3", "--refreshes", "4"])


def test_paths_in_a_toml_file_go_by_its_folder(home: Path) -> None:
    Path("a/b[1]").mkdir(parents=True)
    Path("a/b[1]/c.toml").write_text(
        'input = "../in*.csv"\nschema = "s.toml"\noutput = "runs/o"\nlearner = "mine:make"\n'
    )
    settings, _ = parse(["--config", "a/b[1]/c.toml"])
    assert (settings.input, settings.learner) == ("a/in*.csv", "mine:make")
    assert (settings.schema_file, settings.output) == ("a/b[1]/s.toml", "a/b[1]/runs/o")
    given = parse(["--config", "a/b[1]/c.toml", "--output", "o", "--input", "x.csv"])[0]
    assert (given.output, given.input) == ("o", "x.csv")


@pytest.mark.parametrize("path", ["/data/in.csv", "gs://bucket/in.csv", "~/in.csv", "file:/a.csv"])
def test_a_path_that_goes_by_no_folder_stays_as_it_is_in_a_toml_file(path: str, home: Path) -> None:
    Path("a").mkdir()
    Path("a/c.toml").write_text(f'input = "{path}"\nschema = "s.toml"\n')
    assert parse(["--config", "a/c.toml"])[0].input == path


def test_resume_on_the_command_line_goes_before_overwrite_in_the_file(home: Path) -> None:
    Path("c.toml").write_bytes(b'\xef\xbb\xbfoverwrite = true\noutput = "o"\n')
    settings, _ = parse(["--config", "c.toml", "--resume"])
    assert (settings.resume, settings.overwrite) == (True, False)


def test_the_command_line_goes_before_the_file(home: Path) -> None:
    Path("c.toml").write_text('window = "5m"\nlearner = "ridge"\n')
    settings, _ = parse(["--window", "2m", "--config", "c.toml"])
    assert (settings.window, settings.learner) == (120, "ridge")


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("learnr = 'ridge'", ["c.toml", "'learnr'", "do you mean learner?"]),
        ("config = 'd.toml'", ["c.toml", "unknown option 'config'"]),
        ("schema_file = 's.toml'\nqwertz = 1", ["unknown option 'qwertz'", "--help"]),
        ("window = ", ["c.toml", "is not TOML"]),
        ("window = '1w'", ["--window 1w", "60, 90s, 5m, 1h, 1d"]),
        ("window = 1.5", ["--window 1.5", "60, 90s, 5m, 1h, 1d"]),
        ("live = 'perhaps'", ["--live perhaps: must be true or false"]),
        ("learner-param = 'x'", ["--learner-param x: must be a table"]),
        ("[schema]\nname = 's'", ["--schema", "must be text"]),
    ],
)
def test_a_bad_toml_file_is_refused_with_what_is_wrong(
    text: str, fragments: list[str], job: Job
) -> None:
    Path("c.toml").write_text(text)
    message = job.refused("--config", "c.toml")
    assert [each for each in fragments if each not in message] == []
    assert [path.name for path in Path().iterdir()] == ["c.toml"]


def test_a_toml_file_that_is_missing_or_no_text_is_refused(job: Job) -> None:
    assert job.refused("--config", "c.toml") == (
        "--config c.toml: cannot be read: No such file or directory"
    )
    Path("c.toml").write_bytes(b"learner = '\xe3'")
    assert job.refused("--config", "c.toml").startswith("--config c.toml: is not TOML: ")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--learnr", "x"], "unknown option --learnr: do you mean --learner?"),
        (["--learnr=x"], "unknown option --learnr: do you mean --learner?"),
        (["--refrshes", "3"], "unknown option --refrshes: do you mean --refreshes?"),
        (["--sample_rows", "3"], "unknown option --sample_rows: do you mean --sample-rows?"),
        (["--confg", "x"], "unknown option --confg: do you mean --config?"),
        (["--halp"], "unknown option --halp: do you mean --help?"),
        (
            ["--direct_num_worker", "2"],
            "unknown option --direct_num_worker: do you mean --direct_num_workers?",
        ),
        (["--qwxyz"], "unknown option --qwxyz: see python -m pipeline --help"),
        (["--live", "now"], "unknown argument 'now': see python -m pipeline --help"),
        (["--window"], "argument --window: expected one argument"),
        (["--live=yes"], "argument --live: ignored explicit argument 'yes'"),
        (["--direct_num_workers=x"], "argument --direct_num_workers: invalid int value: 'x'"),
        (["--learner-param", "8"], "--learner-param '8': must be name=value, as in max_depth=8"),
        (["chek"], "unknown command 'chek': do you mean check?"),
        (
            ["zzz"],
            f"unknown command 'zzz': {', '.join(COMMANDS)}, "
            "or options alone (see python -m pipeline --help)",
        ),
    ],
)
def test_a_wrong_word_is_refused_with_the_nearest_right_one_and_nothing_is_written(
    argv: list[str], message: str, job: Job
) -> None:
    assert job.refused(*argv) == message
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("name", sorted({*OPTIONS, *FLAGS, "schema_file", "learner_param"}))
def test_no_option_may_be_abbreviated(name: str, job: Job) -> None:
    short = option(name)[:-1]
    value = ["1"] if name not in FLAGS else []
    assert job.refused(short, *value).startswith(f"unknown option {short}: do you mean --")


def test_a_bad_value_leaves_nothing_behind(job: Job) -> None:
    message = job.refused("--window", "1w", "--output", "o")
    assert message.startswith("--window 1w: ") and "60, 90s, 5m, 1h, 1d" in message
    assert list(Path().iterdir()) == []


def test_beams_own_options_are_passed_through() -> None:
    settings, rest = parse(["--direct_num_workers=2", "--lag", "2", "--job_name", "mine"])
    assert settings.lag == 2
    assert PipelineOptions(rest).view_as(DirectOptions).direct_num_workers == 2
    assert PipelineOptions(rest).get_all_options()["job_name"] == "mine"


def test_help_shows_every_option_and_the_defaults(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        job("--help")
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert [name for name in Settings.model_fields if f"{option(name)}" not in output.split()] == []
    assert "--config FILE" in output and "Beam's own options" in output
    for name in ("rate", "learner", "sample_rows", "batch_rows", "seed", "runner", "keep", "lag"):
        line = output.partition(f"\n  {option(name)} ")[2].partition("\n  --")[0]
        assert str(Settings.model_fields[name].default) in line, name


def test_each_example_of_the_help_is_a_command_line_that_is_understood() -> None:
    output = parser().epilog
    assert output is not None
    lines = [line.split("  ")[1] for line in output.splitlines() if line.startswith("  python")]
    assert len(lines) == 4
    for line in lines[:3]:
        words = [word.strip("'") for word in line.split()[3:]]
        assert parse(words)[1] == []
