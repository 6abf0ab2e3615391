"""Who comes from the provider becomes who here: found, tied by address, made new, or refused."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select

from santral.config.sso import SsoConfig
from santral.db.engine import Engine, reading, writing
from santral.db.tables import audit_log, memberships, users
from santral.errors import Conflict, NotAllowed
from santral.tenants.oidc.admit import admit, recognise
from santral.tenants.oidc.identity import Identity
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.permission import Grant
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.users.change import create_user, switch_user

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROOT = local_operator()


def person(**changes: Any) -> Identity:
    fields: dict[str, Any] = {
        "issuer": "https://id.test",
        "subject": "s-1",
        "email": "ada@example.com",
        "name": "Ada",
        "groups": frozenset(),
    }
    return Identity(**{**fields, **changes})


def settings(**changes: Any) -> SsoConfig:
    return SsoConfig.model_validate({"issuer": "https://id.test", "client_id": "c", **changes})


async def enter(engine: Engine, identity: Identity, config: SsoConfig) -> Any:
    return await admit(engine, secrets.token_bytes, identity, config, NOW, "203.0.113.7")


async def roles(engine: Engine) -> dict[str, str]:
    async with reading(engine) as conn:
        return {row.tenant_id: row.role for row in await conn.execute(select(memberships))}


async def rows(engine: Engine, table: Any) -> list[Any]:
    async with reading(engine) as conn:
        return list((await conn.execute(select(table))).all())


async def test_a_stranger_is_refused_and_nothing_stays(engine: Engine) -> None:
    with pytest.raises(NotAllowed, match=r"ada@example.com is not known here.*sso.newcomers"):
        await enter(engine, person(), settings())
    assert await rows(engine, users) == []


async def test_a_newcomer_gets_the_role_of_newcomers(engine: Engine) -> None:
    config = settings(newcomers={"role": "viewer"})
    made = await enter(engine, person(), config)
    assert await roles(engine) == {"*": "viewer"}
    assert await enter(engine, person(), config) == made, "known from now on"
    acts = [row.action for row in await rows(engine, audit_log)]
    assert acts == ["users.create", "users.grant"]


async def test_a_newcomer_without_any_role_leaves_nothing_behind(engine: Engine) -> None:
    with pytest.raises(NotAllowed, match=r"holds no role here yet"):
        await enter(engine, person(), settings(newcomers={}))
    assert await rows(engine, users) == []
    assert await rows(engine, audit_log) == []


async def test_a_person_whom_an_administrator_added_is_found_by_address_once(
    engine: Engine,
) -> None:
    grant = Grant("operator", EVERYWHERE)
    made = await create_user(
        engine, secrets.token_bytes, "Ada", NOW, by=ROOT, email="Ada@example.com", grant=grant
    )
    assert await enter(engine, person(), settings()) == made.id
    moved = person(email="ada@new.example.com", name="Ada L")
    assert await enter(engine, moved, settings()) == made.id, "the provider's own name counts"
    [row] = await rows(engine, users)
    assert (row.email, row.name, row.subject) == ("ada@new.example.com", "Ada L", "s-1")
    assert row.last_login_at == NOW
    with pytest.raises(NotAllowed, match=r"belongs to another account"):
        await enter(engine, person(subject="s-2", email="ada@new.example.com"), settings())


async def test_an_address_of_somebody_else_is_not_taken_over(engine: Engine) -> None:
    config = settings(newcomers={"role": "viewer"})
    await enter(engine, person(), config)
    eve = person(subject="s-2", email="eve@example.com")
    await enter(engine, eve, config)
    await enter(engine, person(subject="s-2"), config)
    assert sorted(row.email for row in await rows(engine, users)) == [
        "ada@example.com",
        "eve@example.com",
    ]


async def test_who_is_switched_off_stays_out(engine: Engine) -> None:
    config = settings(newcomers={"role": "viewer"})
    made = await enter(engine, person(), config)
    await switch_user(engine, made, False, NOW, by=ROOT)
    for attempt in (enter(engine, person(), config), recognise(engine, person(), "203.0.113.7")):
        with pytest.raises(NotAllowed, match=r"switched off"):
            await attempt


async def test_roles_follow_the_groups_where_the_mapping_speaks(engine: Engine) -> None:
    for id_ in ("acme", "globex"):
        await create_tenant(engine, id_, None, NOW, by=ROOT)
    config = settings(
        newcomers={"role": "viewer", "tenant": "globex"},
        roles=[
            {"group": "acme-admins", "role": "admin", "tenant": "acme"},
            {"group": "root", "role": "owner"},
            {"group": "all", "role": "viewer", "tenant": "gone"},
        ],
    )
    await enter(engine, person(groups=frozenset({"acme-admins", "all"})), config)
    assert await roles(engine) == {"acme": "admin", "globex": "viewer"}
    await enter(engine, person(), config)
    assert await roles(engine) == {"globex": "viewer"}, "the group's role is gone, the other stays"
    acts = [(row.action, row.tenant_id) for row in await rows(engine, audit_log)][-2:]
    assert acts == [("users.grant", "acme"), ("users.revoke", "acme")]


async def test_groups_never_take_the_last_owner(engine: Engine) -> None:
    config = settings(newcomers={}, roles=[{"group": "root", "role": "owner"}])
    await enter(engine, person(groups=frozenset({"root"})), config)
    with pytest.raises(Conflict, match=r"last owner"):
        await enter(engine, person(), config)
    assert await roles(engine) == {"*": "owner"}


async def test_the_admin_api_knows_people_who_signed_in_and_nobody_else(engine: Engine) -> None:
    with pytest.raises(NotAllowed, match=r"Sign in to the console once"):
        await recognise(engine, person(), "203.0.113.7")
    made = await enter(engine, person(), settings(newcomers={"role": "viewer"}))
    known = await recognise(engine, person(), "203.0.113.7")
    assert (known.name, known.origin) == (f"user:{made}", "203.0.113.7")
    assert known.may("traces.read", TenantId("*"))
    assert not known.may("keys.write", TenantId("*"))


async def test_a_failed_write_leaves_no_half_of_a_person(engine: Engine) -> None:
    config = settings(newcomers={"role": "viewer"})
    async with writing(engine) as conn:  # somebody with the same address, without a provider
        await conn.execute(
            users.insert().values(
                id="usr_x", kind="service", name="x", email="ada@example.com", is_active=True, created_at=NOW
            )
        )  # fmt: skip
    with pytest.raises(NotAllowed, match=r"belongs to another account"):
        await enter(engine, person(), config)
    assert len(await rows(engine, users)) == 1
