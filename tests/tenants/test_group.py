"""Groups: whose documents a request may be answered from, and that nothing widens it."""

from __future__ import annotations

import secrets
from random import Random

import pytest
from tests.tenants.acting import NOW, OPERATOR, acting, plant

from santral.config.sso import SsoConfig
from santral.db.engine import Engine, reading
from santral.errors import BadRequest, NotAllowed
from santral.tenants import issue, store
from santral.tenants.group import checked_groups, groups_in_force, groups_towards
from santral.tenants.issue import KeyTerms
from santral.tenants.oidc.admit import admit
from santral.tenants.oidc.identity import identify
from santral.tenants.permission import Grant
from santral.tenants.tenant import KeyId, TenantId, VirtualKey
from santral.tenants.users import change


def key(**fields: object) -> VirtualKey:
    blank = {"id": KeyId("k"), "tenant_id": TenantId("acme"), "name": "app"}
    return VirtualKey(**{**blank, "prefix": "", "digest": "", **fields})  # pyright: ignore[reportArgumentType]


def test_a_key_holds_its_own_groups_and_those_of_its_user() -> None:
    held = key(groups=frozenset({"hr"}), user_groups=frozenset({"legal"}))
    assert groups_in_force(held, None) == {"hr", "legal"}
    assert groups_in_force(key(), None) == frozenset()


def test_a_request_may_name_fewer_groups_and_no_others() -> None:
    held = key(groups=frozenset({"hr", "legal"}))
    assert groups_in_force(held, ["hr"]) == {"hr"}
    assert groups_in_force(held, []) == frozenset()
    for wider in (["board"], ["hr", "board"], ["HR"], ["hr,legal"], ["*"], ["hr/"]):
        with pytest.raises(NotAllowed) as caught:
            groups_in_force(held, wider)
        assert caught.value.detail_code == "groups_not_allowed"
        assert not any(name in caught.value.message for name in wider), "says nothing of others"


def test_letters_that_look_alike_are_other_groups() -> None:
    held = key(groups=checked_groups(["ör", "hr"]))
    assert groups_in_force(held, ["o\u0308r"]) == {"ör"}, "one letter in two spellings is one"
    for other in ("һr", "hr\u200bx", "ⓗr", "ｈｒ"):
        with pytest.raises((NotAllowed, BadRequest)):
            groups_in_force(held, [other])


def test_a_key_that_names_groups_replaces_its_own() -> None:
    service = key(groups=frozenset({"hr"}), names_groups=True)
    assert groups_in_force(service, ["board"]) == {"board"}
    assert groups_in_force(service, []) == frozenset()
    assert groups_in_force(service, None) == {"hr"}


@pytest.mark.parametrize(
    "names", [[""], [" "], ["a\0b"], ["a\nb"], ["x" * 129], ["\u202ehr"], ["g"] * 501, ["\ud800"]]
)
def test_what_is_no_group_is_refused(names: list[str]) -> None:
    with pytest.raises(BadRequest, match="printable"):
        checked_groups(names)


def test_commas_and_quotes_are_letters_of_a_name() -> None:
    assert checked_groups(["a,b", "o'x", 'q"']) == {"a,b", "o'x", 'q"'}


def test_groups_of_another_tenant_carry_its_name() -> None:
    assert groups_towards("acme", "acme", frozenset({"hr"})) == {"hr"}
    assert groups_towards("acme", "globex", frozenset({"hr"})) == {"globex/hr"}


@pytest.mark.anyio
async def test_groups_of_keys_and_users_reach_the_key_ring(engine: Engine) -> None:
    await plant(engine, "acme")
    rng = Random(1).randbytes
    ada = await change.create_user(
        engine, rng, "ada", NOW, by=OPERATOR, email="ada@example.org", groups=["legal"]
    )
    terms = KeyTerms(groups=["hr"], names_groups=True, owner=ada.id)
    made = await issue.create_key(engine, rng, "acme", "app", NOW, by=OPERATOR, terms=terms)
    assert made.key.held_groups == {"hr", "legal"}
    await change.set_groups(engine, ada.id, ["board"], by=OPERATOR)
    changed = await issue.update_key(
        engine, made.key.id, KeyTerms(groups=None, names_groups=False), NOW, by=OPERATOR
    )
    async with reading(engine) as conn:
        ring = await store.load_keyring(conn)
    seen = ring.identify(made.plaintext, NOW.timestamp()).key
    assert seen == changed
    assert (seen.groups, seen.user_groups, seen.names_groups) == (frozenset(), {"board"}, False)


@pytest.mark.anyio
async def test_nobody_sets_the_groups_of_a_user_from_elsewhere(engine: Engine) -> None:
    await plant(engine, "acme", "globex")
    rng = Random(2).randbytes
    grant = Grant("viewer", TenantId("acme"))
    ada = await change.create_user(
        engine, rng, "ada", NOW, by=OPERATOR, email="ada@example.org", grant=grant
    )
    await change.grant_role(engine, ada.id, Grant("viewer", TenantId("globex")), NOW, by=OPERATOR)
    admin = await acting(engine, "admin", "acme")
    with pytest.raises(NotAllowed):
        await change.set_groups(engine, ada.id, ["board"], by=admin)
    assert (await change.show_user(engine, ada.id, by=OPERATOR)).groups == frozenset()


@pytest.mark.anyio
async def test_a_provider_says_the_groups_at_each_sign_in(engine: Engine) -> None:
    settings = SsoConfig.model_validate(
        {
            "issuer": "https://id.test",
            "client_id": "c",
            "newcomers": {"role": "viewer"},
            "document_groups_claim": "teams",
        }
    )
    claims = {"sub": "s", "email": "ada@example.org", "email_verified": True, "name": "Ada"}
    for said, held in ((["hr", "a\0b", 7], {"hr"}), (["legal"], {"legal"}), ([], set[str]())):
        identity = identify({**claims, "teams": said}, settings)
        id_ = await admit(engine, secrets.token_bytes, identity, settings, NOW, "203.0.113.7")
        assert (await change.show_user(engine, id_, by=OPERATOR)).groups == held
