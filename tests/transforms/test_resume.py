from __future__ import annotations

import pytest

from model.batch import SECOND
from tests.kit.streams import MINUTE, SCHEMA, row
from transforms.elements import Rejects
from transforms.resume import is_unreported
from transforms.testing import accepted, batches


@pytest.mark.parametrize(
    ("since", "kept"), [(None, [0, 60, 120]), (60, [60, 120]), (61, [120]), (180, [])]
)
def test_batches_and_rejects_stamped_before_the_first_missing_report_are_left_out(
    since: int | None, kept: list[int]
) -> None:
    made = accepted(batches([row(t) for t in (0, 60, 120)], SCHEMA, MINUTE), SCHEMA)
    begin = None if since is None else since * SECOND
    assert [b.tag.at // SECOND for b in made if is_unreported(b, begin)] == kept
    rejected = [Rejects(batch.tag, []) for batch in made]
    assert [r.tag.at // SECOND for r in rejected if is_unreported(r, begin)] == kept
