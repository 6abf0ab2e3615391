"""Tenants in a tree, in both databases: made, moved, switched off, deleted."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random

import pytest
from sqlalchemy import text
from tests.tenants.acting import NOW, OPERATOR, acting, plant

from santral.db.engine import Engine, connect, reading, writing
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.tenants import issue, organise, store
from santral.tenants.issue import KeyTerms
from santral.tenants.tenant import TenantId
from santral.tenants.tree import MAX_DEPTH

pytestmark = pytest.mark.anyio


async def lines(engine: Engine) -> list[str]:
    found = await organise.list_tenants(engine, by=OPERATOR)
    return ["  " * line.depth + line.tenant.id for line in found]


async def spend(
    engine: Engine, tenant: str, key: str, *, minutes_ago: float, number: int = 1
) -> None:
    moment = NOW - timedelta(minutes=minutes_ago)
    async with writing(engine) as conn:
        await conn.execute(
            text(
                "INSERT INTO ledger (request_id, attempt, kind, tenant_id, key_id, route, deployment, "
                "provider, model, day, occurred_at, input_uncached, cache_read, cache_write, "
                "output_text, reasoning, is_estimated, cost_nanousd, price_version) VALUES "
                "(:request, 1, 'chat', :tenant, :key, 'r', 'd', 'p', 'm', :day, :at, "
                "1, 0, 0, 1, 0, false, 1500000000, 'v')"
            ).bindparams(
                request=f"req_{tenant}_{number}", tenant=tenant, key=key,
                day=moment.date() if "postgres" in conn.dialect.name else str(moment.date()),
                at=moment if "postgres" in conn.dialect.name else str(moment.replace(tzinfo=None)),
            )
        )  # fmt: skip


async def test_a_tree_is_listed_with_parts_after_their_whole(engine: Engine) -> None:
    await plant(engine, "zeta", "org", "team<org", "project<team", "alpha<org")
    assert await lines(engine) == ["org", "  alpha", "  team", "    project", "zeta"]
    shown = await organise.show_tenant(engine, "team", by=OPERATOR)
    assert [(line.tenant.id, line.depth) for line in shown] == [("team", 0), ("project", 1)]


async def test_a_parent_that_does_not_exist_is_refused(engine: Engine) -> None:
    await plant(engine, "org")
    with pytest.raises(NotFound, match="Did you mean 'org'"):
        await plant(engine, "team<orgg")
    assert await lines(engine) == ["org"]


async def test_a_tenant_is_never_moved_beneath_itself(engine: Engine) -> None:
    await plant(engine, "org", "team<org", "project<team")
    for parent in ("org", "team", "project"):
        with pytest.raises(BadRequest, match="beneath it"):
            await organise.move_tenant(engine, "org", parent, NOW, by=OPERATOR)
    moved = await organise.move_tenant(engine, "project", "org", NOW, by=OPERATOR)
    assert moved.parent_id == "org"
    assert (await organise.move_tenant(engine, "project", None, NOW, by=OPERATOR)).parent_id is None
    assert await lines(engine) == ["org", "  team", "project"]


async def test_a_tree_is_no_deeper_than_its_bound_however_it_is_made(engine: Engine) -> None:
    chain = ["t0", *(f"t{n}<t{n - 1}" for n in range(1, MAX_DEPTH))]
    await plant(engine, *chain, "pair", "half<pair")
    with pytest.raises(BadRequest, match=f"{MAX_DEPTH} levels"):
        await plant(engine, f"deeper<t{MAX_DEPTH - 1}")
    with pytest.raises(BadRequest, match=f"{MAX_DEPTH} levels"):
        await organise.move_tenant(engine, "pair", f"t{MAX_DEPTH - 2}", NOW, by=OPERATOR)
    await organise.move_tenant(engine, "pair", f"t{MAX_DEPTH - 3}", NOW, by=OPERATOR)


async def test_two_moves_at_once_never_close_a_ring(database: str) -> None:
    engines = [connect(database) for _ in range(2)]
    await plant(engines[0], "a", "b")
    outcomes = await asyncio.gather(
        organise.move_tenant(engines[0], "a", "b", NOW, by=OPERATOR),
        organise.move_tenant(engines[1], "b", "a", NOW, by=OPERATOR),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, BadRequest) for outcome in outcomes) == 1, outcomes
    async with reading(engines[0]) as conn:
        tree = await store.load_tree(conn)
    assert sorted(len(tree.path(TenantId(name))) for name in "ab") == [1, 2]
    for engine in engines:
        await engine.dispose()


async def test_a_tenant_that_is_off_switches_off_what_is_beneath(engine: Engine) -> None:
    await plant(engine, "org", "team<org", "beside")
    made = await issue.create_key(engine, Random(1).randbytes, "team", "app", NOW, by=OPERATOR)
    await organise.switch_tenant(engine, "org", False, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    with pytest.raises(NotAllowed, match="'org', above 'team', is switched off"):
        ring.identify(made.plaintext, NOW.timestamp())
    found = {str(line.tenant.id): line for line in await organise.list_tenants(engine, by=OPERATOR)}
    assert (found["team"].tenant.is_active, found["team"].is_in_force) == (True, False)
    assert found["beside"].is_in_force
    await organise.switch_tenant(engine, "org", True, NOW, by=OPERATOR)
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    assert ring.identify(made.plaintext, NOW.timestamp()).tenant.id == "team"


async def test_an_empty_tenant_is_deleted_and_its_id_stays_taken(engine: Engine) -> None:
    await plant(engine, "org")
    gone = await organise.delete_tenant(engine, "org", NOW, by=OPERATOR)
    assert gone.says() == ""
    assert await lines(engine) == []
    with pytest.raises(BadRequest, match="stays so"):
        await plant(engine, "org")
    for act in (
        organise.rename_tenant(engine, "org", "Other", by=OPERATOR),
        organise.switch_tenant(engine, "org", True, NOW, by=OPERATOR),
        organise.delete_tenant(engine, "org", NOW, by=OPERATOR),
    ):
        with pytest.raises(NotFound, match="was deleted"):
            await act


async def test_a_deletion_that_takes_something_says_what_and_asks_for_force(engine: Engine) -> None:
    await plant(engine, "org", "team<org")
    rng = Random(1).randbytes
    idle = await issue.create_key(engine, rng, "org", "idle", NOW, by=OPERATOR)
    busy = await issue.create_key(engine, rng, "team", "busy", NOW, by=OPERATOR)
    await spend(engine, "team", busy.key.id, minutes_ago=2)
    await spend(engine, "org", idle.key.id, minutes_ago=60)
    with pytest.raises(Conflict) as caught:
        await organise.delete_tenant(engine, "org", NOW, by=OPERATOR)
    assert caught.value.detail_code == "needs_force"
    for part in (
        "1 tenant beneath it (team)",
        "ends 2 keys",
        "may be running (1 key used in the last 10 minutes)",
        "balance of 3.000000 USD in 2 rows",
        "--force",
    ):
        assert part in caught.value.message
    assert await lines(engine) == ["org", "  team"], "nothing has happened yet"
    gone = await organise.delete_tenant(engine, "org", NOW, by=OPERATOR, is_forced=True)
    assert (gone.tenants, gone.keys, gone.ledger_rows) == (("org", "team"), 2, 2)
    assert await lines(engine) == []
    async with reading(engine) as conn:
        assert (await conn.execute(text("SELECT count(*) FROM ledger"))).scalar_one() == 2
        revoked = await conn.execute(
            text("SELECT count(*) FROM virtual_keys WHERE revoked_at IS NULL")
        )
        assert revoked.scalar_one() == 0


async def test_the_last_owners_key_does_not_go_with_its_tenant(engine: Engine) -> None:
    first = await issue.ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    for act in (
        organise.switch_tenant(engine, "default", False, NOW, by=OPERATOR),
        organise.delete_tenant(engine, "default", NOW, by=OPERATOR, is_forced=True),
    ):
        with pytest.raises(Conflict, match="last owner"):
            await act
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    assert ring.identify(first.admin.plaintext, NOW.timestamp()).key.role == "owner"


async def test_an_administrator_acts_beneath_their_tenant_and_nowhere_else(engine: Engine) -> None:
    await plant(engine, "org", "team<org", "globex")
    admin = await acting(engine, "admin", "org")
    made = await organise.create_tenant(engine, "fresh", None, NOW, by=admin, parent="team")
    assert made.parent_id == "team"
    admin = await acting(engine, "admin", "org")  # every request looks at the tree anew
    seen = [line.tenant.id for line in await organise.list_tenants(engine, by=admin)]
    assert seen == ["org", "team", "fresh"]
    with pytest.raises(NotAllowed):
        await organise.create_tenant(engine, "own-top", None, NOW, by=admin)
    for act in (
        organise.create_tenant(engine, "inside", None, NOW, by=admin, parent="globex"),
        organise.rename_tenant(engine, "globex", "Mine", by=admin),
        organise.show_tenant(engine, "globex", by=admin),
        organise.delete_tenant(engine, "globex", NOW, by=admin, is_forced=True),
        organise.switch_tenant(engine, "globex", False, NOW, by=admin),
        organise.move_tenant(engine, "globex", "org", NOW, by=admin),
        organise.move_tenant(engine, "team", "globex", NOW, by=admin),
    ):
        with pytest.raises(NotFound, match="There is no tenant 'globex'"):
            await act
    for act in (  # what stands above a tenant is not for its own administrators
        organise.switch_tenant(engine, "org", False, NOW, by=admin),
        organise.move_tenant(engine, "team", None, NOW, by=admin),
        organise.delete_tenant(engine, "org", NOW, by=admin, is_forced=True),
    ):
        with pytest.raises(NotAllowed):
            await act
    assert await lines(engine) == ["globex", "org", "  team", "    fresh"]


async def test_a_key_above_ones_own_role_is_not_ended_by_way_of_its_tenant(engine: Engine) -> None:
    await plant(engine, "org", "team<org")
    terms = KeyTerms(role="owner", role_over="*")
    await issue.create_key(
        engine, Random(1).randbytes, "team", "root", NOW, by=OPERATOR, terms=terms
    )
    admin = await acting(engine, "admin", "org")
    for act in (
        organise.delete_tenant(engine, "team", NOW, by=admin, is_forced=True),
        organise.switch_tenant(engine, "team", False, NOW, by=admin),
    ):
        with pytest.raises(NotAllowed, match="above your own"):
            await act


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "a\x00b", "a\u202eb", "a\u200bb", "\ud800", "x" * 129, "x" * 65536]
)
async def test_a_name_that_hides_something_is_refused(engine: Engine, name: str) -> None:
    await plant(engine, "org")
    with pytest.raises(BadRequest, match="printable") as caught:
        await organise.rename_tenant(engine, "org", name, by=OPERATOR)
    assert len(caught.value.message) < 200


async def test_names_of_one_look_are_kept_in_one_spelling(engine: Engine) -> None:
    await plant(engine, "org")
    renamed = await organise.rename_tenant(engine, "org", "  Mu\u0308nchen ", by=OPERATOR)
    assert renamed.name == "M\u00fcnchen"


async def test_an_id_of_64_kilobytes_is_refused_shortly(engine: Engine) -> None:
    with pytest.raises(BadRequest) as caught:
        await plant(engine, "x" * 65536)
    assert len(caught.value.message) < 300


async def test_every_act_is_in_the_audit_log_with_what_was_and_what_is(engine: Engine) -> None:
    await plant(engine, "org", "team<org")
    await organise.rename_tenant(engine, "team", "Team", by=OPERATOR)
    await organise.rename_tenant(engine, "team", "Team", by=OPERATOR)
    await organise.switch_tenant(engine, "team", False, NOW, by=OPERATOR)
    await organise.move_tenant(engine, "team", None, NOW, by=OPERATOR)
    await organise.delete_tenant(engine, "team", NOW, by=OPERATOR)
    with pytest.raises(NotFound):
        await organise.delete_tenant(engine, "team", NOW, by=OPERATOR)
    async with reading(engine) as conn:
        rows = await conn.execute(
            text("SELECT action, object, actor FROM audit_log ORDER BY number")
        )
        noted = [tuple(row) for row in rows]
    assert [action for action, _, _ in noted] == [
        "tenants.create", "tenants.create", "tenants.rename", "tenants.switch_off",
        "tenants.move", "tenants.delete",
    ]  # fmt: skip
    assert noted[-1][1:] == ("tenant:team", OPERATOR.name)
