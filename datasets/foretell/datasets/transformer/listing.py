"""The operators of one forward pass on one device, as queries that models of operators answer.

Norms, rotations, activations and residual additions are listed as kernels of their own, which eager libraries
run and inference engines fuse in part. Only the last token of each sequence goes on to the vocabulary, as
engines do it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from foretell.datasets.operators import OPERATORS
from foretell.datasets.operators.fields import Placed
from foretell.datasets.transformer.model import Experts, Mlp, Transformer
from foretell.datasets.transformer.parameters import heads_of
from foretell.datasets.transformer.step import Step, check_fit, types_of
from foretell.errors import InputError


class Listed(msgspec.Struct, frozen=True):
    """One operator of a pass.

    Attributes:
        name: what it does in the model, such as ``qkv projection``.
        operator: name of the operator, such as ``gemm``.
        query: its shape and place.
        count: how often one pass calls it.
    """

    name: str
    operator: str
    query: Placed
    count: int


def operators_of(model: Transformer, step: Step) -> list[Listed]:
    """The operators of one pass on each of its devices, in the order in which they first run.

    Raises:
        InputError: a step that the model cannot do, or an operator that cannot be; names the field.
    """
    check_fit(model, step)
    return list(_Lister(model, step).all())


class _Lister:
    """Lists the operators of one model and step."""

    def __init__(self, model: Transformer, step: Step) -> None:
        self.model = model
        self.step = step
        self.types = types_of(model, step)
        self.heads, self.kv_heads = heads_of(model, step.tp)

    def all(self) -> Iterator[Listed]:
        model, rows = self.model, self.step.rows
        yield from self._all_reduce("embedding all-reduce", 1)
        yield self._norm("norms", rows, model.hidden, model.norms * len(model.layers) + 1)
        yield from self._attention_projections(len(model.layers))
        for window, count in self._windows().items():
            yield self._attention(window, count)
        for part, count in self._parts().items():
            yield from self._mlp(part, count) if isinstance(part, Mlp) else self._experts(part, count)
        yield self._elementwise("residual additions", "add", model.hidden, 2 * len(model.layers))
        parts_apart = 1 if model.parallel else 2
        yield from self._all_reduce("layer all-reduce", parts_apart * len(model.layers))
        yield from self._output()

    def _attention_projections(self, count: int) -> Iterator[Listed]:
        model, head_dim = self.model, self.model.attention.head_dim
        yield self._gemm("qkv projection", (self.heads + 2 * self.kv_heads) * head_dim, model.hidden, count)
        if model.attention.head_norms:
            yield self._norm("query norms", self.step.rows * self.heads, head_dim, count)
            yield self._norm("key norms", self.step.rows * self.kv_heads, head_dim, count)
        if model.attention.rotary:
            rotated = (self.heads + self.kv_heads) * head_dim
            yield self._elementwise("rotary positions", "mul", rotated, count)
        yield self._gemm("attention output", model.hidden, self.heads * head_dim, count)

    def _windows(self) -> Counter[int]:
        """How far layers look back, 0 where that is the whole sequence, and how many do."""
        length = self.step.length
        return Counter(layer.window if layer.window < length else 0 for layer in self.model.layers)

    def _attention(self, window: int, count: int) -> Listed:
        step = self.step
        return self._listed(
            "window attention" if window else "attention", "attention", count,
            phase="context" if step.phase == "prefill" else "generation",
            batch=step.batch,
            new_tokens=step.tokens,
            past_tokens=step.past,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.model.attention.head_dim,
            kv_dtype=self.types.cache,
            window=window,
        )  # fmt: skip

    def _parts(self) -> Counter[Mlp | Experts]:
        """The different feed-forward parts, and how many there are of each."""
        return Counter(layer.feed_forward for layer in self.model.layers)

    def _mlp(self, part: Mlp, count: int, prefix: str = "feed-forward") -> Iterator[Listed]:
        inter, hidden = part.inter // self.step.tp, self.model.hidden
        function = f"{self.model.activation}_mul" if part.gated else self.model.activation
        yield self._gemm(f"{prefix} input", part.inputs * inter, hidden, count)
        yield from self._activation(f"{prefix} activation", function, inter, count)
        yield self._gemm(f"{prefix} output", hidden, inter, count)

    def _activation(self, name: str, function: str, inter: int, count: int) -> Iterator[Listed]:
        """The gate's activation and product: one kernel for silu, two for the others."""
        if function in ("gelu_mul", "relu_mul"):
            yield self._elementwise(name, function.removesuffix("_mul"), inter, count)
            yield self._elementwise(f"{name} gate", "mul", inter, count)
        else:
            yield self._elementwise(name, function, inter, count)

    def _experts(self, part: Experts, count: int) -> Iterator[Listed]:
        rows = self.step.rows
        yield self._gemm("router", part.experts, self.model.hidden, count, dtype=self.types.activations)
        yield self._listed("router softmax", "softmax", count, rows=rows, hidden=part.experts)
        yield self._listed(
            "experts", "moe", count, dtype=self.types.products, tokens=rows, hidden=self.model.hidden,
            inter=part.inter, experts=part.experts, top_k=part.top_k, tp=self.step.tp,
        )  # fmt: skip
        if part.shared_inter:
            yield from self._mlp(Mlp(part.shared_inter, gated=True), count, "shared expert")
            yield self._elementwise("shared expert addition", "add", self.model.hidden, count)

    def _output(self) -> Iterator[Listed]:
        """From the last token of each sequence to the vocabulary."""
        batch, tp = self.step.batch, self.step.tp
        part = -(-self.model.vocabulary // tp)
        # Its weights are those of the embedding in many models, and are quantised in few.
        dtype = self.types.activations
        yield self._gemm("output to vocabulary", part, self.model.hidden, 1, m=batch, dtype=dtype)
        if tp > 1:
            message = round(batch * part * tp * self.types.activation_bytes)
            yield self._collective("vocabulary all-gather", "all_gather", message, 1)

    def _all_reduce(self, name: str, count: int) -> Iterator[Listed]:
        if self.step.tp > 1:
            message = round(self.step.rows * self.model.hidden * self.types.activation_bytes)
            yield self._collective(name, "all_reduce", message, count)

    def _collective(self, name: str, collective: str, message_bytes: int, count: int) -> Listed:
        said = {"collective": collective, "gpus": self.step.tp, "message_bytes": message_bytes}
        return self._listed(name, "collective", count, **said)

    def _gemm(self, name: str, n: int, k: int, count: int, **other: Any) -> Listed:
        fields = {"dtype": self.types.products, "m": self.step.rows, "n": n, "k": k}
        return self._listed(name, "gemm", count, **fields | other)

    def _norm(self, name: str, rows: int, hidden: int, count: int) -> Listed:
        return self._listed(name, "layernorm", count, rows=rows, hidden=hidden)

    def _elementwise(self, name: str, function: str, hidden: int, count: int) -> Listed:
        rows = self.step.rows
        return self._listed(name, "elementwise", count, function=function, rows=rows, hidden=hidden)

    def _listed(self, name: str, operator: str, count: int, **fields: Any) -> Listed:
        step = self.step
        place = {"device": step.device, "backend": step.backend, "backend_version": step.backend_version}
        asked = {"dtype": self.types.activations} | fields | place
        try:
            return Listed(name, operator, msgspec.convert(asked, OPERATORS[operator]), count)
        except msgspec.ValidationError as error:
            raise InputError(name, fields, f"fields of {operator} that can be ({error})") from None
