"""What whoever runs the protocol's servers may set."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from foretell.datasets.root import default_root
from foretell.errors import InputError

PREFIX: Final = "FORETELL_LLMD_"
"""Each setting is also an environment variable of this prefix, such as FORETELL_LLMD_QUANTILE."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings; 0 as a port leaves that side out.

    Attributes:
        host: address to listen at.
        prediction_port: of the prediction server.
        training_port: of the training server.
        workers: processes that predict and share the models.
        objective: ``mean`` or ``quantile``: what the predicted times are.
        quantile: level of that quantile and of the bounds.
        state: folder of the journal and of the models; by default beside the store.
        training_url: where a prediction server without a training side of its own gets its models.
        retrain_s: seconds between refits, at least.
        min_new: new samples that a refit waits for.
        max_body_bytes: longest request body.
        max_pools: most pools.
        tls_cert: file of the certificate.
        tls_key: file of its key.
        token: what ``Authorization: Bearer`` must carry; empty asks for nothing.
    """

    host: str = "127.0.0.1"
    prediction_port: int = 8001
    training_port: int = 8000
    workers: int = 1
    objective: str = "mean"
    quantile: float = 0.9
    state: str = ""
    training_url: str = ""
    retrain_s: float = 5.0
    min_new: int = 25
    max_body_bytes: int = 16 * 2**20
    max_pools: int = 64
    tls_cert: str = ""
    tls_key: str = ""
    token: str = ""

    def __post_init__(self) -> None:
        if self.objective not in ("mean", "quantile"):
            raise InputError("objective", self.objective, "mean or quantile")
        if not 0.5 <= self.quantile <= 0.99:
            raise InputError("quantile", self.quantile, "a level from 0.5 to 0.99")
        if not (self.prediction_port or self.training_port):
            raise InputError("prediction_port", 0, "a port for at least one of the two servers")
        if bool(self.tls_cert) != bool(self.tls_key):
            raise InputError("tls_cert", self.tls_cert, "a certificate and its key, or neither")

    @property
    def folder(self) -> Path:
        """Where the journal and the models lie."""
        return Path(self.state) if self.state else default_root() / "llm-d"


def options_from(given: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Options:
    """Options that were given, then those of the environment, then the defaults.

    Raises:
        InputError: a value that does not fit.
    """
    found = {
        name: environment[PREFIX + name.upper()]
        for name in Options.__struct_fields__
        if PREFIX + name.upper() in environment
    }
    token = {"token": environment["FORETELL_TOKEN"]} if "FORETELL_TOKEN" in environment else {}
    set_ = {name: value for name, value in given.items() if value is not None}
    try:
        return msgspec.convert(token | found | set_, Options, strict=False)
    except msgspec.ValidationError as error:
        raise InputError("setting", str(error), f"see {Options.__module__}") from error
