"""docs/reference/losses.md: what of a request in one protocol does not reach a provider of another."""

from __future__ import annotations

from collections.abc import Iterable

from generator.loss_table import ASKED, LOST, WORDS
from generator.markdown import code, page, table

INTRO = """\
A test sends one request in each protocol that asks for everything the protocol can say to a provider
of every kind, and holds what arrives against this page: whatever is not in the request that the
provider gets is named in the header `x-santral-loss` and in the trace, and a route with
`strict = true` refuses such a request with `parameter_not_supported` instead.

The models are one that takes all its vendor's protocol can say where that depends on the model. A
smaller model may take less; the header says so, too. Two things need no provider and are never lost:
an answer is cut at the texts of `stop` by the gateway where the provider cannot, and `metadata` of a
response is kept with the response. Markers of prompt caches go to the providers that know them; where
they do not they change no answer, and are no loss."""

#: How a protocol is called where people ask in it.
ENDPOINTS = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "gemini": "/v1beta/models/…:generateContent",
    "completions": "/v1/completions",
}


def losses_page() -> str:
    """Return the page."""
    parts: list[str] = []
    for dialect, endpoint in ENDPOINTS.items():
        asked = f"The request asks for {_words(ASKED[dialect])}."
        parts += [f"## `{endpoint}`", asked, table(("Provider kinds", "Lost"), _rows(dialect))]
    return page("Losses", INTRO, *parts)


def _rows(dialect: str) -> list[tuple[str, str]]:
    """Kinds that lose the same share a row, the faithful first."""
    kinds: dict[tuple[str, ...], list[str]] = {}
    for kind, lost in LOST[dialect].items():
        kinds.setdefault(lost, []).append(kind)
    return [
        (", ".join(map(code, names)), _words(lost) or "nothing")
        for lost, names in sorted(kinds.items(), key=lambda entry: (len(entry[0]), entry[1]))
    ]


def _words(names: Iterable[str]) -> str:
    wanted = set(names)
    return ", ".join(words for name, words in WORDS.items() if name in wanted)
