"""The protocol on small doubles: phases apart, and a peer that leaves rows unanswered."""

import itertools
import random
from dataclasses import replace

import polars as pl
import pytest

from foretell.errors import InputError, UnavailableError
from foretell.training.bench import attention_holdout
from foretell.training.bench.attention_holdout import FILES, PEER_FILE, run

HEADS = ((1, 1), (2, 1), (4, 4), (8, 2), (8, 8), (16, 2), (32, 4), (32, 32))
BATCHES = (1, 2, 4, 8, 16)
TOKENS = (64, 128, 256, 512, 1024)
PEER_MAPE = 10.0
"""The peer of the doubles is always a tenth too slow."""


def published(phase):
    """One table in published columns: 200 shapes, latency by the pairs attended to."""
    rng = random.Random(phase)
    rows = []
    for (heads, kv_heads), batch, tokens in itertools.product(HEADS, BATCHES, TOKENS):
        new, past = (tokens, 0) if phase == "context" else (1, tokens)
        work = batch * heads * (new * new / 2 if phase == "context" else past)
        rows.append(
            {"batch_size": batch, "isl": new, "step": past, "num_heads": heads,
             "num_key_value_heads": kv_heads, "latency": (0.01 + work * 1e-8) * rng.uniform(0.98, 1.02)}
        )  # fmt: skip
    said = {"head_dim": 128, "window_size": 128, "attn_dtype": "bfloat16", "kv_cache_dtype": "bfloat16",
            "system": "h100_sxm", "backend": "trtllm", "backend_version": "1.0"}  # fmt: skip
    return pl.DataFrame(rows).with_columns(pl.lit(value).alias(name) for name, value in said.items())


@pytest.fixture(scope="module")
def tables():
    return {"context": published("context"), "generation": published("generation")}


@pytest.fixture
def folder(tmp_path, tables, monkeypatch):
    """The two files, and the roofline as the only baseline."""
    for name, rows in zip(FILES, tables.values(), strict=True):
        rows.write_parquet(tmp_path / name)
    target = replace(attention_holdout.find("attention.latency"), baselines=("roofline",), family="lightgbm")
    monkeypatch.setattr(attention_holdout, "find", lambda name: target)
    return tmp_path


@pytest.fixture
def peer(tables):
    """A fifth of the rows of each phase; the peer leaves those of one head unanswered."""
    held = [
        rows.gather_every(5).with_columns(phase=pl.lit(phase), split=pl.lit("row"))
        for phase, rows in tables.items()
    ]
    says = pl.when(pl.col("num_heads") > 1).then(pl.col("latency") * 1.1).otherwise(float("nan"))
    return pl.concat(held).with_columns(aic_pred_ms=says).rename({"latency": "latency_ms"})


def test_each_phase_has_its_total_beside_the_peers_on_what_that_answers(folder, peer):
    peer.write_parquet(folder / PEER_FILE)
    found = run(folder)
    assert [group.group["phase"] for group in found.groups] == ["context", "generation"]
    assert {"context", "generation", "context/row", "context/h100", "row"} <= found.totals.keys()
    assert found.total.n == peer.height
    for group in found.groups:
        figures = group.peers["aiconfigurator"]
        assert figures["mape"] == pytest.approx(PEER_MAPE)
        assert 50 < figures["answered"] < 100
        assert figures["product_mape"] > 0


def test_without_the_peers_file_rows_and_heads_are_held_out(folder):
    found = run(folder)
    assert {group.group["split"] for group in found.groups} == {"row", "heads"}
    assert found.total.peers == {}


def test_one_phase_alone_is_judged(folder, peer):
    (folder / FILES[1]).unlink()
    peer.filter(pl.col("phase") == "context").write_parquet(folder / PEER_FILE)
    assert [group.group["phase"] for group in run(folder).groups] == ["context"]


def test_labels_of_held_out_rows_are_not_learnt_from(folder, peer, tables):
    peer.write_parquet(folder / PEER_FILE)
    honest = run(folder).total.product
    spoilt = pl.when(pl.int_range(pl.len()) % 5 == 0).then(pl.col("latency") * 50).otherwise("latency")
    for name, rows in zip(FILES, tables.values(), strict=True):
        rows.with_columns(latency=spoilt).write_parquet(folder / name)
    assert run(folder).total.product == honest


def test_a_folder_without_the_tables_is_told_what_it_lacks(tmp_path):
    with pytest.raises(UnavailableError, match=r"aic_ctx_attn_trtllm\.parquet"):
        run(tmp_path)


def test_a_peers_file_in_another_layout_is_refused_by_name(folder, peer):
    peer.drop("phase").write_parquet(folder / PEER_FILE)
    with pytest.raises(InputError, match="phase: got 'no such column'"):
        run(folder)
