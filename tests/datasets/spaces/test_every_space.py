"""What holds for every search space."""

import numpy as np
import pytest

from foretell.datasets.spaces import SPACES
from foretell.datasets.spaces.base import space
from foretell.errors import InputError


@pytest.fixture(params=sorted(SPACES))
def searched(request):
    return space(request.param)


@pytest.fixture
def choices(searched):
    return searched.random(20, np.random.default_rng(0))


def test_random_architectures_are_architectures(searched, choices):
    searched.check(choices)
    assert len(choices) == 20


def test_what_is_written_is_read_back(searched, choices):
    for row in choices.tolist():
        assert searched.parse(searched.text(row)) == tuple(row)


@pytest.mark.parametrize("figure", ["operations", "parameters"])
def test_parts_add_up_to_the_graph(searched, choices, figure):
    """Tables of parts and graphs of networks are two ways to one total."""
    parts = searched.parts(choices, searched.views[0])
    each = np.array([sum(getattr(node, figure) for node in part) for part in searched.catalogue()])
    total = (parts.counts * each[parts.index]).sum(axis=1)
    if figure == "operations":
        np.testing.assert_array_equal(total, [searched.network(row).operations for row in choices.tolist()])
    else:
        assert (total > 0).all()


def test_the_graph_has_one_end(searched, choices):
    graph = searched.network(choices[0].tolist())
    read = {source for source, _ in graph.edges}
    assert graph.operators[-1].name not in read


def test_a_choice_that_does_not_exist_is_refused(searched, choices):
    choices[3, 1] = 99
    with pytest.raises(InputError, match=r"\[3\].*got 99"):
        searched.check(choices)


def test_a_missing_position_is_refused(searched, choices):
    with pytest.raises(InputError, match="rows of"):
        searched.check(choices[:, 1:])


@pytest.mark.parametrize("text", ["", "1-2", "one-two", "|none~0|"])
def test_words_that_are_no_architecture_are_refused(searched, text):
    with pytest.raises(InputError):
        searched.parse(text)


def test_an_unknown_space_is_refused():
    with pytest.raises(InputError, match="space: got 'darts'"):
        space("darts")
