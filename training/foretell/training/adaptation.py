"""Adapt to a new device: sources from the store, a few measurements, a registered model of its own."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np
import polars as pl

from foretell.datasets.spaces import SPACES
from foretell.datasets.spaces.base import Choices, Space, space
from foretell.datasets.store import Store
from foretell.errors import InputError, one_of
from foretell.features.architecture import Basis
from foretell.features.base import Array
from foretell.predictors.device_prior import MIN_MEASURED, Prior, fit_sources
from foretell.predictors.few_shot import MIN_SAMPLES, adapt
from foretell.predictors.network import NetworkPredictor, measurements, parsed, task_of
from foretell.predictors.sample_choice import POOL, choose_samples
from foretell.training.connection import connect, told
from foretell.training.promotion import Promotion, promote_if_better
from foretell.training.recipe import checkout_commit
from foretell.training.tracking import ModelVersion, log_run

KIND: Final = "network"
SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What became of an adaptation.

    Attributes:
        version: registered under ``network.latency.<space>.<device>``.
        promotion: whether it answers under that name.
        sources: devices that it learnt from.
        measured: architectures that were measured.
        mape: mean error on each measurement, foretold from the others, percent.
        coverage_90: share of measurements within the interval foretold from the others, percent.
    """

    version: ModelVersion
    promotion: Promotion
    sources: tuple[str, ...]
    measured: int
    mape: float
    coverage_90: float


def space_of(texts: list[str]) -> str:
    """The space in whose way all architectures are written.

    Raises:
        InputError: there is none.
    """
    for name in SPACES:
        try:
            parsed(texts, name)
        except InputError:
            continue
        return name
    raise InputError("architecture", texts[0] if texts else "", f"architectures of {one_of(SPACES)}")


def prior_from(store: Store, name: str, device: str) -> tuple[Prior, tuple[str, ...]]:
    """What the devices in the store say of the next one, and their names.

    Of each as many architectures are seen as one measures, see `Space.measured`.

    Raises:
        InputError: `device` is among them.
    """
    rows = store.scan(KIND).filter((pl.col("space") == name) & (pl.col("status") == "ok")).collect()
    counts = rows.group_by("device").len().filter(pl.col("len") >= MIN_MEASURED)
    devices = tuple(sorted(counts["device"].to_list()))
    if device in devices:
        raise InputError("device", device, "a name that no source device has")
    basis = Basis.of(space(name))
    measured = {each: _drawn(rows.filter(pl.col("device") == each), space(name)) for each in devices}
    return Prior.of(basis, fit_sources(basis, measured)), devices


def _drawn(rows: pl.DataFrame, searched: Space) -> tuple[Choices, Array]:
    """Some architectures of one device, the first measurement of each."""
    once = rows.unique("architecture", keep="first", maintain_order=True)
    few = once.sample(min(searched.measured, once.height), seed=SEED, shuffle=True)
    return parsed(few["architecture"].to_list(), searched.name), few["latency_ms"].to_numpy()


def proposed(store: Store, name: str, device: str, samples: int) -> list[str]:
    """Architectures to measure on a new device, the most telling first."""
    if samples < MIN_SAMPLES:
        raise InputError("choose", samples, f"{MIN_SAMPLES} or more architectures")
    prior, _ = prior_from(store, name, device)
    candidates = space(name).random(POOL, np.random.default_rng(SEED))
    candidates = np.unique(candidates, axis=0)
    return [space(name).text(candidates[row].tolist()) for row in choose_samples(prior, candidates, samples)]


def adapt_device(store: Store, device: str, rows: pl.DataFrame) -> Adaptation:
    """Adapt to a device, judge by leaving measurements out, and register.

    Args:
        store: with rows of source devices; without any, made-up devices stand for them.
        device: name of the new device.
        rows: columns ``architecture`` and ``latency_ms``.

    Raises:
        InputError: a name that is taken, or measurements that do not fit.
    """
    if not rows.height or rows.schema.get("architecture") != pl.String:
        raise InputError(
            "measurements", rows.columns, "rows with the text column architecture and latency_ms"
        )
    name = space_of(rows["architecture"].to_list())
    task = task_of(name, device)
    _check_free(task.target, device)
    prior, sources = prior_from(store, name, device)
    predictor = NetworkPredictor(task, prior).fit(rows)
    errors, inside = _left_out(prior, *measurements(rows, name))
    figures = {"mape": fmean(errors), "coverage_90": 100.0 * fmean(inside)}
    version = _register(predictor, rows, figures, store.record(KIND), sources)
    return Adaptation(
        version, promote_if_better(task.target, version.version), sources, rows.height, **figures
    )


def _check_free(target: str, device: str) -> None:
    """Refuse a device's name that has a model, or that no registry takes."""
    if not device.replace("-", "").replace("_", "").isalnum():
        raise InputError("device", device, "letters, digits, - and _")
    client = connect()
    with told():
        if client.search_registered_models(filter_string=f"name='{target}'"):
            raise InputError("device", device, f"a name that is not taken: {target} is registered")


def _left_out(prior: Prior, choices: Choices, latency_ms: Array) -> tuple[list[float], list[bool]]:
    """Error in percent of each measurement as foretold from the others, and whether its interval held."""
    errors, inside = [], []
    for row in range(len(latency_ms)):
        others = np.arange(len(latency_ms)) != row
        if others.sum() < MIN_SAMPLES:
            break
        adapted = adapt(prior, choices[others], latency_ms[others])
        low, middle, high = adapted.quantiles_ms(choices[[row]], (0.05, 0.5, 0.95))[0]
        errors.append(100.0 * abs(middle / latency_ms[row] - 1.0))
        inside.append(bool(low <= latency_ms[row] <= high))
    if not errors:
        raise InputError("measurements", len(latency_ms), f"{MIN_SAMPLES + 1} or more, to judge by one")
    return errors, inside


def _register(
    predictor: NetworkPredictor,
    rows: pl.DataFrame,
    figures: dict[str, float],
    data_version: str,
    sources: tuple[str, ...],
) -> ModelVersion:
    with tempfile.TemporaryDirectory() as folder:
        artefact = Path(folder) / "predictor"
        predictor.save(artefact)
        return log_run(
            predictor.task.target,
            artefact,
            example=rows.select("architecture").head(3),
            params={"measurements": rows.height, "sources": len(sources)},
            metrics=figures,
            plots=[],
            data_version=data_version,
            split="left out one by one",
            commit=checkout_commit(),
        )
