"""Turns the marks of an answer into citations, in the form of the caller's own protocol.

It stands between the gate and the caller: caches keep answers with their marks, and every answer, a
kept one too, is cited from the sources of its own request.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from santral.gateway.citations.citation import Citation
from santral.gateway.citations.evidence import bearing, spot_of
from santral.gateway.citations.marks import Mark, MarkReader
from santral.gateway.context import Emit, RequestContext
from santral.gateway.stages.verdicts import note
from santral.guardrails.policy import inspect
from santral.retrieval.analysis.sentence import sentences
from santral.traces.metrics import Metrics
from santral.wire.delta import ChoiceDelta, Delta, Source
from santral.wire.render import with_choices

#: Longest quote that goes with a citation, in letters; its place stays whole. Chosen.
MAX_QUOTE = 1_000
#: Longest answer whose claims are looked at: marks further on stand for their whole passage. Chosen.
MAX_SAID = 200_000
#: Stands for a text that the policy would not let out.
_WITHHELD = "[withheld]"


class Cite:
    """Makes the one who cites an answer; a route may keep its marks as they are."""

    def __init__(self, metrics: Metrics) -> None:
        self._made = metrics["santral_citations_total"].child("made")
        self._dropped = metrics["santral_citations_total"].child("dropped")

    def __call__(self, ctx: RequestContext, emit: Emit) -> Citing:
        return Citing(ctx, emit, self)

    def count(self, made: int, dropped: int) -> None:
        """Count citations, and numbers that were cited and never given."""
        self._made.value += made
        self._dropped.value += dropped


class _Part(Struct):
    """A stretch of one delta's text, and what is cited at its end."""

    text: str = ""
    citations: list[Citation] = []


class Citing:
    """Cites one answer. ``emit`` takes its deltas; ``end`` sends what was held when it stopped."""

    def __init__(self, ctx: RequestContext, emit: Emit, cite: Cite) -> None:
        self._ctx = ctx
        self._emit = emit
        self._cite = cite
        self._choices: dict[int, _Choice] = {}
        self._known = {source.number: source for source in ctx.sources}
        self._last = Delta()

    @property
    def emit(self) -> Emit:
        """What the gate should emit to: straight to the caller where there is nothing to cite."""
        is_on = self._known and citation_mode(self._ctx) != "keep"
        return self._take if is_on else self._emit

    async def end(self) -> None:
        """Send what was held of choices that ended without saying so."""
        for index, choice in self._choices.items():
            if choice.reader.is_holding:
                parts = self._parts(choice, choice.reader.finish())
                head = msgspec.structs.replace(
                    self._last, choices=(), usage=None, raw=b"", is_whole=False
                )
                await self._send(head, [(ChoiceDelta(index), parts)])

    async def _take(self, delta: Delta) -> None:
        if not delta.choices:
            await self._emit(delta)
            return
        self._last = delta
        if len(delta.choices) == 1 and self._passes(delta.choices[0]):
            await self._emit(delta)
            return
        read = [(choice, self._read(choice, delta.is_whole)) for choice in delta.choices]
        if all(self._is_as_it_was(choice, parts) for choice, parts in read):
            await self._emit(delta)
        else:
            await self._send(delta, read)

    def _passes(self, said: ChoiceDelta) -> bool:
        """Whether a delta is more text of a choice without anything to cite: nearly every one is."""
        choice = self._choices.get(said.index)
        if choice is None or choice.is_cited or said.finish_reason is not None:
            return False
        if said.tool_calls or said.native or not choice.reader.passes(said.text):
            return False
        choice.say(said.text)
        return True

    def _read(self, delta: ChoiceDelta, is_whole: bool) -> list[_Part]:
        """Return what a delta of one choice becomes."""
        choice = self._choices.get(delta.index)
        if choice is None:
            choice = self._choices[delta.index] = _Choice()
        tokens = choice.reader.push(delta.text) if delta.text else []
        if is_whole or delta.finish_reason is not None or delta.tool_calls or delta.native:
            tokens += choice.reader.finish()
        return self._parts(choice, tokens)

    def _parts(self, choice: _Choice, tokens: Sequence[str | Mark]) -> list[_Part]:
        """Return the texts of some tokens, each up to the citations at its end."""
        parts: list[_Part] = []
        for token in tokens:
            text, citations = (token, []) if isinstance(token, str) else self._cited(choice, token)
            choice.say(text)
            if not parts or (parts[-1].citations and not citations):
                parts.append(_Part("", []))
            parts[-1].text += text
            parts[-1].citations += citations
        return parts

    def _cited(self, choice: _Choice, mark: Mark) -> tuple[str, list[Citation]]:
        """Return what a mark becomes in the text, and what it cites."""
        known = [number for number in mark.numbers if number in self._known]
        unknown = len(mark.numbers) - len(known)
        if not known and mark.is_glued:
            return mark.space + mark.text, []  # an index, x[7], and no citation
        self._cite.count(len(known), unknown)
        text = ""
        if citation_mode(self._ctx) == "annotate" and known:
            shown = mark.text if not unknown else f"[{', '.join(map(str, known))}]"
            text = mark.space + shown
        start, claim = choice.claim()
        choice.closed = choice.length + len(text)
        place = choice.length + (len(mark.space) if text else 0)
        return text, [
            self._citation(self._known[number], claim, start, (place, choice.closed))
            for number in known
        ]

    def _citation(
        self, source: Source, claim: str, claim_start: int, mark: tuple[int, int]
    ) -> Citation:
        spot = spot_of(source, *bearing(claim, source.text))
        quote = source.text[spot.at : spot.until]
        return Citation(
            number=source.number,
            collection=source.collection,
            document_id=source.document_id,
            chunk_id=spot.chunk_id,
            document=source.document,
            title=source.title,
            section=source.section,
            url=source.url,
            quote=quote if len(quote) <= MAX_QUOTE else f"{quote[: MAX_QUOTE - 1]}…",
            page=spot.page,
            end_page=spot.end_page,
            start=spot.start,
            end=spot.end,
            claim=claim,
            claim_start=claim_start,
            claim_end=claim_start + len(claim),
            mark_start=mark[0],
            mark_end=mark[1],
        )

    def _is_as_it_was(self, choice: ChoiceDelta, parts: Sequence[_Part]) -> bool:
        if not parts:
            return not choice.text
        begins = self._ctx.dialect.cites_blocks and self._choices[choice.index].is_cited
        is_same = len(parts) == 1 and parts[0].text == choice.text and not parts[0].citations
        return is_same and not begins

    async def _send(self, delta: Delta, read: list[tuple[ChoiceDelta, list[_Part]]]) -> None:
        """Send what became of a delta: in one, or in one for each cited text where those are blocks."""
        if self._ctx.dialect.cites_blocks:
            await self._send_blocks(delta, read)
            return
        choices: list[ChoiceDelta] = []
        for choice, parts in read:
            annotations = [*choice.annotations]
            for part in parts:
                annotations += [await self._annotation(cited) for cited in part.citations]
            text = "".join(part.text for part in parts)
            choices.append(
                msgspec.structs.replace(choice, text=text, annotations=tuple(annotations))
            )
        if any(choice != ChoiceDelta(choice.index) for choice in choices) or delta.usage:
            await self._emit(with_choices(delta, tuple(choices)))

    async def _send_blocks(self, delta: Delta, read: list[tuple[ChoiceDelta, list[_Part]]]) -> None:
        head = msgspec.structs.replace(delta, choices=(), usage=None, raw=b"", is_whole=False)
        for choice, parts in read:
            state = self._choices[choice.index]
            reasoned = msgspec.structs.replace(
                choice, text="", refusal="", tool_calls=(), native=(), annotations=(),
                finish_reason=None, native_finish="", stop_sequence="",
            )  # fmt: skip
            if reasoned.reasoning or reasoned.details:
                await self._emit(msgspec.structs.replace(head, choices=(reasoned,)))
            for part in parts:
                made = tuple([await self._annotation(cited) for cited in part.citations])
                begins = state.is_cited or choice.begins_block
                said = ChoiceDelta(choice.index, part.text, annotations=made, begins_block=begins)
                state.is_cited = bool(made)
                await self._emit(msgspec.structs.replace(head, choices=(said,)))
            rest = msgspec.structs.replace(
                choice, text="", reasoning="", details=(), begins_block=False
            )
            if rest != ChoiceDelta(choice.index):
                await self._emit(msgspec.structs.replace(head, choices=(rest,)))
        if delta.usage is not None:
            await self._emit(msgspec.structs.replace(head, usage=delta.usage))

    async def _annotation(self, citation: Citation) -> msgspec.Raw:
        """Return a citation as the caller's protocol says it, past the policy for what leaves."""
        shown = await self._let_out(citation)
        self._ctx.citations.append(shown)
        return self._ctx.dialect.citation(shown)

    async def _let_out(self, citation: Citation) -> Citation:
        """Mask what a document says as the answer's own text would be."""
        ctx, checks = self._ctx, self._ctx.route.part_checks
        if not checks:
            return citation
        changes: dict[str, str] = {}
        for name in ("quote", "title", "section", "document", "url"):
            text: str = getattr(citation, name)
            outcome = await inspect(checks, (text,), "output", placeholders=ctx.placeholders)
            note(ctx, (verdict for verdict in outcome.verdicts if verdict.count), "output")
            changes[name] = _WITHHELD if outcome.refusal is not None else outcome.texts[0]
        return msgspec.structs.replace(citation, **changes)


class _Choice:
    """One choice on its way out: what was said, and up to where claims have been cited."""

    __slots__ = ("_claim", "_said", "closed", "is_cited", "length", "reader")

    def __init__(self) -> None:
        self.reader = MarkReader()
        self._said: list[str] = []
        self.length = 0
        self.closed = 0
        self.is_cited = False  # the last text that left has citations
        self._claim = (0, "")

    def say(self, text: str) -> None:
        """Note a text that leaves."""
        if self.length < MAX_SAID:
            self._said.append(text)
        self.length += len(text)

    def claim(self) -> tuple[int, str]:
        """Return what the next mark is about, and where it begins: the sentence before it.

        A mark right behind another one is about the same.
        """
        if self.length >= MAX_SAID:
            return self.length, ""
        since = "".join(self._said)[self.closed :]
        if since.strip(" \t.,;:!?"):
            found = sentences(since)[-1]
            self._claim = (self.closed + since.rfind(found), found)
        return self._claim


def citation_mode(ctx: RequestContext) -> str:
    """Return what the route does with marks."""
    settings = ctx.route.retrieval
    return "annotate" if settings is None else settings.citations
