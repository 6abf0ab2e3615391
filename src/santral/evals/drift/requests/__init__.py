"""Requests as monitors look at them: a sample of two windows of the telemetry."""
