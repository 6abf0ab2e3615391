"""What every judge is set with."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

#: Parts of a case that a judge may be shown.
Shown: TypeAlias = Literal[
    "question", "conversation", "answer", "expected", "contexts", "steps", "variables"
]


class JudgeSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``route`` answers as the judge: one without a prompt, a collection or guardrails of its own.
    ``floor``: the lower end of the interval of its agreement with people has to reach this before it
    may gate. ``calibration``: a file of ``santral judges calibrate --out``, beside the suite, where no
    database knows the judge."""

    route: str
    temperature: float = 0.0
    max_tokens: int = 1024
    seed: int | None = None
    timeout_s: float = 60.0
    # Landis and Koch (1977) call .41 and more moderate. The end of an interval, not its middle, has to
    # reach it: two people seldom do better than .6 on open answers.
    floor: Annotated[float, Meta(ge=-1.0, le=1.0)] = 0.4
    calibration: str = ""
