"""Sealed secrets on their way to a worker."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import stat
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from santral.__main__ import full_app
from santral.app.check import check_servable
from santral.app.providers import ProviderPool
from santral.app.sealed import SealedReader
from santral.app.sealing import check_sealed, publish_sealed
from santral.audit.note import SYSTEM
from santral.config.load import LoadedConfig, load
from santral.config.sealed import sealed_file, sealed_references
from santral.config.secret import SEALED, SecretRef
from santral.config.show import settings
from santral.db.engine import Engine, connect, sqlite_url, writing
from santral.db.migrate import migrate
from santral.errors import ConfigError, SealBroken
from santral.secrets.change import remove_secret, set_secret
from santral.secrets.rotate import rotate
from santral.secrets.sealer import Sealer
from santral.secrets.wrappers import wrappers_from

CONFIG = """
[secrets]
master_key = "env:MASTER_KEY"
[providers.cheap]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
api_key = "secret:cheap"
[providers.other]
kind = "openai"
base_url = "http://127.0.0.1:9/v1"
api_keys = ["secret:other-1", "env:OTHER"]
"""


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedConfig:
    monkeypatch.setenv("MASTER_KEY", secrets.token_bytes(32).hex())
    monkeypatch.setenv("OTHER", "sk-other-2")
    monkeypatch.setattr(SEALED, "_values", None)
    monkeypatch.setattr(SEALED, "_open", None)
    (tmp_path / "santral.toml").write_text(CONFIG)
    (tmp_path / "santral-data").mkdir()
    return load(tmp_path / "santral.toml", {})


def on_database(loaded: LoadedConfig, *works: Callable[[Engine], Awaitable[object]]) -> None:
    async def run() -> None:
        engine = connect(sqlite_url(loaded.config.data.folder))
        try:
            await migrate(engine)
            for work in works:
                await work(engine)
        finally:
            await engine.dispose()

    asyncio.run(run())


def put(loaded: LoadedConfig, name: str, value: str) -> Callable[[Engine], Awaitable[object]]:
    async def work(engine: Engine) -> None:
        sealer = Sealer(engine, wrappers_from(loaded.config.secrets))
        await set_secret(engine, sealer, name, value, datetime.now(UTC), actor=SYSTEM)

    return work


def published(loaded: LoadedConfig) -> Callable[[Engine], Awaitable[object]]:
    return lambda engine: publish_sealed(engine, sealed_file(loaded.config))


def filled(loaded: LoadedConfig) -> SealedReader:
    both = put(loaded, "cheap", "sk-cheap"), put(loaded, "other-1", "sk-other-1")
    on_database(loaded, *both, published(loaded))
    return SealedReader(loaded.config)


def test_the_file_is_sealed_and_its_owners_alone(loaded: LoadedConfig) -> None:
    assert filled(loaded).look()
    path = sealed_file(loaded.config)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    everything = b"".join(
        file.read_bytes() for file in loaded.config.data.folder.rglob("*") if file.is_file()
    )
    assert b"sk-cheap" not in everything
    assert b"sk-other" not in everything
    assert os.environ["MASTER_KEY"].encode() not in everything
    assert SecretRef("secret:cheap").reveal() == "sk-cheap"


def test_a_file_that_did_not_change_is_not_written_again(loaded: LoadedConfig) -> None:
    reader = filled(loaded)
    assert reader.look()
    before = sealed_file(loaded.config).stat().st_mtime_ns
    on_database(loaded, published(loaded))
    assert sealed_file(loaded.config).stat().st_mtime_ns == before
    assert not reader.look()


def test_a_changed_secret_makes_its_provider_anew_and_no_other(loaded: LoadedConfig) -> None:
    async def run() -> None:
        await asyncio.to_thread(reader.look)
        pool = ProviderPool(time.monotonic, time.time, random.Random(1))
        first = pool.build(loaded.config.providers)
        pool.keep()
        await asyncio.to_thread(
            on_database, loaded, put(loaded, "cheap", "sk-new"), published(loaded)
        )
        await asyncio.to_thread(reader.look)
        second = pool.build(loaded.config.providers)
        pool.keep()
        assert second["cheap"] is not first["cheap"]
        assert second["other"] is first["other"]
        assert second["local"] is first["local"]
        assert "sk-" not in repr(vars(pool))
        await pool.close()

    reader = filled(loaded)
    asyncio.run(run())


def test_rotation_and_a_restart_change_nothing_for_a_worker(loaded: LoadedConfig) -> None:
    reader = filled(loaded)
    reader.look()
    wrappers = wrappers_from(loaded.config.secrets)
    on_database(loaded, lambda e: rotate(e, wrappers, actor=SYSTEM), published(loaded))
    assert reader.look()
    assert SecretRef("secret:cheap").reveal() == "sk-cheap"


def test_a_secret_that_was_changed_in_the_database_leaves_the_old_one_in_force(
    loaded: LoadedConfig,
) -> None:
    async def attack(engine: Engine) -> None:
        async with writing(engine) as conn:
            await conn.execute(text("UPDATE provider_secrets SET name = 'x' WHERE name = 'cheap'"))

    reader = filled(loaded)
    reader.look()
    on_database(loaded, attack, published(loaded))
    with pytest.raises(SealBroken, match="'x'"):
        reader.look()
    assert SecretRef("secret:cheap").reveal() == "sk-cheap"


def start(loaded: LoadedConfig) -> None:
    on_database(loaded, lambda engine: check_sealed(engine, loaded.config))


def test_a_start_names_the_setting_whose_secret_is_missing(loaded: LoadedConfig) -> None:
    on_database(loaded, put(loaded, "chaep", "sk-1"), put(loaded, "other-1", "sk-2"))
    with pytest.raises(
        ConfigError,
        match=r"providers\.cheap\.api_key: there is no sealed secret 'cheap'\. Did you mean 'chaep'",
    ):
        start(loaded)


def test_a_start_without_the_master_key_is_refused(
    loaded: LoadedConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    filled(loaded)
    start(loaded)
    monkeypatch.delenv("MASTER_KEY")
    with pytest.raises(ConfigError, match="MASTER_KEY: the environment variable is not set"):
        start(loaded)
    (tmp_path / "santral.toml").write_text(CONFIG.replace("master_key", "#"))
    with pytest.raises(ConfigError, match=r"secrets\.master_key is not set"):
        start(load(tmp_path / "santral.toml", {}))


def test_a_start_with_another_master_key_is_refused(
    loaded: LoadedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(loaded)
    monkeypatch.setenv("MASTER_KEY", secrets.token_bytes(32).hex())
    with pytest.raises(ConfigError, match="previous_master_keys"):
        start(loaded)


def test_a_configuration_is_checked_with_its_sealed_secrets(loaded: LoadedConfig) -> None:
    with pytest.raises(ConfigError, match="no such sealed secret"):
        check_servable(loaded)
    SEALED.hold({})
    filled(loaded)
    SEALED._values = None  # pyright: ignore[reportPrivateUsage]
    check_servable(loaded)


def test_no_setting_shows_a_sealed_secret(loaded: LoadedConfig) -> None:
    filled(loaded).look()
    shown = str(settings(loaded)) + repr(loaded) + repr(SEALED) + loaded.config.model_dump_json()
    assert "secret:cheap" in shown
    assert "sk-cheap" not in shown
    assert sealed_references(loaded.config) == {
        "cheap": ["providers.cheap.api_key"],
        "other-1": ["providers.other.api_keys.0"],
    }


def test_a_removed_secret_stays_in_force_until_a_provider_needs_it_anew(
    loaded: LoadedConfig,
) -> None:
    reader = filled(loaded)
    reader.look()
    on_database(loaded, lambda e: remove_secret(e, "cheap", actor=SYSTEM), published(loaded))
    reader.look()
    with pytest.raises(ConfigError, match="santral secrets set cheap"):
        SecretRef("secret:cheap").reveal()


def test_a_command_opens_what_it_needs(
    loaded: LoadedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(loaded)
    assert loaded.path is not None
    monkeypatch.setenv("SANTRAL_CONFIG", str(loaded.path))
    full_app()
    assert SecretRef("secret:cheap").reveal() == "sk-cheap"
