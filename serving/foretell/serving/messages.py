"""What the server says when all is well."""

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """Quantiles per row.

    Attributes:
        target: such as ``gemm.latency``.
        unit: unit of `values`, such as ``us``.
        levels: increasing quantile levels in (0, 1).
        version: version of the model that answered.
        values: for each row the quantiles at `levels`.
        outside: for each row whether it lies outside of what the model has seen.
    """

    target: str
    unit: str
    levels: tuple[float, ...]
    version: str
    values: list[list[float]]
    outside: list[bool]


class Field(msgspec.Struct, frozen=True):
    """One field of a row: its name, what it may hold, and whether it may be left out."""

    name: str
    expected: str
    required: bool


class Target(msgspec.Struct, frozen=True):
    """A target that this server answers for.

    Attributes:
        target: such as ``gemm.latency``.
        unit: unit of the answers.
        version: version of the model that answers.
        levels: quantile levels of an answer that asks for none.
        fields: what a row holds.
        loaded_at_s: Unix time since when it answers here.
        stale: why a newer model does not answer instead; empty where all is well.
    """

    target: str
    unit: str
    version: str
    levels: list[float]
    fields: list[Field]
    loaded_at_s: float
    stale: str


class Targets(msgspec.Struct, frozen=True):
    """All targets that this server answers for."""

    targets: list[Target]


class Model(msgspec.Struct, frozen=True):
    """A registered model version.

    Attributes:
        target: such as ``gemm.latency``.
        version: counts from 1 within a target.
        run_id: the training's run.
        champion: whether the registry has it answer.
        created_at_s: Unix time of its registration.
        metrics: figures on the held-out rows.
        tags: data version, split, commit and so on.
    """

    target: str
    version: str
    run_id: str
    champion: bool
    created_at_s: float
    metrics: dict[str, float]
    tags: dict[str, str]


class Models(msgspec.Struct, frozen=True):
    """Every registered model version, newest first within a target."""

    models: list[Model]


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str


class Readiness(msgspec.Struct, frozen=True):
    """Whether predictions can be answered.

    Attributes:
        ready: whether at least one target is answered for.
        targets: version that answers, by target.
        stale: why a target is answered by an older model, or by none, by target.
        problem: why the registry cannot be asked; empty where it can.
    """

    ready: bool
    targets: dict[str, str]
    stale: dict[str, str]
    problem: str
