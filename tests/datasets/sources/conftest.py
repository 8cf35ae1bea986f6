"""Real data where there is some, and small doubles of the published files, in their layout."""

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace

import pytest


def _beside(name):
    """A module of doubles beside this file: tests are imported by path, not as packages."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


aic, others, nas = _beside("doubles_aic"), _beside("doubles"), _beside("doubles_help")
SMALL = {
    "aiconfigurator": {"one file": aic.one_of_each, "wheel": aic.wheel},
    "help": {"one file": nas.help_one_file},
    "neusight": {"one file": others.neusight_one_file, "repository": others.neusight_repository},
    "vidur": {"one file": others.vidur_one_file, "repository": others.vidur_repository},
}


@pytest.fixture(scope="session")
def published():
    """Writers of doubles; `small` has some for each source, which return the folder that they wrote to."""
    public = {**vars(aic), **vars(others)}
    return SimpleNamespace(**{name: public[name] for name in public if not name.startswith("_")}, small=SMALL)


@pytest.fixture(scope="session")
def kernels_folder():
    """Folder of real tables, where there is one: ``FORETELL_DATA``, else beside the repository."""
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("FORETELL_DATA") or beside) / "kernels"
    if not (folder / "aic_gemm.parquet").is_file():
        pytest.skip(f"no aic_gemm.parquet in {folder}; FORETELL_DATA names the folder above it")
    return folder
