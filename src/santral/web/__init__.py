"""The HTTP edge that all folders share: error bodies, headers, logs."""
