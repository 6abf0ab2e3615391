"""The page about what survives: every test that it names is there, and every part has its rows."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def table() -> Any:
    from generator import survival_table  # pyright: ignore[reportMissingImports]

    return survival_table


def test_every_test_that_the_page_names_exists(table: Any, root: Path) -> None:
    named = [test for row in table.ROWS for test in row.tests]
    assert len(named) > 40
    missing = [
        test
        for test in named
        if test.partition("::")[2] not in _tests_in(root / test.partition("::")[0])
    ]
    assert not missing


def test_every_part_of_an_installation_has_rows(table: Any) -> None:
    assert {row.component for row in table.ROWS} == set(table.COMPONENTS)
    assert len({(row.component, row.fault) for row in table.ROWS}) == len(table.ROWS)
    assert all(cell for row in table.ROWS for cell in row[:5])


def test_only_the_loss_of_a_machine_is_shown_by_no_test(table: Any) -> None:
    unshown = [row.fault for row in table.ROWS if not row.tests]
    assert unshown == ["lost, with its disk"]


def test_every_fault_that_is_injected_is_on_the_page(table: Any, root: Path) -> None:
    """A test of a fault that nobody reads about is half done."""
    named = {test for row in table.ROWS for test in row.tests}
    files = sorted((root / "tests" / "faults").glob("test_*.py"))
    unnamed = [file.name for file in files if not any(file.name in test for test in named)]
    assert not unnamed


def _tests_in(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
