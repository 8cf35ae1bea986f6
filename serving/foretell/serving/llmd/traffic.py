"""Made-up traffic for measurements of the servers: a queue of known physics, with noise."""

from typing import Any, Final

import numpy as np

NOISE: Final = 0.1
"""Standard deviation of the logarithm of every time."""


def entries(count: int, seed: int) -> list[dict[str, Any]]:
    """Finished requests as the protocol's clients send them."""
    rng = np.random.default_rng(seed)
    tokens = rng.lognormal(6.5, 1.0, count).astype(int) + 1
    waiting = rng.poisson(1.5, count)
    running = rng.integers(0, 64, count)
    in_flight = waiting * rng.integers(200, 1500, count)
    decode = running * rng.integers(200, 2000, count)
    hit = np.round(rng.choice([0.0, 0.0, 0.5, 0.9], count), 2)
    noise = np.exp(rng.normal(0.0, NOISE, (2, count)))
    ttft_ms = (15.0 + 0.07 * (in_flight + tokens * (1.0 - hit))) * noise[0]
    tpot_ms = (11.0 + 0.1 * running + 1e-4 * decode) * noise[1]
    return [
        {
            "kv_cache_percentage": min(float(decode[row]) / 2e5, 1.0),
            "input_token_length": int(tokens[row]),
            "num_request_waiting": int(waiting[row]),
            "num_request_running": int(running[row]),
            "num_tokens_generated": 0,
            "prefix_cache_score": float(hit[row]),
            "prefill_tokens_in_flight": int(in_flight[row]),
            "decode_tokens_in_flight": int(decode[row]),
            "actual_ttft_ms": float(ttft_ms[row]),
            "actual_tpot_ms": float(tpot_ms[row]),
        }
        for row in range(count)
    ]


def requests(count: int, seed: int) -> list[dict[str, Any]]:
    """The same without what came of them."""
    return [
        {name: value for name, value in entry.items() if not name.startswith("actual_")}
        for entry in entries(count, seed)
    ]
