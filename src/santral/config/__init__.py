"""santral.toml and ``SANTRAL_*`` -> one frozen ``Config``."""
