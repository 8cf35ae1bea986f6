"""The model families and the encoders, by name; a user of one never imports another."""

from typing import Final

FAMILIES: Final = {
    "lightgbm": "foretell.predictors.boosted:Boosted",
    "blend": "foretell.predictors.blend:Blend",
    "forest": "foretell.predictors.forest:Forest",
    "roofline": "foretell.predictors.roofline:Roofline",
}
TRANSFERRING: Final = frozenset({"lightgbm", "blend"})
"""Families that leave hardware that nobody measured to `foretell.predictors.unseen`."""
NETWORK: Final = "network.npz"
"""Arrays of a saved device of `foretell.predictors.network`, by which it is told from tables."""
ENCODERS: Final = {
    "gemm": "foretell.features.gemm:GemmEncoder",
    "bmm": "foretell.features.bmm:BmmEncoder",
    "attention": "foretell.features.attention:AttentionEncoder",
    "moe": "foretell.features.moe:MoeEncoder",
    "layernorm": "foretell.features.layernorm:LayernormEncoder",
    "softmax": "foretell.features.softmax:SoftmaxEncoder",
    "elementwise": "foretell.features.elementwise:ElementwiseEncoder",
    "convolution": "foretell.features.convolution:ConvolutionEncoder",
    "collective": "foretell.features.collective:CollectiveEncoder",
    "gemm-power": "foretell.features.power:GemmPowerEncoder",
    "gemm-energy": "foretell.features.power:GemmEnergyEncoder",
    "attention-power": "foretell.features.power:AttentionPowerEncoder",
    "attention-energy": "foretell.features.power:AttentionEnergyEncoder",
}
