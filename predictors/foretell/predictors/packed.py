"""Small trees answered for many rows at once, a byte at a time.

A walk through a tree is one branch after another that no processor foresees. Here up to eight splits are
compared at once; the bits of what was found are a number from 0 to 255, under which the response is looked
up. (QuickScorer, Lucchese et al., SIGIR 2015, has a bit per leaf instead; a bit per split needs no search.)
A tree with more splits is cut into several of which all but one answer zero.
"""

from typing import Final, NamedTuple, Self

import numpy as np

from foretell.features.base import Array
from foretell.predictors.ensemble import ALWAYS_NUMBERS, Tree

BITS: Final = 8
MAX_LEAVES: Final = 16
"""Trees with more would be cut into too many parts; they are left to LightGBM."""
BLOCK: Final = 64
"""Rows at a time: what is compared stays in the cache."""


class Leaf(NamedTuple):
    """A leaf with the splits above it.

    Attributes:
        response: what it answers.
        path: node, and whether the way leads to the right, from the root on.
    """

    response: float
    path: dict[int, bool]


class PackedTrees:
    """An ensemble of parts with up to eight splits each.

    Args:
        parts: a tree and some of its leaves; its other leaves answer zero in that part.
    """

    def __init__(self, parts: list[tuple[Tree, list[Leaf]]]) -> None:
        self._features = np.zeros((len(parts), BITS), dtype=np.intp)
        self._thresholds = np.full((len(parts), BITS), np.inf)
        self._responses = np.zeros((len(parts), 2**BITS))
        self._first = (2**BITS * np.arange(len(parts)))[:, None]
        for number, (tree, leaves) in enumerate(parts):
            nodes = sorted({node for leaf in leaves for node in leaf.path})
            thresholds = tree.thresholds.split()
            for bit, node in enumerate(nodes):
                self._features[number, bit] = tree.features[node]
                self._thresholds[number, bit] = float(thresholds[node])
            _fill(self._responses[number], leaves, nodes)

    @classmethod
    def of(cls, trees: list[Tree]) -> Self | None:
        """Those of an ensemble; none where trees are large, deep or sloped, or take numbers for missing."""
        parts = []
        for tree in trees:
            leaves = _leaves(tree) if tree.size <= MAX_LEAVES else []
            if not leaves or max(len(leaf.path) for leaf in leaves) > BITS:
                return None
            if tree.sloped or not ALWAYS_NUMBERS.issuperset(tree.decisions):
                return None
            parts += [(tree, part) for part in _parts(leaves)]
        return cls(parts)

    def predict(self, features: Array) -> Array:
        """Responses of shape (rows,) to finite features of shape (rows, width); LightGBM's to the bit."""
        starts = range(0, len(features), BLOCK)
        return np.concatenate([self._block(features[start : start + BLOCK]) for start in starts])

    def _block(self, features: Array) -> Array:
        if len(features) == 1:
            # NumPy adds up rows in their order, which is LightGBM's, but the terms of a single row in pairs.
            return self._block(np.repeat(features, 2, axis=0))[:1]
        above = features.take(self._features.ravel(), axis=1) > self._thresholds.ravel()
        codes = np.packbits(above, bitorder="little").reshape(len(features), -1)
        responses = self._responses.ravel().take(codes.T + self._first)
        return np.asarray(responses.sum(axis=0))


def _leaves(tree: Tree) -> list[Leaf]:
    """Leaves from left to right."""
    responses = tree.leaves.split()
    found: list[Leaf] = []
    ahead: list[tuple[int, dict[int, bool]]] = [(0 if tree.features else ~0, {})]
    while ahead:
        node, path = ahead.pop()
        if node < 0:
            found.append(Leaf(float(responses[~node]), path))
        else:
            ahead += [(tree.right[node], path | {node: True}), (tree.left[node], path | {node: False})]
    return found


def _parts(leaves: list[Leaf]) -> list[list[Leaf]]:
    """Neighbouring leaves that have up to eight splits above them together."""
    parts: list[list[Leaf]] = [[]]
    splits: set[int] = set()
    for leaf in leaves:
        splits |= leaf.path.keys()
        if len(splits) > BITS:
            parts.append([])
            splits = set(leaf.path)
        parts[-1].append(leaf)
    return parts


def _fill(responses: Array, leaves: list[Leaf], nodes: list[int]) -> None:
    """Write the response of each leaf where the bits of `nodes` lead to it."""
    bit = {node: 1 << number for number, node in enumerate(nodes)}
    codes = np.arange(2**BITS)
    for leaf in leaves:
        asked = sum(bit[node] for node in leaf.path)
        right = sum(bit[node] for node, is_right in leaf.path.items() if is_right)
        responses[codes & asked == right] = leaf.response
