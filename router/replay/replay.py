"""What a capture of the LAN would have cost on lines that are raised for its traffic.

Theory of operation. Each packet enters a simulation at its own time, with a provider that answers
every dial after the same while and each time with another address. Packets from the LAN enter as
they were. Those to it are as the LAN saw them, so they are turned back into what a line would have
brought: to the external endpoint of their session, or of the forward that leads where they went,
or else, like any scan, to the line's address.

* The hosts of the capture had a line. Here a conversation may have to wait for one, and what its
  ends said from the first answer on cannot have been said yet: it is *put off*, in order, until
  the line is up. What came before that answer were the host's own attempts.
* Instants are seconds since 1970, so civil time is that of the capture.
* After the last packet the lines that fall by themselves are waited for, since their last minutes
  cost too. One that never falls is counted until the last packet.

Left out are ICMP errors to the LAN, which neither raise nor hold, and hosts known by their cards.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import tzinfo
from math import inf

from router.departure import Transmit
from router.devices import Rng, Side
from router.forwarder import Forwarder, ForwarderConfig
from router.link.calendar import Calendar
from router.link.messages import Addressed, Closed, Dial, HangUp, StateChange
from router.link.types import LinkConfig, Mode, PolicyRule, State
from router.nat.table import Session
from router.nat.types import DefaultHost, ForwardRule
from router.reasons import Reason
from router.replay.conversation import Conversation, held_for
from router.replay.costs import Costs, Outcome
from router.routing import Place, RoutingTable
from router.simulation import Simulation
from router.wire.address import Endpoint, Network, format_address
from router.wire.icmpv4 import Icmp
from router.wire.ipv4 import PROTO_ICMP, IPv4
from router.wire.malformed import Malformed
from router.wire.transport import Transport, parse_transport, translate
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["NoNeighbours", "Replay"]

PROVIDER = Network.parse("192.0.2.0/24")  # TEST-NET-1 (RFC 5737): nobody in a capture has these
PUT_OFF_BYTES = 16 << 20  # more than a line carries in the minute a dial may take; the rest is lost
NOTE_BYTES_S = 1.0  # seconds of a capture between two entries of its bytes into the budget

_REFUSED = (
    Reason.LINE_DENIED,
    Reason.LINE_FAILED,
    Reason.MAY_NOT_RAISE,
    Reason.HOST_REFUSED,
    Reason.REJECTED,
)
_OPENED = (Reason.NEW_SESSION, Reason.FORWARDED, Reason.FILTER_PASSED)
_COMING = frozenset({State.DIALING, State.NEGOTIATING})
_UNSETTLED = frozenset({State.DIALING.value, State.NEGOTIATING.value, State.HANGING_UP.value})


class NoNeighbours:
    """Knows the card of no host, because there is nobody to ask."""

    def mac_of(self, _address: int) -> str:
        """Return "": it is not known."""
        return ""


class _Provider:
    """Answers each dial after the same time with the next address, and hangs up at once."""

    def __init__(self, links: Iterable[LinkConfig], dial_time_s: float) -> None:
        self._mtus = {link.name: link.mtu for link in links}
        self._dial_time_s = dial_time_s
        self._dials = 0

    def dialled(self, dial: Dial) -> Iterator[tuple[float, Addressed]]:
        hosts = PROVIDER.broadcast - PROVIDER.address - 1
        address = PROVIDER.address + 1 + self._dials % hosts
        self._dials += 1
        mtu = self._mtus[dial.link]
        yield self._dial_time_s, Addressed(dial.link, dial.attempt, address, mtu)

    def hung_up(self, hang_up: HangUp) -> Iterator[tuple[float, Closed]]:
        yield 0.0, Closed(hang_up.link, hang_up.attempt)


class Replay:
    """One configuration's answer to a capture: `take` its packets in order, then `finish`.

    The links of `config` are all on demand. `zone` is that of its schedule and its budgets.
    `packets` counts those that a line would have carried.
    """

    def __init__(
        self,
        config: ForwarderConfig,
        forwards: Sequence[ForwardRule | DefaultHost],
        zone: tzinfo,
        *,
        rng: Rng,
        dial_time_s: float,
        begins_at: float,
    ) -> None:
        links = config.links.links
        self._forwarder = Forwarder(
            config,
            rng=rng,
            calendar=Calendar(zone, 0.0),
            neighbours=NoNeighbours(),
            now=begins_at,
            forwards=forwards,
        )
        self._simulation = Simulation(self._forwarder, _Provider(links, dial_time_s), begins_at)
        self.packets = 0
        self._dial_time_s = dial_time_s
        self._routing = RoutingTable(config.routing)
        self._links = {link.name: link for link in links}
        self._names = {host.address: host.name for host in config.links.demand.hosts if host.name}
        self._link = links[0]
        self._up_at = inf
        self._waiting: set[Conversation] = set()
        self._answered: set[Conversation] = set()
        self._put_off: list[bytes] = []
        self._put_off_bytes = 0
        self._sessions: dict[Conversation, Session] = {}
        self._opened = 0
        self._octets = [0, 0]  # received, sent
        self._noted_at = begins_at
        self._costs = Costs()
        self._heed_signals()

    # Packets

    def take(self, frame: bytes, at: float) -> None:
        """Let a packet happen, in the frame in which it comes from a network."""
        self._advance(max(at, self._simulation.now))
        self.packets += self._take(frame)

    def _take(self, frame: bytes) -> bool:
        """Let a packet enter or put it off; return whether it is one for the line or from it."""
        packet = IPv4.parse(bytearray(frame), VNET_HEADER_LENGTH, len(frame))
        transport = packet if isinstance(packet, Malformed) else parse_transport(packet)
        if isinstance(packet, Malformed) or isinstance(transport, Malformed):
            return False
        places = [self._routing.lookup(each).place for each in (packet.source, packet.destination)]
        outbound = places == [Place.LAN, Place.LINE]
        if not outbound and (places != [Place.LINE, Place.LAN] or _is_error(transport)):
            return False
        told = Conversation.of(packet, transport, outbound=outbound)
        if told in self._answered or (not outbound and told in self._waiting):
            self._put_off_with(told, frame)
        else:
            self._note_octets()
            self._pass(frame, told, outbound=outbound)
        return True

    def _put_off_with(self, told: Conversation, frame: bytes) -> None:
        self._answered.add(told)
        self._put_off_bytes += len(frame)
        if self._put_off_bytes <= PUT_OFF_BYTES:
            self._put_off.append(frame)

    def _pass(self, frame: bytes, told: Conversation, *, outbound: bool) -> None:
        if outbound:
            self._send(frame, told)
        else:
            self._bring(frame, told)
        session = self._session(told) if self._forwarder.lines else None
        if session is not None:
            self._note_hold(session)

    def _send(self, frame: bytes, told: Conversation) -> None:
        counters = self._forwarder.counters
        held, refused = counters[Reason.HELD], self._refusals()
        self._count(self._simulation.enter(Side.LAN, frame))
        self._heed_signals()
        if counters[Reason.HELD] > held:
            self._waiting.add(told)
        if self._refusals() > refused:
            packet = frame[VNET_HEADER_LENGTH:]
            now = self._simulation.now
            _, rule = self._forwarder.lines.judge(packet, told.host, now, outbound=True)
            self._costs.refuse(self._name(told.host), rule)

    def _refusals(self) -> int:
        return sum(self._forwarder.counters[reason] for reason in _REFUSED)

    def _bring(self, frame: bytes, told: Conversation) -> None:
        """Let a packet to the LAN come by the line."""
        buffer = bytearray(frame)
        packet = IPv4.parse(buffer, VNET_HEADER_LENGTH, len(buffer))
        assert isinstance(packet, IPv4)
        session = self._session(told)
        external = self._entrance(told) if session is None else session.mapping.external
        source = told.remote
        if told.protocol == PROTO_ICMP:
            source = Endpoint(source.address, external.port)  # both have the query's id
        translate(packet, source, external)
        if self._forwarder.lines:
            self._octets[0] += len(frame) - VNET_HEADER_LENGTH
        self._count(self._simulation.enter(Side.WAN, bytes(buffer)))
        self._heed_signals()

    def _entrance(self, told: Conversation) -> Endpoint:
        """Return where a stranger knocks who wants to go where this packet went."""
        if not self._forwarder.lines:
            return told.internal  # in vain, wherever it is
        port = told.internal.port
        for rule in self._forwarder.forwards:
            if isinstance(rule, ForwardRule) and rule.protocol == told.protocol:
                nth = port - rule.internal_port
                leads_there = 0 <= nth <= rule.last_port - rule.first_port
                if rule.internal_address == told.host and leads_there:
                    port = rule.first_port + nth
                    break
        return Endpoint(self._forwarder.lines.active_address, port)

    def _session(self, told: Conversation) -> Session | None:
        """Return the session of a conversation; they are read anew when there are new ones."""
        opened = sum(self._forwarder.counters[reason] for reason in _OPENED)
        if opened != self._opened:
            self._opened = opened
            self._sessions = {Conversation.of_session(s): s for s in self._forwarder.sessions()}
        session = self._sessions.get(told)
        return session if session is not None and session.is_open else None

    def _note_hold(self, session: Session) -> None:
        rule, now = session.rule, self._simulation.now
        if isinstance(rule, PolicyRule):
            holds_s = held_for(session, rule, self._link, now)
            if holds_s:
                self._costs.hold(self._name(session.host), rule, now, holds_s)

    def _name(self, host: int) -> str:
        return self._names.get(host) or format_address(host)

    def _count(self, leaving: Iterable[Transmit]) -> None:
        for transmit in leaving:
            if transmit.side is Side.WAN:
                self._octets[1] += len(transmit.frame) - VNET_HEADER_LENGTH

    def _note_octets(self) -> None:
        """Charge what has passed; the packet that enters next has what comes of it done."""
        now = self._simulation.now
        if now >= self._noted_at + NOTE_BYTES_S:
            self._noted_at = now
            self._forwarder.lines.note_traffic(*self._octets, now=now)

    # Time

    def finish(self) -> Outcome:
        """Wait for lines that fall by themselves, and return what it has cost."""
        while self._is_unsettled() and (due := self._forwarder.next_deadline()) is not None:
            self._advance(max(due, self._simulation.now))
        return self._costs.outcome(self._simulation.rises.values(), self._simulation.now)

    def _is_unsettled(self) -> bool:
        rows = self._forwarder.lines.link_rows(self._simulation.now)
        falls = (
            row.mode != Mode.PERMANENT.value and self._links[row.name].idle_timeout_s
            for row in rows
            if row.state == State.UP.value
        )
        return any(falls) or any(row.state in _UNSETTLED for row in rows)

    def _advance(self, until: float) -> None:
        if self._up_at <= until:
            self._step(max(self._up_at, self._simulation.now))
            self._up_at = inf
        self._step(until)

    def _step(self, until: float) -> None:
        self._count(self._simulation.advance(until))
        self._heed_signals()
        if self._put_off and self._forwarder.lines:
            self._resume()

    def _heed_signals(self) -> None:
        for signal in self._simulation.signals:
            if not isinstance(signal, StateChange):
                continue
            if signal.former is State.UP:
                self._costs.fall(signal.at)
            if signal.state is State.UP:
                self._link = self._links[signal.link]
                self._note_released()
            elif signal.state in _COMING:
                self._up_at = signal.at + self._dial_time_s
            else:
                self._forget_waiting()
        self._simulation.signals.clear()

    def _note_released(self) -> None:
        """Note the sessions of packets that have waited for the line."""
        for told in self._waiting:
            if (session := self._session(told)) is not None:
                self._note_hold(session)
        self._waiting.clear()

    def _resume(self) -> None:
        """Let conversations go on whose first packets have waited."""
        put_off = self._put_off
        self._forget_waiting()
        for frame in put_off:
            self._take(frame)

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._answered.clear()
        self._put_off, self._put_off_bytes = [], 0


def _is_error(transport: Transport) -> bool:
    return isinstance(transport, Icmp) and transport.is_error
