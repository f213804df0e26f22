"""WriteRejects: rejected rows in, ``rejected/`` out."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from model.asof import Cadence, format_name
from transforms.elements import (
    Rejects,
    WrittenFile,
)
from transforms.sinks.tables import Written
from transforms.windows import refreshes
from transforms.writing import WriteFn, write_file


class WriteRejects(beam.PTransform[beam.PCollection[Rejects], Written]):
    """Rejects in; ``<refresh start or undated>/<part>.ndjson`` below a folder out.

    Attributes:
        folder: where.
        cadence: how event time is divided.
        prefix: what the names of parts begin with, if another source has rejects there.
    """

    def __init__(self, folder: str, cadence: Cadence, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix
        self.folder = folder
        self.cadence = cadence

    def expand(self, rejected: beam.PCollection[Rejects]) -> Written:
        write = beam.ParDo(WriteFn(write_rejects, self.folder, self.cadence, self.prefix))
        return (
            rejected
            | "Write" >> write.with_output_types(WrittenFile)
            | "Refresh" >> beam.WindowInto(refreshes(self.cadence))
        )


def write_rejects(
    rejects: Rejects, folder: str, cadence: Cadence, prefix: str = "", window: object = None
) -> Iterator[WrittenFile]:
    """Writes a batch's rejects, those without a readable event time apart; gives the files."""
    refresh = format_name(cadence.refresh_of(rejects.tag.at))
    part = prefix + "-".join(map(str, rejects.tag.key)) + ".ndjson"
    for name, dated in ((refresh, True), ("undated", False)):
        lines = [reject.as_json() + "\n" for reject in rejects.items if reject.dated is dated]
        if lines:
            yield write_file(folder, (name, part), "".join(lines).encode())
