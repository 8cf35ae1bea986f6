import polars as pl
import pytest

from foretell.datasets.sources.neusight import Neusight
from foretell.errors import InputError


@pytest.fixture(scope="module")
def rows(tmp_path_factory, published):
    return Neusight(published.neusight_repository(tmp_path_factory.mktemp("repository"))).read().rows


def test_both_forms_give_the_same_rows(tmp_path, published, rows):
    one = Neusight(published.neusight_one_file(tmp_path / "one")).read().rows
    each = rows.filter(pl.col("operator") != "convolution")
    key = ["operator", "device", "function", "origin", "batch", "rows", "m"]
    # float32 in the one file: a relative error of 2^-24, doubled for the product.
    assert one.sort(key)["latency_us"].to_list() == pytest.approx(
        each.sort(key)["latency_us"].to_list(), rel=2**-23
    )
    assert one.sort(key).drop("latency_us").equals(each.sort(key).drop("latency_us"))


def test_the_sum_of_a_product_goes_over_its_third_dimension(rows):
    """Published are B, M, N, K, of which N is summed over."""
    linear = rows.filter(operator="gemm").select("m", "n", "k").unique()
    assert set(linear.iter_rows()) == {(64, 512, 256), (2048, 96, 64)}
    batched = rows.filter(operator="bmm").select("batch", "m", "n", "k").unique()
    assert set(batched.iter_rows()) == {(1, 64, 512, 256), (4, 512, 96, 64)}


def test_functions_of_a_tensor_and_a_number_are_told_from_those_of_two_tensors(rows):
    assert set(rows["function"].drop_nulls()) == {"add", "add_scalar", "gelu"}


def test_the_papers_split_is_kept(rows):
    parts = rows.filter(operator="gemm").group_by("origin").len()
    assert dict(parts.iter_rows()) == {"neusight/train": 4, "neusight/test": 4}


def test_convolutions_of_the_repository_are_square_and_ungrouped(rows):
    (found,) = rows.filter(operator="convolution").to_dicts()
    shape = {
        "batch": 38, "in_channels": 893, "out_channels": 326, "height": 5, "width": 5, "kernel": 3,
        "stride": 1, "padding": 1, "groups": 1,
    }  # fmt: skip
    assert {name: found[name] for name in shape} == shape


def test_everything_is_measured_in_single_precision_with_pytorch(rows):
    assert set(rows.select("dtype", "backend", "backend_version").iter_rows()) == {
        ("float32", "torch", "2.1.0")
    }


def test_unknown_operator_is_refused_by_name(tmp_path, published):
    path = published.neusight_one_file(tmp_path) / "neusight_ops.parquet"
    pl.read_parquet(path).with_columns(op=pl.lit("fft")).write_parquet(path)
    with pytest.raises(InputError, match=r"^op: got 'fft', expected one of add"):
        Neusight(tmp_path).read()


def test_unknown_device_is_refused_by_name(tmp_path, published):
    path = published.neusight_one_file(tmp_path) / "neusight_ops.parquet"
    pl.read_parquet(path).with_columns(device=pl.lit("Abacus")).write_parquet(path)
    with pytest.raises(InputError, match=r"^device: got 'Abacus'"):
        Neusight(tmp_path).read()


def test_throttled_device_of_the_real_rows_is_noted(kernels_folder):
    notes = Neusight(kernels_folder).read().notes
    assert "neusight/train/gemm/p4/float32/torch/2.1.0" in {n.table for n in notes if n.check == "throttled"}
