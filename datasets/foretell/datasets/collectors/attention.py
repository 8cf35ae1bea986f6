"""Causal attention through torch's ``scaled_dot_product_attention``, with grouped heads.

A prompt attends causally, to what is in the cache whole. torch chooses the kernel (flash, memory-efficient,
cuDNN or plain). It has no window but as a full mask, which no engine would use: such cases fail and say so.
"""

import random
from functools import partial
from typing import Any, ClassVar, Final

from foretell.datasets.collectors.cases import KernelCase, Size, case_of
from foretell.datasets.collectors.kernels import TorchKernels
from foretell.datasets.collectors.shapes import rows
from foretell.datasets.collectors.timing import Call
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.attention import AttentionQuery
from foretell.errors import UnavailableError

HEAD_DIMS: Final = (32, 64, 64, 80, 96, 128, 128, 128, 192, 256)
"""As transformers have them; the usual ones come more often."""
GROUPS: Final = (1, 1, 2, 4, 7, 8, 16)
"""Query heads that share one key-value head."""
CACHED: Final = 0.2
"""Share of prompts of which a part is in the cache."""


class TorchAttention(TorchKernels[AttentionQuery]):
    """Measures attention of prompts and of single tokens."""

    operator: ClassVar[str] = "attention"

    def draw(self, rng: random.Random, dtype: str, largest: int) -> KernelCase[AttentionQuery]:
        """Prompts and single tokens in turn by chance, with heads as transformers have them."""
        kv_heads = rng.choice((1, 2, 4, 8, 16, 32, rng.randint(1, 40)))
        tokens = {"phase": "generation", "new_tokens": 1, "past_tokens": rows(rng, largest)}
        if rng.random() < 0.5:
            past = rows(rng, largest) if rng.random() < CACHED else 0
            tokens = {"phase": "context", "new_tokens": rows(rng, largest), "past_tokens": past}
        return case_of(
            "attention",
            batch=rows(rng, largest // 32),
            heads=kv_heads * rng.choice(GROUPS),
            kv_heads=kv_heads,
            head_dim=rng.choice(HEAD_DIMS),
            dtype=dtype,
            kv_dtype=dtype,
            **tokens,
        )

    def size(self, query: AttentionQuery) -> Size:
        """Scores and values of each pair of tokens; queries, keys, values and the result touched once."""
        pairs = query.new_tokens * (query.past_tokens + (query.new_tokens + 1) / 2)
        numbers = 2 * query.heads * query.new_tokens
        numbers += 2 * query.kv_heads * (query.past_tokens + query.new_tokens)
        each = query.batch * query.head_dim
        return Size(4 * pairs * each * query.heads, numbers * each * DTYPES[query.dtype].a_bytes)

    def probe(self, dtype: str, scale: int) -> KernelCase[AttentionQuery]:
        """A prompt of 64 tokens and more."""
        return case_of(
            "attention", phase="context", batch=1, new_tokens=64 * scale, past_tokens=0, heads=4, kv_heads=4,
            head_dim=64, dtype=dtype, kv_dtype=dtype,
        )  # fmt: skip

    def call(self, query: AttentionQuery) -> Call:
        """Attention on operands of [batch, heads, tokens, head_dim]."""
        if query.window:
            raise UnavailableError("torch has no attention with a window but by a full mask")
        if query.kv_dtype != query.dtype:
            raise UnavailableError(f"torch has no attention in {query.dtype} to a cache in {query.kv_dtype}")
        total = query.past_tokens + query.new_tokens
        q, k, v = self.operands.inputs(
            query.dtype,
            (query.batch, query.heads, query.new_tokens, query.head_dim),
            *[(query.batch, query.kv_heads, total, query.head_dim)] * 2,
        )
        attend = self.torch.nn.functional.scaled_dot_product_attention
        return partial(attend, q, k, v, enable_gqa=query.heads != query.kv_heads, **self._causal(query))

    def _causal(self, query: AttentionQuery) -> dict[str, Any]:
        """What says that a token attends to those up to its own: torch's flag counts from the first key."""
        if query.new_tokens == 1:
            return {}
        if query.past_tokens == 0:
            return {"is_causal": True}
        from torch.nn.attention.bias import causal_lower_right  # noqa: PLC0415 (heavy)

        return {"attn_mask": causal_lower_right(query.new_tokens, query.past_tokens + query.new_tokens)}
