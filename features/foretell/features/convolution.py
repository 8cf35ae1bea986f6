"""The encoder of convolutions, as the matrix products that they are (Chellapilla et al., IWFHR 2006)."""

from typing import Any, ClassVar, Final

from foretell.datasets.operators.convolution import ConvolutionQuery
from foretell.datasets.operators.fields import Placed
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import MACHINE_NAMES, Machine, Operations, machine_features
from foretell.features.places import Traits
from foretell.features.products import PRODUCT_EXTENT, PRODUCT_NAMES, product_features

OWN_NAMES: Final = (
    "log_batch", "log_in_channels", "log_out_channels", "log_height", "log_width", "log_kernel",
)  # fmt: skip
NAMES: Final = (
    *OWN_NAMES, *PRODUCT_NAMES, "log_groups", "log_stride", "padding", "log_input_bytes", "log_weight_bytes",
    *MACHINE_NAMES, "a_bytes",
)  # fmt: skip


class ConvolutionEncoder(KernelEncoder):
    """Rows of `kernel` with the operator convolution."""

    query: ClassVar[type[Placed]] = ConvolutionQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = len(OWN_NAMES) + PRODUCT_EXTENT

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """A product for each group: pixels of the output by channels, summed over taps, padded ones too."""
        del traits
        q, log2 = query, ops.log2
        pixels = outputs(q.height, q) * outputs(q.width, q) * q.batch
        inputs, channels = q.in_channels // q.groups, q.out_channels // q.groups
        taps = inputs * q.kernel * q.kernel
        input_bytes = machine.a_bytes * q.batch * q.in_channels * q.height * q.width
        weight_bytes = machine.b_bytes * q.out_channels * taps
        moved = input_bytes + weight_bytes + machine.c_bytes * q.out_channels * pixels
        features, floor_us = product_features(
            pixels, channels, taps, copies=q.groups, moved=moved, machine=machine, ops=ops
        )
        own = (q.batch, q.in_channels, q.out_channels, q.height, q.width, q.kernel)
        more = (log2(q.groups), log2(q.stride), q.padding, log2(input_bytes), log2(weight_bytes))
        named = [*map(log2, own), *features, *more, *machine_features(machine), machine.a_bytes]
        return named, floor_us, moved


def outputs(size: Any, query: Any) -> Any:
    """Positions of the filter along a height or width of `size`."""
    return (size + 2 * query.padding - query.kernel) // query.stride + 1
