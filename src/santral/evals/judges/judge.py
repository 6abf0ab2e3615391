"""A judge: an evaluator that asks a model, and an instrument that has to be calibrated."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import ClassVar, Protocol, runtime_checkable

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from santral.evals.evaluator import Case, Measure, Score
from santral.evals.judges.settings import JudgeSettings
from santral.evals.judges.sitting import Sitting, Trouble
from santral.evals.kind import not_applicable
from santral.evals.standing import Standing, read_standing
from santral.evals.tools import Tools, need_ask

_encode = msgspec.json.Encoder(order="deterministic").encode

#: Settings that say what is done with a judge's values, not how it comes to them.
_ASIDE = frozenset({"floor", "calibration", "timeout_s"})


@runtime_checkable
class IsJudge(Protocol):
    """An evaluator whose scores are a model's opinion."""

    use: ClassVar[str]
    name: str
    digest: str  # of prompt, models and settings: another one is another series
    models: tuple[str, ...]
    settings: JudgeSettings
    standing: Standing | None


class Judge:
    """What all judges share: a digest, a standing, and measures that gate only where it is good enough.

    One that was never calibrated, or whose agreement may be below its floor, is shown and decides
    nothing; its measures say why.
    """

    use: ClassVar[str]
    number: ClassVar[int] = 1  # of the code: counted up whenever a score could change

    def __init__(self, name: str, params: JudgeSettings, tools: Tools, *prompts: str) -> None:
        self.name = name
        self.settings = params
        self._ask = need_ask(tools, self.use)
        self.models = tools.models_of(params.route)
        self.digest = digest_of(f"{self.use}/{self.number}", params, self.models, prompts)
        self.version = f"{self.use}/{self.number}:{self.digest[:12]}"
        self.standing, self._doubt = _standing_of(self.digest, params, tools)
        self.measures = tuple(self._marked(one) for one in self.own_measures())

    @property
    def judge_model(self) -> str:
        """The models that judge, for the head of a run."""
        return ", ".join(self.models)

    def own_measures(self) -> Sequence[Measure]:
        """Return what its scores mean."""
        raise NotImplementedError  # every judge says it: this is what they share

    async def judge(self, case: Case, sitting: Sitting) -> Sequence[Score]:
        """Return its scores of a case.

        Raises:
            Trouble: a judgement cannot be had.
        """
        raise NotImplementedError  # likewise

    async def __call__(self, case: Case) -> Sequence[Score]:
        sitting = Sitting(self._ask, self.settings, self.name)
        try:
            scores = await self.judge(case, sitting)
        except Trouble as trouble:
            scores = [
                Score(name=one.name, error=trouble.error, reason=trouble.reason)
                for one in self.measures
            ]
        first, *rest = scores
        return [replace(first, cost_nanousd=sitting.cost_nanousd), *rest]

    def lacking(self, what: str) -> Sequence[Score]:
        """Return scores that say what the case lacks."""
        return not_applicable([one.name for one in self.measures], what)

    def _marked(self, measure: Measure) -> Measure:
        note = " ".join(filter(None, (measure.note, self._doubt)))
        return replace(measure, gates=measure.gates and not self._doubt, note=note)


def digest_of(use: str, params: Struct, models: Sequence[str], prompts: Sequence[str]) -> str:
    """Return the name of a judge's series: sha256 of what its scores depend on."""
    settings = {
        key: value for key, value in msgspec.to_builtins(params).items() if key not in _ASIDE
    }
    return hashlib.sha256(_encode([use, settings, list(models), list(prompts)])).hexdigest()


def doubt_of(standing: Standing | None, floor: float) -> str:
    """Return why a judge may not gate, in a sentence; nothing where it may."""
    if standing is None:
        return "May not gate: this judge was never calibrated against people."
    low = standing.agreement[0].low if standing.agreement else None
    if low is None:
        return (
            f"May not gate: agreement with people over {standing.examples} examples is undefined."
        )
    if low < floor:
        return (
            f"May not gate: its {standing.agreement[0].method} with people may be as low as "
            f"{low:.2f}, below the floor of {floor:.2f}."
        )
    return ""


def _standing_of(digest: str, params: JudgeSettings, tools: Tools) -> tuple[Standing | None, str]:
    """Return what is known of a judge, and the reason why it may not gate, if there is one."""
    standing = tools.standings.get(digest)
    if standing is None and params.calibration:
        standing = read_standing(tools.folder / params.calibration)
        if standing.digest != digest:
            return None, (
                f"May not gate: {params.calibration} is of another judge ({standing.digest[:12]}, "
                f"this is {digest[:12]}). A changed judge is a new one: calibrate it."
            )
    return standing, doubt_of(standing, params.floor)
