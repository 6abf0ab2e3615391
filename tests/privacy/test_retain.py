"""Retention: what is over its tenant's time is in no file any more; what is not stays."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.privacy.conftest import ACME, GLOBEX, OTHER, SAID, Installation

from santral.config.schema import Config
from santral.db.engine import reading, writing
from santral.errors import BadRequest, NotFound
from santral.jobs import queue
from santral.jobs.job import Job
from santral.privacy.policy import KeepingRule, policy_named, set_keeping, show_keeping
from santral.privacy.retain import RETAIN
from santral.tenants.operator import local_operator
from santral.tenants.store import insert_tenant
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.traces.question import Filters

pytestmark = pytest.mark.anyio

DEFAULTS = Config().telemetry
EVERYTHING = Filters(since_us=0, until_us=2**62, route="", status="", error="")
TEAM = TenantId("acme-team")


async def keep(installation: Installation, tenant: str, **changes: Any) -> KeepingRule:
    return await set_keeping(
        installation.engine, tenant, DEFAULTS, installation.now, by=local_operator(), **changes
    )


def us(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6)


async def retain(installation: Installation) -> Job:
    async with writing(installation.engine) as conn:
        from santral.audit.note import SYSTEM

        job = await queue.start_job(
            conn, os.urandom, RETAIN, EVERYWHERE, {}, installation.now, actor=SYSTEM
        )
    return await installation.runner().run_one(job.id)


async def fill(installation: Installation) -> None:
    """Requests of three tenants, 5 and 50 days old, collected and in an active segment."""
    async with writing(installation.engine) as conn:
        await insert_tenant(conn, ACME, "Acme", installation.now)
        await insert_tenant(conn, TEAM, "Team", installation.now, ACME)
        await insert_tenant(conn, GLOBEX, "Globex", installation.now)
    number = 0
    for tenant in (ACME, TEAM, GLOBEX):
        for days, said in ((5, OTHER), (50, SAID)):
            at = us(installation.now - timedelta(days=days))
            record = installation.request(
                number, "", f"{said}-{tenant}", tenant_id=tenant, started_at_us=at
            )
            assert installation.spool.append(record)
            number += 1
    await installation.collector.collect_once()


async def test_each_tenants_own_time_holds_and_deleted_words_leave_every_file(
    installation: Installation,
) -> None:
    await fill(installation)
    await keep(installation, ACME, retention_days=30)  # holds for its team too
    old = installation.folder / "objects" / ACME / "responses" / "resp_old.json"
    installation.keep_response("resp_old", "", "", f"{SAID}-{ACME}")
    then = (installation.now - timedelta(days=40)).timestamp()
    os.utime(old, (then, then))
    installation.keep_response("resp_new", "", "", OTHER)
    job = await retain(installation)
    assert job.state == "done"
    assert job.result is not None
    assert job.result["removed"]["traces"] == 2
    assert job.result["removed"]["responses"] == 1
    assert job.result["removed"]["spooled"] == 2
    assert installation.where(f"{SAID}-{ACME}", f"{SAID}-{TEAM}") == []
    assert installation.where(f"{SAID}-{GLOBEX}")
    for tenant in (ACME, TEAM, GLOBEX):
        assert installation.where(f"{OTHER}-{tenant}")
        page = await installation.store.list_traces(tenant, EVERYTHING, None, 10)
        assert len(page.traces) == (2 if tenant == GLOBEX else 1)
    assert (await installation.collector.account()).is_balanced


async def test_the_configuration_holds_for_who_says_nothing(installation: Installation) -> None:
    await fill(installation)
    installation.config = Config.model_validate(
        {"data": {"folder": installation.folder}, "telemetry": {"retention_days": 10}}
    )
    await keep(installation, GLOBEX, retention_days=60)
    await retain(installation)
    assert installation.where(f"{SAID}-{ACME}", f"{SAID}-{TEAM}") == []
    assert installation.where(f"{SAID}-{GLOBEX}")


async def test_a_change_is_noted_and_taken_back(installation: Installation) -> None:
    await fill(installation)
    rule = await keep(installation, ACME, payloads="hashes", retention_days=7)
    assert (rule.payloads, rule.retention_days) == ("hashes", 7)
    team = await show_keeping(installation.engine, TEAM, DEFAULTS, by=local_operator())
    assert (team.payloads, team.own_payloads, team.retention_days) == ("hashes", None, 7)
    rule = await keep(installation, ACME, payloads=None)
    assert (rule.payloads, rule.retention_days) == (DEFAULTS.payloads, 7)
    async with reading(installation.engine) as conn:
        from sqlalchemy import select

        from santral.db.tables import audit_log

        rows = (
            await conn.execute(select(audit_log).where(audit_log.c.action == "privacy.keep"))
        ).all()
    assert [row.after for row in rows] == [
        {"payloads": "hashes", "retention_days": 7},
        {"payloads": None},
    ]
    assert rows[1].before == {"payloads": "hashes"}


async def test_what_cannot_be_is_refused(installation: Installation) -> None:
    await fill(installation)
    for days in (0, -1, 40_000):
        with pytest.raises(BadRequest, match="from 1 to"):
            await keep(installation, ACME, retention_days=days)
    with pytest.raises(NotFound, match="There is no tenant 'acne'"):
        await keep(installation, "acne", payloads="none")
    with pytest.raises(BadRequest, match="Did you mean 'redacted'"):
        policy_named("redact")
    assert policy_named("inherit") is None
