"""What is written as TOML is read back as it was."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from santral.config.toml import toml_key, toml_value

SCALARS = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    key=KEYS,
    value=st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)),
)
def test_a_value_comes_back(key: str, value: object) -> None:
    assert tomllib.loads(f"{toml_key(key)} = {toml_value(value)}") == {key: value}


def test_a_number_that_is_none_comes_back() -> None:
    read = tomllib.loads(f"a = {toml_value(float('nan'))}")["a"]
    assert read != read
