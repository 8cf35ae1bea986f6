"""A trained predictor as an MLflow run with a registered model version."""

import math
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from foretell.errors import InputError, one_of
from foretell.training.connection import connect, home, told, tracking_uri

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

DATA_VERSION: Final = "foretell.data_version"
SPLIT: Final = "foretell.split"
SCORE: Final = "foretell.score"
"""Tag that names the metric by which versions of a target compete; lower is better."""
FORETELL_VERSION: Final = "foretell.version"
COMMIT: Final = "foretell.commit"

MODEL: Final = "model"
"""Folder of the model among the artefacts of its run."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered model version: ``name`` is the target, ``version`` counts from 1."""

    name: str
    version: str
    run_id: str


def log_run(
    target: str,
    artefact: Path,
    *,
    example: pl.DataFrame,
    params: Mapping[str, str | int | float],
    metrics: Mapping[str, float],
    plots: Sequence[Path],
    data_version: str,
    split: str,
    commit: str | None,
    score: str = "mape",
    optional: Collection[str] = (),
) -> ModelVersion:
    """Log one training as a run and register its artefact as the next version of `target`.

    Args:
        target: such as ``gemm.latency``.
        artefact: folder that `Predictor.save` wrote.
        example: a few query rows without nulls; they are answered once, which shows that the artefact
            loads, and become the model's signature and example.
        params: options of the training.
        metrics: figures on the held-out rows, among them `score`.
        plots: files to keep with the run.
        data_version: version of the store's rows that it was trained on.
        split: id of the split, including a fingerprint of the held-out rows.
        commit: git commit of foretell; none outside of a checkout.
        score: the metric by which versions compete, lower is better.
        optional: columns of `example` that a query may leave out.

    Raises:
        InputError: `score` is not among the metrics, or not finite.
        ArtefactError: the artefact cannot be loaded.
        UnavailableError: MLflow cannot be reached or written.
    """
    if not math.isfinite(metrics.get(score, math.nan)):
        raise InputError("score", score, f"a finite metric, {one_of(metrics)}")
    tags = {
        DATA_VERSION: data_version,
        SPLIT: split,
        SCORE: score,
        FORETELL_VERSION: installed_version("foretell"),
        COMMIT: commit or "not a checkout",
    }
    client = connect()
    with tempfile.TemporaryDirectory() as folder, told():
        model = Path(folder) / MODEL
        _save_model(model, artefact, example, optional)
        with _run(client, target, tags) as run_id:
            _log(client, run_id, params, metrics)
            for plot in plots:
                client.log_artifact(run_id, str(plot), "plots")
            client.log_artifacts(run_id, str(model), MODEL)
        return _register(client, target, run_id, tags)


def _save_model(model: Path, artefact: Path, example: pl.DataFrame, optional: Collection[str]) -> None:
    import mlflow.pyfunc  # noqa: PLC0415

    mlflow.pyfunc.save_model(
        str(model),
        loader_module="foretell.training.pyfunc",
        data_path=str(artefact),
        signature=_signature(artefact, example, optional),
        input_example=example.to_pandas(),
        # Given, because MLflow finds them out by loading the model in another process.
        pip_requirements=[f"foretell=={installed_version('foretell')}"],
    )


def _signature(artefact: Path, example: pl.DataFrame, optional: Collection[str]) -> "ModelSignature":
    from mlflow.models import ModelSignature  # noqa: PLC0415
    from mlflow.types import ColSpec, Schema  # noqa: PLC0415

    from foretell.training.pyfunc import _load_pyfunc  # noqa: PLC0415

    query = example.to_pandas()
    answer = _load_pyfunc(str(artefact)).predict(query)
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(_mlflow_type(dtype), name, name not in optional)
                for name, dtype in example.schema.items()
            ]
        ),
        outputs=Schema([ColSpec("double", name) for name in answer.columns]),
    )


def _mlflow_type(dtype: pl.DataType) -> str:
    if dtype in (pl.String, pl.Boolean):
        return "string" if dtype == pl.String else "boolean"
    return "long" if dtype.is_integer() else "double"


@contextmanager
def _run(client: "MlflowClient", target: str, tags: Mapping[str, str]) -> Iterator[str]:
    """A run that ends as finished, or as failed when its logging fails."""
    run_id = client.create_run(_experiment(client, target), tags=dict(tags)).info.run_id
    try:
        yield run_id
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _experiment(client: "MlflowClient", target: str) -> str:
    """Id of the experiment of a target, created on first use."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    if found := client.get_experiment_by_name(target):
        return str(found.experiment_id)
    uri = tracking_uri()
    # A tracking server decides by itself where artefacts go.
    location = None if uri.startswith("http") else (home(uri) / "artifacts").as_uri()
    try:
        return str(client.create_experiment(target, artifact_location=location))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return _experiment(client, target)


def _log(
    client: "MlflowClient",
    run_id: str,
    params: Mapping[str, str | int | float],
    metrics: Mapping[str, float],
) -> None:
    for name, value in params.items():
        client.log_param(run_id, name, value)
    for name, figure in metrics.items():
        client.log_metric(run_id, name, figure)


def _register(client: "MlflowClient", target: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        client.create_registered_model(target)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL}"
    version = client.create_model_version(target, source, run_id=run_id, tags=dict(tags))
    return ModelVersion(target, str(version.version), run_id)
