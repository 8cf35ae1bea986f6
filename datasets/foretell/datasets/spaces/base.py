"""What every search space is: architectures as rows of small integers, built of parts with known cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from foretell.datasets.graph import Network, Operator
from foretell.datasets.spaces import SPACES
from foretell.errors import InputError, one_of

Choices: TypeAlias = npt.NDArray[np.int64]
"""Architectures, one a row: shape (architectures, positions)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Architectures as sums of the parts in their space's catalogue.

    Attributes:
        index: shape (architectures, slots): numbers of parts.
        counts: shape (architectures, slots): how often each of them runs.
    """

    index: npt.NDArray[np.intp]
    counts: npt.NDArray[np.float64]


class Space(Protocol):
    """One search space."""

    @property
    def name(self) -> str:
        """Its name in `SPACES`."""
        ...

    @property
    def views(self) -> tuple[str, ...]:
        """Ways in which runtimes treat an architecture, such as running what nobody reads or dropping it."""
        ...

    @property
    def measured(self) -> int:
        """Architectures that one measures of a source device."""
        ...

    def check(self, choices: Choices) -> None:
        """Refuse rows that are no architectures.

        Raises:
            InputError: names the position.
        """
        ...

    def catalogue(self) -> Sequence[Sequence[Operator]]:
        """Operators of every part that there is."""
        ...

    def parts(self, choices: Choices, view: str) -> Parts:
        """Which parts run."""
        ...

    def one_hot(self, choices: Choices, view: str) -> npt.NDArray[np.float64]:
        """Indicators of what runs where: shape (architectures, indicators)."""
        ...

    def network(self, choices: Sequence[int]) -> Network:
        """The graph of one architecture."""
        ...

    def text(self, choices: Sequence[int]) -> str:
        """How the architecture is written in files."""
        ...

    def parse(self, text: str) -> tuple[int, ...]:
        """The architecture that `text` wrote.

        Raises:
            InputError: no architecture of this space.
        """
        ...

    def random(self, count: int, rng: np.random.Generator) -> Choices:
        """Architectures drawn evenly."""
        ...


def space(name: str) -> Space:
    """The space of that name.

    Raises:
        InputError: there is none.
    """
    if name not in SPACES:
        raise InputError("space", name, one_of(SPACES))
    return cast("Space", resolve_name(SPACES[name]))


def check_range(choices: Choices, sizes: Sequence[int], what: str) -> None:
    """Refuse rows with a wrong number of positions, or a choice that its position does not have."""
    if choices.ndim != 2 or choices.shape[1] != len(sizes):
        raise InputError(what, choices.shape, f"rows of {len(sizes)} choices")
    wrong = (choices < 0) | (choices >= np.array(sizes))
    if wrong.any():
        row, position = (int(index) for index in np.argwhere(wrong)[0])
        expected = f"0 to {sizes[position] - 1}"
        raise InputError(f"{what}[{row}], position {position}", int(choices[row, position]), expected)


def indicators(choices: Choices, sizes: Sequence[int]) -> npt.NDArray[np.float64]:
    """One column per choice of each position; an absent one has none set."""
    columns: list[Any] = [choices[:, [position]] == np.arange(size) for position, size in enumerate(sizes)]
    return np.concatenate(columns, axis=1).astype(np.float64)


def renamed(operators: Sequence[Operator], prefix: str, source: str) -> list[Operator]:
    """A part's operators within a network: inputs named ``in`` read `source`, all names get `prefix`."""
    return [
        Operator(
            f"{prefix}.{each.name}",
            each.kind,
            tuple(source if name == "in" else f"{prefix}.{name}" for name in each.inputs),
            each.shape,
            each.operations,
            each.bytes,
            each.parameters,
        )
        for each in operators
    ]


def integers(text: str, what: str) -> tuple[int, ...]:
    """Integers joined by ``-``.

    Raises:
        InputError: something else stands there.
    """
    try:
        return tuple(int(part) for part in text.split("-"))
    except ValueError as error:
        raise InputError(what, text, "integers joined by '-'") from error
