"""What a model family is on the inside: features in, one number out."""

from pathlib import Path
from typing import Protocol, Self

from foretell.features.base import Array


class Regressor(Protocol):
    """Learns z = log(label / (floor + overhead)) from features; a family is one such class.

    Constructors take a frozen struct of options, or nothing.
    """

    def fit(self, features: Array, z: Array, *, seed: int) -> Self:
        """Learn from features of shape (rows, features) and z of shape (rows,)."""
        ...

    def predict(self, features: Array) -> Array:
        """Z of shape (rows,)."""
        ...

    def predict_one(self, features: list[float]) -> float:
        """`predict` for one row."""
        ...

    def save(self, stem: Path) -> None:
        """Write files whose names begin with `stem`; none of them may hold code."""
        ...

    @classmethod
    def load(cls, stem: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            ArtefactError: a file that is missing or is not what it claims to be.
        """
        ...
