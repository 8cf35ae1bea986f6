"""Every target of the table is whole: what it names exists."""

from pkgutil import resolve_name

import pytest

from foretell.datasets.store import KINDS
from foretell.errors import InputError
from foretell.predictors.families import ENCODERS, FAMILIES
from foretell.training.targets import TARGETS, find


@pytest.fixture(params=sorted(TARGETS))
def name(request):
    return request.param


@pytest.fixture
def target(name):
    return TARGETS[name]


@pytest.fixture
def columns(target):
    return set(resolve_name(KINDS[target.kind]).columns())


def test_a_target_is_found_by_the_name_in_its_task(name, target):
    assert find(name) is target
    assert target.task.target == name


def test_the_label_is_a_column_whose_name_says_the_unit(target, columns):
    assert target.task.label in columns
    assert target.task.label.endswith(f"_{target.task.unit.lower()}")


def test_the_encoder_asks_for_columns_of_the_kind_and_never_for_the_label(target, columns):
    asked = set(resolve_name(ENCODERS[target.task.encoder]).query.__struct_fields__)
    assert asked <= columns - {target.task.label}


def test_tables_and_splits_group_by_what_a_query_says(target):
    asked = set(resolve_name(ENCODERS[target.task.encoder]).query.__struct_fields__)
    assert {*target.tables}.union(*target.splits.values()) <= asked


def test_the_default_split_is_one_of_its_splits(target):
    assert target.splits[target.split]


def test_the_baselines_are_families(target):
    assert target.baselines
    assert set(target.baselines) <= set(FAMILIES)


def test_an_unknown_target_is_told_which_there_are():
    with pytest.raises(InputError, match=r"target: got 'gemm\.colour', expected one of .*gemm\.latency"):
        find("gemm.colour")
