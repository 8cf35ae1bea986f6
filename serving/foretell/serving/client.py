"""A client of the server: the same answers and errors as in process, over the network."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Self, TypeVar

import httpx
import msgspec
import numpy as np
import polars as pl

from foretell.errors import ArtefactError, UnavailableError
from foretell.predictors.base import LEVELS, Prediction
from foretell.serving import messages
from foretell.serving.predict import PREFIX
from foretell.serving.refusals import Refusal, error_of

JSON: Final = "application/json"
ARROW: Final = "application/vnd.apache.arrow.stream"


Body = TypeVar("Body")


class Client:
    """Asks one server, over connections that are kept; a context manager closes them.

    Args:
        url: of the server, such as ``http://127.0.0.1:8000``.
        token: where the server asks for one.
        timeout_s: longest wait for one answer.
    """

    def __init__(self, url: str, *, token: str = "", timeout_s: float = 30.0) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)

    def predict(
        self,
        target: str,
        rows: Mapping[str, Any] | Sequence[Mapping[str, Any]] | pl.DataFrame,
        levels: Sequence[float] = LEVELS,
    ) -> Prediction:
        """Quantiles of a target.

        Args:
            target: such as ``gemm.latency``.
            rows: one query, several (sent as JSON), or a frame of query columns (sent as Arrow).
            levels: increasing quantile levels in (0, 1).

        Raises:
            InputError: names the field, the value and what was expected.
            NotRegisteredError: the server has no champion of that target.
            UnavailableError: the server cannot be reached, or cannot answer now.
        """
        if isinstance(rows, pl.DataFrame):
            return self._predict_frame(target, rows, levels)
        asked = {"rows": [rows] if isinstance(rows, Mapping) else rows, "levels": list(levels)}
        content = self._send("POST", PREFIX + target, content=msgspec.json.encode(asked), form=JSON)
        answer = _decoded(content, messages.Answer)
        return Prediction(
            answer.target, answer.unit, answer.levels, np.array(answer.values), np.array(answer.outside)
        )

    def targets(self) -> list[messages.Target]:
        """Targets that the server answers for."""
        return _decoded(self._send("GET", "/v1/targets"), messages.Targets).targets

    def models(self) -> list[messages.Model]:
        """Every registered model version."""
        return _decoded(self._send("GET", "/v1/models"), messages.Models).models

    def healthy(self) -> bool:
        """Whether the server is there and ready to predict."""
        try:
            return self._http.get("/readyz").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _predict_frame(self, target: str, rows: pl.DataFrame, levels: Sequence[float]) -> Prediction:
        from foretell.serving.arrow import prediction_of, stream_of  # noqa: PLC0415 - only frames need it

        query = {"levels": ",".join(map(repr, levels))}
        content = stream_of(rows.to_arrow())
        return prediction_of(self._send("POST", PREFIX + target, content=content, form=ARROW, query=query))

    def _send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        form: str = JSON,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        headers = {"Accept": form} | ({"Content-Type": form} if content is not None else {})
        try:
            answer = self._http.request(method, path, content=content, headers=headers, params=query)
        except httpx.TransportError as error:
            raise UnavailableError(f"{self._http.base_url} does not answer: {error}") from error
        if answer.is_success:
            return answer.content
        raise error_of(_decoded(answer.content, Refusal))


def _decoded(content: bytes, kind: type[Body]) -> Body:
    """A body as what it should be."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise ArtefactError(f"not what a server of foretell answers: {content[:80]!r}") from error
