"""Parameters of a transformer, counted from its parts."""

from dataclasses import dataclass

from foretell.datasets.transformer.model import Experts, Mlp, Transformer


@dataclass(frozen=True, slots=True)
class Parameters:
    """How many numbers a transformer holds.

    Attributes:
        matrices: weights of the projections and dense feed-forward parts of all layers.
        experts: weights of all experts of all layers.
        active_experts: those that one token goes through.
        vectors: norms and biases.
        embedding: rows of the vocabulary and of learnt positions.
        output: the matrix to the vocabulary where it is not the embedding.
    """

    matrices: int
    experts: int
    active_experts: int
    vectors: int
    embedding: int
    output: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.matrices + self.experts + self.vectors + self.embedding + self.output


def parameters(model: Transformer, tp: int = 1) -> Parameters:
    """What one of `tp` devices holds that share a model; key-value heads beyond their number are copies.

    Matrices are cut along heads and inner widths, the embedding and the output along the vocabulary; norms,
    routers and learnt positions are on every device.
    """
    parts = [_feed_forward(model.hidden, layer.feed_forward, tp) for layer in model.layers]
    count, vocabulary = len(model.layers), -(-model.vocabulary // tp) * model.hidden
    return Parameters(
        matrices=count * _attention_matrices(model, tp) + sum(part.matrices for part in parts),
        experts=sum(part.experts for part in parts),
        active_experts=sum(part.active_experts for part in parts),
        vectors=count * _attention_vectors(model, tp)
        + sum(part.vectors for part in parts)
        + (count * model.norms + 1) * _norm(model),
        embedding=vocabulary + model.positions * model.hidden,
        output=0 if model.tied else vocabulary,
    )


def _norm(model: Transformer) -> int:
    return model.hidden * (2 if model.norm == "layer" else 1)


def heads_of(model: Transformer, tp: int) -> tuple[int, int]:
    """Query and key-value heads on one device."""
    return model.attention.heads // tp, max(model.attention.kv_heads // tp, 1)


def _attention_matrices(model: Transformer, tp: int) -> int:
    heads, kv_heads = heads_of(model, tp)
    return model.hidden * model.attention.head_dim * (2 * heads + 2 * kv_heads)


def _attention_vectors(model: Transformer, tp: int) -> int:
    attention, (heads, kv_heads) = model.attention, heads_of(model, tp)
    qkv = (heads + 2 * kv_heads) * attention.head_dim if attention.qkv_bias else 0
    output = model.hidden if attention.output_bias else 0
    return qkv + output + (2 * attention.head_dim if attention.head_norms else 0)


def _feed_forward(hidden: int, part: Mlp | Experts, tp: int) -> Parameters:
    if isinstance(part, Mlp):
        inter = part.inter // tp
        bias = part.inputs * inter + hidden if part.bias else 0
        return Parameters((part.inputs + 1) * hidden * inter, 0, 0, bias, 0, 0)
    expert = 3 * hidden * part.inter // tp
    shared = 3 * hidden * part.shared_inter // tp + (hidden if part.shared_inter else 0)
    matrices = hidden * part.experts + shared
    return Parameters(matrices, part.experts * expert, part.top_k * expert, 0, 0, 0)
