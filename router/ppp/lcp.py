"""The link control protocol: how frames look and who proves who he is (RFC 1661 sections 5, 6).

Theory of operation. We ask for nothing whose default will do. Where frames are asynchronous we ask
that nothing be escaped, and for both compressions of the header; on Ethernet for none of these,
and refuse them there (RFC 2516 section 7).

* *Loops.* We always offer a magic number. A request that bears one of ours, be it one of before, is
  our own come back, or a coincidence of one in four thousand million: it is naked, and after
  `LOOPS` of them in a row the line is taken for looped. The same counts in echo requests; not in
  replies, since some peers send ours back in them.
* *What the peer demands of us.* A method we may use is agreed to. For any other we suggest ours,
  one in each nak, then reject. A peer that hangs up over this, or demands all the same, has told
  that no login can succeed: that is the `obstacle`. One that goes on without is welcome.
* *What we demand.* The peer may suggest another of the methods we allow, or leave it to us to try
  the next. If it takes none, or does not know the option, it is not let in.

What the peer asks for holds for what we send: `framing` and `mtu` are made of it.
"""

from collections import deque
from collections.abc import Sequence
from enum import IntEnum

from router.devices import Rng
from router.ppp.automaton import Act, Event, State
from router.ppp.control import DEFAULT_MRU, Control, Failure
from router.ppp.counters import Counters
from router.ppp.methods import describe, method_of, value_of
from router.ppp.types import End, Method, SessionConfig
from router.wire.hdlc import Framing
from router.wire.ppp import Code, Option, Packet, Protocol

__all__ = ["LOOPS", "Kind", "Lcp"]

LOOPS = 4  # collisions of magic numbers in a row: no coincidence, and before `max_failure` naks
REMEMBERED = 8  # magic numbers of ours: more than are on the way at once
LEAST_MRU = 68  # bytes: what every IPv4 module can take unfragmented (RFC 791 section 3.2)
PPPOE_MRU = 1492  # bytes: what Ethernet leaves (RFC 2516 section 7)

_MRU_LENGTH = 2  # octets
_ACCM_LENGTH = 4  # octets
_MAGIC_LENGTH = 4  # octets
_NO_MAGIC = bytes(_MAGIC_LENGTH)
_PROTOCOL_LENGTH = 2  # octets
_HEADER_LENGTH = 4  # octets: a packet's
_REJECT_HEADER_LENGTH = 6  # octets: a packet's, and the protocol


class Kind(IntEnum):
    """LCP's options (RFC 1661 section 6, RFC 1662 section 7.1)."""

    MRU = 1
    ACCM = 2
    AUTHENTICATION = 3
    MAGIC = 5
    PROTOCOL_COMPRESSION = 7
    ADDRESS_COMPRESSION = 8


class Lcp(Control):
    """The link control protocol of one connection.

    `obstacle` is why a peer that demands a login has not been promised one. `rejected` collects the
    protocols the peer has said it does not know, for the session to drain.
    """

    protocol = Protocol.LCP
    optional = frozenset(Kind) - {Kind.AUTHENTICATION}

    def __init__(self, config: SessionConfig, counters: Counters, *, rng: Rng) -> None:
        super().__init__(config.retries, counters, rng=rng)
        self.obstacle: Failure | None = None
        self.rejected: list[int] = []
        self._config = config
        self._magics: deque[bytes] = deque(maxlen=REMEMBERED)
        self._collisions = 0  # in a row
        self._suggestions = 0  # methods we have suggested to the peer
        self._rejects_demands = False
        self._untried: list[Method] = []  # methods we have not yet demanded
        self._echo: Packet | None = None

    # What was agreed

    @property
    def framing(self) -> Framing:
        """How the peer lets us send frames."""
        accm = self.granted.get(Kind.ACCM)
        return Framing(
            accm=Framing().accm if accm is None else int.from_bytes(accm, "big"),
            compresses_protocol=Kind.PROTOCOL_COMPRESSION in self.granted,
            compresses_address=Kind.ADDRESS_COMPRESSION in self.granted,
        )

    @property
    def mtu(self) -> int:
        """The largest packet we send."""
        mru = self.granted.get(Kind.MRU)
        theirs = DEFAULT_MRU if mru is None else int.from_bytes(mru, "big")
        return min(self._config.mtu, theirs)

    @property
    def largest(self) -> int:
        """The most the peer takes in one packet."""
        return self.mtu

    @property
    def demanded_of_peer(self) -> Method | None:
        """How the peer has agreed to prove who it is."""
        return method_of(self.wishes.get(Kind.AUTHENTICATION, b""))

    @property
    def demanded_of_us(self) -> Method | None:
        """How we have agreed to prove who we are."""
        return method_of(self.granted.get(Kind.AUTHENTICATION, b""))

    @property
    def _magic(self) -> bytes:
        return self.wishes.get(Kind.MAGIC, _NO_MAGIC)

    # What we ask for

    def wanted(self) -> dict[int, bytes]:
        """Return what differs from the defaults."""
        config, wishes = self._config, dict[int, bytes]()
        self._suggestions, self._rejects_demands = 0, False
        if config.mru != DEFAULT_MRU:
            wishes[Kind.MRU] = config.mru.to_bytes(_MRU_LENGTH, "big")
        if config.is_async:
            wishes[Kind.ACCM] = bytes(_ACCM_LENGTH)
        if config.demand is not None:
            self._untried = list(config.demand.methods)
            self._demand_next(wishes)
        wishes[Kind.MAGIC] = self._own_magic()
        if config.is_async:
            wishes[Kind.PROTOCOL_COMPRESSION] = wishes[Kind.ADDRESS_COMPRESSION] = b""
        return wishes

    def _demand_next(self, wishes: dict[int, bytes]) -> None:
        if self._untried:
            wishes[Kind.AUTHENTICATION] = value_of(self._untried.pop(0))
        else:
            self.fail(End.UNPROVEN, "it agrees to no way to log in")

    def _own_magic(self) -> bytes:
        magic = self._draw_magic()
        self._magics.append(magic)
        return magic

    def _draw_magic(self) -> bytes:
        return self._rng.randrange(1, 1 << 32).to_bytes(_MAGIC_LENGTH, "big")

    def adapt(self, hint: Option) -> None:
        """Take what the peer would rather have, as far as we can."""
        kind, value = hint
        if kind == Kind.MRU:
            mru = int.from_bytes(value, "big")
            if len(value) == _MRU_LENGTH and LEAST_MRU <= mru < self._config.mru:
                self.wishes[kind] = value
        elif kind not in self.wishes:
            return
        elif kind == Kind.ACCM and len(value) == _ACCM_LENGTH:
            both = int.from_bytes(value, "big") | int.from_bytes(self.wishes[kind], "big")
            self.wishes[kind] = both.to_bytes(_ACCM_LENGTH, "big")
        elif kind == Kind.AUTHENTICATION:
            self._adapt_demand(method_of(value))
        elif kind == Kind.MAGIC:
            self.wishes[kind] = self._own_magic()
        elif kind in (Kind.PROTOCOL_COMPRESSION, Kind.ADDRESS_COMPRESSION):
            del self.wishes[kind]

    def _adapt_demand(self, suggested: Method | None) -> None:
        if suggested in self._untried:
            self._untried.remove(suggested)
            self._untried.insert(0, suggested)
        self._demand_next(self.wishes)

    def forgo(self, kind: int) -> None:
        """Do without; but not without what we demand."""
        if kind == Kind.AUTHENTICATION:
            self.fail(End.UNPROVEN, "it does not log in")

    def agreed(self) -> None:
        """Everything that can be agreed to will do."""

    # What the peer asks for

    def missing(self, kinds: frozenset[int]) -> Sequence[Option]:  # noqa: ARG002
        """Nothing: every default will do."""
        return ()

    def naked(self, kinds: frozenset[int]) -> None:
        """Count the methods we have suggested."""
        self._suggestions += Kind.AUTHENTICATION in kinds

    def judge(self, option: Option) -> Option | None:
        """Say what we make of it."""
        match option.kind:
            case Kind.MRU:
                return self._judge_mru(option)
            case Kind.ACCM if self._config.is_async:
                fits = len(option.value) == _ACCM_LENGTH
                return option if fits else Option(Kind.ACCM, bytes(_ACCM_LENGTH))
            case Kind.AUTHENTICATION:
                return self._judge_authentication(option)
            case Kind.MAGIC:
                return self._judge_magic(option)
            case Kind.PROTOCOL_COMPRESSION | Kind.ADDRESS_COMPRESSION if self._config.is_async:
                return Option(option.kind, b"")
        return None

    def _judge_mru(self, option: Option) -> Option:
        most = 0xFFFF if self._config.is_async else PPPOE_MRU
        mru = int.from_bytes(option.value, "big")
        if len(option.value) == _MRU_LENGTH and LEAST_MRU <= mru <= most:
            return option
        return Option(Kind.MRU, min(most, DEFAULT_MRU).to_bytes(_MRU_LENGTH, "big"))

    def _judge_magic(self, option: Option) -> Option:
        if option.value in self._magics:
            self._collide()
        elif len(option.value) == _MAGIC_LENGTH and option.value != _NO_MAGIC:
            self._collisions = 0
            return option
        return Option(Kind.MAGIC, self._draw_magic())

    def _collide(self) -> None:
        self._collisions += 1
        if self._collisions >= LOOPS:
            self.fail(End.LOOPED, "")

    def _judge_authentication(self, option: Option) -> Option | None:
        login = self._config.login
        methods = login.methods if login is not None else ()
        if method_of(option.value) in methods:
            self.obstacle = None
            return option
        end = End.NO_LOGIN if login is None else End.NO_METHOD
        self.obstacle = Failure(end, describe(option.value))
        if self._suggestions < len(methods):
            return Option(Kind.AUTHENTICATION, value_of(methods[self._suggestions]))
        if self._rejects_demands and self.failure is None:
            self.failure = self.obstacle  # rejected once, demanded again
        self._rejects_demands = True
        return None

    # Packets only LCP has

    def handle_other(self, packet: Packet, now: float) -> bool:
        """Take an echo, a rejected protocol, or what needs no answer."""
        match packet.code:
            case Code.PROTOCOL_REJECT:
                self._take_protocol_reject(packet, now)
            case Code.ECHO_REQUEST:
                self._take_echo(packet, now)
            case Code.ECHO_REPLY | Code.DISCARD_REQUEST | Code.IDENTIFICATION:
                self._step(Event.ECHO, now)
            case _:
                return False
        return True

    def _take_protocol_reject(self, packet: Packet, now: float) -> None:
        if len(packet.data) < _PROTOCOL_LENGTH:
            self._counters.malformed += 1
            return
        if self.state is not State.OPENED:  # there nothing was sent that could be rejected
            self._counters.stale += 1
            return
        self._counters.rejects += 1
        protocol = int.from_bytes(packet.data[:_PROTOCOL_LENGTH], "big")
        if protocol == Protocol.LCP:
            self.fail(End.DISAGREED, "the peer rejects the protocol")
            self._step(Event.REJECTED_VITAL, now)
        else:
            self.rejected.append(protocol)
            self._step(Event.REJECTED, now)

    def _take_echo(self, packet: Packet, now: float) -> None:
        if len(packet.data) < _MAGIC_LENGTH:
            self._counters.malformed += 1
            return
        magic = packet.data[:_MAGIC_LENGTH]
        if magic in self._magics:
            self._collide()
        else:
            self._collisions = 0
        self._step(Event.ECHO, now, packet)

    def _respond(self, act: Act, packet: Packet) -> None:
        if act is Act.ECHO_REPLY:
            data = self._magic + packet.data[_MAGIC_LENGTH:]
            self._send(Code.ECHO_REPLY, packet.identifier, data[: self.largest - _HEADER_LENGTH])
        else:
            super()._respond(act, packet)

    def request_echo(self) -> None:
        """Ask the peer whether it lives."""
        self._send(Code.ECHO_REQUEST, self._next_identifier(), self._magic)

    def reject_protocol(self, protocol: int, information: bytes) -> None:
        """Tell the peer that a protocol is not spoken here."""
        self._counters.rejected += 1
        copy = information[: self.largest - _REJECT_HEADER_LENGTH]
        data = protocol.to_bytes(_PROTOCOL_LENGTH, "big") + copy
        self._send(Code.PROTOCOL_REJECT, self._next_identifier(), data)
