"""The lines: what raises each, watches it and takes it down, and who tells it to."""
