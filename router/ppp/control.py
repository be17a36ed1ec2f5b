"""A control protocol: the automaton, the packets it sends, and the options it comes to agree on.

Theory of operation. LCP and IPCP differ in their options only (RFC 1332 section 2), so all else is
here. `wishes` is what we ask for, an option's type and value; `granted` is what the peer has asked
for and was given.

* An answer counts if it bears the identifier of the request that is out, and once. A request sent
  again without having been answered keeps its identifier, so that a late answer still counts;
  any other request has a new one. So what comes twice, or late, changes nothing.
* A request that comes again the same, because our answer was lost, is answered the same again.
* What we reject goes before what we would like otherwise (RFC 1661 section 5.4). After
  `max_failure` naks in a row without an ack we reject instead. A peer that naks as often as that
  is no longer asked for what we can do without.
* The counters of RFC 1661 bound silence, not obstinacy: each answer starts them again. So either
  side's requests that come to nothing are bounded too, by `ROUNDS` times `max_configure`.
* What cannot become anything is a `failure`; it is for the session to close then.

Every negotiation, the first and each later one, starts from what the configuration asks for.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from router.devices import Rng
from router.ppp.automaton import Act, Automaton, Event, State
from router.ppp.counters import Counters
from router.ppp.text import printable
from router.ppp.types import End, Retries
from router.wire.malformed import Malformed
from router.wire.ppp import Code, Option, Packet, Protocol

__all__ = ["DEFAULT_MRU", "Control", "Failure"]

DEFAULT_MRU = 1500  # bytes, until another is agreed (RFC 1661 section 6.1)
ROUNDS = 3  # times max_configure: far more than any peer needs that wants to agree
_HEADER_LENGTH = 4  # octets of a packet

_LAYERS = frozenset({Act.LAYER_UP, Act.LAYER_DOWN, Act.LAYER_STARTED, Act.LAYER_FINISHED})
_NEGOTIATING = frozenset({State.REQ_SENT, State.ACK_RCVD, State.ACK_SENT})
_JUDGING = _NEGOTIATING | {State.STOPPED, State.OPENED}
_VITAL = range(Code.CONFIGURE_REQUEST, Code.CODE_REJECT + 1)  # codes nothing works without


class Failure(NamedTuple):
    """Why a protocol cannot become anything."""

    end: End
    detail: str


class Control(ABC):
    """One control protocol of one session.

    `optional` are the types of option we can do without. `farewell` is what the peer said when it
    asked to terminate, None if it has not since this was last open.
    """

    protocol: Protocol
    optional: frozenset[int]

    def __init__(self, retries: Retries, counters: Counters, *, rng: Rng) -> None:
        self.wishes: dict[int, bytes] = {}
        self.granted: dict[int, bytes] = {}
        self.failure: Failure | None = None
        self.farewell: str | None = None
        self._retries = retries
        self._counters = counters
        self._rng = rng
        self._automaton = Automaton(retries)
        self._identifier = rng.randrange(0, 256)
        self._requested: tuple[Option, ...] = ()
        self._awaited: int | None = None  # the identifier of the request that is out
        self._answered: Packet | None = None
        self._answer = Packet(0, 0, b"")
        self._requests = self._refusals = 0  # ours, in this negotiation
        self._naks_sent = self._naks_received = 0
        self._reason = b""
        self._layers: list[Act] = []
        self._packets: list[Packet] = []

    # What differs between protocols

    @property
    @abstractmethod
    def largest(self) -> int:
        """The most the peer takes in one packet."""

    @abstractmethod
    def wanted(self) -> dict[int, bytes]:
        """Return what a negotiation begins with."""

    @abstractmethod
    def adapt(self, hint: Option) -> None:
        """Change what we wish, because the peer would rather have this."""

    @abstractmethod
    def forgo(self, kind: int) -> None:
        """Do without what the peer does not know; it is out of `wishes` already."""

    @abstractmethod
    def agreed(self) -> None:
        """Look at what the peer has agreed to: all that is in `wishes`."""

    @abstractmethod
    def judge(self, option: Option) -> Option | None:
        """Return what the peer asks for if it may, what it should ask for instead, or None."""

    @abstractmethod
    def missing(self, kinds: frozenset[int]) -> Sequence[Option]:
        """Return what the peer should ask for besides."""

    @abstractmethod
    def naked(self, kinds: frozenset[int]) -> None:
        """Note that these were naked."""

    @abstractmethod
    def handle_other(self, packet: Packet, now: float) -> bool:
        """Take a packet that only this protocol has; return whether it knows its code."""

    # What happens

    @property
    def state(self) -> State:
        """Where the negotiation is."""
        return self._automaton.state

    def open(self, now: float) -> None:
        """Want the protocol."""
        self._step(Event.OPEN, now)

    def up(self, now: float) -> None:
        """Begin, because what is below is there."""
        self._step(Event.UP, now)

    def close(self, now: float, reason: str = "") -> None:
        """End in good form, with a word to the peer's people."""
        self._reason = reason.encode()
        self._step(Event.CLOSE, now)

    def fail(self, end: End, detail: str) -> None:
        """Note why nothing can come of it; the first reason counts."""
        if self.failure is None:
            self.failure = Failure(end, f"{self.protocol.name}: {detail}" if detail else "")

    def handle_timer(self, now: float) -> None:
        """Do what is due: send again, or give up."""
        event = self._automaton.timeout(now)
        if event is not None:
            self._step(event, now)

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        return self._automaton.next_deadline()

    def take_packets(self) -> list[Packet]:
        """Return what is to be sent, in order, and forget it."""
        packets, self._packets = self._packets, []
        return packets

    def take_layers(self) -> list[Act]:
        """Return what other layers are to know, in order, and forget it."""
        layers, self._layers = self._layers, []
        return layers

    # Packets

    def receive(self, packet: Packet, now: float) -> None:
        """Take a packet."""
        match packet.code:
            case Code.CONFIGURE_REQUEST:
                self._take_request(packet, now)
            case Code.CONFIGURE_ACK | Code.CONFIGURE_NAK | Code.CONFIGURE_REJECT:
                self._take_answer(packet, now)
            case Code.TERMINATE_REQUEST:
                self.farewell = printable(packet.data)
                self._step(Event.TERMINATE, now, packet)
            case Code.TERMINATE_ACK:
                self._step(Event.TERMINATED, now)
            case Code.CODE_REJECT:
                self._take_code_reject(packet, now)
            case _:
                if not self.handle_other(packet, now):
                    self._step(Event.UNKNOWN, now, packet)

    def _take_code_reject(self, packet: Packet, now: float) -> None:
        if not packet.data:
            self._counters.malformed += 1
            return
        self._counters.rejects += 1
        if packet.data[0] in _VITAL:
            self.fail(End.DISAGREED, f"the peer rejects code {packet.data[0]}")
            self._step(Event.REJECTED_VITAL, now)
        else:
            self._step(Event.REJECTED, now)

    # The peer's requests

    def _take_request(self, packet: Packet, now: float) -> None:
        options = Option.parse_all(packet.data)
        if isinstance(options, Malformed):
            self._counters.malformed += 1
        elif self.state not in _JUDGING:
            self._step(Event.REQUEST_GOOD, now, packet)
        else:
            if packet != self._answered:
                self._answer = self._judge_all(packet, options)
                self._answered = packet
            good = self._answer.code == Code.CONFIGURE_ACK
            if self.failure is None:
                self._step(Event.REQUEST_GOOD if good else Event.REQUEST_BAD, now, packet)

    def _judge_all(self, packet: Packet, options: tuple[Option, ...]) -> Packet:
        """Return the answer: what is rejected, else what is naked, else an ack of everything."""
        obstinate = self._naks_sent >= self._retries.max_failure
        seen: set[int] = set()
        rejected, hints = [], []
        for option in options:
            verdict = None if option.kind in seen else self.judge(option)
            seen.add(option.kind)
            if verdict is None or (verdict != option and obstinate):
                rejected.append(option)
            elif verdict != option:
                hints.append(verdict)
        if rejected:
            return self._refuse(Code.CONFIGURE_REJECT, packet, rejected)
        if not obstinate:
            hints += self.missing(frozenset(seen))
        if hints:
            self._naks_sent += 1
            self.naked(frozenset(hint.kind for hint in hints))
            return self._refuse(Code.CONFIGURE_NAK, packet, hints)
        self._naks_sent = 0
        return Packet(Code.CONFIGURE_ACK, packet.identifier, packet.data)

    def _refuse(self, code: Code, packet: Packet, options: Iterable[Option]) -> Packet:
        self._refusals += 1
        if self._refusals > ROUNDS * self._retries.max_configure:
            self.fail(End.DISAGREED, "the peer insists on what it cannot have")
        return Packet(code, packet.identifier, Option.build_all(options))

    # Ours, and their answers

    def _take_answer(self, packet: Packet, now: float) -> None:
        if packet.identifier != self._awaited:
            self._counters.stale += 1
            return
        if packet.code == Code.CONFIGURE_ACK:
            event = self._take_ack(packet)
        else:
            event = self._take_refusal(packet)
        if event is None:
            return
        self._awaited = None
        if self.failure is None:
            self._step(event, now, packet)

    def _take_ack(self, packet: Packet) -> Event | None:
        if packet.data != Option.build_all(self._requested):
            self._counters.stale += 1
            return None
        self.agreed()
        return Event.ACKED

    def _take_refusal(self, packet: Packet) -> Event | None:
        options = Option.parse_all(packet.data)
        if isinstance(options, Malformed) or not options:
            self._counters.malformed += 1
            return None
        if packet.code == Code.CONFIGURE_NAK:
            self._naks_received += 1
            self._adapt_all(options)
        elif all(option in self._requested for option in options):
            for option in options:
                self.wishes.pop(option.kind, None)
                self.forgo(option.kind)
        else:
            self._counters.stale += 1
            return None
        return Event.NAKED

    def _adapt_all(self, hints: tuple[Option, ...]) -> None:
        for hint in hints:
            if self._naks_received > self._retries.max_failure and hint.kind in self.optional:
                self.wishes.pop(hint.kind, None)
            else:
                self.adapt(hint)

    # What the automaton does

    def _step(self, event: Event, now: float, packet: Packet | None = None) -> None:
        former = self.state
        for act in self._automaton.step(event, now):
            if act in _LAYERS:
                self._tell(act)
            elif act is Act.REQUEST:
                if former not in _NEGOTIATING:
                    self._begin()
                self._request()
            elif act is Act.TERMINATE:
                self._terminate(again=event is Event.TIMEOUT)
            elif packet is not None:
                self._respond(act, packet)

    def _tell(self, act: Act) -> None:
        self._layers.append(act)
        if act is Act.LAYER_UP:
            self.farewell = None

    def _begin(self) -> None:
        """Negotiate anew."""
        self.wishes, self.granted = self.wanted(), {}
        self._awaited = self._answered = None
        self._requests = self._refusals = self._naks_sent = self._naks_received = 0

    def _request(self) -> None:
        self._requests += 1
        if self._requests > ROUNDS * self._retries.max_configure:
            self.fail(End.DISAGREED, f"{self._requests - 1} requests have come to nothing")
            return
        if self._awaited is None:
            self._requested = tuple(Option(kind, value) for kind, value in self.wishes.items())
            self._awaited = self._next_identifier()
        data = Option.build_all(self._requested)
        self._send(Code.CONFIGURE_REQUEST, self._awaited, data)

    def _terminate(self, *, again: bool) -> None:
        if not again:
            self._next_identifier()
        self._send(Code.TERMINATE_REQUEST, self._identifier, self._reason)

    def _respond(self, act: Act, packet: Packet) -> None:
        if act is Act.ACK:
            options = Option.parse_all(packet.data)
            assert not isinstance(options, Malformed)  # it was judged
            self.granted = dict(options)
            self._packets.append(self._answer)
        elif act is Act.NAK:
            self._packets.append(self._answer)
        elif act is Act.TERMINATE_ACK:
            self._send(Code.TERMINATE_ACK, packet.identifier, b"")
        elif act is Act.CODE_REJECT:
            self._counters.rejected += 1
            copy = packet.build()[: self.largest - _HEADER_LENGTH]
            self._send(Code.CODE_REJECT, self._next_identifier(), copy)

    def _next_identifier(self) -> int:
        self._identifier = (self._identifier + 1) % 256
        return self._identifier

    def _send(self, code: int, identifier: int, data: bytes) -> None:
        self._packets.append(Packet(code, identifier, data))
