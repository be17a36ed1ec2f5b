"""Rights of LAN hosts: by address, then by MAC, with exceptions by the hour."""

from datetime import UTC, datetime

import pytest

from router.link.rights import Rights
from router.link.types import HostRight, Right, Span
from router.wire.address import parse_address

ALICE, BOB, CAROL, DAVE = (parse_address(f"192.168.1.{n}") for n in (11, 12, 13, 14))
NIGHT = Span(frozenset(range(7)), 22 * 60, 6 * 60)
WEEKEND = Span(frozenset({5, 6}), 0, 0)
NOON = datetime(2025, 6, 2, 12, tzinfo=UTC)  # a Monday


class Cards:
    """Knows the MACs of Bob and Carol; counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def mac_of(self, address: int) -> str:
        self.asked += 1
        return {BOB: "02:00:00:00:00:0b", CAROL: "02:00:00:00:00:0c"}.get(address, "")


def rights(*hosts: HostRight, default: Right = Right.MAY_DIAL) -> Rights:
    return Rights(hosts, default, Cards())


SITE = (
    HostRight(Right.MAY_USE, address=ALICE, name="alice"),
    HostRight(Right.NEVER, mac="02:00:00:00:00:0b", name="bob"),
    HostRight(Right.MAY_DIAL, address=CAROL),
    HostRight(Right.NEVER, mac="02:00:00:00:00:0c", name="carol's card"),
)


@pytest.mark.parametrize(
    ("host", "right"),
    [
        (ALICE, Right.MAY_USE),
        (BOB, Right.NEVER),
        (CAROL, Right.MAY_DIAL),  # by address before by MAC
        (DAVE, Right.MAY_USE),  # nothing is known of him
    ],
)
def test_the_right_of_a_host(host: int, right: Right) -> None:
    assert rights(*SITE, default=Right.MAY_USE).right_of(host, lambda: NOON) is right


@pytest.mark.parametrize(
    ("host", "name"),
    [(ALICE, "alice"), (BOB, "bob"), (CAROL, "192.168.1.13"), (DAVE, "192.168.1.14")],
)
def test_what_a_host_is_called(host: int, name: str) -> None:
    assert rights(*SITE).name_of(host) == name


def test_the_card_of_a_host() -> None:
    assert [rights().mac_of(host) for host in (BOB, DAVE)] == ["02:00:00:00:00:0b", ""]


def test_the_first_of_two_entries_for_a_host_counts() -> None:
    twice = rights(
        HostRight(Right.NEVER, address=ALICE),
        HostRight(Right.MAY_USE, address=ALICE),
        HostRight(Right.NEVER, mac="02:00:00:00:00:0b"),
        HostRight(Right.MAY_USE, mac="02:00:00:00:00:0b"),
    )
    assert [twice.right_of(host, lambda: NOON) for host in (ALICE, BOB)] == [
        Right.NEVER,
        Right.NEVER,
    ]


@pytest.mark.parametrize(
    ("moment", "right"),
    [
        ("2025-06-02T12:00Z", Right.MAY_DIAL),
        ("2025-06-02T23:00Z", Right.NEVER),
        ("2025-06-08T12:00Z", Right.MAY_USE),
        ("2025-06-08T23:00Z", Right.NEVER),  # both: the first counts
        ("2025-06-09T05:59Z", Right.NEVER),
        ("2025-06-09T06:00Z", Right.MAY_DIAL),
    ],
)
def test_exceptions_by_the_hour(moment: str, right: Right) -> None:
    exceptions = ((NIGHT, Right.NEVER), (WEEKEND, Right.MAY_USE))
    site = rights(HostRight(Right.MAY_DIAL, address=ALICE, exceptions=exceptions))
    assert site.right_of(ALICE, lambda: datetime.fromisoformat(moment)) is right


def test_nobody_is_asked_for_cards_that_do_not_matter() -> None:
    cards = Cards()
    by_address = Rights([HostRight(Right.NEVER, address=ALICE)], Right.MAY_DIAL, cards)
    assert by_address.right_of(DAVE, lambda: NOON) is Right.MAY_DIAL
    by_either = Rights(SITE, Right.MAY_DIAL, cards)
    assert by_either.right_of(ALICE, lambda: NOON) is Right.MAY_USE
    assert cards.asked == 0
    assert by_either.right_of(BOB, lambda: NOON) is Right.NEVER
    assert cards.asked == 1
