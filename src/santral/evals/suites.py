"""The suites of the configured folder: what API and console may start. Files there are reviewed code."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from santral.errors import BadRequest, NotFound, nearest
from santral.evals.suite import SuiteFile
from santral.evals.suite_file import read_suite


class SuiteLine(Struct, frozen=True, kw_only=True):
    """A suite of the folder; ``fault`` says why one cannot be run."""

    name: str
    suite: SuiteFile | None = None
    fault: str = ""


def list_suites(folder: Path) -> list[SuiteLine]:
    """Return the suites of a folder by the names of their files; a folder that is not there has none."""
    return [_line(path) for path in sorted(folder.glob("*.toml"))]


def known_suite(folder: Path, name: str) -> SuiteFile:
    """Return the suite ``NAME.toml`` of a folder.

    Raises:
        NotFound: there is none; names the nearest.
        BadRequest: it cannot be read.
    """
    paths = {path.stem: path for path in folder.glob("*.toml")}
    if name not in paths:
        raise NotFound(
            f"There is no suite '{name[:64]}' in {folder.name}/.{nearest(name[:64], paths)} "
            "API and console start the suites of the folder that [evals] names.",
            code="suite_not_found",
            param="suite",
        )
    return read_suite(paths[name])


def _line(path: Path) -> SuiteLine:
    try:
        return SuiteLine(name=path.stem, suite=read_suite(path))
    except BadRequest as error:
        return SuiteLine(name=path.stem, fault=error.message.removeprefix(f"{path.parent}/"))
