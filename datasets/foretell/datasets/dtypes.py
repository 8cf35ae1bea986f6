"""Data types of operators: bytes per element and the published rate that bounds them."""

from dataclasses import dataclass
from typing import Final, Literal

DtypeName = Literal[
    "float64", "float32", "tf32", "float16", "bfloat16", "int8",
    "fp8", "fp8_block", "nvfp4", "int4_wo", "int8_wo", "sq", "w4a16_mxfp4", "w4a8_mxfp4_mxfp8",
    "w4afp8",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dtype:
    """What a data type moves and which arithmetic it runs on.

    Attributes:
        a_bytes: bytes per element of the activations, scales included.
        b_bytes: bytes per element of the weights, scales included.
        c_bytes: bytes per element of the output.
        rates: peak-rate columns of a device (`peak_<rate>_tflops`), best first. A device that publishes
            none of the first ones runs the product upcast, at the rate of the first that it has.
    """

    a_bytes: float
    b_bytes: float
    c_bytes: float
    rates: tuple[str, ...]


# Block formats carry one scale per block: fp8_block a float32 per 128 values, nvfp4 an fp8 per 16, the
# microscaling formats (mxfp4, mxfp8) a byte per 32.
DTYPES: Final[dict[str, Dtype]] = {
    "float64": Dtype(8, 8, 8, ("float64",)),
    "float32": Dtype(4, 4, 4, ("float32",)),
    "tf32": Dtype(4, 4, 4, ("tf32", "float32")),
    "float16": Dtype(2, 2, 2, ("float16", "float32")),
    "bfloat16": Dtype(2, 2, 2, ("bfloat16", "float32")),
    "int8": Dtype(1, 1, 4, ("int8", "float32")),
    "fp8": Dtype(1, 1, 2, ("fp8", "float16", "float32")),
    "fp8_block": Dtype(1 + 4 / 128, 1 + 4 / 128**2, 2, ("fp8", "float16", "float32")),
    "nvfp4": Dtype(0.5 + 1 / 16, 0.5 + 1 / 16, 2, ("fp4", "fp8", "float16", "float32")),
    "int4_wo": Dtype(2, 0.5, 2, ("float16", "float32")),
    "int8_wo": Dtype(2, 1, 2, ("float16", "float32")),
    "sq": Dtype(1, 1, 2, ("int8", "float16", "float32")),
    "w4a16_mxfp4": Dtype(2, 0.5 + 1 / 32, 2, ("float16", "float32")),
    "w4a8_mxfp4_mxfp8": Dtype(1 + 1 / 32, 0.5 + 1 / 32, 2, ("fp8", "float16", "float32")),
    "w4afp8": Dtype(1, 0.5 + 2 / 128, 2, ("fp8", "float16", "float32")),
}
