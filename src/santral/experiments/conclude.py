"""What may be concluded from an experiment and what not, in words: English and Turkish."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

from santral.experiments.analyse import LEAST_UNITS, MISMATCH_P, Comparison
from santral.experiments.metric import SLOW
from santral.experiments.status import Status

Language: TypeAlias = Literal["en", "tr"]

#: Scores for each request of two arms that differ by more than this part are not of the same people.
#: Chosen.
_UNEVEN = 0.2

_WORDS: Mapping[str, tuple[str, str]] = {
    "none": (
        "Nobody has taken part yet: nothing can be concluded.",
        "Henüz kimse katılmadı: bir sonuca varılamaz.",
    ),
    "seen": (
        "{n} units ({unit}) took part: {arms}.",
        "{n} birim ({unit}) katıldı: {arms}.",
    ),
    "crossed": (
        "{n} units saw more than one arm; they are in no number.",
        "{n} birim birden çok kol gördü; hiçbir sayıda yoklar.",
    ),
    "holdout": (
        "{n} units are kept out of the layer.",
        "{n} birim katmanın dışında tutuluyor.",
    ),
    "ratio_fine": ("The sample ratio is fine.", "Örneklem oranı yerinde."),
    "ratio_broken": (
        "The units did not fall to the arms as meant (p = {p}, below {limit}): something else than "
        "chance chose. No difference can be read; find out what sends or loses units, and begin anew "
        "with another salt.",
        "Birimler kollara amaçlandığı gibi dağılmadı (p = {p}, sınır {limit}): seçen rastlantı değil. "
        "Hiçbir fark okunamaz; birimleri neyin gönderdiğini ya da yitirdiğini bulun ve başka bir tuzla "
        "yeniden başlayın.",
    ),
    "ratio_moving": (
        "Weights follow the results, so there is no fixed ratio to hold.",
        "Ağırlıklar sonuçları izliyor; bu yüzden tutulacak sabit bir oran yok.",
    ),
    "undecided": (
        "{metric}: the difference of '{arm}' to '{control}' is between {low} and {high}: not decided.",
        "{metric}: '{arm}' ile '{control}' arasındaki fark {low} ile {high} arasında: karar verilemedi.",
    ),
    "better": (
        "{metric}: '{arm}' is better than '{control}', by {low} to {high}.",
        "{metric}: '{arm}', '{control}' kolundan daha iyi: {low} ile {high} arası.",
    ),
    "worse": (
        "{metric}: '{arm}' is worse than '{control}', by {low} to {high}.",
        "{metric}: '{arm}', '{control}' kolundan daha kötü: {low} ile {high} arası.",
    ),
    "different": (
        "{metric}: '{arm}' differs from '{control}' by {low} to {high}; neither way is better.",
        "{metric}: '{arm}', '{control}' kolundan {low} ile {high} farklı; hangisinin iyi olduğu "
        "söylenemez.",
    ),
    "too_few": (
        "{metric}: an arm has fewer than {least} units: too early to read.",
        "{metric}: bir kolda {least} birimden az var: okumak için erken.",
    ),
    "uneven": (
        "{metric} was given for {rated} of the requests of '{arm}' and {control_rated} of '{control}': "
        "those who answered may not be alike, so this difference is weak.",
        "{metric}: '{arm}' isteklerinin {rated} kadarına, '{control}' isteklerinin {control_rated} "
        "kadarına verildi: yanıtlayanlar aynı türden olmayabilir, bu fark zayıftır.",
    ),
    "no_primary": (
        "No metric was named as deciding: what differs here is a hint to test, not a result. {n} were "
        "looked at.",
        "Karar verecek bir ölçüt adlandırılmadı: buradaki farklar sonuç değil, sınanacak ipuçlarıdır. "
        "{n} ölçüte bakıldı.",
    ),
    "bandit": (
        "A bandit is there to lose little while it learns: '{best}' is the best with a probability of "
        "{p}. It cannot say by how much the others are worse: they were seen by few, and when they were "
        "is no accident. Estimates weighed by propensities: {values}.",
        "Bandit, öğrenirken az yitirmek içindir: '{best}' {p} olasılıkla en iyisi. Ötekilerin ne kadar "
        "kötü olduğunu söyleyemez: onları az birim gördü ve ne zaman gördükleri rastlantı değil. "
        "Olasılıklarla tartılmış kestirimler: {values}.",
    ),
    "bandit_early": (
        "The bandit has seen too few units to say which arm is the best.",
        "Bandit, hangi kolun en iyi olduğunu söylemek için çok az birim gördü.",
    ),
    "value": ("'{arm}' {value}", "'{arm}' {value}"),
    "value_few": (
        "'{arm}' none (worth {n} units, fewer than needed)",
        "'{arm}' yok ({n} birim değerinde, gerekenden az)",
    ),
    "before": (
        "What the same units did before the start was taken out where it explained something.",
        "Aynı birimlerin başlangıçtan önce yaptıkları, açıkladıkları ölçüde çıkarıldı.",
    ),
    "any_time": (
        "You may stop or go on at any time: the intervals hold at every look. They are tightest at "
        "about {n} units (rho = {rho}).",
        "İstediğiniz an durabilir ya da sürdürebilirsiniz: aralıklar her bakışta geçerlidir. Yaklaşık {n} "
        "birimde en dardırlar (rho = {rho}).",
    ),
}


def conclusions(status: Status, language: Language = "en") -> list[str]:
    """Return what may be said of an experiment now, one sentence or two to a line."""
    return list(_lines(status, language))


def number(value: float, language: Language) -> str:
    """Return a number of three digits as people write it."""
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if "e" in text:  # prices of one request are small
        text = f"{value:.9f}".rstrip("0").rstrip(".")
    if language == "en":
        return text
    return text.replace(",", " ").replace(".", ",").replace(" ", ".")


def percent(value: float, language: Language, *, signed: bool = False) -> str:
    """Return a share as people write it: 3.1 % or %3,1."""
    digits = number(abs(value) * 100.0, language)
    sign = "-" if value < 0 else "+" if signed else ""
    return f"{sign}{digits} %" if language == "en" else f"{sign}%{digits}"


def span(one: Comparison, language: Language) -> tuple[str, str]:
    """Return the interval of a difference: as parts of the control, or as it is."""
    if one.is_rate:
        low, high = (percent(bound, language, signed=True) for bound in (one.low, one.high))
        points = "points" if language == "en" else "puan"
        return (
            low.replace(" %", "").replace("%", ""),
            f"{high.replace(' %', '').replace('%', '')} {points}",
        )
    relative = one.relative
    if relative is not None:
        return (
            percent(relative[0], language, signed=True),
            percent(relative[1], language, signed=True),
        )
    low, high = (number(bound, language) for bound in (one.low, one.high))
    return low, f"{high} {one.unit}".rstrip()


def _lines(status: Status, language: Language) -> Iterator[str]:
    found = status.analysis
    if not found.units and not found.crossed_units:
        yield _say("none", language)
        return
    arms = ", ".join(f"{arm.name} {number(arm.units, language)}" for arm in found.arms)
    yield _say("seen", language, n=number(found.units, language), unit=status.unit, arms=arms)
    if found.crossed_units:
        yield _say("crossed", language, n=number(found.crossed_units, language))
    if found.holdout_units:
        yield _say("holdout", language, n=number(found.holdout_units, language))
    if not found.is_readable:
        limit, p = number(MISMATCH_P, language), number(found.mismatch_p or 0.0, language)
        yield _say("ratio_broken", language, p=p, limit=limit)
        return
    yield _say("ratio_moving" if found.mismatch_p is None else "ratio_fine", language)
    if status.bandit_metric:
        yield _bandit(status, language)
        return
    yield from _compared(status, language)
    if found.has_before:
        yield _say("before", language)
    n, rho = number(found.expected_units, language), number(found.rho, language)
    yield _say("any_time", language, n=n, rho=rho)


def _compared(status: Status, language: Language) -> Iterator[str]:
    """Yield what each metric shows: those that decide, else those that differ."""
    found = status.analysis
    wanted = [one for one in found.comparisons if one.is_primary]
    if not wanted:
        shown = {one.metric for one in found.comparisons}
        yield _say("no_primary", language, n=str(len(shown)))
        wanted = [one for one in found.comparisons if one.metric != SLOW]
    for one in wanted:
        low, high = span(one, language)
        yield _say(
            one.verdict, language, metric=one.metric, arm=one.arm, control=found.control,
            low=low, high=high, least=str(LEAST_UNITS),
        )  # fmt: skip
        if _is_uneven(one):
            yield _say(
                "uneven", language, metric=one.metric, arm=one.arm, control=found.control,
                rated=percent(one.rated or 0.0, language),
                control_rated=percent(one.control_rated or 0.0, language),
            )  # fmt: skip


def _is_uneven(one: Comparison) -> bool:
    if one.rated is None or one.control_rated is None or one.verdict == "too_few":
        return False
    return abs(one.rated - one.control_rated) > _UNEVEN * max(one.rated, one.control_rated)


def _bandit(status: Status, language: Language) -> str:
    if not status.best or any(arm.units < LEAST_UNITS for arm in status.analysis.arms):
        return _say("bandit_early", language)
    best = max(status.best, key=lambda arm: status.best[arm])
    values = [
        _say("value_few", language, arm=one.arm, n=number(one.effective, language))
        if one.snips is None
        else _say("value", language, arm=one.arm, value=number(one.snips, language))
        for one in status.policy_values
    ]
    chance = percent(status.best[best], language)
    return _say("bandit", language, best=best, p=chance, values=", ".join(values))


def _say(word: str, language: Language, **values: str) -> str:
    return _WORDS[word][0 if language == "en" else 1].format(**values)
