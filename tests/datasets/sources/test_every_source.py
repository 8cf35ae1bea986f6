import pkgutil
import subprocess
import sys

import pytest

from foretell.datasets.sources import SOURCES
from foretell.datasets.store import KINDS, Store
from foretell.errors import UnavailableError


def build(name, path):
    return pkgutil.resolve_name(SOURCES[name])(path)


@pytest.fixture(params=SOURCES)
def source(request, published, tmp_path):
    return build(request.param, published.small[request.param](tmp_path / "published"))


def test_kind_is_one_of_the_store(source):
    assert source.kind in KINDS


def test_published_files_are_available(source):
    assert source.available()


def test_every_row_obeys_the_kind(source):
    assert pkgutil.resolve_name(KINDS[source.kind]).is_valid(source.read().rows)


def test_same_files_give_the_same_rows(source):
    first, second = source.read(), source.read()
    assert first.rows.equals(second.rows)
    assert first.rejected.equals(second.rejected)


def test_store_takes_what_a_source_reads(source, tmp_path):
    batch = source.read()
    result = Store(tmp_path / "store").append(source.kind, batch.rows, batch.rejected)
    assert (result.accepted, result.rejected) == (batch.rows.height, batch.rejected.height)


@pytest.mark.parametrize("name", SOURCES)
def test_absent_files_are_unavailable_with_the_reason(name, tmp_path):
    source = build(name, tmp_path)
    available = source.available()
    assert not available
    assert str(tmp_path) in available.reason
    with pytest.raises(UnavailableError):
        source.read()


@pytest.mark.parametrize("name", SOURCES)
def test_source_imports_no_learning_library(name):
    module = SOURCES[name].partition(":")[0]
    heavy = "{'torch', 'mlflow', 'lightgbm', 'sklearn', 'pandas', 'aiconfigurator_core'}"
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
