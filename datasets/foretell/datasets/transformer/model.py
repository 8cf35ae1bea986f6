"""What a decoder-only transformer is made of, whatever its configuration file calls it."""

from typing import Literal

import msgspec


class Attention(msgspec.Struct, frozen=True):
    """The attention of every layer.

    Attributes:
        heads: query heads.
        kv_heads: key-value heads, each shared by ``heads / kv_heads`` query heads.
        head_dim: size of one head.
        qkv_bias: whether the projections to queries, keys and values add a bias.
        output_bias: likewise the projection back.
        head_norms: whether queries and keys are normalised head by head (Qwen3).
        rotary: whether positions are rotated into queries and keys.
    """

    heads: int
    kv_heads: int
    head_dim: int
    qkv_bias: bool = False
    output_bias: bool = False
    head_norms: bool = False
    rotary: bool = True


class Mlp(msgspec.Struct, frozen=True):
    """A dense feed-forward part.

    Attributes:
        inter: its inner width.
        gated: whether a third matrix gates the inner activation (SwiGLU, GeGLU).
        bias: whether its matrices add a bias.
    """

    inter: int
    gated: bool
    bias: bool = False

    @property
    def inputs(self) -> int:
        """Matrices from the hidden to the inner width."""
        return 2 if self.gated else 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Inner widths, which devices share."""
        return (self.inter,)


class Experts(msgspec.Struct, frozen=True):
    """A mixture of gated experts.

    Attributes:
        experts: how many there are.
        top_k: how many a token goes through.
        inter: inner width of one expert.
        shared_inter: inner width of a gated part that every token goes through too; 0 where there is none.
    """

    experts: int
    top_k: int
    inter: int
    shared_inter: int = 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Inner widths, which devices share."""
        return self.inter, self.shared_inter


class Layer(msgspec.Struct, frozen=True):
    """What tells one layer from another.

    Attributes:
        window: tokens that attention looks back; 0 for all.
        feed_forward: its other half.
    """

    window: int
    feed_forward: Mlp | Experts


class Transformer(msgspec.Struct, frozen=True):
    """A decoder-only transformer.

    Attributes:
        model_type: its family, such as ``llama``.
        hidden: width of the residual stream.
        vocabulary: rows of the embedding.
        layers: first to last.
        attention: of every layer.
        activation: of the feed-forward part: relu, gelu or silu.
        norm: ``rms`` has a scale, ``layer`` a shift too.
        norms: of the residual stream in each layer; one more comes after the last layer.
        parallel: whether attention and feed-forward part share one input and one all-reduce.
        positions: learnt position embeddings; 0 where there are none.
        tied: whether the output matrix is the embedding.
        dtype: data type of the published weights.
        quantized: how the published weights are quantised; null where they are not.
    """

    model_type: str
    hidden: int
    vocabulary: int
    layers: tuple[Layer, ...]
    attention: Attention
    activation: str
    norm: Literal["rms", "layer"]
    norms: int
    parallel: bool
    positions: int
    tied: bool
    dtype: str
    quantized: str | None = None
