"""``POST /v1/predict/{target}``: the one route whose microseconds count, so it is plain ASGI."""

from typing import Final

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.types import Receive, Scope, Send

from foretell.serving.champions import Champion, Champions
from foretell.serving.http import ARROW, JSON, Headers, body_of, reply
from foretell.serving.messages import Answer
from foretell.serving.metrics import Metrics
from foretell.serving.options import Options
from foretell.serving.refusals import MediaTypeError

PREFIX: Final = "/v1/predict/"
_encode: Final = msgspec.json.Encoder().encode


class Predict:
    """Answers for rows.

    Args:
        champions: the models.
        metrics: counts rows.
        options: limits.
    """

    def __init__(self, champions: Champions, metrics: Metrics, options: Options) -> None:
        self._champions = champions
        self._metrics = metrics
        self._options = options
        self._limiter = CapacityLimiter(options.threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, answer, send."""
        champion = self._champions.find(scope["path"][len(PREFIX) :])
        headers: Headers = dict(scope["headers"])
        form = media_type_of(headers)
        to_arrow = ARROW in headers.get(b"accept", b"").lower()
        body = await body_of(headers, receive, self._options.max_body_bytes)
        asked = (champion, form, body, scope["query_string"], to_arrow)
        if len(body) > self._options.thread_body_bytes:
            content = await to_thread.run_sync(self._answer, *asked, limiter=self._limiter)
        else:
            content = self._answer(*asked)
        await reply(send, 200, ARROW if to_arrow else JSON, content)

    def _answer(
        self, champion: Champion, form: bytes, body: bytes, query_string: bytes, to_arrow: bool
    ) -> bytes:
        read = champion.reader.json if form == JSON else champion.reader.arrow
        prediction = read(body, query_string).answered_by(champion.predictor)
        outside: list[bool] = prediction.outside.tolist()
        self._metrics.answered(champion.target, len(outside), sum(outside))
        if to_arrow:
            from foretell.serving.arrow import answer_of  # noqa: PLC0415 - 28 MB that JSON never needs

            return answer_of(prediction, champion.version)
        return _encode(
            Answer(
                prediction.target,
                prediction.unit,
                prediction.levels,
                champion.version,
                prediction.values.tolist(),
                outside,
            )
        )


def media_type_of(headers: Headers) -> bytes:
    """The content type of a body, without its parameters.

    Raises:
        MediaTypeError: neither JSON nor an Arrow stream.
    """
    stated = headers.get(b"content-type", b"")
    form = stated if stated == JSON else stated.split(b";")[0].strip().lower()
    if form not in (JSON, ARROW):
        raise MediaTypeError("content-type", stated.decode("latin-1"), f"{JSON.decode()} or {ARROW.decode()}")
    return form
