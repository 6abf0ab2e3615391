"""A function of the suite's owner."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

from msgspec import Struct

from santral.evals.evaluator import Case, Direction, Measure, Score
from santral.evals.kind import not_applicable, versioned
from santral.evals.tools import Tools


class Params(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """``function``: ``file.py:name``, beside the suite. It takes a ``Case`` and returns a number, a
    bool, a mapping of the ``names`` to numbers, or None where it does not apply; it may be async.
    ``low`` and ``high``: the range of its numbers, for ``bounded = true``. ``options``: its further
    keyword arguments."""

    function: str
    names: tuple[str, ...] = ()
    direction: Direction = "higher"
    bounded: bool = True
    low: float = 0.0
    high: float = 1.0
    binary: bool = False
    unit: str = ""
    timeout_s: float = 30.0
    options: dict[str, Any] = {}


class Python:
    """What a function of yours says. It runs in this process with all its rights: only run suites
    that you would run as programs. One that is late is given up, and its thread goes on."""

    Params: ClassVar[type[Struct]] = Params
    needs: ClassVar[str] = "whatever the function reads"

    def __init__(self, name: str, params: Params, tools: Tools) -> None:
        self._names = tuple(f"{name}_{one}" for one in params.names) or (name,)
        self._params = params
        path, code = _source(params.function, tools.folder)
        self._call = _function(path, code, params.function.rpartition(":")[2])
        self.measures = tuple(
            Measure(
                name=one,
                direction=params.direction,
                low=params.low if params.bounded else None,
                high=params.high if params.bounded else None,
                unit=params.unit,
                is_binary=params.binary,
            )
            for one in self._names
        )
        self.version = versioned("python", 1, params, code=hashlib.sha256(code).hexdigest())

    async def __call__(self, case: Case) -> Sequence[Score]:
        async with asyncio.timeout(self._params.timeout_s):
            said = await self._said(case)
        if said is None:
            return not_applicable(self._names, "the function says so")
        if isinstance(said, Mapping):
            given = cast(Mapping[str, object], said)
            return [self._score(one, given.get(one)) for one in self._params.names]
        return [self._score("", said)]

    async def _said(self, case: Case) -> object:
        if inspect.iscoroutinefunction(self._call):
            return await self._call(case, **self._params.options)
        return await asyncio.to_thread(self._call, case, **self._params.options)

    def _score(self, suffix: str, value: object) -> Score:
        name = self._names[self._params.names.index(suffix)] if suffix else self._names[0]
        if not isinstance(value, int | float):
            return Score(name=name, error="not_a_number", reason=f"it gave {value!r:.80}")
        return Score(name=name, value=float(value))


def _source(function: str, folder: Path) -> tuple[Path, bytes]:
    file, _, name = function.rpartition(":")
    if not file or not name.isidentifier():
        raise ValueError(f"function: '{function}' is no file.py:name")
    path = folder / file
    try:
        return path, path.read_bytes()
    except OSError as error:
        raise ValueError(f"function: {path}: {error.strerror}") from None


def _function(path: Path, code: bytes, name: str) -> Callable[..., object | Awaitable[object]]:
    """Run a file as a module of its own and return a function of it."""
    known: dict[str, Any] = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(code, str(path), "exec"), known)  # noqa: S102 - it is what the suite asks for
    except Exception as error:  # noqa: BLE001 - somebody's code: what goes wrong in it is named
        raise ValueError(f"function: {path}: {type(error).__name__}: {error}") from None
    found = known.get(name)
    if not callable(found):
        raise ValueError(f"function: {path} has no function '{name}'")
    return found
