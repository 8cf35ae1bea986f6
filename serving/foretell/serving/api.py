"""Answers in process: the same model, checks and errors as the command line and REST."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import polars as pl

from foretell import predictors
from foretell.errors import InputError
from foretell.features.fields import to_query
from foretell.predictors.base import LEVELS, Prediction, Predictor
from foretell.predictors.tables import TablePredictor
from foretell.serving import registry


class Foretell:
    """A registered model that answers.

    Args:
        target: such as ``gemm.latency``; its champion is looked up in the registry and stays the one that
            answers, whatever is promoted later.

    Raises:
        NotRegisteredError: no champion under that name.
    """

    def __init__(self, target: str) -> None:
        registered = registry.champion(target)
        self._set(predictors.load(registered.path), registered.version)

    @classmethod
    def from_folder(cls, path: Path, version: str = "unregistered") -> Self:
        """The model that a predictor saved in the folder `path`, registered or not."""
        made = cls.__new__(cls)
        made._set(predictors.load(path), version)
        return made

    def calibrated(self, rows: Sequence[Mapping[str, Any]] | pl.DataFrame) -> Self:
        """The same model for a device that it knew by its figures alone, now by measurements of it too.

        The registered model stays what it is.

        Args:
            rows: query fields and the label, such as ``latency_us``: a handful of shapes of one device, 8 at
                least of each data type.

        Raises:
            InputError: rows that do not fit, of several devices, too few, or that contradict each other; or a
                device that the model has learnt.
        """
        if not isinstance(self.predictor, TablePredictor):
            raise InputError("target", self.target, "a target of kernels, such as gemm.latency")
        if not isinstance(rows, pl.DataFrame):
            rows = pl.DataFrame([dict(row) for row in rows], infer_schema_length=None)
        made = type(self).__new__(type(self))
        made._set(self.predictor.adapted(rows), self.version)
        return made

    def _set(self, predictor: Predictor, version: str) -> None:
        self.predictor = predictor
        self.version = version
        self.target = predictor.task.target

    def predict(
        self,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | pl.DataFrame,
        levels: Sequence[float] = LEVELS,
    ) -> Prediction:
        """Quantiles of the target.

        Args:
            rows: one query, several, or a frame of query columns.
            levels: increasing quantile levels in (0, 1).

        Returns:
            `Prediction` with one row per query, in their order.

        Raises:
            InputError: names the field, the value and what was expected.
        """
        query = self.predictor.query
        if isinstance(rows, dict):
            return self.predictor.answer([to_query(rows, query)], levels)
        if isinstance(rows, pl.DataFrame):
            return self.predictor.predict(rows, levels)
        if isinstance(rows, Mapping):
            return self.predict(dict(rows), levels)
        if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
            raise InputError("rows", rows, "a dict, a list of dicts or a Polars frame")
        if not rows:
            raise InputError("rows", rows, "at least one row")
        queries = [to_query(row, query, f"rows[{number}]") for number, row in enumerate(rows)]
        return self.predictor.answer(queries, levels)
