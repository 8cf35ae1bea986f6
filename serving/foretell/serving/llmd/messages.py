"""What the protocol's clients send and are told. Fields that are not known here are passed over."""

from datetime import datetime
from typing import Annotated, Final

import msgspec

MOST_ROWS: Final = 10_000
MODEL_TYPE: Final = "lightgbm"
MAX_MS: Final = 1e9

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0.0, le=MAX_MS)]
Pool = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Za-z0-9._-]*$")]


class Request(msgspec.Struct, gc=False):
    """The state of one server for one request that may go there.

    Attributes:
        kv_cache_percentage: a fraction, despite the name.
        input_token_length: prompt tokens.
        num_request_waiting: queued at the server.
        num_request_running: in its batch.
        num_tokens_generated: by the request so far.
        prefix_cache_score: share of the prompt in the server's cache.
        pod_type: ``prefill``, ``decode``, or anything else for a server that does both.
        prefill_tokens_in_flight: prompt tokens of requests ahead.
        decode_tokens_in_flight: tokens of running requests.
        encoder_matched_size: multimodal input in a cache.
        encoder_input_size: multimodal input.
        pool: servers alike share a pool; each pool has its own models.
    """

    kv_cache_percentage: Share
    input_token_length: Count
    num_request_waiting: Count
    num_request_running: Count
    num_tokens_generated: Count
    prefix_cache_score: Share
    pod_type: str | None = ""
    prefill_tokens_in_flight: Count = 0
    decode_tokens_in_flight: Count = 0
    encoder_matched_size: Count = 0
    encoder_input_size: Count = 0
    pool: Pool = ""


class Entry(Request, gc=False, kw_only=True):
    """A finished request: the state that it met, and what came of it.

    Attributes:
        actual_ttft_ms: time to its first token; 0 where there was none.
        actual_tpot_ms: time per further output token; 0 where there was none.
        timestamp: when, by the client's clock.
    """

    actual_ttft_ms: Milliseconds
    actual_tpot_ms: Milliseconds
    timestamp: datetime | None = None


class Bulk(msgspec.Struct):
    """Requests of a bulk call."""

    requests: Annotated[list[Request], msgspec.Meta(min_length=1, max_length=MOST_ROWS)]


class RawBulk(msgspec.Struct):
    """The same, each still to be read."""

    requests: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=MOST_ROWS)]


class Entries(msgspec.Struct):
    """Finished requests of a call."""

    entries: list[Entry]


class Flush(msgspec.Struct):
    """What to forget."""

    flush_training_data: bool = True
    flush_test_data: bool = True
    flush_metrics: bool = True
    reason: str | None = None


class Prediction(msgspec.Struct, gc=False):
    """One answer.

    Attributes:
        ttft_ms: time to the first token.
        tpot_ms: time per further output token.
        ttft_uncertainty: half the width of the bounds, in standard deviations of a normal error.
        tpot_uncertainty: likewise.
        ttft_prediction_bounds: the quantiles at 1 - `quantile` and at `quantile`.
        tpot_prediction_bounds: likewise.
        predicted_at: when.
        model_type: of boosted trees.
        objective_type: ``mean``, or ``quantile`` where the times are that quantile.
        quantile: see above.
        last_model_load: when the models came into use.
    """

    ttft_ms: float
    tpot_ms: float
    ttft_uncertainty: float
    tpot_uncertainty: float
    ttft_prediction_bounds: tuple[float, float]
    tpot_prediction_bounds: tuple[float, float]
    predicted_at: str
    model_type: str
    objective_type: str
    quantile: float
    last_model_load: str | None


class BulkAnswer(msgspec.Struct):
    """Answers in the order of the requests."""

    predictions: list[Prediction]
    total_requests: int
    successful_predictions: int
    failed_predictions: int
    processing_time_ms: float


class Failure(msgspec.Struct):
    """A request that could not be read."""

    index: int
    error: str
    request: msgspec.Raw


class LenientAnswer(msgspec.Struct):
    """Answers in the order of the requests, null where one failed."""

    predictions: list[Prediction | None]
    errors: list[Failure]
    total_requests: int
    successful_predictions: int
    failed_predictions: int
    processing_time_ms: float
