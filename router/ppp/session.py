"""One end of a PPP line, from its carrier to its end (RFC 1661 section 3).

Theory of operation. A session is the phases, and what belongs to each:

* DEAD: nothing is sent and nothing is heard. `start` makes a new LCP, with new magic numbers.
* ESTABLISH: LCP only; all other packets are dropped.
* AUTHENTICATE: as agreed, in one direction or both, or not at all. Network packets are still
  dropped, as the RFC asks; a peer that is quicker sends them again.
* NETWORK: IPCP begins at once. IPv4 packets go while it is open, the logins stay for those who ask
  again, and every protocol not spoken here is rejected, one reject for one packet.
* TERMINATE: LCP says good-bye. What ended the session was noted when it did, and the first reason
  counts: carrier lost, or no answer to the good-bye, is not news any more.

A peer that negotiates LCP again puts the session back into ESTABLISH; whatever was built upon LCP
is built anew. If IPCP alone is negotiated again, packets wait meanwhile. Both end in another
`Opened`, or in `Closed`; a peer that begins again and again and never gets as far as addresses is
given up after as many times as an unanswered request.

After a Terminate-Request of the peer one restart period passes before the session is closed, so
that it can hear our answer, or ask again (section 3.7); it may hang up in that time.

`_settle` follows every call: it does what one layer's news means for the others, until there is no
more of it.
"""

from collections.abc import Callable
from functools import partial

from router.devices import Rng
from router.ppp.automaton import Act, State
from router.ppp.control import Failure
from router.ppp.counters import Counters
from router.ppp.echo import EchoWatch
from router.ppp.ipcp import Ipcp
from router.ppp.lcp import Lcp
from router.ppp.logins import Logins
from router.ppp.types import (
    Closed,
    End,
    Event,
    Framed,
    Opened,
    Phase,
    PhaseChange,
    SessionConfig,
)
from router.wire.hdlc import Framing
from router.wire.malformed import Malformed
from router.wire.ppp import Packet, Protocol, join, split

__all__ = ["Session"]

_LEAST_PACKET = 20  # bytes: an IPv4 header (RFC 791 section 3.1)
_IPV4 = 4  # its first half octet


class Session:
    """One end of a line, for one connection after the other; `since` is when `phase` began."""

    def __init__(self, config: SessionConfig, *, rng: Rng, now: float) -> None:
        self.config = config
        self.counters = Counters()
        self.phase = Phase.DEAD
        self.since = now
        self._rng = rng
        self._lcp = Lcp(config, self.counters, rng=rng)
        self._logins: Logins | None = None
        self._ipcp: Ipcp | None = None
        self._watch = EchoWatch(config.echo)
        self._framing = Framing()
        self._is_open = False
        self._establishments = 0  # of LCP since IPCP was last open
        self._closed: Closed | None = None
        self._frames: list[bytes] = []
        self._events: list[Event] = []

    # Orders

    def start(self, now: float) -> None:
        """Begin, because the line has a carrier."""
        if self.phase is not Phase.DEAD:
            return
        self._lcp = Lcp(self.config, self.counters, rng=self._rng)
        self._closed, self._establishments = None, 0
        self._enter(Phase.ESTABLISH, now)
        self._lcp.open(now)
        self._lcp.up(now)
        self._settle(now)

    def close(self, now: float) -> None:
        """Hang up in good form."""
        if self.phase is not Phase.DEAD:
            self._end(Failure(End.CLOSED, ""), now)
            self._settle(now)

    def carrier_lost(self, now: float) -> None:
        """End, because there is nobody to say good-bye to."""
        if self.phase is not Phase.DEAD:
            self._note(Failure(End.CARRIER, ""))
            self._finish(now)

    # Frames

    def receive(self, frame: bytes, now: float) -> bytes | None:
        """Take a frame without its HDLC; return an IPv4 packet for the network if it holds one."""
        if self.phase is Phase.DEAD:
            return None
        self.counters.received_frames += 1
        parts = split(frame)
        if isinstance(parts, Malformed):
            self.counters.malformed += 1
            return None
        protocol, information = parts
        self._watch.heard(now)
        if protocol == Protocol.IP:
            return self._receive_packet(information)
        self._receive_control(protocol, information, now)
        self._settle(now)
        return None

    def _receive_packet(self, packet: bytes) -> bytes | None:
        if not self._is_open:
            self.counters.unexpected += 1
        elif len(packet) < _LEAST_PACKET or packet[0] >> 4 != _IPV4:
            self.counters.malformed += 1
        else:
            return packet
        return None

    def _receive_control(self, protocol: int, information: bytes, now: float) -> None:
        receive = self._receiver(protocol)
        if receive is None:
            if self.phase is Phase.NETWORK:
                self._lcp.reject_protocol(protocol, information)
            else:
                self.counters.unexpected += 1
            return
        packet = Packet.parse(information)
        if isinstance(packet, Malformed):
            self.counters.malformed += 1
        else:
            receive(packet, now)

    def _receiver(self, protocol: int) -> Callable[[Packet, float], None] | None:
        """Return what takes a packet of this protocol in this phase."""
        logins, ipcp = self._logins, self._ipcp
        if protocol == Protocol.LCP:
            return self._lcp.receive
        if protocol == Protocol.IPCP and ipcp is not None:
            return ipcp.receive
        if logins is not None and logins.speak(protocol):
            return partial(logins.receive, protocol)
        return None

    def wrap(self, packet: bytes) -> bytes | None:
        """Return the frame for an IPv4 packet, None while packets may not go."""
        if not self._is_open:
            return None
        self.counters.sent_frames += 1
        return join(Protocol.IP, packet)

    def take_frames(self) -> list[bytes]:
        """Return what is to be sent, in order, and forget it."""
        frames, self._frames = self._frames, []
        return frames

    def take_events(self) -> list[Event]:
        """Return what there is to tell, in order, and forget it."""
        events, self._events = self._events, []
        return events

    # Time

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        if self.phase is Phase.DEAD:
            return None
        parts = (self._lcp, self._logins, self._ipcp, self._watch)
        due = (part.next_deadline() for part in parts if part is not None)
        return min((at for at in due if at is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.phase is Phase.DEAD:
            return
        for part in (self._lcp, self._logins, self._ipcp):
            if part is not None:
                part.handle_timer(now)
        self._settle(now)
        echo_at = self._watch.next_deadline()
        if echo_at is not None and now >= echo_at:
            self._ask(now)
            self._settle(now)

    def _ask(self, now: float) -> None:
        if self._watch.is_deaf:
            self._end(Failure(End.DEAF, ""), now)
        else:
            self._watch.asked(now)
            self._lcp.request_echo()

    # What one layer means for the others

    def _settle(self, now: float) -> None:
        self._collect()
        while self._follow(now):
            self._collect()

    def _collect(self) -> None:
        """Make frames of what the layers have to send."""
        packets = [(Protocol.LCP, packet) for packet in self._lcp.take_packets()]
        if self._logins is not None:
            packets += self._logins.take_packets()
        if self._ipcp is not None:
            packets += [(Protocol.IPCP, packet) for packet in self._ipcp.take_packets()]
        self.counters.sent_frames += len(packets)
        self._frames += [join(protocol, packet.build()) for protocol, packet in packets]

    def _follow(self, now: float) -> bool:
        """Take one layer's news; return whether there was any."""
        if news := self._lcp.take_layers():
            for act in news:
                self._follow_lcp(act, now)
            return True
        if self.phase in (Phase.DEAD, Phase.TERMINATE):
            return False
        if (failure := self._failure()) is not None:
            self._end(failure, now)
            return True
        if self.phase is Phase.AUTHENTICATE and self._logins is not None:
            if self._logins.have_passed:
                self._open_network(now)
                return True
        elif self._ipcp is not None:
            news = self._ipcp.take_layers()
            for act in news:
                self._follow_ipcp(act, self._ipcp, now)
        return bool(news)

    def _failure(self) -> Failure | None:
        """Return why the session cannot go on, if so."""
        lcp, logins, ipcp = self._lcp, self._logins, self._ipcp
        if lcp.failure is not None:
            return lcp.failure
        if lcp.obstacle is not None and lcp.farewell is not None:
            return lcp.obstacle
        if logins is not None and logins.failure is not None:
            return logins.failure
        if ipcp is not None and ipcp.failure is not None:
            return ipcp.failure
        rejected, lcp.rejected = lcp.rejected, []
        vital = [number for number in rejected if self._is_vital(number)]
        if vital:
            return Failure(End.DISAGREED, f"the peer rejects {Protocol(vital[0]).name}")
        return None

    def _is_vital(self, protocol: int) -> bool:
        return protocol == Protocol.IP or self._receiver(protocol) is not None

    def _follow_lcp(self, act: Act, now: float) -> None:
        if act is Act.LAYER_UP:
            self._establish(now)
        elif act is Act.LAYER_DOWN:
            self._fall(now)
        elif act is Act.LAYER_FINISHED:
            self._note(self._end_of_lcp())
            self._finish(now)

    def _establish(self, now: float) -> None:
        """Begin what LCP has agreed on."""
        lcp = self._lcp
        self._establishments += 1
        if self._establishments > self.config.retries.max_configure:
            lcp.fail(End.DISAGREED, "it is negotiated again and again")
        self._frame(lcp.framing)
        self._watch.begin(now)
        self._enter(Phase.AUTHENTICATE, now)
        self._logins = Logins(self.config, lcp.demanded_of_peer, lcp.demanded_of_us, rng=self._rng)
        self._logins.begin(now)

    def _open_network(self, now: float) -> None:
        self._enter(Phase.NETWORK, now)
        self._ipcp = Ipcp(self.config, self.counters, self._lcp.mtu, rng=self._rng)
        self._ipcp.open(now)
        self._ipcp.up(now)

    def _follow_ipcp(self, act: Act, ipcp: Ipcp, now: float) -> None:
        self._is_open = ipcp.state is State.OPENED
        if act is Act.LAYER_UP:
            assert self._logins is not None
            self._lcp.obstacle, self._establishments = None, 0
            user, method = self._logins.user, self._lcp.demanded_of_us
            opened = Opened(ipcp.address, ipcp.peer_address, ipcp.mtu, ipcp.dns, user, method)
            self._events.append(opened)
        elif act is Act.LAYER_FINISHED:
            silent = ipcp.farewell is None
            self._end(Failure(End.SILENT if silent else End.PEER, "IPCP"), now)

    def _fall(self, now: float) -> None:
        """Follow LCP, which is not open any more."""
        self._take_down()
        if self._lcp.state is State.STOPPING:
            self._note(self._end_of_lcp())
            self._enter(Phase.TERMINATE, now)
        elif self.phase is not Phase.TERMINATE:
            self._enter(Phase.ESTABLISH, now)

    def _take_down(self) -> None:
        """Let go of what was built upon LCP."""
        self._logins = self._ipcp = None
        self._is_open = False
        self._watch.end()
        self._frame(Framing())

    # The end

    def _end_of_lcp(self) -> Failure:
        """Return why LCP has ended by itself."""
        lcp = self._lcp
        if lcp.failure is not None:
            return lcp.failure
        if lcp.farewell is None:
            return Failure(End.SILENT, "")
        return lcp.obstacle or Failure(End.PEER, lcp.farewell)

    def _note(self, why: Failure) -> None:
        """Note why the session ends; the first reason counts."""
        if self._closed is None:
            self._closed = Closed(*why)

    def _end(self, why: Failure, now: float) -> None:
        """Say good-bye."""
        self._note(why)
        self._enter(Phase.TERMINATE, now)
        self._lcp.close(now, "" if why.end is End.CLOSED else why.end.value)

    def _finish(self, now: float) -> None:
        assert self._closed is not None
        self._take_down()
        self._enter(Phase.DEAD, now)
        self._events.append(self._closed)

    def _frame(self, framing: Framing) -> None:
        if framing != self._framing:
            self._framing = framing
            self._events.append(Framed(framing))

    def _enter(self, phase: Phase, now: float) -> None:
        if phase is not self.phase:
            self.phase, self.since = phase, now
            self._events.append(PhaseChange(phase))
