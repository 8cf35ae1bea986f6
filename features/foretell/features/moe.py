"""The encoder of mixtures of experts: grouped products of the tokens that each expert gets."""

from typing import Any, ClassVar, Final, NamedTuple

from foretell.datasets.device import DeviceFigures
from foretell.datasets.operators.fields import Placed
from foretell.datasets.operators.moe import MoeQuery, skew
from foretell.features.kernel import KernelEncoder, Physics
from foretell.features.physics import (
    MACHINE_NAMES,
    WAVE_NAMES,
    Machine,
    Operations,
    floor_us,
    machine_features,
    wave_features,
)
from foretell.features.places import Traits

TILES: Final = ((16, 128), (64, 128), (128, 128), (64, 256))
"""Tiles (tokens, channels) of one expert's products."""
ROW_TILES: Final = (8, 16, 64, 128)
EXTENT: Final = 8
NAMES: Final = (
    "log_tokens", "log_hidden", "log_inter", "log_experts", "log_top_k", "log_share",
    "log_operations", "log_bytes",
    "log_intensity", "log_floor_us", "log_compute_over_memory", "log_tp", "log_ep", "log_local",
    "log_active", "log_active_over_local", "log_assignments", "log_inner", "log_weights",
    "log_weights_over_cache", "log_sums_over_cache", "log_expert_bytes", "log_held",
    "log_sum_us", "log_sum_share",
    *(f"{name}_{product}_{rows}x{columns}" for product in ("up", "down") for rows, columns in TILES
      for name in WAVE_NAMES),
    *(f"row_fill_{rows}" for rows in ROW_TILES),
    "inner_mod_64", "inner_mod_128", "hidden_mod_128", "hidden_mod_256", "tokens_mod_16", "tokens_mod_64",
    *MACHINE_NAMES, "a_bytes", "b_bytes", "skew",
)  # fmt: skip


class Load(NamedTuple):
    """What the busiest GPU has to do, where choices are dealt to the GPUs and their experts in turn.

    Attributes:
        assignments: pairs of a token and one of its experts that lives here.
        local: experts that live here.
        active: those of them that get a token.
        inner: channels between up and down that live here.
    """

    assignments: Any
    local: Any
    active: Any
    inner: Any

    def operations(self, hidden: Any) -> Any:
        """Of the three products; the activation between them is not counted."""
        return 6.0 * self.assignments * hidden * self.inner

    def weights(self, hidden: Any) -> Any:
        """Elements of the weights that are read."""
        return 3.0 * self.active * hidden * self.inner


def load(query: Any, ops: Operations) -> Load:
    """The load of a query."""
    assignments, local = ops.ceil(query.tokens * query.top_k / query.ep), query.experts // query.ep
    return Load(assignments, local, ops.least(local, assignments), query.inter // query.tp)


class Values(NamedTuple):
    """Elements of the activations; every GPU gets all tokens and keeps a row for each of their choices.

    Attributes:
        read: of the tokens.
        results: of all choices, written by the products and read to be summed.
        sums: of the tokens, written at the end.
    """

    read: Any
    results: Any
    sums: Any


def values(query: Any) -> Values:
    """The activations of a query."""
    tokens = 1.0 * query.tokens * query.hidden
    return Values(tokens, tokens * query.top_k, tokens)


class MoeEncoder(KernelEncoder):
    """Rows of `kernel` with the operator moe."""

    query: ClassVar[type[Placed]] = MoeQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Exponent of the power law by which tokens choose experts."""
        del figures, dtype
        (distribution,) = own
        return (skew(distribution),)

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Weights of the experts that are active, and the waves of their products."""
        q, (log2, ceil, *_), hidden = query, ops, query.hidden
        here = load(q, ops)
        share, inner = here.assignments / here.active, here.inner
        expert_bytes = 3.0 * hidden * inner * machine.b_bytes
        weight_bytes = machine.b_bytes * here.weights(hidden)
        read, results, sums = values(q)
        sum_bytes = machine.c_bytes * (2.0 * results + sums)
        held = expert_bytes * here.local + machine.a_bytes * read + machine.c_bytes * (results + sums)
        operations, moved = here.operations(hidden), weight_bytes + machine.a_bytes * read
        # The sum over a token's experts waits for the products.
        sum_us = 1e6 * sum_bytes / machine.bandwidth
        least_us = floor_us(operations, moved, machine, ops) + sum_us
        log_operations, log_bytes = log2(operations), log2(moved)
        log_memory, log_compute = log_bytes - machine.log_bandwidth, log_operations - machine.log_peak
        log_local, log_active, log_weights = log2(here.local), log2(here.active), log2(weight_bytes)
        features = [
            log2(q.tokens), log2(hidden), log2(q.inter), log2(q.experts), log2(q.top_k), log2(share),
            log_operations, log_bytes,
            log_operations - log_bytes, log2(least_us), log_compute - log_memory, log2(q.tp), log2(q.ep),
            log_local, log_active, log_active - log_local, log2(here.assignments), log2(inner), log_weights,
            log_weights - machine.log_cache, log2(sum_bytes) - machine.log_cache, log2(expert_bytes),
            log2(held), log2(sum_us), log2(sum_us / least_us),
        ]  # fmt: skip
        for columns in (2 * inner, hidden):
            tiles = (here.active * ceil(share / rows) * ceil(columns / wide) for rows, wide in TILES)
            features += wave_features(tiles, machine, ops)
        features += (ceil(share / rows) * rows / share for rows in ROW_TILES)
        features += (inner % 64, inner % 128, hidden % 128, hidden % 256, q.tokens % 16, q.tokens % 64)
        features += machine_features(machine)
        features += (machine.a_bytes, machine.b_bytes, *traits)
        return features, least_us, held
