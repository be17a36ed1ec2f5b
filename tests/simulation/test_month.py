"""An office month on a line that costs money: people, mail by lease, chatter and scans."""

import random
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import count, pairwise

import pytest

from router.departure import Transmit
from router.devices import Side
from router.link.messages import Rise
from router.link.types import Cause, Ending, LinkConfig, Mode, ScheduleEntry, Span
from router.reasons import Reason
from tests.lab.provider import STEADY, FakeProvider, Office, Outcome, Up
from tests.simulation.traffic import Traffic, packed, segment

pytestmark = pytest.mark.slow

DAYS, DAY_S, HOUR_S = 30, 86400, 3600
PEOPLE = [f"192.168.1.{n}" for n in range(11, 16)]
MAIL, MAIL_SERVER = "192.168.1.10", (packed("198.51.100.25"), 25)
DNS, WEB = (packed("198.51.100.53"), 53), (packed("198.51.100.10"), 80)
LEASE_S = 90.0  # seconds for which mail wants the line each time
IDLE_S, NAME_S = 180.0, 30.0  # seconds for which pages and names hold it
HOURS = Span(frozenset(range(5)), 7 * 60, 20 * 60)
TCP, UDP = 6, 17
_CHATTER = [("198.51.100.123", 123), ("192.168.1.255", 138), ("198.51.100.9", 137)]
_MULTICASTS = [("239.255.255.250", 1900), ("224.0.0.251", 5353), ("198.51.100.9", 445)]
CHATTER = [*_CHATTER, *_MULTICASTS]


def addresses() -> Iterator[Outcome]:
    """Another address and another delay at nearly every dial."""
    draw = random.Random(3)
    while True:
        yield Up(draw.uniform(3.0, 20.0), f"203.0.113.{draw.randrange(2, 200)}")


class Month:
    """The month as it was lived through; `wanted` are the spans in which somebody wanted the line.

    A want is an instant and how long it holds from then, by what the policy says in plain words.
    """

    def __init__(self) -> None:
        link = LinkConfig("isp", redial=STEADY, idle_timeout_s=IDLE_S)
        schedule = [ScheduleEntry(HOURS, Mode.ON_DEMAND)]
        provider = FakeProvider(isp=addresses())
        self.office = Office(link, provider=provider, schedule=schedule, at="2025-03-03 00:00")
        self.traffic = Traffic(self.office)
        self.wanted: list[tuple[float, float]] = []
        self.pages: Counter[bytes] = Counter()
        self.mails = 0
        self._draw = random.Random(2)
        self._ports = count(1024)
        for day in range(DAYS):
            begins = self.office.began + day * DAY_S
            self._chatter(begins)
            self._scans(begins)
            if day % 7 < 5:
                self._people(begins)
                self._mail(begins)
        self.ends = self.office.began + DAYS * DAY_S
        self.traffic.run(self.ends)

    def _people(self, begins: float) -> None:
        for person in PEOPLE:
            at = begins + 8 * HOUR_S + self._draw.uniform(0, HOUR_S)
            while at < begins + 18 * HOUR_S:
                host = (packed(person), 1024 + next(self._ports) % 60000)
                self.traffic.fetch(at, host, DNS, WEB)
                self.pages[host[0]] += 1
                self.wanted.append((at, IDLE_S))
                seldom = self._draw.random() < 0.5
                at += self._draw.expovariate(1 / 5400) if seldom else self._draw.uniform(10, 60)

    def _mail(self, begins: float) -> None:
        for half_hour in range(16, 37):
            at = begins + half_hour * HOUR_S / 2
            self.wanted.append((at, LEASE_S))
            self.mails += 1
            self.traffic.at(at, self._lease)
            host = (packed(MAIL), 1024 + next(self._ports) % 60000)
            self.traffic.send(at + 40, Side.LAN, segment(TCP, host, MAIL_SERVER))

    def _lease(self) -> list[Transmit]:
        assert self.office.lease("mail", host=MAIL, ttl_s=LEASE_S) == ""
        return []

    def _chatter(self, begins: float) -> None:
        for machine in [MAIL, *PEOPLE]:
            for half_hour in range(48):
                at = begins + (half_hour + self._draw.random()) * HOUR_S / 2
                for address, port in CHATTER:
                    source = (packed(machine), port)
                    protocol = TCP if port == 445 else UDP
                    frame = segment(protocol, source, (packed(address), port))
                    self.traffic.send(at, Side.LAN, frame)

    def _scans(self, begins: float) -> None:
        for _ in range(200):
            at = begins + self._draw.uniform(0, DAY_S)
            port = self._draw.randrange(1, 65536)
            self.traffic.at(at, lambda port=port: self._scan(port))  # type: ignore[misc]

    def _scan(self, port: int) -> list[Transmit]:
        address = self.office.row().address or "203.0.113.7"
        stranger = (packed("192.0.2.66"), 4000)
        frame = segment(TCP, stranger, (packed(address), port))
        return self.office.simulation.enter(Side.WAN, frame)


@cache
def month() -> Month:
    return Month()


def naive_minutes(wanted: list[tuple[float, float]]) -> float:
    """How long a line is up that stays for a while after each want; dialling takes no time."""
    total, until = 0.0, 0.0
    for at, holds_s in sorted(wanted):
        ends = max(until, at + max(holds_s, IDLE_S if at > until else 0.0))
        total += ends - max(at, until)
        until = ends
    return total / 60


def minutes(rise: Rise) -> float:
    assert rise.up_at is not None
    assert rise.ended_at is not None
    return (rise.ended_at - rise.up_at) / 60


def test_every_page_that_was_asked_for_arrived_at_the_first_try() -> None:
    lived = month()
    assert lived.pages.total() > 500
    mail = Counter({packed(MAIL): lived.mails})
    assert lived.traffic.fetched == lived.pages + mail


def test_nobody_who_had_a_right_to_it_was_refused_and_nothing_that_waited_was_lost() -> None:
    lived = month()
    counters = lived.office.forwarder.counters
    for reason in (
        Reason.WAITED_TOO_LONG,
        Reason.PUSHED_OUT,
        Reason.LINE_FAILED,
        Reason.LINE_DENIED,
        Reason.LIMIT,
    ):
        assert counters[reason] == 0
    assert sum(rise.lost for rise in lived.office.rises) == 0
    assert sum(rise.held for rise in lived.office.rises) == counters[Reason.HELD] > 0
    assert set(lived.traffic.refused) == {(3, 1)}  # chatter while the line is down


def test_only_people_and_mail_raise_the_line_and_only_at_its_hours() -> None:
    office = month().office
    for rise in office.rises:
        civil = office.calendar.local(rise.begun_at)
        assert civil.weekday() < 5
        assert 7 <= civil.hour < 20
        if rise.trigger.cause is Cause.DEMAND:
            assert rise.trigger.host in PEOPLE
            assert rise.trigger.packet.endswith((":53", ":80 flags syn"))
        else:
            assert (rise.trigger.cause, rise.trigger.by) == (Cause.LEASE, "mail")


def test_it_was_up_for_about_as_long_as_a_naive_model_says() -> None:
    lived = month()
    expected = naive_minutes(lived.wanted)
    spent = sum(minutes(rise) for rise in lived.office.rises)
    assert abs(spent - expected) < 0.05 * expected
    assert spent < DAYS * 24 * 60 / 4


def test_each_rise_that_began_is_ended_and_none_overlaps_another() -> None:
    lived = month()
    rises = lived.office.rises
    assert [rise.attempt for rise in rises] == list(range(1, len(rises) + 1))
    for rise in rises:
        assert rise.ended_at is not None
        assert rise.up_at is not None
        assert rise.begun_at <= rise.up_at <= rise.ended_at
        assert rise.ending is Ending.IDLE
        assert rise.address.startswith("203.0.113.")
    for former, later in pairwise(rises):
        assert former.ended_at is not None
        assert former.ended_at <= later.begun_at


def test_each_rise_is_told_when_it_begins_is_up_and_ends() -> None:
    told: dict[int, list[Rise]] = {}
    for signal in month().office.simulation.signals:
        if isinstance(signal, Rise):
            told.setdefault(signal.attempt, []).append(signal)
    for story in told.values():
        assert story[0].up_at is None
        assert any(rise.up_at is not None and rise.ended_at is None for rise in story)
        assert story[-1].ended_at is not None


def test_nothing_is_left_in_the_tables_when_everybody_has_gone_home() -> None:
    office = month().office
    assert (office.state(), office.row().blocked) == ("DISABLED", "outside its hours")
    assert office.forwarder.session_count == 0
    assert office.forwarder.mapping_count == 0
    assert (office.holding.waiting, office.holding.holders) == ((), ())
    assert len(office.forwarder.cache) == 0
