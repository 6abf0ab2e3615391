"""What all tests share."""

from hypothesis import HealthCheck, settings

# A busy machine is no reason for a property to fail: no deadline per example.
settings.register_profile(
    "santral", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("santral")
