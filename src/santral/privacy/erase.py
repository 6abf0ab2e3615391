"""Erase one person: a job that goes from place to place, and ends with a signed proof.

What the person asks for while it runs is not looked for again: it is new, and a second erasure takes
it. The job can be killed anywhere; places are erased again, which changes nothing more.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.audit.note import SYSTEM, note
from santral.db.engine import Engine, writing
from santral.db.rewrite import rewrite
from santral.jobs.job import Hold
from santral.privacy.place import Found, Place
from santral.privacy.places.responses import replace_file
from santral.privacy.proof import Counted, PlaceCount, Proof, Signer, SubjectHash, encoded
from santral.privacy.subject import Subject
from santral.tenants.tenant import TenantId

#: What the job is called in the table of jobs.
ERASE = "privacy.erase"
_SALT_BYTES = 16

#: Returns the sessions that are a user's alone.
FindSessions = Callable[[TenantId, str], Awaitable[Sequence[str]]]


class EraseArguments(Struct, frozen=True, kw_only=True):
    """Whom to erase, or only to count."""

    subject: Subject | None = None  # None: the person was forgotten already, only the proof is left
    dry_run: bool = False


class _Saved(Struct, frozen=True, kw_only=True):
    """What the next try goes on from; nothing in it names the person."""

    hash: SubjectHash
    before: dict[str, Found]
    after: dict[str, Found] | None = None


class Eraser:
    """The work of ``privacy.erase``."""

    def __init__(
        self,
        engine: Engine,
        places: Sequence[Place],
        collect: Callable[[], Awaitable[None]],
        find_sessions: FindSessions,
        signer: Signer,
        proofs: Path,
        clock: Callable[[], datetime],
    ) -> None:
        """``collect`` moves what is spooled into the store; ``proofs`` is where proofs are kept."""
        self._engine = engine
        self._places = places
        self._collect = collect
        self._find_sessions = find_sessions
        self._signer = signer
        self._proofs = proofs
        self._clock = clock

    async def __call__(self, hold: Hold, arguments: EraseArguments) -> Mapping[str, Any]:
        """Erase, or count; return the proof, or the counts.

        Raises:
            BadRequest: a batch that holds the person's requests is still being answered.
            StoreError: a place cannot be reached; tried again later.
        """
        if arguments.subject is None:
            return await self._finish(hold, msgspec.convert(hold.job.progress.saved, _Saved))
        tenant = hold.job.tenant_id
        await hold.report("collecting")
        await self._collect()
        subject = await with_sessions(tenant, arguments.subject, self._find_sessions)
        saved = await self._counted(hold, subject, arguments.subject)
        if arguments.dry_run:
            return {"places": msgspec.to_builtins(saved.before)}
        for number, place in enumerate(self._places, 1):
            await hold.report(f"erasing {place.name}", number, len(self._places))
            await place.erase(tenant, subject)
        await hold.report("counting what is left")
        after = {place.name: await place.find(tenant, subject) for place in self._places}
        saved = replace(saved, after=after)
        await hold.report("writing the database anew", saved=msgspec.to_builtins(saved))
        await hold.forget_person()
        return await self._finish(hold, saved)

    async def _counted(self, hold: Hold, subject: Subject, asked: Subject) -> _Saved:
        """Return what was there before the first try."""
        if hold.job.progress.saved:
            return msgspec.convert(hold.job.progress.saved, _Saved)
        tenant = hold.job.tenant_id
        salt = secrets.token_hex(_SALT_BYTES)
        saved = _Saved(
            hash=SubjectHash(salt=salt, sha256=asked.fingerprint(tenant, salt)),
            before={place.name: await place.find(tenant, subject) for place in self._places},
        )
        await hold.report("counted", saved=msgspec.to_builtins(saved))
        return saved

    async def _finish(self, hold: Hold, saved: _Saved) -> Mapping[str, Any]:
        """Clear the database's own files, then prove what was done."""
        await rewrite(self._engine, ("ledger", "limit_rules", "alerts", "jobs"))
        job = hold.job
        proof = self._signer.sign(
            Proof(
                job=job.id,
                tenant=job.tenant_id,
                subject=saved.hash,
                started_at=(job.started_at or job.created_at).isoformat(),
                finished_at=self._clock().isoformat(),
                software=f"santral {version('santral')}",
                places=tuple(_place_count(place, saved) for place in self._places),
            )
        )
        self._proofs.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._proofs / f"{job.id}.json", encoded(proof))
        async with writing(self._engine) as conn:
            await note(
                conn,
                SYSTEM,
                "privacy.erased",
                f"job:{job.id}",
                tenant_id=job.tenant_id,
                after={"subject": proof.subject.sha256, "signature": proof.signature},
            )
        return msgspec.to_builtins(proof)


async def with_sessions(tenant: TenantId, subject: Subject, find: FindSessions) -> Subject:
    """Return a subject with the sessions that are the user's alone."""
    if not subject.user:
        return subject
    sessions = dict.fromkeys([*subject.sessions, *await find(tenant, subject.user)])
    return replace(subject, sessions=tuple(sessions))


def _place_count(place: Place, saved: _Saved) -> PlaceCount:
    before, after = saved.before[place.name], (saved.after or {})[place.name]
    return PlaceCount(
        name=place.name,
        about=place.about,
        before=Counted(own=dict(before.own), mentions=before.mentions),
        after=Counted(own=dict(after.own), mentions=after.mentions),
        left=after.left,
    )
