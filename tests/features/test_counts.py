"""Operations and bytes of each operator against loops that count them one by one.

Relative tolerances are those of `pytest.approx`, 1e-6: a count that is off by one is off by more here.
"""

import itertools
import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretell.datasets.operators.attention import AttentionQuery
from foretell.datasets.operators.elementwise import FUNCTIONS
from foretell.features import attention, collective, layernorm, moe, softmax
from foretell.features.attention import AttentionEncoder
from foretell.features.bmm import BmmEncoder
from foretell.features.collective import ROUNDS, CollectiveEncoder
from foretell.features.convolution import ConvolutionEncoder
from foretell.features.elementwise import ElementwiseEncoder
from foretell.features.layernorm import LayernormEncoder
from foretell.features.moe import MoeEncoder
from foretell.features.physics import SCALAR, Machine
from foretell.features.softmax import SoftmaxEncoder

BYTES = {"a": 1.0, "b": 0.5, "c": 4.0}
"""Of an element of either operand and of the result: all different, so that none stands for another."""


ENDLESS = 2.0**600
"""A rate at which nothing takes any time, though its logarithm is still a number."""


def machine(**changes):
    """A device that can do everything at once but what `changes` say."""
    figures = {
        "flops": ENDLESS, "bandwidth": ENDLESS, "cores": 132.0, "memory_bytes": 8e10,
        "a_bytes": BYTES["a"], "b_bytes": BYTES["b"], "c_bytes": BYTES["c"],
        "log_peak": 50.0, "log_bandwidth": 41.0, "log_cores": 7.0, "log_cache": 25.0, "log_clock": 31.0,
    }  # fmt: skip
    return Machine(**figures | changes)


def operations(encoder, query, traits=()):
    """What takes a second at one operation per second and no time for memory."""
    return encoder.physics(query, machine(flops=1.0), traits, SCALAR)[1] / 1e6


def moved_bytes(encoder, query, traits=()):
    """What takes a second at one byte per second and no time for arithmetic."""
    return encoder.physics(query, machine(bandwidth=1.0), traits, SCALAR)[1] / 1e6


SMALL = st.integers(1, 4)
FEW = settings(max_examples=40, deadline=None)


@given(SMALL, SMALL, SMALL, SMALL)
@FEW
def test_a_batched_product(batch, m, n, k):
    query = SimpleNamespace(batch=batch, m=m, n=n, k=k)
    terms = list(itertools.product(range(batch), range(m), range(n), range(k)))
    touched = {("a", b, row, term) for b, row, _, term in terms}
    touched |= {("b", b, column, term) for b, _, column, term in terms}
    touched |= {("c", b, row, column) for b, row, column, _ in terms}
    assert operations(BmmEncoder, query) == pytest.approx(
        2 * len(terms)
    )  # a multiplication and an addition each
    assert moved_bytes(BmmEncoder, query) == pytest.approx(sum(BYTES[name] for name, *_ in touched))


@st.composite
def attentions(draw):
    kv_heads, phase = draw(st.integers(1, 3)), draw(st.sampled_from(["context", "generation"]))
    context = phase == "context"
    new, past = draw(st.integers(1, 7)) if context else 1, draw(st.integers(0 if context else 1, 7))
    return AttentionQuery(
        phase=phase, batch=draw(st.integers(1, 2)), new_tokens=new, past_tokens=past,
        heads=kv_heads * draw(st.integers(1, 3)), kv_heads=kv_heads, head_dim=draw(st.integers(1, 3)),
        window=draw(st.integers(0, past + new)), kv_dtype="fp8", dtype="bfloat16", device="h100",
    )  # fmt: skip


def pairs(query):
    """Each pair of a query and a key that it attends to, in one head of one sequence."""
    for new in range(query.new_tokens):
        at = query.past_tokens + new
        for key in range(at + 1):
            if not query.window or key > at - query.window:
                yield new, key


@given(attentions())
@settings(deadline=None)
def test_attention(query):
    each = list(pairs(query))
    every_head = query.batch * query.heads
    counted = 0
    for _pair in each:
        counted += 2 * query.head_dim  # query by key
        counted += 2 * query.head_dim  # weight by value, added up
    features = AttentionEncoder.physics(query, machine(), (0.25, 0.0), SCALAR)[0]
    said = dict(zip(AttentionEncoder.names, features, strict=True))
    assert 2 ** said["log_operations"] == pytest.approx(counted * every_head)
    keys = {key for _, key in each}
    assert attention.touched_keys(query, SCALAR) == len(keys)
    cached = [(b, head, key) for b in range(query.batch) for head in range(query.kv_heads) for key in keys]
    moved = sum(2 * query.head_dim * 0.25 for _ in cached)  # a key and a value of a quarter of a byte each
    moved += every_head * query.new_tokens * query.head_dim * (BYTES["a"] + BYTES["c"])
    assert 2 ** said["log_bytes"] == pytest.approx(moved)


@st.composite
def mixtures(draw):
    ep, tp = draw(SMALL), draw(st.integers(1, 2))
    experts = ep * draw(SMALL)
    return SimpleNamespace(
        tokens=draw(st.integers(1, 6)), hidden=draw(SMALL), inter=tp * draw(SMALL), experts=experts,
        top_k=draw(st.integers(1, experts)), tp=tp, ep=ep,
    )  # fmt: skip


@given(mixtures())
@settings(deadline=None)
def test_a_mixture_of_experts(query):
    """Choices are dealt to the GPUs in turn, and on each to its experts; the first GPU gets the most."""
    slots = [(token, choice) for token in range(query.tokens) for choice in range(query.top_k)]
    here = [number // query.ep for number in range(0, len(slots), query.ep)]
    chosen = [number % (query.experts // query.ep) for number in here]
    channels = query.inter // query.tp
    counted = 0
    for _expert in chosen:
        for _hidden, _channel in itertools.product(range(query.hidden), range(channels)):
            counted += 2 * 3  # up, gate and down
    weights = {
        (expert, matrix, hidden, channel)
        for expert in chosen
        for matrix in ("up", "gate", "down")
        for hidden in range(query.hidden)
        for channel in range(channels)
    }
    moved = sum(BYTES["b"] for _ in weights)
    for _token, _hidden in itertools.product(range(query.tokens), range(query.hidden)):
        moved += BYTES["a"]  # read by the products
        for _choice in range(query.top_k):
            moved += 2 * BYTES["c"]  # written by the products and read again
        moved += BYTES["c"]  # the sum
    assert operations(MoeEncoder, query, (0.0,)) == pytest.approx(counted)
    assert moved_bytes(MoeEncoder, query, (0.0,)) == pytest.approx(moved)
    load = moe.load(query, SCALAR)
    assert (load.assignments, load.active) == (len(here), len(set(chosen)))


class Tally:
    """Numbers that count what is done to them."""

    def __init__(self):
        self.done = 0

    def number(self, value):
        return Counted(self, value)


class Counted:
    """A number of a `Tally`."""

    def __init__(self, tally, value):
        self.tally, self.value = tally, value

    def _did(self, value):
        self.tally.done += 1
        return Counted(self.tally, value)

    def __add__(self, other):
        return self._did(self.value + plain(other))

    def __sub__(self, other):
        return self._did(self.value - plain(other))

    def __mul__(self, other):
        return self._did(self.value * plain(other))

    def __truediv__(self, other):
        return self._did(self.value / plain(other))

    def __pow__(self, other):
        return self._did(self.value ** plain(other))

    def __neg__(self):
        return self._did(-self.value)

    def of(self, function, *others):
        """A function of the mathematical library, or the greater of two."""
        return self._did(function(self.value, *map(plain, others)))


def plain(number):
    return number.value if isinstance(number, Counted) else number


def total(numbers):
    first, *others = numbers
    for number in others:
        first = first + number
    return first


def normalised(row, weight, bias):
    count = len(row)
    mean = total(row) / count
    deviations = [value - mean for value in row]
    variance = total([deviation * deviation for deviation in deviations]) / count
    scale = (variance + 1e-5).of(lambda value: value**-0.5)  # one reciprocal root
    scaled = [deviation * scale for deviation in deviations]
    return [value * w + b for value, w, b in zip(scaled, weight, bias, strict=True)]


def softmaxed(row):
    greatest, *others = row
    for value in others:
        greatest = greatest.of(max, value)
    powers = [(value - greatest).of(math.exp) for value in row]
    whole = total(powers)
    return [power / whole for power in powers]


@given(st.integers(1, 5), st.integers(1, 9))
@FEW
def test_layer_normalisation(rows, hidden):
    tally = Tally()
    for _row in range(rows):
        values, weight, bias = ([tally.number(float(n)) for n in range(hidden)] for _ in range(3))
        normalised(values, weight, bias)
    query = SimpleNamespace(rows=rows, hidden=hidden)
    assert layernorm.layernorm_operations(hidden) * rows == tally.done
    assert moved_bytes(LayernormEncoder, query, (ENDLESS,)) == pytest.approx(
        BYTES["a"] * (rows * hidden + hidden + hidden + rows * hidden)
    )


@given(st.integers(1, 5), st.integers(1, 9))
@FEW
def test_softmax(rows, hidden):
    tally = Tally()
    for _row in range(rows):
        softmaxed([tally.number(float(n)) for n in range(hidden)])
    query = SimpleNamespace(rows=rows, hidden=hidden)
    assert softmax.softmax_operations(hidden) * rows == tally.done
    assert moved_bytes(SoftmaxEncoder, query, (ENDLESS,)) == pytest.approx(BYTES["a"] * 2 * rows * hidden)


COMPUTED = {
    "copy": lambda x: x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "add_scalar": lambda x: x + 2.0,
    "sub_scalar": lambda x: x - 2.0,
    "mul_scalar": lambda x: x * 2.0,
    "div_scalar": lambda x: x / 2.0,
    "pow_scalar": lambda x: x**2.0,
    "neg": lambda x: -x,
    "exp": lambda x: x.of(math.exp),
    "sqrt": lambda x: x.of(math.sqrt),
    "relu": lambda x: x.of(max, 0.0),
    "tanh": lambda x: x.of(math.tanh),
    "sigmoid": lambda x: ((-x).of(math.exp) + 1.0).of(lambda value: 1.0 / value),
    "gelu": lambda x: x * 0.5 * ((x * 2**-0.5).of(math.erf) + 1.0),
    "silu": lambda x: x / ((-x).of(math.exp) + 1.0),
    "silu_mul": lambda x, y: x / ((-x).of(math.exp) + 1.0) * y,
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_elements(function):
    work, tally = FUNCTIONS[function], Tally()
    COMPUTED[function](*(tally.number(0.5) for _ in range(work.inputs)))
    assert work.operations == tally.done
    query, traits = SimpleNamespace(rows=3, hidden=7), (ENDLESS, *work, 0.0)
    assert moved_bytes(ElementwiseEncoder, query, traits) == pytest.approx(
        BYTES["a"] * 21 * (work.inputs + 1)
    )
    if work.operations:
        assert operations(ElementwiseEncoder, query, (1.0, *work, 0.0)) == pytest.approx(21 * tally.done)


@st.composite
def convolutions(draw):
    groups, padding = draw(st.integers(1, 2)), draw(st.integers(0, 2))
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    return SimpleNamespace(
        batch=draw(st.integers(1, 2)), in_channels=groups * draw(st.integers(1, 2)),
        out_channels=groups * draw(st.integers(1, 2)), height=height, width=width,
        kernel=draw(st.integers(1, min(height, width) + 2 * padding)), stride=draw(st.integers(1, 3)),
        padding=padding, groups=groups,
    )  # fmt: skip


def positions(size, query):
    """Where the filter starts along one axis: within the padded image, a stride apart."""
    start = -query.padding
    while start + query.kernel <= size + query.padding:
        yield start
        start += query.stride


@given(convolutions())
@settings(deadline=None)
def test_a_convolution_multiplies_padding_too(query):
    starts = list(itertools.product(positions(query.height, query), positions(query.width, query)))
    taps = list(itertools.product(range(query.kernel), repeat=2))
    counted, results = 0, 0
    for _image, _start, out in itertools.product(range(query.batch), starts, range(query.out_channels)):
        group = out // (query.out_channels // query.groups)
        for channel in range(query.in_channels):
            if channel // (query.in_channels // query.groups) == group:
                counted += 2 * len(taps)
        results += 1
    moved = BYTES["a"] * query.batch * query.in_channels * query.height * query.width
    moved += BYTES["b"] * query.out_channels * (query.in_channels // query.groups) * len(taps)
    moved += BYTES["c"] * results
    assert operations(ConvolutionEncoder, query) == pytest.approx(counted)
    assert moved_bytes(ConvolutionEncoder, query) == pytest.approx(moved)


class Ring:
    """GPUs that pass parts of a message to their neighbour; `held[gpu][part]` says whose share is in it."""

    def __init__(self, held):
        self.held, self.gpus = held, len(held)
        self.sent = [0] * self.gpus

    def turn(self, first):
        """Send the part that came last, until all have gone around; `first` of GPU 0 is sent first."""
        for step in range(self.gpus - 1):
            parts = [(gpu + first - step) % self.gpus for gpu in range(self.gpus)]
            going = [set(self.held[gpu][part]) for gpu, part in enumerate(parts)]
            for gpu, part in enumerate(parts):
                self.held[(gpu + 1) % self.gpus][part] |= going[gpu]
                self.sent[gpu] += 1


def sent_by(kind, gpus):
    """Parts of the message that each GPU sends, after checking that the collective is done."""
    everyone = set(range(gpus))
    if kind == "all_to_all":
        return [sum(1 for other in everyone if other != gpu) for gpu in everyone]
    gathering = kind == "all_gather"
    ring = Ring([[{gpu} if not gathering or gpu == part else set() for part in everyone] for gpu in everyone])
    ring.turn(0)
    if kind == "all_reduce":
        ring.turn(1)
    if kind == "reduce_scatter":
        assert all(ring.held[gpu][(gpu + 1) % gpus] == everyone for gpu in everyone)
    elif gathering:
        assert all(ring.held[gpu][part] == {part} for gpu in everyone for part in everyone)
    else:
        assert all(ring.held[gpu][part] == everyone for gpu in everyone for part in everyone)
    return ring.sent


@pytest.mark.parametrize("kind", ROUNDS)
@pytest.mark.parametrize("gpus", [2, 3, 4, 8])
def test_a_ring_sends_what_its_parts_come_to(kind, gpus):
    sent, part_bytes = sent_by(kind, gpus), 16
    assert len(set(sent)) == 1
    query = SimpleNamespace(gpus=gpus, message_bytes=gpus * part_bytes)
    assert collective.wire_bytes(gpus, query.message_bytes, ROUNDS[kind]) == sent[0] * part_bytes
    link = 1e9
    floor_us = CollectiveEncoder.physics(query, machine(), (link, float(ROUNDS[kind]), 0.0), SCALAR)[1]
    assert floor_us == pytest.approx(1e6 * sent[0] * part_bytes / link)
