"""Where aiconfigurator's tables lie, and what their folders say of them."""

import importlib.util
from pathlib import Path
from typing import Final

import polars as pl

from foretell.datasets.dtypes import DTYPES
from foretell.datasets.sources.aic_forms import FAMILIES
from foretell.errors import InputError, one_of

PACKAGE: Final = "aiconfigurator_core"


def installed() -> Path | None:
    """Folder of the tables in the installed package, found without importing it."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return Path(places[0]) / "systems" / "data" if places else None


def check_readable(path: Path) -> None:
    """Refuse a damaged file before anything of the others is given."""
    try:
        if path.suffix == ".parquet":
            pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise InputError("path", str(path), f"a readable Parquet file ({error})") from error


def placed(published: pl.DataFrame, path: Path) -> pl.DataFrame:
    """`published` with `system`, `folder`, `folder_version` and `mode`, from its columns or its folders.

    `mode` is the file's own word for the backend, where the folder says one too.
    """
    if published["source_dir"].null_count() < published.height:
        return published.rename(
            {"backend": "mode", "source_dir": "folder", "source_version": "folder_version"}
        ).drop("backend_version")
    unsaid = published.drop("source_dir", "source_version")
    if unsaid["system"].null_count() < unsaid.height or not unsaid.height:
        return unsaid.rename({"backend": "folder", "backend_version": "folder_version"}).with_columns(
            mode=pl.lit(None, dtype=pl.String)
        )
    system, backend, version = _folders(path)
    return (
        unsaid.rename({"backend": "mode"})
        .drop("backend_version")
        .with_columns(system=pl.lit(system), folder=pl.lit(backend), folder_version=pl.lit(version))
    )


def _folders(path: Path) -> tuple[str, str, str]:
    """System, backend and version of a file that says neither itself."""
    *above, backend, version, _ = path.absolute().parts
    if len(above) < 2:
        expected = "a file with the column system, or in folders <system>/<family>/<backend>/<version>"
        raise InputError("path", str(path), expected)
    return above[-2] if above[-1] in FAMILIES else above[-1], backend, version


def check_dtypes(path: Path, published: pl.DataFrame, column: pl.Expr) -> None:
    """Refuse a data type that has no name here, in the words of the file."""
    name, *_ = column.meta.root_names()
    names = published.select(pl.col(name).alias("published"), column.alias("dtype")).unique()
    for value, dtype in names.iter_rows():
        if dtype not in DTYPES:
            raise InputError(f"{path.name}: {name}", value, one_of(DTYPES))
