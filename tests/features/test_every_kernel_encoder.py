"""What holds for the encoder of every operator."""

import itertools
from pkgutil import resolve_name

import msgspec
import numpy as np
import polars as pl
import pytest

from foretell.datasets.device import device
from foretell.datasets.operators import OPERATORS
from foretell.errors import InputError
from foretell.features import kernel
from foretell.features.base import UNKNOWN_TABLE
from foretell.predictors.families import ENCODERS


@pytest.fixture(params=OPERATORS)
def operator(request):
    return request.param


@pytest.fixture
def encoder(operator):
    return resolve_name(ENCODERS[operator])()


@pytest.fixture
def queries(operator, make_queries):
    return make_queries(operator, 60)


def frame(queries):
    return pl.DataFrame([msgspec.to_builtins(query) for query in queries])


def test_features_are_named_apart_and_finite(encoder, queries):
    features, floor_us = encoder.encode(encoder.gather(queries))
    assert features.shape == (len(queries), len(encoder.names))
    assert len(set(encoder.names)) == len(encoder.names)
    assert np.isfinite(features).all()
    assert (floor_us > 0).all()


def test_single_queries_batches_and_frames_agree(encoder, queries):
    gathered, framed = encoder.gather(queries), encoder.columns(frame(queries))
    encoded = encoder.encode(gathered)
    np.testing.assert_array_equal(encoded.features, encoder.encode(framed).features)
    for row, query in enumerate(queries):
        features, floor_us = encoder.encode_one(query)
        # math.log2 and numpy.log2 may differ in the last digit, which a difference near zero shows.
        np.testing.assert_allclose(encoded.features[row], features, rtol=1e-11, atol=1e-11)
        assert encoded.floor[row] == pytest.approx(floor_us, rel=1e-12)
        for batch in (gathered, framed):
            assert batch.places[batch.codes[row]] == encoder.place(query)


def test_blocks_leave_no_seam(encoder, queries, monkeypatch):
    batch = encoder.gather(queries)
    whole = encoder.encode(batch)
    monkeypatch.setattr(kernel, "BLOCK", 7)
    np.testing.assert_array_equal(encoder.encode(batch).features, whole.features)


def test_each_row_is_encoded_by_itself(encoder, queries):
    batch, order = encoder.gather(queries), np.random.default_rng(0).permutation(len(queries))
    np.testing.assert_array_equal(
        encoder.encode(batch.take(order)).features, encoder.encode(batch).features[order]
    )


def test_fields_that_may_be_left_out_may_lack_a_column(encoder, operator, make_queries):
    optional = {
        field.name: field.default for field in msgspec.structs.fields(encoder.query) if not field.required
    }
    rows = frame(make_queries(operator, 5, **optional))
    short = encoder.columns(rows.drop(optional))
    np.testing.assert_array_equal(
        encoder.encode(short).features, encoder.encode(encoder.columns(rows)).features
    )
    assert all(place.table == UNKNOWN_TABLE for place in short.places)


def test_the_extent_is_in_octaves(encoder):
    assert 0 < encoder.extent <= len(encoder.names)
    assert all(name.startswith("log_") for name in encoder.names[: encoder.extent])


def test_the_numbers_of_a_question_are_its_shape(encoder, operator):
    assert encoder.query is OPERATORS[operator]
    texts = {*encoder.query.table} - {*encoder.shape}
    assert {*encoder.shape, *texts, "dtype", "device", "backend", "backend_version"} == {
        *encoder.query.__struct_fields__
    }


def test_a_table_is_named_by_its_columns(encoder, queries):
    for query in queries[:10]:
        place = encoder.place(query)
        own = "".join(f"/{getattr(query, name)}" for name in encoder.query.table)
        assert place.realm == f"{query.device}/{query.dtype}{own}"
        assert place.table == f"{place.realm}/{query.backend}/{query.backend_version}"


def refusal(encoder, asked):
    """What is wrong with a question, or null."""
    try:
        msgspec.convert(asked, encoder.query)
    except InputError as error:
        return error
    return None


def test_what_does_not_go_together_is_refused_in_a_frame_by_row_and_field(encoder, queries):
    good = frame(queries[:3]).with_columns(pl.col(pl.Int64).cast(pl.Int32))
    refusals = 0
    for name, value in itertools.product(encoder.shape, (7, 2**16 - 1)):
        error = refusal(encoder, msgspec.to_builtins(queries[1]) | {name: value})
        if error is not None:
            refusals += 1
            row = good[1:2].with_columns(pl.lit(value, dtype=pl.Int32).alias(name))
            with pytest.raises(InputError) as found:
                encoder.columns(pl.concat([good, row]))
            assert (found.value.field, found.value.expected) == (f"rows[3].{error.field}", error.expected)
    assert bool(refusals) == bool(encoder.query.checks)


def test_what_the_memory_cannot_hold_is_refused(encoder, queries):
    tiny = msgspec.structs.replace(device("h100"), name="tiny", aliases=None, memory_gb=1e-9)
    encoder = type(encoder)([tiny])
    asked = msgspec.structs.replace(queries[0], device="tiny")
    for ask in (
        lambda: encoder.encode_one(asked),
        lambda: encoder.encode(encoder.gather([queries[1], asked])),
    ):
        with pytest.raises(InputError, match="1e-09 GB of its device") as refused:
            ask()
        assert refused.value.field == ", ".join(encoder.shape)


def test_a_saved_encoder_encodes_the_same(encoder, queries):
    state = msgspec.json.decode(msgspec.json.encode(encoder.fit(frame(queries)).state()))
    loaded = type(encoder).from_state(state)
    np.testing.assert_array_equal(
        loaded.encode(loaded.gather(queries)).features, encoder.encode(encoder.gather(queries)).features
    )


def test_a_collective_needs_an_interconnect(make_queries):
    encoder = resolve_name(ENCODERS["collective"])()
    with pytest.raises(InputError, match="interconnect_gb_s") as refused:
        encoder.place(make_queries("collective", 1, device="mi250_gcd")[0])
    assert refused.value.field == "device"
