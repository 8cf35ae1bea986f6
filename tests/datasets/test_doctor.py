"""The doctor finds what there is and names a remedy for what there is not; it never fails itself."""

import os
import shutil
from collections import namedtuple

import pytest

from foretell.datasets import doctor
from foretell.datasets.doctor import findings

NAMES = {
    "python",
    "cores",
    "load",
    "torch",
    "torch cpu",
    "torch cuda",
    "energy nvml",
    "energy rapl",
    "perf",
    "aiconfigurator tables",
    "store",
}


@pytest.fixture(scope="module")
def found():
    return {finding.name: finding for finding in findings()}


def test_everything_is_looked_at(found):
    assert set(found) >= NAMES - {"torch cpu"}


@pytest.mark.parametrize("name", sorted(NAMES - {"torch cpu"}))
def test_what_is_missing_has_a_remedy_and_what_is_there_has_none(found, name):
    assert found[name].detail
    assert found[name].ok == (not found[name].remedy)


def test_data_types_of_this_processor_are_named(found):
    pytest.importorskip("torch")
    assert "float32" in found["torch cpu"].detail


def by_name(name, **options):
    return next(finding for finding in findings(**options) if finding.name == name)


def test_a_busy_machine_is_told(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (64.0 * 1024, 0.0, 0.0))
    assert not by_name("load").ok


def test_an_idle_machine_is_fine(monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    assert by_name("load").ok


def test_missing_packages_are_told(monkeypatch):
    monkeypatch.setattr(doctor, "find_spec", lambda name: None)
    for name in ("torch", "torch cuda", "aiconfigurator tables"):
        assert "pip install" in by_name(name).remedy


def test_a_store_that_does_not_exist_yet_is_looked_for_further_up(tmp_path):
    assert by_name("store", store=tmp_path / "not" / "yet").detail.endswith(str(tmp_path))


def test_a_full_disk_is_told(monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 10**6))
    assert "free" in by_name("store", store=tmp_path).remedy
