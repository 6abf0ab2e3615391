"""The checks, one file each; ``santral.guardrails.registry`` names them."""
