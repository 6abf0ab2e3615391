"""Write docs/reference/ and the index of decisions from the code, or check that they are current.

    python docs/generate.py           write what differs
    python docs/generate.py --check   exit status 1 with a diff when a page is stale

What cannot be read from the code (the meaning of a code that a module passes, the meaning of a
header) is written in docs/generator/; a name in the code that is missing there stops the generator.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from pathlib import Path

from generator.checks import checks_page
from generator.commands import commands_page
from generator.configuration import configuration_page
from generator.decisions import decisions_page
from generator.errors import errors_page
from generator.evaluators import evaluators_page
from generator.faults import faults_page
from generator.headers import headers_page
from generator.losses import losses_page
from generator.metrics import metrics_page
from generator.providers import providers_page
from generator.roles import roles_page
from generator.survival import survival_page

DOCS = Path(__file__).parent

PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": configuration_page,
    "reference/commands.md": commands_page,
    "reference/errors.md": errors_page,
    "reference/faults.md": faults_page,
    "reference/what-survives.md": survival_page,
    "reference/headers.md": headers_page,
    "reference/losses.md": losses_page,
    "reference/metrics.md": metrics_page,
    "reference/checks.md": checks_page,
    "reference/evaluators.md": evaluators_page,
    "reference/providers.md": providers_page,
    "reference/roles.md": roles_page,
    "decisions/README.md": decisions_page,
}


def main(arguments: list[str]) -> int:
    stale = {name: text for name, text in rendered().items() if _written(name) != text}
    if "--check" in arguments:
        for name, text in stale.items():
            print(diff(name, _written(name), text))
        if stale:
            print(f"{len(stale)} pages are stale. Run: python docs/generate.py", file=sys.stderr)
        return 1 if stale else 0
    for name, text in stale.items():
        path = DOCS / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


def rendered() -> dict[str, str]:
    """Return the text of every generated page."""
    return {name: page() for name, page in PAGES.items()}


def diff(name: str, old: str, new: str) -> str:
    """Return what a page would change."""
    lines = difflib.unified_diff(
        old.splitlines(),
        new.splitlines(),
        f"docs/{name}",
        f"docs/{name} (from the code)",
        lineterm="",
    )
    return "\n".join(lines)


def _written(name: str) -> str:
    path = DOCS / name
    return path.read_text(encoding="utf-8") if path.is_file() else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
