"""FBNet (Wu et al., CVPR 2019): 22 blocks, each one of nine kinds, for images of 224x224."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.datasets.graph import Network, Operator, conv, linear, pool
from foretell.datasets.spaces.base import Choices, Parts, check_range, indicators, integers, renamed
from foretell.datasets.spaces.blocks import Block, norm, norm_act

BLOCKS: Final = ("k3_e1", "k3_e1_g2", "k3_e3", "k3_e6", "k5_e1", "k5_e1_g2", "k5_e3", "k5_e6", "skip")
KINDS: Final = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))
"""Kernel, expansion and groups of each kind but `skip`."""
STAGES: Final = ((16, 1, 1), (24, 4, 2), (32, 4, 2), (64, 4, 2), (112, 4, 1), (184, 4, 2), (352, 1, 1))
"""Channels, blocks and the stride of the first block."""
SIDE: Final = 224
STEM: Final = 16
HEAD: Final = 1984
CLASSES: Final = 1000


def _positions() -> list[tuple[int, int, int, int]]:
    """Input channels, output channels, input side and stride of each block."""
    found, channels, side = [], STEM, SIDE // 2
    for outputs, blocks, first in STAGES:
        for number in range(blocks):
            stride = first if number == 0 else 1
            found.append((channels, outputs, side, stride))
            channels, side = outputs, side // stride
    return found


POSITIONS: Final = tuple(_positions())
SIZES: Final = (len(BLOCKS),) * len(POSITIONS)
COLUMNS: Final = tuple(f"block_{position:02}" for position in range(len(POSITIONS)))


class FBNet:
    """The space; see `foretell.datasets.spaces.base.Space`."""

    name = "fbnet"
    views = ("all",)
    measured = 800

    def check(self, choices: Choices) -> None:
        """Refuse rows that are no networks."""
        check_range(choices, SIZES, "network")

    def catalogue(self) -> list[list[Operator]]:
        """The frame, and each kind of block at each position."""
        blocks = [block(position, kind) for position in range(len(POSITIONS)) for kind in range(len(BLOCKS))]
        return [[*_stem(), *_head("stem.act")], *blocks]

    def parts(self, choices: Choices, view: str) -> Parts:
        """The frame and the blocks, each once."""
        del view
        index = 1 + np.arange(len(POSITIONS)) * len(BLOCKS) + choices
        index = np.concatenate([np.zeros((len(choices), 1), dtype=np.intp), index], axis=1)
        return Parts(index, np.ones(index.shape))

    def one_hot(self, choices: Choices, view: str) -> npt.NDArray[np.float64]:
        """Which kind stands where, and how often each occurs."""
        del view
        counts = [(choices == kind).sum(axis=1) for kind in range(len(BLOCKS))]
        return np.concatenate([indicators(choices, SIZES), np.stack(counts, axis=1)], axis=1)

    def network(self, choices: Sequence[int]) -> Network:
        """The graph of one architecture."""
        self.check(np.array([choices]))
        operators, source = _stem(), "stem.act"
        for position, kind in enumerate(choices):
            operators += renamed(block(position, kind), COLUMNS[position], source)
            source = operators[-1].name
        return Network((*operators, *_head(source)))

    def text(self, choices: Sequence[int]) -> str:
        """The kinds by number, joined by ``-``."""
        return "-".join(map(str, choices))

    def parse(self, text: str) -> tuple[int, ...]:
        """The architecture that `text` wrote."""
        choices = integers(text, "architecture")
        self.check(np.array([choices]))
        return choices

    def random(self, count: int, rng: np.random.Generator) -> Choices:
        """Architectures drawn evenly."""
        return rng.integers(len(BLOCKS), size=(count, len(POSITIONS)))


FBNET: Final = FBNet()


def block(position: int, kind: int) -> list[Operator]:
    """Operators of one kind at one position; a skip that changes the shape is a 1x1 convolution."""
    channels, outputs, side, stride = POSITIONS[position]
    same = stride == 1 and channels == outputs
    if kind == len(KINDS):
        shape = (1, outputs, side // stride, side // stride)
        if same:
            return []
        return [conv("skip", ("in",), shape, channels, side, kernel=1), *norm_act("skip", shape)]
    kernel, expansion, groups = KINDS[kind]
    width = channels * expansion
    return Block(channels, outputs, side, stride, kernel, width, groups, residual=same).operators()


def _stem() -> list[Operator]:
    shape = (1, STEM, SIDE // 2, SIDE // 2)
    image = Operator("image", "free", (), (1, 3, SIDE, SIDE), 0, 0)
    return [image, conv("stem", ("image",), shape, 3, SIDE, kernel=3), *norm_act("stem", shape)]


def _head(source: str) -> list[Operator]:
    channels, side = STAGES[-1][0], POSITIONS[-1][2]
    shape = (1, HEAD, side, side)
    return [
        conv("head", (source,), shape, channels, side, kernel=1),
        norm("head", shape),
        pool("pool", ("head.norm",), (1, HEAD, 1, 1), side, kernel=side),
        linear("classes", ("pool",), 1, HEAD, CLASSES),
    ]
