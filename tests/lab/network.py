"""A network around one real forwarder: what goes in and what comes out, in words.

    router = Router(forwards="tcp 80 -> 192.168.1.10")
    router.lan("udp 192.168.1.11:4000 > 198.51.100.10:53")   ["wan udp 203.0.113.2:4000 > ..."]
    router.wait(300)                                         timers, each at its own deadline

The clock is the test's, the random numbers are seeded. Whatever the router emits is judged on the
way out, and no test has to ask for it: checksums by scapy, quoted headers included; sizes; and
that nothing private is ever to be seen on the WAN.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.packet import Packet, Raw
from scapy.utils import checksum

from router.devices import Side, Verdict
from router.forwarder import ForwarderConfig, Transmit
from router.link.types import LinksConfig
from router.nat.types import DefaultHost, ForwardRule, NatConfig
from router.reasons import Reason
from router.routing import LanRoute, RoutingConfig
from router.rules import parse_rules
from router.wire.address import Network, parse_address
from tests.lab import packets
from tests.lab.links import ONE_LINE, a_forwarder, lose_line, raise_line
from tests.lab.packets import VNET_LENGTH, describe, frame, parsed, wrong_checksums

LINE = "203.0.113.2"
_BUFFER_BYTES = VNET_LENGTH + 65536
_STALE = b"\xaa"  # what earlier packets left in the buffer of a data plane
_PRIVATE = [
    Network.parse(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8")
]
_NAT_OPTIONS = {field.name for field in fields(NatConfig)}
_ICMP_ERRORS = {3, 4, 5, 11, 12}


class Seen(str):
    """One emitted packet: as text `SIDE DESCRIPTION`, with everything else at hand."""

    side: Side
    frame: bytes

    @classmethod
    def of(cls, side: Side, whole: bytes) -> "Seen":
        seen = cls(f"{side.name.lower()} {describe(whole)}")
        seen.side, seen.frame = side, whole
        return seen

    @property
    def ip(self) -> Packet:
        return parsed(self.frame)

    @property
    def raw(self) -> bytes:
        """The IPv4 packet."""
        return self.frame[VNET_LENGTH:]

    @property
    def body(self) -> bytes:
        """What follows the IP header."""
        return self.raw[(self.raw[0] & 15) * 4 :]

    @property
    def quote(self) -> bytes:
        """The packet an ICMP error quotes."""
        return self.body[8:]

    @property
    def source(self) -> str:
        """`address:port` the packet claims to come from."""
        return self.split()[2]

    @property
    def port(self) -> int:
        """Its source port."""
        return int(self.source.rpartition(":")[2])

    @property
    def query_id(self) -> int:
        return int(self.split()[-1])


def whole(text: str, data: bytes = b"", **options: Any) -> bytes:
    """The frame a line such as `tcp A:1 > B:2 S`, `ping A > B id 7` or `47 A > B` stands for."""
    protocol, _, rest = text.partition(" ")
    if protocol == "tcp":
        return packets.tcp(rest, data, **options)
    if protocol == "udp":
        return packets.udp(rest, data, **options)
    if protocol in ("ping", "pong"):
        way, _, query_id = rest.partition(" id ")
        build: Callable[..., bytes] = getattr(packets, protocol)
        return build(way, data, query_id=int(query_id), **options)
    source, destination = rest.split(" > ")
    fields_ = {"flags": "DF", "id": 1, **options, "proto": int(protocol)}
    return frame(IP(src=source, dst=destination, **fields_) / Raw(data))


class Router:
    """A forwarder, its line up, and the two sides to send from.

    Options are those of `NatConfig` and `ForwarderConfig`; `forwards` is text as in
    forward.rules. `now` is the clock.
    """

    def __init__(
        self,
        *,
        forwards: str = "",
        line: str | None = LINE,
        line_mtu: int = 1500,
        lan: str = "192.168.1.1/24",
        lan_routes: Sequence[str] = (),
        seed: int = 1,
        links: LinksConfig = ONE_LINE,
        **options: Any,
    ) -> None:
        nat = {name: options.pop(name) for name in list(options) if name in _NAT_OPTIONS}
        address, _, prefix = lan.partition("/")
        network = Network(parse_address(address), int(prefix))
        network = Network(network.address & network.mask, network.prefix)
        routes = tuple(LanRoute(Network.parse(text)) for text in lan_routes)
        routing = RoutingConfig(parse_address(address), network, routes)
        self.now = 1000.0
        self.config = ForwarderConfig(routing, links, NatConfig(**nat), **options)
        self.forwarder = a_forwarder(self.config, now=self.now, seed=seed, forwards=rules(forwards))
        self.line: str | None = None
        self._mtu = {Side.LAN: self.config.lan_mtu, Side.WAN: line_mtu}
        if line:
            self.line_up(line, line_mtu)

    # The line

    def line_up(self, address: str = LINE, mtu: int = 1500) -> list[Seen]:
        """Give the line an address; return what the router emits for it."""
        self.line, self._mtu[Side.WAN] = address, mtu
        raise_line(self.forwarder, address, now=self.now, mtu=mtu)
        return self._emitted()

    def line_down(self) -> list[Seen]:
        """Take the line away; return what the router emits for it."""
        self.line = None
        lose_line(self.forwarder, now=self.now)
        return self._emitted()

    def _emitted(self) -> list[Seen]:
        return [self._judge(Seen.of(*transmit)) for transmit in self.forwarder.take_effects()]

    # Packets

    def lan(self, packet: str | bytes, data: bytes = b"", **options: Any) -> list[Seen]:
        """Send a packet from the LAN; return what the router emits, in order."""
        return self._send(Side.LAN, packet, data, options)

    def wan(self, packet: str | bytes, data: bytes = b"", **options: Any) -> list[Seen]:
        """Send a packet from the WAN; return what the router emits, in order.

        Its transport checksum may be wrong on the way out only if it was sent `damaged`.
        """
        return self._send(Side.WAN, packet, data, options)

    def _send(
        self, side: Side, packet: str | bytes, data: bytes, options: dict[str, Any]
    ) -> list[Seen]:
        damaged = options.pop("damaged", False)
        sent = whole(packet, data, **options) if isinstance(packet, str) else packet
        emitted = [Seen.of(*transmit) for transmit in self.enter(side, sent)]
        return [self._judge(packet, damaged=damaged) for packet in emitted]

    def enter(self, side: Side, sent: bytes) -> list[Transmit]:
        """Do with a frame what the data plane does, unjudged and fast."""
        buffer = bytearray(_STALE * _BUFFER_BYTES)
        buffer[: len(sent)] = sent
        forwarder = self.forwarder
        verdict = forwarder.cache.forward(side, buffer, len(sent), self.now)
        if verdict is Verdict.MISS:
            enter = forwarder.from_lan if side is Side.LAN else forwarder.from_wan
            verdict = enter(buffer, len(sent), now=self.now)
        effects = forwarder.take_effects()
        if verdict is Verdict.ANSWERED:
            held = forwarder.last_reason is Reason.HELD
            assert effects or held, "ANSWERED, but nothing to send"
            return effects
        assert not effects, f"{verdict.name}, but there are effects"
        if verdict is Verdict.DROP:
            return []
        out = Side.LAN if verdict is Verdict.TO_LAN else Side.WAN
        return [Transmit(out, bytes(buffer[: len(sent)]))]

    def wait(self, seconds: float) -> list[Seen]:
        """Let time pass, running each timer when it is due; return what the router emits."""
        end = self.now + seconds
        seen: list[Seen] = []
        while (due := self.forwarder.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.forwarder.handle_timer(now=self.now)
            later = self.forwarder.next_deadline()
            assert later is None or later > self.now, "a timer that stays due spins for ever"
            seen += [Seen.of(*transmit) for transmit in self.forwarder.take_effects()]
        self.now = end
        return [self._judge(packet) for packet in seen]

    # Judging

    def _judge(self, seen: Seen, *, damaged: bool = False) -> Seen:
        packet = seen.ip
        assert packet.ttl > 0, f"{seen}: no hops left"
        if seen.frame[:VNET_LENGTH] != packets.PLAIN:
            partial = packets.offloaded(frame(seen.raw))[VNET_LENGTH:]
            assert seen.raw == partial, f"{seen}: checksum not that of the pseudo header"
        else:
            assert len(seen.raw) <= self._mtu[seen.side], f"{seen}: longer than the link carries"
            wrong = set(wrong_checksums(seen.raw))
            assert not wrong or (damaged and "ip" not in wrong), f"{seen}: {wrong} checksum"
        if packet.proto == 1 and not packet.frag and seen.body[0] in _ICMP_ERRORS:
            self._judge_quote(seen)
        if seen.side is Side.WAN:
            assert not self._is_private(packet.src), f"{seen}: private source on the WAN"
            assert packet.dst != self.line, f"{seen}: sent to ourselves"
        return seen

    def _judge_quote(self, seen: Seen) -> None:
        header = seen.quote[: (seen.quote[0] & 15) * 4]
        assert checksum(header) == 0, f"{seen}: quoted IP header checksum"
        if seen.side is Side.WAN:
            quoted = IP(seen.quote)
            for address in (quoted.src, quoted.dst):
                assert not self._is_private(address), f"{seen}: quotes a private address"

    def _is_private(self, text: str) -> bool:
        address = parse_address(text)
        return text != self.line and any(address in network for network in _PRIVATE)

    # Looking inside, through the public views

    @property
    def sessions(self) -> list[str]:
        """Each session as `PROTOCOL INTERNAL EXTERNAL REMOTE`."""
        rows = (session.row(self.now) for session in self.forwarder.sessions())
        return [f"{r.protocol} {r.internal} {r.external} {r.remote}" for r in rows]

    @property
    def mappings(self) -> list[str]:
        """Each mapping as `PROTOCOL INTERNAL EXTERNAL KIND`."""
        rows = (mapping.row(self.now) for mapping in self.forwarder.mappings())
        return [f"{r.protocol} {r.internal} {r.external} {r.kind}" for r in rows]

    @property
    def reason(self) -> str:
        """The slug of why the last packet that missed the cache got its verdict."""
        return self.forwarder.last_reason.slug

    def replace_forwards(self, text: str, *, reset_affected: bool = False) -> int:
        return self.forwarder.replace_forwards(
            rules(text), reset_affected=reset_affected, now=self.now
        )


def rules(text: str) -> Sequence[ForwardRule | DefaultHost]:
    return parse_rules(text, "forward.rules")


def joined(pieces: Sequence[Seen]) -> Seen:
    """The one datagram that emitted fragments make, its checksums judged."""
    ordered = sorted(pieces, key=lambda piece: int(piece.ip.frag))
    data = b""
    for piece in ordered:
        assert piece.ip.frag * 8 == len(data), f"{piece}: a gap or an overlap"
        data += piece.body
    assert [bool(piece.ip.flags.MF) for piece in ordered] == [True] * (len(ordered) - 1) + [False]
    header = ordered[0].ip
    header.remove_payload()
    header.flags, header.len, header.chksum = 0, None, None
    seen = Seen.of(ordered[0].side, frame(header / Raw(data)))
    assert wrong_checksums(seen.raw) == []
    return seen


def renumbered(piece: bytes, identification: int) -> bytes:
    """The frame with another IP identification, its header checksum right."""
    copy = bytearray(piece)
    copy[VNET_LENGTH + 4 : VNET_LENGTH + 6] = identification.to_bytes(2, "big")
    packets.heal_header(header := copy[VNET_LENGTH:])
    return packets.PLAIN + bytes(header)


# Fixtures; a conftest imports them


@pytest.fixture(params=[True, False], ids=["cached", "uncached"])
def build(request: pytest.FixtureRequest) -> Callable[..., Router]:
    """Make a `Router`, once with the rewrite cache and once without."""

    def make(**options: Any) -> Router:
        return Router(fastpath=request.param, **options)

    return make


@pytest.fixture
def router(build: Callable[..., Router]) -> Router:
    """A router as the RFCs recommend it."""
    return build()
