"""Where the command line gets traces from: the running control process, or the file of a stopped one."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import msgspec

from santral.config.schema import Config
from santral.errors import NotAllowed, NotFound, SantralError, StoreError, Unauthenticated
from santral.traces.question import (
    BilledAttempt,
    Cursor,
    Filters,
    FoundTrace,
    TracePage,
    parse_since,
)

T = TypeVar("T")

#: Seconds to wait for the control process. Chosen: a list takes milliseconds.
_TIMEOUT_S = 15.0
KEY_VARIABLE = "SANTRAL_ADMIN_KEY"
STORE_FILE = "telemetry.duckdb"


class Source(Protocol):
    """Answers questions about traces."""

    def list_traces(self, filters: Mapping[str, str]) -> TracePage: ...

    def get_trace(self, trace_id: str) -> FoundTrace: ...

    def billed(
        self, tenant: str | None, since_us: int, until_us: int, limit: int
    ) -> list[BilledAttempt]: ...


def choose_source(config: Config, env: Mapping[str, str], url: str, key: str) -> Source:
    """Return the control process if it answers, else the store's own file, opened read-only.

    Raises:
        StoreError: nothing runs there, and there is no file either.
    """
    address = url or _address(config)
    if url or _is_listening(address):
        return ControlProcess(address, key or env.get(KEY_VARIABLE, ""))
    path = config.data.folder / STORE_FILE
    if not path.is_file():
        raise StoreError(
            f"Nothing answers at {address}, and there is no telemetry store at {path}. Start one "
            "with: santral serve"
        )
    return StoppedStore(path)


class ControlProcess:
    """Asks ``/api/traces`` of a running control process."""

    def __init__(self, address: str, key: str) -> None:
        self._address = address.rstrip("/")
        self._key = key

    def list_traces(self, filters: Mapping[str, str]) -> TracePage:
        query = urllib.parse.urlencode({k: v for k, v in filters.items() if v})
        return msgspec.json.decode(self.get(f"/api/traces?{query}"), type=TracePage)

    def get_trace(self, trace_id: str) -> FoundTrace:
        path = f"/api/traces/{urllib.parse.quote(trace_id, safe='')}"
        return msgspec.json.decode(self.get(path), type=FoundTrace)

    def billed(
        self, tenant: str | None, since_us: int, until_us: int, limit: int
    ) -> list[BilledAttempt]:
        window = {"since_us": since_us, "until_us": until_us, "limit": limit}
        query = urllib.parse.urlencode({**window, **({"tenant": tenant} if tenant else {})})
        return msgspec.json.decode(
            self.get(f"/api/ledger/attempts?{query}"), type=list[BilledAttempt]
        )

    def get(self, path: str) -> bytes:
        """Return what the admin API answers; raises as it refuses."""
        if not self._key:
            raise Unauthenticated(
                f"The control process at {self._address} wants an admin key. Set {KEY_VARIABLE} "
                "or give --key; the first start of santral serve showed it."
            )
        headers = {"authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(self._address + path, headers=headers)  # noqa: S310 - our own address
        try:
            with _opener().open(request, timeout=_TIMEOUT_S) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            raise _refusal(self._address, error) from error
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise StoreError(
                f"The control process at {self._address} did not answer: {reason}. Start it with "
                "santral serve, or name another with --url."
            ) from error


class StoppedStore:
    """Reads the store's file while no control process holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def list_traces(self, filters: Mapping[str, str]) -> TracePage:
        async def ask(store: Any) -> TracePage:
            meant = Filters(
                since_us=parse_since(filters.get("since", ""), store.clock()),
                until_us=store.clock() + 1,
                route=filters.get("route", ""),
                status=filters.get("status", ""),
                error=filters.get("error", ""),
            )
            before = Cursor.parse(filters["before"]) if filters.get("before") else None
            limit = int(filters.get("limit", "20"))
            return await store.list_traces(filters.get("tenant") or None, meant, before, limit)

        return self.ask(ask)

    def get_trace(self, trace_id: str) -> FoundTrace:
        return self.ask(lambda store: store.get_trace(None, trace_id))

    def billed(
        self, tenant: str | None, since_us: int, until_us: int, limit: int
    ) -> list[BilledAttempt]:
        return self.ask(lambda store: store.billed(tenant, since_us, until_us, limit))

    def ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """Return what a question to the ``TraceStore`` finds."""
        # Imported here: DuckDB costs 33 MB and 70 ms (measured), and most commands never need it.
        from santral.traces.store import TraceStore  # noqa: PLC0415

        async def ask() -> T:
            store = TraceStore(self._path, is_read_only=True)
            try:
                return await question(store)
            finally:
                await store.close()

        return asyncio.run(ask())


def _address(config: Config) -> str:
    host = config.control.host
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a comparison
    return (
        f"http://[{host}]:{config.control.port}"
        if ":" in host
        else f"http://{host}:{config.control.port}"
    )


def _is_listening(address: str) -> bool:
    try:
        with _opener().open(f"{address}/health/live", timeout=_TIMEOUT_S):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that goes straight to the address: proxies are for the outer world."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _refusal(address: str, error: urllib.error.HTTPError) -> SantralError:
    try:
        body = cast(dict[str, Any], json.loads(error.read()))
        message = str(body["error"]["message"])
    except (ValueError, KeyError, TypeError):
        message = (
            f"{address} answered {error.code} and no reason: is it a control process of Santral?"
        )
    kinds: dict[int, type[SantralError]] = {401: Unauthenticated, 403: NotAllowed, 404: NotFound}
    return kinds.get(error.code, StoreError)(message)
