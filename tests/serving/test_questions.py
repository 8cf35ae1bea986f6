"""Reading bodies: the fast way and the slow way agree, and damaged streams are refused."""

import json
import random
from contextlib import suppress
from typing import Annotated, Literal

import msgspec
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.errors import InputError
from foretell.serving.arrow import frame_of, stream_of
from foretell.serving.inflate import inflated_bytes
from foretell.serving.options import Options
from foretell.serving.questions import Reader
from foretell.serving.refusals import MalformedError, TooLargeError


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A small query."""

    size: Annotated[int, msgspec.Meta(ge=1, le=100)]
    kind: Literal["a", "b"]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=4)] | None = None


READER = Reader(Query, Options(max_rows=5, max_levels=3))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 200), st.floats(), st.sampled_from("abc"), st.text()
)
ROWS = st.dictionaries(st.sampled_from(["size", "kind", "name", "other"]), VALUES)
GOOD = st.fixed_dictionaries({"size": st.integers(1, 100), "kind": st.sampled_from("ab")})
BODIES = st.fixed_dictionaries(
    {"rows": st.lists(st.one_of(GOOD, ROWS), max_size=6)},
    optional={"levels": st.one_of(st.none(), st.lists(st.floats(-0.5, 1.5), max_size=4)), "more": VALUES},
)


@settings(max_examples=300, deadline=None)
@given(body=BODIES)
def test_what_the_fast_way_refuses_the_slow_way_names(body):
    text = json.dumps(body).encode()
    try:
        fast = READER._decode(text)
    except msgspec.DecodeError:
        with pytest.raises(InputError):
            READER.json(text, b"")
    else:
        rows, levels = READER._slowly(text)
        assert (fast.rows, fast.levels) == (rows, levels)


@settings(max_examples=300, deadline=None)
@given(
    body=st.one_of(st.binary(max_size=60), st.text(alphabet='{}[]",:rows0.1', max_size=60).map(str.encode))
)
def test_no_bytes_raise_anything_but_a_refusal(body):
    with pytest.raises(InputError):
        READER.json(body, b"")


def test_more_rows_than_allowed_are_told_apart_from_bad_ones():
    good = {"size": 1, "kind": "a"}
    with pytest.raises(TooLargeError, match="6 rows"):
        READER.json(json.dumps({"rows": [good] * 6}).encode(), b"")


FRAME = pl.DataFrame({"size": [1, 2, 3], "kind": ["a", "b", "a"], "name": [None, "x", "y"]})
STREAM = stream_of(FRAME.to_arrow())


def test_a_stream_is_read_as_it_was_written():
    assert frame_of(STREAM).equals(FRAME)


@pytest.mark.parametrize("end", range(0, len(STREAM), 3))
def test_every_stream_that_ends_early_is_refused(end):
    with pytest.raises(MalformedError):
        frame_of(STREAM[:end])


def test_a_stream_without_its_end_mark_is_refused_although_its_rows_are_whole():
    with pytest.raises(MalformedError, match="end-of-stream"):
        frame_of(STREAM[:-8])


def test_damaged_streams_are_read_or_refused_and_never_end_the_process():
    draw = random.Random(0)
    refused = 0
    for _ in range(1500):
        damaged = bytearray(STREAM)
        for _ in range(draw.choice([1, 1, 2, 5])):
            damaged[draw.randrange(len(damaged) - 8)] = draw.randrange(256)
        try:
            frame_of(bytes(damaged)).to_dicts()
        except InputError:
            refused += 1
    # Most bytes are lengths, offsets and types; those that are values or padding read as other rows.
    assert refused > 500


def compressed(table, compression="zstd"):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(
        sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)
    ) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("values", [pa.array([7] * 10**6), pa.array(["x" * 10**6] * 8).dictionary_encode()])
def test_a_small_stream_that_would_become_a_large_one_is_refused(values, compression):
    stream = compressed(pa.table({"size": values}), compression)
    assert len(stream) < 300_000
    with pytest.raises(TooLargeError, match="bytes once inflated"):
        frame_of(stream, 500_000)


def test_a_compressed_stream_within_the_limit_is_read():
    stream = compressed(FRAME.to_arrow())
    assert frame_of(stream, 10_000).equals(FRAME)
    # Eight bytes for each size, and some for text; each buffer at its own length.
    assert 24 < inflated_bytes(stream) < 200


def test_a_stream_that_is_not_compressed_becomes_no_longer():
    assert inflated_bytes(STREAM) == 0


def test_damaged_compressed_streams_are_read_or_refused_within_the_limit():
    draw = random.Random(1)
    whole = compressed(FRAME.to_arrow())
    for _ in range(1500):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(damaged) - 8)] = draw.randrange(256)
        with suppress(InputError):
            assert frame_of(bytes(damaged), 10_000).estimated_size() < 10_000


@pytest.mark.parametrize(
    "values",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"1"]), pa.array([1], pa.timestamp("s")),
     pa.array([None], pa.month_day_nano_interval())],
)  # fmt: skip
def test_columns_of_types_that_no_question_has_are_refused(values):
    with pytest.raises(InputError, match="size: got 'values of type"):
        frame_of(stream_of(pa.table({"size": values})))


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float32(), pa.null()])
def test_plain_numbers_are_left_to_the_predictor_to_judge(kind):
    values = pa.nulls(1) if kind == pa.null() else pa.array([1], kind)
    assert frame_of(stream_of(pa.table({"size": values}))).height == 1


def test_texts_may_come_as_a_dictionary():
    frame = FRAME.with_columns(pl.col("kind").cast(pl.Categorical))
    assert frame_of(stream_of(frame.to_arrow()))["kind"].cast(pl.String).to_list() == ["a", "b", "a"]
