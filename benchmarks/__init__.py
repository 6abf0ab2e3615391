"""Measures what a request costs in Santral and in other gateways: `make bench`."""
