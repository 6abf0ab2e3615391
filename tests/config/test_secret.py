"""A secret is known by where it is, and cannot be printed."""

import json
import pickle
from pathlib import Path

import pytest
from pydantic import BaseModel

from santral.config.secret import SecretRef
from santral.errors import ConfigError


class Holder(BaseModel):
    key: SecretRef


def test_no_rendering_of_a_secret_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "sk-canary-value")
    secret = SecretRef("env:CANARY")
    holder = Holder(key=secret)
    renderings = [
        str(secret),
        repr(secret),
        f"{secret}",
        repr(holder),
        holder.model_dump_json(),
        json.dumps(holder.model_dump(mode="json")),
        repr(pickle.dumps(secret.reference)),
    ]
    assert secret.reveal() == "sk-canary-value"
    assert not any("canary-value" in text for text in renderings)


def test_a_file_holds_a_secret_without_its_line_end(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-1\n")
    assert SecretRef(f"file:{tmp_path / 'key'}").reveal() == "sk-1"


@pytest.mark.parametrize("reference", ["env:NOT_SET_ANYWHERE", "file:/no/such/file"])
def test_a_secret_that_is_not_there_names_its_reference(reference: str) -> None:
    with pytest.raises(ConfigError, match=reference):
        SecretRef(reference).reveal()


def test_a_value_in_clear_is_refused() -> None:
    with pytest.raises(ValueError, match="by reference"):
        SecretRef("sk-1234")
