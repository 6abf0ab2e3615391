"""Runs one target over its examples: asks, scores and keeps, with bounds on speed, width and money."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec
from msgspec import Struct

from santral.errors import SantralError
from santral.evals.answer import Answer, Ask
from santral.evals.evaluator import Case, Evaluator, Score
from santral.evals.pace import Purse, Sleep
from santral.evals.question import Item
from santral.evals.run import Sample

#: How often a question is put again whose answer may come the next time, and the pause before the
#: first; it doubles. Chosen: a minute's limit of a provider is over after the last.
TRIES, FIRST_PAUSE_S = 4, 5.0

#: Errors that the same question may not meet the next time. What only another deployment could answer
#: is not among them: the route has tried that.
RETRYABLE = frozenset(
    {
        "timeout",
        "unreachable",
        "gateway_overloaded",
        "limits_unavailable",
        "store_unavailable",
        "provider_unreachable",
        "provider_timeout",
        "provider_rate_limited",
        "provider_failed",
        "provider_garbled",
        "concurrent_requests_exceeded",
        "requests_per_second_exceeded",
        "requests_per_minute_exceeded",
        "tokens_per_minute_exceeded",
    }
)

SampleKey: TypeAlias = tuple[str, int]


class Told(Struct, frozen=True):
    """How far a run is."""

    done: int
    total: int
    spent_nanousd: int
    failed: int


Tell: TypeAlias = Callable[[Told], None]
Known: TypeAlias = Callable[[Item], Answer | None]
#: Gives every score of a case; raises nothing.
ScoreCase: TypeAlias = Callable[[Sequence[Evaluator], Case], Awaitable[list[Score]]]


class Keep(Protocol):
    """Keeps samples as they come: what it has returned from outlives a kill."""

    async def __call__(self, sample: Sample, key: str) -> None:
        """Keep a sample, and its answer under ``key`` where that is one to take again."""
        ...


class Outcome(Struct, frozen=True, kw_only=True):
    """The samples of a target, in order, and why some are missing."""

    samples: list[Sample]
    stop_reason: str = ""


class Runner(Struct, frozen=True, kw_only=True):
    """What a target is run with.

    ``known`` gives an answer that need not be asked for: recorded, or paid for once. ``others`` are those
    of the baseline, for evaluators that compare two.
    """

    ask: Ask
    evaluators: Sequence[Evaluator]
    score: ScoreCase
    keep: Keep
    purse: Purse
    concurrency: int = 8
    known: Known = lambda _: None
    others: Mapping[SampleKey, Answer] = {}
    tell: Tell = lambda _: None
    sleep: Sleep = asyncio.sleep
    tags: Mapping[str, str] = {}

    async def run(self, items: Sequence[Item], done: Mapping[SampleKey, Sample]) -> Outcome:
        """Do every item that is not done; an answer that may come another time is asked for again.

        Raises:
            SantralError: what would go wrong with every question; what was kept stays.
        """
        under_way = _UnderWay(self, items, done)
        try:
            await under_way.first()  # alone: what it costs, and whether anything answers at all
            async with asyncio.TaskGroup() as group:
                for _ in range(self.concurrency):
                    group.create_task(under_way.work())
        except* SantralError as failures:
            raise first_of(failures) from None
        return under_way.outcome()


def is_retryable(answer: Answer) -> bool:
    """Whether the same question may be answered another time."""
    return answer.error in RETRYABLE


class _UnderWay:
    """One run while it lasts."""

    def __init__(
        self, runner: Runner, items: Sequence[Item], done: Mapping[SampleKey, Sample]
    ) -> None:
        self._runner = runner
        self._items = items
        self._samples = {
            key: sample for key, sample in done.items() if not is_retryable(sample.answer)
        }
        self._todo = deque(item for item in items if _key_of(item) not in self._samples)
        self._stop_reason = ""

    async def first(self) -> None:
        self._tell()
        await self._next()

    async def work(self) -> None:
        while await self._next():
            pass

    def outcome(self) -> Outcome:
        keys = (_key_of(item) for item in self._items)
        found = [self._samples[key] for key in keys if key in self._samples]
        return Outcome(samples=found, stop_reason=self._stop_reason)

    async def _next(self) -> bool:
        """Do one item; return whether there may be another."""
        if not self._todo or self._stop_reason:
            return False
        self._stop_reason = self._runner.purse.refusal
        if self._stop_reason:
            return False
        item = self._todo.popleft()
        with self._runner.purse.under_way():
            sample = await self._sample(item)
        self._runner.purse.count(sample)
        await self._runner.keep(sample, item.key)
        self._samples[_key_of(item)] = sample
        self._tell()
        return True

    async def _sample(self, item: Item) -> Sample:
        runner = self._runner
        answer = runner.known(item)
        if answer is None:
            answer = await self._asked(item)
        else:
            answer = msgspec.structs.replace(answer, is_replayed=True)
        case = Case(
            example=item.example,
            answer=answer,
            repeat=item.repeat,
            other=runner.others.get(_key_of(item)),
        )
        return Sample(
            example_id=item.example.id,
            example_hash=item.example_hash,
            repeat=item.repeat,
            answer=answer,
            scores=list(await runner.score(runner.evaluators, case)),
        )

    async def _asked(self, item: Item) -> Answer:
        runner = self._runner
        tags = {
            **runner.tags,
            "eval_example": item.example.id[:128],
            "eval_repeat": str(item.repeat),
        }
        question = msgspec.structs.replace(item.question, tags=tags)
        for attempt in range(TRIES):
            answer = await runner.ask(question)
            if not is_retryable(answer) or attempt == TRIES - 1:
                return answer
            await runner.sleep(FIRST_PAUSE_S * 2**attempt)
        raise AssertionError("unreachable")  # the last attempt returns

    def _tell(self) -> None:
        failed = sum(bool(sample.answer.error) for sample in self._samples.values())
        done, total = len(self._samples), len(self._items)
        self._runner.tell(Told(done, total, self._runner.purse.spent_nanousd, failed))


def _key_of(item: Item) -> SampleKey:
    return item.example.id, item.repeat


def first_of(failures: BaseExceptionGroup[Any]) -> BaseException:
    """Return the first error of a group of tasks, however deep it lies."""
    error: BaseException = failures
    while isinstance(error, BaseExceptionGroup):
        inner: tuple[BaseException, ...] = error.exceptions  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        error = inner[0]
    return error
