"""The models of a backtest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model.artefact import Artefact
from model.errors import UserError
from model.manifest import Manifest
from model.wording import format_count
from pipeline.frames.guess import check_columns
from pipeline.frames.replay import Model
from pipeline.frames.tables import as_table


class TrainedModel:
    """A model of a backtest.

    Attributes:
        name: the end of its window, as ``20260107T000000Z``.
        manifest: what is known of it: its window, rows, parameters, statistics, hash, ...
        artefact: the model itself, with schema, statistics, encoder and estimator.
        data: its joblib bytes, as ``model.joblib`` of a run has them.
    """

    def __init__(self, model: Model) -> None:
        self.name = model.window.name
        self.manifest: Manifest = model.manifest
        self.artefact: Artefact = model.artefact
        self.data: bytes = model.data

    def predict(self, frame: Any) -> Any:
        """Predictions of shape (rows,) for a table with the schema's features: numbers, or classes.

        Raises:
            UserError: if a feature is missing, or a value cannot serve.
        """
        table = as_table(frame)
        schema = self.artefact.schema
        names = schema.inputs
        check_columns(table, names)
        columns = {name: table.column(name) for name in names}
        try:
            if schema.classifies:
                return self.artefact.classify_columns(columns).names.to_numpy(zero_copy_only=False)
            return self.artefact.predict_columns(columns)
        except (TypeError, ValueError) as error:
            raise UserError(f"frame: {error}") from error

    def __repr__(self) -> str:
        rows = format_count(self.manifest.rows, "row")
        return f"<model {self.name}: {self.manifest.learner} of {rows}>"


class Models(Mapping[str, TrainedModel]):
    """The models of a backtest by name, oldest first.

    Attributes:
        newest: the one of the newest window.
    """

    def __init__(self, models: list[Model]) -> None:
        self._models = {model.window.name: TrainedModel(model) for model in models}

    def __getitem__(self, name: str) -> TrainedModel:
        return self._models[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._models)

    def __len__(self) -> int:
        return len(self._models)

    @property
    def newest(self) -> TrainedModel:
        """The newest model.

        Raises:
            UserError: if there is none.
        """
        if not self._models:
            raise UserError("no window made a model: see .skipped")
        return list(self._models.values())[-1]

    def __repr__(self) -> str:
        return f"<{format_count(len(self), 'model')}: {', '.join(self) or 'none'}>"
