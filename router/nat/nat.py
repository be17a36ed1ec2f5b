"""NAT: finds or opens the session of a packet, then rewrites the packet (RFC 3022, RFC 4787).

Theory of operation. Deciding and editing are two steps, because between them the forwarder may
find that the packet cannot go on (no hops left, too big) and answers with the packet as it came.

* `known_outbound`, `open_outbound` and `inbound` decide: they return the packet's session, opened
  if it may be, or the `Reason` why there is none. They do not touch the packet.
* `translate` edits the packet one way. `note` does the session's bookkeeping: TCP state, timer,
  counters, and the rewrites in the cache once a session is worth it.

Inbound packets belong to a session or are for `router.nat.filtering` to judge. Hairpinning is an
outbound session and `translate`, then `inbound` and `translate` on the same packet, so the internal
server sees the external address of the client (RFC 4787 REQ-9a).
"""

from collections.abc import Iterator, Sequence
from itertools import islice

from router.devices import KernelHops, Rng, Side, Verdict
from router.fastpath import Rewrite, RewriteCache
from router.nat.deadlines import earlier
from router.nat.filtering import Filtering
from router.nat.forwards import Forwards
from router.nat.icmp import find_session, translate_error
from router.nat.mappings import MappingMaker
from router.nat.table import Direction, Mapping, Session, SessionTable
from router.nat.tcp import LONG_LIVED, Tracker
from router.nat.types import (
    DefaultHost,
    ForwardRule,
    NatConfig,
    UnsolicitedSyn,
)
from router.nat.unsolicited import UnsolicitedSyns
from router.reasons import Reason
from router.wire.address import Endpoint, Network
from router.wire.icmpv4 import Icmp
from router.wire.ipv4 import PROTO_ICMP, PROTO_TCP, PROTO_UDP, IPv4
from router.wire.malformed import Malformed
from router.wire.tcp import Flag, Tcp
from router.wire.transport import WITH_PORTS, Transport, translate
from router.wire.udp import Udp

__all__ = ["Nat"]

_CLOSED_AT_ONCE = 500  # sessions, about 5 ms; the timer comes round again for the rest
_HANDSHAKE = Flag.SYN | Flag.ACK | Flag.RST | Flag.FIN


class Nat:
    """Sessions and mappings of one pair of networks; `lan_networks` matter when routed."""

    def __init__(
        self,
        config: NatConfig,
        forwards: Sequence[ForwardRule | DefaultHost],
        lan_networks: tuple[Network, ...],
        *,
        rng: Rng,
        cache: RewriteCache | None,
        hops: KernelHops,
    ) -> None:
        self._config = config
        self._cache = cache
        self._hop = hops.adjustment(Side.LAN, Side.WAN)
        self.table = SessionTable()
        self._maker = MappingMaker(config, lan_networks, self.table, rng)
        self._addressing = self._maker.addressing
        self._maker.use_forwards(Forwards(forwards))
        self._filtering = Filtering(config.filtering, self.table, self._maker)
        self.unsolicited = UnsolicitedSyns(
            config.timeouts.unsolicited_syn, config.limits.unsolicited_syns
        )

    @property
    def forwards(self) -> Forwards:
        """The rules in force."""
        return self._maker.forwards

    # Deciding

    def owns(self, address: int) -> bool:
        """Whether packets to `address` are for a session, a forward or nobody."""
        return self._addressing.owns(address)

    def known_outbound(
        self, packet: IPv4, transport: Transport
    ) -> Session | Reason | Malformed | None:
        """Return the session of a packet from the LAN, None if one may yet be opened for it."""
        if isinstance(transport, Icmp) and not _is_query(transport):
            return find_session(self.table, packet, transport, outbound=True)
        internal, remote = _endpoints(packet, transport, outbound=True)
        return self.table.by_internal(packet.protocol, internal, remote)

    def open_outbound(self, packet: IPv4, transport: Transport, now: float) -> Session | Reason:
        """Open a session for a packet from the LAN that belongs to none, if it may have one."""
        if not _may_open_outbound(transport):
            return Reason.NO_SESSION
        internal, remote = _endpoints(packet, transport, outbound=True)
        if self._at_limit(internal.address):
            return Reason.LIMIT
        mapping = self._maker.dynamic(packet.protocol, internal, remote, now)
        if isinstance(mapping, Reason):
            return mapping
        return self._open(mapping, remote, transport, now, Direction.OUTBOUND, now)

    def inbound(
        self, packet: IPv4, transport: Transport, now: float, *, hairpin: bool = False
    ) -> Session | Reason | Malformed:
        """Return the session of a packet to an external address, opened if a rule says so.

        A `hairpin` packet comes from one of our own hosts.
        """
        if isinstance(transport, Icmp) and not _is_query(transport):
            return find_session(self.table, packet, transport, outbound=False)
        external, remote = _endpoints(packet, transport, outbound=False)
        session = self.table.by_external(packet.protocol, external, remote)
        if session is not None:
            return session
        if not _may_open_inbound(transport):
            return Reason.NO_SESSION
        admission = self._filtering.admit(packet.protocol, external, remote, hairpin=hairpin)
        if isinstance(admission, Reason):
            if not hairpin:
                self._hold_syn(packet, transport, external, remote, now)
            return admission
        host = admission.target.address
        if self._at_limit(host) or (not hairpin and self._at_inbound_limit(host)):
            return Reason.LIMIT
        mapping = admission.mapping or self._maker.static(
            packet.protocol, admission.target, external, remote, now
        )
        counts = self._config.inbound_refresh or packet.protocol == PROTO_TCP
        refreshed_at = now if counts or not admission.by_filter else mapping.active_at()
        direction = Direction.HAIRPIN if hairpin else Direction.INBOUND
        return self._open(mapping, remote, transport, now, direction, refreshed_at)

    def _hold_syn(
        self, packet: IPv4, transport: Transport, external: Endpoint, remote: Endpoint, now: float
    ) -> None:
        if (
            self._config.unsolicited_syn is UnsolicitedSyn.UNREACHABLE
            and isinstance(transport, Tcp)
            and not packet.is_fragment
        ):
            held = bytes(packet.buffer[packet.start : transport.data])
            self.unsolicited.hold(external, remote, held, now)

    def _at_limit(self, internal: int) -> bool:
        limits, table = self._config.limits, self.table
        full = len(table) >= limits.sessions
        return full or table.count_of(internal) >= limits.sessions_per_host

    def _at_inbound_limit(self, internal: int) -> bool:
        """Whether strangers have used up their share, which is never what the LAN needs."""
        limits, table = self._config.limits, self.table
        full = table.inbound_count >= limits.inbound_sessions
        return full or table.inbound_count_of(internal) >= limits.inbound_sessions_per_host

    # Sessions

    def _open(
        self,
        mapping: Mapping,
        remote: Endpoint,
        transport: Transport,
        now: float,
        direction: Direction,
        refreshed_at: float,
    ) -> Session | Reason:
        outbound = direction is Direction.OUTBOUND
        if self.table.by_internal(mapping.protocol, mapping.internal, remote):
            self._maker.forget_unused(mapping, now)  # two forwards lead one remote to one endpoint
            return Reason.CONFLICT
        internal, external = mapping.internal, mapping.external
        hop = self._hop
        session = Session(
            mapping,
            remote,
            Rewrite(Verdict.TO_WAN, (internal, remote), (external, remote), hop),
            Rewrite(Verdict.TO_LAN, (remote, external), (remote, internal), hop),
            direction=direction,
            opened_at=now,
            inbound_refreshes=self._config.inbound_refresh or mapping.protocol == PROTO_TCP,
            refreshed_at=refreshed_at,
            tracker=Tracker(transport, outbound=outbound) if isinstance(transport, Tcp) else None,
            permit=self._filtering.permit(remote),
        )
        self.table.open(session)
        if outbound and isinstance(transport, Tcp):
            self.unsolicited.forget(external, remote)
        return session

    def translate(
        self, session: Session, packet: IPv4, transport: Transport, *, outbound: bool, partial: bool
    ) -> None:
        """Rewrite `packet` for the side it goes to."""
        mapping, remote = session.mapping, session.remote
        if isinstance(transport, Icmp) and transport.is_error:
            translate_error(session, packet, outbound=outbound)
        elif outbound:
            translate(packet, mapping.external, remote, partial=partial)
        else:
            if mapping.protocol == PROTO_ICMP:
                remote = Endpoint(remote.address, mapping.internal.port)
            translate(packet, remote, mapping.internal, partial=partial)

    def note(
        self, session: Session, packet: IPv4, transport: Transport, now: float, *, outbound: bool
    ) -> None:
        """Account for a packet that passes: counters, TCP state, timer, rewrite cache.

        ICMP errors leave no trace in the session (RFC 5508 REQ-6, RFC 7857 section 7.1).
        """
        if isinstance(transport, Icmp) and transport.is_error:
            return
        rewrite = session.outbound if outbound else session.inbound
        rewrite.packets += 1
        rewrite.bytes += packet.total_length
        if packet.fragment_offset and packet.protocol in WITH_PORTS:
            return  # the first fragment has done the rest
        self._refresh(session, transport, now, outbound=outbound)
        if not packet.is_fragment:
            self._install(session)

    def _refresh(
        self, session: Session, transport: Transport, now: float, *, outbound: bool
    ) -> None:
        if session.tracker is not None and isinstance(transport, Tcp):
            refreshes = session.tracker.handle(transport, not outbound, session.outbound)
            session.established |= session.tracker.state in LONG_LIVED
            if transport.flags & Flag.ACK:
                rewrite = session.outbound if outbound else session.inbound
                rewrite.acknowledgment = transport.acknowledgment
                rewrite.window = transport.window
        else:
            refreshes = outbound or session.inbound_refreshes
        if outbound and (session.direction is Direction.OUTBOUND or not session.mapping.static):
            self.table.grant(session)
        if refreshes:
            session.refreshed_at = now
            if outbound:
                session.mapping.refreshed_at = now
        self.table.schedule(session)

    def _install(self, session: Session) -> None:
        """Let the cache take over, or take a session back from it, as its state demands.

        A session of one packet is not worth an entry; the second one makes it so. The first
        outbound packet changes what filtering admits, so that direction waits for it.
        """
        if self._cache is None:
            return
        protocol = session.mapping.protocol
        if session.tracker is not None:
            steady = session.tracker.state in LONG_LIVED
        else:
            used = session.outbound.packets + session.inbound.packets
            steady = protocol == PROTO_UDP and used > 1
        if steady and not self.owns(session.remote.address):
            if session.outbound.packets:
                self._cache.install(Side.LAN, protocol, session.outbound)
                if session.tracker is None:
                    session.mapping.cached[session.remote] = session
            self._cache.install(Side.WAN, protocol, session.inbound)
        elif session.tracker is not None:
            self._uninstall(session)

    def _uninstall(self, session: Session) -> None:
        if self._cache is not None:
            protocol = session.mapping.protocol
            self._cache.remove(Side.LAN, protocol, session.outbound)
            self._cache.remove(Side.WAN, protocol, session.inbound)

    def close(self, session: Session, now: float) -> None:
        """Forget a session and what it took."""
        self._uninstall(session)
        if self.table.close(session):
            self._maker.release(session.mapping, now)

    def close_unused(self, session: Session, now: float) -> None:
        """Forget a session whose first packet got no further than the router."""
        if not session.outbound.packets and not session.inbound.packets:
            self.close(session, now)

    # Time and change

    def next_deadline(self) -> float | None:
        """Return when `expire` has something to do."""
        return earlier(self.table.next_deadline(), self.unsolicited.next_deadline())

    def expire(self, now: float) -> list[bytes]:
        """Close idle sessions; return held SYNs that are due for a port unreachable."""
        for session in islice(self.table.expired(now), _CLOSED_AT_ONCE):
            self.close(session, now)
        return self.unsolicited.take_due(now)

    def set_line_addresses(self, addresses: Sequence[int], now: float) -> list[Session]:
        """Note the addresses of the lines that are up, that of the active one first.

        New mappings use the active one. Returns the sessions that used an address no line has any
        more: they are closed. While no line is up they wait, for it may come back as it was.
        """
        self._addressing.set_line_addresses(addresses)
        self.unsolicited.clear()
        if not addresses:
            return []
        gone = [s for s in self.table.sessions() if not self.owns(s.mapping.external.address)]
        for session in gone:
            self.close(session, now)
        if not self._addressing.exclusive:
            self.table.retire(addresses[0])
        self._maker.forget_pools()
        return gone

    def note_unsent(self, packet: IPv4, transport: Transport) -> None:
        """Note what a packet that no line carries acknowledges.

        The reset that tells its host of another address must have the sequence it now expects.
        """
        if not isinstance(transport, Tcp) or not transport.flags & Flag.ACK:
            return
        internal, remote = _endpoints(packet, transport, outbound=True)
        session = self.table.by_internal(packet.protocol, internal, remote)
        if session is not None:
            session.outbound.acknowledgment = transport.acknowledgment

    def uncache(self, session: Session) -> None:
        """Have the session's next packet come by the slow path."""
        self._uninstall(session)
        mapping = session.mapping
        mapping.refreshed_at = max(mapping.refreshed_at, session.outbound.last_used)
        mapping.cached.pop(session.remote, None)

    def replace_forwards(
        self, rules: Sequence[ForwardRule | DefaultHost], now: float, *, reset_affected: bool
    ) -> int:
        """Put other rules in force; return how many sessions were closed for it.

        Live sessions stay unless `reset_affected`, which closes those that came in by a rule
        and that the new rules would not lead to the same place.
        """
        self._maker.use_forwards(Forwards(rules))
        affected = list(self._orphans()) if reset_affected else []
        for session in affected:
            self.close(session, now)
        return len(affected)

    def _orphans(self) -> Iterator[Session]:
        for session in self.table.sessions():
            mapping, remote = session.mapping, session.remote.address
            if mapping.static and session.direction is not Direction.OUTBOUND:
                source = None if self.owns(remote) else remote  # none of ours is left out
                port, internal = mapping.external.port, mapping.internal
                if not self.forwards.leads_to(mapping.protocol, port, internal, source):
                    yield session


def _is_query(message: Icmp) -> bool:
    return message.is_query or message.is_reply


def _endpoints(packet: IPv4, transport: Transport, *, outbound: bool) -> tuple[Endpoint, Endpoint]:
    """Return our end and the remote one; only our end of an ICMP query carries its id."""
    source_port = destination_port = 0
    if isinstance(transport, Tcp | Udp):
        source_port, destination_port = transport.source_port, transport.destination_port
    elif isinstance(transport, Icmp):
        query_id = transport.query_id
        source_port, destination_port = (query_id, 0) if outbound else (0, query_id)
    source = Endpoint(packet.source, source_port)
    destination = Endpoint(packet.destination, destination_port)
    return (source, destination) if outbound else (destination, source)


def _may_open_outbound(transport: Transport) -> bool:
    """Tell whether the packet opens a session: no answer, reset or FIN; but mid-stream, yes.

    The connection may be older than the router (RFC 5382 REQ-2: all valid sequences pass).
    """
    if isinstance(transport, Icmp):
        return transport.is_query
    if isinstance(transport, Tcp):
        return transport.flags & _HANDSHAKE in (Flag.SYN, Flag.ACK)
    return True


def _may_open_inbound(transport: Transport) -> bool:
    """Tell whether a stranger begins at the beginning."""
    if isinstance(transport, Icmp):
        return transport.is_query
    if isinstance(transport, Tcp):
        return transport.flags & _HANDSHAKE == Flag.SYN
    return True
