"""Protocol `nas-few-shot`: latency of whole networks on a new device, from a few measurements of it.

Of each source device some hundred architectures are seen (as many as one measures, see `Space.measured`), of
each target `samples`; every other architecture of the target is scored. Draws differ between sources, targets
and seeds. Nothing is chosen here: the product's options were found by leaving source devices out.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.stats import kendalltau, spearmanr

from foretell.datasets.spaces.base import Choices
from foretell.datasets.spaces.base import space as find_space
from foretell.datasets.spaces.tables import Table, read_table
from foretell.errors import InputError, one_of
from foretell.features.architecture import Basis
from foretell.features.base import Array
from foretell.predictors.base import LEVELS
from foretell.predictors.device_prior import Prior, Source, fit_sources
from foretell.predictors.few_shot import adapt
from foretell.predictors.sample_choice import choose_samples
from foretell.training.bench import nas_baselines as baselines
from foretell.training.bench.report import Group, Report, Scores, report
from foretell.training.metrics import ape_percent

PRODUCT: Final = "foretell"
CEILING_ROWS: Final = 4000
SEEDS: Final = 10
SAMPLES: Final = 20
SOURCE_DRAW, TARGET_DRAW, CEILING_DRAW = range(3)
"""First numbers of the seeds of independent draws."""


@dataclass(frozen=True, slots=True)
class Case:
    """One target device with what was drawn of it.

    Attributes:
        choices: all architectures that were measured on it.
        latency_ms: of each.
        seen: numbers of the samples.
        scored: numbers of all others.
    """

    choices: Choices
    latency_ms: Array
    seen: npt.NDArray[np.intp]
    scored: npt.NDArray[np.intp]


def run(
    data: Path,
    *,
    space: str = "",
    sources: tuple[str, ...] = (),
    targets: tuple[str, ...] = (),
    samples: int = SAMPLES,
    choose: bool = False,
    seeds: int = SEEDS,
) -> Report:
    """Adapt to every target, `seeds` times with new draws.

    Args:
        data: folder with ``<space>_latency_ms.parquet``, for nb201 ``nb201_arch.parquet`` too.
        space: name of the search space.
        sources: devices to learn from.
        targets: devices to adapt to.
        samples: measurements of each target.
        choose: whether foretell says which architectures are measured; otherwise they are drawn.
        seeds: how often all is drawn anew.

    Raises:
        UnavailableError: no such file there.
        InputError: a space or device that is not there, a device on both sides, or too few samples.
    """
    table = read_table(data, space)
    _check(table, sources, targets, seeds)
    seconds = {"fit": 0.0, "adapt": 0.0, "predict": 0.0}
    figures: dict[str, list[dict[str, Scores]]] = {target: [] for target in targets}
    for seed in range(seeds):
        prior, fitted = _learn(table, sources, seed, seconds)
        for target in targets:
            case = _case(table, target, prior, samples=samples, chosen=choose, seed=seed)
            figures[target].append(_figures(prior, fitted, case, seed, seconds))
    groups = [
        _group(space, target, len(table.of(target)[1]) - samples, figures[target]) for target in targets
    ]
    return report("nas-few-shot", groups, seconds, _notes(table, sources, samples=samples, seeds=seeds))


def _check(table: Table, sources: tuple[str, ...], targets: tuple[str, ...], seeds: int) -> None:
    for field, names in (("sources", sources), ("targets", targets)):
        if not names or len(set(names)) < len(names):
            raise InputError(field, ",".join(names), "different devices, with commas between them")
        if unknown := [name for name in names if name not in table.latency_ms]:
            raise InputError(field, unknown[0], one_of(table.latency_ms))
    if both := set(sources) & set(targets):
        raise InputError("targets", min(both), "a device that is not among the sources")
    if seeds < 1:
        raise InputError("seeds", seeds, "1 or more")


def _learn(
    table: Table, sources: tuple[str, ...], seed: int, seconds: dict[str, float]
) -> tuple[Prior, list[Source]]:
    """The prior from as many architectures of each source as one measures."""
    basis = Basis.of(find_space(table.space))
    measured = {}
    for number, name in enumerate(sources):
        choices, latency_ms = table.of(name)
        drawn = np.random.default_rng([SOURCE_DRAW, seed, number]).permutation(len(choices))
        drawn = drawn[: find_space(table.space).measured]
        measured[name] = choices[drawn], latency_ms[drawn]
    start = time.perf_counter()
    fitted = fit_sources(basis, measured)
    prior = Prior.of(basis, fitted)
    seconds["fit"] += time.perf_counter() - start
    return prior, fitted


def _case(table: Table, target: str, prior: Prior, *, samples: int, chosen: bool, seed: int) -> Case:
    choices, latency_ms = table.of(target)
    if not 0 < samples < len(choices):
        raise InputError("samples", samples, f"1 to {len(choices) - 1}")
    order = np.random.default_rng([TARGET_DRAW, seed, *target.encode()]).permutation(len(choices))
    seen = order[:samples]
    if chosen:
        seen = order[choose_samples(prior, choices[order], samples)]
    return Case(choices, latency_ms, seen, np.setdiff1d(np.arange(len(choices)), seen))


def _figures(
    prior: Prior, sources: list[Source], case: Case, seed: int, seconds: dict[str, float]
) -> dict[str, Scores]:
    seen, latency_ms, test = case.choices[case.seen], case.latency_ms[case.seen], case.choices[case.scored]
    start = time.perf_counter()
    adapted = adapt(prior, seen, latency_ms)
    ready = time.perf_counter()
    found = {PRODUCT: adapted.quantiles_ms(test, LEVELS)}
    seconds["adapt"] += ready - start
    seconds["predict"] += time.perf_counter() - ready
    actual = case.latency_ms[case.scored]
    scored = {
        name: _scores(each, actual) for name, each in (found | _baselines(prior, sources, case)).items()
    }
    return scored | {"ceiling": _ceiling(prior.basis, case, seed)}


def _baselines(prior: Prior, sources: list[Source], case: Case) -> dict[str, Array]:
    basis, name = prior.basis, prior.basis.name
    seen, latency_ms, test = case.choices[case.seen], case.latency_ms[case.seen], case.choices[case.scored]
    view = find_space(name).views[0]
    marked = [find_space(name).one_hot(choices, view) for choices in (seen, test)]
    totals = [baselines.analytic(choices, name) for choices in (seen, test)]
    return {
        "best_single_source": baselines.best_single_source(basis, sources, seen, latency_ms, test),
        "ridge_analytic": baselines.ridge(totals[0], latency_ms, totals[1]),
        "ridge_one_hot": baselines.ridge(marked[0], latency_ms, marked[1]),
    }


def _ceiling(basis: Basis, case: Case, seed: int) -> Scores:
    """Figures on the rows that the ceiling was not fitted to; at least a fifth of them all."""
    drawn = np.random.default_rng([CEILING_DRAW, seed]).permutation(case.scored)
    count = min(CEILING_ROWS, 4 * len(drawn) // 5)
    train, test = drawn[:count], drawn[count:]
    found = baselines.ceiling(basis, case.choices[train], case.latency_ms[train], case.choices[test])
    return _scores(found, case.latency_ms[test])


def _scores(quantiles_ms: Array, actual_ms: Array) -> Scores:
    low, middle, high = quantiles_ms.T
    return {
        "spearman": float(np.nan_to_num(spearmanr(middle, actual_ms).statistic)),
        "kendall": float(np.nan_to_num(kendalltau(middle, actual_ms).statistic)),
        "mape": float(ape_percent(middle, actual_ms).mean()),
        "coverage_90": float(np.mean((low <= actual_ms) & (actual_ms <= high)) * 100.0),
    }


def _group(name: str, target: str, scored: int, draws: list[dict[str, Scores]]) -> Group:
    means = {
        model: {key: fmean(draw[model][key] for draw in draws) for key in draws[0][model]}
        for model in draws[0]
    }
    return Group({"space": name, "target": target}, scored, means.pop(PRODUCT), means)


def _notes(table: Table, sources: tuple[str, ...], *, samples: int, seeds: int) -> list[str]:
    measured = find_space(table.space).measured
    return [
        f"{samples} samples of each target, {measured} architectures of each of {len(sources)} sources",
        f"means over {seeds} draws; all scored rows of a target count in each",
    ]
