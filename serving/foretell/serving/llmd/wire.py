"""What the server and its trainer tell each other, over pipes: a length, then one message."""

import struct
from typing import Any, BinaryIO, Final

import msgspec

LENGTH: Final = struct.Struct("<I")


class Samples(msgspec.Struct, tag=True):
    """To the trainer: a record that the journal has, see `foretell.serving.llmd.journal`."""

    payload: bytes


class Recover(msgspec.Struct, tag=True):
    """To the trainer, first of all: the segments that an earlier server left, oldest first."""

    segments: list[str]


class Closed(msgspec.Struct, tag=True):
    """To the trainer: a segment that is complete."""

    path: str


class Ask(msgspec.Struct, tag=True):
    """To the trainer: a question that wants an answer of the same number."""

    number: int
    what: str
    options: dict[str, bool] = {}


class Models(msgspec.Struct, tag=True):
    """From the trainer: a `Published`, in JSON."""

    content: bytes


class Quantiles(msgspec.Struct, tag=True):
    """From the trainer: how far errors go now."""

    pool: str
    target: str
    low: float
    high: float


class Told(msgspec.Struct, tag=True):
    """From the trainer: an answer."""

    number: int
    content: dict[str, Any]


class Trouble(msgspec.Struct, tag=True):
    """From the trainer: what goes wrong now; empty once it does not."""

    what: str
    reason: str


ToTrainer = Samples | Recover | Closed | Ask
FromTrainer = Models | Quantiles | Told | Trouble
_encoder: Final = msgspec.msgpack.Encoder()
to_trainer: Final = msgspec.msgpack.Decoder(ToTrainer)
from_trainer: Final = msgspec.msgpack.Decoder(FromTrainer)


def frame(message: ToTrainer | FromTrainer) -> bytes:
    """A message with its length."""
    content = _encoder.encode(message)
    return LENGTH.pack(len(content)) + content


def read(pipe: BinaryIO) -> bytes | None:
    """The next message's bytes; null where the other side is gone."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = pipe.read(length)
    return content if len(content) == length else None
