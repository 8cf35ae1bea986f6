"""Ask MLflow what is registered; as a program, print the answer as one line of JSON.

MLflow's client costs 2 s of CPU and 230 MB, which a server should not carry for a look-up now and then:
`registry` runs ``python -m foretell.serving.lookup`` instead, wherever MLflow is not imported anyway.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from foretell.errors import ForetellError
from foretell.serving import messages
from foretell.training.connection import connect, home, told, tracking_uri
from foretell.training.promotion import CHAMPION

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


class Model(messages.Model, frozen=True):
    """A registered model version, and where it lies.

    Attributes:
        location: folder of the MLflow model: a path here, or an address elsewhere.
    """

    location: str

    def told(self) -> dict[str, Any]:
        """Everything but the location."""
        return {name: getattr(self, name) for name in messages.Model.__struct_fields__}


class Answer(msgspec.Struct, frozen=True):
    """What the helper process prints: models, a folder, or an error class of foretell and its words."""

    models: tuple[Model, ...] = ()
    folder: str = ""
    error: str = ""
    message: str = ""


def champions() -> Answer:
    """The champion of every target that has one."""
    client = connect()
    with told():
        held = {
            model.name: str(model.aliases[CHAMPION])
            for model in client.search_registered_models(max_results=1000)
            if CHAMPION in model.aliases
        }
        return Answer(models=tuple(_model(client, *item, champion=True) for item in held.items()))


def models(target: str = "") -> Answer:
    """Every version, newest first; of one target where it is given."""
    client = connect()
    with told():
        held = {
            model.name: str(model.aliases.get(CHAMPION))
            for model in client.search_registered_models(max_results=1000)
            if target in ("", model.name)
        }
        found = [
            (name, str(version.version))
            for name in held
            for version in client.search_model_versions(f"name='{name}'", order_by=["version_number DESC"])
        ]
        return Answer(
            models=tuple(_model(client, *item, champion=held[item[0]] == item[1]) for item in found)
        )


def fetch(location: str, run_id: str) -> Answer:
    """Copy the model of a run from where the server keeps it, once; says where it lies here."""
    folder = home(tracking_uri()) / "downloads" / run_id
    if not folder.exists():
        connect()
        from mlflow.artifacts import download_artifacts  # noqa: PLC0415

        with told():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                model = download_artifacts(location, dst_path=scratch, tracking_uri=tracking_uri())
                Path(model).rename(folder)
    return Answer(folder=str(folder))


QUESTIONS: Final[dict[str, Callable[..., Answer]]] = {
    "champions": champions,
    "models": models,
    "fetch": fetch,
}


def answer(question: str, *arguments: str) -> Answer:
    """Answer in this process; an error of foretell becomes part of the answer."""
    try:
        return QUESTIONS[question](*arguments)
    except ForetellError as error:
        return Answer(error=type(error).__name__, message=str(error))


def _model(client: "MlflowClient", target: str, version: str, *, champion: bool) -> Model:
    found = client.get_model_version(target, version)
    metrics = client.get_run(found.run_id).data.metrics if found.run_id else {}
    return Model(
        target=target,
        version=version,
        run_id=found.run_id or "",
        champion=champion,
        created_at_s=found.creation_timestamp / 1e3,
        metrics=metrics,
        tags=found.tags,
        location=found.source or "",
    )


if __name__ == "__main__":
    sys.stdout.buffer.write(b"\n" + msgspec.json.encode(answer(*sys.argv[1:])))
