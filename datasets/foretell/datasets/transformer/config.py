"""Read a transformer from its Hugging Face ``config.json``; nothing is downloaded.

Fields that say nothing about shapes are passed over, as such files hold many of them. What is missing,
contradictory or of an unknown family is refused by name: a model that is guessed at looks faster than it is.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from foretell.datasets.transformer.families import ACTIVATIONS, FAMILIES, Family
from foretell.datasets.transformer.fields import Fields
from foretell.datasets.transformer.model import Attention, Experts, Layer, Mlp, Transformer
from foretell.errors import InputError, one_of

MAX_BYTES: Final = 2**22
"""Real files take a few kB; a few with long label lists some hundred."""
MAX_LAYERS: Final = 10_000
DTYPES: Final = {"float32": "float32", "float16": "float16", "bfloat16": "bfloat16"}
LAYER_TYPES: Final = {"full_attention": False, "sliding_attention": True}


def read_config(path: Path) -> Transformer:
    """The transformer that a ``config.json`` describes.

    Raises:
        InputError: a file that cannot be read, is no JSON object, or a field that does not fit.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError("model", str(path), f"a readable config.json ({error.strerror})") from error
    if len(content) > MAX_BYTES:
        raise InputError("model", str(path), f"a config.json of at most {MAX_BYTES} bytes")
    try:
        values = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError("model", str(path), f"JSON, which knows no NaN nor infinity ({error})") from error
    return transformer(values)


def transformer(values: Mapping[str, Any]) -> Transformer:
    """The transformer that the fields of a ``config.json`` describe.

    Raises:
        InputError: names the field that is missing, does not fit, or contradicts another one.
    """
    if not isinstance(values, Mapping):
        raise InputError("model", values, "a JSON object with the fields of a config.json")
    family = _family(Fields(values, {}))
    fields = Fields(values, family.names)
    hidden, layers = fields.count("hidden_size"), fields.count("num_hidden_layers")
    if layers > MAX_LAYERS:
        raise InputError(fields.name("num_hidden_layers"), layers, f"at most {MAX_LAYERS} layers")
    _check_unusual(fields, hidden)
    windows = _windows(fields, family, layers)
    parallel = _parallel(fields)
    return Transformer(
        model_type=values["model_type"],
        hidden=hidden,
        vocabulary=fields.count("vocab_size"),
        layers=tuple(Layer(window, _feed_forward(fields, family, n)) for n, window in enumerate(windows)),
        attention=_attention(fields, family, hidden),
        activation=ACTIVATIONS[fields.choice("hidden_act", ACTIVATIONS, _activation(family))],
        norm=family.norm,
        norms=_norms(fields, family, parallel=parallel),
        parallel=parallel,
        positions=_positions(fields, family),
        tied=fields.flag("tie_word_embeddings", default=family.tied),
        dtype=_dtype(fields),
        quantized=_quantized(fields),
    )


def _family(fields: Fields) -> Family:
    family = FAMILIES[fields.choice("model_type", FAMILIES)]
    architectures = fields.members("architectures", str)
    if architectures is not None and architectures != [family.architecture]:
        raise InputError("architectures", architectures, f"[{family.architecture!r}], or none")
    return family


def _attention(fields: Fields, family: Family, hidden: int) -> Attention:
    heads = fields.count("num_attention_heads")
    kv_heads = _kv_heads(fields, heads)
    if heads % kv_heads:
        name = fields.name("num_key_value_heads")
        raise InputError(name, kv_heads, f"a divisor of the {heads} {fields.name('num_attention_heads')}")
    if not fields.given("head_dim") and not family.head_dim and hidden % heads:
        name, whole = fields.name("num_attention_heads"), fields.name("hidden_size")
        raise InputError(name, heads, f"a divisor of {whole} {hidden}, or a head_dim")
    qkv_bias, output_bias, _ = _biases(fields, family)
    return Attention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=fields.count("head_dim", None if family.head_dim else hidden // heads),
        qkv_bias=qkv_bias,
        output_bias=output_bias,
        head_norms=family.head_norms,
        rotary=family.positions is None and not fields.flag("alibi", default=False),
    )


def _kv_heads(fields: Fields, heads: int) -> int:
    """Falcon says in other words when one key-value head serves all."""
    grouped = fields.flag("new_decoder_architecture", default=False)
    if fields.flag("multi_query", default=False) and not grouped:
        return 1
    return fields.count("num_key_value_heads", heads)


def _feed_forward(fields: Fields, family: Family, layer: int) -> Mlp | Experts:
    hidden = fields.count("hidden_size")
    if family.experts is not None and _is_sparse(fields, layer):
        return _experts(fields, *family.experts)
    # GPT-2 and Falcon leave it out where it is the usual four times the hidden size.
    usual = 4 * hidden if fields.name("intermediate_size") in ("n_inner", "ffn_hidden_size") else None
    return Mlp(fields.count("intermediate_size", usual), family.gated, _biases(fields, family)[2])


def _is_sparse(fields: Fields, layer: int) -> bool:
    """Whether a layer of a mixture has experts: some have dense layers in between (Qwen)."""
    dense = fields.members("mlp_only_layers", int) or []
    return layer not in dense and (layer + 1) % fields.count("decoder_sparse_step", 1) == 0


def _experts(fields: Fields, count: str, inter: str) -> Experts:
    experts, top_k = fields.count(count), fields.count("num_experts_per_tok")
    if top_k > experts:
        raise InputError("num_experts_per_tok", top_k, f"at most the {experts} experts of {count}")
    shared = fields.count("shared_expert_intermediate_size", 0, least=0)
    return Experts(experts, top_k, fields.count(inter), shared)


def _windows(fields: Fields, family: Family, layers: int) -> list[int]:
    """How far each layer looks back; 0 for all the way."""
    if family.windows == "none" or not fields.given("sliding_window"):
        return [0] * layers
    window = fields.count("sliding_window")
    if family.windows == "late" and not fields.flag("use_sliding_window", default=False):
        return [0] * layers
    listed = fields.members("layer_types", str)
    if listed is not None:
        return [window if slides else 0 for slides in _slides(listed, layers)]
    first = fields.count("max_window_layers", 0, least=0) if family.windows == "late" else 0
    step = 2 if family.windows == "alternate" else 1
    return [window if layer >= first and layer % step == 0 else 0 for layer in range(layers)]


def _slides(listed: list[str], layers: int) -> list[bool]:
    if len(listed) != layers:
        raise InputError("layer_types", f"{len(listed)} layers", f"the {layers} of num_hidden_layers")
    for number, name in enumerate(listed):
        if name not in LAYER_TYPES:
            raise InputError(f"layer_types[{number}]", name, one_of(LAYER_TYPES))
    return [LAYER_TYPES[name] for name in listed]


def _biases(fields: Fields, family: Family) -> tuple[bool, bool, bool]:
    # GPT-NeoX has them unless the file says otherwise, the others do not.
    default = family.architecture == "GPTNeoXForCausalLM"
    qkv, output, mlp = (
        bias if isinstance(bias, bool) else fields.flag(bias, default=default) for bias in family.bias
    )
    return qkv, output, mlp


def _parallel(fields: Fields) -> bool:
    """Whether attention and feed-forward part run side by side (Falcon, GPT-NeoX)."""
    family = fields.values["model_type"]
    if family == "falcon":
        return fields.flag("parallel_attn", default=True)
    return family == "gpt_neox" and fields.flag("use_parallel_residual", default=True)


def _norms(fields: Fields, family: Family, *, parallel: bool) -> int:
    if family.norms is not None:
        return family.norms
    if fields.flag("new_decoder_architecture", default=False):
        return fields.count("num_ln_in_parallel_attn", 2)
    return 1 if parallel else 2


def _positions(fields: Fields, family: Family) -> int:
    if family.positions is None:
        return 0
    return fields.count("max_position_embeddings") + family.positions


def _activation(family: Family) -> str:
    return "silu" if family.gated else "gelu"


def _dtype(fields: Fields) -> str:
    """Newer files call it dtype."""
    field = "dtype" if fields.given("dtype") else "torch_dtype"
    return fields.choice(field, DTYPES, "float32") if fields.given(field) else "float32"


def _quantized(fields: Fields) -> str | None:
    quantization = fields.values.get("quantization_config")
    if quantization is None:
        return None
    if not isinstance(quantization, Mapping) or not isinstance(quantization.get("quant_method"), str):
        raise InputError("quantization_config", quantization, "an object with the field quant_method")
    return str(quantization["quant_method"])


def _check_unusual(fields: Fields, hidden: int) -> None:
    """Variants of a family that have parts which nothing here lists."""
    width = fields.count("word_embed_proj_dim", hidden)
    if width != hidden:
        raise InputError("word_embed_proj_dim", width, f"hidden_size {hidden}: nothing projects in between")
    if not fields.flag("do_layer_norm_before", default=True):
        raise InputError("do_layer_norm_before", False, "true: norms after each part are not known")
