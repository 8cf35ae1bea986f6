"""`foretell pull`: published rows go into the store; what is refused is kept and counted."""

import polars as pl
import pytest

from foretell.datasets.store import Store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("FORETELL_STORE", str(tmp_path / "store"))
    return Store()


def test_rows_of_a_folder_are_kept_and_the_refused_ones_counted(foretell, store, publish):
    published = publish()
    published.write(published.rows.vstack(published.rows.head(3)))
    kept = foretell("pull", "aiconfigurator", "--from", published.folder, "--json").json
    assert (kept["accepted"], kept["rejected"]) == (published.rows.height, 3)
    assert kept["version"] == store.version("kernel")
    assert store.scan("kernel").collect().height == kept["accepted"]
    assert store.rejected("kernel").collect()["rule"].to_list() == ["duplicate"] * 3


def test_a_person_is_told_the_counts(foretell, store, publish):
    published = publish().write()
    out = foretell("pull", "aiconfigurator", "--from", published.folder).out
    assert out == f"{published.rows.height} rows kept, 0 refused; kernel is now {store.version('kernel')}\n"


def test_the_same_tables_are_kept_once(foretell, store, publish):
    folder = publish().write().folder
    foretell("pull", "aiconfigurator", "--from", folder)
    version, height = store.version("kernel"), store.scan("kernel").collect().height
    assert "in the store already" in foretell("pull", "aiconfigurator", "--from", folder).out
    assert (store.version("kernel"), store.scan("kernel").collect().height) == (version, height)


@pytest.mark.parametrize("there", ["", "nowhere"])
def test_a_folder_without_tables_says_what_it_lacks(refused, store, tmp_path, there):
    message = "aiconfigurator: " + str(tmp_path / there)
    refused("pull", "aiconfigurator", "--from", tmp_path / there, message=message, code=3)


def test_a_truncated_table_is_refused_and_nothing_is_kept(refused, store, publish):
    path = publish().write().folder / "aic_gemm.parquet"
    path.write_bytes(path.read_bytes()[:-50])
    refused(
        "pull",
        "aiconfigurator",
        "--from",
        path.parent,
        message=f"path: got {str(path)!r}, expected a readable",
    )
    assert store.scan("kernel").collect().is_empty()


def test_an_unknown_column_is_refused_by_name(refused, store, publish):
    published = publish()
    path = published.write().folder / "aic_gemm.parquet"
    pl.read_parquet(path).with_columns(colour=pl.lit("red")).write_parquet(path)
    refused("pull", "aiconfigurator", "--from", path, message="aic_gemm.parquet: colour: got 'this column'")


def test_an_unknown_source_is_refused(misused):
    misused("pull", "hearsay", message="'hearsay' is not one of 'aiconfigurator'")
