"""What made-up devices would need for a network: a roofline for each operator, summed.

A device that nobody has measured lies somewhere among devices with all balances of launch overhead,
arithmetic and bandwidth (Williams et al., CACM 2009), so their times span what a new one may do.
"""

from collections.abc import Sequence
from itertools import product
from typing import Final

import numpy as np

from foretell.datasets.graph import CLASSES, Operator
from foretell.features.base import Array

BYTES_PER_S: Final = 2e10
"""One bandwidth for all: only ratios matter, for times are taken relative to a mean."""
LAUNCH_S: Final = (0.0, 1e-6, 1e-5, 1e-4, 1e-3)
OPERATIONS_PER_BYTE: Final = (3.0, 10.0, 30.0)
DEPTHWISE_SHARE: Final = (1.0, 0.15, 0.05)
"""Part of the peak that depthwise convolutions reach: their windows reuse little."""
FUSED: Final = (False, True)
"""Whether what works element by element is merged into the operator before it."""
DEVICES: Final = tuple(product(LAUNCH_S, OPERATIONS_PER_BYTE, DEPTHWISE_SHARE, FUSED))
"""Launch overhead, operations per byte, depthwise share and fusion of each made-up device."""


def times_s(parts: Sequence[Sequence[Operator]]) -> Array:
    """Seconds that each made-up device needs for each part: shape (parts, `DEVICES`)."""
    operators = [operator for part in parts for operator in part]
    part = np.repeat(np.arange(len(parts)), [len(each) for each in parts])
    work = np.array([operator.operations for operator in operators], dtype=np.float64)
    moved = np.array([operator.bytes for operator in operators], dtype=np.float64)
    kind = np.array([list(CLASSES).index(operator.kind) for operator in operators])
    columns = [_seconds(device, work, moved, kind) for device in DEVICES]
    return np.stack([np.bincount(part, each, minlength=len(parts)) for each in columns], axis=1)


def _seconds(device: tuple[float, float, float, bool], work: Array, moved: Array, kind: Array) -> Array:
    launch_s, operations_per_byte, depthwise, fused = device
    names = list(CLASSES)
    share = np.ones(len(names))
    share[names.index("depthwise")] = depthwise
    runs = np.ones(len(names))
    runs[names.index("free")] = 0.0
    runs[names.index("elementwise")] = not fused
    peak = BYTES_PER_S * operations_per_byte * share[kind]
    return np.asarray(np.maximum(launch_s, np.maximum(work / peak, moved / BYTES_PER_S)) * runs[kind])
