"""A place that evaluates with a scripted provider of answers, and suites beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine
from santral.evals.answer import Ask
from santral.evals.evaluators.registry import EVALUATORS
from santral.evals.place import Place, Wish
from santral.evals.suite_file import read_suite
from santral.evals.tools import Tools
from santral.tenants.tenant import TenantId

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)

SUITE = """\
dataset = "cases.jsonl"

[[targets]]
name = "plain"
route = "extractive"

[[evaluators]]
use = "exact"
"""

CASES = [{"id": f"e{n}", "input": f"question {n}", "expected": f"question {n}"} for n in range(6)]


def write_suite(folder: Path, text: str = SUITE, cases: list[dict[str, Any]] | None = None) -> Path:
    """Write a suite with its cases; return its path."""
    rows = CASES if cases is None else cases
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "suite.toml"
    path.write_text(text)
    return path


def wish(path: Path, run_id: str = "run_a", **settings: Any) -> Wish:
    return Wish(suite=read_suite(path), id=run_id, **settings)


def place(folder: Path, engine: Engine | None, ask: Ask | None) -> Place:
    """Return a place whose gateway is ``ask``."""

    @asynccontextmanager
    async def open_ask(
        loaded: LoadedConfig, engine: Engine, tenant: TenantId
    ) -> AsyncGenerator[Ask]:
        del loaded, engine, tenant
        assert ask is not None, "nobody was to be asked"
        yield ask

    @asynccontextmanager
    async def open_tools(
        loaded: LoadedConfig,
        engine: Engine | None,
        tenant: TenantId,
        ask: Ask | None,
        folder: Path,
    ) -> AsyncGenerator[Tools]:
        del loaded, engine, tenant
        yield Tools(ask=ask, folder=folder)

    return Place(
        loaded=load(None, {"SANTRAL_DATA__FOLDER": str(folder / "data")}),
        engine=engine,
        open_ask=open_ask,
        open_tools=open_tools,
        evaluators=EVALUATORS,
        clock=lambda: NOW,
        random_bytes=lambda n: b"\1" * n,
    )
