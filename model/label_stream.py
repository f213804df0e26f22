"""A stream of labels: how its rows are read, and which of them can be labels."""

from __future__ import annotations

from model.schema import Features, Schema

REJECTS = "labels-"
"""What the names of the files of rejected labels begin with, in the folder of all rejects."""


class LabelSchema(Schema):
    """The schema of the rows of a stream of labels: a time, a target and the key of a question.

    All three must be there. Times, numbers and text are written as those of the questions are.

    Example:
        >>> from model.schema import Labels
        >>> labels = Labels(id="flight", target="delay", time="arrived")
        >>> schema = Schema(name="s", time="t", target="delay", features=Features(numeric=("x",)),
        ...                 id="k", wait="2d", labels=labels)
        >>> LabelSchema.of(schema).columns
        ('arrived', 'delay', 'flight')
    """

    @classmethod
    def of(cls, schema: Schema) -> LabelSchema:
        """The schema of the labels that a schema of questions has apart.

        Raises:
            ValueError: if it has none.
        """
        labels = schema.labels
        if labels is None:
            raise ValueError("a schema without [labels]")
        # not validated: there is no feature
        return cls.model_construct(
            name=schema.name,
            time=labels.time,
            target=labels.target,
            features=Features(),
            task=schema.task,
            classes=schema.classes,
            id=labels.id,
            time_format=schema.time_format,
            time_zone=schema.time_zone,
            csv=schema.csv,
            format=schema.format if labels.format is None else labels.format,
        )

    def with_positive(self, schema: Schema) -> LabelSchema:
        """The same with the positive of the questions, unless that is what no answer means."""
        if schema.fill == schema.positive:
            return self
        return self.model_copy(update={"positive": schema.positive})
