"""The composition root: builds each part once, by hand, and runs the processes."""
