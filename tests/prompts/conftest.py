"""A folder of prompts that tests fill in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from santral.errors import NotFound
from santral.prompts.file import Draft

GOOD = """\
+++
description = "Greets."

[variables.name]
type = "string"
max_length = 20

[variables.count]
type = "integer"
default = 3

[settings]
temperature = 0.5
+++

## system

Greet {{ name }} {{ count }} times.

## user

Hello
"""


def find_nothing(reference: str) -> Draft:
    raise NotFound(f"There is no prompt '{reference}'.")


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a prompt file (a good one by default) and return the folder of prompts."""

    def write_prompt(text: str = GOOD, name: str = "greet", version: str = "1.0.0") -> Path:
        path = tmp_path / "prompts" / name / f"{version}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return tmp_path / "prompts"

    return write_prompt
