"""`foretell`: finds the command and turns errors into one line and an exit code."""

import sys
from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Final

import click

from foretell.errors import ArtefactError, ForetellError, InputError, NotRegisteredError, UnavailableError

COMMANDS: Final = {
    "doctor": ("foretell.serving.cli.doctor:doctor", "What can be measured here, and what the rest needs."),
    "collect": ("foretell.serving.cli.collect:collect", "Measure on this machine."),
    "pull": ("foretell.serving.cli.pull:pull", "Read published measurements."),
    "train": ("foretell.serving.cli.train:train", "Learn from what was measured, and register the model."),
    "predict": ("foretell.serving.cli.predict:predict", "Say how long something will take."),
    "evaluate": ("foretell.serving.cli.evaluate:evaluate", "Judge the champion on held-out rows."),
    "adapt": ("foretell.serving.cli.adapt:adapt", "Learn a new device from a few measurements of networks."),
    "models": ("foretell.serving.cli.models:models", "List what is registered."),
    "promote": ("foretell.serving.cli.models:promote", "Make a version the champion."),
    "serve": ("foretell.serving.cli.serve:serve", "Answer over REST."),
    "bench": ("foretell.serving.cli.bench:bench", "Run a benchmark protocol beside its peer."),
    "demo": ("foretell.serving.cli.demo:demo", "The whole path on this machine, in minutes."),
}

# The first class that fits says how a command ends. Input is the caller's to mend, as is a missing model.
EXIT_CODES: Final[Mapping[type[ForetellError], int]] = {
    InputError: 2,
    NotRegisteredError: 2,
    UnavailableError: 3,
    ArtefactError: 4,
}


class LazyGroup(click.Group):
    """Imports a command when it is called: help stays quick, and no command pays for another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a first session."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command itself."""
        if cmd_name not in COMMANDS:
            return None
        command = resolve_name(COMMANDS[cmd_name][0])
        assert isinstance(command, click.Command)  # noqa: S101  (narrows the type)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Help from the table, so that it imports nothing."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup)
@click.version_option(package_name="foretell")
def cli() -> None:
    """How long it will take, before it runs, with an honest interval."""


def main() -> None:
    """Entry point of the console script."""
    try:
        cli()
    except ForetellError as error:
        # What a library said may have several lines.
        click.echo(f"foretell: {' '.join(str(error).split())}", err=True)
        sys.exit(next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind)))
