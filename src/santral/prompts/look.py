"""Looking at prompts as a tenant gets them: the list, one of them, its log, two versions beside each
other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias

from msgspec import Struct, field

from santral.db.engine import Connection, Engine, reading
from santral.errors import NotFound, nearest
from santral.prompts import store
from santral.prompts.diff import Change, diff
from santral.prompts.file import Draft
from santral.prompts.label import is_protected, protections_over
from santral.prompts.library import Drafts, PromptLibrary, find_draft
from santral.prompts.owner import registry_of, require_owner
from santral.prompts.registry import Registry, Resolved
from santral.prompts.store import LabelEvent, VersionRow
from santral.tenants.permission import Principal

Deed: TypeAlias = Literal["pushed", "deleted", "labelled", "unlabelled", "rolled back"]


class PromptLine(Struct, frozen=True):
    """A prompt that a tenant gets; ``owner`` is empty for one of the configured folder."""

    name: str
    owner: str
    description: str
    versions: tuple[str, ...]  # from oldest to newest
    labels: dict[str, str]
    broken: str = ""  # why a version of it cannot be used


class VersionLine(Struct, frozen=True):
    """A version and where it comes from; who and when are known of registered ones."""

    version: str
    content_hash: str
    changelog: str
    owner: str
    created_by: str = ""
    created_at: datetime | None = None
    deleted_at: datetime | None = None
    broken: str = ""


class LabelLine(Struct, frozen=True):
    """Where a label points; ``number`` is that of its newest event, 0 for one of the folder."""

    label: str
    version: str
    number: int = 0
    is_protected: bool = False


class PromptPage(Struct, frozen=True):
    """One prompt with its versions, the newest first, and its labels."""

    name: str
    owner: str
    versions: list[VersionLine]
    labels: list[LabelLine]


class LogLine(Struct, frozen=True):
    """Something that was done to a prompt."""

    at: datetime
    by: str
    deed: Deed
    version: str = ""
    label: str = ""
    before: str = ""
    reason: str = ""  # of a move; of a push, what it changes
    number: int = 0


class Found(Struct, frozen=True):
    """A version as a tenant gets it, with whose it is and its file."""

    resolved: Resolved
    owner: str
    draft: Draft
    labels: dict[str, str] = field(default_factory=dict[str, str])


async def list_prompts(
    engine: Engine, files: PromptLibrary, tenant: str, *, by: Principal
) -> list[PromptLine]:
    """Return what a tenant gets, by name: of the folder, its own, of those above it, of everybody.

    Raises:
        NotFound: no such tenant.
        NotAllowed: no role that may read prompts there.
    """
    registry = await _registry(engine, files, tenant, by)
    lines = [_line(registry, files, owner, name) for owner, name in registry.names(tenant)]
    return sorted(lines, key=lambda line: line.name)


async def show_prompt(
    engine: Engine, files: PromptLibrary, tenant: str, name: str, *, by: Principal
) -> PromptPage:
    """Return one prompt as a tenant gets it.

    Raises:
        NotFound: no such tenant or prompt.
        NotAllowed: no role that may read prompts there.
    """
    async with reading(engine) as conn:
        await require_owner(conn, tenant, "prompts.read", by)
        registry = await registry_of(conn, files, tenant)
        owner = _owner(registry, tenant, name)
        if not owner:
            return _page_of_folder(files, name)
        rows = await store.list_versions(conn, owner, name)
        labels = await _labels(conn, owner, name)
    broken = registry.broken()
    versions = [
        _version_line(row, broken.get((owner, f"{name}@{row.version}"), "")) for row in rows
    ]
    return PromptPage(name, owner, versions, labels)


async def find_prompt(
    engine: Engine,
    files: PromptLibrary,
    tenant: str,
    name: str,
    version: str | None = None,
    label: str | None = None,
    *,
    by: Principal,
) -> Found:
    """Return the version that a tenant gets: with neither version nor label, the default one.

    Raises:
        NotFound: no such tenant, prompt, version or label.
        NotAllowed: no role that may read prompts there.
        BadRequest: both a version and a label were given.
    """
    registry = await _registry(engine, files, tenant, by)
    resolved = registry.resolve(tenant, name, version, label)
    owner = _owner(registry, tenant, name)
    drafts = _drafts(registry, files, owner)
    draft = find_draft(drafts, resolved.version.reference)
    return Found(resolved, owner, draft, labels=dict(drafts[name].labels))


async def log_of(
    engine: Engine, files: PromptLibrary, tenant: str, name: str, *, by: Principal
) -> list[LogLine]:
    """Return what was done to a registered prompt, the newest first; Git knows of one of the folder.

    Raises:
        NotFound: no such tenant or prompt.
        NotAllowed: no role that may read prompts there.
    """
    async with reading(engine) as conn:
        await require_owner(conn, tenant, "prompts.read", by)
        owner = _owner(await registry_of(conn, files, tenant), tenant, name)
        if not owner:
            return []
        rows = await store.list_versions(conn, owner, name)
        events = await store.list_events(conn, owner, name)
    lines = [*_pushes(rows), *map(_moved, events)]
    return sorted(lines, key=lambda line: (line.at, line.number), reverse=True)


async def compare(
    engine: Engine,
    files: PromptLibrary,
    tenant: str,
    before: str,
    after: str,
    *,
    by: Principal,
) -> list[Change]:
    """Return what differs between ``NAME@VERSION`` and another, labels too; raises as ``find_prompt``."""
    registry = await _registry(engine, files, tenant, by)
    old, new = (_draft_of(registry, files, tenant, one) for one in (before, after))
    return diff(old, new)


async def _registry(engine: Engine, files: PromptLibrary, tenant: str, by: Principal) -> Registry:
    async with reading(engine) as conn:
        await require_owner(conn, tenant, "prompts.read", by)
        return await registry_of(conn, files, tenant)


def _owner(registry: Registry, tenant: str, name: str) -> str:
    owner = registry.owner_of(tenant, name)
    if owner is None:
        known = [known for _, known in registry.names(tenant)]
        raise NotFound(
            f"There is no prompt '{name[:64]}'.{nearest(name[:64], known)} "
            "List them with: santral prompts list",
            code="prompt_not_found",
            param="name",
        )
    return owner


def _drafts(registry: Registry, files: PromptLibrary, owner: str) -> dict[str, Drafts]:
    return dict(registry.drafts(owner) if owner else files.drafts)


def _draft_of(registry: Registry, files: PromptLibrary, tenant: str, reference: str) -> Draft:
    owner = _owner(registry, tenant, reference.partition("@")[0])
    return find_draft(_drafts(registry, files, owner), reference)


def _line(registry: Registry, files: PromptLibrary, owner: str, name: str) -> PromptLine:
    drafts = _drafts(registry, files, owner)[name]
    broken = [
        r
        for (o, ref), r in registry.broken().items()
        if (o, ref.partition("@")[0]) == (owner, name)
    ]
    return PromptLine(
        name=name,
        owner=owner,
        description=drafts.drafts[-1].description if drafts.drafts else "",
        versions=tuple(draft.version for draft in drafts.drafts),
        labels=dict(drafts.labels),
        broken=broken[0] if broken else "",
    )  # fmt: skip


def _page_of_folder(files: PromptLibrary, name: str) -> PromptPage:
    drafts = files.drafts[name]
    versions = [
        VersionLine(draft.version, draft.content_hash, draft.changelog, draft.owner)
        for draft in reversed(drafts.drafts)
    ]
    labels = [LabelLine(label, version) for label, version in drafts.labels.items()]
    return PromptPage(name, "", versions, labels)


async def _labels(conn: Connection, owner: str, name: str) -> list[LabelLine]:
    """Return where labels point: the events of each newest first, so that the first one is in force."""
    protections = await protections_over(conn, owner)
    newest: dict[str, LabelEvent] = {}
    for event in await store.list_events(conn, owner, name):
        known = newest.get(event.label)
        if known is None or event.number > known.number:
            newest[event.label] = event
    return [
        LabelLine(label, event.version, event.number, is_protected(protections, name, label))
        for label, event in sorted(newest.items())
        if event.version is not None
    ]


def _version_line(row: VersionRow, broken: str) -> VersionLine:
    return VersionLine(
        version=row.version,
        content_hash=row.content_hash,
        changelog=row.changelog,
        owner=row.owner,
        created_by=row.created_by,
        created_at=row.created_at,
        deleted_at=row.deleted_at,
        broken=broken,
    )


def _pushes(rows: Sequence[VersionRow]) -> list[LogLine]:
    lines = [
        LogLine(row.created_at, row.created_by, "pushed", row.version, reason=row.changelog)
        for row in rows
    ]
    gone = [(row, row.deleted_at) for row in rows if row.deleted_at is not None]
    return lines + [LogLine(at, "", "deleted", row.version) for row, at in gone]


def _moved(event: LabelEvent) -> LogLine:
    deed: Deed = "labelled" if event.version else "unlabelled"
    return LogLine(
        at=event.moved_at,
        by=event.moved_by,
        deed="rolled back" if event.is_rollback else deed,
        version=event.version or "",
        label=event.label,
        before=event.before or "",
        reason=event.reason,
        number=event.number,
    )
