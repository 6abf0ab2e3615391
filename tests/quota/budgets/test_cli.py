"""``santral budgets show`` and ``santral alerts``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.quota.budgets.receiver import Receiver, receiving
from typer.testing import CliRunner

from santral.__main__ import full_app
from santral.config.load import load
from santral.db.engine import connect, sqlite_url
from santral.quota.budgets.cli import alerts_app
from santral.quota.budgets.watch import Watch, sender_of

run = CliRunner()


@pytest.fixture(autouse=True)
def _data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SANTRAL_CONFIG", raising=False)
    (tmp_path / "santral.toml").write_text("[alerts]\nallow_private_addresses = true\n")


@pytest.fixture
def receiver() -> Generator[Receiver]:
    """Run a receiver on a thread: a command has a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    held = receiving()
    yield asyncio.run_coroutine_threadsafe(held.__aenter__(), loop).result(10)
    asyncio.run_coroutine_threadsafe(held.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def santral(*arguments: str) -> list[list[str]]:
    done = run.invoke(full_app(), arguments)
    assert done.exit_code == 0, done.output
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_a_budget_is_shown_with_its_outlook_and_what_was_told_is_listed(tmp_path: Path) -> None:
    santral("tenants", "create", "acme")
    santral("budgets", "set", "0.5", "--tenant", "acme", "--per", "day")
    heads, row = santral("budgets", "show", "acme")
    shown = dict(zip(heads, row, strict=True))
    assert (shown["binds"], shown["spent"], shown["left"]) == (
        "tenant acme",
        "0.000000000",
        "0.500000000",
    )
    assert (shown["used up"], shown["outlook"]) == ("never", "nothing is spent")

    async def look() -> None:
        engine = connect(sqlite_url(tmp_path / "santral-data"))
        await Watch(engine, sender_of(load(None, {}).config)).look()
        await engine.dispose()

    asyncio.run(look())
    assert len(santral("alerts", "list")) == 1


def test_a_receiver_is_tried(receiver: Receiver) -> None:
    done = run.invoke(alerts_app, ["test", receiver.url])
    assert (done.exit_code, done.stdout) == (0, f"{receiver.url} took it.\n")
    assert receiver.headers[0]["x-santral-alert-id"] == "alr_test"
    receiver.status = 403
    done = run.invoke(alerts_app, ["test", receiver.url])
    assert done.exit_code == 1
    assert "it answered (403)" in done.stderr


def test_the_key_is_made_once_or_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = run.invoke(alerts_app, ["key"]).stdout
    assert len(key.strip()) == 64
    assert run.invoke(alerts_app, ["key"]).stdout == key
    monkeypatch.setenv("OWN_KEY", "mine")
    (tmp_path / "santral.toml").write_text('[alerts]\nsigning_key = "env:OWN_KEY"\n')
    assert run.invoke(alerts_app, ["key"]).stdout == "mine\n"
