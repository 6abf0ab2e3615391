"""Groups: names that decide whose documents somebody may be answered from.

A key holds its own groups and those of the user whose key it is. A document names the groups that may
see it, or none, which is everybody. Groups belong to a tenant: two tenants that use one name mean
different people.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable

from santral.errors import BadRequest, NotAllowed
from santral.tenants.tenant import VirtualKey

#: Longest name and most names of one key, user or request. Chosen: directories nest deep.
LONGEST_GROUP, MOST_GROUPS = 128, 500
#: Between a tenant and its group, where documents of another tenant name it. Ids hold no such letter.
_OF = "/"


def checked_groups(names: Iterable[str], param: str = "groups") -> frozenset[str]:
    """Return groups in one spelling; letters that only look alike stay different.

    Raises:
        BadRequest: a name is empty or too long or holds what cannot be seen, or there are too many.
    """
    given = [unicodedata.normalize("NFC", name[: LONGEST_GROUP * 8].strip()) for name in names]
    if len(given) > MOST_GROUPS or not all(map(_is_group, given)):
        raise BadRequest(
            f"{param} holds at most {MOST_GROUPS} names of 1 to {LONGEST_GROUP} printable characters.",
            code="bad_groups",
            param=param,
        )
    return frozenset(given)


def groups_in_force(
    key: VirtualKey, named: Iterable[str] | None, param: str = "groups"
) -> frozenset[str]:
    """Return the groups by which a request sees documents.

    ``named`` is what the request itself says: a key that names groups replaces its own by them, any
    other key may leave out some of what it holds.

    Raises:
        BadRequest: ``named`` holds what is no group.
        NotAllowed: it holds a group that the key does not (``groups_not_allowed``).
    """
    if named is None:
        return key.held_groups
    wanted = checked_groups(named, param)
    if not key.names_groups and not wanted <= key.held_groups:
        # Which of them is missing is not said: who may not name groups learns nothing about them.
        raise NotAllowed(
            f"The API key '{key.name}' does not hold every group that {param} names. Name some of its "
            "own, or ask an administrator to add them to the key or its owner.",
            code="groups_not_allowed",
            param=param,
        )
    return wanted


def may_read(key: VirtualKey, groups: Collection[str]) -> bool:
    """Whether a key may have what was answered to somebody with these groups."""
    return key.names_groups or key.held_groups.issuperset(groups)


def groups_towards(owner: str, tenant: str, groups: frozenset[str]) -> frozenset[str]:
    """Return groups of ``tenant`` as documents of ``owner`` name them: ``tenant/group`` elsewhere."""
    if tenant == owner:
        return groups
    return frozenset(f"{tenant}{_OF}{group}" for group in groups)


def _is_group(name: str) -> bool:
    return bool(name) and len(name) <= LONGEST_GROUP and name.isprintable()
