"""The thread that moves frames between the two sides, and what it counts."""
