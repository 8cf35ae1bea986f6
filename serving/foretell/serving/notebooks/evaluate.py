"""The evaluation notebook: the champion on shapes that no training has seen.

Open it with ``marimo edit`` from the folder that holds ``mlruns``, or make a page of it with
``marimo export html``.
"""

# Cells get their names and values from marimo, which writes this file.
# mypy: allow-untyped-defs
# ruff: noqa: ANN001, ANN201, D103, PLR1711
import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="foretell: the champion on held-out rows")

with app.setup:
    from typing import Any

    import marimo as mo
    import polars as pl
    import polars.selectors as cs

    from foretell import predictors
    from foretell.datasets.store import Store
    from foretell.errors import ForetellError
    from foretell.serving import registry
    from foretell.serving.cli.output import in_words
    from foretell.training.evaluation import evaluation
    from foretell.training.plots import accuracy_figure, calibration_figure, size_figure
    from foretell.training.targets import find

    TARGET = "gemm.latency"


@app.function
def table(rows: list[dict[str, Any]]) -> mo.ui.table:
    """Figures in words, with as many digits as mean something."""
    return mo.ui.table(
        pl.DataFrame([in_words(row) for row in rows]).with_columns(cs.float().round_sig_figs(4)),
        selection=None,
        show_column_summaries=False,
    )


@app.function
def section(words: str, *shown: Any) -> Any:
    """A part of the page: a heading with what there is to know, then what there is to see."""
    return mo.vstack([mo.md(words), *shown])


@app.cell
def load():
    try:
        champion = registry.champion(TARGET)
        found = evaluation(predictors.load(champion.path), Store())
        problem = ""
    except ForetellError as error:
        problem = str(error)
    mo.stop(
        bool(problem),
        mo.callout(
            mo.md(
                f"**{problem}**\n\nMeasure and train here first: `foretell collect gemm`, then "
                f"`foretell train {TARGET}`. A store and a registry elsewhere are named by "
                "`FORETELL_STORE` and `FORETELL_MLFLOW_URI`."
            ),
            kind="danger",
        ),
    )
    return champion, found, problem


@app.cell
def introduce(champion, found):
    mo.md(f"""
    # {TARGET}, version {champion.version}: {found.rows.height} rows that no training has seen

    The rows are whole weight matrices (n, k), held out by their own names, so that neither this version nor
    any other has learnt from them. Times are in {found.prediction.unit}; the model was trained on version
    `{champion.tags["foretell.data_version"]}` of the rows.
    """)
    return


@app.cell
def beside_baselines(champion):
    _names = dict.fromkeys(name.rpartition(".")[0] for name in champion.metrics)
    _rows = [
        {"model": name or "champion"}
        | {
            figure.rpartition(".")[2]: value
            for figure, value in champion.metrics.items()
            if figure.rpartition(".")[0] == name
        }
        for name in sorted(_names)
    ]
    baselines = table(_rows)
    section(
        """
        ## Beside the baselines

        The figures that were logged with the run, each a mean over the tables of measurements: the
        roofline knows the physics and one constant, the forest has the same features as the champion.
        A champion that does not beat both has learnt nothing worth its keep.
        """,
        baselines,
    )
    return (baselines,)


@app.cell
def by_table(found):
    tables = table(found.by_table)
    section(
        """
        ## By table

        One line is one library version's kernels in one data type on one device, and has a model of its
        own where there was enough to learn from. About 90 % should lie inside of the interval in each of
        them; a table far below that is one whose promises do not hold.
        """,
        tables,
    )
    return (tables,)


@app.cell
def against(found):
    predicted_against_measured = accuracy_figure(
        found.prediction,
        found.actual,
        found.rows.select(pl.concat_str(find(TARGET).tables, separator="/")).to_series().to_list(),
    )
    section(
        """
        ## Predicted against measured

        On the left every point is a row, and a perfect model puts all of them on the diagonal; the grey
        lines are the 90 % intervals, which should reach the diagonal nine times in ten. On the right the
        same errors in bins of equal count: where the dashed line leaves the full one, a few shapes are
        much worse than the rest.
        """,
        predicted_against_measured,
    )
    return (predicted_against_measured,)


@app.cell
def by_size(found):
    error_by_size = size_figure(found.prediction, found.actual, found.rows["dtype"].to_list())
    sizes = table(found.by_size)
    section(
        """
        ## Error by size and data type

        Small products are mostly launch and dispatch, which hardly depend on the shape but vary from call
        to call; large ones follow the arithmetic. A data type whose line lies apart is run by other
        kernels, and wants more measurements.
        """,
        error_by_size,
        sizes,
    )
    return error_by_size, sizes


@app.cell
def calibration(found):
    nominal_against_share = calibration_figure(
        [row["quantile"] for row in found.calibration],
        [row["share below"] for row in found.calibration],
        found.rows.height,
    )
    section(
        """
        ## Calibration

        For each nominal level the share of measurements that lay below the model's quantile: on the
        diagonal the quantiles mean what they say. Below it on the left and above it on the right the
        interval is wider than it need be, the other way round it promises too much; inside of the grey
        band it may be chance.
        """,
        nominal_against_share,
    )
    return (nominal_against_share,)


@app.cell
def worst(found):
    worst_cases = table(found.worst)
    section(
        """
        ## Worst cases

        The rows with the largest error: shapes that have something in common ask for a feature that the
        model lacks, or for measurements nearby. A single odd one among good neighbours is more often a
        disturbed measurement, which measuring again shows.
        """,
        worst_cases,
    )
    return (worst_cases,)


if __name__ == "__main__":
    app.run()
