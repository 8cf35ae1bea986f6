"""How far the generalist errs on hardware that nobody measured."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foretell.features.base import Array
from foretell.predictors.interval import Interval, held_out_residuals
from foretell.predictors.regressor import Regressor

MIN_FAMILIES: Final = 3
"""With fewer families of hardware, those that stay say nothing about the one that is left out."""
PRIOR_FACTOR: Final = 6.0
"""Half-width, as a factor, where nothing can be left out. A model of all but one of ada, ampere, blackwell,
hopper and xe2 was within it for 93 to 99.8 % of the products on the one left out (docs/log.md)."""


def unseen_interval(
    make: Callable[[], Regressor], features: Array, z: Array, kin: npt.NDArray[Any], *, seed: int
) -> Interval:
    """From the errors on each family of hardware when it is left out whole: H100 must not vouch for H200.

    With fewer than `MIN_FAMILIES` a wide prior is all there is.

    Args:
        make: builds an unfitted model.
        features: shape (rows, features).
        z: shape (rows,), what the model learns.
        kin: shape (rows,), name of the family of each row.
        seed: of the models.
    """
    families = len(np.unique(kin))
    if families < MIN_FAMILIES:
        return Interval.wide(PRIOR_FACTOR)
    held, residuals = held_out_residuals(make, features, z, kin, folds=families, enough=len(z), seed=seed)
    return Interval.across(residuals, kin[held])
