"""The nouns: a job, how far it is, and a kind of job with the function that does it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, Literal, NewType, Protocol

from msgspec import Struct, field

from santral.tenants.tenant import TenantId

JobId = NewType("JobId", str)

State = Literal["waiting", "running", "done", "failed", "cancelled"]

#: States in which nothing is left to do.
OVER: frozenset[State] = frozenset({"done", "failed", "cancelled"})

#: Tries of a job before it is given up. Chosen: with the pauses between them, a quarter of an hour.
MOST_TRIES = 8


#: The argument that names a person, where a job has one: no job that is over keeps it.
PERSONAL = "subject"


class Progress(Struct, frozen=True, kw_only=True):
    """How far a job is: for people, and what its next try goes on from."""

    step: str = ""
    done: int = 0
    total: int = 0  # 0: nobody knows yet
    saved: dict[str, Any] = field(default_factory=dict[str, Any])  # plain JSON


class Job(Struct, frozen=True, kw_only=True):
    """One piece of background work.

    While it waits, ``leased_until`` is the moment before which it is not tried again.
    """

    id: JobId
    tenant_id: TenantId
    kind: str
    arguments: dict[str, Any]
    created_by: str
    created_at: datetime
    state: State = "waiting"
    progress: Progress = Progress()
    result: dict[str, Any] | None = None
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    leased_by: str | None = None
    leased_until: datetime | None = None
    tries: int = 0

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    @property
    def kept_arguments(self) -> dict[str, Any]:
        """The arguments that may stay in the row once the job is over."""
        return {name: value for name, value in self.arguments.items() if name != PERSONAL}


class Postponed(Exception):
    """The work cannot begin now: the job waits for some seconds, and this try does not count."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"not before {wait_s:g} s from now")
        self.wait_s = wait_s


class Hold(Protocol):
    """A running job's hold on its row: what the function of a kind is given."""

    @property
    def job(self) -> Job:
        """The job as it was taken; ``job.progress.saved`` is what an earlier try left."""
        ...

    async def report(
        self, step: str, done: int = 0, total: int = 0, *, saved: Mapping[str, Any] | None = None
    ) -> None:
        """Write down how far the job is; ``saved`` replaces what the next try would go on from.

        Raises:
            LeaseLost: the job is somebody else's by now, or cancelled: stop at once.
        """
        ...

    async def forget_person(self) -> None:
        """Take ``PERSONAL`` out of the row before the job is over; raises as ``report``."""
        ...


#: Does the work: may be called again with the same arguments after it was killed half-way, so it must
#: be idempotent. What it returns, plain JSON, becomes the job's result. Raises ``Postponed`` before it
#: has changed anything where another job has to end first.
Work = Callable[[Hold, Any], Awaitable[Mapping[str, Any]]]


class JobKind(Struct, frozen=True, kw_only=True):
    """What one kind of job is: a row of the registry that the composition root writes out."""

    name: str
    about: str  # one line for people
    arguments: type[Struct]
    work: Work
    most_tries: int = MOST_TRIES
