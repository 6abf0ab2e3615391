"""Evaluators of other packages: found by entry point, refused by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from santral.app import kinds
from santral.app.kinds import GROUP, known_evaluators
from santral.errors import ConfigError
from santral.evals.evaluators.exact import Exact
from santral.evals.evaluators.registry import EVALUATORS


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("exact", "santral.evals.evaluators.exact:Exact", "that name is taken"),
        ("mine", "no.such.module:Mine", "ModuleNotFoundError"),
        ("mine", "santral.evals.scoring:score", "it has no Params"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setattr(kinds, "entry_points", lambda group: [EntryPoint(name, value, group)])
    with pytest.raises(ConfigError, match=f"The evaluator '{name}' .*{said}"):
        known_evaluators()


def test_an_installed_evaluator_stands_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mine", "santral.evals.evaluators.exact:Exact", GROUP)
    monkeypatch.setattr(kinds, "entry_points", lambda group: [entry])
    found = known_evaluators()
    assert found["mine"] is Exact
    assert found.keys() - {"mine"} == EVALUATORS.keys()
