"""WriteEnd: ``ended.json``, once all else is written."""

from __future__ import annotations

import json

import apache_beam as beam
from apache_beam.transforms.window import TimestampedValue

from model import files, promotions
from model.labels import StreamCounts
from model.metrics import STREAM_COUNTS, Metrics
from transforms.windows import ALL_OF_TIME


class WriteEnd(beam.PTransform[beam.PCollection[object], beam.PCollection[None]]):
    """Any input in; writes a file when that input, and so all it waited for, has ended.

    It is written without any input too. A stream that does not end never writes it.

    Attributes:
        path: the file: ``{"format": 1}``, and what became of all questions if labels have a time.
        metrics: the folder of the reports that say that; None: labels have no time.
    """

    def __init__(self, path: str, metrics: str | None = None) -> None:
        super().__init__()
        self.path = path
        self.metrics = metrics

    def expand(self, last: beam.PCollection[object]) -> beam.PCollection[None]:
        keyed = tuple[int, int]
        ended = (
            last
            | "Nothing" >> beam.Map(lambda element: (0, 0)).with_output_types(keyed)
            | "WholeStream" >> beam.WindowInto(ALL_OF_TIME)
        )
        one = (
            last.pipeline
            | "One" >> beam.Create([0], reshuffle=False)
            | "At" >> beam.Map(lambda at: TimestampedValue((at, 0), at)).with_output_types(keyed)
            | "WholeToo" >> beam.WindowInto(ALL_OF_TIME)
        )
        return (
            (ended, one)
            | "Both" >> beam.Flatten()
            | "AtTheEnd" >> beam.GroupByKey()
            | "Write"
            >> beam.Map(lambda keyed, *places: write_end(*places), self.path, self.metrics)
        )


def write_end(path: str, metrics: str | None = None) -> None:
    """Writes the file that says that a run has ended, once all else is on the disk."""
    promotions.tidy(files.join(files.parent(path), promotions.RECORD))
    files.flush()
    totals = {} if metrics is None else total_questions(metrics)
    text = json.dumps({"format": 1, **totals}, indent=2) + "\n"
    files.write_whole(path, text.encode())
    files.flush()


def total_questions(metrics: str) -> dict[str, int]:
    """What became of all questions of a run, by its reports.

    Questions = answered + open + expired. Where labels are a stream of their own, what else came
    in it, too: labels read = answered - missing + duplicates + conflicts + orphans + label_late +
    labels_rejected + labels_open. Those that are open came in the last refresh: whether a question
    comes for them, or came long before them, is certain one refresh later. Labels read are not
    known of a run that an older version began.
    """
    paths = files.list_files(metrics, "*.json")
    reports = [Metrics.model_validate_json(files.read_whole(path)) for path in paths]
    questions = sum(report.rows for report in reports)
    answered = sum(report.answered or 0 for report in reports)
    expired = sum(report.expired or 0 for report in reports)
    still = questions - answered - expired
    late = sum(report.label_late or 0 for report in reports)
    apart = [report for report in reports if report.duplicates is not None]
    stream = {name: sum(getattr(report, name) or 0 for report in apart) for name in STREAM_COUNTS}
    read = [report.labels_read for report in apart if report.labels_read is not None]
    if apart and len(read) == len(apart):
        counts = StreamCounts(**stream, label_late=late, labels_read=sum(read))
        stream |= {"labels_read": sum(read), "labels_open": counts.count_open(answered)}
    return {
        **{"questions": questions, "answered": answered, "open": still, "expired": expired},
        "label_late": late,
        **(stream if apart else {}),
    }
