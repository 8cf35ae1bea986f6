"""`foretell bench gemm-holdout`: one JSON object in a file, tables for a person."""

import json

import polars as pl
import pytest


@pytest.fixture
def folder(publish):
    """Doubles of the published files with one split."""
    published = publish()
    return published.write().write_peer(published.held_out("site")).folder


def test_the_file_is_json_with_every_part(foretell, folder, tmp_path):
    file = tmp_path / "figures.json"
    ended = foretell("bench", "gemm-holdout", "--data", folder, "--json", file)
    assert (ended.code, ended.err) == (0, "")
    figures = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert figures["protocol"] == "gemm-holdout"
    assert {"n", "product", "baselines", "peers"} <= set(figures["total"])
    assert [group["group"]["device"] for group in figures["groups"]] == ["h100", "l40s"]
    assert all(set(group["peers"]) == {"aiconfigurator"} for group in figures["groups"])
    assert "site: mean over its tables" in ended.out
    assert {"foretell", "roofline", "forest", "aiconfigurator"} <= {
        line.split()[0] for line in ended.out.splitlines() if line.strip()
    }


def test_a_file_that_cannot_be_written_is_refused_before_the_work(refused, folder):
    refused("bench", "gemm-holdout", "--data", folder, "--json", "nowhere/figures.json",
            message="json: got 'nowhere/figures.json', expected a file in a folder that exists")  # fmt: skip


def test_a_folder_without_tables_says_what_it_lacks(refused, tmp_path):
    refused("bench", "gemm-holdout", "--data", tmp_path, message="aic_gemm.parquet is not there", code=3)


def test_a_peer_file_in_another_layout_is_refused_by_column(refused, folder):
    file = folder / "peer_aic_gemm_holdout.parquet"
    pl.read_parquet(file).rename({"aic_pred_ms": "guess_ms"}).write_parquet(file)
    message = "peer_aic_gemm_holdout.parquet: aic_pred_ms: got 'no such column'"
    refused("bench", "gemm-holdout", "--data", folder, message=message)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gemm-holdout",), "--data"),
        (("gemm-holdout", "--data", "nowhere"), "nowhere"),
        (("crystal-ball", "--data", "."), "crystal-ball"),
    ],
)
def test_wrong_words_are_refused(misused, words, message):
    misused("bench", *words, message=message)
