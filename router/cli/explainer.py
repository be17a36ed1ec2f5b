"""Judging packets offline: what the router would do with each, and why; nothing is sent.

Theory of operation. An `Explainer` holds a forwarder of its own with the preferred line up for
good, a seeded random number generator and a clock that only moves with the packets, so the same
packets always get the same answer. State carries over from packet to packet: after an outbound SYN
the answer to it is let in. The rewrite cache is not asked, because only the forwarder gives
reasons; the two agree.

Whether a packet would raise a line is what a second forwarder does with it, which is made for it
alone and has all its lines down. With `up=False` that one's verdict is also the answer. It knows
hours and modes; of budgets and breaker nothing is used, as nobody offline can tell.

Where the router is the LAN's name server, what hosts ask it never comes to a forwarder: the kernel
hands it to dnsmasq, which answers what is local. What is told of such a packet is what would come
of a question for outside, as `router.host.names` puts it: judged as the host's own packet to a name
server. None is known before a line has been up, so it is shown as sent to the router. How the host
asks, by UDP or TCP, makes no difference then.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from math import inf
from typing import NamedTuple

from router.cli.captures import frame_of
from router.cli.explanation import Explanation, Worth
from router.demand import Judgement
from router.devices import Side, Verdict
from router.forwarder import Forwarder, ForwarderConfig
from router.link.calendar import Calendar
from router.link.holds import UNANSWERED_S
from router.link.messages import Addressed, Coming, Dial, Ready
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
from router.wire.tcp import Tcp
from router.wire.transport import parse_transport
from router.wire.udp import Udp
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["START", "Explainer"]

SEED = 0  # any fixed number: the same question gets the same ports
START = 1000.0  # seconds; instants count from here

_OUTSIDE = "www.example.net"  # stands for every name outside (RFC 2606, section 3)
_NAME_SERVER_PORT = 53  # RFC 1035, section 4.2
_TAKEN_BY_DNSMASQ = "is for the router's name server, which answers what is local"

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


class _Question(NamedTuple):
    """What a host asks for outside: in words, and as the packet it is judged by."""

    words: str
    packet: bytes
    host: int


class _WhenDown(NamedTuple):
    """What a router with all its lines down does for a packet: the link it raises, or why none."""

    raises: str
    why_not: str
    waits: bool = False


_CAME_BY_IT = _WhenDown("", "it comes in by a line that is up")


class Explainer:
    """A forwarder behind glass; the preferred link is up with `address`, unless none is `up`.

    `calendar` tells the civil time from `START` on, the instant of the question. `serves_names` is
    whether the router is the LAN's name server.
    """

    def __init__(
        self,
        config: ForwarderConfig,
        forwards: Sequence[ForwardRule | DefaultHost],
        calendar: Calendar,
        *,
        address: int,
        up: bool = True,
        serves_names: bool = False,
    ) -> None:
        self._config = config
        self._serves_names = serves_names
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
        if side is Side.LAN and self._asks_for_names(packet):
            return self._asked(packet)
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
            question=None,
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

    # Names

    def _asks_for_names(self, packet: bytes) -> bool:
        """Whether the kernel hands a packet from the LAN to the router's name server."""
        view = IPv4.parse(bytearray(packet), 0, len(packet))
        if not self._serves_names or isinstance(view, Malformed):
            return False
        transport = parse_transport(view)
        return (
            view.destination == self._config.routing.lan_address
            and self._routing.lookup(view.source).place is Place.LAN
            and isinstance(transport, Udp | Tcp)
            and transport.destination_port == _NAME_SERVER_PORT
        )

    def _asked(self, packet: bytes) -> Explanation:
        """Return what comes of a packet for the name server, and of a question for outside."""
        asked = _question(_source(packet), self._config.routing.lan_address)
        when_down = self._when_down(lambda down: self._put(down, asked))
        passes = self._put(self._forwarder, asked) is None if self._is_up else when_down.waits
        judged = self._forwarder.lines.judge(asked.packet, asked.host, self._now, outbound=True)
        answered_s = hold_of(judged.rule, self._link) if passes else 0.0
        holds_s = (min(answered_s, UNANSWERED_S), answered_s)
        return Explanation(
            packet=describe_packet(packet),
            side=Side.LAN.name.lower(),
            verdict=_verdict_name(Verdict.ANSWERED, Reason.LOCAL),
            reason=Reason.LOCAL.slug,
            sentence=_TAKEN_BY_DNSMASQ,
            becomes=None,
            answers=(),
            mapping=None,
            session=None,
            question=asked.words,
            worth=self._worth_of(asked.host, judged, when_down, holds_s, judged.rule),
        )

    def _put(self, forwarder: Forwarder, asked: _Question) -> Reason | None:
        """Ask a question on behalf of its host; return why it does not go out at once."""
        outcome = forwarder.lines.ask(asked.packet, asked.host, asked.words, now=self._now)
        if isinstance(outcome, Ready):
            return None
        return Reason.HELD if isinstance(outcome, Coming) else outcome

    # What it is worth

    def _worth(
        self, packet: bytes, side: Side, verdict: Verdict, reason: Reason, leaving: bytes | None
    ) -> Worth | None:
        if side is Side.LAN:
            if reason in _NOT_FOR_THE_LINE or verdict is Verdict.TO_LAN:
                return None
            return self._told(packet, self._when_down(self._entering(packet)), outbound=True)
        if reason in _OPENED_BY_REMOTE and leaving is not None:
            return self._told(leaving, _CAME_BY_IT, outbound=False)
        return None

    def _entering(self, packet: bytes) -> Callable[[Forwarder], Reason | None]:
        def enter(forwarder: Forwarder) -> Reason:
            self._enter(forwarder, Side.LAN, packet)
            return forwarder.last_reason

        return enter

    def _when_down(self, happens: Callable[[Forwarder], Reason | None]) -> _WhenDown:
        """Return what comes of something that happens to a router with all its lines down."""
        down = self._with_lines_down()
        down.lines.take_signals()
        reason = happens(down)
        assert reason is not None
        for signal in down.lines.take_signals():
            if isinstance(signal, Dial) and signal.trigger.cause is Cause.DEMAND:
                return _WhenDown(signal.link, "", waits=True)
        rows = down.lines.link_rows(self._now)
        if reason is Reason.HELD:
            by_itself = next(row.name for row in rows if row.mode == Mode.PERMANENT.value)
            return _WhenDown("", f"the router raises {by_itself} by itself", waits=True)
        if reason is Reason.LINE_DENIED:
            return _WhenDown("", f"{rows[0].name} is down, {rows[0].blocked}")
        return _WhenDown("", f"it {reason.sentence}")

    def _told(self, packet: bytes, when_down: _WhenDown, *, outbound: bool) -> Worth:
        view = IPv4.parse(bytearray(packet), 0, len(packet))
        assert isinstance(view, IPv4)
        transport = parse_transport(view)
        assert not isinstance(transport, Malformed)
        conversation = Conversation.of(view, transport, outbound=outbound)
        host = conversation.host
        judged = self._forwarder.lines.judge(packet, host, self._now, outbound=outbound)
        rule = judged.rule
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
        return self._worth_of(host, judged, when_down, (at_once_s, answered_s), held_by)

    def _worth_of(
        self,
        host: int,
        judged: Judgement,
        when_down: _WhenDown,
        holds_s: tuple[float, float],
        held_by: PolicyRule,
    ) -> Worth:
        """Return it in words; `holds_s` is at once, and once there has been an answer."""
        at_once_s, answered_s = (None if each == inf else each for each in holds_s)
        return Worth(
            host=self._names.get(host) or format_address(host),
            right=judged.right.value,
            rule=str(judged.rule),
            origin=judged.rule.origin,
            raises=when_down.raises,
            why_not=when_down.why_not,
            holds_s=at_once_s,
            answered_holds_s=answered_s,
            held_by=str(held_by),
        )


def _always_up(links: LinksConfig) -> LinksConfig:
    """Return the preferred link alone, which nothing takes down."""
    link = replace(links.links[0], mode=Mode.PERMANENT, metered=False, max_session_s=0.0)
    return replace(links, links=(link,), schedule=())


def _question(host: int, router: int) -> _Question:
    """Return what a host asks for outside, made as the router's gate does."""
    from dns.name import from_text
    from dns.rdatatype import A

    from router.host.names.questions import Question, packet_of, words_of

    question = Question(from_text(_OUTSIDE), A)
    return _Question(words_of(question, host), packet_of(question, host, router), host)


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
