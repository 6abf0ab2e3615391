"""Organisation, team, project: who is beneath whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from santral.tenants.tenant import TenantId
from santral.tenants.tree import TenantTree


def tree(**parents: str | None) -> TenantTree:
    return TenantTree(
        {TenantId(name): above and TenantId(above) for name, above in parents.items()}  # type: ignore[misc]
    )


ORG = tree(org=None, team="org", project="team", other=None)


def test_a_path_leads_up_to_the_top() -> None:
    assert ORG.path(TenantId("project")) == ["project", "team", "org"]
    assert ORG.path(TenantId("unknown")) == []


def test_what_is_beneath_includes_itself_and_nothing_beside_it() -> None:
    assert ORG.is_within(TenantId("project"), TenantId("org"))
    assert ORG.is_within(TenantId("org"), TenantId("org"))
    assert not ORG.is_within(TenantId("org"), TenantId("team"))
    assert not ORG.is_within(TenantId("unknown"), TenantId("org"))
    assert ORG.beneath([TenantId("team")]) == {"team", "project"}


names = st.sampled_from(["a", "b", "c", "d", "e"])


@given(st.dictionaries(names, st.none() | names))
def test_no_database_however_broken_makes_a_walk_endless(parents: dict[str, str | None]) -> None:
    grown = tree(**parents)
    for name in parents:
        path = grown.path(TenantId(name))
        assert len(path) <= len(parents) + 1
        assert path[0] == name
