"""Bodies of the protocol as structs, and what is told of those that do not fit."""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec

from foretell.errors import ForetellError, InputError
from foretell.serving.llmd.messages import Bulk, Entries, Failure, Flush, RawBulk, Request
from foretell.serving.refusals import MalformedError, refusal_of

AT: Final = re.compile(r"^(?P<expected>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
MISSING: Final = re.compile(r"missing required field `(?P<field>[^`]+)`")
DEEP: Final = "a document that is not nested so deeply"

Struct = TypeVar("Struct", bound=msgspec.Struct)
request: Final = msgspec.json.Decoder(Request)
bulk: Final = msgspec.json.Decoder(Bulk)
raw_bulk: Final = msgspec.json.Decoder(RawBulk)
entries: Final = msgspec.json.Decoder(Entries)
flush: Final = msgspec.json.Decoder(Flush)


class Location(msgspec.Struct):
    """Where something is wrong, as FastAPI's clients know it."""

    loc: list[str | int]
    msg: str
    type: str = "value_error"


class Refused(msgspec.Struct):
    """Body of an answer that is no success: this server's own fields, and `detail` for FastAPI's clients."""

    detail: list[Location]
    error: str
    message: str
    field: str | None = None
    value: str | None = None
    expected: str | None = None


def decoded(decoder: msgspec.json.Decoder[Struct], body: bytes) -> Struct:
    """A body as a struct.

    Raises:
        InputError: names the field.
        MalformedError: no JSON.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _input_error(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedError("body", body[:100].decode("utf-8", "replace"), f"JSON ({error})") from None
    except RecursionError:
        raise MalformedError("body", body[:100].decode("utf-8", "replace"), DEEP) from None


def lenient(body: bytes) -> tuple[list[Request], list[int], list[Failure]]:
    """Requests of a bulk call that can be read, where they stood, and why the others cannot."""
    try:
        whole = bulk.decode(body)
        return whole.requests, list(range(len(whole.requests))), []
    except (msgspec.DecodeError, RecursionError):
        raw = decoded(raw_bulk, body).requests
    return _each(raw)


def _each(raw: Sequence[msgspec.Raw]) -> tuple[list[Request], list[int], list[Failure]]:
    good: list[Request] = []
    where: list[int] = []
    failures: list[Failure] = []
    for index, content in enumerate(raw):
        try:
            good.append(decoded(request, bytes(content)))
            where.append(index)
        except InputError as error:
            failures.append(Failure(index, str(error), content))
    return good, where, failures


def refused(error: ForetellError) -> bytes:
    """An error as a body."""
    told = refusal_of(error)
    path = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", told.field or "")]
    location = Location(["body", *path], told.expected or told.message)
    return msgspec.json.encode(
        Refused([location], told.error, told.message, told.field, told.value, told.expected)
    )


def _input_error(error: msgspec.ValidationError) -> InputError:
    found = AT.match(str(error))
    assert found is not None  # noqa: S101  (the pattern fits any text)
    path = (found["path"] or "").removeprefix("$").removeprefix(".")
    missing = MISSING.search(found["expected"])
    if missing:
        field = f"{path}.{missing['field']}" if path else missing["field"]
        return InputError(field, "no such field", "a value: it is required")
    return InputError(path or "body", "a value that does not fit", found["expected"])
