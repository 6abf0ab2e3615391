"""Pages of virtual keys: list, issue, change, rotate, revoke; a key's text is shown once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from fastapi import Response
from msgspec import UNSET
from msgspec.structs import replace

from santral.console.frame import Frame, Visit
from santral.console.pick import pick_role, pick_tenant, tenant_choices
from santral.errors import BadRequest
from santral.tenants import issue
from santral.tenants.issue import KeyTerms
from santral.tenants.permission import ROLES
from santral.tenants.scope import SCOPES
from santral.tenants.tenant import VirtualKey

_HOUR_S = 3600


class KeyPages:
    """The pages over virtual keys."""

    def __init__(self, frame: Frame) -> None:
        frame.show("/keys", self.list)
        frame.act("/keys", self.create, self.list)
        frame.show("/keys/{id}", self.one)
        frame.act("/keys/{id}/change", self.change, self.one)
        frame.act("/keys/{id}/rotate", self.rotate, self.one)
        frame.act("/keys/{id}/revoke", self.revoke, self.one)

    async def list(self, visit: Visit) -> Response:
        """The keys of one tenant, and the form that issues one."""
        choices = await tenant_choices(visit, "keys.read")
        tenant = pick_tenant(visit, choices, "keys.read")
        known = await issue.list_keys(visit.engine, tenant, visit.now, by=visit.principal)
        return visit.page(
            "keys.html",
            tenant=tenant,
            choices=choices,
            rows=[(k.key, k.last_used_at, state_of(k.key, visit.now)) for k in known],
            may_issue=visit.principal.may("keys.write", tenant),
            **_form_values(visit),
        )

    async def create(self, visit: Visit) -> Response:
        """Issue a key; the answer is the only page where its text stands."""
        tenant = visit.form("tenant")
        made = await issue.create_key(
            visit.engine,
            visit.rng,
            tenant,
            visit.form("name"),
            visit.now,
            by=visit.principal,
            terms=_terms(visit),
        )
        return visit.page("key_issued.html", issued=made, former_until=None)

    async def one(self, visit: Visit) -> Response:
        """One key, and what can be done with it."""
        found = await issue.show_key(visit.engine, visit.place("id"), visit.now, by=visit.principal)
        return visit.page(
            "key.html",
            key=found.key,
            last_used_at=found.last_used_at,
            state=state_of(found.key, visit.now),
            may_change=visit.principal.may("keys.write", found.key.tenant_id),
            longest_hours=int(issue.LONGEST_OVERLAP.total_seconds()) // _HOUR_S,
            **_form_values(visit),
        )

    async def change(self, visit: Visit) -> Response:
        """Change what a key is for."""
        id_ = visit.place("id")
        known = await issue.show_key(visit.engine, id_, visit.now, by=visit.principal)
        terms = _terms(visit, name=visit.form("name"))
        if visit.form("expires_on") == last_day(known.key):  # to the day: its hour stays as it is
            terms = replace(terms, expires_at=UNSET)
        await issue.update_key(visit.engine, id_, terms, visit.now, by=visit.principal)
        return visit.done("done_changed", f"/keys/{quote(id_, safe='')}")

    async def rotate(self, visit: Visit) -> Response:
        """Give a key a new text; the former one works on for as long as is said."""
        hours = visit.form.number("overlap_hours") or 0.0
        made = await issue.rotate_key(
            visit.engine,
            visit.rng,
            visit.place("id"),
            visit.now,
            by=visit.principal,
            overlap=_hours(hours),
        )
        until = made.key.previous_expires_at
        return visit.page("key_issued.html", issued=made, former_until=until)

    async def revoke(self, visit: Visit) -> Response:
        """End a key."""
        ended = await issue.revoke_key(
            visit.engine, visit.place("id"), visit.now, by=visit.principal
        )
        return visit.done("done_revoked", "/keys", tenant=ended.tenant_id)


def state_of(key: VirtualKey, now: datetime) -> str:
    """Return whether a key is in force: ``on``, ``revoked``, ``expired``, or ``off`` with its owner."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    return "on" if key.is_user_active else "off"


def last_day(key: VirtualKey) -> str:
    """Return the last day on which a key is good, in UTC; empty where it does not end."""
    end = key.expires_at
    return "" if end is None else (end - timedelta(microseconds=1)).date().isoformat()


def _terms(visit: Visit, **changes: str) -> KeyTerms:
    """Return what the form says a key is for; an empty field takes the bound away."""
    form = visit.form
    role = form.optional("role")
    return KeyTerms(
        routes=form.every("routes") or None,
        models=form.every("models") or None,
        networks=form.every("networks") or None,
        scopes=form.every("scopes") or None,
        groups=form.every("groups"),
        names_groups=form("names_groups") == "yes",
        expires_at=_end(form.optional("expires_on")),
        owner=form.optional("owner"),
        role=pick_role(role) if role else None,
        role_over=(form.optional("role_over") if role else None),
        **changes,
    )


def _end(text: str | None) -> datetime | None:
    """Return the end of a day, in UTC."""
    if text is None:
        return None
    try:
        day = datetime.fromisoformat(text[:10]).replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest(
            f"'{text[:20]}' is not a day: write 2026-12-31.", param="expires_on"
        ) from None
    return day + timedelta(days=1)


def _hours(hours: float) -> timedelta:
    try:
        return timedelta(hours=hours)
    except (OverflowError, ValueError):
        raise BadRequest("An overlap is a number of hours.", param="overlap_hours") from None


def _form_values(visit: Visit) -> dict[str, Any]:
    chosen = visit.form.every("scopes") if visit.trouble else None
    today = visit.now.date().isoformat()
    return {
        "roles": ROLES,
        "scopes": SCOPES,
        "today": today,
        "chosen": chosen,
        "last_day": last_day,
    }
