"""The kind `request`: one LLM request, the state of its server when it arrived, and how long it took.

A null says that whoever recorded the row could not know. Prompt tokens in flight are those of requests ahead
whose first token is still to come.
"""

from typing import Final

import dataframely as dy
import polars as pl

VERSION: Final = 1
ROLES: Final = ("", "prefill", "decode")
"""What a server does: both phases, or one of them."""
MAX_TOKENS: Final = 2**63 - 1
MAX_MS: Final = 1e9
"""Eleven days: longer is a slip of units."""


class Request(dy.Schema):
    """Finished requests. Units are in the names; tokens and requests are counts."""

    pool = dy.String(description="what shares an engine, a model and a GPU; may be empty")
    server = dy.String(nullable=True)
    model = dy.String(nullable=True)
    device = dy.String(nullable=True)
    arrived_at = dy.Datetime(nullable=True, time_unit="us", time_zone="UTC")
    recorded_at = dy.Datetime(time_unit="us", time_zone="UTC")
    role = dy.String(check=lambda c: c.is_in(ROLES))
    input_tokens = dy.Int64(min=0)
    output_tokens = dy.Int64(nullable=True, min=0, description="all that the request generated")
    generated_tokens = dy.Int64(nullable=True, min=0, description="generated when the state was taken")
    prefix_hit = dy.Float64(nullable=True, min=0.0, max=1.0, description="share of the prompt in a cache")
    encoder_tokens = dy.Int64(nullable=True, min=0, description="image tokens that no cache holds")
    waiting = dy.Int64(nullable=True, min=0)
    running = dy.Int64(nullable=True, min=0)
    kv_fraction = dy.Float64(nullable=True, min=0.0, max=1.0)
    prefill_tokens = dy.Int64(nullable=True, min=0, description="prompt tokens in flight")
    decode_tokens = dy.Int64(nullable=True, min=0, description="tokens of running requests in the cache")
    ttft_ms = dy.Float64(nullable=True, min=0.0, max=MAX_MS)
    tpot_ms = dy.Float64(nullable=True, min=0.0, max=MAX_MS, description="null without a second token")
    e2e_ms = dy.Float64(nullable=True, min=0.0, max=MAX_MS)
    origin = dy.String(min_length=1, description="what recorded the row")

    @dy.rule()
    def says_how_long_it_took(cls) -> pl.Expr:
        """A row without any time teaches nothing."""
        return pl.any_horizontal(pl.col("ttft_ms", "tpot_ms", "e2e_ms").is_not_null())
