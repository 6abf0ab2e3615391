"""An installation in one folder, with one person's words in every place."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from tests.db.databases import (
    anyio_backend,
    database,
    empty_database,
    engine,
    migrated_postgres,
    sqlite_template,
)
from tests.db.postgres import postgres_server
from tests.traces.conftest import build_record

from santral.app.jobs import job_kinds
from santral.audit.note import Actor
from santral.config.schema import Config
from santral.db.engine import Engine, writing
from santral.gateway.batches.batch import Batch, Result, StoredFile, answers_id
from santral.gateway.batches.cabinet import Cabinet
from santral.gateway.dialects.responses.state import Kept
from santral.jobs.job import Job
from santral.jobs.runner import Runner
from santral.privacy.places import caches
from santral.privacy.start import start_erasure, start_export
from santral.privacy.subject import Subject
from santral.quota.ledger.write import write_ledger
from santral.tenants.operator import local_operator
from santral.tenants.store import insert_tenant
from santral.tenants.tenant import TenantId
from santral.traces.collector import Collector
from santral.traces.record import Payload, TraceRecord
from santral.traces.spool import Spool
from santral.traces.store import TraceStore

__all__ = [
    "anyio_backend",
    "database",
    "empty_database",
    "engine",
    "migrated_postgres",
    "postgres_server",
    "sqlite_template",
]

ACME, GLOBEX = TenantId("acme"), TenantId("globex")
#: The person's id at the application, what they said, and their e-mail address in anybody's words.
AYSE = "kanarya-ayse-41"
SAID = "KANARYA-words-of-ayse"
MAIL = "ayse.kanarya@example.com"
#: Another person of the same tenant, and what they said.
MEHMET = "mehmet-7"
OTHER = "SERCE-words-of-mehmet"
ACTOR = Actor("cli:test", "cli")
SUBJECT = Subject(user=AYSE, texts=(MAIL,))


class Installation:
    """One data folder with its database and stores."""

    def __init__(self, folder: Path, engine: Engine) -> None:
        self.folder = folder
        self.engine = engine
        self.config = Config.model_validate({"data": {"folder": folder}})
        self.store = TraceStore(folder / "telemetry.duckdb")
        self.collector = Collector(folder / "spool", self.store, [self._bill])
        self.spool = Spool(folder / "spool", "w0", 64 * 1024 * 1024)
        self.cabinet = Cabinet(folder / "objects")
        self.now = datetime.now(UTC)

    async def _bill(self, records: Sequence[TraceRecord]) -> None:
        await write_ledger(self.engine, records)

    def runner(self) -> Runner:
        async def sleep(seconds: float) -> None:
            self.now += timedelta(seconds=seconds)
            await asyncio.sleep(0)

        kinds = job_kinds(self.config, self.engine, self.store, self.collector)
        return Runner(
            self.engine, kinds, f"test:{os.urandom(4).hex()}", lambda: self.now, sleep=sleep
        )

    async def erase(self, subject: Subject = SUBJECT, *, is_dry_run: bool = False) -> Job:
        by = local_operator()
        job = await start_erasure(
            self.engine, ACME, subject, self.now, by=by, is_dry_run=is_dry_run
        )
        return await self.runner().run_one(job.id)

    async def export(self, subject: Subject = SUBJECT) -> Job:
        job = await start_export(self.engine, ACME, subject, self.now, by=local_operator())
        return await self.runner().run_one(job.id)

    def where(self, *words: str) -> list[str]:
        """Return the files of the data folder in which one of the words stands, in any case."""
        wanted = [word.lower().encode() for word in words]
        return sorted(
            str(path.relative_to(self.folder))
            for path in self.folder.rglob("*")
            if path.is_file() and any(word in path.read_bytes().lower() for word in wanted)
        )

    def request(self, number: int, user: str, said: str, **changes: Any) -> TraceRecord:
        messages = [{"role": "user", "content": said}]
        fields = {
            "tenant_id": ACME,
            "user": user,
            "payload": Payload(request=json.dumps(messages), response=f"Answer to {said}"),
            **changes,
        }
        return build_record(number, **fields)

    def keep_response(self, name: str, user: str, session: str, said: str) -> None:
        path = self.folder / "objects" / ACME / "responses" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        item = Raw(msgspec.json.encode({"type": "message", "content": said}))
        response = Raw(msgspec.json.encode({"id": name, "output": [{"text": said}]}))
        kept = Kept(route="plain", response=response, input=[item], user=user, session=session)
        path.write_bytes(msgspec.json.encode(kept))

    def put_batch(self, status: str, lines: Mapping[str, tuple[str, str]]) -> Batch:
        """Keep a batch whose lines are, by id, of a user who says something."""
        data = b"".join(
            json.dumps(
                {
                    "custom_id": name,
                    "method": "POST",
                    "url": "/v1/chat/completions",
                    "body": {
                        "model": "plain",
                        "messages": [{"role": "user", "content": said}],
                        "santral": {"user": user},
                    },
                }
            ).encode()
            + b"\n"
            for name, (user, said) in lines.items()
        )
        file = self.put_file(data)
        batch_id = f"batch-{os.urandom(16).hex()}"
        output = b"".join(
            msgspec.json.encode(
                Result(id=f"r-{name}", custom_id=name, response={"status_code": 200, "body": said})
            )
            + b"\n"
            for name, (_, said) in lines.items()
        )
        # Also of a batch that was killed before it could name its answers.
        answers = self.put_file(output, answers_id(batch_id, "output"))
        batch = Batch(
            id=batch_id,
            tenant_id=ACME,
            key_id="key_1",
            endpoint="/v1/chat/completions",
            input_file_id=file.id,
            completion_window="24h",
            created_at=1,
            expires_at=2,
            status=status,  # pyright: ignore[reportArgumentType]
            output_file_id=answers.id if status == "completed" else "",
        )
        self.cabinet.put_batch(batch)
        results = [
            Result(id=f"r-{name}", custom_id=name, response={"status_code": 200, "body": said})
            for name, (_, said) in lines.items()
        ]
        self.cabinet.add_results(batch, results)
        return batch

    def put_file(self, data: bytes, name: str = "") -> StoredFile:
        file = StoredFile(
            id=name or f"file-{os.urandom(16).hex()}",
            filename="f.jsonl",
            purpose="batch",
            bytes=len(data),
            created_at=int(self.now.timestamp()),
        )
        self.cabinet.put_file(ACME, file, data)
        return file

    async def fill(self) -> None:
        """Put the person, and another one, into every place."""
        async with writing(self.engine) as conn:
            for tenant in (ACME, GLOBEX):
                await insert_tenant(conn, tenant, tenant, self.now)
        ayse = {"session": "kanarya-session"}
        records = [
            *(self.request(n, AYSE, SAID, **ayse) for n in range(10)),
            *(self.request(n, "", SAID, **ayse) for n in range(10, 12)),
            *(self.request(n, MEHMET, OTHER, session="m") for n in range(12, 20)),
            self.request(20, MEHMET, f"{OTHER}, write to {MAIL.upper()}"),
            self.request(21, AYSE, "another tenant's Ayse", tenant_id=GLOBEX),
        ]
        for record in records:
            assert self.spool.append(record)
        await self.collector.collect_once()
        for n in range(30, 33):  # waits in the spool when the job begins
            assert self.spool.append(self.request(n, AYSE, SAID, **ayse))
        self.keep_response("resp_1", AYSE, "", SAID)
        self.keep_response("resp_2", "", "kanarya-session", SAID)
        self.keep_response("resp_3", MEHMET, "", f"{OTHER} {MAIL}")
        self.put_batch(
            "completed", {"a": (AYSE, SAID), "b": (MEHMET, f"{OTHER} {MAIL}"), "c": (AYSE, SAID)}
        )
        (self.folder / "spool" / "w9-1-aa.damaged").write_bytes(b"\0" + AYSE.encode())


@pytest.fixture(autouse=True)
def workers_follow_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker runs here that would have to be waited for."""
    monkeypatch.setattr(caches, "FOLLOWED_WITHIN_S", 0.0)


@pytest.fixture
async def installation(engine: Engine, tmp_path: Path) -> AsyncGenerator[Installation]:
    made = Installation(tmp_path, engine)
    yield made
    made.spool.close()
    await made.store.close()
