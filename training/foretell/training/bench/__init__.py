"""Benchmark protocols, each a module whose `run` takes a folder of files and gives a `Report`."""

from collections.abc import Mapping
from typing import Final, NamedTuple

PROTOCOLS: Final = {
    "gemm-holdout": "foretell.training.bench.gemm_holdout:run",
    "serving-state": "foretell.training.bench.serving_state:run",
}


class Option(NamedTuple):
    """An option that one protocol has beside the folder of its data; `run` takes it by keyword where given.

    Attributes:
        type: ``tuple`` takes several names, comma-separated, as a tuple; ``int``, ``float`` and ``str`` one.
        help: what it does.
    """

    type: type
    help: str


OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "serving-state": {
        "train": Option(tuple, "Runs to learn from, RUN,RUN; with --test instead of the usual splits."),
        "test": Option(tuple, "Runs to forecast, RUN,RUN."),
    },
}
"""Options of the protocols that have any; those of `run` have the same names, with underscores."""
