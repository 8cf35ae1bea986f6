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
            logarithm of label over floor, which carries over between shapes, data types and devices.
    """

    features: Array
    floor: Array


class Place(NamedTuple):
    """Where a row runs: what many rows share and no number of theirs says.

    Attributes:
        table: name of the table of measurements that it belongs to, or `UNKNOWN_TABLE`.
        realm: what it shares with other tables; with none of it seen, a model extrapolates.
        kin: family of its hardware: what was measured on one member says something about the next.
    """

    table: str
    realm: str
    kin: str


class Batch(NamedTuple):
    """Validated queries, column by column.

    Attributes:
        numbers: name to values of shape (rows,), for each numeric column.
        places: the distinct places of all rows.
        codes: shape (rows,); where in `places` each row runs.
    """

    numbers: Mapping[str, Array]
    places: Sequence[Place]
    codes: npt.NDArray[np.intp]

    def take(self, rows: npt.NDArray[np.intp]) -> "Batch":
        """Some of the rows, by number."""
        numbers = {name: values[rows] for name, values in self.numbers.items()}
        return Batch(numbers, self.places, self.codes[rows])


class Encoder(Protocol):
    """Turns rows of one kind into numbers; a saved predictor owns one, so that both stay together."""

    query: ClassVar[type[msgspec.Struct]]
    """What a question looks like: its fields are the only columns that are read."""
    names: ClassVar[tuple[str, ...]]
    """Names of the features, in order."""
    shape: ClassVar[tuple[str, ...]]
    """The query columns that hold numbers: with all of them equal, two rows are one measurement repeated."""
    extent: ClassVar[int]
    """The first `extent` features span the range that a model has seen."""

    def fit(self, rows: pl.DataFrame) -> Self:
        """Remember what encoding needs to know of the world, such as the figures of the devices."""
        ...

    def columns(self, rows: pl.DataFrame) -> Batch:
        """The queries in a frame.

        Raises:
            InputError: a column that is missing or not part of the query, or a value that does not fit.
        """
        ...

    def gather(self, queries: Sequence[Any]) -> Batch:
        """Validated structs as columns.

        Raises:
            InputError: a device that is not described.
        """
        ...

    def encode(self, batch: Batch) -> Encoded:
        """Features of all rows.

        Raises:
            InputError: a shape that its device cannot hold.
        """
        ...

    def bound(self, batch: Batch) -> Array | None:
        """The most that a row's label can be, shape (rows,); null where nothing bounds it."""
        ...

    def bound_one(self, query: Any) -> float | None:
        """`bound` for one query."""
        ...

    def place(self, query: Any) -> Place:
        """Where one query runs."""
        ...

    def encode_one(self, query: Any) -> tuple[list[float], float]:
        """`encode` for one query, without the cost of arrays: features and floor."""
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
