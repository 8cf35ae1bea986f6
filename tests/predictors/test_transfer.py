"""Intervals for hardware that nobody measured: judged in the units in which they are used."""

import numpy as np
import pytest

from foretell.features.gemm import GemmEncoder
from foretell.predictors.kinship import origin
from foretell.predictors.transfer import Sample, Transfer

LEVELS = (0.05, 0.95)


@pytest.fixture(scope="module")
def sample(measure):
    rows = measure(("h100", "l40s", "a100_80", "b200", "rtx_5090"), sites=12)
    encoder = GemmEncoder().fit(rows)
    batch = encoder.columns(rows.drop("latency_us"))
    features, floor = encoder.encode(batch)
    return Sample(features, floor, rows["latency_us"].to_numpy(), batch.codes, [*map(origin, batch.places)])


def test_a_family_left_out_is_covered(sample):
    kins = sample.kins()
    out = kins == "ampere"
    model = Transfer.fit(sample.take(~out), GemmEncoder.names, GemmEncoder.extent, 0)
    held = sample.take(out)
    known = model.known(held.origins[0])
    log_us, size, _ = model.predict(held.features, held.floor, known)
    low, high = model.interval(known).at(LEVELS)
    miss = np.log(held.label) - log_us
    # Nominal 90 %; rows of one device err together, so that one device may lie well off it, but not by half.
    assert np.mean((low * size <= miss) & (miss <= high * size)) > 0.6


def test_the_interval_is_as_far_to_either_side(sample):
    model = Transfer.fit(sample, GemmEncoder.names, GemmEncoder.extent, 0)
    assert model.quantiles.shape[0] == 2
    np.testing.assert_allclose(model.quantiles, -model.quantiles[:, ::-1], rtol=1e-12)
    assert (np.diff(model.quantiles, axis=1) >= 0).all()


def test_with_one_family_the_booster_has_no_say(sample):
    one = sample.take(sample.kins() == "hopper")
    model = Transfer.fit(one, GemmEncoder.names, GemmEncoder.extent, 0)
    known = model.known(one.origins[0])
    log_us, _ = model.sized(one.features, one.floor, known)
    silent = Transfer.fit(one, GemmEncoder.names, GemmEncoder.extent, 1)
    # Another seed grows other trees; the physics is the same.
    np.testing.assert_array_equal(silent.sized(one.features, one.floor, known)[0], log_us)
