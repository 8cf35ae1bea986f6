"""Fused layers of a mixture of experts."""

from typing import Annotated, Any, ClassVar

import msgspec

from foretell.datasets.operators.fields import Check, Checked, Dimension

BALANCED = "balanced"
POWER_LAW = "power_law_"
Distribution = Annotated[str, msgspec.Meta(pattern=r"^(balanced|power_law_[0-9]{1,3}(\.[0-9]{1,6})?)$")]
"""How tokens spread over experts: evenly, or by a power law with that exponent."""


def _ends_plain(text: Any) -> Any:
    return not text.endswith("\n") if isinstance(text, str) else ~text.str.ends_with("\n")


class MoeQuery(Checked, frozen=True):
    """One GPU's part of a gated layer (up, gate, down) of `experts`, of which each token takes `top_k`.

    `ep` GPUs share the experts and `tp` the `inter` channels of each. `tokens` are those of all of them.
    """

    checks: ClassVar[tuple[Check, ...]] = (
        Check("top_k", lambda q: q.top_k <= q.experts, "no more than the experts"),
        Check("ep", lambda q: q.experts % q.ep == 0, "a divisor of the experts"),
        Check("tp", lambda q: q.inter % q.tp == 0, "a divisor of inter"),
        # To some engines the end of a pattern is before a last line break, to others after it.
        Check("distribution", lambda q: _ends_plain(q.distribution), "a text without a line break"),
    )
    table: ClassVar[tuple[str, ...]] = ("distribution",)
    site: ClassVar[tuple[str, ...]] = ("experts", "top_k", "hidden", "inter")

    tokens: Dimension
    hidden: Dimension
    inter: Dimension
    experts: Dimension
    top_k: Dimension
    tp: Dimension = 1
    ep: Dimension = 1
    distribution: Distribution = BALANCED


def skew(distribution: str) -> float:
    """Exponent of a `Distribution`; 0 where tokens spread evenly."""
    return 0.0 if distribution == BALANCED else float(distribution.removeprefix(POWER_LAW))
