"""Whose prompt it is: what a tenant gets under a name, and who may change what is registered."""

from __future__ import annotations

import re

from santral.db.engine import Connection
from santral.errors import BadRequest, Conflict, NotFound, nearest
from santral.prompts import store
from santral.prompts.file import INCLUDE
from santral.prompts.library import LABEL, NAME, NAME_RULE, PromptLibrary
from santral.prompts.registry import EVERYBODY, Registered, Registry, StoredVersion
from santral.prompts.store import VersionRow
from santral.tenants.organise import known_tenant
from santral.tenants.permission import Action, Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import EVERYWHERE, TenantId


async def require_owner(conn: Connection, tenant: str, action: Action, by: Principal) -> None:
    """Return when ``by`` may do ``action`` on a tenant that is there; ``*`` owns everybody's prompts.

    Raises:
        NotFound: no role here, or no such tenant.
        NotAllowed: no role that may do it there.
    """
    by.require(action, TenantId(tenant))
    if tenant != EVERYWHERE:
        await known_tenant(conn, tenant)


def require_free(files: PromptLibrary, name: str) -> None:
    """Return when a name can be registered.

    Raises:
        BadRequest: it cannot be the name of a prompt.
        Conflict: the configured folder declares it.
    """
    require_name(name)
    if name in files:
        raise Conflict(
            f"The prompt '{name}' is declared in the folder of prompts, as "
            f"{files.drafts[name].drafts[-1].place}: change it there. To register it, take it out of "
            "that folder.",
            code="prompt_declared",
            param="name",
        )


def require_name(name: str) -> None:
    """Return when it can be the name of a prompt; raises BadRequest."""
    if not NAME.fullmatch(name):
        raise BadRequest(f"'{name[:64]}': {NAME_RULE}.", param="name")


def require_label(label: str) -> None:
    """Return when it can be a label; raises BadRequest."""
    if not LABEL.fullmatch(label):
        raise BadRequest(
            f"'{label[:64]}' cannot be a label: lower case letters, digits, '-' and '_'.",
            param="label",
        )


async def registry_of(conn: Connection, files: PromptLibrary, tenant: str) -> Registry:
    """Return the registry as one tenant sees it: with what it, those above it and everybody has."""
    tree = await load_tree(conn)
    owners = [*tree.path(TenantId(tenant)), EVERYBODY]
    return Registry(files, await store.read_registered(conn, tree.parents(), owners))


async def whole_registered(conn: Connection) -> Registered:
    """Return what everybody has registered."""
    return await store.read_registered(conn, (await load_tree(conn)).parents())


def referring(registered: Registered, name: str) -> list[tuple[StoredVersion, str]]:
    """Return every version that includes a prompt of that name, whosever, and by which reference."""
    mention = re.compile(rf"[\"']{re.escape(name)}[@\"']")
    return [
        (stored, match["reference"])
        for stored in registered.versions
        if mention.search(stored.body)
        for match in INCLUDE.finditer(stored.body)
        if match["reference"].partition("@")[0] == name
    ]


async def known_version(
    conn: Connection, tenant: str, name: str, version: str, *, is_locked: bool = False
) -> VersionRow:
    """Return a version that a tenant has registered and not deleted.

    Raises:
        NotFound: there is none; names the nearest.
    """
    row = await store.find_version(conn, tenant, name, version, is_locked=is_locked)
    if row is not None and row.deleted_at is None:
        return row
    if row is not None:
        raise _missing(f"{name}@{version} was deleted by now; push a new version.")
    known = [one.version for one in await store.list_versions(conn, tenant, name)]
    if not known:
        raise _missing(
            f"'{tenant[:64]}' has registered no prompt '{name[:64]}'. "
            "See what there is with: santral prompts list --tenant TENANT"
        )
    raise _missing(
        f"Prompt '{name}' has no version '{version[:64]}'.{nearest(version[:64], known)}"
    )


def _missing(message: str) -> NotFound:
    return NotFound(message, code="prompt_not_found", param="version")
