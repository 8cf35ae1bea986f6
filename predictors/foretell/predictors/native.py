"""LightGBM's own C interface for prediction: no Python of LightGBM's on the way, and none imported.

`Booster.predict` spends most of a single row on checks that a validated query does not need, and importing
lightgbm costs a second. The functions used here are its documented C API,
https://lightgbm.readthedocs.io/en/latest/C-API.html.
"""

import ctypes
import struct
import sys
import threading
import weakref
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np

from foretell.errors import ArtefactError, UnavailableError
from foretell.features.base import Array
from foretell.predictors.ensemble import Ensemble

FLOAT64: Final = 1
NORMAL: Final = 0
"""Prediction type: the raw response of a regression."""
# One thread always: on a busy machine more cost ten times the processor time and help nobody.
PARAMETERS: Final = b"num_threads=1"
NAMES: Final = {"darwin": "lib_lightgbm.dylib", "win32": "lib_lightgbm.dll"}


@cache
def _library() -> ctypes.CDLL:
    spec = find_spec("lightgbm")
    if spec is None or spec.origin is None:
        raise UnavailableError("lightgbm is not installed: pip install lightgbm")
    name = NAMES.get(sys.platform, "lib_lightgbm.so")
    found = next(Path(spec.origin).parent.rglob(name), None)
    if found is None:
        raise UnavailableError(f"lightgbm at {Path(spec.origin).parent} has no {name}: reinstall it")
    library = ctypes.CDLL(str(found))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


class NativeBooster:
    """A trained LightGBM model that only predicts.

    Args:
        model: the text that LightGBM wrote, or what was read from it.

    Raises:
        ArtefactError: a text that is not LightGBM's, or that could lead it astray.
    """

    def __init__(self, model: str | Ensemble) -> None:
        ensemble = model if isinstance(model, Ensemble) else Ensemble.parse(model)
        self._c = _library()
        self._handle = ctypes.c_void_p()
        iterations = ctypes.c_int()
        if self._c.LGBM_BoosterLoadModelFromString(
            ensemble.text.encode(), ctypes.byref(iterations), ctypes.byref(self._handle)
        ):
            raise ArtefactError(f"not a LightGBM model: {self._error()}")
        weakref.finalize(self, self._c.LGBM_BoosterFree, self._handle)
        self.width = ensemble.width
        self._local = threading.local()

    def predict(self, features: Array) -> Array:
        """Responses of shape (rows,) to features of shape (rows, width)."""
        features = np.ascontiguousarray(features, dtype=np.float64)
        if features.ndim != 2 or features.shape[1] != self.width:
            raise ValueError(f"features of shape {features.shape}, expected (rows, {self.width})")
        out = np.empty(len(features))
        written = ctypes.c_int64()
        self._check(
            self._c.LGBM_BoosterPredictForMat(
                self._handle,
                ctypes.c_void_p(features.ctypes.data),
                FLOAT64,
                ctypes.c_int32(len(features)),
                ctypes.c_int32(self.width),
                1,  # row-major
                NORMAL,
                0,  # from the first iteration
                -1,  # to the last
                PARAMETERS,
                ctypes.byref(written),
                ctypes.c_void_p(out.ctypes.data),
            )
        )
        return out

    def predict_one(self, features: list[float]) -> float:
        """Response to one row of `width` features."""
        try:
            row = self._local.row
        except AttributeError:  # first call in this thread
            row = self._local.row = _Row(self._c, self._handle, self.width)
        return float(row(features))

    def _check(self, status: int) -> None:
        if status:
            raise ArtefactError(f"LightGBM failed: {self._error()}")

    def _error(self) -> str:
        return str(self._c.LGBM_GetLastError().decode())


class _Row:
    """LightGBM's single-row call with its buffers, set up once; belongs to one thread."""

    def __init__(self, library: ctypes.CDLL, handle: ctypes.c_void_p, width: int) -> None:
        self._features = (ctypes.c_double * width)()
        self._fill = struct.Struct(f"{width}d").pack_into
        self._out = ctypes.c_double()
        self._written = ctypes.c_int64()
        self._config = ctypes.c_void_p()
        status = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            handle, NORMAL, 0, -1, FLOAT64, ctypes.c_int32(width), PARAMETERS, ctypes.byref(self._config)
        )
        if status:
            raise ArtefactError(f"LightGBM failed: {library.LGBM_GetLastError().decode()}")
        weakref.finalize(self, library.LGBM_FastConfigFree, self._config)
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast
        self._arguments = (
            self._config,
            ctypes.byref(self._features),
            ctypes.byref(self._written),
            ctypes.byref(self._out),
        )

    def __call__(self, features: list[float]) -> float:
        try:
            self._fill(self._features, 0, *features)
        except struct.error as error:
            raise ValueError(f"{len(features)} features: {error}") from error
        if self._call(*self._arguments):
            raise ArtefactError("LightGBM failed on one row")
        return self._out.value
