"""Which strangers come in, and to whom (RFC 4787, section 5).

An inbound packet without a session is judged in this order: a port forward for its port; the
mapping with that external endpoint, if its filtering admits the remote; the default host. Nothing
is made here, so that a limit can refuse the packet before it has cost anything.

When a rule is taken back, sessions that came in by it stay. What is left of their mapping admits
only remotes that the server itself has turned to, whatever the filtering behaviour.
"""

from typing import NamedTuple

from router.nat.mappings import MappingMaker
from router.nat.table import Mapping, SessionTable
from router.nat.types import FilteringBehavior
from router.reasons import Reason
from router.wire.address import Endpoint

__all__ = ["Admission", "Filtering"]


class Admission(NamedTuple):
    """Where an admitted packet leads; `mapping` is None while none leads there yet.

    `by_filter` says that no rule lets it in, only what the internal host has done.
    """

    target: Endpoint
    mapping: Mapping | None
    by_filter: bool


class Filtering:
    """Judges inbound packets that belong to no session."""

    def __init__(
        self, behavior: FilteringBehavior, table: SessionTable, maker: MappingMaker
    ) -> None:
        self._behavior = behavior
        self._table = table
        self._maker = maker

    def permit(self, remote: Endpoint) -> Endpoint:
        """Return as much of a remote endpoint as filtering remembers of it."""
        by_port = self._behavior is FilteringBehavior.ADDRESS_AND_PORT_DEPENDENT
        return remote if by_port else Endpoint(remote.address, 0)

    def admit(
        self, protocol: int, external: Endpoint, remote: Endpoint, *, hairpin: bool
    ) -> Admission | Reason:
        """Return where a packet from `remote` to `external` leads, or why it goes nowhere.

        A `hairpin` packet comes from one of our own hosts; filtering and the sources of forwards
        are about strangers and do not apply to it.
        """
        forwards, addressing = self._maker.forwards, self._maker.addressing
        host = addressing.host_of(external.address) if addressing.exclusive else None
        if addressing.exclusive and host is None:
            return Reason.UNSOLICITED
        source = None if hairpin else remote.address
        target = forwards.target(protocol, external.port, source, host)
        if isinstance(target, Reason):
            return target
        mapping = self._table.mapping_at(protocol, external)
        if target is None:
            if mapping is not None and (hairpin or self._permits(mapping, remote)):
                return Admission(mapping.internal, mapping, by_filter=True)
            target = forwards.default_target(external.port, source, host)
            if target is None or (mapping is not None and mapping.internal != target):
                return Reason.UNSOLICITED if mapping is None else Reason.FILTERED
        leads_there = mapping is not None and mapping.internal == target
        return Admission(target, mapping if leads_there else None, by_filter=False)

    def _permits(self, mapping: Mapping, remote: Endpoint) -> bool:
        if self._behavior is FilteringBehavior.ENDPOINT_INDEPENDENT and not mapping.static:
            return True
        return self.permit(remote) in mapping.permitted
