"""Writes what an evaluation found into files: reports for people and machines, and the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from santral.errors import StoreError
from santral.evals.alone import render_alone
from santral.evals.run import Run, encode_run
from santral.evals.verdict.comparison import Comparison
from santral.evals.verdict.report.render import FILE_NAMES, Format, render

#: What the file of the runs is called: one run, or a list of them.
RUN_FILE = "run.json"


def write_results(
    out: Path, formats: Sequence[Format], runs: Sequence[Run], comparisons: Sequence[Comparison]
) -> list[Path]:
    """Write the runs, and reports of the comparisons or, without any, of the runs alone.

    Raises:
        StoreError: the folder cannot be written.
    """
    texts = {
        FILE_NAMES[format_]: (
            render(comparisons, format_) if comparisons else render_alone(runs, format_)
        ).encode()
        for format_ in formats
    }
    texts[RUN_FILE] = encode_run(runs[0]) if len(runs) == 1 else msgspec.json.encode(runs)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (out / name).write_bytes(text)
    except OSError as error:
        raise StoreError(
            f"{out} cannot be written: {error.strerror or error}. Name another folder with --out."
        ) from None
    return [out / name for name in texts]
