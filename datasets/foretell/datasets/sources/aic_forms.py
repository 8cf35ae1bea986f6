"""The tables of NVIDIA's aiconfigurator, form by form: where they lie, and what their columns mean here.

Each form is published in one file for each system, backend and version: in the wheel ``aiconfigurator-core``
and the repository as ``<system>/<family>/<backend>/<version>/<form>_perf.parquet``, in earlier states of the
repository, which also hold power, as ``<system>/<backend>/<version>/<form>_perf.parquet`` or ``.txt``. A
single file ``aic_<form>….parquet`` may hold all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from foretell.datasets.kernel import TABLE
from foretell.datasets.sources.files import Kind, Layout

PLACE: Final[dict[str, Kind]] = {
    "system": "text", "backend": "text", "backend_version": "text", "source_dir": "text",
    "source_version": "text", "version": "text", "device": "text", "kernel_source": "text",
    "power": "number", "power_limit": "number", "beam_width": "integer",
}  # fmt: skip
"""Columns that tables of any form may have: where and with what a row was measured."""
SAYS_NOTHING: Final = frozenset({"framework", "op_name", "table", "implementation"})
FAMILIES: Final = frozenset({"gemm", "attention", "moe", "comm"})
"""Folders between that of a system and that of a backend."""
LIBRARIES: Final = ("nccl", "oneccl")
"""What runs a collective whichever engine asks for it."""


@dataclass(frozen=True, slots=True)
class Form:
    """One form of table.

    Attributes:
        operator: of its rows.
        files: patterns of file names below a folder.
        layout: its columns.
        columns: columns of `Kernel` from those in `layout`: the operator's fields and the data type.
        backend: likewise, from the folder that the table lies in and the file's own word.
        table: columns of `Kernel` that name what was measured in one go.
        along: the field along which a table is densest.
        operations: arithmetic of a row, where it bounds the time.
        beyond: published rows that are stated in other words, and in which.
    """

    operator: str
    files: tuple[str, ...]
    layout: Layout
    columns: Mapping[str, pl.Expr]
    along: str
    backend: pl.Expr
    table: tuple[str, ...] = TABLE
    operations: pl.Expr | None = None
    beyond: tuple[pl.Expr, str] | None = None


def _files(one: str, family: str, each: str) -> tuple[str, ...]:
    """Patterns of the one file, of the wheel and of earlier states of the repository."""
    return one, f"*/{family}/*/*/{each}.parquet", f"*/*/*/{each}.parquet", f"*/*/*/{each}.txt"


def _layout(integers: tuple[str, ...], texts: tuple[str, ...], optional: tuple[str, ...] = ()) -> Layout:
    needed: dict[str, Kind] = {"latency": "number"}
    needed |= dict.fromkeys(integers, "integer")
    needed |= dict.fromkeys(texts, "text")
    return Layout(needed, PLACE | dict.fromkeys(optional, "integer"), SAYS_NOTHING)


SHAPE: Final = ("m", "n", "k")
GEMM: Final = Form(
    operator="gemm",
    files=_files("aic_gemm*.parquet", "gemm", "gemm_perf"),
    layout=_layout(SHAPE, ("gemm_dtype",)),
    columns={name: pl.col(name) for name in SHAPE} | {"dtype": pl.col("gemm_dtype")},
    along="m",
    backend=pl.col("folder"),
    operations=2.0 * pl.col("m") * pl.col("n") * pl.col("k"),
)

SEQUENCE: Final = pl.col("step") + pl.col("isl")


def attention_columns(phase: str) -> dict[str, pl.Expr]:
    """Columns of `Kernel` from those of an attention table.

    A window that reaches beyond the sequence is stated as the sequence, which is all it can see.

    Args:
        phase: ``context`` or ``generation``.
    """
    window = pl.col("window_size").fill_null(0)
    return {
        "phase": pl.lit(phase),
        "batch": pl.col("batch_size"),
        "new_tokens": pl.col("isl"),
        "past_tokens": pl.col("step"),
        "heads": pl.col("num_heads"),
        "kv_heads": pl.col("num_key_value_heads"),
        "head_dim": pl.col("head_dim"),
        "window": pl.when(window > SEQUENCE).then(SEQUENCE).otherwise(window),
        "dtype": pl.col("attn_dtype"),
        "kv_dtype": pl.col("kv_cache_dtype"),
    }


def _attention(phase: str, one: str, along: str) -> Form:
    return Form(
        operator="attention",
        files=_files(one, "attention", f"{phase}_attention_perf"),
        layout=_layout(
            ("batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "step"),
            ("attn_dtype", "kv_cache_dtype"),
            ("window_size",),
        ),
        columns=attention_columns(phase),
        along=along,
        backend=pl.col("folder"),
        table=(*TABLE, "phase", "kv_dtype"),
        beyond=(
            pl.col("window_size") > SEQUENCE,
            f"in phase {phase} a window beyond the sequence, stated as the sequence",
        ),
    )


MOE: Final = Form(
    operator="moe",
    files=_files("aic_moe*.parquet", "moe", "moe_perf"),
    layout=_layout(
        ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"),
        ("moe_dtype", "distribution"),
    ),
    columns={
        "tokens": pl.col("num_tokens"),
        "hidden": pl.col("hidden_size"),
        "inter": pl.col("inter_size"),
        "experts": pl.col("num_experts"),
        "top_k": pl.col("topk"),
        "tp": pl.col("moe_tp_size"),
        "ep": pl.col("moe_ep_size"),
        "distribution": pl.col("distribution"),
        "dtype": pl.col("moe_dtype"),
    },
    along="tokens",
    backend=pl.col("folder"),
)

ELEMENT_BYTES: Final = {"half": 2, "float16": 2, "bfloat16": 2, "float": 4, "float32": 4, "int8": 1, "fp8": 1}


def _collective(dtype: str, files: tuple[str, ...]) -> Form:
    """Collectives: `message_size` counts elements of all GPUs' data, whichever the collective."""
    library = pl.col("kernel_source").str.to_lowercase()
    element_bytes = pl.col(dtype).replace_strict(ELEMENT_BYTES, default=None, return_dtype=pl.Int64)
    return Form(
        operator="collective",
        files=files,
        layout=_layout(("num_gpus", "message_size"), (dtype, "op_name")),
        columns={
            "collective": pl.col("op_name").replace("alltoall", "all_to_all"),
            "gpus": pl.col("num_gpus"),
            "message_bytes": pl.col("message_size") * element_bytes,
            "dtype": pl.col(dtype).replace({"half": "float16", "float": "float32"}),
        },
        along="message_bytes",
        backend=pl.when(library.is_in(LIBRARIES)).then(library).otherwise(pl.coalesce("mode", "folder")),
    )


FORMS: Final = (
    GEMM,
    _attention("context", "aic_ctx_attn*.parquet", "batch"),
    _attention("generation", "aic_gen_attn*.parquet", "past_tokens"),
    MOE,
    _collective("dtype", ("aic_comm*.parquet",)),
    _collective("allreduce_dtype", _files("custom_allreduce_perf.parquet", "comm", "custom_allreduce_perf")),
    _collective("nccl_dtype", _files("nccl_perf.parquet", "comm", "nccl_perf")),
    _collective("nccl_dtype", _files("oneccl_perf.parquet", "comm", "oneccl_perf")),
)
