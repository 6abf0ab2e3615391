"""The checker of messages streams passes what Anthropic documents and fails what breaks its grammar."""

from __future__ import annotations

import pytest
from tests.replay import RECORDINGS
from tests.stream_checker_messages import check_messages_stream, message_of

FOLDER = RECORDINGS / "anthropic"
#: Recordings of what an official client would not take: a block without a known type, an error first.
ODD = {"unknown.sse"}
GOOD = sorted(file.name for file in FOLDER.glob("*.sse") if file.name not in ODD)


@pytest.mark.parametrize("name", GOOD)
def test_recordings_are_well_formed(name: str) -> None:
    assert check_messages_stream((FOLDER / name).read_bytes())


def test_events_add_up_to_a_message() -> None:
    message = message_of(check_messages_stream((FOLDER / "thinking_tools.sse").read_bytes()))
    assert [block["type"] for block in message["content"]] == [
        "thinking",
        "text",
        "tool_use",
        "tool_use",
    ]
    assert message["content"][2]["input"] == {"location": "San Francisco, CA"}
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"event: message_start", b"event: message_begin"),
        (b'"index":1', b'"index":2'),
        (b"text_delta", b"thinking_delta"),
        (b'"type":"content_block_stop","index":0', b'"type":"ping","index":0'),
        (b'"stop_reason":"tool_use"', b'"stop_reason":"stop"'),
        (b"event: message_stop\n", b""),
        (b'{\\"location\\":', b'[\\"location\\":'),
        (b'"output_tokens":89', b'"output_tokens":null'),
        (b'\xc4\xb0', b'\xc4'),
    ],
)  # fmt: skip
def test_a_broken_stream_fails(old: bytes, new: bytes) -> None:
    raw = (FOLDER / "thinking_tools.sse").read_bytes()
    assert old in raw
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check_messages_stream(raw.replace(old, new))
