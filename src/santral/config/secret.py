"""Secrets by reference: a value that cannot be printed, and says where it came from."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, final

from pydantic import AfterValidator, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from santral.errors import ConfigError, nearest

#: What sealed secrets are called, as the database and its stores take it.
SEALED_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class SealedSecrets:
    """The sealed secrets that this process has opened, as it has an environment: by name.

    Whoever can open them fills it, at the start and after every change; here they are only read.
    """

    def __init__(self) -> None:
        self._values: Mapping[str, str] | None = None
        self._open: Callable[[], Mapping[str, str]] | None = None

    def hold(self, values: Mapping[str, str]) -> None:
        """Hold ``values`` in place of what was held before."""
        self._values = dict(values)

    def when_needed(self, open_: Callable[[], Mapping[str, str]]) -> None:
        """Call ``open_`` when the first one is asked for: most commands need none."""
        self._open = open_

    def value(self, name: str) -> str:
        """Return the secret ``name``.

        Raises:
            ConfigError: there is none, or none were opened in this process.
        """
        if self._values is None and self._open is not None:
            self._values = dict(self._open())
        if self._values is None:
            raise ConfigError(f"secret:{name}: sealed secrets are not open here.")
        if name not in self._values:
            raise ConfigError(
                f"secret:{name}: there is no such sealed secret.{nearest(name, self._values)} "
                f"Set it with: santral secrets set {name}"
            )
        return self._values[name]

    def __repr__(self) -> str:
        return f"SealedSecrets({len(self._values or ())})"


#: Of this process.
SEALED = SealedSecrets()


@final
class SecretRef:
    """``env:NAME``, ``file:PATH`` or ``secret:NAME``: where a secret is, never the secret itself.

    ``str``, ``repr``, JSON and pickles of it show the reference alone.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        scheme, _, place = reference.partition(":")
        if scheme not in ("env", "file", "secret") or not place:
            raise ValueError(
                "a secret is given by reference, env:NAME, file:PATH or secret:NAME, never in clear"
            )
        if scheme == "secret" and not SEALED_NAME.fullmatch(place):
            raise ValueError(
                "the name of a sealed secret has up to 128 letters, digits, '.', '_' and '-'"
            )
        self.reference = reference

    @property
    def is_sealed(self) -> bool:
        """Whether it names a sealed secret, which an administrator may change at any time."""
        return self.reference.startswith("secret:")

    @property
    def sealed_name(self) -> str:
        """The name of the sealed secret."""
        return self.reference.partition(":")[2]

    def reveal(self) -> str:
        """Return the secret.

        Raises:
            ConfigError: the variable is not set, the file cannot be read, or there is no such
                sealed secret.
        """
        scheme, _, place = self.reference.partition(":")
        if scheme == "secret":
            return SEALED.value(place)
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
            json_schema_input_schema=core_schema.str_schema(pattern="^(env|file|secret):.+$"),
        )


def _outside(reference: SecretRef) -> SecretRef:
    if reference.is_sealed:
        raise ValueError(
            "what opens sealed secrets cannot be one itself; use env:NAME or file:PATH"
        )
    return reference


#: A secret that is needed before sealed ones can be read.
OutsideRef = Annotated[SecretRef, AfterValidator(_outside)]
