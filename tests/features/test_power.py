"""Power and energy: features of the operator's time, and the limit that caps a device."""

import numpy as np
import polars as pl
import pytest

from foretell.datasets.device import device
from foretell.errors import InputError
from foretell.features.gemm import GemmEncoder
from foretell.features.power import OVERSHOOT, GemmEnergyEncoder, GemmPowerEncoder

HERE = {"dtype": "bfloat16", "device": "h100"}
SHAPES = pl.DataFrame({"m": [1, 256, 8192], "n": [512, 4096, 8192], "k": [512, 4096, 8192]}).with_columns(
    pl.lit(value).alias(name) for name, value in HERE.items()
)


@pytest.fixture
def power():
    return GemmPowerEncoder()


def test_the_features_are_those_of_time_and_the_limit(power):
    found = power.encode(power.columns(SHAPES)).features
    timed = GemmEncoder()
    np.testing.assert_array_equal(found[:, 1:], timed.encode(timed.columns(SHAPES)).features)
    assert found[:, 0] == pytest.approx(np.log2(device("h100").power_limit_w))


def test_the_floor_lies_between_nothing_and_the_limit_and_grows_with_work(power):
    floor_w = power.encode(power.columns(SHAPES)).floor
    assert floor_w[0] > 0
    assert floor_w[-1] < device("h100").power_limit_w
    assert (np.diff(floor_w) > 0).all()


def test_energy_is_that_power_for_the_least_time(power):
    energy, timed = GemmEnergyEncoder(), GemmEncoder()
    least_us = timed.encode(timed.columns(SHAPES)).floor
    floor_w = power.encode(power.columns(SHAPES)).floor
    # W times µs is µJ.
    assert energy.encode(energy.columns(SHAPES)).floor == pytest.approx(floor_w * least_us / 1000)


@pytest.mark.parametrize(("asked_w", "limit_w"), [(400, 400), (0, 700)])
def test_the_limit_bounds_and_zero_is_the_devices_own(power, asked_w, limit_w):
    rows = SHAPES.with_columns(power_limit_w=pl.lit(asked_w))
    assert power.bound(power.columns(rows)) == pytest.approx([OVERSHOOT * limit_w] * 3)
    query = power.query(m=1, n=2, k=3, power_limit_w=asked_w, **HERE)
    assert power.bound_one(query) == pytest.approx(OVERSHOOT * limit_w)
    assert power.encode(power.columns(rows)).features[:, 0] == pytest.approx(np.log2(limit_w))


def test_a_measured_limit_is_taken_to_whole_watts_and_a_missing_one_is_the_devices(power):
    rows = SHAPES.with_columns(power_limit_w=pl.Series([499.7, None, 700.0]))
    assert power.columns(rows).numbers["power_limit_w"].tolist() == [500.0, 0.0, 700.0]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_limit_that_is_no_number_is_refused(power, wrong):
    with pytest.raises(InputError, match="power_limit_w"):
        power.columns(SHAPES.with_columns(power_limit_w=pl.lit(wrong)))


def test_a_negative_limit_is_refused(power):
    with pytest.raises(InputError, match=r"rows\[0\]\.power_limit_w: got -1"):
        power.columns(SHAPES.with_columns(power_limit_w=pl.lit(-1)))


def test_energy_under_a_cap_is_not_answered():
    with pytest.raises(InputError, match="power_limit_w"):
        GemmEnergyEncoder().columns(SHAPES.with_columns(power_limit_w=pl.lit(400)))
