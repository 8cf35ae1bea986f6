"""Protocol `nas-few-shot` on doubles of the published tables."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from foretell.datasets.spaces.base import space
from foretell.datasets.spaces.fbnet import COLUMNS, FBNET
from foretell.datasets.spaces.tables import read_table
from foretell.errors import InputError, UnavailableError
from foretell.serving.cli.bench import bench
from foretell.training.bench.nas_few_shot import run

KEYS = {"spearman", "kendall", "mape", "coverage_90"}
BASELINES = {"best_single_source", "ridge_analytic", "ridge_one_hot", "ceiling"}
ROWS = 260


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """FBNet on five devices whose blocks cost what random shares of work and launches cost."""
    rng = np.random.default_rng(0)
    choices = FBNET.random(ROWS, rng)
    parts = FBNET.parts(choices, "all")
    work = np.array([sum(node.operations for node in part) for part in FBNET.catalogue()]) / 1e9
    nodes = np.array([len(part) for part in FBNET.catalogue()]) / 100
    frame = pl.DataFrame(choices.astype(np.int8), schema=list(COLUMNS)).with_row_index("arch_idx")
    for number in range(5):
        costs = rng.uniform(0.5, 2) * work + rng.uniform(0.5, 2) * nodes
        latency_ms = (parts.counts * costs[parts.index]).sum(axis=1) * 10
        noisy = latency_ms * np.exp(0.01 * rng.standard_normal(ROWS))
        frame = frame.with_columns(pl.Series(f"device{number}", noisy, dtype=pl.Float32))
    folder = tmp_path_factory.mktemp("nas")
    frame.write_parquet(folder / "fbnet_latency_ms.parquet")
    return folder


SIDES = {"space": "fbnet", "sources": ("device0", "device1", "device2"), "targets": ("device3", "device4")}


@pytest.fixture(scope="module")
def figures(data):
    return run(data, **SIDES, samples=15, seeds=1)


def test_every_target_is_a_group_with_every_figure(figures):
    assert [group.group for group in figures.groups] == [
        {"space": "fbnet", "target": "device3"},
        {"space": "fbnet", "target": "device4"},
    ]
    for group in figures.groups:
        assert set(group.product) == KEYS
        assert set(group.baselines) == BASELINES
        assert all(set(scored) == KEYS for scored in group.baselines.values())


def test_every_other_architecture_is_scored(figures):
    assert [group.n for group in figures.groups] == [ROWS - 15] * 2


def test_the_product_beats_ridge_without_sources(figures):
    assert figures.total.product["mape"] < figures.total.baselines["ridge_one_hot"]["mape"]


def test_the_same_call_gives_the_same_figures(data, figures):
    again = run(data, **SIDES, samples=15, seeds=1)
    assert again.groups == figures.groups


def test_unseen_latencies_of_a_target_change_nothing_but_the_scores(data, tmp_path):
    """The leak test: with all rows but the seen ones replaced, the product foretells the same."""
    from foretell.training.bench import nas_few_shot

    table = read_table(data, "fbnet")
    prior, _ = nas_few_shot._learn(table, SIDES["sources"], 0, {"fit": 0.0})
    case = nas_few_shot._case(table, "device3", prior, samples=15, chosen=False, seed=0)
    frame = pl.read_parquet(data / "fbnet_latency_ms.parquet")
    kept = pl.Series(np.isin(np.arange(ROWS), case.seen))
    frame.with_columns(pl.when(kept).then("device3").otherwise(1.0).alias("device3")).write_parquet(
        tmp_path / "fbnet_latency_ms.parquet"
    )
    other = nas_few_shot._case(
        read_table(tmp_path, "fbnet"), "device3", prior, samples=15, chosen=False, seed=0
    )
    np.testing.assert_array_equal(case.seen, other.seen)
    np.testing.assert_array_equal(case.latency_ms[case.seen], other.latency_ms[other.seen])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": "darts"}, "space: got 'darts'"),
        ({"sources": ()}, "sources"),
        ({"sources": ("device0", "toaster")}, "sources: got 'toaster'"),
        ({"targets": ("toaster",)}, "targets: got 'toaster'"),
        ({"targets": ("device0",)}, "not among the sources"),
        ({"targets": ("device3", "device3")}, "different devices"),
        ({"samples": 0}, "samples: got 0"),
        ({"samples": 3}, "measurements: got 3"),
        ({"seeds": 0}, "seeds: got 0"),
    ],
)
def test_sides_that_do_not_fit_are_refused(data, change, message):
    with pytest.raises(InputError, match=message):
        run(data, **SIDES | {"samples": 15, "seeds": 1} | change)


def test_a_folder_without_the_table_says_so(tmp_path):
    with pytest.raises(UnavailableError, match=r"holds no fbnet_latency_ms\.parquet"):
        run(tmp_path, **SIDES)


def test_a_latency_of_zero_is_refused_by_row(data, tmp_path):
    frame = pl.read_parquet(data / "fbnet_latency_ms.parquet")
    frame.with_columns(device3=pl.lit(0.0)).write_parquet(tmp_path / "fbnet_latency_ms.parquet")
    with pytest.raises(InputError, match=r"device3\[0\]: got 0.0"):
        run(tmp_path, **SIDES)


def test_the_command_takes_the_protocols_own_options(data, tmp_path):
    file = tmp_path / "figures.json"
    words = (
        "--space fbnet --sources device0,device1,device2 --targets device3 --samples 12 --choose --seeds 1"
    )
    ended = CliRunner().invoke(
        bench, ["nas-few-shot", "--data", str(data), *words.split(), "--json", str(file)]
    )
    assert ended.exit_code == 0, ended.output
    found = json.loads(file.read_text())
    assert found["protocol"] == "nas-few-shot"
    assert set(found["groups"][0]["product"]) == KEYS


def test_unconnected_cells_are_left_out(tmp_path):
    cells = np.array([[3, 0, 0, 0, 0, 0], [0, 0, 0, 3, 0, 0]])
    names = [f"op_{a}_{b}" for a, b in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))]
    operations = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    written = pl.DataFrame([[operations[code] for code in row] for row in cells], schema=names, orient="row")
    written.with_row_index("arch_idx").write_parquet(tmp_path / "nb201_arch.parquet")
    pl.DataFrame({"arch_idx": [0, 1], "chip": [1.0, 2.0]}).write_parquet(
        tmp_path / "nb201_latency_ms.parquet"
    )
    table = read_table(tmp_path, "nb201")
    np.testing.assert_array_equal(table.choices, cells[1:])
    assert space("nb201").text(table.choices[0].tolist()).startswith("|none~0|")
