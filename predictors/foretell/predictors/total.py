"""Quantiles of a sum of predictions whose errors go together.

Errors of one model are no independent draws: calls of one shape share theirs whole, shapes of one table share
what the model or the library's version makes of all of them, and models of one device the device. Taken as
independent, the errors of a hundred operators would average away and the interval of their sum be far too
narrow; taken as one, it would be too wide. Departures from the median are therefore added with correlations:

    departure of the sum = sqrt(sum over i, j of  r_ij d_i d_j)

where d_i is the departure of one term's quantile from its median, and r_ij the correlation of both errors.
The correlations are rounded up from errors on held-out kernels: docs/log.md has them, and the coverage of
sums of such kernels.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array

SAME_TABLE: Final = 0.25
"""Of the errors of two shapes of one operator, answered by one model: products whose matrices are within half
an octave of each other, as those of one transformer are, have 0.15 to 0.27, any two of a table 0.02."""
SAME_DEVICE: Final = 0.1
"""Of the errors of two operators on one device: more than two arbitrary shapes of a table have, as published
tables come from one session, which another one differs from by some percent."""


def correlations(
    shapes: Sequence[Hashable], tables: Sequence[Hashable], guessed: Sequence[bool]
) -> npt.NDArray[Any]:
    """Correlation of the errors of any two terms, shape (terms, terms).

    Args:
        shapes: what each term is: terms that are equal err equally.
        tables: where each term's prediction comes from.
        guessed: whether a term lies outside of what was measured. What makes one guess wrong makes all of
            them wrong: a device that is faster than its description, say.
    """
    both_guessed = np.logical_and.outer(np.array(guessed), np.array(guessed))
    # A guess shares with other answers of its table no more than the device.
    named = [None if guess else table for table, guess in zip(tables, guessed, strict=True)]
    return np.select([_same(shapes) | both_guessed, _same(named)], [1.0, SAME_TABLE], SAME_DEVICE)


def _same(names: Sequence[Hashable]) -> npt.NDArray[np.bool_]:
    index: dict[Hashable, int] = {}
    codes = np.array([index.setdefault(name, len(index)) for name in names])
    same: npt.NDArray[np.bool_] = np.equal.outer(codes, codes)
    return same


def sum_quantiles(values: Array, counts: Array, correlation: npt.NDArray[Any], middle: int) -> Array:
    """Quantiles of the sum of all terms, shape (levels,).

    Args:
        values: shape (terms, levels), increasing in each row.
        counts: shape (terms,), how often each term comes.
        correlation: shape (terms, terms), of their errors.
        middle: which level is the median.
    """
    departures = (values - values[:, [middle]]) * counts[:, None]
    reach = np.sqrt(np.einsum("il,ij,jl->l", departures, correlation, departures))
    signs = np.sign(np.arange(values.shape[1]) - middle)
    return np.asarray(counts @ values[:, middle] + signs * reach)
