"""The encoder of attention: what is attended to, and how it is spread over the cores."""

from typing import Any, ClassVar, Final

from foretell.datasets.device import DeviceFigures
from foretell.datasets.dtypes import DTYPES
from foretell.datasets.operators.attention import AttentionQuery
from foretell.datasets.operators.fields import Placed
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

TILINGS: Final = (
    "heads_64", "heads_128", "groups_64", "groups_128", "chunks_128", "chunks_512", "chunks_2048",
)  # fmt: skip
"""What a core may take: 64 or 128 queries of a head or of a group of heads, or a chunk of one's keys."""
ARITHMETIC: Final = 1.5
"""Times the peak rate's time that arithmetic takes in good attention kernels."""
EXTENT: Final = 8
NAMES: Final = (
    "log_batch", "log_new", "log_sequence", "log_heads", "log_kv_heads", "log_head_dim",
    "log_operations", "log_bytes",
    "log_intensity", "log_floor_us", "log_compute_over_memory", "log_past", "log_window", "log_keys",
    "log_group", "log_touched", "log_cache_bytes", "log_cache_over_cache", "log_bytes_over_cache",
    "log_pairs", "log_longest_us", "log_longest_over_floor", "window_share", "unwindowed",
    "log_paced_us", "log_paced_over_floor",
    *(f"{name}_{tiling}" for tiling in TILINGS for name in WAVE_NAMES),
    "new_fill_64", "new_fill_128", "group_fill_8", "group_fill_64", "keys_fill_64", "keys_fill_128",
    "new_mod_64", "sequence_mod_64", "sequence_mod_128", "group_mod_8", "heads", "head_dim",
    *MACHINE_NAMES, "a_bytes", "kv_bytes", "generation",
)  # fmt: skip


class AttentionEncoder(KernelEncoder):
    """Rows of `kernel` with the operator attention."""

    query: ClassVar[type[Placed]] = AttentionQuery
    names: ClassVar[tuple[str, ...]] = NAMES
    extent: ClassVar[int] = EXTENT

    @staticmethod
    def traits(figures: DeviceFigures, dtype: str, *own: Any) -> Traits:
        """Bytes of a value in the cache, and 1 in the phase generation."""
        del figures, dtype
        phase, kv_dtype = own
        return DTYPES[kv_dtype].a_bytes, float(phase == "generation")

    @staticmethod
    def physics(query: Any, machine: Machine, traits: Traits, ops: Operations) -> Physics:
        """Pairs that are attended to, the cache that is read, tiles of queries and chunks of keys."""
        q, (log2, ceil, least, _), (kv_bytes, generation) = query, ops, traits
        new, sequence = q.new_tokens, q.past_tokens + q.new_tokens
        window = q.window + (q.window == 0) * sequence
        pairs, touched = attended_pairs(q, ops), touched_keys(q, ops)
        operations = attention_operations(q, ops)
        cache_bytes = 2.0 * q.batch * q.kv_heads * q.head_dim * kv_bytes
        own_bytes = (machine.a_bytes + machine.c_bytes) * q.batch * q.heads * q.head_dim * new
        moved = own_bytes + cache_bytes * touched
        least_us = floor_us(operations, moved, machine, ops)
        log_operations, log_bytes, log_floor = log2(operations), log2(moved), log2(least_us)
        log_memory, log_compute = log_bytes - machine.log_bandwidth, log_operations - machine.log_peak
        log_cache_bytes = log2(cache_bytes * touched)
        group, keys, longest = q.heads / q.kv_heads, pairs / new, least(window, sequence)
        # A core's share of either rate, on the queries of one tile or on the keys of one group.
        tile_us = 4.0 * least(new * group, 128.0) * longest * q.head_dim / (machine.flops / machine.cores)
        keys_us = 2.0 * longest * q.head_dim * kv_bytes / (machine.bandwidth / machine.cores)
        log_longest = log2(1e6 * ops.most(tile_us, keys_us))
        paced_us = _streamed_us(operations, moved, machine) + _dispatched_us(
            q, longest, generation, machine, ops
        )
        log_paced = log2(paced_us)
        features = [
            log2(q.batch), log2(new), log2(sequence), log2(q.heads), log2(q.kv_heads), log2(q.head_dim),
            log_operations, log_bytes,
            log_operations - log_bytes, log_floor, log_compute - log_memory, log2(q.past_tokens + 1.0),
            log2(window), log2(keys), log2(group), log2(touched), log_cache_bytes,
            log_cache_bytes - machine.log_cache, log_bytes - machine.log_cache,
            log2(pairs), log_longest, log_longest - log_floor, window / sequence, (q.window == 0) * 1.0,
            log_paced, log_paced - log_floor,
        ]  # fmt: skip
        units, groups = q.batch * q.heads, q.batch * q.kv_heads
        rows = groups * ceil(new * group / 128)
        tilings = (
            units * ceil(new / 64), units * ceil(new / 128), groups * ceil(new * group / 64), rows,
            rows * ceil(longest / 128), rows * ceil(longest / 512), rows * ceil(longest / 2048),
        )  # fmt: skip
        features += wave_features(tilings, machine, ops)
        features += (
            ceil(new / 64) * 64 / new, ceil(new / 128) * 128 / new,
            ceil(group / 8) * 8 / group, ceil(new * group / 64) * 64 / (new * group),
            ceil(longest / 64) * 64 / longest, ceil(longest / 128) * 128 / longest,
            new % 64, sequence % 64, sequence % 128, group % 8, q.heads, q.head_dim,
        )  # fmt: skip
        features += machine_features(machine)
        features += (machine.a_bytes, kv_bytes, generation)
        return features, paced_us, own_bytes + cache_bytes * sequence


def _streamed_us(operations: Any, moved: Any, machine: Machine) -> Any:
    """Memory, then arithmetic, µs: more than the roofline, and nearer to what kernels reach."""
    return 1e6 * (moved / machine.bandwidth + ARITHMETIC * operations / machine.flops)


def _dispatched_us(query: Any, longest: Any, generation: Any, machine: Machine, ops: Operations) -> Any:
    """What it takes to hand tiles to cores and to walk along the keys of the longest one, µs.

    The figures of a tile were read off tables of four GPUs and three generations, which agree on them to
    within a factor of two; with this in the floor what models learn is flat where it was steep.
    """
    q, ceil, cores = query, ops.ceil, machine.cores
    units, width = q.batch * q.heads / cores, q.head_dim / 128
    tiles = units * ceil(q.new_tokens / 128)
    context = 1.2 * ceil(units * ceil(q.new_tokens / 64)) + ceil(tiles) + 0.2 * tiles * width
    context += 0.3 * ceil(q.new_tokens / 128) * width + 2.5e-3 * longest
    decode = ceil(q.batch * q.kv_heads / cores) + 0.1 * units * (1.0 + width) + 1e-4 * longest
    walked = (1e-6 * generation + 1.5e-5 * (1.0 - generation)) * units * attended_pairs(q, ops)
    return generation * decode + (1.0 - generation) * context + walked


def attended_pairs(query: Any, ops: Operations) -> Any:
    """Pairs of a query and a key that it attends to, in one head of one sequence: causal, within the window.

    The query of token i of `new_tokens` sees past_tokens + i + 1 keys, and `window` of them at most.
    """
    past, new = query.past_tokens, query.new_tokens
    window = query.window + (query.window == 0) * (past + new)
    growing = ops.least(ops.most(window - past, 0), new)
    return growing * past + growing * (growing + 1) / 2 + (new - growing) * window


def touched_keys(query: Any, ops: Operations) -> Any:
    """Keys of one sequence that some query attends to."""
    sequence = query.past_tokens + query.new_tokens
    window = query.window + (query.window == 0) * sequence
    return ops.least(sequence, query.new_tokens + window - 1)


def attention_operations(query: Any, ops: Operations) -> Any:
    """Of both products, queries by keys and weights by values; the softmax between them is not counted."""
    return 4.0 * query.batch * query.heads * query.head_dim * attended_pairs(query, ops)
