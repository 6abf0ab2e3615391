"""A database of the version before roles: its administrators' keys go on administering."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text

import santral.db.migrate
from santral.db.engine import connect, reading, writing
from santral.db.migrate import migrate
from santral.tenants import store
from santral.tenants.key import new_key

pytestmark = pytest.mark.anyio


async def test_keys_of_administrators_become_owners_and_others_stay_plain(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "migrations" / "versions"
    old.mkdir(parents=True)
    for path in sorted((santral.db.migrate._FOLDER / "versions").glob("000[12]_*.py")):
        (old / path.name).write_text(path.read_text())
    engine = connect(empty_database)
    with monkeypatch.context() as patch:
        patch.setattr(santral.db.migrate, "_FOLDER", old.parent)
        await migrate(engine)
    texts = [new_key(Random(n).randbytes) for n in range(2)]
    async with writing(engine) as conn:
        await conn.execute(
            text(
                "INSERT INTO tenants (id, name, is_active, created_at) "
                "VALUES ('default', 'Default', true, '2026-01-01 00:00:00')"
            )
        )
        for number, (key, is_admin) in enumerate(zip(texts, ("true", "false"), strict=True)):
            await conn.execute(
                text(
                    "INSERT INTO virtual_keys (id, tenant_id, name, prefix, digest, is_admin, "
                    f"created_at) VALUES ('key_{number}', 'default', 'k', '{key.prefix}', "
                    f"'{key.digest}', {is_admin}, '2026-01-01 00:00:00')"
                )
            )
    await migrate(engine)
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    admin, plain = (ring.identify(key.plaintext, 0.0).key for key in texts)
    assert (admin.role, admin.role_over) == ("owner", "*")
    assert (plain.role, plain.role_over) == (None, None)
    await engine.dispose()
