"""A gated mixture of experts in plain torch: no fused kernel, one expert after the other.

The routing is drawn up before the call, as a captured graph cannot wait for it: each expert has its tokens,
evenly or by a power law. Inference engines fuse all of this; theirs are other tables.
"""

import random
from collections.abc import Callable
from typing import Any, ClassVar, Final

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.shapes import rows, width
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.moe import BALANCED, MoeQuery, skew

EXPERTS: Final = (4, 8, 8, 16, 32, 60, 64, 128)
TOP_K: Final = (1, 2, 2, 4, 6, 8)
DISTRIBUTIONS: Final = (BALANCED, "power_law_1.01", "power_law_1.2")


class TorchMoe(TorchKernels[MoeQuery]):
    """Measures mixtures of experts."""

    operator: ClassVar[str] = "moe"

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[MoeQuery]:
        """Experts as published mixtures have them, on one device."""
        experts = rng.choice(EXPERTS)
        return case_of(
            "moe",
            tokens=rows(rng, largest),
            hidden=width(rng, largest // 2, 8),
            inter=width(rng, largest // 2, 8),
            experts=experts,
            top_k=min(rng.choice(TOP_K), experts),
            distribution=rng.choice(DISTRIBUTIONS),
            dtype=dtype,
        )

    def size(self, query: MoeQuery) -> Size:
        """Three products for each expert of a token; all weights and the tokens touched once."""
        expert = 3 * query.hidden * query.inter // query.tp
        calls = query.tokens * query.top_k // query.ep
        numbers = query.experts // query.ep * expert + 2 * query.tokens * query.hidden
        return Size(2 * calls * expert, numbers * DTYPES[query.dtype].a_bytes)

    def probe(self, dtype: str, scale: int) -> KernelCase[MoeQuery]:
        """Four experts, two for each token."""
        return case_of("moe", tokens=16 * scale, hidden=128, inter=128, experts=4, top_k=2, dtype=dtype)

    def call(self, query: MoeQuery) -> Call:
        """The layer: each expert takes its tokens, and adds what it makes of them to the output."""
        own, inter, hidden = query.experts // query.ep, query.inter // query.tp, query.hidden
        shapes = (query.tokens, hidden), (own, 2 * inter, hidden), (own, hidden, inter)
        x, up, down = self.operands.inputs(query.dtype, *shapes)
        out = self.operands.output(query.dtype, (query.tokens, hidden))
        experts = [
            (self._index(start, load, query.tokens), up[number].t(), down[number].t())
            for number, (start, load) in enumerate(_dealt(loads(query)[:own]))
            if load
        ]
        return _layer(self.torch, x, experts, out)

    def _index(self, start: int, load: int, tokens: int) -> Any:
        """The next tokens in turn, beginning anew after the last."""
        torch = self.torch
        return torch.arange(start, start + load, device=self.device_type).remainder(tokens)


def loads(query: MoeQuery) -> list[int]:
    """Tokens of each expert: shares fall by a power of the expert's rank, no token comes twice to one."""
    left, given = query.tokens * query.top_k, []
    shares = [rank ** -skew(query.distribution) for rank in range(1, query.experts + 1)]
    for number, share in enumerate(shares):
        after = query.experts - number - 1
        fair = round(left * share / sum(shares[number:]))
        given.append(min(max(fair, left - after * query.tokens), query.tokens, left))
        left -= given[-1]
    return given


def _dealt(counts: list[int]) -> list[tuple[int, int]]:
    """Where each expert's tokens start, and how many they are."""
    return [(sum(counts[:number]), count) for number, count in enumerate(counts)]


def _layer(torch: Any, x: Any, experts: list[tuple[Any, Any, Any]], out: Any) -> Callable[[], object]:
    def call() -> object:
        out.zero_()
        for index, up, down in experts:
            gate, value = torch.mm(x[index], up).chunk(2, dim=1)
            out.index_add_(0, index, torch.mm(torch.nn.functional.silu(gate) * value, down))
        return out

    return call
