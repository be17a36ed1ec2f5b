"""Traffic that wants a line: who may have one, by which rule, what raises it, and what waits.

Theory of operation. Each packet for the line is judged by its host's right and, once per session,
by the policy. While a line is up that decides whether the session may open and whether it holds
the line. While none is up it decides whether the packet raises one: then it waits as it came, not
yet translated, in the hold queue, and with it all that other hosts send which deserves a line. Up,
the queue is emptied in order and every packet judged as if it had just arrived; so it gets the
address that the provider has given. When no line comes, those who wait are told so.

Traffic that does not deserve a line never waits: by the time the line is up it would be of no use,
and it would take the place of what is. Later fragments have no ports and so nothing to be judged
by: they raise nothing, and wait when a line is coming. A host that may only use the line may wait
for one that somebody else is raising.

Names are asked for by the router on behalf of its hosts (`router.host.names`). What a host asks is
judged by `ask`, as the packet it would have sent to a name server of the provider's, and its query
waits there and not here. Once it may go, the router's own packets to name servers pass for
`GRANT_S` by the rule that let the host ask, whatever the router itself may do, and raise nothing.
"""

from dataclasses import replace
from typing import NamedTuple

from router.arrival import Arrival
from router.departure import Refusal
from router.devices import Neighbours, Rng
from router.link.calendar import Calendar
from router.link.hold_queue import Held, HoldQueue
from router.link.links import Links, NoLink
from router.link.messages import Coming, Ready, Trigger
from router.link.policy import Policy
from router.link.rights import Rights
from router.link.rows import Holding
from router.link.types import Action, Cause, LinksConfig, PolicyRule, Right
from router.notation import describe_packet
from router.reasons import Reason
from router.wire.address import format_address
from router.wire.icmpv4 import Type, Unreachable
from router.wire.ipv4 import PROTO_TCP
from router.wire.tcp import Tcp
from router.wire.udp import Udp
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["Demand", "Judgement", "TurnedAway"]

GRANT_S = 15.0  # seconds: what `router.host.names` takes for a name at most
NAME_SERVER_PORT = 53  # RFC 1035, section 4.2


def _denied(reason: Reason) -> Refusal:
    return Refusal(reason, Type.UNREACHABLE, Unreachable.ADMINISTRATIVELY_PROHIBITED)


def _no_way(reason: Reason) -> Refusal:
    return Refusal(reason, Type.UNREACHABLE, Unreachable.HOST)


_NEVER = _denied(Reason.HOST_REFUSED)
_ONLY_USES = _denied(Reason.MAY_NOT_RAISE)
_REJECTED = _denied(Reason.REJECTED)
_DENIED = _denied(Reason.LINE_DENIED)
_FAILED = _no_way(Reason.LINE_FAILED)
_EXPIRED = _no_way(Reason.WAITED_TOO_LONG)
_PUSHED_OUT = _no_way(Reason.PUSHED_OUT)
_IGNORED = _no_way(Reason.IGNORED)


class Judgement(NamedTuple):
    """What a packet of a LAN host may do with the line, and by which rule."""

    right: Right
    rule: PolicyRule


class _Grant(NamedTuple):
    rule: PolicyRule
    until: float


class TurnedAway(NamedTuple):
    """A frame that has waited for nothing, and what its host is told."""

    frame: bytes
    refusal: Refusal


class Demand:
    """Rights, policy, hold queue and links, composed."""

    def __init__(
        self,
        config: LinksConfig,
        calendar: Calendar,
        *,
        rng: Rng,
        neighbours: Neighbours,
        router: int,
        now: float,
    ) -> None:
        self.links = Links(config, calendar, rng=rng, now=now)
        self._calendar = calendar
        self._policy = Policy(config.demand.rules)
        self._rights = Rights(config.demand.hosts, config.demand.default_right, neighbours)
        self._queue = HoldQueue(config.hold)
        self._last_trigger: Trigger | None = None
        self._router = router
        self._grant: _Grant | None = None

    # Judging

    def judge(self, packet: bytes, host: int, now: float, *, outbound: bool = True) -> Judgement:
        """Return what a packet may do; inbound ones are shown as their LAN host sees them."""
        right = self._rights.right_of(host, lambda: self._calendar.local(now))
        return Judgement(right, self._policy.choose(packet, outbound=outbound))

    def admit(self, arrival: Arrival) -> PolicyRule | Refusal:
        """Return the rule by which a packet from the LAN may open a session now."""
        right, rule = self._judge_arrival(arrival)
        if right is Right.NEVER:
            return _NEVER
        if rule.action is Action.REJECT:
            return _REJECTED
        return self.in_force(rule, arrival.packet.source)

    def in_force(self, rule: PolicyRule, host: int) -> PolicyRule:
        """Return the rule that a host's session gets: while the host has a lease, it holds nothing.

        It says by its lease how long it needs the line, and its sessions are not to say otherwise
        when the lease has ended.
        """
        return replace(rule, action=Action.IGNORE) if self.links.leases.covers(host) else rule

    def _judge_arrival(self, arrival: Arrival) -> Judgement:
        packet, grant = arrival.packet, self._grant
        if grant is not None and packet.source == self._router and _asks_for_a_name(arrival):
            if arrival.now < grant.until:
                return Judgement(Right.MAY_USE, grant.rule)
            self._grant = None
        raw = bytes(packet.buffer[packet.start : packet.end])
        return self.judge(raw, packet.source, arrival.now)

    # Waiting

    def wait(self, arrival: Arrival) -> Refusal | Reason | list[Held]:
        """Let a packet wait for a line, raised for it if need be, or return why not.

        Returns what it has pushed out of the queue. A bare reason is one for silence.
        """
        right, rule = self._judge_arrival(arrival)
        if right is Right.NEVER:
            return _NEVER
        if rule.action is Action.REJECT:
            return _REJECTED
        packet, coming = arrival.packet, self.links.is_coming
        later_fragment = bool(packet.fragment_offset)
        if not rule.action.raises or (later_fragment and not coming):
            return Reason.IGNORED if packet.protocol == PROTO_TCP else _IGNORED
        if right is Right.MAY_USE and not coming:
            return _ONLY_USES
        if right is Right.MAY_DIAL and not later_fragment and self.links.needs_raising:
            words = describe_packet(bytes(packet.buffer[packet.start : packet.end]))
            no_link = self._request(packet.source, words, rule, arrival.now)
            if no_link is not None:
                return _DENIED if no_link.denied else _FAILED
        frame = bytes(packet.buffer[: packet.end])
        pushed_out = self._queue.put(frame, packet.source, arrival.now)
        self.links.note_lost(len(pushed_out))
        return pushed_out

    def _request(self, host: int, words: str, rule: PolicyRule, now: float) -> NoLink | None:
        self._last_trigger = Trigger(
            Cause.DEMAND,
            by=self._name_of(host),
            host=format_address(host),
            mac=self._rights.mac_of(host),
            packet=words,
            rule=f"{rule} ({rule.origin})",
            grace_s=self.links.grace_s(rule),
        )
        return self.links.request(self._last_trigger, now)

    def release(self, now: float) -> list[bytes]:
        """Return the frames that have waited, in order, now that a line is up."""
        held = self._queue.take_all()
        if held:
            self.links.note_sent(len(held), waited_s=now - held[0].arrived_at)
        return [one.frame for one in held]

    def turn_away(self, now: float) -> list[TurnedAway]:
        """Return what has waited for too long, and everything once no line is coming any more.

        When an attempt has failed and another link may take over, it is asked to.
        """
        late = [TurnedAway(one.frame, _EXPIRED) for one in self._queue.expire(now)]
        self.links.note_lost(len(late))
        if not len(self._queue) or self.links.is_coming or self.links.active is not None:
            return late
        if self.links.has_failed and self._last_trigger is not None:
            no_link = self.links.request(self._last_trigger, now)
            if no_link is None:
                return late
        else:
            no_link = self.links.why_not(now)
        refusal = _DENIED if no_link is not None and no_link.denied else _FAILED
        rest = [TurnedAway(one.frame, refusal) for one in self._queue.take_all()]
        self.links.note_lost(len(rest))
        return late + rest

    @staticmethod
    def pushed_out(held: list[Held]) -> list[TurnedAway]:
        """Return what newcomers have pushed out of the queue, and what its hosts are told."""
        return [TurnedAway(one.frame, _PUSHED_OUT) for one in held]

    @property
    def waiting(self) -> int:
        """How many packets wait."""
        return len(self._queue)

    # Names

    def ask(
        self,
        packet: bytes,
        host: int,
        words: str,
        now: float,
        *,
        may_raise: bool = True,
        since: float | None = None,
    ) -> Ready | Coming | Reason:
        """Return whether the router may ask for a name on behalf of a host, or why not.

        `packet` is what the host would have sent, `words` what people read of it. Who was told that
        a line is coming asks again, with `since`, whenever a link has changed; that raises none but
        another one when an attempt has failed, as for packets that wait.
        """
        right, rule = self.judge(packet, host, now)
        if right is Right.NEVER:
            return _NEVER.reason
        if rule.action is Action.REJECT:
            return _REJECTED.reason
        active = self.links.active
        if active is not None:
            self._grant = _Grant(self.in_force(rule, host), now + GRANT_S)
            if since is not None:
                self.links.note_sent(1, waited_s=now - since)
            return Ready(active.name)
        raises = may_raise and right is Right.MAY_DIAL
        outcome = self._seek(host, words, rule, now, raises=raises, again=since is not None)
        if outcome is not None:
            self.links.note_lost(0 if since is None else 1)
            return outcome
        return Coming(now if since is None else since)

    def _seek(
        self, host: int, words: str, rule: PolicyRule, now: float, *, raises: bool, again: bool
    ) -> Reason | None:
        """Raise a line for a query if need be; return why none is coming."""
        if not rule.action.raises:
            return _IGNORED.reason
        if raises and self.links.needs_raising and (not again or self.links.has_failed):
            self._request(host, words, rule, now)
        if self.links.is_coming:
            return None
        if not raises:
            return _ONLY_USES.reason
        no_link = self.links.why_not(now)
        return (_DENIED if no_link is not None and no_link.denied else _FAILED).reason

    # Time and views

    def set_civil_offset(self, offset_s: float, now: float) -> None:
        """Correct civil time, which is `now` plus this."""
        self._calendar = replace(self._calendar, offset_s=offset_s)
        self.links.set_calendar(self._calendar, now)

    def next_deadline(self) -> float | None:
        """Return when the queue has a packet that has waited for too long."""
        return self._queue.next_deadline()

    def holding(self, now: float) -> Holding:
        """Return what waits for a line and what holds one."""
        waiting = self._queue.rows(now, self._name_of, _describe_frame)
        holders = self.links.holder_rows(now, self._name_of)
        return Holding(waiting, holders, self.links.leases.rows(now))

    def _name_of(self, host: int) -> str:
        """Return what people call a host; the router itself is none, and asks for several."""
        name = self._rights.name_of(host)
        is_nameless = name == format_address(host)
        return "the router" if host == self._router and is_nameless else name


def _asks_for_a_name(arrival: Arrival) -> bool:
    transport = arrival.transport
    return isinstance(transport, Udp | Tcp) and transport.destination_port == NAME_SERVER_PORT


def _describe_frame(frame: bytes) -> str:
    return describe_packet(frame[VNET_HEADER_LENGTH:])
