"""The trees of a LightGBM model, read from its text format and checked.

LightGBM trusts its files: an index out of range reads or writes past its memory, a cycle never ends. So a
text is read here first, by the same rules as LightGBM's (trees are found by their sizes in the header), and
anything that its regressions on numbers do not hold is refused.
"""

import re
import string
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np

from foretell.errors import ArtefactError

HEADER: Final = {
    "num_class": "1",
    "num_tree_per_iteration": "1",
    # Others turn one response into several, for which nobody made room.
    "objective": "regression|regression_l1",
    "max_feature_idx": r"\d{1,6}",
    "tree_sizes": r"\d{1,12}( \d{1,12})*",
}
"""Lines that the header must have, and what they may say."""
END: Final = "end of trees\n"
PLAIN: Final = (string.ascii_letters + string.digits + "_=+-. \n").encode()
"""Characters of trees."""
INTEGERS: Final = string.digits + "- "
REALS: Final = INTEGERS + "+.eE"
NUMERICAL: Final = frozenset({0, 2, 4, 6, 8, 10})
"""LightGBM's `decision_type` of splits on numbers; odd ones are on categories."""
ALWAYS_NUMBERS: Final = frozenset({0, 2, 8, 10})
"""Those that take no finite value for a missing one."""


class Tree(NamedTuple):
    """One tree; node 0 is the root, and a child below zero is the leaf ~child.

    Attributes:
        size: number of its leaves.
        features: column that each node compares.
        thresholds: a value up to it goes to the left; numbers in words, as few ask for them.
        left: child of each node.
        right: likewise.
        leaves: response of each leaf, in words.
        decisions: LightGBM's `decision_type` of each node.
        sloped: whether responses of leaves are linear in features instead.
    """

    size: int
    features: list[int]
    thresholds: str
    left: list[int]
    right: list[int]
    leaves: str
    decisions: list[int]
    sloped: bool


@dataclass(frozen=True, slots=True)
class Ensemble:
    """A model of LightGBM that is safe to hand to it.

    Attributes:
        text: as LightGBM wrote it.
        width: number of features.
        trees: their responses add up.
    """

    text: str
    width: int
    trees: list[Tree]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read LightGBM's text format.

        Raises:
            ArtefactError: a text that breaks off, or says what could lead LightGBM astray.
        """
        start, end = text.find("Tree=0\n"), text.find(END)
        if not text.isascii() or "\0" in text or "\r" in text or not text.startswith("tree\n") or start < 0:
            raise _refusal("no text of its own")
        header = _header(text[:start])
        width = int(header["max_feature_idx"]) + 1
        sizes = [int(size) for size in header["tree_sizes"].split(" ")]
        if sum(sizes) != end - start or text[start:end].encode().translate(None, PLAIN):
            raise _refusal("not all of it, or more than trees")
        trees = []
        for number, size in enumerate(sizes):
            trees.append(_tree(text[start : start + size], number, width))
            start += size
        return cls(text, width, trees)


def _refusal(why: str) -> ArtefactError:
    return ArtefactError(f"not a LightGBM model that can be used: {why}")


def _header(text: str) -> dict[str, str]:
    pairs = [line.partition("=")[::2] for line in text.split("\n")]
    names = [name for name, _ in pairs if name]
    header = dict(pairs)
    if len(set(names)) < len(names):
        raise _refusal("a header that says something twice")
    for name, pattern in HEADER.items():
        if not re.fullmatch(pattern, header.get(name, "")):
            raise _refusal(f"{name}={header.get(name, '')!r}")
    return header


def _tree(block: str, number: int, width: int) -> Tree:
    lines = block.rstrip("\n").split("\n")
    fields = dict(line.partition("=")[::2] for line in lines[1:])
    whole = all("=" in line for line in lines) and block.endswith("\n")
    if lines[0] != f"Tree={number}" or len(fields) < len(lines) - 1 or not whole:
        raise _refusal(f"tree {number} breaks off or says something twice")
    try:
        return _checked(fields, width)
    except (KeyError, ValueError) as error:
        raise _refusal(f"tree {number}: {error}") from error


def _checked(fields: dict[str, str], width: int) -> Tree:
    """The tree of some fields.

    Raises:
        KeyError: a field is missing.
        ValueError: one does not fit.
    """
    (count,) = _integers(fields["num_leaves"])
    nodes = count - 1
    if count < 1 or fields["num_cat"] != "0":
        raise ValueError("not a tree of splits on numbers")
    leaves = _reals(fields["leaf_value"], count)
    sloped = fields.get("is_linear", "0") != "0"
    if sloped:
        _check_slopes(fields, count, width)
    if not nodes:
        return Tree(count, [], "", [], [], leaves, [], sloped)
    features, left, right, decisions = (
        _integers(fields[name]) for name in ("split_feature", "left_child", "right_child", "decision_type")
    )
    thresholds = _reals(fields["threshold"], nodes)
    if not len(features) == len(decisions) == len(left) == len(right) == nodes:
        raise ValueError(f"expected {nodes} splits")
    if not NUMERICAL.issuperset(decisions) or not 0 <= min(features) <= max(features) < width:
        raise ValueError(f"a split on a category or a feature beyond {width}")
    # Every node but the root is the child of an earlier one, and every leaf of one.
    children = np.array([left, right])
    later = (children < 0) | (children > np.arange(nodes))
    if not later.all() or sorted(left + right) != [*range(-count, 0), *range(1, nodes)]:
        raise ValueError("children that make no tree")
    return Tree(count, features, thresholds, left, right, leaves, decisions, sloped)


def _check_slopes(fields: dict[str, str], count: int, width: int) -> None:
    """Each leaf has a constant, and a coefficient for each of its features.

    Raises:
        KeyError: a field is missing.
        ValueError: one does not fit.
    """
    _reals(fields["leaf_const"], count)
    counts = _integers(fields["num_features"])
    features, coefficients = fields["leaf_features"].split(), fields["leaf_coeff"].split()
    if len(counts) != count or min(counts) < 0 or len(features) != sum(counts):
        raise ValueError("leaves with another number of features than they say")
    _reals(" ".join(coefficients), len(features))
    if features and not 0 <= min(_integers(" ".join(features))) <= max(map(int, features)) < width:
        raise ValueError(f"a slope along a feature beyond {width}")
    for name, words in (("leaf_features", features), ("leaf_coeff", coefficients)):
        rest = iter(words)
        spaced = "".join("".join(f"{next(rest)} " for _ in range(held)) + " " for held in counts)
        if fields[name] != spaced:
            raise ValueError(f"{name} that are not apart as LightGBM writes them")


def _reals(words: str, count: int) -> str:
    """The words, once there are so many and none is ``inf`` or ``nan``."""
    if len(words.split()) != count or words.strip(REALS):
        raise ValueError(f"expected {count} finite numbers")
    return words


def _integers(words: str) -> list[int]:
    if words.strip(INTEGERS):
        raise ValueError(f"expected integers, got {words[:40]!r}")
    return [int(word) for word in words.split(" ")]
