"""Part rows that obey a schema from those that do not, which keep the rules that they broke."""

import dataframely as dy
import polars as pl

from foretell.datasets.conform import conform


def validate(rows: pl.DataFrame, schema: type[dy.Schema]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows that obey `schema`, and the rest with a column `rule`: names of broken rules, joined by commas.

    Raises:
        InputError: the columns themselves do not fit, see `conform`.
    """
    valid, failure = schema.filter(conform(rows, schema))
    details = failure.details()
    broken = [
        pl.when(pl.col(rule) == "invalid").then(pl.lit(rule))
        for rule in sorted(set(details.columns) - set(schema.column_names()))
    ]
    rule = pl.concat_str(broken, separator=",", ignore_nulls=True) if broken else pl.lit("")
    return valid, details.select(*schema.column_names(), rule=rule)
