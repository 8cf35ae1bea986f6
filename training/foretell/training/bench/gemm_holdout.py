"""Protocol `gemm-holdout`: matrix products of known tables, on shapes held out three ways.

`row` holds out single shapes, `site` whole weight matrices (n, k), `mrow` whole values of m. The peer is
NVIDIA aiconfigurator's own engine on the same rows, where its predictions lie beside the data. Each table is
learnt from its own rows only, as the peer does: no other backend's measurement of a held-out shape helps.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy.typing as npt
import polars as pl

from foretell import predictors
from foretell.datasets.device import device
from foretell.datasets.kernel import TABLE
from foretell.datasets.sources.aiconfigurator import ONE_FILE, Aiconfigurator
from foretell.errors import InputError
from foretell.predictors.base import Prediction
from foretell.predictors.options import TableOptions
from foretell.predictors.tables import MIN_TABLE_ROWS
from foretell.training.bench.report import Group, Report, report
from foretell.training.metrics import point_scores, scores
from foretell.training.recipe import part
from foretell.training.splits import Split, hold_out
from foretell.training.targets import SHAPE, find

TARGET: Final = "gemm.latency"
PEER_FILE: Final = "peer_aic_gemm_holdout.parquet"
PRODUCT: Final = "lightgbm"
PEER: Final = "aiconfigurator"
PEER_US: Final = "peer_us"
SEED: Final = 0
KEY: Final = (*TABLE, *SHAPE)
PEER_COLUMNS: Final = frozenset(
    {"system", "gemm_dtype", "backend", "backend_version", *SHAPE, "latency_ms", "aic_pred_ms", "split"}
)


def run(data: Path) -> Report:
    """Fit and score every table of every split.

    Args:
        data: folder with ``aic_gemm.parquet`` and, for the peer's rows, `PEER_FILE`.

    Raises:
        UnavailableError: no tables there.
        InputError: a file in another layout.
    """
    batch = Aiconfigurator(data).read()
    notes = [f"{batch.rejected.height} rows of {ONE_FILE} refused"] if batch.rejected.height else []
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    for split in _splits(batch.rows, data / PEER_FILE):
        known, missing = _learnable(split)
        notes += [f"{split.name}: {name} has too few rows to learn from" for name in missing]
        if not known.test.is_empty():
            groups += _groups(known, seconds)
    return report("gemm-holdout", groups, seconds, notes)


def _learnable(split: Split) -> tuple[Split, list[str]]:
    """The rows of tables that have enough of them on the training side, and the names of the others."""
    tables = split.train.group_by(TABLE).len().filter(pl.col("len") >= MIN_TABLE_ROWS)
    train = split.train.join(split.test, on=TABLE, how="semi")
    missing = split.test.join(tables, on=TABLE, how="anti").select(pl.concat_str(TABLE, separator="/"))
    test = split.test.join(tables, on=TABLE, how="semi", maintain_order="left")
    return Split(split.name, train, test), missing.to_series().unique().sort().to_list()


def _splits(rows: pl.DataFrame, peer_file: Path) -> Iterator[Split]:
    """The peer's held-out rows where there are any, else a fifth of the groups."""
    if not peer_file.is_file():
        for name, columns in find(TARGET).splits.items():
            yield hold_out(rows, name, columns, seed=SEED)
        return
    peer = read_peer(peer_file)
    for (name,), test in peer.partition_by("split", as_dict=True, maintain_order=True).items():
        yield Split(str(name), rows.join(test, on=KEY, how="anti"), test)


def read_peer(path: Path) -> pl.DataFrame:
    """Held-out rows with the peer's prediction for each, in columns `KEY`, `split`, `latency_us`, `PEER_US`.

    Raises:
        InputError: a column that is missing or unknown, a system that is no device, or no Parquet at all.
    """
    try:
        peer = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError("path", str(path), f"a readable Parquet file ({error})") from error
    for name in sorted({*peer.columns} ^ PEER_COLUMNS):
        found = "this column" if name in peer.columns else "no such column"
        raise InputError(f"{path.name}: {name}", found, f"the columns {', '.join(sorted(PEER_COLUMNS))}")
    systems = {name: device(name).name for name in peer["system"].cast(pl.String).unique()}
    return peer.select(
        pl.col("system").cast(pl.String).replace_strict(systems, return_dtype=pl.String).alias("device"),
        pl.col("gemm_dtype").cast(pl.String).alias("dtype"),
        pl.col("backend", "backend_version", "split").cast(pl.String),
        pl.col(SHAPE).cast(pl.Int64),
        (pl.col("latency_ms").cast(pl.Float64) * 1000).alias("latency_us"),
        (pl.col("aic_pred_ms").cast(pl.Float64) * 1000).alias(PEER_US),
    )


def _groups(split: Split, seconds: dict[str, float]) -> list[Group]:
    """Figures of the product and the baselines by table; the product's times are added to `seconds`."""
    families = (PRODUCT, *find(TARGET).baselines)
    predictions = {family: _predicted(family, split, seconds) for family in families}
    index = split.test.select(TABLE).with_row_index("row")
    return [
        _group(split, table, rows["row"].to_numpy(), predictions)
        for table, rows in index.partition_by(TABLE, as_dict=True, maintain_order=True).items()
    ]


def _predicted(family: str, split: Split, seconds: dict[str, float]) -> Prediction:
    """Answers of one family, calibrated the way that the split holds out."""
    target = find(TARGET)
    options = TableOptions(family, groups=target.splits.get(split.name, SHAPE), generalist=False)
    start = time.perf_counter()
    predictor = predictors.build(target.task, options).fit(split.train, seed=SEED)
    fitted = time.perf_counter()
    prediction = predictor.predict(split.test.select(*KEY))
    if family == PRODUCT:
        seconds["fit"] += fitted - start
        seconds["predict"] += time.perf_counter() - fitted
    return prediction


def _group(
    split: Split, table: tuple[Any, ...], rows: npt.NDArray[Any], predictions: Mapping[str, Prediction]
) -> Group:
    test = split.test[rows]
    actual = test["latency_us"].to_numpy()
    scored = {family: scores(part(answer, rows), actual) for family, answer in predictions.items()}
    product = scored.pop(PRODUCT)
    peers = {PEER: point_scores(test[PEER_US].to_numpy(), actual)} if PEER_US in test.columns else {}
    name = dict(zip(("split", *TABLE), (split.name, *map(str, table)), strict=True))
    return Group(name, test.height, product, scored, peers)
