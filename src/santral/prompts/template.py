"""The template language of prompts: the part of Jinja2 that fills in, chooses and repeats.

Templates are checked when they are loaded, not when they run. What could compute without bound
(calls, assignments, powers, macros, imports) or reach into objects (attributes) is refused by an
allow-list of syntax nodes; Jinja2's sandbox and strict undefined stand behind it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, cast

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

#: Filters whose result is not longer than what goes in, plus a constant. Chosen.
FILTERS = (
    "capitalize", "default", "first", "float", "int", "join", "last", "length", "list", "lower",
    "reverse", "round", "sort", "string", "title", "tojson", "trim", "truncate", "unique", "upper",
    "wordcount",
)  # fmt: skip
TESTS = ("defined", "divisibleby", "even", "in", "none", "odd", "eq", "ne", "lt", "le", "gt", "ge")

#: Loops inside loops multiply: two over the longest lists are 10,000 rounds. Chosen.
MAX_LOOP_DEPTH = 2

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg,
    nodes.Add, nodes.Sub, nodes.Concat, nodes.Filter, nodes.Test, nodes.Keyword, nodes.Getitem,
    nodes.Slice, nodes.List, nodes.Tuple, nodes.Getattr,
)  # fmt: skip
_LOOP_ATTRIBUTES = frozenset({"index", "index0", "revindex", "first", "last", "length"})


class PromptTemplateError(Exception):
    """A template that cannot be used; ``line`` counts from 1 within the template."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def compile_template(text: str) -> tuple[Template | None, dict[str, int]]:
    """Return the compiled template and the line of each variable it uses.

    The template is ``None`` where the text has nothing to fill in.

    Raises:
        PromptTemplateError: a syntax error, or syntax that prompts may not use.
    """
    try:
        tree = _ENVIRONMENT.parse(text)
        _check(tree, 0)
        template = _ENVIRONMENT.from_string(text)
    except TemplateSyntaxError as error:
        raise PromptTemplateError(error.message or "syntax error", error.lineno) from None
    names = _names(tree)
    return (template if _has_syntax(tree, text) else None), names


def render(template: Template, values: Mapping[str, Any]) -> Iterator[str]:
    """Yield the pieces of the filled template; values are data and are never rendered."""
    return template.generate(values)


def _environment() -> ImmutableSandboxedEnvironment:
    env = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    # Jinja2 types these as bare dicts.
    filters = cast("dict[str, Any]", env.filters)  # pyright: ignore[reportUnknownMemberType]
    tests = cast("dict[str, Any]", env.tests)  # pyright: ignore[reportUnknownMemberType]
    env.filters = {name: filters[name] for name in FILTERS}
    # Jinja2's own escapes <, > and & for HTML, which a model would read as noise.
    env.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
    env.tests = {name: tests[name] for name in TESTS}
    env.globals = {}
    return env


_ENVIRONMENT = _environment()


def _check(node: nodes.Node, loops: int) -> None:
    if not isinstance(node, _ALLOWED):
        raise PromptTemplateError(f"prompts may not use {_describe(node)}", node.lineno)
    if isinstance(node, nodes.Getattr) and not _is_loop_attribute(node):
        raise PromptTemplateError(
            f"prompts may not read the attribute '{node.attr}'; give the value as a variable",
            node.lineno,
        )
    if isinstance(node, nodes.For):
        loops += 1
        if node.recursive or loops > MAX_LOOP_DEPTH:
            raise PromptTemplateError(
                f"loops may be nested {MAX_LOOP_DEPTH} deep and not be recursive", node.lineno
            )
    for child in node.iter_child_nodes():
        _check(child, loops)


def _is_loop_attribute(node: nodes.Getattr) -> bool:
    return (
        isinstance(node.node, nodes.Name)
        and node.node.name == "loop"
        and node.attr in _LOOP_ATTRIBUTES
    )


def _describe(node: nodes.Node) -> str:
    known = {
        "Call": "calls",
        "Assign": "{% set %}",
        "AssignBlock": "{% set %}",
        "Mul": "the operator *",
        "Pow": "the operator **",
        "Include": "{% include %}",
        "Import": "{% import %}",
        "FromImport": "{% import %}",
        "Extends": "{% extends %}",
        "Macro": "{% macro %}",
        "FilterBlock": "{% filter %}",
    }
    kind = type(node).__name__
    return known.get(kind, f"the construct '{kind}'")


def _names(tree: nodes.Template) -> dict[str, int]:
    """The line on which each free variable of the template first appears."""
    free = meta.find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name in free:
            lines[node.name] = min(node.lineno, lines.get(node.name, node.lineno))
    return lines


def _has_syntax(tree: nodes.Template, text: str) -> bool:
    parts = [part for output in tree.body for part in output.iter_child_nodes()]
    return not all(isinstance(part, nodes.TemplateData) for part in parts) or any(
        mark in text for mark in ("{{", "{%", "{#")
    )
