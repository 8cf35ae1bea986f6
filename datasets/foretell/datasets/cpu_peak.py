"""Operations per cycle of one core, derived from its instruction sets: nobody publishes them per product.

A fused multiply-add counts as two operations. The number of units is the common one of each line of products;
cheaper products of a line may have half.
"""

from collections.abc import Mapping
from typing import Final

from foretell.datasets.cpu import Cpu
from foretell.errors import UnavailableError

ARM_FOUR_PIPES: Final = (0xD40, 0xD4F, 0xD84)
"""Neoverse V1, V2 and V3: four 128-bit pipes or as many bits in wider ones; other ARM cores have two."""
AMD_ZEN_5: Final = 26
"""First AMD family whose 512-bit operations are not run in two halves."""
TILE: Final = {"amx_fp16": 1024, "amx_bf16": 1024, "amx_int8": 2048}
"""A tile product: 16 rows x 16 columns x 64 bytes in 16 cycles, by Intel's optimisation manual.

32 two-byte values: 16 * 16 * 32 * 2 / 16 = 1024; 64 one-byte values: 2048.
"""


def operations_per_cycle(cpu: Cpu) -> dict[str, float | None]:
    """Operations per cycle of one physical core by data type; null where no instruction helps."""
    if "asimd" in cpu.features:
        return _arm(cpu)
    if "sse2" in cpu.features:
        return _x86(cpu)
    raise UnavailableError("cannot read the instruction sets of this CPU; describe the machine in a file")


def _x86(cpu: Cpu) -> dict[str, float | None]:
    float32 = _x86_bits(cpu) / 32 * 2
    has = cpu.features.__contains__
    vnni = has("avx512_vnni") or has("avx_vnni")
    # Half-width values double the lanes; dot products of four bytes take four times the values.
    return {
        "float64": float32 / 2,
        "float32": float32,
        "float16": _tile(cpu, "amx_fp16") or (float32 * 2 if has("avx512_fp16") else None),
        "bfloat16": _tile(cpu, "amx_bf16") or (float32 * 2 if has("avx512_bf16") else None),
        "int8": _tile(cpu, "amx_int8") or (float32 * 4 if vnni else None),
    }


def _x86_bits(cpu: Cpu) -> int:
    """Bits that all fused multiply-add units of a core take per cycle."""
    if "avx512f" in cpu.features:
        one_unit = cpu.vendor == "AuthenticAMD" and cpu.family < AMD_ZEN_5
        return 512 if one_unit else 2 * 512
    if "fma" in cpu.features:
        return 2 * 256
    # One unit multiplies and another adds, which comes to one fused unit.
    return 256 if "avx" in cpu.features else 128


def _tile(cpu: Cpu, feature: str) -> float | None:
    return TILE[feature] if feature in cpu.features else None


def _arm(cpu: Cpu) -> dict[str, float | None]:
    pipes = 4 if cpu.vendor == "Apple" or cpu.family in ARM_FOUR_PIPES else 2
    float32 = pipes * 128 / 32 * 2
    # A matrix instruction (BFMMLA, SMMLA) does twice the work of the dot product of its width.
    factors: Mapping[str, float] = {"asimdhp": 2, "bf16": 4, "i8mm": 8, "asimddp": 4}
    has = {name: float32 * factor for name, factor in factors.items() if name in cpu.features}
    return {
        "float64": float32 / 2,
        "float32": float32,
        "float16": has.get("asimdhp"),
        "bfloat16": has.get("bf16"),
        "int8": has.get("i8mm") or has.get("asimddp"),
    }
