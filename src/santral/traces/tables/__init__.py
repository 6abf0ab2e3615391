"""The tables of the telemetry store."""
