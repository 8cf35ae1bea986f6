"""NAS-Bench-201's published figures, and what a compiler leaves out."""

import numpy as np

from foretell.datasets.spaces.nb201 import NB201, connected, executed

NONE, SKIP, CONV1, CONV3, POOL = range(5)


def test_the_heaviest_network_has_the_published_operations_and_parameters():
    """220.12 M multiply-adds in convolutions and the last layer, 1.531 M parameters (Dong and Yang, 2020)."""
    graph = NB201.network([CONV3] * 6)
    products = sum(node.operations for node in graph.operators if node.kind in ("dense", "spatial"))
    assert round(products / 2e6, 2) == 220.12
    assert round(graph.parameters / 1e6, 3) == 1.532


def test_cells_that_lead_nowhere_are_told():
    cells = np.array(
        [[NONE] * 6, [CONV3, NONE, CONV3, NONE, NONE, NONE], [NONE, NONE, NONE, SKIP, NONE, NONE]]
    )
    assert connected(cells).tolist() == [False, False, True]


def test_341_of_all_cells_lead_nowhere():
    """As many as the published table has without a latency that means anything."""
    cells = np.stack(np.meshgrid(*[np.arange(5)] * 6, indexing="ij"), axis=-1).reshape(-1, 6)
    assert (~connected(cells)).sum() == 341


def test_a_sum_that_nobody_reads_is_dropped_with_what_only_it_needs():
    cell = np.array([[CONV3, CONV3, CONV3, SKIP, NONE, NONE]])
    assert executed(cell, "all").all()
    assert executed(cell, "pruned").tolist() == [[False, False, False, True, True, False]]


def test_a_node_that_something_else_reads_stays():
    cell = np.array([[CONV3, CONV3, CONV3, SKIP, POOL, NONE]])
    assert executed(cell, "pruned")[0, 0]


def test_random_cells_are_connected():
    assert connected(NB201.random(100, np.random.default_rng(0))).all()
