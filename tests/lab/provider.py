"""An office on a line that dials: what its hosts and the Internet send, and what comes of it.

    office = Office(provider=FakeProvider(isp=[Busy(3), Up(5, "203.0.113.9")]))
    office.lan("tcp 192.168.1.11:4000 > 198.51.100.10:80 S")    []: it waits
    office.wait(5)                                              what leaves, in order
    office.state()                                              "HOLDOFF"

The policy is the one that is shipped, compiled as in production. Everything that leaves is judged
as `tests.lab.network` does. The clock is the test's; civil time begins on a Monday at nine.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from math import inf
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from router.config.demand import shipped_rules
from router.devices import Side
from router.forwarder import Transmit
from router.host.filters import compile_filter
from router.lines import Lines
from router.link.calendar import Calendar
from router.link.messages import (
    Addressed,
    Closed,
    Connected,
    Dial,
    Failed,
    HangUp,
    Lost,
    Report,
    Rise,
    StateChange,
    Warned,
)
from router.link.rows import Holding, LinkRow
from router.link.types import (
    Action,
    DemandConfig,
    HostRight,
    LinkConfig,
    LinksConfig,
    PolicyRule,
    RedialConfig,
    Right,
)
from router.simulation import Simulation
from router.wire.address import parse_address
from tests.lab.links import NoNeighbours, a_forwarder
from tests.lab.network import LINE, Router, Seen
from tests.lab.network import rules as forward_rules

__all__ = [
    "STEADY",
    "Busy",
    "FakeProvider",
    "NoAnswer",
    "Office",
    "Outcome",
    "RefusedLogin",
    "Up",
    "policy",
]

STEADY = RedialConfig(jitter=0.0)
_SHARED = {field.name for field in fields(LinksConfig)} - {"links", "demand"}

Timed = Iterator[tuple[float, Report]]  # seconds from now, and what is reported then


# What the other end does


class Outcome(Protocol):
    """What comes of one attempt."""

    def reports(self, link: str, attempt: int) -> Timed: ...


@dataclass(frozen=True)
class Up:
    """A carrier half way, then the address; `lost_after_s` later the carrier is gone."""

    after_s: float = 5.0
    address: str = LINE
    mtu: int = 1500
    lost_after_s: float = inf

    def reports(self, link: str, attempt: int) -> Timed:
        yield self.after_s / 2, Connected(link, attempt)
        yield self.after_s, Addressed(link, attempt, parse_address(self.address), self.mtu)
        if self.lost_after_s < inf:
            yield self.after_s + self.lost_after_s, Lost(link, attempt, "no carrier")


@dataclass(frozen=True)
class Busy:
    """The number is engaged."""

    after_s: float = 3.0

    def reports(self, link: str, attempt: int) -> Timed:
        yield self.after_s, Failed(link, attempt, "busy")


@dataclass(frozen=True)
class RefusedLogin:
    """A carrier, but not for us."""

    after_s: float = 4.0

    def reports(self, link: str, attempt: int) -> Timed:
        yield self.after_s / 2, Connected(link, attempt)
        yield self.after_s, Failed(link, attempt, "login refused: wrong password", is_refusal=True)


@dataclass(frozen=True)
class NoAnswer:
    """Nothing is ever reported, with a carrier or without."""

    carrier: bool = False

    def reports(self, link: str, attempt: int) -> Timed:
        if self.carrier:
            yield 1.0, Connected(link, attempt)


class FakeProvider:
    """Answers each dial of a link by the next outcome of its script; the last one stays.

    What an outcome has still to report comes even when the attempt is over by then, as late reports
    do. With `hang_up_s` of inf it never says that a line is down.
    """

    def __init__(self, *, hang_up_s: float = 1.0, **scripts: Iterable[Outcome]) -> None:
        self._hang_up_s = hang_up_s
        self._scripts = {link: iter(script) for link, script in scripts.items()}
        self._latest: dict[str, Outcome] = {}

    def dialled(self, dial: Dial) -> Iterable[tuple[float, Report]]:
        latest = self._latest.get(dial.link, Up())
        outcome = next(self._scripts.get(dial.link, iter(())), latest)
        self._latest[dial.link] = outcome
        return outcome.reports(dial.link, dial.attempt)

    def hung_up(self, hang_up: HangUp) -> Iterable[tuple[float, Report]]:
        if self._hang_up_s < inf:
            yield self._hang_up_s, Closed(hang_up.link, hang_up.attempt)


class _Simulation(Simulation):
    def ask(self, question: Callable[[Lines, float], Any]) -> tuple[Any, list[Transmit]]:
        """Ask as the control side does; return the answer and what leaves for it."""
        return question(self.forwarder.lines, self.now), self._collect()

    def next_due(self) -> float:
        """Return when something happens by itself; inf for never."""
        return self._next()


def policy(text: str, action: Action, hold_s: float | None = None) -> PolicyRule:
    """A rule of the configuration, compiled."""
    return PolicyRule(text, compile_filter(text), action, hold_s, "router.toml")


class Office(Router):
    """A router, its LAN, and links that dial; without any told, one named `isp`.

    `rules` stand before the shipped ones. Options are those of `LinksConfig`, `NatConfig` and
    `ForwarderConfig`. `at` is the civil time at the beginning, in `zone`.
    """

    def __init__(
        self,
        *links: LinkConfig,
        provider: FakeProvider | None = None,
        rules: Iterable[PolicyRule] = (),
        hosts: Iterable[HostRight] = (),
        default_right: Right = Right.MAY_DIAL,
        at: str = "2025-03-03 09:00",
        zone: str = "UTC",
        forwards: str = "",
        **options: Any,
    ) -> None:
        demand = DemandConfig((*rules, *shipped_rules()), tuple(hosts), default_right)
        shared = {name: options.pop(name) for name in list(options) if name in _SHARED}
        config = LinksConfig(links or (LinkConfig("isp", redial=STEADY),), demand, **shared)
        super().__init__(line=None, links=config, **options)
        moment = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(zone))
        self.began = self.now
        self.calendar = Calendar(ZoneInfo(zone), moment.timestamp() - self.now)
        self.forwarder = a_forwarder(
            self.config,
            now=self.now,
            forwards=forward_rules(forwards),
            calendar=self.calendar,
            neighbours=NoNeighbours(),
        )
        self.simulation = _Simulation(self.forwarder, provider or FakeProvider(), self.now)
        self._leaving: list[Transmit] = []

    # Packets and time

    def enter(self, side: Side, sent: bytes) -> list[Transmit]:
        return self._taken(self.simulation.enter(side, sent))

    def wait(self, seconds: float) -> list[Seen]:
        """Let time pass; return what leaves, beginning with what was left by questions."""
        leaving = self._taken(self.simulation.advance(self.now + seconds))
        self.now = self.simulation.now
        return [self._judge(Seen.of(*transmit)) for transmit in leaving]

    def wait_till(self, civil: str) -> list[Seen]:
        """Let time pass until the clocks on the wall first show `YYYY-MM-DD HH:MM`."""
        moment = datetime.fromisoformat(civil).replace(tzinfo=self.calendar.zone)
        return self.wait(self.calendar.instant(moment) - self.now)

    def _taken(self, leaving: list[Transmit]) -> list[Transmit]:
        earlier, self._leaving = self._leaving, []
        return earlier + leaving

    def _judge(self, seen: Seen, *, damaged: bool = False) -> Seen:
        up = [row for row in self.rows if row.address]
        self.line = up[0].address if up else None
        self._mtu[Side.WAN] = min((row.mtu for row in up), default=1500)
        return super()._judge(seen, damaged=damaged)

    # The lines

    def _ask(self, question: Callable[[Lines, float], Any]) -> Any:
        answer, leaving = self.simulation.ask(question)
        self._leaving += leaving
        return answer

    def raise_link(self, link: str = "isp", by: str = "boss") -> str:
        answer: str = self._ask(lambda lines, now: lines.raise_link(link, by, now=now))
        return answer

    def drop_link(self, link: str = "isp", by: str = "boss", *, stay: bool = False) -> str:
        answer: str = self._ask(lambda lines, now: lines.drop_link(link, by, stay=stay, now=now))
        return answer

    def lease(
        self, lease_id: str, right: str = "raise", *, host: str = "", ttl_s: float = 60.0
    ) -> str:
        address = parse_address(host) if host else None
        answer: str = self._ask(
            lambda lines, now: lines.grant_lease(lease_id, right, "mail", address, ttl_s, now=now)
        )
        return answer

    def renew(self, lease_id: str, ttl_s: float) -> bool:
        answer: bool = self._ask(lambda lines, now: lines.renew_lease(lease_id, ttl_s, now=now))
        return answer

    def release(self, lease_id: str) -> bool:
        answer: bool = self._ask(lambda lines, now: lines.release_lease(lease_id, now=now))
        return answer

    def carry(self, octets: int) -> None:
        """Say that so much has passed on the line's TUN in all."""
        self._ask(lambda lines, now: lines.note_traffic(octets, 0, now=now))

    def lose(self, link: str = "isp") -> list[Seen]:
        """Take the carrier away; return what leaves for that."""
        return self._report(Lost(link, self.row(link).attempt, "no carrier"))

    def renumber(self, address: str, link: str = "isp") -> list[Seen]:
        """Give a line that is up another address; return what leaves for that."""
        row = self.row(link)
        return self._report(Addressed(link, row.attempt, parse_address(address), row.mtu))

    def find_up(self, address: str = LINE, link: str = "isp") -> list[Seen]:
        """Have a line that is down raised by somebody else."""
        return self._report(Addressed(link, 0, parse_address(address), 1500))

    def _report(self, report: Report) -> list[Seen]:
        leaving = self._taken(self.simulation.report(report))
        return [self._judge(Seen.of(*transmit)) for transmit in leaving]

    # What there is to see

    @property
    def rows(self) -> tuple[LinkRow, ...]:
        return self.forwarder.lines.link_rows(self.now)

    def row(self, link: str = "isp") -> LinkRow:
        return next(row for row in self.rows if row.name == link)

    def state(self, link: str = "isp") -> str:
        return self.row(link).state

    @property
    def holding(self) -> Holding:
        return self.forwarder.lines.holding(self.now)

    @property
    def rises(self) -> list[Rise]:
        """The last that was told of each attempt, in the order in which they began."""
        return sorted(self.simulation.rises.values(), key=lambda rise: rise.begun_at)

    def dialled(self, link: str = "isp") -> list[float]:
        """When each attempt began, in seconds since the beginning."""
        return [rise.begun_at - self.began for rise in self.rises if rise.link == link]

    def states(self, link: str = "isp") -> list[str]:
        """The states the link came to, in order."""
        changes = [each for each in self.simulation.signals if isinstance(each, StateChange)]
        return [change.state.value for change in changes if change.link == link]

    @property
    def warnings(self) -> list[str]:
        return [each.what for each in self.simulation.signals if isinstance(each, Warned)]
