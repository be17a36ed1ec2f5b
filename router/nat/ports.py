"""External ports of one protocol on one external address.

Theory of operation. A port is free, used by one mapping, reserved for a port forward, or in
quarantine. Nothing is overloaded (RFC 4787 REQ-3, RFC 5382 REQ-7): a port has one mapping.

* Preservation (RFC 4787, 4.2.1): the internal port itself, if it is free.
* Otherwise a random port (RFC 6056, RFC 7857 section 9) of the same range, low or high
  (REQ-3a), and of the same parity (REQ-4) where the protocol has either.
* A released port rests in quarantine (RFC 6888 REQ-8), so that late packets for its old owner do
  not reach a new one. Its old owner may have it back at once. When nothing else is left, the port
  that has rested longest is taken: a refused host would be worse off than a confused one.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import NamedTuple

from router.devices import Rng
from router.wire.address import Endpoint

__all__ = ["PortPool", "PortRules"]

_LOW_PORTS = range(1, 1024)  # the well-known range of RFC 4787 REQ-3a; port 0 is never used
_RANDOM_TRIES = 16  # half-full ranges find a port in two; a scan from a random start follows


class PortRules(NamedTuple):
    """What a protocol asks of its ports; `low` is None where ranges mean nothing (ICMP ids)."""

    low: range | None
    high: range
    preserve: bool
    parity: bool
    quarantine_s: float


class _Resting(NamedTuple):
    until: float
    owner: Endpoint


class PortPool:
    """Allocates the ports of one protocol on one external address."""

    def __init__(self, rules: PortRules, reserved: Collection[int], rng: Rng) -> None:
        self._rules = rules
        self._rng = rng
        self._used: dict[int, int] = {}  # port to mappings; more than one only by claims
        self._resting: OrderedDict[int, _Resting] = OrderedDict()
        self._full: set[range] = set()  # ranges a scan found full and nothing was released since
        self._reserved = reserved

    def reserve(self, ports: Collection[int]) -> None:
        """Keep new mappings off `ports`, and off no others any more."""
        self._reserved = ports
        self._full.clear()

    def allocate(self, internal: Endpoint, now: float) -> int | None:
        """Return a port for a new mapping of `internal`, None when every port is in use."""
        self._end_quarantines(now)
        ports = self._range(internal.port)
        for port in self._candidates(internal.port, ports):
            if self._is_free(port, internal):
                return self._take(port)
        for port in self._resting:
            if port in ports and port not in self._reserved:
                return self._take(port)
        self._full.add(ports)
        return None

    def claim(self, port: int) -> None:
        """Take `port` itself for a mapping that a forward asks for, beside any that has it."""
        self._take(port)

    def release(self, port: int, internal: Endpoint, now: float) -> None:
        """Give `port` back; it rests for its quarantine before a stranger gets it."""
        self._used[port] -= 1
        if self._used[port]:
            return
        del self._used[port]
        self._full.clear()
        if self._rules.quarantine_s > 0:
            self._resting[port] = _Resting(now + self._rules.quarantine_s, internal)

    def _take(self, port: int) -> int:
        self._resting.pop(port, None)
        self._used[port] = self._used.get(port, 0) + 1
        return port

    def _range(self, internal_port: int) -> range:
        low = self._rules.low
        return low if low is not None and internal_port in low else self._rules.high

    def _candidates(self, internal_port: int, ports: range) -> Iterator[int]:
        if self._rules.preserve and internal_port in ports:
            yield internal_port
        if ports in self._full:
            return
        step = 2 if self._rules.parity else 1
        for _ in range(_RANDOM_TRIES):
            yield self._matching(self._rng.randrange(ports.start, ports.stop), internal_port, ports)
        start = self._matching(self._rng.randrange(ports.start, ports.stop), internal_port, ports)
        yield from range(start, ports.stop, step)
        yield from range(self._matching(ports.start, internal_port, ports), start, step)
        if self._rules.parity:  # parity is a wish (RFC 7857, section 8), a port is a need
            yield from ports

    def _matching(self, port: int, internal_port: int, ports: range) -> int:
        """Return `port` or its neighbour with the parity wanted."""
        if not self._rules.parity or not (port ^ internal_port) & 1:
            return port
        return next((near for near in (port + 1, port - 1) if near in ports), port)

    def _is_free(self, port: int, internal: Endpoint) -> bool:
        if port in self._used or port in self._reserved:
            return False
        resting = self._resting.get(port)
        return resting is None or resting.owner == internal

    def _end_quarantines(self, now: float) -> None:
        while self._resting:
            port, resting = next(iter(self._resting.items()))
            if resting.until > now:
                return
            del self._resting[port]
