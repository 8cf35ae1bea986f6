"""Arrow IPC streams in and out.

Read by pyarrow, whose reader is fuzzed and checks what it reads: polars' own panics, or asks for all of
memory, on some damaged streams.
"""

import json
import struct
from math import inf
from typing import Any, Final

import polars as pl
import pyarrow as pa

from foretell.errors import InputError
from foretell.predictors.base import Prediction
from foretell.serving.inflate import inflated_bytes
from foretell.serving.refusals import MalformedError, TooLargeError
from foretell.training.pyfunc import quantile_columns

END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""End of a stream. The format lets writers leave it out, but then a stream cut short looks complete."""
DAMAGED: Final = (pa.ArrowException, OSError, ValueError, struct.error)
OUTSIDE: Final = "outside"


def frame_of(body: bytes, limit: float = inf) -> pl.DataFrame:
    """The rows of a stream.

    Args:
        body: the stream.
        limit: most bytes that its compressed parts may become.

    Raises:
        MalformedError: damaged, or without its end.
        TooLargeError: beyond the limit; found out before any of it is inflated.
        InputError: a column of a type that no question has.
    """
    table = table_of(body, limit)
    for field in table.schema:
        if not _is_plain(field.type):
            raise InputError(field.name, f"values of type {field.type}", "numbers or text")
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a table never becomes a series
    return frame


def table_of(body: bytes, limit: float = inf) -> Any:
    """The `pyarrow.Table` of a stream."""
    if not body.endswith(END):
        raise MalformedError("body", body[-len(END) :], "an Arrow IPC stream up to its end-of-stream mark")
    try:
        if (size := inflated_bytes(body)) > limit:
            raise TooLargeError("body", f"{size} bytes once inflated", f"at most {limit} bytes")
        table = pa.ipc.open_stream(body).read_all()
        table.validate(full=True)
    except DAMAGED as error:
        raise MalformedError(
            "body", body[:8], f"an Arrow IPC stream ({str(error).splitlines()[0]})"
        ) from None
    return table


def stream_of(table: Any) -> bytes:
    """A `pyarrow.Table` as a stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def answer_of(prediction: Prediction, version: str) -> bytes:
    """A prediction as a stream: a column such as ``q0.05`` per level, and ``outside``.

    The metadata of its schema holds target, unit, levels and the version of the model.
    """
    columns = dict(zip(quantile_columns(prediction), prediction.values.T, strict=True))
    told = {
        "target": prediction.target,
        "unit": prediction.unit,
        "version": version,
        "levels": json.dumps(prediction.levels),
    }
    table = pa.table({**columns, OUTSIDE: prediction.outside})
    return stream_of(table.replace_schema_metadata(told))


def prediction_of(stream: bytes) -> Prediction:
    """The prediction that `answer_of` wrote."""
    table = table_of(stream)
    told = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101
    return Prediction(
        told["target"],
        told["unit"],
        tuple(json.loads(told["levels"])),
        frame.drop(OUTSIDE).to_numpy(),
        frame[OUTSIDE].to_numpy(),
    )


def _is_plain(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    tests = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_null,
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
    )
    return any(test(kind) for test in tests)
