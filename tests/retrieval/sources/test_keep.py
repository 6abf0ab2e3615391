"""Sources on both databases: who may add which, when they run, what a webhook may do."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert
from tests.retrieval.conftest import NOW
from tests.tenants.acting import OPERATOR, acting, plant

from santral.audit import store as audit
from santral.audit.note import Actor
from santral.config.sources import SourcesConfig
from santral.db.engine import Connection, Engine, reading, writing
from santral.db.tables import documents
from santral.errors import (
    BadRequest,
    Conflict,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    Unauthenticated,
)
from santral.jobs import store as jobs
from santral.jobs.job import Job
from santral.jobs.queue import start_job
from santral.retrieval.sources import hook, keep, store
from santral.retrieval.sources.hook import Call, Turnstile, call_of, ring
from santral.retrieval.sources.record import KeptSource
from santral.retrieval.sources.registry import KINDS, checked_settings, secrets_of
from santral.retrieval.sources.schedule import Schedule
from santral.tenants.permission import Principal
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

CONFIG = SourcesConfig.model_validate({"tenant_secrets": ["env:SHARED"]})
URLS = {"urls": ["https://docs.example.com/a"]}


@pytest.fixture
async def tenants(engine: Engine) -> None:
    await plant(engine, "acme", "globex")


async def start(
    conn: Connection, tenant: str, collection: str, source: str, now: datetime, actor: Actor
) -> Job:
    arguments = {"collection": collection, "source_id": source}
    return await start_job(
        conn, RNG.randbytes, "retrieval.ingest",
        TenantId(tenant), arguments, now, actor=actor,
    )  # fmt: skip


RNG = Random(5)


async def added(
    engine: Engine, kind: str = "url", by: Principal = OPERATOR, **more: Any
) -> KeptSource:
    settings = more.pop("settings", URLS)
    tenant = more.pop("tenant", "acme")
    return await keep.add_source(engine, CONFIG, tenant, "docs", kind, settings, NOW, by=by, **more)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


def scheduled(engine: Engine, folder: Path, clock: Clock, draw: float = 0.5) -> Schedule:
    return Schedule(
        engine, folder, start, clock=clock, random=lambda: draw,
        timer=lambda: clock.now.timestamp(),
    )  # fmt: skip


async def ended(engine: Engine, job: Job, error: str = "", result: Any = None) -> None:
    """Let the job of a run end."""
    async with writing(engine) as conn:
        taken = await jobs.claim_job(
            conn, ["retrieval.ingest"], "me", NOW + timedelta(days=900), NOW
        )
        assert taken is not None
        assert taken.id == job.id
        state = "failed" if error else "done"
        await jobs.end_job(conn, taken.tenant_id, taken, state, NOW, arguments={}, result=result, error=error)  # fmt: skip


async def one(engine: Engine, source: KeptSource) -> KeptSource:
    return (await keep.show_source(engine, source.id, by=OPERATOR))[0]


@pytest.mark.usefixtures("tenants")
async def test_a_source_is_added_changed_and_listed(engine: Engine) -> None:
    source = await added(engine, every_s=3600)
    assert source.next_at == NOW
    changed = await keep.change_source(
        engine, CONFIG, source.id, NOW, by=OPERATOR, settings={"pause_s": 2}, every_s=7200
    )
    assert changed.settings == {**URLS, "pause_s": 2.0}
    assert changed.every_s == 7200
    back = await keep.change_source(
        engine, CONFIG, source.id, NOW, by=OPERATOR, settings={"pause_s": None}
    )
    assert back.settings == URLS
    found = await keep.list_sources(engine, by=OPERATOR, tenant="acme")
    assert [item.id for item in found] == [source.id]
    assert await keep.list_sources(engine, by=OPERATOR, tenant="globex") == []
    async with reading(engine) as conn:
        noted = [entry.action for entry in await audit.entries_after(conn, 0, 100)]
    assert noted[-3:] == ["sources.add", "sources.change", "sources.change"]


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("urls", {}, "Did you mean 'url'"),
        ("url", {"url": "https://a.com/"}, "urls"),
        ("url", {"urls": []}, "urls"),
        ("url", {"urls": ["http://169.254.169.254/"]}, "private network|inside the network"),
        ("sitemap", {"url": "http://localhost/sitemap.xml"}, "allow_networks"),
        ("sitemap", {"url": "https://a.com/", "robot": False}, "Did you mean 'robots'"),
        ("s3", {"bucket": "a/b"}, "bucket"),
        ("s3", {"bucket": "abc", "access_key": "AKIA", "secret_key": "x"}, "reference"),
        ("s3", {"bucket": "abc", "access_key": "env:A"}, "both or neither"),
        ("s3", {"bucket": "abc", "endpoint": "http://10.0.0.1:9000"}, "inside the network"),
        ("git", {"url": "file:///etc"}, "https://"),
        ("git", {"url": "https://a:b@example.com/x.git"}, "user name"),
        ("git", {"url": "https://a.com/x", "branch": "--upload-pack=id"}, "branch"),
        ("notion", {"url": "https://a.com/x.zip", "path": "/x"}, "either path or url"),
        ("push", {"groups": {"hr/": []}}, "groups"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("tenants")
async def test_settings_that_cannot_be_are_named(
    engine: Engine, kind: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRequest, match=said):
        await added(engine, kind, settings=settings)


@pytest.mark.usefixtures("tenants")
async def test_only_an_owner_of_the_installation_reads_its_disk_and_sends_its_secrets(
    engine: Engine,
) -> None:
    secret = {**URLS, "bearer": "env:OPENAI_API_KEY"}
    owning = (("folder", {"path": "/etc"}), ("watch", {"path": "/etc"}), ("git", {"url": "/srv/x"}),
              ("git", {"url": "ext::sh -c id"}), ("notion", {"path": "/x.zip"}), ("url", secret),
              ("url", {**URLS, "hook_secret": "file:/etc/passwd"}))  # fmt: skip
    for by in (await acting(engine, "owner", "acme"), await acting(engine, "admin", "*")):
        for kind, settings in owning:
            with pytest.raises(NotAllowed, match="owner of the whole installation"):
                await added(engine, kind, by, settings=settings)
        await added(engine, "url", by, settings={**URLS, "bearer": "env:SHARED"})
    owners = await added(engine, "url", settings=secret)
    for settings in ({"urls": ["https://evil.example/"]}, {"bearer": None}):
        with pytest.raises(NotAllowed):
            await keep.change_source(
                engine, CONFIG, owners.id, NOW,
                by=await acting(engine, "owner", "acme"), settings=settings,
            )  # fmt: skip


@pytest.mark.usefixtures("tenants")
async def test_another_tenants_source_cannot_be_told_from_none(engine: Engine) -> None:
    source = await added(engine)
    other = await acting(engine, "owner", "globex")
    for id in (source.id, "src_nowhere"):
        for act in (
            keep.show_source(engine, id, by=other),
            keep.change_source(engine, CONFIG, id, NOW, by=other, is_paused=True),
            keep.run_source(engine, id, NOW, by=other, start=start),
            keep.renew_token(engine, id, by=other),
            keep.delete_source(engine, id, NOW, by=other),
        ):
            with pytest.raises(NotFound, match=f"no source '{id}'"):
                await act
    assert await keep.list_sources(engine, by=other) == []
    with pytest.raises(NotAllowed):
        await added(engine, by=await acting(engine, "viewer", "acme"))


@pytest.mark.usefixtures("tenants")
async def test_a_schedule_and_a_number_of_sources_are_bounded(engine: Engine) -> None:
    with pytest.raises(BadRequest, match="60 seconds"):
        await added(engine, every_s=5)
    few = CONFIG.model_copy(update={"most_sources": 1})
    await keep.add_source(engine, few, "acme", "docs", "url", URLS, NOW, by=OPERATOR)
    with pytest.raises(Conflict, match="most_sources"):
        await keep.add_source(engine, few, "acme", "docs", "url", URLS, NOW, by=OPERATOR)


@pytest.mark.usefixtures("tenants")
async def test_a_source_runs_when_due_one_run_at_a_time(engine: Engine, tmp_path: Path) -> None:
    source = await added(engine, every_s=3600)
    clock = Clock()
    schedule = scheduled(engine, tmp_path, clock, draw=1.0)
    (job,) = await schedule.look()
    assert (job.created_by, job.arguments["source_id"]) == ("system", source.id)
    assert await schedule.look() == []
    again = await keep.run_source(engine, source.id, NOW, by=OPERATOR, start=start)
    assert again.id == job.id
    await ended(engine, job, result={"read": 3})
    assert await schedule.look() == []
    done = await one(engine, source)
    assert (done.last_state, done.last_result, done.failures) == ("done", {"read": 3}, 0)
    assert done.next_at == NOW + timedelta(seconds=3960)  # an hour and a tenth: drawn
    clock.now = NOW + timedelta(days=3)  # seventy moments were missed
    (second,) = await schedule.look()
    await ended(engine, second)
    await schedule.look()
    assert (await one(engine, source)).next_at == clock.now + timedelta(seconds=3960)


@pytest.mark.usefixtures("tenants")
async def test_after_failures_a_source_waits_longer_each_time(
    engine: Engine, tmp_path: Path
) -> None:
    source = await added(engine, every_s=60)
    clock = Clock()
    schedule = scheduled(engine, tmp_path, clock)
    waits: list[float] = []
    for number in range(4):
        (job,) = await schedule.look()
        await ended(engine, job, error=f"the site is away ({number})")
        await schedule.look()
        failed = await one(engine, source)
        assert failed.next_at is not None
        waits.append((failed.next_at - clock.now).total_seconds())
        clock.now = failed.next_at
    assert waits == [60, 120, 240, 480]
    last = await one(engine, source)
    assert (last.last_state, last.last_error) == ("failed", "the site is away (3)")
    (job,) = await schedule.look()
    await ended(engine, job)
    await schedule.look()
    assert (await one(engine, source)).failures == 0


@pytest.mark.usefixtures("tenants")
async def test_two_processes_begin_one_run(engine: Engine, tmp_path: Path) -> None:
    await added(engine)
    clock = Clock()
    first = scheduled(engine, tmp_path, clock)
    async with reading(engine) as conn:
        (due,) = await store.due_sources(conn, NOW, 10)
    assert await first._begin(due, NOW) is not None
    assert await scheduled(engine, tmp_path, clock)._begin(due, NOW) is None


@pytest.mark.usefixtures("tenants")
async def test_a_paused_source_rests_until_somebody_asks(engine: Engine, tmp_path: Path) -> None:
    source = await added(engine, every_s=60)
    await keep.change_source(engine, CONFIG, source.id, NOW, by=OPERATOR, is_paused=True)
    schedule = scheduled(engine, tmp_path, Clock())
    assert await schedule.look() == []
    await keep.run_source(engine, source.id, NOW, by=OPERATOR, start=start)
    resumed = await keep.change_source(engine, CONFIG, source.id, NOW, by=OPERATOR, is_paused=False)
    assert resumed.next_at == NOW


async def documented(engine: Engine, source: KeptSource) -> None:
    async with writing(engine) as conn:
        row = {
            "id": "d1", "tenant_id": "acme", "collection": "docs", "location": "x", "root": "r",
            "source": "x", "title": "t", "kind": "text", "language": "en", "content_hash": "h",
            "size_bytes": 1, "status": "indexed", "reason": "", "created_at": NOW,
            "source_id": source.id, "stamp": "s1",
        }  # fmt: skip
        await conn.execute(insert(documents).values(**row))


@pytest.mark.usefixtures("tenants")
async def test_a_deleted_source_goes_when_its_documents_are_gone(
    engine: Engine, tmp_path: Path
) -> None:
    source = await added(engine)
    await documented(engine, source)
    own = tmp_path / "sources" / source.id
    own.mkdir(parents=True)
    await keep.delete_source(engine, source.id, NOW, by=OPERATOR)
    assert (await one(engine, source)).is_leaving
    with pytest.raises(Conflict, match="being deleted"):
        await keep.change_source(engine, CONFIG, source.id, NOW, by=OPERATOR, is_paused=True)
    schedule = scheduled(engine, tmp_path, Clock())
    (job,) = await schedule.look()
    await ended(engine, job)
    await schedule.look()
    with pytest.raises(NotFound):
        await one(engine, source)
    assert not own.exists()


@pytest.mark.usefixtures("tenants")
async def test_documents_can_stay_without_their_source(engine: Engine) -> None:
    source = await added(engine)
    await documented(engine, source)
    async with reading(engine) as conn:
        assert await store.stamps_of(conn, "acme", source.id) == {"x": "s1"}
        assert await store.stamps_of(conn, "globex", source.id) == {}
    await keep.delete_source(engine, source.id, NOW, by=OPERATOR, keep_documents=True)
    async with reading(engine) as conn:
        assert await store.find_source(conn, source.id) is None
        assert await store.count_documents(conn, "acme", "") == 1


@pytest.mark.usefixtures("tenants")
async def test_a_watched_folder_runs_once_it_rests(engine: Engine, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    source = await added(engine, "watch", settings={"path": str(folder)})
    clock = Clock()
    schedule = scheduled(engine, tmp_path, clock)

    async def after(seconds: float) -> list[Job]:
        clock.now += timedelta(seconds=seconds)
        begun = await schedule.look()
        for job in begun:
            await ended(engine, job)
            await schedule.settle()
        return begun

    assert len(await after(0)) == 1  # it was added
    assert len(await after(3)) == 1  # what changed while nobody looked
    assert await after(3) == []
    (folder / "a.md").write_text("# A")
    assert await after(3) == []  # somebody may still write
    assert len(await after(3)) == 1
    assert await after(3) == []
    await keep.change_source(engine, CONFIG, source.id, NOW, by=OPERATOR, is_paused=True)
    (folder / "b.md").write_text("# B")
    assert await after(3) + await after(3) == []


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def rung(engine: Engine, source: KeptSource, call: Call, *pieces: bytes) -> bool:
    return await ring(engine, source.id, call, body(*pieces), NOW, origin="203.0.113.7")


@pytest.mark.usefixtures("tenants")
async def test_a_webhook_needs_its_token_and_is_collapsed(engine: Engine, tmp_path: Path) -> None:
    source = await added(engine)
    (job,) = await scheduled(engine, tmp_path, Clock()).look()
    token = await keep.renew_token(engine, source.id, by=OPERATOR)
    async with reading(engine) as conn:
        kept = await store.find_source(conn, source.id)
    assert token not in str(kept)
    for bad in (Call(), Call("hook_wrong"), Call(token + "x"), Call("", "sha256=00")):
        with pytest.raises(Unauthenticated):
            await rung(engine, source, bad)
    assert await rung(engine, source, call_of({"authorization": f"Bearer {token}"}))
    assert not await rung(engine, source, call_of({"x-gitlab-token": token}))
    await ended(engine, job)
    schedule = scheduled(engine, tmp_path, Clock())
    (again,) = await schedule.look()  # one run for both, after the one that was under way
    assert again.id != job.id
    newer = await keep.renew_token(engine, source.id, by=OPERATOR)
    with pytest.raises(Unauthenticated):
        await rung(engine, source, Call(token))
    assert await rung(engine, source, Call(newer))


@pytest.mark.usefixtures("tenants")
async def test_github_signs_the_body(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_HOOK", "s3cret")
    source = await added(engine, settings={**URLS, "hook_secret": "env:GITHUB_HOOK"})
    async with writing(engine) as conn:
        await store.update_source(conn, "acme", source.id, next_at=None)
    mac = hmac.new(b"s3cret", b'{"ref": "main"}', hashlib.sha256).hexdigest()
    call = call_of({"x-hub-signature-256": f"sha256={mac}"})
    with pytest.raises(Unauthenticated):
        await rung(engine, source, call, b'{"ref": "other"}')
    assert await rung(engine, source, call, b'{"ref": ', b'"main"}')
    unset = await added(engine)
    with pytest.raises(Unauthenticated):
        await rung(engine, unset, call, b'{"ref": "main"}')


def test_calls_of_a_webhook_are_bounded_by_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    turnstile = Turnstile(per_minute=2)
    for name in ("a", "a", "b"):
        turnstile.enter(name, NOW)
    with pytest.raises(QuotaExceeded) as caught:
        turnstile.enter("a", NOW)
    assert caught.value.retry_after_s == 60
    turnstile.enter("a", NOW + timedelta(minutes=1))
    monkeypatch.setattr(hook, "_MOST_COUNTED", 1)
    turnstile.enter("x", NOW + timedelta(minutes=1))
    turnstile.enter("y", NOW + timedelta(minutes=1))
    with pytest.raises(QuotaExceeded):
        turnstile.enter("z", NOW + timedelta(minutes=1))


def test_every_kind_describes_its_settings_and_finds_its_secrets() -> None:
    for form in KINDS.values():
        for name, info in form.settings.model_fields.items():
            assert info.description, name
    s3 = checked_settings("s3", {"bucket": "abc", "access_key": "env:A", "secret_key": "env:B"})
    assert [secret.reference for secret in secrets_of(s3)] == ["env:A", "env:B"]
