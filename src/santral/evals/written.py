"""Writes what an evaluation found into files: reports for people and machines, and the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from santral.errors import StoreError
from santral.evals.alone import render_alone
from santral.evals.run import Run, encode_run
from santral.evals.verdict.comparison import Comparison

#: Reports by what ``--report`` calls them, with the files they are written to.
FORMATS: Mapping[str, str] = {
    "md": "report.md",
    "json": "report.json",
    "junit": "junit.xml",
    "html": "report.html",
}


def write_results(
    out: Path, formats: Sequence[str], runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> list[Path]:
    """Write the reports and ``run.json``; of several targets each has a folder of its own.

    Raises:
        StoreError: the folder cannot be written.
    """
    del comparisons
    written: list[Path] = []
    try:
        for run in runs:
            folder = out if len(runs) == 1 else out / run.head.target
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "run.json").write_bytes(encode_run(run))
            written.append(folder / "run.json")
            for format_ in formats:
                text = render_alone(run, format_)
                (folder / FORMATS[format_]).write_text(text, encoding="utf-8")
                written.append(folder / FORMATS[format_])
    except OSError as error:
        raise StoreError(
            f"{out} cannot be written: {error.strerror or error}. Name another folder with --out."
        ) from None
    return written
