"""NAS-Bench-201 (Dong and Yang, ICLR 2020): cells of six edges, each with one of five operations.

A cell has four nodes; node j sums what the edges from the nodes i < j give. Fifteen cells stand in three
stages of 16, 32 and 64 channels for 32x32 images, with a residual block between stages.
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.datasets.graph import Network, Operator, conv, elementwise, linear, pool
from foretell.datasets.spaces.base import Choices, Parts, check_range, indicators, renamed
from foretell.errors import InputError, one_of

OPERATIONS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES: Final = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
COLUMNS: Final = tuple(f"op_{source}_{node}" for source, node in EDGES)
STAGES: Final = ((16, 32), (32, 16), (64, 8))
"""Channels and side of the feature maps."""
CELLS: Final = 5
"""Cells in each stage."""
CLASSES: Final = 10
NONE: Final = 0

Mask = npt.NDArray[np.bool_]


class NasBench201:
    """The space; see `foretell.datasets.spaces.base.Space`.

    Its views: ``all`` runs whatever stands on an edge, as frameworks that execute line by line do.
    ``pruned`` leaves out a sum that nobody reads and what only that sum needs, as compilers do.
    """

    name = "nb201"
    views = ("all", "pruned")
    measured = 900

    def check(self, choices: Choices) -> None:
        """Refuse rows that are no cells."""
        check_range(choices, (len(OPERATIONS),) * len(EDGES), "cell")

    def catalogue(self) -> list[list[Operator]]:
        """The frame, and per operation of an edge what it adds in all fifteen cells."""
        return [frame(), *(edge_operators(code) for code in range(len(OPERATIONS)))]

    def parts(self, choices: Choices, view: str) -> Parts:
        """The frame once, and each operation as often as it runs."""
        runs = executed(choices, view)
        counts = [((choices == code) & runs).sum(axis=1) for code in range(len(OPERATIONS))]
        columns = np.stack([np.ones(len(choices)), *counts], axis=1).astype(np.float64)
        return Parts(np.tile(np.arange(len(OPERATIONS) + 1), (len(choices), 1)), columns)

    def one_hot(self, choices: Choices, view: str) -> npt.NDArray[np.float64]:
        """Which operation runs on which edge, and how often each runs."""
        runs = np.where(executed(choices, view), choices, NONE)
        marked = indicators(runs, (len(OPERATIONS),) * len(EDGES))
        return np.concatenate([marked, counted(runs)], axis=1)

    def network(self, choices: Sequence[int]) -> Network:
        """The graph of the whole network, with whatever stands on the edges."""
        self.check(np.array([choices]))
        return Network(tuple(_network(choices)))

    def text(self, choices: Sequence[int]) -> str:
        """Such as ``|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|``."""
        nodes: dict[int, str] = {}
        for (source, node), code in zip(EDGES, choices, strict=True):
            nodes[node] = nodes.get(node, "|") + f"{OPERATIONS[code]}~{source}|"
        return "+".join(nodes[node] for node in sorted(nodes))

    def parse(self, text: str) -> tuple[int, ...]:
        """The cell that is written so."""
        found = re.findall(r"(\w+)~(\d)", text)
        if unknown := [name for name, _ in found if name not in OPERATIONS]:
            raise InputError("architecture", unknown[0], one_of(OPERATIONS))
        codes = tuple(OPERATIONS.index(name) for name, _ in found)
        if len(codes) != len(EDGES) or self.text(codes) != text:
            raise InputError("architecture", text, f"a cell such as {self.text((3,) * len(EDGES))}")
        return codes

    def random(self, count: int, rng: np.random.Generator) -> Choices:
        """Connected cells, drawn evenly."""
        drawn = rng.integers(len(OPERATIONS), size=(4 * count + 16, len(EDGES)))
        return drawn[connected(drawn)][:count]


NB201: Final = NasBench201()


def connected(choices: Choices) -> Mask:
    """Whether anything leads from the cell's input to its output."""
    reached = np.zeros((len(choices), 4), dtype=bool)
    reached[:, 0] = True
    for edge, (source, node) in enumerate(EDGES):
        reached[:, node] |= reached[:, source] & (choices[:, edge] != NONE)
    return reached[:, 3]


def executed(choices: Choices, view: str) -> Mask:
    """Which edges cost time: shape (cells, edges).

    A compiler drops the sum at node 2 where nothing reads it, and then the edge into node 1 where only that
    sum read it. Operations without a sum behind them stay, as they do on the phones that were measured.
    """
    runs = np.ones(choices.shape, dtype=bool)
    if view == "pruned":
        active = choices != NONE
        unread = active[:, 1] & active[:, 2] & ~active[:, 5]
        runs[unread, 1] = runs[unread, 2] = runs[unread, 5] = False
        runs[unread & ~active[:, 4], 0] = False
    return runs


def counted(choices: Choices) -> npt.NDArray[np.float64]:
    """How often each operation but `none` occurs: shape (cells, 4)."""
    return np.stack([(choices == code).sum(axis=1) for code in range(1, len(OPERATIONS))], axis=1).astype(
        np.float64
    )


def edge_operators(code: int) -> list[Operator]:
    """Operators of one edge in all fifteen cells."""
    return [
        operator
        for stage, (channels, side) in enumerate(STAGES)
        for cell in range(CELLS)
        for operator in renamed(_edge(code, channels, side), f"stage{stage}.cell{cell}", "in")
    ]


def _edge(code: int, channels: int, side: int) -> list[Operator]:
    shape = (1, channels, side, side)
    name = OPERATIONS[code]
    if name == "skip_connect":
        return []
    if name == "none":
        return [elementwise("zero", ("in",), shape)]
    if name == "avg_pool_3x3":
        return [pool("pool", ("in",), shape, side, kernel=3)]
    kernel = 3 if name == "nor_conv_3x3" else 1
    return _relu_conv_norm("", "in", shape, channels, side, kernel=kernel)


def _relu_conv_norm(
    prefix: str, source: str, shape: tuple[int, ...], channels: int, side: int, *, kernel: int
) -> list[Operator]:
    return [
        elementwise(f"{prefix}relu", (source,), (1, channels, side, side)),
        conv(f"{prefix}conv", (f"{prefix}relu",), shape, channels, side, kernel=kernel),
        elementwise(f"{prefix}norm", (f"{prefix}conv",), shape, parameters=2 * shape[1], operations=2),
    ]


def frame() -> list[Operator]:
    """What every network has: stem, sums of the nodes, residual blocks and head."""
    operators = _stem()
    for stage, (channels, side) in enumerate(STAGES):
        if stage:
            operators += _residual(f"block{stage}", "stem.norm", *STAGES[stage - 1])
        shape = (1, channels, side, side)
        for cell in range(CELLS):
            for name, terms in (("sum2", 2), ("sum3a", 2), ("sum3b", 2)):
                operators.append(
                    elementwise(f"stage{stage}.cell{cell}.{name}", ("stem.norm",) * terms, shape)
                )
    return operators + _head("stem.norm")


def _stem() -> list[Operator]:
    channels, side = STAGES[0]
    shape = (1, channels, side, side)
    return [
        Operator("image", "free", (), (1, 3, side, side), 0, 0),
        conv("stem.conv", ("image",), shape, 3, side, kernel=3),
        elementwise("stem.norm", ("stem.conv",), shape, parameters=2 * channels, operations=2),
    ]


def _residual(name: str, source: str, channels: int, side: int) -> list[Operator]:
    """Halves the side and doubles the channels."""
    shape = (1, 2 * channels, side // 2, side // 2)
    return [
        *_relu_conv_norm(f"{name}.a.", source, shape, channels, side, kernel=3),
        *_relu_conv_norm(f"{name}.b.", f"{name}.a.norm", shape, shape[1], shape[2], kernel=3),
        pool(f"{name}.pool", (source,), (1, channels, *shape[2:]), side, kernel=2),
        conv(f"{name}.down", (f"{name}.pool",), shape, channels, shape[2], kernel=1),
        elementwise(f"{name}.sum", (f"{name}.b.norm", f"{name}.down"), shape),
    ]


def _head(source: str) -> list[Operator]:
    channels, side = STAGES[-1]
    shape = (1, channels, side, side)
    return [
        elementwise("head.norm", (source,), shape, parameters=2 * channels, operations=2),
        elementwise("head.relu", ("head.norm",), shape),
        pool("head.pool", ("head.relu",), (1, channels, 1, 1), side, kernel=side),
        linear("head.linear", ("head.pool",), 1, channels, CLASSES),
    ]


def _network(choices: Sequence[int]) -> list[Operator]:
    operators, source = _stem(), "stem.norm"
    for stage, (channels, side) in enumerate(STAGES):
        if stage:
            operators += _residual(f"block{stage}", source, *STAGES[stage - 1])
            source = f"block{stage}.sum"
        for cell in range(CELLS):
            operators += _cell(choices, f"stage{stage}.cell{cell}", source, channels, side)
            source = operators[-1].name
    return operators + _head(source)


def _cell(choices: Sequence[int], name: str, source: str, channels: int, side: int) -> list[Operator]:
    """Operators of one cell, the sum of its last node at the end."""
    outputs = {0: source}
    operators: list[Operator] = []
    for node in range(1, 4):
        terms = []
        for (start, end), code in zip(EDGES, choices, strict=True):
            if end == node:
                edge = renamed(_edge(code, channels, side), f"{name}.edge{start}{end}", outputs[start])
                operators += edge
                terms.append(edge[-1].name if edge else outputs[start])
        outputs[node] = f"{name}.node{node}"
        operators += _sums(outputs[node], terms, (1, channels, side, side))
    return operators


def _sums(name: str, terms: list[str], shape: tuple[int, ...]) -> list[Operator]:
    """The terms added one after the other; the last sum bears the name."""
    if len(terms) == 1:
        return [Operator(name, "free", (terms[0],), shape, 0, 0)]
    names = [*(f"{name}.part{number}" for number in range(1, len(terms) - 1)), name]
    sums, total = [], terms[0]
    for term, each in zip(terms[1:], names, strict=True):
        sums.append(elementwise(each, (total, term), shape))
        total = each
    return sums
