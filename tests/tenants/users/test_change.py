"""Users and their roles, in both databases: who may make, see, promote and switch off whom."""

from __future__ import annotations

from random import Random

import pytest
from sqlalchemy import text
from tests.tenants.acting import NOW, OPERATOR, acting, plant

from santral.db.engine import Engine, reading, writing
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.tenants import issue, store
from santral.tenants.issue import KeyTerms
from santral.tenants.permission import Grant, Role
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.users import change
from santral.tenants.users.user import User

pytestmark = pytest.mark.anyio

TEAM = TenantId("team")


async def person(
    engine: Engine, name: str, role: Role | None = None, over: str = "*", *, seed: int = 0
) -> User:
    grant = None if role is None else Grant(role, TenantId(over))
    rng = Random(f"{name}{seed}").randbytes
    email = f"{name}@example.org"
    return await change.create_user(engine, rng, name, NOW, by=OPERATOR, email=email, grant=grant)


async def sign_in_once(engine: Engine, user: User) -> None:
    async with writing(engine) as conn:
        await change.store.update_user(conn, user.id, {"last_login_at": NOW})


async def test_a_user_is_made_listed_and_found_by_address(engine: Engine) -> None:
    await plant(engine, "team")
    ada = await person(engine, "ada", "viewer", "team")
    assert (ada.kind, ada.email, ada.grants) == (
        "person",
        "ada@example.org",
        (Grant("viewer", TEAM),),
    )
    assert await change.list_users(engine, by=OPERATOR) == [ada]
    assert await change.show_user(engine, "ADA@example.org", by=OPERATOR) == ada


async def test_a_service_account_needs_no_address_and_a_person_does(engine: Engine) -> None:
    rng = Random(1).randbytes
    bot = await change.create_user(engine, rng, "bot", NOW, by=OPERATOR, kind="service")
    assert bot.kind == "service"
    with pytest.raises(BadRequest, match="--service"):
        await change.create_user(engine, rng, "nobody", NOW, by=OPERATOR)


@pytest.mark.parametrize(
    "email",
    ["", "a", "a@b", "a b@c.de", "a@b.\nc", "a@b..", "@b.de", "x" * 321 + "@b.de", "\u202ea@b.de"],
)
async def test_an_address_that_is_none_is_refused(engine: Engine, email: str) -> None:
    with pytest.raises(BadRequest, match="e-mail") as caught:
        await change.create_user(engine, Random(1).randbytes, "x", NOW, by=OPERATOR, email=email)
    assert len(caught.value.message) < 300


async def test_an_address_belongs_to_one_user_in_whatever_case(engine: Engine) -> None:
    await person(engine, "ada")
    with pytest.raises(BadRequest, match="already"):
        await change.create_user(
            engine, Random(9).randbytes, "Other", NOW, by=OPERATOR, email="Ada@Example.org"
        )


async def test_a_role_is_replaced_where_it_is_held_and_kept_elsewhere(engine: Engine) -> None:
    await plant(engine, "team", "side")
    ada = await person(engine, "ada", "viewer", "team")
    await change.grant_role(engine, ada.id, Grant("auditor", TenantId("side")), NOW, by=OPERATOR)
    held = await change.grant_role(engine, ada.id, Grant("operator", TEAM), NOW, by=OPERATOR)
    assert set(held.grants) == {Grant("operator", TEAM), Grant("auditor", TenantId("side"))}
    left = await change.revoke_role(engine, ada.id, TEAM, NOW, by=OPERATOR)
    assert left.grants == (Grant("auditor", TenantId("side")),)
    with pytest.raises(NotFound, match="holds no role over 'team'"):
        await change.revoke_role(engine, ada.id, TEAM, NOW, by=OPERATOR)
    with pytest.raises(NotFound, match="no tenant"):
        await change.grant_role(engine, ada.id, Grant("viewer", TenantId("nope")), NOW, by=OPERATOR)


async def test_an_administrator_gives_roles_in_their_part_and_not_above_their_own(
    engine: Engine,
) -> None:
    await plant(engine, "org", "team<org", "globex")
    admin = await acting(engine, "admin", "org")
    rng = Random(4).randbytes
    made = await change.create_user(
        engine, rng, "Bo", NOW, by=admin, email="bo@example.org", grant=Grant("admin", TEAM)
    )
    assert made.grants == (Grant("admin", TEAM),)
    with pytest.raises(NotAllowed, match="above your own"):
        await change.grant_role(engine, made.id, Grant("owner", TEAM), NOW, by=admin)
    with pytest.raises(NotAllowed):
        await change.grant_role(engine, made.id, Grant("viewer", EVERYWHERE), NOW, by=admin)
    with pytest.raises(NotFound, match="no tenant 'globex'"):
        await change.grant_role(engine, made.id, Grant("viewer", TenantId("globex")), NOW, by=admin)
    with pytest.raises(NotAllowed):  # a user of no tenant would be nobody's
        await change.create_user(engine, rng, "Cy", NOW, by=admin, email="cy@example.org")


async def test_users_of_others_are_as_if_they_were_not_there(engine: Engine) -> None:
    await plant(engine, "org", "globex")
    hidden = await person(engine, "hal", "admin", "globex")
    both = await person(engine, "both", "viewer", "org")
    await change.grant_role(engine, both.id, Grant("admin", TenantId("globex")), NOW, by=OPERATOR)
    admin = await acting(engine, "admin", "org")
    (seen,) = await change.list_users(engine, by=admin)
    assert (seen.id, seen.grants) == (both.id, (Grant("viewer", TenantId("org")),))
    said: list[str] = []
    for reference in (hidden.id, "usr_nope000000000000"):
        with pytest.raises(NotFound) as caught:
            await change.show_user(engine, reference, by=admin)
        said.append(caught.value.message.replace(reference, "X"))
    assert said[0] == said[1]
    with pytest.raises(NotFound):
        await change.switch_user(engine, hidden.id, False, NOW, by=admin)
    with pytest.raises(NotAllowed, match="outside of what you administer"):
        await change.switch_user(engine, both.id, False, NOW, by=admin)
    with pytest.raises(NotFound):
        await change.grant_role(engine, hidden.id, Grant("viewer", TenantId("org")), NOW, by=admin)
    known = await change.grant_role(
        engine, "hal@example.org", Grant("viewer", TenantId("org")), NOW, by=admin
    )
    assert known.grants == (Grant("viewer", TenantId("org")),)


async def test_nobody_takes_a_role_above_their_own(engine: Engine) -> None:
    await plant(engine, "org")
    boss = await person(engine, "boss", "owner", "org")
    admin = await acting(engine, "admin", "org")
    for act in (
        change.revoke_role(engine, boss.id, TenantId("org"), NOW, by=admin),
        change.grant_role(engine, boss.id, Grant("viewer", TenantId("org")), NOW, by=admin),
        change.switch_user(engine, boss.id, False, NOW, by=admin),
    ):
        with pytest.raises(NotAllowed, match="above your own"):
            await act


async def test_the_last_owner_stays_whatever_is_tried(engine: Engine) -> None:
    ada = await person(engine, "ada", "owner")
    await sign_in_once(engine, ada)
    for act in (
        change.switch_user(engine, ada.id, False, NOW, by=OPERATOR),
        change.revoke_role(engine, ada.id, EVERYWHERE, NOW, by=OPERATOR),
        change.grant_role(engine, ada.id, Grant("viewer", EVERYWHERE), NOW, by=OPERATOR),
    ):
        with pytest.raises(Conflict, match="last owner"):
            await act
    await person(engine, "never-came", "owner")
    with pytest.raises(Conflict):  # somebody who never signed in may never be able to
        await change.switch_user(engine, ada.id, False, NOW, by=OPERATOR)
    await issue.ensure_first_keys(engine, Random(1).randbytes, NOW)
    off = await change.switch_user(engine, ada.id, False, NOW, by=OPERATOR)
    assert not off.is_active


async def test_the_keys_of_a_user_stop_with_them_and_come_back(engine: Engine) -> None:
    await plant(engine, "team")
    ada = await person(engine, "ada", "viewer", "team")
    made = await issue.create_key(
        engine,
        Random(2).randbytes,
        "team",
        "laptop",
        NOW,
        by=OPERATOR,
        terms=KeyTerms(owner=ada.email),
    )
    assert made.key.user_id == ada.id
    await change.switch_user(engine, ada.id, False, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    with pytest.raises(NotAllowed, match="owner of the API key 'laptop' is switched off"):
        ring.identify(made.plaintext, NOW.timestamp())
    with pytest.raises(BadRequest, match="switched off"):
        await issue.create_key(
            engine,
            Random(3).randbytes,
            "team",
            "more",
            NOW,
            by=OPERATOR,
            terms=KeyTerms(owner=ada.id),
        )
    await change.switch_user(engine, ada.id, True, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    assert ring.identify(made.plaintext, NOW.timestamp()).key.user_id == ada.id


async def test_a_signed_in_user_is_what_their_roles_are_now(engine: Engine) -> None:
    await plant(engine, "team")
    ada = await person(engine, "ada", "operator", "team")
    async with reading(engine) as conn:
        principal = await change.load_principal(conn, ada.id, "203.0.113.7")
    assert principal.actor.name == f"user:{ada.id}"
    assert principal.may("keys.write", TEAM)
    await change.revoke_role(engine, ada.id, TEAM, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        with pytest.raises(NotAllowed, match="no role here yet"):
            await change.load_principal(conn, ada.id, "203.0.113.7")
    await change.switch_user(engine, ada.id, False, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        with pytest.raises(NotAllowed, match="switched off"):
            await change.load_principal(conn, ada.id, "203.0.113.7")


async def test_every_change_of_roles_is_in_the_audit_log(engine: Engine) -> None:
    await plant(engine, "team")
    ada = await person(engine, "ada", "viewer", "team")
    await change.grant_role(engine, ada.id, Grant("viewer", TEAM), NOW, by=OPERATOR)
    await change.grant_role(engine, ada.id, Grant("admin", TEAM), NOW, by=OPERATOR)
    await change.switch_user(engine, ada.id, False, NOW, by=OPERATOR)
    await change.revoke_role(engine, ada.id, TEAM, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        rows = await conn.execute(
            text(
                "SELECT action, tenant_id FROM audit_log WHERE action LIKE 'users.%' ORDER BY number"
            )
        )
        noted = [tuple(row) for row in rows]
    assert noted == [
        ("users.create", "team"), ("users.grant", "team"), ("users.grant", "team"),
        ("users.disable", "team"), ("users.revoke", "team"),
    ]  # fmt: skip
