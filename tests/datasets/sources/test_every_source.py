import pkgutil
import subprocess
import sys

import polars as pl
import pytest

from foretell.datasets.sources import SOURCES
from foretell.datasets.store import KINDS, Store
from foretell.errors import InputError, UnavailableError


def build(name, path):
    return pkgutil.resolve_name(SOURCES[name])(path)


FORMS = {name: ("one file", "wheel" if name == "aiconfigurator" else "repository") for name in SOURCES}
FORMS["help"] = ("one file",)


@pytest.fixture(
    scope="module", params=[(name, form) for name in SOURCES for form in FORMS[name]], ids=" ".join
)
def source(request, published, tmp_path_factory):
    """Each source on each published form of its files."""
    name, form = request.param
    return build(name, published.small[name][form](tmp_path_factory.mktemp("published")))


@pytest.fixture(scope="module")
def whole(source):
    """What it reads."""
    return source.read()


def test_kind_is_one_of_the_store(source):
    assert source.kind in KINDS


def test_published_files_are_available(source):
    assert source.available()


def test_every_row_obeys_the_kind(source, whole):
    assert pkgutil.resolve_name(KINDS[source.kind]).is_valid(whole.rows)


def test_every_row_has_a_device_a_time_and_an_origin(source, whole):
    assert whole.rows.height
    label = {"kernel": "latency_us", "network": "latency_ms"}[source.kind]
    assert whole.rows.select("device", label, "origin").null_count().row(0) == (0, 0, 0)


def test_batches_are_the_whole_in_parts(source, whole):
    parts = list(source.batches())
    assert sum(part.rows.height for part in parts) == whole.rows.height
    assert sum(part.rejected.height for part in parts) == whole.rejected.height
    assert tuple(note for part in parts for note in part.notes) == whole.notes


def test_rejected_rows_name_their_rule(whole):
    assert whole.rejected["rule"].null_count() == 0


def test_same_files_give_the_same_rows(source, whole):
    again = source.read()
    assert again.rows.equals(whole.rows)
    assert again.rejected.equals(whole.rejected)


def test_store_takes_what_a_source_reads(source, whole, tmp_path):
    result = Store(tmp_path / "store").append(source.kind, whole.rows, whole.rejected)
    assert (result.accepted, result.rejected) == (whole.rows.height, whole.rejected.height)


@pytest.mark.parametrize("name", SOURCES)
def test_absent_files_are_unavailable_with_the_reason(name, tmp_path):
    source = build(name, tmp_path)
    available = source.available()
    assert not available
    assert str(tmp_path) in available.reason
    with pytest.raises(UnavailableError):
        source.read()


@pytest.mark.parametrize("name", SOURCES)
def test_damaged_file_is_refused_by_name(name, published, tmp_path):
    folder = published.small[name]["one file"](tmp_path)
    path = min(folder.glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"path: got '{path}', expected a readable Parquet file"):
        build(name, folder).read()


@pytest.mark.parametrize("name", SOURCES)
def test_column_that_is_not_known_is_refused_by_name(name, published, tmp_path):
    folder = published.small[name]["one file"](tmp_path)
    path = min(folder.glob("*.parquet"))
    pl.read_parquet(path).with_columns(colour=1).write_parquet(path)
    with pytest.raises(InputError, match=rf"^{path.name}: colour: got 'this column'"):
        build(name, folder).read()


@pytest.mark.parametrize("name", SOURCES)
def test_source_imports_no_learning_library(name):
    module = SOURCES[name].partition(":")[0]
    heavy = "{'torch', 'mlflow', 'lightgbm', 'sklearn', 'pandas', 'aiconfigurator_core'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
