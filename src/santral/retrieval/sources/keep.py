"""Add, change, run and delete sources: the same for command line, API and console."""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from santral.audit.note import Actor, note
from santral.config.sources import SourcesConfig
from santral.db.engine import Connection, Engine, reading, writing
from santral.errors import BadRequest, Conflict, NotAllowed, NotFound
from santral.jobs.job import Job
from santral.jobs.queue import known_job
from santral.retrieval.collections.store import insert_collection
from santral.retrieval.sources import store
from santral.retrieval.sources.reach import AddressRefused, Reach
from santral.retrieval.sources.record import KeptSource
from santral.retrieval.sources.registry import (
    addresses_of,
    checked_settings,
    form_of,
    reads_disk,
    secrets_of,
    written,
)
from santral.retrieval.sources.settings import SourceSettings
from santral.tenants.key import RandomBytes
from santral.tenants.organise import known_tenant
from santral.tenants.permission import PERMISSIONS, Principal
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.web.peer import Networks

#: Starts the job that takes a source in, in the transaction given: tenant, collection, id of the
#: source, moment, who asked.
StartRun: TypeAlias = Callable[[Connection, str, str, str, datetime, Actor], Awaitable[Job]]

#: In front of the token of a webhook.
TOKEN_MARK = "hook_"  # noqa: S105 - what tokens begin with
#: Longest schedule, in seconds. Chosen: a year.
_MOST_EVERY_S = 366 * 86_400


async def add_source(
    engine: Engine,
    config: SourcesConfig,
    tenant: str,
    collection: str,
    kind: str,
    settings: Mapping[str, Any],
    now: datetime,
    *,
    by: Principal,
    every_s: int = 0,
    rng: RandomBytes = secrets.token_bytes,
) -> KeptSource:
    """Add a source of a collection, which is made where it is not there; it runs as soon as it can.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may write collections there; or it reads this machine's disk or names
            a secret, and only an owner of the installation may say that.
        BadRequest: no such kind, a setting or an address that cannot be.
        Conflict: the tenant has as many sources as it may.
    """
    by.require("collections.write", TenantId(tenant))
    form_of(kind)
    checked = checked_settings(kind, settings)
    _require_allowed(config, checked, by)
    source = KeptSource(
        id=f"src_{rng(10).hex()}",
        tenant_id=tenant,
        collection=collection,
        kind=kind,
        settings=written(checked),
        every_s=_checked_every(config, every_s),
        next_at=None if kind == "push" else now,
        created_by=by.actor.name,
        created_at=now,
    )
    async with writing(engine) as conn:
        owner = await known_tenant(conn, tenant)
        if await store.count_sources(conn, owner.id) >= config.most_sources:
            raise Conflict(
                f"The tenant '{owner.id}' has {config.most_sources} sources (sources.most_sources). "
                "Delete one first.",
                code="too_many_sources",
            )
        await insert_collection(conn, owner.id, collection, None, "", now)
        await store.insert_source(conn, owner.id, source)
        await _note(conn, by, "sources.add", source, after=_noted(source))
    return source


async def list_sources(
    engine: Engine, *, by: Principal, tenant: str | None = None, collection: str = ""
) -> list[KeptSource]:
    """Return the sources of a tenant, or of every tenant whose collections ``by`` may read."""
    tenants: Collection[str] | None = by.tenants("collections.read")
    if tenant is not None:
        by.require("collections.read", TenantId(tenant))
        tenants = [tenant]
    async with reading(engine) as conn:
        return await store.list_sources(conn, tenants, collection)


async def show_source(engine: Engine, source_id: str, *, by: Principal) -> tuple[KeptSource, int]:
    """Return a source, and how many documents it has brought; raises NotFound, NotAllowed."""
    async with reading(engine) as conn:
        source = await _known(conn, source_id, "collections.read", by)
        return source, await store.count_documents(conn, source.tenant_id, source.id)


async def change_source(
    engine: Engine,
    config: SourcesConfig,
    source_id: str,
    now: datetime,
    *,
    by: Principal,
    settings: Mapping[str, Any] | None = None,
    every_s: int | None = None,
    is_paused: bool | None = None,
) -> KeptSource:
    """Change a source; settings that are null go back to their default. Changed settings run at once.

    Raises:
        NotFound: there is no such source.
        NotAllowed: see ``add_source``; also where it is so before the change.
        BadRequest: a setting that cannot be, or the source is being deleted.
    """
    async with writing(engine) as conn:
        before = await _known(conn, source_id, "collections.write", by)
        _require_staying(before)
        changed: dict[str, Any] = {}
        if settings is not None:
            _require_allowed(
                config, checked_settings(before.kind, before.settings), by, reach=False
            )
            asked = {**before.settings, **settings}
            kept = {name: value for name, value in asked.items() if value is not None}
            checked = checked_settings(before.kind, kept)
            _require_allowed(config, checked, by)
            changed |= {"settings": written(checked)}
        if every_s is not None:
            changed |= {"every_s": _checked_every(config, every_s)}
        if is_paused is not None:
            changed |= {"is_paused": is_paused}
        if before.kind != "push":
            changed |= {"next_at": _next(before, changed, now)}
        await store.update_source(conn, before.tenant_id, source_id, **changed)
        after = await _known(conn, source_id, "collections.write", by)
        await _note(conn, by, "sources.change", after, before=_noted(before), after=_noted(after))
    return after


async def run_source(
    engine: Engine, source_id: str, now: datetime, *, by: Principal, start: StartRun
) -> Job:
    """Take a source in now, also one that is paused; return its job, or the one that runs already.

    Raises:
        NotFound: there is no such source.
        NotAllowed: no role that may write its collection.
    """
    async with writing(engine) as conn:
        source = await _known(conn, source_id, "collections.write", by)
        if not await store.begin_run(conn, source.tenant_id, source.id, now):
            return await known_job(conn, source.last_job)
        job = await start_run(conn, source, now, by.actor, start)
        await _note(conn, by, "sources.run", source, after={"job": job.id})
    return job


async def start_run(
    conn: Connection, source: KeptSource, now: datetime, actor: Actor, start: StartRun
) -> Job:
    """Start the job of a run that has begun, and note which it is."""
    job = await start(conn, source.tenant_id, source.collection, source.id, now, actor)
    await store.update_source(conn, source.tenant_id, source.id, last_job=job.id)
    return job


async def renew_token(
    engine: Engine,
    source_id: str,
    *,
    by: Principal,
    rng: RandomBytes = secrets.token_bytes,
) -> str:
    """Give a source a token for its webhook, in place of an earlier one; it is shown this once.

    Raises:
        NotFound: there is no such source.
        NotAllowed: no role that may write its collection.
    """
    token = TOKEN_MARK + urlsafe_b64encode(rng(32)).decode().rstrip("=")
    async with writing(engine) as conn:
        source = await _known(conn, source_id, "collections.write", by)
        _require_staying(source)
        digest = token_digest(token)
        await store.update_source(conn, source.tenant_id, source.id, token_digest=digest)
        await _note(conn, by, "sources.token", source, after={"has_token": True})
    return token


async def delete_source(
    engine: Engine,
    source_id: str,
    now: datetime,
    *,
    by: Principal,
    keep_documents: bool = False,
) -> KeptSource:
    """Delete a source. Its documents stay for good, or a run removes them and then the source goes.

    Raises:
        NotFound: there is no such source.
        NotAllowed: no role that may write its collection.
    """
    async with writing(engine) as conn:
        source = await _known(conn, source_id, "collections.write", by)
        count = await store.count_documents(conn, source.tenant_id, source.id)
        if keep_documents or not count:
            await store.release_documents(conn, source.tenant_id, source.id)
            await store.delete_source(conn, source.tenant_id, source.id)
        else:
            await store.update_source(
                conn, source.tenant_id, source.id, is_leaving=True, next_at=now, every_s=0
            )
        said = {"documents": count, "keep_documents": keep_documents}
        await _note(conn, by, "sources.delete", source, before=_noted(source) | said)
    return source


def token_digest(token: str) -> str:
    """Return what is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def no_source(source_id: str) -> NotFound:
    """Return the refusal of a source that its asker may not see, or that is not there."""
    return NotFound(
        f"There is no source '{source_id[:64]}'. List them with: santral sources list",
        code="source_not_found",
        param="source_id",
    )


async def _known(conn: Connection, source_id: str, action: Any, by: Principal) -> KeptSource:
    found = await store.find_source(conn, source_id)
    if found is None:
        raise no_source(source_id)
    try:
        by.require(action, TenantId(found.tenant_id))
    except NotFound:
        raise no_source(source_id) from None
    return found


def _require_staying(source: KeptSource) -> None:
    if source.is_leaving:
        raise Conflict(
            f"The source {source.id} is being deleted with its documents.", code="source_leaving"
        )


def _require_allowed(
    config: SourcesConfig, settings: SourceSettings, by: Principal, *, reach: bool = True
) -> None:
    """Refuse what reads this machine, or sends its secrets, for all but owners of the installation."""
    if not all(by.may(action, EVERYWHERE) for action in PERMISSIONS["owner"]):
        if reads_disk(settings):
            raise NotAllowed(
                "It reads the disk of this machine: only an owner of the whole installation adds or "
                "changes such a source.",
                code="source_needs_owner",
            )
        for secret in secrets_of(settings):
            if secret not in config.tenant_secrets:
                raise NotAllowed(
                    f"Only an owner of the whole installation may have {secret} sent anywhere. An "
                    "administrator can list it in sources.tenant_secrets.",
                    code="source_needs_owner",
                )
    if not reach:
        return
    judge = Reach(Networks(config.allow_networks))
    for address in addresses_of(settings):
        try:
            judge.checked(address)
        except AddressRefused as error:
            raise BadRequest(f"{error}", code="source_address_refused", param="settings") from None


def _checked_every(config: SourcesConfig, every_s: int) -> int:
    if every_s == 0 or config.least_every_s <= every_s <= _MOST_EVERY_S:
        return every_s
    raise BadRequest(
        f"A schedule is 0 (when somebody asks) or between {config.least_every_s} seconds "
        "(sources.least_every_s) and a year.",
        param="every_s",
    )


def _next(before: KeptSource, changed: Mapping[str, Any], now: datetime) -> datetime | None:
    if "settings" in changed or changed.get("is_paused") is False:
        return now
    if "every_s" in changed:
        every_s: int = changed["every_s"]
        return now + timedelta(seconds=every_s) if every_s else None
    return before.next_at


def _noted(source: KeptSource) -> dict[str, Any]:
    """Return what the audit log keeps of a source: secrets are references in it."""
    return {
        "collection": source.collection,
        "kind": source.kind,
        "settings": source.settings,
        "every_s": source.every_s,
        "is_paused": source.is_paused,
    }


async def _note(
    conn: Connection,
    by: Principal,
    action: str,
    source: KeptSource,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    await note(
        conn, by.actor, action, f"source:{source.id}",
        tenant_id=source.tenant_id, before=before, after=after,
    )  # fmt: skip
