"""External ports of one protocol on one external address.

Theory of operation. A port is free, used, reserved for a port forward, or at rest. No two dynamic
mappings ever share one (RFC 4787 REQ-3, RFC 5382 REQ-7); only a forward may claim a port that a
mapping made before the forward still has, and then it is free when both are gone.

* Preservation (RFC 4787, 4.2.1): the internal port itself, if it is free.
* Otherwise a random port (RFC 6056, RFC 7857 section 9) of the same span, low or high (REQ-3a),
  and of the same parity (REQ-4) where the protocol has either. Parity is a wish (RFC 7857 section
  8), a port is a need.
* A released port rests in quarantine (RFC 6888 REQ-8), so that late packets for its old owner do
  not reach a new one. Its old owner may have it back at once. When nothing else is left, the port
  that has rested longest is taken: a refused host would be worse off than a confused one.

Each span counts its free ports by parity, so that a full one is known without looking.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import NamedTuple

from router.devices import Rng
from router.wire.address import Endpoint

__all__ = ["PortPool", "PortRules"]

_RANDOM_TRIES = 16  # half-full spans give a port in two; a scan from a random start follows


class PortRules(NamedTuple):
    """What a protocol asks of its ports; `low` is None where spans mean nothing (ICMP ids)."""

    low: range | None
    high: range
    preserve: bool
    parity: bool
    quarantine_s: float


class _Resting(NamedTuple):
    until: float
    owner: Endpoint


class _Span:
    """A range of ports that are as good as each other; `free` counts even and odd ones."""

    def __init__(self, ports: range) -> None:
        self.ports = ports
        self.used: dict[int, int] = {}  # port to mappings
        self.resting: OrderedDict[int, _Resting] = OrderedDict()
        self.reserved: frozenset[int] = frozenset()
        self.free = [0, 0]
        self._count()

    def reserve(self, ports: Collection[int]) -> None:
        self.reserved = frozenset(port for port in ports if port in self.ports)
        self._count()

    def _count(self) -> None:
        taken = {*self.used, *self.resting, *self.reserved}
        for parity in (0, 1):
            busy = sum(port & 1 == parity for port in taken)
            self.free[parity] = len(self.of_parity(parity)) - busy

    def of_parity(self, parity: int) -> range:
        return self.ports[(self.ports.start ^ parity) & 1 :: 2]

    def is_free(self, port: int) -> bool:
        return not (port in self.used or port in self.resting or port in self.reserved)

    def take(self, port: int) -> None:
        if self.is_free(port):
            self.free[port & 1] -= 1
        self.resting.pop(port, None)
        self.used[port] = self.used.get(port, 0) + 1

    def release(self, port: int, resting: _Resting | None) -> None:
        self.used[port] -= 1
        if self.used[port]:
            return
        del self.used[port]
        if resting is not None:
            self.resting[port] = resting
        elif port not in self.reserved:
            self.free[port & 1] += 1

    def end_rests(self, now: float) -> None:
        while self.resting:
            port, resting = next(iter(self.resting.items()))
            if resting.until > now:
                return
            del self.resting[port]
            if port not in self.reserved:
                self.free[port & 1] += 1

    def longest_at_rest(self) -> int | None:
        return next((port for port in self.resting if port not in self.reserved), None)


class PortPool:
    """Allocates the ports of one protocol on one external address."""

    def __init__(self, rules: PortRules, reserved: Collection[int], rng: Rng) -> None:
        self._rules = rules
        self._rng = rng
        self._high = _Span(rules.high)
        self._low = _Span(rules.low if rules.low is not None else range(0))
        self._others = _Span(range(65536))  # ports outside both, which only forwards claim
        self.reserve(reserved)

    def reserve(self, ports: Collection[int]) -> None:
        """Keep new mappings off `ports`, and off no others any more."""
        self._low.reserve(ports)
        self._high.reserve(ports)

    def allocate(self, internal: Endpoint, now: float) -> int | None:
        """Return a port for a new mapping of `internal`, None when every port is in use."""
        span = self._low if internal.port in self._low.ports else self._high
        span.end_rests(now)
        port = self._preserved(span, internal)
        if port is None:
            port = self._random(span, internal.port)
        if port is None:
            port = span.longest_at_rest()
        if port is not None:
            span.take(port)
        return port

    def claim(self, port: int) -> None:
        """Take `port` itself for a mapping that a forward asks for, beside any that has it."""
        self._span(port).take(port)

    def release(self, port: int, internal: Endpoint, now: float, *, rest: bool = True) -> None:
        """Give `port` back; it rests for its quarantine before a stranger gets it.

        Without `rest` it is free at once: no packet can be on its way to it.
        """
        rest_s = self._rules.quarantine_s
        resting = _Resting(now + rest_s, internal) if rest and rest_s > 0 else None
        self._span(port).release(port, resting)

    def _span(self, port: int) -> _Span:
        return next(s for s in (self._low, self._high, self._others) if port in s.ports)

    def _preserved(self, span: _Span, internal: Endpoint) -> int | None:
        port = internal.port
        if not self._rules.preserve or port not in span.ports:
            return None
        resting = span.resting.get(port)
        own = resting is not None and resting.owner == internal and port not in span.reserved
        return port if own or span.is_free(port) else None

    def _random(self, span: _Span, internal_port: int) -> int | None:
        parities = (internal_port & 1, ~internal_port & 1)
        if not self._rules.parity:
            parities = (0, 1) if self._rng.randrange(0, 2) == 0 else (1, 0)
        for parity in parities:
            if span.free[parity]:
                return next(port for port in self._candidates(span, parity) if span.is_free(port))
        return None

    def _candidates(self, span: _Span, parity: int) -> Iterator[int]:
        ports = span.of_parity(parity)
        for _ in range(_RANDOM_TRIES):
            yield ports[self._rng.randrange(0, len(ports))]
        start = self._rng.randrange(0, len(ports))
        yield from ports[start:]
        yield from ports[:start]
