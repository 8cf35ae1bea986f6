"""What a forward pass is asked to do: how many tokens, in which phase, how many devices, which types."""

from typing import Annotated, Final, Literal, get_args

import msgspec

from foretell.datasets.dtypes import DTYPES, DtypeName
from foretell.datasets.operators.attention import CacheDtype
from foretell.datasets.operators.fields import MAX_DIMENSION, Amount, Dimension, Name
from foretell.datasets.transformer.model import Transformer
from foretell.errors import InputError, one_of

Phase = Literal["prefill", "decode"]
PLAIN: Final = ("float32", "float16", "bfloat16")
"""Data types that activations are kept in; the others are of matrix products only."""
MAX_TP: Final = 1024


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One forward pass of a batch.

    Attributes:
        phase: ``prefill`` reads a prompt, ``decode`` adds one token to each sequence.
        batch: sequences.
        tokens: new tokens of each sequence; 1 in ``decode``.
        past: tokens of each sequence that are in the cache already; 1 at least in ``decode``.
        tp: devices that share every layer (tensor parallelism).
        dtype: of matrix products; that of the published weights where null.
        kv_dtype: of the cache of keys and values; that of the activations where null.
        device: name of the device.
        backend: library that runs the operators; together with its version, or neither.
        backend_version: its version.
    """

    device: Name
    batch: Dimension = 1
    tokens: Dimension = 1
    past: Amount = 0
    tp: Annotated[int, msgspec.Meta(ge=1, le=MAX_TP)] = 1
    phase: Phase = "prefill"
    dtype: DtypeName | None = None
    kv_dtype: CacheDtype | None = None
    backend: Name | None = None
    backend_version: Name | None = None

    def __post_init__(self) -> None:
        if self.phase == "decode" and self.tokens != 1:
            raise InputError("tokens", self.tokens, "1 in decode; tokens that are in the cache are past")
        if self.phase == "decode" and self.past < 1:
            raise InputError("past", self.past, "1 at least in decode, which follows a prompt")

    @property
    def rows(self) -> int:
        """New tokens of the whole batch."""
        return self.batch * self.tokens

    @property
    def length(self) -> int:
        """Tokens of a sequence after the step."""
        return self.past + self.tokens


class Types(msgspec.Struct, frozen=True):
    """Data types of a step.

    Attributes:
        products: of matrix products and their weights.
        activations: of everything else.
        cache: of keys and values.
    """

    products: str
    activations: str
    cache: str

    @property
    def weight_bytes(self) -> float:
        """Bytes of one weight of a matrix product."""
        return DTYPES[self.products].b_bytes

    @property
    def activation_bytes(self) -> float:
        """Bytes of one activation, embedding or norm."""
        return DTYPES[self.activations].a_bytes

    @property
    def cache_bytes(self) -> float:
        """Bytes of one number in the cache."""
        return DTYPES[self.cache].a_bytes


def types_of(model: Transformer, step: Step) -> Types:
    """Data types of a step, from what was asked for and what the weights are.

    Raises:
        InputError: quantised weights without a word on which products run them, or a type without a cache.
    """
    if step.dtype is None and model.quantized is not None:
        raise InputError("dtype", None, f"which of {', '.join(DTYPES)} runs the {model.quantized} weights")
    products = step.dtype or model.dtype
    activations = products if products in PLAIN else model.dtype
    cache = step.kv_dtype or activations
    if cache not in get_args(CacheDtype):
        raise InputError("kv_dtype", cache, one_of(get_args(CacheDtype)))
    return Types(products, activations, cache)


def check_fit(model: Transformer, step: Step) -> None:
    """Refuse a step that the model cannot do.

    Raises:
        InputError: more positions than the model has, or a tp that does not cut its heads and widths evenly.
    """
    if step.rows > MAX_DIMENSION:
        raise InputError("batch, tokens", (step.batch, step.tokens), f"{MAX_DIMENSION} rows at most")
    # OPT keeps two rows of its positions for itself, which no sequence of that length notices.
    if model.positions and step.length > model.positions:
        raise InputError("tokens", step.length, f"at most the {model.positions} positions of the model")
    attention = model.attention
    if attention.heads % step.tp:
        raise InputError("tp", step.tp, f"a divisor of the {attention.heads} heads")
    if attention.kv_heads % step.tp and step.tp % attention.kv_heads:
        raise InputError("tp", step.tp, f"a divisor or a multiple of the {attention.kv_heads} kv heads")
    for width in sorted({width for layer in model.layers for width in layer.feed_forward.widths}):
        if width % step.tp:
            raise InputError("tp", step.tp, f"a divisor of the inner width {width}")
