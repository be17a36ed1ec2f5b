"""Steps of a walk through a forwarder's life, their strategies, and the driver that takes them.

A step names endpoints by number, not by value: the external endpoint of a session is random, so
a packet back is aimed at whatever session the forwarder has under that number when it comes.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from hypothesis import strategies as st

from router.devices import Side, Verdict
from router.forwarder import Transmit
from router.wire.address import Endpoint
from tests.lab.links import a_forwarder, lose_line, raise_line
from tests.lab.strategies import error_packets, evil_packets, packets
from tests.properties.frames import (
    ACK,
    DONT_FRAGMENT,
    FIN,
    GRE,
    ICMP,
    OWN_GSO,
    PLAIN,
    PSH,
    RST,
    SYN,
    TCP,
    UDP,
    VNET,
    Recipe,
    ones_sum,
)
from tests.properties.sites import LINE, OTHER_LINE, PORTS, REMOTES, Site, forward_sets

SEED = 20
SLACK = 40  # bytes of buffer behind the frame, which nobody may touch


@dataclass(frozen=True)
class New:
    """A packet between a host and a remote, or, `hairpin`, the external address."""

    side: Side
    protocol: int
    host: int
    remote: int
    ports: tuple[int, int]
    recipe: Recipe = PLAIN
    hairpin: bool = False


@dataclass(frozen=True)
class Again:
    """A packet of the session with that number, or of a stranger to that session's mapping."""

    side: Side
    session: int
    recipe: Recipe = PLAIN
    stranger: tuple[int, int] | None = None  # remote, port


@dataclass(frozen=True)
class Error:
    """An ICMP error about a packet of that session, sent by a remote or an inner host."""

    side: Side
    session: int
    sender: int
    kind: tuple[int, int]
    quoted: int  # bytes of the quote
    recipe: Recipe = PLAIN


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Line:
    """The line goes down, or comes up with one of its addresses."""

    address: int | None


@dataclass(frozen=True)
class Reload:
    """Other forwards."""

    rules: int
    reset: bool


@dataclass(frozen=True)
class Raw:
    """Any bytes at all."""

    side: Side
    packet: bytes


Step = New | Again | Error | Raw | Wait | Line | Reload


class Driver:
    """One forwarder with its clock, used as the data plane uses it."""

    def __init__(self, site: Site, *, fastpath: bool = True, rules: int = 0) -> None:
        self.site = site
        self.now = 100.0
        self.line: int | None = LINE
        self.rules = forward_sets(site)[rules]
        self.forwarder = a_forwarder(
            site.config(fastpath=fastpath), now=self.now, seed=SEED, forwards=self.rules
        )
        self.hits = 0
        raise_line(self.forwarder, LINE, now=self.now, mtu=site.line_mtu)

    def enter(self, side: Side, frame: bytes) -> tuple[Verdict, bytes]:
        """Send a frame in; return the verdict and the buffer afterwards, slack included."""
        buffer = bytearray(frame + b"\xa5" * SLACK)
        verdict = self.forwarder.cache.forward(side, buffer, len(frame), self.now)
        self.hits += verdict is not Verdict.MISS
        if not verdict:
            assert buffer == frame + b"\xa5" * SLACK, "a miss left traces"
            enter = self.forwarder.from_wan if side else self.forwarder.from_lan
            verdict = enter(buffer, len(frame), now=self.now)
        return verdict, bytes(buffer)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        deadline = self.forwarder.next_deadline()
        if deadline is not None and deadline <= self.now:
            self.forwarder.handle_timer(now=self.now)

    def frame_of(self, step: New | Again | Error | Raw) -> bytes | None:
        """Return what a step puts on the wire, None when it asks for a session and none is."""
        if isinstance(step, Raw):
            return bytes(VNET) + step.packet
        if isinstance(step, New):
            return self._new(step)
        sessions = list(self.forwarder.sessions())
        if not sessions:
            return None
        session = sessions[step.session % len(sessions)]
        mapping = session.mapping
        inside = (mapping.internal, session.remote)
        outside = (session.remote, mapping.external)
        if isinstance(step, Again) and step.stranger:
            remote, port = step.stranger
            outside = (Endpoint(REMOTES[remote], port), mapping.external)
        way = inside if step.side is Side.LAN else outside
        if isinstance(step, Again):
            recipe = step.recipe
            if recipe.checksum == "zero behind":
                ends = (*inside, mapping.external, session.remote)
                recipe = replace(recipe, checksum=_zero_behind(ends, step.side))
            return recipe.frame(mapping.protocol, *way)
        quote = Recipe(ttl=60).frame(mapping.protocol, *way[::-1])[VNET:]
        senders = self.site.hosts if step.side is Side.LAN else REMOTES
        sender = Endpoint(senders[step.sender % len(senders)], step.kind[1])
        recipe = replace(step.recipe, icmp_type=step.kind[0], data=quote[: step.quoted])
        return recipe.frame(ICMP, sender, Endpoint(way[1].address, 0))

    def _new(self, step: New) -> bytes:
        outside = self.site.external[0].address + (self.site.name != "masquerade")
        host = Endpoint(self.site.hosts[step.host], step.ports[0])
        remote = Endpoint(outside if step.hairpin else REMOTES[step.remote], step.ports[1])
        if step.side is Side.LAN:
            return step.recipe.frame(step.protocol, host, remote)
        host = Endpoint(outside, step.ports[0])
        return step.recipe.frame(step.protocol, Endpoint(REMOTES[step.remote], remote.port), host)

    def take(self, step: Step) -> tuple[Verdict | None, bytes, list[Transmit]]:
        """Take any step; return the verdict and buffer of a packet, and all effects."""
        verdict, buffer = None, b""
        if isinstance(step, Wait):
            self.wait(step.seconds)
        elif isinstance(step, Line):
            self.line = step.address
            if step.address is None:
                lose_line(self.forwarder, now=self.now)
            else:
                raise_line(self.forwarder, step.address, now=self.now, mtu=self.site.line_mtu)
        elif isinstance(step, Reload):
            self.rules = forward_sets(self.site)[step.rules]
            self.forwarder.replace_forwards(self.rules, reset_affected=step.reset, now=self.now)
        elif frame := self.frame_of(step):
            side = step.side
            verdict, buffer = self.enter(side, frame)
        self.forwarder.lines.take_signals()
        return verdict, buffer, self.forwarder.take_effects()

    def emitted(self, step: Step) -> list[Transmit]:
        """Take a step; return everything that leaves, whichever way."""
        verdict, buffer, effects = self.take(step)
        if verdict in (Verdict.TO_LAN, Verdict.TO_WAN):
            side = Side.LAN if verdict is Verdict.TO_LAN else Side.WAN
            effects.insert(0, Transmit(side, buffer[: len(buffer) - SLACK]))
        return effects


def _zero_behind(ends: Sequence[Endpoint], side: Side) -> int:
    """Return the checksum field that translation from `side` turns into zero."""
    inside, outside = (
        ones_sum(b"".join(struct.pack("!IH", *end) for end in two)) for two in (ends[:2], ends[2:])
    )
    change = outside - inside if side is Side.LAN else inside - outside
    return (-change % 0xFFFF) ^ 0xFFFF


# Strategies


def mostly(default: object, other: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return the default five times in six, so that a packet has one thing wrong, not all."""
    return st.integers(0, 5).flatmap(lambda n: other if n == 5 else st.just(default))


_RECORD_ROUTE, _SOURCE_ROUTE, _ALERT = (
    b"\x07\x07\x04\0\0\0\0\0",
    b"\x83\x07\x04\1\2\3\4\0",
    b"\x94\x04\0\0",
)
_MSS, _SCALE = b"\x02\x04\x05\xb4", b"\x01\x03\x03\x07"

# One field at a time that is not as usual, and what it may be instead.
ODDITIES: dict[str, tuple[Any, ...]] = {
    "ttl": (0, 1, 2, 3, 254, 255),
    "tos": (1, 255),
    "identification": (0, 1, 2, 0xFFFF),
    "flags_offset": (0, 0x2000, 0x2002, 2, 0x6000, 3, 0x8000, 0x1FFF, 0x2001, 1),
    "options": (_RECORD_ROUTE, _SOURCE_ROUTE, _ALERT, bytes(40), b"\x07\1\0\0"),
    "size": (0, 1, 8, 548, 1452, 1453, 1472, 1473, 3000, 20000),
    "flags": (0, SYN, SYN | ACK, FIN, FIN | ACK, RST, RST | ACK, PSH | ACK, 0xD0, 0xFF),
    "sequence": (0, 2000, 2**31, 2**32 - 1),
    "acknowledgment": (0, 1000, 2**31, 2**32 - 1),
    "window": (0, 65535),
    "tcp_options": (_MSS, _SCALE + _MSS, b"\1" + _MSS + bytes(3)),
    "checksum": ("partial", "zero behind", 0, 0xFFFF, 1, 0x8000),
    "other_zero": (True,),
    "total_length": (-100, -8, -1, 1, 100),
    "transport_length": (-17, -6, -5, -1, 1, 5, 0x7FFF),
    "vnet": tuple(
        product((0, 1, 2, 255), (OWN_GSO, 0, 1, 5, 0x81, 77), (0, 1, 100, 1460, 1480, 65535))
    ),
    "checksum_place": ((0, 0), (20, 16), (20, 6), (65535, 65535)),
    "cut": (1, 8, 9, 30),
    "flips": tuple((bit,) for bit in range(0, 400, 7)),
    "icmp_type": (0, 3, 4, 5, 11, 12, 13, 14, 17, 200),
}

plain = st.builds(
    Recipe,
    size=st.sampled_from((0, 1, 8, 100)),
    flags=st.sampled_from((ACK, ACK, ACK, ACK, PSH | ACK, FIN | ACK, RST | ACK)),
    sequence=st.sampled_from((1000, 1001, 2**32 - 1)),
    acknowledgment=st.sampled_from((1001, 2000, 0)),
)
_oddities = st.one_of(
    *(st.tuples(st.just(name), st.sampled_from(values)) for name, values in ODDITIES.items())
)
odd = st.lists(_oddities, min_size=1, max_size=3).map(lambda pairs: Recipe(**dict(pairs)))
# What an offloading sender hands over: a super-packet with a partial checksum.
super_packets = st.builds(
    Recipe,
    size=st.sampled_from((1000, 3000, 20000)),
    flags_offset=st.sampled_from((0, DONT_FRAGMENT)),
    checksum=st.just("partial"),
    vnet=st.tuples(st.just(1), st.just(OWN_GSO), st.sampled_from((536, 1240, 1460))),
)
recipes = plain | odd | super_packets
sides = st.sampled_from(Side)
protocols = st.sampled_from((UDP, TCP, ICMP, UDP, TCP, GRE))
ports = st.tuples(st.sampled_from(PORTS), st.sampled_from(PORTS))
syns = st.builds(replace, plain, flags=st.just(SYN), tcp_options=st.sampled_from((b"", _MSS)))

news = st.builds(
    New,
    sides,
    protocols,
    st.integers(0, 2),
    st.integers(0, 2),
    ports,
    recipes | syns,
    mostly(False, st.just(True)),
)
agains = st.builds(Again, sides, st.integers(0, 9), recipes)
strangers = st.builds(
    Again,
    st.just(Side.WAN),
    st.integers(0, 9),
    plain | syns,
    st.tuples(st.integers(0, 2), st.sampled_from(PORTS)),
)
errors = st.builds(
    Error,
    sides,
    st.integers(0, 9),
    st.integers(0, 2),
    st.sampled_from(((3, 1), (3, 3), (3, 4), (11, 0), (12, 0), (4, 0), (5, 1))),
    st.sampled_from((44, 44, 44, 36, 28, 27, 20, 19, 0)),
    plain | odd,
)
waits = st.builds(
    Wait, st.sampled_from((0.0, 0.1, 1.0, 5.0, 5.5, 6.0, 11.0, 15.0, 24.0, 30.0, 90.0))
)
lines = st.builds(Line, st.sampled_from((LINE, LINE, LINE, LINE, LINE, None, OTHER_LINE)))
raws = st.builds(Raw, sides, evil_packets() | packets() | error_packets() | st.binary(max_size=80))
reloads = st.builds(Reload, st.integers(0, 2), st.booleans())


def walks(*of: st.SearchStrategy[Step], legs: int = 10) -> st.SearchStrategy[list[Step]]:
    """Return walks of steps; several short lists make longer ones than one list would."""
    leg = st.lists(st.one_of(*of), max_size=10)
    return st.lists(leg, min_size=2, max_size=legs).map(
        lambda found: [step for leg in found for step in leg]
    )


# Mostly packets of sessions that live, now and then something that changes the scene.
steady_walks = walks(agains, agains, agains, news, strangers, errors, waits)
changing_walks = walks(agains, agains, agains, agains, news, strangers, waits, lines, reloads)


def opening() -> Sequence[Step]:
    """Return the steps that leave two UDP sessions and two connections well established."""
    found: list[Step] = []
    for number in range(2):
        udp = New(Side.LAN, UDP, number, 0, (4000, 53))
        tcp = New(Side.LAN, TCP, number, 1, (4000, 80), replace(PLAIN, flags=SYN))
        answer = replace(PLAIN, flags=SYN | ACK)
        first = len(found) // 5 * 2
        found += [udp, udp, tcp, Again(Side.WAN, first + 1, answer), Again(Side.LAN, first + 1)]
    return found
