"""Deadlines that may be absent: instants in seconds, None for never."""

__all__ = ["earlier"]


def earlier(one: float | None, other: float | None) -> float | None:
    """Return the instant that comes first; asked once per burst, so without a list."""
    if one is None or other is None:
        return other if one is None else one
    return one if one < other else other
