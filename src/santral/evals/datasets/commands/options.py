"""Arguments and options that several commands on data sets have."""

from __future__ import annotations

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="DATASET", help="Its name.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", help="Whose data set.")]
Version = Annotated[
    int | None, typer.Option(help="A version; 0: what is there now.", show_default="the newest")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
