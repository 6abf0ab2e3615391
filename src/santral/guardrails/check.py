"""What a check is, and what it looks at: texts of one place, read once for all checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Protocol

from msgspec import Struct

from santral.guardrails.entities.detectors import detectors_of
from santral.guardrails.entities.entity import Detector, Entity
from santral.guardrails.entities.mask import Placeholders, mask
from santral.guardrails.entities.scan import scan
from santral.guardrails.normalise import View, plain
from santral.guardrails.patterns import NOTHING, PatternSet, compiled
from santral.guardrails.schema import CompiledSchema
from santral.guardrails.verdict import NOTHING_FOUND, Action, Finding, Span
from santral.wire.delta import Source


class OutputContext(Struct, frozen=True):
    """What an answer is held against."""

    sources: Sequence[Source] = ()
    schema: CompiledSchema | None = None
    question: str = ""


NO_CONTEXT = OutputContext()


class Check(Protocol):
    """A rule about texts. Made once per policy from its ``Params``, then called per request.

    The call is a coroutine so that a check may ask another process; the embedded ones never wait.
    """

    Params: ClassVar[type[Struct]]
    places: ClassVar[frozenset[str]]
    actions: ClassVar[tuple[Action, ...]]  # the first one is the default

    def __init__(self, params: Any) -> None: ...

    @property
    def reads_whole(self) -> bool:
        """Whether it cannot judge a stream before its end."""
        ...

    @property
    def only_patterns(self) -> bool:
        """Whether it has nothing to say where no pattern hit, so that it need not be called."""
        ...

    @property
    def patterns(self) -> Mapping[str, str]:
        """Patterns to match together with those of all other checks, by name."""
        ...

    async def __call__(self, looked: Inspection) -> Finding: ...


class EntityCheck:
    """A check that finds values which can be masked: ``pii`` and ``secrets``."""

    reads_whole = False
    only_patterns = True
    actions: ClassVar[tuple[Action, ...]] = ("mask", "refuse", "report")
    places: ClassVar[frozenset[str]] = frozenset({"input", "retrieved", "output"})
    patterns: Mapping[str, str] = {}  # the detectors of all entity checks are gated together

    def __init__(self, kinds: Sequence[str], regions: tuple[str, ...] = ()) -> None:
        self.kinds = frozenset(kind.upper() for kind in kinds)
        self.regions = regions

    async def __call__(self, looked: Inspection) -> Finding:
        if not looked.has_entities:
            return NOTHING_FOUND
        return found_entities(looked.entities, looked.views, self.kinds)


def found_entities(
    entities: Sequence[Sequence[Entity]], views: Sequence[View], kinds: frozenset[str]
) -> Finding:
    """Return a finding that counts the entities of ``kinds``; their values stay out of it."""
    spans = tuple(
        Span(number, *views[number].span(entity.start, entity.end), entity.kind)
        for number, found in enumerate(entities)
        for entity in found
        if entity.kind in kinds
    )
    return Finding(len(spans), count_kinds([span.kind for span in spans]), spans)


def count_kinds(kinds: Sequence[str]) -> str:
    """Return ``2 EMAIL, 1 CARD`` for a list of kinds."""
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


class Eye:
    """All patterns of a list of checks as one Set, and the detectors behind them."""

    def __init__(self, checks: Sequence[Check]) -> None:
        kinds: set[str] = set()
        detectors: list[Detector] = []
        self.kinds_of: list[frozenset[str]] = []  # per check: an earlier check's kinds stay its own
        for check in checks:
            own = check.kinds - kinds if isinstance(check, EntityCheck) else frozenset[str]()
            self.kinds_of.append(own)
            if isinstance(check, EntityCheck):
                detectors += detectors_of(own, check.regions)
                kinds |= own
        self.kinds = frozenset(kinds)
        self.detectors = tuple(detectors)
        self._gates = {
            f"entity.{number}.{gate}": pattern
            for number, detector in enumerate(detectors)
            for gate, pattern in enumerate(detector.gates)
        }
        self._detector_of = {name: int(name.split(".")[1]) for name in self._gates}
        patterns = dict(self._gates)
        for check in checks:
            patterns.update(check.patterns)
        self.hits: Callable[[bytes], frozenset[str]] = PatternSet(patterns).hits

    @cached_property
    def held(self) -> Mapping[str, str]:
        """Patterns of the detectors that tell what a stream has to hold back."""
        return {
            f"{number}.{index}": pattern
            for number, detector in enumerate(self.detectors)
            for index, pattern in enumerate(detector.held)
        }

    @cached_property
    def held_hits(self) -> Callable[[bytes], frozenset[str]]:
        return PatternSet(self.held).hits

    def prepare_streams(self) -> None:
        """Compile what streams need, before the first one comes."""
        self.held_hits(b"")
        for pattern in self.held.values():
            compiled(pattern)

    def entities(
        self, data: bytes, hits: frozenset[str], pos: int = 0, floor: int = 0
    ) -> list[Entity]:
        """Return the entities of a view whose patterns hit as ``hits`` say."""
        numbers = sorted({self._detector_of[name] for name in hits if name in self._detector_of})
        if not numbers:
            return []
        found = scan(data, [self.detectors[number] for number in numbers], pos, floor)
        return [entity for entity in found if entity.kind in self.kinds]


class Inspection:
    """Texts of one place, their views, and what the patterns hit in them."""

    def __init__(
        self, eye: Eye, texts: Sequence[str], place: str, context: OutputContext = NO_CONTEXT
    ) -> None:
        self.texts = texts
        self.place = place
        self.context = context
        self._eye = eye
        self.views = [plain(text) for text in texts]
        self.hits = self._look()
        self.is_clean = not any(self.hits)  # no pattern of any check hit
        self._entities: list[list[Entity]] | None = None

    def _look(self) -> list[frozenset[str]]:
        look = self._eye.hits
        # Mostly nothing hits: ask once for all texts.
        if len(self.views) > 1 and not look(b"\n".join([_searched(view) for view in self.views])):
            return [NOTHING] * len(self.views)
        return [look(_searched(view)) for view in self.views]

    @property
    def has_entities(self) -> bool:
        return not self.is_clean and any(self.entities)

    @property
    def entities(self) -> list[list[Entity]]:
        """The entities of each text, of every check that looks for some."""
        if self._entities is None:
            self._entities = [
                self._eye.entities(view.data, hits)
                for view, hits in zip(self.views, self.hits, strict=True)
            ]
        return self._entities

    def masked(self, kinds: frozenset[str], placeholders: Placeholders) -> tuple[str, ...]:
        """Return the texts with the entities of ``kinds`` replaced."""
        return tuple(
            mask(text, view, [entity for entity in found if entity.kind in kinds], placeholders)
            if found
            else text
            for text, view, found in zip(self.texts, self.views, self.entities, strict=True)
        )


def _searched(view: View) -> bytes:
    """Return what patterns look at: the view, and apart from it what tag characters spell."""
    return view.data + b"\n" + view.smuggled if view.smuggled else view.data
