"""``/api/privacy``: what is kept, and a person's part of it, exported and erased."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from santral.config.schema import Config
from santral.db.engine import Engine
from santral.errors import NotFound
from santral.jobs.api import JobBody, job_body, visible_job
from santral.privacy.export import EXPORT
from santral.privacy.places.exports import exports_folder
from santral.privacy.policy import MOST_DAYS, KeepingRule, set_keeping, show_keeping
from santral.privacy.proof import Signer
from santral.privacy.start import start_erasure, start_export
from santral.privacy.subject import Subject, subject_of
from santral.tenants.permission import Authorise, Principal
from santral.tenants.tenant import DEFAULT_TENANT, PayloadPolicy


class PolicyBody(BaseModel):
    """What a tenant says itself; null takes its word back."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(description="The tenant.")
    payloads: PayloadPolicy | None = Field(description="full, redacted, hashes, none, or null.")
    retention_days: int | None = Field(
        ge=1, le=MOST_DAYS, description="Days that traces and payloads are kept, or null."
    )


class PolicyShown(BaseModel):
    """What holds for a tenant, and what it says itself."""

    tenant_id: str
    payloads: str
    retention_days: int | None
    own_payloads: str | None
    own_retention_days: int | None


class PersonBody(BaseModel):
    """Whom to look for: at least one of user, sessions and texts."""

    model_config = ConfigDict(extra="forbid")

    tenant_id: str = Field(description="The tenant whose user it is.")
    user: str = Field("", max_length=128, description="The id that the application gives the user.")
    sessions: list[str] = Field([], max_length=1000, description="Sessions that are theirs too.")
    texts: list[str] = Field(
        [], max_length=50, description="Texts such as an e-mail address, found in anybody's words."
    )

    @property
    def subject(self) -> Subject:
        """Whom the body means; raises BadRequest."""
        return subject_of(self.user, self.sessions, self.texts)


class ErasureBody(PersonBody):
    """Whom to erase."""

    dry_run: bool = Field(False, description="Count what would go, and change nothing.")


class PublicKey(BaseModel):
    """The key by which proofs of this installation are verified."""

    public_key: str = Field(description="Ed25519, in base 64.")


def privacy_router(
    engine: Engine,
    authorise: Authorise,
    config: Config,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> APIRouter:
    """Return the endpoints; ``authorise`` makes the dependency that says who administers."""
    router = APIRouter(prefix="/api/privacy", tags=["privacy"])
    reader: Any = Depends(authorise("privacy.read"))
    writer: Any = Depends(authorise("privacy.write"))
    telemetry = config.telemetry

    @router.get("/policy")
    async def get_policy(
        tenant_id: Annotated[str, Query(description="Whose.")] = DEFAULT_TENANT,
        principal: Principal = reader,
    ) -> PolicyShown:
        """Show what is kept of a tenant's words, and for how long."""
        return _shown(await show_keeping(engine, tenant_id, telemetry, by=principal))

    @router.put("/policy")
    async def put_policy(body: PolicyBody, principal: Principal = writer) -> PolicyShown:
        """Set both in place of what the tenant said before; gateways follow within two seconds."""
        rule = await set_keeping(
            engine,
            body.tenant_id,
            telemetry,
            clock(),
            payloads=body.payloads,
            retention_days=body.retention_days,
            by=principal,
        )
        return _shown(rule)

    @router.post("/erasures", status_code=202)
    async def erase(body: ErasureBody, principal: Principal = writer) -> JobBody:
        """Begin to erase a person; the job's result is the signed proof, or the counts."""
        job = await start_erasure(
            engine, body.tenant_id, body.subject, clock(), by=principal, is_dry_run=body.dry_run
        )
        return job_body(job)

    @router.post("/exports", status_code=202)
    async def export(body: PersonBody, principal: Principal = writer) -> JobBody:
        """Begin to export a person; fetch it when the job is done."""
        job = await start_export(engine, body.tenant_id, body.subject, clock(), by=principal)
        return job_body(job)

    @router.get("/exports/{job}")
    async def fetch(
        job: Annotated[str, Path(max_length=64, description="The id of the job.")],
        principal: Principal = writer,
    ) -> Response:
        """Return an export as a ZIP file."""
        found = await visible_job(engine, job, principal)
        principal.require("privacy.write", found.tenant_id)
        folder = exports_folder(config.data.folder) / found.id
        if found.kind != EXPORT or found.state != "done" or not folder.is_dir():
            raise NotFound(
                f"There is no export of the job '{job}' to fetch: it is not done, was fetched and "
                "removed, or waited too long."
            )
        return Response(_zipped(folder), media_type="application/zip")

    @router.get("/key")
    async def get_key(principal: Principal = reader) -> PublicKey:
        """Return the public half of the key that signs proofs."""
        return PublicKey(public_key=Signer(config).public_key())

    del get_policy, put_policy, erase, export, fetch, get_key  # the router holds them
    return router


def _shown(rule: KeepingRule) -> PolicyShown:
    return PolicyShown(
        tenant_id=rule.tenant_id,
        payloads=rule.payloads,
        retention_days=rule.retention_days,
        own_payloads=rule.own_payloads,
        own_retention_days=rule.own_retention_days,
    )


def _zipped(folder: FilePath) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return made.getvalue()
