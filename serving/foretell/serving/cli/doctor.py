"""`foretell doctor`."""

import click

from foretell.datasets.doctor import findings
from foretell.datasets.root import default_root
from foretell.serving.cli.output import json_option, print_json, print_table


@click.command()
@json_option
def doctor(as_json: bool) -> None:
    """What can be measured on this machine, and what is missing for the rest."""
    found = findings(default_root())
    if as_json:
        print_json(found)
        return
    print_table(
        [
            {
                "": "ok" if finding.ok else "--",
                "what": finding.name,
                "found": finding.detail,
                "remedy": finding.remedy,
            }
            for finding in found
        ]
    )
