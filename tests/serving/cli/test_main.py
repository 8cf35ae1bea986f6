"""Commands are found without importing them, and errors become one line and an exit code."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from foretell.errors import ArtefactError, ForetellError, InputError, NotRegisteredError, UnavailableError
from foretell.serving.cli import main

HEAVY = {"torch", "mlflow", "lightgbm", "sklearn", "matplotlib", "polars", "starlette"}
HELP_S = 0.5
COMMAND = Path(sys.executable).with_name("foretell")


@pytest.mark.parametrize("command", main.COMMANDS)
def test_every_command_is_there_and_explains_itself(foretell, command):
    ended = foretell(command, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert f"foretell {command}" in ended.out
    assert len(ended.out.splitlines()) > 4


def test_help_lists_every_command_with_a_line(foretell):
    out = foretell("--help").out
    assert all(f"{name} " in out and text in out for name, (_, text) in main.COMMANDS.items())


def test_the_version_is_the_packages(foretell):
    from importlib.metadata import version

    assert version("foretell") in foretell("--version").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["--frobnicate"], "No such option"),
        (["models", "--frobnicate"], "No such option"),
        (["train"], "Missing argument"),
        (["bench", "frobnicate"], "No such command 'frobnicate'"),
    ],
)
def test_what_click_does_not_know_is_a_usage_error(misused, words, message):
    misused(*words, message=message)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("m", 0, "1 or more"), 2),
        (NotRegisteredError("no champion"), 2),
        (UnavailableError("no torch"), 3),
        (ArtefactError("damaged"), 4),
    ],
)
def test_each_kind_of_error_has_its_exit_code(refused, monkeypatch, error, code):
    @click.command()
    def failing():
        raise error

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: failing)
    refused("models", message=f"foretell: {error}\n", code=code)


def test_no_kind_of_error_is_without_an_exit_code():
    assert set(main.EXIT_CODES) == set(ForetellError.__subclasses__())


def test_an_error_of_several_lines_becomes_one(refused, monkeypatch):
    @click.command()
    def failing():
        raise UnavailableError("a library said:\n\n  much\n")

    monkeypatch.setattr(main.LazyGroup, "get_command", lambda *_: failing)
    refused("models", message="foretell: a library said: much\n", code=3)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def imported(code):
    ended = run(sys.executable, "-P", "-c", f"import sys, json; {code}; print(json.dumps(list(sys.modules)))")
    return set(json.loads(ended.stdout.splitlines()[-1]))


def test_import_foretell_is_light():
    assert not imported("import foretell") & HEAVY


def test_the_public_name_brings_neither_torch_nor_mlflow():
    assert not imported("from foretell import Foretell") & (HEAVY - {"polars"})


def test_help_imports_no_command():
    code = "from foretell.serving.cli.main import cli; cli(['--help'], standalone_mode=False)"
    modules = imported(code)
    assert not modules & HEAVY
    assert not {target.partition(":")[0] for target, _ in main.COMMANDS.values()} & modules


def test_help_is_quick():
    """In CPU seconds, which a busy machine lengthens by half at most: it takes a tenth of what is allowed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(COMMAND, "--help").returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime) < HELP_S


def test_a_process_ends_with_the_code_and_without_a_stack_trace():
    ended = run(COMMAND, "predict", "gemm.colour")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("foretell: target: got 'gemm.colour', expected one of attention.energy")
    assert ended.stderr.count("\n") == 1
