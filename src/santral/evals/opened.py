"""Opens what a suite needs: a gateway where somebody has to be asked, and its evaluators."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from santral.errors import BadRequest, nearest
from santral.evals.answer import Answer, Ask, Question
from santral.evals.evaluator import Evaluator
from santral.evals.evaluators.registry import build
from santral.evals.pace import Pace, paced
from santral.evals.place import Place, Wish
from santral.evals.suite import EvaluatorUse


@asynccontextmanager
async def opened_for(
    place: Place, wish: Wish, pace: Pace
) -> AsyncGenerator[tuple[Ask, list[Evaluator]]]:
    """Open the gateway where somebody has to be asked, and build the evaluators."""
    suite = wish.suite.suite
    needs_answers = not wish.replay and any(not one.is_recorded for one in suite.targets)
    async with AsyncExitStack() as held:
        ask: Ask | None = None
        if needs_answers:
            ask = await _asking(held, place, wish, pace)
        try:
            evaluators = await _evaluators(held, place, wish, ask)
        except BadRequest as error:
            if ask is not None or error.detail_code != "no_gateway_to_ask" or not place.engine:
                raise
            ask = await _asking(held, place, wish, pace)
            evaluators = await _evaluators(held, place, wish, ask)
        yield ask or nobody, evaluators


async def nobody(question: Question) -> Answer:
    """Answer for a target of which answers are recorded: this one is not."""
    del question
    return Answer(error="not_recorded", error_message="No answer to this example was recorded.")


async def _asking(held: AsyncExitStack, place: Place, wish: Wish, pace: Pace) -> Ask:
    opened = place.open_ask(place.loaded, place.database, wish.tenant)
    return paced(await held.enter_async_context(opened), pace)


async def _evaluators(
    held: AsyncExitStack, place: Place, wish: Wish, ask: Ask | None
) -> list[Evaluator]:
    folder = wish.suite.path.resolve().parent
    tools = await held.enter_async_context(
        place.open_tools(place.loaded, place.engine, wish.tenant, ask, folder)
    )
    uses = wish.suite.suite.evaluators
    try:
        built = [
            await build(one.use, one.name or one.use, one.params, tools, place.evaluators)
            for one in uses
        ]
    except BadRequest as error:
        raise BadRequest(
            f"{wish.suite.path}: {error.message}", code=error.detail_code, param=error.param
        ) from None
    _check_names(wish, uses, built)
    return built


def _check_names(wish: Wish, uses: Sequence[EvaluatorUse], built: Sequence[Evaluator]) -> None:
    seen: dict[str, str] = {}
    for use, evaluator in zip(uses, built, strict=True):
        for measure in evaluator.measures:
            if measure.name in seen:
                raise BadRequest(
                    f"{wish.suite.path}: two evaluators measure '{measure.name}'. Give one of them "
                    f'another name: name = "{use.use}_2".',
                    code="bad_suite",
                )
            seen[measure.name] = use.use
    for name in wish.suite.suite.gate.measures:
        if name not in seen:
            raise BadRequest(
                f"{wish.suite.path}: gate.measures.{name}: no evaluator of the suite measures that."
                f"{nearest(name, seen)} Measured are: {', '.join(seen)}.",
                code="bad_gate",
            )
