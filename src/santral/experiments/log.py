"""The decision log: what changed about an experiment, why, and by whom."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from santral.audit.note import Actor, note
from santral.db.engine import Connection
from santral.db.store import bump_revision
from santral.experiments import store
from santral.experiments.made import ExperimentEvent, StoredExperiment, written


async def keep_changed(
    conn: Connection,
    made: StoredExperiment,
    kind: str,
    evidence: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> StoredExperiment:
    """Keep what changed, tell workers, and write the decision down with what it rests on."""
    await store.update_experiment(
        conn, made.tenant_id, made.name, made.state, written(made.config), made.now,
        made.started_at, made.ended_at,
    )  # fmt: skip
    await bump_revision(conn)
    await note_event(conn, made, kind, evidence, actor, now)
    return made


async def note_event(
    conn: Connection,
    made: StoredExperiment,
    kind: str,
    evidence: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> None:
    number = await store.last_event_number(conn, made.tenant_id, made.name) + 1
    event = ExperimentEvent(
        id=f"exe_{secrets.token_hex(16)}",
        number=number,
        kind=kind,
        evidence=dict(evidence),
        actor=actor.name,
        at=now,
    )
    await store.insert_event(conn, made.tenant_id, made.name, event)
    await note(
        conn, actor, f"experiments.{_AUDITED[kind]}", f"experiment:{made.name}",
        tenant_id=made.tenant_id, after={"state": made.state, **dict(evidence)},
    )  # fmt: skip


#: What the audit log calls each kind of event.
_AUDITED = {
    "created": "create",
    "started": "start",
    "resumed": "start",
    "ramped": "ramp",
    "paused": "pause",
    "stopped": "stop",
    "weighted": "weigh",
    "decided": "decide",
}
