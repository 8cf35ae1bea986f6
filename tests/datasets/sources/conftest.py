"""Real data where there is some, and small doubles of the published files, in their layout."""

import os
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

SHAPES = [(m, n, k) for m in (1, 17, 4096) for n in (128, 5120) for k in (64, 8192)]


def gemm_table(scale=1.0, dtypes=("bfloat16", "fp8")):
    """One table of GEMM times in ms, float32-like values that differ from row to row."""
    rows = [
        (dtype, m, n, k, scale * (0.002 + i * 0.00137 + m * n * k * 1e-12))
        for i, (dtype, (m, n, k)) in enumerate((dtype, shape) for dtype in dtypes for shape in SHAPES)
    ]
    table = pl.DataFrame(rows, schema=["gemm_dtype", "m", "n", "k", "latency"], orient="row")
    return table.with_columns(kernel_source=pl.lit("torch_flow"))


def one_file(path, tables):
    """``aic_gemm.parquet`` from ``{(system, backend, version): table}``."""
    parts = [
        table.with_columns(system=pl.lit(system), backend=pl.lit(backend), backend_version=pl.lit(version))
        for (system, backend, version), table in tables.items()
    ]
    narrow = {"latency": pl.Float32, "m": pl.Int32, "n": pl.Int32, "k": pl.Int32}
    text = dict.fromkeys(("gemm_dtype", "system", "backend", "backend_version"), pl.Categorical)
    path.mkdir(parents=True, exist_ok=True)
    pl.concat(parts).cast(narrow | text).write_parquet(path / "aic_gemm.parquet")
    return path


def each_table(path, tables, product="NVIDIA H100 80GB HBM3"):
    """The layout of the wheel, one file for each system, backend and version."""
    for (system, backend, version), table in tables.items():
        folder = path / system / "gemm" / backend / version
        folder.mkdir(parents=True, exist_ok=True)
        table.with_columns(
            framework=pl.lit(backend.upper()),
            version=pl.lit(version),
            device=pl.lit(product),
            op_name=pl.lit("gemm"),
        ).write_parquet(folder / "gemm_perf.parquet")
    return path


def aiconfigurator(path):
    return one_file(
        path, {("h100_sxm", "vllm", "0.24.0"): gemm_table(), ("l40s", "sglang", "0.5.14"): gemm_table(2.3)}
    )


@pytest.fixture
def published():
    """Writers of doubles; `small` has one for each source, which returns the folder that it wrote to."""
    return SimpleNamespace(
        gemm_table=gemm_table,
        one_file=one_file,
        each_table=each_table,
        small={"aiconfigurator": aiconfigurator},
    )


@pytest.fixture(scope="session")
def kernels_folder():
    """Folder of real tables, where there is one: ``FORETELL_DATA``, else beside the repository."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("FORETELL_DATA") or beside) / "kernels"
    if not (folder / "aic_gemm.parquet").is_file():
        pytest.skip(f"no aic_gemm.parquet in {folder}; FORETELL_DATA names the folder above it")
    return folder
