"""How a predictor is trained."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What to train.

    Attributes:
        family: key of the model family in `foretell.predictors.FAMILIES`.
        groups: columns that the calibration never tears apart; none means shape by shape, so that one shape
            measured twice stays together.
        generalist: whether rows outside of the tables are answered.
        measured: whether rows of the tables are answered by models of their own; without, the predictor is
            for devices that were not measured.
    """

    family: str
    groups: tuple[str, ...] = ("n", "k")
    generalist: bool = True
    measured: bool = True
