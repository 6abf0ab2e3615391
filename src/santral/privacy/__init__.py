"""Personal data: what is kept, for how long, and one person's part of it, exported or erased."""
