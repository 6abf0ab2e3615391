"""Erasing a person: found nowhere afterwards, others untouched, resumable, proved."""

from __future__ import annotations

import contextlib
import json
from base64 import b64encode
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text
from tests.privacy.conftest import (
    ACME,
    AYSE,
    GLOBEX,
    MAIL,
    MEHMET,
    OTHER,
    SAID,
    SUBJECT,
    Installation,
)

from santral.db.engine import reading
from santral.db.tables import audit_log, jobs, ledger
from santral.errors import BadRequest
from santral.jobs import queue
from santral.jobs.runner import LEASE_S
from santral.privacy import erase as erase_module
from santral.privacy.place import Found
from santral.privacy.places.traces import Traces
from santral.privacy.proof import Proof, encoded, is_about, verify
from santral.privacy.start import start_erasure
from santral.privacy.subject import ERASED_TEXT, Subject, subject_of
from santral.quota.ledger.entry import ERASED
from santral.tenants.operator import local_operator
from santral.tenants.tenant import TenantId
from santral.traces.question import Filters

pytestmark = pytest.mark.anyio

EVERYTHING = Filters(since_us=0, until_us=2**62, route="", status="", error="")
PLACES = {
    "ledger", "limits", "files", "responses", "held answers", "caches", "documents", "exports",
    "spool", "traces", "reviews", "datasets",
}  # fmt: skip


async def rows_of(installation: Installation, statement: Any) -> list[Any]:
    async with reading(installation.engine) as conn:
        return list((await conn.execute(statement)).all())


async def test_after_an_erasure_the_person_is_found_in_no_file(installation: Installation) -> None:
    await installation.fill()
    assert installation.where(AYSE)
    assert installation.where(SAID)
    job = await installation.erase()
    assert (job.state, job.error) == ("done", "")
    # GLOBEX has a user of the same id, whose requests are another person's: they stay.
    assert installation.where(SAID, MAIL, "kanarya-session") == []
    if installation.engine.dialect.name == "sqlite":
        left = await rows_of(installation, select(ledger).where(ledger.c.user_id == AYSE))
        assert {row.tenant_id for row in left} == {GLOBEX}
    assert installation.where(OTHER)


async def test_everything_of_a_person_alone_in_the_installation_goes_from_every_file(
    installation: Installation,
) -> None:
    await installation.fill()
    for tenant in (ACME, GLOBEX):
        by = local_operator()
        job = await start_erasure(installation.engine, tenant, SUBJECT, installation.now, by=by)
        assert (await installation.runner().run_one(job.id)).state == "done"
    assert installation.where(AYSE, SAID, MAIL) == []


async def test_others_keep_their_words_without_the_mention(installation: Installation) -> None:
    await installation.fill()
    await installation.erase()
    page = await installation.store.list_traces(ACME, EVERYTHING, None, 100)
    assert len(page.traces) == 9
    found = await installation.store.get_trace(ACME, page.traces[0].trace_id)
    assert found.trace.user == MEHMET
    assert found.trace.payload is not None
    assert json.loads(found.trace.payload.request)[0]["content"] == (
        f"{OTHER}, write to {ERASED_TEXT}"
    )
    (kept,) = (installation.folder / "objects" / ACME / "responses").glob("*.json")
    assert kept.stem == "resp_3"
    assert f"{OTHER} {ERASED_TEXT}" in kept.read_text()
    for file in installation.cabinet.files(ACME):
        data = installation.cabinet.content(ACME, file.id)
        assert len(data) == file.bytes
        assert [json.loads(line)["custom_id"] for line in data.splitlines()] == ["b"]
    (batch,) = installation.cabinet.batches(ACME)
    assert [result.custom_id for result in installation.cabinet.results(batch)] == ["b"]


async def test_a_tag_goes_from_traces_and_the_one_in_the_ledger_is_named(
    installation: Installation,
) -> None:
    await installation.fill()
    installation.spool.append(installation.request(70, MEHMET, OTHER, tags={"to": MAIL}))
    job = await installation.erase()
    places = {place.name: place for place in msgspec.convert(job.result, Proof).places}
    assert places["traces"].before.mentions == 2
    assert "1 rows of the ledger" in places["ledger"].left[0]
    page = await installation.store.list_traces(ACME, EVERYTHING, None, 1)
    found = await installation.store.get_trace(ACME, page.traces[0].trace_id)
    assert found.trace.tags == {"to": ERASED_TEXT}


async def test_money_rows_stay_under_one_pseudonym(installation: Installation) -> None:
    await installation.fill()
    await installation.collector.collect_once()
    before = await rows_of(installation, select(ledger).order_by(ledger.c.request_id))
    await installation.erase()
    after = await rows_of(installation, select(ledger).order_by(ledger.c.request_id))
    assert [r.cost_nanousd for r in after] == [r.cost_nanousd for r in before]
    names = {row.user_id for row in after if row.tenant_id == ACME}
    (pseudonym,) = [name for name in names if name.startswith(ERASED)]
    assert names == {pseudonym, MEHMET, ""}
    assert sum(row.user_id == pseudonym for row in after) == 13


async def test_a_worker_goes_on_with_its_segment_and_nothing_is_counted_twice(
    installation: Installation,
) -> None:
    await installation.fill()
    await installation.erase()
    assert installation.spool.append(installation.request(40, MEHMET, OTHER))
    collected = await installation.collector.collect_once()
    assert (collected.stored, collected.rejected, collected.duplicate) == (1, 0, 0)
    installation.spool.close()
    collected = await installation.collector.collect_once()
    assert (collected.stored, collected.rejected, collected.duplicate) == (0, 0, 0)
    account = await installation.collector.account()
    assert account.is_balanced


async def test_the_proof_counts_and_is_whole_and_names_nobody(installation: Installation) -> None:
    await installation.fill()
    job = await installation.erase()
    proof = msgspec.convert(job.result, Proof)
    data = encoded(proof)
    assert (installation.folder / "proofs" / f"{job.id}.json").read_bytes() == data
    assert verify(data, proof.public_key) == proof
    assert is_about(proof, SUBJECT)
    assert not is_about(proof, Subject(user=MEHMET, texts=(MAIL,)))
    assert AYSE.encode() not in data
    places = {place.name: place for place in proof.places}
    assert set(places) == PLACES
    assert places["traces"].before.own["traces"] == 15
    assert places["traces"].before.mentions == 1
    assert places["responses"].before.own == {"responses": 2}
    assert places["responses"].before.mentions == 1
    assert places["files"].before.own == {"lines": 6}
    assert places["spool"].before.own["records"] == 15
    assert places["spool"].before.own["damaged files"] == 1
    assert places["ledger"].before.own == {"rows": 13}
    for place in proof.places:
        assert (place.after.own, place.after.mentions) == ({}, 0), place.name
    for old, new in ((b'"traces": 15', b'"traces": 14'), (proof.tenant.encode(), b"globex")):
        with pytest.raises(BadRequest, match="changed after it was signed"):
            verify(data.replace(old, new, 1))
    with pytest.raises(BadRequest, match="Another installation"):
        verify(data, b64encode(bytes(32)).decode())


async def test_neither_the_job_nor_the_audit_log_names_the_person(
    installation: Installation,
) -> None:
    await installation.fill()
    job = await installation.erase()
    assert job.arguments == {}
    said = str(await rows_of(installation, select(jobs))) + str(
        await rows_of(installation, select(audit_log))
    )
    assert "privacy.erase" in said
    assert "privacy.erased" in said
    assert AYSE not in said
    assert MAIL not in said


async def test_a_dry_run_counts_and_changes_nothing(installation: Installation) -> None:
    await installation.fill()
    before = installation.where(SAID)
    job = await installation.erase(is_dry_run=True)
    assert job.result is not None
    counts = msgspec.convert(job.result["places"], dict[str, Found])
    assert counts["traces"].own["traces"] == 15
    assert set(installation.where(SAID)) >= set(before)
    again = await installation.erase()
    assert msgspec.convert(again.result, Proof).places[-1].before.own["traces"] == 15


@pytest.mark.parametrize("killed_after", range(1, 14))
async def test_an_erasure_killed_anywhere_is_finished_by_the_next_try(
    installation: Installation, killed_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if installation.engine.dialect.name != "sqlite" and killed_after % 4:
        pytest.skip("the places are the same on both databases; three kills are enough there")

    class Killed(BaseException):
        """Stands for the end of the process: nothing catches it."""

    from santral.jobs.runner import LeaseHold

    reports = 0
    report = LeaseHold.report

    async def die(self: LeaseHold, *args: Any, **fields: Any) -> None:
        nonlocal reports
        reports += 1
        if reports == killed_after:
            raise Killed
        await report(self, *args, **fields)

    await installation.fill()
    by = local_operator()
    job = await start_erasure(installation.engine, ACME, SUBJECT, installation.now, by=by)
    with monkeypatch.context() as patch:
        patch.setattr(LeaseHold, "report", die)
        with contextlib.suppress(BaseExceptionGroup):
            await installation.runner().run_one(job.id)
    seen = await queue.get_job(installation.engine, job.id)
    if reports == killed_after:
        assert seen.state == "running"
    installation.now += timedelta(seconds=LEASE_S + 1)
    done = await installation.runner().run_one(job.id)
    assert done.state == "done"
    assert installation.where(SAID, MAIL) == []
    proof = msgspec.convert(done.result, Proof)
    verify(encoded(proof))
    assert all(not place.after.own for place in proof.places)


async def test_what_is_left_to_do_after_the_person_is_forgotten_is_done_by_the_next_try(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Stands for the end of the process."""

    async def die(*asked: object) -> None:
        raise Killed

    await installation.fill()
    by = local_operator()
    job = await start_erasure(installation.engine, ACME, SUBJECT, installation.now, by=by)
    with monkeypatch.context() as patch:
        patch.setattr(erase_module, "rewrite", die)
        with pytest.raises(BaseExceptionGroup):
            await installation.runner().run_one(job.id)
    seen = await queue.get_job(installation.engine, job.id)
    assert (seen.state, seen.arguments) == ("running", {})
    installation.now += timedelta(seconds=LEASE_S + 1)
    done = await installation.runner().run_one(job.id)
    proof = msgspec.convert(done.result, Proof)
    assert {place.name: place.before.own for place in proof.places}["ledger"] == {"rows": 13}
    assert installation.where(SAID, MAIL) == []


async def test_a_batch_under_way_stops_an_erasure_before_it_has_changed_anything(
    installation: Installation,
) -> None:
    await installation.fill()
    batch = installation.put_batch("in_progress", {"x": (AYSE, SAID)})
    job = await installation.erase()
    assert job.state == "failed"
    assert batch.id in job.error
    page = await installation.store.list_traces(ACME, EVERYTHING, None, 100)
    assert len(page.traces) == 24
    installation.cabinet.put_batch(batch.moved("cancelled", 3))
    assert (await installation.erase()).state == "done"
    assert installation.where(SAID, MAIL) == []


async def test_a_shared_session_is_not_one_persons(installation: Installation) -> None:
    await installation.fill()
    installation.spool.append(installation.request(50, MEHMET, OTHER, session="kanarya-session"))
    job = await installation.erase()
    proof = msgspec.convert(job.result, Proof)
    assert {p.name: p for p in proof.places}["traces"].before.own["traces"] == 13
    page = await installation.store.list_traces(ACME, EVERYTHING, None, 100)
    assert len(page.traces) == 12  # two that name nobody, nine and one of another


async def test_what_the_person_asks_for_meanwhile_is_in_the_proof_as_left(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    erase = Traces.erase

    async def late(self: Traces, tenant_id: TenantId, subject: Subject) -> None:
        await erase(self, tenant_id, subject)
        assert installation.spool.append(installation.request(60, AYSE, SAID))

    await installation.fill()
    with monkeypatch.context() as patch:
        patch.setattr(Traces, "erase", late)
        job = await installation.erase()
    places = {place.name: place for place in msgspec.convert(job.result, Proof).places}
    assert places["spool"].after.own == {"records": 1}
    assert places["traces"].after.own == {}
    again = await installation.erase()
    places = {place.name: place for place in msgspec.convert(again.result, Proof).places}
    assert places["traces"].before.own["traces"] == 1
    assert installation.where(SAID) == []


def test_a_text_too_short_or_nobody_is_refused() -> None:
    with pytest.raises(BadRequest, match="Say whom"):
        subject_of("", [], [])
    with pytest.raises(BadRequest, match="at least 4 characters"):
        subject_of("ayse", [], ["ay"])


async def test_the_database_keeps_no_trace_of_the_job_in_its_pages(
    installation: Installation,
) -> None:
    if installation.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL's files are the server's")
    await installation.fill()
    await installation.erase()
    async with reading(installation.engine) as conn:
        assert (await conn.execute(text("PRAGMA integrity_check"))).scalar_one() == "ok"
    assert installation.where(MAIL) == []
