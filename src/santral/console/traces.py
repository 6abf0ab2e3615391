"""Pages of what happened: the overview, the list of traces, one trace."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
from fastapi import Response
from fastapi.responses import RedirectResponse

from santral.console.frame import Frame, Visit
from santral.console.render import HEADERS
from santral.console.view import WIDTH, columns, mark_at, pieces, waterfall
from santral.providers.catalogue.catalogue import catalogue_in
from santral.providers.catalogue.retirement import Retirement, retirements
from santral.tenants.permission import Principal
from santral.tenants.tenant import EVERYWHERE, TenantId
from santral.traces.question import Cursor, Filters, parse_since, shown_to, visible_to
from santral.traces.readable import messages
from santral.traces.signals.signal import FEW
from santral.traces.store import TraceStore

WINDOWS = ("1h", "24h", "7d", "30d")
#: Lines of a list, and of the overview's. Chosen.
_PAGE, _LATEST = 50, 8
#: Stretches of a chart over time. Chosen: bars stay readable on a phone.
_STRETCHES = 48
#: A raw record longer than this is not shown on the page. Chosen.
_MOST_RAW = 400_000


class TracePages:
    """The pages over the trace store."""

    def __init__(self, frame: Frame, store: TraceStore) -> None:
        self._store = store
        self._config = frame.config
        frame.show("/", self.overview)
        frame.show("/traces", self.traces)
        frame.show("/traces/{trace_id}", self.trace)

    async def overview(self, visit: Visit) -> Response:
        """The four golden signals of a window, how they moved, and the latest traces."""
        if not _may_see_any(visit.principal):
            return visit.page("welcome.html")
        window = choice(visit.asked("window"), WINDOWS, "24h")
        route, now_us = visit.asked("route"), self._store.clock()
        whose = visible_to(visit.principal, visit.asked("tenant"))
        since_us = parse_since(window, now_us)
        signals = await self._store.signals(whose, since_us, now_us, route)
        history = await self._store.history(whose, since_us, now_us, _STRETCHES, route)
        meant = Filters(since_us=since_us, until_us=now_us, route=route)
        latest = await self._store.list_traces(whose, meant, None, _LATEST)
        is_new = not signals.total.n and not await self._store.routes(whose, 0)
        return visit.page(
            "overview.html",
            window=window,
            windows=WINDOWS,
            golden=signals.total,
            signals=signals,
            columns=columns(history),
            slowest_us=max((b.p95_us or 0 for b in history), default=0),
            busiest=max((b.n for b in history), default=0),
            chart_width=WIDTH,
            few=FEW,
            latest=latest.traces,
            tenant=visit.asked("tenant"),
            tenants=tenants_of(visit.principal),
            first_steps=self._first_steps() if is_new else None,
            ending=self._ending(now_us) if visit.principal.may("config.read", EVERYWHERE) else [],
        )

    async def traces(self, visit: Visit) -> Response:
        """The list of traces, with filters and pages."""
        if sought := visit.asked("id"):
            return RedirectResponse(f"/traces/{quote(sought, safe='')}", 303, HEADERS)
        window, now_us = choice(visit.asked("window"), WINDOWS, "24h"), self._store.clock()
        whose = visible_to(visit.principal, visit.asked("tenant"))
        filters = Filters(
            since_us=parse_since(window, now_us),
            until_us=now_us + 1,
            route=visit.asked("route"),
            status=visit.asked("status"),
            error=visit.asked("error"),
        )
        before = Cursor.parse(visit.asked("before")) if visit.asked("before") else None
        page = await self._store.list_traces(whose, filters, before, _PAGE)
        names = ("route", "status", "error", "tenant")
        return visit.page(
            "traces.html",
            window=window,
            windows=WINDOWS,
            page=page,
            filters={name: visit.asked(name) for name in names},
            tenants=tenants_of(visit.principal),
            is_filtered=any(visit.asked(name) for name in names),
            is_first=before is None,
            routes=await self._store.routes(whose, filters.since_us),
            statuses=("ok", "error", "4xx", "5xx", "429"),
        )

    async def trace(self, visit: Visit) -> Response:
        """Everything about one trace."""
        trace_id = visit.place("trace_id")[:64]
        found = await self._store.get_trace(visible_to(visit.principal, ""), trace_id)
        record, tenant = found.trace, TenantId(found.trace.tenant_id)
        is_readable = visit.principal.may("payloads.read", tenant)
        payload = record.payload if is_readable else None
        shown = msgspec.structs.replace(record, payload=payload)
        raw = msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()
        cited = frozenset(source.number for source in record.sources)
        return visit.page(
            "trace.html",
            trace=shown,
            others=found.others,
            scores=shown_to(visit.principal, found).scores,
            bars=waterfall(record),
            steps=len(record.spans) + len(record.attempts),
            first_token_at=mark_at(record.ttft_us, record),
            chart_width=WIDTH,
            provider_us=sum(attempt.duration_us for attempt in record.attempts),
            said=list(messages(payload.request)) if payload else [],
            answer=pieces(payload.response, cited) if payload else [],
            is_readable=is_readable,
            raw=raw if len(raw) <= _MOST_RAW else raw[:_MOST_RAW] + "\n…",
        )

    def _ending(self, now_us: int) -> list[Retirement]:
        """Return the deployments whose model its provider ends soon."""
        today = datetime.fromtimestamp(now_us / 1e6, UTC).date()
        return retirements(self._config, catalogue_in(self._config.data.folder), today)

    def _first_steps(self) -> dict[str, str]:
        """Return the commands that make the first trace of this installation."""
        server = self._config.server
        host = "127.0.0.1" if server.host in ("0.0.0.0", "::") else server.host  # noqa: S104
        model = next(iter(self._config.routes), next(iter(self._config.deployments), "extractive"))
        body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
        return {
            "key": "export KEY=$(santral keys create --name my-app)",
            "ask": f"curl http://{host}:{server.port}/v1/chat/completions \\\n"
            '  -H "authorization: Bearer $KEY" -H "content-type: application/json" \\\n'
            f"  -d '{body}'",
            "ingest": "santral ingest ./docs --collection docs",
        }


def tenants_of(principal: Principal) -> list[str] | None:
    """Return the tenants to choose from, where not every one may be seen."""
    visible = principal.tenants("traces.read")
    return None if visible is None else sorted(visible)


def choice(value: str, known: tuple[str, ...], default: str) -> str:
    """Return ``value`` where it is one of ``known``."""
    return value if value in known else default


def _may_see_any(principal: Principal) -> bool:
    visible = principal.tenants("traces.read")
    return visible is None or bool(visible)
