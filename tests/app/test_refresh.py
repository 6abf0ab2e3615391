"""Configuration reloads whole or not at all."""

from pathlib import Path

import pytest

from santral.app.refresh import Reloader, changed_without_restart, stamp
from santral.config.load import LoadedConfig, load
from santral.errors import ConfigError

ROUTE = "[routes.a]\nladder = [{ deployments = { extractive = 1 } }]\n"


class Applied:
    def __init__(self) -> None:
        self.digests: list[str] = []
        self.failures = 0
        self.refuses = False

    def apply(self, loaded: LoadedConfig) -> None:
        if self.refuses:
            raise ConfigError("a policy cannot be compiled")
        self.digests.append(loaded.digest)

    def fail(self) -> None:
        self.failures += 1


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("SANTRAL_CONFIG",):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "santral.toml"
    path.write_text("")
    return path


def test_a_good_change_is_applied(file: Path) -> None:
    applied = Applied()
    reloader = Reloader(load(file, {}), applied.apply, applied.fail)
    file.write_text(ROUTE)
    assert reloader.reload()
    assert len(applied.digests) == 1


@pytest.mark.parametrize("text", ["[server]\nprot = 1\n", "[server]\nport = 9\n", "= broken"])
def test_a_bad_change_is_refused_counted_and_changes_nothing(file: Path, text: str) -> None:
    applied = Applied()
    reloader = Reloader(load(file, {}), applied.apply, applied.fail)
    file.write_text(text)
    assert not reloader.reload()
    assert (applied.digests, applied.failures) == ([], 1)
    file.write_text(ROUTE)
    assert reloader.reload(), "the next good one comes into force"


def test_what_cannot_be_compiled_is_refused_too(file: Path) -> None:
    applied = Applied()
    applied.refuses = True
    reloader = Reloader(load(file, {}), applied.apply, applied.fail)
    file.write_text(ROUTE)
    assert not reloader.reload()
    assert applied.failures == 1


def test_sections_that_need_a_restart_are_named(tmp_path: Path) -> None:
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text("")
    new.write_text(ROUTE + "[server]\nport = 9\n[telemetry]\nspool_fsync = true\n")
    changed = changed_without_restart(load(old, {}).config, load(new, {}).config)
    assert changed == ["server", "telemetry"]


def test_the_stamp_changes_with_files_inside_folders(tmp_path: Path) -> None:
    before = stamp([tmp_path])
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "a.md").write_text("x")
    assert stamp([tmp_path]) != before
    assert stamp([tmp_path]) == stamp([tmp_path])
    assert stamp([tmp_path / "nothing"]) == ()
