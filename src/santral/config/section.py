"""A part of the configuration, and the types its settings share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from santral.config.network import parse_network

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,127}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
NetworkText = Annotated[str, AfterValidator(lambda text: str(parse_network(text)))]


class Section(BaseModel):
    """A part of the configuration: frozen, and unknown settings are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
