"""What every encoder is: query columns in, a feature matrix and a physical floor out."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

Array: TypeAlias = npt.NDArray[np.float64]
Columns: TypeAlias = Mapping[str, Sequence[Any] | npt.NDArray[Any]]


class Encoded(NamedTuple):
    """Features of some rows.

    Attributes:
        features: shape (rows, features).
        floor: shape (rows,): the least that physics allows, in the unit of the label. Models learn the
            logarithm of label / floor, which carries over between shapes, data types and devices.
    """

    features: Array
    floor: Array


class Encoder(Protocol):
    """Turns rows of one kind into numbers; a saved predictor owns one, so that both stay together."""

    query: ClassVar[type[msgspec.Struct]]
    """What a question looks like: its fields are the only columns that are read."""
    names: ClassVar[tuple[str, ...]]
    """Names of the features, in order."""
    extent: ClassVar[int]
    """The first `extent` features span the range that a model has seen."""

    def fit(self, rows: pl.DataFrame) -> Self:
        """Remember what encoding needs to know of the world, such as the figures of the devices."""
        ...

    def columns(self, rows: pl.DataFrame) -> Columns:
        """Validated query columns of a frame.

        Raises:
            InputError: a column that is missing or not part of the query, or a value that does not fit.
        """
        ...

    def gather(self, queries: Sequence[Any]) -> Columns:
        """Query columns of validated structs."""
        ...

    def encode(self, columns: Columns) -> Encoded:
        """Features of all rows.

        Raises:
            InputError: a device that is not described, or a shape that it cannot hold.
        """
        ...

    def encode_one(self, query: Any) -> tuple[list[float], float]:
        """`encode` for one query, without the cost of arrays: features and floor."""
        ...

    def tables(self, columns: Columns) -> list[str]:
        """For each row the name of the table of measurements that it belongs to."""
        ...

    def table(self, query: Any) -> str:
        """`tables` for one query."""
        ...

    def realms(self, columns: Columns) -> list[str]:
        """For each row what it shares with other tables: with none of it seen, a model extrapolates."""
        ...

    def realm(self, query: Any) -> str:
        """`realms` for one query."""
        ...

    def state(self) -> dict[str, Any]:
        """What `fit` learnt, ready for JSON."""
        ...

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """The encoder whose `state` this was."""
        ...


UNKNOWN_TABLE: Final = ""
"""Name of the table of a row that does not say which it belongs to."""
