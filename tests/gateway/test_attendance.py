"""Clients that leave or dawdle are noticed within one look, and nothing of theirs is left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.gateway.worker import KEY, Answer, Worker, part

from santral.gateway.attendance import Attendance, ClientLeft
from santral.gateway.body import read_body
from santral.wire.delta import ChoiceDelta, Delta

BODY = {"model": "plain", "messages": [{"role": "user", "content": "Hello"}]}


def body(**fields: Any) -> bytes:
    return json.dumps(BODY | fields).encode()


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


class Scene:
    """One request in a task, looked at when the test says so."""

    def __init__(self, worker: Worker, clock: Callable[[], float]) -> None:
        self.worker = worker
        self.answer = Answer()
        self.attendance = worker.process._attendance
        self.attendance._clock = clock
        self.left = asyncio.Event()
        self.going_on = asyncio.Event()

    async def play(
        self, data: bytes, then: Callable[[asyncio.Task[None]], Awaitable[None]]
    ) -> None:
        leaving = {"wait": self.left, "type": "http.disconnect"}
        messages: list[dict[str, Any]] = [{"body": data}, leaving]
        await self.run(messages, then)

    async def run(
        self,
        messages: list[dict[str, Any]],
        then: Callable[[asyncio.Task[None]], Awaitable[None]],
    ) -> None:
        async with asyncio.TaskGroup() as watchers:
            self.watchers = watchers
            request = asyncio.ensure_future(self.worker.serve(messages, self.answer))
            await settle()
            await then(request)
            await settle()
        others = asyncio.all_tasks() - {asyncio.current_task(), request}
        assert not others, f"watchers were left behind: {others}"
        assert len(self.attendance) == 0

    def look(self) -> None:
        self.attendance.look(self.watchers)


def begun(scene: Scene) -> list[Delta | Callable[[], Any]]:
    """An answer that begins and then waits."""
    return [part(ChoiceDelta(text="Hello"), role=True), scene.going_on.wait]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_leaves_ends_its_request_within_one_look(
    worker: Worker, stream: bool
) -> None:
    async def main() -> None:
        scene = Scene(worker, Clock())
        worker.provider.will(begun(scene))

        async def leave(request: asyncio.Task[None]) -> None:
            assert (worker.provider.open, worker.open_holds) == (1, 1)
            scene.look()
            await settle()
            scene.left.set()
            await settle()
            assert request.done()
            assert not request.cancelled(), "the server sees an ordinary end"
            assert (worker.provider.open, worker.open_holds) == (0, 0)

        await scene.play(body(stream=stream), leave)

    asyncio.run(main())
    assert worker.record.status == 499
    assert worker.record.error == "client_left"
    assert worker.record.is_cancelled
    attempt = worker.record.attempts[0]
    assert attempt.error == "client_left"
    assert attempt.usage is not None
    assert attempt.usage.is_estimated
    assert attempt.cost_nanousd, "what was produced is billed"


def test_a_request_that_is_quick_gets_no_watcher(worker: Worker) -> None:
    async def main() -> None:
        scene = Scene(worker, Clock())

        async def nothing(request: asyncio.Task[None]) -> None:
            assert request.done()
            scene.look()
            assert len(asyncio.all_tasks()) == 1

        await scene.play(body(), nothing)

    asyncio.run(main())
    assert worker.record.status == 200


def test_a_watcher_ends_with_its_request(worker: Worker) -> None:
    async def main() -> None:
        scene = Scene(worker, Clock())
        worker.provider.will([*begun(scene), part(ChoiceDelta(finish_reason="stop"))])

        async def go_on(request: asyncio.Task[None]) -> None:
            for _ in range(3):
                scene.look()
                await settle()
            assert len(asyncio.all_tasks()) == 3, "one watcher, however often one looks"
            scene.going_on.set()
            await request

        await scene.play(body(stream=True), go_on)
        assert scene.answer.choices[0].text == "Hello"

    asyncio.run(main())


def test_a_slow_body_gets_a_408_and_a_trace(worker: Worker) -> None:
    async def main() -> Answer:
        clock = Clock()
        scene = Scene(worker, clock)
        never = asyncio.Event()
        half: list[dict[str, Any]] = [
            {"body": b'{"model":', "more_body": True},
            {"wait": never, "body": b"1}"},
        ]

        async def dawdle(request: asyncio.Task[None]) -> None:
            scene.look()
            await settle()
            assert not request.done(), "there is time left"
            clock.now += 5.1
            scene.look()
            scene.look()
            await settle()
            assert request.done()

        await scene.run(half, dawdle)
        return scene.answer

    answer = asyncio.run(main())
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert "5 s" in answer.error["message"]
    assert (worker.record.status, worker.record.payload) == (408, None)


@pytest.mark.parametrize("has_left", [False, True])
def test_a_request_cancelled_by_the_server_stays_cancelled(worker: Worker, has_left: bool) -> None:
    async def main() -> None:
        scene = Scene(worker, Clock())
        worker.provider.will(begun(scene))

        async def cancel(request: asyncio.Task[None]) -> None:
            scene.look()
            await settle()
            if has_left:  # both at once
                next(iter(scene.attendance._guests)).has_left = True
                request.cancel()
            request.cancel()
            await settle()
            assert request.cancelled()
            assert (worker.provider.open, worker.open_holds) == (0, 0)

        await scene.play(body(), cancel)

    asyncio.run(main())
    assert worker.record.is_cancelled


def test_a_client_that_leaves_during_its_body_leaves_no_trace(worker: Worker) -> None:
    async def main() -> Answer:
        answer = Answer()
        messages = [{"body": b"{", "more_body": True}, {"type": "http.disconnect"}]
        await worker.serve(messages, answer)
        return answer

    assert asyncio.run(main()).status == 0
    assert worker.records == []


def test_the_look_runs_until_it_is_cancelled() -> None:
    async def main() -> int:
        looks = 0

        class Counting(Attendance):
            def look(self, watchers: asyncio.TaskGroup) -> None:
                nonlocal looks
                looks += 1
                if looks == 2:
                    task.cancel()

        task = asyncio.ensure_future(Counting(Clock()).run())
        with pytest.raises(asyncio.CancelledError):
            await task
        return looks

    assert asyncio.run(main()) == 2


def read(*messages: dict[str, Any], headers: dict[bytes, bytes] | None = None) -> bytes:
    waiting = iter(messages)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"} | next(waiting)

    return asyncio.run(read_body(receive, headers or {}, 10))


def test_a_body_in_pieces_is_joined() -> None:
    more = {"more_body": True}
    assert read({"body": b"ab"} | more, {"body": b"cd"} | more, {"body": b"e"}) == b"abcde"


def test_a_client_that_was_never_there_left() -> None:
    with pytest.raises(ClientLeft):
        read({"type": "http.disconnect"})


def test_too_much_and_compressed_bodies_are_refused_with_a_remedy(worker: Worker) -> None:
    assert worker.post(b" " * 20_001).error["code"] == "request_too_large"
    says = [(b"content-length", b"20001")]
    assert worker.post(b"{}", headers=says).status == 413
    squeezed = worker.post(b"{}", headers=[(b"content-encoding", b"gzip")])
    assert (squeezed.status, squeezed.error["code"]) == (400, "unsupported_encoding")

    async def main() -> Answer:
        answer = Answer()
        pieces = [{"body": b" " * 9000, "more_body": True}] * 3
        await worker.serve(pieces, answer, KEY.plaintext)
        return answer

    assert asyncio.run(main()).status == 413


def test_more_requests_than_the_worker_takes_are_told_to_come_back(worker: Worker) -> None:
    server = worker.process.current.snapshot.config.server
    guests: set[Any] = worker.process._attendance._guests
    guests.update(object() for _ in range(server.max_in_flight))
    try:
        answer = asyncio.run(_ask(worker))
    finally:
        worker.process._attendance._guests.clear()
    assert (answer.status, answer.error["code"]) == (503, "gateway_overloaded")
    assert answer.headers["retry-after"] == "1"


async def _ask(worker: Worker) -> Answer:
    answer = Answer()
    await worker.serve([{"body": body()}], answer)
    return answer
