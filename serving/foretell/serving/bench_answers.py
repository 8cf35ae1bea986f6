"""The protocol `answers`: questions in process beside the LightGBM calls alone, on features made before."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import polars as pl

from foretell.errors import InputError
from foretell.features.base import Array
from foretell.predictors.head import Head
from foretell.predictors.tables import TablePredictor
from foretell.serving import registry
from foretell.serving.api import Foretell
from foretell.serving.bench import example_rows, varied

ONE_ROW_CALLS: Final = 2_000
MANY_ROWS: Final = 100_000
REPEATS: Final = 5

Group = dict[str, Any]


def run(target: str = "gemm.latency") -> dict[str, Any]:
    """Measure the champion, dict in and prediction out, in turns with its booster alone.

    Args:
        target: whose champion answers.

    Returns:
        Microseconds a row of the product and of the peers, and their ratios: ``lightgbm`` is
        `Booster.predict` on NumPy with one thread, ``c_api`` LightGBM's single-row call of its C interface.

    Raises:
        NotRegisteredError: the target has no champion.
        InputError: the champion is not of the family lightgbm.
    """
    model = Foretell(target)
    predictor = model.predictor
    if not isinstance(predictor, TablePredictor) or predictor.options.family != "lightgbm":
        raise InputError("target", target, "a champion of the family lightgbm")
    rows = varied(example_rows(registry.champion(target).path.parents[1])[:1], MANY_ROWS)
    return {
        "protocol": "answers",
        "target": target,
        "version": model.version,
        "groups": [one_row(model, predictor, rows[:ONE_ROW_CALLS]), many_rows(model, predictor, rows)],
    }


def one_row(model: Foretell, predictor: TablePredictor, rows: Sequence[dict[str, Any]]) -> Group:
    """The median call with one row; no two rows alike, so that the processor cannot learn the answer."""
    queries = [predictor.query(**row) for row in rows]
    regressor = measured_head(predictor, queries[0]).regressor
    features = [predictor.encoder.encode_one(query)[0] for query in queries]
    arrays = [np.array([row]) for row in features]
    booster = native(predictor, queries[0])
    return compared(
        1,
        lambda: median_us(model.predict, rows),
        {
            "lightgbm_us": lambda: median_us(lambda row: booster.predict(row, num_threads=1), arrays),
            "c_api_us": lambda: median_us(regressor.predict_one, features),
        },
    )


def many_rows(model: Foretell, predictor: TablePredictor, rows: Sequence[dict[str, Any]]) -> Group:
    """One call with many rows, a frame in."""
    frame = pl.DataFrame(rows)
    booster = native(predictor, predictor.query(**rows[0]))
    features = predictor.encoder.encode(predictor.encoder.columns(frame)).features

    def alone(matrix: Array) -> object:
        return booster.predict(matrix, num_threads=1)

    return compared(
        len(rows),
        lambda: median_us(model.predict, [frame]) / len(rows),
        {"lightgbm_us": lambda: median_us(alone, [features]) / len(rows)},
    )


def compared(rows: int, product: Callable[[], float], peers: dict[str, Callable[[], float]]) -> Group:
    """Medians over turns, in which each is timed once, so that noise of the machine hits all."""
    timed: dict[str, list[float]] = {name: [] for name in ("foretell_us", *peers)}
    for _ in range(REPEATS):
        for name, measure in {"foretell_us": product, **peers}.items():
            timed[name].append(measure())
    us = {name: median(values) for name, values in timed.items()}
    product_us = us.pop("foretell_us")
    ratios = {f"times_{name.removesuffix('_us')}": product_us / value for name, value in us.items()}
    return {"rows": rows, "product": {"foretell_us": product_us}, "peers": us | ratios}


def median_us(call: Callable[[Any], object], arguments: Sequence[Any]) -> float:
    """Median time of a call over its arguments, µs."""
    times_us = []
    for argument in arguments:
        start = time.perf_counter_ns()
        call(argument)
        times_us.append((time.perf_counter_ns() - start) / 1e3)
    return median(times_us)


def measured_head(predictor: TablePredictor, query: Any) -> Head:
    """The model behind an answer.

    Raises:
        InputError: the query is about hardware that was never measured, which no booster alone answers.
    """
    head = predictor.head(query)
    if not isinstance(head, Head):
        raise InputError("device", query.device, "a device that was measured")
    return head


def native(predictor: TablePredictor, query: Any) -> Any:
    """The booster behind an answer, as LightGBM's own class."""
    import lightgbm  # noqa: PLC0415  (a second, for this protocol only)

    with tempfile.TemporaryDirectory() as folder:
        measured_head(predictor, query).regressor.save(Path(folder) / "model")
        return lightgbm.Booster(model_file=str(next(Path(folder).iterdir())))
