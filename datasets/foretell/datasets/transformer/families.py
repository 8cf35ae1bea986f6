"""What the families of transformers differ in, and what each calls its fields in ``config.json``.

Facts of the published architectures; what a configuration file does not say is what its family's published
implementation takes for granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Family:
    """One ``model_type``.

    Attributes:
        architecture: the class that the file names for text generation.
        names: what the file calls a field, where it is not the usual name.
        norm: see `Transformer`.
        norms: see `Transformer`; null where the file decides.
        gated: whether the feed-forward part has a gate.
        bias: bias of qkv, output and feed-forward part: a fact, or the field that says so.
        tied: whether the output matrix is the embedding where the file does not say.
        head_norms: see `Attention`.
        positions: unused rows at the start of the learnt position embeddings; null where there are none.
        head_dim: whether the file must say it, because it is not hidden size over heads.
        windows: which layers have a window: none, all, every second from the first, or the later ones.
        experts: fields of the number of experts and their inner width; null for a dense family.
    """

    architecture: str
    names: Mapping[str, str] = field(default_factory=dict)
    norm: Literal["rms", "layer"] = "rms"
    norms: int | None = 2
    gated: bool = True
    bias: tuple[bool | str, bool | str, bool | str] = (False, False, False)
    tied: bool = False
    head_norms: bool = False
    positions: int | None = None
    head_dim: bool = False
    windows: Literal["none", "all", "alternate", "late"] = "none"
    experts: tuple[str, str] | None = None


_GPT2_NAMES: Final = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "intermediate_size": "n_inner",
    "max_position_embeddings": "n_positions",
    "hidden_act": "activation_function",
}
_OPT_NAMES: Final = {"intermediate_size": "ffn_dim", "hidden_act": "activation_function"}
_FALCON_NAMES: Final = {
    "intermediate_size": "ffn_hidden_size",
    "hidden_act": "activation",
    "num_key_value_heads": "num_kv_heads",
}
_ATTENTION: Final = ("attention_bias", "attention_bias", False)
_ALL: Final = (True, True, True)
_QWEN_EXPERTS: Final = ("num_experts", "moe_intermediate_size")

FAMILIES: Final[dict[str, Family]] = {
    "llama": Family("LlamaForCausalLM", bias=("attention_bias", "attention_bias", "mlp_bias")),
    "mistral": Family("MistralForCausalLM", windows="all"),
    "mixtral": Family(
        "MixtralForCausalLM", windows="all", experts=("num_local_experts", "intermediate_size")
    ),
    "qwen2": Family("Qwen2ForCausalLM", bias=(True, False, False), windows="late"),
    "qwen2_moe": Family(
        "Qwen2MoeForCausalLM", bias=(True, False, False), windows="late", experts=_QWEN_EXPERTS
    ),
    "qwen3": Family("Qwen3ForCausalLM", bias=_ATTENTION, head_norms=True, head_dim=True, windows="late"),
    "qwen3_moe": Family(
        "Qwen3MoeForCausalLM",
        bias=_ATTENTION, head_norms=True, head_dim=True, windows="late", experts=_QWEN_EXPERTS,
    ),
    "gemma": Family("GemmaForCausalLM", bias=_ATTENTION, tied=True, head_dim=True),
    "gemma2": Family(
        "Gemma2ForCausalLM", bias=_ATTENTION, tied=True, head_dim=True, norms=4, windows="alternate"
    ),
    "phi3": Family("Phi3ForCausalLM", windows="all"),
    "gpt2": Family(
        "GPT2LMHeadModel",
        names=_GPT2_NAMES, norm="layer", gated=False, bias=_ALL, tied=True, positions=0,
    ),
    "opt": Family(
        "OPTForCausalLM", names=_OPT_NAMES, norm="layer", gated=False, bias=_ALL, tied=True, positions=2
    ),
    "falcon": Family(
        "FalconForCausalLM",
        names=_FALCON_NAMES, norm="layer", norms=None, gated=False, bias=("bias",) * 3, tied=True,
    ),
    "gpt_neox": Family(
        "GPTNeoXForCausalLM", norm="layer", gated=False, bias=("attention_bias", "attention_bias", True)
    ),
}  # fmt: skip

ACTIVATIONS: Final = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu",
    "gelu_fast": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "relu": "relu",
}
"""What files call an activation: its elementwise function. The forms of gelu differ by a few operations."""
