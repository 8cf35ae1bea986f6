"""`foretell serve --protocol llm-d`."""

from typing import Any

import click

from foretell.serving.llmd.options import Options, options_from
from foretell.serving.llmd.server import serve

PORT = click.IntRange(0, 65_535)


@click.command()
@click.option("--host", help="Default 127.0.0.1.")
@click.option("--prediction-port", type=PORT, help="Default 8001; 0 leaves the prediction server out.")
@click.option("--training-port", type=PORT, help="Default 8000; 0 leaves the training server out.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes that predict; default 1.")
@click.option("--objective", type=click.Choice(["mean", "quantile"]), help="What is predicted; default mean.")
@click.option("--quantile", type=float, help="Level of the quantile and of the bounds; default 0.9.")
@click.option("--state", type=click.Path(file_okay=False), help="Folder of the journal and of the models.")
@click.option("--training-url", help="Where a prediction server by itself gets its models.")
@click.option("--retrain-s", type=click.FloatRange(min=0.1), help="Least seconds between refits; default 5.")
@click.option("--min-new", type=click.IntRange(min=1), help="New samples a refit waits for; default 25.")
@click.option("--max-body-bytes", type=click.IntRange(min=1), help="Longest request body; default 16 MiB.")
@click.option("--max-pools", type=click.IntRange(min=1), help="Most pools; default 64.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="Certificate, PEM.")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="Its key, PEM.")
def serve_llmd(**given: Any) -> None:
    """Answer llm-d's endpoint picker: predict TTFT and TPOT, and learn from finished requests.

    Each option is also an environment variable, such as FORETELL_LLMD_QUANTILE. FORETELL_TOKEN asks callers
    for a bearer token.
    """
    options = options_from(given)
    click.echo(_addresses(options), err=True)
    serve(options)


def _addresses(options: Options) -> str:
    scheme = "https" if options.tls_cert else "http"
    ports = {"predictions": options.prediction_port, "training": options.training_port}
    return " ".join(f"{name} {scheme}://{options.host}:{port}" for name, port in ports.items() if port)
