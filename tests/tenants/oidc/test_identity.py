"""What claims mean for a person: address, name, groups, roles."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.config.sso import RoleName, SsoConfig
from santral.errors import NotAllowed
from santral.tenants.oidc.identity import identify, lacks, roles_of
from santral.tenants.permission import ROLES


def settings(**changes: Any) -> SsoConfig:
    return SsoConfig.model_validate({"issuer": "https://id.test", "client_id": "c", **changes})


CLAIMS = {"sub": "1", "email": " Ada@Example.COM ", "email_verified": True}


def test_the_configuration_knows_the_same_roles_in_the_same_order() -> None:
    assert get_args(RoleName) == ROLES


def test_an_address_is_kept_in_one_spelling() -> None:
    assert identify(CLAIMS, settings()).email == "ada@example.com"


@pytest.mark.parametrize("said", [False, None, "false", 1])
def test_an_address_that_anybody_may_choose_is_nobodys(said: Any) -> None:
    with pytest.raises(NotAllowed, match=r"sso.require_verified_email"):
        identify({**CLAIMS, "email_verified": said}, settings())
    trusting = settings(require_verified_email=False)
    assert identify({**CLAIMS, "email_verified": said}, trusting).email == "ada@example.com"


@pytest.mark.parametrize(
    "email", ["ada@evil.test", "ada@example.com.evil.test", "ada@sub.example.com", "", None, 5]
)
def test_other_domains_are_refused_by_name(email: Any) -> None:
    allowed = settings(email_domains=["example.com"])
    assert identify(CLAIMS, allowed).email == "ada@example.com"
    with pytest.raises(NotAllowed, match=r"allows example\.com"):
        identify({**CLAIMS, "email": email}, allowed)


@pytest.mark.parametrize(
    ("claims", "claim", "expected"),
    [
        ({"groups": ["a", "b", 5]}, "groups", {"a", "b"}),
        ({"groups": "a b"}, "groups", {"a", "b"}),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", {"a"}),
        ({"https://example.com/groups": ["a"]}, "https://example.com/groups", {"a"}),
        ({"realm_access": "x"}, "realm_access.roles", set()),
        ({}, "groups", set()),
    ],
)
def test_groups_are_found_by_name_or_path(claims: Any, claim: str, expected: set[str]) -> None:
    assert identify({**CLAIMS, **claims}, settings(groups_claim=claim)).groups == expected


def test_of_several_groups_the_strongest_role_holds_and_a_missing_one_takes_it_away() -> None:
    mapping = settings(
        roles=[
            {"group": "all", "role": "viewer", "tenant": "acme"},
            {"group": "leads", "role": "admin", "tenant": "acme"},
            {"group": "root", "role": "owner"},
        ]
    )
    lead = identify({**CLAIMS, "groups": ["leads", "all"]}, mapping)
    assert roles_of(lead, mapping) == {"acme": "admin", "*": None}
    nobody = identify(CLAIMS, mapping)
    assert roles_of(nobody, mapping) == {"acme": None, "*": None}


def test_the_userinfo_is_asked_only_when_something_is_missing() -> None:
    assert not lacks(CLAIMS, settings())
    assert lacks({"sub": "1"}, settings())
    assert lacks(CLAIMS, settings(roles=[{"group": "a", "role": "viewer"}]))


@pytest.mark.parametrize("subject", ["", None, 5, "x" * 513])
def test_a_person_without_a_name_of_their_own_is_refused(subject: Any) -> None:
    with pytest.raises(NotAllowed):
        identify({**CLAIMS, "sub": subject}, settings())


@given(
    st.dictionaries(
        st.sampled_from(["email", "name", "groups", "email_verified", "preferred_username"]),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5),
    )
)
def test_no_claim_breaks_the_reading(claims: dict[str, Any]) -> None:
    try:
        identity = identify({"sub": "1", **claims}, settings())
    except NotAllowed:
        return
    assert identity.email == "" or "@" in identity.email
    assert 0 < len(identity.name) <= 128
