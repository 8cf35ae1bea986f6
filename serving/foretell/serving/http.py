"""The few pieces of ASGI that every answer needs."""

import hmac
from collections.abc import Iterable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Send

from foretell.serving.refusals import MalformedError, TooLargeError

Headers = dict[bytes, bytes]
JSON: Final = b"application/json"
ARROW: Final = b"application/vnd.apache.arrow.stream"


def bears(headers: Headers, token: str) -> bool:
    """Whether a request shows the token, or none is asked for."""
    given = headers.get(b"authorization", b"")
    return not token or hmac.compare_digest(given, f"Bearer {token}".encode())


async def body_of(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The whole body of a request.

    Args:
        headers: by name in lower case.
        receive: ASGI's.
        limit: longest body, bytes.

    Raises:
        TooLargeError: announced as longer, before any of it is read; or longer than announced.
        MalformedError: a length that is no number.
        ClientDisconnect: the client has hung up.
    """
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit():
        raise MalformedError("content-length", announced.decode("latin-1"), "a number of bytes")
    if int(announced) > limit:
        raise TooLargeError("body", f"{int(announced)} bytes", f"at most {limit} bytes")
    chunks: list[bytes] = []
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return chunk if not chunks else b"".join((*chunks, chunk))
        chunks.append(chunk)
        length += len(chunk)
        if length > limit:
            raise TooLargeError("body", f"more than {limit} bytes", f"at most {limit} bytes")


async def reply(
    send: Send,
    status: int,
    media_type: bytes,
    content: bytes,
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    """Send a whole response."""
    told = [(b"content-type", media_type), (b"content-length", b"%d" % len(content)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": content})
