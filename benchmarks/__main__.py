"""`make bench`: what a request costs in Santral, in its peers and in a bare proxy, in one run."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.cpu import memory
from benchmarks.measure import Bench, Cores, Measurement
from benchmarks.peers import PEERS
from benchmarks.peers.peer import Peer, Place, Running, Target, first_answer
from benchmarks.processes import Children, NotStartedError
from benchmarks.report import print_rows, rows_of, write_results
from benchmarks.scenarios import SCENARIOS, Scenario
from benchmarks.script import request_body, write_script
from benchmarks.tools import BUILD, HERE, NoCompilerError, build, start_upstream

#: A log has no width; the widest table needs this much.
_LOG_WIDTH = 170

console = Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)

#: Set before anything else on the machine, where we may: the machine is seldom ours alone.
_NICENESS = -10
#: A whole run ends by then, with the rounds it has.
_MOST_MINUTES = 45.0
_QUICK_MINUTES = 3.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 when every answer was right, 1 when not, 2 when it could not run."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        for tool in ("load", "upstream"):
            build(tool)
        return _run(options)
    except NoCompilerError as error:
        console.print(str(error))
    except NotStartedError as error:
        console.print(str(error), markup=False)
    except subprocess.CalledProcessError as error:
        console.print(f"{error.cmd[0]} failed with status {error.returncode}.", markup=False)
    except KeyboardInterrupt:
        console.print("Stopped; all child processes are ended. Nothing was written.")
        return 130
    return 2


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    scenarios = [s.name for s in SCENARIOS]
    parser.add_argument(
        "--quick", action="store_true", help="about a minute: one short round, rough figures"
    )
    parser.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="interleaved rounds (default 3)"
    )
    parser.add_argument(
        "--only", action="append", choices=scenarios, help="only this scenario (repeatable)"
    )
    parser.add_argument(
        "--gateway", action="append", choices=list(PEERS), help="only this one (repeatable)"
    )
    peers = parser.add_mutually_exclusive_group()
    peers.add_argument(
        "--peers", action="store_true", help="install peers that are missing (minutes, 1 GB)"
    )
    peers.add_argument("--no-peers", action="store_true", help="leave LiteLLM and Portkey out")
    parser.add_argument(
        "--upstream-port", type=int, default=0, metavar="PORT", help="default: a free one"
    )
    options = parser.parse_args(argv)
    if not 1 <= options.rounds <= 50:
        parser.error("--rounds takes a number from 1 to 50")
    return options


@dataclass
class Session:
    """What is up and what is not, and why."""

    running: dict[str, Running] = field(default_factory=dict[str, Running])
    not_run: dict[str, str] = field(default_factory=dict[str, str])
    #: Whether one that is installed did not start.
    is_broken: bool = False

    @property
    def targets(self) -> list[Target]:
        return [target for running in self.running.values() for target in running.targets]


def _run(options: argparse.Namespace) -> int:
    scenarios = [s for s in SCENARIOS if not options.only or s.name in options.only]
    if options.quick:
        scenarios, options.rounds = [s.shortened() for s in scenarios], 1
    cores, session = Cores.of_this_machine(), Session()
    with (
        tempfile.TemporaryDirectory(prefix="santral-bench-") as name,
        Children(Path(name) / "logs", _NICENESS if os.geteuid() == 0 else 0) as children,
    ):
        folder = Path(name)
        script = write_script(folder / "script")
        upstream = start_upstream(children, script, port=options.upstream_port, core=cores.load)
        place = Place(children, upstream, folder, cores.gateway)
        for peer in _chosen(options):
            _bring_up(peer, place, session, may_install=options.peers)
        bench = Bench(children, upstream, script, folder, cores, options.quick)
        results = _measure(bench, scenarios, session, options)
        _tell_of_the_dead(children, session)
        conditions = _conditions(options, cores, session, results)
    print_rows(console, scenarios, rows_of(results))
    _write(options, conditions, scenarios, results)
    return 1 if session.is_broken or any(m.faults for m in results) else 0


def _chosen(options: argparse.Namespace) -> list[Peer]:
    names = options.gateway or list(PEERS)
    wanted = [PEERS[name]() for name in PEERS if name in names or name == "direct"]
    drops_peers = options.no_peers or (options.quick and not options.peers and not options.gateway)
    return [peer for peer in wanted if not (drops_peers and peer.is_heavy)]


def _bring_up(peer: Peer, place: Place, session: Session, *, may_install: bool) -> None:
    if peer.missing() and may_install:
        console.print(f"{peer.name}: installing under {BUILD} …")
        with contextlib.suppress(subprocess.SubprocessError, OSError):  # `missing` tells below
            peer.install()
    reason = peer.missing()
    if not reason:
        try:
            running = peer.start(place)
            _wait_for_answers(running)
        except NotStartedError as error:
            session.is_broken = True
            reason = f"did not start: {error}\n{place.children.end_of_log(peer.name)}"
        else:
            session.running[peer.name] = running
            console.print(f"{peer.name}: first answer after {running.start_s:.2f} s")
            return
    session.not_run[peer.name] = reason
    console.print(f"{peer.name}: {reason}", markup=False)


def _wait_for_answers(running: Running) -> None:
    for number, target in enumerate(running.targets):
        first_answer(target, request_body(target.model, "short", is_streaming=False), running.child)
        if number == 0:
            running.start_s = time.monotonic() - running.began
    running.idle_bytes = memory(running.targets[0].workers()).pss if running.child else 0


def _measure(
    bench: Bench, scenarios: Sequence[Scenario], session: Session, options: argparse.Namespace
) -> list[Measurement]:
    minutes = _QUICK_MINUTES if options.quick else _MOST_MINUTES
    until = time.monotonic() + minutes * 60

    def tell(m: Measurement) -> None:
        head = f"round {m.round}/{options.rounds}  {m.scenario:<13} {m.target:<20}"
        if not m.answers:
            console.print(
                f"{head} {m.reason or m.load.get('first_fault', 'no answer')[:200]}", markup=False
            )
            return
        cost = m.worker_ns / 1000 / m.answers
        faults = f"  {m.faults} FAULTS {m.load.get('first_fault', '')[:200]}" if m.faults else ""
        p50 = m.load["latency_us"]["p50"] / 1000
        console.print(
            f"{head} {cost:9,.0f} us CPU  {m.load['rps']:9,.0f}/s  p50 {p50:8.2f} ms{faults}",
            markup=False,
        )

    return list(bench.rounds(scenarios, session.targets, options.rounds, until=until, tell=tell))


def _tell_of_the_dead(children: Children, session: Session) -> None:
    """A gateway that ended under load says why in its log, and the logs go with this process."""
    for name, running in session.running.items():
        if running.child and running.child.poll() is not None:
            session.is_broken = True
            status = running.child.returncode
            console.print(
                f"{name} ended with status {status}:\n{children.end_of_log(name)}", markup=False
            )


def _conditions(
    options: argparse.Namespace, cores: Cores, session: Session, results: Sequence[Measurement]
) -> dict[str, Any]:
    others = [m.others for m in results if m.answers] or [0.0]
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD")
        + ("+changes" if _git("status", "--porcelain", "src") else ""),
        "machine": f"{_cpu_model()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "pinning": "none: one core for all"
        if cores.gateway is None
        else f"gateway on core {cores.gateway}, load and upstream on core {cores.load}",
        "priority": f"niceness {_NICENESS}" if os.geteuid() == 0 else "niceness 0",
        "other work on the machine": f"{statistics.median(others):.0%} of its CPU (median), "
        f"{max(others):.0%} at most",
        "rounds": options.rounds,
        "upstream": "plain HTTP on 127.0.0.1; 1,160 B JSON, or 60 content events + usage + [DONE]",
        "gateways": {
            t.name: _facts(t, running)
            for running in session.running.values()
            for t in running.targets
        },
        "not_run": session.not_run,
    }


def _facts(target: Target, running: Running) -> dict[str, Any]:
    return {
        "version": target.version,
        "features": target.features,
        "start_s": running.start_s,
        "idle_bytes": running.idle_bytes,
        "after_bytes": 0 if target.is_direct else memory(target.workers()).pss,
    }


def _write(
    options: argparse.Namespace, conditions: dict[str, Any], scenarios: Sequence[Scenario],
    results: Sequence[Measurement],
) -> None:  # fmt: skip
    """Keep whole runs under results/; a quick or partial one must not pass for a result."""
    is_partial = options.quick or options.only or options.gateway
    folder = BUILD / "partial" if is_partial else HERE / "results"
    name = f"{conditions['date'][:10]}-{conditions['commit'].partition('+')[0]}"
    path = write_results(folder, name, conditions, scenarios, results)
    console.print(f"{path}\n{folder / 'latest.md'}", markup=False, soft_wrap=True)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(HERE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
