"""Pages of monitors: what drifts, in which part of the traffic, and which requests show it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import Response

from santral.console.frame import Frame, Visit
from santral.console.pick import tenant_choices
from santral.evals.drift import keep
from santral.evals.drift.monitor import USUAL
from santral.evals.drift.signals import KNOWN
from santral.evals.drift.words import told
from santral.tenants.tenant import TenantId

#: How grave a verdict is, for the badge.
TONE = {"drift": "bad", "suspect": "warn", "steady": "good", "not_enough_data": "dim"}


class MonitorPages:
    """The pages over monitors."""

    def __init__(self, frame: Frame) -> None:
        frame.show("/monitors", self.list)
        frame.show("/monitors/{tenant}/{name}", self.one)
        frame.act("/monitors", self.create, self.list)
        frame.act("/monitors/{tenant}/{name}/look", self.look, self.one)
        frame.act("/monitors/{tenant}/{name}/rest", self.rest, self.one)
        frame.act("/monitors/{tenant}/{name}/delete", self.delete, self.one)

    async def list(self, visit: Visit) -> Response:
        """Every monitor that may be seen, and a form for another."""
        visit.principal.require_somewhere("evals.read")
        writable = visit.principal.tenants("evals.run")
        may_run = writable is None or bool(writable)
        return visit.page(
            "monitors.html",
            monitors=await keep.list_monitors(visit.engine, by=visit.principal),
            may_run=may_run,
            choices=await tenant_choices(visit, "evals.run") if may_run else [],
            signals=list(KNOWN),
            usual=USUAL,
        )

    async def one(self, visit: Visit) -> Response:
        """One monitor and what it found lately."""
        tenant, name = visit.place("tenant"), visit.place("name")
        monitor, findings = await keep.findings_of(visit.engine, tenant, name, by=visit.principal)
        return visit.page(
            "monitor.html",
            monitor=monitor,
            findings=findings,
            latest=findings[0] if findings else None,
            tone=TONE,
            told=told,
            may_run=visit.principal.may("evals.run", TenantId(monitor.tenant_id)),
        )

    async def create(self, visit: Visit) -> Response:
        """Make a monitor."""
        form = visit.form
        given: dict[str, Any] = {"signals": form.every("signals") or list(USUAL)}
        given |= {key: form(key) for key in ("route",) if form(key)}
        given |= {key: _number(form(key)) for key in ("current_hours", "every_hours") if form(key)}
        made = await keep.create_monitor(
            visit.engine, form("tenant"), form("name"), given, visit.now, by=visit.principal
        )
        return visit.done("done_created", _place(made.tenant_id, made.name))

    async def look(self, visit: Visit) -> Response:
        """Look now; the job says how far it is."""
        tenant, name = visit.place("tenant"), visit.place("name")
        job = await keep.start_look(visit.engine, tenant, name, visit.now, by=visit.principal)
        return visit.done("done_started", f"/jobs/{quote(job.id, safe='')}")

    async def rest(self, visit: Visit) -> Response:
        """Pause, or go on."""
        tenant, name = visit.place("tenant"), visit.place("name")
        is_paused = visit.form("is_paused") == "yes"
        await keep.pause_monitor(
            visit.engine, tenant, name, is_paused, visit.now, by=visit.principal
        )
        return visit.done("done_changed", _place(tenant, name))

    async def delete(self, visit: Visit) -> Response:
        """Delete a monitor and what it found."""
        tenant, name = visit.place("tenant"), visit.place("name")
        await keep.delete_monitor(visit.engine, tenant, name, by=visit.principal)
        return visit.done("done_deleted", "/monitors")


def _place(tenant: str, name: str) -> str:
    return f"/monitors/{quote(tenant, safe='')}/{quote(name, safe='')}"


def _number(text: str) -> float | str:
    """Return a number, or the text for ``settings_from`` to refuse."""
    try:
        return float(text)
    except ValueError:
        return text
