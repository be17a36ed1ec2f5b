"""The forwarder: routing and NAT composed, the two walks of a packet. No I/O, no clock.

Theory of operation. A frame (virtio-net header, then IPv4) that the rewrite cache missed comes
in, is checked once, and is edited in place; the `Verdict` says where it goes. What the router says
itself, and packets that became several, are effects to be sent after `ANSWERED` or a timer.

From the LAN: check, refuse what never passes, route by the destination. To the line: hops, size,
what host and traffic may, then NAT; or, while no line is up, wait for one (`router.lines`). To an
external address of ours: the same, then back in (hairpin). From the line: check, refuse, find the
session, then hops and size, so that strangers get no answer at all.

Errors quote the packet as the side it came from knows it, because they are built before the edit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from router.answers import Answers
from router.arrival import Arrival, check
from router.demand import Demand
from router.departure import Departure, Refusal, Transmit
from router.devices import KernelHops, Neighbours, Rng, Side, Verdict
from router.fastpath import RewriteCache
from router.lines import Lines
from router.link.calendar import Calendar
from router.link.types import LinksConfig
from router.nat.deadlines import earlier
from router.nat.nat import Nat
from router.nat.table import Mapping, Session
from router.nat.types import DefaultHost, ForwardRule, NatConfig
from router.outbox import Outbox
from router.reasons import Reason
from router.routing import Place, RoutingConfig, RoutingTable
from router.ways import Step, Way, Ways
from router.wire.icmpv4 import Type, Unreachable
from router.wire.ipv4 import IPv4
from router.wire.malformed import Malformed
from router.wire.transport import parse_transport

__all__ = ["Forwarder", "ForwarderConfig", "Transmit"]

_NO_ROUTE = Refusal(Reason.NO_ROUTE, Type.UNREACHABLE, Unreachable.NETWORK)
_NO_RESOURCES = frozenset({Reason.LIMIT, Reason.NO_PORT, Reason.CONFLICT})


@dataclass(frozen=True, slots=True)
class ForwarderConfig:
    """What the forwarder is told once."""

    routing: RoutingConfig
    links: LinksConfig
    nat: NatConfig = field(default_factory=NatConfig)
    lan_mtu: int = 1500
    hops: KernelHops = field(default_factory=KernelHops)
    answer_wan_ping: bool = True
    mss_clamp: bool = True
    fastpath: bool = True


class Forwarder:
    """Routes and translates; owned by one thread.

    `lines` is where links are asked about and told of.
    """

    def __init__(
        self,
        config: ForwarderConfig,
        *,
        rng: Rng,
        calendar: Calendar,
        neighbours: Neighbours,
        now: float,
        forwards: Sequence[ForwardRule | DefaultHost] = (),
    ) -> None:
        self._config = config
        self._routing = RoutingTable(config.routing)
        self.cache = RewriteCache(config.hops)
        self._nat = Nat(
            config.nat,
            forwards,
            config.routing.lan_networks,
            rng=rng,
            cache=self.cache if config.fastpath else None,
            hops=config.hops,
        )
        self._answers = Answers(config.nat.limits.icmp_errors_per_second)
        self._departure = Departure(
            config.lan_mtu, config.hops, mss_clamp=config.mss_clamp, rng=rng
        )
        self._ways = Ways(config.nat, self._departure)
        self._outbox = Outbox()
        self.counters, self.malformed = self._outbox.counters, self._outbox.malformed
        self.lines = Lines(
            Demand(
                config.links,
                calendar,
                rng=rng,
                neighbours=neighbours,
                router=config.routing.lan_address,
                now=now,
            ),
            self._nat,
            self._departure,
            self.cache,
            self._answers,
            self._outbox,
            router=config.routing.lan_address,
            enter=lambda frames, now: self._release(frames, Side.LAN, now),
        )
        self.cache.max_packet[Verdict.TO_LAN] = config.lan_mtu

    # From the LAN

    def from_lan(self, buffer: bytearray, length: int, *, now: float) -> Verdict:
        """Take the frame of `length` bytes that the cache missed; see the module's theory."""
        arrival = check(buffer, length, Side.LAN, now)
        if not isinstance(arrival, Arrival):
            return self._drop(arrival)
        packet = arrival.packet
        origin = self._routing.lookup(packet.source).place
        if origin in (Place.MARTIAN, Place.BROADCAST):
            return self._drop(Reason.MARTIAN_SOURCE)
        if origin is Place.LINE:
            return self._drop(Reason.SPOOFED)
        place = self._routing.lookup(packet.destination).place
        if place is Place.LAN:
            return self._between_lans(arrival)
        if place is Place.LOCAL:
            return self._local(arrival)
        if place is not Place.LINE:
            broadcast = place is Place.BROADCAST
            return self._drop(Reason.BROADCAST if broadcast else Reason.MARTIAN_DESTINATION)
        if self._pings_router(arrival) or self._is_router_only(packet.destination):
            return self._local(arrival)
        return self._to_line(arrival)

    def _is_router_only(self, address: int) -> bool:
        return address in self.lines and not self._nat.owns(address)

    def _pings_router(self, arrival: Arrival) -> bool:
        return arrival.is_ping and arrival.packet.destination in self.lines

    def _between_lans(self, arrival: Arrival) -> Verdict:
        refused = self._refuse(arrival, self._config.routing.lan_address, Side.LAN)
        if refused is not None:
            return refused
        self._departure.take_hop(arrival, Side.LAN)
        return self._emit(arrival, Side.LAN, Reason.LAN_TO_LAN)

    def _to_line(self, arrival: Arrival) -> Verdict:
        packet = arrival.packet
        router = self._config.routing.lan_address
        hairpin = self._nat.owns(packet.destination)
        if hairpin and not self.lines:
            return self._error(arrival, router, _NO_ROUTE)
        side = Side.LAN if hairpin else Side.WAN
        refused = self._refuse(arrival, router, side)
        if refused is not None:
            return refused
        way: Way | Refusal | Reason | Malformed
        if self.lines:
            way = self._ways.known(arrival) or self._decide_outbound(arrival, hairpin=hairpin)
        else:
            way = self.lines.wait(arrival)
        if isinstance(way, Way):
            return self._follow(arrival, way, side)
        if isinstance(way, Refusal):
            return self._error(arrival, router, way)
        if way is Reason.HELD:
            self._outbox.count(way)
            return Verdict.ANSWERED
        if way in _NO_RESOURCES:
            prohibited = Unreachable.ADMINISTRATIVELY_PROHIBITED  # RFC 5508 REQ-8
            return self._error(arrival, router, Refusal(way, Type.UNREACHABLE, prohibited))
        return self._drop(way)

    def _decide_outbound(
        self, arrival: Arrival, *, hairpin: bool
    ) -> Way | Refusal | Reason | Malformed:
        packet, transport = arrival.packet, arrival.transport
        if arrival.ports_elsewhere:
            return self._ways.hold(arrival)
        known = len(self._nat.table)
        session = self._nat.known_outbound(packet, transport)
        if session is None:
            rule = None if hairpin else self.lines.admit(arrival)
            if isinstance(rule, Refusal):
                return rule
            session = self._nat.open_outbound(packet, transport, arrival.now)
            if isinstance(session, Session):
                session.rule = rule
        if not isinstance(session, Session):
            return session
        reason = self._reason(arrival, Reason.NEW_SESSION, known)
        if hairpin:
            way = self._turn_back(arrival, session, reason)
            if not isinstance(way, Way):  # it got as far as our own outside, and opens that way
                self._nat.note(session, packet, transport, arrival.now, outbound=True)
            return way
        return Way((Step(session, outbound=True),), self._ways.identify(arrival), reason)

    def _turn_back(
        self, arrival: Arrival, session: Session, reason: Reason
    ) -> Way | Reason | Malformed:
        """Decide the second half of a hairpin on the packet as the first half makes it."""
        if not self._config.nat.hairpinning:
            return Reason.UNSOLICITED
        packet = arrival.packet
        original = bytes(packet.buffer[packet.start : packet.end])
        self._translate(arrival, Step(session, outbound=True))
        transport = parse_transport(packet)
        assert not isinstance(transport, Malformed)
        back = self._nat.inbound(packet, transport, arrival.now, hairpin=True)
        _restore(packet, original)
        if not isinstance(back, Session):
            return back
        steps = (Step(session, outbound=True), Step(back, outbound=False))
        return Way(steps, self._ways.identify(arrival), reason)

    # From the line

    def from_wan(self, buffer: bytearray, length: int, *, now: float) -> Verdict:
        """Take the frame of `length` bytes that the cache missed; see the module's theory."""
        arrival = check(buffer, length, Side.WAN, now)
        if not isinstance(arrival, Arrival):
            return self._drop(arrival)
        if not self.lines:
            return self._drop(Reason.LINE_DOWN)
        packet = arrival.packet
        destination = packet.destination
        origin = self._routing.lookup(packet.source).place
        if origin in (Place.MARTIAN, Place.BROADCAST):
            return self._drop(Reason.MARTIAN_SOURCE)
        if origin is not Place.LINE or self._is_ours(packet.source):
            return self._drop(Reason.SPOOFED)
        if self._routing.lookup(destination).place is Place.BROADCAST:
            return self._drop(Reason.BROADCAST)
        if not self._is_ours(destination):
            return self._drop(Reason.NOT_OURS)
        if self._config.answer_wan_ping and self._pings_router(arrival):
            return self._local(arrival)
        if not self._nat.owns(destination):
            return self._drop(Reason.LOCAL_IGNORED)
        return self._to_lan(arrival)

    def _is_ours(self, address: int) -> bool:
        return address in self.lines or self._nat.owns(address)

    def _to_lan(self, arrival: Arrival) -> Verdict:
        way = self._ways.known(arrival) or self._decide_inbound(arrival)
        if not isinstance(way, Way):
            return self._drop(way)
        addressed = arrival.packet.destination
        router = addressed if addressed in self.lines else self.lines.active_address
        refused = self._refuse(arrival, router, Side.LAN)
        if refused is None:
            return self._follow(arrival, way, Side.LAN)
        for step in way.steps:
            self._nat.close_unused(step.session, arrival.now)
        return refused

    def _decide_inbound(self, arrival: Arrival) -> Way | Reason | Malformed:
        if arrival.ports_elsewhere:
            return self._ways.hold(arrival)
        known = len(self._nat.table)
        session = self._nat.inbound(arrival.packet, arrival.transport, arrival.now)
        if not isinstance(session, Session):
            return session
        reason = Reason.FORWARDED if session.mapping.static else Reason.FILTER_PASSED
        reason = self._reason(arrival, reason, known)
        return Way((Step(session, outbound=False),), None, reason)

    # Steps both walks share

    def _follow(self, arrival: Arrival, way: Way, side: Side) -> Verdict:
        """Translate the packet and send it on, and behind a first fragment what waited for it."""
        packet, transport = arrival.packet, arrival.transport
        for step in way.steps:
            self._translate(arrival, step)
            self._nat.note(step.session, packet, transport, arrival.now, outbound=step.outbound)
            self.lines.let_hold(step.session, arrival, outbound=step.outbound)
        if way.identification is not None:
            packet.set_identification(way.identification)
        self._departure.take_hop(arrival, side)
        self._departure.clamp_mss(arrival)
        released = self._ways.decide(arrival, way)
        if not released:
            return self._emit(arrival, side, way.reason)
        if self._emit(arrival, side, way.reason) is not Verdict.ANSWERED:
            self._outbox.put(Transmit(side, bytes(packet.buffer[: packet.end])))
        self._release(released, arrival.side, arrival.now)
        self._outbox.last_reason = way.reason
        return Verdict.ANSWERED

    def _release(self, frames: Sequence[bytes], side: Side, now: float) -> None:
        """Let frames in that have waited: for the first of their datagram, or for a line."""
        for frame in frames:
            buffer = bytearray(frame)
            enter = self.from_lan if side is Side.LAN else self.from_wan
            verdict = enter(buffer, len(buffer), now=now)
            if verdict in (Verdict.TO_LAN, Verdict.TO_WAN):
                leaving = Side.LAN if verdict is Verdict.TO_LAN else Side.WAN
                self._outbox.put(Transmit(leaving, bytes(buffer)))

    def _translate(self, arrival: Arrival, step: Step) -> None:
        self._nat.translate(
            step.session,
            arrival.packet,
            arrival.transport,
            outbound=step.outbound,
            partial=arrival.offload.partial,
        )

    def _refuse(self, arrival: Arrival, router: int, side: Side) -> Verdict | None:
        """Answer from `router` if the packet cannot reach `side`; it is still as it came."""
        refusal = self._departure.refusal(arrival, side)
        return None if refusal is None else self._error(arrival, router, refusal)

    def _emit(self, arrival: Arrival, side: Side, reason: Reason) -> Verdict:
        """Send the packet on, in fragments if its next link asks for that."""
        self._outbox.count(reason)
        if self._departure.fits(arrival, side):
            return Verdict.TO_LAN if side is Side.LAN else Verdict.TO_WAN
        self._outbox.put(*self._departure.pieces(arrival, side))
        return Verdict.ANSWERED

    # Answers and accounts

    def _local(self, arrival: Arrival) -> Verdict:
        answer = self._answers.local(arrival)
        if answer is None:
            return self._drop(Reason.LOCAL_IGNORED)
        return self._answer(arrival.side, answer, Reason.LOCAL)

    def _error(self, arrival: Arrival, router: int, refusal: Refusal) -> Verdict:
        reason, type_, code, mtu = refusal
        answer = self._answers.error(
            arrival.side, router, arrival.packet, type_, code, now=arrival.now, mtu=mtu
        )
        return self._answer(arrival.side, answer, reason) if answer else self._drop(reason)

    def _answer(self, side: Side, packet: bytes, reason: Reason) -> Verdict:
        self._outbox.count(reason)
        self._outbox.say(side, packet)
        return Verdict.ANSWERED

    def _drop(self, reason: Reason | Malformed) -> Verdict:
        self._outbox.count(reason)
        return Verdict.DROP

    def _reason(self, arrival: Arrival, opened: Reason, known: int) -> Reason:
        """Return why a packet passes: `opened` if there are more sessions than were `known`."""
        if arrival.is_icmp_error:
            return Reason.ICMP_ERROR
        return opened if len(self._nat.table) > known else Reason.SESSION

    # Time, effects and views

    def next_deadline(self) -> float | None:
        """Return the instant at which `handle_timer` has something to do, None for never."""
        of_packets = earlier(self._nat.next_deadline(), self._ways.next_deadline())
        return earlier(of_packets, self.lines.next_deadline())

    def handle_timer(self, *, now: float) -> None:
        """Forget what is too old; answer unsolicited SYNs that were silent for long enough.

        Links dial, fall and rest when it is time.
        """
        self._ways.expire(now)
        for held in self._nat.expire(now):
            packet = IPv4.parse(bytearray(held), 0, len(held), quoted=True)
            assert isinstance(packet, IPv4)
            answer = self._answers.error(
                Side.WAN, packet.destination, packet, Type.UNREACHABLE, Unreachable.PORT, now=now
            )
            if answer is not None:
                self._outbox.say(Side.WAN, answer)
        self.lines.handle_timer(now)

    def take_effects(self) -> list[Transmit]:
        """Return what there is to send, in order, and forget it."""
        return self._outbox.take()

    @property
    def last_reason(self) -> Reason:
        """Why the last packet that missed the cache got its verdict."""
        return self._outbox.last_reason

    @property
    def forwards(self) -> tuple[ForwardRule | DefaultHost, ...]:
        """The forward rules in force."""
        return self._nat.forwards.rules

    def replace_forwards(
        self, rules: Sequence[ForwardRule | DefaultHost], *, reset_affected: bool, now: float
    ) -> int:
        """Put other rules in force; return how many sessions were closed for it."""
        return self._nat.replace_forwards(rules, now, reset_affected=reset_affected)

    @property
    def session_count(self) -> int:
        """How many sessions there are."""
        return len(self._nat.table)

    @property
    def mapping_count(self) -> int:
        """How many mappings there are."""
        return self._nat.table.mapping_count

    def sessions(self) -> Iterator[Session]:
        """Return every session, the oldest first."""
        return self._nat.table.sessions()

    def mappings(self) -> Iterator[Mapping]:
        """Return every mapping, the oldest first."""
        return iter(self._nat.table.mappings())


def _restore(packet: IPv4, original: bytes) -> None:
    packet.buffer[packet.start : packet.end] = original
    view = IPv4.parse(packet.buffer, packet.start, packet.end)
    assert isinstance(view, IPv4)
    packet.source, packet.destination = view.source, view.destination
