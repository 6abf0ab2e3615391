"""Labels that move: each move is an event that stays, and the newest one is in force."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from santral.audit.note import note
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.store import bump_revision
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.prompts import store
from santral.prompts.library import PromptLibrary
from santral.prompts.owner import (
    known_version,
    referring,
    require_free,
    require_label,
    require_name,
    require_owner,
    whole_registered,
)
from santral.prompts.registry import EVERYBODY, Registered, Registry, StoredLabel
from santral.prompts.store import LabelEvent, Protection
from santral.tenants.permission import Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId

#: A protection under this name holds for every prompt of its tenant, and of those beneath it.
EVERY_PROMPT = "*"

#: Characters of the reason for a move. Chosen: a paragraph.
MAX_REASON = 1000


async def move_label(
    engine: Engine,
    files: PromptLibrary,
    tenant: str,
    name: str,
    label: str,
    version: str,
    now: datetime,
    *,
    by: Principal,
    reason: str = "",
    expected: int | None = None,
) -> LabelEvent:
    """Let a label point to another version; where it points there already, nothing changes.

    ``expected`` is the number of the label's newest event as whoever moves it has seen it, 0 for none.

    Raises:
        NotFound: no such tenant, prompt or version.
        NotAllowed: no role that may write prompts there, or the label is protected.
        Conflict: the label moved meanwhile, or what includes it would not fit together any more.
    """
    async with writing(engine) as conn:
        newest = await _newest(conn, tenant, name, label, by, expected)
        require_free(files, name)
        require_label(label)
        row = await known_version(conn, tenant, name, version, is_locked=True)
        if newest is not None and newest.version == row.version:
            return newest
        return await _move(
            conn, files, newest, _event(tenant, name, label, row.version, reason, by, now), by
        )


async def remove_label(
    engine: Engine,
    files: PromptLibrary,
    tenant: str,
    name: str,
    label: str,
    now: datetime,
    *,
    by: Principal,
    reason: str = "",
    expected: int | None = None,
) -> LabelEvent:
    """Take a label away: who asks for it is told that there is none, within two seconds.

    Raises: as ``move_label``; NotFound where there is no such label.
    """
    async with writing(engine) as conn:
        newest = await _newest(conn, tenant, name, label, by, expected)
        if newest is None or newest.version is None:
            raise _no_label(name, label)
        return await _move(
            conn, files, newest, _event(tenant, name, label, None, reason, by, now), by
        )


async def roll_back(
    engine: Engine,
    files: PromptLibrary,
    tenant: str,
    name: str,
    label: str,
    now: datetime,
    *,
    by: Principal,
    reason: str = "",
    expected: int | None = None,
) -> LabelEvent:
    """Let a label point to where it pointed before; again, to where it pointed before that.

    Raises: as ``move_label``; BadRequest where it never pointed anywhere else.
    """
    async with writing(engine) as conn:
        newest = await _newest(conn, tenant, name, label, by, expected)
        if newest is None:
            raise _no_label(name, label)
        target = _former(await store.list_events(conn, tenant, name, label))
        if target is None:
            raise BadRequest(
                f"The label '{label}' of '{name}' never pointed anywhere else: there is nothing to go "
                "back to.",
                param="label",
            )
        await known_version(conn, tenant, name, target, is_locked=True)
        event = _event(tenant, name, label, target, reason, by, now)
        return await _move(conn, files, newest, replace(event, is_rollback=True), by)


async def protect(
    engine: Engine, tenant: str, name: str, label: str, now: datetime, *, by: Principal
) -> Protection:
    """Let only those move a label who may protect; ``*`` as name is every prompt, also of tenants
    beneath.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may protect prompts there.
    """
    row = Protection(tenant, name, label, by.actor.name, now)
    async with writing(engine) as conn:
        await require_owner(conn, tenant, "prompts.protect", by)
        if name != EVERY_PROMPT:
            require_name(name)
        require_label(label)
        if await store.insert_protection(conn, tenant, row):
            await note(
                conn, by.actor, "prompts.protect", f"prompt:{name}",
                tenant_id=tenant, after={"label": label},
            )  # fmt: skip
    return row


async def unprotect(engine: Engine, tenant: str, name: str, label: str, *, by: Principal) -> None:
    """Let everybody who may write prompts move a label again.

    Raises:
        NotFound: no such tenant, or the label is not protected there.
        NotAllowed: no role that may protect prompts there.
    """
    async with writing(engine) as conn:
        await require_owner(conn, tenant, "prompts.protect", by)
        if not await store.delete_protection(conn, tenant, name, label):
            raise NotFound(
                f"The label '{label[:64]}' of '{name[:64]}' is not protected there.", param="label"
            )
        await note(
            conn, by.actor, "prompts.unprotect", f"prompt:{name}",
            tenant_id=tenant, before={"label": label},
        )  # fmt: skip


async def list_protections(engine: Engine, tenant: str, *, by: Principal) -> list[Protection]:
    """Return the protections that hold for a tenant's prompts, those of tenants above it too.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may read prompts there.
    """
    async with reading(engine) as conn:
        await require_owner(conn, tenant, "prompts.read", by)
        return await protections_over(conn, tenant)


async def protections_over(conn: Connection, tenant: str) -> list[Protection]:
    """Return the protections that hold for a tenant's prompts; those from above name every prompt."""
    own = await store.list_protections(conn, tenant)
    above = [step for step in (await load_tree(conn)).path(TenantId(tenant)) if step != tenant]
    above += [TenantId(EVERYBODY)] if tenant != EVERYBODY else []
    for step in above:
        of_step = await store.list_protections(conn, step)
        own += [one for one in of_step if one.name == EVERY_PROMPT]
    return own


def is_protected(protections: Sequence[Protection], name: str, label: str) -> bool:
    """Whether one of the protections holds for a label of a prompt."""
    return any(one.label == label and one.name in (name, EVERY_PROMPT) for one in protections)


async def _newest(
    conn: Connection, tenant: str, name: str, label: str, by: Principal, expected: int | None
) -> LabelEvent | None:
    """Return the label's newest event, once ``by`` may move it and has seen where it points."""
    await require_owner(conn, tenant, "prompts.write", by)
    if is_protected(await protections_over(conn, tenant), name, label):
        _require_protector(tenant, name, label, by)
    events = await store.list_events(conn, tenant, name, label)
    newest = events[0] if events else None
    if expected is not None and expected != (0 if newest is None else newest.number):
        raise _moved_meanwhile(name, label, newest)
    return newest


def _require_protector(tenant: str, name: str, label: str, by: Principal) -> None:
    if not by.may("prompts.protect", TenantId(tenant)):
        raise NotAllowed(
            f"The label '{label}' of '{name}' is protected: only an owner or admin over '{tenant}' "
            "moves it. Ask one of them.",
            code="prompt_label_protected",
        )


async def _move(
    conn: Connection,
    files: PromptLibrary,
    newest: LabelEvent | None,
    event: LabelEvent,
    by: Principal,
) -> LabelEvent:
    """Write the event that follows ``newest``, if all that includes the label still fits together."""
    number = 1 if newest is None else newest.number + 1
    key = f"{event.tenant_id}\0{event.name}\0{event.label}\0{number}"
    event = replace(
        event,
        id=hashlib.sha256(key.encode()).hexdigest()[:32],
        number=number,
        before=None if newest is None else newest.version,
    )
    _require_fitting(files, await whole_registered(conn), event)
    if not await store.insert_event(conn, event.tenant_id, event):
        raise _moved_meanwhile(event.name, event.label, None)
    await bump_revision(conn)
    act = "rollback" if event.is_rollback else "label" if event.version else "unlabel"
    await note(
        conn, by.actor, f"prompts.{act}", f"prompt:{event.name}", tenant_id=event.tenant_id,
        before={"label": event.label, "version": event.before},
        after={"label": event.label, "version": event.version, "reason": event.reason},
    )  # fmt: skip
    return event


def _event(
    tenant: str,
    name: str,
    label: str,
    version: str | None,
    reason: str,
    by: Principal,
    now: datetime,
) -> LabelEvent:
    if len(reason) > MAX_REASON:
        raise BadRequest(f"A reason has at most {MAX_REASON} characters.", param="reason")
    return LabelEvent(
        id="",
        tenant_id=tenant,
        name=name,
        label=label,
        number=0,
        version=version,
        before=None,
        reason=reason.strip(),
        moved_by=by.actor.name,
        moved_at=now,
        is_rollback=False,
    )


def _former(events: Sequence[LabelEvent]) -> str | None:
    """Return where a label pointed before, rollbacks undone; ``events`` are the newest first."""
    stack: list[str | None] = []
    for event in reversed(events):
        if not event.is_rollback:
            stack.append(event.version)
            continue
        while stack and stack[-1] != event.version:
            stack.pop()
    here = stack.pop() if stack else None
    while stack:
        version = stack.pop()
        if version is not None and version != here:
            return version
    return None


def _require_fitting(files: PromptLibrary, registered: Registered, event: LabelEvent) -> None:
    """Refuse a move after which a prompt that includes this one could not be used any more."""
    if not referring(registered, event.name):
        return
    before = Registry(files, registered)
    labels = [
        one
        for one in registered.labels
        if (one.tenant_id, one.name, one.label) != (event.tenant_id, event.name, event.label)
    ]
    if event.version is not None:
        labels.append(StoredLabel(event.tenant_id, event.name, event.label, event.version))
    after = Registry(files, replace(registered, labels=labels), before)
    for place, reason in after.broken().items():
        if place not in before.broken():
            raise Conflict(
                f"With this move {place[1]} of '{place[0]}' could not be used any more: {reason} "
                "Change that prompt first.",
                code="prompt_needed",
            )


def _no_label(name: str, label: str) -> NotFound:
    return NotFound(
        f"'{name[:64]}' has no label '{label[:64]}' there.", code="prompt_not_found", param="label"
    )


def _moved_meanwhile(name: str, label: str, newest: LabelEvent | None) -> Conflict:
    told = "somebody else has moved it" if newest is None else (
        f"{newest.moved_by} let it point to {newest.version or 'nothing'}, as its move {newest.number}"
    )  # fmt: skip
    return Conflict(
        f"The label '{label}' of '{name}' is not where you saw it: {told}. Look again, then move it.",
        code="prompt_label_moved",
    )
