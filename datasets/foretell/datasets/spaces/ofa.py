"""Once-for-all (Cai et al., ICLR 2020): MobileNetV3 with elastic kernels, widths, depths and images.

An architecture is twenty kernels, twenty expansions, five depths and the side of the image, in this order.
Blocks beyond a stage's depth are left out; their kernel and expansion mean nothing.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.datasets.graph import Network, Operator, conv, elementwise, linear, pool
from foretell.datasets.spaces.base import Choices, Parts, integers, renamed
from foretell.datasets.spaces.blocks import Block, norm_act
from foretell.errors import InputError

KERNELS: Final = (3, 5, 7)
EXPANSIONS: Final = (3, 4, 6)
DEPTHS: Final = (2, 3, 4)
SIDES: Final = tuple(range(128, 225, 4))
STAGES: Final = 5
BLOCKS: Final = 20
PER_STAGE: Final = BLOCKS // STAGES
WIDTHS: Final = (16, 24, 40, 80, 112, 160)
"""Channels before the first stage and after each."""
STRIDES: Final = (2, 2, 2, 1, 2)
SQUEEZED: Final = (False, True, False, True, True)
FEATURES: Final = (960, 1280, 1000)
MEAN_SIDE: Final = 176
PARTS: Final = ("kernel", "expansion", "depth", "side")


class OnceForAll:
    """The space; see `foretell.datasets.spaces.base.Space`."""

    name = "ofa"
    views = ("all",)
    measured = 900

    def check(self, choices: Choices) -> None:
        """Refuse rows that are no networks."""
        if choices.ndim != 2 or choices.shape[1] != 2 * BLOCKS + STAGES + 1:
            raise InputError("network", choices.shape, f"rows of {2 * BLOCKS + STAGES + 1} choices")
        for part, values, allowed in zip(
            PARTS, split(choices), (KERNELS, EXPANSIONS, DEPTHS, SIDES), strict=True
        ):
            wrong = ~np.isin(values, allowed)
            if wrong.any():
                row, position = (int(index) for index in np.argwhere(wrong)[0])
                raise InputError(
                    f"network[{row}].{part}[{position}]", int(values[row, position]), f"one of {allowed}"
                )

    def catalogue(self) -> list[list[Operator]]:
        """For each side of the image the frame and every block."""
        return [part for side in SIDES for part in _parts_of(side)]

    def parts(self, choices: Choices, view: str) -> Parts:
        """The frame and the blocks that run."""
        del view
        kernels, expansions, _, sides = split(choices)
        kind = np.searchsorted(KERNELS, kernels) * len(EXPANSIONS) + np.searchsorted(EXPANSIONS, expansions)
        kinds = len(KERNELS) * len(EXPANSIONS)
        frame = np.searchsorted(SIDES, sides) * (1 + BLOCKS * kinds)
        index = np.concatenate([frame, frame + 1 + np.arange(BLOCKS) * kinds + kind], axis=1)
        counts = np.concatenate([np.ones((len(choices), 1)), active(choices)], axis=1)
        return Parts(index, counts)

    def one_hot(self, choices: Choices, view: str) -> npt.NDArray[np.float64]:
        """Kernel and expansion of each block that runs, as such and in proportion to the image's area."""
        del view
        kernels, expansions, _, sides = split(choices)
        runs = active(choices)
        marked = np.concatenate(
            [
                (values[:, [position]] == np.array(allowed)) & runs[:, [position]]
                for values, allowed in ((kernels, KERNELS), (expansions, EXPANSIONS))
                for position in range(BLOCKS)
            ],
            axis=1,
        )
        area = (sides / MEAN_SIDE) ** 2
        return np.concatenate([marked, marked * area, sides / MEAN_SIDE, area], axis=1)

    def network(self, choices: Sequence[int]) -> Network:
        """The graph of one architecture."""
        row = np.array([choices])
        self.check(row)
        side = int(row[0, -1])
        operators, source = _stem(side), "first.narrow.norm"
        for position in np.flatnonzero(active(row)[0]):
            kernel, expansion = int(row[0, position]), int(row[0, BLOCKS + position])
            operators += renamed(
                block(int(position), kernel, expansion, side), f"block_{position:02}", source
            )
            source = operators[-1].name
        return Network((*operators, *_head(side, source)))

    def text(self, choices: Sequence[int]) -> str:
        """All numbers, joined by ``-``."""
        return "-".join(map(str, choices))

    def parse(self, text: str) -> tuple[int, ...]:
        """The architecture that `text` wrote."""
        choices = integers(text, "architecture")
        self.check(np.array([choices]))
        return choices

    def random(self, count: int, rng: np.random.Generator) -> Choices:
        """Architectures drawn evenly."""
        drawn = [
            rng.choice(values, size=(count, width))
            for values, width in ((KERNELS, BLOCKS), (EXPANSIONS, BLOCKS), (DEPTHS, STAGES), (SIDES, 1))
        ]
        return np.concatenate(drawn, axis=1)


OFA: Final = OnceForAll()


def split(choices: Choices) -> tuple[Choices, Choices, Choices, Choices]:
    """Kernels, expansions, depths and the side, each of shape (architectures, positions)."""
    return (
        choices[:, :BLOCKS],
        choices[:, BLOCKS : 2 * BLOCKS],
        choices[:, 2 * BLOCKS : 2 * BLOCKS + STAGES],
        choices[:, -1:],
    )


def active(choices: Choices) -> npt.NDArray[np.bool_]:
    """Which blocks run: shape (architectures, 20)."""
    depths = np.repeat(split(choices)[2], PER_STAGE, axis=1)
    return depths > np.tile(np.arange(PER_STAGE), STAGES)


def block(position: int, kernel: int, expansion: int, image: int) -> list[Operator]:
    """Operators of one block for an image of that side."""
    stage, number = divmod(position, PER_STAGE)
    first = number == 0
    channels, outputs = WIDTHS[stage + (not first)], WIDTHS[stage + 1]
    width = divisible(channels * expansion)
    squeeze = divisible(width / 4) if SQUEEZED[stage] else 0
    side = _side(image, stage if first else stage + 1)
    stride = STRIDES[stage] if first else 1
    residual = not first
    return Block(
        channels, outputs, side, stride, kernel, width, squeeze=squeeze, residual=residual
    ).operators()


def divisible(channels: float) -> int:
    """The nearest multiple of 8 that is not over 10 % less, as MobileNets take it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _side(image: int, stages: int) -> int:
    """Side of the feature map after the stem and some stages."""
    side = -(-image // 2)
    for stride in STRIDES[:stages]:
        side = -(-side // stride)
    return side


def _parts_of(side: int) -> list[list[Operator]]:
    blocks = [
        block(position, kernel, expansion, side)
        for position in range(BLOCKS)
        for kernel in KERNELS
        for expansion in EXPANSIONS
    ]
    return [[*_stem(side), *_head(side, "first.narrow.norm")], *blocks]


def _stem(image: int) -> list[Operator]:
    side = _side(image, 0)
    shape = (1, WIDTHS[0], side, side)
    return [
        Operator("image", "free", (), (1, 3, image, image), 0, 0),
        conv("stem", ("image",), shape, 3, image, kernel=3),
        *norm_act("stem", shape),
        conv("first.depth", ("stem.act",), shape, WIDTHS[0], side, kernel=3, groups=WIDTHS[0]),
        *norm_act("first.depth", shape),
        conv("first.narrow", ("first.depth.act",), shape, WIDTHS[0], side, kernel=1),
        elementwise("first.narrow.norm", ("first.narrow",), shape, parameters=2 * WIDTHS[0], operations=2),
    ]


def _head(image: int, source: str) -> list[Operator]:
    side, (wide, features, classes) = _side(image, STAGES), FEATURES
    shape = (1, wide, side, side)
    return [
        conv("head", (source,), shape, WIDTHS[-1], side, kernel=1),
        *norm_act("head", shape),
        pool("pool", ("head.act",), (1, wide, 1, 1), side, kernel=side),
        linear("features", ("pool",), 1, wide, features),
        elementwise("features.act", ("features",), (1, features)),
        linear("classes", ("features.act",), 1, features, classes),
    ]
