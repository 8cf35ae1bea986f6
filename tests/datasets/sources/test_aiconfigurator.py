import importlib.util
import itertools
import sys

import polars as pl
import pytest

from foretell.datasets.device import device
from foretell.datasets.kernel import Kernel
from foretell.datasets.sources.aiconfigurator import Aiconfigurator
from foretell.errors import InputError

H100 = ("h100_sxm", "vllm", "0.24.0")
H200 = ("h200_sxm", "vllm", "0.24.0")


@pytest.fixture
def h100(tmp_path, published):
    def write(table):
        return Aiconfigurator(published.one_file(tmp_path, {H100: table})).read()

    return write


def test_milliseconds_become_microseconds(h100, published):
    table = published.gemm_table()
    # float32 in the file: a relative error of 2^-24, doubled for the product.
    assert h100(table).rows["latency_us"].to_list() == pytest.approx(
        [ms * 1000 for ms in table["latency"]], rel=2**-23
    )


def test_every_row_says_where_it_comes_from(h100, published):
    rows = h100(published.gemm_table()).rows
    constant = rows.select("operator", "device", "backend", "backend_version", "status", "origin").unique()
    assert constant.rows() == [
        ("gemm", "h100", "vllm", "0.24.0", "ok", "aiconfigurator/h100_sxm/vllm/0.24.0")
    ]
    assert set(rows["energy_reason"]) == {"not published"}
    assert rows["measured_at"].null_count() == rows.height


def test_both_layouts_give_the_same_rows(tmp_path, published):
    tables = {H100: published.gemm_table().cast({"latency": pl.Float32})}
    one = Aiconfigurator(published.one_file(tmp_path / "one", tables)).read().rows
    each = Aiconfigurator(published.each_table(tmp_path / "each", tables)).read().rows
    key = ["dtype", "m", "n", "k"]
    assert one.sort(key).equals(each.sort(key))


def test_file_can_be_named_itself(tmp_path, published):
    folder = published.one_file(tmp_path, {H100: published.gemm_table()})
    assert Aiconfigurator(folder / "aic_gemm.parquet").read().rows.height == 24


def test_installed_package_is_read_without_importing_it(tmp_path, monkeypatch, published):
    package = tmp_path / "aiconfigurator_core"
    published.each_table(package / "systems" / "data", {H100: published.gemm_table()})
    (package / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert Aiconfigurator().read().rows.height == 24
    assert "aiconfigurator_core" not in sys.modules


@pytest.mark.skipif(
    importlib.util.find_spec("aiconfigurator_core") is not None, reason="aiconfigurator-core is installed"
)
def test_without_the_package_the_extra_is_named():
    assert "foretell[aiconfigurator]" in Aiconfigurator().available().reason


@pytest.mark.parametrize(
    "system",
    [
        "a100_sxm", "b200_sxm", "b300_sxm", "b60", "gb200", "gb300", "h100_sxm", "h200_sxm", "l40s",
        "rtx_pro_6000_server",
    ],
)  # fmt: skip
def test_every_published_system_is_a_device(tmp_path, system, published):
    rows = (
        Aiconfigurator(published.one_file(tmp_path, {(system, "vllm", "1"): published.gemm_table()}))
        .read()
        .rows
    )
    assert set(rows["device"]) == {device(system).name}


def test_unknown_system_is_refused_by_name(tmp_path, published):
    folder = published.one_file(tmp_path, {("x100_sxm", "vllm", "1"): published.gemm_table()})
    with pytest.raises(InputError, match=r"^system: got 'x100_sxm', expected a described device"):
        Aiconfigurator(folder).read()


def test_described_system_is_read(tmp_path, published):
    own = pl.DataFrame(
        {
            "name": ["x100"], "kind": ["gpu"], "aliases": ["x100_sxm"], "memory_gb": [1.0],
            "memory_bandwidth_gb_s": [1.0], "last_level_cache_mb": [1.0], "cores": [1], "clock_mhz": [1.0],
            "peak_float32_tflops": [1.0], "source": ["a test"],
        }
    )  # fmt: skip
    folder = published.one_file(tmp_path, {("x100_sxm", "vllm", "1"): published.gemm_table()})
    assert set(Aiconfigurator(folder, devices=own).read().rows["device"]) == {"x100"}


def test_unknown_data_type_is_refused_by_name(tmp_path, published):
    folder = published.one_file(tmp_path, {H100: published.gemm_table(dtypes=("bfloat16", "fp7"))})
    with pytest.raises(InputError, match=r"gemm_dtype: got 'fp7', expected one of bfloat16"):
        Aiconfigurator(folder).read()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop("latency"), "latency: got 'no such column'"),
        (lambda t: t.with_columns(colour=1.0), "colour: got 'this column'"),
        (
            lambda t: t.cast({"latency": pl.String}),
            "latency: got String, expected values that are each a number",
        ),
    ],
)
def test_file_in_another_layout_is_refused(tmp_path, change, message, published):
    published.each_table(tmp_path, {H100: change(published.gemm_table())})
    with pytest.raises(InputError, match=f"^gemm_perf.parquet: {message}"):
        Aiconfigurator(tmp_path).read()


def test_truncated_file_is_refused(tmp_path, published):
    path = published.one_file(tmp_path, {H100: published.gemm_table()}) / "aic_gemm.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"^path: got .*a readable Parquet file"):
        Aiconfigurator(tmp_path).read()


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), None])
def test_latency_that_is_no_time_is_kept_with_its_rule(h100, value, published):
    table = published.gemm_table()
    latency = table["latency"].scatter(3, value)
    batch = h100(table.with_columns(latency=latency))
    assert batch.rows.height == 23
    assert "latency" in batch.rejected["rule"].item()


def test_shape_of_nothing_is_kept_with_its_rule(h100, published):
    table = published.gemm_table()
    batch = h100(table.with_columns(m=table["m"].scatter(5, 0)))
    assert batch.rejected["rule"].to_list() == ["m|min"]


def test_second_of_equal_rows_is_a_duplicate(h100, published):
    table = published.gemm_table()
    batch = h100(pl.concat([table, table[4:6]]))
    assert batch.rejected["rule"].to_list() == ["duplicate"] * 2
    assert batch.rows.equals(h100(table).rows)


def test_rows_that_contradict_are_all_rejected(h100, published):
    table = published.gemm_table()
    batch = h100(pl.concat([table, table[4:5].with_columns(pl.col("latency") * 1.5)]))
    assert batch.rejected["rule"].to_list() == ["contradicting_duplicate"] * 2
    assert batch.rows.height == 23


def test_copies_are_all_rejected_and_name_each_other(tmp_path, published):
    tables = {
        H100: published.gemm_table(),
        H200: published.gemm_table().reverse(),
        ("l40s", "vllm", "1"): published.gemm_table(2.3),
    }
    batch = Aiconfigurator(published.one_file(tmp_path, tables)).read()
    assert set(batch.rows["device"]) == {"l40s"}
    rules = set(batch.rejected.filter(pl.col("dtype") == "fp8").select("device", "rule").iter_rows())
    assert rules == {("h100", "copy_of:h200/fp8/vllm/0.24.0"), ("h200", "copy_of:h100/fp8/vllm/0.24.0")}


def test_copy_that_is_kept_is_accepted(tmp_path, published):
    folder = published.one_file(tmp_path, {H100: published.gemm_table(), H200: published.gemm_table()})
    batch = Aiconfigurator(folder, keep=("h100/fp8/vllm/0.24.0",)).read()
    assert set(batch.rows.select("device", "dtype").iter_rows()) == {("h100", "fp8")}
    assert batch.rejected.height == 36


def test_two_copies_cannot_both_be_kept(tmp_path, published):
    systems = ("h100_sxm", "h200_sxm", "l40s")
    folder = published.one_file(tmp_path, {(name, "vllm", "1"): published.gemm_table() for name in systems})
    for one, other in itertools.combinations(("h100", "h200", "l40s"), 2):
        with pytest.raises(InputError, match=r"^keep: .*they are copies"):
            Aiconfigurator(folder, keep=(f"{one}/fp8/vllm/1", f"{other}/fp8/vllm/1")).read()


def test_table_to_keep_must_be_there(tmp_path, published):
    folder = published.one_file(tmp_path, {H100: published.gemm_table()})
    with pytest.raises(InputError, match=r"^keep: got 'h100', expected a table that was read, such as h100/"):
        Aiconfigurator(folder, keep=("h100",)).read()


def test_file_that_names_another_device_than_its_folder_is_no_measurement(tmp_path, published):
    """Copied into another system's folder, a file still says where it was measured."""
    published.each_table(tmp_path, {H200: published.gemm_table()}, product="NVIDIA H100 80GB HBM3")
    published.each_table(
        tmp_path, {("b200_sxm", "vllm", "1"): published.gemm_table(2.3)}, product="NVIDIA B200"
    )
    batch = Aiconfigurator(tmp_path).read()
    assert set(batch.rows["device"]) == {"b200"}
    assert set(batch.rejected["rule"]) == {"measured_on:h100"}


def test_no_row_is_dropped(tmp_path, published):
    wrong = published.gemm_table().with_columns(pl.col("latency") * pl.Series([0.0, 1.0] * 12))
    tables = {
        H100: pl.concat([wrong, wrong[1:4]]),
        H200: published.gemm_table(1.7),
        ("l40s", "vllm", "1"): published.gemm_table(1.7),
    }
    batch = Aiconfigurator(published.one_file(tmp_path, tables)).read()
    assert batch.rows.height + batch.rejected.height == 75


def test_original_with_its_mislabelled_copy_is_accepted(tmp_path, published):
    """The copy says itself that it is one, so the other is the measurement."""
    published.each_table(
        tmp_path,
        {H100: published.gemm_table(), H200: published.gemm_table()},
        product="NVIDIA H100 80GB HBM3",
    )
    batch = Aiconfigurator(tmp_path).read()
    assert set(batch.rows["device"]) == {"h100"}
    assert set(batch.rejected["rule"]) == {"measured_on:h100"}


def test_real_tables_are_accepted_whole(kernels_folder):
    batch = Aiconfigurator(kernels_folder / "aic_gemm.parquet").read()
    published_rows = pl.scan_parquet(kernels_folder / "aic_gemm.parquet").select(pl.len()).collect().item()
    assert Kernel.is_valid(batch.rows)
    assert batch.rows.height == published_rows


def test_empty_table_has_no_rows(h100, published):
    batch = h100(published.gemm_table().clear())
    assert batch.rows.is_empty()
    assert batch.rejected.is_empty()
