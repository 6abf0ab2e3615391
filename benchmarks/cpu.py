"""CPU time and memory of processes, read from /proc (Linux)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_GONE = (FileNotFoundError, ProcessLookupError, PermissionError, ValueError, IndexError)


def process_tree(root: int) -> list[int]:
    """Return ``root`` and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(*_GONE):
                children.setdefault(_parent(entry), []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, ()))
    return [pid for pid in found if (_PROC / str(pid)).exists()]


def command_line(pid: int) -> str:
    """Return the command line of a process, or nothing when it is gone."""
    with contextlib.suppress(*_GONE):
        return (
            (_PROC / str(pid) / "cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode(errors="replace")
            .strip()
        )
    return ""


@dataclass(frozen=True)
class CpuTime:
    """On-CPU nanoseconds per thread at one moment."""

    threads: dict[tuple[int, int], int]

    def since(self, before: CpuTime) -> int:
        """Return nanoseconds spent since ``before``; a thread that ended in between is not seen."""
        return sum(ns - before.threads.get(thread, 0) for thread, ns in self.threads.items())


def cpu_time(pids: Iterable[int]) -> CpuTime:
    """Read the CPU time of all threads of ``pids``."""
    threads: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(*_GONE):
            for task in (_PROC / str(pid) / "task").iterdir():
                with contextlib.suppress(*_GONE):
                    threads[pid, int(task.name)] = _thread_ns(task)
    return CpuTime(threads)


def machine_busy_ns() -> int:
    """Return what all cores have worked for anybody, what was stolen by the host included."""
    fields = [int(field) for field in (_PROC / "stat").read_text().partition("\n")[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) * _TICK_NS


@dataclass(frozen=True)
class Memory:
    """Bytes in memory: ``pss`` counts a page shared by n processes as 1/n."""

    rss: int
    pss: int


def memory(pids: Iterable[int]) -> Memory:
    """Add up the memory of ``pids``."""
    rss = pss = 0
    for pid in pids:
        with contextlib.suppress(*_GONE):
            fields = _kilobytes((_PROC / str(pid) / "smaps_rollup").read_text())
            rss += fields.get("Rss", 0) * 1024
            pss += fields.get("Pss", 0) * 1024
    return Memory(rss, pss)


def pin(pids: Iterable[int], core: int) -> None:
    """Let all threads of ``pids`` run on ``core`` only."""
    for pid in pids:
        with contextlib.suppress(*_GONE):
            for task in (_PROC / str(pid) / "task").iterdir():
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(task.name), {core})


def prefer(pids: Iterable[int], niceness: int) -> None:
    """Set the scheduling weight of processes, where we may.

    To the scheduler a session is a group of its own (autogroup), and the niceness of a process
    counts within its group only: so both are set.
    """
    for pid in pids:
        with contextlib.suppress(*_GONE, OSError):
            os.setpriority(os.PRIO_PROCESS, pid, niceness)
            (_PROC / str(pid) / "autogroup").write_text(str(niceness))


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def _thread_ns(task: Path) -> int:
    """Nanoseconds from schedstat; where the kernel has none, ticks from stat (10 ms steps)."""
    with contextlib.suppress(FileNotFoundError):
        if ns := int((task / "schedstat").read_text().split()[0]):
            return ns
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_NS


def _kilobytes(text: str) -> dict[str, int]:
    rows = (line.split() for line in text.splitlines()[1:])
    return {row[0].rstrip(":"): int(row[1]) for row in rows if len(row) == 3}
