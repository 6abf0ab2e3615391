"""Evaluates a suite: every target over the data set. Command line, jobs and tests call this."""

from __future__ import annotations

from santral.evals.cases import read_cases
from santral.evals.opened import opened_for
from santral.evals.pace import Pace, Purse
from santral.evals.place import Place, TellTarget, Wish
from santral.evals.run import Run
from santral.evals.runner import Told
from santral.evals.target_run import TargetRun
from santral.tenants.permission import Principal

_NANOUSD = 1_000_000_000


def _tell_nobody(target: str, told: Told) -> None:
    del target, told


async def evaluate(
    place: Place, wish: Wish, *, by: Principal, tell: TellTarget = _tell_nobody
) -> list[Run]:
    """Return a run for each target of the suite, in their order.

    What is kept is kept as it comes: after a kill, the same with ``is_resumed`` goes on. A target after
    one that was stopped is not begun.

    Raises:
        BadRequest: the suite names what cannot be; nothing was asked.
        NotFound: no such tenant, data set, route or prompt.
        NotAllowed: no role that may run evaluations there.
        Conflict: what would be resumed was made with another configuration.
        SantralError: what would go wrong with every question.
    """
    by.require("evals.run", wish.tenant)
    cases = await read_cases(place, wish)
    suite = wish.suite.suite
    purse = Purse(None if suite.max_cost_usd is None else int(suite.max_cost_usd * _NANOUSD))
    pace = Pace(suite.requests_per_minute)
    made: list[Run] = []
    async with opened_for(place, wish, pace) as (ask, evaluators):
        for number, target in enumerate(suite.targets):
            one = TargetRun(place, wish, cases, target, number, evaluators)
            made.append(await one.run(ask, purse, by, tell))
            if made[-1].head.stop_reason:
                break
    return made
