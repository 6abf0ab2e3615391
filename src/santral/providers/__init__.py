"""One file per dialect, a registry row per provider, and what their models cost."""
