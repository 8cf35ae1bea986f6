"""Torch modules as graphs: the same totals as the spaces count, and no operator without a cost."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from foretell.datasets.nb201_module import nb201_module  # noqa: E402
from foretell.datasets.network_from import network_from  # noqa: E402
from foretell.datasets.spaces.nb201 import NB201  # noqa: E402
from foretell.errors import InputError  # noqa: E402


def test_a_cells_module_and_its_graph_meet():
    """The exported module has the parameters and the operations that the space counts."""
    cell = [3, 2, 1, 4, 0, 3]
    module = nb201_module(cell)
    graph, counted = network_from(module, (torch.zeros(1, 3, 32, 32),)), NB201.network(cell)
    for kind in ("dense", "spatial", "pool", "elementwise"):
        total, expected = (
            sum(node.operations for node in each.operators if node.kind == kind) for each in (graph, counted)
        )
        assert total == expected, kind
    assert sum(weights.numel() for weights in module.parameters()) == counted.parameters


def test_a_module_keeps_its_mode():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU())
    module.train()
    network_from(module, (torch.zeros(2, 3),))
    assert module.training


def test_a_product_counts_rows_features_and_bias():
    graph = network_from(torch.nn.Linear(3, 4), (torch.zeros(2, 3),))
    node = graph.operators[-1]
    assert (node.kind, node.operations, node.parameters) == ("dense", 2 * 2 * 3 * 4 + 8, 16)
    assert node.bytes == 4 * (2 * 3 + 2 * 4 + 16)


def test_an_unknown_operator_is_an_error_by_name():
    class Sorted(torch.nn.Module):
        def forward(self, x):
            return torch.erfinv(x)

    with pytest.raises(InputError, match="erfinv"):
        network_from(Sorted(), (torch.zeros(2, 3),))


def test_edges_follow_the_data():
    class Two(torch.nn.Module):
        def forward(self, x):
            return torch.relu(x) + torch.sigmoid(x)

    graph = network_from(Two(), (torch.zeros(2, 3),))
    assert len(graph.edges) == 4
    assert np.array([node.shape == (2, 3) for node in graph.operators]).all()
