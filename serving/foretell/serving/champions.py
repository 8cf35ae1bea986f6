"""The models that answer now, replaced when the registry names new champions."""

import time
from dataclasses import dataclass
from typing import Final

from foretell import predictors
from foretell.errors import ArtefactError, ForetellError, UnavailableError, one_of
from foretell.predictors.base import Predictor
from foretell.serving import registry
from foretell.serving.options import Options
from foretell.serving.questions import Reader
from foretell.serving.refusals import UnknownTargetError

UNFIT: Final = (ForetellError, OSError, LookupError, ValueError, TypeError)
"""What reading a damaged artefact may raise: the last good model goes on, whatever is wrong with the next."""


@dataclass(frozen=True, slots=True)
class Champion:
    """A model that answers.

    Attributes:
        target: such as ``gemm.latency``.
        version: its version in the registry.
        predictor: the model.
        reader: reads its questions.
        loaded_at_s: Unix time since when it answers here.
    """

    target: str
    version: str
    predictor: Predictor
    reader: Reader
    loaded_at_s: float


class Champions:
    """The champion of each target.

    A model stays until a newer one is loaded: a registry out of reach, an artefact that does not load or an
    alias withdrawn leave the last good one in place, and are told by `stale` and `problem`.

    Attributes:
        stale: by target, why the registry's champion does not answer.
        problem: why the registry could not be asked the last time; none where it could.
        reloads: how often a target got a new model.
        failures: how often a model could not be loaded, or the registry not be asked.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._held: dict[str, Champion] = {}
        self.stale: dict[str, ForetellError] = {}
        self.problem: ForetellError | None = None
        self.reloads = 0
        self.failures = 0

    def find(self, target: str) -> Champion:
        """The champion of a target.

        Raises:
            UnknownTargetError: there is none.
            ArtefactError: there is one, but it cannot be loaded.
            UnavailableError: the registry could not be asked yet.
        """
        found = self._held.get(target)
        if found is not None:
            return found
        if problem := self.stale.get(target) or self.problem:
            raise problem.with_traceback(None)
        known = one_of(self._held) if self._held else "a target with a champion; there is none yet"
        raise UnknownTargetError("target", target, known)

    def all(self) -> list[Champion]:
        """All champions, by name of their targets."""
        return [self._held[target] for target in sorted(self._held)]

    def refresh(self) -> bool:
        """Load what the registry calls champion by now; says whether anything was new."""
        before = self._held
        self._look()
        return self._held is not before

    def _look(self) -> None:
        try:
            targets = registry.targets()
            versions = {target: registry.champion_version(target) for target in targets}
        except ForetellError as error:
            self.problem, self.failures = error, self.failures + 1
            return
        self.problem = None
        for target in self._held.keys() - versions.keys():
            self.stale[target] = UnknownTargetError("target", target, "a target with a champion")
        for target, version in versions.items():
            self._renew(target, version)

    def _renew(self, target: str, version: str) -> None:
        held = self._held.get(target)
        if held is None or held.version != version:
            try:
                loaded = self._load(target)
            except UNFIT as error:
                self.failures += 1
                self.stale[target] = _told(target, error)
                return
            # One assignment of a new dictionary: a request sees the old model or the new one.
            self._held = {**self._held, target: loaded}
            self.reloads += 1
        self.stale.pop(target, None)

    def _load(self, target: str) -> Champion:
        registered = registry.champion(target)
        predictor = predictors.load(registered.path)
        reader = Reader(predictor.query, self._options)
        return Champion(target, registered.version, predictor, reader, time.time())


def _told(target: str, error: Exception) -> ForetellError:
    """Why a model is not there: never as if it were the fault of a request."""
    if isinstance(error, ArtefactError | UnavailableError):
        return error
    return ArtefactError(f"the champion of {target} cannot be loaded: {type(error).__name__}: {error}")
