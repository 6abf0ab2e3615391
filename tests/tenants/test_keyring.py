"""Who is calling: found by the digest, and told apart when it is nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import NotAllowed, Unauthenticated
from santral.tenants.key import MARK, NewKey, new_key
from santral.tenants.keyring import KeyRing, presented_key
from santral.tenants.tenant import KeyId, Tenant, TenantId, VirtualKey

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ACME = Tenant(TenantId("acme"), "Acme")
ASLEEP = Tenant(TenantId("asleep"), "Asleep", is_active=False)


def virtual(text: NewKey, tenant: Tenant = ACME, **changes: object) -> VirtualKey:
    fields: dict[str, object] = {
        "id": KeyId(f"key_{text.digest[:8]}"),
        "tenant_id": tenant.id,
        "name": "shop",
        "prefix": text.prefix,
        "digest": text.digest,
    }
    return VirtualKey(**(fields | changes))  # pyright: ignore[reportArgumentType]


def refused(ring: KeyRing, plaintext: str, now: datetime = NOW) -> str:
    with pytest.raises((Unauthenticated, NotAllowed)) as caught:
        ring.identify(plaintext, now.timestamp())
    assert not plaintext or plaintext not in caught.value.message
    return caught.value.message


def test_a_key_in_force_names_its_tenant_and_key() -> None:
    text = new_key(Random(1).randbytes)
    ring = KeyRing([virtual(text)], [ACME])
    caller = ring.identify(text.plaintext, NOW.timestamp())
    assert caller.tenant is ACME
    assert caller.key.name == "shop"


def test_a_key_ends_at_its_moment() -> None:
    text = new_key(Random(1).randbytes)
    ring = KeyRing([virtual(text, expires_at=NOW)], [ACME])
    assert ring.identify(text.plaintext, NOW.timestamp() - 0.001).tenant is ACME
    assert "expired on 2026-11-22 12:00 UTC" in refused(ring, text.plaintext)


def test_every_refusal_has_its_own_sentence() -> None:
    known, other, ended, off = (new_key(Random(n).randbytes) for n in range(4))
    ring = KeyRing(
        [
            virtual(known),
            virtual(ended, revoked_at=NOW - timedelta(days=1)),
            virtual(off, ASLEEP),
        ],
        [ACME, ASLEEP],
    )
    sentences = [
        refused(ring, ""),
        refused(ring, "sk-proj-abcdef"),
        refused(ring, known.plaintext[:-1] + "!"),
        refused(ring, known.plaintext[:30]),
        refused(ring, other.plaintext),
        refused(ring, ended.plaintext),
        refused(ring, off.plaintext),
    ]
    parts = [
        "no API key",
        "not a key of Santral",
        "mistyped",
        "mistyped",
        "not known",
        "revoked on",
        "switched off",
    ]
    assert all(part in told for part, told in zip(parts, sentences, strict=True))


def test_a_tenant_that_is_off_is_not_allowed_rather_than_unknown() -> None:
    text = new_key(Random(1).randbytes)
    with pytest.raises(NotAllowed):
        KeyRing([virtual(text, ASLEEP)], [ASLEEP]).identify(text.plaintext, 0.0)


def test_a_key_without_its_tenant_is_unknown() -> None:
    text = new_key(Random(1).randbytes)
    assert "not known" in refused(KeyRing([virtual(text)], []), text.plaintext)


@given(st.text() | st.text().map(lambda rest: MARK + rest))
def test_no_text_is_taken_for_a_key_or_repeated(text: str) -> None:
    ring = KeyRing([virtual(new_key(Random(1).randbytes))], [ACME])
    with pytest.raises(Unauthenticated) as caught:
        ring.identify(text, NOW.timestamp())
    assert len(text) < 12 or text not in caught.value.message


@pytest.mark.parametrize(
    ("authorization", "x_api_key", "expected"),
    [
        ("Bearer sk-1", "", "sk-1"),
        ("bearer   sk-1 ", "", "sk-1"),
        ("BEARER sk-1", "sk-2", "sk-1"),
        ("", "sk-2", "sk-2"),
        ("Basic dXNlcg==", " sk-2 ", "sk-2"),
        ("Bearer ", "sk-2", "sk-2"),
    ],
)
def test_the_key_is_read_from_either_header(
    authorization: str, x_api_key: str, expected: str
) -> None:
    assert presented_key(authorization, x_api_key) == expected


@pytest.mark.parametrize(
    ("authorization", "part"),
    [
        ("", "no API key"),
        ("Bearer", "no bearer key"),
        ("Basic secret==", "no bearer key"),
        ("sk-secret", "no bearer key"),
    ],
)
def test_without_a_key_the_answer_says_how_to_send_one(authorization: str, part: str) -> None:
    with pytest.raises(Unauthenticated, match=part) as caught:
        presented_key(authorization)
    assert "Authorization: Bearer" in caught.value.message
    assert "secret" not in caught.value.message


def test_a_key_may_be_for_some_routes_only() -> None:
    text = new_key(Random(1).randbytes)
    assert virtual(text).may_use("anything")
    some = virtual(text, routes=frozenset({"support"}))
    assert some.may_use("support")
    assert not some.may_use("search")
