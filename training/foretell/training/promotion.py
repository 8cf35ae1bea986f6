"""Which version of a target answers: the alias `champion`, won on the same split or given by a person."""

import getpass
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from foretell.errors import InputError, NotRegisteredError
from foretell.training.connection import connect, exclusive, told
from foretell.training.tracking import SCORE, SPLIT

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

CHAMPION: Final = "champion"
PROMOTION: Final = "foretell.promotion"
"""Tag of a version that became champion: why."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """Whether the alias moved, and why."""

    promoted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Scored:
    """A version and the figure by which it competes, lower is better."""

    version: str
    metric: str
    score: float
    split: str


def promote_if_better(target: str, version: str, *, champion_score: float | None = None) -> Promotion:
    """Make `version` the champion if its score is strictly lower on the champion's split.

    Judging and moving happen under a lock: of trainings on one machine that end at once, the best wins.
    Trainings on several machines that share a tracking server have no such lock, for MLflow has no
    compare-and-set; there the later of two promotions within the same fraction of a second stands.

    Args:
        target: such as ``gemm.latency``.
        version: the candidate.
        champion_score: the present champion's score on the candidate's held-out rows, measured now; with
            it the two need not have been trained on one split.

    Raises:
        NotRegisteredError: there is no such version.
        InputError: the version carries no score, or `champion_score` is not finite.
    """
    if champion_score is not None and not math.isfinite(champion_score):
        raise InputError("champion_score", champion_score, "a finite number")
    client = connect()
    with told(), exclusive("promote"):
        candidate = _scored(client, target, version)
        if candidate is None:
            raise InputError("version", version, f"a version of {target} that foretell logged with a score")
        promotion = _judge(client, target, candidate, champion_score)
        if promotion.promoted:
            _move(client, target, version, promotion.reason)
    return promotion


def promote(target: str, version: str) -> Promotion:
    """Make `version` the champion because a person says so, whatever its score; recorded as a tag.

    Raises:
        NotRegisteredError: there is no such version.
    """
    client = connect()
    reason = f"by hand: {getpass.getuser()}"
    with told(), exclusive("promote"):
        _scored(client, target, version)
        _move(client, target, version, reason)
    return Promotion(promoted=True, reason=reason)


def _judge(client: "MlflowClient", target: str, candidate: Scored, champion_score: float | None) -> Promotion:
    holder = client.get_registered_model(target).aliases.get(CHAMPION)
    if holder is None:
        return Promotion(promoted=True, reason="first champion")
    if str(holder) == candidate.version:
        return Promotion(promoted=False, reason="is the champion already")
    champion = _scored(client, target, str(holder))
    if champion_score is None:
        if champion is None or (champion.split, champion.metric) != (candidate.split, candidate.metric):
            return Promotion(promoted=False, reason=_not_comparable(candidate, champion, str(holder)))
        champion_score = champion.score
    better = candidate.score < champion_score
    relation = f"{'below' if better else 'not below'} {champion_score:.6g} of version {holder}"
    return Promotion(promoted=better, reason=f"{candidate.metric} {candidate.score:.6g} is {relation}")


def _not_comparable(candidate: Scored, champion: Scored | None, holder: str) -> str:
    theirs = f"{champion.metric} on {champion.split}" if champion else "no score"
    return (
        f"scored by {candidate.metric} on {candidate.split}, but champion version {holder} by {theirs}: "
        "score the champion on the new split first"
    )


def _scored(client: "MlflowClient", target: str, version: str) -> Scored | None:
    """The version with its score; none if foretell did not log it."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        found = client.get_model_version(target, version)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise NotRegisteredError(f"{target} has no version {version}") from error
        raise
    metric = found.tags.get(SCORE)
    if metric is None or found.run_id is None:
        return None
    score = client.get_run(found.run_id).data.metrics[metric]
    return Scored(str(found.version), metric, score, found.tags[SPLIT])


def _move(client: "MlflowClient", target: str, version: str, reason: str) -> None:
    client.set_model_version_tag(target, version, PROMOTION, reason)
    client.set_registered_model_alias(target, CHAMPION, version)
