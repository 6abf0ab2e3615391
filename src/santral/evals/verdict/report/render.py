"""Renders comparisons in the formats of ``--report``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias, get_args

from santral.errors import BadRequest, nearest
from santral.evals.verdict.comparison import Comparison
from santral.evals.verdict.report.html import as_html
from santral.evals.verdict.report.json import as_json
from santral.evals.verdict.report.junit import as_junit
from santral.evals.verdict.report.markdown import as_markdown

Format: TypeAlias = Literal["md", "json", "junit", "html"]

#: What each format's file is called, under the folder of ``--out``.
FILE_NAMES: dict[Format, str] = {
    "md": "report.md",
    "json": "report.json",
    "junit": "junit.xml",
    "html": "report.html",
}

_RENDERERS: dict[Format, Callable[[Sequence[Comparison]], str]] = {
    "md": as_markdown,
    "json": as_json,
    "junit": as_junit,
    "html": as_html,
}


def render(comparisons: Comparison | Sequence[Comparison], format: Format) -> str:
    """Return one report of the comparisons of all targets of a suite."""
    several = [comparisons] if isinstance(comparisons, Comparison) else comparisons
    return _RENDERERS[format](several)


def parse_formats(text: str) -> list[Format]:
    """Return the formats of ``md,json``.

    Raises:
        BadRequest: there is no such format; names the nearest.
    """
    return [_format(name.strip()) for name in text.split(",") if name.strip()]


def _format(name: str) -> Format:
    known: Iterable[Format] = get_args(Format)
    for format in known:
        if format == name:
            return format
    raise BadRequest(
        f"--report {name}: there is no such format.{nearest(name, known)} "
        f"There are: {', '.join(known)}.",
        code="bad_report",
    )
