import json

import dataframely as dy
import msgspec
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from foretell.datasets.described import read_numbers
from foretell.datasets.device import Device, DeviceFigures, device, devices, read_devices, slug
from foretell.datasets.dtypes import DTYPES
from foretell.errors import InputError

NEEDED = {
    "name": "abc_1",
    "kind": "gpu",
    "memory_gb": 80.0,
    "memory_bandwidth_gb_s": 2000.0,
    "last_level_cache_mb": 40.0,
    "cores": 108,
    "clock_mhz": 1410.0,
    "peak_float32_tflops": 19.5,
}
NAMES = {*devices()["name"], *";".join(devices()["aliases"].drop_nulls()).split(";")}
NARROW = {"p100", "p100_sxm", "v100_pcie", "v100_sxm", "t4", "a30"} | {
    "a100_40", "a100_80", "a100_40_pcie", "a100_80_pcie"
}  # fmt: skip


def described(tmp_path, **changes):
    row = {key: value for key, value in (NEEDED | changes).items() if value is not ...}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(row))
    return path


def test_table_obeys_its_schema():
    assert Device.is_valid(devices())


@pytest.mark.parametrize(
    "name",
    [
        "p4", "p100", "v100_pcie", "v100_sxm", "t4", "a100_40", "a100_80", "a40", "a10", "a30", "l4", "l40",
        "l40s", "h100", "h100_pcie", "h100_nvl", "h200", "h20", "gh200", "b200", "b300", "gb200", "gb300",
        "rtx_3090", "rtx_4090", "rtx_5090", "rtx_pro_6000_server", "mi100", "mi210", "mi250", "mi250x",
        "mi300x", "mi325x", "mi355x", "b60",
    ],
)  # fmt: skip
def test_device_is_described(name):
    assert device(name).name == name


def test_figures_have_the_columns_of_the_kind():
    assert set(DeviceFigures.__struct_fields__) == set(Device.column_names())


def test_every_row_names_a_document():
    documents = "datasheet|white paper|specification"
    assert devices().filter(~pl.col("source").str.contains(documents)).is_empty()


def test_float32_follows_from_cores_and_clock():
    """Each NVIDIA core has 128 float32 lanes (64 before Ampere's gaming line), two operations a lane.

    Within 5 %: datasheets round, and state rates at a clock a little off the boost clock; the H20's is off
    by 11 %, as published.
    """
    nvidia = devices().filter((pl.col("vendor") == "NVIDIA") & (pl.col("name") != "h20"))
    lanes = pl.when(pl.col("name").is_in(NARROW)).then(64).otherwise(128)
    derived = pl.col("cores") * lanes * 2 * pl.col("clock_mhz") / 1e6
    off = nvidia.select("name", off=pl.col("peak_float32_tflops") / derived - 1)
    assert off.filter(pl.col("off").abs() > 0.05).is_empty()


@pytest.mark.parametrize(("wide", "narrow"), [("float16", "fp8"), ("fp8", "fp4"), ("float16", "int8")])
def test_narrower_types_are_not_slower(wide, narrow):
    """But int8 on Blackwell Ultra, from which its maker took the units."""
    both = devices().drop_nulls([f"peak_{wide}_tflops", f"peak_{narrow}_tflops"])
    slower = both.filter(pl.col(f"peak_{narrow}_tflops") < pl.col(f"peak_{wide}_tflops"))
    assert set(slower["name"]) <= {"b300", "gb300"}


def test_rates_are_dense():
    """Sparse rates are twice the dense ones; float16 would then exceed 32 times float32 on any device."""
    assert devices().filter(pl.col("peak_float16_tflops") > 32 * pl.col("peak_float32_tflops")).is_empty()


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("a100_sxm", "a100_80"), ("h100_sxm", "h100"), ("h200_sxm", "h200"), ("b200_sxm", "b200"),
        ("b300_sxm", "b300"), ("NVIDIA A100-SXM4-80GB", "a100_80"), ("NVIDIA A100-PCIE-40GB", "a100_40_pcie"),
        ("NVIDIA A100-SXM4-40GB", "a100_40"), ("NVIDIA A100 80GB PCIe", "a100_80_pcie"), ("Tesla P4", "p4"),
        ("NVIDIA H100 80GB HBM3", "h100"), ("Tesla P100-PCIE-16GB", "p100"), ("Tesla T4", "t4"),
        ("Tesla V100-PCIE-32GB", "v100_pcie"), ("AMD Instinct MI100", "mi100"), ("NVIDIA L4", "l4"),
        ("AMD Instinct MI250", "mi250"), ("NVIDIA GeForce RTX 4090", "rtx_4090"), ("H200", "h200"),
        ("NVIDIA B300 SXM6 AC", "b300"), ("Intel(R) Arc(TM) Pro B60 Graphics", "b60"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx_pro_6000_server"),
    ],
)  # fmt: skip
def test_names_of_public_data_are_known(alias, name):
    assert device(alias).name == name


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("a100", "a100_40, a100_40_pcie, a100_80, a100_80_pcie"),
        ("v100", "v100_pcie, v100_sxm"),
        ("a100_pcie", "a100_40_pcie, a100_80_pcie"),
    ],
)
def test_ambiguous_name_is_refused_with_its_variants(name, variants):
    with pytest.raises(InputError, match=f"an exact device: one of {variants}$"):
        device(name)


def test_unknown_name_is_refused_nearest_first():
    with pytest.raises(InputError, match=r"^device: got 'l40-s', expected one of l40s, "):
        device("l40-s")


@given(st.text(max_size=30))
def test_any_other_text_is_refused(text):
    assume(slug(text) not in NAMES)
    with pytest.raises(InputError, match=r"^device: "):
        device(text)


def test_peak_rate_is_the_first_published():
    assert device("h100").peak_flops("bfloat16") == 989.5e12
    assert device("a100_80").peak_flops("fp8") == 312e12


@pytest.mark.parametrize("name", devices()["name"])
def test_published_rates_are_positive(name):
    figures = device(name)
    rates = [figures.peak_flops(dtype) for dtype in DTYPES if dtype != "float64"]
    assert min(rates) > 0


def test_missing_rate_is_refused_with_type_and_device():
    with pytest.raises(InputError, match="dtype: got 'float64', expected a type that b60 has a rate for"):
        device("b60").peak_flops("float64")


def test_unknown_data_type_is_refused():
    with pytest.raises(InputError, match="dtype: got 'float8', expected one of bfloat16"):
        device("h100").peak_flops("float8")


def test_described_device_is_found(tmp_path):
    extra = read_devices(described(tmp_path, aliases="abc_one"))
    assert device("ABC-one", extra).peak_flops("float32") == 19.5e12


def test_described_device_cannot_take_a_name_in_use(tmp_path):
    extra = read_devices(described(tmp_path, aliases="h100_sxm"))
    with pytest.raises(InputError, match="name: got 'h100_sxm', expected a name that h100 does not go by"):
        device("h100", extra)


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_description_reads_the_same_from_any_format(tmp_path, form):
    path = tmp_path / f"mine.{form}"
    frame = pl.DataFrame([NEEDED, NEEDED | {"name": "abc_2"}])
    writers = {
        "csv": frame.write_csv,
        "parquet": frame.write_parquet,
        "json": lambda path: path.write_bytes(msgspec.json.encode(frame.to_dicts())),
    }
    writers[form](path)
    found = read_devices(path)
    assert found.select(frame.columns).equals(frame)
    assert set(found["source"]) == {f"described in mine.{form}"}


@pytest.mark.parametrize("name", NEEDED)
def test_missing_field_is_refused_by_name(tmp_path, name):
    with pytest.raises(InputError, match=f"^{name}: got 'no such column'"):
        read_devices(described(tmp_path, **{name: ...}))


def test_unknown_column_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"^memory_tb: got"):
        read_devices(described(tmp_path, memory_tb=1))


@pytest.mark.parametrize("value", [0, -1.5])
@pytest.mark.parametrize("name", [name for name in NEEDED if name not in {"name", "kind"}])
def test_figure_that_is_not_positive_is_refused(tmp_path, name, value):
    if name == "cores" and value == -1.5:
        value = -2
    with pytest.raises(InputError, match=rf"^rows\[0\].{name}: got {value}.*, expected a positive number$"):
        read_devices(described(tmp_path, **{name: value}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory_gb": "80 GB"}, "memory_gb: got String"),
        ({"memory_gb": None}, r"rows\[0\].memory_gb: got None, expected a value"),
        ({"name": "Größe"}, r"rows\[0\].name: got 'Größe', expected lower-case"),
        ({"kind": "tpu"}, r"rows\[0\].kind: got 'tpu'"),
        ({"cores": 1.5}, r"rows\[0\].cores: got 1.5"),
    ],
)
def test_value_that_does_not_fit_is_refused_in_place(tmp_path, changes, message):
    with pytest.raises(InputError, match=f"^{message}"):
        read_devices(described(tmp_path, **changes))


def test_text_in_a_csv_is_no_number():
    text = pl.DataFrame({"memory_gb": ["80", " 40 ", "80 GB"]})
    with pytest.raises(InputError, match=r"^rows\[2\].memory_gb: got '80 GB', expected a number"):
        read_numbers(text, Device)


def test_two_rows_of_one_name_are_refused(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([NEEDED, NEEDED]))
    with pytest.raises(InputError, match=r"^rows\[0\].name: got 'abc_1', expected one row for each name"):
        read_devices(path)


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b""), ("a.json", b"[1"), ("a.parquet", b"PAR1"), ("a.txt", b"name")]
)
def test_file_that_cannot_be_read_is_refused(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^(file|path): got"):
        read_devices(path)


def test_absent_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^path: got .*a readable file"):
        read_devices(tmp_path / "none.csv")


def test_schema_is_a_kind_of_the_store():
    assert issubclass(Device, dy.Schema)
    assert Device.primary_key() == ["name"]
