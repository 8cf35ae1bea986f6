"""Bodies of requests, read into questions for a predictor."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import msgspec
import polars as pl

from foretell.errors import InputError
from foretell.features.fields import to_query
from foretell.predictors.base import LEVELS, Prediction, Predictor
from foretell.serving.options import Options
from foretell.serving.refusals import MalformedError, TooLargeError

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on bytes that are not JSON, text that is not UTF-8 and brackets without end."""
BODY: Final = ("rows", "levels")
AROUND: Final = 20
"""Bytes shown before what makes a body malformed."""

Level = Annotated[float, msgspec.Meta(gt=0, lt=1)]


@dataclass(frozen=True, slots=True)
class Question:
    """Rows and levels that were asked for.

    Attributes:
        rows: validated query structs, or a frame that the predictor validates.
        levels: quantile levels.
    """

    rows: Sequence[Any] | pl.DataFrame
    levels: Sequence[float]

    def answered_by(self, predictor: Predictor) -> Prediction:
        """The predictor's answer."""
        if isinstance(self.rows, pl.DataFrame):
            return predictor.predict(self.rows, self.levels)
        return predictor.answer(self.rows, self.levels)


class Reader:
    """Reads the questions of one query type.

    Args:
        query: what a row looks like.
        options: limits on rows and levels.
    """

    def __init__(self, query: type[msgspec.Struct], options: Options) -> None:
        self.query = query
        self.body = body_type(query, options)
        self._options = options
        self._decode = msgspec.json.Decoder(self.body).decode

    def json(self, body: bytes, query_string: bytes) -> Question:
        """A JSON body as a question.

        Raises:
            MalformedError: no JSON.
            InputError: the first field that is unknown, missing or does not fit.
        """
        try:
            asked: Any = self._decode(body)
        except (*UNREADABLE, InputError):
            rows, levels = self._slowly(body)
        else:
            rows, levels = asked.rows, asked.levels
        outer = self._outer(query_string) if query_string else None
        if levels is not None and outer is not None:
            raise InputError("levels", levels, "levels in the body or in the address, not in both")
        return Question(rows, levels or outer or LEVELS)

    def arrow(self, body: bytes, query_string: bytes) -> Question:
        """An Arrow IPC stream as a question; the predictor validates its columns.

        Raises:
            MalformedError: a stream that is damaged or ends early.
            InputError: too many rows, or levels that do not fit.
        """
        from foretell.serving.arrow import frame_of  # noqa: PLC0415 - 28 MB that JSON never needs

        frame = frame_of(body, self._options.max_body_bytes)
        self._check_count(frame.height)
        return Question(frame, self._outer(query_string) or LEVELS)

    def _slowly(self, body: bytes) -> tuple[list[Any], list[float] | None]:
        """Field by field: what msgspec says of a whole body names no expectation."""
        document = parsed(body)
        if not isinstance(document, dict):
            raise InputError("body", document, "an object with the field rows, and levels if need be")
        if unknown := sorted(document.keys() - set(BODY)):
            raise InputError(unknown[0], document[unknown[0]], f"only the fields {', '.join(BODY)}")
        rows = document.get("rows")
        if not isinstance(rows, list) or not rows:
            raise InputError("rows", rows, "a list of at least one row")
        self._check_count(len(rows))
        queries = [to_query(row, self.query, f"rows[{number}]") for number, row in enumerate(rows)]
        levels = document.get("levels")
        return queries, None if levels is None else self._levels(levels)

    def _outer(self, query_string: bytes) -> list[float] | None:
        """Levels in the address: ``?levels=0.1,0.5,0.9``."""
        asked = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
        if unknown := sorted(asked.keys() - {"levels"}):
            raise InputError(unknown[0], asked[unknown[0]][0], "only the parameter levels")
        if "levels" not in asked:
            return None
        return self._levels(",".join(asked["levels"]).split(","), strict=False)

    def _levels(self, levels: object, *, strict: bool = True) -> list[float]:
        try:
            found: list[float] = msgspec.convert(levels, levels_type(self._options), strict=strict)
        except msgspec.ValidationError:
            expected = f"1 to {self._options.max_levels} increasing quantile levels between 0 and 1"
            raise InputError("levels", levels, expected) from None
        return found

    def _check_count(self, rows: int) -> None:
        if rows > self._options.max_rows:
            raise TooLargeError("rows", f"{rows} rows", f"at most {self._options.max_rows} in one request")


def body_type(query: type[msgspec.Struct], options: Options) -> type[msgspec.Struct]:
    """The JSON body of a question: ``{"rows": [...], "levels": [...]}``."""
    rows = Annotated[list[query], msgspec.Meta(min_length=1, max_length=options.max_rows)]  # type: ignore[valid-type]
    return msgspec.defstruct(
        query.__name__.removesuffix("Query") + "Question",
        [("rows", rows), ("levels", levels_type(options) | None, None)],
        forbid_unknown_fields=True,
    )


def levels_type(options: Options) -> Any:
    """Quantile levels, as many as the server takes."""
    return Annotated[list[Level], msgspec.Meta(min_length=1, max_length=options.max_levels)]


def parsed(body: bytes) -> Any:
    """JSON of any shape.

    Raises:
        MalformedError: shows what stands around the first wrong byte.
        InputError: a number beyond what a double or a 64-bit integer holds.
    """
    try:
        return msgspec.json.decode(body)
    except msgspec.ValidationError as error:
        raise InputError("body", _around(body, str(error)), f"numbers of 64 bits ({error})") from None
    except UNREADABLE as error:
        expected = f"JSON, which knows no NaN nor infinity ({error})"
        raise MalformedError("body", _around(body, str(error)), expected) from None


def _around(body: bytes, message: str) -> str:
    """What stands where an error message says that something is wrong."""
    found = re.search(r"byte (\d+)", message)
    start = max(0, int(found[1]) - AROUND) if found else 0
    return body[start : start + 2 * AROUND].decode(errors="replace")
