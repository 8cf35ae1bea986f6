"""Collectors measure cases on the machine at hand and store what they measured; they compute no features.

A name maps to ``"module:Class"`` (`pkgutil.resolve_name` reads it), so that looking at the table imports
nothing heavy. A new collector is one module and one line here.
"""

from typing import Final

COLLECTORS: Final[dict[str, str]] = {
    "gemm": "foretell.datasets.collectors.gemm:TorchGemm",
    "replay": "foretell.datasets.collectors.replay:Replay",
}
