"""A progress bar for campaigns in a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from foretell.datasets.collectors.campaign import Progress


@contextmanager
def progress_bar(budget_s: float, console: Console | None = None) -> Iterator[Callable[[Progress], None]]:
    """A bar over the time budget; yields what `campaign.run` takes as `report`."""
    columns = (TextColumn("measuring"), BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    with RichProgress(*columns, console=console or Console(stderr=True)) as bar:
        task = bar.add_task("", total=budget_s)

        def report(progress: Progress) -> None:
            text = f"{progress.measured} cases" + (f", {progress.failed} failed" if progress.failed else "")
            bar.update(task, completed=min(progress.elapsed_s, budget_s), description=text)

        yield report
