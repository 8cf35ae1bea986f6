"""Features of architectures: additive, centred, and exact for made-up devices."""

import numpy as np
import pytest

from foretell.datasets.graph import Operator
from foretell.datasets.spaces import SPACES
from foretell.datasets.spaces.base import space
from foretell.features.architecture import Basis
from foretell.features.roofline_devices import BYTES_PER_S, DEVICES, times_s


@pytest.fixture(scope="module", params=sorted(SPACES))
def basis(request):
    return Basis.of(space(request.param))


@pytest.fixture
def choices(basis):
    return space(basis.name).random(12, np.random.default_rng(1))


def test_made_up_devices_need_what_the_graph_needs(basis, choices):
    """The table of parts gives what a plain loop over the graph's operators gives."""
    searched = space(basis.name)
    weights = basis.virtual()
    found = basis.encode(choices, searched.views[0]) @ weights.T
    slow = times_s([searched.network(row).operators for row in choices.tolist()]) / basis.virtual_mean
    # Ten directions leave out under 3 % of any made-up device.
    np.testing.assert_allclose(found, slow, atol=0.03)


def test_features_of_a_row_do_not_depend_on_the_others(basis, choices):
    view = space(basis.name).views[-1]
    np.testing.assert_allclose(basis.encode(choices, view)[3:4], basis.encode(choices[3:4], view), atol=1e-12)


def test_no_feature_is_missing_from_the_blocks(basis, choices):
    columns = basis.encode(choices, space(basis.name).views[0]).shape[1]
    covered = [column for block in basis.blocks for column in range(block.start, block.stop)]
    assert covered == list(range(columns))


def test_a_launch_is_the_least_an_operator_takes():
    tiny = Operator("tiny", "dense", (), (1,), 1, 4)
    free = Operator("view", "free", (), (1,), 0, 0)
    seconds = times_s([[tiny], [free], []])
    for column, (launch_s, *_) in enumerate(DEVICES):
        assert seconds[0, column] == pytest.approx(max(launch_s, 4 / BYTES_PER_S))
    assert (seconds[1:] == 0).all()
