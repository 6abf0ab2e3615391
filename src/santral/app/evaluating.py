"""The gateway inside this process: what evaluations ask, with no server and nobody's key.

It is the same path that serves requests, built from the same parts: prompts, guardrails, retrieval,
routing, fallback and limits hold, and every request leaves a trace and a row of the ledger.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec

from santral.app.access import AccessRecord, access_of
from santral.app.answered import answer_of, body_of
from santral.app.catalogue import CataloguePublisher
from santral.app.catalogue_file import catalogue_file
from santral.app.gateway import GatewayProcess
from santral.app.prompts import publish_prompts
from santral.app.prompts_file import prompts_file
from santral.app.publish import read_access
from santral.app.sealing import publish_sealed
from santral.app.station import Station, machine_name
from santral.config.load import LoadedConfig
from santral.config.schema import Config
from santral.config.sealed import sealed_file, sealed_references
from santral.db.engine import Engine
from santral.errors import NotFound
from santral.evals.answer import Answer, Ask, Question
from santral.gateway.context import RequestContext
from santral.quota.limits import default_rules
from santral.tenants.key import NewKey, new_key
from santral.tenants.operator import local_operator
from santral.tenants.organise import create_tenant
from santral.tenants.tenant import DEFAULT_TENANT, KeyId, TenantId, VirtualKey
from santral.traces.record import TraceRecord

#: What the ledger and traces call the key of evaluations.
EVAL_KEY = KeyId("evals")


#: Requests that have ended and whose answers nobody has taken yet. Chosen: more than any suite asks at
#: one time.
_MOST_SEEN = 1_024


class InnerGateway:
    """Asks a gateway in this process, and sees of each request what it was answered from."""

    def __init__(self, process: GatewayProcess, key: NewKey) -> None:
        self._process = process
        self._key = key
        self._seen: dict[str, tuple[RequestContext, TraceRecord]] = {}  # by request

    def witness(self, ctx: RequestContext, record: TraceRecord) -> None:
        """Hear of a request that has ended."""
        self._seen[ctx.request_id] = ctx, record
        if len(self._seen) > _MOST_SEEN:  # of questions that nobody waits for any more
            del self._seen[next(iter(self._seen))]

    async def __call__(self, question: Question) -> Answer:
        """Return what the route answers; see ``Ask``."""
        exchange = _Exchange(msgspec.json.encode(body_of(question)))
        started = time.perf_counter()
        try:
            async with asyncio.timeout(question.timeout_s):
                await self._process.app(exchange.scope(self._key), exchange.receive, exchange.send)
        except TimeoutError:
            return Answer(
                error="timeout",
                error_message=f"No answer came within {question.timeout_s:g} s.",
                latency_us=int((time.perf_counter() - started) * 1e6),
            )
        seen = self._seen.pop(exchange.headers.get("x-request-id", ""), None)
        return answer_of(exchange.status, b"".join(exchange.parts), seen)


@asynccontextmanager
async def opened_gateway(
    loaded: LoadedConfig, engine: Engine, tenant: TenantId
) -> AsyncGenerator[Ask]:
    """Open a gateway for one tenant in this process.

    Limits begin with what the ledger says was used, as in a worker that starts; with limits in Redis
    they are everybody's. A key of its own, which no caller has, may name the groups whose documents
    an example is answered from.

    Raises:
        ConfigError: the configuration, a policy or a prompt cannot be used.
        NotFound: there is no such tenant.
    """
    config = loaded.config
    record = await _access(config, engine, tenant)
    key = new_key(secrets.token_bytes)
    record.keys.append(_eval_key(key, tenant))
    if sealed_references(config):
        await publish_sealed(engine, sealed_file(config))
    await publish_prompts(engine, prompts_file(config))
    await CataloguePublisher(catalogue_file(config), config.data.folder).publish(engine)
    machine = f"{machine_name(os.uname().nodename)}-evals{os.getpid()}"
    process = GatewayProcess(loaded, Station(machine=machine))
    inner = InnerGateway(process, key)
    process.trace.witness = inner.witness
    try:
        await process.prepare(access_of(record))
        failure: Exception | None = None
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(_until_cancelled(job)) for job in process.upkeep()]
            try:
                yield inner
            except Exception as error:  # noqa: BLE001 - whoever asks fails as without the group around it
                failure = error
            finally:
                for task in work:
                    task.cancel()
        if failure is not None:
            raise failure
    finally:
        await process.close()


async def _until_cancelled(work: Callable[[], Awaitable[None]]) -> None:
    await work()


async def _access(config: Config, engine: Engine, tenant: TenantId) -> AccessRecord:
    """Return who may call; a database in which nobody is yet gets the first start's tenant."""
    defaults = default_rules(config.limits)
    record = await read_access(engine, defaults, time.time())
    if not record.tenants and tenant == DEFAULT_TENANT:
        now = datetime.now(UTC)
        await create_tenant(engine, tenant, "Default", now, by=local_operator())
        record = await read_access(engine, defaults, time.time())
    if all(known.id != tenant for known in record.tenants):
        raise NotFound(f"There is no tenant '{tenant}'. List them with: santral tenants list")
    return record


def _eval_key(key: NewKey, tenant: TenantId) -> VirtualKey:
    return VirtualKey(
        id=EVAL_KEY,
        tenant_id=tenant,
        name="evaluations",
        prefix=key.prefix,
        digest=key.digest,
        names_groups=True,
    )


class _Exchange:
    """One request and what comes back, as ASGI wants both."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._length = str(len(body)).encode()
        self._stays = asyncio.Event()
        self.status = 500
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []

    def scope(self, key: NewKey) -> dict[str, Any]:
        return {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "query_string": b"",
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", self._length),
                (b"authorization", b"Bearer " + key.plaintext.encode()),
            ],
        }

    async def receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._stays.wait()  # for ever: whoever asks stays until the answer is there
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in message["headers"]
            }
        else:
            self.parts.append(message.get("body", b""))
