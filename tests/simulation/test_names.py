"""Names asked for by the router for its hosts: who may, what is raised, what the router may."""

import pytest

from router.link.messages import Coming, Ready
from router.link.types import (
    Action,
    Allowance,
    BudgetConfig,
    HostRight,
    LinkConfig,
    Mode,
    Right,
)
from router.reasons import Reason
from router.wire.address import parse_address
from tests.lab.provider import STEADY, Busy, FakeProvider, Office, Up, policy
from tests.simulation.asking import ask, query
from tests.simulation.talks import ALICE, BOB, CAROL, DNS, connect

LINE = "203.0.113.2"
HOSTS = [
    HostRight(Right.MAY_DIAL, parse_address(ALICE), name="alice"),
    HostRight(Right.MAY_USE, parse_address(BOB), name="bob"),
    HostRight(Right.NEVER, parse_address(CAROL), name="carol"),
]


def since(outcome: Ready | Coming | Reason) -> float:
    assert isinstance(outcome, Coming)
    return outcome.since


def test_a_name_raises_the_line_in_the_name_of_its_host() -> None:
    office = Office(hosts=HOSTS)
    asked_at = since(ask(office, ALICE))
    (rise,) = office.rises
    assert (rise.trigger.by, rise.trigger.host) == ("alice", ALICE)
    assert rise.trigger.packet == f"{ALICE} asks for www.example.test A"
    assert rise.trigger.rule == "accept udp dst port 53 or tcp dst port 53 (default)"
    office.wait(2)
    assert ask(office, ALICE, since=asked_at) == Coming(asked_at)
    office.wait(3)
    assert ask(office, ALICE, since=asked_at) == Ready("isp")
    (rise,) = office.rises
    assert (rise.held, rise.lost, rise.waited_s) == (1, 0, 5.0)
    assert query(office) == [f"wan udp {LINE}:40000 > {DNS}:53"]


def test_the_first_of_several_has_waited_longest() -> None:
    office = Office()
    first = since(ask(office, ALICE))
    office.wait(2)
    second = since(ask(office, BOB))
    office.wait(4)
    ask(office, ALICE, since=first)
    ask(office, BOB, since=second)
    assert (office.rises[0].held, office.rises[0].waited_s) == (2, 6.0)


def test_who_may_only_use_waits_for_a_line_that_somebody_else_raises() -> None:
    office = Office(hosts=HOSTS)
    assert ask(office, BOB) is Reason.MAY_NOT_RAISE
    assert ask(office, CAROL) is Reason.HOST_REFUSED
    assert office.rises == []
    ask(office, ALICE)
    began = since(ask(office, BOB))
    assert ask(office, CAROL) is Reason.HOST_REFUSED
    office.wait(5)
    assert ask(office, BOB, since=began) == Ready("isp")
    assert ask(office, CAROL) is Reason.HOST_REFUSED


@pytest.mark.parametrize(
    ("rule", "down", "up"),
    [
        (policy(f"src host {ALICE} and port 53", Action.IGNORE), Reason.IGNORED, Ready("isp")),
        (policy(f"src host {ALICE} and port 53", Action.KEEPUP), Reason.IGNORED, Ready("isp")),
        (policy(f"src host {ALICE} and port 53", Action.REJECT), Reason.REJECTED, Reason.REJECTED),
    ],
)
def test_policy_judges_what_the_host_would_have_sent(
    rule: object, down: Reason, up: object
) -> None:
    office = Office(rules=[rule])  # type: ignore[list-item]
    assert ask(office, ALICE) is down
    assert office.rises == []
    connect(office, f"{BOB}:4000")
    assert ask(office, ALICE) == up


def test_nobody_waits_for_an_attempt_that_has_failed() -> None:
    office = Office(provider=FakeProvider(isp=[Busy(), Up()]))
    began = since(ask(office, ALICE))
    office.wait(3)
    assert ask(office, ALICE, since=began) is Reason.LINE_FAILED
    assert ask(office, ALICE) is Reason.LINE_FAILED
    assert (office.rises[0].held, office.rises[0].lost) == (0, 1)
    assert len(office.dialled()) == 1


def test_a_backup_is_raised_for_who_waits_still() -> None:
    links = [LinkConfig(name, redial=STEADY, dead_after=1) for name in ("isp", "lte")]
    office = Office(*links, provider=FakeProvider(isp=[Busy()], lte=[Up(address="203.0.113.9")]))
    began = since(ask(office, ALICE))
    office.wait(3)
    assert ask(office, ALICE, since=began) == Coming(began)
    assert len(office.dialled("lte")) == 1
    office.wait(5)
    assert ask(office, ALICE, since=began) == Ready("lte")


def test_who_waits_does_not_raise_what_a_person_takes_down() -> None:
    office = Office()
    began = since(ask(office, ALICE))
    office.drop_link()
    office.wait(2)
    assert ask(office, ALICE, since=began) is Reason.LINE_FAILED
    assert len(office.dialled()) == 1
    ask(office, ALICE)
    assert len(office.dialled()) == 2


def test_over_budget_names_are_denied() -> None:
    office = Office(budget=BudgetConfig(per_day=Allowance(dials=1)))
    ask(office, ALICE)
    office.wait(600)
    assert ask(office, ALICE) is Reason.LINE_DENIED


def test_a_manual_line_is_denied() -> None:
    office = Office(LinkConfig("isp", mode=Mode.MANUAL))
    assert ask(office, ALICE) is Reason.LINE_DENIED


@pytest.mark.parametrize(
    "options",
    [
        {"default_right": Right.NEVER},
        {
            "rules": [
                policy(f"src host {ALICE}", Action.ACCEPT),
                policy("port 53", Action.REJECT),
            ]
        },
    ],
    ids=["right", "policy"],
)
def test_what_is_granted_to_the_host_is_not_refused_to_the_router(
    options: dict[str, object],
) -> None:
    office = Office(hosts=HOSTS, **options)  # type: ignore[arg-type]
    office.raise_link()
    office.wait(10)
    assert [seen for seen in query(office) if seen.startswith("wan")] == []
    assert ask(office, ALICE) == Ready("isp")
    assert query(office) == [f"wan udp {LINE}:40000 > {DNS}:53"]
    office.wait(20)
    assert [seen for seen in query(office, 40001) if seen.startswith("wan")] == []


def test_the_router_asks_by_the_rule_of_the_host_and_raises_nothing() -> None:
    rule = policy(f"src host {ALICE} and port 53", Action.ACCEPT, hold_s=70.0)
    office = Office(rules=[rule])
    office.raise_link()
    office.wait(10)
    ask(office, ALICE)
    query(office)
    office.wan(f"udp {DNS}:53 > {LINE}:40000", b"answer")
    (holder,) = office.holding.holders
    assert (holder.rule, holder.holds_s) == (str(rule), 70.0)
    assert holder.host == "the router"
    office.lose()
    office.drop_link()
    office.wait(2)
    assert len(office.rises) == 1
    query(office, 40001)
    assert len(office.rises) == 1


def test_a_host_with_a_lease_holds_nothing_by_its_names() -> None:
    office = Office()
    office.lease("mail", host=ALICE)
    office.wait(10)
    assert ask(office, ALICE) == Ready("isp")
    query(office)
    assert office.holding.holders == ()
