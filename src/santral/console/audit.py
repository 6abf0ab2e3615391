"""Pages of the audit log: who did what, with filters, and whether the chain holds."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import msgspec
from fastapi import Response

from santral.audit.entry import Entry
from santral.audit.history import list_entries, show_entry
from santral.audit.store import Question
from santral.audit.verify import verify
from santral.audit.witness import Witness
from santral.console.frame import Frame, Visit
from santral.errors import BadRequest, NotFound, Overloaded
from santral.tenants.permission import Principal
from santral.tenants.tenant import EVERYWHERE, TenantId

#: Rows of a page. Chosen.
_PAGE = 50
#: How long a page waits for the walk over the whole log; beyond it, the command line does it. Chosen.
_WALK_S = 30.0
#: What can be chosen at once; any other act can be written. ``x.`` is all that begin so.
ACTIONS = ("sessions.", "tenants.", "keys.", "users.", "limits.", "secrets.", "privacy.", "jobs.",
           "audit.", "guardrails.")  # fmt: skip


class AuditPages:
    """The pages over the audit log."""

    def __init__(self, frame: Frame) -> None:
        self._witness = Witness(frame.config.data.folder)
        frame.show("/audit", self.list)
        frame.show("/audit/{number}", self.one)
        frame.act("/audit/verify", self.verify, self.list)

    async def list(self, visit: Visit) -> Response:
        """The latest rows that may be read, with filters."""
        visit.principal.require_somewhere("audit.read")
        found = await list_entries(visit.engine, _question(visit))
        names = ("tenant", "actor", "action", "object", "since", "until")
        return visit.page(
            "audit.html",
            entries=found[:_PAGE],
            next_before=found[_PAGE - 1].number if len(found) > _PAGE else None,
            filters={name: visit.asked(name) for name in names},
            is_filtered=any(visit.asked(name) for name in names),
            is_first=not visit.asked("before"),
            actions=ACTIONS,
            may_verify=visit.principal.may("audit.read", EVERYWHERE),
            changes=changes,
        )

    async def one(self, visit: Visit) -> Response:
        """One row, whole."""
        visit.principal.require_somewhere("audit.read")
        number = visit.place("number")
        if not number.isascii() or not number.isdigit() or len(number) > 18:
            raise NotFound(f"There is no row '{number[:20]}' in the audit log.")
        visible = visit.principal.tenants("audit.read")
        entry = await show_entry(visit.engine, int(number), visible)
        return visit.page(
            "audit_entry.html", entry=entry, before=_json(entry.before), after=_json(entry.after)
        )

    async def verify(self, visit: Visit) -> Response:
        """Walk the whole chain and say whether it holds."""
        visit.principal.require("audit.read", EVERYWHERE)
        try:
            async with asyncio.timeout(_WALK_S):
                finding = await verify(visit.engine, self._witness.sightings())
        except TimeoutError:
            raise Overloaded(
                f"The log is longer than a page can walk in {_WALK_S:.0f} s. Verify it on the command "
                "line: santral audit verify"
            ) from None
        return visit.page("audit_verified.html", finding=finding)


def changes(entry: Entry) -> list[tuple[str, str, str]]:
    """Return what an act changed, short: field, before, after."""
    before, after = entry.before or {}, entry.after or {}
    return [
        (name, _short(before.get(name)), _short(after.get(name)))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _question(visit: Visit) -> Question:
    before = visit.asked("before")
    if before and not (before.isascii() and before.isdigit() and len(before) < 19):
        raise BadRequest(f"'{before[:20]}' is no number of a row.", param="before")
    until = _day(visit.asked("until"), "until")
    return Question(
        tenants=_visible(visit.principal, visit.asked("tenant")),
        actor=visit.asked("actor"),
        action=visit.asked("action"),
        object=visit.asked("object"),
        since=_day(visit.asked("since"), "since"),
        until=None if until is None else until + timedelta(days=1),
        before=int(before) if before else None,
        limit=_PAGE + 1,
    )


def _visible(principal: Principal, tenant: str) -> Collection[str] | None:
    if not tenant:
        return principal.tenants("audit.read")
    principal.require("audit.read", TenantId(tenant))
    return {tenant}


def _day(text: str, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text[:10]).replace(tzinfo=UTC) if text else None
    except ValueError:
        raise BadRequest(f"'{text[:20]}' is not a day: write 2026-11-22.", param=name) from None


def _short(value: object) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:59] + "…"


def _json(values: object) -> str:
    return (
        ""
        if values is None
        else msgspec.json.format(msgspec.json.encode(values), indent=2).decode()
    )
