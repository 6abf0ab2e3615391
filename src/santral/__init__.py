"""Santral: the exchange between applications and language models."""
