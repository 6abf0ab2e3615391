"""What a provider sends that is not as it should be."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from santral.errors import ProviderGarbled
from santral.providers.decoded import decoded


class _Shape(Struct):
    count: int = 0
    name: str = ""


_decoder = msgspec.json.Decoder(_Shape)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'{"count":"x"}', "a field of a wrong type"),
        (b" <html>Bad Gateway</html>", "an HTML page"),
        (b"", "not JSON"),
        (b'{"count":', "not JSON"),
        (b'{"name":"\xff"}', "not JSON"),
        (b'{"x":' + b"[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_read_is_the_providers_fault(data: bytes, said: str) -> None:
    with pytest.raises(ProviderGarbled, match=said):
        decoded(_decoder.decode, data)


def test_what_can_be_read_is_returned() -> None:
    assert decoded(_decoder.decode, b'{"count":3,"more":1}').count == 3
