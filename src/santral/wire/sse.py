"""Server-sent events: bytes in any split to events, and events to bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from msgspec import Struct

from santral.errors import ProviderGarbled


class Event(Struct, frozen=True):
    """One dispatched event: ``data`` lines joined by line feeds, ``name`` empty for the default."""

    data: bytes
    name: bytes = b""


#: An event larger than this is not a token but an attack or a fault. Chosen: images in a delta
#: stay below it.
MAX_EVENT_BYTES = 16 * 1024 * 1024


class SseDecoder:
    """Decodes a stream of events however its bytes are split.

    Takes LF, CRLF and CR line ends, comments, a byte order mark, and data without a space after
    the colon. An event that no blank line has closed is not dispatched (the specification's rule),
    but ``pending`` tells that something was cut.
    """

    __slots__ = ("_after_cr", "_at_start", "_data", "_line", "_name", "_size")

    def __init__(self) -> None:
        self._line = bytearray()
        self._data: list[bytes] = []
        self._name = b""
        self._size = 0
        self._after_cr = False
        self._at_start = True

    @property
    def pending(self) -> bool:
        """Whether bytes came that no event has delivered yet."""
        return bool(self._line or self._data)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that ``data`` completes.

        Raises:
            ProviderGarbled: one event is larger than ``MAX_EVENT_BYTES``.
        """
        events: list[Event] = []
        if self._after_cr and data:
            self._after_cr = False
            if data[:1] == b"\n":
                data = data[1:]
        if b"\r" in data:
            if data.endswith(b"\r"):
                self._after_cr = True
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = data.split(b"\n")
        for line in lines:
            if self._line:
                self._line += line
                line = bytes(self._line)
                self._line.clear()
            event = self._take(line)
            if event is not None:
                events.append(event)
        self._line += rest
        if self._size + len(self._line) > MAX_EVENT_BYTES:
            raise ProviderGarbled(f"An event of the stream is larger than {MAX_EVENT_BYTES} bytes.")
        return events

    def _take(self, line: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch()
        if line[:5] == b"data:":
            value = line[6:] if line[5:6] == b" " else line[5:]
            self._data.append(value)
            self._size += len(value) + 1  # the line feed too: empty lines are not free
        elif line[:6] == b"event:":
            self._name = line[6:].removeprefix(b" ")
        elif line == b"data":
            self._data.append(b"")
            self._size += 1
        return None

    def _dispatch(self) -> Event | None:
        if not self._data:
            self._name = b""
            return None
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        event = Event(data, self._name)
        self._data = []
        self._name = b""
        self._size = 0
        return event


def encode_event(data: bytes, name: bytes = b"") -> bytes:
    """Return the bytes of one event; ``data`` is JSON, whose line ends are no part of what it says.

    Vendors indent what is passed on as it came (blocks of their own, arguments).
    """
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r", b"").replace(b"\n", b"")
    if name:
        return b"event: " + name + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


DONE = b"data: [DONE]\n\n"
