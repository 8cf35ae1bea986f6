"""NeuSight's operators (MIT; Lee et al., ASPLOS 2025): fp32 in PyTorch on NVIDIA GPUs, in milliseconds.

Published as one table for each operator in ``scripts/asplos/data/dataset/{train,test}/<operator>.csv``, its
convolutions in ``train/collect/conv/<torch>/<device>.csv``; also read from one file ``neusight_ops.parquet``.
Its products are [M, N] by [N, K]: the sum goes over N, as the grids of its kernels show. Whether the paper
trains or tests on a row is kept in `origin`: ``neusight/train`` or ``neusight/test``.
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
from foretell.datasets.sources.copies import copy_rule, find_copies
from foretell.datasets.sources.files import Kind, Layout, read_columns
from foretell.datasets.sources.repeats import remeasured, repeated
from foretell.datasets.sources.throttle import throttled
from foretell.datasets.validate import validate
from foretell.errors import InputError, UnavailableError, one_of

ONE_FILE: Final = "neusight_ops.parquet"
SETS: Final = ("", "scripts/asplos/data/dataset/", "scripts/asplos/data/dataset_amd/")
PARTS: Final = ("train", "test")
TABLES: Final = ("linear", "bmm", "vec", "elem", "ln", "softmax")
CONVOLUTIONS: Final = "collect/conv/*/*.csv"
MISSING: Final = f"holds neither {ONE_FILE} nor train/linear.csv and its like"

SHAPE: Final[dict[str, Kind]] = dict.fromkeys(("B", "M", "N", "K", "H"), "integer")
IMAGE: Final[dict[str, Kind]] = dict.fromkeys(
    ("Input_Channel", "Output_Channel", "Kernel_Szie", "Input_Size", "Stride", "Padding"), "integer"
)
"""Columns of the convolutions, as they are spelt."""
LAUNCH: Final = ("Grid x", "Grid y", "Grid z", "Block x", "Block y", "Block z")
ONE_COLUMNS: Final[dict[str, Kind]] = {
    "op": "text", "latency_ms": "number", "device": "text", "split": "text",
}  # fmt: skip
EACH_COLUMNS: Final[dict[str, Kind]] = {
    "OPName": "text", "Latency": "number", "Device": "text", "B": "integer",
}  # fmt: skip
TORCH: Final[dict[str, Kind]] = {"Torch Version": "text"}
ONE_LAYOUT: Final = Layout(
    ONE_COLUMNS | SHAPE,
    {"torch_version": "text"},
    frozenset(
        {"cudnn_version", "kernel_name", "cuda_version", *(name.lower().replace(" ", "_") for name in LAUNCH)}
    ),
)
EACH_LAYOUT: Final = Layout(
    EACH_COLUMNS,
    TORCH | SHAPE | IMAGE,
    frozenset(
        {"CUDNN Version", "Kernel Name", "Warps per SM", "Blocks per SM", *LAUNCH, "CUDA Version", "Kernels"}
        | {"large"}
    ),
)
RENAMED: Final = {
    "OPName": "op",
    "Latency": "latency_ms",
    "Device": "device",
    "Torch Version": "torch_version",
}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an operator of NeuSight is here.

    Attributes:
        operator: name in `OPERATORS`.
        columns: the operator's fields, from the published columns.
        operations: arithmetic of a row, where it bounds the time.
    """

    operator: str
    columns: Mapping[str, pl.Expr]
    operations: pl.Expr | None = None


ROWS: Final = {"rows": pl.col("B"), "hidden": pl.col("H")}
OPERATIONS: Final = 2.0 * pl.col("B") * pl.col("M") * pl.col("N") * pl.col("K")
FUNCTIONS: Final = {
    "add": "add", "mul": "mul", "div": "div", "pow": "pow", "addu": "add_scalar", "mulu": "mul_scalar",
    "divu": "div_scalar", "powu": "pow_scalar", "relu": "relu", "gelu": "gelu", "tanh": "tanh",
}  # fmt: skip
"""A trailing u says that one operand is a number."""
MEANINGS: Final = {
    "linear": Meaning(
        "gemm", {"m": pl.col("B") * pl.col("M"), "n": pl.col("K"), "k": pl.col("N")}, OPERATIONS
    ),
    "bmm": Meaning(
        "bmm", {"batch": pl.col("B"), "m": pl.col("M"), "n": pl.col("K"), "k": pl.col("N")}, OPERATIONS
    ),
    "ln": Meaning("layernorm", ROWS),
    "softmax": Meaning("softmax", ROWS),
    "conv": Meaning(
        "convolution",
        {
            "batch": pl.col("B"),
            "in_channels": pl.col("Input_Channel"),
            "out_channels": pl.col("Output_Channel"),
            "height": pl.col("Input_Size"),
            "width": pl.col("Input_Size"),
            "kernel": pl.col("Kernel_Szie"),
            "stride": pl.col("Stride"),
            "padding": pl.col("Padding"),
            "groups": pl.lit(1, dtype=pl.Int64),
        },
    ),
} | {
    name: Meaning("elementwise", ROWS | {"function": pl.lit(function)})
    for name, function in FUNCTIONS.items()
}


class Neusight:
    """Rows of the kind `kernel` from NeuSight's operators.

    Rejected are, by rule: ``duplicate`` and ``contradicting_duplicate`` (see `repeats`), ``copy_of:<table>``,
    and what `Kernel` asks for. Notes say of what was accepted: ``repeats``, ``throttled``.
    """

    kind: ClassVar[str] = "kernel"

    def __init__(self, path: Path | None = None) -> None:
        """Store the folder of the published files, or one of them."""
        self.path = path

    def available(self) -> Availability:
        """Whether the files are here."""
        if self.path is None:
            return Availability(ok=False, reason="name a folder of github.com/sitar-lab/NeuSight")
        return (
            Availability(ok=True)
            if self._files()
            else Availability(ok=False, reason=f"{self.path} {MISSING}")
        )

    def batches(self) -> Iterator[Batch]:
        """The rows of each operator.

        Raises:
            UnavailableError: no files here.
            InputError: a device, an operator or a column without a name here, or a file that cannot be read.
        """
        available = self.available()
        if not available:
            raise UnavailableError(f"neusight: {available.reason}")
        published = pl.concat([_published(path) for path in self._files()], how="diagonal")
        _check_names(published)
        by_operator = sorted(MEANINGS.items(), key=lambda item: item[1].operator)
        for operator, meanings in groupby(by_operator, key=lambda item: item[1].operator):
            rows = [_kernels(published, name, meaning) for name, meaning in meanings]
            yield _checked(operator, pl.concat(rows))

    def read(self) -> Batch:
        """All of `batches` at once."""
        return merged(self.batches())

    def _files(self) -> list[Path]:
        if self.path is None or self.path.is_file():
            return [self.path] if self.path else []
        names = [ONE_FILE]
        for folder in (f"{place}{part}/" for place in SETS for part in PARTS):
            names += [f"{folder}{name}.csv" for name in TABLES] + [f"{folder}{CONVOLUTIONS}"]
        return sorted({path for name in names for path in self.path.glob(name)})


def _published(path: Path) -> pl.DataFrame:
    """One file in the columns of `ONE_LAYOUT`, and those of images where it has them."""
    if path.suffix == ".parquet":
        return read_columns(path, ONE_LAYOUT)
    part = next((name for name in reversed(path.parts) if name in PARTS), None)
    if part is None:
        raise InputError("path", str(path), f"a file below a folder {one_of(PARTS)}")
    return read_columns(path, EACH_LAYOUT).rename(RENAMED).with_columns(split=pl.lit(part))


def _check_names(published: pl.DataFrame) -> None:
    for operator in published["op"].unique():
        if operator not in MEANINGS:
            raise InputError("op", operator, one_of(MEANINGS))
    for part in published["split"].unique():
        if part not in PARTS:
            raise InputError("split", part, one_of(PARTS))


def _kernels(published: pl.DataFrame, name: str, meaning: Meaning) -> pl.DataFrame:
    """The rows of one operator in the columns of `Kernel` that it has, and its `operations`."""
    rows = published.filter(pl.col("op") == name)
    if name == "conv" and "Stride" not in rows.columns:
        rows = rows.with_columns(pl.lit(None, dtype=pl.Int64).alias(column) for column in IMAGE)
    names = {product: device(product).name for product in rows["device"].unique()}
    return rows.select(
        pl.lit(meaning.operator).alias("operator"),
        *(column.alias(field) for field, column in meaning.columns.items()),
        pl.lit("float32").alias("dtype"),
        pl.col("device").replace_strict(names, return_dtype=pl.String).alias("device"),
        pl.lit("torch").alias("backend"),
        pl.col("torch_version").str.strip_prefix("p").fill_null("unpublished").alias("backend_version"),
        pl.lit("ok").alias("status"),
        (pl.col("latency_ms") * 1000).alias("latency_us"),
        pl.lit("not published").alias("energy_reason"),
        pl.concat_str(pl.lit("neusight"), "split", separator="/").alias("origin"),
        operations=pl.lit(None, dtype=pl.Float64) if meaning.operations is None else meaning.operations,
    )


def _checked(operator: str, rows: pl.DataFrame) -> Batch:
    fields = (*TABLE, *own_fields(OPERATORS[operator]))
    copies = find_copies(rows, TABLE, (*fields[len(TABLE) :], "latency_us"))
    kept, refused = split(rows, copy_rule(copies, TABLE), repeated(rows, fields, "latency_us"))
    valid, broken = validate(kept.drop("operations"), Kernel)
    rejected = pl.concat([refused.drop("operations"), broken], how="diagonal_relaxed")
    return Batch(valid, rejected, tuple(_notes(kept, ("operator", *fields))))


def _notes(rows: pl.DataFrame, key: tuple[str, ...]) -> list[Note]:
    notes = remeasured(rows, key, ("operator", *TABLE), "latency_us")
    counted = rows.drop_nulls("operations")
    devices = {name: device(name) for name in counted["device"].unique()}
    return notes + throttled(counted, ("origin", "operator", *TABLE), devices)
