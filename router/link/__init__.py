"""Dial on demand: when the line is raised, what waits for it, what holds it, when it falls."""
