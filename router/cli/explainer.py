"""Judging packets offline: what the router would do with each, and why; nothing is sent.

Theory of operation. An `Explainer` holds a forwarder of its own with the preferred line up for
good, a seeded random number generator and a clock that only moves with the packets, so the same
packets always get the same answer. State carries over from packet to packet: after an outbound SYN
the answer to it is let in. The rewrite cache is not asked, because only the forwarder gives
reasons; the two agree.

Whether a packet would raise a line is what a second forwarder does with it, which is made for it
alone and has all its lines down. With `up=False` that one's verdict is also the answer. It knows
hours and modes; of budgets and breaker nothing is used, as nobody offline can tell.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from math import inf
from typing import Any, NamedTuple

from router.cli.captures import frame_of
from router.devices import Side, Verdict
from router.forwarder import Forwarder, ForwarderConfig
from router.link.calendar import Calendar
from router.link.holds import UNANSWERED_S
from router.link.messages import Addressed, Dial
from router.link.types import Cause, LinksConfig, Mode, PolicyRule
from router.nat.table import Session
from router.nat.types import DefaultHost, ForwardRule
from router.notation import describe_packet
from router.reasons import Reason
from router.replay import Conversation, NoNeighbours, held_for, hold_of
from router.routing import Place, RoutingTable
from router.wire.address import format_address
from router.wire.ipv4 import IPv4
from router.wire.malformed import Malformed
from router.wire.transport import parse_transport
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["Explainer", "Explanation", "Worth"]

SEED = 0  # any fixed number: the same question gets the same ports
START = 1000.0  # seconds; instants count from here

_OPENED_BY_REMOTE = frozenset({Reason.FORWARDED, Reason.FILTER_PASSED})
_NOT_FOR_THE_LINE = frozenset(
    {
        Reason.MALFORMED,
        Reason.SOURCE_ROUTED,
        Reason.MARTIAN_SOURCE,
        Reason.MARTIAN_DESTINATION,
        Reason.SPOOFED,
        Reason.BROADCAST,
        Reason.LAN_TO_LAN,
        Reason.LOCAL,
        Reason.LOCAL_IGNORED,
        Reason.TTL_EXPIRED,
        Reason.TOO_BIG,
    }
)


@dataclass(frozen=True, slots=True)
class Worth:
    """What a packet is worth to the line, for its LAN host's right and by a policy rule.

    `raises` is the link that it raises when all are down, "" for none, and `why_not` says why. It
    holds its line for `holds_s` seconds, 0 if it does not, and its session for `answered_holds_s`
    after each packet once it is answered; None is for as long as the session is open. The session
    goes by the rule it was opened by, `held_by`.
    """

    host: str
    right: str
    rule: str
    origin: str
    raises: str
    why_not: str
    holds_s: float | None
    answered_holds_s: float | None
    held_by: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one packet.

    `verdict` is to-lan, to-wan, dropped, answered or held; `becomes` the packet as it leaves;
    `answers` what the router sends itself, or the packet in pieces; `mapping` and `session` what
    was made for it; `worth` is told of packets for the line, and of those that come in by it and
    open a session.
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
    worth: Worth | None


class _WhenDown(NamedTuple):
    """What a router with all its lines down does for a packet: the link it raises, or why none."""

    raises: str
    why_not: str
    waits: bool = False


_CAME_BY_IT = _WhenDown("", "it comes in by a line that is up")


class Explainer:
    """A forwarder behind glass; the preferred link is up with `address`, unless none is `up`.

    `calendar` tells the civil time from `START` on, the instant of the question.
    """

    def __init__(
        self,
        config: ForwarderConfig,
        forwards: Sequence[ForwardRule | DefaultHost],
        calendar: Calendar,
        *,
        address: int,
        up: bool = True,
    ) -> None:
        self._config = config
        self._forwards = forwards
        self._calendar = calendar
        self._link = config.links.links[0]
        self._is_up = up
        self._routing = RoutingTable(config.routing)
        self._names = {host.address: host.name for host in config.links.demand.hosts}
        self._sessions: dict[Conversation, Session] = {}
        self._now = START
        self._forwarder = self._with_line_up(address) if up else self._with_lines_down()

    def _with_line_up(self, address: int) -> Forwarder:
        forwarder = self._make(_always_up(self._config.links))
        found = Addressed(self._link.name, 0, address, self._link.mtu)
        forwarder.lines.report(found, now=self._now)
        return forwarder

    def _with_lines_down(self) -> Forwarder:
        forwarder = self._make(self._config.links)
        forwarder.lines.begin(now=self._now)
        return forwarder

    def _make(self, links: LinksConfig) -> Forwarder:
        return Forwarder(
            replace(self._config, links=links),
            rng=random.Random(SEED),  # noqa: S311 - must be repeatable, guards nothing
            calendar=self._calendar,
            neighbours=NoNeighbours(),
            now=self._now,
            forwards=self._forwards,
        )

    def explain(self, packet: bytes, at: float, side: Side | None = None) -> Explanation:
        """Judge one IPv4 packet `at` seconds after the start.

        Without `side` its source tells where it comes from. Time never goes back.
        """
        self._pass_time(START + at)
        side = self._side_of(packet) if side is None else side
        forwarder = self._forwarder if self._is_up else self._with_lines_down()
        sessions, mappings = forwarder.session_count, forwarder.mapping_count
        verdict, leaving = self._enter(forwarder, side, packet)
        reason = forwarder.last_reason
        session = self._newest_session() if forwarder.session_count > sessions else None
        is_mapped = session is not None and forwarder.mapping_count > mappings
        return Explanation(
            packet=describe_packet(packet),
            side=side.name.lower(),
            verdict=_verdict_name(verdict, reason),
            reason=reason.slug,
            sentence=reason.sentence,
            becomes=None if leaving is None else describe_packet(leaving),
            answers=tuple(_answers(forwarder)),
            mapping=asdict(session.mapping.row(self._now)) if session and is_mapped else None,
            session=asdict(session.row(self._now)) if session else None,
            worth=self._worth(packet, side, verdict, reason, leaving),
        )

    def _pass_time(self, instant: float) -> None:
        forwarder = self._forwarder
        while self._is_up and (due := forwarder.next_deadline()) is not None and due <= instant:
            self._now = max(self._now, due)
            forwarder.handle_timer(now=self._now)
        forwarder.take_effects()
        forwarder.lines.take_signals()
        self._now = max(self._now, instant)

    def _side_of(self, packet: bytes) -> Side:
        inside = self._routing.lookup(_source(packet)).place in (Place.LAN, Place.LOCAL)
        return Side.LAN if inside else Side.WAN

    def _enter(
        self, forwarder: Forwarder, side: Side, packet: bytes
    ) -> tuple[Verdict, bytes | None]:
        """Return the verdict on a packet, and the packet as it leaves if it does at once."""
        frame = bytearray(frame_of(packet, self._config.lan_mtu))
        judge = forwarder.from_lan if side is Side.LAN else forwarder.from_wan
        verdict = judge(frame, len(frame), now=self._now)
        leaves = verdict in (Verdict.TO_LAN, Verdict.TO_WAN)
        return verdict, bytes(frame[VNET_HEADER_LENGTH:]) if leaves else None

    def _newest_session(self) -> Session:
        *_, session = self._forwarder.sessions()
        self._sessions[Conversation.of_session(session)] = session
        return session

    # What it is worth

    def _worth(
        self, packet: bytes, side: Side, verdict: Verdict, reason: Reason, leaving: bytes | None
    ) -> Worth | None:
        if side is Side.LAN:
            if reason in _NOT_FOR_THE_LINE or verdict is Verdict.TO_LAN:
                return None
            return self._told(packet, self._when_down(packet), outbound=True)
        if reason in _OPENED_BY_REMOTE and leaving is not None:
            return self._told(leaving, _CAME_BY_IT, outbound=False)
        return None

    def _when_down(self, packet: bytes) -> _WhenDown:
        down = self._with_lines_down()
        down.lines.take_signals()
        self._enter(down, Side.LAN, packet)
        for signal in down.lines.take_signals():
            if isinstance(signal, Dial) and signal.trigger.cause is Cause.DEMAND:
                return _WhenDown(signal.link, "", waits=True)
        rows = down.lines.link_rows(self._now)
        if down.last_reason is Reason.HELD:
            by_itself = next(row.name for row in rows if row.mode == Mode.PERMANENT.value)
            return _WhenDown("", f"the router raises {by_itself} by itself", waits=True)
        if down.last_reason is Reason.LINE_DENIED:
            return _WhenDown("", f"{rows[0].name} is down, {rows[0].blocked}")
        return _WhenDown("", f"it {down.last_reason.sentence}")

    def _told(self, packet: bytes, when_down: _WhenDown, *, outbound: bool) -> Worth:
        view = IPv4.parse(bytearray(packet), 0, len(packet))
        assert isinstance(view, IPv4)
        transport = parse_transport(view)
        assert not isinstance(transport, Malformed)
        conversation = Conversation.of(view, transport, outbound=outbound)
        host = conversation.host
        right, rule = self._forwarder.lines.judge(packet, host, self._now, outbound=outbound)
        session = self._sessions.get(conversation)
        held_by, at_once_s, answered_s = rule, 0.0, 0.0
        if session is not None and session.is_open:
            if isinstance(session.rule, PolicyRule):
                held_by = session.rule
                at_once_s = held_for(session, held_by, self._link, self._now)
            answered_s = hold_of(held_by, self._link)
        elif when_down.waits and not self._is_up:
            answered_s = hold_of(rule, self._link)
            at_once_s = min(answered_s, UNANSWERED_S)
        return Worth(
            host=self._names.get(host) or format_address(host),
            right=right.value,
            rule=str(rule),
            origin=rule.origin,
            raises=when_down.raises,
            why_not=when_down.why_not,
            holds_s=None if at_once_s == inf else at_once_s,
            answered_holds_s=None if answered_s == inf else answered_s,
            held_by=str(held_by),
        )


def _always_up(links: LinksConfig) -> LinksConfig:
    """Return the preferred link alone, which nothing takes down."""
    link = replace(links.links[0], mode=Mode.PERMANENT, metered=False, max_session_s=0.0)
    return replace(links, links=(link,), schedule=())


def _source(packet: bytes) -> int:
    return int.from_bytes(packet[12:16], "big")


def _answers(forwarder: Forwarder) -> Iterator[str]:
    for transmit in forwarder.take_effects():
        said = describe_packet(transmit.frame[VNET_HEADER_LENGTH:])
        yield f"{said}, to the {transmit.side.name}"


def _verdict_name(verdict: Verdict, reason: Reason) -> str:
    if reason is Reason.HELD:
        return "held"
    return "dropped" if verdict is Verdict.DROP else verdict.name.lower().replace("_", "-")
