"""``/api/prompts``: the admin API of the registry of prompts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from santral.db.engine import Engine
from santral.prompts.compose import compose
from santral.prompts.label import move_label, protect, remove_label, roll_back, unprotect
from santral.prompts.library import PromptLibrary
from santral.prompts.look import (
    Found,
    compare,
    find_prompt,
    list_prompts,
    log_of,
    show_prompt,
)
from santral.prompts.push import delete_version, push_version
from santral.prompts.store import LabelEvent
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT

#: How long an application may use what it has read before it asks again, and how long while we do not
#: answer, in seconds. Chosen: a moved label is seen within a minute; an outage of an hour is survived.
FRESH_S, STALE_S = 60, 3600

ReadFiles: TypeAlias = Callable[[], PromptLibrary]
Clock: TypeAlias = Callable[[], datetime]

_Tenant = Annotated[
    str, Query(max_length=128, description="For whom; * is the whole installation.")
]
_Name = Annotated[str, Path(max_length=64, description="The prompt.")]
_Label = Annotated[str, Path(max_length=64, description="The label.")]
_Version = Annotated[str, Path(max_length=64, description="The version.")]
_Reason = Annotated[str, Query(max_length=1000, description="Why, for the log.")]
_OWNER = Field(DEFAULT_TENANT, max_length=128, description="Whose; * is the whole installation.")
_WHY = Field("", max_length=1000, description="Why, for the log.")
_EXPECTED = Field(
    None,
    ge=0,
    description="Number of the label's newest move as you have seen it, 0 for none: refused if it "
    "moved meanwhile.",
)


class NewPromptVersion(BaseModel):
    """A version to push."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = _OWNER
    version: str = Field(max_length=64, description="Semantic version, e.g. 1.2.0.")
    body: str = Field(max_length=1_000_000, description="The whole file, front matter too.")


class LabelBody(BaseModel):
    """Where a label is to point."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = _OWNER
    version: str = Field(max_length=64, description="The version.")
    reason: str = _WHY
    expected: int | None = _EXPECTED


class RollbackBody(BaseModel):
    """A label to move back."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = _OWNER
    reason: str = _WHY
    expected: int | None = _EXPECTED


class ProtectionBody(BaseModel):
    """Whose label to protect."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = _OWNER


class RenderBody(BaseModel):
    """What to fill a prompt in with."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = _OWNER
    version: str | None = Field(
        None, max_length=64, description="At most one of version and label."
    )
    label: str | None = Field(None, max_length=64)
    variables: dict[str, Any] = Field(default_factory=dict[str, Any])


class PromptSummary(BaseModel):
    """A prompt that a tenant gets."""

    name: str
    owner: str = Field(description="Whose it is; empty: of the configured folder.")
    description: str
    versions: list[str] = Field(description="From oldest to newest.")
    labels: dict[str, str] = Field(description="Label to version.")
    broken: str = Field(description="Why a version cannot be used; empty: all can.")


class PromptSummaries(BaseModel):
    """The prompts that a tenant gets, by name."""

    prompts: list[PromptSummary]


class PromptBody(BaseModel):
    """One version, as a tenant gets it."""

    name: str
    version: str
    label: str = Field(description="The label it was found by; empty: by none.")
    owner: str = Field(description="Whose it is; empty: of the configured folder.")
    content_hash: str = Field(description="sha256 of the file.")
    composed_hash: str = Field(description="With what it includes.")
    includes: list[str]
    body: str = Field(description="The whole file.")
    messages: list[dict[str, str]] = Field(description="As written, includes in their places.")
    settings: dict[str, Any]
    output_schema: dict[str, Any] | None
    tools: list[dict[str, Any]]


class VersionSummary(BaseModel):
    """A version and where it comes from."""

    version: str
    content_hash: str
    changelog: str
    owner: str = Field(description="Whom to ask about it.")
    created_by: str
    created_at: datetime | None
    deleted_at: datetime | None
    broken: str


class LabelSummary(BaseModel):
    """Where a label points."""

    label: str
    version: str
    number: int = Field(description="Of its newest move: what `expected` wants.")
    is_protected: bool


class PromptHistory(BaseModel):
    """A prompt's versions, newest first, and its labels."""

    name: str
    owner: str
    versions: list[VersionSummary]
    labels: list[LabelSummary]


class PushedBody(BaseModel):
    """A version that was pushed."""

    name: str
    version: str
    content_hash: str
    is_new: bool = Field(description="False: the same text was there already.")


class MoveBody(BaseModel):
    """A move of a label."""

    name: str
    label: str
    number: int
    version: str | None
    before: str | None
    reason: str
    moved_by: str
    moved_at: datetime
    is_rollback: bool


class PromptLog(BaseModel):
    """What was done to a prompt, newest first."""

    entries: list[dict[str, Any]]


class PromptDiff(BaseModel):
    """What differs between two versions."""

    changes: list[dict[str, Any]]


class Rendered(BaseModel):
    """The messages of a prompt that was filled in."""

    version: str
    messages: list[dict[str, Any]]


def prompts_router(
    engine: Engine,
    files: ReadFiles,
    authorise: Authorise,
    *,
    clock: Clock = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``files`` gives the prompts of the configured folder as they are now."""
    router = APIRouter(prefix="/api/prompts", tags=["prompts"])
    _add_reading(router, engine, files, authorise)
    _add_versions(router, engine, files, authorise, clock)
    _add_labels(router, engine, files, authorise, clock)
    _add_protections(router, engine, authorise, clock)
    return router


def _add_reading(router: APIRouter, engine: Engine, files: ReadFiles, authorise: Authorise) -> None:
    """Add the endpoints that show prompts."""
    reader: Any = Depends(authorise("prompts.read"))

    @router.get("")
    async def get_prompts(
        tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> PromptSummaries:
        """List the prompts that a tenant gets."""
        lines = await list_prompts(engine, files(), tenant_id, by=by)
        return PromptSummaries(prompts=[PromptSummary(**msgspec.to_builtins(one)) for one in lines])

    @router.get("/{name}", responses={304: {"description": "As `if-none-match` knows it."}})
    async def get_prompt(
        response: Response,
        name: _Name,
        tenant_id: _Tenant = DEFAULT_TENANT,
        version: Annotated[str | None, Query(max_length=64)] = None,
        label: Annotated[str | None, Query(max_length=64)] = None,
        if_none_match: Annotated[str | None, Header(max_length=1024)] = None,
        by: Principal = reader,
    ) -> PromptBody:
        """Return one version as a tenant gets it; without version and label the default one.

        What comes back may be used for a minute, and for an hour while nobody answers. A label that was
        taken away is a 404, which ends both.
        """
        found = await find_prompt(engine, files(), tenant_id, name, version, label, by=by)
        headers = {
            "etag": _etag(found),
            "cache-control": f"private, max-age={FRESH_S}, stale-if-error={STALE_S}",
        }
        if if_none_match is not None and headers["etag"] in if_none_match:
            return Response(status_code=304, headers=headers)  # pyright: ignore[reportReturnType]
        response.headers.update(headers)
        return _body(found)

    @router.get("/{name}/history")
    async def get_history(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> PromptHistory:
        """Show the versions of a prompt and where its labels point."""
        page = await show_prompt(engine, files(), tenant_id, name, by=by)
        return PromptHistory(**msgspec.to_builtins(page, builtin_types=(datetime,)))

    @router.get("/{name}/log")
    async def get_log(
        name: _Name, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = reader
    ) -> PromptLog:
        """Show what was done to a prompt, newest first."""
        lines = await log_of(engine, files(), tenant_id, name, by=by)
        return PromptLog(entries=[msgspec.to_builtins(line) for line in lines])

    @router.get("/{name}/diff")
    async def get_diff(
        name: _Name,
        old: Annotated[str, Query(max_length=64, description="Version or label.")],
        new: Annotated[str, Query(max_length=64, description="Version or label.")],
        tenant_id: _Tenant = DEFAULT_TENANT,
        by: Principal = reader,
    ) -> PromptDiff:
        """Say what differs between two versions, by message, variable, setting and tool."""
        before, after = f"{name}@{old}", f"{name}@{new}"
        changes = await compare(engine, files(), tenant_id, before, after, by=by)
        return PromptDiff(changes=[msgspec.to_builtins(change) for change in changes])

    @router.post("/{name}/render")
    async def post_render(name: _Name, body: RenderBody, by: Principal = reader) -> Rendered:
        """Fill a prompt in and return its messages; nothing is asked and nothing is kept."""
        found = await find_prompt(
            engine, files(), body.tenant_id, name, body.version, body.label, by=by
        )
        version = found.resolved.version
        return Rendered(version=version.version, messages=compose(version, body.variables))

    del (
        get_prompts,
        get_prompt,
        get_history,
        get_log,
        get_diff,
        post_render,
    )  # the router holds them


def _add_versions(
    router: APIRouter, engine: Engine, files: ReadFiles, authorise: Authorise, clock: Clock
) -> None:
    """Add the endpoints that push and delete versions."""
    writer: Any = Depends(authorise("prompts.write"))

    @router.post("/{name}/versions", status_code=201)
    async def post_version(
        name: _Name, body: NewPromptVersion, by: Principal = writer
    ) -> PushedBody:
        """Push a version. The same text again changes nothing; another one under its number is refused."""
        row, is_new = await push_version(
            engine, files(), body.tenant_id, name, body.version, body.body, clock(), by=by
        )
        return PushedBody(
            name=row.name, version=row.version, content_hash=row.content_hash, is_new=is_new
        )

    @router.delete("/{name}/versions/{version}")
    async def remove_version(
        name: _Name, version: _Version, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = writer
    ) -> PushedBody:
        """Delete a version to which no label points and which nothing includes."""
        row = await delete_version(engine, tenant_id, name, version, clock(), by=by)
        return PushedBody(
            name=row.name, version=row.version, content_hash=row.content_hash, is_new=False
        )

    del post_version, remove_version


def _add_labels(
    router: APIRouter, engine: Engine, files: ReadFiles, authorise: Authorise, clock: Clock
) -> None:
    """Add the endpoints that move labels."""
    writer: Any = Depends(authorise("prompts.write"))

    @router.put("/{name}/labels/{label}")
    async def put_label(
        name: _Name, label: _Label, body: LabelBody, by: Principal = writer
    ) -> MoveBody:
        """Let a label point to another version; gateways follow within two seconds."""
        return _move(
            await move_label(
                engine, files(), body.tenant_id, name, label, body.version, clock(),
                by=by, reason=body.reason, expected=body.expected,
            )
        )  # fmt: skip

    @router.delete("/{name}/labels/{label}")
    async def delete_label(
        name: _Name,
        label: _Label,
        tenant_id: _Tenant = DEFAULT_TENANT,
        reason: _Reason = "",
        by: Principal = writer,
    ) -> MoveBody:
        """Take a label away: who asks for it gets a 404 within two seconds."""
        return _move(
            await remove_label(
                engine, files(), tenant_id, name, label, clock(), by=by, reason=reason
            )
        )

    @router.post("/{name}/labels/{label}/rollback")
    async def post_rollback(
        name: _Name, label: _Label, body: RollbackBody, by: Principal = writer
    ) -> MoveBody:
        """Let a label point to where it pointed before."""
        return _move(
            await roll_back(
                engine, files(), body.tenant_id, name, label, clock(),
                by=by, reason=body.reason, expected=body.expected,
            )
        )  # fmt: skip

    del put_label, delete_label, post_rollback


def _add_protections(router: APIRouter, engine: Engine, authorise: Authorise, clock: Clock) -> None:
    """Add the endpoints that protect labels."""
    protector: Any = Depends(authorise("prompts.protect"))

    @router.put("/{name}/protections/{label}", status_code=204)
    async def put_protection(
        name: _Name, label: _Label, body: ProtectionBody, by: Principal = protector
    ) -> None:
        """Let only owners and admins move a label; `*` as name is every prompt, also of tenants beneath."""
        await protect(engine, body.tenant_id, name, label, clock(), by=by)

    @router.delete("/{name}/protections/{label}", status_code=204)
    async def delete_protection(
        name: _Name, label: _Label, tenant_id: _Tenant = DEFAULT_TENANT, by: Principal = protector
    ) -> None:
        """Let everybody who may write prompts move a label again."""
        await unprotect(engine, tenant_id, name, label, by=by)

    del put_protection, delete_protection


def _etag(found: Found) -> str:
    """What names an answer: the text with what it includes, and how it was found."""
    resolved = found.resolved
    return f'"{resolved.version.composed_hash[:32]}-{resolved.version.version}-{resolved.label}"'


def _body(found: Found) -> PromptBody:
    version = found.resolved.version
    return PromptBody(
        name=version.name,
        version=version.version,
        label=found.resolved.label,
        owner=found.owner,
        content_hash=version.content_hash,
        composed_hash=version.composed_hash,
        includes=list(version.includes),
        body=found.draft.text,
        messages=[{"role": one.role, "text": one.text} for one in version.messages],
        settings=version.settings,
        output_schema=version.output_schema,
        tools=[msgspec.to_builtins(tool) for tool in version.tools],
    )


def _move(event: LabelEvent) -> MoveBody:
    return MoveBody(
        name=event.name,
        label=event.label,
        number=event.number,
        version=event.version,
        before=event.before,
        reason=event.reason,
        moved_by=event.moved_by,
        moved_at=event.moved_at,
        is_rollback=event.is_rollback,
    )
