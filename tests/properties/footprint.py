"""How much an object of the router holds, wherever it holds it: no index can be forgotten."""

from collections import Counter, deque
from collections.abc import Iterator

_CONTAINERS = (list, tuple, set, frozenset, deque, dict)
_STATISTICS = ("counters", "malformed")  # one number per reason, ever


def footprint(thing: object) -> Counter[str]:
    """Return how many elements and bytes the containers reachable from `thing` have, by path."""
    found: Counter[str] = Counter()
    seen: set[int] = set()
    waiting = [("", thing)]
    while waiting:
        path, current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if isinstance(current, (*_CONTAINERS, bytes, bytearray)):
            found[path] += len(current)
        waiting += _parts(path, current)
    return +found


def _parts(path: str, thing: object) -> Iterator[tuple[str, object]]:
    if isinstance(thing, dict):
        yield from ((f"{path}[]", part) for pair in thing.items() for part in pair)
    elif isinstance(thing, _CONTAINERS):
        yield from ((f"{path}[]", part) for part in thing)
    elif type(thing).__module__.startswith("router."):
        for name in _attributes(thing):
            if name not in _STATISTICS and hasattr(thing, name):
                yield f"{path}.{name}", getattr(thing, name)


def _attributes(thing: object) -> Iterator[str]:
    yield from vars(thing) if hasattr(thing, "__dict__") else ()
    for class_ in type(thing).__mro__:
        yield from getattr(class_, "__slots__", ())
