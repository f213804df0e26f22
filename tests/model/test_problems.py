"""Messages on a schema name the key as the TOML file has it, and what to write there."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.errors import UserError
from model.schema import load_schema

SCHEMA = 'name = "s"\ntime = "t"\ntarget = "y"\nkeep = ["k"]\n{}\n[features]\nnumeric = ["x"]\n'
SCHEMA += 'categorical = ["c", "the city"]\n'
CLASSES = 'task = "classification"\n'


def message(folder: Path, keys: str) -> str:
    """What is wrong with a schema that has some keys, or a table, besides."""
    path, table = folder / "s.toml", keys.startswith("[")
    path.write_text(SCHEMA.format("" if table else keys) + (keys if table else ""))
    with pytest.raises(UserError) as refused:
        load_schema(str(path))
    return str(refused.value).removeprefix(f"--schema {path}: ")


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("[features.encoders]\nc = 3", 'c: must be as "target" or { max_categories = 16 } (it is'),
        ("[features.encoders]\nc.max_categories = 1001", "c.max_categories: must be <= 1000 (it"),
        ("[features.encoders]\nc.max_categories = 1.5", "c.max_categories: must be a whole number"),
        ("[features.encoders]\nc.add_indicator = 7", "c.add_indicator: must be true or false (it"),
        (
            '[features.encoders]\n"the city" = "x"',
            '"the city".encoder: must be "onehot" or "target"',
        ),
        ('[features.calendar]\nt = "hour"', "t: must be a list of parts, as departed = ["),
        ('[features.calendar]\nt = ["day"]', "t: 'day' is not part of the calendar: must be one"),
        (
            '[baseline]\nseason = "7s"',
            "season: must be a duration from 24s to 36525d, as 1d (it is '7s')",
        ),
        ('[baseline]\nseason = "99999d"', "season: must be a duration from 24s to 36525d, as 1d"),
        (
            '[baseline]\nseason = "25s"',
            "season: must be a duration that 24 slots divide into whole",
        ),
        ('[baseline]\nseason = "1w"', "season: must be a duration in whole seconds, as 60, 90s"),
        ('[baseline]\nby = "c"', "by: must be a list, as [\"c\"] (it is 'c')"),
        ('[baseline]\nby = ["k", 5]', "by: item 2 must be text (it is 5)"),
        (
            '[baseline]\nby = ["k", "c", "k"]',
            "by: column 'k' is named twice: it must be named once",
        ),
        ('[figures]\nby = ["c"]', "by: must be text (it is ['c'])"),
    ],
)
def test_a_problem_has_the_key_of_its_table_as_it_is_written(
    tmp_path: Path, keys: str, wrong: str
) -> None:
    table = keys.partition("]")[0].removeprefix("[")
    assert message(tmp_path, keys).startswith(f"{table}.{wrong}")


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("baseline = 3", "baseline: must be a table, as [baseline] (it is 3)"),
        ('csv = { decimal = "x" }', 'csv: decimal must be "." or "," (it is \'x\')'),
        ('wait = "0s"', "wait: must be a duration from 1s to 36525d, as 1d (it is '0s')"),
        ('task = "classes"', 'task: must be "regression" or "classification" (it is \'classes\')'),
        (CLASSES + "costs = { fp = 0, fn = 1 }", "costs.fp: must be > 0 (it is 0)"),
        (CLASSES + 'figures = { by = "c" }', "figures.by: must be left out where the target is"),
        (CLASSES + 'baseline = { season = "1d" }', "baseline.season: must be left out where the"),
        (
            'id = "k"\nwait = "1d"\nlabels = { id = "k", target = "y", time = "u", missing = [1] }',
            'labels.missing: must be "drop" or a target, a number or a class',
        ),
    ],
)
def test_a_problem_of_a_key_says_what_it_must_be_and_what_it_is(
    tmp_path: Path, keys: str, wrong: str
) -> None:
    assert message(tmp_path, keys).startswith(wrong)
