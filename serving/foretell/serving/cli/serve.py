"""`foretell serve`."""

import click
from msgspec.structs import replace

from foretell.serving.options import DEFAULTS
from foretell.serving.server import serve as run_server


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
def serve(
    *, host: str, port: int, workers: int, max_body_bytes: int, max_rows: int, poll_seconds: int
) -> None:
    """Answer over REST with the champions; docs at /docs. FORETELL_TOKEN asks callers for a bearer token."""
    options = replace(DEFAULTS, max_body_bytes=max_body_bytes, max_rows=max_rows, poll_s=poll_seconds)
    click.echo(f"http://{host}:{port}/docs", err=True)
    run_server(host, port, workers, options)
