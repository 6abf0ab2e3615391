"""Sessions: kept as digests, over by themselves, and over at once when their holder is."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from santral.db.engine import Engine, reading
from santral.db.tables import audit_log, sessions
from santral.tenants import issue
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant
from santral.tenants.sessions.session import LIFETIME, Sessions, form_token
from santral.tenants.sessions.store import Holder
from santral.tenants.tenant import EVERYWHERE
from santral.tenants.users.change import create_user, revoke_role, switch_user

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROOT = local_operator()
HERE = "203.0.113.7"


class Door:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.now = NOW.timestamp()
        self.sessions = Sessions(engine, secrets.token_bytes, lambda: self.now)

    async def person(self) -> Any:
        grant = Grant("admin", EVERYWHERE)
        return await create_user(
            self.engine,
            secrets.token_bytes,
            "Ada",
            NOW,
            by=ROOT,
            email="a@example.com",
            grant=grant,
        )

    async def key(self, **terms: Any) -> Any:
        await issue.ensure_first_keys(self.engine, secrets.token_bytes, NOW)
        made = await issue.create_key(
            self.engine, secrets.token_bytes, "default", "console", NOW, by=ROOT,
            terms=issue.KeyTerms(**{"role": "admin", "role_over": "*", **terms}),
        )  # fmt: skip
        return made.key

    async def begin(self, user: Any = None, key: Any = None) -> str:
        holder = Holder(user.id if user else None, key.id if key else None)
        return await self.sessions.begin(holder, HERE)

    async def who(self, cookie: str | None, origin: str = HERE) -> str | None:
        visitor = await self.sessions.who(cookie, origin)
        return visitor.principal.name if visitor else None


@pytest.fixture
def door(engine: Engine) -> Door:
    return Door(engine)


async def test_a_session_knows_its_holder_and_only_its_digest_is_kept(door: Door) -> None:
    user = await door.person()
    cookie = await door.begin(user)
    visitor = await door.sessions.who(cookie, HERE)
    assert visitor is not None
    assert visitor.principal.name == f"user:{user.id}"
    assert visitor.form_token == form_token(cookie)
    assert cookie not in visitor.form_token
    async with reading(door.engine) as conn:
        [row] = (await conn.execute(select(sessions))).all()
        acts = [r.action for r in (await conn.execute(select(audit_log))).all()]
    assert len(cookie) == 43
    assert cookie not in str(row)
    assert acts[-1] == "sessions.begin"


async def test_a_session_ends_by_itself_and_by_signing_out(door: Door) -> None:
    user = await door.person()
    first, second = await door.begin(user), await door.begin(user)
    await door.sessions.end(first, HERE)
    await door.sessions.end("nonsense", HERE)
    assert (await door.who(first), await door.who(second)) == (None, f"user:{user.id}")
    door.now += LIFETIME.total_seconds() - 1
    assert await door.who(second)
    door.now += 1
    assert await door.who(second) is None
    await door.begin(user)
    async with reading(door.engine) as conn:
        assert len((await conn.execute(select(sessions))).all()) == 1, "what is over is removed"


@pytest.mark.parametrize("cookie", [None, "", "x", "x" * 43, "ğ" * 43, "x" * 5000, "\0"])
async def test_no_made_up_cookie_is_accepted(door: Door, cookie: str | None) -> None:
    await door.begin(await door.person())
    assert await door.who(cookie) is None


async def test_a_person_who_is_switched_off_is_out_with_the_next_page(door: Door) -> None:
    user = await door.person()
    cookie = await door.begin(user)
    await switch_user(door.engine, user.id, False, NOW, by=ROOT)
    assert await door.who(cookie) is None


async def test_a_role_that_was_taken_is_gone_with_the_next_page(door: Door) -> None:
    user = await door.person()
    cookie = await door.begin(user)
    await revoke_role(door.engine, user.id, EVERYWHERE, NOW, by=ROOT)
    assert await door.who(cookie) is None


async def test_a_revoked_or_expired_key_ends_its_sessions(door: Door) -> None:
    key = await door.key(expires_at=datetime(2026, 11, 22, 13, tzinfo=UTC))
    cookie = await door.begin(key=key)
    assert await door.who(cookie) == f"key:{key.id}"
    door.now += 3600
    assert await door.who(cookie) is None
    door.now -= 3600
    await issue.revoke_key(door.engine, key.id, NOW, by=ROOT)
    assert await door.who(cookie) is None


async def test_a_key_bound_to_networks_is_bound_in_the_console_too(door: Door) -> None:
    cookie = await door.begin(key=await door.key(networks=["203.0.113.0/24"]))
    assert await door.who(cookie)
    for elsewhere in ("198.51.100.9", "", "nonsense"):
        assert await door.who(cookie, elsewhere) is None


async def test_a_key_that_administers_nothing_opens_no_page(door: Door) -> None:
    cookie = await door.begin(key=await door.key(role=None, role_over=None))
    assert await door.who(cookie) is None


async def test_sessions_of_one_holder_are_bounded_and_the_oldest_ends(door: Door) -> None:
    user = await door.person()
    cookies = []
    for _ in range(51):
        door.now += 1
        cookies.append(await door.begin(user))
    assert await door.who(cookies[0]) is None
    assert await door.who(cookies[1])
