"""Protocol `serving-state`: TTFT and TPOT of each request from the server's state at its arrival.

Online in order of arrival: a request's outcome is learnt from once it has finished, never before. On the
simulated runs (`SIMULATED`) three splits: the last 30 % of each run of conversations, heavier load, another
workload. On measured servers (`MEASURED`) the last 30 % of the record of each.
`remaining_decode_tokens_oracle` is not known at arrival and never read; neither is the number of tokens
that a request will generate.

All runs of one workload replay one sequence of requests and, scaled by the rate, of gaps between them:
nothing that could tell where in the sequence a request stands (its number, the time) is a feature.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from foretell.errors import InputError, one_of
from foretell.features.base import Array
from foretell.training.bench.contest import FORECASTERS, Contest
from foretell.training.bench.forecasters import LEVEL
from foretell.training.bench.report import Group, Report, Scores, report
from foretell.training.bench.streams import MEASURED, SIMULATED, Stream, measured, simulated
from foretell.training.learner import TARGETS
from foretell.training.metrics import point_scores

FIRST_SHARE: Final = 0.7
"""Share of a run that is learnt from where the rest is forecast."""
HIGH_LOAD: Final = 7.0
"""Requests per second from which on a run is high load."""
BLOCK: Final = 5
"""Requests answered with the same knowledge: a little less than the latest, never more."""


@dataclass(frozen=True, slots=True)
class Part:
    """A run, which of its rows are forecast, and which were learnt from before it began.

    Attributes:
        stream: the run.
        test_from: first row that is forecast.
        learnt: rows before it that are known from the start; the others become known as they finish.
    """

    stream: Stream
    test_from: int
    learnt: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class StateSplit:
    """What is learnt from beforehand, and what is forecast."""

    name: str
    train: tuple[Stream, ...]
    test: tuple[Part, ...]


def run(data: Path, train: Sequence[str] = (), test: Sequence[str] = ()) -> Report:
    """Forecast every split.

    Args:
        data: folder with `SIMULATED`, `MEASURED`, or both.
        train: runs of `SIMULATED` to learn from; with `test` they are the only split.
        test: runs of `SIMULATED` to forecast.

    Raises:
        InputError: neither file, a run that is not there, or only one of `train` and `test`.
    """
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    for split in _splits(data, tuple(train), tuple(test)):
        groups += _forecast(split, seconds)
    notes = [f"peer: LightGBM on llm-d's features, refitted as often as foretell; quantile {LEVEL}"]
    return report("serving-state", groups, seconds, notes)


def _splits(data: Path, train: tuple[str, ...], test: tuple[str, ...]) -> Iterator[StateSplit]:
    if bool(train) != bool(test):
        raise InputError("test" if train else "train", "", "runs for both or neither of train and test")
    if train:
        runs = simulated(data)
        yield StateSplit("chosen", _named(runs, "train", train), _whole(_named(runs, "test", test)))
        return
    if not any((data / name).is_file() for name in (SIMULATED, MEASURED)):
        raise InputError("data", str(data), f"a folder with {SIMULATED} or {MEASURED}")
    if (data / SIMULATED).is_file():
        yield from _simulated_splits(simulated(data))
    if (data / MEASURED).is_file():
        for server in measured(data).values():
            yield _in_time_order(f"measured {server.name}", (server,), whole=True)


def _named(runs: dict[str, Stream], side: str, names: tuple[str, ...]) -> tuple[Stream, ...]:
    for name in names:
        if name not in runs:
            raise InputError(side, name, one_of(runs))
    return tuple(runs[name] for name in names)


def _simulated_splits(runs: dict[str, Stream]) -> Iterator[StateSplit]:
    conversations = tuple(run for name, run in sorted(runs.items()) if name.startswith("conv_"))
    programs = tuple(run for name, run in sorted(runs.items()) if name.startswith("code_"))
    light = tuple(run for run in conversations if _load(run) < HIGH_LOAD)
    heavy = tuple(run for run in conversations if _load(run) >= HIGH_LOAD)
    if conversations:
        yield _in_time_order("in distribution", conversations)
    if light and heavy:
        yield StateSplit("load", light, _whole(heavy))
    if conversations and programs:
        yield StateSplit("workload", conversations, _whole(programs))


def _load(run: Stream) -> float:
    """Requests per second, as the name says: ``conv_q7.5``."""
    return float(run.name.rpartition("q")[2])


def _whole(runs: tuple[Stream, ...]) -> tuple[Part, ...]:
    return tuple(Part(run, 0, np.arange(0)) for run in runs)


def _in_time_order(name: str, runs: tuple[Stream, ...], *, whole: bool = False) -> StateSplit:
    """The last rows of each run; `whole` takes the record of the first ones as if from an earlier day.

    A record of half a minute needs that: none of its requests has finished by the time of the last arrivals.
    """
    parts = []
    for run in runs:
        first = round(len(run) * FIRST_SHARE)
        known = np.arange(first) if whole else run.known_by(float(run.arrived_s[first]))
        parts.append(Part(run, first, known))
    return StateSplit(name, tuple(part.stream.rows(part.learnt) for part in parts), tuple(parts))


def _forecast(split: StateSplit, seconds: dict[str, float]) -> Iterator[Group]:
    start = time.perf_counter()
    before = Contest.prepared(split.train)
    fitted = time.perf_counter()
    said = [_online(before.again(split.train), part) for part in split.test]
    seconds["fit"] += fitted - start
    seconds["predict"] += time.perf_counter() - fitted
    for target in TARGETS:
        actual = np.concatenate([part.stream.seconds[target][part.test_from :] for part in split.test])
        scored = {
            name: _scores(np.concatenate([run[target, name] for run in said]), actual) for name in FORECASTERS
        }
        product, peer = scored.pop("foretell"), scored.pop("llm-d")
        yield Group({"split": split.name, "target": target}, len(actual), product, scored, {"llm-d": peer})


def _online(contest: Contest, part: Part) -> dict[tuple[str, str], Array]:
    """Point and quantile, shape (rows, 2), by target and forecaster."""
    stream = part.stream
    waiting = np.setdiff1d(stream.known_by(np.inf), part.learnt, assume_unique=True)
    waiting = waiting[np.argsort(stream.known_s[waiting], kind="stable")]
    known_s = stream.known_s[waiting]
    said = {key: np.full((len(stream), 2), np.nan) for key in contest.keys}
    seen = 0
    for row in range(part.test_from, len(stream), BLOCK):
        finished = int(known_s.searchsorted(stream.arrived_s[row]))
        new = waiting[seen:finished]
        contest.observe(stream.rows(new), {key: answers[new, 1] for key, answers in said.items()})
        seen = finished
        for key, answer in contest.predict(stream.state[row : row + BLOCK]).items():
            said[key][row : row + BLOCK] = answer
    return {key: answers[part.test_from :] for key, answers in said.items()}


def _scores(said: Array, actual: Array) -> Scores:
    covered = {"coverage_q90": float(np.mean(actual <= said[:, 1]) * 100.0)}
    return point_scores(said[:, 0], actual) | covered
