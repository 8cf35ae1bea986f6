"""Model families behind one protocol, and the wrappers that make them honest."""

from collections.abc import Iterable
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from foretell.errors import InputError, one_of
from foretell.predictors.base import Predictor, Task
from foretell.predictors.families import ENCODERS, FAMILIES, NETWORK
from foretell.predictors.options import TableOptions

if TYPE_CHECKING:  # reading tables of devices takes longer than many a caller lives
    from foretell.datasets.device import DeviceFigures
    from foretell.predictors.tables import TablePredictor


def build(task: Task, options: TableOptions, described: "Iterable[DeviceFigures]" = ()) -> "TablePredictor":
    """An unfitted predictor.

    Args:
        task: what to predict.
        options: the family and how to train it.
        described: devices that the published table lacks.

    Raises:
        InputError: a family that does not exist.
    """
    from foretell.predictors.tables import TablePredictor  # noqa: PLC0415

    if options.family not in FAMILIES:
        raise InputError("family", options.family, one_of(FAMILIES))
    encoder = resolve_name(ENCODERS[task.encoder])(described)
    return TablePredictor(task, options, encoder, resolve_name(FAMILIES[options.family]))


def load(path: Path) -> Predictor:
    """The predictor that was saved in the folder `path`; runs no code from there.

    Raises:
        ArtefactError: files that are missing or damaged, or of another format.
    """
    if (path / NETWORK).is_file():
        from foretell.predictors.network import NetworkPredictor  # noqa: PLC0415

        return NetworkPredictor.load(path)
    from foretell.predictors.tables import TablePredictor  # noqa: PLC0415

    return TablePredictor.load(path)
