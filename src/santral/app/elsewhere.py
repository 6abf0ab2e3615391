"""A gateway at an address: what evaluations ask where a server runs already."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation

import aiohttp
import msgspec

from santral.app.answered import answer_of, body_of
from santral.evals.answer import Answer, Ask, Question


@asynccontextmanager
async def asked_server(url: str, key: str) -> AsyncGenerator[Ask]:
    """Ask the gateway at ``url`` with a virtual key.

    It says less than one in this process: which passages an answer was given stays with it, and its
    answers carry the documents that they cite alone.
    """
    headers = {"authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, trust_env=True) as session:

        async def ask(question: Question) -> Answer:
            started = time.perf_counter()
            try:
                answer = await _post(session, url, question)
            except TimeoutError:
                answer = Answer(
                    error="timeout",
                    error_message=f"No answer came within {question.timeout_s:g} s.",
                )
            except (aiohttp.ClientError, OSError) as error:
                answer = Answer(error="unreachable", error_message=f"{url}: {error}")
            took_us = int((time.perf_counter() - started) * 1e6)
            return msgspec.structs.replace(answer, latency_us=took_us)

        yield ask


async def _post(session: aiohttp.ClientSession, url: str, question: Question) -> Answer:
    async with asyncio.timeout(question.timeout_s):
        address = f"{url.rstrip('/')}/v1/chat/completions"
        async with session.post(address, json=body_of(question)) as reply:
            answer = answer_of(reply.status, await reply.read(), None)
            return _with_headers(answer, reply.headers)


def _with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    return msgspec.structs.replace(
        answer,
        hides_passages=True,
        trace_id=headers.get("x-santral-trace-id", ""),
        deployment=headers.get("x-santral-deployment", ""),
        cache=headers.get("x-santral-cache", "off"),
        cost_nanousd=_nanousd(headers.get("x-santral-cost-usd", "")),
    )


def _nanousd(text: str) -> int | None:
    """Return an amount of a header, or None where it says nothing or that it is not known."""
    try:
        return int(Decimal(text) * 1_000_000_000)
    except InvalidOperation:
        return None
