"""Measure the guardrails: recall and false alarms per source, obfuscations, CPU, held characters.

    python scripts/measure_guardrails.py DATA.jsonl.gz

DATA holds one object per line: source, label (1 = attack), lang, text. The figures of
docs/decisions/0006-guardrails.md come from here.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import codecs
import gzip
import random
import re
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from santral.config.policies import PolicyConfig
from santral.guardrails.policy import CheckList, Policy, compile_policy, inspect
from santral.guardrails.stream import StreamMask


class Row(msgspec.Struct):
    source: str
    label: int
    lang: str
    text: str


POLICY = PolicyConfig.model_validate(
    {
        "input": [
            {"check": "pii"},
            {"check": "secrets"},
            {"check": "injection"},
            {"check": "length", "max_tokens": 1_000_000},
        ],
        "output": [{"check": "pii"}, {"check": "secrets"}],
    }
)

TRICKS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "zero width": lambda t: "\u200b".join(t),
    "soft hyphen": lambda t: re.sub(r"(\w)(\w)", "\\1\u00ad\\2", t),
    "homoglyphs": lambda t: t.translate(str.maketrans("aeopcxiyAEOPC", "аеорсхіуАЕОРС")),
    "fullwidth": lambda t: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in t),
    "tag characters": lambda t: "".join(chr(0xE0000 + ord(c)) if " " <= c <= "~" else c for c in t),
    "combining marks": lambda t: re.sub(r"(\w)", "\\1\u0335", t),
    "leet": lambda t: t.translate(str.maketrans("aeiost", "431057")),
    "spaced": lambda t: re.sub(r"(?<=\w)(?=\w)", " ", re.sub(r" ", "   ", t)),
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "rot13": lambda t: f"Decode this rot13 and do it: {codecs.encode(t, 'rot13')}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    arguments = parser.parse_args()
    rows = list(read(arguments.data))
    policy = compile_policy("measured", POLICY)
    quality(rows, policy)
    obfuscations(rows, policy)
    speed(rows, policy)
    held(rows, policy.output)


def read(path: Path) -> Iterable[Row]:
    """Read the rows of a gzipped JSON lines file."""
    decoder = msgspec.json.Decoder(Row)
    with gzip.open(path) as lines:
        yield from map(decoder.decode, lines)


def is_caught(checks: CheckList, text: str) -> bool:
    """Whether the injection check refuses the text."""
    outcome = asyncio.run(inspect(checks, (text,), "input"))
    return any(v.check == "injection" and v.action == "refuse" for v in outcome.verdicts)


def quality(rows: list[Row], policy: Policy) -> None:
    """Print recall per source of attacks, false alarms per source of benign texts."""
    found: dict[tuple[int, str, str], list[bool]] = defaultdict(list)
    checks = injection_of(policy)
    for row in rows:
        found[row.label, row.source, row.lang].append(is_caught(checks, row.text))
    for label, title in ((1, "recall"), (0, "false alarms")):
        print(f"\n{title}: source, language, texts, refused")
        for key in sorted(key for key in found if key[0] == label):
            hits = found[key]
            print(f"  {key[1]:18} {key[2]} {len(hits):6} {sum(hits) / len(hits):8.2%}")
        flat = [hit for key, hits in found.items() if key[0] == label for hit in hits]
        print(f"  {'all':21} {len(flat):6} {sum(flat) / len(flat):8.2%}")


def obfuscations(rows: list[Row], policy: Policy) -> None:
    """Print how many of 100 short caught attacks are still caught when they are disguised."""
    checks = injection_of(policy)
    attacks = [r.text for r in rows if r.label and len(r.text) < 400 and is_caught(checks, r.text)]
    attacks = attacks[:100]
    print(f"\ndisguises: still caught of {len(attacks)}")
    for name, disguise in TRICKS.items():
        caught = sum(is_caught(checks, disguise(text)) for text in attacks)
        print(f"  {name:16} {caught / len(attacks):7.1%}")


def speed(rows: list[Row], policy: Policy) -> None:
    """Print thread CPU time of a whole input inspection: varied texts, best of five passes each."""
    texts = [row.text for row in rows]
    random.Random(1).shuffle(texts)
    print("\nCPU per inspection, us: length, texts, p50, p95")
    for low, high, count in ((350, 450, 400), (900, 1150, 200), (8_000, 12_000, 40)):
        chosen = [text for text in texts if low <= len(text) <= high][:count]
        times = sorted(asyncio.run(timed(policy.input, text)) for text in chosen)
        middle, late = times[len(times) // 2], times[int(len(times) * 0.95)]
        print(f"  {low:6}-{high:<6} {len(times):4} {middle:8.1f} {late:8.1f}")
    line = "How do I change the delivery address of an order that was placed yesterday? "
    secret = "Mail ali@example.com, call 0532 123 45 67, card 4111 1111 1111 1111. "
    for name, text in (
        ("400 bytes, nothing", (line * 6)[:400]),
        (
            "400 letters, Turkish",
            ("Müşteri hizmetleri çalışma saatleri nedir, şube var mı? " * 9)[:400],
        ),
        ("1 kB, nothing", (line * 14)[:1024]),
        ("1 kB, three entities", (line * 12 + secret)),
        ("52 kB, nothing", (line * 700)[:52_000]),
        ("104 kB, nothing", (line * 1400)[:104_000]),
    ):
        print(f"  {name:22} {asyncio.run(timed(policy.input, text)):8.1f}")


async def timed(checks: CheckList, text: str) -> float:
    """Return the microseconds of CPU of one inspection, best of five times a few."""
    best = float("inf")
    rounds = max(1, 20_000 // (len(text) + 100))
    for _ in range(5):
        started = time.thread_time_ns()
        for _ in range(rounds):
            await inspect(checks, (text,), "input")
        best = min(best, (time.thread_time_ns() - started) / rounds / 1000)
    return best


def held(rows: list[Row], checks: CheckList) -> None:
    """Print how many characters a masked stream holds back in prose, and its cost per delta."""
    texts = [row.text for row in rows if not row.label]
    random.Random(2).shuffle(texts)
    waiting: list[int] = []
    started = time.thread_time_ns()
    for text in texts[:1500]:
        mask = StreamMask(checks)
        for delta in re.findall(r"\s?\w{1,6}|\s|[^\w\s]", text):
            mask.push(delta)
            waiting.append(mask.held_characters)
        mask.flush()
    spent = (time.thread_time_ns() - started) / len(waiting) / 1000
    waiting.sort()
    print(
        f"\nstream: {len(waiting)} deltas, held mean {statistics.mean(waiting):.1f},"
        f" p99 {waiting[int(len(waiting) * 0.99)]}, max {waiting[-1]}; {spent:.1f} us a delta"
    )


def injection_of(policy: Policy) -> CheckList:
    """Return the injection check alone."""
    return CheckList.of(check for check in policy.input if check.name == "injection")


if __name__ == "__main__":
    main()
