"""What the parent does by itself, in the audit log."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.db.databases import (
    anyio_backend,
    database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server

from santral.app import acts as module
from santral.app.acts import Acts
from santral.app.noted import note_start, write_acts
from santral.audit import store
from santral.audit.entry import Entry
from santral.config.load import LoadedConfig, load
from santral.db.engine import Engine, reading

__all__ = [
    "anyio_backend",
    "database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

pytestmark = pytest.mark.anyio


def loaded(folder: Path, text: str) -> LoadedConfig:
    (folder / "santral.toml").write_text(text)
    return load(folder / "santral.toml", {})


async def entries(engine: Engine) -> list[Entry]:
    async with reading(engine) as conn:
        return await store.entries_after(conn, 0, 100)


async def test_a_start_is_noted_when_it_differs_from_the_last(
    engine: Engine, tmp_path: Path
) -> None:
    first = loaded(tmp_path, "")
    await note_start(engine, first)
    await note_start(engine, first)
    second = loaded(tmp_path, "[server]\nport = 9000\n")
    acts = Acts()
    acts.reloaded(first, second, [])
    await write_acts(engine, acts)
    await note_start(engine, second)
    await note_start(engine, first)
    assert [(e.action, (e.before or {}).get("digest")) for e in await entries(engine)] == [
        ("config.start", None),
        ("config.reload", first.digest),
        ("config.start", second.digest),
    ]


async def test_a_reload_names_what_changed_and_no_value(engine: Engine, tmp_path: Path) -> None:
    before = loaded(tmp_path, "[limits]\nmax_waiting = 100\n")
    after = loaded(tmp_path, "[limits]\nmax_waiting = 4242\n[server]\nport = 9000\n")
    acts = Acts()
    acts.reloaded(before, after, ["/prompts/a/1.0.0.md"])
    acts.refused(after, "santral.toml:3: server.prot: unknown setting.")
    await write_acts(engine, acts)
    await write_acts(engine, acts)  # nothing waits any more
    reload, refused = await entries(engine)
    assert reload.after is not None
    assert reload.after["changed"] == ["limits.max_waiting", "server.port"]
    assert reload.after["files"] == ["/prompts/a/1.0.0.md"]
    assert reload.after["digest"] == after.digest
    assert "4242" not in str(reload)
    assert refused.action == "config.refused"
    assert refused.after == {"reason": "santral.toml:3: server.prot: unknown setting."}


async def test_what_waits_is_bounded_and_drops_are_counted(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 3)
    acts, config = Acts(), loaded(tmp_path, "")
    for number in range(5):
        acts.refused(config, f"reason {number}")
    assert acts.dropped == 2
    await write_acts(engine, acts)
    assert [(e.after or {})["reason"] for e in await entries(engine)] == [
        "reason 0",
        "reason 1",
        "reason 2",
    ]
