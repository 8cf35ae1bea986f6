"""MLflow's view of a saved predictor: pandas columns in, one column per quantile out.

Named as `loader_module` in the artefact's ``MLmodel``, so that the artefact itself carries no code.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from foretell import predictors
from foretell.predictors.base import Prediction, Predictor

if TYPE_CHECKING:
    import pandas as pd


class PyfuncPredictor:
    """What ``mlflow models serve`` calls."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def predict(self, model_input: "pd.DataFrame") -> "pd.DataFrame":
        """Quantiles of each row, in columns such as ``q0.05``."""
        import pandas as pd  # noqa: PLC0415

        prediction = self._predictor.predict(pl.from_pandas(model_input))
        return pd.DataFrame(prediction.values, columns=quantile_columns(prediction))


def quantile_columns(prediction: Prediction) -> list[str]:
    """Names such as ``q0.05``, in the order of `Prediction.levels`."""
    return [f"q{level:g}" for level in prediction.levels]


def _load_pyfunc(data_path: str) -> PyfuncPredictor:
    return PyfuncPredictor(predictors.load(Path(data_path)))
