"""The catalogue of models: whole or not at all, and never replaced by one that looks wrong."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from santral.errors import ConfigError
from santral.providers.catalogue.catalogue import (
    SHIPPED,
    Catalogue,
    Entry,
    PriceEntry,
    catalogue_in,
    compare,
    encode_catalogue,
    load_catalogue,
    refreshed,
)
from santral.providers.catalogue.cli import prices_app


def entry(model: str, amount: int = 1_000_000) -> Entry:
    price = PriceEntry(amounts={"input": amount, "output": 2 * amount})
    return Entry(kind="openai", model=model, prices=[price], context_tokens=1000)


def written(path: Path, *entries: Entry, version: str = "2") -> Path:
    path.write_bytes(encode_catalogue(version, ["a test"], "none", list(entries)))
    return path


def loaded(tmp_path: Path, *entries: Entry) -> Catalogue:
    return load_catalogue(written(tmp_path / "c.jsonl", *entries))


def test_the_shipped_catalogue_names_its_sources_and_licence() -> None:
    catalogue = load_catalogue()
    assert catalogue.header.models == len(catalogue.models) > 2000
    assert "MIT" in catalogue.header.licence
    assert len(catalogue.header.sources) == 2


def test_facts_are_found_under_every_name_of_a_model() -> None:
    catalogue = load_catalogue()
    facts = catalogue.facts("openai", "gpt-4o-2024-08-06")
    assert facts is not None
    assert facts.context_tokens == 128_000
    assert facts.capabilities["tools"] is True
    assert catalogue.facts("openai", "gpt-unheard-of") is None


@pytest.mark.parametrize(
    "spoil", [lambda d: d[:-5], lambda d: d.replace(b"1000", b"9999"), lambda d: b""]
)
def test_a_cut_or_changed_catalogue_is_refused_whole(tmp_path: Path, spoil: object) -> None:
    path = written(tmp_path / "c.jsonl", entry("a"))
    path.write_bytes(spoil(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(ConfigError, match=r"c\.jsonl"):
        load_catalogue(path)


def test_a_line_that_is_no_model_is_named(tmp_path: Path) -> None:
    data = encode_catalogue("1", [], "", [entry("a")])
    body = data.partition(b"\n")[2] + b'{"kind": 3}\n'
    import hashlib

    head = msgspec.json.decode(data.partition(b"\n")[0])
    head["sha256"] = hashlib.sha256(body).hexdigest()
    path = tmp_path / "c.jsonl"
    path.write_bytes(msgspec.json.encode(head) + b"\n" + body)
    with pytest.raises(ConfigError, match=r"c\.jsonl:3: not a model"):
        load_catalogue(path)


def test_what_a_newer_catalogue_changes_is_told(tmp_path: Path) -> None:
    old = loaded(tmp_path, entry("kept"), entry("gone"), entry("dear"), entry("near"))
    new = loaded(
        tmp_path, entry("kept"), entry("new"), entry("dear", 11_000_000), entry("near", 9_000_000)
    )
    changes = compare(old, new)
    assert changes.added == ["openai/new"]
    assert changes.dropped == ["openai/gone"]
    assert {move.model for move in changes.moved} == {"openai/dear", "openai/near"}
    refused = " ".join(changes.reasons_to_refuse)
    assert "openai/gone is dropped" in refused
    assert "openai/dear: input goes from 1 to 11" in refused
    assert "near" not in refused


def test_a_price_that_becomes_free_is_wild(tmp_path: Path) -> None:
    changes = compare(loaded(tmp_path, entry("a")), loaded(tmp_path, entry("a", 0)))
    assert changes.reasons_to_refuse


def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "santral.toml"
    path.write_text(
        '[providers.p]\nkind = "vllm"\n'
        '[deployments.known]\nprovider = "p"\nmodel = "x"\nprice = "openai/gpt-4o"\n'
        '[deployments.unknown]\nprovider = "p"\nmodel = "x"\n'
    )
    return path


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(prices_app, [*arguments, "--config", str(configuration(tmp_path))])
    return result.exit_code, result.output + str(result.exception or "")


def test_check_names_deployments_without_a_price(tmp_path: Path) -> None:
    status, output = run(tmp_path, "check")
    assert status == 1
    assert "openai/gpt-4o" in output
    assert "No price: unknown." in output


def test_update_takes_a_catalogue_that_only_adds(tmp_path: Path) -> None:
    entries = [*load_catalogue().models, Entry(kind="openai", model="gpt-next")]
    file = written(tmp_path / "new.jsonl", *entries)
    status, output = run(tmp_path, "update", str(file))
    assert (status, "1 added, 0 dropped" in output) == (0, True), output
    assert refreshed(tmp_path / "santral-data").read_bytes() == file.read_bytes()
    assert catalogue_in(tmp_path / "santral-data").find("openai", "gpt-next") is not None


def test_update_refuses_what_drops_models_and_leaves_the_old_one(tmp_path: Path) -> None:
    file = written(tmp_path / "new.jsonl", entry("only"))
    status, output = run(tmp_path, "update", str(file))
    assert status == 1
    assert "is dropped" in output
    assert "and 26" in output, "the many reasons are not all printed"
    assert not refreshed(tmp_path / "santral-data").exists()
    assert catalogue_in(tmp_path / "santral-data").header == load_catalogue(SHIPPED).header


def test_update_by_force(tmp_path: Path) -> None:
    file = written(tmp_path / "new.jsonl", entry("only"))
    assert run(tmp_path, "update", str(file), "--force")[0] == 0
    assert catalogue_in(tmp_path / "santral-data").header.version == "2"
