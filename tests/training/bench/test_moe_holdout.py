"""The protocol on small doubles: whole combinations are held out; the nearest neighbour is what it says."""

from itertools import product

import numpy as np
import polars as pl
import pytest

from foretell.errors import UnavailableError
from foretell.training.bench import moe_holdout
from foretell.training.bench.moe_holdout import SHAPE, nearest, run

SITE = ("num_experts", "topk", "hidden_size", "inter_size")
FIGURES = {"mape", "median_ape", "coverage_90", "width_90"}


@pytest.fixture
def layers():
    """Twelve combinations on one device; times grow with the tokens of an expert."""
    rows = list(product((8, 64, 128), (2, 4), (1024, 4096), (1, 4, 16, 64, 256, 1024), (1, 2)))
    table = pl.DataFrame(
        rows, schema=["num_experts", "topk", "hidden_size", "num_tokens", "moe_tp_size"], orient="row"
    )
    return table.with_columns(
        moe_dtype=pl.lit("bfloat16"), inter_size=768, moe_ep_size=1, distribution=pl.lit("balanced"),
        latency=0.01 + 1e-6 * pl.col("num_tokens") * pl.col("topk") * pl.col("hidden_size") / 100,
        system=pl.lit("h100_sxm"), backend=pl.lit("vllm"), backend_version=pl.lit("0.24.0"),
    )  # fmt: skip


@pytest.fixture
def report(layers, tmp_path, monkeypatch):
    target = moe_holdout.find("moe.latency")
    fields = {name: getattr(target, name) for name in target.__dataclass_fields__}
    monkeypatch.setattr(
        moe_holdout, "find", lambda name: type(target)(**fields | {"baselines": ("roofline",)})
    )
    layers.write_parquet(tmp_path / "aic_moe_vllm.parquet")
    return run(tmp_path)


def test_whole_combinations_are_held_out(report, layers):
    (group,) = report.groups
    rows_of_one = layers.height / layers.select(SITE).unique().height
    assert group.n % rows_of_one == 0
    assert 0 < group.n < layers.height


def test_the_nearest_neighbour_stands_beside_what_learns(report):
    (group,) = report.groups
    assert group.group["device"] == "h100"
    assert set(group.product) == FIGURES
    assert set(group.baselines) == {"roofline", "nearest"}
    assert set(group.baselines["nearest"]) == {"mape", "median_ape"}


def test_the_nearest_neighbour_has_the_fewest_octaves_in_between():
    """Against every distance computed."""
    generator = np.random.default_rng(0)
    shapes = pl.DataFrame({name: 2 ** generator.integers(0, 12, 40) for name in SHAPE})
    measured = shapes[:30].with_columns(us=pl.int_range(30).cast(pl.Float64))
    octaves = np.log2(shapes.to_numpy())
    distances = np.linalg.norm(octaves[30:, None] - octaves[None, :30], axis=2)
    found = nearest(measured, shapes[30:], "us").astype(int)
    # Several may be equally near.
    np.testing.assert_allclose(distances[np.arange(10), found], distances.min(axis=1))


def test_a_folder_without_the_tables_is_told_what_it_lacks(tmp_path):
    with pytest.raises(UnavailableError, match=r"aic_moe_vllm\.parquet is not there"):
        run(tmp_path)
