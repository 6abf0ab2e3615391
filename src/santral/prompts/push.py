"""Pushing a version into the registry, and deleting one: the text of a version never changes."""

from __future__ import annotations

from datetime import datetime

from santral.audit.note import note
from santral.db.engine import Connection, Engine, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, ConfigError, Conflict
from santral.prompts import store
from santral.prompts.file import Draft, parse_draft
from santral.prompts.library import Drafts, PromptLibrary
from santral.prompts.owner import (
    known_version,
    referring,
    registry_of,
    require_free,
    require_owner,
    whole_registered,
)
from santral.prompts.registry import Registry
from santral.prompts.store import VersionRow
from santral.prompts.trial import run_tests
from santral.prompts.version import PromptVersion
from santral.tenants.permission import Principal


async def push_version(
    engine: Engine,
    files: PromptLibrary,
    tenant: str,
    name: str,
    version: str,
    body: str,
    now: datetime,
    *,
    by: Principal,
) -> tuple[VersionRow, bool]:
    """Register a version; return it, and whether it is new. The same text again changes nothing.

    ``body`` is the whole file. It is linked with what it includes, and the tests in it must hold.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write prompts there.
        BadRequest: the file cannot be used, or a test does not hold.
        Conflict: the version is there with another text or was deleted, or the name is the folder's.
    """
    async with writing(engine) as conn:
        await require_owner(conn, tenant, "prompts.write", by)
        require_free(files, name)
        draft = _draft(name, version, body)
        known = await store.find_version(conn, tenant, name, draft.version, is_locked=True)
        if known is not None:
            return _same(known, draft), False
        _check(await _linked(conn, files, tenant, draft))
        row = _row(tenant, draft, by, now)
        if not await store.insert_version(conn, tenant, row):  # somebody was quicker by a moment
            known = await store.find_version(conn, tenant, name, draft.version)
            return _same(known or row, draft), False
        await bump_revision(conn)
        await note(
            conn, by.actor, "prompts.push", f"prompt:{name}", tenant_id=tenant,
            after={"version": draft.version, "content_hash": draft.content_hash},
        )  # fmt: skip
        return row, True


async def delete_version(
    engine: Engine, tenant: str, name: str, version: str, now: datetime, *, by: Principal
) -> VersionRow:
    """Delete a version that nothing needs. Its text is kept, and its number is never used again.

    Raises:
        NotFound: no such tenant or version.
        NotAllowed: no role that may write prompts there.
        Conflict: a label points to it, or another prompt includes it.
    """
    async with writing(engine) as conn:
        await require_owner(conn, tenant, "prompts.write", by)
        row = await known_version(conn, tenant, name, version, is_locked=True)
        await _require_unneeded(conn, row)
        await store.delete_version(conn, tenant, name, row.version, now)
        await bump_revision(conn)
        await note(
            conn, by.actor, "prompts.delete", f"prompt:{name}", tenant_id=tenant,
            before={"version": row.version, "content_hash": row.content_hash},
        )  # fmt: skip
        return row


def _draft(name: str, version: str, body: str) -> Draft:
    try:
        return parse_draft(body, name, version, f"{name}@{version}"[:130])
    except ConfigError as error:
        raise BadRequest(error.message, code="prompt_invalid", param="body") from None


def _same(known: VersionRow, draft: Draft) -> VersionRow:
    if known.deleted_at is not None:
        raise Conflict(
            f"{draft.reference} was deleted, and its number is never used again. Push it under a "
            "higher version.",
            code="prompt_version_exists",
        )
    if known.content_hash != draft.content_hash:
        raise Conflict(
            f"{draft.reference} is registered with another text: sha256 {known.content_hash}, and "
            f"this one is {draft.content_hash}. A version never changes: push a higher one.",
            code="prompt_version_exists",
        )
    return known


async def _linked(
    conn: Connection, files: PromptLibrary, tenant: str, draft: Draft
) -> PromptVersion:
    registry = await registry_of(conn, files, tenant)
    try:
        return registry.link(tenant, draft)
    except ConfigError as error:
        raise BadRequest(error.message, code="prompt_invalid", param="body") from None


def _check(version: PromptVersion) -> None:
    failures = run_tests(version)
    if failures:
        told = "; ".join(f"{failure.test}: {failure.reason}" for failure in failures[:5])
        raise BadRequest(
            f"{len(failures)} tests of {version.reference} do not hold: {told}. "
            "Try them with: santral prompts test",
            code="prompt_tests_failed",
            param="body",
        )


def _row(tenant: str, draft: Draft, by: Principal, now: datetime) -> VersionRow:
    return VersionRow(
        tenant_id=tenant,
        name=draft.name,
        version=draft.version,
        content_hash=draft.content_hash,
        body=draft.text,
        changelog=draft.changelog,
        owner=draft.owner[:160],
        created_by=by.actor.name,
        created_at=now,
    )


async def _require_unneeded(conn: Connection, row: VersionRow) -> None:
    registered = await whole_registered(conn)
    of_owner = [one for one in registered.labels if one.tenant_id == row.tenant_id]
    labels = [one for one in of_owner if one.name == row.name and one.version == row.version]
    if labels:
        told = ", ".join(sorted(label.label for label in labels))
        raise Conflict(
            f"{row.name}@{row.version} is labelled {told}. Move the label first: "
            f"santral prompts label {row.name} {labels[0].label} VERSION",
            code="prompt_needed",
        )
    included = referring(registered, row.name)
    if not included:
        return
    registry = Registry(PromptLibrary({}), registered)
    for stored, reference in included:
        owner = registry.owner_of(stored.tenant_id, row.name)
        drafts = registry.drafts(row.tenant_id).get(row.name, Drafts((), {}))
        found = drafts.find(reference.partition("@")[2]) if drafts.drafts else None
        if owner == row.tenant_id and found is not None and found.version == row.version:
            raise Conflict(
                f"{stored.name}@{stored.version} of '{stored.tenant_id}' includes {reference}, which "
                f"is {row.name}@{row.version}. Delete or change that one first.",
                code="prompt_needed",
            )
