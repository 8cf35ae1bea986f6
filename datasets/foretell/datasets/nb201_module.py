"""NAS-Bench-201 architectures as torch modules, to run what the space only counts."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from foretell.datasets.spaces.nb201 import CELLS, CLASSES, EDGES, NB201, OPERATIONS, STAGES


def nb201_module(choices: Sequence[int]) -> nn.Module:
    """The whole network of a cell, with random weights, for images of shape (batch, 3, 32, 32).

    Raises:
        InputError: no cell of the space.
    """
    NB201.check(torch.tensor([list(choices)]).numpy())
    channels = STAGES[0][0]
    layers: list[nn.Module] = [nn.Conv2d(3, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels)]
    for stage, (width, _) in enumerate(STAGES):
        if stage:
            layers.append(Residual(STAGES[stage - 1][0]))
        layers += [Cell(choices, width) for _ in range(CELLS)]
    width = STAGES[-1][0]
    head = [
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, CLASSES),
    ]
    return nn.Sequential(*layers, *head)


class Zero(nn.Module):
    """Gives zeros, and takes the time to."""

    def forward(self, x: Tensor) -> Tensor:
        """Zeros in the shape of `x`."""
        return x * 0.0


class Cell(nn.Module):
    """Node j sums what the edges from the nodes before it give."""

    def __init__(self, choices: Sequence[int], channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_edge(OPERATIONS[code], channels) for code in choices)

    def forward(self, x: Tensor) -> Tensor:
        """The last node."""
        nodes = [x]
        for node in range(1, 4):
            terms = [
                edge(nodes[start])
                for (start, end), edge in zip(EDGES, self.edges, strict=True)
                if end == node
            ]
            total = terms[0]
            for term in terms[1:]:
                total = total + term
            nodes.append(total)
        return nodes[-1]


class Residual(nn.Module):
    """Halves the side and doubles the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            *_relu_conv_norm(channels, 2 * channels, 3, stride=2),
            *_relu_conv_norm(2 * channels, 2 * channels, 3),
        )
        self.down = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, 2 * channels, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Both paths added."""
        total: Tensor = self.path(x) + self.down(x)
        return total


def _relu_conv_norm(channels: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [nn.ReLU(), conv, nn.BatchNorm2d(outputs)]


def _edge(operation: str, channels: int) -> nn.Module:
    if operation == "none":
        return Zero()
    if operation == "skip_connect":
        return nn.Identity()
    if operation == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1)
    return nn.Sequential(*_relu_conv_norm(channels, channels, 3 if operation == "nor_conv_3x3" else 1))
