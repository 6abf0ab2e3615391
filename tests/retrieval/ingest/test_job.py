"""The job ``retrieval.ingest``: one of a collection at a time, and what expires is taken out by one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from tests.retrieval.ingest.place import NOW, Place

from santral.db.engine import reading, writing
from santral.errors import NotAllowed, NotFound
from santral.jobs import store as jobs
from santral.jobs.job import Job, JobKind
from santral.jobs.runner import Runner
from santral.retrieval.collection import Collection
from santral.retrieval.ingest import store as ingest_store
from santral.retrieval.ingest.job import IngestArguments, Ingestion
from santral.retrieval.ingest.report import IngestReport
from santral.retrieval.ingest.start import start_ingest
from santral.retrieval.ingest.workplace import INGEST
from santral.tenants.operator import local_operator
from santral.tenants.permission import Grant, Principal
from santral.tenants.store import load_tree
from santral.tenants.tenant import TenantId

pytestmark = pytest.mark.anyio

TRAVEL = "# Handbook\n\n## Travel\n\nMeals are paid up to thirty euros a day.\n"


def no_source(collection: Collection, source_id: str) -> Any:
    raise NotFound("There is no source.")


def runner_at(place: Place) -> Runner:
    work = Ingestion(place.work.engine, partial(nullcontext, place.work), no_source)
    kind = JobKind(name=INGEST, about="", arguments=IngestArguments, work=work)

    return Runner(place.work.engine, {INGEST: kind}, "here", place.clock)


async def start(place: Place, **asked: Any) -> Job:
    return await start_ingest(
        place.work.engine, "acme", "docs", place.clock(), by=local_operator(), **asked
    )


async def test_a_job_takes_files_in_and_its_result_is_the_report(place: Place) -> None:
    place.write("travel.md", TRAVEL)
    place.write("bad.pdf", b"%PDF-1.4 nothing")
    job = await start(place, paths=[str(place.root)])
    done = await runner_at(place).run_one(job.id)
    assert done.state == "done"
    assert done.result is not None
    report = msgspec.convert(done.result, IngestReport)
    assert (report.read, report.quarantined_documents, report.documents) == (1, 1, 1)
    assert await place.search("meals") != []


async def test_an_equal_job_that_waits_is_not_started_again(place: Place) -> None:
    first = await start(place)
    assert (await start(place)).id == first.id
    assert (await start(place, is_purge=True)).id != first.id


async def test_a_second_job_of_a_collection_waits_for_the_first(place: Place) -> None:
    job = await start(place)
    async with writing(place.work.engine) as conn:
        other = replace(job, id="job_other", arguments={"collection": "docs", "paths": []})  # type: ignore[arg-type]
        await jobs.insert_job(conn, TenantId("acme"), other)
        taken = await jobs.claim_job(conn, [INGEST], "elsewhere", NOW, NOW + timedelta(seconds=30))
        assert taken is not None
        await ingest_store.set_writer(conn, "acme", "docs", taken.id)
    waiting = job.id if taken.id != job.id else other.id
    runner = runner_at(place)
    found = await runner._take()
    assert found is not None
    await runner._do(found)
    async with reading(place.work.engine) as conn:
        put_back = await jobs.find_job(conn, waiting)
    assert put_back is not None
    assert (put_back.state, put_back.tries) == ("waiting", 0)
    place.clock.now += timedelta(minutes=1)  # the other's process is dead: its lease has run out
    assert (await runner.run_one(waiting)).state == "done"
    async with writing(place.work.engine) as conn:
        assert await ingest_store.read_writer(conn, "acme", "docs") == ""


async def test_what_expires_is_taken_out_by_a_job_at_its_moment(place: Place) -> None:
    place.write("old.md", "---\nexpires_at: 2026-11-23\n---\n# Old\n\nThe offer ends.\n")
    place.write("b.md", TRAVEL)
    runner = runner_at(place)
    await runner.run_one((await start(place, paths=[str(place.root)])).id)
    assert (await place.indexed()).documents == 2
    async with reading(place.work.engine) as conn:
        [sweep] = await jobs.list_jobs(conn, [TenantId("acme")], "waiting", INGEST, 10)
    assert sweep.leased_until is not None
    assert sweep.leased_until.date().isoformat() == "2026-11-23"
    assert await runner._take() is None
    place.clock.now = NOW + timedelta(days=2)
    assert (await runner.run_one(sweep.id)).state == "done"
    assert (await place.indexed()).documents == 1


async def test_files_of_the_machine_are_for_those_who_administer_all_of_it(place: Place) -> None:
    async with reading(place.work.engine) as conn:
        tree = await load_tree(conn)
    by = Principal("user:1", "test", (Grant("owner", TenantId("acme")),), tree)
    with pytest.raises(NotAllowed):
        await start_ingest(place.work.engine, "acme", "docs", NOW, by=by, paths=["/etc"])
    job = await start_ingest(place.work.engine, "acme", "docs", NOW, by=by)
    assert job.created_by == "user:1"


async def test_a_job_that_fails_says_why_and_gives_the_collection_back(place: Place) -> None:
    job = await start(place, paths=[str(place.root / "typo")])
    done = await runner_at(place).run_one(job.id)
    assert (done.state, done.error[:26]) == ("failed", "There is no file or folder")
    async with writing(place.work.engine) as conn:
        assert await ingest_store.read_writer(conn, "acme", "docs") == ""


def test_a_report_survives_the_row_of_a_job() -> None:
    report = IngestReport(read=3)
    report.note_quarantined("a", "b")
    kept: Mapping[str, Any] = msgspec.to_builtins(report)
    assert msgspec.convert(kept, IngestReport) == report
