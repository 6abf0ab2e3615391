"""Every endpoint and every command that writes leaves a row in the audit log: none is forgotten."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.app.test_admin_api import endpoints, methods
from tests.db.databases import anyio_backend, sqlite_template
from tests.tenants.acting import NOW
from typer.main import get_command
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.app.control import build_app
from santral.audit import store as audit
from santral.audit.entry import Entry
from santral.audit.verify import verify
from santral.config.load import load
from santral.db.engine import Engine, connect, reading, sqlite_url
from santral.providers.catalogue.catalogue import SHIPPED
from santral.tenants.issue import ensure_first_keys
from santral.traces.metrics import Metrics
from santral.traces.store import TraceStore

__all__ = ["anyio_backend", "sqlite_template"]

TOML = """\
[data]
folder = "."
[secrets]
master_key = "env:MASTER_KEY"
[providers.stub]
kind = "local"
[deployments.mini]
provider = "stub"
model = "extract"
[routes.ask]
ladder = [{ deployments = { mini = 1 } }]
"""

SUITE = """\
dataset = "cases.jsonl"
[[targets]]
name = "recorded"
recorded = true
[[evaluators]]
use = "exact"
"""

PROMPT = "+++\n+++\n## user\nHello\n"

#: What happened before, by name: ids of what was made.
Known = Mapping[str, str]


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASTER_KEY", secrets.token_bytes(32).hex())
    monkeypatch.setenv("SANTRAL_CONFIG", str(tmp_path / "santral.toml"))
    monkeypatch.chdir(tmp_path)
    shutil.copy(sqlite_template, tmp_path / "santral.db")
    (tmp_path / "santral.toml").write_text(TOML)
    (tmp_path / "evals").mkdir()
    (tmp_path / "evals" / "plain.toml").write_text(SUITE)
    (tmp_path / "evals" / "cases.jsonl").write_text(
        '{"input": "a", "expected": "b", "answer": "b"}\n'
    )
    return tmp_path


async def entries_since(engine: Engine, number: int) -> list[Entry]:
    async with reading(engine) as conn:
        return await audit.entries_after(conn, number, 1000)


# the admin API

#: Endpoints that change nothing although their method is one that writes, and why.
READS = {
    "POST /api/ledger/verify": "a proof that reads for long",
    "POST /api/review/queues/{name}/next": "a lease is a row of its own",
    "POST /api/review/queues/{name}/items/{id}/renew": "a lease is a row of its own",
    "POST /api/review/queues/{name}/items/{id}/submit": "a rating is a row of its own: who, what, when; "
    "a decision about a held answer is noted: tests/review/test_held.py",
    "POST /api/review/queues/{name}/items/{id}/skip": "a row of its own, with the reason",
    "POST /api/review/queues/{name}/items": "noted; needs a trace: tests/review/test_looking.py",
    "POST /api/review/queues/{name}/items/{id}/gold": "noted; needs ratings: tests/review",
    "POST /api/review/queues/{name}/items/{id}/adjudicate": "noted; needs ratings: tests/review",
    "POST /api/review/queues/{name}/dataset": "notes what it adds; needs ratings: tests/review",
    "DELETE /api/evals/runs/{id}": "noted; needs a run: tests/evals/runner/test_kept.py",
    "POST /api/prompts/{name}/render": "fills a prompt in and keeps nothing",
    "POST /api/datasets/{name}/traces": "notes examples, and needs traces: tests/evals/datasets",
    "POST /api/collections/{name}/search": "a question; what it shows is noted by itself",
}

#: Every endpoint that writes, in an order in which each finds what it needs: what stands for the names in
#: its path, body, and what its answer is remembered as. ``{…}`` are filled with what is remembered.
CALLS: Sequence[tuple[str, str, Any, str]] = (
    ("POST /api/tenants", "", {"id": "acme"}, ""),
    ("POST /api/tenants", "", {"id": "spare"}, ""),
    ("PATCH /api/tenants/{id}", "acme", {"name": "Acme"}, ""),
    ("DELETE /api/tenants/{id}", "spare", None, ""),
    ("POST /api/keys", "", {"tenant_id": "acme", "name": "app"}, "key"),
    ("PATCH /api/keys/{id}", "{key}", {"name": "other"}, ""),
    ("POST /api/keys/{id}/rotate", "{key}", {}, ""),
    ("DELETE /api/keys/{id}", "{key}", None, ""),
    ("POST /api/users", "", {"name": "Ada", "email": "ada@example.com"}, "id"),
    ("PATCH /api/users/{id}", "{id}", {"is_active": False}, ""),
    ("PATCH /api/users/{id}", "{id}", {"groups": ["hr"]}, ""),
    ("PUT /api/users/{id}/roles", "{id}", {"role": "viewer", "over": "acme"}, ""),
    ("DELETE /api/users/{id}/roles/{over}", "{id}/acme", None, ""),
    (
        "PUT /api/limits",
        "",
        {"tenant_id": "acme", "measure": "requests", "window": "minute", "amount": 10},
        "limit",
    ),
    ("DELETE /api/limits/{id}", "{limit}", None, ""),
    ("PUT /api/secrets/{name}", "openai", {"value": "sk-value"}, ""),
    ("POST /api/secrets/rotate", "", None, ""),
    ("DELETE /api/secrets/{name}", "openai", None, ""),
    (
        "PUT /api/privacy/policy",
        "",
        {"tenant_id": "acme", "payloads": "none", "retention_days": None},
        "",
    ),
    ("POST /api/privacy/exports", "", {"tenant_id": "acme", "user": "u1"}, "job"),
    ("POST /api/privacy/erasures", "", {"tenant_id": "acme", "user": "u1"}, ""),
    ("POST /api/jobs/{id}/cancel", "{job}", None, ""),
    (
        "POST /api/prompts/{name}/versions",
        "greet",
        {"tenant_id": "acme", "version": "1.0.0", "body": PROMPT},
        "",
    ),
    (
        "POST /api/prompts/{name}/versions",
        "greet",
        {"tenant_id": "acme", "version": "2.0.0", "body": PROMPT},
        "",
    ),
    (
        "PUT /api/prompts/{name}/labels/{label}",
        "greet/live",
        {"tenant_id": "acme", "version": "1.0.0"},
        "",
    ),
    (
        "PUT /api/prompts/{name}/labels/{label}",
        "greet/live",
        {"tenant_id": "acme", "version": "2.0.0"},
        "",
    ),
    (
        "POST /api/prompts/{name}/labels/{label}/rollback",
        "greet/live",
        {"tenant_id": "acme", "reason": "worse"},
        "",
    ),
    ("PUT /api/prompts/{name}/protections/{label}", "greet/live", {"tenant_id": "acme"}, ""),
    ("DELETE /api/prompts/{name}/protections/{label}?tenant_id=acme", "greet/live", None, ""),
    ("DELETE /api/prompts/{name}/labels/{label}?tenant_id=acme", "greet/live", None, ""),
    ("DELETE /api/prompts/{name}/versions/{version}?tenant_id=acme", "greet/1.0.0", None, ""),
    ("POST /api/monitors", "", {"tenant_id": "acme", "name": "watch"}, ""),
    ("PATCH /api/monitors/{name}?tenant_id=acme", "watch", {"is_paused": True}, ""),
    ("POST /api/monitors/{name}/look?tenant_id=acme", "watch", None, ""),
    ("DELETE /api/monitors/{name}?tenant_id=acme", "watch", None, ""),
    (
        "POST /api/review/queues",
        "",
        {
            "tenant_id": "acme",
            "name": "daily",
            "settings": {"mode": "pairwise", "labels": [{"name": "better", "kind": "preference"}]},
        },
        "",
    ),
    ("PATCH /api/review/queues/{name}", "daily", {"tenant_id": "acme", "is_paused": False}, ""),
    ("POST /api/review/queues/{name}/look", "daily", {"tenant_id": "acme"}, ""),
    (
        "POST /api/review/queues/{name}/pairs",
        "daily",
        {"tenant_id": "acme", "pairs": [{"key": "1", "question": "?", "a": "x", "b": "y"}]},
        "",
    ),
    ("POST /api/review/queues/{name}/export", "daily", {"tenant_id": "acme"}, ""),
    ("DELETE /api/review/queues/{name}?tenant_id=acme&force=true", "daily", None, ""),
    ("POST /api/datasets", "", {"tenant_id": "acme", "name": "faq"}, ""),
    (
        "POST /api/datasets/{name}/examples",
        "faq",
        {"tenant_id": "acme", "examples": [{"id": "a", "input": "Write to ayse@example.com"}]},
        "",
    ),
    ("POST /api/datasets/{name}/import?tenant_id=acme", "faq", {"id": "b", "input": "Where?"}, ""),
    (
        "PATCH /api/datasets/{name}/examples/{id}",
        "faq/b",
        {"tenant_id": "acme", "changes": {"expected": "Here."}},
        "",
    ),
    ("POST /api/datasets/{name}/split", "faq", {"tenant_id": "acme"}, ""),
    ("POST /api/datasets/{name}/mask", "faq", {"tenant_id": "acme"}, ""),
    (
        "POST /api/datasets/{name}/augment",
        "faq",
        {"tenant_id": "acme", "ways": ["noise:typos"]},
        "",
    ),
    ("POST /api/datasets/{name}/versions", "faq", {"tenant_id": "acme"}, ""),
    ("DELETE /api/datasets/{name}/examples/{id}?tenant_id=acme", "faq/b", None, ""),
    ("DELETE /api/datasets/{name}?tenant_id=acme&force=true", "faq", None, ""),
    ("POST /api/evals/runs", "", {"tenant_id": "acme", "suite": "plain"}, ""),
    (
        "POST /api/experiments",
        "",
        {
            "tenant_id": "acme",
            "name": "tone",
            "settings": {
                "routes": ["ask"],
                "variants": {
                    "plain": {"weight": 1},
                    "new": {"weight": 1, "settings": {"temperature": 0}},
                },
                "share": 0.5,
            },
        },
        "",
    ),
    ("POST /api/experiments/{name}/start", "tone", {"tenant_id": "acme"}, ""),
    ("POST /api/experiments/{name}/ramp", "tone", {"tenant_id": "acme", "share": 1.0}, ""),
    ("POST /api/experiments/{name}/pause", "tone", {"tenant_id": "acme"}, ""),
    ("POST /api/experiments/{name}/stop", "tone", {"tenant_id": "acme"}, ""),
    ("POST /api/experiments/{name}/decide", "tone", {"tenant_id": "acme", "arm": "new"}, ""),
    ("POST /api/collections", "", {"tenant_id": "acme", "name": "docs"}, ""),
    (
        "PATCH /api/collections/{name}",
        "docs",
        {"tenant_id": "acme", "settings": {"child_tokens": 200}},
        "",
    ),
    (
        "POST /api/collections/{name}/versions",
        "docs",
        {"tenant_id": "acme", "changes": {"chunking": "window"}},
        "",
    ),
    (
        "POST /api/collections/{name}/versions",
        "docs",
        {"tenant_id": "acme", "changes": {"chunking": "whole"}},
        "",
    ),
    ("POST /api/collections/{name}/switch", "docs", {"tenant_id": "acme", "version": 1}, ""),
    ("DELETE /api/collections/{name}/versions/{version}?tenant_id=acme", "docs/2", None, ""),
    (
        "PUT /api/collections/{name}/documents/{id}?tenant_id=acme",
        "docs/a",
        {"text": "# Permits\n\nBring a card."},
        "",
    ),
    (
        "POST /api/collections/{name}/documents:batch?tenant_id=acme",
        "docs",
        {"documents": [{"key": "b", "text": "# Hours\n\nNine to five."}]},
        "",
    ),
    (
        "PATCH /api/collections/{name}/documents/{id}?tenant_id=acme",
        "docs/a",
        {"metadata": {"allowed_groups": ["hr"]}},
        "",
    ),
    ("POST /api/collections/{name}/documents:retry?tenant_id=acme", "docs", {}, ""),
    (
        "POST /api/sources",
        "",
        {"tenant_id": "acme", "collection": "docs", "kind": "push", "settings": {}},
        "source",
    ),
    ("PATCH /api/sources/{id}", "{source}", {"is_paused": True}, ""),
    ("POST /api/sources/{id}/run", "{source}", None, ""),
    ("POST /api/sources/{id}/token", "{source}", None, ""),
    ("DELETE /api/sources/{id}", "{source}", None, ""),
    ("DELETE /api/collections/{name}/documents/{id}?tenant_id=acme", "docs/a", None, ""),
    ("DELETE /api/collections/{name}/documents/{id}?tenant_id=acme", "docs/b", None, ""),
    ("POST /api/collections/{name}/update?tenant_id=acme", "docs", None, ""),
    ("POST /api/collections/{name}/purge?tenant_id=acme", "docs", None, ""),
    ("DELETE /api/collections/{name}?tenant_id=acme", "docs", None, ""),
)


@pytest.fixture
async def engine(folder: Path, anyio_backend: str) -> AsyncGenerator[Engine]:
    made = connect(sqlite_url(folder))
    yield made
    await made.dispose()


@pytest.fixture
def app(folder: Path, engine: Engine) -> FastAPI:
    loaded = load(folder / "santral.toml", {})
    return build_app(loaded, engine, TraceStore(Path(":memory:")), Metrics())


def writing_endpoints(app: FastAPI) -> set[str]:
    return {
        f"{method} {route.path}"
        for route in endpoints(app)
        for method in methods(route) - {"GET", "HEAD", "OPTIONS"}
    }


def test_every_endpoint_that_writes_is_called_here(app: FastAPI) -> None:
    called = {call[0].partition("?")[0] for call in CALLS}
    assert writing_endpoints(app) == called | READS.keys() & writing_endpoints(app)


@pytest.mark.anyio
async def test_every_endpoint_that_writes_leaves_a_row(app: FastAPI, engine: Engine) -> None:
    first = await ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    transport = httpx.ASGITransport(app, client=("203.0.113.7", 5000))
    headers = {"authorization": f"Bearer {first.admin.plaintext}"}
    known: dict[str, str] = {}
    silent: list[str] = []
    async with httpx.AsyncClient(
        transport=transport, base_url="http://control", headers=headers
    ) as client:
        for endpoint, values, body, name in CALLS:
            method, _, path = endpoint.partition(" ")
            number = len(await entries_since(engine, 0))
            url = _path(path, values.format_map(known))
            answer = await client.request(method, url, json=body)
            assert answer.status_code < 300, (endpoint, answer.text)
            rows = await entries_since(engine, number)
            if not [row for row in rows if _is_whole(row, f"key:{first.admin.key.id}")]:
                silent.append(endpoint)
            assert "sk-value" not in str(rows)
            if name:
                known[name] = _found(answer.json(), name)
    assert silent == []
    assert (await verify(engine, [])).broken is None


def _path(path: str, values: str) -> str:
    """Return ``path`` with its names replaced by ``values``, in their order."""
    left = values.split("/")
    return re.sub(r"\{\w+\}", lambda _: left.pop(0), path)


def _found(answer: Any, name: str) -> str:
    """Return the id of what was made: ``{"id": …}``, or ``{name: {"id": …}}``."""
    return str(answer[name]["id"] if isinstance(answer.get(name), dict) else answer["id"])


def _is_whole(row: Entry, actor: str) -> bool:
    """Whether a row says who, what, on what, and from where."""
    is_said = bool(row.action and row.object and row.tenant_id)
    return is_said and row.actor == actor and row.origin == "203.0.113.7"


# the command line

#: Commands that change nothing that anybody administers, and why.
SILENT = {
    "serve": "notes the configuration it starts with, and the first keys: tests of journeys",
    "restart": "a signal to the parent, which notes what comes into force",
    "sources kinds": "reads",
    "db migrate": "tables, not what is in them",
    "db status": "reads",
    "guardrails try": "tries a text, changes nothing",
    "models pull": "notes the model, and needs a hub: tests/retrieval/embedding/test_cli.py",
    "models remove": "notes the model, and needs one: tests/retrieval/embedding/test_cli.py",
    "import litellm": "writes a file that nobody uses until an operator does",
    "providers test": "asks providers, changes nothing",
    "providers retirements": "reads",
    "experiments status": "reads",
    "experiments log": "reads",
    "routes explain": "reads",
    "routes train": "writes a file that nobody uses until an operator does",
    "routes compare": "reads",
    "prices check": "reads",
    "privacy verify": "reads",
    "privacy key": "reads",
    "prompts lint": "reads",
    "prompts render": "reads",
    "traces tail": "reads",
    "documents readers": "reads",
    "feedback show": "reads",
    "cache stats": "reads",
    "cache shadow-report": "reads",
    "config schema": "reads",
    "config check": "reads",
    "audit verify": "reads",
    "alerts key": "reads",
    "alerts test": "sends a word to a receiver, changes nothing",
    "ledger verify": "reads",
    "ledger reprice": "notes what it changed, and here is nothing to change: tests/quota/ledger",
    "ledger reconcile": "reads",
    "ledger invoice": "reads",
    "ledger export": "reads",
    "ledger forecast": "reads",
    "prompts test": "reads",
    "prompts diff": "reads",
    "prompts log": "reads",
    "prompts pull": "writes files, as git would",
    "prompts patterns copy": "writes files that nobody uses until an operator does",
    "eval compare": "reads",
    "eval bias": "runs a suite as eval run does; who it names needs answers: tests/evals/bias",
    "eval export": "writes a file",
    "datasets history": "reads",
    "datasets check": "reads; with --mask it notes examples: tests/evals/datasets",
    "datasets diff": "reads",
    "datasets card": "reads",
    "datasets export": "writes a file",
    "datasets add-traces": "notes examples, and needs traces: tests/evals/datasets",
    "datasets generate": "notes examples, and needs documents: tests/evals/datasets",
    "collections chunk": "shows what a file would become",
    "retrieval tune": "reads",
    "retrieval runs": "reads",
    "review next": "a lease is a row of its own",
    "review submit": "a rating is a row of its own: who, what, when",
    "review skip": "a row of its own, with the reason",
    "review items": "reads",
    "review report": "reads",
    "review agreement": "reads",
    "review adjudicate": "noted; needs ratings: tests/review",
    "review gold": "noted; needs ratings: tests/review",
    "review compare": "noted; needs runs: tests/review",
    "review add-to-dataset": "notes what it adds; needs ratings: tests/review",
    "judges calibrate": "notes what it keeps; needs a model that judges: tests/evals/calibration",
    "judges sample": "writes a file that nobody uses until an operator does",
    "judges correct": "reads",
    "judges steps": "asks a model and keeps nothing",
    "retrieval questions": "writes a file that nobody uses until an operator does",
}
READING_VERBS = ("list", "show")

#: Every command that writes, in an order in which each finds what it needs. ``{…}`` are filled with
#: what earlier ones printed or what the log names.
COMMANDS: Sequence[tuple[str, ...]] = (
    ("tenants create", "acme"),
    ("tenants create", "spare"),
    ("tenants rename", "acme", "Acme"),
    ("tenants move", "acme", "--parent", "spare"),
    ("tenants off", "acme"),
    ("tenants on", "acme"),
    ("keys create", "--tenant", "acme", "--name", "app"),
    ("keys update", "{key}", "--name", "other"),
    ("keys rotate", "{key}"),
    ("keys revoke", "{key}"),
    ("users create", "Ada", "--email", "ada@example.com"),
    ("users grant", "ada@example.com", "viewer", "--over", "acme"),
    ("users revoke", "ada@example.com", "--over", "acme"),
    ("users groups", "ada@example.com", "hr"),
    ("users disable", "ada@example.com"),
    ("users enable", "ada@example.com"),
    ("limits set", "acme", "--requests-per-minute", "10"),
    ("budgets set", "10", "--per", "day", "--tenant", "acme"),
    ("limits remove", "{limit}"),
    ("secrets set", "openai", "--from-env", "MASTER_KEY"),
    ("secrets rotate",),
    ("secrets rewrap", "--all"),
    ("secrets rotate", "--tenant", "acme"),
    ("secrets destroy", "acme", "--force"),
    ("secrets remove", "openai"),
    ("privacy payloads", "none", "--tenant", "acme"),
    ("privacy retention", "30", "--tenant", "acme"),
    ("privacy export", "--tenant", "acme", "--user", "u1", "--out", "export.zip"),
    ("privacy erase", "--tenant", "acme", "--user", "u1"),
    ("cache kill", "0123456789abcdef"),
    ("cache unkill", "0123456789abcdef"),
    ("prices update", "{catalogue}"),
    ("prompts push", "--folder", "written", "--tenant", "acme"),
    ("prompts label", "greet", "live", "1.0.0", "--tenant", "acme"),
    ("prompts label", "greet", "live", "2.0.0", "--tenant", "acme"),
    ("prompts rollback", "greet", "live", "--tenant", "acme"),
    ("prompts protect", "greet", "live", "--tenant", "acme"),
    ("prompts unprotect", "greet", "live", "--tenant", "acme"),
    ("prompts unlabel", "greet", "live", "--tenant", "acme"),
    ("prompts delete", "greet", "1.0.0", "--tenant", "acme"),
    ("eval run", "evals/plain.toml", "--tenant", "acme"),
    ("eval delete", "{eval}", "--tenant", "acme"),
    ("collections create", "notes", "--tenant", "acme"),
    ("collections set", "notes", "child_tokens=200", "--tenant", "acme"),
    ("collections add-version", "notes", "--set", "chunking=window", "--tenant", "acme"),
    ("collections add-version", "notes", "--set", "chunking=whole", "--tenant", "acme"),
    ("collections switch", "notes", "1", "--tenant", "acme"),
    ("collections drop-version", "notes", "2", "--tenant", "acme"),
    ("collections delete", "notes", "--tenant", "acme"),
    ("ingest", "page.md", "--tenant", "acme"),
    ("search", "identity card", "--tenant", "acme"),
    ("retrieval eval", "--dataset", "asked.jsonl", "--tenant", "acme"),
    ("collections snapshot", "docs", "kept", "--tenant", "acme"),
    ("collections restore", "docs", "kept", "--tenant", "acme"),
    ("collections update", "docs", "--tenant", "acme"),
    ("collections purge", "docs", "--tenant", "acme"),
    ("documents retry", "docs", "--tenant", "acme"),
    ("monitors create", "watch", "every_hours=6", "--tenant", "acme"),
    ("monitors pause", "watch", "--tenant", "acme"),
    ("monitors resume", "watch", "--tenant", "acme"),
    ("monitors look", "watch", "--tenant", "acme"),
    ("monitors delete", "watch", "--tenant", "acme"),
    (
        "experiments create",
        "tone",
        "--set",
        'routes=["ask"]',
        "--set",
        "variants.plain.weight=1",
        "--set",
        'variants.new={{"weight": 1, "settings": {{"temperature": 0}}}}',
        "--set",
        "share=0.5",
        "--tenant",
        "acme",
    ),
    ("experiments start", "tone", "--tenant", "acme"),
    ("experiments ramp", "tone", "--share", "1.0", "--tenant", "acme"),
    ("experiments pause", "tone", "--tenant", "acme"),
    ("experiments stop", "tone", "--tenant", "acme"),
    ("experiments decide", "tone", "new", "--tenant", "acme"),
    ("sources add", "folder", "path=.", "--tenant", "acme"),
    ("sources edit", "{source}", "owner=Ada"),
    ("sources pause", "{source}"),
    ("sources resume", "{source}"),
    ("sources token", "{source}"),
    ("sources run", "{source}"),
    ("sources delete", "{source}", "--keep-documents"),
    ("review queues create", "daily", "--set", 'labels=[{{"name": "ok"}}]', "--tenant", "acme"),
    ("review queues update", "daily", "--set", "raters_per_item=2", "--tenant", "acme"),
    ("review queues look", "daily", "--tenant", "acme"),
    ("review export", "daily", "--tenant", "acme"),
    ("review queues delete", "daily", "--tenant", "acme"),
    ("datasets create", "faq", "--tenant", "acme"),
    ("datasets add", "faq", '{{"id": "a", "input": "What do I bring?"}}', "--tenant", "acme"),
    ("datasets import", "faq", "asked.csv", "--tenant", "acme"),
    ("datasets split", "faq", "--tenant", "acme"),
    ("datasets label", "faq", "topic", "rules.py:says", "--tenant", "acme"),
    ("datasets augment", "faq", "noise:typos", "--tenant", "acme"),
    ("datasets commit", "faq", "--tenant", "acme"),
    ("datasets remove", "faq", "a", "--tenant", "acme"),
    ("datasets delete", "faq", "--force", "--tenant", "acme"),
    ("audit export", "log.jsonl"),
    ("tenants delete", "acme", "--force"),
)


#: Commands that a job or a finished ingest would have to be there for; others call the same functions.
_BY_API = {"jobs cancel", "collections rollback", "documents delete"}


def commands(command: Any, name: str = "") -> Iterator[str]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield name
    for part, child in inner.items():
        yield from commands(child, f"{name} {part}".strip())


def test_every_command_that_writes_is_run_here() -> None:
    known = set(commands(get_command(full_app())))
    reading = {name for name in known if name.split()[-1] in READING_VERBS} | SILENT.keys() & known
    assert known - reading == {command[0] for command in COMMANDS} | _BY_API


@pytest.mark.timeout(240)  # some hundred commands, one after the other
def test_every_command_that_writes_leaves_a_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    (folder / "page.md").write_text("# Permits\n\nBring an identity card.\n")
    shutil.copy(SHIPPED, folder / "newer.jsonl")
    (folder / "asked.csv").write_text("input\nWhen do you open?\n")
    (folder / "rules.py").write_text("def says(example):\n    return 'permits'\n")
    (folder / "asked.jsonl").write_text('{"question": "What do I bring?"}\n')
    for version in ("1.0.0", "2.0.0"):
        path = folder / "written" / "greet" / f"{version}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PROMPT)
    known = {"catalogue": "newer.jsonl"}
    silent: list[str] = []
    app, runner = full_app(), CliRunner()
    for name, *arguments in COMMANDS:
        before = _rows(folder, 0)
        line = [*name.split(), *(argument.format_map(known) for argument in arguments)]
        result = runner.invoke(app, line)
        assert result.exit_code == 0, (line, result.output, result.exception)
        rows = _rows(folder, len(before))
        if not [r for r in rows if r.actor.startswith("cli:") and r.origin == "cli"]:
            silent.append(name)
        for row in rows:
            kind, _, id_ = row.object.partition(":")
            known[kind] = id_
    assert silent == []
    assert asyncio.run(_with(folder, lambda engine: verify(engine, []))).broken is None


def _rows(folder: Path, number: int) -> list[Entry]:
    return asyncio.run(_with(folder, lambda engine: entries_since(engine, number)))


async def _with(folder: Path, ask: Callable[[Engine], Any]) -> Any:
    engine = connect(sqlite_url(folder))
    try:
        return await ask(engine)
    finally:
        await engine.dispose()
