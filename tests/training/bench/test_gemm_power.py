"""The protocol on small doubles: power and energy side by side, and tables that do not count."""

import random
from dataclasses import replace

import polars as pl
import pytest

from foretell.training.bench import gemm_power
from foretell.training.bench.gemm_power import FILE, PEER_FILE, run
from foretell.training.targets import TARGETS

SIZES = (1, 8, 64, 256, 1024, 4096)
PEER_MAPE = 10.0
"""The peer says a tenth too much power, and the right time."""


def published(backend):
    """One table in published columns: 30 sites, power by how long the product takes."""
    rng = random.Random(backend)
    rows = []
    for m in SIZES:
        for n in (256, 512, 1024, 2048, 4096, 8192):
            for k in (512, 1024, 2048, 4096, 8192):
                latency_ms = (0.005 + 2e-12 * m * n * k) * rng.uniform(0.98, 1.02)
                power_w = (250 + 700 * (1 - 0.005 / latency_ms)) * rng.uniform(0.97, 1.03)
                rows.append({"m": m, "n": n, "k": k, "latency": latency_ms, "power": power_w})
    said = {"gemm_dtype": "bfloat16", "system": "b200_sxm", "backend": backend, "backend_version": "1.0",
            "kernel_source": "x", "power_limit": 1000.0}  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.lit(value).alias(name) for name, value in said.items())


@pytest.fixture(scope="module")
def tables():
    return pl.concat([published("trtllm"), published("vllm")])


@pytest.fixture
def folder(tmp_path, tables, monkeypatch):
    tables.write_parquet(tmp_path / FILE)
    few = {name: replace(TARGETS[name], baselines=("roofline",)) for name in gemm_power.TARGETS}
    monkeypatch.setattr(gemm_power, "find", few.__getitem__)
    return tmp_path


@pytest.fixture
def peer(tables):
    """The sites of one n, with what the peer says; rows of another split are left alone."""
    held = tables.filter(pl.col("n") == 1024).drop("kernel_source", "power_limit")
    held = held.rename({"latency": "latency_ms", "power": "power_w"})
    says = held.with_columns(
        aic_pred_ms="latency_ms", aic_pred_w=pl.col("power_w") * 1.1, split=pl.lit("site")
    )
    return pl.concat([says, says.head(5).with_columns(split=pl.lit("row"))])


def test_power_and_energy_stand_in_one_group_and_only_one_mode_counts(folder, peer):
    peer.write_parquet(folder / PEER_FILE)
    found = run(folder)
    assert [(group.group["backend"], group.counted) for group in found.groups] == [
        ("trtllm", True),
        ("vllm", False),
    ]
    counted = found.groups[0]
    assert found.total.product == counted.product
    assert found.total.n == counted.n == peer.filter(split="site", backend="trtllm").height
    assert {"mape", "coverage_90", "energy_mape", "energy_coverage_90"} <= counted.product.keys()
    assert counted.peers["aiconfigurator"]["mape"] == pytest.approx(PEER_MAPE)
    assert counted.peers["aiconfigurator"]["energy_mape"] == pytest.approx(PEER_MAPE)
    assert any("two modes" in note for note in found.notes)


def test_the_product_beats_the_constant_share_of_the_limit(folder, peer):
    peer.write_parquet(folder / PEER_FILE)
    total = run(folder).total
    assert total.product["mape"] < total.baselines["constant share of the limit"]["mape"]


def test_without_the_peers_file_a_fifth_of_the_sites_is_held_out(folder, tables):
    found = run(folder)
    assert {group.group["split"] for group in found.groups} == {"site"}
    assert found.total.peers == {}
    assert 0 < found.total.n < tables.height / 4
