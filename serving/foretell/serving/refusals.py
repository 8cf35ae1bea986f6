"""Why a request is refused: one table from errors to statuses, and the body that says it."""

from typing import Final

import msgspec

from foretell.errors import (
    ArtefactError,
    ForetellError,
    InputError,
    NotRegisteredError,
    UnavailableError,
    one_of,
)


class MalformedError(InputError):
    """A body that is not what its content type says."""


class MediaTypeError(InputError):
    """A content type that nothing here reads."""


class TooLargeError(InputError):
    """A body beyond the limit."""


class TokenError(InputError):
    """A request without the token that this server asks for."""


class RouteError(InputError):
    """A path that leads nowhere."""


class MethodError(InputError):
    """A method that the path does not have.

    Attributes:
        allow: those that it has, as for the header ``Allow``.
    """

    def __init__(self, method: str, allow: str) -> None:
        super().__init__("method", method, one_of(allow.split(", ")))
        self.allow = allow


class UnknownTargetError(NotRegisteredError, InputError):
    """A target that this server has no champion of."""


STATUSES: Final[dict[type[ForetellError], int]] = {
    MalformedError: 400,
    TokenError: 401,
    NotRegisteredError: 404,
    RouteError: 404,
    MethodError: 405,
    TooLargeError: 413,
    MediaTypeError: 415,
    InputError: 422,
    ArtefactError: 500,
    UnavailableError: 503,
    ForetellError: 500,
}
"""The nearest base class of an error decides."""

KINDS: Final = {kind.__name__: kind for kind in (*STATUSES, UnknownTargetError)}
"""Every error that a server answers with, by name."""


class Refusal(msgspec.Struct, frozen=True):
    """Body of every answer that is not a success.

    Attributes:
        error: name of the class of the error.
        message: all of it in words.
        field: the offending field, such as ``rows[3].m``, where there is one.
        value: what stood there.
        expected: what would have been accepted.
    """

    error: str
    message: str
    field: str | None = None
    value: str | None = None
    expected: str | None = None


class _Quoted(str):
    """A value that was quoted on the server already."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def status_of(error: ForetellError) -> int:
    """HTTP status for an error."""
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def refusal_of(error: ForetellError) -> Refusal:
    """An error as a body."""
    name = type(error).__name__
    if isinstance(error, InputError):
        return Refusal(name, str(error), error.field, error.value, error.expected)
    return Refusal(name, str(error))


def error_of(refusal: Refusal) -> ForetellError:
    """A body as the error that it was, or the nearest that this version knows."""
    kind: type[ForetellError] = KINDS.get(refusal.error, ForetellError)
    if refusal.field is None or not issubclass(kind, InputError):
        return kind(refusal.message)
    return _restored(kind, refusal.field, _Quoted(refusal.value), refusal.expected or "")


def _restored(kind: type[InputError], field: str, value: _Quoted, expected: str) -> InputError:
    error = kind.__new__(kind)
    InputError.__init__(error, field, value, expected)
    return error
