"""The pages hold together: generated ones are current, commands and links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from santral.__main__ import full_app
from santral.config.load import load
from santral.evals.evaluators.registry import EVALUATORS
from santral.evals.suite_file import parse_suite
from santral.experiments.made import parse_settings

MAKE = re.compile(r"\bmake ([a-z]+)\b")


def code_of(text: str) -> str:
    """Return what stands in code blocks and inline code."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *inline])


def blocks_of(text: str, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def test_generated_pages_are_current_also_in_a_narrow_coloured_terminal(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=root,
        env=os.environ | {"COLUMNS": "40", "TERM": "xterm-256color", "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_stale_page_is_reported_with_what_would_change(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import generate  # pyright: ignore[reportMissingImports]

    monkeypatch.setattr(generate, "DOCS", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {"a.md": lambda: "new\n"})
    (tmp_path / "a.md").write_text("old\n")
    assert generate.main(["--check"]) == 1
    assert "-old" in (said := capsys.readouterr().out)
    assert "+new" in said
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_make_targets_in_the_documents_exist(root: Path, pages: dict[str, str]) -> None:
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text(), re.MULTILINE))
    used = {name for text in pages.values() for name in MAKE.findall(code_of(text))}
    assert {"demo", "test", "check", "docs"} <= used
    assert sorted(used - targets) == []


def test_santral_commands_in_the_documents_exist(pages: dict[str, str]) -> None:
    app = get_command(full_app())
    wrong: list[str] = []
    for page, text in pages.items():
        for line in re.findall(r"^(?:\$ )?santral ([a-z-].*)$", code_of(text), re.MULTILINE):
            fault = _fault(app, re.sub(r"^(?:--config|-c) \S+ ", "", line).split("#")[0].split())
            if fault:
                wrong.append(f"{page}: santral {line}: {fault}")
    assert not wrong, "\n".join(wrong)


def _fault(command: object, words: list[str]) -> str:
    """Say which word is no command or option, or return nothing."""
    rest = list(words)
    while rest and getattr(command, "commands", None):
        inner: dict[str, object] = command.commands  # pyright: ignore[reportAttributeAccessIssue]
        if rest[0].startswith(("-", "...")):
            return ""
        found = re.split(r"[|]", rest.pop(0))
        unknown = [name for name in found if name not in inner]
        if unknown:
            return f"no command {unknown}"
        command = inner[found[0]]
    params = getattr(command, "params", [])
    options = {name for param in params for name in (*param.opts, *param.secondary_opts)}
    given = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    return f"no option {sorted(given - options)}" if given - options - {"--help"} else ""


def completion(declared: dict[str, Any]) -> str:
    """Declare what a part of a configuration names and leaves to the reader."""
    routes, deployments = declared.get("routes", {}), declared.get("deployments", {})
    named = {"mini"}
    for route in routes.values():
        rungs = route.get("ladder", [])
        named |= {
            name for rung in rungs for name in (*rung["deployments"], *rung.get("canary", ()))
        }
        named |= {name for key in route if key.startswith("on_") for name in route[key]}
        named |= set(route.get("shadow", {}).get("deployments", ()))
        named -= {rung["name"] for rung in rungs if "name" in rung}
    lines = [
        f'[deployments."{name}"]\nprovider = "local"\nmodel = "extractive"'
        for name in sorted(named - deployments.keys())
    ]
    providers = {deployment["provider"] for deployment in deployments.values()}
    lines += [
        f'[providers."{name}"]\nkind = "vllm"'
        for name in sorted(providers - declared.get("providers", {}).keys() - {"local"})
    ]
    lines += [
        f'[routes."{name}"]\nladder = [{{ deployments = {{ mini = 1 }} }}]'
        for name, route in routes.items()
        if "ladder" not in route
    ]
    return "\n".join(lines)


#: Tables of a suite: a block with one of them is no configuration.
SUITE_TABLES = {"dataset", "targets", "evaluators", "gate"}


def check_suite(page: str, block: str) -> None:
    """Fail where a suite, or a part of one, could not be read, or an evaluator does not exist so."""
    written = tomllib.loads(block)
    head = "" if "dataset" in written else 'dataset = "cases.jsonl"\n'
    rest = {
        "targets": '[[targets]]\nname = "x"\nroute = "x"\n',
        "evaluators": '[[evaluators]]\nuse = "exact"\n',
    }
    missing = "\n".join(text for table, text in rest.items() if table not in written)
    suite = parse_suite(f"{head}{block}\n{missing}", Path(page))
    for one in suite.evaluators:
        msgspec.convert(one.params, EVALUATORS[one.use].Params)


def test_configurations_in_the_documents_are_good(
    pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    checked = 0
    for page, text in pages.items():
        for block in blocks_of(text, "toml"):
            if "labels.toml" in block or "[[price]]" in block:
                continue
            if block.startswith("# cheaper.toml"):  # a file for santral experiments create
                for settings in tomllib.loads(block)["experiments"].values():
                    parse_settings({"salt": "s", **settings})
                continue
            if not SUITE_TABLES.isdisjoint(tomllib.loads(block)):
                check_suite(page, block)
                continue
            file = tmp_path / "santral.toml"
            file.write_text(f"{block}\n{completion(tomllib.loads(block))}")
            try:
                load(file, {})
            except Exception as error:
                pytest.fail(f"{page}: {error}\n{block}")
            checked += 1
    assert checked > 15


def test_python_in_the_documents_parses(pages: dict[str, str]) -> None:
    for page, text in pages.items():
        for block in blocks_of(text, "python"):
            body = re.sub(r"^", "    ", block, flags=re.MULTILINE)
            source = (
                block
                if not block.startswith(("async with", "extra_body="))
                else (f"async def f():\n{body}" if block.startswith("async") else f"f({block})")
            )
            try:
                compile(source, page, "exec")
            except SyntaxError as error:
                pytest.fail(f"{page}: {error}\n{block}")


def test_links_lead_to_pages_and_headings_that_exist(root: Path, pages: dict[str, str]) -> None:
    broken: list[str] = []
    for page, text in pages.items():
        prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = (root / page).parent / name if name else root / page
            if not path.exists():
                broken.append(f"{page}: {target}")
            elif anchor and anchor not in _anchors(path.read_text(encoding="utf-8")):
                broken.append(f"{page}: {target} (no such heading)")
    assert not broken


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_in_the_navigation_once(root: Path) -> None:
    nav = (root / "mkdocs.yml").read_text().partition("\nnav:\n")[2].partition("\ntheme:")[0]
    listed = sorted(re.findall(r": (\S+\.md)$", nav, re.MULTILINE))
    found = sorted(p.relative_to(root / "docs").as_posix() for p in (root / "docs").rglob("*.md"))
    assert listed == [name for name in found if not re.match(r"decisions/\d", name)]


def test_every_dependency_has_its_reason_in_a_decision(root: Path, pages: dict[str, str]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    notes = ("0001-dependencies", "0011-gateway-dependencies")
    note = "\n".join(pages[f"docs/decisions/{name}.md"] for name in notes)
    names = [re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in [*project["dependencies"], *extras]]
    assert len(names) > 20
    assert [
        name
        for name in names
        if not re.search(rf"^\|[^\n]*\b{name} \|", note, re.MULTILINE | re.IGNORECASE)
    ] == []


def test_every_decision_is_in_the_index(root: Path, pages: dict[str, str]) -> None:
    for note in (root / "docs" / "decisions").glob("[0-9]*.md"):
        assert f"({note.name})" in pages["docs/decisions/README.md"], note.name


def test_every_decision_has_a_title_and_a_date(root: Path) -> None:
    notes = sorted((root / "docs" / "decisions").glob("[0-9]*.md"))
    assert len(notes) >= 3
    for note in notes:
        text = note.read_text(encoding="utf-8")
        assert text.startswith("# "), note.name
        assert re.search(r"\b20\d\d-\d\d-\d\d\b", text[:600]), f"{note.name} has no date"


def test_the_turkish_readme_follows_the_english_one(pages: dict[str, str]) -> None:
    english, turkish = pages["README.md"], pages["README.tr.md"]
    links = [set(re.findall(r"\]\(([^)\s]+)\)", text)) for text in (english, turkish)]
    assert links[0] - {"README.tr.md"} == links[1]
    assert english.count("\n## ") == turkish.count("\n## ")
