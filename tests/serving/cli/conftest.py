"""The command line in this process: what a user types, what comes back."""

import json
import sys
from dataclasses import dataclass

import pytest

from foretell.serving.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Standard output as one JSON document."""
        return json.loads(self.out)


@pytest.fixture
def foretell(monkeypatch, capsys):
    """Run a command. An error that is not foretell's own fails the test: it would be a stack trace."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["foretell", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Ended(end.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def refused(foretell):
    """Run a command that must end with `code` and one line on standard error that holds `message`."""

    def run(*words, message, code=2):
        ended = foretell(*words)
        assert (ended.code, ended.out) == (code, "")
        assert ended.err.startswith("foretell: ")
        assert ended.err.count("\n") == 1
        assert message in ended.err

    return run


@pytest.fixture
def misused(foretell):
    """Run a command that click must refuse: its usage, then the error."""

    def run(*words, message):
        ended = foretell(*words)
        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("Usage: ")
        assert message in ended.err.partition("\nError: ")[2]

    return run
