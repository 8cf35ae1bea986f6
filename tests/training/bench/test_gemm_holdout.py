"""The protocol on small doubles: what is held out is not learnt from, every figure stands in its place."""

import msgspec
import polars as pl
import pytest

from foretell.datasets.device import device
from foretell.errors import InputError, UnavailableError
from foretell.training.bench import gemm_holdout
from foretell.training.bench.gemm_holdout import PEER_FILE, run

FIGURES = {"mape", "median_ape", "coverage_90", "width_90"}
GROUP = ("split", "device", "dtype", "backend", "backend_version")
PEER_MAPE = 10.0
"""The peer of the doubles is always a tenth too slow."""


@pytest.fixture
def quicker(monkeypatch):
    """One quick baseline: the forest has its turn in the module's own runs."""
    target = gemm_holdout.find("gemm.latency")
    fields = {name: getattr(target, name) for name in target.__dataclass_fields__}
    only = type(target)(**fields | {"baselines": ("roofline",)})
    monkeypatch.setattr(gemm_holdout, "find", lambda name: only)


@pytest.fixture(scope="module")
def beside(publish):
    """Folder with the peer's file."""
    published = publish()
    return published.write().write_peer(published.held_out())


@pytest.fixture(scope="module")
def report(beside):
    """The form that is written, from a run with the peer's file."""
    return msgspec.json.decode(msgspec.json.encode(run(beside.folder)))


def figures(report):
    """All but the seconds, ready to compare."""
    return {name: value for name, value in msgspec.to_builtins(report).items() if name != "seconds"}


def test_the_form_is_the_published_one(report):
    assert report["protocol"] == "gemm-holdout"
    assert {"groups", "total", "seconds"} <= set(report)
    assert set(report["seconds"]) == {"fit", "predict"}
    for group in report["groups"]:
        assert tuple(group["group"]) == GROUP
        assert set(group["product"]) == FIGURES
        assert {name: set(scored) for name, scored in group["baselines"].items()} == {
            "roofline": FIGURES,
            "forest": FIGURES,
        }
        assert {name: set(scored) for name, scored in group["peers"].items()} == {
            "aiconfigurator": {"mape", "median_ape"}
        }


def test_each_split_of_each_table_is_a_group_of_the_peers_rows(report, beside):
    peer = pl.read_parquet(beside.folder / PEER_FILE)
    counts = {(split, system): n for split, system, n in peer.group_by("split", "system").len().iter_rows()}
    found = {(g["group"]["split"], device(g["group"]["device"]).name): g["n"] for g in report["groups"]}
    assert found == {(split, device(system).name): n for (split, system), n in counts.items()}
    assert report["total"]["n"] == peer.height


def test_the_peers_figures_are_those_of_its_file(report):
    # Two values in single precision: 1e-5 of ten percent.
    assert [g["peers"]["aiconfigurator"]["mape"] for g in report["groups"]] == pytest.approx(
        [PEER_MAPE] * len(report["groups"]), rel=1e-5
    )


@pytest.mark.parametrize("figure", sorted(FIGURES))
def test_the_total_is_the_mean_over_groups(report, figure):
    groups = [group["product"][figure] for group in report["groups"]]
    assert report["total"]["product"][figure] == pytest.approx(sum(groups) / len(groups))


def test_the_product_beats_the_roofline_and_a_peer_that_is_off_by_a_tenth(report):
    """The forest is as good as the booster on tables as small as these."""
    total = report["total"]
    others = total["baselines"]["roofline"]["mape"], total["peers"]["aiconfigurator"]["mape"]
    assert total["product"]["mape"] < min(others)


def test_without_the_peers_file_a_fifth_of_the_groups_is_held_out(quicker, publish):
    published = publish().write()
    found = run(published.folder)
    assert [group.peers for group in found.groups] == [{}] * 6
    assert found.total.peers == {}
    assert {group.group["split"] for group in found.groups} == {"row", "site", "mrow"}
    # Of 400 shapes, 25 sites and 16 values of m: the last two are few, so that shares differ widely.
    assert all(0 < group.n < published.rows.height / 2 for group in found.groups)


@pytest.mark.parametrize("split", ["row", "site", "mrow"])
def test_what_was_measured_on_held_out_rows_does_not_leak(quicker, publish, split):
    """The held-out labels in ``aic_gemm.parquet`` replaced by nonsense: no figure changes."""
    published = publish()
    held_out = published.held_out(split)
    published.write_peer(held_out).write()
    honest = figures(run(published.folder))
    shape = ("m", "n", "k", "system")
    nonsense = pl.col("latency") * (1 + pl.col("m") % 7 + pl.col("n") % 1000)
    touched = published.rows.join(held_out[split], on=shape, how="semi").with_columns(nonsense)
    published.write(published.rows.join(held_out[split], on=shape, how="anti").vstack(touched))
    assert figures(run(published.folder)) == honest


def test_labels_that_are_learnt_from_do_matter(quicker, publish):
    """Else the test above would show nothing."""
    published = publish()
    held_out = published.held_out("site")
    published.write_peer(held_out).write()
    honest = run(published.folder).total.product["mape"]
    published.write(published.rows.with_columns(pl.col("latency") * (1 + pl.col("n") % 1000)))
    assert run(published.folder).total.product["mape"] > 2 * honest


@pytest.mark.parametrize("few", [0, 30])
def test_a_table_with_too_few_rows_to_learn_from_is_noted(quicker, publish, few):
    published = publish()
    one, other = (published.rows.filter(pl.col("system") == name) for name in ("h100_sxm", "l40s"))
    published.write_peer(published.held_out("row")).write(one.head(few).vstack(other))
    found = run(published.folder)
    assert [group.group["device"] for group in found.groups] == ["l40s"]
    assert found.notes == ["row: h100/bfloat16/vllm/0.24.0 has too few rows to learn from"]


def test_rows_that_the_source_refuses_are_noted(quicker, publish):
    published = publish()
    twice = published.rows.vstack(published.rows.head(3))
    published.write_peer(published.held_out("row")).write(twice)
    assert run(published.folder).notes == ["3 rows of aic_gemm.parquet refused"]


def test_a_folder_without_the_tables_is_told_what_it_lacks(tmp_path):
    with pytest.raises(UnavailableError, match=r"aic_gemm\.parquet is not there"):
        run(tmp_path)


@pytest.mark.parametrize("file", ["aic_gemm.parquet", PEER_FILE])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.with_columns(colour=pl.lit("red")), "colour: got 'this column'"),
        (lambda table: table.drop("m"), "m: got 'no such column'"),
        (lambda table: table.with_columns(system=pl.lit("abacus")), "'abacus'"),
    ],
    ids=["unknown column", "missing column", "unknown device"],
)
def test_a_file_in_another_layout_is_refused_by_name(publish, file, change, message):
    published = publish()
    published.write().write_peer(published.held_out("row"))
    path = published.folder / file
    change(pl.read_parquet(path)).write_parquet(path)
    with pytest.raises(InputError, match=message):
        run(published.folder)


@pytest.mark.parametrize("file", ["aic_gemm.parquet", PEER_FILE])
def test_a_truncated_file_is_refused_by_name(publish, file):
    published = publish()
    published.write().write_peer(published.held_out("row"))
    path = published.folder / file
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=rf"path: got '{path}', expected a readable Parquet file"):
        run(published.folder)


@pytest.mark.parametrize("wrong", [None, float("nan"), 0.0, -1.0])
def test_a_peer_that_predicts_no_time_is_refused(quicker, publish, wrong):
    published = publish()
    published.write().write_peer(published.held_out("row"))
    path = published.folder / PEER_FILE
    spoilt = pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(wrong, pl.Float32)).otherwise("aic_pred_ms")
    pl.read_parquet(path).with_columns(aic_pred_ms=spoilt).write_parquet(path)
    with pytest.raises(InputError, match=r"predicted\[0\]: got .*, expected a positive finite number"):
        run(published.folder)
