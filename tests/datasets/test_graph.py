"""A network's graph refuses what is no graph, and operators whose cost nobody knows."""

import pytest

from foretell.datasets.graph import Network, Operator, conv, elementwise
from foretell.errors import InputError

IMAGE = Operator("image", "free", (), (1, 3, 8, 8), 0, 0)


def node(name, *inputs):
    return elementwise(name, inputs, (1, 3, 8, 8))


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ((), "no operators"),
        ((IMAGE, node("a", "b"), node("b", "a")), "a graph without cycles"),
        ((node("a", "a"),), "a graph without cycles"),
        ((IMAGE, node("a", "image"), node("a", "image")), "each operator's name once"),
        ((node("a", "ghost"),), "inputs of a: got 'ghost'"),
    ],
)
def test_what_is_no_graph_is_refused(operators, message):
    with pytest.raises(InputError, match=message):
        Network(operators)


def test_an_operator_without_a_known_cost_is_refused():
    with pytest.raises(InputError, match="operator mystery: got 0, expected a known cost"):
        Operator("mystery", "dense", ("image",), (1, 3), 0, 0)


def test_an_operator_of_no_class_is_refused():
    with pytest.raises(InputError, match="operator mystery: got 'quantum'"):
        Operator("mystery", "quantum", ("image",), (1, 3), 1, 1)


def test_a_convolution_counts_each_product_twice():
    each = conv("c", ("image",), (2, 8, 4, 4), 6, 8, kernel=3, groups=2)
    # 3 x 3 window, 6 / 2 channels, 8 outputs, 16 places, 2 images, multiply and add
    assert each.operations == 2 * 9 * 3 * 8 * 16 * 2
    assert each.parameters == 9 * 3 * 8
    assert each.bytes == 4 * (2 * 6 * 64 + 2 * 8 * 16 + 9 * 3 * 8)


def test_edges_lead_from_source_to_reader():
    assert Network((IMAGE, node("a", "image"))).edges == [("image", "a")]
