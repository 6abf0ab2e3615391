"""What a judge's pass rate means once its mistakes are known."""

from __future__ import annotations

from collections.abc import Sequence

from santral.errors import BadRequest
from santral.evals.standing import Standing
from santral.statistics.correction import rogan_gladen
from santral.statistics.interval import Estimate


def corrected_rate(values: Sequence[float], standing: Standing, pass_at: float = 1.0) -> Estimate:
    """Return the rate at which people would have passed these answers.

    Source: Rogan and Gladen (1978), with sensitivity and specificity from the judge's calibration.

    Raises:
        BadRequest: the calibration knows neither, or the judge is no better than a coin.
    """
    sensitivity, specificity = standing.sensitivity, standing.specificity
    if sensitivity is None or specificity is None or not values:
        raise BadRequest(
            f"The calibration of '{standing.judge}' says nothing of passed and failed: people have to "
            "have passed some answers and failed some. Calibrate it with --pass-at and such answers.",
            code="no_correction",
        )
    share = sum(value >= pass_at for value in values) / len(values)
    counts = standing.positives, standing.negatives
    try:
        return rogan_gladen(share, len(values), sensitivity, specificity, *counts)
    except ValueError as error:
        raise BadRequest(f"'{standing.judge}': {error}.", code="no_correction") from None
