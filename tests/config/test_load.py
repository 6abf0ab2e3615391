"""santral.toml and the environment become one checked configuration, or one clear refusal."""

from pathlib import Path

import pytest

from santral.config.load import load
from santral.config.locate import locate
from santral.config.show import settings
from santral.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    file = folder / "santral.toml"
    file.write_text(text, encoding="utf-8")
    return file


def refusal(folder: Path, text: str, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), env or {})
    return caught.value.message


def test_defaults_need_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load(None, {})
    assert loaded.path is None
    assert loaded.config.server.port == 8080
    assert "extractive" in loaded.config.deployments


def test_an_unknown_setting_names_file_line_and_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, "[server]\nhost = '127.0.0.1'\nprot = 1\n")
    assert "santral.toml:3: server.prot: unknown setting. Did you mean 'port'?" in message


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, "[server]\nport = 99999\nworkers = 0\n")
    assert "santral.toml:2" in message
    assert "santral.toml:3" in message


def test_a_secret_in_clear_is_refused_without_being_shown(tmp_path: Path) -> None:
    message = refusal(tmp_path, '[providers.openai]\napi_key = "sk-canary-1234"\n')
    assert "by reference" in message
    assert "canary" not in message


def test_names_that_refer_to_nothing_are_refused_with_the_nearest(tmp_path: Path) -> None:
    text = """
[providers.vllm]
kind = "vllm"
[deployments.main]
provider = "vlm"
model = "m"
[routes.support]
ladder = [{ deployments = { mian = 1 } }]
policy = "strict"
experiment = "wording"
"""
    message = refusal(tmp_path, text)
    assert (
        "santral.toml:5: deployments.main.provider: there is no provider 'vlm'. Did you mean"
        in message
    )
    assert "there is no deployment 'mian'. Did you mean 'main'?" in message
    assert "there is no policy 'strict'" in message
    assert "there is no experiment 'wording'" in message


def test_a_route_may_not_take_the_name_of_a_deployment(tmp_path: Path) -> None:
    text = "[routes.extractive]\nladder = [{ deployments = { extractive = 1 } }]\n"
    assert "a deployment has the same name" in refusal(tmp_path, text)


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, "[server]\nport = = 1\n")


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "[server]\nport = 1000\n"), {"SANTRAL_SERVER__PORT": "2000"})
    assert loaded.config.server.port == 2000
    assert loaded.origin("server.port") == "SANTRAL_SERVER__PORT"


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, "", {"SANTRAL_SERVR__PORT": "1"})
    assert message.startswith(
        "SANTRAL_SERVR__PORT: unknown setting. Did you mean 'SANTRAL_SERVER__"
    )


def test_a_wrong_value_in_a_variable_names_the_variable(tmp_path: Path) -> None:
    assert refusal(tmp_path, "", {"SANTRAL_SERVER__PORT": "many"}).startswith(
        "SANTRAL_SERVER__PORT:"
    )


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "nowhere.toml", {})


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, '[data]\nfolder = "d"\n[prompts]\nfolder = "p"\n'), {})
    assert loaded.config.data.folder == tmp_path / "d"
    assert loaded.config.prompts.folder == tmp_path / "p"


def test_show_says_where_every_value_came_from_and_hides_secrets(tmp_path: Path) -> None:
    text = '[server]\nport = 1000\n[providers.p]\napi_key = "env:CANARY_KEY"\n'
    shown = {s.name: s for s in settings(load(write(tmp_path, text), {"CANARY_KEY": "sk-canary"}))}
    assert shown["server.port"].origin == "santral.toml:2"
    assert shown["server.host"].origin == "default"
    assert shown["providers.p.api_key"].value == "env:CANARY_KEY"
    assert not any("sk-canary" in s.value for s in shown.values())


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("server", "port"), 2),
        (("routes", "a.b", "policy"), 5),
        (("routes", "a.b", "cache", "ttl_s"), 6),
        (("routes", "a.b", "nothing"), 4),
        (("elsewhere",), None),
    ],
)
def test_locate_finds_the_line_of_a_setting_or_of_its_table(
    path: tuple[str, ...], line: int | None
) -> None:
    text = '[server]\nport = 1\n\n[routes."a.b"]\npolicy = "x"\ncache.ttl_s = 4\n'
    assert locate(text, path) == line
