"""Making mappings: what a mapping depends on, and the external endpoint it gets.

Theory of operation. One `PortPool` exists per protocol and external address. A mapping gets its
port from the pool, from the forward that names its internal endpoint, or, on an address of its
own or in a protocol without ports, keeps what it has. What a mapping took is given back when its
last session closes, or at once if it never got one.
"""

from router.devices import Rng
from router.nat.addressing import (
    Addressing,
    MasqueradeAddressing,
    OneToOneAddressing,
    RoutedAddressing,
)
from router.nat.forwards import Forwards
from router.nat.ports import PortPool, PortRules
from router.nat.table import Mapping, MappingKey, SessionTable
from router.nat.types import MappingBehavior, NatConfig, OneToOne, Routed
from router.reasons import Reason
from router.wire.address import Endpoint, Network
from router.wire.ipv4 import PROTO_ICMP, PROTO_UDP
from router.wire.transport import WITH_PORTS

__all__ = ["MappingMaker"]

_QUERY_IDS = range(1, 65536)  # id 0 is left out so that no all-zero ICMP message arises
_LOW_PORTS = range(1, 1024)  # RFC 4787 REQ-3a


class MappingMaker:
    """Finds or makes the mapping of a new session and takes back what it used."""

    def __init__(
        self, config: NatConfig, lan_networks: tuple[Network, ...], table: SessionTable, rng: Rng
    ) -> None:
        self._config = config
        self._table = table
        self._rng = rng
        self._pools: dict[tuple[int, int], PortPool] = {}
        self.forwards = Forwards()
        self.addressing = _addressing(config, lan_networks)

    def use_forwards(self, forwards: Forwards) -> None:
        """Keep dynamic mappings off the ports of `forwards`, and let servers speak from them."""
        self.forwards = forwards
        for (protocol, _), pool in self._pools.items():
            pool.reserve(forwards.reserved(protocol))

    def _key(self, protocol: int, internal: Endpoint, remote: Endpoint) -> MappingKey:
        """Return what a mapping depends on (RFC 4787, section 4.1).

        Without ports there is nothing to tell two remotes' replies apart by but their address.
        """
        behavior = self._config.mapping
        if behavior is MappingBehavior.ADDRESS_AND_PORT_DEPENDENT:
            return protocol, internal, remote.address, remote.port
        if behavior is MappingBehavior.ADDRESS_DEPENDENT or protocol not in WITH_PORTS:
            return protocol, internal, remote.address, 0
        return protocol, internal, 0, 0

    def dynamic(
        self, protocol: int, internal: Endpoint, remote: Endpoint, now: float
    ) -> Mapping | Reason:
        """Return the mapping a new outbound session to `remote` shares or gets."""
        key = self._key(protocol, internal, remote)
        mapping = self._table.mapping(key) or self._new(key, now)
        if isinstance(mapping, Mapping) and self._table.by_external(
            protocol, mapping.external, remote
        ):
            self.forget_unused(mapping, now)
            return Reason.CONFLICT
        return mapping

    def _new(self, key: MappingKey, now: float) -> Mapping | Reason:
        protocol, internal = key[:2]
        address = self.addressing.acquire(internal.address, now)
        if address is None:
            return Reason.NO_PORT
        static_port = self.forwards.external_port(protocol, internal)
        if static_port is not None and self._is_unclaimed(protocol, address, static_port):
            return self._claim(key, Endpoint(address, static_port), now)
        port: int | None = internal.port
        if self._shares_ports(protocol):
            port = self._pool(protocol, address).allocate(internal, now)
        if port is None:
            self.addressing.release(internal.address, now)
            return Reason.NO_PORT
        external = Endpoint(address, port)
        return Mapping(key, external, self._config.timeouts, static=False, refreshed_at=now)

    def static(
        self, protocol: int, internal: Endpoint, external: Endpoint, remote: Endpoint, now: float
    ) -> Mapping:
        """Return a mapping that leads from `external` to `internal` because a rule says so."""
        key = self._key(protocol, internal, remote)
        mapping = self._table.mapping(key)
        if mapping is not None and mapping.external == external:
            return mapping
        self.addressing.acquire(internal.address, now)
        return self._claim(key, external, now)

    def _is_unclaimed(self, protocol: int, address: int, port: int) -> bool:
        """Whether a forward's port is not still with a mapping older than the forward."""
        holder = self._table.mapping_at(protocol, Endpoint(address, port))
        return holder is None or holder.static

    def _claim(self, key: MappingKey, external: Endpoint, now: float) -> Mapping:
        if self._shares_ports(key[0]):
            self._pool(key[0], external.address).claim(external.port)
        return Mapping(key, external, self._config.timeouts, static=True, refreshed_at=now)

    def _shares_ports(self, protocol: int) -> bool:
        """Whether hosts must agree on who has which port."""
        return protocol in WITH_PORTS and not self.addressing.exclusive

    def forget_unused(self, mapping: Mapping, now: float) -> None:
        """Give back what a mapping took that got no session; nobody has seen its port."""
        if not mapping.sessions:
            self.release(mapping, now, rest=False)

    def release(self, mapping: Mapping, now: float, *, rest: bool = True) -> None:
        """Give back the address and port of a mapping that is gone."""
        self.addressing.release(mapping.internal.address, now)
        if self._shares_ports(mapping.protocol):
            pool = self._pool(mapping.protocol, mapping.external.address)
            pool.release(mapping.external.port, mapping.internal, now, rest=rest)

    def forget_pools(self) -> None:
        """Forget the ports of addresses that are no longer ours."""
        for key in [key for key in self._pools if not self.addressing.owns(key[1])]:
            del self._pools[key]

    def _pool(self, protocol: int, address: int) -> PortPool:
        pool = self._pools.get((protocol, address))
        if pool is None:
            reserved = self.forwards.reserved(protocol)
            pool = PortPool(self._port_rules(protocol), reserved, self._rng)
            self._pools[protocol, address] = pool
        return pool

    def _port_rules(self, protocol: int) -> PortRules:
        config = self._config
        first, last = config.dynamic_ports
        if protocol == PROTO_ICMP:
            rest_s = config.timeouts.port_quarantine
            return PortRules(None, _QUERY_IDS, config.port_preservation, False, rest_s)
        # A TCP port has rested for the transitory timer already (RFC 6888 REQ-8, exceptions).
        rest_s = config.timeouts.port_quarantine if protocol == PROTO_UDP else 0.0
        high = range(first, last + 1)
        return PortRules(_LOW_PORTS, high, config.port_preservation, config.port_parity, rest_s)


def _addressing(config: NatConfig, lan_networks: tuple[Network, ...]) -> Addressing:
    if isinstance(config.address, Routed):
        return RoutedAddressing(lan_networks)
    if isinstance(config.address, OneToOne):
        return OneToOneAddressing(config.address, config.timeouts.port_quarantine)
    return MasqueradeAddressing()
