"""What behaviour says of answers: who asks again, and how much of an answer was left standing.

A pass of the control process over what was stored lately. Ids of its scores are made from what they
are about, so a pass that is done again stores nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

from santral.config.feedback import FeedbackConfig
from santral.errors import SantralError
from santral.feedback import store as questions
from santral.feedback.similarity import plain_words, similarity
from santral.feedback.store import Corrected, Repeat
from santral.traces.scores.score import ScoreRecord
from santral.traces.scores.sealed import opened_score
from santral.traces.sealed import open_text
from santral.traces.store import TraceStore

log = logging.getLogger(__name__)

#: How these signals are made: another way gets another number, and begins another series.
VERSION = "1"
#: How far the first pass after a start looks back, and how long a correction waits for its trace, in
#: microseconds. Chosen.
_BACK_US = 3_600_000_000
#: How much of the last pass the next one looks at again, in microseconds: a request is stored when it
#: has ended, and others that began later may have ended before. Chosen: as long as most take.
_AGAIN_US = 120_000_000
#: Pairs and corrections of one pass; the rest is for the next one. Chosen.
_MOST = 2000
#: Characters of a question, and words of an answer, that are compared. Chosen: some milliseconds.
_MOST_CHARS, _MOST_WORDS = 2000, 10_000
#: How a payload that was cut says so: comparing the rest of it would say nothing.
_CUT = "… [cut: "


class ImplicitSignals:
    """Writes the scores ``retry`` and ``edit_similarity``."""

    def __init__(self, store: TraceStore, settings: FeedbackConfig) -> None:
        self._store = store
        self._settings = settings
        self._since_us = 0

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Make a pass every ``feedback.implicit_every_s`` until cancelled."""
        while True:
            try:
                await self.look()
            except SantralError as error:  # the store is down: the next pass looks at the same
                log.warning("signals_not_made", extra={"reason": error.message})
            await sleep(self._settings.implicit_every_s)

    async def look(self) -> int:
        """Make one pass; return how many scores are new.

        Raises:
            StoreError: the store cannot be used.
        """
        return await self._retries() + await self._edits()

    async def _retries(self) -> int:
        until = self._store.clock()
        since = max(self._since_us, until - _BACK_US)
        within = self._settings.retry_window_s * 1_000_000
        pairs = await self._store.ask(
            partial(
                questions.repeats, since_us=since, until_us=until, within_us=within, limit=_MOST
            )
        )
        asked_again = [pair for pair in pairs if await self._is_retry(pair)]
        new = await self._store.insert_scores([_retry(pair) for pair in asked_again])
        is_over = len(pairs) < _MOST
        self._since_us = until - _AGAIN_US if is_over else pairs[-1].next_at_us + 1
        return new

    async def _is_retry(self, pair: Repeat) -> bool:
        first = (pair.tenant_id, pair.trace_id, pair.request_id)
        second = (pair.tenant_id, pair.next_trace_id, pair.next_request_id)
        before, after = pair.request, pair.next_request
        if pair.is_sealed:
            before = await open_text(first, "request", before, self._store.sealer)
        if pair.next_is_sealed:
            after = await open_text(second, "request", after, self._store.sealer)
        asked, asked_again = question_in(before), question_in(after)
        if not asked or not asked_again:
            return False
        alike = await asyncio.to_thread(similarity, asked, asked_again)
        return alike >= self._settings.retry_similarity

    async def _edits(self) -> int:
        since = self._store.clock() - _BACK_US
        found = await self._store.ask(partial(questions.corrected, since_us=since, limit=_MOST))
        scores = [score for one in found if (score := await self._edit(one)) is not None]
        return await self._store.insert_scores(scores)

    async def _edit(self, one: Corrected) -> ScoreRecord | None:
        owner, answer = (one.tenant_id, one.trace_id, one.request_id), one.answer
        if one.answer_is_sealed:
            answer = await open_text(owner, "response", answer, self._store.sealer)
        given = ScoreRecord(
            id=one.score_id,
            tenant_id=one.tenant_id,
            trace_id=one.trace_id,
            name="edit_similarity",
            source="implicit",
            at_us=one.at_us,
            comment=one.words,
            is_sealed=one.is_sealed,
        )
        words = (await opened_score(given, self._store.sealer)).comment
        if not answer or _CUT in answer:
            return None
        value = await asyncio.to_thread(
            similarity, plain_words(answer)[:_MOST_WORDS], plain_words(words)[:_MOST_WORDS]
        )
        return ScoreRecord(
            id=_id("edit_similarity", one.tenant_id, one.score_id),
            tenant_id=one.tenant_id,
            trace_id=one.trace_id,
            name="edit_similarity",
            source="implicit",
            at_us=one.at_us,
            value=round(value, 4),
            rater=one.rater,
            evaluator_version=VERSION,
            session=one.session,
            user=one.user,
        )


def _retry(pair: Repeat) -> ScoreRecord:
    return ScoreRecord(
        id=_id("retry", pair.tenant_id, pair.trace_id),
        tenant_id=pair.tenant_id,
        trace_id=pair.trace_id,
        name="retry",
        source="implicit",
        at_us=pair.next_at_us,
        value=1.0,
        evaluator_version=VERSION,
        session=pair.session,
        user=pair.user,
    )


def _id(*parts: str) -> str:
    return hashlib.sha256("\0".join((VERSION, *parts)).encode()).hexdigest()[:32]


def question_in(request: str) -> str:
    """Return what the user said last, or the hash that stands for it; nothing where it is unknown."""
    try:
        messages = json.loads(request)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(messages, list):
        return ""
    for message in reversed(cast("list[Any]", messages)):
        if isinstance(message, dict):
            fields = cast("dict[str, Any]", message)
            if fields.get("role") == "user":
                said = fields.get("content", fields.get("hash", ""))
                text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
                return " ".join(text.casefold().split())[:_MOST_CHARS]
    return ""
