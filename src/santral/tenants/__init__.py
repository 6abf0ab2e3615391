"""Tenant and virtual key: who is calling, and what they may use."""
