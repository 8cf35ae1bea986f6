"""Made-up measurements that obey physics: as rows, as published files and with a registered model of them."""

import math
import random
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from hypothesis import HealthCheck, settings
from msgspec.inspect import IntType, LiteralType

from foretell.datasets.device import device
from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import own_fields
from foretell.datasets.store import Store
from foretell.errors import InputError
from foretell.features.fields import to_query
from foretell.training import recipe
from foretell.training.splits import hold_out

# The same examples in every run, and no limit on the time of one: machines are slow or busy.
settings.register_profile(
    "foretell", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("foretell")

TARGET = "gemm.latency"
BACKEND = {"backend": "vllm", "backend_version": "0.24.0"}
SIZES = (1, 4, 16, 64, 256, 1024)
"""Values of m of each weight matrix."""
NOISE = 0.03
"""Standard deviation of the logarithm of a latency: what two measurements of one shape differ by."""
SPLITS = recipe.find(TARGET).splits
SYSTEMS = {"h100": "h100_sxm", "l40s": "l40s"}
"""Devices, and what published files call them."""
PUBLISHED_SIZES = (1, 2, 3, 5, 8, 13, 21, 48, 64, 96, 128, 200, 256, 512, 1024, 2048)
NARROW = {"m": pl.Int32, "n": pl.Int32, "k": pl.Int32}
TEXT = dict.fromkeys(("gemm_dtype", "system", "backend", "backend_version"), pl.Categorical)


def kernel_rows(names=("h100", "l40s"), *, sites=40, sizes=SIZES, seed=0, noise=NOISE):
    """Rows of the kind `kernel`: a table for each device, bounded by arithmetic, memory and launch."""
    rng = random.Random(seed)
    weights = [(64 * rng.randint(1, 128), 64 * rng.randint(1, 128)) for _ in range(sites)]
    shapes = [(m, n, k) for n, k in weights for m in sizes]
    rows = [
        {
            "m": m,
            "n": n,
            "k": k,
            "device": name,
            "latency_us": _latency_us(m, n, k, figures=device(name), rng=rng, noise=noise),
        }
        for name in names
        for m, n, k in shapes
    ]
    said = {"operator": "gemm", "dtype": "bfloat16", "backend": "vllm", "backend_version": "0.24.0",
            "status": "ok", "energy_reason": "made up", "origin": "made up"}  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.lit(value).alias(name) for name, value in said.items())


def _latency_us(m, n, k, *, figures, rng, noise):
    waves = math.ceil(m / 128) * math.ceil(n / 128) / figures.cores
    compute_us = 2e6 * m * n * k / figures.peak_flops("bfloat16") * math.ceil(waves) / waves**0.9
    memory_us = 2 * (m * k + n * k + m * n) / figures.memory_bandwidth_gb_s / 1e3
    return (3.0 + max(compute_us, memory_us)) * math.exp(rng.gauss(0.0, noise))


def queries_of(operator, count, *, seed=0, **fixed):
    """Possible questions about an operator on two devices, with some fields fixed."""
    rng, query, made = random.Random(seed), OPERATORS[operator], []
    while len(made) < count:
        drawn = {name: _drawn(field.type, rng) for name, field in own_fields(query).items()}
        where = {"dtype": "bfloat16", "device": rng.choice(("h100", "l40s"))}
        with suppress(InputError):
            made.append(to_query(drawn | where | BACKEND | fixed, query))
    return made


def _drawn(kind, rng):
    if isinstance(kind, IntType):
        return rng.choice((1, 2, 3, 4, 6, 8, 16, 48, 64, 100, 128, 255))
    return rng.choice(kind.values if isinstance(kind, LiteralType) else ("balanced", "power_law_1.2"))


@pytest.fixture(scope="session")
def make_queries():
    """Random possible questions: operator, count, seed, and fields that are the same in all."""
    return queries_of


@pytest.fixture(scope="session")
def make_kernel_rows():
    """The maker itself: devices, sites, values of m, seed and noise are its arguments."""
    return kernel_rows


@pytest.fixture(scope="session")
def registered(tmp_path_factory):
    """A store with made-up measurements, and what training on them gave: the champion of `gemm.latency`."""
    folder = tmp_path_factory.mktemp("registered")
    uri = f"sqlite:///{folder}/mlruns/mlflow.db"
    store = Store(folder / "store")
    appended = store.append("kernel", kernel_rows())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FORETELL_MLFLOW_URI", uri)
        training = recipe.train(TARGET, store, plot=folder / "accuracy.png")
    return SimpleNamespace(folder=folder, uri=uri, store=store, appended=appended, training=training)


@pytest.fixture
def workspace(registered, tmp_path, monkeypatch):
    """That store and registry in use, from an empty current folder; neither may be changed."""
    monkeypatch.setenv("FORETELL_MLFLOW_URI", registered.uri)
    monkeypatch.setenv("FORETELL_STORE", str(registered.store.root))
    monkeypatch.chdir(tmp_path)
    return registered


@pytest.fixture
def own_workspace(registered, tmp_path, monkeypatch):
    """A copy of them that a test may change; artefacts stay where the database says they are."""
    registry = tmp_path / "registry"
    registry.mkdir()
    shutil.copy(registered.folder / "mlruns" / "mlflow.db", registry)
    store = Store(Path(shutil.copytree(registered.store.root, tmp_path / "store")))
    monkeypatch.setenv("FORETELL_MLFLOW_URI", f"sqlite:///{registry}/mlflow.db")
    monkeypatch.setenv("FORETELL_STORE", str(store.root))
    monkeypatch.chdir(tmp_path)
    return SimpleNamespace(folder=tmp_path, store=store, training=registered.training)


@dataclass(frozen=True)
class Published:
    """A folder of the two files.

    Attributes:
        folder: where they lie.
        rows: what was measured, in published columns but with `latency` in double precision.
    """

    folder: Path
    rows: pl.DataFrame

    def write(self, rows=None):
        """``aic_gemm.parquet`` of `rows`, or of all."""
        table = self.rows if rows is None else rows
        narrow = NARROW | TEXT | {"latency": pl.Float32, "kernel_source": pl.Categorical}
        table.cast(narrow).write_parquet(self.folder / "aic_gemm.parquet")
        return self

    def write_peer(self, held_out):
        """`held_out`, split by split, with what a peer that is always 10 % too slow says of it."""
        peer = pl.concat([rows.with_columns(split=pl.lit(name)) for name, rows in held_out.items()]).drop(
            "kernel_source"
        )
        peer = peer.rename({"latency": "latency_ms"}).with_columns(aic_pred_ms=pl.col("latency_ms") * 1.1)
        narrow = (
            NARROW | TEXT | {"latency_ms": pl.Float32, "aic_pred_ms": pl.Float32, "split": pl.Categorical}
        )
        peer.cast(narrow).write_parquet(self.folder / "peer_aic_gemm_holdout.parquet")
        return self

    def held_out(self, *names):
        """Rows that the product's own splits would not hold out: another seed."""
        return {name: hold_out(self.rows, name, SPLITS[name], seed=7).test for name in names or SPLITS}


@pytest.fixture(scope="session")
def published_rows(make_kernel_rows):
    """Two tables of 400 rows, in the columns of ``aic_gemm.parquet``."""
    rows = make_kernel_rows(tuple(SYSTEMS), sites=25, sizes=PUBLISHED_SIZES)
    return rows.select(
        "m", "n", "k", "backend", "backend_version",
        gemm_dtype="dtype", latency=pl.col("latency_us") / 1000, kernel_source=pl.lit("vllm"),
        system=pl.col("device").replace(SYSTEMS),
    )  # fmt: skip


@pytest.fixture(scope="session")
def publish(tmp_path_factory, published_rows):
    """A new folder for each call; nothing is written yet."""
    return lambda: Published(tmp_path_factory.mktemp("published"), published_rows)
