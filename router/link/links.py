"""All links together: which may be raised, which are, which carries new sessions, which fall.

Theory of operation. The links are an ordered list. The first that is up is *active*: new sessions
go out by it. Traffic raises the first link that is not blocked and not proven dead; those behind
it stand by until every link before them is dead, however many packets want out. That a dead one is
tried again is nothing to wait for while there is another to raise. A dead link is tried again, as
its redial delay allows, while one behind it carries; once it is up, the sessions on the other stay
until they end, or are cut, as that one's `recovery` says.

What blocks a link is asked anew at every step: somebody took it down to stay down; the provider
refuses its login; its hours, the budget or the breaker (`router.link.limits`); links before it. A
link that is up falls when its hours or the budget end, except where a person has raised it, and
when nothing keeps it: flows hold the link they use (`router.link.holds`), leases whichever is
active. Flows of a host that has a lease do not count: it says itself how long it needs the line.

Until the first step nothing is raised, so that lines which are up already can be told of first.

After every step `_settle` brings the machines into line with all this, until nothing is left to
do; so no step needs to know what another one leaves behind.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import NamedTuple

from router.devices import Rng
from router.link.budget import Use
from router.link.calendar import Calendar
from router.link.holds import Flow, Holds
from router.link.leases import Leases
from router.link.limits import Limits
from router.link.machine import LinkMachine
from router.link.messages import Addressed, Report, Rise, Signal, Trigger, Warned
from router.link.rows import BudgetRow, HolderRow, LinkRow
from router.link.types import Cause, Ending, LinksConfig, Mode, PolicyRule, Recovery, State
from router.wire.address import format_address

__all__ = ["Links", "NoLink"]

_DOWN = frozenset({State.DISABLED, State.DORMANT})
_RAISABLE = frozenset({State.DORMANT, State.HANGING_UP})


class NoLink(NamedTuple):
    """Why there is no link for traffic: denied to it, or failed; `why` is one clause."""

    why: str
    denied: bool


class Links:
    """Every line the router has, the preferred one first."""

    def __init__(self, config: LinksConfig, calendar: Calendar, *, rng: Rng, now: float) -> None:
        self.machines = tuple(LinkMachine(each, rng=rng, now=now) for each in config.links)
        self.leases = Leases()
        self._by_name = {machine.name: machine for machine in self.machines}
        self._holds = {machine.name: Holds() for machine in self.machines}
        self._limits = Limits(config, calendar)
        self._stays_down: dict[str, str] = {}
        self._entered = dict.fromkeys(self._by_name, (0, 0))
        self._signals: list[Signal] = []
        self._idle_at = self._limits_at = inf

    # What they are like

    @property
    def active(self) -> LinkMachine | None:
        """The link that carries new sessions, None while none is up."""
        return next(self.up, None)

    @property
    def up(self) -> Iterator[LinkMachine]:
        """Every link that carries packets, the active one first."""
        return (machine for machine in self.machines if machine.is_up)

    @property
    def is_coming(self) -> bool:
        """Whether packets may wait: a link is being raised, or will be by itself."""
        return any(machine.is_on_its_way for machine in self.machines)

    @property
    def needs_raising(self) -> bool:
        """Whether traffic is to raise a link: none is coming, or only dead ones are tried again."""
        hopeful = any(each.is_on_its_way and not each.is_dead for each in self.machines)
        return not hopeful and (not self.is_coming or self._candidate() is not None)

    @property
    def has_failed(self) -> bool:
        """Whether the last thing that happened to the links is that an attempt failed."""
        return self._latest.failures > 0 and self._latest.state not in _RAISABLE

    @property
    def _latest(self) -> LinkMachine:
        """The link to which something has happened last."""
        return max(self.machines, key=lambda machine: machine.since)

    # Traffic

    def request(self, trigger: Trigger, now: float) -> "NoLink | None":
        """Raise a link for traffic; return None if it may wait for one, else why not."""
        if self.needs_raising and (candidate := self._candidate()) is not None:
            candidate.raise_(trigger, now)
            self.settle(now)
        return None if self.is_coming else self._refusal(now)

    def why_not(self, now: float) -> "NoLink | None":
        """Return what `request` would, and raise nothing."""
        ready = self.is_coming or self._candidate() is not None
        return None if ready else self._refusal(now)

    def _candidate(self) -> LinkMachine | None:
        ready = [m for m in self.machines if not m.blocked and m.state in _RAISABLE]
        return next((m for m in ready if not m.is_dead), ready[0] if ready else None)

    def _refusal(self, now: float) -> "NoLink":
        for machine in self.machines:
            if not machine.blocked:
                rests_s = machine.next_deadline() - now
                again = f"; it may be tried again in {rests_s:.0f} s" if rests_s < inf else ""
                return NoLink(f"{machine.name} is down, {machine.reason}{again}", denied=False)
        return NoLink(f"{self.machines[0].name} is down, {self.machines[0].blocked}", denied=True)

    def hold(self, name: str, flow: Flow, rule: PolicyRule, now: float) -> None:
        """Let a flow hold the link it uses for as long as its rule says, if it says so."""
        holds = self._holds[name]
        if not holds.is_held(flow) and rule.action.holds:
            holds.take(flow, rule, self.hold_s(name, rule), now)

    def hold_s(self, name: str, rule: PolicyRule) -> float:
        """Return how long a link stays up after the last activity of traffic under a rule.

        What the shipped rules say is no more than the idle timeout, which somebody has chosen.
        """
        idle_s = self._by_name[name].config.idle_timeout_s or inf
        if rule.hold_s is None:
            return idle_s
        return min(rule.hold_s, idle_s) if rule.is_shipped else rule.hold_s

    def grace_s(self, rule: PolicyRule) -> float | None:
        """Return how long a link that is raised under a rule stays if nothing holds it."""
        candidate = self._candidate()
        return rule.hold_s if candidate is None else self.hold_s(candidate.name, rule)

    def note_sent(self, count: int, *, waited_s: float) -> None:
        """Enter packets that have waited for the active link and were sent by it."""
        if (active := self.active) is not None:
            active.account(held=count, waited_s=waited_s)

    def note_lost(self, count: int) -> None:
        """Enter packets that have waited in vain for whichever link was the last to be raised."""
        if count:
            self._latest.account(lost=count)

    def note_answer(self, name: str) -> None:
        """Note that something asked over the link was answered."""
        self._by_name[name].useful = True

    def note_bytes(self, count: int, now: float) -> None:
        """Count what the active link has carried since it was last asked."""
        active = self.active
        if active is not None and count:
            self._limits.add_bytes(active.config, count, now)
            self.settle(now)

    # People, backends, the ledger

    def raise_link(self, name: str, by: str, now: float) -> str:
        """Raise a link because a person says so; return "" or why nothing is done."""
        machine = self._by_name[name]
        self._stays_down.pop(name, None)
        if machine.is_up:
            return f"{name} is up already"
        self._limits.reset_breaker(now)
        machine.forgive()
        machine.raise_(Trigger(Cause.USER, by, f"{by} asked for it"), now)
        self.settle(now)
        return ""

    def drop_link(self, name: str, by: str, *, stay: bool, now: float) -> str:
        """Take a link down because a person says so; return "" or why nothing is done.

        Leases end with it: whoever needs the line still must ask anew. With `stay`, and where the
        link would come back by itself at once, it stays down until a person raises it.
        """
        machine = self._by_name[name]
        stay = stay or self._limits.mode(machine.config, now) is Mode.PERMANENT
        if stay:
            self._stays_down[name] = by
        nothing_to_do = machine.state in _DOWN and not stay
        if machine is self.active or machine.is_on_its_way:
            self.leases.clear()
        self._drop(machine, Ending.USER, now, by=by, detail=f"{by} took it down")
        self.settle(now)
        return f"{name} is down already" if nothing_to_do else ""

    def report(self, report: Report, now: float) -> None:
        """Take a report of a link's backend."""
        machine = self._by_name[report.link]
        machine.kept_by(self._holds[machine.name].kept_by)
        in_use = self._holders_of(machine) > 0 and not machine.blocked
        machine.handle(report, now, reconnect=in_use)
        if isinstance(report, Addressed) and machine.is_up:
            self._cut_worse(machine, now)
        self.settle(now)

    def shut_down(self, now: float) -> None:
        """End every rise and attempt, because the router stops."""
        for machine in self.machines:
            self._stays_down[machine.name] = "the router, which stops"
            machine.kept_by(self._holds[machine.name].kept_by)
            machine.shut_down(now)
        self.settle(now)

    def load_usage(self, uses: Sequence[Use], now: float) -> None:
        """Take what the ledger knows of past use into the budget."""
        self._limits.load(uses, now)
        self.settle(now)

    def set_calendar(self, calendar: Calendar, now: float) -> None:
        """Correct civil time."""
        self._limits.set_calendar(calendar)
        self.settle(now)

    # Time

    def next_deadline(self) -> float:
        """Return when `handle_timer` has something to do; inf for never."""
        due = (self.leases.next_deadline(), *(h.next_deadline() for h in self._holds.values()))
        return min(
            self._idle_at,
            self._limits_at,
            *(machine.next_deadline() for machine in self.machines),
            *(each for each in due if each is not None),
        )

    def handle_timer(self, now: float) -> list[Flow]:
        """Do what is due; return the flows that hold no link any longer."""
        lapsed = [flow for holds in self._holds.values() for flow in holds.expire(now)]
        self.leases.expire(now)
        for machine in self.machines:
            machine.handle_timer(now)
        self.settle(now)
        return lapsed

    # Settling

    def settle(self, now: float) -> None:
        """Block, drop and raise until every machine is where it should be."""
        unsettled = True
        while unsettled:
            for machine in self.machines:
                machine.block(self._blocked(machine, now), now)
                if machine.is_up:
                    self._drop_if_due(machine, now)
                elif machine.state in _DOWN:
                    self._raise_if_wanted(machine, now)
            unsettled = self._absorb(now)
        unkept = (each for each in self.up if not self._is_kept(each, now))
        self._idle_at = min((each.falls_at(now) for each in unkept), default=inf)
        self._limits_at = self._limits.next_deadline(now)
        self._signals += [Warned(what, now) for what in self._limits.warnings(now)]

    def _blocked(self, machine: LinkMachine, now: float) -> str:
        if machine.name in self._stays_down:
            return f"taken down by {self._stays_down[machine.name]}"
        why = machine.refusal or self._limits.why_not(machine.config, now)
        return why or self._stands_by(machine, now)

    def _stands_by(self, machine: LinkMachine, now: float) -> str:
        for better in self._better_than(machine):
            if not better.is_dead and self._limits.mode(better.config, now) is not Mode.MANUAL:
                return f"stands by for {better.name}"
        return ""

    def _better_than(self, machine: LinkMachine) -> Sequence[LinkMachine]:
        return self.machines[: self.machines.index(machine)]

    def _worse_than(self, machine: LinkMachine) -> Sequence[LinkMachine]:
        return self.machines[self.machines.index(machine) + 1 :]

    def _drop_if_due(self, machine: LinkMachine, now: float) -> None:
        by_hand = machine.cause is Cause.USER
        over = "" if by_hand else self._limits.must_fall(machine.config, now)
        manual = self._limits.mode(machine.config, now) is Mode.MANUAL
        if over:
            self._drop(machine, Ending.BUDGET, now, by="budget", detail=over)
        elif manual and machine.cause is not None and machine.cause.is_automatic:
            self._drop(machine, Ending.SCHEDULE, now, by="schedule", detail="its hours are over")
        elif not self._is_kept(machine, now) and machine.falls_at(now) <= now:
            self._drop(machine, Ending.IDLE, now, by="idle timer", detail="nothing held it")

    def _drop(
        self, machine: LinkMachine, ending: Ending, now: float, *, by: str, detail: str
    ) -> None:
        machine.kept_by(self._holds[machine.name].kept_by)
        machine.drop(ending, now, by=by, detail=detail)

    def _is_kept(self, machine: LinkMachine, now: float) -> bool:
        """Whether the link stays whatever its idle timer says."""
        leased = bool(self.leases) and machine is self.active
        permanent = self._limits.mode(machine.config, now) is Mode.PERMANENT
        return permanent or leased or self._holders_of(machine) > 0

    def _holders_of(self, machine: LinkMachine) -> int:
        """Return how many flows hold it, those of lease holders left out."""
        holds = self._holds[machine.name]
        return len(holds) - sum(holds.count_of(host) for host in self.leases.hosts)

    def _raise_if_wanted(self, machine: LinkMachine, now: float) -> None:
        wanted = machine.wanted
        if machine.blocked and (wanted is None or wanted.cause is not Cause.USER):
            machine.wanted = None
        elif (trigger := wanted or self._wish(machine, now)) is not None:
            machine.raise_(trigger, now)

    def _wish(self, machine: LinkMachine, now: float) -> Trigger | None:
        """Return why a link is to be raised without traffic, None if it is not."""
        if self._limits.mode(machine.config, now) is Mode.PERMANENT:
            return Trigger(Cause.PERMANENT, "configuration", "it is to be up always")
        lease = self.leases.wanting
        if lease is not None and self.active is None and not self.is_coming:
            return Trigger(Cause.LEASE, lease.id, lease.why)
        if machine.is_dead and any(worse.is_up for worse in self._worse_than(machine)):
            return Trigger(Cause.RECOVERY, "failover", "it is tried again")
        return None

    def _cut_worse(self, better: LinkMachine, now: float) -> None:
        """End what stood in for a link that has recovered, where it is not to drain."""
        for machine in self._worse_than(better):
            if machine.is_up and machine.config.recovery is Recovery.CUT:
                back = f"{better.name} is back"
                self._drop(machine, Ending.REPLACED, now, by=better.name, detail=back)

    def _absorb(self, now: float) -> bool:
        """Enter what the machines signal into the accounts; return whether there was any."""
        fresh = [(machine, each) for machine in self.machines for each in machine.take_signals()]
        for machine, signal in fresh:
            self._signals.append(signal)
            if isinstance(signal, Rise) and self._is_news(signal):
                self._limits.enter(machine.config, signal, now, useful=machine.useful)
                if signal.ended_at is not None:
                    self._holds[machine.name].clear()
        return bool(fresh)

    def _is_news(self, rise: Rise) -> bool:
        """Whether the rise has begun, come up or ended, and not just been told of once more."""
        phase = (rise.attempt, 1 + (rise.up_at is not None) + (rise.ended_at is not None))
        news = phase > self._entered[rise.link]
        self._entered[rise.link] = phase
        return news

    # Views

    def take_signals(self) -> list[Signal]:
        """Return what there is to tell, in order, and forget it."""
        for machine in self.machines:
            self._signals += machine.take_signals()  # of packets counted since the last step
        signals, self._signals = self._signals, []
        return signals

    def link_rows(self, now: float) -> tuple[LinkRow, ...]:
        """Return every link, the preferred one first."""
        return tuple(self._link_row(machine, now) for machine in self.machines)

    def _link_row(self, machine: LinkMachine, now: float) -> LinkRow:
        rise = machine.rise
        up_at = None if rise is None else rise.up_at
        falls_at = inf if self._is_kept(machine, now) else machine.falls_at(now)
        rests = machine.state is State.HOLDOFF and not machine.blocked
        return LinkRow(
            name=machine.name,
            mode=self._limits.mode(machine.config, now).value,
            state=machine.state.value,
            since_s=now - machine.since,
            reason=machine.reason,
            by=machine.by,
            address="" if machine.address is None else format_address(machine.address),
            mtu=machine.mtu,
            active=machine is self.active,
            up_s=None if up_at is None or not machine.is_up else now - up_at,
            falls_in_s=falls_at - now if machine.is_up and falls_at < inf else None,
            again_in_s=max(0.0, machine.next_deadline() - now) if rests else None,
            blocked=machine.blocked,
            failures=machine.failures,
            attempt=machine.attempt,
        )

    def budget_rows(self, now: float) -> tuple[BudgetRow, ...]:
        """Return every allowance and how much of it is used."""
        return self._limits.budget_rows(now)

    def holder_rows(self, now: float, name_of: Callable[[int], str]) -> tuple[HolderRow, ...]:
        """Return the flows that hold a link, of each link the one that holds longest last."""
        return tuple(
            row for name, holds in self._holds.items() for row in holds.rows(now, name, name_of)
        )
