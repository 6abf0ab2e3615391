"""Where personal data and secrets stand in a text: detectors, the scan over them, the mask."""
