"""Linking: a draft and the drafts that it includes become one compiled version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from santral.errors import ConfigError, SantralError
from santral.prompts.file import INCLUDE, MAX_FILE_BYTES, Draft, Section
from santral.prompts.front import fault, hint
from santral.prompts.template import UNTRUSTED_RULE, PromptTemplateError, compile_template
from santral.prompts.version import MessageTemplate, PromptVersion, Variable

#: Prompts inside prompts inside prompts: deeper than this nobody finds a sentence again. Chosen.
MAX_INCLUDE_DEPTH = 5

#: Returns the draft that a reference names; raises SantralError, whose message says what is wrong.
FindDraft = Callable[[str], Draft]


class _Expanded(Struct, frozen=True):
    """A draft with the texts of all that it includes in their places."""

    draft: Draft
    sections: tuple[Section, ...]
    variables: dict[str, Variable]
    used: frozenset[str]
    includes: tuple[str, ...]
    composed_hash: str


def link(draft: Draft, find: FindDraft) -> PromptVersion:
    """Compile a version; ``find`` knows what it may include.

    Raises:
        ConfigError: it includes what is not there or itself, too deep or too much, or variables do
            not fit; the message begins with ``place:line``.
    """
    whole = _expand(draft, find, ())
    for name in draft.variables:
        if name not in whole.used:
            at = draft.lines[name]
            raise fault(
                draft.place, at, f"the variable '{name}' is declared but no message uses it"
            )
    untrusted = frozenset(v.name for v in whole.variables.values() if v.is_untrusted)
    return PromptVersion(
        name=draft.name,
        version=draft.version,
        content_hash=draft.content_hash,
        composed_hash=whole.composed_hash,
        description=draft.description,
        changelog=draft.changelog,
        owner=draft.owner,
        variables=whole.variables,
        settings=draft.settings,
        output_schema=draft.output_schema,
        tools=draft.tools,
        tests=draft.tests,
        messages=tuple(_compiled(draft, s, untrusted) for s in _merged(whole.sections, untrusted)),
        includes=whole.includes,
        order=draft.order,
    )


def _expand(draft: Draft, find: FindDraft, above: tuple[str, ...]) -> _Expanded:
    if draft.reference in above:
        circle = " -> ".join((*above[above.index(draft.reference) :], draft.reference))
        raise fault(draft.place, 1, f"a prompt includes itself: {circle}")
    if len(above) > MAX_INCLUDE_DEPTH:
        raise fault(draft.place, 1, f"includes are more than {MAX_INCLUDE_DEPTH} deep")
    parts = {
        include.reference: _included(draft, include.reference, include.line, find, above)
        for include in draft.includes
    }
    sections = tuple(replace(s, text=_filled(s.text, parts)) for s in draft.sections)
    if sum(len(section.text) for section in sections) > MAX_FILE_BYTES:
        raise fault(draft.place, 1, f"with its includes it has over {MAX_FILE_BYTES} characters")
    variables = _variables(draft, parts)
    _check_names(draft, variables)
    return _Expanded(
        draft=draft,
        sections=sections,
        variables=variables,
        used=draft.used.union(*(part.used for part in parts.values())),
        includes=tuple(
            dict.fromkeys(
                name for part in parts.values() for name in (part.draft.reference, *part.includes)
            )
        ),
        composed_hash=_composed_hash(draft, parts),
    )


def _included(
    draft: Draft, reference: str, line: int, find: FindDraft, above: tuple[str, ...]
) -> _Expanded:
    try:
        found = find(reference)
    except SantralError as error:
        reason = f"include '{reference}': {error.message}".rstrip(".")
        raise ConfigError(f"{draft.place}:{line}: {reason}.".replace("?.", "?")) from None
    if len(found.sections) != 1:
        raise fault(
            draft.place, line,
            f"include '{reference}': {found.reference} has {len(found.sections)} messages, and only "
            "a prompt of one message can stand inside another",
        )  # fmt: skip
    return _expand(found, find, (*above, draft.reference))


def _filled(text: str, parts: Mapping[str, _Expanded]) -> str:
    return INCLUDE.sub(lambda match: parts[match["reference"]].sections[0].text, text)


def _variables(draft: Draft, parts: Mapping[str, _Expanded]) -> dict[str, Variable]:
    """Return its own variables, and those of what it includes that it does not declare itself."""
    variables = dict(draft.variables)
    for part in parts.values():
        for name, variable in part.variables.items():
            own = variables.setdefault(name, variable)
            if own.type != variable.type:
                raise fault(
                    draft.place, draft.lines.get(name, 1),
                    f"'{name}' is of type {own.type}, and in {part.draft.reference} of type "
                    f"{variable.type}",
                )  # fmt: skip
            if variable.is_untrusted and not own.is_untrusted:
                variables[name] = replace(own, is_untrusted=True)
    return variables


def _check_names(draft: Draft, variables: Mapping[str, Variable]) -> None:
    for name, at in draft.unknown.items():
        if name not in variables:
            near = hint(name, variables)
            raise fault(draft.place, at, f"'{name}' is not under [variables]{near}")


def _composed_hash(draft: Draft, parts: Mapping[str, _Expanded]) -> str:
    if not parts:
        return draft.content_hash
    lines = [
        draft.content_hash,
        *(f"{name} {p.composed_hash}" for name, p in sorted(parts.items())),
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _merged(sections: tuple[Section, ...], untrusted: frozenset[str]) -> list[Section]:
    """Put the constraints, and the rule about untrusted data, at the end of the first system message."""
    messages = [section for section in sections if not section.is_constraint]
    added = [section.text for section in sections if section.is_constraint]
    added += [UNTRUSTED_RULE] if untrusted else []
    if not added:
        return messages
    first = next((n for n, m in enumerate(messages) if m.role in ("system", "developer")), None)
    if first is None:
        line = next((s.line for s in sections if s.is_constraint), messages[0].line)
        return [Section("system", line, "\n\n".join(added)), *messages]
    text = "\n\n".join((messages[first].text, *added))
    messages[first] = replace(messages[first], text=text)
    return messages


def _compiled(draft: Draft, section: Section, untrusted: frozenset[str]) -> MessageTemplate:
    try:
        template = compile_template(section.text, untrusted)
    except PromptTemplateError as error:
        # Each text was compiled by itself: what is wrong is how they stand together.
        raise fault(
            draft.place, section.line, f"template with its includes: {error.reason}"
        ) from None
    return MessageTemplate(section.role, section.text, section.line, template, section.is_example)
