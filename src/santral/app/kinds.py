"""Evaluators of other packages, beside our own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from santral.errors import ConfigError
from santral.evals.evaluators.registry import EVALUATORS
from santral.evals.kind import Kind

#: Where packages say which evaluators they bring: a name, and the class.
GROUP = "santral.evaluators"


def known_evaluators() -> Mapping[str, type[Kind]]:
    """Return every evaluator that a suite may name.

    Raises:
        ConfigError: one of another package cannot be imported, is none, or takes the name of ours.
    """
    found = dict(EVALUATORS)
    for entry in entry_points(group=GROUP):
        if entry.name in found:
            raise _fault(entry.name, entry.value, "that name is taken")
        try:
            kind: type[Kind] = entry.load()
        except Exception as error:  # noqa: BLE001 - another package's import may raise anything
            raise _fault(entry.name, entry.value, f"{type(error).__name__}: {error}") from None
        if not hasattr(kind, "Params"):
            raise _fault(
                entry.name, entry.value, "it has no Params: see docs/how-to/score-answers.md"
            )
        found[entry.name] = kind
    return found


def _fault(name: str, value: str, reason: str) -> ConfigError:
    return ConfigError(
        f"The evaluator '{name}' ({value}) of an installed package cannot be used: {reason}. "
        f"Mend the package or uninstall it."
    )
