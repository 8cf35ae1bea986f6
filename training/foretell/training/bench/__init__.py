"""Benchmark protocols, each a module whose `run` takes a folder of files and gives a `Report`."""

from collections.abc import Mapping
from typing import Final, NamedTuple

PROTOCOLS: Final = {
    "attention-holdout": "foretell.training.bench.attention_holdout:run",
    "gemm-holdout": "foretell.training.bench.gemm_holdout:run",
    "gemm-power": "foretell.training.bench.gemm_power:run",
    "gemm-unseen-gpu": "foretell.training.bench.gemm_unseen_gpu:run",
    "moe-holdout": "foretell.training.bench.moe_holdout:run",
    "nas-few-shot": "foretell.training.bench.nas_few_shot:run",
    "neusight-unseen": "foretell.training.bench.neusight_unseen:run",
    "serving-state": "foretell.training.bench.serving_state:run",
    "vidur-out": "foretell.training.bench.vidur_out:run",
}


class Option(NamedTuple):
    """An option that one protocol has beside the folder of its data; `run` takes it by keyword where given.

    Attributes:
        type: ``tuple`` takes several names, comma-separated, as a tuple; ``int``, ``float`` and ``str`` one;
            ``bool`` is a flag.
        help: what it does.
    """

    type: type
    help: str


OPTIONS: Final[Mapping[str, Mapping[str, Option]]] = {
    "gemm-unseen-gpu": {
        "calibration": Option(int, "Measurements of the device itself, 0, 16 or 64; all three if left out."),
    },
    "nas-few-shot": {
        "space": Option(str, "Search space: nb201, fbnet or ofa."),
        "sources": Option(tuple, "Devices to learn from, NAME,NAME."),
        "targets": Option(tuple, "Devices to adapt to, NAME,NAME."),
        "samples": Option(int, "Measurements of each target; 20 if not given."),
        "choose": Option(bool, "Measure what foretell chooses instead of a draw."),
        "seeds": Option(int, "Draws that are averaged; 10 if not given."),
    },
    "serving-state": {
        "train": Option(tuple, "Runs to learn from, RUN,RUN; with --test instead of the usual splits."),
        "test": Option(tuple, "Runs to forecast, RUN,RUN."),
    },
}
"""Options of the protocols that have any; those of `run` have the same names, with underscores."""
