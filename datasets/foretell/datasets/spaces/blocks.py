"""Inverted residual blocks, of which mobile search spaces are made."""

from dataclasses import dataclass

from foretell.datasets.graph import Operator, conv, elementwise, linear, pool


@dataclass(frozen=True, slots=True)
class Block:
    """A 1x1 convolution that widens, a depthwise one, and a 1x1 that narrows (Sandler et al., CVPR 2018).

    Attributes:
        channels: of the input.
        outputs: channels of the output.
        side: of the input's feature map.
        stride: of the depthwise convolution.
        kernel: of the depthwise convolution.
        width: channels in the middle.
        groups: of the 1x1 convolutions.
        squeeze: channels to which a squeeze-and-excitation part narrows; 0 without one.
        residual: whether the input is added to the output.
    """

    channels: int
    outputs: int
    side: int
    stride: int
    kernel: int
    width: int
    groups: int = 1
    squeeze: int = 0
    residual: bool = False

    def operators(self) -> list[Operator]:
        """In the order in which they run; the input is called ``in``."""
        after = -(-self.side // self.stride)
        wide = (1, self.width, self.side, self.side)
        narrow = (1, self.width, after, after)
        shape = (1, self.outputs, after, after)
        operators = [
            conv("widen", ("in",), wide, self.channels, self.side, kernel=1, groups=self.groups),
            *norm_act("widen", wide),
            conv(
                "depth", ("widen.act",), narrow, self.width, self.side, kernel=self.kernel, groups=self.width
            ),
            *norm_act("depth", narrow),
        ]
        if self.squeeze:
            operators += _squeeze(narrow, self.squeeze)
        source = operators[-1].name
        operators += [
            conv("narrow", (source,), shape, self.width, after, kernel=1, groups=self.groups),
            norm("narrow", shape),
        ]
        if self.residual:
            operators.append(elementwise("sum", ("narrow.norm", "in"), shape))
        return operators


def norm(source: str, shape: tuple[int, ...]) -> Operator:
    """Batch normalisation of what `source` gives."""
    return elementwise(f"{source}.norm", (source,), shape, parameters=2 * shape[1], operations=2)


def norm_act(source: str, shape: tuple[int, ...]) -> list[Operator]:
    """Batch normalisation and an activation of what `source` gives."""
    return [norm(source, shape), elementwise(f"{source}.act", (f"{source}.norm",), shape)]


def _squeeze(shape: tuple[int, ...], channels: int) -> list[Operator]:
    width, side = shape[1], shape[2]
    return [
        pool("squeeze.pool", ("depth.act",), (1, width, 1, 1), side, kernel=side),
        linear("squeeze.reduce", ("squeeze.pool",), 1, width, channels),
        elementwise("squeeze.relu", ("squeeze.reduce",), (1, channels)),
        linear("squeeze.expand", ("squeeze.relu",), 1, channels, width),
        elementwise("squeeze.gate", ("squeeze.expand",), (1, width)),
        elementwise("squeeze.scale", ("depth.act", "squeeze.gate"), shape),
    ]
