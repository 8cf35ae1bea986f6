"""Memory that a forward pass needs on each of its devices."""

import msgspec

from foretell.datasets.transformer.model import Experts, Mlp, Transformer
from foretell.datasets.transformer.parameters import heads_of, parameters
from foretell.datasets.transformer.step import Step, types_of


class Memory(msgspec.Struct, frozen=True):
    """Bytes on each device.

    Attributes:
        weights_bytes: parameters.
        cache_bytes: keys and values of all sequences after the step.
        activations_bytes: what lives at once in the widest part of a layer, or of the output.
    """

    weights_bytes: int
    cache_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        """All three; what libraries keep for themselves comes on top."""
        return self.weights_bytes + self.cache_bytes + self.activations_bytes


def memory_of(model: Transformer, step: Step) -> Memory:
    """Memory of a step on each of its devices.

    Raises:
        InputError: data types that cannot be told, see `types_of`.
    """
    types, held = types_of(model, step), parameters(model, step.tp)
    products = (held.matrices + held.experts) * types.weight_bytes
    others = (held.vectors + held.embedding + held.output) * types.activation_bytes
    return Memory(
        weights_bytes=round(products + others),
        cache_bytes=round(_cached_tokens(model, step) * _token_numbers(model, step) * types.cache_bytes),
        activations_bytes=round(_widest(model, step) * types.activation_bytes),
    )


def _cached_tokens(model: Transformer, step: Step) -> int:
    """Tokens of all sequences and layers; a layer with a window keeps no more than that."""
    kept = (min(layer.window or step.length, step.length) for layer in model.layers)
    return step.batch * sum(kept)


def _token_numbers(model: Transformer, step: Step) -> int:
    """Numbers that one token keeps in one layer."""
    return 2 * heads_of(model, step.tp)[1] * model.attention.head_dim


def _widest(model: Transformer, step: Step) -> int:
    """Numbers that live at once: the residual stream, the input of a part, and what is in between."""
    heads, kv_heads = heads_of(model, step.tp)
    attention = (2 * heads + 2 * kv_heads) * model.attention.head_dim
    inner = max(_inner(layer.feed_forward, step.tp) for layer in model.layers)
    within = step.rows * (2 * model.hidden + max(attention, inner))
    # Logits are widened to float32 for sampling: two numbers of two bytes each.
    output = step.rows * model.hidden + 2 * step.batch * model.vocabulary
    return max(within, output)


def _inner(part: Mlp | Experts, tp: int) -> int:
    """Inner width that one token takes, before and after the activation."""
    if isinstance(part, Mlp):
        return (part.inputs + 1) * part.inter // tp
    return 3 * max(part.top_k * part.inter, part.shared_inter) // tp
