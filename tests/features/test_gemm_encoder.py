"""The encoder of products: what it knows of devices, and that its ways of encoding agree."""

import math

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.datasets.device import DeviceFigures, device
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.gemm import GemmQuery
from foretell.errors import InputError
from foretell.features import kernel, places
from foretell.features.base import UNKNOWN_TABLE
from foretell.features.gemm import GemmEncoder
from foretell.features.places import kin

MINE = DeviceFigures(
    name="my_box", kind="cpu", memory_gb=16, memory_bandwidth_gb_s=40, last_level_cache_mb=8, cores=8,
    clock_mhz=3_000, peak_float32_tflops=1.0, source="described in a test", aliases="laptop;my_laptop",
)  # fmt: skip
QUERY = GemmQuery(m=300, n=512, k=1024, dtype="bfloat16", device="h100", backend="vllm", backend_version="1")


@pytest.fixture
def encoder():
    return GemmEncoder([MINE])


def frame(queries):
    return pl.DataFrame([msgspec.to_builtins(query) for query in queries])


def queries():
    backends = st.sampled_from([(None, None), ("vllm", "1"), ("vllm", "2"), ("trtllm", "1")])
    return backends.flatmap(of_backend)


def of_backend(backend):
    return st.builds(
        GemmQuery,
        m=st.integers(1, 2**14),
        n=st.integers(1, 2**14),
        k=st.integers(1, 2**14),
        dtype=st.sampled_from(["float32", "float16", "int8_wo"]),
        device=st.sampled_from(["h100", "H200", "my_box", "NVIDIA H100", "a100_sxm", "mi300x"]),
        backend=st.just(backend[0]),
        backend_version=st.just(backend[1]),
    )


@given(st.lists(queries(), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_frames_batches_and_single_queries_agree(asked):
    encoder = GemmEncoder([MINE])
    gathered = encoder.gather(asked)
    framed = encoder.columns(frame(asked))
    np.testing.assert_array_equal(encoder.encode(gathered).features, encoder.encode(framed).features)
    for row, query in enumerate(asked):
        features, floor_us = encoder.encode_one(query)
        # math.log2 and numpy.log2 may differ in the last digit.
        np.testing.assert_allclose(encoder.encode(gathered).features[row], features, rtol=1e-12, atol=1e-12)
        assert encoder.encode(gathered).floor[row] == pytest.approx(floor_us, rel=1e-12)
        assert gathered.places[gathered.codes[row]] == encoder.place(query)


def test_blocks_leave_no_seam(encoder, monkeypatch):
    rng = np.random.default_rng(0)
    shapes = {name: rng.integers(1, 5_000, 100) for name in "mnk"}
    devices = pl.Series(rng.choice(["h100", "mi300x", "my_box"], 100))
    batch = encoder.columns(pl.DataFrame(shapes).with_columns(dtype=pl.lit("float32"), device=devices))
    whole = encoder.encode(batch)
    monkeypatch.setattr(kernel, "BLOCK", 7)
    blocks = encoder.encode(batch)
    np.testing.assert_array_equal(blocks.features, whole.features)
    np.testing.assert_array_equal(blocks.floor, whole.floor)


def test_some_rows_of_a_batch_encode_as_in_the_whole(encoder):
    batch = encoder.gather(
        [msgspec.structs.replace(QUERY, m=m, device=name) for m in (1, 8) for name in ("h100", "t4")]
    )
    rows = np.array([3, 0])
    np.testing.assert_array_equal(
        encoder.encode(batch.take(rows)).features, encoder.encode(batch).features[rows]
    )


@pytest.mark.parametrize("dtype", sorted(set(DTYPES) - {"float64"}))
def test_the_floor_takes_the_bytes_and_the_rate_of_the_data_type(encoder, dtype):
    query = msgspec.structs.replace(QUERY, dtype=dtype)
    moved, figures = DTYPES[dtype], device("h100")
    m, n, k = query.m, query.n, query.k
    memory_s = (moved.a_bytes * m * k + moved.b_bytes * n * k + moved.c_bytes * m * n) / 3.35e12
    floor_us = 1e6 * max(memory_s, 2 * m * n * k / figures.peak_flops(dtype))
    assert encoder.encode_one(query)[1] == pytest.approx(floor_us, rel=1e-12)


def test_the_figures_of_the_device_are_features(encoder):
    features = dict(zip(encoder.names, encoder.encode_one(QUERY)[0], strict=True))
    figures = device("h100")
    said = {
        "log_peak": figures.peak_flops("bfloat16"),
        "log_bandwidth": figures.memory_bandwidth_gb_s * 1e9,
        "log_cores": figures.cores,
        "log_cache": figures.last_level_cache_mb * 1e6,
        "log_clock": figures.clock_mhz * 1e6,
    }
    assert {name: features[name] for name in said} == {name: math.log2(value) for name, value in said.items()}


def test_all_names_of_a_device_are_one_place(encoder):
    names = ("h100", "H100", "NVIDIA H100", "h100_sxm")
    places = encoder.gather([msgspec.structs.replace(QUERY, device=name) for name in names]).places
    assert [place.table for place in places] == ["h100/bfloat16/vllm/1"]
    assert {
        encoder.place(msgspec.structs.replace(QUERY, device=name)).realm
        for name in ("my_box", "laptop", "My_Laptop")
    } == {"my_box/bfloat16"}


def test_without_a_backend_no_table_is_meant(encoder):
    query = msgspec.structs.replace(QUERY, backend=None, backend_version=None)
    assert encoder.place(query).table == UNKNOWN_TABLE


@pytest.mark.parametrize("missing", ["backend", "backend_version"])
def test_half_a_backend_is_refused(encoder, missing):
    with pytest.raises(InputError, match="together") as refused:
        encoder.place(msgspec.structs.replace(QUERY, **{missing: None}))
    assert refused.value.field == missing


def test_hardware_of_one_architecture_is_kin():
    assert kin(device("h100")) == kin(device("h200")) == "hopper"
    assert kin(MINE) == "my_box"


def test_an_unknown_device_is_refused_with_what_is_near(encoder):
    with pytest.raises(InputError, match="h100") as refused:
        encoder.place(msgspec.structs.replace(QUERY, device="h1000"))
    assert refused.value.field == "device"


def test_a_data_type_without_a_rate_is_refused(encoder):
    with pytest.raises(InputError) as refused:
        encoder.gather([msgspec.structs.replace(QUERY, device="my_box", dtype="float64")])
    assert refused.value.field == "dtype"


def test_a_product_beyond_the_memory_is_refused_wherever_it_stands(encoder):
    large = msgspec.structs.replace(QUERY, m=2**20, n=2**20, device="my_box")
    for ask in (
        lambda: encoder.encode_one(large),
        lambda: encoder.encode(encoder.gather([QUERY, large, QUERY])),
    ):
        with pytest.raises(InputError, match=r"\(1048576, 1048576, 1024\).*16 GB"):
            ask()


def test_just_what_fits_the_memory_is_taken(encoder):
    # 3 x 4 bytes x s^2 <= 16e9
    side = math.isqrt(16 * 10**9 // 12)
    fits = GemmQuery(m=side, n=side, k=side, dtype="float32", device="my_box")
    encoder.encode_one(fits)
    with pytest.raises(InputError):
        encoder.encode_one(msgspec.structs.replace(fits, m=side + 1, n=side + 1, k=side + 1))


def test_a_saved_encoder_needs_no_table_of_devices(encoder, monkeypatch):
    rows = pl.DataFrame({"device": ["h100", "my_box"]})
    state = msgspec.json.decode(msgspec.json.encode(encoder.fit(rows).state()))
    loaded = GemmEncoder.from_state(state)
    expected = encoder.encode_one(QUERY)

    def gone(name):
        raise InputError("device", name, "nothing")

    monkeypatch.setattr(places, "device", gone)
    for name in ("h100", "H100", "h100_sxm"):
        assert loaded.encode_one(msgspec.structs.replace(QUERY, device=name)) == expected
    assert loaded.encode_one(msgspec.structs.replace(QUERY, device="laptop"))
    with pytest.raises(InputError):
        loaded.place(msgspec.structs.replace(QUERY, device="h200"))


def test_many_made_up_backends_do_not_pile_up(encoder, monkeypatch):
    monkeypatch.setattr(places, "REMEMBERED", 10)
    for number in range(100):
        encoder.place(msgspec.structs.replace(QUERY, backend=f"backend{number}"))
    assert len(encoder._places._places) <= 10
