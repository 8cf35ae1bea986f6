"""What measured devices let one expect of a device that nobody measured."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
import numpy as np

from foretell.features.base import Array, Place
from foretell.predictors.waves import SPREAD

FREEDOM: Final = 3.0
"""Of the t distribution by which odd families of hardware lose their say."""
PRIOR_FAMILIES: Final = 2.0
"""How many families the prior spread counts for."""
RESEMBLANCE: Final = 0.8
"""Correlation of two devices of one family."""


class Origin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the rows of one table were measured.

    Attributes:
        kin: family of the hardware.
        own: what the operator's own table columns said.
        backend: name of the library, without its version; empty where nobody said.
    """

    kin: str
    own: str
    backend: str


class Expected(NamedTuple):
    """Effects of a place, and how far off they may be: shape (effects,) both."""

    centre: Array
    spread: Array


def origin(place: Place) -> Origin:
    """The origin of the rows of a place."""
    _, _, *own = place.realm.split("/")
    backend = place.table.removeprefix(f"{place.realm}/").partition("/")[0] if place.table else ""
    return Origin(place.kin, "/".join(own), backend)


def dtype_of(place: Place) -> str:
    """The data type of the rows of a place."""
    return place.realm.split("/")[1]


def expected(effects: Array, origins: Sequence[Origin], asked: Origin) -> Expected:
    """What the tables that were measured say of another.

    Tables with the same own columns and the same library speak first, where at least two families have some.
    Each family has one voice; one that is far off has less (as under a t distribution).

    Args:
        effects: of the measured tables, shape (tables, effects).
        origins: of the same tables.
        asked: of the table that was not measured.
    """
    chosen = np.ones(len(origins), dtype=bool)
    for field in ("own", "backend"):
        alike = chosen & np.array([getattr(known, field) == getattr(asked, field) for known in origins])
        if len({known.kin for known, is_alike in zip(origins, alike, strict=True) if is_alike}) > 1:
            chosen = alike
    kins = np.array([known.kin for known in origins])[chosen]
    names = np.unique(kins)
    means = np.array([effects[chosen][kins == name].mean(axis=0) for name in names])
    overall = _robust(means)
    if asked.kin not in names:
        return overall
    mean = means[list(names).index(asked.kin)]
    return Expected(
        overall.centre + RESEMBLANCE * (mean - overall.centre),
        overall.spread * np.sqrt(1.0 - RESEMBLANCE**2),
    )


def _robust(means: Array) -> Expected:
    centre = np.median(means, axis=0)
    say = np.ones(len(means))
    for _ in range(20):
        away = (((means - centre) / SPREAD) ** 2).sum(axis=1)
        say = np.minimum(1.0, (FREEDOM + means.shape[1]) / (FREEDOM + away)) ** 2
        centre = say @ means / say.sum()
    squares = say @ (means - centre) ** 2 + PRIOR_FAMILIES * SPREAD**2
    return Expected(centre, np.sqrt(squares / (say.sum() + PRIOR_FAMILIES - 0.5)))
