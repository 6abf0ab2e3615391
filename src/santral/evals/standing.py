"""What a judge has shown: how far it agreed with people, and whether it may decide anything."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from santral.errors import BadRequest


class Agreed(Struct, frozen=True, kw_only=True):
    """One measure of agreement; ``value`` is None where it is not defined (one label alone)."""

    method: str  # cohen_kappa, quadratic_kappa, gwet_ac1, krippendorff_alpha
    value: float | None
    low: float | None  # ends of its 95 % interval
    high: float | None
    percent: float  # of examples on which the two say the same
    n: int


class Standing(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one calibration measured of one judge: its prompt, model and settings are the digest."""

    judge: str
    digest: str
    kind: str  # rubric, g_eval, pairwise, ...
    models: tuple[str, ...]
    examples: int  # that people labelled, and the judge too
    errors: dict[str, int]  # judgements without a value, by class
    agreement: list[Agreed]  # of judge and people; the first one decides
    floor: float  # the lower end of its interval has to reach this
    may_gate: bool
    reason: str  # in a sentence, why it may or may not
    sensitivity: float | None = None  # of passed and failed, where the judge says that
    specificity: float | None = None
    positives: int = 0  # that people passed
    negatives: int = 0
    flip_rate: float | None = None  # of pairs whose verdict changed with the order
    first_rate: float | None = None  # of readings in which what was shown first won
    tie_rate: float | None = None
    repeat_rate: float | None = None  # of examples on which it said the same when asked again
    repeats: int = 1
    humans: list[Agreed] = []  # between people, where two labelled: no judge can be asked for more
    cost_nanousd: int | None = None  # of one judgement on average; None: a price is unknown
    at: str = ""  # ISO 8601, UTC


def read_standing(path: Path) -> Standing:
    """Read what ``santral judges calibrate --out`` wrote.

    Raises:
        BadRequest: no such file, or it is no calibration.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Standing)
    except (OSError, msgspec.DecodeError) as error:
        raise BadRequest(
            f"{path} is no calibration of a judge: {error}. Make one with: "
            "santral judges calibrate … --out FILE",
            code="no_such_calibration",
        ) from None
