"""What a target is asked about an example, and the key of everything that its answer depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from santral.evals.answer import Question
from santral.evals.example import Example, digest_of
from santral.evals.suite import Suite, Target

#: Version of the key: raised whenever equal keys would no longer mean equal answers.
_KEY_VERSION = 1

_encode = msgspec.json.Encoder(order="sorted").encode


class Item(Struct, frozen=True, kw_only=True):
    """One thing to do in a run: an example, asked for the n-th time."""

    example: Example
    example_hash: str
    repeat: int
    question: Question
    key: str  # empty: the answer depends on something unknown, and is never taken again


def items_of(
    suite: Suite, target: Target, examples: Iterable[Example], *, config_hash: str, prompt: str
) -> list[Item]:
    """Return what a target has to do, in the order in which it is asked: example by example.

    ``prompt`` is what the target composes, where it is known; an empty ``config_hash`` says that nobody
    knows what the answers depend on (a server elsewhere).
    """
    return [
        _item(suite, target, example, repeat, config_hash, prompt)
        for example in examples
        for repeat in range(suite.repeats)
    ]


def selected(examples: Iterable[Example], suite: Suite) -> list[Example]:
    """Return the examples that a suite asks about, in their order.

    ``limit`` draws by a hash of the ids, so that every target and every later run draws the same.
    """
    chosen = [
        example
        for example in examples
        if (not suite.split or example.split == suite.split)
        and all(example.metadata.get(key) == value for key, value in suite.filter.items())
    ]
    if suite.limit is None or suite.limit >= len(chosen):
        return chosen
    drawn = sorted(chosen, key=lambda one: hashlib.sha256(one.id.encode()).digest())[: suite.limit]
    kept = {one.id for one in drawn}
    return [one for one in chosen if one.id in kept]


def _item(
    suite: Suite, target: Target, example: Example, repeat: int, config_hash: str, prompt: str
) -> Item:
    settings = dict(target.settings)
    if suite.seed is not None:
        settings["seed"] = suite.seed + repeat
    question = Question(
        model=target.route,
        messages=_messages(example),
        prompt=target.prompt or (prompt if example.variables else ""),
        variables=example.variables,
        tools=example.tools,
        settings=settings,
        extras=target.extras,
        timeout_s=suite.timeout_s,
    )
    digest = digest_of(example)
    key = _key(question, config_hash, digest, repeat) if config_hash else ""
    return Item(example=example, example_hash=digest, repeat=repeat, question=question, key=key)


def _messages(example: Example) -> list[dict[str, Any]]:
    if not isinstance(example.input, str):
        return example.input
    return [{"role": "user", "content": example.input}] if example.input else []


def _key(question: Question, config_hash: str, example_hash: str, repeat: int) -> str:
    asked = msgspec.structs.replace(question, tags={}, timeout_s=0.0)
    said: tuple[Any, ...] = (_KEY_VERSION, asked, config_hash, example_hash, repeat)
    return hashlib.sha256(_encode(said)).hexdigest()
