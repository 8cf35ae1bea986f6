"""Causal attention with grouped heads, a window and a cache of keys and values."""

from typing import ClassVar, Literal

from foretell.datasets.operators.fields import Amount, Check, Checked, Dimension

Phase = Literal["context", "generation"]
CacheDtype = Literal["float32", "float16", "bfloat16", "fp8", "int8", "nvfp4"]


class AttentionQuery(Checked, frozen=True):
    """Attention of `new_tokens` to themselves and to `past_tokens` in the cache, in each sequence of a batch.

    In the phase ``context`` a prompt is read, in ``generation`` one token is added to each sequence. Each
    token attends to those up to itself, to the last `window` of them where that is not 0.
    """

    checks: ClassVar[tuple[Check, ...]] = (
        Check("heads", lambda q: q.heads % q.kv_heads == 0, "a multiple of kv_heads"),
        Check(
            "new_tokens",
            lambda q: (q.phase != "generation") | (q.new_tokens == 1),
            "1, as generation adds one token to each sequence",
        ),
        Check(
            "past_tokens",
            lambda q: (q.phase != "generation") | (q.past_tokens >= 1),
            "1 at least, as generation follows a prompt",
        ),
        Check(
            "window",
            lambda q: q.window <= q.past_tokens + q.new_tokens,
            "no more than the sequence, past_tokens + new_tokens; 0 for all of it",
        ),
    )
    table: ClassVar[tuple[str, ...]] = ("phase", "kv_dtype")
    site: ClassVar[tuple[str, ...]] = ("heads", "kv_heads", "head_dim")

    phase: Phase
    batch: Dimension
    new_tokens: Dimension
    past_tokens: Amount
    heads: Dimension
    kv_heads: Dimension
    head_dim: Dimension
    kv_dtype: CacheDtype
    window: Amount = 0
