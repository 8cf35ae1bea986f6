"""vidur's profiles (MIT; Agrawal et al., MLSys 2024): layers of language models in fp16, in milliseconds.

Published as ``data/profiling/compute/<device>/<organisation>/<model>/mlp.csv`` and
``data/profiling/network/<machine>/<collective>.csv``; also read from ``vidur_mlp.parquet`` and
``vidur_network.parquet``, which hold all of them.

A layer's four projections are matrix products, split over `num_tensor_parallel_workers` GPUs as in Megatron:
the first of a pair by columns, the second by rows. Norms are RMS norms in most models. Embeddings and rotary
embeddings are left out, for they are no operator here. `origin` is ``vidur/<model>/<operator>/tp<workers>``.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import ClassVar, Final

import polars as pl

from foretell.datasets.collectors.base import Availability
from foretell.datasets.device import device
from foretell.datasets.kernel import TABLE, Kernel
from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import own_fields
from foretell.datasets.sources.base import Batch, Note, merged, split
from foretell.datasets.sources.clock import coarse_clock
from foretell.datasets.sources.files import Kind, Layout, read_columns
from foretell.datasets.sources.repeats import remeasured, repeated
from foretell.datasets.validate import validate
from foretell.errors import UnavailableError

MLP_FILE: Final = "vidur_mlp.parquet"
NETWORK_FILE: Final = "vidur_network.parquet"
PLACES: Final = ("", "data/profiling/")
MLP_EACH: Final = "compute/*/*/*/mlp.csv"
NETWORK_EACH: Final = "network/*/*.csv"
MISSING: Final = f"holds neither {MLP_FILE}, {NETWORK_FILE} nor {MLP_EACH}"
DEVICES: Final = {"a100": "a100_80"}
"""Names of vidur that fit several devices: its A100 has 80 GB, and moves 1.67 TB/s in these rows."""
STATISTICS: Final = ("min", "max", "mean", "median", "std")
LEFT_OUT: Final = ("emb", "attn_rope")
HELPERS: Final = ("read_us", "across")
"""Columns beside those of `Kernel`: times as read from the clock, and whether several machines ran."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one step of a layer is here.

    Attributes:
        operator: name in `OPERATORS`.
        columns: the operator's fields, from the published columns.
        when: rows in which the step is just that.
    """

    operator: str
    columns: Mapping[str, pl.Expr]
    when: pl.Expr = pl.lit(value=True)  # noqa: RUF009  (an expression never changes)


TOKENS: Final = pl.col("num_tokens")
WORKERS: Final = pl.col("num_tensor_parallel_workers")
EMBEDDING: Final = pl.col("n_embd")
HEAD: Final = EMBEDDING // pl.col("n_head")
HEADS: Final = pl.col("n_head") + 2 * pl.col("n_kv_head")
INNER: Final = pl.col("n_expanded_embd")
GATED: Final = pl.col("use_gated_mlp")
NORM: Final = Meaning("layernorm", {"rows": TOKENS, "hidden": EMBEDDING})


def _product(n: pl.Expr, k: pl.Expr) -> Meaning:
    return Meaning("gemm", {"m": TOKENS, "n": n, "k": k})


MEANINGS: Final = {
    "attn_pre_proj": _product(HEADS * HEAD // WORKERS, EMBEDDING),
    "attn_post_proj": _product(EMBEDDING, EMBEDDING // WORKERS),
    "mlp_up_proj": _product(pl.when(GATED).then(2).otherwise(1) * INNER // WORKERS, EMBEDDING),
    "mlp_down_proj": _product(EMBEDDING, INNER // WORKERS),
    "mlp_act": Meaning(
        "elementwise",
        {
            "function": pl.when(GATED).then(pl.lit("silu_mul")).otherwise(pl.lit("gelu")),
            "rows": TOKENS,
            "hidden": INNER // WORKERS,
        },
    ),
    # Without a second norm, attention and MLP run side by side, and two additions join them.
    "add": Meaning(
        "elementwise",
        {"function": pl.lit("add"), "rows": TOKENS, "hidden": EMBEDDING},
        pl.col("time_stats.post_attention_layernorm.mean").is_not_null(),
    ),
    "input_layernorm": NORM,
    "post_attention_layernorm": NORM,
}
PROJECTIONS: Final = tuple(name for name, meaning in MEANINGS.items() if meaning.operator == "gemm")
LAYER: Final[dict[str, Kind]] = {
    **dict.fromkeys(("n_head", "n_kv_head", "n_embd", "n_expanded_embd", "num_tokens"), "integer"),
    "num_tensor_parallel_workers": "integer",
    "use_gated_mlp": "flag",
}
TIMES: Final[dict[str, Kind]] = {
    f"time_stats.{step}.{statistic}": "number" for step in MEANINGS for statistic in ("mean", "median")
}
MLP_LAYOUT: Final = Layout(
    LAYER | {f"time_stats.{step}.mean": "number" for step in PROJECTIONS},
    TIMES | {"device": "text", "model": "text"},
    frozenset(
        {f"time_stats.{step}.{statistic}" for step in (*MEANINGS, *LEFT_OUT) for statistic in STATISTICS}
        | {"vocab_size"}
    ),
)
WORLD: Final[dict[str, Kind]] = {
    "num_workers": "integer", "size": "integer", "collective": "text", "devices_per_node": "integer",
}  # fmt: skip
NETWORK_LAYOUT: Final = Layout(
    WORLD | {"t_median": "number", "network_device": "text"},
    {},
    frozenset({"t_min", "t_max", "t_mean", "t_std", "rank", "max_devices_per_node"}),
)


class Vidur:
    """Rows of the kind `kernel` from vidur's profiles: means of layers, medians of collectives.

    Rejected are, by rule: ``duplicate`` and ``contradicting_duplicate`` (see `repeats`), ``across_machines``
    (a collective over several machines, whose network no column describes), and what `Kernel` asks for: it
    has no ``send_recv``. Notes say of what was accepted: ``repeats``, ``coarse_clock``.
    """

    kind: ClassVar[str] = "kernel"

    def __init__(self, path: Path | None = None) -> None:
        """Store the folder of the published files, or one of them."""
        self.path = path

    def available(self) -> Availability:
        """Whether the files are here."""
        if self.path is None:
            return Availability(ok=False, reason="name a folder of github.com/microsoft/vidur")
        found = self._files(MLP_FILE, MLP_EACH) + self._files(NETWORK_FILE, NETWORK_EACH)
        return Availability(ok=True) if found else Availability(ok=False, reason=f"{self.path} {MISSING}")

    def batches(self) -> Iterator[Batch]:
        """The rows of each operator.

        Raises:
            UnavailableError: no files here.
            InputError: a device or a column without a name here, or a file that cannot be read.
        """
        available = self.available()
        if not available:
            raise UnavailableError(f"vidur: {available.reason}")
        layers = [_layers(path) for path in self._files(MLP_FILE, MLP_EACH)]
        networks = [_network(path) for path in self._files(NETWORK_FILE, NETWORK_EACH)]
        if layers:
            yield from _batches(pl.concat(layers))
        if networks:
            yield _checked("collective", _collectives(pl.concat(networks)))

    def read(self) -> Batch:
        """All of `batches` at once."""
        return merged(self.batches())

    def _files(self, one: str, each: str) -> list[Path]:
        if self.path is None:
            return []
        if self.path.is_file():
            named = self.path.name == one or self.path.match(each)
            return [self.path] if named else []
        names = [f"{place}{name}" for place in PLACES for name in (one, each)]
        return sorted({path for name in names for path in self.path.glob(name)})


def _layers(path: Path) -> pl.DataFrame:
    """One table of layers, with `device` and `model` from its folders where no column says them."""
    rows = read_columns(path, MLP_LAYOUT)
    if path.name == MLP_FILE:
        return rows
    hardware, _, model = path.absolute().parts[-4:-1]
    return rows.with_columns(device=pl.lit(hardware), model=pl.lit(model))


def _network(path: Path) -> pl.DataFrame:
    """One table of collectives in the columns of `NETWORK_LAYOUT`."""
    if path.name == NETWORK_FILE:
        return read_columns(path, NETWORK_LAYOUT)
    median, *others = (f"time_stats.{path.stem}.{name}" for name in ("median", "min", "max", "mean", "std"))
    known = frozenset({*others, "", "rank", "max_devices_per_node"})
    rows = read_columns(path, Layout(WORLD | {median: "number"}, {}, known)).rename({median: "t_median"})
    return rows.with_columns(network_device=pl.lit(path.parent.name))


def _batches(layers: pl.DataFrame) -> Iterator[Batch]:
    by_operator = sorted(MEANINGS.items(), key=lambda item: item[1].operator)
    for operator, meanings in groupby(by_operator, key=lambda item: item[1].operator):
        yield _checked(operator, pl.concat([_step(layers, name, meaning) for name, meaning in meanings]))


def _step(layers: pl.DataFrame, step: str, meaning: Meaning) -> pl.DataFrame:
    """The rows of one step in the columns of `Kernel` that it has, and the median of its times."""
    mean_ms, median_ms = (pl.col(f"time_stats.{step}.{name}") for name in ("mean", "median"))
    workers = pl.concat_str(pl.lit("tp"), WORKERS)
    return layers.filter(mean_ms.is_not_null() & meaning.when).select(
        *(column.alias(field) for field, column in meaning.columns.items()),
        *_place(meaning.operator, layers["device"].unique(), pl.col("device"), pl.lit("torch")),
        (mean_ms * 1000).alias("latency_us"),
        (median_ms * 1000).alias("read_us"),
        pl.concat_str(pl.lit("vidur"), "model", pl.lit(step), workers, separator="/").alias("origin"),
        across=pl.lit(value=False),
    )


def _collectives(networks: pl.DataFrame) -> pl.DataFrame:
    machine = pl.col("network_device")
    hardware, wiring = machine.str.extract("^([^_]+)_"), machine.str.extract("_(.+)$")
    names = networks["network_device"].unique().str.extract("^([^_]+)_")
    return networks.select(
        "collective",
        pl.col("num_workers").alias("gpus"),
        pl.col("size").alias("message_bytes"),
        *_place("collective", names.unique(), hardware, pl.concat_str(pl.lit("nccl"), wiring, separator="_")),
        (pl.col("t_median") * 1000).alias("latency_us"),
        (pl.col("t_median") * 1000).alias("read_us"),
        pl.concat_str(pl.lit("vidur"), machine, separator="/").alias("origin"),
        across=pl.col("devices_per_node") < pl.col("num_workers"),
    )


def _place(operator: str, names: pl.Series, hardware: pl.Expr, backend: pl.Expr) -> tuple[pl.Expr, ...]:
    """The columns of `Kernel` that all rows of a table share; versions are not published."""
    known = {name: device(DEVICES.get(name, name)).name for name in names}
    return (
        pl.lit(operator).alias("operator"),
        pl.lit("float16").alias("dtype"),
        hardware.replace_strict(known, return_dtype=pl.String).alias("device"),
        backend.alias("backend"),
        pl.lit("unpublished").alias("backend_version"),
        pl.lit("ok").alias("status"),
        pl.lit("not published").alias("energy_reason"),
    )


def _checked(operator: str, rows: pl.DataFrame) -> Batch:
    # The same shape in two models was measured in two goes, each a table of its own.
    key = ("operator", "origin", *TABLE, *own_fields(OPERATORS[operator]))
    here, elsewhere = split(rows, pl.when("across").then(pl.lit("across_machines")))
    kept, refused = split(here, repeated(here, key, "latency_us"))
    valid, broken = validate(kept.drop(HELPERS), Kernel)
    rejected = pl.concat([elsewhere.drop(HELPERS), refused.drop(HELPERS), broken], how="diagonal_relaxed")
    return Batch(valid, rejected, tuple(_notes(kept, key)))


def _notes(rows: pl.DataFrame, key: tuple[str, ...]) -> list[Note]:
    table = ("operator", *TABLE)
    return remeasured(rows, key, table, "latency_us") + coarse_clock(rows, table, "read_us")
