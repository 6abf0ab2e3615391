"""Where a person's words can be: one file for each kind of place, listed in ``privacy/registry.py``."""
