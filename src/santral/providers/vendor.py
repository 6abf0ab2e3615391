"""One provider kind: its dialect, where it is, and its quirks as data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from santral.config.upstreams import Capability


class Vendor(Struct, frozen=True, kw_only=True):
    """One provider kind. An OpenAI-compatible one is a row; another dialect is a file and a row.

    The quirks after ``needs_question`` are those of the OpenAI dialect.
    """

    kind: str
    title: str
    dialect: str = "openai"  # a name in registry.DIALECTS
    base_url: str = ""  # empty: the configuration has to say it
    auth: Literal["bearer", "optional", "none", "own"] = "bearer"  # own: its dialect knows how
    key_header: str = "authorization"  # there as "Bearer KEY"; in any other header the bare key
    capabilities: frozenset[Capability] = frozenset()  # of its chat; a model may lack some
    reference: str = ""  # the vendor's page that the row was written from
    models_path: str = "/models"  # lists the models; empty: nothing does
    notes: tuple[str, ...] = ()  # what people should know of it, a phrase each
    needs_question: bool = False  # answers the question itself, and is given it apart

    asks_usage: bool = True  # takes stream_options.include_usage; others send usage unasked
    renames: Mapping[str, str] = field(default_factory=dict[str, str])  # our field name -> its own
    output_limit: str = "max_tokens"  # the field that bounds the output where a client sets none
    drops: Mapping[str, str] = field(default_factory=dict[str, str])  # refused field -> the reason
    takes: frozenset[str] = frozenset()  # fields of other dialects that it knows by the same name
    strict_nulls: bool = False  # refuses null where a field may be left out
    null_roles: bool = False  # its deltas say "role": null, which breaks the grammar of a stream
    max_n: int | None = None  # the most choices of one call
    roles: Mapping[str, str] = field(default_factory=dict[str, str])  # refused role -> its own
    refuses: frozenset[str] = frozenset()  # message fields that make it refuse the whole request
    reasoning_field: str = ""  # what it wants earlier reasoning back as; empty: it takes none
    takes_details: bool = False  # takes reasoning_details back
    takes_cache_control: bool = False
    takes_signatures: bool = False  # takes extra_content of tool calls back

    def quirks(self) -> list[str]:
        """Return what differs from the plain dialect, a phrase each."""
        said = [*self.notes]
        said += [f"{ours} is sent as {theirs}" for ours, theirs in self.renames.items()]
        said += [f"{name} is left out: {why}" for name, why in self.drops.items()]
        said += [f"role {ours} is sent as {theirs}" for ours, theirs in self.roles.items()]
        if self.refuses:
            said.append(f"messages go without {', '.join(sorted(self.refuses))}")
        phrases = (
            (not self.asks_usage, "usage comes unasked"),
            (self.strict_nulls, "nulls are left out"),
            (self.null_roles, "null roles are taken out of its streams"),
            (self.max_n == 1, "one choice a call"),
            (bool(self.reasoning_field), f"takes reasoning back as {self.reasoning_field}"),
            (self.takes_details, "takes reasoning_details back"),
            (self.takes_cache_control, "takes cache_control"),
            (self.takes_signatures, "takes thought signatures back"),
        )
        return said + [phrase for holds, phrase in phrases if holds]


def can(*names: Capability) -> frozenset[Capability]:
    """Return a set of capabilities."""
    return frozenset(names)


#: What nearly every vendor's chat does; rows say what more, and what not.
CHAT = can("tools", "parallel_tools", "json_schema", "json_object", "vision", "streaming")
#: Fields of sampling that most engines know, and vendors who run them.
SAMPLING = frozenset({"top_k", "min_p", "repetition_penalty"})
