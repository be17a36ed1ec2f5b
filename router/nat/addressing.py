"""Which external address an internal host has: one for all, its own, or no translation at all.

All three answer the same questions, so that NAT need not know which is in force. `exclusive`
addresses belong to one internal host, which then keeps all its ports.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from router.nat.types import OneToOne
from router.wire.address import Network

__all__ = ["Addressing", "MasqueradeAddressing", "OneToOneAddressing", "RoutedAddressing"]


_PRIVATE = tuple(
    Network.parse(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)  # RFC 1918, and RFC 6598's shared space


class Addressing(Protocol):
    """Pairs internal hosts with external addresses (RFC 4787 REQ-2, paired pooling)."""

    exclusive: bool

    def set_line_addresses(self, addresses: Sequence[int]) -> None:
        """Note the addresses of the lines that are up, that of the active one first."""
        ...

    def owns(self, address: int) -> bool:
        """Whether packets from the line for `address` are NAT's to judge."""
        ...

    def acquire(self, internal: int, now: float) -> int | None:
        """Return the external address for a new mapping of `internal`, None if there is none."""
        ...

    def release(self, internal: int, now: float) -> None:
        """Note that one mapping of `internal` is gone."""
        ...

    def host_of(self, external: int) -> int | None:
        """Return the one internal host an exclusive address belongs to, None if unbound."""
        ...


class MasqueradeAddressing:
    """Every host behind the active line's own address; other lines keep the mappings they have."""

    exclusive = False

    def __init__(self) -> None:
        self._addresses: tuple[int, ...] = ()

    def set_line_addresses(self, addresses: Sequence[int]) -> None:
        """Note the addresses; every mapping gets the first from now on."""
        self._addresses = tuple(addresses)

    def owns(self, address: int) -> bool:
        """Whether `address` is a line's."""
        return address in self._addresses

    def acquire(self, internal: int, now: float) -> int | None:  # noqa: ARG002
        """Return the active line's address."""
        return self._addresses[0] if self._addresses else None

    def release(self, internal: int, now: float) -> None:
        """Nothing to do: no host has an address of its own."""

    def host_of(self, external: int) -> int | None:  # noqa: ARG002
        """Return None: the address belongs to all."""
        return None


class RoutedAddressing:
    """Public addresses on the LAN: internal and external are the same.

    Private networks beside them have no external address, so their hosts are refused.
    """

    exclusive = True

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = tuple(n for n in networks if not _is_private(n))

    def set_line_addresses(self, addresses: Sequence[int]) -> None:
        """Nothing to do: the lines' addresses serve the router alone."""

    def owns(self, address: int) -> bool:
        """Whether `address` is routed to the LAN."""
        return any(address in network for network in self._networks)

    def acquire(self, internal: int, now: float) -> int | None:  # noqa: ARG002
        """Return the host's own address, None where it is private."""
        return internal if self.owns(internal) else None

    def release(self, internal: int, now: float) -> None:
        """Nothing to do: nothing was bound."""

    def host_of(self, external: int) -> int | None:
        """Return the address itself."""
        return external if self.owns(external) else None


def _is_private(network: Network) -> bool:
    return any(network.address in private for private in _PRIVATE)


class _Idle(NamedTuple):
    external: int
    since: float


class OneToOneAddressing:
    """Each host has an external address while it has mappings, or for good where fixed.

    A host that falls idle keeps its address until another needs one and the address has rested
    for `rest_s` seconds, so that late packets do not reach the wrong host.
    """

    exclusive = True

    def __init__(self, config: OneToOne, rest_s: float) -> None:
        self._blocks = config.blocks
        self._rest_s = rest_s
        self._external = dict(config.fixed)
        self._internal = {external: internal for internal, external in config.fixed}
        self._fixed = frozenset(internal for internal, _ in config.fixed)
        self._mappings: dict[int, int] = {}
        self._idle: OrderedDict[int, _Idle] = OrderedDict()
        self._unbound = [
            address
            for block in reversed(config.blocks)
            for address in reversed(range(block.address, block.broadcast + 1))
            if address not in self._internal
        ]

    def set_line_addresses(self, addresses: Sequence[int]) -> None:
        """Nothing to do: the blocks are ours whatever the lines' addresses."""

    def owns(self, address: int) -> bool:
        """Whether `address` is in one of the blocks."""
        return any(address in block for block in self._blocks)

    def acquire(self, internal: int, now: float) -> int | None:
        """Return the host's address, binding a free or long idle one at need."""
        if internal not in self._external and not self._bind(internal, now):
            return None
        self._idle.pop(internal, None)
        self._mappings[internal] = self._mappings.get(internal, 0) + 1
        return self._external[internal]

    def release(self, internal: int, now: float) -> None:
        """Count one mapping less; without any the host's address may go to another."""
        self._mappings[internal] -= 1
        if not self._mappings[internal]:
            del self._mappings[internal]
            if internal not in self._fixed:
                self._idle[internal] = _Idle(self._external[internal], now)

    def host_of(self, external: int) -> int | None:
        """Return the host bound to `external`, None while it is free."""
        return self._internal.get(external)

    def _bind(self, internal: int, now: float) -> bool:
        external = self._unbound.pop() if self._unbound else self._reclaim(now)
        if external is None:
            return False
        self._external[internal] = external
        self._internal[external] = internal
        return True

    def _reclaim(self, now: float) -> int | None:
        if not self._idle:
            return None
        former, idle = next(iter(self._idle.items()))
        if idle.since + self._rest_s > now:
            return None
        del self._idle[former]
        del self._external[former]
        return idle.external
