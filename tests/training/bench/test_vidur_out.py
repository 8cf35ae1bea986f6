"""The protocol on small doubles: each model and device is left out once, and not learnt from then."""

from itertools import product

import polars as pl
import pytest

from foretell.datasets.sources.vidur import PROJECTIONS
from foretell.errors import UnavailableError
from foretell.training.bench import vidur_out
from foretell.training.bench.vidur_out import run

FIGURES = {"mape", "median_ape", "coverage_90", "width_90"}
MODELS = {"odd": (8, 1024, 4096), "large": (32, 4096, 11008), "twin": (32, 4096, 11008)}
ODD = "odd"
"""Its times are ten times as long as its shapes let expect."""
RATES = {"a100": 2e14, "h100": 6e14}
"""FLOP/s of the doubles' devices."""


def layers(devices=RATES):
    """Layers of some models: each product takes its operations over a rate, and 5 us."""
    runs = list(product(devices, MODELS, (1, 16, 100, 500, 1000, 2000), (1, 2)))
    table = pl.DataFrame(
        runs, schema=["device", "model", "num_tokens", "num_tensor_parallel_workers"], orient="row"
    )
    heads, width, inner = (
        pl.col("model").replace_strict({m: MODELS[m][i] for m in MODELS}) for i in range(3)
    )
    rate = pl.col("device").replace_strict(RATES)
    weights = width * width / pl.col("num_tensor_parallel_workers")
    slow = pl.when(pl.col("model") == ODD).then(10.0).otherwise(1.0)
    ms = slow * (0.005 + 2.0 * pl.col("num_tokens") * weights / rate * 1e3)
    times = {f"time_stats.{step}.{name}": ms for step in PROJECTIONS for name in ("mean", "median")}
    return table.with_columns(
        n_head=heads,
        n_kv_head=heads,
        n_embd=width,
        n_expanded_embd=inner,
        use_gated_mlp=pl.lit(value=True),
        **times,
    )


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Runs the protocol with one quick baseline."""
    target = vidur_out.find("gemm.latency")
    fields = {name: getattr(target, name) for name in target.__dataclass_fields__}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vidur_out, "find", lambda name: type(target)(**fields | {"baselines": ("roofline",)}))

        def write(table):
            folder = tmp_path_factory.mktemp("vidur")
            table.write_parquet(folder / "vidur_mlp.parquet")
            return run(folder)

        yield write


@pytest.fixture(scope="module")
def report(bench):
    return bench(layers())


def test_each_model_and_each_device_is_left_out_once(report):
    found = {tuple(group.group.items()) for group in report.groups}
    expected = {
        (("split", split), ("operator", step), (split, value))
        for split, values in (("model", MODELS), ("device", ("a100_80", "h100")))
        for value in values
        for step in PROJECTIONS
    }
    assert found == expected
    assert set(report.totals) == {"model", "device"}
    assert all(set(group.product) == set(group.baselines["roofline"]) == FIGURES for group in report.groups)


def test_what_is_left_out_is_not_learnt(report):
    """The odd model is foretold as if like the others; had it been learnt, it would be within 10 %."""
    errors = [group.product["mape"] for group in report.groups if group.group.get("model") == ODD]
    assert sum(errors) / len(errors) > 30


def test_weight_matrices_that_models_share_are_noted(report):
    assert "model large: 100% of its rows have weight matrices that another model has too" in report.notes
    assert "model odd: 0% of its rows have weight matrices that another model has too" in report.notes


def test_one_device_alone_cannot_be_left_out(bench):
    report = bench(layers(devices=["h100"]))
    assert set(report.totals) == {"model"}
    assert "device: only h100, which cannot be left out" in report.notes


def test_a_folder_without_the_profiles_is_told_what_it_lacks(tmp_path):
    with pytest.raises(UnavailableError, match=r"vidur_mlp\.parquet"):
        run(tmp_path)
