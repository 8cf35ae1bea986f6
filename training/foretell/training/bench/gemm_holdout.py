"""Protocol `gemm-holdout`: matrix products of known tables, on shapes held out three ways.

`row` holds out single shapes, `site` whole weight matrices (n, k), `mrow` whole values of m. The peer is
NVIDIA aiconfigurator's own engine on the same rows, where its predictions lie beside the data. Each table is
learnt from its own rows only, as the peer does: no other backend's measurement of a held-out shape helps.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import polars as pl

from foretell import predictors
from foretell.datasets.device import device
from foretell.datasets.kernel import TABLE
from foretell.datasets.sources.aiconfigurator import ONE_FILE, Aiconfigurator
from foretell.errors import InputError
from foretell.predictors.options import TableOptions
from foretell.predictors.tables import MIN_TABLE_ROWS
from foretell.training.bench.report import Group, Report, Scores, report
from foretell.training.metrics import point_scores, scores
from foretell.training.splits import Split, hold_out
from foretell.training.targets import SHAPE, find

TARGET: Final = "gemm.latency"
PEER_FILE: Final = "peer_aic_gemm_holdout.parquet"
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
        train = split.train.partition_by(TABLE, as_dict=True)
        for table, test in split.test.partition_by(TABLE, as_dict=True, maintain_order=True).items():
            name = dict(zip(("split", *TABLE), (split.name, *map(str, table)), strict=True))
            known = train.get(table, split.train.clear())
            if known.height < MIN_TABLE_ROWS:
                notes.append(f"{'/'.join(name.values())}: {known.height} rows to learn from are too few")
            else:
                groups.append(_group(name, known, test, seconds))
    return report("gemm-holdout", groups, seconds, notes)


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


def _group(
    group: dict[str, str], train: pl.DataFrame, test: pl.DataFrame, seconds: dict[str, float]
) -> Group:
    """Score the product and the baselines on one table; the product's times are added to `seconds`."""
    target = find(TARGET)
    grouped = target.splits.get(group["split"], SHAPE)
    product, times = _scored("lightgbm", grouped, train, test)
    for name, value in times.items():
        seconds[name] += value
    baselines = {family: _scored(family, grouped, train, test)[0] for family in target.baselines}
    actual = test["latency_us"].to_numpy()
    peers = {PEER: point_scores(test[PEER_US].to_numpy(), actual)} if PEER_US in test.columns else {}
    return Group(group, test.height, product, baselines, peers)


def _scored(
    family: str, grouped: tuple[str, ...], train: pl.DataFrame, test: pl.DataFrame
) -> tuple[Scores, dict[str, float]]:
    """Figures of one family, calibrated the way that the split holds out, and its seconds."""
    options = TableOptions(family, groups=grouped, generalist=False)
    start = time.perf_counter()
    predictor = predictors.build(find(TARGET).task, options).fit(train, seed=SEED)
    fitted = time.perf_counter()
    prediction = predictor.predict(test.select(*KEY))
    predicted = time.perf_counter()
    seconds = {"fit": fitted - start, "predict": predicted - fitted}
    return scores(prediction, test["latency_us"].to_numpy()), seconds
