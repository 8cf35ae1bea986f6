"""`foretell serve`: one command for each protocol."""

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any, Final

import click
from msgspec.structs import replace

from foretell.serving.options import DEFAULTS
from foretell.serving.server import serve as run_server

PROTOCOLS: Final[Mapping[str, str]] = {
    "rest": "foretell.serving.cli.serve:rest",
    "llm-d": "foretell.serving.cli.serve_llmd:serve_llmd",
}
protocol_option: Final = click.Option(
    ["--protocol"], type=click.Choice(list(PROTOCOLS)), default="rest", show_default=True, expose_value=False
)


class ByProtocol(click.Command):
    """Hands over to the command of the protocol that is asked for, which has options of its own."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """The context of that command."""
        asked = [after for before, after in zip(["", *args], args, strict=False) if before == "--protocol"]
        asked += [given.partition("=")[2] for given in args if given.startswith("--protocol=")]
        command = resolve_name(PROTOCOLS.get(asked[-1] if asked else "rest", PROTOCOLS["rest"]))
        assert isinstance(command, click.Command)  # noqa: S101  (narrows the type)
        if protocol_option not in command.params:
            command.params.append(protocol_option)
        return command.make_context(info_name, args, parent, **extra)


serve: Final = ByProtocol("serve", help="Answer over REST, or by another protocol.")


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(1, 65_535), default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes.")
@click.option(
    "--max-body-bytes", type=click.IntRange(min=1), default=DEFAULTS.max_body_bytes, show_default=True
)
@click.option("--max-rows", type=click.IntRange(min=1), default=DEFAULTS.max_rows, show_default=True)
@click.option(
    "--poll-seconds",
    type=click.IntRange(1, 3600),
    default=int(DEFAULTS.poll_s),
    show_default=True,
    help="Between looks for a new champion.",
)
def rest(
    *, host: str, port: int, workers: int, max_body_bytes: int, max_rows: int, poll_seconds: int
) -> None:
    """Answer over REST with the champions; docs at /docs. FORETELL_TOKEN asks callers for a bearer token."""
    options = replace(DEFAULTS, max_body_bytes=max_body_bytes, max_rows=max_rows, poll_s=poll_seconds)
    click.echo(f"http://{host}:{port}/docs", err=True)
    run_server(host, port, workers, options)
