"""Judging packets offline: what the router would do with each, and why; nothing is sent.

Theory of operation. An `Explainer` holds a forwarder of its own with the line up, a seeded random
number generator and a clock that only moves with the packets, so the same packets always get the
same answer. State carries over from packet to packet: after an outbound SYN the answer to it is
let in. The rewrite cache is not asked, because only the forwarder gives reasons; the two agree.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from router.cli.packets import describe_packet
from router.devices import Side, Verdict
from router.forwarder import Forwarder, ForwarderConfig
from router.nat.types import DefaultHost, ForwardRule
from router.routing import Place, RoutingTable
from router.wire.vnet import GSO_TCPV4, PLAIN, VNET_HEADER_LENGTH, VnetHeader

__all__ = ["Explainer", "Explanation"]

SEED = 0  # any fixed number: the same question gets the same ports
START = 1000.0  # seconds; instants count from here
OFFLOADED_SEGMENT = 1000  # bytes; only must be less than any MTU leaves for data

_LEAVING = {Verdict.TO_LAN: Side.LAN, Verdict.TO_WAN: Side.WAN}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one packet.

    `verdict` is to-lan, to-wan, dropped or answered; `becomes` the packet as it leaves;
    `answers` what the router sends itself, or the packet in pieces; `mapping` and `session` what
    was made for it.
    """

    packet: str
    side: str
    verdict: str
    reason: str
    sentence: str
    becomes: str | None
    answers: tuple[str, ...]
    mapping: dict[str, Any] | None
    session: dict[str, Any] | None


class Explainer:
    """A forwarder behind glass."""

    def __init__(
        self,
        config: ForwarderConfig,
        forwards: Sequence[ForwardRule | DefaultHost],
        line_address: int,
        line_mtu: int,
    ) -> None:
        self._forwarder = Forwarder(config, rng=random.Random(SEED), forwards=forwards)  # noqa: S311 - must be repeatable, guards nothing
        self._forwarder.line_up(line_address, line_mtu, now=START)
        self._routing = RoutingTable(config.routing)
        self._lan_mtu = config.lan_mtu
        self._now = START

    def explain(self, packet: bytes, at: float, side: Side | None = None) -> Explanation:
        """Judge one IPv4 packet `at` seconds after the start.

        Without `side` its source tells where it comes from. Time never goes back.
        """
        self._pass_time(START + at)
        side = self._side_of(packet) if side is None else side
        forwarder, frame = self._forwarder, bytearray(self._header(packet) + packet)
        sessions, mappings = forwarder.session_count, forwarder.mapping_count
        judge = forwarder.from_lan if side is Side.LAN else forwarder.from_wan
        verdict = judge(frame, len(frame), now=self._now)
        leaves = verdict in _LEAVING
        return Explanation(
            packet=describe_packet(packet),
            side=side.name.lower(),
            verdict=_verdict_name(verdict),
            reason=forwarder.last_reason.slug,
            sentence=forwarder.last_reason.sentence,
            becomes=describe_packet(bytes(frame[VNET_HEADER_LENGTH:])) if leaves else None,
            answers=tuple(self._answers()),
            mapping=self._newest_mapping() if forwarder.mapping_count > mappings else None,
            session=self._newest_session() if forwarder.session_count > sessions else None,
        )

    def _pass_time(self, instant: float) -> None:
        forwarder = self._forwarder
        while (deadline := forwarder.next_deadline()) is not None and deadline <= instant:
            self._now = max(self._now, deadline)
            forwarder.handle_timer(now=self._now)
        forwarder.take_effects()
        self._now = max(self._now, instant)

    def _side_of(self, packet: bytes) -> Side:
        source = int.from_bytes(packet[12:16], "big")
        inside = self._routing.lookup(source).place in (Place.LAN, Place.LOCAL)
        return Side.LAN if inside else Side.WAN

    def _header(self, packet: bytes) -> bytes:
        """Take what is longer than the link for what an offloading sender hands over."""
        if len(packet) <= self._lan_mtu or packet[9:10] != b"\x06":
            return PLAIN
        return VnetHeader(0, GSO_TCPV4, 0, OFFLOADED_SEGMENT, 0, 0).write()

    def _answers(self) -> Iterator[str]:
        for transmit in self._forwarder.take_effects():
            said = describe_packet(transmit.frame[VNET_HEADER_LENGTH:])
            yield f"{said}, to the {transmit.side.name}"

    def _newest_session(self) -> dict[str, Any]:
        *_, session = self._forwarder.sessions()
        return asdict(session.row(self._now))

    def _newest_mapping(self) -> dict[str, Any]:
        *_, mapping = self._forwarder.mappings()
        return asdict(mapping.row(self._now))


def _verdict_name(verdict: Verdict) -> str:
    return "dropped" if verdict is Verdict.DROP else verdict.name.lower().replace("_", "-")
