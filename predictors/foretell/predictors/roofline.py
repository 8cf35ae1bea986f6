"""The roofline times a constant: what one knows without learning the shape of the error."""

from pathlib import Path
from typing import Final, Self

import msgspec
import numpy as np

from foretell.errors import ArtefactError
from foretell.features.base import Array

SUFFIX: Final = ".constant.json"


class Roofline:
    """The floor of each row (Williams et al., CACM 2009) and overhead, times the factor that fits best."""

    def __init__(self, z: float = 0.0) -> None:
        self._z = z

    def fit(self, features: Array, z: Array, *, seed: int) -> Self:
        """Take the median of z; `features` and `seed` have no say in it."""
        del features, seed
        return type(self)(float(np.median(z)))

    def predict(self, features: Array) -> Array:
        """Z of shape (rows,)."""
        return np.full(len(features), self._z)

    def predict_one(self, features: list[float]) -> float:
        """`predict` for one row."""
        del features
        return self._z

    def save(self, stem: Path) -> None:
        """Write the constant as JSON."""
        Path(f"{stem}{SUFFIX}").write_bytes(msgspec.json.encode(self._z))

    @classmethod
    def load(cls, stem: Path) -> Self:
        """Read what `save` wrote."""
        path = Path(f"{stem}{SUFFIX}")
        try:
            return cls(msgspec.json.decode(path.read_bytes(), type=float))
        except (OSError, msgspec.DecodeError) as error:
            raise ArtefactError(f"{path}: {error}") from error
