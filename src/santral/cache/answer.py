"""An answer that may be given again: what was sent, what it cost, and whether it may be kept."""

from __future__ import annotations

from msgspec import Struct

from santral.wire.delta import ChoiceDelta, Delta
from santral.wire.render import fold

#: Ends of an answer that may be served again. A filtered answer may not: the filter may change.
CACHEABLE_ENDS = frozenset({"stop", "length", "tool_calls", "function_call"})

#: Memory of an entry beside its texts: measured with sys.getsizeof, rounded up.
_DELTA_BYTES = 400
_ENTRY_BYTES = 300


class CachedAnswer(Struct, frozen=True, gc=False):
    """What was sent: the deltas in order, whole or of a stream, with usage.

    ``cost_nanousd`` is what making it cost, and what each further caller saves; 0 where the price
    is unknown. ``losses`` are the parameters that were dropped or changed when it was made.
    """

    deltas: tuple[Delta, ...]
    cost_nanousd: int = 0
    losses: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """About how much memory the answer takes."""
        return _ENTRY_BYTES + sum(map(delta_bytes, self.deltas))

    @property
    def is_servable(self) -> bool:
        """Whether the answer came to its natural end and refuses nothing."""
        if len(self.deltas) == 1 and len(choices := self.deltas[0].choices) == 1:
            return not choices[0].refusal and choices[0].finish_reason in CACHEABLE_ENDS
        ends: dict[int, str | None] = {}
        for delta in self.deltas:
            for choice in delta.choices:
                if choice.refusal:
                    return False
                ends[choice.index] = choice.finish_reason or ends.get(choice.index)
        return bool(ends) and all(end in CACHEABLE_ENDS for end in ends.values())

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return "".join(c.text for c in fold(self.deltas).choices if c.index == 0)


def delta_bytes(delta: Delta) -> int:
    """Return about how much memory a delta takes."""
    size = _DELTA_BYTES + len(delta.raw)
    for choice in delta.choices:  # a loop: two sums in each other take three times as long
        size += len(choice.text) + len(choice.reasoning) + len(choice.logprobs)
        for call in choice.tool_calls:
            size += len(call.arguments) + len(call.signature)
        if choice.details or choice.native or choice.annotations:
            size += _opaque_bytes(choice)
    return size


def _opaque_bytes(choice: ChoiceDelta) -> int:
    return (
        sum(len(detail.data) + len(detail.signature) for detail in choice.details)
        + sum(len(block.json) for block in choice.native)
        + sum(len(bytes(raw)) for raw in choice.annotations)
    )
