"""What the code has, the documents write about: nothing is left out, and nothing is made up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from santral import errors
from santral.__main__ import full_app
from santral.config.schema import Config
from santral.guardrails.registry import CHECKS
from santral.providers.registry import VENDORS
from santral.traces.metric import METRICS

SRC = Path(__file__).parents[2] / "src" / "santral"


def names_in_first_column(page: str) -> set[str]:
    """Return what stands in backticks in the first cell of the rows of a page's tables."""
    cells = re.findall(r"^\| (`[^|]*`) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def sections_of(page: str) -> dict[str, str]:
    """Return the parts of a page under its second-level headings, by every name in the heading."""
    parts = re.split(r"^## (.+)$", page, flags=re.MULTILINE)[1:]
    return {
        name: body
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
        for name in re.findall(r"`([^`]+)`", heading)
    }


def settings_of(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield table and name of every setting, as the JSON Schema of the file says."""
    yield from _settings(schema, "", schema["$defs"])


def _settings(
    node: dict[str, Any], path: str, definitions: dict[str, Any], brackets: str = "[{}]"
) -> Iterator[tuple[str, str]]:
    for name, inner in node.get("properties", {}).items():
        if path:
            yield brackets.format(path), name
        place = f"{path}.{name}" if path else name
        for suffix, form, target in _sections(inner):
            yield from _settings(definitions[target], place + suffix, definitions, form)


def _sections(node: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield how the classes inside a setting are written: suffix of the path, brackets, name."""
    if "$ref" in node:
        yield "", "[{}]", node["$ref"].rpartition("/")[2]
    for inner in node.get("anyOf", ()):
        yield from _sections(inner)
    for values in node.get("patternProperties", {}).values():  # tables whose keys are names
        for suffix, form, target in _sections(values):
            yield f".NAME{suffix}", form, target
    if isinstance(node.get("items"), dict):
        for suffix, _, target in _sections(node["items"]):
            yield suffix, "[[{}]]", target


def commands_of(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner: dict[str, Any] = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for part, child in inner.items():
        yield from commands_of(child, f"{name} {part}")


def endpoints() -> set[str]:
    """Return ``METHOD /path`` of the gateway's table and of every router of the control process."""
    found: set[str] = set()
    for path in SRC.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name == "api.py" and path.parent.name == "gateway":
            found |= {
                f"{method} {place}"
                for place, methods in re.findall(
                    r'"(/[^"]+)": \{\s*("[A-Z]+":.*?)\}', text, re.DOTALL
                )
                for method in re.findall(r'"([A-Z]+)":', methods)
            }
        elif path.name in ("api.py", "control.py") and path.parent.name != "console":
            prefix = ""  # of the router that stands above the endpoint
            for routed, method, place in re.findall(
                r'APIRouter\(prefix="([^"]+)"|'
                r'@\w+\.(get|post|put|delete|patch)\(\s*"([^"]*)"',
                text,
            ):
                prefix = routed or prefix
                found |= {f"{method.upper()} {prefix}{place}"} if method else set()
    return found


def test_every_setting_is_in_the_reference(pages: dict[str, str]) -> None:
    sections = sections_of(pages["docs/reference/configuration.md"])
    expected = set(settings_of(Config.model_json_schema()))
    assert len(expected) > 60
    missing = [
        f"{table} {name}"
        for table, name in sorted(expected)
        if name not in names_in_first_column(sections.get(table, ""))
    ]
    assert not missing


def test_every_table_of_the_configuration_is_shown_in_use(written: str) -> None:
    unshown = [name for name in Config.model_fields if f"[{name}" not in written]
    # Addresses, folders and levels explain themselves in the reference.
    assert set(unshown) <= {"log", "control", "server", "data", "prompts"}, unshown


def test_every_command_is_in_the_reference_with_its_options(pages: dict[str, str]) -> None:
    sections = sections_of(pages["docs/reference/commands.md"])
    expected = dict(commands_of(get_command(full_app()), "santral"))
    assert set(expected) == set(sections)
    missing = [
        f"{name} {option}"
        for name, command in expected.items()
        for param in command.params
        if not param.hidden and param.param_type_name == "option"
        for option in param.opts
        if option != "--help" and option not in sections[name]
    ]
    assert not missing


def test_every_group_of_commands_is_shown_in_use(written: str) -> None:
    groups = {name.split()[1] for name, _ in commands_of(get_command(full_app()), "santral")}
    missing = [group for group in sorted(groups) if f"santral {group}" not in written]
    assert not missing


def test_every_error_code_is_in_the_reference(pages: dict[str, str]) -> None:
    listed = names_in_first_column(pages["docs/reference/errors.md"])
    codes = {
        thing.code
        for thing in vars(errors).values()
        if isinstance(thing, type) and issubclass(thing, errors.SantralError)
    }
    codes |= {
        keyword.value.value
        for path in SRC.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
        if isinstance(keyword.value.value, str)
        if getattr(node.func, "id", "") != "LineError"  # of a batch's file: how-to/run-batches.md
    }
    assert {"requests_per_second_exceeded", "tokens_per_day_exceeded"} <= listed
    assert sorted(codes - listed) == []


def test_every_metric_is_in_the_reference(pages: dict[str, str]) -> None:
    listed = names_in_first_column(pages["docs/reference/metrics.md"])
    assert {metric.name for metric in METRICS} == listed


def test_metrics_that_people_wrote_about_exist(written: str) -> None:
    known = {metric.name for metric in METRICS}
    mentioned = set(re.findall(r"`(santral_[a-z_]+)`", written))
    assert sorted(mentioned - known) == []


def test_every_check_is_in_the_reference(pages: dict[str, str]) -> None:
    sections = sections_of(pages["docs/reference/checks.md"])
    assert set(CHECKS) == set(sections)
    for name, check in CHECKS.items():
        settings = set(check.Params.__struct_fields__)
        assert settings == names_in_first_column(sections[name])


def test_every_provider_is_in_the_reference(pages: dict[str, str]) -> None:
    assert set(VENDORS) <= names_in_first_column(pages["docs/reference/providers.md"])


def test_every_endpoint_is_in_the_reference_and_no_other(pages: dict[str, str]) -> None:
    listed = {
        name
        for name in names_in_first_column(pages["docs/reference/endpoints.md"])
        if re.match(r"[A-Z]+ /", name)
    }
    expected = endpoints()
    assert "POST /v1/chat/completions" in expected
    assert sorted(expected - listed) == []
    assert sorted(listed - expected) == []


def test_every_extra_of_a_request_is_in_the_reference(pages: dict[str, str]) -> None:
    from santral.wire.chat import Extras, PromptExtra, RetrievalExtra

    listed = names_in_first_column(pages["docs/reference/endpoints.md"])
    nested = {"prompt": PromptExtra, "retrieval": RetrievalExtra}
    for name in Extras.__struct_fields__:
        inner = nested[name].__struct_fields__ if name in nested else ()
        assert {f"{name}.{part}" for part in inner} or {name} <= listed
        assert {f"{name}.{part}" for part in inner} <= listed


def test_every_folder_of_the_package_is_in_the_architecture(pages: dict[str, str]) -> None:
    listed = names_in_first_column(pages["ARCHITECTURE.md"])
    expected = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in SRC.iterdir()
        if path.name not in ("__init__.py", "__pycache__", "py.typed")
    }
    assert sorted(expected ^ listed) == []


def test_files_named_in_the_architecture_exist(pages: dict[str, str]) -> None:
    text = pages["ARCHITECTURE.md"].partition("## One request")[2]
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", text))
    assert len(named) > 20
    missing = [
        name
        for name in sorted(named)
        if not (SRC / name).exists() and not (SRC / "gateway" / name).exists()
    ]
    assert not missing
