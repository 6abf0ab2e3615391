"""Keys change their text, their bounds and their role; two at once, and one against the end."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from tests.tenants.acting import NOW, OPERATOR, acting, plant

from santral.db.engine import Engine, connect, reading
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound, SantralError, Unauthenticated
from santral.tenants import issue, store
from santral.tenants.issue import IssuedKey, KeyTerms
from santral.tenants.keyring import KeyRing

pytestmark = pytest.mark.anyio

DAY = timedelta(hours=24)


async def make(engine: Engine, tenant: str = "team", seed: int = 1, **terms: Any) -> IssuedKey:
    rng = Random(seed).randbytes
    return await issue.create_key(
        engine, rng, tenant, "app", NOW, by=OPERATOR, terms=KeyTerms(**terms)
    )


async def rotate(
    engine: Engine, made: IssuedKey, seed: int = 2, overlap: timedelta = DAY
) -> IssuedKey:
    rng = Random(seed).randbytes
    return await issue.rotate_key(engine, rng, made.key.id, NOW, by=OPERATOR, overlap=overlap)


async def ring(engine: Engine) -> KeyRing:
    async with reading(engine) as conn:
        return await store.load_keyring(conn)


def works(keys: KeyRing, text: str, at: datetime = NOW) -> bool:
    try:
        keys.identify(text, at.timestamp())
    except SantralError:
        return False
    return True


async def test_both_texts_of_a_rotated_key_are_one_key_until_the_overlap_ends(
    engine: Engine,
) -> None:
    await plant(engine, "team")
    made = await make(engine)
    again = await rotate(engine, made)
    keys = await ring(engine)
    assert len(keys) == 1
    assert again.plaintext != made.plaintext
    for text in (made.plaintext, again.plaintext):
        assert keys.identify(text, NOW.timestamp()).key.id == made.key.id
    assert works(keys, made.plaintext, NOW + DAY - timedelta(seconds=1))
    with pytest.raises(Unauthenticated, match="was replaced, and was good until 2026-11-23 12:00"):
        keys.identify(made.plaintext, (NOW + DAY).timestamp())
    assert works(keys, again.plaintext, NOW + DAY)
    assert keys.holder(made.key.id, (NOW + 2 * DAY).timestamp()).key.id == made.key.id


async def test_without_an_overlap_every_former_text_ends_at_once(engine: Engine) -> None:
    await plant(engine, "team")
    made = await make(engine)
    second = await rotate(engine, made)
    third = await rotate(engine, made, 3, timedelta(0))
    keys = await ring(engine)
    assert [works(keys, k.plaintext) for k in (made, second, third)] == [False, False, True]


async def test_a_second_rotation_never_cuts_an_overlap_short_unasked(engine: Engine) -> None:
    await plant(engine, "team")
    made = await make(engine)
    await rotate(engine, made)
    with pytest.raises(Conflict, match="works until 2026-11-23 12:00 UTC") as caught:
        await rotate(engine, made, 3)
    assert caught.value.detail_code == "overlap_running"
    later = NOW + DAY
    again = await issue.rotate_key(
        engine, Random(4).randbytes, made.key.id, later, by=OPERATOR, overlap=DAY
    )
    assert again.key.previous_expires_at == later + DAY


async def test_of_two_rotations_at_once_one_waits_and_is_told(database: str) -> None:
    engines = [connect(database) for _ in range(2)]
    await plant(engines[0], "team")
    made = await make(engines[0])
    outcomes = await asyncio.gather(
        *(rotate(engine, made, 10 + n) for n, engine in enumerate(engines)), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, IssuedKey)]
    assert len(won) == 1
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1
    keys = await ring(engines[0])
    assert works(keys, made.plaintext), "an application that still has the old text goes on"
    assert works(keys, won[0].plaintext)
    for engine in engines:
        await engine.dispose()


async def test_a_key_revoked_while_it_is_rotated_is_revoked_with_all_its_texts(
    database: str,
) -> None:
    for turn in range(6):
        engines = [connect(database) for _ in range(2)]
        if not turn:
            await plant(engines[0], "team")
        made = await make(engines[0], seed=100 + turn)
        revoked, rotated = await asyncio.gather(
            issue.revoke_key(engines[0], made.key.id, NOW, by=OPERATOR),
            rotate(engines[1], made, 200 + turn),
            return_exceptions=True,
        )
        assert not isinstance(revoked, BaseException)
        keys = await ring(engines[0])
        assert not works(keys, made.plaintext)
        if isinstance(rotated, IssuedKey):
            assert not works(keys, rotated.plaintext)
        else:
            assert isinstance(rotated, Conflict)
        for engine in engines:
            await engine.dispose()


async def test_what_is_over_is_not_rotated(engine: Engine) -> None:
    await plant(engine, "team")
    made = await make(engine, expires_at=NOW + DAY)
    with pytest.raises(BadRequest, match="0 to 30 days"):
        await rotate(engine, made, 2, timedelta(days=31))
    with pytest.raises(BadRequest):
        await rotate(engine, made, 2, timedelta(seconds=-1))
    rng = Random(2).randbytes
    with pytest.raises(Conflict, match="is expired"):
        await issue.rotate_key(engine, rng, made.key.id, NOW + 2 * DAY, by=OPERATOR, overlap=DAY)
    await issue.revoke_key(engine, made.key.id, NOW, by=OPERATOR)
    with pytest.raises(Conflict, match="revoked, for good"):
        await rotate(engine, made)
    with pytest.raises(Conflict, match="revoked, for good"):
        await issue.update_key(engine, made.key.id, KeyTerms(name="x"), NOW, by=OPERATOR)


async def test_an_overlap_never_outlives_the_key(engine: Engine) -> None:
    await plant(engine, "team")
    made = await make(engine, expires_at=NOW + timedelta(hours=1))
    again = await rotate(engine, made)
    keys = await ring(engine)
    for text in (made.plaintext, again.plaintext):
        assert not works(keys, text, NOW + timedelta(hours=1))


async def test_bounds_are_set_changed_and_taken_away(engine: Engine) -> None:
    await plant(engine, "team")
    made = await make(
        engine,
        models=["gpt"],
        networks=["10.0.0.0/8", "::ffff:192.0.2.0/120", "2001:db8::1", "10.0.0.0/8"],
        scopes=["embeddings"],
    )
    assert made.key.networks == ("10.0.0.0/8", "192.0.2.0/24", "2001:db8::1/128")
    changed = await issue.update_key(
        engine,
        made.key.id,
        KeyTerms(networks=None, scopes=["rerank", "models"], name="renamed"),
        NOW,
        by=OPERATOR,
    )
    assert (changed.networks, changed.scopes) == (None, {"rerank", "models"})
    assert (changed.models, changed.name) == ({"gpt"}, "renamed")
    known = await issue.show_key(engine, made.key.prefix, NOW, by=OPERATOR)
    assert (known.key, known.last_used_at) == (changed, None)


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"networks": ["10.0.0.1/8"]}, "did you mean 10.0.0.0/8"),
        ({"networks": ["2001:db8::1/32"]}, "did you mean 2001:db8::/32"),
        ({"networks": ["ten"]}, "is no network"),
        ({"networks": ["fe80::1%eth0"]}, "names an interface"),
        ({"networks": []}, "no networks is of no use"),
        ({"networks": ["10.0.0.0/33"]}, "is no network"),
        ({"scopes": ["embedings"]}, "Did you mean 'embeddings'"),
        ({"models": ["a\x00b"]}, "printable"),
        ({"routes": ["x" * 129]}, "printable"),
        ({"models": [str(n) for n in range(501)]}, "at most 500"),
        ({"role_over": "team"}, "Name a role, too"),
        ({"owner": "usr_nobody"}, "no user"),
        ({"role": "viewer", "role_over": "nowhere"}, "no tenant 'nowhere'"),
    ],
)
async def test_a_bound_that_cannot_be_meant_is_refused(
    engine: Engine, terms: dict[str, Any], says: str
) -> None:
    await plant(engine, "team")
    with pytest.raises((BadRequest, NotFound)) as caught:
        await make(engine, **terms)
    assert says in caught.value.message
    assert await issue.list_keys(engine, "team", NOW, by=OPERATOR) == []


async def test_a_key_of_another_tenant_is_as_if_it_were_not_there(engine: Engine) -> None:
    await plant(engine, "team", "globex")
    theirs = await make(engine, "globex")
    admin = await acting(engine, "admin", "team")
    said: list[str] = []
    for reference in (theirs.key.id, "key_nope", theirs.key.prefix):
        for act in (
            issue.show_key(engine, reference, NOW, by=admin),
            issue.update_key(engine, reference, KeyTerms(name="x"), NOW, by=admin),
            issue.rotate_key(engine, Random(1).randbytes, reference, NOW, by=admin),
            issue.revoke_key(engine, reference, NOW, by=admin),
        ):
            with pytest.raises(NotFound) as caught:
                await act
            said.append(caught.value.message.replace(reference, "X"))
    assert len(set(said)) == 1
    assert (await issue.show_key(engine, theirs.key.id, NOW, by=OPERATOR)).key.revoked_at is None


async def test_a_key_is_no_ladder_to_a_role_above_ones_own(engine: Engine) -> None:
    await plant(engine, "org", "team<org")
    operator = await acting(engine, "operator", "org")
    rng = Random(7).randbytes
    for terms in (
        KeyTerms(role="admin"),
        KeyTerms(role="owner", role_over="*"),
        KeyTerms(role="viewer", role_over="*"),
    ):
        with pytest.raises(NotAllowed, match="above your own"):
            await issue.create_key(engine, rng, "team", "up", NOW, by=operator, terms=terms)
    boss = await make(engine, "org", role="owner")
    for act in (  # the text of a key is worth what its role is
        issue.rotate_key(engine, rng, boss.key.id, NOW, by=operator),
        issue.update_key(engine, boss.key.id, KeyTerms(role="viewer"), NOW, by=operator),
        issue.update_key(engine, boss.key.id, KeyTerms(networks=["10.0.0.0/8"]), NOW, by=operator),
        issue.revoke_key(engine, boss.key.id, NOW, by=operator),
    ):
        with pytest.raises(NotAllowed, match="above your own"):
            await act
    plain = await issue.create_key(engine, rng, "team", "app", NOW, by=operator)
    with pytest.raises(NotAllowed):
        await issue.update_key(engine, plain.key.id, KeyTerms(role="admin"), NOW, by=operator)
    made = await issue.create_key(
        engine, rng, "team", "ops", NOW, by=operator, terms=KeyTerms(role="operator")
    )
    assert (made.key.role, made.key.role_over) == ("operator", "team")
    with pytest.raises(NotAllowed):
        await issue.update_key(engine, made.key.id, KeyTerms(role_over="*"), NOW, by=operator)


async def test_the_last_owners_key_is_not_ended_nor_demoted(engine: Engine) -> None:
    first = await issue.ensure_first_keys(engine, Random(1).randbytes, NOW)
    assert first is not None
    last = first.admin.key.id
    for act in (
        issue.revoke_key(engine, last, NOW, by=OPERATOR),
        issue.update_key(engine, last, KeyTerms(role=None), NOW, by=OPERATOR),
        issue.update_key(engine, last, KeyTerms(role="admin"), NOW, by=OPERATOR),
        issue.update_key(engine, last, KeyTerms(role_over="default"), NOW, by=OPERATOR),
    ):
        with pytest.raises(Conflict, match="last owner"):
            await act
    again = await issue.rotate_key(engine, Random(2).randbytes, last, NOW, by=OPERATOR)
    assert works(await ring(engine), again.plaintext)
    second = await make(engine, "default", 5, role="owner", role_over="*")
    await issue.revoke_key(engine, last, NOW, by=OPERATOR)
    with pytest.raises(Conflict):
        await issue.revoke_key(engine, second.key.id, NOW, by=OPERATOR)


async def test_two_owners_at_once_do_not_end_each_other(database: str) -> None:
    engines = [connect(database) for _ in range(2)]
    await plant(engines[0], "team")
    owners = [await make(engines[0], seed=n, role="owner", role_over="*") for n in (1, 2)]
    outcomes = await asyncio.gather(
        *(
            issue.revoke_key(engine, owner.key.id, NOW, by=OPERATOR)
            for engine, owner in zip(engines, owners, strict=True)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1, outcomes
    keys = await ring(engines[0])
    assert sum(works(keys, owner.plaintext) for owner in owners) == 1
    for engine in engines:
        await engine.dispose()


@pytest.mark.parametrize("cut", [0, 1, 20])
async def test_a_mistyped_key_is_not_repeated_either(engine: Engine, cut: int) -> None:
    await plant(engine, "team")
    made = await make(engine)
    mistyped = made.plaintext[: len(made.plaintext) - cut] + ("" if cut else "x")
    with pytest.raises(BadRequest, match="never by its whole text") as caught:
        await issue.revoke_key(engine, mistyped, NOW, by=OPERATOR)
    assert made.plaintext[12:30] not in caught.value.message
