"""The model families and the encoders, by name; a user of one never imports another."""

from typing import Final

FAMILIES: Final = {
    "lightgbm": "foretell.predictors.boosted:Boosted",
    "forest": "foretell.predictors.forest:Forest",
    "roofline": "foretell.predictors.roofline:Roofline",
}
ENCODERS: Final = {
    "gemm": "foretell.features.gemm:GemmEncoder",
}
