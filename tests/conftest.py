"""What all tests share."""

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no reason for a property to fail: no deadline per example.
settings.register_profile(
    "santral", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("santral")


@pytest.fixture
def no_control_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command finds no control process, whatever else runs on this machine's default port."""
    monkeypatch.setenv("SANTRAL_CONTROL__PORT", "9")  # "discard": privileged, and nobody's today
