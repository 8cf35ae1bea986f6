"""What every benchmark protocol gives: figures of the product, the baselines and the peer, side by side."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from foretell.training.metrics import macro

Scores = dict[str, float]


@dataclass(frozen=True, slots=True)
class Group:
    """Figures on the held-out rows of one group.

    Attributes:
        group: what tells it apart, such as split and device.
        n: held-out rows.
        product: figures of foretell's predictor.
        baselines: figures of the trivial ones, by name.
        peers: figures of other systems on the same rows, by name.
        counted: whether it is part of the totals; a note says why it is not.
    """

    group: dict[str, str]
    n: int
    product: Scores
    baselines: dict[str, Scores] = field(default_factory=dict)
    peers: dict[str, Scores] = field(default_factory=dict)
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Total:
    """Figures averaged over groups, each group counting the same; `n` rows in all."""

    n: int
    product: Scores
    baselines: dict[str, Scores]
    peers: dict[str, Scores]


@dataclass(frozen=True, slots=True)
class Report:
    """One run of a protocol.

    Attributes:
        protocol: its name.
        groups: figures by group.
        total: macro-averaged over all groups.
        totals: the same by the value of the protocol's first key, such as the split, and by what else it
            names, such as ``site/h100``.
        seconds: wall-clock time of the product to `fit` and to `predict`.
        notes: what a reader should know of this run, such as rows refused.
    """

    protocol: str
    groups: list[Group]
    total: Total
    totals: dict[str, Total]
    seconds: dict[str, float]
    notes: list[str]


def report(
    protocol: str,
    groups: list[Group],
    seconds: dict[str, float],
    notes: list[str],
    *,
    totals_by: Sequence[Sequence[str]] = (),
) -> Report:
    """Average the groups that count.

    Args:
        protocol: its name.
        groups: in the order of the report.
        seconds: as in `Report`.
        notes: as in `Report`.
        totals_by: keys of a group, such as ``("split", "device")``, for whose values there are totals; none
            means the first key.
    """
    counted = [group for group in groups if group.counted]
    keys = totals_by or [list(group.group)[:1] for group in groups[:1]]
    totals = {name: _total(members) for names in keys for name, members in _sorted_out(counted, names)}
    return Report(protocol, groups, _total(counted), totals, seconds, notes)


def _sorted_out(groups: list[Group], keys: Sequence[str]) -> Iterator[tuple[str, list[Group]]]:
    """Groups by their values of `keys`, joined by a slash, in the order in which those come up."""
    named = [("/".join(group.group[key] for key in keys), group) for group in groups]
    for name in dict.fromkeys(name for name, _ in named):
        yield name, [group for other, group in named if other == name]


def _total(groups: list[Group]) -> Total:
    return Total(
        n=sum(group.n for group in groups),
        product=macro(group.product for group in groups),
        baselines=_by_name(group.baselines for group in groups),
        peers=_by_name(group.peers for group in groups),
    )


def _by_name(named: Iterable[dict[str, Scores]]) -> dict[str, Scores]:
    groups = list(named)
    names = dict.fromkeys(name for group in groups for name in group)
    return {name: macro(group[name] for group in groups if name in group) for name in names}
