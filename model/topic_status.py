"""What status.json has of a Kafka topic, and how it is put."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from model.wording import format_count


class PartitionStatus(BaseModel):
    """Of a partition: see ``TopicStatus``."""

    lag_rows: int
    lag_seconds: float | None = None
    undecoded: int = 0
    idle: bool = False


class TopicStatus(BaseModel):
    """How far a run has read its topic.

    Attributes:
        lag_rows: records that are in the topic, or before its end, and not read yet.
        lag_seconds: by their timestamps, from the newest record that is read to the newest that is
            there, of the partition where that is most; None: it is not known.
        undecoded: records that are no rows of the schema.
        idle: how many partitions are idle.
        partitions: how many there are.
        by_partition: the same of each, by its number; of the 256 that lag most.
    """

    lag_rows: int
    lag_seconds: float | None = None
    undecoded: int = 0
    idle: int = 0
    partitions: int = 0
    by_partition: Mapping[str, PartitionStatus] = {}

    def summary(self) -> list[str]:
        """Short texts: the lag, and what is not as it should be.

        Example:
            >>> TopicStatus(lag_rows=12, lag_seconds=0.5, idle=1, partitions=4).summary()
            ['12 rows (0.5 s) to read', '1 of 4 partitions idle']
        """
        seconds = "" if not self.lag_seconds else f" ({self.lag_seconds:.1f} s)"
        parts = [f"{format_count(self.lag_rows, 'row')}{seconds} to read"]
        if self.undecoded:
            parts.append(f"{format_count(self.undecoded, 'record')} not decoded")
        if self.idle:
            parts.append(f"{self.idle:,} of {format_count(self.partitions, 'partition')} idle")
        return parts
