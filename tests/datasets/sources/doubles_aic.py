"""Small doubles of aiconfigurator's tables, in their layouts."""

from itertools import product

import polars as pl

SHAPES = [(m, n, k) for m in (1, 17, 4096) for n in (128, 5120) for k in (64, 8192)]
NARROW = {"m": pl.Int32, "n": pl.Int32, "k": pl.Int32, "latency": pl.Float32}
PLACE = ("system", "backend", "backend_version")


def gemm_table(scale=1.0, dtypes=("bfloat16", "fp8")):
    """One table of GEMM times in ms, float32-like values that differ from row to row."""
    rows = [
        (dtype, m, n, k, scale * (0.002 + i * 0.00137 + m * n * k * 1e-12))
        for i, (dtype, (m, n, k)) in enumerate((dtype, shape) for dtype in dtypes for shape in SHAPES)
    ]
    table = pl.DataFrame(rows, schema=["gemm_dtype", "m", "n", "k", "latency"], orient="row")
    return table.with_columns(kernel_source=pl.lit("torch_flow"))


def timed(rows, columns, scale=1.0):
    """Rows of `columns` with a latency in ms of their own each."""
    table = pl.DataFrame(rows, schema=columns, orient="row")
    return table.with_columns(latency=scale * (0.004 + pl.int_range(pl.len()) * 0.0013))


def attention_table(phase, scale=1.0):
    sizes = [(batch, n) for batch in (1, 8) for n in (64, 2048)]
    rows = [
        (batch, *((n, 0) if phase == "context" else (1, n)), heads, kv_heads, 128, window, "bfloat16", kv, 1)
        for (batch, n), (heads, kv_heads), window, kv in product(
            sizes, ((8, 8), (32, 4)), (0, 128), ("bfloat16", "fp8")
        )
    ]
    columns = [
        "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size",
        "attn_dtype", "kv_cache_dtype", "beam_width",
    ]  # fmt: skip
    return timed(rows, columns, scale)


def moe_table(scale=1.0):
    rows = list(
        product(
            ("fp8_block", "w4a16_mxfp4"),
            (1, 512),
            (2048,),
            (768,),
            (8,),
            (128,),
            (1, 2),
            (1, 8),
            ("balanced",),
        )
    )
    columns = [
        "moe_dtype", "num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size",
        "moe_ep_size", "distribution",
    ]  # fmt: skip
    return timed(rows, columns, scale)


def collective_table(operations=("all_reduce", "alltoall"), library="NCCL", dtype="nccl_dtype", scale=1.0):
    rows = list(product(("half", "int8"), (2, 8), (256, 2**29), operations))
    return timed(rows, [dtype, "num_gpus", "message_size", "op_name"], scale).with_columns(
        kernel_source=pl.lit(library)
    )


def one_file(path, tables, name="aic_gemm"):
    """``<name>.parquet`` from ``{(system, backend, version): table}``."""
    parts = [
        table.with_columns(pl.lit(value).alias(column) for column, value in zip(PLACE, place, strict=True))
        for place, table in tables.items()
    ]
    rows = pl.concat(parts)
    narrow = {column: dtype for column, dtype in NARROW.items() if column in rows.columns}
    path.mkdir(parents=True, exist_ok=True)
    rows.cast(narrow | {pl.String: pl.Categorical}).write_parquet(path / f"{name}.parquet")
    return path


def each_table(
    path, tables, product="NVIDIA H100 80GB HBM3", family="gemm", name="gemm_perf.parquet", **columns
):
    """The layout of the wheel, one file for each system, backend and version."""
    for (system, backend, version), table in tables.items():
        folder = path / system / family / backend / version
        folder.mkdir(parents=True, exist_ok=True)
        said = {"framework": backend.upper(), "version": version, "device": product} | columns
        rows = table.with_columns(pl.lit(value).alias(column) for column, value in said.items())
        rows.write_parquet(folder / name) if name.endswith(".parquet") else rows.write_csv(folder / name)
    return path


def one_of_each(path):
    """One file of each form."""
    place = ("h100_sxm", "vllm", "0.24.0")
    other = ("l40s", "sglang", "0.5.14")
    one_file(path, {place: gemm_table(), other: gemm_table(2.3)})
    power = {"power": 300.0, "power_limit": 700.0}
    watts = gemm_table(1.1).with_columns(pl.lit(value).alias(name) for name, value in power.items())
    one_file(path, {("h200_sxm", "trtllm", "1.3.0"): watts}, "aic_gemm_power")
    one_file(
        path,
        {place: attention_table("context"), other: attention_table("context", 2.3)},
        "aic_ctx_attn_trtllm",
    )
    one_file(path, {place: attention_table("generation")}, "aic_gen_attn_trtllm")
    one_file(path, {place: moe_table(), other: moe_table(2.3)}, "aic_moe_vllm")
    comm = collective_table(dtype="dtype").with_columns(
        system=pl.lit("h100_sxm"), source_dir=pl.lit("nccl"), source_version=pl.lit("2.29.2"),
        version=pl.lit("2.29.2"), device=pl.lit(None, dtype=pl.String), table=pl.lit("nccl"),
        backend=pl.lit(None, dtype=pl.String), implementation=pl.lit(None, dtype=pl.String),
    )  # fmt: skip
    comm.write_parquet(path / "aic_comm.parquet")
    return path


def wheel(path):
    """The layout of the wheel."""
    place = ("h100_sxm", "vllm", "0.24.0")
    each_table(path, {place: gemm_table()}, op_name="gemm")
    for phase in ("context", "generation"):
        name = f"{phase}_attention_perf.parquet"
        each_table(path, {place: attention_table(phase)}, family="attention", name=name, op_name=phase)
    each_table(path, {place: moe_table()}, family="moe", name="moe_perf.parquet", op_name="moe")
    each_table(
        path, {("h100_sxm", "nccl", "2.29.2"): collective_table()}, family="comm", name="nccl_perf.parquet"
    )
    custom = collective_table(("all_reduce",), "vLLM_custom_graph", "allreduce_dtype", 0.7).with_columns(
        backend=pl.lit("vllm_graph")
    )
    each_table(path, {place: custom}, family="comm", name="custom_allreduce_perf.parquet")
    return path
