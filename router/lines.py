"""The lines as packets meet them: which are up, what waits for one, and what a change does to NAT.

Theory of operation. Everything that may change the links (a backend's report, a timer, a person, a
lease) ends in `follow`, which compares the lines that are up with those that were. If they differ,
NAT is told: sessions whose external address no line has any more end, and their hosts are told, so
that programs try anew at once. While none is up all sessions wait, for it may come back with the
address it had. Then what has waited is let in again, as if it came just now; and where no line is
coming any more, it is turned away.

The control side uses the part below "What the control side asks"; each method is a message's job.
"""

from collections.abc import Callable, Sequence
from math import inf

from router.answers import Answers
from router.arrival import Arrival
from router.demand import Demand, Judgement, TurnedAway
from router.departure import Departure, Refusal
from router.devices import Side, Verdict
from router.fastpath import RewriteCache
from router.link.budget import Use
from router.link.leases import LeaseRight
from router.link.messages import Coming, Ready, Report, Signal
from router.link.rows import BudgetRow, Holding, LinkRow
from router.link.types import PolicyRule
from router.nat.deadlines import earlier
from router.nat.farewell import farewell
from router.nat.nat import Nat
from router.nat.table import Direction, Session
from router.outbox import Outbox
from router.reasons import Reason
from router.wire.ipv4 import IPv4
from router.wire.vnet import VNET_HEADER_LENGTH

__all__ = ["Lines"]


class Lines:
    """Every line that is up, by its address, the active one first; and the way to get one.

    `router` is the address that LAN hosts hear errors from. `enter` lets frames from the LAN in.
    """

    def __init__(
        self,
        demand: Demand,
        nat: Nat,
        departure: Departure,
        cache: RewriteCache,
        answers: Answers,
        outbox: Outbox,
        *,
        router: int,
        enter: Callable[[Sequence[bytes], float], None],
    ) -> None:
        self._demand = demand
        self._links = demand.links
        self._nat = nat
        self._departure = departure
        self._cache = cache
        self._answers = answers
        self._outbox = outbox
        self._router = router
        self._enter = enter
        self._lines: list[tuple[int | None, str, int]] = []
        self._names: dict[int, str] = {}
        self._octets = 0

    # What packets ask

    def __bool__(self) -> bool:
        return bool(self._names)

    def __contains__(self, address: int) -> bool:
        return address in self._names

    @property
    def active_address(self) -> int:
        """The address new mappings get; there must be a line."""
        return next(iter(self._names))

    def admit(self, arrival: Arrival) -> PolicyRule | Refusal:
        """Return the rule by which a packet from the LAN may open a session now."""
        return self._demand.admit(arrival)

    def wait(self, arrival: Arrival) -> Refusal | Reason:
        """Let a packet wait for a line, or return why it does not."""
        self._nat.note_unsent(arrival.packet, arrival.transport)
        outcome = self._demand.wait(arrival)
        if isinstance(outcome, Reason | Refusal):
            return outcome
        self._turn_away(Demand.pushed_out(outcome), arrival.now)
        return Reason.HELD

    def let_hold(self, session: Session, arrival: Arrival, *, outbound: bool) -> None:
        """Let a session hold its line, by the rule that was or is now chosen for it.

        One that a stranger has opened waits for the LAN's host to say that it means it.
        """
        turns_back = self._nat.owns(session.remote.address)  # no packet of it uses the line
        if turns_back or session.direction is Direction.HAIRPIN or arrival.is_icmp_error:
            return
        if session.direction is Direction.INBOUND and not session.answered:
            return
        if not isinstance(session.rule, PolicyRule):
            packet = arrival.packet
            shown = bytes(packet.buffer[packet.start : packet.end])
            judged = self._demand.judge(shown, session.host, arrival.now, outbound=outbound)
            session.rule = self._demand.in_force(judged.rule, session.host)
        name = self._name_of(session)
        self._links.hold(name, session, session.rule, arrival.now)
        if not outbound and session.direction is Direction.OUTBOUND:
            self._links.note_answer(name)

    def _name_of(self, session: Session) -> str:
        name = self._names.get(session.mapping.external.address)
        return self._names[self.active_address] if name is None else name

    # Following the links

    def follow(self, now: float) -> None:
        """Bring NAT and what waits into line with the links that are up."""
        lines = [(link.address, link.name, link.mtu) for link in self._links.up]
        if lines != self._lines:
            self._lines = lines
            self._change(now)
        if lines and self._demand.waiting:
            self._enter(self._demand.release(now), now)
        self._turn_away(self._demand.turn_away(now), now)

    def _change(self, now: float) -> None:
        self._names = {address: name for address, name, _ in self._lines if address is not None}
        if self._lines:
            mtu = min(mtu for *_, mtu in self._lines)
            self._departure.mtu[Side.WAN] = mtu
            self._cache.max_packet[Verdict.TO_WAN] = mtu
        else:
            self._cache.clear()
        for session in self._nat.set_line_addresses(tuple(self._names), now):
            notice = farewell(session, self._router)
            if notice is not None:
                self._outbox.say(Side.LAN, notice)

    def _turn_away(self, turned_away: Sequence[TurnedAway], now: float) -> None:
        for frame, (reason, type_, code, _) in turned_away:
            self._outbox.count(reason)
            packet = IPv4.parse(bytearray(frame), VNET_HEADER_LENGTH, len(frame))
            assert isinstance(packet, IPv4)
            answer = self._answers.error(Side.LAN, self._router, packet, type_, code, now=now)
            if answer is not None:
                self._outbox.say(Side.LAN, answer)

    def next_deadline(self) -> float | None:
        """Return when `handle_timer` has something to do."""
        due = self._links.next_deadline()
        return earlier(self._demand.next_deadline(), None if due == inf else due)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._links.next_deadline() <= now:
            for session in self._links.handle_timer(now):
                assert isinstance(session, Session)
                self._nat.uncache(session)
        self.follow(now)

    # What the control side asks

    def begin(self, *, now: float) -> None:
        """Raise what is to be up always; lines that were up already have been reported."""
        self._links.settle(now)
        self.follow(now)

    def judge(self, packet: bytes, host: int, now: float, *, outbound: bool) -> Judgement:
        """Return what a packet may do with the line."""
        return self._demand.judge(packet, host, now, outbound=outbound)

    def ask(
        self,
        packet: bytes,
        host: int,
        words: str,
        *,
        may_raise: bool = True,
        since: float | None = None,
        now: float,
    ) -> Ready | Coming | Reason:
        """Return whether the router may ask for a name on behalf of a host; see `Demand.ask`."""
        return self._demand.ask(packet, host, words, now, may_raise=may_raise, since=since)

    def report(self, report: Report, *, now: float) -> None:
        """Take a report of a link's backend."""
        self._links.report(report, now)
        self.follow(now)

    def raise_link(self, name: str, by: str, *, now: float) -> str:
        """Raise a link because a person says so; return "" or why nothing is done."""
        refused = self._links.raise_link(name, by, now)
        self.follow(now)
        return refused

    def drop_link(self, name: str, by: str, *, stay: bool, now: float) -> str:
        """Take a link down because a person says so; return "" or why nothing is done."""
        refused = self._links.drop_link(name, by, stay=stay, now=now)
        self.follow(now)
        return refused

    def grant_lease(
        self, lease_id: str, right: str, why: str, host: int | None, ttl_s: float, *, now: float
    ) -> str:
        """Make or replace a lease; return "" or why it cannot raise the line now."""
        granted = self._links.leases.grant(lease_id, LeaseRight(right), why, host, ttl_s, now)
        if not granted:
            return "there are too many leases"
        self._links.settle(now)
        self.follow(now)
        if LeaseRight(right) is LeaseRight.USE_IF_UP or self._links.active is not None:
            return ""
        no_link = self._links.why_not(now)
        return "" if no_link is None else no_link.why

    def renew_lease(self, lease_id: str, ttl_s: float, *, now: float) -> bool:
        """Let a lease last for `ttl_s` seconds from now; return False if there is no such lease."""
        return self._links.leases.renew(lease_id, ttl_s, now)

    def release_lease(self, lease_id: str, *, now: float) -> bool:
        """End a lease; return False if there is no such lease."""
        released = self._links.leases.release(lease_id) is not None
        self._links.settle(now)
        self.follow(now)
        return released

    def note_traffic(self, received_bytes: int, sent_bytes: int, *, now: float) -> None:
        """Take note of what has passed in all on the line's TUN."""
        octets = received_bytes + sent_bytes
        self._links.note_bytes(octets - self._octets, now)
        self._octets = octets
        self.follow(now)

    def load_usage(self, uses: Sequence[Use], *, now: float) -> None:
        """Take what the ledger knows of past use into the budget."""
        self._links.load_usage(uses, now)

    def set_civil_offset(self, offset_s: float, *, now: float) -> None:
        """Correct civil time, which is `now` plus this."""
        self._demand.set_civil_offset(offset_s, now)
        self.follow(now)

    def shut_down(self, *, now: float) -> None:
        """End every rise and attempt, because the router stops."""
        self._links.shut_down(now)

    def take_signals(self) -> list[Signal]:
        """Return what there is to tell the control side, and forget it."""
        return self._links.take_signals()

    def link_rows(self, now: float) -> tuple[LinkRow, ...]:
        """Return every link, the preferred one first."""
        return self._links.link_rows(now)

    def budget_rows(self, now: float) -> tuple[BudgetRow, ...]:
        """Return every allowance and how much of it is used."""
        return self._links.budget_rows(now)

    def holding(self, now: float) -> Holding:
        """Return what waits for a line and what holds one."""
        return self._demand.holding(now)
