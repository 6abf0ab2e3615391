"""Secrets by reference: a value that cannot be printed, and says where it came from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, final

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from santral.errors import ConfigError


@final
class SecretRef:
    """``env:NAME`` or ``file:PATH``: where a secret is, never the secret itself.

    ``str``, ``repr``, JSON and pickles of it show the reference alone.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        scheme, _, place = reference.partition(":")
        if scheme not in ("env", "file") or not place:
            raise ValueError(
                "a secret is given by reference, env:NAME or file:PATH, never in clear"
            )
        self.reference = reference

    def reveal(self) -> str:
        """Return the secret.

        Raises:
            ConfigError: the variable is not set, or the file cannot be read.
        """
        scheme, _, place = self.reference.partition(":")
        if scheme == "env":
            value = os.environ.get(place)
            if not value:
                raise ConfigError(f"{self.reference}: the environment variable is not set.")
            return value
        try:
            return Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.reference}: {error}") from None

    def __repr__(self) -> str:
        return f"SecretRef({self.reference!r})"

    def __str__(self) -> str:
        return self.reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretRef) and other.reference == self.reference

    def __hash__(self) -> int:
        return hash(self.reference)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def parse(value: Any) -> SecretRef:
            return value if isinstance(value, SecretRef) else cls(str(value))

        return core_schema.no_info_plain_validator_function(
            parse,
            serialization=core_schema.plain_serializer_function_ser_schema(str),
            json_schema_input_schema=core_schema.str_schema(pattern="^(env|file):.+$"),
        )
