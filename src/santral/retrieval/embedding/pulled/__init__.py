"""Models that were pulled: taken from a package or a hub, kept on this machine, run without torch."""
