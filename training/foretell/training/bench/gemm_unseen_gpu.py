"""Protocol `gemm-unseen-gpu`: matrix products on GPUs that are left out together with their whole family.

Only the family of the device table says what belongs together; H100 never vouches for H200. The tables are
vLLM's in bfloat16. Without calibration a device is known by its figures alone, with it also by 16 or 64 of
its own measurements, which are spread over its shapes and not scored.
"""

from pathlib import Path
from typing import Final

import polars as pl

from foretell.datasets.device import device
from foretell.datasets.sources.aiconfigurator import ONE_FILE, Aiconfigurator
from foretell.errors import InputError, one_of
from foretell.training.bench.holdout import SEED
from foretell.training.bench.report import Group, Report, report
from foretell.training.bench.unseen import Asked, handful
from foretell.training.targets import find

TARGET: Final = "gemm.latency"
BACKEND: Final = "vllm"
DTYPE: Final = "bfloat16"
CALIBRATIONS: Final = (0, 16, 64)
DRAWS: Final = 3
"""Handfuls of one size over which figures are averaged."""


def run(data: Path, calibration: int | None = None) -> Report:
    """Leave out each family in turn.

    Args:
        data: folder with ``aic_gemm.parquet`` or aiconfigurator's own files.
        calibration: measurements of the device itself; null for each of `CALIBRATIONS`.

    Raises:
        UnavailableError: no tables there.
        InputError: another number of measurements, fewer than two families, or a file in another layout.
    """
    if calibration is not None and calibration not in CALIBRATIONS:
        raise InputError("calibration", calibration, one_of(map(str, CALIBRATIONS)))
    sizes = CALIBRATIONS if calibration is None else (calibration,)
    one = data / ONE_FILE
    source = Aiconfigurator(one if one.is_file() else data)
    rows = source.read().rows.filter(operator="gemm", backend=BACKEND, dtype=DTYPE)
    families = {name: device(name).family or name for name in rows["device"].unique().sort()}
    if len(set(families.values())) < 2:
        raise InputError("rows", f"tables of {', '.join(families) or 'no device'}", "two families of devices")
    rows = rows.with_columns(family=pl.col("device").replace_strict(families, return_dtype=pl.String))
    groups: list[Group] = []
    seconds = {"fit": 0.0, "predict": 0.0}
    for family in sorted(set(families.values())):
        groups += _left_out(rows, family, sizes, seconds)
    order = {str(size): number for number, size in enumerate(sizes)}
    groups.sort(key=lambda group: order[group.group["calibration"]])
    return report("gemm-unseen-gpu", groups, seconds, [])


def _left_out(
    rows: pl.DataFrame, family: str, sizes: tuple[int, ...], seconds: dict[str, float]
) -> list[Group]:
    """Figures of each device of a family, from a model that knows none of it."""
    target = find(TARGET)
    train = rows.filter(pl.col("family") != family).drop("family")
    asked = Asked.learnt(target, train, seconds)
    groups = []
    for (name,), test in rows.filter(family=family).partition_by("device", as_dict=True).items():
        for size in sizes:
            draws = DRAWS if size else 1
            handfuls = [handful(test, ("m", "n", "k"), size, SEED + draw) for draw in range(draws)]
            group = {"calibration": str(size), "device": str(name), "family": family}
            groups.append(asked.group(group, test, handfuls))
    return groups
