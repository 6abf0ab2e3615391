"""Roles: what each may do, where, and that nobody reaches above or beside themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from santral.errors import NotAllowed, NotFound
from santral.tenants.permission import (
    ACTIONS,
    PERMISSIONS,
    ROLES,
    Action,
    Grant,
    Principal,
    Role,
    may,
)
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.tenants.tree import TenantTree

TREE = TenantTree(
    {
        TenantId("org"): None,
        TenantId("team"): TenantId("org"),
        TenantId("project"): TenantId("team"),
        TenantId("globex"): None,
    }
)


def who(*grants: tuple[Role, str]) -> Principal:
    held = tuple(Grant(role, TenantId(over)) for role, over in grants)
    return Principal("user:usr_1", "203.0.113.7", held, TREE)


def test_every_role_is_written_out_and_an_owner_may_do_everything() -> None:
    assert set(PERMISSIONS) == set(ROLES)
    assert PERMISSIONS["owner"] == set(ACTIONS)
    assert all(actions <= set(ACTIONS) for actions in PERMISSIONS.values())


def test_every_other_role_may_do_less_than_an_owner_and_no_action_is_nobodys() -> None:
    assert all(PERMISSIONS[role] < PERMISSIONS["owner"] for role in ROLES if role != "owner")
    for action in ACTIONS:
        assert [role for role in ROLES if may(role, action)]


@pytest.mark.parametrize("role", ["auditor", "viewer"])
def test_roles_that_look_change_nothing(role: Role) -> None:
    assert all(action.endswith(".read") for action in PERMISSIONS[role])


def test_those_who_work_on_answers_change_prompts_data_sets_and_judgements_alone() -> None:
    def changed(role: Role) -> set[str]:
        return {action for action in PERMISSIONS[role] if not action.endswith(".read")}

    assert changed("reviewer") == {"review.rate"}
    assert changed("developer") == {"prompts.write", "datasets.write", "evals.run"}


def test_words_of_people_are_shown_to_few() -> None:
    readers = {role for role in ROLES if may(role, "payloads.read")}
    assert readers == {"owner", "admin", "developer", "reviewer"}


def test_a_role_holds_for_a_tenant_and_what_is_beneath_it_alone() -> None:
    admin = who(("admin", "team"))
    assert admin.may("keys.write", TenantId("team"))
    assert admin.may("keys.write", TenantId("project"))
    for beyond in ("org", "globex", "*", "unknown"):
        assert not admin.may("keys.write", TenantId(beyond))
    assert who(("admin", "*")).may("keys.write", TenantId("unknown"))


def test_a_tenant_outside_answers_exactly_like_one_that_does_not_exist() -> None:
    admin = who(("admin", "team"))
    said: list[str] = []
    for name in ("globex", "globey"):
        with pytest.raises(NotFound) as caught:
            admin.require("keys.read", TenantId(name))
        said.append(caught.value.message.replace(name, "X"))
    assert said[0] == said[1]
    with pytest.raises(NotFound):
        admin.require_grant("viewer", TenantId("globex"))


def test_a_refusal_names_no_tenant_that_its_reader_may_not_see() -> None:
    with pytest.raises(NotFound) as caught:
        who(("admin", "team")).require("keys.read", TenantId("globe"))
    assert "globex" not in caught.value.message
    with pytest.raises(NotFound, match="Did you mean 'team'"):
        who(("admin", "team")).require("keys.read", TenantId("tean"))


def test_a_role_that_may_not_says_which_may() -> None:
    with pytest.raises(NotAllowed, match=r"keys.write over the tenant 'team': owner, admin, oper"):
        who(("viewer", "team")).require("keys.write", TenantId("team"))
    with pytest.raises(NotAllowed, match="the whole installation"):
        who(("owner", "team")).require("secrets.write", EVERYWHERE)
    with pytest.raises(NotAllowed):
        who(("viewer", "team")).require_somewhere("keys.write")


def test_roles_over_different_places_are_not_mixed() -> None:
    both = who(("viewer", "*"), ("admin", "team"))
    assert both.may("keys.write", TenantId("project"))
    assert not both.may("keys.write", TenantId("globex"))
    assert both.tenants("keys.write") == {"team", "project"}
    assert both.tenants("traces.read") is None
    assert who().tenants() == frozenset()


@given(st.sampled_from(ROLES), st.sampled_from(ROLES), st.sampled_from(["team", "project", "*"]))
def test_nobody_gives_a_role_that_may_do_more_than_their_own(
    own: Role, given_: Role, over: str
) -> None:
    giver = who((own, "team"))
    is_within = over != "*"
    if is_within and PERMISSIONS[given_] <= PERMISSIONS[own]:
        giver.require_grant(given_, TenantId(over))
        return
    with pytest.raises(NotAllowed, match="above your own"):
        giver.require_grant(given_, TenantId(over))


@given(
    st.sampled_from(ACTIONS),
    st.lists(
        st.tuples(
            st.sampled_from(ROLES), st.sampled_from(["org", "team", "project", "globex", "*"])
        ),
        max_size=3,
    ),
)
def test_asking_and_listing_agree(action: Action, grants: list[tuple[Role, str]]) -> None:
    principal = who(*grants)
    listed = principal.tenants(action)
    for tenant in TREE:
        assert principal.may(action, tenant) == (listed is None or tenant in listed)
