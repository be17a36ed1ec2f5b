"""Leases: granted, renewed, released, run out."""

import pytest

from router.link.leases import MAX_LEASES, Lease, LeaseRight, Leases
from router.link.rows import LeaseRow
from router.wire.address import parse_address

MAIL, NEWS = parse_address("192.168.1.10"), parse_address("192.168.1.20")
RAISE, USE = LeaseRight.RAISE, LeaseRight.USE_IF_UP


def granted(*leases: tuple[str, LeaseRight, int | None, float]) -> Leases:
    """Return leases of (id, right, host, seconds), all granted at 0."""
    made = Leases()
    for lease_id, right, host, ttl_s in leases:
        assert made.grant(lease_id, right, f"for {lease_id}", host, ttl_s, 0)
    return made


def test_nothing_is_leased_at_first() -> None:
    leases = Leases()
    assert not leases
    assert len(leases) == 0
    assert leases.wanting is None
    assert leases.next_deadline() is None
    assert leases.expire(1e9) == []
    assert leases.rows(0) == ()
    assert leases.hosts == frozenset()


def test_the_rights_are_those_of_the_control_api() -> None:
    assert [right.value for right in LeaseRight] == ["raise", "use-if-up"]


def test_rows_tell_everything_the_oldest_first() -> None:
    leases = granted(("mail", RAISE, MAIL, 60), ("cron", USE, None, 30))
    assert leases.rows(10) == (
        LeaseRow("mail", "raise", "for mail", "192.168.1.10", 50),
        LeaseRow("cron", "use-if-up", "for cron", "", 20),
    )
    assert leases.rows(45)[1].expires_in_s == 0


@pytest.mark.parametrize(
    ("leases", "wanting"),
    [
        ([("a", USE, None, 60)], None),
        ([("a", USE, None, 60), ("b", RAISE, None, 60), ("c", RAISE, None, 60)], "b"),
    ],
)
def test_the_oldest_that_may_raise_wants_the_line(
    leases: list[tuple[str, LeaseRight, int | None, float]], wanting: str | None
) -> None:
    found = granted(*leases).wanting
    assert (found.id if found else None) == wanting


def test_leases_run_out_in_time() -> None:
    leases = granted(("a", RAISE, MAIL, 60), ("b", RAISE, NEWS, 30))
    assert leases.next_deadline() == 30
    assert leases.expire(29.9) == []
    assert leases.expire(30) == [Lease("b", RAISE, "for b", NEWS, 30)]
    assert leases.next_deadline() == 60
    assert [lease.id for lease in leases.expire(100)] == ["a"]
    assert not leases


def test_a_renewed_lease_lasts_from_now_and_keeps_its_place() -> None:
    leases = granted(("a", RAISE, MAIL, 60), ("b", RAISE, None, 90))
    assert leases.renew("a", 100, 50)
    assert leases.next_deadline() == 90
    assert leases.expire(90)[0].id == "b"
    assert leases.rows(90) == (LeaseRow("a", "raise", "for a", "192.168.1.10", 60),)
    assert leases.wanting is not None
    assert leases.wanting.id == "a"


@pytest.mark.parametrize(("lease_id", "now"), [("b", 10), ("a", 60), ("a", 61)])
def test_what_does_not_exist_or_is_over_is_not_renewed(lease_id: str, now: float) -> None:
    leases = granted(("a", RAISE, MAIL, 60))
    assert not leases.renew(lease_id, 60, now)
    assert leases.next_deadline() == 60


def test_a_renewal_may_shorten() -> None:
    leases = granted(("a", RAISE, MAIL, 600))
    assert leases.renew("a", 5, 10)
    assert leases.next_deadline() == 15


def test_a_released_lease_is_returned_once() -> None:
    leases = granted(("a", RAISE, MAIL, 60), ("b", USE, NEWS, 90))
    assert leases.release("a") == Lease("a", RAISE, "for a", MAIL, 60)
    assert leases.release("a") is None
    assert leases.next_deadline() == 90
    assert leases.hosts == {NEWS}


def test_whoever_repeats_himself_has_one_lease() -> None:
    leases = granted(("a", USE, MAIL, 60), ("b", RAISE, None, 60))
    assert leases.grant("a", RAISE, "again", NEWS, 60, 5)
    assert len(leases) == 2
    assert leases.wanting == Lease("a", RAISE, "again", NEWS, 65)  # and keeps his age
    assert not leases.covers(MAIL)
    assert leases.covers(NEWS)


def test_a_host_is_covered_while_it_has_any_lease() -> None:
    leases = granted(("a", USE, MAIL, 60), ("b", RAISE, MAIL, 90), ("c", RAISE, None, 60))
    assert leases.hosts == {MAIL}
    assert [leases.covers(host) for host in (MAIL, NEWS)] == [True, False]
    leases.expire(60)
    assert leases.covers(MAIL)
    leases.release("b")
    assert not leases.covers(MAIL)


def test_there_are_only_so_many() -> None:
    leases = granted(*((str(n), USE, None, 60.0) for n in range(MAX_LEASES)))
    assert not leases.grant("one more", RAISE, "", NEWS, 60, 0)
    assert leases.wanting is None
    assert not leases.covers(NEWS)
    assert leases.grant("7", RAISE, "", None, 60, 0)  # in place of one there is
    leases.release("8")
    assert leases.grant("one more", RAISE, "", None, 60, 0)
    assert len(leases) == MAX_LEASES


def test_all_of_them_end_at_once() -> None:
    leases = granted(("a", RAISE, MAIL, 60), ("b", USE, NEWS, 90))
    assert [lease.id for lease in leases.clear()] == ["a", "b"]
    assert not leases
    assert leases.next_deadline() is None
    assert not leases.covers(MAIL)
