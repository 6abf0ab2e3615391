"""Parquet files, written by the telemetry store's engine."""
