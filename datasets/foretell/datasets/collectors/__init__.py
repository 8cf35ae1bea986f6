"""Collectors measure cases on the machine at hand and store what they measured; they compute no features.

A name maps to ``"module:Class"`` (`pkgutil.resolve_name` reads it), so that looking at the table imports
nothing heavy. A new collector is one module and one line here.
"""

from typing import Final

TORCH: Final[dict[str, str]] = {
    "gemm": "foretell.datasets.collectors.gemm:TorchGemm",
    "bmm": "foretell.datasets.collectors.bmm:TorchBmm",
    "attention": "foretell.datasets.collectors.attention:TorchAttention",
    "moe": "foretell.datasets.collectors.moe:TorchMoe",
    "layernorm": "foretell.datasets.collectors.layernorm:TorchLayernorm",
    "softmax": "foretell.datasets.collectors.softmax:TorchSoftmax",
    "elementwise": "foretell.datasets.collectors.elementwise:TorchElementwise",
    "convolution": "foretell.datasets.collectors.convolution:TorchConvolution",
}
"""Those that measure an operator through torch, by the operator's name."""

COLLECTORS: Final[dict[str, str]] = {**TORCH, "replay": "foretell.datasets.collectors.replay:Replay"}
