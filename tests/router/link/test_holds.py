"""What holds the line: for how long after its last activity, told by moving the clock by hand."""

from dataclasses import dataclass, replace
from math import inf

import pytest

from router.link.holds import AT_ONCE, MOST_ROWS, RECHECK_S, UNANSWERED_S, Holds
from router.link.policy import EVERYTHING_ELSE
from router.link.rows import HolderRow
from router.link.types import Action
from router.nat.table import Session

ALICE, BOB = 0xC0A8010B, 0xC0A8010C
DNS = replace(EVERYTHING_ELSE, text="port 53", hold_s=30.0)
IDLE_S = 180.0


@dataclass(eq=False)
class Talk:
    """A flow, moved by hand."""

    name: str = "tcp 192.168.1.11:4000 -> 198.51.100.10:80"
    opened_at: float = 0.0
    answered: bool = True
    host: int = ALICE
    is_open: bool = True
    last: float = 0.0

    def active_at(self) -> float:
        return max(self.opened_at, self.last)

    def label(self) -> str:
        return self.name


def holding(*flows: Talk, hold_s: float = IDLE_S, now: float = 0.0) -> Holds:
    holds = Holds()
    for flow in flows:
        holds.take(flow, EVERYTHING_ELSE, hold_s, now)
    return holds


def lapse_of(holds: Holds) -> float:
    """When the last flow goes, told as the forwarder would learn it: by being due."""
    now = 0.0
    while (due := holds.next_deadline()) is not None:
        assert due >= now
        now = due
        holds.expire(now)
        assert now < 1e6
    return now


def test_a_flow_holds_until_so_long_after_it_was_taken() -> None:
    flow = Talk()
    holds = holding(flow)
    assert (len(holds), holds.is_held(flow), holds.next_deadline()) == (1, True, IDLE_S)
    assert holds.expire(IDLE_S - 0.1) == []
    assert holds.expire(IDLE_S) == [flow]
    assert (len(holds), holds.is_held(flow), holds.next_deadline()) == (0, False, None)
    assert holds.expire(1000) == []


def test_nothing_holds_an_empty_line() -> None:
    holds = Holds()
    assert (len(holds), holds.next_deadline(), holds.expire(9), holds.kept_by) == (0, None, [], "")
    assert holds.rows(0, "isp", str) == ()


@pytest.mark.parametrize(
    ("what", "flow", "hold_s", "lapses_at"),
    [
        ("active since", Talk(last=50), IDLE_S, 230),
        ("closed since, and still holding", Talk(last=50, is_open=False), IDLE_S, 230),
        ("not answered", Talk(answered=False), IDLE_S, UNANSWERED_S),
        ("not answered, however often repeated", Talk(answered=False, last=29), IDLE_S, 30),
        ("not answered, under a short hold", Talk(answered=False), 5, 5),
        ("not answered, to be held for ever", Talk(answered=False), inf, UNANSWERED_S),
        ("shortly", Talk(last=4), 5, 9),
    ],
)
def test_how_long_a_flow_holds(what: str, flow: Talk, hold_s: float, lapses_at: float) -> None:
    assert lapse_of(holding(flow, hold_s=hold_s)) == lapses_at, what


def test_activity_moves_the_deadline_only_when_it_comes() -> None:
    flow = Talk()
    holds = holding(flow)
    flow.last = 100
    assert holds.next_deadline() == IDLE_S
    assert holds.expire(IDLE_S) == []
    assert holds.next_deadline() == 100 + IDLE_S
    assert holds.expire(100 + IDLE_S) == [flow]


def test_an_answer_makes_a_flow_hold_as_long_as_its_rule_says() -> None:
    flow = Talk(answered=False)
    holds = holding(flow)
    flow.answered, flow.last = True, 20
    assert holds.expire(UNANSWERED_S) == []
    assert lapse_of(holds) == 20 + IDLE_S


def test_taking_a_flow_again_changes_nothing() -> None:
    flow = Talk()
    holds = holding(flow)
    holds.take(flow, DNS, 30, 100)
    assert (len(holds), holds.count_of(ALICE), holds.next_deadline()) == (1, 1, IDLE_S)
    assert holds.kept_by == f"{flow.name}, by accept everything"
    assert holds.expire(IDLE_S) == [flow]
    assert holds.expire(1000) == []


def test_a_flow_that_has_lapsed_may_be_taken_anew() -> None:
    flow = Talk()
    holds = holding(flow)
    holds.expire(IDLE_S)
    flow.last = 300
    holds.take(flow, EVERYTHING_ELSE, IDLE_S, 300)
    assert (holds.is_held(flow), holds.next_deadline()) == (True, 300 + IDLE_S)


@pytest.mark.parametrize(
    ("flow", "hold_s"),
    [
        (Talk(last=1000), 0),
        (Talk(last=1000, answered=False), IDLE_S),
        (Talk(last=1000 - IDLE_S), IDLE_S),
        (Talk(last=1000, is_open=False), inf),
    ],
)
def test_a_flow_that_would_have_lapsed_by_now_is_not_taken(flow: Talk, hold_s: float) -> None:
    holds = holding(flow, hold_s=hold_s, now=1000)
    assert (len(holds), holds.is_held(flow), holds.next_deadline()) == (0, False, None)


def test_a_flow_to_be_held_for_ever_holds_while_it_is_open() -> None:
    flow = Talk()
    holds = holding(flow, hold_s=inf)
    for minute in range(1, 100):
        now = holds.next_deadline()
        assert now == minute * RECHECK_S
        assert holds.expire(now) == []
    flow.is_open = False
    assert holds.expire(99 * RECHECK_S + 1) == []
    assert holds.expire(100 * RECHECK_S) == [flow]


def test_hosts_are_counted() -> None:
    first, second, other = Talk(), Talk(last=50), Talk(host=BOB)
    holds = holding(first, second, other)
    assert [holds.count_of(host) for host in (ALICE, BOB, 7)] == [2, 1, 0]
    holds.expire(IDLE_S)
    assert [holds.count_of(host) for host in (ALICE, BOB, 7)] == [1, 0, 0]
    holds.clear()
    assert holds.count_of(ALICE) == 0


def test_clear_forgets_everything() -> None:
    flow = Talk()
    holds = holding(flow, Talk())
    holds.expire(IDLE_S)
    holds.take(flow, EVERYTHING_ELSE, 1000, IDLE_S)
    holds.clear()
    assert (len(holds), holds.is_held(flow), holds.next_deadline()) == (0, False, None)
    assert holds.kept_by == ""
    holds.take(flow, EVERYTHING_ELSE, 1000, IDLE_S)
    assert holds.next_deadline() == 1000


# Who kept it


def test_what_held_last_is_told_by_name_and_rule() -> None:
    web, query = Talk("web"), Talk("query")
    holds = Holds()
    holds.take(web, EVERYTHING_ELSE, IDLE_S, 0)
    assert holds.kept_by == "web, by accept everything"
    holds.take(query, DNS, 30, 0)
    assert holds.kept_by == "query, by accept port 53", "the newest of those that hold"
    holds.expire(30)
    assert holds.kept_by == "web, by accept everything", "which still holds"
    holds.expire(IDLE_S)
    assert holds.kept_by == "web, by accept everything"


def test_who_lapsed_last_is_told_even_by_a_late_timer() -> None:
    longest, shorter = Talk("longest"), Talk("shorter")
    holds = holding(longest, shorter)
    longest.last, shorter.last = 150, 20
    assert holds.expire(1000) == [longest, shorter], "both were due at the same time"
    assert holds.kept_by.startswith("longest")


# Views


def test_rows_tell_the_soonest_to_lapse_last() -> None:
    holds = Holds()
    web = Talk("web", last=50)
    ssh, query = Talk("ssh", host=BOB), Talk("query", answered=False)
    holds.take(web, EVERYTHING_ELSE, IDLE_S, 50)
    holds.take(ssh, replace(EVERYTHING_ELSE, text="tcp", action=Action.KEEPUP), inf, 50)
    query.opened_at = 45
    holds.take(query, DNS, 30, 50)
    names = {ALICE: "alice", BOB: "192.168.1.12"}
    assert holds.rows(60, "isp", names.__getitem__) == (
        HolderRow("isp", "192.168.1.12", "ssh", "keepup tcp", inf),
        HolderRow("isp", "alice", "web", "accept everything", 170),
        HolderRow("isp", "alice", "query", "accept port 53", 15),
    )
    assert [row.holds_s for row in holds.rows(1000, "isp", str)] == [inf, 0, 0]


def test_rows_are_bounded() -> None:
    flows = [Talk(str(number)) for number in range(MOST_ROWS + 10)]
    rows = holding(*flows).rows(0, "isp", str)
    assert {row.session for row in rows} == {flow.name for flow in flows[10:]}


# Many


def test_many_that_lapse_together_go_in_portions() -> None:
    flows = [Talk() for _ in range(2 * AT_ONCE + 5)]
    holds = holding(*flows)
    portions = []
    while (due := holds.next_deadline()) is not None:
        assert due <= IDLE_S
        portions.append(holds.expire(IDLE_S))
    assert [len(portion) for portion in portions] == [AT_ONCE, AT_ONCE, 5]
    assert [flow for portion in portions for flow in portion] == flows


def test_many_that_are_active_are_put_back_in_portions() -> None:
    flows = [Talk(last=100) for _ in range(AT_ONCE + 5)]
    holds = holding(*flows)
    for flow in flows:
        flow.last = 200
    due = holds.next_deadline()
    assert due is not None
    assert holds.expire(due) == []
    assert holds.next_deadline() == due, "the rest is due again"
    assert holds.expire(due) == []
    assert holds.next_deadline() == 200 + IDLE_S
    assert len(holds) == AT_ONCE + 5


def test_a_flow_has_one_deadline_whatever_it_does() -> None:
    flow = Talk()
    holds = holding(flow)
    for now in range(1, 5000, 7):
        flow.last = now
        holds.take(flow, EVERYTHING_ELSE, IDLE_S, now)
        holds.expire(now)
        assert len(holds._deadlines) == len(holds) == 1


def test_a_session_is_a_flow() -> None:
    for name in ("answered", "is_open", "opened_at", "host", "active_at", "label"):
        assert hasattr(Session, name)
    assert Session.__eq__ is object.__eq__
