"""The schema of a stream: what a TOML file may hold, and the messages if it is something else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from model.errors import UserError
from model.schema import Csv, Features, Schema, load_schema

FLIGHTS = """
name = "flights"
time = "time_hour"
target = "arr_delay"
[features]
numeric = ["dep_delay", "distance"]
categorical = ["carrier"]
"""


def write_schema(folder: Path, text: str) -> str:
    path = folder / "schema.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_toml_of_the_contract_is_read(tmp_path: Path) -> None:
    schema = load_schema(write_schema(tmp_path, FLIGHTS))
    assert schema == Schema(
        name="flights",
        time="time_hour",
        target="arr_delay",
        features=Features(numeric=("dep_delay", "distance"), categorical=("carrier",)),
        csv=Csv(delimiter=","),
    )
    assert schema.columns == ("time_hour", "arr_delay", "dep_delay", "distance", "carrier")


def test_a_csv_delimiter_can_be_named(tmp_path: Path) -> None:
    schema = load_schema(write_schema(tmp_path, FLIGHTS + '[csv]\ndelimiter = ";"\n'))
    assert schema.csv.delimiter == ";"


def test_column_names_may_be_any_text(tmp_path: Path) -> None:
    text = FLIGHTS.replace("arr_delay", "atraso à chegada ✈")
    assert load_schema(write_schema(tmp_path, text)).target == "atraso à chegada ✈"


@pytest.mark.parametrize(
    ("change", "reason_given"),
    [
        (('target = "arr_delay"\n', ""), "target: is missing"),
        (("[features]\n", "[other]\n"), "features: is missing"),
        (('target = "arr_delay"', "target = 5"), "target: must be text (it is 5)"),
        (('name = "flights"', 'name = ""'), "name: must not be empty (it is '')"),
        (('name = "flights"', 'nam = "flights"'), "nam: is not a known key"),
        (('["carrier"]', '"carrier"'), 'features.categorical: must be a list, as ["carrier"]'),
        (
            ('["dep_delay", "distance"]', "[1, 2]"),
            "features.numeric: item 1 must be text (it is 1)",
        ),
        (('"distance"]', '"arr_delay"]'), "column 'arr_delay' has two roles"),
        (('"distance"]', '"dep_delay"]'), "column 'dep_delay' has two roles"),
        (('["carrier"]', '["time_hour"]'), "column 'time_hour' has two roles"),
        (('"distance"]', '""]'), "column '': a name must not be empty"),
        (('"distance"]', '"__id"]'), "column '__id': a name must not be empty, and must not begin"),
        (
            ('["dep_delay", "distance"]\ncategorical = ["carrier"]', "[]"),
            "features: at least one numeric or categorical column is needed",
        ),
    ],
)
def test_a_wrong_schema_is_reported_in_one_line_with_file_and_key(
    tmp_path: Path, change: tuple[str, str], reason_given: str
) -> None:
    assert change[0] in FLIGHTS
    path = write_schema(tmp_path, FLIGHTS.replace(*change))
    with pytest.raises(UserError) as caught:
        load_schema(path)
    message = str(caught.value)
    assert message.startswith(f"--schema {path}: ")
    assert reason_given in message
    assert "\n" not in message


def test_a_delimiter_of_two_characters_is_refused(tmp_path: Path) -> None:
    path = write_schema(tmp_path, FLIGHTS + '[csv]\ndelimiter = "||"\n')
    with pytest.raises(UserError, match=r"csv\.delimiter: must be one character \(it is '\|\|'\)"):
        load_schema(path)


def test_every_mistake_is_reported_at_once(tmp_path: Path) -> None:
    path = write_schema(tmp_path, 'name = "x"\ncolour = "red"\n[features]\nnumeric = ["a"]\n')
    with pytest.raises(UserError) as caught:
        load_schema(path)
    for result in ("time: is missing", "target: is missing", "colour: is not a known key"):
        assert result in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.toml: cannot be read: No such file"):
        load_schema(str(tmp_path / "absent.toml"))


def test_a_folder_is_no_schema(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_schema(str(tmp_path))


def test_a_file_that_is_no_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not TOML: .*line 2"):
        load_schema(write_schema(tmp_path, 'name = "x"\nname: x\n'))


def test_a_file_in_another_encoding_is_reported(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes('name = "ação"'.encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8 text"):
        load_schema(str(tmp_path / "latin.toml"))


def test_a_schema_made_in_code_is_checked_too_and_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="at least one"):
        Schema(name="n", time="t", target="y", features=Features())
    schema = Schema(name="n", time="t", target="y", features=Features(categorical=("c",)))
    with pytest.raises(ValidationError, match="frozen"):
        schema.target = "z"


def test_keys_at_their_default_stay_out_of_the_json(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = Schema(name="s", time="t", target="y", features=Features(numeric=("x",)))
    plain = (
        '{"name":"s","time":"t","target":"y","features":{"numeric":["x"],"categorical":[]},'
        '"csv":{"delimiter":","}}'
    )
    assert schema.model_dump_json() == plain
    assert Schema.model_validate_json(plain) == schema
    monkeypatch.setattr(Csv, "SPARSE", Csv.SPARSE | {"delimiter"})
    assert '"csv":{}' in schema.model_dump_json()
    semicolon = schema.model_copy(update={"csv": Csv(delimiter=";")})
    assert '"csv":{"delimiter":";"}' in semicolon.model_dump_json()


@pytest.mark.parametrize("key", ["numeric", "categorical"])
def test_a_column_that_is_no_list_is_refused_with_the_list(key: str, tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text(f'name = "s"\ntime = "t"\ntarget = "y"\n[features]\n{key} = "x"\n')
    with pytest.raises(UserError) as refused:
        load_schema(str(path))
    assert str(refused.value) == (
        f"--schema {path}: features.{key}: must be a list, as [\"x\"] (it is 'x')"
    )
