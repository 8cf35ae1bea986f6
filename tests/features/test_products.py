"""The physics of products against plain loops."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.features.gemm import NAMES, GemmEncoder
from foretell.features.physics import SCALAR, VECTOR, Machine
from foretell.features.products import (
    PRODUCT_EXTENT,
    ROW_TILES,
    TILES,
    product_bytes,
    product_operations,
)

H100 = Machine(
    flops=9.895e14, bandwidth=3.35e12, cores=132.0, memory_bytes=8e10, a_bytes=2.0, b_bytes=1.0, c_bytes=4.0,
    log_peak=math.log2(9.895e14), log_bandwidth=math.log2(3.35e12), log_cores=math.log2(132),
    log_cache=math.log2(5e7), log_clock=math.log2(1.98e9),
)  # fmt: skip
P4 = Machine(
    flops=5.7e12, bandwidth=1.92e11, cores=20.0, memory_bytes=8e9, a_bytes=4.0, b_bytes=4.0, c_bytes=4.0,
    log_peak=math.log2(5.7e12), log_bandwidth=math.log2(1.92e11), log_cores=math.log2(20),
    log_cache=math.log2(2e6), log_clock=math.log2(1.114e9),
)  # fmt: skip
DIMENSION = st.integers(1, 2**24)
SMALL = st.integers(1, 9)


def gemm_features(m, n, k, machine, ops):
    return GemmEncoder.physics(SimpleNamespace(m=m, n=n, k=k), machine, (), ops)


def named(m, n, k, machine=H100):
    features, floor_us, _ = gemm_features(m, n, k, machine, SCALAR)
    return dict(zip(NAMES, features, strict=True)) | {"floor_us": floor_us}


@given(SMALL, SMALL, SMALL)
def test_operations_are_those_of_the_textbook_loop(m, n, k):
    counted = 0
    for _row in range(m):
        for _column in range(n):
            for _term in range(k):
                counted += 2  # a multiplication and an addition
    assert product_operations(m, n, k) == counted


@given(SMALL, SMALL, SMALL)
def test_bytes_are_each_element_once(m, n, k):
    moved = sum(H100.a_bytes for _ in range(m * k))
    moved += sum(H100.b_bytes for _ in range(k * n))
    moved += sum(H100.c_bytes for _ in range(m * n))
    assert product_bytes(m, n, k, H100) == moved


@given(st.integers(1, 700), st.integers(1, 700))
@settings(max_examples=30, deadline=None)
def test_waves_are_those_of_tiles_dealt_to_cores(m, n):
    features = named(m, n, 64)
    for rows, cols in TILES:
        tiles = sum(1 for _ in range(0, m, rows) for _ in range(0, n, cols))
        rounds, left = 0, tiles
        while left > 0:
            rounds, left = rounds + 1, left - int(H100.cores)
        name = f"{rows}x{cols}"
        # Division and logarithm round once each.
        assert features[f"log_waves_{name}"] == pytest.approx(math.log2(tiles / 132), abs=1e-12)
        assert features[f"wave_fill_{name}"] == pytest.approx(rounds * 132 / tiles, rel=1e-12)
        assert features[f"last_wave_{name}"] == min(rounds, 64)


@given(st.integers(1, 2_000))
@settings(deadline=None)
def test_row_fill_is_what_whole_tiles_compute_over_what_was_asked(m):
    features = named(m, 64, 64)
    for rows in ROW_TILES:
        padded = 0
        while padded < m:
            padded += rows
        assert features[f"row_fill_{rows}"] == pytest.approx(padded / m, rel=1e-12)


@given(DIMENSION, DIMENSION, DIMENSION)
@settings(deadline=None)
def test_the_floor_is_the_slower_of_arithmetic_and_memory(m, n, k):
    compute_s = 2 * m * n * k / H100.flops
    memory_s = (2 * m * k + n * k + 4 * m * n) / H100.bandwidth
    features = named(m, n, k)
    assert features["floor_us"] == pytest.approx(1e6 * max(compute_s, memory_s), rel=1e-12)
    # Differences of logarithms near 50 lose a few units in the last place: 1e-12 of that.
    assert features["log_compute_over_memory"] == pytest.approx(math.log2(compute_s / memory_s), abs=1e-10)


@given(DIMENSION, DIMENSION, DIMENSION)
@settings(deadline=None)
def test_plain_features_are_what_their_names_say(m, n, k):
    features = named(m, n, k)
    moved = 2 * m * k + n * k + 4 * m * n
    said = {
        "log_m": m, "log_n": n, "log_k": k, "log_operations": 2 * m * n * k, "log_bytes": moved,
        "log_intensity": 2 * m * n * k / moved, "log_floor_us": features["floor_us"],
        "log_mn": m * n, "log_nk": n * k, "log_mk": m * k, "log_n_over_k": n / k,
        "log_bytes_over_cache": moved / 5e7, "log_output_over_cache": 4 * m * n / 5e7,
        "log_peak": 9.895e14, "log_bandwidth": 3.35e12, "log_cores": 132, "log_cache": 5e7,
        "log_clock": 1.98e9,
    }  # fmt: skip
    for name, value in said.items():
        assert features[name] == pytest.approx(math.log2(value), abs=1e-10), name
    remainders = {name: name.split("_mod_") for name in NAMES if "_mod_" in name}
    sizes = {"m": m, "n": n, "k": k}
    assert all(features[name] == sizes[axis] % int(by) for name, (axis, by) in remainders.items())
    assert (features["a_bytes"], features["b_bytes"]) == (2, 1)


def test_every_feature_is_checked_above():
    tiled = {
        f"{name}_{rows}x{cols}" for rows, cols in TILES for name in ("log_waves", "wave_fill", "last_wave")
    }
    assert tiled < set(NAMES)
    assert len(NAMES) == len(set(NAMES)) == len(gemm_features(1, 1, 1, H100, SCALAR)[0])


def test_the_extent_is_in_octaves():
    assert all(name.startswith("log_") for name in NAMES[:PRODUCT_EXTENT])


@given(
    st.lists(st.tuples(DIMENSION, DIMENSION, DIMENSION, st.sampled_from([H100, P4])), min_size=1, max_size=40)
)
@settings(deadline=None)
def test_one_row_and_many_have_the_same_features(cases):
    m, n, k = (np.array([case[axis] for case in cases], dtype=float) for axis in range(3))
    machine = Machine(*np.array([case[3] for case in cases]).T)
    features, floor_us, _ = gemm_features(m, n, k, machine, VECTOR)
    for row, case in enumerate(cases):
        single, single_floor_us, _ = gemm_features(*case, SCALAR)
        # math.log2 and numpy.log2 may differ in the last digit, which a difference near zero shows.
        np.testing.assert_allclose(
            [float(column[row]) for column in features], single, rtol=1e-12, atol=1e-12
        )
        assert floor_us[row] == pytest.approx(single_floor_us, rel=1e-14)
