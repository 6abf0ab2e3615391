"""No gateway: the load generator in front of the scripted provider. Added latency counts from here."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.peers.peer import Place, Running, Target
from benchmarks.script import EVENTS


class Direct:
    name: ClassVar[str] = "direct"
    is_heavy: ClassVar[bool] = False

    def missing(self) -> str | None:
        return None

    def install(self) -> None:
        return None

    def start(self, place: Place) -> Running:
        def pids() -> list[int]:
            return [place.upstream.pid]

        target = Target(
            "direct", place.upstream.port, "scripted", pids, pids,
            features="no gateway; its CPU is the scripted provider's", events=EVENTS, is_direct=True,
        )  # fmt: skip
        return Running([target])
