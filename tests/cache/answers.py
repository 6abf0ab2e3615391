"""Answers and a clock for cache tests."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from santral.cache.answer import CachedAnswer
from santral.wire.delta import ChoiceDelta, Delta, NativeBlock, ReasoningDetail, ToolCallDelta
from santral.wire.usage import Usage


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def answer(text: str = "Hi", finish: str | None = "stop", **more: Any) -> CachedAnswer:
    return CachedAnswer(
        (
            Delta(choices=(ChoiceDelta(text=text, **more),)),
            Delta(choices=(ChoiceDelta(finish_reason=finish),)),
            Delta(usage=Usage(output_text=1)),
        )
    )


def rich_answer() -> CachedAnswer:
    """An answer with everything that a provider may send, bytes and raw JSON too."""
    return CachedAnswer(
        (
            Delta(
                choices=(
                    ChoiceDelta(
                        text="İyi günler \x00 😀",
                        reasoning="hm",
                        tool_calls=(ToolCallDelta(0, "c1", "f", '{"a":1}', "sig==", "custom"),),
                        details=(ReasoningDetail("encrypted", "s", "d" * 3000, "i", "google"),),
                        native=(NativeBlock("messages", b'{"type":"x"}'),),
                        annotations=(Raw(b'{"url":"\\u00e9"}'),),
                        logprobs=b'{"content":[]}',
                    ),
                ),
                raw=b'{"choices":[{"delta":{"content":"\xc4\xb0"}}]}',
                id="chatcmpl-1",
                model="m",
                created=3,
                service_tier="flex",
            ),
            Delta(choices=(ChoiceDelta(finish_reason="stop", native_finish="end_turn"),)),
            Delta(usage=Usage(input_uncached=7, cache_write_1h=2, output_text=1)),
        ),
        cost_nanousd=12_345,
        losses=("n", "max_tokens=4096"),
    )
